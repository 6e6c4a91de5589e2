package harden

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"picket/internal/core/change"
	"picket/internal/core/plan"
	"picket/internal/host/shell"
)

// settles is how long a unit that was started anew is watched: most that cannot go on end within it.
const settles = 5 * time.Second

// denied are the words of a program that is kept from something.
const denied = `permission denied|operation not permitted|read-only file system|EACCES|EPERM`

// A watch is over the units that a plan starts anew.
type watch struct {
	units    map[string][]string // with the controls that have them started
	grumbles []string            // those whose journal says that they are kept from something before anything is changed
}

// watching begins it. Units that do not run are not watched.
func watching(ctx context.Context, sh shell.Shell, p plan.Plan) watch {
	w := watch{units: p.Restarts()}
	for _, unit := range w.names() {
		const idle = 9
		_, exit, err := sh.Run(ctx, fmt.Sprintf("systemctl is-active --quiet %[1]s || exit %[2]d; journalctl -q -o cat -b -u %[1]s 2>/dev/null | grep -qiE '%[3]s'", shellWord(unit), idle, denied), nil, nil)
		switch {
		case err != nil || exit == idle || shellWord(unit) == "":
			delete(w.units, unit)
		case exit == 0:
			w.grumbles = append(w.grumbles, unit)
		}
	}
	return w
}

// of is what is left out where a step fails: the unit that is started anew for it, else what it is for.
func (w watch) of(s change.Step) []string {
	unit := s.Name
	if s.Verb == change.Owner {
		unit = s.Args[4]
	}
	if w.units[unit] != nil && (s.Verb == change.Owner || s.Verb == change.Unit) {
		return []string{unit}
	}
	return s.Controls
}

func (w watch) names() []string { return slices.Sorted(maps.Keys(w.units)) }

// failed says of the units that do not go on, or that are kept from something since, why.
func (w watch) failed(ctx context.Context, sh shell.Shell) (out Unheld) {
	out = Unheld{}
	if len(w.units) == 0 {
		return out
	}
	select {
	case <-ctx.Done():
	case <-time.After(settles):
	}
	for _, unit := range w.names() {
		text, exit, err := sh.Run(ctx, "systemctl show -p ActiveState,SubState,NRestarts,Result,ExecMainStatus,InvocationID "+shellWord(unit), nil, nil)
		if err != nil || exit != 0 {
			out[unit] = "systemd does not say how it is" + because(err)
			continue
		}
		is := map[string]string{}
		for line := range strings.Lines(string(text)) {
			k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
			is[k] = v
		}
		switch {
		case is["ActiveState"] != "active" || is["SubState"] == "auto-restart" || is["NRestarts"] != "0" && is["NRestarts"] != "":
			out[unit] = fmt.Sprintf("it does not go on running (%s, %s, exit status %s): journalctl -u %s", is["ActiveState"], is["Result"], is["ExecMainStatus"], unit)
		case !slices.Contains(w.grumbles, unit) && shellWord(is["InvocationID"]) != "":
			said, exit, err := sh.Run(ctx, "journalctl -q -o cat _SYSTEMD_INVOCATION_ID="+is["InvocationID"]+" 2>/dev/null | grep -iEm1 '"+denied+"' | cut -c 1-200", nil, nil)
			if line := strings.TrimSpace(string(said)); err == nil && exit == 0 && line != "" {
				out[unit] = "it is kept from something: " + line
			}
		}
	}
	return out
}

// blame finds the units that were started anew behind what does not hold any more, each thing with its unit; all is false where
// something has another cause.
func (w watch) blame(gone map[string]string) (out Unheld, all bool) {
	out = Unheld{}
	for _, what := range slices.Sorted(maps.Keys(gone)) {
		unit := gone[what]
		if _, ours := w.units[unit]; !ours {
			return nil, false
		}
		if out[unit] != "" {
			out[unit] += "; "
		}
		out[unit] += what
	}
	return out, true
}

// shellWord is a name that means itself to a shell, "" for any other.
func shellWord(name string) string {
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@:-") != "" || strings.HasPrefix(name, "-") {
		return ""
	}
	return name
}
