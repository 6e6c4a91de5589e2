package plan

import (
	"errors"
	"slices"

	"picket/internal/core/audit"
	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

// A Plan is what is to be done to one host, and what is left to a person.
type Plan struct {
	Host  audit.Host
	Items []Item        // the findings, the worst first
	Steps []change.Step // in the order in which they are taken
	Ways  []Way         // who comes in over SSH before
	Blind string        // why Ways is not known
	// Running are the services that run before, and the ports at which they are reached: "ssh.service",
	// "ssh.service at *:22/tcp".
	Running []string
}

// An Item is one finding: what is done about it, or why nothing is.
type Item struct {
	Control  string
	Title    string
	Severity control.Severity
	Reason   string        // why the host does not pass
	Risk     []string      // that has to be accepted by name
	Edits    []change.Edit // of files, in order; a path may be edited by several items
	Steps    []change.Step // besides those
	Guard    string        // what was checked before, and holds
	Later    []string      // after what it is in force, where it is not at once
	Left     string        // why it is left to a person; "" where it is not
}

// Changes reports whether something is done about the finding.
func (i Item) Changes() bool { return len(i.Edits)+len(i.Steps) > 0 }

// Options of Make. The zero value is that everything may be changed that Picket can change.
type Options struct {
	Leave  func(control.Control) string // why a finding is not to be touched, "" where it may be
	Policy change.Policy
	Raw    map[string][]byte // files as they are, of those whose secrets were taken out of the snapshot
}

// Make drafts what is to be done about the findings of a report. It depends on nothing but its arguments.
func Make(controls []control.Control, s *snap.Snapshot, r audit.Report, opt Options) Plan {
	h := fact.Parse(s)
	d := change.On(s, opt.Raw, opt.Policy)
	p := Plan{Host: r.Host}
	p.Ways, p.Blind = ways(h)
	p.Running = running(h)
	for _, res := range r.Results {
		i := slices.IndexFunc(controls, func(c control.Control) bool { return c.ID == res.Control })
		if !res.Finding() || i < 0 {
			continue
		}
		c := controls[i]
		item := Item{Control: c.ID, Title: c.Title, Severity: c.Severity, Reason: res.Reason, Risk: c.Risk}
		fixer, ok := control.FixerOf(c.Rule)
		check, known := guards[c.Guard]
		switch {
		case !ok:
			item.Left = "Picket has no change of its own for it"
		case c.Guard != "" && !known:
			item.Left = "it could cost the way in, and Picket cannot prove yet that another is left"
		case known:
			item.Left, item.Guard = check(h)
		}
		if item.Left == "" && opt.Leave != nil {
			item.Left = opt.Leave(c)
		}
		if item.Left == "" {
			edits, left, later := len(d.Edits()), len(d.Left()), len(d.Laters())
			if err := d.For(c.ID, func(d *change.Draft) error {
				err := fixer.Fix(h, d)
				item.Guard = proven(c.Guard, item.Guard, h, d)
				addLoads(h, d, edits)
				return err
			}); err != nil {
				item.Left = because(err)
			} else if all := d.Left(); len(all) > left {
				item.Left = all[left].Why
			}
			for _, l := range d.Laters()[later:] {
				item.Later = append(item.Later, l.Why)
			}
			item.Edits = slices.Clone(d.Edits()[edits:])
			item.Steps = d.Of(c.ID)
			if item.Left == "" && !item.Changes() {
				item.Left = "there is nothing to change: what is configured is right, and is not in force"
			}
		}
		p.Items = append(p.Items, item)
	}
	p.Steps = d.Steps()
	return p
}

func because(err error) string {
	var unread *change.Unread
	if errors.As(err, &unread) {
		return unread.Error()
	}
	return err.Error()
}
