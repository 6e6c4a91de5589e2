package report_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"picket/internal/core/audit"
	"picket/internal/core/control"
	"picket/internal/report"
	"picket/internal/ui"
)

// written gives a report as text, with every detail or without, and as a page.
func written(t *testing.T, r audit.Report) (text, all, page string) {
	t.Helper()
	var a, b, c bytes.Buffer
	if err := (report.Text{Width: 80}).Write(&a, r); err != nil {
		t.Fatal(err)
	}
	if err := (report.Text{Width: 80, All: true}).Write(&b, r); err != nil {
		t.Fatal(err)
	}
	if err := report.HTML(&c, r); err != nil {
		t.Fatal(err)
	}
	return a.String(), b.String(), c.String()
}

func result(id string, sev control.Severity, v control.Verdict) audit.Result {
	return audit.Result{Control: id, Title: "title of " + id, Severity: sev, Verdict: v, Reason: "reason of " + id}
}

// TestWaivedResult is told once, among the waived, with the last day on which
// it holds; and it counts nowhere else.
func TestWaivedResult(t *testing.T) {
	res := result("a/waived", control.Critical, control.Fail)
	res.Waiver = &audit.Waiver{Owner: "Ada", Reason: "a trial", Until: time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)}
	r := audit.Report{Profile: "strict", Score: 100, Results: []audit.Result{res}, Counts: audit.Counts{Fail: 1, Waived: 1}}
	text, all, page := written(t, r)
	for _, s := range []string{text, all} {
		if !strings.Contains(s, "until 2027-02-28 by Ada: a trial") || strings.Count(s, "a/waived") != 1 || !strings.Contains(s, "no findings") {
			t.Errorf("the text says\n%s", s)
		}
	}
	if !strings.Contains(page, "accepted until 28 February 2027 by Ada") || strings.Count(page, "reason of a/waived") != 1 || !strings.Contains(page, "Nothing is wrong") ||
		strings.Contains(page, "One critical finding caps") {
		t.Errorf("the page says\n%s", page)
	}
}

// TestCap: only a critical finding caps the score, and the page says which it
// is.
func TestCap(t *testing.T) {
	for sev, capped := range map[control.Severity]bool{control.Critical: true, control.High: false} {
		_, _, page := written(t, audit.Report{Results: []audit.Result{result("a/a", sev, control.Fail)}})
		if strings.Contains(page, "One critical finding caps the score at 49") != capped || strings.Contains(page, "A critical finding would cap it at 49") == capped {
			t.Errorf("%s: capped is not %v", sev, capped)
		}
	}
}

// TestColourOfTheScore: many points are not green while something urgent stands.
func TestColourOfTheScore(t *testing.T) {
	waived := result("a/a", control.High, control.Fail)
	waived.Waiver = &audit.Waiver{Owner: "Ada", Reason: "a trial"}
	for _, c := range []struct {
		name, band string
		r          audit.Report
	}{
		{"nothing found", "good", audit.Report{Score: 100, Confidence: 100}},
		{"little things", "good", audit.Report{Score: 95, Confidence: 90, Results: []audit.Result{result("a/a", control.Medium, control.Fail)}}},
		{"an open door", "fair", audit.Report{Score: 95, Confidence: 90, Results: []audit.Result{result("a/a", control.High, control.Ineffective)}}},
		{"one that is accepted", "good", audit.Report{Score: 95, Confidence: 90, Results: []audit.Result{waived}}},
		{"many things", "fair", audit.Report{Score: 79, Confidence: 90}},
		{"little known", "fair", audit.Report{Score: 100, Confidence: 49}},
		{"a critical one", "bad", audit.Report{Score: 49, Confidence: 100}},
	} {
		_, _, page := written(t, c.r)
		if !strings.Contains(page, `class="score `+c.band+`"`) {
			t.Errorf("%s is not %s", c.name, c.band)
		}
		var text strings.Builder
		if err := (report.Text{Width: 80, Style: ui.Style{On: true}}).Write(&text, c.r); err != nil {
			t.Fatal(err)
		}
		code := map[string]string{"good": ui.Green, "fair": ui.Yellow, "bad": ui.Red}[c.band]
		if want := (ui.Style{On: true}).Paint(fmt.Sprintf("score %d of 100", c.r.Score), code, ui.Bold); !strings.Contains(text.String(), want) {
			t.Errorf("%s: not the colour of %s in\n%q", c.name, c.band, text.String())
		}
	}
}

// TestReadWithoutRoot is said where it is so, and nowhere else.
func TestReadWithoutRoot(t *testing.T) {
	for _, root := range []bool{true, false} {
		text, _, page := written(t, audit.Report{Host: audit.Host{Root: root}})
		if strings.Contains(text, "read without root") == root || strings.Contains(page, "without root: part of it could not be seen") == root {
			t.Errorf("root %v:\n%s", root, text)
		}
	}
	// Who is root already is not told to become it.
	r := audit.Report{Host: audit.Host{Root: true, Via: "local"}, Results: []audit.Result{
		{Control: "a/a", Verdict: control.Unknown, Reason: "the system says: run as root"},
	}}
	if g := report.Unknowns(r); len(g) != 1 || g[0].Hint != "" {
		t.Errorf("groups %+v", g)
	}
}

// TestCommandsAreCode, even those that end like a sentence.
func TestCommandsAreCode(t *testing.T) {
	for line, code := range map[string]bool{
		"sudo cp -r /etc/x .":            true,
		"# then, on every node:":         true,
		"Reload it.":                     false,
		"Write this down somewhere safe": false,
		"PermitRootLogin no":             true,
	} {
		if s := report.Steps(line); len(s) != 1 || s[0].Code != code {
			t.Errorf("%q: %+v", line, s)
		}
	}
}

// TestJSONIsReadable: <, > and & stay as they are.
func TestJSONIsReadable(t *testing.T) {
	var b bytes.Buffer
	if err := report.JSON(&b, audit.Report{Results: []audit.Result{{Reason: "a < b && c > d"}}}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "a < b && c > d") {
		t.Error(b.String())
	}
}
