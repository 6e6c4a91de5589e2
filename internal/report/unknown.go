package report

import (
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/audit"
	"picket/internal/core/control"
)

// An UnknownGroup is what could not be judged for one cause.
type UnknownGroup struct {
	Cause   string   // why
	Missing []string // what was not read, where the cause has several
	Hint    string   // what to type or to do about it; may be empty
	Results []audit.Result
}

// asRoot is how reasons say that root's rights would help.
const asRoot = "run as root"

// Unknowns groups what could not be judged by its cause: fifty controls that
// want root are one thing to do.
func Unknowns(r audit.Report) []UnknownGroup {
	var root UnknownGroup
	var out []UnknownGroup
	for _, res := range r.Results {
		if res.Verdict != control.Unknown {
			continue
		}
		if !r.Host.Root && (strings.Contains(res.Reason, asRoot) || strings.Contains(res.Reason, "only root may")) {
			root.Results = append(root.Results, res)
			if m := withoutHint(res.Reason); !slices.Contains(root.Missing, m) {
				root.Missing = append(root.Missing, m)
			}
			continue
		}
		cause, missing := sameCause(res.Reason)
		if r.Host.Via == "image" && wantsRunning(res.Reason) {
			cause, missing = "only the running host shows these; audit it too, over SSH or there", res.Reason
		}
		i := slices.IndexFunc(out, func(g UnknownGroup) bool { return g.Cause == cause })
		if i < 0 {
			out = append(out, UnknownGroup{Cause: cause})
			i = len(out) - 1
		}
		if missing != "" && !slices.Contains(out[i].Missing, missing) {
			out[i].Missing = append(out[i].Missing, missing)
		}
		out[i].Results = append(out[i].Results, res)
	}
	if n := len(root.Results); n > 0 {
		root.Cause = fmt.Sprintf("%d of the controls need root's rights", n)
		if n == 1 {
			root.Cause = "one of the controls needs root's rights"
		}
		switch r.Host.Via {
		case "ssh":
			root.Hint = "log in as root or as somebody with sudo; --sudo-password-file FILE gives its password"
		default:
			root.Hint = "run Picket with sudo"
		}
		out = append([]UnknownGroup{root}, out...)
	}
	return out
}

// wantsRunning is whether a reason says that a disk alone cannot tell.
func wantsRunning(reason string) bool {
	for _, words := range []string{" image", "running host", "while it runs", "/proc/"} {
		if strings.Contains(reason, words) {
			return true
		}
	}
	return false
}

// sameCause parts a reason that many controls give, each with a place of its
// own, into the cause and the place. Other reasons are causes as they stand.
func sameCause(reason string) (cause, missing string) {
	if place, ok := strings.CutSuffix(reason, " was not read"); ok && !strings.Contains(place, " ") {
		return "this snapshot does not hold all that is judged, as it was taken with --only or by another version of Picket; take it anew", place
	}
	if rest, ok := strings.CutSuffix(reason, ", and the kernel's own default is not known"); ok {
		if name, ok := strings.CutPrefix(rest, "no file sets "); ok {
			return "no file sets these, and the kernel's own defaults are not known", name
		}
	}
	if strings.Contains(reason, "System has not been booted with systemd") {
		return "systemd does not run here, as in most containers: which services run cannot be asked", ""
	}
	return reason, ""
}

// withoutHint leaves of a reason what was not read.
func withoutHint(reason string) string {
	reason = strings.TrimSuffix(reason, "; "+asRoot)
	reason = strings.ReplaceAll(reason, asRoot+" to read ", "cannot read ")
	return strings.ReplaceAll(reason, asRoot+" to ", "cannot ")
}
