package report_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"

	"picket/catalogue"
	"picket/internal/core/audit"
	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/kind"
	"picket/internal/core/plan"
	"picket/internal/core/snap"
	"picket/internal/host/snapshot"
	"picket/internal/report"
)

// planned is a plan with something of each kind.
func planned() plan.Saved {
	file := func(content string, mode uint32) change.Thing {
		return change.Thing{Type: snap.File, Mode: mode, Content: []byte(content)}
	}
	edit := change.Edit{Control: "ssh/x", Path: "/etc/x.conf", Before: file("a:\n  b: 1\n", 0o644), After: file("a:\n  b: 2\n", 0o600)}
	of := []string{"ssh/x"}
	kernel := change.Step{Verb: change.Sysctl, Name: "net/a", Args: []string{"1"}, Controls: of}
	check := change.Step{Verb: change.Check, Name: "sshd -t", Controls: of}
	stop := change.Step{Verb: change.Unit, Name: "a.service", Args: []string{"disable", "stop"}, Controls: of}
	return plan.Saved{Picket: "test", Made: time.Unix(1800000000, 0), Taken: time.Unix(1800000000, 0), Profile: "recommended", Identity: plan.Identity{HostKeys: []string{"SHA256:x"}},
		Plan: plan.Plan{
			Host: audit.Host{Name: "leader", OS: "Debian GNU/Linux 12 (bookworm)", Target: "local", Via: "local", Root: true},
			Ways: []plan.Way{{User: "pi"}},
			Items: []plan.Item{
				{Control: "ssh/x", Title: "SSH does x", Severity: control.High, Reason: "it does y", Risk: []string{"lose-ssh"}, Guard: "pi has a key",
					Edits: []change.Edit{edit, {Control: "ssh/x", Path: "/etc/old", Before: file("", 0o644)}, {Control: "ssh/x", Path: "/etc/d", After: change.Thing{Type: snap.Dir, Mode: 0o755}}},
					Steps: []change.Step{kernel, check, stop}},
				{Control: "a/one", Title: "One", Severity: control.High, Reason: "it is two", Left: plan.NoChange, ByHand: true, Fix: "sudo one\nsudo two\nThen look at it.\n"},
				{Control: "a/two", Title: "Two", Severity: control.Medium, Left: "ada would be locked out: give her a key"},
				{Control: "a/three", Title: "Three", Severity: control.Low, Left: plan.NoChange, ByHand: true, Fix: "First look whether anything needs it.\n"},
			},
			Steps:   []change.Step{{Verb: change.File, Name: "/etc/x.conf", Before: edit.Before, After: edit.After, Controls: of}, check, kernel, stop},
			Unknown: []plan.Unjudged{{Control: "b/dark", Reason: "/etc/dark was not read"}},
		}}
}

// TestPlanText holds the plan to what it shows in 60 columns.
func TestPlanText(t *testing.T) {
	const want = `leader · Debian GNU/Linux 12 (bookworm)
4 findings: 1 by 4 steps, 3 left to you

HIGH      ssh/x
          SSH does x
          /etc/x.conf: mode 0644 becomes 0600
  @@ -1,2 +1,2 @@
   a:
  -  b: 1
  +  b: 2
          remove /etc/old
          the folder /etc/d, made if it is not there
          disable, stop a.service
          and at once, in the running kernel:
            net.a = 1
          checked: pi has a key
          risk: you could lock yourself out of SSH: keep
            this session open, and try a second login before
            you end it

Then, once
  ` + "`sshd -t`" + ` has to agree, or all goes back

Left to you

Picket has no change of its own for this:
HIGH      a/one
          it is two
            sudo one
            sudo two
            and more: picket explain a/one
LOW       a/three
          Three
            picket explain a/three

ada would be locked out: give her a key:
MEDIUM    a/two
          Two

Could not be judged, so nothing is done about it
  b/dark: /etc/dark was not read

Next: sudo picket apply  # does it
`
	var b strings.Builder
	if err := (report.Plan{Width: 60, Next: []report.Hint{{Command: "sudo picket apply", Does: "does it"}}}).Write(&b, planned().Plan); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(want, "\n"), strings.Split(b.String(), "\n")); d != "" {
		t.Errorf("- wanted, + got\n%s", d)
	}
	// In a long list, what is only good order has no commands.
	p := planned().Plan
	for range 12 {
		p.Items = append(p.Items, plan.Item{Control: "c/low", Title: "Low", Severity: control.Low, Left: plan.NoChange, ByHand: true, Fix: "sudo low\n"})
	}
	b.Reset()
	if err := (report.Plan{Width: 80}).Write(&b, p); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "sudo low") || !strings.Contains(b.String(), "sudo one") {
		t.Errorf("the commands of a long list:\n%s", b.String())
	}
}

// TestPlanIsClean: what comes from a host neither steers the terminal nor makes lines or markup of its own.
func TestPlanIsClean(t *testing.T) {
	s := planned()
	i := &s.Plan.Items[0]
	const evil = "\x1b[2J\nLeft to you <script>alert(1)</script> ```\n# Title"
	i.Reason, i.Guard, s.Plan.Host.Name, s.Plan.Items[2].Left = evil, evil, evil, evil
	i.Edits[0].Path = "/etc/" + evil
	i.Edits[0].After.Content = []byte("x: \x1b[2J\r\n```\n<script>alert(1)</script>\n")
	var b bytes.Buffer
	if err := (report.Plan{Width: 80}).Write(&b, s.Plan); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\r") || strings.Count(b.String(), "\nLeft to you") != 1 {
		t.Errorf("the text:\n%q", b.String())
	}
	b.Reset()
	if err := report.PlanMarkdown(&b, s); err != nil {
		t.Fatal(err)
	}
	var page bytes.Buffer
	if err := goldmark.New(goldmark.WithExtensions(extension.GFM)).Convert(b.Bytes(), &page); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(page.String(), "<script") || strings.Contains(page.String(), "raw HTML omitted") || strings.Count(page.String(), "<h1") != 1 || strings.ContainsAny(page.String(), "\x1b") {
		t.Errorf("the page:\n%s", page.String())
	}
	for _, want := range []string{"<td>high</td>\n<td>ssh/x</td>", `class="language-diff"`, "&lt;script&gt;"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("there is no %s in\n%s", want, page.String())
		}
	}
}

// TestPlanSchema holds plans to the schema, and the schema to saying no.
func TestPlanSchema(t *testing.T) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	schema, err := c.Compile("../../docs/plan.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	controls, ps := control.Load(catalogue.Controls(), kind.All())
	if err := ps.Err(); err != nil {
		t.Fatal(err)
	}
	all := []plan.Saved{planned()}
	all[0].Policy = change.Policy{SSHPort: 22, Ports: []change.Port{{Number: 80, Protocol: "tcp"}}}
	for _, name := range []string{"debian12", "guides", "pioreactor"} {
		s, err := snapshot.Open("../../testdata/hosts/" + name + ".snapshot")
		if err != nil {
			t.Fatal(err)
		}
		r := audit.Evaluate(controls, s, audit.Options{Profile: "strict", Now: s.Taken})
		all = append(all, plan.Saved{Picket: "test", Made: s.Taken, Taken: s.Taken, Profile: "strict", Identity: plan.IdentityOf(s), Plan: plan.Make(controls, s, r, plan.Options{})})
	}
	for _, s := range all {
		data, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(decode(t, data)); err != nil {
			t.Errorf("%s: %v", s.Plan.Host.Name, err)
		}
		first := func(m map[string]any, list string) map[string]any { return m[list].([]any)[0].(map[string]any) }
		for what, spoil := range map[string]func(map[string]any){
			"a field too many":       func(m map[string]any) { m["extra"] = 1 },
			"no steps":               func(m map[string]any) { delete(m, "steps") },
			"another version":        func(m map[string]any) { m["schema"] = "picket.plan/2" },
			"another verb":           func(m map[string]any) { first(m, "steps")["verb"] = "dance" },
			"a step for nothing":     func(m map[string]any) { first(m, "steps")["controls"] = []any{} },
			"an item done and left":  func(m map[string]any) { i := first(m, "items"); i["left"], i["edits"] = "x", []any{} },
			"an item without reason": func(m map[string]any) { delete(first(m, "items"), "reason") },
			"a date in words":        func(m map[string]any) { m["made"] = "yesterday" },
		} {
			m := decode(t, data).(map[string]any)
			spoil(m)
			if schema.Validate(m) == nil {
				t.Errorf("%s: the schema accepts %s", s.Plan.Host.Name, what)
			}
		}
	}
}
