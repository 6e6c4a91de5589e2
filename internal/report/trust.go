package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"picket/internal/core/trust"
	"picket/internal/ui"
)

// Trust writes who can become whom, for a person at a terminal.
type Trust struct {
	Width int
	Style ui.Style
	Next  []Hint // what to type next; may be empty
}

// TrustJSON writes the map as one document.
func TrustJSON(w io.Writer, m trust.Map) error { return encode(w, m) }

// Write writes the map: what should not be so first, then who reaches whom, and what falls with what.
func (t Trust) Write(w io.Writer, m trust.Map) error {
	b := &strings.Builder{}
	fmt.Fprintf(b, "%s\n", t.Style.Paint("Who can become whom", ui.Bold)+" · "+oneLine(trustSum(m)))
	t.taken(b, m)
	t.ways(b, m)
	t.passwords(b, m)
	t.outside(b, m)
	t.same(b, m)
	t.unknown(b, m)
	hints(b, t.Next, t.Width, t.Style)
	_, err := io.WriteString(w, b.String())
	return err
}

// trustSum is the map in a line.
func trustSum(m trust.Map) string {
	all, alone, most, by := 0, 0, 0, ""
	for _, n := range m.Nodes {
		switch {
		case !n.Read:
		case len(n.Takes) == 0:
			alone++
		case len(n.Takes) == len(m.Nodes)-1:
			all++
		}
		if len(n.Takes) > most {
			most, by = len(n.Takes), n.Name
		}
	}
	switch {
	case len(m.Nodes) == 1:
		return "1 host: among several it shows who reaches whom"
	case all == len(m.Nodes):
		return fmt.Sprintf("%s: whoever takes any one of them has them all", count(len(m.Nodes), "host"))
	case alone == len(m.Nodes):
		return fmt.Sprintf("%s: none of them takes another with it", count(len(m.Nodes), "host"))
	case most > 0:
		return fmt.Sprintf("%s: %s takes %d more with it, %d take none", count(len(m.Nodes), "host"), by, most, alone)
	}
	return count(len(m.Nodes), "host")
}

func (t Trust) title(b *strings.Builder, text, color string) {
	fmt.Fprintf(b, "\n%s\n", t.Style.Paint(text, color, ui.Bold))
}

// taken writes what falls with each host. Hosts with which the same falls are put together.
func (t Trust) taken(b *strings.Builder, m trust.Map) {
	if len(m.Anybody) > 0 {
		t.title(b, "Taken by anybody who reaches them", ui.Red)
		for _, f := range m.Anybody {
			var with []string
			for _, e := range m.Edges {
				if e.From == trust.Anybody && strings.HasSuffix(e.To, "@"+f.Host) {
					with = append(with, strings.TrimSuffix(e.To, "@"+f.Host)+": "+e.With)
				}
			}
			text := "by what anybody takes besides"
			if len(with) > 0 {
				text = "over SSH, as " + strings.Join(with, "; ")
			}
			if f.Root {
				text += "; all of it"
			}
			fmt.Fprintf(b, "  %s  %s\n", oneLine(f.Host), ui.Wrap(oneLine(text), t.Width, "    "))
		}
	}
	if len(m.Nodes) < 2 {
		return
	}
	t.title(b, "If one is taken, so are", ui.Bold)
	type row struct {
		names       []string
		text, color string
	}
	var rows []row
	for _, n := range m.Nodes {
		text, color := "no other", ui.Green
		switch {
		case !n.Read:
			text, color = "not known: it could not be read", ui.Yellow
		case len(n.Takes) > 0:
			text, color = fallen(n.Takes, len(m.Nodes)-1), ui.Red
			if n.Leads() {
				color = ""
			}
		case len(n.Unknown) > 0:
			text, color = "no other, as far as is known", ui.Yellow
		}
		if len(n.Later) > 0 {
			text += "; and once somebody types a password or a passphrase there: " + fallen(n.Later, len(m.Nodes)-1)
		}
		if i := slices.IndexFunc(rows, func(r row) bool { return r.text == text && r.color == color }); i >= 0 {
			rows[i].names = append(rows[i].names, n.Name)
		} else {
			rows = append(rows, row{[]string{n.Name}, text, color})
		}
	}
	for _, r := range rows {
		head := ui.Wrap(oneLine(strings.Join(r.names, ", ")), t.Width, "  ")
		text := oneLine(r.text)
		if r.color != "" {
			text = t.Style.Paint(ui.Wrap(text, t.Width-4, "      "), r.color)
		} else {
			text = ui.Wrap(text, t.Width-4, "      ")
		}
		if len(r.names) == 1 && len(head) < 16 {
			fmt.Fprintf(b, "  %-12s %s\n", head, text)
			continue
		}
		fmt.Fprintf(b, "  %s\n    %s\n", head, text)
	}
}

// fallen are hosts in words: "every other, wholly", or their names with what is taken of each.
func fallen(fs []trust.Fallen, others int) string {
	whole := !slices.ContainsFunc(fs, func(f trust.Fallen) bool { return !f.Root })
	if len(fs) == others && whole && others > 1 {
		return "every other, wholly"
	}
	var names, parts []string
	for _, f := range fs {
		if f.Root {
			names = append(names, f.Host)
		} else {
			parts = append(parts, f.Host+" (as "+strings.Join(f.Accounts, ", ")+")")
		}
	}
	switch {
	case len(parts) == 0:
		return strings.Join(names, ", ") + ", wholly"
	case len(names) == 0:
		return strings.Join(parts, ", ")
	}
	return strings.Join(names, ", ") + ", wholly; " + strings.Join(parts, ", ")
}

// ways writes the edges, those that are alike in one line.
func (t Trust) ways(b *strings.Builder, m trust.Map) {
	hosts := map[string]string{} // of an account
	names := map[string]string{}
	for _, a := range m.Accounts {
		hosts[a.ID], names[a.ID] = a.Host, a.Name
	}
	others := len(m.Nodes) - 1
	place := func(list []string) string { return everywhere(list, len(m.Nodes)) }
	order := func(list []string) []string {
		var out []string
		for _, n := range m.Nodes {
			if slices.Contains(list, n.Name) {
				out = append(out, n.Name)
			}
		}
		return out
	}
	// Keys: of one account, what it comes to with what it needs.
	type kind struct{ from, to, needs string }
	type way struct {
		kind
		at []string // hosts
	}
	var keys []way
	for _, e := range m.Edges {
		if e.How != trust.Key {
			continue
		}
		k := kind{e.From, names[e.To], "without a passphrase"}
		if e.Needs != "" {
			k.needs = "needs " + e.Needs
		}
		if e.Only != "" {
			k.needs = "runs " + e.Only + " and nothing else"
		}
		if e.Unsure != "" {
			k.needs += "; " + e.Unsure
		}
		if i := slices.IndexFunc(keys, func(w way) bool { return w.kind == k }); i < 0 {
			keys = append(keys, way{k, []string{hosts[e.To]}})
		} else if !slices.Contains(keys[i].at, hosts[e.To]) {
			keys[i].at = append(keys[i].at, hosts[e.To])
		}
	}
	type line struct {
		who, text string
		at        []string
	}
	var lines []line
	add := func(who, at, text string) {
		if i := slices.IndexFunc(lines, func(l line) bool { return l.who == who && l.text == text }); i >= 0 {
			if !slices.Contains(lines[i].at, at) {
				lines[i].at = append(lines[i].at, at)
			}
			return
		}
		lines = append(lines, line{who, text, []string{at}})
	}
	for _, k := range keys {
		where := place(order(k.at))
		if others > 1 && len(k.at) == others && !slices.Contains(k.at, hosts[k.from]) {
			where = "every other host"
		}
		add(names[k.from], hosts[k.from], fmt.Sprintf("%s on %s: a key, %s", k.to, where, k.needs))
	}
	write := func(title string) {
		if len(lines) == 0 {
			return
		}
		t.title(b, title, ui.Bold)
		for _, l := range lines {
			head := l.who + " on " + place(order(l.at))
			fmt.Fprintf(b, "  %s\n    → %s\n", ui.Wrap(oneLine(head), t.Width, "    "), ui.Wrap(oneLine(l.text), t.Width, "      "))
		}
		lines = nil
	}
	write("Who reaches whom")
	for _, e := range m.Edges {
		if e.From == trust.Anybody || e.How == trust.Key {
			continue
		}
		text := names[e.To] + ": "
		switch e.How {
		case trust.Sudo:
			text += "sudo"
			if e.Needs == "" {
				text += ", at once"
				if !strings.Contains(e.With, "ALL") {
					text += " (" + e.With + ")"
				}
			} else {
				text += ", with its password"
			}
		case trust.Group:
			text += "the group " + e.With + " is as good as root"
		case trust.Password:
			text += "its password is a " + e.With
		}
		add(names[e.From], hosts[e.From], text)
	}
	write("Who becomes whom on one host")
}

func (t Trust) outside(b *strings.Builder, m trust.Map) {
	if len(m.Outside) == 0 {
		return
	}
	t.title(b, "Keys that lie on none of these hosts, and let in", ui.Bold)
	for _, o := range m.Outside {
		to := o.To
		by := map[string][]string{}
		var order []string
		for _, id := range to {
			user, host, _ := strings.Cut(id, "@")
			if by[user] == nil {
				order = append(order, user)
			}
			by[user] = append(by[user], host)
		}
		var parts []string
		for _, u := range order {
			parts = append(parts, u+" on "+everywhere(by[u], len(m.Nodes)))
		}
		text := strings.Join(parts, "; ")
		if o.From != "" {
			text += ", from " + o.From
		}
		if o.Only != "" {
			text += ": runs " + o.Only + " and nothing else"
		}
		fmt.Fprintf(b, "  %s\n    → %s\n", ui.Wrap(oneLine(cmp.Or(o.Comment, "no comment")+" · "+o.Type+" "+o.Print), t.Width, "    "), ui.Wrap(oneLine(text), t.Width, "      "))
	}
}

// passwords writes who comes in with a password that nobody has guessed.
func (t Trust) passwords(b *strings.Builder, m trust.Map) {
	var order []string
	at := map[string][]string{}
	for _, a := range m.Accounts {
		if a.Password {
			if at[a.Name] == nil {
				order = append(order, a.Name)
			}
			at[a.Name] = append(at[a.Name], a.Host)
		}
	}
	if len(order) == 0 {
		return
	}
	t.title(b, "Comes in over SSH with a password", ui.Bold)
	for _, name := range order {
		fmt.Fprintf(b, "  %s\n", ui.Wrap(oneLine(name+" on "+everywhere(at[name], len(m.Nodes))), t.Width, "    "))
	}
}

// everywhere are hosts in words.
func everywhere(hosts []string, all int) string {
	if len(hosts) == all && all > 2 {
		return "each host"
	}
	return strings.Join(hosts, ", ")
}

func (t Trust) same(b *strings.Builder, m trust.Map) {
	if len(m.Same) == 0 {
		return
	}
	t.title(b, "The same on several hosts, as copied cards have it", ui.Yellow)
	for _, s := range m.Same {
		text := s.What + " · " + s.Of
		if s.What == trust.SameMachine {
			text = "one machine under two names"
		}
		fmt.Fprintf(b, "  %s\n    %s\n", ui.Wrap(oneLine(strings.Join(s.Hosts, ", ")), t.Width, "    "), ui.Wrap(oneLine(text), t.Width, "      "))
	}
}

func (t Trust) unknown(b *strings.Builder, m trust.Map) {
	if !m.Partial() {
		return
	}
	t.title(b, "Not known, so that more may be possible", ui.Yellow)
	for _, n := range m.Nodes {
		for i, why := range n.Unknown {
			if i == 3 && len(n.Unknown) > 4 {
				fmt.Fprintf(b, "  %s: and %d more; --output json lists them\n", oneLine(n.Name), len(n.Unknown)-i)
				break
			}
			fmt.Fprintf(b, "  %s\n", ui.Wrap(oneLine(n.Name+": "+why), t.Width, "    "))
		}
	}
}
