package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"picket/internal/core/audit"
	"picket/internal/core/control"
	"picket/internal/ui"
)

// Compare writes what differs between two reports, for a person at a terminal.
type Compare struct {
	Width int
	Style ui.Style
}

var compareGroups = []struct{ kind, title, color string }{
	{audit.Worse, "Worse", ui.Red},
	{audit.Lost, "No longer known", ui.Yellow},
	{audit.Changed, "Bad as before, for another reason", ui.Yellow},
	{audit.Added, "Judged on the second side only", ui.Yellow},
	{audit.Waived, "Accepted, or no longer", ui.Yellow},
	{audit.Found, "Known now", ui.Green},
	{audit.Better, "Better", ui.Green},
	{audit.Gone, "Judged on the first side only", ui.Dim},
}

// Write writes the comparison.
func (t Compare) Write(w io.Writer, c audit.Comparison) error {
	b := &strings.Builder{}
	for _, s := range []struct {
		what string
		side audit.Compared
	}{{"from", c.Before}, {"to  ", c.After}} {
		fmt.Fprintf(b, "%s %s · %s · score %d · %s\n", s.what, t.Style.Paint(oneLine(s.side.Host.Name), ui.Bold), oneLine(s.side.Taken), s.side.Score, oneLine(s.side.Profile))
	}
	if c.Before.Profile != c.After.Profile {
		b.WriteString(t.Style.Paint(ui.Wrap("note: the profiles differ, so that other controls were judged", t.Width, "  "), ui.Yellow) + "\n")
	}
	fmt.Fprintf(b, "%d worse, %d better, %d alike\n", len(c.Of(audit.Worse)), len(c.Of(audit.Better)), c.Same)
	for _, g := range compareGroups {
		list := c.Of(g.kind)
		if len(list) == 0 {
			continue
		}
		fmt.Fprintf(b, "\n%s\n", t.Style.Paint(g.title, g.color, ui.Bold))
		all := len(list)
		list = slices.DeleteFunc(list, func(ch audit.Change) bool {
			one := cmp.Or(ch.Was, ch.Is)
			return (ch.Was == nil || ch.Is == nil) && !one.Verdict.Bad() // as another profile has it
		})
		if left := all - len(list); left > 0 {
			fmt.Fprintf(b, "  %s\n", ui.Wrap(count(left, "control")+", not bad there; --output json lists them", t.Width, "    "))
		}
		for _, ch := range list {
			fmt.Fprintf(b, "  %s\n", ui.Wrap(fmt.Sprintf("%s %s", t.Style.Paint(string(ch.Severity), severityColor(ch.Severity)...), oneLine(ch.Control)), t.Width, "    "))
			for _, s := range []struct {
				what string
				side *audit.Side
			}{{"was", ch.Was}, {"is ", ch.Is}} {
				if s.side == nil {
					continue
				}
				said := string(s.side.Verdict)
				if s.side.Waived {
					said += ", accepted"
				}
				if s.side.Reason != "" && (s.side.Verdict != control.Pass || s.what == "is ") {
					said += ": " + s.side.Reason
				}
				fmt.Fprintf(b, "    %s %s\n", s.what, ui.Wrap(oneLine(said), t.Width-8, "        "))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// CompareJSON writes the comparison as a document, see docs/compare.schema.json.
func CompareJSON(w io.Writer, c audit.Comparison) error { return encode(w, c) }
