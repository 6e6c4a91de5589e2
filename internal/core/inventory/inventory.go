// Package inventory is the nodes of a cluster: how each is reached, which a
// word on the command line means, and what other programs' files know of them.
package inventory

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/yaml"
)

// A Place is where something stands; Line is 0 where it concerns the whole file.
type Place struct {
	File string
	Line int
}

func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return p.File + ":" + strconv.Itoa(p.Line)
}

// A Note is what a person should know of an inventory: what of a file could
// not be used, and where two disagree. It never shows a value that may be secret.
type Note struct {
	At   Place
	Text string
}

func (n Note) String() string {
	if n.At.File == "" {
		return n.Text
	}
	return n.At.String() + ": " + n.Text
}

// A Node is one machine of the cluster.
type Node struct {
	Name     string // as it is typed
	Address  string // name or address, an IPv6 one without brackets; empty: Name
	User     string // who to be there; empty: nothing is said
	Port     int    // 0: nothing is said, which means 22
	Identity string // file of a private key, as written: ~ is the caller's home
	Jump     string // through which hosts, see Hops; empty: directly
	Roles    []string
	Groups   []string // in the order of Inventory.Groups
	At       Place
}

// Host is what to connect to.
func (n Node) Host() string {
	if n.Address == "" {
		return n.Name
	}
	return n.Address
}

func (n Node) port() int {
	if n.Port == 0 {
		return 22
	}
	return n.Port
}

// machine is the same for two nodes that are one machine. An address behind
// another jump host is another one.
func (n Node) machine() string {
	return strings.ToLower(n.Jump) + "|" + addressKey(n.Host()) + "|" + strconv.Itoa(n.port())
}

// addressKey is the same for two ways to write one address.
func addressKey(s string) string {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().String()
	}
	return strings.ToLower(strings.TrimSuffix(s, "."))
}

// A Group is a name for several nodes.
type Group struct {
	Name  string
	Nodes []string // names, in the order of Inventory.Nodes
	At    Place
}

// An Inventory is all nodes of a cluster. New makes one.
type Inventory struct {
	Nodes  []Node
	Groups []Group

	notes []Note
}

// New puts nodes and groups together. A node may name its groups, a group its
// nodes; afterwards both know of each other. Members that are no node are left out.
func New(nodes []Node, groups []Group) Inventory {
	inv := Inventory{Nodes: slices.Clone(nodes)}
	at := map[string]int{}   // group → its place in Groups
	in := map[string][]int{} // node → places of its groups
	add := func(g Group) {
		i, ok := at[g.Name]
		if !ok {
			i = len(inv.Groups)
			at[g.Name] = i
			inv.Groups = append(inv.Groups, Group{Name: g.Name, At: g.At})
		}
		for _, n := range g.Nodes {
			in[n] = append(in[n], i)
		}
	}
	for _, g := range groups {
		add(g)
	}
	for _, n := range nodes {
		for _, g := range n.Groups {
			add(Group{g, []string{n.Name}, n.At})
		}
	}
	for i := range inv.Nodes {
		n := &inv.Nodes[i]
		n.Roles, n.Groups = unique(n.Roles), nil
		slices.Sort(in[n.Name])
		for _, j := range slices.Compact(in[n.Name]) {
			n.Groups = append(n.Groups, inv.Groups[j].Name)
			inv.Groups[j].Nodes = append(inv.Groups[j].Nodes, n.Name)
		}
	}
	return inv
}

// unique keeps the first of each.
func unique(in []string) (out []string) {
	for _, s := range in {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// Node is the one of that name.
func (inv Inventory) Node(name string) (Node, bool) {
	i := slices.IndexFunc(inv.Nodes, func(n Node) bool { return n.Name == name })
	if i < 0 {
		return Node{}, false
	}
	return inv.Nodes[i], true
}

// All is the word for every node.
const All = "all"

// reserved are the words that mean something else as a target.
var reserved = []string{All, "local"}

// Empty is the error of Select for a cluster without nodes.
type Empty struct{}

func (Empty) Error() string { return "the cluster has no nodes: name them under cluster.nodes" }

// Unknown is the error of Select for a word that means nothing.
type Unknown struct {
	Word string
	Near string // a word that is known and looks like it; or empty
}

func (u Unknown) Error() string {
	text := fmt.Sprintf("no node, group or role is called %q", u.Word)
	if u.Near != "" {
		text += fmt.Sprintf("; did you mean %q?", u.Near)
	}
	return text
}

// Select returns the nodes that the words mean: names of nodes, of groups, of
// roles, or All. They come in the order of the words, those of a group in the
// order of the inventory, and each machine once.
func (inv Inventory) Select(words []string) ([]Node, error) {
	switch {
	case len(inv.Nodes) == 0:
		return nil, Empty{}
	case len(words) == 0:
		return nil, fmt.Errorf("no node was named; %q means every one", All)
	}
	var out []Node
	taken := map[string]bool{}
	for _, w := range words {
		some := inv.named(w)
		if len(some) == 0 {
			if slices.ContainsFunc(inv.Groups, func(g Group) bool { return g.Name == w }) {
				return nil, fmt.Errorf("the group %q has no nodes", w)
			}
			return nil, Unknown{w, yaml.Nearest(w, inv.words())}
		}
		for _, n := range some {
			if m := n.machine(); !taken[m] {
				taken[m] = true
				out = append(out, n)
			}
		}
	}
	return out, nil
}

// named are the nodes that one word means. The name of a node comes first.
func (inv Inventory) named(word string) (out []Node) {
	if n, ok := inv.Node(word); ok {
		return []Node{n}
	}
	for _, n := range inv.Nodes {
		if word == All || slices.Contains(n.Groups, word) || slices.Contains(n.Roles, word) {
			out = append(out, n)
		}
	}
	return out
}

func (inv Inventory) words() []string {
	var nodes, others []string
	for _, n := range inv.Nodes {
		nodes = append(nodes, n.Name)
		others = append(others, n.Roles...)
	}
	for _, g := range inv.Groups {
		others = append(others, g.Name)
	}
	return append(append(nodes, others...), All)
}

// Notes are those of the sources, and what is odd about the whole: one machine
// under two names, a node that is named like a role of others.
func (inv Inventory) Notes() []Note {
	out := slices.Clone(inv.notes)
	first, role := map[string]Node{}, map[string]string{}
	for _, n := range inv.Nodes {
		for _, r := range n.Roles {
			if r != n.Name {
				role[r] = n.Name
			}
		}
		f, twice := first[n.machine()]
		if !twice {
			first[n.machine()] = n
			continue
		}
		out = append(out, Note{n.At, fmt.Sprintf("%s is the same machine as %s (%s, port %d); together they are taken once", n.Name, f.Name, n.Host(), n.port())})
	}
	for _, n := range inv.Nodes {
		if other := role[n.Name]; other != "" {
			out = append(out, Note{n.At, fmt.Sprintf("%s is a node and a role of %s too; the word means the node alone", n.Name, other)})
		}
	}
	return out
}
