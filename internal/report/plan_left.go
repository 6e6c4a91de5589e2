package report

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/plan"
	"picket/internal/core/snap"
	"picket/internal/ui"
)

// A leftGroup are findings that are left to a person for one reason.
type leftGroup struct {
	why   string
	items []plan.Item
}

// leftOf groups what a plan leaves to a person, in the order of the findings.
func leftOf(p plan.Plan) (groups []leftGroup) {
	at := map[string]int{}
	for _, i := range p.Items {
		if i.Changes() {
			continue
		}
		n, ok := at[i.Left]
		if !ok {
			n = len(groups)
			at[i.Left] = n
			groups = append(groups, leftGroup{why: i.Left})
		}
		groups[n].items = append(groups[n].items, i)
	}
	return groups
}

// left writes what a person has to do or to decide: once for each reason, and where the control knows how it is done,
// what to type. What has to be looked at before anything is typed is left to `picket explain`.
func (t Plan) left(b *strings.Builder, p plan.Plan) {
	brief := len(p.Items)-len(p.Planned()) > fewResults
	for n, g := range leftOf(p) {
		if n == 0 {
			fmt.Fprintf(b, "\n%s\n", t.Style.Paint("Left to you", ui.Yellow, ui.Bold))
		}
		fmt.Fprintf(b, "\n%s\n", ui.Wrap(t.about(oneLine(g.why))+":", t.Width, ""))
		for _, i := range g.items {
			fmt.Fprintf(b, "%s  %s\n", t.mark(i), t.Style.Paint(oneLine(i.Control), ui.Bold))
			fmt.Fprintf(b, "%s%s\n", indent, ui.Wrap(oneLine(cmp.Or(i.Reason, i.Title)), t.Width, indent)) // what is wrong: that is what they work on
			if i.ByHand {
				t.steps(b, i, brief)
			}
		}
	}
}

// changes are commands in prose that change a host.
var changes = regexp.MustCompile("`picket (passwd|user|apply|rollback)( [^`]*)`")

// about has the commands in a sentence name the host that they are about, where that is another machine.
func (t Plan) about(text string) string {
	return changes.ReplaceAllStringFunc(text, func(command string) string {
		m := changes.FindStringSubmatch(command)
		args := m[2]
		if t.host.Via == "ssh" && strings.HasPrefix(t.host.Target, "ssh://") && !strings.Contains(args, "ssh://") {
			args += " " + snap.CommandKey(t.host.Target)
		}
		return "`" + cmp.Or(t.Name, "picket") + " " + m[1] + args + "`"
	})
}

// unknown names what nothing is done about, as it could not be judged.
func (t Plan) unknown(b *strings.Builder, p plan.Plan) {
	if len(p.Unknown) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", t.Style.Paint("Could not be judged, so nothing is done about it", ui.Bold))
	if len(p.Unknown) <= 3 {
		for _, u := range p.Unknown {
			fmt.Fprintf(b, "  %s\n", ui.Wrap(oneLine(u.Control+": "+u.Reason), t.Width, "    "))
		}
		return
	}
	var ids []string
	const most = 8
	for n, u := range p.Unknown {
		if n == most {
			ids = append(ids, fmt.Sprintf("and %d more", len(p.Unknown)-most))
			break
		}
		ids = append(ids, u.Control)
	}
	fmt.Fprintf(b, "  %s\n", ui.Wrap(oneLine(strings.Join(ids, " ")), t.Width, "  "))
	how := "what was missing: " + cmp.Or(t.Name, "picket") + " audit"
	if !p.Host.Root {
		how = "it was not read as root, which hides most of this; " + how
	}
	fmt.Fprintf(b, "  %s\n", t.Style.Paint(ui.Wrap(how, t.Width, "  "), ui.Dim))
}

// steps are what a person types about a finding. In a long list what is only good order has no commands.
func (t Plan) steps(b *strings.Builder, i plan.Item, brief bool) {
	explain := t.Style.Paint(explained(t.Name, i.Control, t.host), ui.Dim)
	commands, more := firstCommands(i.Fix)
	if brief && i.Severity == control.Low {
		commands = nil
	}
	if len(commands) > 0 {
		for _, r := range Risks(slices.DeleteFunc(slices.Clone(i.Risk), func(r string) bool { return r == "reboot" })) {
			fmt.Fprintf(b, "%s  %s\n", indent, t.Style.Paint(ui.Wrap("risk: "+r, t.Width, indent+"    "), ui.Yellow))
		}
	}
	for _, c := range commands { // not wrapped: a command is there to be copied
		fmt.Fprintf(b, "%s  %s\n", indent, ui.Clean(c))
	}
	switch {
	case len(commands) == 0:
		fmt.Fprintf(b, "%s  %s\n", indent, explain)
	case more:
		fmt.Fprintf(b, "%s  %s %s\n", indent, t.Style.Paint("and more:", ui.Dim), explain)
	}
}
