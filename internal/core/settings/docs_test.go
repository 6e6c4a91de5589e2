package settings

import (
	"os"
	"regexp"
	"testing"
)

// The examples of docs/settings.md are right.
func TestDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	all := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(doc, -1)
	if len(all) < 3 {
		t.Fatalf("%d examples", len(all))
	}
	for _, m := range all {
		var s Settings
		if ps := s.Merge("example", m[1]); len(ps) > 0 {
			t.Errorf("%v in\n%s", ps.Err(), m[1])
		}
	}
}
