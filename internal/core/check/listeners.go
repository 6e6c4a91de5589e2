package check

import (
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var listenerChecks = []Check{
	{"listeners.allowed-by-name", allowedByName,
		"the open ports and who holds them (`ss -Hltunpe`), against what the firewall's rules let in"},
	{"listeners.by-hand", listenersByHand,
		"the open ports and who holds them (`ss -Hltunpe`), and whether that is a service or somebody's session (/proc/PID/cgroup)"},
	{"listeners.clear-text-logins", notReachable("a login in clear text", "telnet", "rlogin and rsh", "FTP", "TFTP"),
		"the open ports of telnet, rlogin, rsh, FTP and TFTP (`ss -Hltunpe`), and whether the firewall lets strangers through to them"},
	{"listeners.databases", notReachable("a database", "Redis", "PostgreSQL", "MariaDB", "MongoDB", "InfluxDB", "memcached", "Elasticsearch", "etcd"),
		"the open ports of databases (`ss -Hltunpe`), and whether the firewall lets strangers through to them"},
	{"listeners.remote-desktop", notReachable("a remote desktop", "VNC", "RDP", "X11"),
		"the open ports of VNC, RDP and X11 (`ss -Hltunpe`), and whether the firewall lets strangers through to them"},
	{"listeners.rpc", notReachable("a file server's helper", "rpcbind", "NFS"),
		"the open ports of rpcbind and NFS (`ss -Hltunpe`), and whether the firewall lets strangers through to them"},
	{"listeners.mail", notReachable("a mail server", "mail"),
		"the open ports of mail servers (`ss -Hltunpe`), and whether the firewall lets strangers through to them"},
	{"listeners.mqtt", notReachable("MQTT in clear text", "MQTT", "MQTT over WebSocket"),
		"the open ports of MQTT without TLS (`ss -Hltunpe`), and whether the firewall lets strangers through to them"},
	{"listeners.consoles", notReachable("a console meant for its own host", "Vault", "Ollama", "Prometheus", "Grafana", "nio"),
		"the open ports of consoles such as Vault, Ollama, Prometheus and Grafana (`ss -Hltunpe`), and whether the firewall lets strangers through to them"},
	{"listeners.docker-api", dockerAPI,
		"the open ports of Docker's API (`ss -Hltunpe`), and whether the firewall lets strangers through to them"},
	{"listeners.llmnr", llmnr,
		"LLMNR in /etc/systemd/resolved.conf and its drop-ins, and whether port 5355 is open (`ss -Hltunpe`)"},
}

// open says whether a stranger reaches a socket, past the host's rules.
func open(h *fact.Host, s fact.Socket) control.Tri {
	switch h.Reach(s).Stranger.Reached {
	case fact.NotKnown:
		return control.Untold
	case fact.Nobody:
		return control.No
	}
	return control.Yes
}

// families are those of the packets that a socket takes.
func families(s fact.Socket) []string {
	switch {
	case s.Addr.Is6() && s.Both:
		return []string{"ip", "ip6"}
	case s.Addr.Is6():
		return []string{"ip6"}
	}
	return []string{"ip"}
}

// unsure is why it is not known who reaches a socket.
func unsure(h *fact.Host, s fact.Socket) string {
	if h.Firewall.Running.State != fact.Known {
		return control.Missing(h.Firewall.Running.Denies("ip")).Reason
	}
	return h.Reach(s).Stranger.Rule()
}

// service names what is behind a socket. Of Docker's daemon the firewall's rules tell.
func service(h *fact.Host, s fact.Socket) string {
	if s.Process == "dockerd" {
		return h.Reach(s).Service()
	}
	return s.Service()
}

// label names a socket for a person: "Redis (redis-server as redis) at 0.0.0.0:6379/tcp".
func label(h *fact.Host, s fact.Socket) string {
	name := service(h, s)
	if name == "" {
		return s.Who() + " at " + s.Where()
	}
	return name + " (" + s.Who() + ") at " + s.Where()
}

// notReachable makes a rule: services of these names are not open to strangers.
func notReachable(what string, names ...string) func(*fact.Host) control.Outcome {
	return func(h *fact.Host) control.Outcome {
		if h.Sockets.State != fact.Known {
			return control.Missing(fact.Not[bool](h.Sockets.State, h.Sockets.Why))
		}
		var bad, shut, doubt []control.Evidence
		var first, why string
		local := 0
		for _, s := range h.Sockets.Listening {
			if !slices.Contains(names, service(h, s)) {
				continue
			}
			ev := control.Saw(service(h, s), s.Place, label(h, s), "reachable from this host only")
			switch {
			case !s.Exposed():
				local++
			case open(h, s) == control.Yes:
				if bad = append(bad, ev); first == "" {
					first = label(h, s)
				}
			case open(h, s) == control.Untold:
				doubt, why = append(doubt, ev), unsure(h, s)
			default:
				shut = append(shut, ev)
			}
		}
		switch {
		case len(bad) > 0:
			o := control.Failed("everybody on the network reaches "+first, bad...)
			if len(bad) > 1 {
				o.Reason += fmt.Sprintf(", and %d more", len(bad)-1)
			}
			return o
		case len(doubt) > 0:
			return control.CannotTell(doubt[0].Found+" listens to the network, and whether the firewall refuses that is not known: "+
				why, doubt...)
		case len(shut) > 0:
			return control.Passed(shut[0].Found+" listens to the network; the firewall refuses strangers", shut...)
		case local > 0:
			return control.Passed("what there is listens on the loopback only")
		}
		o := control.Passed("nothing here is " + what)
		o.Explicit = control.No
		return o
	}
}

// quiet are services that a host on a network has without being asked, or
// that another control judges.
var quiet = []string{"SSH", "DHCP client", "mDNS", "LLMNR"}

// allowedByName wants a rule of the firewall for whatever can be reached.
func allowedByName(h *fact.Host) control.Outcome {
	if h.Sockets.State != fact.Known {
		return control.Missing(fact.Not[bool](h.Sockets.State, h.Sockets.Why))
	}
	var bad, all, doubt []control.Evidence
	var names []string
	why := ""
	for _, s := range h.Sockets.Listening {
		if !s.Exposed() {
			continue
		}
		ev := control.Saw(string(s.Scope()), s.Place, label(h, s), "allowed by name, or refused")
		all = append(all, ev)
		if slices.Contains(quiet, service(h, s)) {
			continue
		}
		r := h.Firewall.Running
		switch open(h, s) {
		case control.Untold:
			doubt, why = append(doubt, ev), unsure(h, s)
		case control.Yes:
			// With default deny, what is open has a rule of its own, or goes past all rules.
			led := h.Reach(s).Forwarded != ""
			if !led && !slices.ContainsFunc(families(s), func(family string) bool { return !filters(r, family) }) {
				continue
			}
			bad = append(bad, ev)
			name := service(h, s)
			if name == "" {
				name = s.Process
			}
			name = strings.TrimSpace(fmt.Sprintf("%s %d/%s", name, s.Port, s.Proto))
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	switch {
	case len(bad) > 0:
		reason := strings.Join(names[:min(len(names), 5)], ", ")
		if len(names) > 5 {
			reason += fmt.Sprintf(" and %d more", len(names)-5)
		}
		return control.Failed("open to everybody on the network without a rule that says so: "+reason, bad...)
	case len(doubt) > 0:
		return control.CannotTell(doubt[0].Found+" listens to the network, and the firewall could not be read: "+
			why, doubt...)
	case len(all) == 0:
		return control.Passed("nothing listens to the network")
	}
	return control.Passed(fmt.Sprintf("%d sockets listen to the network; what can be reached has a rule, or is SSH", len(all)), all...)
}

// listenersByHand finds open ports of programs that no service manager
// started: left over from a trial, or an intruder's.
func listenersByHand(h *fact.Host) control.Outcome {
	if h.Sockets.State != fact.Known {
		return control.Missing(fact.Not[bool](h.Sockets.State, h.Sockets.Why))
	}
	var bad []control.Evidence
	var first, unknown string
	seen := 0
	for _, s := range h.Sockets.Listening {
		if !s.Exposed() {
			continue
		}
		seen++
		switch {
		case s.Unit.Known() && strings.HasSuffix(s.Unit.V, ".scope") && strings.HasPrefix(s.Unit.V, "session"):
			bad = append(bad, control.Saw("unit", s.Unit.Place, label(h, s)+" in "+s.Unit.V, "a service"))
			if first == "" {
				first = label(h, s)
			}
		case s.Unit.Missing():
			unknown = s.Unit.Why
		}
	}
	switch {
	case len(bad) > 0:
		return control.Failed(first+" was started by hand from a login", bad...)
	case unknown != "":
		return control.CannotTell("the processes behind some ports are not known: " + unknown)
	case seen == 0:
		return control.Passed("nothing listens to the network")
	}
	return control.Passed(fmt.Sprintf("no login session holds any of the %d sockets that listen to the network", seen))
}

// llmnr judges by the port, and by what resolved reads at its start.
func llmnr(h *fact.Host) control.Outcome {
	var o control.Outcome
	all, st, why := fact.SystemdConf(h.Snap, "resolved.conf")
	if st != fact.Known {
		return control.Missing(fact.Not[bool](st, why))
	}
	set := fact.Last(all, "Resolve", "LLMNR")
	off := set.Known() && slices.Contains([]string{"no", "0", "false", "off"}, strings.ToLower(set.V))
	o.Persistent, o.Explicit = control.TriOf(off), control.TriOf(set.Known())
	o.Configured = control.TriOf(off)
	found := "not set, which means yes"
	if set.Known() {
		found = set.V
	}
	o = o.With(control.Saw("LLMNR", placeOr(set.Place, "/etc/systemd/resolved.conf"), found, "no"))
	if h.Sockets.State == fact.Known {
		o.Effective = control.Yes
		for _, s := range h.Sockets.Listening {
			if s.Port == 5355 && s.Exposed() {
				o.Effective = control.No
				o = o.With(control.Saw("LLMNR", s.Place, label(h, s), "nothing on port 5355"))
				break
			}
		}
	}
	if u := h.Units.Get("systemd-resolved.service"); u.FileState.Known() && !u.Enabled() && o.Effective != control.No {
		return control.DoesNotApply("systemd-resolved is installed and not enabled")
	}
	if h.Sockets.Silent != "" && o.Persistent == control.Yes {
		return control.CannotTell("whether port 5355 answers is not known: "+h.Sockets.Silent, o.Evidence...)
	}
	o = o.Judge()
	switch {
	case o.Verdict == control.Pass:
		return o.Because("the resolver does not answer LLMNR")
	case o.Verdict == control.Ineffective:
		return o.Because("LLMNR=no is set, and port 5355 still answers: systemd-resolved was not restarted")
	case o.Effective == control.Yes:
		return o.Because("nothing answers LLMNR now; after a restart of systemd-resolved it will")
	}
	return o.Because("systemd-resolved answers LLMNR: it is on unless it is switched off")
}

// dockerAPI does not trust the port for TLS: only --tlsverify makes the daemon
// ask who its clients are, and a socket does not tell.
func dockerAPI(h *fact.Host) control.Outcome {
	o := notReachable("Docker's API without TLS", "Docker API")(h)
	if o.Verdict != control.Pass {
		return o
	}
	for _, s := range h.Sockets.Listening {
		if service(h, s) == "Docker API over TLS" && open(h, s) != control.No {
			return control.CannotTell(label(h, s)+" listens to the network, and whether it asks clients for a certificate (--tlsverify) is not known",
				control.Saw(service(h, s), s.Place, label(h, s), "--tlsverify, or reachable from this host only"))
		}
	}
	return o
}
