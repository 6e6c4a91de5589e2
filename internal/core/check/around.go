package check

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var aroundChecks = []Check{
	{"around.tunnels", leadsIn(tunnels, "a tunnel"),
		"programs that lead ports of this host to the Internet (ngrok, cloudflared, frp, bore and others), running (`ps`) or started by the next boot (systemd's units), and Tailscale's funnels (`tailscale serve status`)"},
	{"around.remote-access", leadsIn(remoteAccess, "a remote access service"),
		"programs by which a company's server lets somebody in (Raspberry Pi Connect, TeamViewer, AnyDesk, RustDesk and others), running (`ps`) or started by the next boot (systemd's units)"},
	{"around.public-address", publicAddress,
		"the host's addresses (`ip -j addr`), its open ports (`ss -Hltunpe`) and what the firewall's rules let in from all over the Internet"},
	{"around.neighbours", fewStrangers,
		"the machines with which the host has spoken lately (`ip -j neigh`), against the names in /etc/hosts; nothing is scanned"},
	{"around.forwardings", noForwardings,
		"which ports the router forwards to this host, as it says itself by UPnP when --ask-router asks it (told as `probe upnp`)"},
}

// A leader is a program that lets the Internet in: the names of its processes,
// and what its units begin with.
type leader struct {
	name      string
	processes []string
	units     []string
}

var tunnels = []leader{
	{"ngrok", []string{"ngrok"}, []string{"ngrok"}},
	{"cloudflared", []string{"cloudflared"}, []string{"cloudflared"}},
	{"frp", []string{"frpc"}, []string{"frpc"}},
	{"localtunnel", []string{"lt"}, []string{"localtunnel"}},
	{"bore", []string{"bore"}, []string{"bore"}},
	{"inlets", []string{"inlets", "inlets-pro"}, []string{"inlets"}},
	{"zrok", []string{"zrok", "zrok2"}, []string{"zrok"}},
	{"playit", []string{"playit", "playitd"}, []string{"playit"}},
	{"pagekite", []string{"pagekite"}, []string{"pagekite"}},
	{"autossh", []string{"autossh"}, []string{"autossh"}},
	{"rathole", []string{"rathole"}, []string{"rathole"}},
}

var remoteAccess = []leader{
	{"Raspberry Pi Connect", []string{"rpi-connectd"}, []string{"rpi-connect"}},
	{"TeamViewer", []string{"teamviewerd"}, []string{"teamviewerd"}},
	{"AnyDesk", []string{"anydesk"}, []string{"anydesk"}},
	{"RustDesk", []string{"rustdesk"}, []string{"rustdesk"}},
	{"RealVNC's cloud", []string{"vncserver-x11-c", "vncserver-x11"}, []string{"vncserver-x11-serviced"}},
	{"MeshCentral", []string{"meshagent"}, []string{"meshagent"}},
	{"remote.it", []string{"remoteit", "connectd"}, []string{"remoteit", "connectd"}},
	{"Dataplicity", []string{"dataplicity"}, []string{"dataplicity", "tuxtunnel"}},
}

// leadsIn makes a rule: none of these programs runs now or after a boot.
func leadsIn(programs []leader, what string) func(*fact.Host) control.Outcome {
	return func(h *fact.Host) control.Outcome {
		o := control.Outcome{Effective: control.Yes, Persistent: control.Yes, Explicit: control.No}
		var first string
		found := func(text string, ev control.Evidence) {
			first = cmp.Or(first, text)
			o = o.With(ev)
		}
		for _, p := range programs {
			for _, proc := range h.Around.Processes.V {
				if slices.Contains(p.processes, proc.Name) {
					o.Effective = control.No
					found(p.name+" runs as "+proc.User, control.Saw("process", h.Around.Processes.Place, proc.Name+" as "+proc.User, "not running"))
					break
				}
			}
			for name, u := range unitsOf(h, p.units) {
				if u.Running() {
					o.Effective = control.No
				}
				if u.Enabled() {
					o.Persistent = control.No
				}
				if u.Running() || u.Enabled() {
					found(p.name+" is started by "+name, control.Saw("unit", u.FileState.Place, name+" is "+cmp.Or(u.FileState.V, u.Active.V), "disabled"))
				}
			}
		}
		if f := h.Around.Funnels; what == "a tunnel" && len(f.V) > 0 {
			o.Effective, o.Persistent = control.No, control.No
			found("Tailscale hands a port of this host to the Internet: "+f.V[0], control.Saw("funnel", f.Place, strings.Join(f.V, ", "), "none"))
		}
		image := h.Snap.Source.Kind == "image"
		switch {
		case first != "":
			o.Configured = control.No
			if o.Effective == control.Yes && !image {
				o.Effective = control.Yes // it does not run, and will
			}
			if image {
				o.Effective = control.Untold
			}
			return o.Judge().Because("%s", first)
		case h.Units.State != fact.Known:
			return control.CannotTell(h.Units.Why)
		case !image && !h.Around.Processes.Known():
			return control.Missing(h.Around.Processes)
		case !image && what == "a tunnel" && !h.Around.Funnels.Known() && h.Around.Funnels.State != fact.Absent:
			return control.Missing(h.Around.Funnels)
		}
		if image {
			o.Effective = control.Untold
		}
		return o.Judge().Because("no program that Picket knows as %s runs here, now or after a boot", what)
	}
}

// unitsOf are a program's units by name: ngrok.service, cloudflared@home.service.
func unitsOf(h *fact.Host, stems []string) map[string]fact.Unit {
	out := map[string]fact.Unit{}
	for name, u := range h.Units.All {
		for _, s := range stems {
			if rest, ok := strings.CutPrefix(name, s); ok && (strings.HasPrefix(rest, ".service") || strings.HasPrefix(rest, "@") || strings.HasPrefix(rest, "-")) {
				out[name] = u
			}
		}
	}
	return out
}

// forTheWorld are services that are made to be reached from anywhere.
var forTheWorld = []string{"SSH", "WireGuard", "Tailscale", "DHCP client"}

// publicAddress finds what is reached from all over the Internet without a
// router before it. An IPv6 address is often public behind a router that
// refuses; that is said, and judged by the firewall's own controls.
func publicAddress(h *fact.Host) control.Outcome {
	if h.Network.State != fact.Known {
		return control.Missing(fact.Not[bool](h.Network.State, h.Network.Why))
	}
	if h.Sockets.State != fact.Known {
		return control.Missing(fact.Not[bool](h.Sockets.State, h.Sockets.Why))
	}
	four, at := false, ""
	for _, a := range h.Network.Addresses {
		x := a.Addr.Addr()
		if x.Is4() && fact.Public(x) && a.Iface != "lo" {
			four, at = true, x.String()
		}
	}
	if !four {
		return control.DoesNotApply("none of the host's IPv4 addresses is public: a router stands before it")
	}
	var bad []control.Evidence
	var names []string
	unknown := ""
	for _, e := range h.Exposure() {
		known := e.Anywhere.Reached != fact.NotKnown
		if !e.Public && known || slices.Contains(forTheWorld, e.Service()) || e.Addr.Is6() && !e.Both {
			continue
		}
		switch e.Anywhere.Reached {
		case fact.NotKnown:
			unknown = cmp.Or(unknown, label(h, e.Socket)+": "+e.Anywhere.Rule())
		case fact.Everybody, fact.Limited:
			bad = append(bad, control.Saw("reached from anywhere", e.Place, label(h, e.Socket)+": "+e.Anywhere.Rule(), "refused, or behind a private network such as WireGuard"))
			if name := cmp.Or(e.Service(), e.Process, "a forwarded port") + fmt.Sprintf(" %d/%s", e.Port, e.Proto); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	switch {
	case len(bad) > 0:
		return control.Failed(fmt.Sprintf("%s is a public address, and from anywhere one reaches %s", at, strings.Join(names[:min(len(names), 5)], ", ")), bad[:min(len(bad), maxFound)]...)
	case unknown != "":
		return control.CannotTell(unknown)
	}
	return control.Passed(at + " is a public address; nothing but SSH and private networks is reached from anywhere")
}

// manyStrangers is a class room, a café or a company's network.
const manyStrangers = 12

// fewStrangers counts who shares the network.
func fewStrangers(h *fact.Host) control.Outcome {
	if !h.Around.Neighbours.Known() {
		return control.Missing(h.Around.Neighbours)
	}
	if h.Network.State != fact.Known {
		return control.Missing(fact.Not[bool](h.Network.State, h.Network.Why)) // routers would be strangers
	}
	strangers := h.Strangers()
	var ev []control.Evidence
	for _, n := range strangers[:min(len(strangers), maxFound)] {
		ev = append(ev, control.Saw("on "+n.Card, h.Around.Neighbours.Place, n.Addr.String()+" ("+n.MAC+")", "a machine of yours, with a name in /etc/hosts"))
	}
	if len(strangers) > manyStrangers && !h.Around.Names.Known() {
		return control.Missing(h.Around.Names) // they may have names
	}
	if len(strangers) > manyStrangers {
		return control.Failed(fmt.Sprintf("%d devices that are not yours share this network", len(strangers)), ev...)
	}
	return control.Passed(fmt.Sprintf("the host has lately spoken with %d machines that it knows no name of", len(strangers)), ev...)
}

// noForwardings wants that the router leads nobody here but to what is made for the
// whole world.
func noForwardings(h *fact.Host) control.Outcome {
	list := h.Forwardings()
	switch {
	case list.State == fact.Absent:
		return control.DoesNotApply("the router was not asked; --ask-router does")
	case !list.Known():
		return control.CannotTell("the router does not say by UPnP what it forwards (" + list.Why + "), perhaps as UPnP is off, which is good; look under port forwarding on its own page")
	case h.Network.State != fact.Known:
		return control.CannotTell(h.Network.Why)
	}
	var bad, fine []control.Evidence
	var names []string
	others := 0
	for _, f := range list.V {
		if !slices.ContainsFunc(h.Network.Addresses, func(a fact.Address) bool { return a.Addr.Addr() == f.To.Addr() }) {
			others++
			continue
		}
		if h.Sockets.State != fact.Known {
			return control.CannotTell(fmt.Sprintf("the router leads port %d/%s here, and it is not known what listens: %s", f.Port, f.Proto, h.Sockets.Why))
		}
		service, who, meant := "", "nothing listens there now", false
		for _, s := range h.Sockets.Listening {
			if s.Proto == f.Proto && s.Port == int(f.To.Port()) && s.Exposed() {
				service, who, meant = s.Service(), s.Who(), slices.Contains(forTheWorld, s.Service())
				if !meant { // of several at that port, at addresses of their own, the worst counts
					break
				}
			}
		}
		e := control.Evidence{Fact: fmt.Sprintf("port %d/%s of the router", f.Port, f.Proto), Place: list.Place.String(), Found: fmt.Sprintf("leads to port %d of this host: %s", f.To.Port(), cmp.Or(service, who))}
		if meant {
			fine = append(fine, e)
			continue
		}
		e.Wanted = "not forwarded"
		bad = append(bad, e)
		names = append(names, fmt.Sprintf("%d/%s (%s)", f.To.Port(), f.Proto, cmp.Or(service, who)))
	}
	if others > 0 {
		fine = append(fine, control.Evidence{Fact: "other machines", Place: list.Place.String(), Found: fmt.Sprintf("%d ports are forwarded to them", others)})
	}
	if len(bad) > 0 {
		return control.Failed("the router lets the whole Internet in to "+strings.Join(names, ", "), append(bad, fine...)...)
	}
	return control.Passed("the router forwards no port to this host but what is made for that", fine...)
}
