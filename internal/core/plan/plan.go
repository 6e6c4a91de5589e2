package plan

import (
	"errors"
	"fmt"
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
	Told     []string      // what people have to do because of it, and by when
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
	return fixes && (c.Guard == "" || known)
}

// Options of Make. The zero value is that everything may be changed that Picket can change.
type Options struct {
	Leave  func(control.Control) string // why a finding is not to be touched, "" where it may be
	Policy change.Policy
	Raw    map[string][]byte // files as they are, of those whose secrets were taken out of the snapshot
}

// Make drafts what is to be done about the findings of a report. It depends on nothing but its arguments.
func Make(controls []control.Control, s *snap.Snapshot, r audit.Report, opt Options) Plan {
	h := fact.Parse(s)
	p, d := draft(controls, h, r, opt)
	left := writtenFirst(p)
	if why, of := keptOut(h, p, d); why != "" {
		for _, c := range of {
			left[c] = why
		}
	}
	if len(left) == 0 {
		return p
	}
	with := opt
	with.Leave = func(c control.Control) string {
		if why := left[c.ID]; why != "" || opt.Leave == nil {
			return why
		}
		return opt.Leave(c)
	}
	p, _ = draft(controls, h, r, with)
	return p
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

// keptOut says whom sshd would not let in any more when it reads its files, and which controls have it do so. The files
// may hold what nobody has loaded yet; going back would not take that out again.
func keptOut(h *fact.Host, p Plan, d *change.Draft) (why string, controls []string) {
	for _, i := range p.Items {
		if slices.ContainsFunc(i.Steps, func(s change.Step) bool { return s.Verb == change.Unit && s.Name == "ssh.service" }) {
			controls = append(controls, i.Control)
		}
	}
	if len(controls) == 0 {
		return "", nil
	}
	if changed := h.SSHD.Changed(h.Snap); len(changed) > 0 {
		return fmt.Sprintf("%s was changed after sshd last read its files; a reload would bring that into force, and could not be taken back. Load it first, while you are logged in: sudo sshd -t && sudo systemctl reload ssh", changed[0]), controls
	}
	if p.Blind != "" {
		return "", nil
	}
	then, blind := ways(fact.Parse(d.ByFiles()))
	if blind != "" {
		return "", nil // the new login decides
	}
	out := LockedOut(p.Ways, then)
	if user := loggedIn(h.Snap.Source); user != "" && !slices.ContainsFunc(then, func(w Way) bool { return w.User == user }) && !slices.Contains(out, user) {
		out = append(out, user) // who is in now, so that the running sshd does not say so
	}
	if len(out) > 0 {
		return fmt.Sprintf("sshd would read its files as they are, and these keep %s out: mend AllowUsers, AllowGroups, the Match lines or the keys first, in /etc/ssh", strings.Join(out, ", ")), controls
	}
	return "", nil
}

// loggedIn is who took the snapshot over SSH, "" where that is not known.
func loggedIn(s snap.Source) string {
	rest, ssh := strings.CutPrefix(s.Target, "ssh://")
	user, _, named := strings.Cut(rest, "@")
	if s.Kind != "ssh" || !ssh || !named {
		return ""
	}
	return user
}

func draft(controls []control.Control, h *fact.Host, r audit.Report, opt Options) (Plan, *change.Draft) {
	s := h.Snap
	hide := func(p string, content []byte) []byte { return fact.Hide(s, p, content) }
	d := change.On(s, opt.Raw, opt.Policy).Hiding(hide)
	p := Plan{Host: r.Host}
	p.Ways, p.Blind = ways(h)
	p.Running, p.Ports = running(h), ports(h)
	for _, res := range r.Results {
		if res.Verdict == control.Unknown || res.Verdict == control.Error {
			p.Unknown = append(p.Unknown, Unjudged{res.Control, res.Reason})
		} else {
			p.Judged++
		}
		i := slices.IndexFunc(controls, func(c control.Control) bool { return c.ID == res.Control })
		if !res.Finding() || i < 0 {
			continue
		}
		c := controls[i]
		item := Item{Control: c.ID, Title: c.Title, Severity: c.Severity, Reason: res.Reason, Risk: c.Risk, Fix: res.Fix}
		fixer, ok := control.FixerOf(c.Rule)
		check, known := guards[c.Guard]
		switch {
		case !ok:
			item.Left, item.ByHand = NoChange, true
		case c.Guard != "" && !known:
			item.Left, item.ByHand = "it could cost the way in, and Picket cannot prove yet that another is left", true
		case known:
			item.Left, item.Guard = check(h)
		}
		if item.Left == "" && opt.Leave != nil {
			item.Left = opt.Leave(c)
		}
		if item.Left == "" {
			edits, left, later, told := len(d.Edits()), len(d.Left()), len(d.Laters()), len(d.Told())
			if err := d.For(c.ID, func(d *change.Draft) error {
				err := fixer.Fix(h, d)
				item.Guard = proven(c.Guard, item.Guard, h, d)
				addLoads(h, d, edits)
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
			for _, t := range d.Told()[told:] {
				item.Told = append(item.Told, t.Why)
			}
			if item.Left == "" {
				item.Edits = shown(d, merged(d.Edits()[edits:]), hide)
				item.Steps = d.Of(c.ID)
			}
			if item.Left == "" && !item.Changes() {
				item.Left = "there is nothing to change: what is configured is right, and is not in force"
				if res.Persistent != nil && *res.Persistent {
					item.Left = "it is set, and in force from the next start of the host on"
				}
			}
			item.ByHand = item.Left != ""
		}
		p.Items = append(p.Items, item)
	}
	p.Steps = d.Steps()
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
