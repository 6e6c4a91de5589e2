package audit_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"picket/catalogue"
	"picket/internal/core/audit"
	"picket/internal/core/cases"
	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/kind"
	"picket/lab/leftout"
)

// TestImplicitPassesAreTold: where a setting may be right without being set,
// a pass says which of the two it is, and one that nothing sets says so in
// words too. Each such kind has a case of it.
func TestImplicitPassesAreTold(t *testing.T) {
	leftout.OfRace(t)
	tells := []string{"sshd-option", "sysctl", "file-setting", "pam-option", "kernel-module", "boot-param", "mount-option"}
	words := []string{"default", "no file sets", "nothing sets", "not set", "does not have", "kept out", "no line of fstab"}
	implicit := map[string]int{}
	controls, _ := control.Load(catalogue.Controls(), kind.All())
	for _, c := range controls {
		if !slices.Contains(tells, c.Kind) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(controlsDir, c.ID+".txtar"))
		if err != nil {
			t.Fatal(err)
		}
		list, err := cases.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		for _, tc := range list {
			o := audit.Outcome(c, fact.Parse(tc.Snapshot))
			if o.Verdict != control.Pass {
				continue
			}
			if o.Explicit == control.Untold {
				t.Errorf("%s, %q: a pass that does not say whether it is set", c.ID, tc.Name)
			}
			if o.Explicit != control.No {
				continue
			}
			implicit[c.Kind]++
			text := o.Reason
			for _, e := range o.Evidence {
				text += " " + e.Place + " " + e.Found
			}
			if !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) }) {
				t.Errorf("%s, %q: nothing sets it, and nobody is told: %s", c.ID, tc.Name, text)
			}
		}
	}
	for _, k := range tells {
		if implicit[k] == 0 && k != "kernel-module" { // a kernel without the modules has nothing to judge
			t.Errorf("no case of %s passes by a default", k)
		}
	}
}
