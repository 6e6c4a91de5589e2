package snapshot

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"picket/internal/core/snap"
)

// fill writes an answer into a snapshot. why says what cut it off; what did
// not come is then unknown, and never absent.
func (a *answer) fill(s *snap.Snapshot, why string) {
	root := s.Source.UID == 0
	refused := func(p string) string { return snap.Refused(p, root) }
	for p, dir := range a.denied {
		if snap.IsPattern(p) {
			s.Denials[p] = refused(dir + "/")
		} else {
			s.Denials[p] = refused(p)
		}
	}
	if !a.meta && why != "" {
		for _, p := range slices.Concat(a.m.Files, a.m.Stats) {
			s.Denials[p] = why
		}
	}
	for p, e := range a.lstat {
		if a.locked[p] {
			s.Denials[snap.Literal(p)] = refused(p)
			continue
		}
		e = a.entry(p, e)
		if a.files.match(p) && e.Type == snap.File {
			a.fillContent(e, why, refused)
		}
		s.Put(e)
	}
	for i, c := range a.m.Commands {
		o := a.outs[i]
		if o == nil {
			o = &snap.Output{Argv: c.Argv, Exit: -1, Err: cmp.Or(why, "it was not run")}
		} else if o.Err == unfinished && why != "" {
			o.Err = why
		}
		s.Commands[c.Key()] = o
	}
	if a.m.Walk != nil && s.Walk == nil {
		w := a.walk
		if w == nil {
			w = &snap.Walked{Roots: a.m.Walk.Roots, Err: cmp.Or(why, "it was not made")}
		}
		if w.Err == closedFolders && !root {
			w.Err = "run as root to see all: " + closedFolders
		}
		slices.SortFunc(w.Found, func(x, y snap.Entry) int { return strings.Compare(x.Path, y.Path) })
		s.Walk = w
	}
}

// entry puts together what is known of one path.
func (a *answer) entry(p string, l *snap.Entry) *snap.Entry {
	e := *l
	dir := path.Dir(p)
	if d := a.parent[dir]; path.IsAbs(d) {
		dir = d
	}
	real := path.Join(dir, path.Base(p))
	if l.Type == snap.Link {
		e.Target = a.target[p]
		real = p
		if st := a.stat[p]; st != nil {
			e.Type, e.Mode, e.UID, e.GID, e.Size, e.MTime = st.Type, st.Mode, st.UID, st.GID, st.Size, st.MTime
			if r := a.real[p]; path.IsAbs(r) {
				real = r
			}
		}
	}
	if real != p {
		e.Real = real
	}
	return &e
}

func (a *answer) fillContent(e *snap.Entry, why string, refused func(string) string) {
	b := a.body[e.Path]
	switch {
	case b != nil && b.err != "":
		e.Denied = b.err
	case b != nil:
		e.Content, e.Read, e.Cut = b.data, true, b.cut
		if madeUp(e.Real) && int64(len(e.Content)) == e.Size {
			// tar fills up what is shorter than it says.
			e.Content = []byte(strings.TrimRight(string(e.Content), "\x00"))
		}
	case a.unread[e.Path]:
		e.Denied = refused(e.Path)
	case a.content:
		e.Denied = fmt.Sprintf("read %s: it changed, or gave an error", e.Path)
	}
}

// madeUp tells the file systems whose files are not as long as they say.
func madeUp(p string) bool {
	return strings.HasPrefix(p, "/proc/") || strings.HasPrefix(p, "/sys/")
}
