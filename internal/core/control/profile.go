package control

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"picket/internal/core/yaml"
)

// A Profile selects controls: those of the profile that it extends, those of
// some severity or above and those named, less those excluded. A control exists
// once; profiles only choose.
type Profile struct {
	Name    string   // of its file
	Title   string   `yaml:"title"`
	Why     string   `yaml:"why"`
	AtLeast Severity `yaml:"at-least"` // every control of this severity or above; empty: none by that
	Include []string `yaml:"include"`  // ids or patterns: ssh/*, */root-*
	Exclude []string `yaml:"exclude"`
	Extends string   `yaml:"extends"` // another profile, which extends none

	Benchmark  Benchmark  `yaml:"benchmark"`  // or by the numbers of one
	Parameters parameters `yaml:"parameters"` // where baselines disagree: what this profile wants of a control

	tuned map[string]Control // by id, with Parameters
	base  *Profile
}

// Selects reports whether the profile holds a control.
func (p Profile) Selects(c Control) bool {
	severe := p.AtLeast != "" && c.Severity.Rank() >= p.AtLeast.Rank()
	return (severe || p.Inherits(c) || Match(p.Include, c.ID) || p.Benchmark.selects(c)) && !Match(p.Exclude, c.ID)
}

// Inherits reports whether the profile that this one extends holds a control.
func (p Profile) Inherits(c Control) bool { return p.base != nil && p.base.Selects(c) }

// Select returns the controls that the profile holds, in order and with its
// own parameters.
func (p Profile) Select(all []Control) []Control {
	var out []Control
	for _, c := range all {
		if p.Selects(c) {
			out = append(out, p.For(c))
		}
	}
	return out
}

// Filter keeps the controls whose id matches one of only (all, if empty) and
// none of skip. A pattern that matches nothing is an error: it is a slip.
func Filter(all []Control, only, skip []string) ([]Control, error) {
	for _, pattern := range slices.Concat(only, skip) {
		if err := Used(pattern, all); err != nil {
			return nil, err
		}
	}
	kept := slices.DeleteFunc(slices.Clone(all), func(c Control) bool {
		return len(only) > 0 && !Match(only, c.ID)
	})
	return Without(kept, skip), nil
}

// Without leaves out the controls that match one of skip.
func Without(all []Control, skip []string) []Control {
	return slices.DeleteFunc(slices.Clone(all), func(c Control) bool { return Match(skip, c.ID) })
}

// Used is nil if the pattern selects any control; else it says what may have
// been meant.
func Used(pattern string, all []Control) error {
	if slices.ContainsFunc(all, func(c Control) bool { return matches(pattern, c.ID) }) {
		return nil
	}
	var ids []string
	for _, c := range all {
		ids = append(ids, c.ID)
	}
	for _, c := range all {
		topic, _, _ := strings.Cut(c.ID, "/")
		if !slices.Contains(ids, topic) {
			ids = append(ids, topic)
		}
	}
	if near := yaml.Nearest(strings.ToLower(pattern), ids); near != "" {
		return fmt.Errorf("no control matches %q; did you mean %q?", pattern, near)
	}
	return fmt.Errorf("no control matches %q; `picket controls list` shows all", pattern)
}

// Match reports whether an id is one of these ids, topics or patterns.
func Match(patterns []string, id string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, id) })
}

// matches compares an id with a pattern; a topic alone, and *, stand for all
// controls below.
func matches(pattern, id string) bool {
	if pattern == "*" || strings.HasPrefix(id, strings.TrimSuffix(pattern, "/")+"/") {
		return true
	}
	ok, err := path.Match(pattern, id)
	return ok && err == nil
}

// Named finds a profile; the error says what may have been meant.
func Named(profiles []Profile, name string) (Profile, error) {
	var known []string
	for _, p := range profiles {
		if p.Name == name {
			return p, nil
		}
		known = append(known, p.Name)
	}
	if near := yaml.Nearest(name, known); near != "" {
		return Profile{}, fmt.Errorf("unknown profile %q; did you mean %q?", name, near)
	}
	return Profile{}, fmt.Errorf("unknown profile %q; one of: %s", name, strings.Join(known, ", "))
}

// LoadProfiles reads every *.yaml of fsys. A pattern that selects none of the
// controls is a problem.
func LoadProfiles(fsys fs.FS, all []Control) ([]Profile, yaml.Problems) {
	out, problems := yaml.Files(fsys, "*.yaml", func(file, name string, data []byte) (Profile, yaml.Problems) {
		return ParseProfile(file, name, data, all)
	})
	for i := range out {
		if err := out[i].Resolve(out); err != nil {
			problems = append(problems, yaml.Problem{File: out[i].Name + ".yaml", Text: err.Error()})
		}
	}
	return out, problems
}

// Resolve finds the profile that this one extends among others.
func (p *Profile) Resolve(profiles []Profile) error {
	if p.Extends == "" {
		return nil
	}
	base, err := Named(profiles, p.Extends)
	switch {
	case err != nil:
		return fmt.Errorf("extends: %w", err)
	case base.Extends != "":
		return fmt.Errorf("extends: %s extends another profile itself", base.Name)
	}
	p.base = &base
	return nil
}

// ParseProfile reads one profile over the controls that there are.
func ParseProfile(file, name string, data []byte, all []Control) (Profile, yaml.Problems) {
	p := Profile{Name: name}
	node, ps := yaml.Read(file, data)
	if len(ps) == 0 && node == nil {
		ps = yaml.Problems{{File: file, Text: "the file is empty"}}
	}
	if len(ps) == 0 {
		ps = node.Decode(&p)
	}
	if len(ps) == 0 {
		if p.AtLeast != "" && p.AtLeast.Rank() < 0 {
			ps = append(ps, node.Get("at-least").Problem("%s", unknownWord("severity", string(p.AtLeast), severityNames())))
		}
		for _, key := range []string{"include", "exclude"} {
			list := node.Get(key)
			if list == nil {
				continue
			}
			items, _ := list.Items()
			for _, it := range items {
				s, _ := it.Scalar()
				if err := Used(s, all); err != nil {
					ps = append(ps, it.Problem("%v", err))
				}
			}
		}
	}
	if len(ps) == 0 {
		ps = append(p.Benchmark.problems(node.Get("benchmark"), all), p.tune(all)...)
	}
	return p, ps
}
