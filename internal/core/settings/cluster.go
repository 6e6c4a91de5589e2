package settings

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/inventory"
	"picket/internal/core/yaml"
)

// Cluster names the hosts that belong together.
type Cluster struct {
	User     Login      `yaml:"user"` // of nodes that name none, as the two below
	Port     PortNumber `yaml:"port"`
	Identity KeyFile    `yaml:"identity"`
	Nodes    Nodes      `yaml:"nodes"`
	Groups   NodeGroups `yaml:"groups"`
}

// Nodes are in the order in which they are first named.
type Nodes []Node

// Node is one host of the cluster. What it leaves empty, the cluster says.
type Node struct {
	Address  Address    `yaml:"address"` // empty: the name
	User     Login      `yaml:"user"`
	Port     PortNumber `yaml:"port"`
	Identity KeyFile    `yaml:"identity"`
	Jump     Jump       `yaml:"jump"`
	Roles    Names      `yaml:"roles"`
	Groups   Names      `yaml:"groups"`

	name string
	at   *yaml.Node // its name
}

// DecodeYAML implements yaml.Decoder. What a later file says of a node wins
// key by key.
func (l *Nodes) DecodeYAML(n *yaml.Node) (ps yaml.Problems) {
	out := slices.Clone(*l) // what was there belongs to the settings before this file
	known := map[string]int{}
	for i, one := range out {
		known[one.name] = i
	}
	ps = pairs(n, func(name string, key, value *yaml.Node) yaml.Problems {
		i, ok := known[name]
		if !ok {
			i = len(out)
			known[name] = i
			out = append(out, Node{name: name})
		}
		out[i].at = key
		if value.Null() {
			return nil // a name is enough
		}
		if s, scalar := value.Scalar(); scalar && inventory.CheckAddress(s) == nil {
			return yaml.Problems{value.Problem("want key: value pairs, found %q; did you mean {address: %s}?", s, s)}
		}
		return value.Decode(&out[i])
	})
	*l = out
	return ps
}

// pairs goes through a mapping.
func pairs(n *yaml.Node, f func(name string, key, value *yaml.Node) yaml.Problems) (ps yaml.Problems) {
	if n.Keys() == nil && !n.Empty() || isList(n) {
		return yaml.Problems{n.Problem("want key: value pairs")}
	}
	for _, name := range n.Keys() {
		ps = append(ps, f(name, n.Key(name), n.Get(name))...)
	}
	return ps
}

func isList(n *yaml.Node) bool {
	_, ok := n.Items()
	return ok
}

// NodeGroups are in the order in which they are first named.
type NodeGroups []NodeGroup

// NodeGroup is a name for several nodes.
type NodeGroup struct {
	name  string
	nodes []string
	at    *yaml.Node
	items []*yaml.Node // one for each of nodes
}

// DecodeYAML implements yaml.Decoder. What a later file says of a group takes
// the place of what was said.
func (l *NodeGroups) DecodeYAML(n *yaml.Node) (ps yaml.Problems) {
	out := slices.Clone(*l)
	ps = pairs(n, func(name string, key, value *yaml.Node) yaml.Problems {
		one := NodeGroup{name: name, at: key}
		var ok bool
		if one.items, ok = value.Items(); !ok {
			return yaml.Problems{value.Problem("want a list of nodes")}
		}
		if len(one.items) == 0 {
			return yaml.Problems{value.Problem("an empty list decides nothing: leave the key out")}
		}
		for _, it := range one.items {
			s, _ := it.Scalar()
			if slices.Contains(one.nodes, s) {
				return yaml.Problems{it.Problem("%q stands there twice", s)}
			}
			one.nodes = append(one.nodes, s)
		}
		if i := slices.IndexFunc(out, func(g NodeGroup) bool { return g.name == name }); i >= 0 {
			out[i] = one
		} else {
			out = append(out, one)
		}
		return nil
	})
	*l = out
	return ps
}

// Address is the name or address of a host.
type Address string

// DecodeYAML implements yaml.Decoder.
func (a *Address) DecodeYAML(n *yaml.Node) yaml.Problems {
	return checked(n, (*string)(a), inventory.CheckAddress)
}

// Login is the name of an account on another host.
type Login string

// DecodeYAML implements yaml.Decoder.
func (l *Login) DecodeYAML(n *yaml.Node) yaml.Problems {
	return checked(n, (*string)(l), inventory.CheckUser)
}

// KeyFile is the file of a private key.
type KeyFile string

// DecodeYAML implements yaml.Decoder.
func (k *KeyFile) DecodeYAML(n *yaml.Node) yaml.Problems {
	return checked(n, (*string)(k), inventory.CheckIdentity)
}

// Jump is the way to a host through others, as inventory.Hops reads it.
type Jump struct {
	text string
	at   *yaml.Node
}

// DecodeYAML implements yaml.Decoder.
func (j *Jump) DecodeYAML(n *yaml.Node) yaml.Problems {
	s, _ := n.Scalar()
	hops, err := inventory.Hops(s)
	if err != nil {
		return yaml.Problems{n.Problem("%s", err)}
	}
	var parts []string
	for _, h := range hops {
		parts = append(parts, h.String())
	}
	*j = Jump{strings.Join(parts, ","), n}
	return nil
}

// Names are words that a node may be called by together with others.
type Names struct {
	list []string
	at   []*yaml.Node // one for each
}

// DecodeYAML implements yaml.Decoder.
func (l *Names) DecodeYAML(n *yaml.Node) (ps yaml.Problems) {
	items, ok := n.Items()
	switch {
	case !ok:
		return yaml.Problems{n.Problem("want a list of names, as [worker]")}
	case len(items) == 0:
		return yaml.Problems{n.Problem("an empty list decides nothing: leave the key out")}
	}
	*l = Names{at: items}
	for _, it := range items {
		s, _ := it.Scalar()
		if err := inventory.CheckName(s); err != nil {
			ps = append(ps, it.Problem("%s", err))
		} else if slices.Contains(l.list, s) {
			ps = append(ps, it.Problem("%q stands there twice", s))
		}
		l.list = append(l.list, s)
	}
	return ps
}

func checked(n *yaml.Node, to *string, check func(string) error) yaml.Problems {
	s, _ := n.Scalar()
	if err := check(s); err != nil {
		return yaml.Problems{n.Problem("%s", err)}
	}
	*to = s
	return nil
}

// problems finds what is wrong with the cluster as a whole. at is the cluster
// in the file that was read last: where that says nothing of it, nothing can
// have become wrong.
func (c Cluster) problems(at *yaml.Node) (ps yaml.Problems) {
	if at == nil {
		return nil
	}
	names := map[string]string{} // in small letters → as written
	var all []string
	for _, n := range c.Nodes {
		low := strings.ToLower(n.name)
		if err := inventory.CheckName(n.name); err != nil {
			ps = append(ps, n.at.Problem("%s", err))
		} else if first, ok := names[low]; ok {
			ps = append(ps, n.at.Problem("%q and %q are one name: capitals make no difference between hosts", n.name, first))
		}
		names[low] = n.name
		all = append(all, n.name)
	}
	group := func(name string, at *yaml.Node) {
		if err := inventory.CheckName(name); err != nil {
			ps = append(ps, at.Problem("%s", err))
		} else if node, ok := names[strings.ToLower(name)]; ok {
			ps = append(ps, at.Problem("the group %q is called like the node %q: a word can mean one of them only", name, node))
		}
	}
	for _, g := range c.Groups {
		group(g.name, g.at)
		for i, n := range g.nodes {
			if !slices.Contains(all, n) {
				ps = append(ps, g.items[i].Problem("%s", noNode(n, all)))
			}
		}
	}
	for _, n := range c.Nodes {
		for i, g := range n.Groups.list {
			if inventory.CheckName(g) == nil { // else it was told before
				group(g, n.Groups.at[i])
			}
		}
	}
	return append(ps, c.jumps(all)...)
}

func noNode(name string, all []string) string {
	if near := yaml.Nearest(name, all); near != "" {
		return fmt.Sprintf("no node is called %q; did you mean %q?", name, near)
	}
	return fmt.Sprintf("no node is called %q", name)
}

// jumps finds ways through what is no node, and ways that lead in a circle.
func (c Cluster) jumps(all []string) (ps yaml.Problems) {
	at := map[string]*yaml.Node{}
	var nodes []inventory.Node
	for _, n := range c.Nodes {
		if n.Jump.text == "" {
			continue
		}
		at[n.name] = n.Jump.at
		nodes = append(nodes, inventory.Node{Name: n.name, Jump: n.Jump.text})
		hops, _ := inventory.Hops(n.Jump.text)
		for _, h := range hops {
			if i := slices.IndexFunc(all, func(name string) bool { return strings.EqualFold(name, h.Host) }); i >= 0 && all[i] != h.Host {
				ps = append(ps, n.Jump.at.Problem("no node is called %q; did you mean %q?", h.Host, all[i]))
				continue
			}
			if h.Word() && !slices.Contains(all, h.Host) {
				ps = append(ps, n.Jump.at.Problem("%s; a host that is no node is written %s:22", noNode(h.Host, all), h.Host))
			}
		}
	}
	if name, way := inventory.Circle(nodes); name != "" {
		if len(way) == 2 {
			return append(ps, at[name].Problem("%q is reached through itself", name))
		}
		return append(ps, at[name].Problem("%q is reached through itself: %s", name, strings.Join(way, " → ")))
	}
	return ps
}

// Inventory is the cluster with what holds for all put into each node.
func (s Settings) Inventory() inventory.Inventory {
	c := s.Cluster
	var nodes []inventory.Node
	for _, n := range c.Nodes {
		one := inventory.Node{
			Name: n.name, Address: string(n.Address), User: string(cmp.Or(n.User, c.User)), Port: int(cmp.Or(n.Port, c.Port)),
			Identity: string(cmp.Or(n.Identity, c.Identity)), Jump: n.Jump.text, Roles: n.Roles.list, Groups: n.Groups.list, At: place(n.at),
		}
		if one.Address == one.Name {
			one.Address = ""
		}
		nodes = append(nodes, one)
	}
	var groups []inventory.Group
	for _, g := range c.Groups {
		groups = append(groups, inventory.Group{Name: g.name, Nodes: g.nodes, At: place(g.at)})
	}
	return inventory.New(nodes, groups)
}

func place(n *yaml.Node) inventory.Place { return inventory.Place{File: n.File(), Line: n.Line()} }
