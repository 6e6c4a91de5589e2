package inventory

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Merge makes one inventory of several sources. What has the same name, or
// the same address, is one node: the first that names it counts, and what it leaves open the
// others complete. Where they disagree there is a note.
func Merge(found ...Found) Inventory {
	m := merger{byName: map[string]int{}, byMachine: map[string]int{}, byAddress: map[string]int{}, alias: map[string]string{}}
	for _, f := range found {
		m.notes = append(m.notes, f.Notes...)
		local := map[string]string{} // names in this file → names in the whole
		for _, n := range f.Nodes {
			local[n.Name] = m.add(n)
		}
		for _, g := range f.Groups {
			m.group(g, local)
		}
	}
	m.ways()
	m.names()
	inv := New(m.nodes, m.groups)
	inv.notes = m.notes
	return inv
}

type merger struct {
	nodes     []Node
	groups    []Group
	notes     []Note
	byName    map[string]int // in small letters
	byMachine map[string]int
	byAddress map[string]int
	alias     map[string]string  // other names of nodes, in small letters
	from      []map[string]Place // of each node, what was first said where
}

func (m *merger) note(at Place, format string, args ...any) {
	m.notes = append(m.notes, Note{at, fmt.Sprintf(format, args...)})
}

// add takes a node in and returns the name that it has from now on.
func (m *merger) add(n Node) string {
	n.Roles, n.Groups = slices.Clone(n.Roles), nil // groups come by their own list
	i, ok := m.byName[strings.ToLower(n.Name)]
	if !ok {
		if i, ok = m.byMachine[n.machine()]; ok {
			m.note(n.At, "%s is %s of %s by another name", n.Name, m.nodes[i].Name, m.nodes[i].At)
			m.alias[strings.ToLower(n.Name)] = m.nodes[i].Name
			m.byName[strings.ToLower(n.Name)] = i
		}
	}
	if ok && m.nodes[i].Name != n.Name && strings.EqualFold(m.nodes[i].Name, n.Name) {
		m.note(n.At, "%s is taken for %s of %s: capitals make no difference between hosts", n.Name, m.nodes[i].Name, m.nodes[i].At)
	}
	if !ok {
		if j, like := m.byAddress[addressKey(n.Host())]; like {
			m.note(n.At, "%s has the address of %s (%s), at another port or by another way: perhaps the same machine", n.Name, m.nodes[j].Name, m.nodes[j].At)
		}
		i = len(m.nodes)
		m.nodes = append(m.nodes, n)
		m.from = append(m.from, map[string]Place{})
		m.byName[strings.ToLower(n.Name)] = i
	} else {
		m.complete(i, n)
	}
	whole := m.nodes[i]
	remember(m.byMachine, whole.machine(), i)
	remember(m.byAddress, addressKey(whole.Host()), i)
	return whole.Name
}

func remember(index map[string]int, key string, i int) {
	if _, taken := index[key]; !taken {
		index[key] = i
	}
}

// complete fills in what a node leaves open.
func (m *merger) complete(i int, n Node) {
	to, from := &m.nodes[i], m.from[i]
	differ := func(what, a, b string) {
		m.note(n.At, "%s has the %s %s here and %s in %s, which is used", n.Name, what, b, a, cmp.Or(from[what], to.At))
	}
	if n.Address != "" && addressKey(n.Address) != addressKey(to.Address) {
		switch {
		case to.Address == "" && addressKey(n.Address) == addressKey(to.Name):
		case to.Address == "" || to.Address == to.Name+".local": // which is what is taken where nothing is known
			to.Address, from["address"] = n.Address, n.At
		case n.Address != n.Name+".local":
			differ("address", to.Address, n.Address)
		}
	}
	if to.Port == 0 {
		to.Port, from["port"] = n.Port, n.At
	} else if n.Port != 0 && n.Port != to.Port {
		differ("port", fmt.Sprint(to.Port), fmt.Sprint(n.Port))
	}
	for _, f := range []struct {
		what string
		to   *string
		from string
	}{{"user", &to.User, n.User}, {"key", &to.Identity, n.Identity}, {"way", &to.Jump, n.Jump}} {
		if *f.to == "" {
			*f.to, from[f.what] = f.from, n.At
		} else if f.from != "" && f.from != *f.to {
			differ(f.what, *f.to, f.from)
		}
	}
	to.Roles = unique(append(to.Roles, n.Roles...))
}

// group takes a group in, under the names that its nodes have now.
func (m *merger) group(g Group, local map[string]string) {
	one := Group{Name: g.Name, At: g.At}
	for _, n := range g.Nodes {
		if name := local[n]; name != "" {
			one.Nodes = append(one.Nodes, name)
		}
	}
	m.groups = append(m.groups, one)
}

// ways names the nodes that others are reached through as they are named now,
// and leaves out ways that lead in a circle.
func (m *merger) ways() {
	for i := range m.nodes {
		n := &m.nodes[i]
		if n.Jump == "" {
			continue
		}
		hops, err := Hops(n.Jump)
		if err != nil { // no reader lets that through
			m.note(n.At, "%s: %s", n.Name, err)
			n.Jump = ""
			continue
		}
		for j := range hops {
			h := &hops[j]
			if other := m.alias[strings.ToLower(h.Host)]; other != "" {
				h.Host = other
			} else if k, ok := m.byName[strings.ToLower(h.Host)]; ok {
				h.Host = m.nodes[k].Name
			}
			_, known := m.byName[strings.ToLower(h.Host)]
			if h.Word() && !known {
				h.Port = 22
				m.note(n.At, "%s is reached through %s, which is no node: taken as the host %s", n.Name, h.Host, h)
			}
		}
		n.Jump = written(hops)
	}
	for {
		name, way := Circle(m.nodes)
		if name == "" {
			return
		}
		for i := range m.nodes {
			if n := &m.nodes[i]; n.Name == name {
				text := "through itself"
				if len(way) > 2 {
					text = "in a circle, " + strings.Join(way, " → ")
				}
				m.note(n.At, "%s would be reached %s: its way is left out", name, text)
				n.Jump = ""
			}
		}
	}
}

// names leaves out groups that have no meaning of their own.
func (m *merger) names() {
	m.groups = slices.DeleteFunc(m.groups, func(g Group) bool {
		if i, ok := m.byName[strings.ToLower(g.Name)]; ok && strings.EqualFold(m.nodes[i].Name, g.Name) {
			m.note(g.At, "the group %s is left out: a node is called %s", g.Name, m.nodes[i].Name)
			return true
		}
		if len(g.Nodes) == 0 {
			m.note(g.At, "the group %s has no nodes: left out", g.Name)
			return true
		}
		return false
	})
}
