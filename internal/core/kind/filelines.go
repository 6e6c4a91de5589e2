package kind

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
	"picket/internal/core/yaml"
)

// fileAbsent wants none of the paths to be there.
type fileAbsent struct {
	Paths []string `yaml:"paths"` // absolute, may be patterns
}

func decodeFileAbsent(n *yaml.Node) (control.Rule, yaml.Problems) {
	r := &fileAbsent{}
	ps := n.Decode(r)
	if len(ps) == 0 {
		ps = checkPaths(n, r.Paths)
	}
	return r, ps
}

func checkPaths(n *yaml.Node, paths []string) yaml.Problems {
	if len(paths) == 0 {
		return yaml.Problems{n.Problem("paths is missing")}
	}
	var ps yaml.Problems
	for _, p := range paths {
		if !path.IsAbs(p) || path.Clean(p) != p {
			ps = append(ps, n.Get("paths").Problem("%q is not a clean absolute path", p))
		}
	}
	return ps
}

// Ask implements control.Asker.
func (r *fileAbsent) Ask() snap.Manifest { return snap.Manifest{Stats: r.Paths} }

// Evaluate implements control.Rule.
func (r *fileAbsent) Evaluate(h *fact.Host) control.Outcome {
	var there []control.Evidence
	unseen := ""
	for _, p := range r.Paths {
		es, st, why := h.Snap.Glob(p)
		if st == fact.Denied || st == fact.Unknown {
			unseen = why
		}
		for _, e := range es {
			if e.Target != "/dev/null" {
				there = append(there, control.Saw(string(e.Type), fact.Place{Path: e.Path}, "there", "not there"))
			}
		}
	}
	switch {
	case len(there) > 0:
		o := control.Failed(there[0].Place+" is there", there...)
		if len(there) > 1 {
			o.Reason = fmt.Sprintf("%s and %d more are there", there[0].Place, len(there)-1)
		}
		o.Persistent = control.No
		return o
	case unseen != "":
		return control.CannotTell(needRoot(h, unseen))
	}
	o := control.Passed("there is no " + strings.Join(r.Paths, ", "))
	o.Persistent = control.Yes
	return o
}

// fileLine wants lines that match Want and none that match Forbid, in every
// file that exists. Comments are not left out: a pattern begins with ^\s* where
// they matter.
type fileLine struct {
	Paths  []string `yaml:"paths"` // absolute, may be patterns
	Want   []string `yaml:"want"`  // regular expressions, each has a line in every file
	Forbid []string `yaml:"forbid"`
	Say    string   `yaml:"say"`    // what a line that is found or missing means: "names the system's version"
	Secret bool     `yaml:"secret"` // the line itself is not shown
	Do     string   `yaml:"do"`     // how it is fixed: comment-out the lines, or replace the file's whole content
	By     string   `yaml:"by"`     // what the file holds then
	want   []*regexp.Regexp
	forbid []*regexp.Regexp
}

func decodeFileLine(n *yaml.Node) (control.Rule, yaml.Problems) {
	r := &fileLine{}
	ps := n.Decode(r)
	if len(ps) > 0 {
		return nil, ps
	}
	ps = checkPaths(n, r.Paths)
	if len(r.Want)+len(r.Forbid) == 0 {
		ps = append(ps, n.Problem("want or forbid is missing"))
	}
	compile := func(key string, from []string) (out []*regexp.Regexp) {
		for _, s := range from {
			re, err := regexp.Compile(s)
			if err != nil {
				ps = append(ps, n.Get(key).Problem("%v", err))
				continue
			}
			out = append(out, re)
		}
		return out
	}
	r.want, r.forbid = compile("want", r.Want), compile("forbid", r.Forbid)
	if r.Do != "" {
		ps = append(ps, oneOf(n, "do", r.Do, "comment-out", "replace")...)
	}
	if (r.Do == "replace") != (r.By != "") {
		ps = append(ps, n.Problem("by says what a file is replaced with: it goes with do: replace"))
	}
	if r.Say == "" {
		ps = append(ps, n.Problem("say is missing: what such a line means"))
	}
	return r, ps
}

// Ask implements control.Asker.
func (r *fileLine) Ask() snap.Manifest { return snap.Manifest{Files: r.Paths} }

// Evaluate implements control.Rule.
func (r *fileLine) Evaluate(h *fact.Host) control.Outcome {
	var bad []control.Evidence
	unseen, seen := "", 0
	for _, p := range r.Paths {
		es, st, why := h.Snap.Glob(p)
		if st == fact.Denied || st == fact.Unknown {
			unseen = why
		}
		for _, e := range es {
			if _, st, why := h.Snap.File(e.Path); st != fact.Known {
				if st != fact.Absent {
					unseen = why
				}
				continue
			}
			seen++
			bad = append(bad, r.look(e)...)
		}
	}
	switch {
	case len(bad) > 0:
		o := control.Failed(fmt.Sprintf("%s %s", bad[0].Place, r.Say), bad...)
		o.Persistent = control.No
		return o
	case unseen != "":
		return control.CannotTell(needRoot(h, unseen))
	case seen == 0:
		return control.DoesNotApply("there is no " + strings.Join(r.Paths, ", "))
	}
	o := control.Passed("no line of " + strings.Join(r.Paths, ", ") + " " + r.Say)
	o.Persistent = control.Yes
	return o
}

func (r *fileLine) look(e *snap.Entry) []control.Evidence {
	var bad []control.Evidence
	has := make([]bool, len(r.want))
	for i, l := range strings.Split(strings.ToValidUTF8(string(e.Content), "\uFFFD"), "\n") {
		for j, re := range r.want {
			has[j] = has[j] || re.MatchString(l)
		}
		for _, re := range r.forbid {
			if re.MatchString(l) {
				bad = append(bad, control.Saw("line", fact.At(e.Path, i+1), r.show(l), "no such line"))
			}
		}
	}
	for j, ok := range has {
		if !ok {
			bad = append(bad, control.Saw("file", fact.Place{Path: e.Path}, "no such line", r.Want[j]))
		}
	}
	return bad
}

// show gives a line as evidence, cut to what fits on a screen.
func (r *fileLine) show(l string) string {
	if r.Secret {
		return "[not shown]"
	}
	l = strings.TrimSpace(l)
	if rs := []rune(l); len(rs) > 120 {
		l = string(rs[:120]) + "…"
	}
	return l
}
