package plan

import (
	"slices"
	"strings"
	"testing"

	"picket/internal/core/cases"
	"picket/internal/core/change"
	"picket/internal/core/check"
	"picket/internal/core/fact"
)

// Whoever has no password that works keeps sudo without one.
func TestSudoKeepsWhoHasNoPassword(t *testing.T) {
	const hash, annLine = "$y$j9T$abcdefghijklmnopqrstuv$0123456789012345678901234567890123456789012", "ann:[yescrypt]:19700:0:99999:7:::"
	all := check.All()
	rule := all[slices.IndexFunc(all, func(c check.Check) bool { return c.Name == "sudo.nopasswd" })]
	for name, tc := range map[string]struct {
		shadow string
		left   bool
	}{"a password": {annLine, false}, "none": {"ann:!:19700:0:99999:7:::", true}} {
		text := strings.NewReplacer("BOB", "!", hash, "[yescrypt]", "SSHD", "", "ANN", "", "%sudo ALL=(ALL:ALL) ALL", "%sudo ALL=(ALL:ALL) NOPASSWD: ALL").Replace(guarded)
		list, err := cases.Parse([]byte(strings.Replace(text, annLine, tc.shadow, 1)))
		if err != nil {
			t.Fatal(err)
		}
		s := list[0].Snapshot
		d := change.On(s, nil, change.Policy{})
		if err := d.For("sudo/no-passwordless", func(d *change.Draft) error { return rule.Fix(fact.Parse(s), d) }); err != nil {
			t.Fatal(err)
		}
		if left := len(d.Left()) > 0; left != tc.left || left == (len(d.Edits()) > 0) {
			t.Errorf("%s: left %v, %d edits", name, d.Left(), len(d.Edits()))
		}
	}
}
