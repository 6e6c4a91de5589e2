package cli

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"picket/internal/core/inventory"
	"picket/internal/core/settings"
	"picket/internal/ui"
)

// choose shows what was found, and asks which of it is meant.
func (n *initRun) choose(ctx context.Context, c settings.Cluster) error {
	p := n.p
	n.inv = inventory.Merge(n.found...)
	n.tellSources()
	if len(n.inv.Nodes) == 0 {
		hint := "`picket init ssh://user@leader` reads what the leader knows; --from FILE names a file"
		if len(n.over) > 0 {
			hint = "--from FILE names a file; docs/settings.md has the form of picket.yaml"
		}
		return withHint(fmt.Errorf("no nodes were found"), hint)
	}
	if len(n.opt.nodes) > 0 {
		if err := n.only(n.opt.nodes); err != nil {
			return usage(fmt.Errorf("--nodes: %w", err))
		}
	}
	n.tellNodes()
	prompt := n.prompt(ctx)
	for asks := prompt.Possible() && len(n.opt.nodes) == 0 && len(n.inv.Nodes) > 1; asks; {
		answer, err := prompt.Line("\nWhich of them? Names or patterns, as worker*; Enter takes all: ")
		if err != nil {
			return unanswered(err)
		}
		words := strings.FieldsFunc(answer, func(r rune) bool { return r == ' ' || r == ',' })
		if len(words) == 0 || len(words) == 1 && words[0] == inventory.All {
			break
		}
		if err := n.only(words); err != nil {
			fmt.Fprintln(p.io.Err, ui.Clean(err.Error()))
			continue
		}
		asks = false
	}
	return n.users(prompt, c)
}

// only leaves out the nodes that no word means, and that lie on the way to none of those.
func (n *initRun) only(words []string) error {
	keep, used := map[string]bool{}, map[string]bool{}
	for _, one := range n.inv.Nodes {
		for _, w := range words {
			if ok, err := path.Match(w, one.Name); err != nil {
				return fmt.Errorf("%s: %w", w, err)
			} else if ok || slices.Contains(one.Groups, w) || slices.Contains(one.Roles, w) {
				keep[one.Name], used[w] = true, true
			}
		}
	}
	for _, w := range words {
		if !used[w] {
			return fmt.Errorf("%q is the name of none of them", w)
		}
	}
	for more := true; more; {
		more = false
		for _, one := range n.inv.Nodes {
			for _, via := range n.via(one) {
				if keep[one.Name] && !keep[via] {
					keep[via], more = true, true
				}
			}
		}
	}
	n.inv = inventory.New(slices.DeleteFunc(slices.Clone(n.inv.Nodes), func(o inventory.Node) bool { return !keep[o.Name] }), n.inv.Groups)
	return nil
}

// via are the nodes on the way to one.
func (n *initRun) via(one inventory.Node) (out []string) {
	if one.Jump == "" {
		return nil
	}
	hops, _ := inventory.Hops(one.Jump) // whoever read it has looked
	for _, h := range hops {
		if _, ok := n.inv.Node(h.Host); ok && h.User == "" && h.Port == 0 {
			out = append(out, h.Host)
		}
	}
	return out
}

// users gives each node what the settings say of all, and asks for a user where there is none.
func (n *initRun) users(prompt ui.Prompt, c settings.Cluster) error {
	var without []string
	var nodes []inventory.Node
	for _, one := range n.inv.Nodes {
		for _, is := range n.have.Nodes {
			if strings.EqualFold(is.Name, one.Name) || is.Same(one) {
				one = is // as it is written there
				break
			}
		}
		if slices.ContainsFunc(nodes, func(o inventory.Node) bool { return o.Name == one.Name }) {
			continue
		}
		one.User = cmp.Or(one.User, n.opt.user, string(c.User))
		one.Port, one.Identity = cmp.Or(one.Port, int(c.Port)), cmp.Or(one.Identity, n.identity(), string(c.Identity))
		if one.User == "" {
			without = append(without, one.Name)
		}
		nodes = append(nodes, one)
	}
	n.inv = inventory.New(nodes, n.inv.Groups)
	if len(without) == 0 || !prompt.Possible() {
		return nil
	}
	for {
		who, err := prompt.Line(fmt.Sprintf("User on %s (Enter: as ssh has it, else %s): ", some(without), cmp.Or(n.p.getenv("USER"), "yours here")))
		if err != nil {
			return unanswered(err)
		}
		if who == "" {
			return nil
		}
		if err := inventory.CheckUser(who); err != nil {
			fmt.Fprintln(n.p.io.Err, ui.Clean(err.Error()))
			continue
		}
		for i := range n.inv.Nodes {
			n.inv.Nodes[i].User = cmp.Or(n.inv.Nodes[i].User, who)
		}
		return nil
	}
}

// identity is the key that was named on the command line, as any folder finds it.
func (n *initRun) identity() string {
	if len(n.opt.ssh.identities) != 1 {
		return ""
	}
	file, err := filepath.Abs(n.opt.ssh.identities[0])
	if home := n.p.getenv("HOME"); err == nil && home != "" && strings.HasPrefix(file, home+"/") {
		file = "~" + strings.TrimPrefix(file, home)
	}
	if err != nil || inventory.CheckIdentity(file) != nil {
		return ""
	}
	return file
}

// some names a few of many.
func some(names []string) string {
	if len(names) > 4 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:3], ", "), len(names)-3)
	}
	return strings.Join(names, ", ")
}

// tellSources says where nodes were looked for, and what could not be used.
func (n *initRun) tellSources() {
	width := 0
	for _, f := range n.found {
		width = max(width, len([]rune(f.File)))
	}
	for _, f := range n.found {
		count := fmt.Sprintf("%d nodes", len(f.Nodes))
		switch len(f.Nodes) {
		case 0:
			count = "no nodes"
		case 1:
			count = "1 node"
		}
		fmt.Fprintf(n.out, "%-*s  %s\n", width, ui.Clean(f.File), count)
	}
	for _, note := range n.inv.Notes() {
		fmt.Fprintf(n.out, "  %s\n", ui.Wrap(ui.Clean(note.String()), n.p.width()-2, "    "))
	}
	for _, u := range n.unread {
		fmt.Fprintf(n.out, "  %s\n", ui.Wrap(ui.Clean("not read: "+u), n.p.width()-2, "    "))
	}
}

// tellNodes shows the nodes as a table.
func (n *initRun) tellNodes() {
	own := addresses()
	rows := [][]string{{"node", "address", "user", "is", "from"}}
	for _, one := range n.inv.Nodes {
		address := one.Host()
		if one.Port != 0 {
			address += fmt.Sprintf(" port %d", one.Port)
		}
		if one.Jump != "" {
			address += " through " + one.Jump
		}
		what := strings.Join(append(slices.Clone(one.Roles), one.Groups...), " ")
		if a, err := netip.ParseAddr(one.Host()); err == nil && one.Jump == "" && slices.Contains(own, a.Unmap()) {
			what = strings.TrimSpace(what + " (this machine)")
		}
		rows = append(rows, []string{one.Name, address, one.User, what, one.At.String()})
	}
	fmt.Fprintln(n.out)
	n.table(rows)
}

// addresses are this machine's own.
func addresses() (out []netip.Addr) {
	all, _ := net.InterfaceAddrs() // none is known then
	for _, a := range all {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, prefix.Addr().Unmap())
		}
	}
	return out
}

// table writes rows in columns, the first row as their titles. A column that is empty all along is left out.
func (n *initRun) table(rows [][]string) {
	width := make([]int, len(rows[0]))
	for _, r := range rows[1:] {
		for i, c := range r {
			width[i] = max(width[i], len([]rune(ui.Clean(c))))
		}
	}
	for at, r := range rows {
		line := ""
		for i, c := range r {
			if width[i] > 0 {
				line += fmt.Sprintf("  %-*s", max(width[i], len(rows[0][i])), ui.Clean(c))
			}
		}
		line = strings.TrimRight(line, " ")
		if at == 0 {
			line = n.p.style.Paint(line, ui.Dim)
		}
		fmt.Fprintln(n.out, line)
	}
}
