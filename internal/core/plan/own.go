package plan

import (
	"picket/internal/core/audit"
	"picket/internal/core/change"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

// Own plans what the owner of a host asked for by name, which is no control's fix. A nil fix changes nothing: the plan
// then says who comes in.
func Own(name, title string, s *snap.Snapshot, raw map[string][]byte, fix func(*fact.Host, *change.Draft) error) (Plan, error) {
	h := fact.Parse(s)
	hide := func(p string, content []byte) []byte { return fact.Hide(s, p, content) }
	d := change.On(s, raw, change.Policy{}).Hiding(hide)
	p := Plan{Host: audit.HostOf(h)}
	p.Ways, p.Blind = ways(h)
	if fix == nil {
		return p, nil
	}
	item := Item{Control: name, Title: title}
	err := d.For(name, func(d *change.Draft) error { return fix(h, d) })
	switch {
	case err != nil && wanted(err) == nil:
		return p, err
	case err != nil:
		item.Left, item.Wanted = because(err), wanted(err)
	}
	item.Edits, item.Steps = shown(d, d.Edits(), hide), d.Of(name)
	p.Items, p.Steps = []Item{item}, d.Steps()
	return p, nil
}
