package fact

import "picket/internal/core/snap"

// State says how far a value is known.
type State = snap.State

// The states of a value.
const (
	Unknown = snap.Unknown
	Known   = snap.Known
	Absent  = snap.Absent
	Denied  = snap.Denied
)

// Place is where a value was found.
type Place = snap.Place

// At is the place of a line in a file.
func At(path string, line int) Place { return Place{Path: path, Line: line} }

// By is the place of a command's answer.
func By(argv ...string) Place { return Place{Command: snap.CommandKey(argv...)} }

// A Value is one fact: what it is, how far it is known, and where from.
type Value[T any] struct {
	V     T
	State State
	Place Place
	Why   string // for any state but Known: what was missing and how to give it
}

// Is makes a known value.
func Is[T any](v T, at Place) Value[T] { return Value[T]{V: v, State: Known, Place: at} }

// Not makes a value that is not known, with the reason.
func Not[T any](st State, why string) Value[T] { return Value[T]{State: st, Why: why} }

// Known reports whether V may be used.
func (v Value[T]) Known() bool { return v.State == Known }

// Missing reports that the value could not be read: neither known nor absent.
func (v Value[T]) Missing() bool { return v.State == Unknown || v.State == Denied }
