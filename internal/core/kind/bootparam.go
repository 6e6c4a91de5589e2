package kind

import (
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/yaml"
)

// bootParam wants words of the kernel's command line to be there or not, in
// the running kernel's and in the one of the next boot. A word may be a
// pattern: init=*sh; its slashes are ordinary characters.
type bootParam struct {
	Forbid []string       `yaml:"forbid"`
	Want   []string       `yaml:"want"`
	Least  map[string]int `yaml:"least"` // name=number, and the number at least this
}

func decodeBootParam(n *yaml.Node) (control.Rule, yaml.Problems) {
	r := &bootParam{}
	ps := n.Decode(r)
	if len(ps) > 0 {
		return nil, ps
	}
	if len(r.Forbid)+len(r.Want)+len(r.Least) == 0 {
		ps = append(ps, n.Problem("want, forbid or least is missing"))
	}
	for _, w := range append(append([]string{}, r.Forbid...), r.Want...) {
		if _, err := path.Match(w, ""); err != nil || strings.ContainsAny(w, " \t") || w == "" {
			ps = append(ps, n.Problem("%q is not one word of a command line", w))
		}
	}
	return r, ps
}

// Evaluate implements control.Rule.
func (r *bootParam) Evaluate(h *fact.Host) control.Outcome {
	b := h.Boot
	image := h.Snap.Source.Kind == "image"
	o := control.Outcome{}
	var now, next, asked []string
	o.Effective, now = r.judge(b.Now)
	o.Persistent, next = r.judge(b.Next)
	o.Configured, asked = r.judge(b.Asked)
	if !b.Asked.Known() {
		o.Configured, asked = o.Persistent, next
	}
	for _, l := range []struct {
		what string
		v    fact.Value[[]string]
		bad  []string
	}{{"running kernel", b.Now, now}, {"next boot", b.Next, next}, {"update-grub will write", b.Asked, asked}} {
		for _, w := range l.bad {
			o = o.With(control.Saw(l.what, l.v.Place, w, "not that"))
		}
	}
	if o.Effective == control.Untold && o.Persistent == control.Untold && o.Configured != control.Untold {
		o.Persistent = o.Configured // the boot loader's own file could not be read
		next = asked
	}
	if !image && o.Effective == control.Untold && o.Persistent != control.No {
		return control.Missing(b.Now)
	}
	if b.Next.State == fact.Denied && !b.Asked.Known() && o.Effective != control.No {
		return control.CannotTell(needRoot(h, b.Next.Why)) // it may be anything
	}
	if o.Effective == control.Untold && o.Persistent == control.Untold {
		return control.CannotTell("the boot loader's settings are not there or could not be read: " + b.Next.Why)
	}
	o.Explicit = control.TriOf(len(r.Want)+len(r.Least) > 0)
	o = o.Judge()
	switch {
	case o.Effective == control.No && o.Configured == control.Yes:
		o.Reason = "the running kernel was started with: " + strings.Join(now, ", ") + "; the settings are right, a reboot is needed"
		if o.Persistent == control.No {
			o.Reason = "the settings are right, but " + b.Next.Place.String() + " was not written anew: " + strings.Join(next, ", ")
		}
	case o.Effective == control.No:
		o.Reason = "the running kernel was started with: " + strings.Join(now, ", ")
	case o.Persistent == control.No:
		o.Reason = "the next boot will use: " + strings.Join(next, ", ")
	default:
		o.Reason = "the kernel's command line is as wanted"
		if o.Explicit == control.No {
			o.Reason = "nothing on the kernel's command line weakens it, so that the defaults hold"
		}
	}
	return control.OwnKernel(h, o)
}

// judge returns what is wrong with a command line, in the words of a person.
func (r *bootParam) judge(v fact.Value[[]string]) (control.Tri, []string) {
	if !v.Known() {
		return control.Untold, nil
	}
	var bad []string
	for _, f := range r.Forbid {
		for _, w := range v.V {
			if matchWord(f, w) {
				bad = append(bad, w)
			}
		}
	}
	for _, want := range r.Want {
		found := false
		for _, w := range v.V {
			found = found || matchWord(want, w)
		}
		if !found {
			bad = append(bad, "no "+want)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Least)) {
		last := "no " + name + "=" + strconv.Itoa(r.Least[name])
		for _, w := range v.V { // the kernel takes the last
			if k, number, ok := strings.Cut(w, "="); ok && k == name {
				last = w
				if n, err := strconv.Atoi(number); err == nil && n >= r.Least[name] {
					last = ""
				}
			}
		}
		if last != "" {
			bad = append(bad, last)
		}
	}
	return control.TriOf(len(bad) == 0), bad
}

func matchWord(pattern, w string) bool {
	ok, err := path.Match(strings.ReplaceAll(pattern, "/", "\x00"), strings.ReplaceAll(w, "/", "\x00"))
	return ok && err == nil
}
