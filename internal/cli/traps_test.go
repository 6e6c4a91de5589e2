package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTrapsTable: docs/traps.md has a row for each trap, and names tests that are there and that name it.
func TestTrapsTable(t *testing.T) {
	table, err := os.ReadFile("../../docs/traps.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("lab_*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range append(files, "../../lab/planted/traps.go", "../../lab/planted/engine.go") {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	for n := 1; n <= 22; n++ {
		row := regexp.MustCompile(fmt.Sprintf("(?m)^\\| T%d \\| ((?:`Test\\w+`(?:, )?)+) \\|", n)).FindStringSubmatch(string(table))
		if row == nil {
			t.Errorf("T%d has no row", n)
			continue
		}
		for _, name := range regexp.MustCompile(`Test\w+`).FindAllString(row[1], -1) {
			if !strings.Contains(all.String(), "func "+name+"(") {
				t.Errorf("T%d: there is no test %s", n, name)
			}
		}
		if !regexp.MustCompile(fmt.Sprintf(`\bT%d\b`, n)).MatchString(all.String()) {
			t.Errorf("no test on a booted host names T%d", n)
		}
	}
}
