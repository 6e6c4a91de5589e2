package kind

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
	"picket/internal/core/yaml"
)

// pamOption wants the value of one option of a PAM module, from the module's
// line in a stack or from the module's own files. A login reads both anew, so
// what they say is in force.
type pamOption struct {
	Stack   string   `yaml:"stack"`       // common-password
	Module  string   `yaml:"module"`      // pam_pwquality.so
	Files   []string `yaml:"files"`       // in rising precedence; the module's line wins over all of them
	Since   string   `yaml:"files-since"` // the version of PAM that reads the files; an older one reads the line alone
	Option  string   `yaml:"option"`
	Flag    bool     `yaml:"flag"` // it stands alone, without a value
	Unset   bool     `yaml:"unset"`
	Min     *int     `yaml:"min"`
	Max     *int     `yaml:"max"`
	Default string   `yaml:"default"` // of the module; empty: nothing holds
	Behind  []string `yaml:"behind"`  // means something only where one of these modules goes before
}

func decodePAMOption(n *yaml.Node) (control.Rule, yaml.Problems) {
	r := &pamOption{}
	ps := n.Decode(r)
	if len(ps) > 0 {
		return nil, ps
	}
	for key, v := range map[string]string{"stack": r.Stack, "module": r.Module, "option": r.Option} {
		if v == "" {
			ps = append(ps, n.Problem("%s is missing", key))
		}
	}
	for _, f := range r.Files {
		if !path.IsAbs(f) || path.Clean(f) != f {
			ps = append(ps, n.Get("files").Problem("%q is not a clean absolute path", f))
		}
	}
	if !r.Flag && !r.Unset && r.Min == nil && r.Max == nil {
		ps = append(ps, n.Problem("what is wanted is missing: min, max, flag or unset"))
	}
	return r, ps
}

// Ask implements control.Asker.
func (r *pamOption) Ask() snap.Manifest { return snap.Manifest{Files: r.Files} }

// Evaluate implements control.Rule.
func (r *pamOption) Evaluate(h *fact.Host) control.Outcome {
	stack := h.Session.PAM[r.Stack]
	if stack.Missing() {
		return control.CannotTell(needRoot(h, stack.Why))
	}
	is := func(l fact.PAMLine) bool { return l.Module == r.Module }
	first := slices.IndexFunc(stack.V, is)
	if first < 0 {
		return control.DoesNotApply(fmt.Sprintf("%s is not in /etc/pam.d/%s", r.Module, r.Stack))
	}
	if len(r.Behind) > 0 && !slices.ContainsFunc(stack.V[:first], func(l fact.PAMLine) bool { return slices.Contains(r.Behind, l.Module) }) {
		return control.DoesNotApply("no module before " + r.Module + " asks for the password")
	}
	v := fact.Not[string](fact.Absent, r.Option+" is not set")
	if read, why := r.readsFiles(h); why != "" {
		return control.CannotTell(why)
	} else if read {
		v = r.fromFiles(h)
	}
	for _, l := range stack.V {
		if found, ok := r.onLine(l); ok && is(l) {
			v = fact.Is(found, l.Place)
		}
	}
	if v.Missing() {
		return control.CannotTell(needRoot(h, v.Why))
	}
	found, text := v.V, r.Option+" is "+v.V
	o := control.Outcome{Explicit: control.TriOf(v.Known())}
	switch {
	case !v.Known() && r.Default == "":
		v.Place, found, text = stack.V[first].Place, "not set", r.Option+" is not set"
	case !v.Known():
		v.Place = stack.V[first].Place
		found, text = r.Default+" (default)", r.Option+" is "+r.Default+" by default"
		v.V = r.Default
	case r.Flag || r.Unset && v.V == "":
		found, text = "set", r.Option+" is set"
	}
	good := control.TriOf(r.good(v))
	o.Configured, o.Effective, o.Persistent = good, good, good
	if good == control.No && !r.Flag && !r.Unset {
		text += ", not " + r.wanted()
	}
	o = o.Judge()
	if o.Verdict == control.Ineffective {
		o.Verdict = control.Fail
	}
	return o.Because("%s", text).With(control.Saw(strings.TrimSuffix(r.Module, ".so")+" "+r.Option, v.Place, found, r.wanted()))
}

// readsFiles is whether the host's PAM is new enough to read the module's
// files; why is set when that is not known.
func (r *pamOption) readsFiles(h *fact.Host) (ok bool, why string) {
	if r.Since == "" {
		return true, ""
	}
	if h.Packages.State != fact.Known {
		return false, "the version of PAM is not known: " + h.Packages.Why
	}
	have := h.Packages.All["libpam-modules"].Version
	if have == "" {
		return false, "the version of PAM is not known: libpam-modules is not listed"
	}
	return newer(have, r.Since), ""
}

// newer compares the numbers of two versions, of which have may end in others.
func newer(have, want string) bool {
	for want != "" {
		var a, b int
		var w string
		w, want, _ = strings.Cut(want, ".")
		end := strings.IndexFunc(have, func(r rune) bool { return r < '0' || r > '9' })
		if end < 0 {
			end = len(have)
		}
		a, _ = strconv.Atoi(have[:end])
		b, _ = strconv.Atoi(w)
		if a != b {
			return a > b
		}
		have = strings.TrimPrefix(have[end:], ".")
	}
	return true
}

// onLine is the option as an argument of the module.
func (r *pamOption) onLine(l fact.PAMLine) (string, bool) {
	for _, a := range slices.Backward(l.Args) {
		if k, v, _ := strings.Cut(a, "="); k == r.Option {
			return v, true
		}
	}
	return "", false
}

func (r *pamOption) fromFiles(h *fact.Host) fact.Value[string] {
	out := fact.Not[string](fact.Absent, r.Option+" is not set")
	for _, p := range r.Files {
		es, st, why := h.Snap.Glob(p)
		if st == fact.Denied || st == fact.Unknown {
			return fact.Not[string](st, why)
		}
		for _, e := range es {
			f, st, why := h.Snap.File(e.Path)
			if st == fact.Absent {
				continue
			}
			if st != fact.Known {
				return fact.Not[string](st, why)
			}
			for i, l := range strings.Split(string(f.Content), "\n") {
				text, _, _ := strings.Cut(l, "#")
				if k, v, _ := strings.Cut(text, "="); strings.TrimSpace(k) == r.Option {
					out = fact.Is(strings.TrimSpace(v), fact.At(e.Path, i+1))
				}
			}
		}
	}
	return out
}

func (r *pamOption) good(v fact.Value[string]) bool {
	switch {
	case r.Unset:
		return !v.Known()
	case r.Flag:
		return v.Known()
	case v.V == "":
		return false
	}
	n, err := strconv.Atoi(v.V)
	return err == nil && (r.Min == nil || n >= *r.Min) && (r.Max == nil || n <= *r.Max)
}

func (r *pamOption) wanted() string {
	switch {
	case r.Unset:
		return "not set"
	case r.Flag:
		return "set"
	case r.Min != nil && r.Max != nil:
		return fmt.Sprintf("%d to %d", *r.Min, *r.Max)
	case r.Min != nil:
		return fmt.Sprintf("%d or more", *r.Min)
	}
	return fmt.Sprintf("%d or less", *r.Max)
}

// Describe implements control.Describer.
func (r *pamOption) Describe() []string {
	where := "/etc/pam.d/" + r.Stack
	if len(r.Files) > 0 {
		where += ", " + strings.Join(r.Files, ", ")
	}
	return []string{fmt.Sprintf("%s of %s in %s", r.Option, r.Module, where), "wanted: " + r.wanted()}
}
