package plan_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"picket/catalogue"
	"picket/internal/core/audit"
	"picket/internal/core/cases"
	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/kind"
	"picket/internal/core/plan"
)

// eachBad gives each bad host of the cases of these controls, with the fix.
func eachBad(t *testing.T, these func(control.Control) bool, do func(control.Control, control.Fixer, cases.Case)) {
	t.Helper()
	controls, problems := control.Load(catalogue.Controls(), kind.All())
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	for _, c := range controls {
		fixer, ok := control.FixerOf(c.Rule)
		if !ok || !these(c) {
			continue
		}
		data, err := os.ReadFile("../../../catalogue/controls/" + c.ID + ".txtar")
		if err != nil {
			t.Fatal(err)
		}
		list, err := cases.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		c.Guard = "" // what it is refused for is another matter
		for _, tc := range list {
			if tc.Verdict.Bad() {
				do(c, fixer, tc)
			}
		}
	}
}

// TestFixesOfCases drafts what is to be done about each bad host of each control's cases. Whatever comes out has to
// compile, to leave nothing to a second draft of the same files, and, where files alone decide, to pass.
func TestFixesOfCases(t *testing.T) {
	fixed, left := map[string]int{}, 0
	eachBad(t, func(control.Control) bool { return true }, func(c control.Control, fixer control.Fixer, tc cases.Case) {
		one := []control.Control{c}
		made := plan.Make(one, tc.Snapshot, audit.Evaluate(one, tc.Snapshot, audit.Options{Now: tc.Snapshot.Taken}), plan.Options{})
		if len(made.Items) != 1 || made.Items[0].Changes() == (made.Items[0].Left != "") {
			t.Errorf("%s, %q: %+v", c.ID, tc.Name, made.Items)
			return
		}
		if made.Items[0].Left != "" {
			left++
			return
		}
		fixed[c.Kind]++
		if _, err := plan.Compile(made.Steps); err != nil {
			t.Errorf("%s, %q: %v", c.ID, tc.Name, err)
		}
		d := change.On(tc.Snapshot, nil, change.Policy{})
		fix := func(h *fact.Host) {
			if err := d.For(c.ID, func(d *change.Draft) error { return fixer.Fix(h, d) }); err != nil {
				t.Errorf("%s, %q: %v", c.ID, tc.Name, err)
			}
		}
		fix(fact.Parse(tc.Snapshot))
		if !slices.EqualFunc(files(d.Steps()), files(made.Steps), func(a, b change.Step) bool {
			return a.Name == b.Name && a.After.Same(b.After) && slices.Equal(a.Args, b.Args)
		}) {
			t.Errorf("%s, %q: two drafts of one host differ", c.ID, tc.Name)
		}
		after := d.Snapshot()
		if c.Kind == "file-mode" {
			if o := c.Rule.Evaluate(fact.Parse(after)); o.Verdict != control.Pass {
				t.Errorf("%s, %q: still %s: %s", c.ID, tc.Name, o.Verdict, o.Reason)
			}
		}
		switch o := c.Rule.Evaluate(fact.Parse(after)); c.Kind {
		case "sysctl", "file-setting", "file-line", "file-absent", "pam-option", "kernel-module":
			if o.Persistent == control.No {
				t.Errorf("%s, %q: the next boot is still wrong: %s", c.ID, tc.Name, o.Reason)
			}
		case "audit-rule", "mount-option", "boot-param":
			if o.Configured == control.No {
				t.Errorf("%s, %q: still not configured: %s", c.ID, tc.Name, o.Reason)
			}
		}
		if c.Kind == "go" && !partly[c.ID] && len(d.Of(c.ID))+len(d.Laters()) == 0 {
			if o := c.Rule.Evaluate(fact.Parse(d.ByFiles())); o.Verdict.Bad() {
				t.Errorf("%s, %q: still %s: %s", c.ID, tc.Name, o.Verdict, o.Reason)
			}
		}
		edits := len(d.Edits())
		fix(fact.Parse(after))
		for _, e := range slices.DeleteFunc(slices.Clone(d.Edits()[edits:]), func(e change.Edit) bool { return e.Before.Same(e.After) }) {
			t.Errorf("%s, %q: a second draft changes %s once more: %s", c.ID, tc.Name, e.Path, strings.TrimSpace(string(e.After.Content)))
		}
	})
	t.Logf("%v drafted, %d left to a person", fixed, left)
	for k, want := range map[string]int{"file-mode": 40, "sysctl": 160, "sshd-option": 140, "unit": 60, "package": 15, "pam-option": 38, "mount-option": 40, "boot-param": 25, "audit-rule": 85, "go": 175} {
		if fixed[k] < want {
			t.Errorf("%d cases of the kind %s were drafted, want %d or more", fixed[k], k, want)
		}
	}
}

// partly are the checks for which not files alone decide, but what is loaded of them.
var partly = map[string]bool{"updates/automatic": true, "logging/journal-kept": true, "logging/forwarding": true, "network/llmnr": true, "raspberry-pi/watchdog": true}

// files are the steps without what loads them.
func files(steps []change.Step) []change.Step {
	return slices.DeleteFunc(slices.Clone(steps), func(s change.Step) bool { return s.Verb != change.File })
}
