// Package leftout leaves tests out where a machine cannot run them, and tells
// the person who runs them.
package leftout

import (
	"fmt"
	"os"
	"testing"
)

// Skip leaves a test out, by name and with the reason.
//
// `go test ./...` hides what passing packages print. A person at a terminal is
// told all the same: the line goes to the terminal itself.
func Skip(t testing.TB, why string) {
	t.Helper()
	line := fmt.Sprintf("LEFT OUT %s: %s", t.Name(), why)
	if !testing.Verbose() {
		if tty, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0); err == nil {
			_, _ = fmt.Fprintln(tty, line)
			_ = tty.Close()
		}
	}
	t.Skip(line)
}

// Missing is Skip for what a machine lacks: with PICKET_LAB=require it has to be
// there, and the test fails.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("PICKET_LAB") == "require" {
		t.Fatalf("%s: %s (and PICKET_LAB=require)", t.Name(), what)
	}
	Skip(t, what)
}

// OfRace leaves a long test out under the race detector, which makes it many times as dear: nothing in it runs at the same time.
func OfRace(t testing.TB) {
	t.Helper()
	if race {
		t.Skip("nothing in it runs at the same time")
	}
}
