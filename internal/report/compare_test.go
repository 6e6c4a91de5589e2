package report_test

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"picket/internal/core/audit"
	"picket/internal/report"
)

func TestCompareOutput(t *testing.T) {
	hosts := all(t)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	s, err := c.Compile("../../docs/compare.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for from, a := range hosts {
		for to, b := range hosts {
			cmp := audit.Compare(a, b)
			var doc bytes.Buffer
			if err := report.CompareJSON(&doc, cmp); err != nil {
				t.Fatal(err)
			}
			if err := s.Validate(decode(t, doc.Bytes())); err != nil {
				t.Errorf("%s to %s: %v", from, to, err)
			}
			if from == to && len(cmp.Changes) > 0 {
				t.Errorf("%s differs from itself: %+v", from, cmp.Changes[0])
			}
			if n := len(cmp.Changes) + cmp.Same; n < max(len(a.Results), len(b.Results)) {
				t.Errorf("%s to %s: %d of %d controls", from, to, n, len(b.Results))
			}
			words := write(t, func(w *bytes.Buffer) error { return report.Compare{Width: 80}.Write(w, cmp) })
			if n := strings.Count(words, "\n  low ") + strings.Count(words, "\n  medium ") + strings.Count(words, "\n  high ") + strings.Count(words, "\n  critical ") + told(words); n != len(cmp.Changes) {
				t.Errorf("%s to %s: %d changes are shown or counted of %d", from, to, n, len(cmp.Changes))
			}
			for _, ch := range cmp.Changes {
				if ch.Is != nil && ch.Is.Verdict.Bad() && !strings.Contains(words, " "+ch.Control+"\n") {
					t.Errorf("%s to %s: %s is bad and not shown", from, to, ch.Control)
				}
			}
		}
	}
}

// told adds up what is only counted: controls that are not bad where alone they were judged.
func told(words string) (n int) {
	for _, m := range regexp.MustCompile(`(?m)^  (\d+) controls?, not bad there`).FindAllStringSubmatch(words, -1) {
		one, _ := strconv.Atoi(m[1])
		n += one
	}
	return n
}
