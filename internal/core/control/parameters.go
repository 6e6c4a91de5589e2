package control

import (
	"slices"

	"picket/internal/core/yaml"
)

// A Baseline is what somebody else asks for where baselines disagree.
type Baseline struct {
	Who  string `yaml:"who"`
	Says string `yaml:"says"`
}

// parameters are a profile's own values for what a control wants: id → keys of
// the control's kind, and its title, fix and note where they say otherwise. A
// key replaces that of the control as a whole.
type parameters struct{ node *yaml.Node }

// DecodeYAML implements yaml.Decoder.
func (p *parameters) DecodeYAML(n *yaml.Node) yaml.Problems {
	p.node = n
	return nil
}

// with is the control judged by other values; the problems are at the places
// of those values.
func (c Control) with(values *yaml.Node) (Control, yaml.Problems) {
	own := struct {
		Title string `yaml:"title"`
		Fix   string `yaml:"fix"`
		Note  string `yaml:"note"`
	}{c.Title, c.Fix, c.Note}
	kinds := values.Without(yaml.Known(&own)...)
	if ps := values.Without(kinds.Keys()...).Decode(&own); len(ps) > 0 {
		return c, ps
	}
	c.Title, c.Fix, c.Note = own.Title, own.Fix, own.Note
	values = kinds
	for _, key := range values.Keys() {
		if c.params.Get(key) == nil {
			return c, yaml.Problems{values.Get(key).Problem("%s is no parameter of %s; it has: %s", key, c.ID, join(c.params.Keys()))}
		}
	}
	rule, ps := c.decode(c.params.With(values))
	if len(ps) > 0 {
		return c, yaml.Problems{values.Problem("%s: %s", c.ID, ps[0].Text)}
	}
	c.Rule = rule
	return c, nil
}

// tuned makes the profile's own versions of controls.
func (p *Profile) tune(all []Control) yaml.Problems {
	var ps yaml.Problems
	p.tuned = map[string]Control{}
	n := p.Parameters.node
	if n == nil {
		return nil
	}
	for _, id := range n.Keys() {
		i := slices.IndexFunc(all, func(c Control) bool { return c.ID == id })
		if i < 0 {
			ps = append(ps, n.Get(id).Problem("%v", Used(id, all)))
			continue
		}
		c, more := all[i].with(n.Get(id))
		if ps = append(ps, more...); len(more) > 0 {
			continue
		}
		if !p.Selects(c) {
			ps = append(ps, n.Get(id).Problem("the profile has parameters for %s and does not select it", id))
			continue
		}
		p.tuned[id] = c
	}
	return ps
}

// For is the control as the profile judges by it.
func (p Profile) For(c Control) Control {
	if t, ok := p.tuned[c.ID]; ok {
		return t
	}
	if p.base != nil {
		return p.base.For(c)
	}
	return c
}

// Tunes tells whether the profile has values of its own for a control.
func (p Profile) Tunes(id string) bool {
	_, ok := p.tuned[id]
	return ok
}
