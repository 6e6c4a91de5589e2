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

// A Leaver is a fixer that may be one that only says what a person has to type.
type Leaver interface {
	OnlyLeaves() bool
}

// A Decider is a fixer that has a host be as its owner has decided, too, where it passes by the rule already.
type Decider interface {
	// Decided says in what the host is not as the policy has it, "" where it is or nothing was decided.
	Decided(*fact.Host, change.Policy) string
}

// Undecided says in what a host that passes is not as its owner has decided.
func Undecided(r Rule, h *fact.Host, p change.Policy) string {
	d, ok := r.(Decider)
	if !ok {
		return ""
	}
	return d.Decided(h, p)
}
