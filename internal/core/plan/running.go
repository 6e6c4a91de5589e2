package plan

import (
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

// Stopped are the services and ports of before that do not run any more, although no step stops them.
func Stopped(before Plan, after []string) (names []string) {
	for _, b := range before.Running {
		unit, _, _ := strings.Cut(b, " at ")
		meant := slices.ContainsFunc(before.Steps, func(s change.Step) bool {
			return s.Verb == change.Unit && s.Name == unit && (slices.Contains(s.Args, "stop") || slices.Contains(s.Args, "disable") || slices.Contains(s.Args, "mask"))
		})
		if !meant && !slices.Contains(after, b) {
			names = append(names, b)
		}
	}
	return names
}
