package plan

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/snap"
)

// Planned are the controls whose findings a plan does something about.
func (p Plan) Planned() (ids []string) {
	for _, i := range p.Items {
		if i.Changes() {
			ids = append(ids, i.Control)
		}
	}
	return ids
}

// Changed says which of the paths that a plan changes are not any more what they were when it was made.
func (p Plan) Changed(now *snap.Snapshot) (out []string) {
	for _, s := range p.Steps {
		if s.Verb != change.File {
			continue
		}
		if how := another(s.Before, now, s.Name); how != "" {
			out = append(out, s.Name+": "+how)
		}
	}
	return out
}

// another says how what lies at a path differs from what lay there, "" if it does not.
func another(was change.Thing, now *snap.Snapshot, p string) string {
	e, st, why := now.Stat(p)
	switch {
	case st == snap.Absent && was.Type == "":
		return ""
	case st == snap.Absent:
		return "it is gone"
	case st != snap.Known:
		return "it cannot be read: " + why
	case was.Type == "":
		return "it was not there, and is now"
	case e.Type != was.Type || e.Target != was.Target:
		return fmt.Sprintf("it was a %s, and is not", was.Type)
	case e.Mode != was.Mode:
		return fmt.Sprintf("its mode was %04o, and is %04o", was.Mode, e.Mode)
	case e.UID != was.UID || e.GID != was.GID:
		return fmt.Sprintf("its owner was %d:%d, and is %d:%d", was.UID, was.GID, e.UID, e.GID)
	case was.Type != snap.File || was.Opaque:
		return ""
	}
	f, st, why := now.File(p)
	switch {
	case st != snap.Known:
		return "it cannot be read: " + why
	case !bytes.Equal(f.Content, was.Content):
		return "its content is another"
	}
	return ""
}

// Differs says in what a new plan of the same host and the same controls differs from this one, as far as something is
// done to the host. Who comes in over SSH and what was checked is not compared: the new plan was checked itself.
func (p Plan) Differs(fresh Plan) (out []string) {
	for _, i := range p.Items {
		if !i.Changes() {
			continue
		}
		n := slices.IndexFunc(fresh.Items, func(f Item) bool { return f.Control == i.Control })
		switch {
		case n < 0:
			out = append(out, i.Control+" is no finding any more")
		case !fresh.Items[n].Changes():
			out = append(out, i.Control+" would be left to you now: "+fresh.Items[n].Left)
		case !slices.Equal(i.Risk, fresh.Items[n].Risk):
			out = append(out, fmt.Sprintf("%s could cost something else now: %s", i.Control, strings.Join(fresh.Items[n].Risk, ", ")))
		case !slices.EqualFunc(i.Edits, fresh.Items[n].Edits, sameEdit) || !slices.EqualFunc(i.Steps, fresh.Items[n].Steps, sameStep):
			out = append(out, i.Control+" would be changed in another way")
		}
	}
	for _, s := range p.Steps {
		n := slices.IndexFunc(fresh.Steps, func(f change.Step) bool { return f.Verb == s.Verb && f.Name == s.Name })
		switch {
		case n < 0:
			out = append(out, "it would not any more: "+words(s))
		case !slices.ContainsFunc(fresh.Steps, func(f change.Step) bool { return sameStep(s, f) }):
			out = append(out, "it would otherwise: "+words(s))
		}
	}
	for _, f := range fresh.Steps {
		if !slices.ContainsFunc(p.Steps, func(s change.Step) bool { return f.Verb == s.Verb && f.Name == s.Name }) {
			out = append(out, "it would also: "+words(f))
		}
	}
	if len(out) == 0 && !slices.EqualFunc(p.Steps, fresh.Steps, sameStep) {
		out = append(out, "its steps would be taken in another order, or more often")
	}
	return out
}

func sameEdit(a, b change.Edit) bool {
	return a.Path == b.Path && a.Before.Same(b.Before) && a.After.Same(b.After)
}

func sameStep(a, b change.Step) bool {
	return a.Verb == b.Verb && a.Name == b.Name && slices.Equal(a.Args, b.Args) && a.Before.Same(b.Before) && a.After.Same(b.After)
}

// words are a step in one line.
func words(s change.Step) string {
	if s.Verb == change.File {
		return "change " + s.Name
	}
	return strings.Join(append([]string{string(s.Verb), s.Name}, s.Args...), " ")
}
