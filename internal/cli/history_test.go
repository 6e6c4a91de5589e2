package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"picket/internal/core/plan"
	"picket/internal/harden"
	"picket/internal/ui"
)

func changes() []harden.Change {
	since := time.Date(2026, 11, 29, 7, 0, 0, 0, time.UTC)
	steps := []plan.Line{
		{Verb: "file", N: "001", Args: []string{"/etc/a", "0600", "0", "0", "-", "ab"}, Controls: []string{"ssh/x", "ssh/y"}},
		{Verb: "unit", N: "002", Args: []string{"ssh.service", "reload"}, Controls: []string{"ssh/x"}},
	}
	return []harden.Change{
		{ID: "20261129-070000", State: "applied", Since: since, Left: 70 * time.Second, Steps: steps, ToYou: []string{"a/b"}, Journal: []string{"2026-11-29T07:00:00Z 001 file \x1b[2J"}},
		{ID: "20261128-070000", State: "undone", Since: since.AddDate(0, 0, -1), Steps: steps[:1]},
	}
}

func TestHistoryText(t *testing.T) {
	p := &program{name: "picket", io: ui.IO{Out: &bytes.Buffer{}}, getenv: func(string) string { return "" }, now: fixedNow}
	for tx, want := range map[string]string{
		"": `20261129-070000  applied    2026-11-29 07:00 UTC  2 steps
                 ssh/x, ssh/y
                 goes back by itself in 1 minute and 10 seconds; to keep it:
                 picket confirm 20261129-070000 ssh://pi@leader
20261128-070000  undone     2026-11-28 07:00 UTC  1 step
                 ssh/x, ssh/y

What one changed: picket history 20261129-070000 ssh://pi@leader
`,
		"20261129-070000": `20261129-070000 · applied since 2026-11-29 07:00 UTC · 2 steps
                 goes back by itself in 1 minute and 10 seconds; to keep it:
                 picket confirm 20261129-070000 ssh://pi@leader

What it changed
  new file /etc/a
    for ssh/x, ssh/y
  reload ssh.service
    for ssh/x

What it left to you
  a/b

Journal of the host
  2026-11-29T07:00:00Z 001 file \u001b[2J

To take it back: picket rollback 20261129-070000 ssh://pi@leader
`,
	} {
		var b strings.Builder
		if err := p.historyText(&b, "ssh://pi@leader", tx, changes()); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(strings.Split(want, "\n"), strings.Split(b.String(), "\n")); d != "" {
			t.Errorf("- wanted, + got\n%s", d)
		}
	}
}

func TestHistorySchema(t *testing.T) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	schema, err := c.Compile("../../docs/history.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, all := range [][]harden.Change{nil, changes(), {{ID: "20261128-070000", State: "prepared", Steps: []plan.Line{{Verb: "act", Args: []string{"true"}}}}}} {
		var b bytes.Buffer
		if err := historyJSON(&b, "local", all); err != nil {
			t.Fatal(err)
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%v\n%s", err, b.String())
		}
		v.(map[string]any)["changes"] = append(v.(map[string]any)["changes"].([]any), map[string]any{"id": "x"})
		if schema.Validate(v) == nil {
			t.Error("the schema accepts a change of which nothing is told")
		}
	}
}
