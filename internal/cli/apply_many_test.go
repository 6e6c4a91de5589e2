package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"picket/internal/harden"
	"picket/internal/ui"
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

// TestRisksOfManyAreAskedFor: on several hosts no risk is accepted that nobody was asked for, also where the plan that is shown
// carries none: what it makes possible may.
func TestRisksOfManyAreAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		only  string
		types map[string]string // what is typed, after what is seen
		want  []string
	}{
		"nothing to ask": {"network", map[string]string{"so? (yes/no) ": "yes\n"}, nil},
		"accepted":       {"ssh", map[string]string{"Type lose-ssh": "lose-ssh\n", "so? (yes/no) ": "yes\n"}, []string{"lose-ssh"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := sitDown(t)
			h := deciding(t, ui.IO{In: w.slave, Out: w.slave, Err: w.slave}, applyOptions{})
			h.opt.only = []string{c.only}
			if err := h.choose(); err != nil {
				t.Fatal(err)
			}
			shot, r, err := h.look(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			one := &looked{shot: shot, r: r}
			done := make(chan error, 1)
			go func() { done <- h.p.decideAll(t.Context(), []*changed{h}, []*looked{one}, h.opt) }()
			for _, text := range []string{"Type lose-ssh", "so? (yes/no) "} {
				if c.types[text] != "" {
					w.sees(text, 1, c.types[text])
				}
			}
			if err := <-done; err != nil || !slices.Equal(h.accepted, c.want) {
				t.Errorf("%q is accepted, want %q; %v", h.accepted, c.want, err)
			}
			if len(one.made.Planned()) == 0 {
				t.Error("nothing is planned")
			}
		})
	}
}
