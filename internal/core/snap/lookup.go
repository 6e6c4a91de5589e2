package snap

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Put adds an entry. One whose content was already asked for stays as it is:
// a later round that only wants metadata, or meets the file under another
// pattern, must not undo a redaction.
func (s *Snapshot) Put(e *Entry) {
	if old := s.Entries[e.Path]; old == nil || !old.Read && old.Denied == "" {
		s.Entries[e.Path] = e
	}
}

// Time is a file's time in seconds since 1970, kept within the years 1 to 9999
// that can be written: a file may claim any other.
func Time(sec int64) time.Time {
	return time.Unix(min(max(sec, -62135596800), 253402300799), 0).UTC()
}

// Refused is the reason recorded where the system did not let us look at p:
// what was missing and how to give it.
func Refused(p string, root bool) string {
	if root {
		return "the system refused even root to read " + p
	}
	return "run as root to read " + p
}

// Stat returns the metadata of a path. For State other than Known, why says
// what was missing.
func (s *Snapshot) Stat(p string) (e *Entry, st State, why string) {
	if e, ok := s.Entries[p]; ok {
		return e.whole(), Known, ""
	}
	if why := s.denial(p); why != "" {
		return nil, Denied, why
	}
	if s.covered(p) {
		return nil, Absent, "there is no " + p
	}
	return nil, Unknown, p + " was not read"
}

// whole is e, or what is known of a file that was not read to its end: what is
// missing may be what matters, and half of a file is not half of its meaning.
func (e *Entry) whole() *Entry {
	if !e.Cut {
		return e
	}
	seen := *e
	seen.Read, seen.Content = false, nil
	seen.Denied = cmp.Or(e.Denied, e.Path+" is longer than what was read")
	return &seen
}

// File returns a path whose content was read.
func (s *Snapshot) File(p string) (e *Entry, st State, why string) {
	e, st, why = s.Stat(p)
	if st != Known {
		return e, st, why
	}
	if e.Denied != "" {
		return e, Denied, e.Denied
	}
	if e.Type == Link {
		return e, Absent, p + " is a link that leads nowhere"
	}
	if !e.Read {
		if e.Type != File {
			return e, Absent, fmt.Sprintf("%s is a %s", p, e.Type)
		}
		return e, Unknown, p + " was not read"
	}
	return e, Known, ""
}

// Glob returns the entries that match a pattern, sorted by path. The state is
// Denied when a part of it could not be seen, Unknown when it was not asked;
// entries may come with either.
func (s *Snapshot) Glob(pattern string) (es []*Entry, st State, why string) {
	if !IsPattern(pattern) {
		e, st, why := s.Stat(pattern)
		if e != nil {
			es = append(es, e)
		}
		return es, st, why
	}
	prefix := pattern[:strings.IndexAny(pattern, `*?[\`)]
	paths := s.sorted()
	i, _ := slices.BinarySearch(paths, prefix)
	for ; i < len(paths) && strings.HasPrefix(paths[i], prefix); i++ {
		if Match(pattern, paths[i]) {
			es = append(es, s.Entries[paths[i]].whole())
		}
	}
	if why := s.denial(pattern); why != "" {
		return es, Denied, why
	}
	switch {
	case !s.covered(pattern):
		return es, Unknown, pattern + " was not read"
	case len(es) == 0:
		return nil, Absent, "there is no " + pattern
	}
	return es, Known, ""
}

// Paths of all entries, in order. They are not to be changed.
func (s *Snapshot) Paths() []string { return s.sorted() }

// sorted returns the paths of all entries in order. It is kept until entries
// are added; several readers at once may each make it, which is harmless.
func (s *Snapshot) sorted() []string {
	if kept := s.paths.Load(); kept != nil && len(*kept) == len(s.Entries) {
		return *kept
	}
	paths := make([]string, 0, len(s.Entries))
	for p := range s.Entries {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	s.paths.Store(&paths)
	return paths
}

// denial says why a part of what p means could not be seen, "" when nothing
// was hidden. What was asked in just these words has its own denials, p or
// paths within it; anything else may have been hidden by a wider or another
// pattern's. Of several reasons it is the one of the first key.
func (s *Snapshot) denial(p string) string {
	if why, ok := s.Denials[p]; ok {
		return why
	}
	hides := func(q string) bool { return overlap(q, p) || !IsPattern(q) && below(q, p) }
	if s.askedFiles[p] || s.askedStats[p] {
		hides = func(q string) bool { return within(p, q) }
	}
	first := ""
	for q := range s.Denials {
		if (first == "" || q < first) && hides(q) {
			first = q
		}
	}
	return s.Denials[first]
}

// covered reports whether all that p means, a path or a pattern, was within
// what was asked.
func (s *Snapshot) covered(p string) bool {
	if s.complete || s.askedFiles[p] || s.askedStats[p] {
		return true
	}
	return slices.ContainsFunc(s.wild[strings.Count(p, "/")], func(q string) bool { return within(q, p) })
}
