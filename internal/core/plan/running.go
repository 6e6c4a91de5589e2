package plan

import (
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/fact"
)

// running are the services that the host starts by itself and that run, and the TCP ports of services.
func running(h *fact.Host) (all []string) {
	for name, u := range h.Units.All {
		if u.Enabled() && u.Running() && u.Sub == "running" && strings.HasSuffix(name, ".service") {
			all = append(all, name)
		}
	}
	for _, k := range h.Sockets.Listening {
		unit := k.Unit.V
		if k.Proto == "tcp" && unit != "" && !strings.HasPrefix(unit, "session-") && !strings.HasPrefix(unit, "user@") {
			all = append(all, unit+" at "+k.Where())
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// A Port is one at which a service waits for other hosts, over TCP.
type Port struct {
	Unit   string `json:"unit"`
	Number int    `json:"number"`
}

// ports are those that are to be reachable after a change as they are before, whatever the firewall says of them now.
func ports(h *fact.Host) (all []Port) {
	for _, k := range h.Sockets.Listening {
		p := Port{k.Unit.V, k.Port}
		if k.Proto == "tcp" && k.Exposed() && p.Unit != "" && !strings.HasSuffix(p.Unit, ".scope") && !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}

// exposure is how services are kept from what they do not need.
func exposure(h *fact.Host) (all map[string]int) {
	for _, c := range h.Sandboxes.All {
		if c.Now != nil {
			if all == nil {
				all = map[string]int{}
			}
			all[c.Service.Name] = c.Now.Exposure()
		}
	}
	return all
}

// Restarts are the units that a plan starts anew, and for which controls.
func (p Plan) Restarts() map[string][]string {
	all := map[string][]string{}
	for _, s := range p.Steps {
		if s.Verb == change.Unit && slices.Contains(s.Args, "restart") {
			all[s.Name] = append(all[s.Name], s.Controls...)
		}
	}
	return all
}

// Stops reports whether a step stops a unit, or keeps it from being started.
func (p Plan) Stops(unit string) bool {
	return slices.ContainsFunc(p.Steps, func(s change.Step) bool {
		return s.Verb == change.Unit && s.Name == unit && (slices.Contains(s.Args, "stop") || slices.Contains(s.Args, "disable") || slices.Contains(s.Args, "mask"))
	})
}

// Stopped are the services and ports of before that do not run any more, although no step stops them.
func Stopped(before Plan, after []string) (names []string) {
	for _, b := range before.Running {
		unit, _, _ := strings.Cut(b, " at ")
		if !before.Stops(unit) && !slices.Contains(after, b) {
			names = append(names, b)
		}
	}
	return names
}

// moved takes note of SSH that moves to another port: what was reached at the former is not missed there.
func (p *Plan) moved(opens int, shuts []int, mover string) {
	p.Opens, p.Mover = opens, mover
	for _, port := range shuts {
		gone := func(unit string, number int) bool { return slices.Contains(sshUnits, unit) && number == port }
		p.Running = slices.DeleteFunc(p.Running, func(r string) bool {
			unit, at, _ := strings.Cut(r, " at ")
			return gone(unit, port) && strings.HasSuffix(at, fmt.Sprintf(":%d/tcp", port))
		})
		p.Ports = slices.DeleteFunc(p.Ports, func(o Port) bool { return gone(o.Unit, o.Number) })
	}
}
