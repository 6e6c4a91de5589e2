package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"picket/internal/core/audit"
	"picket/internal/ui"
)

// Exposure writes who reaches the ports of a host, for a person at a terminal:
// those first that are reached from farthest away.
type Exposure struct {
	Width int
	Style ui.Style
}

// Groups of ports, by from how far away they are reached.
var exposureGroups = []struct {
	title string
	color string
	holds func(audit.ExposedPort) bool
}{
	{"Reached from anywhere", ui.Red, func(p audit.ExposedPort) bool { return p.Anywhere.Open() && p.Public }},
	{"Reached from your network, and from anywhere if a router forwards it", ui.Yellow, func(p audit.ExposedPort) bool { return p.Anywhere.Open() }},
	{"Reached from your network", ui.Yellow, func(p audit.ExposedPort) bool { return p.Network.Open() }},
	{"Reached from your private network (VPN)", ui.Green, func(p audit.ExposedPort) bool { return p.VPN != nil && p.VPN.Open() }},
	{"Refused by the firewall", ui.Green, func(p audit.ExposedPort) bool { return !p.Local }},
	{"On this host only", ui.Green, func(audit.ExposedPort) bool { return true }},
}

// Write writes one host's ports.
func (t Exposure) Write(w io.Writer, e audit.Exposure) error {
	b := &strings.Builder{}
	name := t.Style.Paint(oneLine(e.Host.Name), ui.Bold)
	if e.Host.OS != "" {
		name += " · " + oneLine(e.Host.OS)
	}
	if !e.Host.Root {
		name += t.Style.Paint(" · read without root", ui.Yellow)
	}
	fmt.Fprintln(b, name)
	open := 0
	for _, p := range e.Ports {
		if p.Network.Open() || p.Anywhere.Open() {
			open++
		}
	}
	if e.Unknown != "" {
		fmt.Fprintln(b, ui.Wrap("which ports are open is not known: "+ui.Clean(e.Unknown), t.Width, "  "))
	}
	if e.Unknown == "" || len(e.Ports) > 0 {
		fmt.Fprintf(b, "%s, %d of them reached from outside\n", count(len(e.Ports), "port"), open)
	}
	left := slices.Clone(e.Ports)
	for _, g := range exposureGroups {
		var of []audit.ExposedPort
		of, left = split(left, g.holds)
		if len(of) == 0 {
			continue
		}
		fmt.Fprintf(b, "\n%s\n", t.Style.Paint(ui.Wrap(g.title, t.Width, ""), g.color, ui.Bold))
		for _, p := range of {
			t.port(b, p)
		}
	}
	for _, p := range e.Problems {
		fmt.Fprintf(b, "\n%s\n", t.Style.Paint(ui.Wrap("note: "+ui.Clean(p), t.Width, "  "), ui.Yellow))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// split parts what holds from the rest, in order.
func split(ps []audit.ExposedPort, holds func(audit.ExposedPort) bool) (yes, no []audit.ExposedPort) {
	for _, p := range ps {
		if holds(p) {
			yes = append(yes, p)
		} else {
			no = append(no, p)
		}
	}
	return yes, no
}

// port writes one line of who it is, and below it what lets senders in.
func (t Exposure) port(b *strings.Builder, p audit.ExposedPort) {
	who := []string{}
	if p.Process != "" {
		s := p.Process
		if p.User != "" {
			s += " as " + p.User
		}
		if p.Unit != "" && p.Unit != p.Process+".service" {
			s += " in " + p.Unit
		}
		who = append(who, s)
	}
	switch service := p.Service; {
	case service == "" && len(who) == 0 && p.Forwarded == "":
		who = append(who, "unknown process")
	case service != "":
		who = slices.Insert(who, 0, service)
	}
	if p.Forwarded != "" {
		who = append(who, "led to "+p.Forwarded)
	}
	const left = 12 // where the text beside the port begins
	head := fmt.Sprintf("  %-9s ", fmt.Sprintf("%d/%s", p.Port, p.Proto))
	text := oneLine(strings.Join(who, " · "))
	fmt.Fprintf(b, "%s%s\n", t.Style.Paint(head, ui.Bold), ui.Wrap(text+"  at "+strings.Join(p.Addresses, ", "), t.Width, strings.Repeat(" ", left)))
	type line struct {
		from []string
		said string
	}
	var lines []line
	for _, r := range []struct {
		from string
		of   *audit.ReachOf
	}{{"anywhere", &p.Anywhere}, {"your network", &p.Network}, {"the VPN", p.VPN}} {
		if r.of == nil || p.Local {
			continue
		}
		said := reachText(*r.of)
		if i := len(lines) - 1; i >= 0 && lines[i].said == said {
			lines[i].from = append(lines[i].from, r.from)
			continue
		}
		lines = append(lines, line{[]string{r.from}, said})
	}
	for _, l := range lines {
		from := strings.Join(l.from[:len(l.from)-1], ", ")
		if from != "" {
			from += " and "
		}
		line := from + l.from[len(l.from)-1] + ": " + l.said
		fmt.Fprintf(b, "%s%s\n", strings.Repeat(" ", left), t.Style.Paint(ui.Wrap(oneLine(line), t.Width, strings.Repeat(" ", left+2)), ui.Dim))
	}
	t.tried(b, p, left)
}

// tried writes what came of connections that were really made.
func (t Exposure) tried(b *strings.Builder, p audit.ExposedPort, left int) {
	for i := 0; i < len(p.Tried); {
		one := p.Tried[i]
		from := []string{one.From}
		for i++; i < len(p.Tried); i++ {
			next := p.Tried[i]
			if next.Result != one.Result || next.Says != one.Says || next.Against != one.Against {
				break
			}
			from = append(from, next.From)
		}
		said := map[string]string{audit.TryOpen: "open", audit.TryShut: "shut", audit.TryFailed: "could not be tried"}[one.Result]
		if one.Says != "" {
			said += " (" + one.Says + ")"
		}
		color := ui.Dim
		if one.Against != "" {
			said += ": " + one.Against
			color = ui.Yellow
			if one.Result == audit.TryOpen {
				color = ui.Red
			}
		}
		fmt.Fprintf(b, "%s%s\n", strings.Repeat(" ", left), t.Style.Paint(ui.Wrap(oneLine("tried from "+strings.Join(from, ", ")+": "+said), t.Width, strings.Repeat(" ", left+2)), color))
	}
}

func reachText(r audit.ReachOf) string {
	word := map[string]string{"yes": "yes", "no": "no", "some": "some", "limited": "yes, a few times a minute", "unknown": "not known"}[r.Reached]
	if len(r.From) > 0 {
		from := r.From[:min(len(r.From), 4)]
		word = "only " + strings.Join(from, ", ")
		if n := len(r.From) - len(from); n > 0 {
			word += fmt.Sprintf(" and %d more", n)
		}
	}
	if r.Rule != "" {
		word += " (" + r.Rule + ")"
	}
	return word
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// ExposureJSON writes the documents of one host, or of several as an array.
func ExposureJSON(w io.Writer, es []audit.Exposure, several bool) error {
	if !several {
		return encode(w, es[0])
	}
	return encode(w, es)
}
