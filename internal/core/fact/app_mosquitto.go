package fact

import (
	"net/netip"
	"path"
	"slices"
	"strings"
)

// A Broker is what the settings of a mosquitto make of it, by the rules of
// mosquitto 2: settings of a listener follow it; who may log in is the same for
// all, or with per_listener_settings each listener's own.
type Broker struct {
	State       State
	Why         string
	PerListener bool
	Listeners   []BrokerListener // empty: it listens on the loopback alone
	Ignored     []Value[string]  // settings that it does not reach, with what they are
	Refused     []Value[string]  // why it would not start
}

// A BrokerListener is one port of it.
type BrokerListener struct {
	Port, Addr string
	Default    bool // the one that settings before any listener make
	Anonymous  Value[string]
	Passwords  Value[string] // password_file
	ACL        Value[string] // acl_file or a plugin
	Plugin     Value[string] // that checks who logs in
	Cert, Key  Value[string]
	PSK        Value[string]
	Place      Place
}

// Local reports whether it takes connections of its own host only.
func (l BrokerListener) Local() bool {
	if strings.HasPrefix(l.Port, "0") && l.Addr != "" {
		return true // a socket in the file system
	}
	a, err := netip.ParseAddr(l.Addr)
	return l.Addr == "localhost" || err == nil && a.IsLoopback()
}

// Name of the listener for a person.
func (l BrokerListener) Name() string {
	if l.Addr != "" {
		return "listener " + l.Port + " at " + l.Addr
	}
	return "listener " + l.Port
}

// TLS reports whether it speaks nothing but TLS.
func (l BrokerListener) TLS() bool {
	return l.Cert.Known() && l.Key.Known() || l.PSK.Known()
}

const mosquittoConf = "/etc/mosquitto/mosquitto.conf"

// login are the settings that per_listener_settings makes a listener's own.
var brokerLogin = []string{"allow_anonymous", "password_file", "acl_file", "plugin", "auth_plugin", "psk_file", "allow_zero_length_clientid", "auto_id_prefix"}

// opensDefault are those that before any listener make one at port 1883.
var opensDefault = []string{
	"port", "bind_address", "bind_interface", "cafile", "capath", "certfile", "keyfile", "ciphers", "psk_hint", "require_certificate",
	"crlfile", "use_identity_as_username", "use_subject_as_username", "mount_point", "max_connections",
}

// Mosquitto reads the broker's settings.
func (as Apps) Mosquitto() Broker {
	a := as.Get("mosquitto")
	b := Broker{State: Known}
	if a.State != Known {
		return Broker{State: a.State, Why: a.Why}
	}
	if why := a.Unread("config"); why != "" {
		return Broker{State: Unknown, Why: why}
	}
	var main *AppFile
	var dropIns []AppFile
	for _, f := range a.Files("config") {
		switch {
		case f.State != Known:
		case f.Entry.Path == mosquittoConf:
			main = &f
		default:
			dropIns = append(dropIns, f)
		}
	}
	if main == nil {
		return Broker{State: Unknown, Why: "there is no " + mosquittoConf + " that could be read"}
	}
	var all []AppSetting
	included := false
	for _, s := range main.Settings {
		if s.Last() != "include_dir" {
			all = append(all, s)
			continue
		}
		if path.Clean(s.Value) != "/etc/mosquitto/conf.d" {
			return Broker{State: Unknown, Why: "settings in " + s.Value + " are not read here"}
		}
		included = true
		for _, f := range dropIns {
			all = append(all, f.Settings...)
		}
	}
	for _, f := range dropIns {
		if !included && len(f.Settings) > 0 {
			b.Ignored = append(b.Ignored, Is(f.Entry.Path+" is not read: "+mosquittoConf+" has no include_dir /etc/mosquitto/conf.d", Place{Path: f.Entry.Path}))
		}
	}
	b.read(all)
	return b
}

func (b *Broker) read(all []AppSetting) {
	common := BrokerListener{Port: "1883", Default: true}
	login := BrokerListener{}
	opened, seen := false, false // the default listener; a setting of who may log in
	at := &common
	for _, s := range all {
		v := Is(s.Value, s.Place)
		key := s.Last()
		into := at
		if slices.Contains(brokerLogin, key) {
			if !b.PerListener {
				into = &login
			}
			seen = true
		}
		if at == &common && (slices.Contains(opensDefault, key) || key == "protocol" && s.Value != "mqtt" ||
			b.PerListener && (key == "password_file" || key == "acl_file" || key == "plugin" || key == "auth_plugin")) {
			opened = true
			if common.Place.Path == "" {
				common.Place = s.Place
			}
		}
		switch key {
		case "per_listener_settings":
			if b.PerListener = s.Value == "true"; b.PerListener && seen {
				b.Refused = append(b.Refused, Is("per_listener_settings has to stand before any setting of who may log in", s.Place))
			}
		case "listener":
			port, addr := word(s.Value)
			b.Listeners = append(b.Listeners, BrokerListener{Port: port, Addr: strings.TrimSpace(addr), Place: s.Place})
			at = &b.Listeners[len(b.Listeners)-1]
		case "port":
			common.Port = s.Value
		case "bind_address":
			common.Addr = s.Value
		case "allow_anonymous":
			into.Anonymous = v
		case "password_file":
			into.Passwords = v
		case "acl_file":
			into.ACL = v
		case "plugin", "auth_plugin":
			into.Plugin = v
		case "certfile":
			at.Cert = v
		case "keyfile":
			at.Key = v
		case "psk_hint":
			at.PSK = v
		}
	}
	if opened {
		b.Listeners = append([]BrokerListener{common}, b.Listeners...)
	} else if b.PerListener {
		for _, v := range []struct {
			name string
			v    Value[string]
		}{{"allow_anonymous", common.Anonymous}} {
			if v.v.Known() {
				b.Ignored = append(b.Ignored, Is(v.name+" "+v.v.V+" before any listener is nobody's: per_listener_settings is true", v.v.Place))
			}
		}
	}
	if b.PerListener {
		return
	}
	for i := range b.Listeners {
		l := &b.Listeners[i]
		l.Anonymous, l.Passwords, l.ACL, l.Plugin = login.Anonymous, login.Passwords, login.ACL, login.Plugin
	}
}
