package kind

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/fact"
	"picket/internal/core/yaml"
)

// sshdWant is what one option may be: one of Values, a number within bounds,
// or a list of which every element is allowed.
type sshdWant struct {
	option  string
	values  []string
	exact   []string            // of Exactly, for the host that is judged
	Min     string              `yaml:"min"` // a number, or several with colons between: each at least
	Max     string              `yaml:"max"`
	Not     []string            `yaml:"not"`       // values that are never right: 0, where it means without end
	Subset  []string            `yaml:"subset-of"` // every element of the list is one of these
	Without []string            `yaml:"without"`   // no element of the list matches one of these patterns
	Exactly map[string][]string `yaml:"exactly"`   // by OpenSSH version (9.2): the whole list, in its order, less what this host's sshd does not know
	Set     string              `yaml:"set"`       // what a change sets where several values are right; else the nearest bound
	Each    string              `yaml:"each-with"` // every one of several lists has this element: publickey, so that nothing else is enough
}

func decodeSSHDWants(n *yaml.Node) (out []sshdWant, ps yaml.Problems) {
	for _, k := range n.Keys() {
		if !fact.KnownSSHDOption(k) {
			ps = append(ps, n.Get(k).Problem("sshd has no option %q", k))
			continue
		}
		w, p := decodeSSHDWant(k, n.Get(k))
		ps, out = append(ps, p...), append(out, w)
	}
	return out, ps
}

func decodeSSHDWant(option string, n *yaml.Node) (sshdWant, yaml.Problems) {
	w := sshdWant{option: option}
	if _, list := n.Items(); list {
		ps := n.Decode(&w.values)
		if len(ps) == 0 && len(w.values) == 0 {
			ps = append(ps, n.Problem("%s has no value that would be right", option))
		}
		return w, ps
	}
	ps := n.Decode(&w)
	if len(ps) > 0 {
		return w, ps
	}
	for _, b := range []string{w.Min, w.Max} {
		if _, ok := numbers(b); b != "" && !ok {
			ps = append(ps, n.Problem("%q is not a number, or numbers with colons between", b))
		}
	}
	for _, p := range w.Without {
		if _, err := path.Match(p, ""); err != nil {
			ps = append(ps, n.Problem("%q is not a pattern", p))
		}
	}
	for v := range w.Exactly {
		if _, ok := release(v); !ok || fact.SSHQuery(option) == "" {
			ps = append(ps, n.Problem("exactly wants lists by OpenSSH version, such as 9.2, for an option that `ssh -Q` tells about"))
		}
	}
	if ok, _ := w.accepts(strings.Fields(w.Set)); w.Set != "" && !ok {
		ps = append(ps, n.Get("set").Problem("%q is not what is wanted: %s", w.Set, w.String()))
	}
	if w.Min == "" && w.Max == "" && w.Exactly == nil && w.Subset == nil && w.Without == nil && w.Not == nil && w.Each == "" {
		ps = append(ps, n.Problem("%s wants a list of values, or min, max, not, subset-of, without or each-with", option))
	}
	return w, ps
}

// String is what is wanted, for evidence.
func (w sshdWant) String() string {
	var out []string
	if w.values != nil {
		out = append(out, strings.Join(w.values, " or "))
	}
	if w.Min != "" {
		out = append(out, "at least "+w.Min)
	}
	if w.Max != "" {
		out = append(out, "at most "+w.Max)
	}
	if w.Not != nil {
		out = append(out, "not "+strings.Join(w.Not, " or "))
	}
	if w.Subset != nil {
		if len(w.Subset) > 4 { // the control's fix has them all
			out = append(out, "none of these")
		} else {
			out = append(out, "only "+strings.Join(w.Subset, ", "))
		}
	}
	if w.Without != nil {
		out = append(out, "without "+strings.Join(w.Without, ", "))
	}
	if w.exact != nil {
		out = append(out, strings.Join(w.exact, ","))
	}
	if w.Each != "" {
		out = append(out, w.Each+" in each list")
	}
	return strings.Join(out, ", ")
}

// accepts compares a value; wrong are the elements of a list that may not be.
func (w sshdWant) accepts(values []string) (ok bool, wrong []string) {
	one := strings.Join(values, " ")
	if w.values != nil {
		return slices.ContainsFunc(w.values, func(v string) bool { return strings.EqualFold(canonicalRoot(v), canonicalRoot(one)) }), nil
	}
	if slices.ContainsFunc(w.Not, func(v string) bool { return strings.EqualFold(v, one) }) {
		return false, nil
	}
	if w.Min != "" || w.Max != "" {
		return within(one, w.Min, w.Max), nil
	}
	if w.Each != "" {
		lists := strings.Fields(one)
		return len(lists) > 0 && !slices.ContainsFunc(lists, func(l string) bool { return !slices.Contains(strings.Split(l, ","), w.Each) }), nil
	}
	if w.exact != nil {
		got := strings.Split(one, ",")
		for i, e := range got {
			if !slices.Contains(w.exact, e) || i >= len(w.exact) || w.exact[i] != e {
				wrong = append(wrong, e)
			}
		}
		return slices.Equal(got, w.exact), wrong
	}
	for _, e := range strings.FieldsFunc(one, func(r rune) bool { return r == ',' || r == ' ' }) {
		bad := w.Subset != nil && !slices.Contains(w.Subset, e)
		for _, p := range w.Without {
			m, _ := path.Match(p, e)
			bad = bad || m
		}
		if bad && !slices.Contains(wrong, e) {
			wrong = append(wrong, e)
		}
	}
	return len(wrong) == 0, wrong
}

// canonicalRoot makes the two names of one value of PermitRootLogin the same.
func canonicalRoot(v string) string {
	if strings.EqualFold(v, "prohibit-password") {
		return "without-password"
	}
	return v
}

// within compares numbers, element by element where there are several.
func within(v, low, high string) bool {
	got, ok := numbers(v)
	if !ok {
		return false
	}
	for i, n := range got {
		if l, _ := numbers(low); i < len(l) && n < l[i] {
			return false
		}
		if u, _ := numbers(high); i < len(u) && n > u[i] {
			return false
		}
	}
	return true
}

func numbers(s string) ([]int, bool) {
	var out []int
	for _, p := range strings.Split(s, ":") {
		n, err := strconv.Atoi(p)
		if err != nil {
			return nil, false
		}
		out = append(out, n)
	}
	return out, true
}

// release is 902 for 9.2.
func release(s string) (int, bool) {
	major, minor, ok := strings.Cut(s, ".")
	a, err := strconv.Atoi(major)
	b, err2 := strconv.Atoi(minor)
	return a*100 + b, ok && err == nil && err2 == nil
}

// forHost sets the list of Exactly: that of the newest version that is not
// newer than the host's, less what its sshd does not know.
func (w sshdWant) forHost(h *fact.Host) (sshdWant, string) {
	if w.Exactly == nil {
		return w, ""
	}
	if h.SSHD.Config.Version == 0 {
		return w, "the version of OpenSSH is not known"
	}
	best := 0
	for v, list := range w.Exactly {
		if r, _ := release(v); r <= h.SSHD.Config.Version && r > best {
			best, w.exact = r, list
		}
	}
	if best == 0 {
		return w, "there is no list for an OpenSSH as old as this"
	}
	if h.Snap.Source.Kind == "image" {
		return w, ""
	}
	known := h.SSHKnows(w.option)
	if !known.Known() {
		return w, known.Why
	}
	w.exact = slices.DeleteFunc(slices.Clone(w.exact), func(a string) bool { return !slices.Contains(known.V, a) })
	return w, ""
}
