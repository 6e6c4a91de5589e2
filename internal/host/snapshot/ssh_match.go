package snapshot

import (
	"path"
	"strings"

	"picket/internal/core/snap"
)

// A matcher finds out quickly whether a path was asked for.
type matcher struct {
	literal map[string]bool
	wild    []wildcard
}

type wildcard struct{ before, pattern string }

func newMatcher(lists ...[]string) matcher {
	m := matcher{literal: map[string]bool{}}
	for _, l := range lists {
		for _, p := range l {
			if i := strings.IndexAny(p, `*?[\`); i >= 0 && snap.IsPattern(p) {
				m.wild = append(m.wild, wildcard{p[:i], p})
			} else {
				m.literal[p] = true
			}
		}
	}
	return m
}

func (m matcher) match(p string) bool {
	if !path.IsAbs(p) || path.Clean(p) != p || strings.ContainsRune(p, 0) {
		return false
	}
	if m.literal[p] {
		return true
	}
	for _, w := range m.wild {
		if strings.HasPrefix(p, w.before) && snap.Match(w.pattern, p) {
			return true
		}
	}
	return false
}
