package cli

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"picket/internal/harden"
)

// TestApplyManyIsTold: what is wrong with a command for several hosts is said before any of them is asked.
func TestApplyManyIsTold(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"--peer is for one target":               {"apply", "two", "--yes", "--peer", "ssh://a@b"},
		"--wave 0: want a number above zero":     {"apply", "two", "--yes", "--wave", "0"},
		"--canary c: it is none of the targets":  {"apply", "two", "--yes", "--canary", "c"},
		"image:/mnt is changed by itself":        {"apply", "a", "image:/mnt", "--yes"},
		`no node, group or role is called "tow"`: {"apply", "a", "tow", "--yes"},
		"image:/mnt is taken back by itself":     {"rollback", "20261129-070000", "a", "image:/mnt"},
	} {
		if out, errs, code := onNodes(t, args...); code != ExitUsage || !strings.Contains(errs, want) || out != "" {
			t.Errorf("%q: exit code %d, %s%s", args, code, out, errs)
		}
	}
	// The hosts of this test are this machine, which no test changes.
	for _, args := range [][]string{{"apply", "two", "--yes"}, {"apply", "a", "--yes"}, {"rollback", "20261129-070000", "a", "b"}} {
		if out, errs, code := onNodes(t, args...); code != ExitUsage || !strings.Contains(errs, "PICKET_NO_LOCAL is set, and a is this machine") || out != "" {
			t.Errorf("%q: exit code %d, %s%s", args, code, out, errs)
		}
	}
}

// TestStops: a change that did not hold ends the waves; a host that is away does not.
func TestStops(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{fmt.Errorf("why: %w", harden.ErrRolledBack), true},
		{fmt.Errorf("why: %w", harden.ErrNotUndone), true},
		{fmt.Errorf("why: %w: %w", harden.ErrAway, harden.ErrNotUndone), false},
		{fmt.Errorf("why: %w", harden.ErrRefused), false},
		{errors.New("no connection"), false},
	} {
		if got := stops(c.err); got != c.want {
			t.Errorf("%v stops: %v", c.err, got)
		}
	}
}
