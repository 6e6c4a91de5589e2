package audit_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"picket/catalogue"
	"picket/internal/core/audit"
	"picket/internal/core/cases"
	"picket/internal/core/check"
	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/kind"
	"picket/lab/leftout"
)

// Places in a text, as /etc/passwd, ~/.ssh or `sshd -T`.
var (
	named = regexp.MustCompile("`[^`]+`|[~/][^ ,;()]+")
	home  = regexp.MustCompile(`^(/home/[^/]+|/root)/`)
)

// TestLooks holds what a check says that it looks at against the evidence that
// it gives in its cases: at least one place of each text must turn up there.
func TestLooks(t *testing.T) {
	leftout.OfRace(t)
	controls, _ := control.Load(catalogue.Controls(), kind.All())
	for _, c := range controls {
		ck, ok := c.Rule.(check.Check)
		if !ok {
			continue
		}
		t.Run(c.ID, func(t *testing.T) {
			if ck.Looks == "" || strings.HasSuffix(ck.Looks, ".") {
				t.Fatalf("what it looks at is %q, want a phrase without a full stop", ck.Looks)
			}
			names := named.FindAllString(ck.Looks, -1)
			if strings.Contains(ck.Looks, "on the host's own file systems") {
				return // anywhere
			}
			data, err := os.ReadFile(filepath.Join(controlsDir, c.ID+".txtar"))
			if err != nil {
				t.Fatal(err)
			}
			list, err := cases.Parse(data)
			if err != nil {
				t.Fatal(err)
			}
			var seen []string
			for _, tc := range list {
				for _, e := range audit.Outcome(c, fact.Parse(tc.Snapshot)).Evidence {
					place := home.ReplaceAllString(e.Place, "~/")
					for _, n := range names {
						if strings.HasPrefix(place, strings.TrimSuffix(n, "`")) || strings.HasPrefix(e.Place, n) {
							return
						}
					}
					seen = append(seen, e.Place)
				}
			}
			t.Errorf("it says that it looks at %q; its cases show %q", names, seen)
		})
	}
}
