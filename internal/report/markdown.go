package report

import (
	"fmt"
	"io"
	"strings"

	"picket/internal/core/audit"
	"picket/internal/core/control"
)

// Markdown writes a page for a wiki, an issue or a pull request: the score, and
// what was found, worst first, in a table and then in detail.
func Markdown(w io.Writer, r audit.Report) error {
	b := &strings.Builder{}
	fmt.Fprintf(b, "# %s\n\n", mdText(r.Host.Name))
	for _, s := range []string{r.Host.OS, r.Host.Model} {
		if s != "" {
			fmt.Fprintf(b, "%s · ", mdText(s))
		}
	}
	fmt.Fprintf(b, "read %s · profile %s\n\n", r.Taken.UTC().Format("2006-01-02 15:04 UTC"), mdText(r.Profile))
	fmt.Fprintf(b, "**Score %d of 100**", r.Score)
	if r.Counts.Waived > 0 {
		fmt.Fprintf(b, " (%d without waivers)", r.ScoreWithoutWaivers)
	}
	fmt.Fprintf(b, " · judged %d %% of what applies · %d findings · %d passed · %d unknown\n", r.Confidence,
		len(findingsOf(r)), r.Counts.Pass, r.Counts.Unknown)
	if found := findingsOf(r); len(found) > 0 {
		b.WriteString("\n## Findings\n\n| Severity | Control | What |\n| --- | --- | --- |\n")
		for _, res := range found {
			fmt.Fprintf(b, "| %s | %s | %s |\n", res.Severity, mdText(res.Control), mdText(res.Reason))
		}
		for _, res := range found {
			fmt.Fprintf(b, "\n### %s\n\n%s: %s\n", mdText(res.Control), mdText(res.Title), mdText(res.Reason))
			if res.Why != "" {
				fmt.Fprintf(b, "\n%s\n", mdText(res.Why))
			}
			b.WriteString("\n")
			for _, e := range evidenceLines(res.Evidence) {
				fmt.Fprintf(b, "- %s\n", mdText(e))
			}
			for _, risk := range Risks(res.Risk) {
				fmt.Fprintf(b, "- **Risk:** %s\n", mdText(risk))
			}
			for _, s := range Steps(res.Fix) {
				if s.Code {
					b.WriteString("\n" + mdFence(printable(s.Text)))
				} else {
					fmt.Fprintf(b, "\n%s\n", mdText(s.Text))
				}
			}
		}
	}
	for _, of := range []struct {
		title string
		holds func(audit.Result) bool
	}{
		{"Not known", func(res audit.Result) bool { return res.Verdict == control.Unknown || res.Verdict == control.Error }},
		{"Accepted", func(res audit.Result) bool { return res.Waiver != nil }},
	} {
		first := true
		for _, res := range r.Results {
			if !of.holds(res) {
				continue
			}
			if first {
				fmt.Fprintf(b, "\n## %s\n\n", of.title)
				first = false
			}
			fmt.Fprintf(b, "- %s: %s", mdText(res.Control), mdText(res.Reason))
			if res.Waiver != nil {
				fmt.Fprintf(b, " (accepted by %s until %s: %s)", mdText(res.Waiver.Owner), res.Waiver.Until.Format("2006-01-02"), mdText(res.Waiver.Reason))
			}
			b.WriteString("\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// findingsOf are the results that are bad and not waived, worst first.
func findingsOf(r audit.Report) []audit.Result {
	var out []audit.Result
	for _, res := range r.Results {
		if res.Finding() {
			out = append(out, res)
		}
	}
	return out
}

// mdText escapes what Markdown or HTML would take for more than letters, and
// puts all on one line.
func mdText(s string) string {
	var b strings.Builder
	text := printable(strings.Join(strings.Fields(s), " "))
	for i, r := range text {
		rest := text[i:]
		begins := i == 0 && strings.ContainsRune("#+-=>", r) // a heading or a list
		link := strings.HasPrefix(rest, "://") || i > 2 && strings.HasPrefix(rest, ".") && strings.EqualFold(text[i-3:i], "www")
		number := (r == '.' || r == ')') && i > 0 && strings.Trim(text[:i], "0123456789") == ""
		if begins || link || number || strings.ContainsRune("\\`*_[]<>|~&$@", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// mdFence puts commands between fences that they cannot end.
func mdFence(code string) string { return mdFenced("sh", code) }

func mdFenced(language, code string) string {
	fence := "```"
	for strings.Contains(code, fence) {
		fence += "`"
	}
	return fence + language + "\n" + strings.TrimRight(code, "\n") + "\n" + fence + "\n"
}
