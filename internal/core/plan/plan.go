package plan

import (
	"errors"
	"slices"
	"strings"

	"picket/internal/core/audit"
	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/pamauth"
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
	Ports   []Port // at which other hosts may reach them
	// Exposure is how systemd-analyze scores services, in tenths: those that the owner has made and those that others reach.
	Exposure map[string]int
	Opens    int    // port at which a new login has to work as well, as SSH moves there; 0 for none
	Mover    string // the control that has it move

	Judged  int        // how many controls were, those that do not apply here included
	Unknown []Unjudged // what could not be judged, so that nothing is done about it
}

// Unjudged is a control of which it is not known whether it holds.
type Unjudged struct {
	Control string `json:"control"`
	Reason  string `json:"reason"`
}

// NoChange is why a finding is left whose control has no fix.
const NoChange = "Picket has no change of its own for this"

// Waits is why nothing is done about what was done already.
const Waits = "it is set, and in force from the next start of the host on"

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
	Notes    []string      // what comes of it, where the edits do not show it
	Rest     string        // what of it is left to a person, where the rest is done
	Left     string        // why it is left to a person; "" where it is not
	Wanted   []string      // files that have to be read anew, whole, before something can be done about it
	ByHand   bool          // where it is left: a person can do it with the steps of Fix
	Fix      string        // the control's own words, filled in for the host
}

// Changes reports whether something is done about the finding.
func (i Item) Changes() bool { return len(i.Edits)+len(i.Steps) > 0 }

// CanFix reports whether Picket has a change for a control, should it not pass. What becomes of it on a host only a plan
// can tell.
func CanFix(c control.Control) bool {
	_, fixes := control.FixerOf(c.Rule)
	_, known := guards[c.Guard]
	l, ok := c.Rule.(control.Leaver)
	return fixes && (c.Guard == "" || known) && !(ok && l.OnlyLeaves())
}

// Options of Make. The zero value is that everything may be changed that Picket can change.
type Options struct {
	Leave  func(control.Control) string // why a finding is not to be touched, "" where it may be
	Policy change.Policy
	Tried  map[string]string // units that did not work with what was tried, and why
	Raw    map[string][]byte // files as they are, of those whose secrets were taken out of the snapshot
	Card   bool              // the host does not run: no login can prove what is done
	Peers  []string          // the accounts of those who have to come in as before, and are tried; "" is one not known yet
	// Clients are those of them of which it is known what they agree to.
	Clients []Client
}

// Make drafts what is to be done about the findings of a report. It depends on nothing but its arguments.
func Make(controls []control.Control, s *snap.Snapshot, r audit.Report, opt Options) Plan {
	h := fact.Parse(s)
	kept := map[string]string{}
	with := opt
	with.Leave = func(c control.Control) string {
		if why := kept[c.ID]; why != "" || opt.Leave == nil {
			return why
		}
		return opt.Leave(c)
	}
	for {
		p, d := draft(controls, h, r, with)
		left, more := writtenFirst(p), false
		why, of := keptOut(h, p, d, opt.Card)
		for _, id := range of {
			left[id] = why
		}
		for id, why := range left {
			if kept[id] == "" {
				kept[id], more = why, true
			}
		}
		if !more {
			return p
		}
	}
}

// writtenFirst are controls that wait, with why: what they change of the stacks of PAM a package of the same plan writes
// anew when it comes.
func writtenFirst(p Plan) map[string]string {
	left := map[string]string{}
	for _, s := range p.Steps {
		i := slices.IndexFunc(s.Args, func(name string) bool { return strings.HasPrefix(name, "libpam-") })
		if s.Verb != change.Install || i < 0 {
			continue
		}
		for _, item := range p.Items {
			if slices.ContainsFunc(item.Edits, func(e change.Edit) bool {
				return strings.HasPrefix(e.Path, "/etc/pam.d/common-") || strings.HasPrefix(e.Path, pamauth.Saved+"/")
			}) {
				left[item.Control] = s.Args[i] + " is installed first, and writes the same files: picket apply goes on with this when that is done"
			}
		}
	}
	return left
}

func draft(controls []control.Control, h *fact.Host, r audit.Report, opt Options) (Plan, *change.Draft) {
	s := h.Snap
	hide := func(p string, content []byte) []byte { return fact.Hide(s, p, content) }
	d := change.On(s, opt.Raw, opt.Policy).Hiding(hide).Trying(opt.Tried)
	p := Plan{Host: r.Host}
	p.Ways, p.Blind = ways(h)
	p.Running, p.Ports, p.Exposure = running(h), ports(h), exposure(h)
	for _, res := range r.Results {
		if res.Verdict == control.Unknown || res.Verdict == control.Error {
			p.Unknown = append(p.Unknown, Unjudged{res.Control, res.Reason})
		} else {
			p.Judged++
		}
		i := slices.IndexFunc(controls, func(c control.Control) bool { return c.ID == res.Control })
		if i < 0 {
			continue
		}
		c, reason := controls[i], res.Reason
		if !res.Finding() {
			if reason = ""; res.Verdict == control.Pass || res.Verdict == control.NotApplicable {
				reason = control.Undecided(c.Rule, h, opt.Policy)
			}
			if reason == "" {
				continue
			}
		}
		item := Item{Control: c.ID, Title: c.Title, Severity: c.Severity, Reason: reason, Risk: c.Risk, Fix: res.Fix}
		fixer, ok := control.FixerOf(c.Rule)
		check, known := guards[c.Guard]
		switch {
		case !ok:
			item.Left, item.ByHand = NoChange, true
		case c.Guard != "" && !known:
			item.Left, item.ByHand = "it could cost the way in, and Picket cannot prove yet that another is left", true
		case known:
			item.Left, item.Guard = check(h, opt)
		}
		if item.Left == "" && opt.Card {
			item.Left = unproven(c)
		}
		if item.Left == "" && opt.Leave != nil {
			item.Left = opt.Leave(c)
		}
		if item.Left == "" {
			edits, left, later, notes, rests := len(d.Edits()), len(d.Left()), len(d.Laters()), len(d.Notes()), len(d.Rests())
			if err := d.For(c.ID, func(d *change.Draft) error {
				err := fixer.Fix(h, d)
				item.Guard = proven(c.Guard, item.Guard, h, d, opt)
				addLoads(h, d, edits)
				for _, s := range d.Of(c.ID) {
					if why := d.Tried(s.Name); why != "" && s.Verb == change.Unit {
						d.Leave("%s: it was tried and taken back: %s", s.Name, why)
					}
				}
				return err
			}); err != nil {
				item.Left = because(err)
				item.Wanted = wanted(err)
			} else if all := d.Left(); len(all) > left {
				item.Left = all[left].Why
			}
			for _, l := range d.Laters()[later:] {
				item.Later = append(item.Later, l.Why)
			}
			for _, n := range d.Notes()[notes:] {
				item.Notes = append(item.Notes, n.Why)
			}
			for _, r := range d.Rests()[rests:] {
				item.Rest = r.Why
			}
			if item.Left == "" {
				item.Edits = shown(d, merged(d.Edits()[edits:]), hide)
				item.Steps = d.Of(c.ID)
			}
			if item.Left == "" && !item.Changes() {
				item.Left = "there is nothing to change: what is configured is right, and is not in force"
				if res.Persistent != nil && *res.Persistent {
					item.Left = Waits
				}
			}
			item.ByHand = item.Left != ""
		}
		p.Items = append(p.Items, item)
	}
	p.Steps = d.Steps()
	p.moved(d.Moved())
	return p, d
}

// merged makes one edit of those of one path.
func merged(edits []change.Edit) (out []change.Edit) {
	for _, e := range edits {
		i := slices.IndexFunc(out, func(o change.Edit) bool { return o.Path == e.Path })
		switch {
		case i < 0:
			out = append(out, e)
		case out[i].Before.Opaque == e.After.Opaque:
			out[i].After = e.After
		default: // of one of them the content is not known
			out = append(out, e)
		}
	}
	return out
}

func because(err error) string {
	var unread *change.Unread
	if errors.As(err, &unread) {
		return unread.Error()
	}
	return err.Error()
}
