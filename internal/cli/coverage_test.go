package cli_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"picket/catalogue"
	"picket/internal/core/control"
	"picket/internal/core/kind"
)

// TestCoverage holds docs/coverage.md to the catalogue: each row names controls
// that exist, or says why there is none.
func TestCoverage(t *testing.T) {
	text, err := os.ReadFile("../../docs/coverage.md")
	if err != nil {
		t.Fatal(err)
	}
	all, problems := control.Load(catalogue.Controls(), kind.All())
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, c := range all {
		known[c.ID] = true
	}
	named := regexp.MustCompile("`([a-z0-9-]+/[a-z0-9-]+)`")
	rows := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(f) != 3 || strings.HasPrefix(line, "|---") || strings.TrimSpace(f[0]) == "row" {
			continue
		}
		row, cell := strings.TrimSpace(f[0]), strings.TrimSpace(f[2])
		if rows[row] {
			t.Errorf("%s is there twice", row)
		}
		rows[row] = true
		ids := named.FindAllStringSubmatch(cell, -1)
		why, none := strings.CutPrefix(cell, "none: ")
		if len(ids) == 0 && (!none || len(why) < 20) {
			t.Errorf("%s has neither a control nor a reason: %q", row, cell)
		}
		for _, m := range ids {
			if !known[m[1]] {
				t.Errorf("%s names %s, which is no control", row, m[1])
			}
		}
	}
	if len(rows) < 267 {
		t.Errorf("only %d rows of 267", len(rows))
	}
}
