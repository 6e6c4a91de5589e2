package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/plan"
	"picket/internal/ui"
)

// Plans writes what is to be done to several hosts: each finding once, with the hosts on which it is mended.
type Plans struct {
	Width int
	Style ui.Style
	Show  func(host string) string // the command that shows the plan of one host whole
}

// Write writes the plans. names are the hosts as they were typed, in the order of the plans.
func (t Plans) Write(w io.Writer, names []string, plans []plan.Plan) error {
	b := &strings.Builder{}
	type finding struct {
		item  plan.Item // of the first host that has it
		hosts []string
	}
	var all []*finding
	var changes, nothing []string
	left := map[string]int{}
	for n, p := range plans {
		if len(p.Steps) > 0 {
			changes = append(changes, names[n])
		} else {
			nothing = append(nothing, names[n])
		}
		for _, i := range p.Items {
			if !i.Changes() {
				left[names[n]]++
				continue
			}
			at := slices.IndexFunc(all, func(f *finding) bool { return f.item.Control == i.Control })
			if at < 0 {
				at = len(all)
				all = append(all, &finding{item: i})
			}
			all[at].hosts = append(all[at].hosts, names[n])
		}
	}
	slices.SortStableFunc(all, func(a, b *finding) int {
		return control.Severity.Rank(b.item.Severity) - control.Severity.Rank(a.item.Severity)
	})
	for _, f := range all {
		fmt.Fprintf(b, "%s  %s  %s\n", Plan{Style: t.Style}.mark(f.item), t.Style.Paint(oneLine(f.item.Control), ui.Bold), onHosts(f.hosts, changes))
		fmt.Fprintf(b, "%s%s\n", indent, ui.Wrap(oneLine(f.item.Title), t.Width, indent))
		if len(f.item.Risk) > 0 {
			fmt.Fprintf(b, "%s%s\n", indent, t.Style.Paint("could cost: "+strings.Join(f.item.Risk, ", "), ui.Yellow))
		}
	}
	if len(all) > 0 {
		b.WriteString("\n")
	}
	say := func(text string) { fmt.Fprintln(b, ui.Wrap(text, t.Width, "  ")) }
	if len(changes) > 0 {
		say("to be changed: " + strings.Join(changes, ", "))
	}
	if len(nothing) > 0 {
		say("nothing to change: " + strings.Join(nothing, ", "))
	}
	var lines []string
	for _, n := range names {
		if left[n] > 0 {
			lines = append(lines, fmt.Sprintf("%s %d", n, left[n]))
		}
	}
	if len(lines) > 0 {
		say("findings left to you: " + strings.Join(lines, ", "))
	}
	switch {
	case len(changes) > 0:
		say("each change as a diff: " + t.Show(changes[0]))
	case len(lines) > 0:
		say("why: " + t.Show(nothing[0]))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// onHosts names hosts, as short as that can be said of those that are changed.
func onHosts(hosts, changed []string) string {
	switch others := slices.DeleteFunc(slices.Clone(changed), func(h string) bool { return slices.Contains(hosts, h) }); {
	case len(changed) > 1 && len(others) == 0:
		return fmt.Sprintf("on all %d", len(changed))
	case len(changed) > 4 && len(others) == 1:
		return "on all but " + others[0]
	}
	return "on " + strings.Join(hosts, ", ")
}
