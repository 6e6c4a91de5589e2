package audit

import (
	"testing"

	"picket/internal/core/control"
)

func TestCompare(t *testing.T) {
	one := func(id string, v control.Verdict, reason string, waived bool) Result {
		r := Result{Control: id, Severity: control.High, Verdict: v, Reason: reason}
		if waived {
			r.Waiver = &Waiver{}
		}
		return r
	}
	for _, tt := range []struct {
		was, is Result
		kind    string
	}{
		{one("a/a", control.Pass, "", false), one("a/a", control.Fail, "x", false), Worse},
		{one("a/a", control.NotApplicable, "", false), one("a/a", control.Ineffective, "x", false), Worse},
		{one("a/a", control.Unknown, "", false), one("a/a", control.Fail, "x", false), Worse},
		{one("a/a", control.Fail, "x", false), one("a/a", control.Pass, "", false), Better},
		{one("a/a", control.Fail, "x", false), one("a/a", control.Unknown, "", false), Lost},
		{one("a/a", control.Pass, "", false), one("a/a", control.Error, "", false), Lost},
		{one("a/a", control.Unknown, "", false), one("a/a", control.Pass, "", false), Found},
		{one("a/a", control.Fail, "x", false), one("a/a", control.Fail, "y", false), Changed},
		{one("a/a", control.Fail, "x", false), one("a/a", control.Ineffective, "x", false), Changed},
		{one("a/a", control.Fail, "x", false), one("a/a", control.Fail, "x", true), Waived},
		{one("a/a", control.Fail, "x", false), one("a/a", control.Fail, "x", false), ""},
		{one("a/a", control.Pass, "3 files", false), one("a/a", control.Pass, "4 files", false), ""},
		{one("a/a", control.Pass, "", false), one("a/a", control.NotApplicable, "", false), ""},
	} {
		c := Compare(Report{Results: []Result{tt.was}}, Report{Results: []Result{tt.is}})
		got := ""
		if len(c.Changes) > 0 {
			got = c.Changes[0].Kind
		}
		if got != tt.kind || (c.Same == 1) != (tt.kind == "") {
			t.Errorf("%s to %s: %q, want %q", tt.was.Verdict, tt.is.Verdict, got, tt.kind)
		}
	}
	c := Compare(
		Report{Results: []Result{one("a/gone", control.Fail, "", false), one("a/better", control.Fail, "", false), one("a/worse", control.Pass, "", false)}},
		Report{Results: []Result{one("a/new", control.Fail, "", false), one("a/better", control.Pass, "", false), one("a/worse", control.Fail, "", false)}})
	var got []string
	for _, ch := range c.Changes {
		got = append(got, ch.Kind+" "+ch.Control)
	}
	if want := "worse a/worse added a/new better a/better gone a/gone"; join(got) != want {
		t.Errorf("in this order: %s, want %s", join(got), want)
	}
}

func join(s []string) (out string) {
	for i, w := range s {
		if i > 0 {
			out += " "
		}
		out += w
	}
	return out
}
