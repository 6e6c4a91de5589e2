package harden

import (
	"errors"
	"testing"

	"picket/internal/core/audit"
	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/plan"
)

// TestUnheld: what was changed has to pass, or to hold after a reboot where it can only then.
func TestUnheld(t *testing.T) {
	yes, no := true, false
	edit := []change.Edit{{Path: "/etc/a"}}
	p := plan.Plan{Items: []plan.Item{
		{Control: "a/passes", Edits: edit}, {Control: "a/fails", Edits: edit}, {Control: "a/later", Edits: edit, Later: []string{"a reboot"}},
		{Control: "a/never", Edits: edit, Later: []string{"a reboot"}}, {Control: "a/left", Left: "no"}, {Control: "a/unknown", Edits: edit}, {Control: "a/gone", Edits: edit},
		{Control: "a/off", Edits: edit},
	}}
	r := audit.Report{Results: []audit.Result{
		{Control: "a/passes", Verdict: control.Pass}, {Control: "a/fails", Verdict: control.Fail, Persistent: &yes, Reason: "why"},
		{Control: "a/later", Verdict: control.Ineffective, Persistent: &yes}, {Control: "a/never", Verdict: control.Ineffective, Persistent: &no},
		{Control: "a/left", Verdict: control.Fail}, {Control: "a/unknown", Verdict: control.Unknown}, {Control: "a/off", Verdict: control.NotApplicable},
	}}
	got := unheld(p, r)
	for c, want := range map[string]bool{"a/passes": false, "a/fails": true, "a/later": false, "a/never": true, "a/left": false, "a/unknown": true, "a/gone": true, "a/off": false} {
		if _, is := got[c]; is != want {
			t.Errorf("%s does not hold: %v, want %v", c, is, want)
		}
	}
	if got["a/fails"] != "still fail: why" {
		t.Error(got["a/fails"])
	}
}

// TestShutOut: whoever cannot come in any more holds it against what carries that risk, and against nothing else.
func TestShutOut(t *testing.T) {
	edit, why := []change.Edit{{Path: "/etc/a"}}, errors.New("a new login fails")
	items := []plan.Item{
		{Control: "a/other", Edits: edit, Risk: []string{"reboot"}}, {Control: "a/ssh", Edits: edit, Risk: []string{"lose-ssh"}},
		{Control: "a/left", Left: "no", Risk: []string{"lose-ssh"}}, {Control: "a/net", Edits: edit, Risk: []string{"reboot", "lose-network"}},
	}
	if got := shutOut(plan.Plan{Items: items}, why).Error(); got != "a/net, a/ssh: a new login fails" {
		t.Error(got)
	}
	if got := shutOut(plan.Plan{Items: items[:1]}, why); got != why {
		t.Errorf("nothing carries the risk: %v", got)
	}
}
