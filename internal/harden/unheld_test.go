package harden

import (
	"errors"
	"slices"
	"testing"

	"picket/internal/core/audit"
	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/plan"
)

// TestUnheld: what was changed has to pass, or to hold after a reboot where it can only then.
func TestUnheld(t *testing.T) {
	yes, no := true, false
	anew := func(unit string) []change.Step {
		return []change.Step{{Verb: change.Unit, Name: unit, Args: []string{"restart"}}}
	}
	about := func(unit string) []control.Evidence { return []control.Evidence{{Fact: unit}} }
	edit := []change.Edit{{Path: "/etc/a"}}
	p := plan.Plan{Items: []plan.Item{
		{Control: "a/passes", Edits: edit}, {Control: "a/fails", Edits: edit}, {Control: "a/later", Edits: edit, Later: []string{"a reboot"}},
		{Control: "a/never", Edits: edit, Later: []string{"a reboot"}}, {Control: "a/left", Left: "no"}, {Control: "a/unknown", Edits: edit}, {Control: "a/gone", Edits: edit},
		{Control: "a/off", Edits: edit}, {Control: "a/partly", Rest: "b.service: no", Steps: anew("a.service")}, {Control: "a/none", Rest: "b.service: no", Steps: anew("a.service")},
	}}
	r := audit.Report{Results: []audit.Result{
		{Control: "a/passes", Verdict: control.Pass}, {Control: "a/fails", Verdict: control.Fail, Persistent: &yes, Reason: "why"},
		{Control: "a/later", Verdict: control.Ineffective, Persistent: &yes}, {Control: "a/never", Verdict: control.Ineffective, Persistent: &no},
		{Control: "a/left", Verdict: control.Fail}, {Control: "a/unknown", Verdict: control.Unknown}, {Control: "a/off", Verdict: control.NotApplicable},
		{Control: "a/partly", Verdict: control.Fail, Evidence: about("b.service")}, {Control: "a/none", Verdict: control.Fail, Evidence: about("a.service")},
	}}
	got := unheld(p, r)
	for c, want := range map[string]bool{"a/passes": false, "a/fails": true, "a/later": false, "a/never": true, "a/left": false, "a/unknown": true, "a/gone": true, "a/off": false, "a/partly": false, "a/none": true} {
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
	if got := shutOut(plan.Plan{Items: items}, Unheld{"a/ssh": "no login at the new port"}).Error(); got != "a/ssh: no login at the new port" {
		t.Errorf("which one it is is known: %s", got)
	}
	says := func(words, before, after string) plan.Item {
		return plan.Item{Control: "ssh/" + words, Risk: []string{"lose-ssh"}, Edits: []change.Edit{{Path: "/etc/ssh/x", Before: change.Thing{Content: []byte(before)}, After: change.Thing{Content: []byte(after)}}}}
	}
	const noKex = "ssh w from l worked before and does not any more: Unable to negotiate with 10.0.0.1 port 22: no matching key exchange method found. Their offer: a,b"
	algorithms := plan.Plan{Items: append(slices.Clone(items), says("kex", "", "KexAlgorithms a\n"), says("macs", "KexAlgorithms a\n", "KexAlgorithms a\nMACs b\n"))}
	for why, want := range map[string]string{
		noKex:                                    "ssh/kex: " + noKex,
		noKex + "; ssh v: no matching MAC found": "ssh/kex, ssh/macs: " + noKex + "; ssh v: no matching MAC found",
		noKex + "; port 80: timeout":             "a/net, a/ssh, ssh/kex, ssh/macs: " + noKex + "; port 80: timeout",
		"no matching cipher found":               "a/net, a/ssh, ssh/kex, ssh/macs: no matching cipher found",
	} {
		if got := shutOut(algorithms, errors.New(why)).Error(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := shutOut(plan.Plan{Items: items[:1]}, why); got != why {
		t.Errorf("nothing carries the risk: %v", got)
	}
}

// TestBlame: what does not answer any more is left out by its unit, if that was started anew; anything else takes all back.
func TestBlame(t *testing.T) {
	w := watch{units: map[string][]string{"a.service": {"x/a"}, "b.service": {"x/a", "x/b"}}}
	if got, all := w.blame(map[string]string{"port 1": "a.service", "port 2": "a.service", "port 3": "b.service"}); !all || got.Error() != "a.service: port 1; port 2; b.service: port 3" {
		t.Error(got, all)
	}
	for _, unit := range []string{"", "ssh.service"} {
		if got, all := w.blame(map[string]string{"port 1": "a.service", "port 2": unit}); all || got != nil {
			t.Errorf("%q: %v", unit, got)
		}
	}
	for _, s := range []struct {
		step change.Step
		want string
	}{
		{change.Step{Verb: change.Unit, Name: "a.service", Args: []string{"restart"}}, "a.service"}, {change.Step{Verb: change.Owner, Name: "/opt", Args: change.Hands(0, 0, 1, 1, "b.service")}, "b.service"},
		{change.Step{Verb: change.File, Name: "a.service"}, "x/a"}, {change.Step{Verb: change.Unit, Name: "c.service"}, "x/a"},
	} {
		s.step.Controls = []string{"x/a"}
		if got := w.of(s.step); len(got) != 1 || got[0] != s.want {
			t.Errorf("%v is about %q, want %s", s.step, got, s.want)
		}
	}
}
