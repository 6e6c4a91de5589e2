//go:build race

package audit_test

// every is which of the things that can be hidden are: the race detector makes each many times as dear, and finds nothing more in the others.
const every = 60
