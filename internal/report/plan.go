package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/diff"

	"picket/internal/core/audit"
	"picket/internal/core/change"
	"picket/internal/core/plan"
	"picket/internal/core/snap"
	"picket/internal/ui"
)

// Plan writes what is to be done to a host, for a person at a terminal.
type Plan struct {
	Width int
	Style ui.Style
	Name  string   // of the program, as it can be typed here; "" is picket
	Next  []Hint   // what to type next; may be empty
	Brief []string // new files whose content is not shown

	host audit.Host // of the plan that is written
}

// Write writes the plan.
func (t Plan) Write(w io.Writer, p plan.Plan) error {
	t.host = p.Host
	b := &strings.Builder{}
	fmt.Fprintf(b, "%s · %s\n", t.Style.Paint(oneLine(p.Host.Name), ui.Bold), oneLine(p.Host.OS))
	fmt.Fprintln(b, ui.Wrap(PlanLine(p), t.Width, "  "))
	for _, i := range p.Items {
		if i.Changes() {
			t.item(b, i)
		}
	}
	t.after(b, p)
	t.left(b, p)
	t.unknown(b, p)
	hints(b, t.Next, t.Width, t.Style)
	_, err := io.WriteString(w, b.String())
	return err
}

// Asked writes a plan of what was asked for by name, not found.
func (t Plan) Asked(w io.Writer, p plan.Plan) error {
	b := &strings.Builder{}
	fmt.Fprintf(b, "%s · %s\n", t.Style.Paint(oneLine(p.Host.Name), ui.Bold), oneLine(p.Host.OS))
	for _, i := range p.Items {
		fmt.Fprintf(b, "\n%s\n", t.Style.Paint(ui.Wrap(oneLine(i.Title), t.Width, "  "), ui.Bold))
		t.body(b, i)
	}
	t.after(b, p)
	_, err := io.WriteString(w, b.String())
	return err
}

// after writes the steps that are taken once.
func (t Plan) after(b *strings.Builder, p plan.Plan) {
	after := onceInWords(p)
	if len(after) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", t.Style.Paint("Then, once", ui.Bold))
	for _, a := range after {
		fmt.Fprintf(b, "  %s\n", ui.Wrap(oneLine(a), t.Width, "    "))
	}
}

// PlanLine says in a line what a plan comes to.
func PlanLine(p plan.Plan) string {
	switch done := len(p.Planned()); {
	case len(p.Items) == 0 && len(p.Unknown) > 0:
		return fmt.Sprintf("nothing to change, as far as could be judged: no finding among %s, and %d that could not be", count(p.Judged, "control"), len(p.Unknown))
	case len(p.Items) == 0:
		return "nothing to change: no finding among " + count(p.Judged, "control")
	case done == 0:
		return count(len(p.Items), "finding") + ", all left to you"
	default:
		return fmt.Sprintf("%s: %d by %s, %d left to you", count(len(p.Items), "finding"), done, count(len(p.Steps), "step"), len(p.Items)-done)
	}
}

// onceInWords are the steps that are taken once for all that was changed.
func onceInWords(p plan.Plan) (out []string) {
	for _, s := range p.Steps {
		if once(s) {
			out = append(out, InWords(s))
		}
	}
	return out
}

func (t Plan) item(b *strings.Builder, i plan.Item) {
	fmt.Fprintf(b, "\n%s  %s\n", t.mark(i), t.Style.Paint(oneLine(i.Control), ui.Bold))
	fmt.Fprintf(b, "%s%s\n", indent, ui.Wrap(oneLine(i.Title), t.Width, indent))
	t.body(b, i)
}

// body writes what is done about an item.
func (t Plan) body(b *strings.Builder, i plan.Item) {
	say := func(text string, codes ...string) {
		fmt.Fprintf(b, "%s%s\n", indent, t.Style.Paint(ui.Wrap(oneLine(text), t.Width, indent+"  "), codes...))
	}
	for _, e := range i.Edits {
		say(editInWords(e))
		if e.Before.Type == "" && slices.Contains(t.Brief, e.Path) {
			continue
		}
		if e.Secret > 0 {
			say(count(e.Secret, "line") + " of what is secret in it, not shown")
		}
		for line := range strings.Lines(editDiff(e)) {
			line = ui.Clean(strings.TrimRight(line, "\n"))
			fmt.Fprintf(b, "  %s\n", t.Style.Paint(line, map[byte]string{'+': ui.Green, '-': ui.Red, '@': ui.Dim}[line[0]]))
		}
	}
	var kernel []string
	for _, s := range i.Steps {
		switch {
		case once(s):
		case s.Verb == change.Sysctl:
			kernel = append(kernel, strings.ReplaceAll(s.Name, "/", ".")+" = "+strings.Join(s.Args, " "))
		default:
			say(InWords(s))
		}
	}
	if len(kernel) > 0 {
		say("and at once, in the running kernel:")
		for _, k := range kernel {
			fmt.Fprintf(b, "%s  %s\n", indent, oneLine(k))
		}
	}
	for _, l := range i.Later {
		say("not at once: " + l)
	}
	for _, n := range i.Notes {
		say("note: "+n, ui.Yellow)
	}
	if i.Rest != "" {
		say("left to you: " + i.Rest)
	}
	if i.Guard != "" {
		say("checked: "+i.Guard, ui.Dim)
	}
	for _, r := range Risks(i.Risk) {
		say("risk: "+r, ui.Yellow)
	}
}

func (t Plan) mark(i plan.Item) string {
	return t.Style.Paint(fmt.Sprintf("%-8s", strings.ToUpper(string(i.Severity))), severityColor(i.Severity)...)
}

// once reports whether a step is taken once for all that was changed.
func once(s change.Step) bool {
	return s.Verb == change.Check || s.Verb == change.Act || s.Verb == change.Unit && len(s.Args) == 1 && s.Args[0] == "reload"
}

// editInWords says what becomes of a path.
func editInWords(e change.Edit) string {
	switch {
	case e.Before.Same(e.After):
		return e.Path + ": what is changed above does it"
	case e.After.Type == "":
		return "remove " + e.Path
	case e.After.Type == snap.Dir && e.Before.Type == "":
		return "the folder " + e.Path + ", made if it is not there"
	case e.After.Type == snap.Link:
		return fmt.Sprintf("make %s a link to %s", e.Path, e.After.Target)
	case e.Before.Type == "":
		return fmt.Sprintf("new file %s, mode %04o", e.Path, e.After.Mode)
	case rights(e) != "":
		return e.Path + ": " + rights(e)
	}
	return "in " + e.Path
}

// editDiff is how a file's content changes, without the names; "" where it does not, or is not known. No line of it is empty.
func editDiff(e change.Edit) string {
	if e.After.Type != snap.File || e.After.Opaque || e.Before.Opaque {
		return ""
	}
	if !utf8.Valid(e.Before.Content) || !utf8.Valid(e.After.Content) {
		return fmt.Sprintf("@@ %d bytes become %d: they are no text @@\n", len(e.Before.Content), len(e.After.Content))
	}
	var b strings.Builder
	lines := strings.Split(string(diff.Diff("a", e.Before.Content, "b", e.After.Content)), "\n")
	for n, line := range lines {
		if n > 2 && line != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
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
	case change.Mount:
		return "remount " + s.Name + " with " + strings.Join(s.Args, ",")
	case change.Owner:
		return fmt.Sprintf("what belongs to %s at and below %s becomes that of %s, while %s stands still; what came since goes back with it", who(s.Args[0]), s.Name, who(s.Args[2]), s.Args[4])
	case change.Unit:
		return strings.Join(s.Args, ", ") + " " + s.Name
	case change.Check:
		if len(s.Args) > 0 {
			return s.Args[0] + ", or all goes back"
		}
		return "`" + s.Name + "` has to agree, or all goes back"
	case change.Act:
		if len(s.Args) > 0 {
			return s.Args[0]
		}
		return "run `" + s.Name + "`"
	}
	return string(s.Verb) + " " + s.Name
}

// who names an account by its number.
func who(uid string) string {
	if uid == "0" {
		return "root"
	}
	return "the account with the number " + uid
}
