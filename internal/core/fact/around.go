package fact

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	"picket/internal/core/ruleset"
	"picket/internal/core/snap"
)

// Around is what is seen of the network that a host is in, without sending
// anything into it, and what leads from there to the host.
type Around struct {
	Neighbours Value[[]Neighbour] // with whom it has spoken lately
	Names      Value[bool]        // whether /etc/hosts, which names some of them, was read
	Processes  Value[[]Process]
	// Funnels are addresses at which Tailscale hands ports of this host to the
	// Internet, as leader.tail1234.ts.net:443.
	Funnels Value[[]string]
}

// A Neighbour is another machine on one of the host's networks.
type Neighbour struct {
	Addr netip.Addr
	Card string
	MAC  string
	Name string // that /etc/hosts has for it; "" for a stranger
}

// A Process that runs, by the name that the kernel has of it: 15 letters.
type Process struct {
	User, Name string
}

var (
	ipNeigh       = []string{"ip", "-j", "neigh"}
	psList        = []string{"ps", "-e", "-o", "user=,comm="}
	tailscaleOpen = []string{"tailscale", "serve", "status", "--json"}
)

const (
	etcHosts      = "/etc/hosts"
	maxNeighbours = 4096
	maxProcesses  = 20_000
)

func askAround(*Host, *snap.Snapshot) snap.Manifest {
	return snap.Manifest{
		Files:    []string{etcHosts},
		Commands: []snap.Command{{Argv: ipNeigh}, {Argv: psList}, {Argv: tailscaleOpen}},
	}
}

func parseAround(h *Host, s *snap.Snapshot) {
	a := &h.Around
	a.Processes = asked(s, psList, parseProcesses)
	a.Neighbours = asked(s, ipNeigh, func(o *snap.Output) ([]Neighbour, string) { return parseNeighbours(h, s, o.Stdout) })
	a.Funnels = asked(s, tailscaleOpen, parseFunnels)
}

// asked reads the answer of a command that succeeded.
func asked[T any](s *snap.Snapshot, argv []string, read func(*snap.Output) (T, string)) Value[T] {
	o, st, why := s.Run(argv...)
	switch {
	case st != Known:
		return Not[T](st, why)
	case o.Exit != 0:
		return Not[T](Unknown, "`"+snap.CommandKey(argv...)+"` failed: "+firstOf(o.Stderr))
	}
	v, why := read(o)
	if why != "" {
		return Not[T](Unknown, "`"+snap.CommandKey(argv...)+"`: "+why)
	}
	return Is(v, By(argv...))
}

func parseProcesses(o *snap.Output) ([]Process, string) {
	var out []Process
	for _, l := range outLines(o) {
		user, name, ok := strings.Cut(strings.TrimSpace(l.text), " ")
		if !ok {
			continue
		}
		if len(out) >= maxProcesses {
			return nil, "there are too many processes"
		}
		out = append(out, Process{User: user, Name: strings.TrimSpace(name)})
	}
	if !slices.ContainsFunc(out, func(p Process) bool { return p.Name == "ps" }) {
		return nil, "it does not name itself" // ps always does
	}
	return out, ""
}

func parseNeighbours(h *Host, s *snap.Snapshot, data []byte) ([]Neighbour, string) {
	var list []struct {
		Dst, Dev, LLAddr string
		State            []string
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, "it is not the expected JSON"
	}
	names := map[netip.Addr]string{}
	e, st, why := s.File(etcHosts)
	h.Around.Names = Value[bool]{V: st == Known, State: st, Why: why, Place: Place{Path: etcHosts}}
	if st == Known {
		for _, l := range lines(e) {
			f := strings.Fields(uncomment(l.text, "#"))
			if len(f) < 2 {
				continue
			}
			if a, err := netip.ParseAddr(f[0]); err == nil && !a.IsLoopback() {
				names[a] = f[1]
			}
		}
	}
	out := []Neighbour{}
	for _, n := range list {
		a, err := netip.ParseAddr(n.Dst)
		if err != nil || n.LLAddr == "" || slices.Contains(n.State, "FAILED") || slices.Contains(n.State, "INCOMPLETE") || !ruleset.NetworkCard(n.Dev) {
			continue
		}
		if len(out) >= maxNeighbours {
			return nil, "there are too many neighbours"
		}
		out = append(out, Neighbour{Addr: a, Card: n.Dev, MAC: strings.ToLower(n.LLAddr), Name: names[a]})
	}
	return out, ""
}

// Strangers are the machines of which the host knows no name, one by one
// though each may have several addresses. Its routers are none.
func (h *Host) Strangers() []Neighbour {
	known := map[string]bool{}
	for _, n := range h.Around.Neighbours.V {
		router := slices.ContainsFunc(h.Network.Routes, func(r Route) bool { return r.Gateway && r.Via == n.Addr })
		if n.Name != "" || router {
			known[n.MAC] = true
		}
	}
	var out []Neighbour
	for _, n := range h.Around.Neighbours.V {
		if !known[n.MAC] {
			known[n.MAC] = true
			out = append(out, n)
		}
	}
	return out
}

// parseFunnels reads Tailscale's configuration for serving; where it serves
// nothing the answer is an empty object.
func parseFunnels(o *snap.Output) ([]string, string) {
	var conf struct {
		AllowFunnel map[string]bool
	}
	if text := strings.TrimSpace(string(o.Stdout)); text != "" && text != "null" {
		if err := json.Unmarshal([]byte(text), &conf); err != nil {
			return nil, "it is not the expected JSON"
		}
	}
	out := []string{}
	for at, on := range conf.AllowFunnel {
		if on {
			out = append(out, at)
		}
	}
	slices.Sort(out)
	return out, ""
}
