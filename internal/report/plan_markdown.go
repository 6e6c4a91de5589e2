package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/plan"
)

// PlanMarkdown writes a plan for a review in a ticket or a merge request.
func PlanMarkdown(w io.Writer, s plan.Saved) error {
	p := s.Plan
	b := &strings.Builder{}
	fmt.Fprintf(b, "# Plan for %s\n\n", mdText(p.Host.Name))
	for _, part := range []string{p.Host.OS, p.Host.Model} {
		if part != "" {
			fmt.Fprintf(b, "%s · ", mdText(part))
		}
	}
	fmt.Fprintf(b, "read %s · profile %s\n\n**%s**\n", s.Taken.UTC().Format("2006-01-02 15:04 UTC"), mdText(s.Profile), mdText(PlanLine(p)))
	if len(p.Planned()) > 0 {
		b.WriteString("\n| Severity | Control | What holds then | Could cost |\n| --- | --- | --- | --- |\n")
		for _, i := range p.Items {
			if i.Changes() {
				fmt.Fprintf(b, "| %s | %s | %s | %s |\n", i.Severity, mdText(i.Control), mdText(i.Title), mdText(strings.Join(i.Risk, ", ")))
			}
		}
	}
	for _, i := range p.Items {
		if i.Changes() {
			mdItem(b, i)
		}
	}
	if after := onceInWords(p); len(after) > 0 {
		b.WriteString("\n## Then, once\n\n")
		for _, a := range after {
			fmt.Fprintf(b, "- %s\n", mdText(a))
		}
	}
	for n, g := range leftOf(p) {
		if n == 0 {
			b.WriteString("\n## Left to a person\n")
		}
		fmt.Fprintf(b, "\n%s:\n\n", mdText(g.why))
		for _, i := range g.items {
			fmt.Fprintf(b, "- %s %s: %s\n", i.Severity, mdText(i.Control), mdText(cmp.Or(i.Reason, i.Title)))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func mdItem(b *strings.Builder, i plan.Item) {
	fmt.Fprintf(b, "\n## %s\n\n%s. Now: %s\n\n", mdText(i.Control), mdText(i.Title), mdText(i.Reason))
	for _, r := range Risks(i.Risk) {
		fmt.Fprintf(b, "- **Risk:** %s\n", mdText(r))
	}
	if i.Guard != "" {
		fmt.Fprintf(b, "- Checked: %s\n", mdText(i.Guard))
	}
	for _, e := range i.Edits {
		fmt.Fprintf(b, "- %s\n", mdText(editInWords(e)))
		if d := editDiff(e); d != "" {
			b.WriteString("\n" + mdFenced("diff", printable(d)) + "\n")
		}
	}
	for _, s := range i.Steps {
		if !once(s) || s.Verb == change.Unit {
			fmt.Fprintf(b, "- %s\n", mdText(InWords(s)))
		}
	}
	for _, n := range i.Notes {
		fmt.Fprintf(b, "- %s\n", mdText(n))
	}
	if i.Rest != "" {
		fmt.Fprintf(b, "- Left to a person: %s\n", mdText(i.Rest))
	}
}
