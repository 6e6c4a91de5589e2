package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"picket/internal/core/audit"
	"picket/internal/core/control"
	"picket/internal/ui"
)

// Text writes for a person at a terminal: worst first.
type Text struct {
	Width int
	Style ui.Style
	Short bool   // one screen: the worst findings and what to type next
	All   bool   // also what passes and what does not apply
	Next  string // the command to type next; "" leaves it out
}

// shortFindings is how many findings the short form shows: with the head and
// the foot they fit on a screen of 24 lines.
const shortFindings = 6

// Write writes one report.
func (t Text) Write(w io.Writer, r audit.Report) error {
	b := &strings.Builder{}
	t.head(b, r)
	t.findings(b, r)
	if !t.Short {
		t.unknown(b, r)
		t.waived(b, r)
		if t.All {
			t.list(b, r, "passed", control.Pass)
			t.list(b, r, "does not apply here", control.NotApplicable)
		}
	}
	for _, p := range r.Problems {
		fmt.Fprintf(b, "\n%s\n", t.Style.Paint(ui.Wrap("note: "+ui.Clean(p), t.Width, "  "), ui.Yellow))
	}
	if t.Next != "" {
		fmt.Fprintf(b, "\nNext: %s\n", t.Style.Paint(t.Next, ui.Bold))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (t Text) head(b *strings.Builder, r audit.Report) {
	name := []string{t.Style.Paint(ui.Clean(r.Host.Name), ui.Bold)}
	for _, s := range []string{r.Host.OS, r.Host.Model} {
		if s != "" {
			name = append(name, ui.Clean(s))
		}
	}
	fmt.Fprintln(b, strings.Join(name, " · "))
	color := ui.Green
	switch {
	case r.Score <= audit.CriticalCap:
		color = ui.Red
	case r.Score < 80:
		color = ui.Yellow
	}
	score := t.Style.Paint(fmt.Sprintf("score %d of 100", r.Score), color, ui.Bold)
	if r.Counts.Waived > 0 {
		score += fmt.Sprintf(" (%d without waivers)", r.ScoreWithoutWaivers)
	}
	fmt.Fprintf(b, "%s · judged %d %% of what applies", score, r.Confidence)
	if !r.Host.Root {
		fmt.Fprint(b, t.Style.Paint(" · read without root", ui.Yellow))
	}
	fmt.Fprintln(b)

	counts := map[control.Severity]int{}
	for _, res := range r.Results {
		if res.Finding() {
			counts[res.Severity]++
		}
	}
	var parts []string
	for i := len(control.Severities) - 1; i >= 0; i-- {
		if s := control.Severities[i]; counts[s] > 0 {
			parts = append(parts, t.Style.Paint(fmt.Sprintf("%d %s", counts[s], s), severityColor(s)...))
		}
	}
	if len(parts) == 0 {
		parts = []string{t.Style.Paint("no findings", ui.Green)}
	}
	fmt.Fprintf(b, "%s · %d passed", strings.Join(parts, ", "), r.Counts.Pass)
	if r.Counts.Unknown > 0 {
		fmt.Fprintf(b, " · %d unknown", r.Counts.Unknown)
	}
	if r.Counts.Waived > 0 {
		fmt.Fprintf(b, " · %d waived", r.Counts.Waived)
	}
	if r.Counts.Error > 0 {
		fmt.Fprint(b, t.Style.Paint(fmt.Sprintf(" · %d errors in Picket itself", r.Counts.Error), ui.Red))
	}
	fmt.Fprintln(b)
}

func severityColor(s control.Severity) []string {
	switch s {
	case control.Critical:
		return []string{ui.Red, ui.Bold}
	case control.High:
		return []string{ui.Red}
	case control.Medium:
		return []string{ui.Yellow}
	}
	return []string{ui.Blue}
}

func (t Text) findings(b *strings.Builder, r audit.Report) {
	n, left := 0, 0
	for _, res := range r.Results {
		if !res.Finding() && res.Verdict != control.Error {
			continue
		}
		if t.Short && n == shortFindings {
			left++
			continue
		}
		n++
		t.finding(b, res)
	}
	if left > 0 {
		fmt.Fprintf(b, "\n  … and %d more: %s\n", left, t.Style.Paint("picket audit", ui.Bold))
	}
}

func (t Text) finding(b *strings.Builder, res audit.Result) {
	mark := fmt.Sprintf("%-8s", strings.ToUpper(string(res.Severity)))
	verdict := ""
	switch res.Verdict {
	case control.Ineffective:
		verdict = " (configured, not effective)"
	case control.Error:
		mark, verdict = "ERROR   ", " (please report it)"
	}
	indent := strings.Repeat(" ", 10)
	fmt.Fprintf(b, "\n%s  %s%s\n", t.Style.Paint(mark, severityColor(res.Severity)...), t.Style.Paint(res.Control, ui.Bold), t.Style.Paint(verdict, ui.Magenta))
	fmt.Fprintf(b, "%s%s\n", indent, ui.Wrap(ui.Clean(sentence(res)), t.Width, indent))
	if t.Short {
		return
	}
	const most = 8
	for i, e := range res.Evidence {
		if i == most && !t.All {
			fmt.Fprintf(b, "%s%s\n", indent, t.Style.Paint(fmt.Sprintf("… %d more: --all", len(res.Evidence)-most), ui.Dim))
			break
		}
		fmt.Fprintf(b, "%s%s\n", indent, t.Style.Paint(ui.Wrap(ui.Clean(seen(e)), t.Width, indent+"  "), ui.Dim))
	}
}

// sentence is the reason; a rule whose reason is bare is introduced by what
// should be true.
func sentence(res audit.Result) string { return cmp.Or(res.Reason, res.Title) }

func seen(e control.Evidence) string {
	s := e.Place + ": " + e.Fact
	if e.Found != "" {
		s += ": " + e.Found
	}
	if e.Wanted != "" {
		s += ", wanted " + e.Wanted
	}
	return s
}

// unknown groups what could not be judged by its reason: fifty controls that
// want root are one line.
func (t Text) unknown(b *strings.Builder, r audit.Report) {
	var reasons []string
	by := map[string][]string{}
	for _, res := range r.Results {
		if res.Verdict == control.Unknown {
			if by[res.Reason] == nil {
				reasons = append(reasons, res.Reason)
			}
			by[res.Reason] = append(by[res.Reason], res.Control)
		}
	}
	if len(reasons) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", t.Style.Paint("Could not be judged", ui.Bold))
	for _, reason := range reasons {
		fmt.Fprintf(b, "  %s\n", ui.Wrap(ui.Clean(reason), t.Width, "  "))
		fmt.Fprintf(b, "    %s\n", t.Style.Paint(ui.Wrap(strings.Join(by[reason], " "), t.Width, "    "), ui.Dim))
	}
}

func (t Text) waived(b *strings.Builder, r audit.Report) {
	first := true
	for _, res := range r.Results {
		if res.Waiver == nil {
			continue
		}
		if first {
			fmt.Fprintf(b, "\n%s\n", t.Style.Paint("Waived", ui.Bold))
			first = false
		}
		fmt.Fprintf(b, "  %s until %s by %s: %s\n", res.Control, res.Waiver.Until.AddDate(0, 0, -1).Format("2006-01-02"),
			ui.Clean(res.Waiver.Owner), ui.Wrap(ui.Clean(res.Waiver.Reason), t.Width, "    "))
	}
}

func (t Text) list(b *strings.Builder, r audit.Report, title string, v control.Verdict) {
	first := true
	for _, res := range r.Results {
		if res.Verdict != v {
			continue
		}
		if first {
			fmt.Fprintf(b, "\n%s\n", t.Style.Paint(strings.ToUpper(title[:1])+title[1:], ui.Bold))
			first = false
		}
		fmt.Fprintf(b, "  %-34s %s\n", res.Control, ui.Wrap(ui.Clean(res.Reason), t.Width, strings.Repeat(" ", 37)))
	}
}
