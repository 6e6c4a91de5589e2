// Package settings is the shape of picket.yaml.
package settings

import (
	"slices"
	"strings"
	"time"

	"picket/internal/core/audit"
	"picket/internal/core/control"
	"picket/internal/core/yaml"
)

// Settings of one run, merged from all files.
type Settings struct {
	Policy  Policy  `yaml:"policy"`
	Cluster Cluster `yaml:"cluster"`
}

// Policy says what is wanted of the hosts.
type Policy struct {
	Profile string           `yaml:"profile"` // name of a profile; empty: recommended
	FailOn  control.Severity `yaml:"fail-on"` // findings from here on are exit code 1; empty: high
	Skip    []string         `yaml:"skip"`    // controls left out altogether
	Waivers []Waiver         `yaml:"waivers"`

	SSH     SSH     `yaml:"ssh"`
	Ports   []Port  `yaml:"ports"` // that may be reached from other hosts
	Wifi    Wifi    `yaml:"wifi"`
	Updates Updates `yaml:"updates"`
	Sandbox Sandbox `yaml:"sandbox"`

	Services []OwnService `yaml:"services"`

	profileAt *yaml.Node
	skipAt    []*yaml.Node // one for each of Skip
}

// Waiver accepts a finding, with a reason and an end.
type Waiver struct {
	Control string `yaml:"control"`
	Reason  string `yaml:"reason"`
	Owner   string `yaml:"owner"`
	Until   Day    `yaml:"until"` // the last day on which it holds
	at      *yaml.Node
}

// Day is a date as in 2026-03-31.
type Day struct{ time.Time }

// DecodeYAML implements yaml.Decoder.
func (d *Day) DecodeYAML(n *yaml.Node) yaml.Problems {
	s, _ := n.Scalar()
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return yaml.Problems{n.Problem("want a date such as 2026-03-31, found %q", s)}
	}
	d.Time = t
	return nil
}

// Merge reads one more file into s; what it sets wins over what was there,
// key by key. Waivers add up.
func (s *Settings) Merge(file string, data []byte) yaml.Problems {
	node, ps := yaml.Read(file, data)
	if len(ps) > 0 || node == nil {
		return ps
	}
	next := *s
	next.Policy.Waivers = nil
	ps = node.Decode(&next)
	if f := next.Policy.FailOn; f != "" && f != "none" && f.Rank() < 0 {
		ps = append(ps, node.Get("policy").Get("fail-on").Problem("unknown severity %q; one of: low, medium, high, critical, none", f))
	}
	ps = append(ps, next.Policy.problems(node)...)
	ps = append(ps, next.Policy.decisions(node.Get("policy"))...)
	ps = append(ps, next.Cluster.problems(node.Get("cluster"))...)
	if at := node.Get("policy").Get("profile"); at != nil {
		next.Policy.profileAt = at
	}
	if at := node.Get("policy").Get("skip"); at != nil {
		next.Policy.skipAt, _ = at.Items()
	}
	if len(next.Policy.Waivers) > 0 {
		items, _ := node.Get("policy").Get("waivers").Items()
		for i := range min(len(items), len(next.Policy.Waivers)) {
			next.Policy.Waivers[i].at = items[i].Get("control")
		}
	}
	next.Policy.Waivers = slices.Concat(s.Policy.Waivers, next.Policy.Waivers)
	if len(ps) == 0 {
		*s = next
	}
	return ps
}

func (p Policy) problems(root *yaml.Node) yaml.Problems {
	if len(p.Waivers) == 0 {
		return nil
	}
	var ps yaml.Problems
	items, _ := root.Get("policy").Get("waivers").Items()
	if len(items) != len(p.Waivers) {
		return nil // not a list: told before
	}
	for i, w := range p.Waivers {
		for key, missing := range map[string]bool{
			"control": w.Control == "", "reason": strings.TrimSpace(w.Reason) == "",
			"owner": strings.TrimSpace(w.Owner) == "", "until": w.Until.IsZero() && items[i].Get("until") == nil, // a bad one was told before
		} {
			if missing {
				ps = append(ps, items[i].Problem("a waiver needs %q", key))
			}
		}
	}
	slices.SortFunc(ps, func(a, b yaml.Problem) int { return strings.Compare(a.Error(), b.Error()) })
	return ps
}

// Slips are what the policy names and is not there: a profile, a control to
// skip, and a control to waive, which would otherwise wait for ever.
func (p Policy) Slips(all []control.Control, profiles []control.Profile) yaml.Problems {
	var ps yaml.Problems
	if p.profileAt != nil {
		if _, err := control.Named(profiles, p.Profile); err != nil {
			ps = append(ps, p.profileAt.Problem("%s", err))
		}
	}
	for i, at := range p.skipAt {
		if err := control.Used(p.Skip[i], all); err != nil {
			ps = append(ps, at.Problem("%s", err))
		}
	}
	var ids []string
	for _, c := range all {
		ids = append(ids, c.ID)
	}
	for _, w := range p.Waivers {
		if w.at == nil || slices.Contains(ids, w.Control) {
			continue
		}
		text := "a waiver for %q, which is no control"
		if near := yaml.Nearest(w.Control, ids); near != "" {
			text += "; did you mean \"" + near + "\"?"
		}
		ps = append(ps, w.at.Problem(text, w.Control))
	}
	return ps
}

// Audit returns the waivers in the form of a report.
func (p Policy) Audit() []audit.Waiver {
	var out []audit.Waiver
	for _, w := range p.Waivers {
		out = append(out, audit.Waiver{Control: w.Control, Reason: w.Reason, Owner: w.Owner, Until: w.Until.AddDate(0, 0, 1)})
	}
	return out
}
