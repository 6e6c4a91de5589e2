package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

const looksMosquitto = "the settings in /etc/mosquitto/mosquitto.conf and the files that it includes, as mosquitto reads them: "

var mosquitto = []Check{
	{"apps.mosquitto-anonymous", mosquittoAnonymous, looksMosquitto + "allow_anonymous of each listener, and where the broker listens (`ss -Hltunpe`)"},
	{"apps.mosquitto-acl", mosquittoACL, looksMosquitto + "acl_file or a plugin for each listener that others reach"},
	{"apps.mosquitto-tls", mosquittoTLS, looksMosquitto + "certfile and keyfile of each listener that others reach"},
	{"apps.mosquitto-read", mosquittoRead, looksMosquitto + "what it does not read, and what keeps it from starting"},
	{"apps.mosquitto-passwords", mosquittoPasswords, "the password file in /etc/mosquitto that mosquitto.conf names: hashed or not, and whether it is a password that an image ships with"},
}

// eachListener judges the listeners that others than this host reach.
func eachListener(h *fact.Host, good string, judge func(fact.BrokerListener) (control.Evidence, bool)) control.Outcome {
	b := h.Apps.Mosquitto()
	if b.State != fact.Known {
		return control.Missing(fact.Not[bool](b.State, b.Why))
	}
	var bad, fine []control.Evidence
	first := ""
	for _, l := range b.Listeners {
		if l.Local() {
			continue
		}
		e, ok := judge(l)
		if ok {
			fine = append(fine, e)
			continue
		}
		if first == "" {
			first = l.Name()
		}
		bad = append(bad, e)
	}
	switch {
	case len(bad) > 0:
		o := control.Outcome{Configured: control.TriOf(len(fine) > 0), Persistent: control.No, Effective: control.No}
		return o.Judge().With(append(bad, fine...)...).Because("%s: %s, not %s", first, bad[0].Found, bad[0].Wanted)
	}
	if h.Snap.Source.Kind != "image" {
		if h.Sockets.State != fact.Known {
			return control.Missing(fact.Not[bool](h.Sockets.State, h.Sockets.Why))
		}
		if e, stale := brokerStale(h, b); stale {
			return control.IsIneffective("the running broker listens at "+e.Found+", which its settings do not have any more: it was not restarted since", e)
		}
	}
	if len(fine) == 0 {
		return control.Passed("the broker listens for its own host only")
	}
	return control.Passed(good, fine...)
}

// brokerStale finds a port that the running broker has open to others and that
// its settings do not.
func brokerStale(h *fact.Host, b fact.Broker) (control.Evidence, bool) {
	for _, s := range h.Sockets.Listening {
		if s.Process != "mosquitto" || s.Proto != "tcp" || !s.Exposed() {
			continue
		}
		asked := slices.ContainsFunc(b.Listeners, func(l fact.BrokerListener) bool { return !l.Local() && l.Port == strconv.Itoa(s.Port) })
		if !asked {
			return control.Saw("the running broker", s.Place, s.Where(), "only where its settings say").Mend(""), true
		}
	}
	return control.Evidence{}, false
}

func mosquittoAnonymous(h *fact.Host) control.Outcome {
	b := h.Apps.Mosquitto()
	o := eachListener(h, "nobody gets in without a name and a password", func(l fact.BrokerListener) (control.Evidence, bool) {
		if l.Anonymous.Known() {
			return control.Saw(l.Name()+": allow_anonymous", l.Anonymous.Place, l.Anonymous.V, "false"), l.Anonymous.V != "true"
		}
		return control.Saw(l.Name()+": allow_anonymous", l.Place, "false (default)", "false"), true
	})
	if o.Verdict.Bad() {
		asked := false // a password file that is there and stops nobody, or a false for nobody's listener
		for _, l := range b.Listeners {
			asked = asked || l.Passwords.Known()
		}
		for _, v := range b.Ignored {
			if strings.HasPrefix(v.V, "allow_anonymous false") {
				asked = true
				o = o.With(control.Saw("allow_anonymous", v.Place, v.V, "false at every listener"))
			}
		}
		o.Configured = control.TriOf(asked || o.Configured == control.Yes)
		reason := o.Reason
		return o.Judge().Because("%s", reason)
	}
	return o
}

func mosquittoACL(h *fact.Host) control.Outcome {
	return eachListener(h, "what an account may read and write is limited", func(l fact.BrokerListener) (control.Evidence, bool) {
		switch {
		case l.ACL.Known():
			return control.Saw(l.Name()+": acl_file", l.ACL.Place, l.ACL.V, "an acl_file"), true
		case l.Plugin.Known():
			return control.Saw(l.Name()+": plugin", l.Plugin.Place, l.Plugin.V, "an acl_file or a plugin"), true
		}
		return control.Saw(l.Name()+": acl_file", l.Place, "not set", "an acl_file"), false
	})
}

func mosquittoTLS(h *fact.Host) control.Outcome {
	return eachListener(h, "every listener that others reach speaks TLS", func(l fact.BrokerListener) (control.Evidence, bool) {
		if l.TLS() {
			return control.Saw(l.Name(), l.Place, "TLS", "TLS"), true
		}
		found := "clear text"
		if l.Cert.Known() {
			found = "a certfile without a keyfile"
		}
		return control.Saw(l.Name(), l.Place, found, "TLS"), false
	})
}

func mosquittoRead(h *fact.Host) control.Outcome {
	b := h.Apps.Mosquitto()
	if b.State != fact.Known {
		return control.Missing(fact.Not[bool](b.State, b.Why))
	}
	var bad []control.Evidence
	for _, v := range append(b.Refused, b.Ignored...) {
		bad = append(bad, control.Saw("mosquitto's settings", v.Place, v.V, "settings that the broker reads"))
	}
	switch {
	case len(b.Refused) > 0:
		return control.IsIneffective("mosquitto would not start: "+b.Refused[0].V, bad...)
	case len(bad) > 0:
		return control.IsIneffective(b.Ignored[0].V, bad...)
	}
	return control.Passed("mosquitto reads every settings file that is there")
}

// mosquittoPasswords judges the accounts in the files that are named.
func mosquittoPasswords(h *fact.Host) control.Outcome {
	b := h.Apps.Mosquitto()
	if b.State != fact.Known {
		return control.Missing(fact.Not[bool](b.State, b.Why))
	}
	a := h.Apps.Get("mosquitto")
	var bad, fine []control.Evidence
	unread := ""
	seen := map[string]bool{}
	for _, l := range b.Listeners {
		if !l.Passwords.Known() || seen[l.Passwords.V] {
			continue
		}
		seen[l.Passwords.V] = true
		known := false
		for _, f := range a.Files("passwords") {
			if f.Entry.Path != l.Passwords.V {
				continue
			}
			if known = f.State == fact.Known; !known {
				unread = f.Why
			}
			more, ok := passwordLines(f)
			bad, fine = append(bad, more...), append(fine, ok...)
		}
		if !known && unread == "" {
			unread = l.Passwords.V + " is not read here"
			if why := a.Unread("passwords"); why != "" {
				unread = why
			}
		}
	}
	switch {
	case len(bad) > 0:
		return control.Failed(fmt.Sprintf("%s: %s", bad[0].Fact, bad[0].Found), bad...)
	case unread != "":
		return control.CannotTell(unread)
	case len(seen) == 0:
		return control.DoesNotApply("the broker has no password file")
	}
	return control.Passed("every password of the broker is hashed, and none is one that an image ships with", fine...)
}

// passwordLines judges the accounts of a file of name:hash.
func passwordLines(f fact.AppFile) (bad, fine []control.Evidence) {
	for _, s := range f.Settings {
		what, _ := fact.AppSecret(s.Value)
		e := control.Saw("account "+s.Last(), s.Place, "a hashed password", "a hashed password of its own").Of(s.Last())
		switch {
		case s.Value == "":
			e.Found = "no password"
		case strings.Contains(what, "not hashed"), what == fact.SecretFactory:
			e.Found = "a password in clear text"
		case strings.Contains(what, "factory"):
			e.Found = "the password that the image ships with"
		case strings.Contains(what, ", "):
			_, kind, _ := strings.Cut(what, ", ")
			e.Found = kind
		default:
			fine = append(fine, e)
			continue
		}
		bad = append(bad, e)
	}
	return bad, fine
}
