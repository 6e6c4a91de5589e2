package kind

import (
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

// judgeSysctl brings several keys or interfaces to one outcome: the worst one
// speaks.
func judgeSysctl(h *fact.Host, seen []sysctlSeen, image bool) control.Outcome {
	o := control.Outcome{Configured: control.Yes, Effective: control.Yes, Persistent: control.Yes, Explicit: control.Yes}
	var bad, unknown []string
	denied := false
	for _, s := range seen {
		now, boot := s.ok(s.now), s.ok(s.boot)
		o.Configured = o.Configured.And(control.TriOf(s.wish))
		o.Explicit = o.Explicit.And(control.TriOf(s.set))
		o.Effective = o.Effective.And(now)
		o.Persistent = o.Persistent.And(boot)
		if !image && now == control.Untold {
			denied = true
			unknown = append(unknown, s.now.Why)
		}
		if now == control.No || boot == control.No {
			bad = append(bad, s.complaint(h, now, boot))
			o = o.With(s.evidence(now, boot)...)
		} else if image && boot == control.Untold {
			unknown = append(unknown, s.boot.Why)
		}
	}
	if image {
		o.Effective = control.Untold
	}
	switch {
	case denied && o.Effective != control.No:
		o.Verdict = control.Unknown
		o.Effective = control.Untold
		return o.Because("%s", needRoot(h, unknown[0]))
	case len(bad) > 0 && o.Effective == control.Yes && h.Sysctl.Missing != "":
		// What is hidden may put right what the visible files do, or mask them.
		o.Verdict, o.Persistent = control.Unknown, control.Untold
		return o.Because("what the next boot sets is not known: %s", needRoot(h, h.Sysctl.Missing))
	case len(bad) > 0:
		o = o.Judge().Because("%s", bad[0])
		if len(bad) > 1 {
			o.Reason += fmt.Sprintf(" (and %d more)", len(bad)-1)
		}
		return o
	case len(unknown) > 0:
		o.Verdict = control.Unknown
		return o.Because("%s", needRoot(h, unknown[0]))
	case h.Sysctl.Missing != "":
		o.Verdict, o.Persistent = control.Unknown, control.Untold
		return o.Because("what the next boot sets is not known: %s", needRoot(h, h.Sysctl.Missing))
	}
	o = o.Judge()
	s := seen[0]
	value := s.now
	if image {
		value = s.boot
	}
	o = o.With(control.Saw(s.name, value.Place, value.V, s.wanted()))
	o.Reason = fmt.Sprintf("%s is %s", s.name, value.V)
	if len(seen) > 1 {
		o.Reason = fmt.Sprintf("all %d settings are as wanted", len(seen))
	}
	switch {
	case o.Explicit == control.No && o.Persistent == control.Yes:
		o.Reason += "; it is the kernel's default"
		if len(seen) > 1 {
			o.Reason = fmt.Sprintf("all %d settings are as wanted, some by the kernel's default", len(seen))
		}
	case o.Persistent == control.Untold:
		o.Reason += "; no file sets it, so whether the next boot does is not known"
	}
	return o
}

func needRoot(h *fact.Host, why string) string {
	if h.Snap.Root() {
		return why
	}
	return why + "; run as root"
}

func (s sysctlSeen) ok(v fact.Value[string]) control.Tri {
	if !v.Known() {
		return control.Untold
	}
	return control.TriOf(slices.ContainsFunc(s.want, func(w string) bool { return fits(w, v.V) }))
}

func (s sysctlSeen) wanted() string {
	return strings.NewReplacer(">=", "at least ", "&", "0 or bits of ").Replace(strings.Join(s.want, " or "))
}

// complaint says in one sentence what is wrong.
func (s sysctlSeen) complaint(h *fact.Host, now, boot control.Tri) string {
	what := fmt.Sprintf("%s is %s", s.name, s.now.V)
	switch {
	case now == control.No && s.wish && boot == control.Yes:
		return fmt.Sprintf("%s although %s asks for %s: nobody has loaded it, or something changed it since", what, s.asked.Place, s.asked.Value)
	case now == control.No && s.wish && h.Sysctl.Off != (fact.Place{}):
		return fmt.Sprintf("%s although %s asks for %s: systemd-sysctl.service is masked and no file is read at boot", what, s.asked.Place, s.asked.Value)
	case now == control.No && s.wish && s.unread(h):
		return fmt.Sprintf("%s: %s asks for %s, but this system does not read that file at boot", what, s.asked.Place, s.asked.Value)
	case now == control.No && s.wish:
		return fmt.Sprintf("%s: %s asks for %s and something else wins (%s)", what, s.asked.Place, s.asked.Value, s.now.Place)
	case now == control.No && s.set:
		return fmt.Sprintf("%s, as %s says; wanted %s", what, s.asked.Place, s.wanted())
	case now == control.No:
		return fmt.Sprintf("%s, wanted %s: no file sets it", what, s.wanted())
	case now == control.Yes:
		return fmt.Sprintf("%s now, but the next boot gives %s (%s)", what, s.boot.V, s.boot.Place)
	default: // an image
		return fmt.Sprintf("the next boot gives %s the value %s (%s), wanted %s", s.name, s.boot.V, s.boot.Place, s.wanted())
	}
}

func (s sysctlSeen) unread(h *fact.Host) bool {
	return slices.ContainsFunc(h.Sysctl.Unread, func(u fact.SysctlSetting) bool { return u.Place == s.asked.Place })
}

func (s sysctlSeen) evidence(now, boot control.Tri) []control.Evidence {
	var out []control.Evidence
	same := now != control.Untold && boot == control.No && s.now.V == s.boot.V && s.boot.Place.Line == 0
	switch {
	case same:
		out = append(out, control.Saw(s.name+" now and after a reboot", s.now.Place, s.now.V, s.wanted()))
	case now != control.Untold:
		out = append(out, control.Saw(s.name+" now", s.now.Place, s.now.V, s.wanted()))
	}
	if boot == control.No && !same {
		out = append(out, control.Saw(s.name+" after a reboot", s.boot.Place, s.boot.V, s.wanted()))
	}
	if s.set && s.asked.Place != s.boot.Place {
		out = append(out, control.Saw(s.name+" as asked for", s.asked.Place, s.asked.Value, s.wanted()))
	}
	return out
}
