package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"picket/internal/core/change"
	"picket/internal/core/plan"
	"picket/internal/core/snap"
	"picket/internal/ui"
)

// Plan writes what is to be done to a host, for a person at a terminal.
type Plan struct {
	Width int
	Style ui.Style
}

// Write writes the plan.
func (t Plan) Write(w io.Writer, p plan.Plan) error {
	b := &strings.Builder{}
	fmt.Fprintf(b, "%s · %s\n", t.Style.Paint(oneLine(p.Host.Name), ui.Bold), oneLine(p.Host.OS))
	done := 0
	for _, i := range p.Items {
		if i.Changes() {
			done++
		}
	}
	switch {
	case len(p.Items) == 0:
		b.WriteString("nothing to change\n")
	case done == 0:
		fmt.Fprintf(b, "%s, and none that a machine can change\n", count(len(p.Items), "finding"))
	default:
		fmt.Fprintf(b, "%s: %d by %s, %d left to you\n", count(len(p.Items), "finding"), done, count(len(p.Steps), "step"), len(p.Items)-done)
	}
	for _, i := range p.Items {
		if i.Changes() {
			t.item(b, i)
		}
	}
	var after []string
	for _, s := range p.Steps {
		if once(s) {
			after = append(after, InWords(s))
		}
	}
	if len(after) > 0 {
		fmt.Fprintf(b, "\n%s\n", t.Style.Paint("Then, once", ui.Bold))
		for _, a := range after {
			fmt.Fprintf(b, "  %s\n", ui.Wrap(oneLine(a), t.Width-2, "    "))
		}
	}
	if done < len(p.Items) {
		fmt.Fprintf(b, "\n%s\n", t.Style.Paint("Left to you", ui.Yellow, ui.Bold))
		for _, i := range p.Items {
			if !i.Changes() {
				fmt.Fprintf(b, "  %s %s\n", t.Style.Paint(string(i.Severity), severityColor(i.Severity)...), oneLine(i.Control))
				fmt.Fprintf(b, "    %s\n", ui.Wrap(oneLine(i.Left), t.Width-4, "    "))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (t Plan) item(b *strings.Builder, i plan.Item) {
	fmt.Fprintf(b, "\n%s %s\n", t.Style.Paint(fmt.Sprintf("%-8s", strings.ToUpper(string(i.Severity))), severityColor(i.Severity)...), t.Style.Paint(oneLine(i.Control), ui.Bold))
	fmt.Fprintf(b, "  %s\n", ui.Wrap(oneLine(i.Title), t.Width-2, "  "))
	for _, e := range i.Edits {
		t.edit(b, e)
	}
	for _, s := range i.Steps {
		if once(s) {
			continue
		}
		fmt.Fprintf(b, "  %s\n", ui.Wrap(oneLine(InWords(s)), t.Width-2, "    "))
	}
	if i.Guard != "" {
		fmt.Fprintf(b, "  %s\n", ui.Wrap("checked: "+oneLine(i.Guard), t.Width-2, "    "))
	}
	if len(i.Risk) > 0 {
		fmt.Fprintf(b, "  %s\n", t.Style.Paint(ui.Wrap("risk: "+strings.Join(Risks(i.Risk), "; "), t.Width-2, "    "), ui.Yellow))
	}
}

// once reports whether a step is taken once for all that was changed.
func once(s change.Step) bool {
	return s.Verb == change.Check || s.Verb == change.Act || s.Verb == change.Unit && len(s.Args) == 1 && s.Args[0] == "reload"
}

func (t Plan) edit(b *strings.Builder, e change.Edit) {
	name := oneLine(e.Path)
	switch {
	case e.After.Type == "":
		fmt.Fprintf(b, "  remove %s\n", name)
		return
	case e.After.Type == snap.Dir && e.Before.Type == "":
		fmt.Fprintf(b, "  make the folder %s, mode %04o\n", name, e.After.Mode)
		return
	case e.Before.Type == "":
		fmt.Fprintf(b, "  new file %s, mode %04o\n", name, e.After.Mode)
	case rights(e) != "":
		fmt.Fprintf(b, "  %s: %s\n", name, rights(e))
	default:
		fmt.Fprintf(b, "  %s\n", name)
	}
	if e.After.Type != snap.File || e.After.Opaque || e.Before.Opaque {
		return
	}
	lines := strings.Split(string(diff.Diff("a", e.Before.Content, "b", e.After.Content)), "\n")
	for n, line := range lines {
		if n < 3 || line == "" { // the names
			continue
		}
		line = oneLine(line)
		switch line[0] {
		case '+':
			line = t.Style.Paint(line, ui.Green)
		case '-':
			line = t.Style.Paint(line, ui.Red)
		}
		fmt.Fprintf(b, "    %s\n", line)
	}
}

// rights says how mode and owner change, "" if they do not.
func rights(e change.Edit) string {
	var out []string
	if e.Before.Mode != e.After.Mode {
		out = append(out, fmt.Sprintf("mode %04o becomes %04o", e.Before.Mode, e.After.Mode))
	}
	if e.Before.UID != e.After.UID || e.Before.GID != e.After.GID {
		out = append(out, fmt.Sprintf("owner %d:%d becomes %d:%d", e.Before.UID, e.Before.GID, e.After.UID, e.After.GID))
	}
	return strings.Join(out, ", ")
}

// InWords says what a step does.
func InWords(s change.Step) string {
	switch s.Verb {
	case change.Install, change.Remove:
		return string(s.Verb) + " " + strings.Join(s.Args, ", ")
	case change.Sysctl:
		return "set " + strings.ReplaceAll(s.Name, "/", ".") + " of the running kernel to " + strings.Join(s.Args, " ")
	case change.Unit:
		return strings.Join(s.Args, ", ") + " " + s.Name
	case change.Check:
		return "`" + s.Name + "` has to agree, or all goes back"
	case change.Act:
		return "run `" + s.Name + "`"
	}
	return string(s.Verb) + " " + s.Name
}
