package check

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

const (
	dotPioreactor = "/home/pioreactor/.pioreactor"
	flagInstalls  = dotPioreactor + "/DISALLOW_UI_INSTALLS"
	flagUploads   = dotPioreactor + "/DISALLOW_UI_UPLOADS"
	flagFiles     = dotPioreactor + "/DISALLOW_UI_FILE_SYSTEM"
)

var pioreactor = []Check{
	{"apps.pioreactor-flags", pioreactorFlags,
		"the three flag files in ~/.pioreactor, which count only as ordinary files"},
	{"apps.pioreactor-reach", pioreactorReach,
		"who reaches the web interface (`ss -Hltunpe`, the firewall's rules), whose update orders no flag file guards"},
	{"apps.pioreactor-guarded", pioreactorVersion("26.6.0", "asks for the flag on every one of its install orders"),
		"the version, which the folder of the Python package tells (/opt/pioreactor/venv, /usr/local/lib)"},
	{"apps.pioreactor-signed", pioreactorVersion("26.5.2", "installs only release archives that its makers signed"),
		"the version, which the folder of the Python package tells (/opt/pioreactor/venv, /usr/local/lib)"},
	{"apps.pioreactor-login", pioreactorLogin,
		"auth.require and the file of accounts in lighttpd's settings (/etc/lighttpd), and api_key in ~/.pioreactor"},
	{"apps.pioreactor-shared-password", pioreactorShared,
		"where api_key of [ui_basic_auth] stands in ~/.pioreactor (config.ini goes to every unit, and each gives it to whoever asks)"},
	{"apps.pioreactor-mqtt-account", pioreactorMQTT,
		"the password of [mqtt] in ~/.pioreactor, and the accounts in /etc/mosquitto"},
	{"apps.pioreactor-boot-plugins", pioreactorBootPlugins,
		"the plugins in /boot/firmware/pioreactor/plugins, which the next boot installs whatever the flag files say"},
	{"apps.pioreactor-plugins", pioreactorPlugins,
		"who may write ~/.pioreactor/plugins, of which all runs with the next start"},
	{"apps.pioreactor-tls", pioreactorTLS,
		"proto of [ui] in ~/.pioreactor, and whether lighttpd has TLS switched on"},
}

// flag looks at one flag file; wrong says why one that is there does not count.
func flag(h *fact.Host, p string) (there bool, wrong string, st fact.State, why string) {
	e, st, why := h.Snap.Stat(p)
	switch {
	case st != fact.Known:
		return false, "", st, why
	case e.Type == snap.Link:
		return true, "a link that leads nowhere", st, ""
	case e.Type != snap.File:
		return true, "a " + string(e.Type), st, ""
	}
	return true, "", st, ""
}

func pioreactorFlags(h *fact.Host) control.Outcome {
	var bad, fine []control.Evidence
	there := map[string]bool{}
	broken, unseen := "", ""
	for _, p := range []string{flagInstalls, flagUploads, flagFiles} {
		exists, wrong, st, why := flag(h, p)
		e := control.Saw(path.Base(p), fact.Place{Path: p}, "an ordinary file", "an ordinary file")
		switch {
		case st == fact.Denied || st == fact.Unknown:
			unseen = why
		case !exists:
			e.Found = "not there"
			bad = append(bad, e)
		case wrong != "":
			e.Found = wrong
			broken = path.Base(p) + " is " + wrong + ", and Pioreactor takes only an ordinary file for a flag"
			bad = append(bad, e)
		default:
			there[p] = true
			fine = append(fine, e)
		}
	}
	o := control.Outcome{Configured: control.TriOf(len(fine) > 0 || broken != ""), Effective: control.No, Persistent: control.No}
	o = o.With(append(bad, fine...)...)
	switch {
	case broken != "":
		return o.Judge().Because("%s", broken)
	case unseen != "" && len(bad) == 0:
		return control.CannotTell(unseen)
	case len(bad) == 0:
		return control.Passed("the three flag files are there", fine...)
	case there[flagInstalls] && !there[flagFiles] && unseen == "":
		return o.Judge().Because("DISALLOW_UI_INSTALLS is there, and without DISALLOW_UI_FILE_SYSTEM one call to /unit_api/system/remove_file deletes it")
	case len(fine) == 0 && unseen == "":
		return o.Judge().Because("none of the three flag files is there: the web interface installs any code for whoever reaches it")
	}
	return o.Judge().Because("%s is missing", bad[0].Fact)
}

// pioreactorPorts are where its web interface listens.
func pioreactorPorts(h *fact.Host) []int {
	ports := []int{80, 443}
	if v := h.Apps.Get("pioreactor").Value("config", "ui", "port"); v.Known() {
		if n, err := strconv.Atoi(v.V); err == nil {
			ports = append(ports, n)
		}
	}
	return ports
}

func pioreactorReach(h *fact.Host) control.Outcome {
	if h.Sockets.State != fact.Known {
		return control.Missing(fact.Not[bool](h.Sockets.State, h.Sockets.Why))
	}
	ports := pioreactorPorts(h)
	var bad, shut, doubt []control.Evidence
	for _, s := range h.Sockets.Listening {
		web := s.Process == "lighttpd" || s.Process == "" && slices.Contains(ports, s.Port)
		if s.Proto != "tcp" || !web {
			continue
		}
		e := control.Saw("web interface", s.Place, label(h, s), "reachable from known hosts only").Mend("")
		switch open(h, s) {
		case control.Yes:
			bad = append(bad, e)
		case control.Untold:
			doubt = append(doubt, e)
		default:
			shut = append(shut, e)
		}
	}
	set, _, st, why := flag(h, flagInstalls)
	if h.Apps.Get("pioreactor").Unread("config") != "" && len(bad) == 0 {
		return control.CannotTell(h.Apps.Get("pioreactor").Unread("config"))
	}
	switch {
	case len(bad) > 0:
		o := control.Outcome{Configured: control.TriOf(set), Effective: control.No, Persistent: control.No}.With(bad...).Judge()
		if set {
			return o.Because("DISALLOW_UI_INSTALLS is there, and everybody reaches %s: its order to update installs any code and asks for no flag", bad[0].Found)
		}
		return o.Because("everybody reaches %s, which installs any code that it is told to", bad[0].Found)
	case st == fact.Denied || st == fact.Unknown:
		return control.CannotTell(why)
	case len(doubt) > 0:
		return control.CannotTell("who reaches "+doubt[0].Found+" is not known: "+h.Firewall.Running.Why, doubt...)
	}
	return control.Passed("strangers do not reach the web interface", shut...)
}

// pioreactorDirs are where pip leaves the version in the name of a folder.
var pioreactorDirs = []string{
	"/opt/pioreactor/venv/lib/python3*/site-packages/pioreactor-*.dist-info",
	"/usr/local/lib/python3*/dist-packages/pioreactor-*.dist-info",
	"/home/pioreactor/.local/lib/python3*/site-packages/pioreactor-*.dist-info",
}

func pioreactorVersion(least, good string) func(*fact.Host) control.Outcome {
	return func(h *fact.Host) control.Outcome {
		var fine, bad []control.Evidence
		for _, p := range pioreactorDirs {
			es, st, why := h.Snap.Glob(p)
			if st == fact.Denied || st == fact.Unknown {
				return control.CannotTell(why)
			}
			for _, e := range es {
				v := strings.TrimSuffix(strings.TrimPrefix(path.Base(e.Path), "pioreactor-"), ".dist-info")
				ev := control.Saw("Pioreactor's version", fact.Place{Path: e.Path}, v, least+" or later").Mend("")
				ok, known := atLeast(v, least)
				switch {
				case !known:
					return control.CannotTell("what version " + v + " is")
				case ok:
					fine = append(fine, ev)
				default:
					bad = append(bad, ev)
				}
			}
		}
		switch {
		case len(bad) > 0:
			return control.Failed(fmt.Sprintf("Pioreactor is %s; from %s on it %s", bad[0].Found, least, good), bad...)
		case len(fine) == 0:
			return control.CannotTell("Pioreactor's version: there is no " + strings.Join(pioreactorDirs, ", "))
		}
		return control.Passed("Pioreactor is "+fine[0].Found+", which "+good, fine...)
	}
}

// atLeast compares versions of numbers and dots; what follows is left out.
func atLeast(v, least string) (ok, known bool) {
	a, b := strings.Split(v, "."), strings.Split(least, ".")
	for i := range b {
		x, y := 0, 0
		if i < len(a) {
			n := strings.IndexFunc(a[i], func(r rune) bool { return r < '0' || r > '9' })
			if n < 0 {
				n = len(a[i])
			}
			var err error
			if x, err = strconv.Atoi(a[i][:n]); err != nil {
				return false, false
			}
		}
		if y, _ = strconv.Atoi(b[i]); x != y {
			return x > y, true
		}
	}
	return true, true
}

// leads reports whether this unit is the leader of its cluster.
func leads(h *fact.Host) (bool, string) {
	v := h.Apps.Get("pioreactor").Value("config", "cluster.topology", "leader_hostname")
	switch {
	case v.Missing():
		return false, v.Why
	case !h.OS.Hostname.Known():
		return false, "the host's name is not known"
	}
	return v.V == h.OS.Hostname.V, ""
}

func pioreactorLogin(h *fact.Host) control.Outcome {
	leader, why := leads(h)
	switch {
	case why != "":
		return control.CannotTell(why)
	case !leader:
		return control.DoesNotApply("this unit is a worker; people log in at the leader")
	}
	a := h.Apps.Get("lighttpd")
	if why := a.Unread("config"); why != "" || a.State != fact.Known && a.State != fact.Absent {
		return control.CannotTell(why + a.Why)
	}
	required, module := fact.Value[string]{State: fact.Absent}, false
	backend := fact.Value[string]{State: fact.Absent}
	for _, f := range a.Files("config") {
		for _, s := range f.Settings {
			switch s.Last() {
			case "auth.require":
				if s.Value != "" && len(s.Key) == 1 {
					required = fact.Is(s.Value, s.Place)
				}
			case "server.modules":
				module = module || strings.Contains(s.Value, "mod_auth")
			case "auth.backend.htpasswd.userfile", "auth.backend.plain.userfile", "auth.backend.htdigest.userfile":
				backend = fact.Is(s.Value, s.Place)
			}
		}
	}
	api := h.Apps.Get("pioreactor").Value("config", "ui_basic_auth", "api_key")
	o := control.Outcome{Configured: control.TriOf(api.V != "" || required.Known()), Effective: control.No, Persistent: control.No}
	e := control.Saw("auth.require", required.Place, "set for everything", "a login for everything")
	switch {
	case !required.Known():
		e = control.Saw("auth.require", fact.Place{Path: "/etc/lighttpd/conf-enabled"}, "not set", "a login for everything").Mend("")
		if api.V != "" {
			return o.Judge().With(e, control.Saw("[ui_basic_auth] api_key", api.Place, "set", "")).Because("Pioreactor knows a password for the web interface, and lighttpd asks for none")
		}
		return o.Judge().With(e).Because("the web interface asks nobody for a password")
	case !module:
		e.Wanted = "server.modules with mod_auth"
		return o.Judge().With(e).Because("lighttpd is told to ask for a password, and its module mod_auth is not loaded")
	case !strings.HasPrefix(required.V, `""`) && !strings.HasPrefix(required.V, "/ "):
		e.Found = "set for a part: " + required.V
		return o.Judge().With(e).Because("lighttpd asks for a password for a part of the web interface only")
	case !backend.Known():
		return o.Judge().With(e).Because("lighttpd asks for a password and has no file of accounts: nobody gets in")
	}
	file, st, why := h.Snap.Stat(backend.V)
	switch {
	case st == fact.Absent:
		return o.Judge().With(e).Because("lighttpd asks for a password, and its file of accounts %s is not there: nobody gets in", backend.V)
	case st != fact.Known:
		return control.CannotTell(why)
	case file.Size == 0:
		return o.Judge().With(e).Because("lighttpd asks for a password, and its file of accounts %s is empty: nobody gets in", backend.V)
	}
	o = control.Outcome{Configured: control.Yes, Persistent: control.Yes, Explicit: control.Yes}.With(e)
	return o.Judge().Because("lighttpd asks for a password for everything that it serves")
}

func pioreactorShared(h *fact.Host) control.Outcome {
	a := h.Apps.Get("pioreactor")
	if why := a.Unread("config"); why != "" {
		return control.CannotTell(why)
	}
	var bad, fine []control.Evidence
	for _, f := range a.Files("config") {
		s, ok := f.Last("ui_basic_auth", "api_key")
		if !ok || s.Value == "" {
			continue
		}
		what, _ := fact.AppSecret(s.Value)
		e := control.Saw("[ui_basic_auth] api_key", s.Place, "the web interface's password ("+what+")", "not in a file that goes to every unit")
		if path.Base(f.Entry.Path) == "config.ini" {
			bad = append(bad, e)
		} else {
			fine = append(fine, e)
		}
	}
	leader, why := leads(h)
	switch {
	case len(bad) > 0 && why == "":
		return control.IsIneffective("config.ini goes to every unit, and a worker gives it, password and all, to whoever asks /unit_api/config/merged without one", bad...)
	case len(bad) > 0:
		return control.CannotTell(why)
	case len(fine) > 0 && why == "" && !leader:
		return control.IsIneffective("this worker gives its settings, the web interface's password among them, to whoever asks /unit_api/config/merged", fine...)
	case len(fine) > 0 && why != "":
		return control.CannotTell(why)
	}
	return control.Passed("the web interface's password is in no file that goes to other units", fine...)
}

func pioreactorMQTT(h *fact.Host) control.Outcome {
	a := h.Apps.Get("pioreactor")
	if why := a.Unread("config"); why != "" {
		return control.CannotTell(why)
	}
	var bad, fine []control.Evidence
	pw := a.Value("config", "mqtt", "password")
	what, _ := fact.AppSecret(pw.V)
	switch e := control.Saw("[mqtt] password", pw.Place, what, "a password of its own"); {
	case !pw.Known():
		bad = append(bad, control.Saw("[mqtt] password", fact.Place{Path: dotPioreactor + "/config.ini"}, "not set: clients fall back to the one that ships", "a password of its own"))
	case strings.Contains(what, "factory") || strings.Contains(what, "common"):
		e.Found = "the password that the image ships with"
		bad = append(bad, e)
	default:
		fine = append(fine, e)
	}
	broker := h.Apps.Get("mosquitto")
	for _, f := range broker.Files("passwords") {
		for _, s := range f.Settings {
			if what, _ := fact.AppSecret(s.Value); strings.Contains(what, "factory") {
				bad = append(bad, control.Saw("the broker's account "+s.Last(), s.Place, "the password that the image ships with", "a password of its own"))
			}
		}
	}
	o := control.Outcome{Configured: control.TriOf(len(fine) > 0), Effective: control.No, Persistent: control.No}
	switch {
	case len(bad) > 0 && len(fine) > 0:
		return o.Judge().With(append(bad, fine...)...).Because("Pioreactor was given a password of its own, and the broker still takes the one that the image ships with")
	case len(bad) > 0:
		return o.Judge().With(bad...).Because("the broker's password is the one that every image ships with: whoever knows it gives orders to pumps, heaters and stirrers")
	case broker.State == fact.Known && broker.Unread("passwords") != "":
		return control.CannotTell(broker.Unread("passwords"))
	case broker.State == fact.Unknown || broker.State == fact.Denied:
		return control.CannotTell(broker.Why)
	}
	return control.Passed("the broker's password is not the one that ships", fine...)
}

func pioreactorBootPlugins(h *fact.Host) control.Outcome {
	var bad []control.Evidence
	for _, p := range []string{"/boot/firmware/pioreactor/plugins/*", "/boot/pioreactor/plugins/*"} {
		es, st, why := h.Snap.Glob(p)
		if st == fact.Denied || st == fact.Unknown {
			return control.CannotTell(why)
		}
		for _, e := range es {
			bad = append(bad, control.Saw("plugin on the boot partition", fact.Place{Path: e.Path}, "installed by the next boot", "nothing"))
		}
	}
	if len(bad) == 0 {
		return control.Passed("no plugin waits on the boot partition")
	}
	set, _, st, why := flag(h, flagInstalls)
	if st == fact.Denied || st == fact.Unknown {
		return control.CannotTell(why, bad...)
	}
	o := control.Outcome{Configured: control.TriOf(set), Effective: control.No, Persistent: control.No}.With(bad...).Judge()
	if set {
		return o.Because("DISALLOW_UI_INSTALLS is there, and the next boot installs %s all the same", path.Base(bad[0].Place))
	}
	return o.Because("the next boot installs %s", path.Base(bad[0].Place))
}

func pioreactorPlugins(h *fact.Host) control.Outcome {
	var bad, fine []control.Evidence
	for _, p := range []string{dotPioreactor, dotPioreactor + "/plugins", dotPioreactor + "/plugins/*"} {
		es, st, why := h.Snap.Glob(p)
		if st == fact.Denied || st == fact.Unknown {
			return control.CannotTell(why)
		}
		for _, e := range es {
			ev := control.Saw("permissions", fact.Place{Path: e.Path}, fmt.Sprintf("%04o", e.Mode), "not writable by others")
			if e.Mode&0o002 != 0 {
				bad = append(bad, ev)
			} else {
				fine = append(fine, ev)
			}
		}
	}
	if len(bad) > 0 {
		return control.Failed(bad[0].File+" may be written by every account of this host, and runs with Pioreactor's rights", bad...)
	}
	return control.Passed("only Pioreactor's own accounts may write its plugins", fine[:min(len(fine), 3)]...)
}

func pioreactorTLS(h *fact.Host) control.Outcome {
	leader, why := leads(h)
	if why != "" {
		return control.CannotTell(why)
	}
	if !leader {
		return control.DoesNotApply("this unit is a worker; its leader speaks to it without TLS by design")
	}
	proto := h.Apps.Get("pioreactor").Value("config", "ui", "proto")
	if proto.Missing() {
		return control.Missing(proto)
	}
	on, why := lighttpdTLS(h)
	if why != "" {
		return control.CannotTell(why)
	}
	asked := proto.V == "https"
	e := control.Saw("[ui] proto", proto.Place, proto.V, "https")
	o := control.Outcome{Configured: control.TriOf(asked), Persistent: control.TriOf(on), Effective: control.Untold, Explicit: control.TriOf(proto.Known())}.With(e).Judge()
	switch {
	case o.Verdict == control.Pass:
		return o.Because("lighttpd serves the web interface with TLS")
	case asked:
		return o.Because("Pioreactor's settings say https, and lighttpd has no TLS switched on")
	}
	return o.Because("the web interface is served in clear text: its password, and the broker's, can be read on the way")
}
