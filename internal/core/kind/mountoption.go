package kind

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/yaml"
)

// mountOption wants the file system at Point to be mounted with Options, now
// and by what the next boot reads: fstab, systemd's tmp.mount, or what systemd
// itself mounts.
type mountOption struct {
	Point   string   `yaml:"point"`
	Options []string `yaml:"options"`
	Own     bool     `yaml:"own"` // it must be a file system of its own; otherwise the rule does not apply where it is not
}

// apiMounts are what systemd mounts by itself, with the options it gives them
// (systemd 252, src/shared/mount-setup.c).
var apiMounts = map[string][]string{
	"/dev/shm": {"nosuid", "nodev"},
	"/run":     {"nosuid", "nodev"},
	"/proc":    {"nosuid", "nodev", "noexec"},
}

func decodeMountOption(n *yaml.Node) (control.Rule, yaml.Problems) {
	r := &mountOption{}
	ps := n.Decode(r)
	if len(ps) > 0 {
		return nil, ps
	}
	if !path.IsAbs(r.Point) || path.Clean(r.Point) != r.Point {
		ps = append(ps, n.Problem("point %q is not a clean absolute path", r.Point))
	}
	if len(r.Options) == 0 {
		ps = append(ps, n.Problem("options is missing"))
	}
	return r, ps
}

// Evaluate implements control.Rule.
func (r *mountOption) Evaluate(h *fact.Host) control.Outcome {
	ms := h.Mounts
	image := h.Snap.Source.Kind == "image"
	if !image && ms.State != fact.Known {
		return control.CannotTell("the mounts could not be read: " + ms.Why)
	}
	now, mounted := ms.At(r.Point)
	if image && ms.Fstab.Missing() {
		return control.Missing(ms.Fstab)
	}
	options, at, will := r.next(h)
	hidden := ms.Fstab.Missing() || r.Point == "/tmp" && !ms.InFstab(r.Point) &&
		(ms.TmpUnit.Missing() || ms.TmpUnit.Known() && h.Units.State != fact.Known && !ms.TmpWanted(h.Snap))
	if hidden {
		will = false
	}
	if hidden && (image || !mounted) {
		return control.CannotTell(needRoot(h, whyHidden(h)))
	}
	if !mounted && !will {
		return r.notMounted(image)
	}
	_, byFile := ms.Next(r.Point)
	o := control.Outcome{Configured: control.No, Explicit: control.TriOf(byFile)}
	if will {
		lack := r.lacking(options)
		o.Configured = control.TriOf(len(lack) == 0)
		o.Persistent = o.Configured
		o = o.With(control.Saw(r.Point+" at the next boot", at, strings.Join(options, ","), strings.Join(r.Options, ",")))
	}
	if image {
		o = o.Judge()
		o.Reason = r.sentence(o.Persistent, options, "will be mounted", at) + untold(o)
		return o
	}
	if !mounted {
		o.Effective = control.No
		return o.Judge().Because("%s is not mounted, although %s asks for it", r.Point, at)
	}
	o.Effective = control.TriOf(len(r.lacking(now.Options)) == 0)
	o = o.With(control.Saw(r.Point+" now", now.Place, strings.Join(now.Options, ","), strings.Join(r.Options, ",")))
	if hidden && o.Effective == control.Yes {
		return control.CannotTell("what mounts "+r.Point+" at boot is not known: "+needRoot(h, whyHidden(h)), o.Evidence...)
	}
	o = o.Judge()
	switch {
	case o.Effective == control.No && o.Configured == control.Yes:
		o.Reason = fmt.Sprintf("%s is mounted without %s although %s asks for it", r.Point, strings.Join(r.lacking(now.Options), ", "), at)
	case o.Effective == control.No:
		o.Reason = fmt.Sprintf("%s is mounted without %s", r.Point, strings.Join(r.lacking(now.Options), ", "))
	case o.Persistent == control.No:
		o.Reason = fmt.Sprintf("%s is mounted with %s now; the next boot leaves out %s (%s)", r.Point, strings.Join(r.Options, ", "), strings.Join(r.lacking(options), ", "), at)
	case o.Persistent == control.Untold:
		o.Reason = fmt.Sprintf("%s is mounted with %s; what mounts it at boot is not known", r.Point, strings.Join(r.Options, ", "))
	default:
		o.Reason = fmt.Sprintf("%s is mounted with %s", r.Point, strings.Join(r.Options, ", "))
	}
	o.Reason += untold(o)
	return o
}

// untold says of what is right that nobody has asked for it in fstab.
func untold(o control.Outcome) string {
	if o.Verdict == control.Pass && o.Explicit == control.No {
		return "; no line of fstab asks for it"
	}
	return ""
}

func whyHidden(h *fact.Host) string {
	switch ms := h.Mounts; {
	case ms.Fstab.Missing():
		return ms.Fstab.Why
	case ms.TmpUnit.Missing():
		return ms.TmpUnit.Why
	}
	return "the systemd units could not be read: " + h.Units.Why
}

func (r *mountOption) sentence(good control.Tri, options []string, verb string, at fact.Place) string {
	if good == control.Yes {
		return fmt.Sprintf("%s %s with %s (%s)", r.Point, verb, strings.Join(r.Options, ", "), at)
	}
	return fmt.Sprintf("%s %s without %s (%s)", r.Point, verb, strings.Join(r.lacking(options), ", "), at)
}

func (r *mountOption) notMounted(image bool) control.Outcome {
	if !r.Own {
		return control.DoesNotApply(r.Point + " is not a file system of its own")
	}
	o := control.Failed(r.Point+" is not a file system of its own",
		control.Saw(r.Point, fact.Place{Path: "/etc/fstab"}, "no entry", "a tmpfs with "+strings.Join(r.Options, ",")))
	o.Configured, o.Persistent = control.No, control.No
	if image {
		o.Effective = control.Untold
	}
	return o
}

// next is what mounts Point at the next boot.
func (r *mountOption) next(h *fact.Host) (options []string, at fact.Place, ok bool) {
	if h.Mounts.InFstab(r.Point) {
		m, _ := h.Mounts.Next(r.Point)
		return m.Options, m.Place, true
	}
	if r.Point == "/tmp" && h.Mounts.TmpUnit.Known() {
		// The unit ships on every Debian 12 and does nothing until enabled.
		if h.Units.Get("tmp.mount").Enabled() || h.Mounts.TmpWanted(h.Snap) {
			return h.Mounts.TmpUnit.V, h.Mounts.TmpUnit.Place, true
		}
	}
	if o, ok := apiMounts[r.Point]; ok {
		return o, fact.Place{Path: "what systemd mounts by itself"}, true
	}
	return nil, fact.Place{}, false
}

func (r *mountOption) lacking(options []string) []string {
	var out []string
	for _, o := range r.Options {
		if !slices.Contains(options, o) {
			out = append(out, o)
		}
	}
	return out
}
