package audit_test

import (
	"os"
	"path/filepath"
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

const controlsDir = "../../../catalogue/controls"

// TestCases judges every host of every control's .txtar.
func TestCases(t *testing.T) {
	leftout.OfRace(t)
	controls, problems := control.Load(catalogue.Controls(), kind.All())
	for _, p := range problems {
		t.Error(p)
	}
	for _, c := range controls {
		t.Run(c.ID, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(controlsDir, c.ID+".txtar"))
			if err != nil {
				t.Fatalf("a control needs its cases: %v", err)
			}
			list, err := cases.Parse(data)
			if err != nil {
				t.Fatal(err)
			}
			seen := map[control.Verdict]bool{}
			for _, tc := range list {
				seen[tc.Verdict] = true
				t.Run(strings.ReplaceAll(tc.Name, " ", "-"), func(t *testing.T) {
					for _, d := range tc.Check(audit.Outcome(c, fact.Parse(tc.Snapshot))) {
						t.Error(d)
					}
				})
			}
			if !seen[control.Pass] || !seen[control.Fail] && !seen[control.Ineffective] {
				t.Error("want at least one case that passes and one that fails")
			}
		})
	}
}
