package control

import (
	"picket/internal/core/change"
	"picket/internal/core/fact"
)

// A Fixer is a rule that can draft what makes a host right. It is asked only where
// its verdict is bad. What it cannot do it leaves to a person, see [change.Draft.Leave].
type Fixer interface {
	Fix(*fact.Host, *change.Draft) error
}

// FixerOf is the fixer of a rule, if it has one.
func FixerOf(r Rule) (Fixer, bool) {
	if m, ok := r.(interface{ Fixes() bool }); ok && !m.Fixes() {
		return nil, false
	}
	f, ok := r.(Fixer)
	return f, ok
}
