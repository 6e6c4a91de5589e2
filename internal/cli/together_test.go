package cli

import (
	"io"
	"strings"
	"testing"

	"picket/internal/harden"
	"picket/internal/ui"
)

// TestTurns: who is changed alone and who together, and what is left alone when it does not hold.
func TestTurns(t *testing.T) {
	away, refused, back := harden.ErrAway, harden.ErrRefused, harden.ErrRolledBack
	for name, tc := range map[string]struct {
		hosts string // each with its turn
		first bool
		bad   map[string]error
		want  string // as they were begun, those at once with + between them
		done  string
	}{
		"one first":                    {"a0 b0 c0 d0", false, nil, "a b+c+d", "a b c d"},
		"two":                          {"a0 b0", false, nil, "a b", "a b"},
		"the first does not hold":      {"a0 b0 c0", false, map[string]error{"a": back}, "a", ""},
		"nor when it is not gone back": {"a0 b0 c0", false, map[string]error{"a": harden.ErrNotUndone}, "a", ""},
		"the first is away":            {"a0 b0 c0 d0", false, map[string]error{"a": away}, "a b c+d", "b c d"},
		"the first refuses":            {"a0 b0 c0 d0", false, map[string]error{"a": refused}, "a b c+d", "b c d"},
		"away, and then it fails":      {"a0 b0 c0", false, map[string]error{"a": away, "b": back}, "a b", ""},
		"one of the others fails":      {"a0 b0 c0 d0 e1", false, map[string]error{"c": back}, "a b+c+d e", "a b d e"},
		"the last of two fails":        {"a0 b0 e1", false, map[string]error{"b": back}, "a b e", "a e"},
		"the leader goes last":         {"a0 b0 c0 lead1", false, nil, "a b+c lead", "a b c lead"},
		"not when no worker holds":     {"a0 lead1", false, map[string]error{"a": back}, "a", ""},
		"the leader goes first":        {"lead0 a1 b1 c1", true, nil, "lead a b+c", "lead a b c"},
		"all build on it: it refuses":  {"lead0 a1 b1", true, map[string]error{"lead": refused}, "lead", ""},
		"all build on it: it is away":  {"lead0 a1 b1", true, map[string]error{"lead": away}, "lead", ""},
		"a worker is away":             {"lead0 a1 b1 c1 d1", true, map[string]error{"a": away, "d": refused}, "lead a b c+d", "lead b c"},
		"it does not hold on one":      {"lead0 a1 b1 c1", true, map[string]error{"a": back}, "lead a", "lead"},
	} {
		t.Run(name, func(t *testing.T) {
			var parts []part
			for _, w := range strings.Fields(tc.hosts) {
				n := len(w) - 1
				parts = append(parts, part{asked: &asked{target: w[:n]}, turn: int(w[n] - '0')})
			}
			p := &program{io: ui.IO{Err: io.Discard}}
			var begun []string
			done, errs := p.inTurns(t.Context(), parts, tc.first, func(one part) error {
				begun = append(begun, one.target)
				return tc.bad[one.target]
			}, func(some []part) (errs []error) {
				begun = append(begun, strings.Join(partHosts(some), "+"))
				for _, one := range some {
					errs = append(errs, tc.bad[one.target])
				}
				return errs
			})
			if got := strings.Join(begun, " "); got != tc.want {
				t.Errorf("begun %q, want %q", got, tc.want)
			}
			if got := strings.Join(targetsIn(done), " "); got != tc.done {
				t.Errorf("done %q, want %q", got, tc.done)
			}
			failed := 0
			for _, host := range strings.FieldsFunc(tc.want, func(r rune) bool { return r == ' ' || r == '+' }) {
				if tc.bad[host] != nil {
					failed++
				}
			}
			if len(errs) != failed {
				t.Errorf("told %q, want %d", errs, failed)
			}
		})
	}
}
