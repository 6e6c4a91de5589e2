package change

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"picket/internal/core/snap"
)

// A Draft is a host as it would be: what was read of it, and over that what fixes
// have changed. A fix that fails leaves it as it was.
type Draft struct {
	snap    *snap.Snapshot
	raw     map[string][]byte
	policy  Policy
	now     map[string]Thing
	paths   []string // in the order in which they were first changed
	steps   []Step   // of all verbs but File
	asked   []Step   // the same, as each control wanted them
	edits   []Edit
	manual  []Cause
	laters  []Cause
	notes   []Cause
	rests   []Cause
	tried   map[string]string
	wanted  []string // paths that have to be read anew
	opens   int      // port at which SSH is to be reached from now on
	mover   string   // the control that does it
	shuts   []int    // ports at which it is not any more
	secret  []string // further paths whose content must not be shown
	hide    func(p string, content []byte) []byte
	control string
	worked  map[string]any // see Worked; as long as no file is changed
}

// On begins a draft of a host. raw are files as they are, of those that hold secrets.
func On(s *snap.Snapshot, raw map[string][]byte, p Policy) *Draft {
	return &Draft{snap: s, raw: raw, policy: p, now: map[string]Thing{}}
}

// Hiding has the draft's snapshot hold no secret either: hide replaces those of the files that were read anew.
func (d *Draft) Hiding(hide func(p string, content []byte) []byte) *Draft {
	d.hide, d.worked = hide, nil
	return d
}

// Hide says that a file of the draft holds secrets, as what comes from another does that was read anew.
func (d *Draft) Hide(p string) { d.secret, d.worked = append(d.secret, p), nil }

// Hidden reports whether a file holds secrets that must not be shown.
func (d *Draft) Hidden(p string) bool {
	_, raw := d.raw[p]
	return raw || slices.Contains(d.secret, p)
}

// Policy is what the owner has decided.
func (d *Draft) Policy() Policy { return d.policy }

// For has one control's fix work on the draft. When it fails, or leaves the control to
// a person, nothing that it did stays.
func (d *Draft) For(control string, fix func(*Draft) error) error {
	before := *d
	before.now = map[string]Thing{}
	for p, t := range d.now {
		before.now[p] = t
	}
	before.paths, before.steps, before.asked, before.edits = slices.Clone(d.paths), cloneSteps(d.steps), slices.Clone(d.asked), slices.Clone(d.edits)
	before.laters, before.notes, before.rests = slices.Clone(d.laters), slices.Clone(d.notes), slices.Clone(d.rests)
	manual, wanted := len(d.manual), len(d.wanted)
	d.control = control
	err := fix(d)
	if err != nil || len(d.manual) > manual {
		before.manual, before.wanted = d.manual, d.wanted
		*d = before
	} else if len(d.wanted) > wanted {
		err = errors.New("a fix went on without what it wanted to read")
	}
	d.control = ""
	return err
}

func cloneSteps(in []Step) []Step {
	out := slices.Clone(in)
	for i := range out {
		out[i].Controls, out[i].Args = slices.Clone(out[i].Controls), slices.Clone(out[i].Args)
	}
	return out
}

// Move has SSH be reached at another port, and no longer at others. It says so to who proves the change; the fix makes it.
func (d *Draft) Move(opens int, shuts ...int) { d.opens, d.shuts, d.mover = opens, shuts, d.control }

// Moved are the port at which SSH is reached from now on, 0 for none that is new, those at which it is not any more, and the
// control that does it.
func (d *Draft) Moved() (opens int, shuts []int, mover string) { return d.opens, d.shuts, d.mover }

// Leave says why a person has to do it.
func (d *Draft) Leave(format string, args ...any) {
	d.manual = append(d.manual, Cause{d.control, fmt.Sprintf(format, args...)})
}

// Later says that what is done is in force only after something else, such as the next start of the host.
func (d *Draft) Later(format string, args ...any) {
	c := Cause{d.control, fmt.Sprintf(format, args...)}
	if !slices.Contains(d.laters, c) {
		d.laters = append(d.laters, c)
	}
}

// Laters are what is in force later.
func (d *Draft) Laters() []Cause { return d.laters }

// Rest says what of a finding a person still has to do, where the rest of it is done: it stays a finding.
func (d *Draft) Rest(format string, args ...any) {
	d.rests = append(d.rests, Cause{d.control, fmt.Sprintf(format, args...)})
}

// Rests are what is left of findings of which something is done.
func (d *Draft) Rests() []Cause { return d.rests }

// Note says what comes of a change, where its files do not show it.
func (d *Draft) Note(format string, args ...any) {
	d.notes = append(d.notes, Cause{d.control, fmt.Sprintf(format, args...)})
}

// Notes are what comes of the changes.
func (d *Draft) Notes() []Cause { return d.notes }

// Trying says of units, by their names, that they did not work with what was tried, and why.
func (d *Draft) Trying(failed map[string]string) *Draft {
	d.tried = failed
	return d
}

// Tried is why a unit did not work with what was tried, "" where nothing was.
func (d *Draft) Tried(unit string) string { return d.tried[unit] }

// Left is what a person has to do.
func (d *Draft) Left() []Cause { return d.manual }

// Wanted are the files that have to be read anew, whole, before those fixes can work.
func (d *Draft) Wanted() []string { return d.wanted }

// Edits are the changes of files, each for one control, in order.
func (d *Draft) Edits() []Edit { return d.edits }

// At is what lies at a path in the draft. The error is an [Unread].
func (d *Draft) At(p string) (Thing, error) {
	is, err := d.outside(p)
	if err != nil || !is.Opaque {
		return is, err
	}
	e, st, why := d.snap.File(p)
	raw, again := d.raw[p]
	switch {
	case again:
		is.Content = raw
	case st == snap.Known && e.Redact && !e.Whole:
		if !slices.Contains(d.wanted, p) {
			d.wanted = append(d.wanted, p)
		}
		return Thing{}, &Unread{Path: p, Secret: true}
	case st != snap.Known:
		return Thing{}, &Unread{Path: p, Why: cmp.Or(why, "it was not read")}
	default:
		is.Content = e.Content
	}
	is.Opaque = false
	return is, nil
}

// outside is At where the content need not be known.
func (d *Draft) outside(p string) (Thing, error) {
	if t, ok := d.now[p]; ok {
		return t, nil
	}
	e, st, why := d.snap.Stat(p)
	switch {
	case st == snap.Absent:
		return Thing{}, nil
	case st != snap.Known:
		return Thing{}, &Unread{Path: p, Why: why}
	case e.Type == snap.Link || e.Target != "" || e.Real != "" && e.Real != p:
		return Thing{}, &Unread{Path: p, Why: "it is a link to " + e.Target}
	}
	return Thing{Type: e.Type, Mode: e.Mode, UID: e.UID, GID: e.GID, Opaque: e.Type == snap.File}, nil
}

// Edit changes a file's content; mode and owner stay. A file that is not there is made,
// root's, with this mode. What the edit returns unchanged is no change.
func (d *Draft) Edit(p string, mode uint32, edit func([]byte) ([]byte, error)) error {
	is, err := d.At(p)
	if err != nil {
		return err
	}
	if is.Type != "" && is.Type != snap.File {
		return &Unread{Path: p, Why: "it is no file"}
	}
	content, err := edit(is.Content)
	if err != nil {
		return fmt.Errorf("%s: %w", p, err)
	}
	if is.Type == snap.File && bytes.Equal(content, is.Content) {
		return nil
	}
	to := is
	if is.Type == "" {
		to = Thing{Type: snap.File, Mode: mode}
		if err := d.folder(path.Dir(p)); err != nil {
			return err
		}
	}
	to.Content = content
	d.set(p, is, to)
	return nil
}

// Covered says that what others have changed at a path makes this right as well.
func (d *Draft) Covered(p string) {
	if is, ok := d.now[p]; ok {
		d.edits = append(d.edits, Edit{Control: d.control, Path: p, Before: is, After: is})
	}
}

// folder makes the folders above a file that are not there, as packages make them. A step that makes a folder does
// nothing where it is there.
func (d *Draft) folder(dir string) error {
	if dir == "/" {
		return nil
	}
	switch is, err := d.outside(dir); {
	case is.Type == snap.Dir:
		return nil
	case err != nil:
		// It was not asked for; what lies in it tells as much.
		if slices.ContainsFunc(d.snap.Paths(), func(p string) bool { return strings.HasPrefix(p, dir+"/") }) {
			return nil
		}
		if _, st, _ := d.snap.Stat(dir); st != snap.Unknown {
			return err
		}
		// Whether it is there is not known: it is made if it is not.
	case is.Type != "":
		return &Unread{Path: dir, Why: "it is no folder"}
	}
	if err := d.folder(path.Dir(dir)); err != nil {
		return err
	}
	d.set(dir, Thing{}, Thing{Type: snap.Dir, Mode: 0o755})
	return nil
}

// Put has something lie at a path where nothing lies yet. The folder that it is in has to be there.
func (d *Draft) Put(p string, to Thing) error {
	is, err := d.outside(p)
	if err != nil {
		return err
	}
	if is.Type != "" {
		return fmt.Errorf("there is a %s already", p)
	}
	d.set(p, Thing{}, to)
	return nil
}

// Remove takes a file or link away.
func (d *Draft) Remove(p string) error {
	is, err := d.outside(p)
	if err != nil {
		return err
	}
	if is.Type == snap.Dir {
		return &Unread{Path: p, Why: "it is a folder"}
	}
	if is.Type != "" {
		d.set(p, is, Thing{})
	}
	return nil
}

// Permit sets mode and owner of what lies at a path. Content need not be known.
func (d *Draft) Permit(p string, mode uint32, uid, gid int) error {
	is, err := d.outside(p)
	if err != nil {
		return err
	}
	if is.Type == "" {
		return &Unread{Path: p, Why: "it is not there"}
	}
	to := is
	to.Mode, to.UID, to.GID = mode, uid, gid
	if !to.Same(is) {
		d.set(p, is, to)
	}
	return nil
}

func (d *Draft) set(p string, from, to Thing) {
	if _, ok := d.now[p]; !ok {
		d.paths = append(d.paths, p)
	}
	d.now[p], d.worked = to, nil
	d.edits = append(d.edits, Edit{Control: d.control, Path: p, Before: from, After: to})
}

// Do adds a step of any verb but File. One that is there already is not added again; the
// packages of all go into one.
func (d *Draft) Do(v Verb, name string, args ...string) {
	d.asked = append(d.asked, Step{Verb: v, Name: name, Args: slices.Clone(args), Controls: []string{d.control}})
	for i, s := range d.steps {
		if s.Verb != v || s.Name != name || v != Install && v != Remove && v != Unit && !slices.Equal(s.Args, args) {
			continue
		}
		for _, a := range args {
			if !slices.Contains(s.Args, a) {
				d.steps[i].Args = append(d.steps[i].Args, a)
			}
		}
		if !slices.Contains(s.Controls, d.control) {
			d.steps[i].Controls = append(s.Controls, d.control)
		}
		return
	}
	d.steps = append(d.steps, Step{Verb: v, Name: name, Args: slices.Clone(args), Controls: []string{d.control}})
}

// Steps are what is to be done, in order. A path that several controls change is
// changed once.
func (d *Draft) Steps() []Step {
	steps := cloneSteps(d.steps)
	for _, p := range d.paths {
		s := Step{Verb: File, Name: p, After: d.now[p]}
		first := true
		for _, e := range d.edits {
			if e.Path != p {
				continue
			}
			if first {
				s.Before, first = e.Before, false
			}
			if !slices.Contains(s.Controls, e.Control) {
				s.Controls = append(s.Controls, e.Control)
			}
		}
		if s.Before.Opaque && !s.After.Opaque && s.After.Type == snap.File { // its mode was set before its content
			s.Before.Content, s.Before.Opaque = d.base(p), false
		}
		if !s.Before.Same(s.After) {
			steps = append(steps, s)
		}
	}
	slices.SortStableFunc(steps, func(a, b Step) int {
		return slices.Index(verbs, a.Verb) - slices.Index(verbs, b.Verb)
	})
	return steps
}

// Snapshot is the host as it would be: another snapshot, with the files of the draft.
func (d *Draft) Snapshot() *snap.Snapshot {
	s := d.snap.Clone()
	for p, t := range d.now {
		if t.Type == "" {
			delete(s.Entries, p)
			continue
		}
		e := &snap.Entry{Path: p}
		if was, ok := s.Entries[p]; ok {
			*e = *was
		}
		e.Type, e.Mode, e.UID, e.GID, e.Target = t.Type, t.Mode, t.UID, t.GID, t.Target
		if t.Type == snap.File && !t.Opaque {
			e.Content, e.Size, e.Read = t.Content, int64(len(t.Content)), true
			if d.hide != nil && d.Hidden(p) {
				e.Content, e.Redact = d.hide(p, t.Content), true
			}
		}
		delete(s.Entries, p)
		s.Put(e)
	}
	return s
}

// ByFiles is that snapshot as a host would be told by its files alone: what its sshd was asked before does not count.
func (d *Draft) ByFiles() *snap.Snapshot {
	s := d.Snapshot()
	for key, o := range s.Commands {
		if len(o.Argv) > 0 && strings.HasSuffix(o.Argv[0], "sshd") {
			delete(s.Commands, key)
		}
	}
	s.Source.Kind = "image"
	return s
}

// Worked is what is worked out of a draft as it stands, under a name: once, until a file of it is changed.
func Worked[T any](d *Draft, name string, work func() T) T {
	if v, ok := d.worked[name].(T); ok {
		return v
	}
	v := work()
	if d.worked == nil {
		d.worked = map[string]any{}
	}
	d.worked[name] = v
	return v
}

// base is a file's content before anything was changed.
func (d *Draft) base(p string) []byte {
	if raw, ok := d.raw[p]; ok {
		return raw
	}
	e, _, _ := d.snap.File(p)
	return e.Content
}

// Of are the steps of any verb but File that one control wants.
func (d *Draft) Of(control string) (out []Step) {
	for _, s := range d.asked {
		if s.Controls[0] == control {
			out = append(out, s)
		}
	}
	return out
}

// Touches reports whether a path that begins with a prefix is changed.
func (d *Draft) Touches(prefix string) bool {
	return slices.ContainsFunc(d.paths, func(p string) bool { return strings.HasPrefix(p, prefix) })
}
