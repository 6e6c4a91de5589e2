package harden

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestAPathWaitsForItsTurn: the time of a path begins when it may be gone, however long those before it take; and one that was
// never gone does not hold.
func TestAPathWaitsForItsTurn(t *testing.T) {
	slot := make(chan struct{}, 1)
	var paths []Path
	for i := range 6 {
		paths = append(paths, Path{
			Name: fmt.Sprint(i), Takes: 150 * time.Millisecond,
			Turn: func(ctx context.Context) (func(), error) {
				select {
				case slot <- struct{}{}:
					return func() { <-slot }, nil
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			},
			Try: func(ctx context.Context) error {
				select {
				case <-time.After(50 * time.Millisecond):
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			},
		})
	}
	var said []string
	if ok := open(t.Context(), paths, func(line string) { said = append(said, line) }); len(ok) != len(paths) || len(said) != 0 {
		t.Errorf("%d of %d: %q", len(ok), len(paths), said)
	}
	slot <- struct{}{} // for ever
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if ok := open(ctx, paths, func(line string) { said = append(said, line) }); len(ok) != 0 || len(said) != len(paths) || !strings.Contains(said[0], "it was not tried: ") {
		t.Errorf("%d were never gone and hold: %q", len(ok), said)
	}
}

// TestOpenSaysWhatShowsNothing: no path is left out in silence.
func TestOpenSaysWhatShowsNothing(t *testing.T) {
	var said []string
	bad := func(context.Context) error { return errors.New("no answer") }
	ok := open(t.Context(), []Path{{Name: "good", Try: func(context.Context) error { return nil }}, {Name: "port 80", Try: bad}, {Name: "the check", Asks: true, Try: bad}}, func(line string) { said = append(said, line) })
	want := []string{"does not reach the host now, and shows nothing: port 80: no answer", "the check fails before anything is changed, so that it shows nothing: no answer"}
	if len(ok) != 1 || ok[0].Name != "good" || !slices.Equal(said, want) {
		t.Errorf("%d, %q", len(ok), said)
	}
}

// TestOnlyWhatFailedIsTriedAgain: what came through is not gone once more for another's sake.
func TestOnlyWhatFailedIsTriedAgain(t *testing.T) {
	good, bad := 0, 0
	gone := shut(t.Context(), []Path{
		{Name: "good", Try: func(context.Context) error { good++; return nil }},
		{Name: "slow", Unit: "a.service", Try: func(context.Context) error {
			if bad++; bad < 2 {
				return errors.New("not yet")
			}
			return nil
		}},
	})
	if len(gone) != 0 || good != 1 || bad != 2 {
		t.Errorf("%v after %d and %d tries", gone, good, bad)
	}
}
