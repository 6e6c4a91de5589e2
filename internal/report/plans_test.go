package report

import (
	"strings"
	"testing"

	"picket/internal/core/change"
	"picket/internal/core/plan"
)

// TestPlans: a finding is told once, with the hosts on which it is mended, the worst first.
func TestPlans(t *testing.T) {
	edit, step := []change.Edit{{Path: "/etc/a"}}, []change.Step{{Verb: change.File, Name: "/etc/a"}}
	low := plan.Item{Control: "a/low", Title: "a low one", Severity: "low", Edits: edit}
	high := plan.Item{Control: "a/high", Title: "a high one", Severity: "high", Edits: edit, Risk: []string{"lose-ssh"}}
	left := plan.Item{Control: "a/left", Title: "left", Severity: "critical", Left: "no"}
	names := []string{"leader", "w1", "w2", "w3", "w4", "w5"}
	all := []plan.Plan{{Items: []plan.Item{low, left}, Steps: step}}
	for range 4 {
		all = append(all, plan.Plan{Items: []plan.Item{low, high}, Steps: step})
	}
	all = append(all, plan.Plan{Items: []plan.Item{left}})
	show := func(h string) string { return "picket plan " + h }
	var b strings.Builder
	if err := (Plans{Width: 80, Show: show}).Write(&b, names, all); err != nil {
		t.Fatal(err)
	}
	const want = `HIGH      a/high  on all but leader
          a high one
          could cost: lose-ssh
LOW       a/low  on all 5
          a low one

to be changed: leader, w1, w2, w3, w4
nothing to change: w5
findings left to you: leader 1, w5 1
each change as a diff: picket plan leader
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	b.Reset()
	if err := (Plans{Width: 80, Show: show}).Write(&b, names[4:], []plan.Plan{all[1], all[5]}); err != nil || !strings.Contains(b.String(), "a/high  on w4\n") {
		t.Errorf("%v: one of two:\n%s", err, b.String())
	}
	b.Reset()
	if err := (Plans{Width: 80, Show: show}).Write(&b, names[5:], all[5:]); err != nil || b.String() != "nothing to change: w5\nfindings left to you: w5 1\nwhy: picket plan w5\n" {
		t.Errorf("%v: nothing to change:\n%s", err, b.String())
	}
}
