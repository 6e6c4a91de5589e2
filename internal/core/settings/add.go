package settings

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/inventory"
	"picket/internal/core/yaml"
)

// Added is what Add did.
type Added struct {
	Text  []byte           // the whole file
	Nodes []inventory.Node // that are new in it
	Notes []inventory.Note // of those that were there already, where they differ
	There int              // nodes that were there already
}

// ByHand is the error of Add for a file whose cluster is written so that nothing can be put into it.
type ByHand struct {
	File  string
	Why   string
	Lines string // to be put there
}

func (e ByHand) Error() string { return fmt.Sprintf("%s: %s", e.File, e.Why) }

// Add puts the nodes that a file of settings does not name yet into its cluster. All that it holds stays as it is,
// comments too: there are only more lines. What it says of all nodes holds for the new ones, where they do not say it themselves.
func Add(file string, old []byte, inv inventory.Inventory) (Added, error) {
	var before Settings
	if err := before.Merge(file, old).Err(); err != nil {
		return Added{}, err
	}
	out := Added{Text: old}
	have := before.Inventory()
	for _, n := range inv.Nodes {
		i := slices.IndexFunc(have.Nodes, func(h inventory.Node) bool { return strings.EqualFold(h.Name, n.Name) })
		if i < 0 {
			i = slices.IndexFunc(have.Nodes, n.Same)
		}
		if i < 0 {
			out.Nodes = append(out.Nodes, n)
			continue
		}
		out.There++
		if text := differ(have.Nodes[i], n); text != "" {
			out.Notes = append(out.Notes, inventory.Note{At: have.Nodes[i].At, Text: text})
		}
	}
	if len(out.Nodes) == 0 {
		return out, nil
	}
	root, _ := yaml.Read(file, old)
	c := before.Cluster
	lines := func(indent string) string {
		return nodeLines(out.Nodes, indent, string(c.User), int(c.Port), string(c.Identity), true)
	}
	hand := func(why string) (Added, error) {
		return Added{}, ByHand{file, why, "cluster:\n  nodes:\n" + lines("    ")}
	}
	cluster := root.Get("cluster")
	nodes := cluster.Get("nodes")
	switch {
	case root != nil && (root.Flow() || len(root.Keys()) == 0):
		return hand("is one value in brackets")
	case cluster == nil:
		part := Render(inventory.New(out.Nodes, inv.Groups))
		out.Text = closed(old)
		if len(bytes.TrimSpace(old)) > 0 {
			out.Text = append(out.Text, '\n')
		}
		out.Text = append(out.Text, part...)
	case cluster.Flow(): // or nothing, which is an error before
		return hand("its cluster is written in brackets")
	case nodes == nil:
		indent := strings.Repeat(" ", column(cluster)-1)
		out.Text = after(old, end(old, cluster), indent+"nodes:\n"+lines(indent+"  "))
	case nodes.Flow():
		return hand("its cluster.nodes are written in brackets")
	default:
		out.Text = after(old, end(old, nodes), lines(strings.Repeat(" ", column(nodes)-1)))
	}
	if why := unlike(file, have, out, c); why != "" {
		return hand(why)
	}
	return out, nil
}

// differ says in what a node is found otherwise than it is written.
func differ(is, found inventory.Node) string {
	var all []string
	say := func(what, is, found string) {
		if found != "" && is != found {
			all = append(all, fmt.Sprintf("the %s %s there, and %s is found", what, cmp.Or(is, "is not set"), found))
		}
	}
	if !strings.EqualFold(is.Host(), found.Host()) {
		say("address", is.Host(), found.Host())
	}
	if is.User != "" {
		say("user", is.User, found.User)
	}
	if is.Jump != found.Jump {
		say("way", is.Jump, found.Jump)
	}
	if len(all) == 0 {
		return ""
	}
	return fmt.Sprintf("%s is there already and stays as it is: %s", is.Name, strings.Join(all, "; "))
}

// unlike says why a changed file does not read as it was meant to; "" if it does.
func unlike(file string, have inventory.Inventory, out Added, c Cluster) string {
	var after Settings
	if ps := after.Merge(file, out.Text); len(ps) > 0 {
		return "with the nodes below it would be wrong: " + ps[0].Text
	}
	got := after.Inventory()
	if len(got.Nodes) != len(have.Nodes)+len(out.Nodes) {
		return "the nodes below do not fit in"
	}
	for i, n := range got.Nodes {
		var want inventory.Node
		if i < len(have.Nodes) {
			want = have.Nodes[i]
		} else {
			want = out.Nodes[i-len(have.Nodes)]
			want.User, want.Port, want.Identity = cmp.Or(want.User, string(c.User)), cmp.Or(want.Port, int(c.Port)), cmp.Or(want.Identity, string(c.Identity))
		}
		if n.Name != want.Name || n.Host() != want.Host() || n.User != want.User || n.Port != want.Port || n.Identity != want.Identity || n.Jump != want.Jump ||
			!slices.Equal(n.Roles, want.Roles) || i < len(have.Nodes) && !slices.Equal(n.Groups, want.Groups) {
			return "the nodes below do not fit in"
		}
	}
	return ""
}

// column in which the first key of a mapping begins, from 1.
func column(n *yaml.Node) int { return n.Key(n.Keys()[0]).Problem("").Column }

// end is the last line of a block mapping: the last one that is indented as its keys are, or more.
func end(text []byte, n *yaml.Node) int {
	first, indent := n.Key(n.Keys()[0]).Line(), column(n)-1
	last, i := first, 0
	for line := range bytes.Lines(text) {
		if i++; i <= first {
			continue
		}
		t := bytes.TrimSpace(line)
		if len(t) == 0 {
			continue
		}
		if len(line)-len(bytes.TrimLeft(line, " ")) < indent {
			if t[0] == '#' {
				continue
			}
			break
		}
		last = i
	}
	return last
}

// after puts text behind a line.
func after(data []byte, line int, text string) []byte {
	var out []byte
	i := 0
	for l := range bytes.Lines(data) {
		out = append(out, l...)
		if i++; i == line {
			out = append(closed(out), text...)
		}
	}
	return out
}

// closed ends with the end of a line.
func closed(data []byte) []byte {
	if len(data) > 0 && data[len(data)-1] != '\n' {
		return append(slices.Clone(data), '\n')
	}
	return slices.Clone(data)
}
