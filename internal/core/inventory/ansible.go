package inventory

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/yaml"
)

// Ansible reads an inventory of Ansible in either form, as Ansible chooses: by
// the ending of its name, and where there is none by what it looks like.
func Ansible(file string, data []byte) Found {
	switch path.Ext(file) {
	case ".yaml", ".yml", ".json":
		return AnsibleYAML(file, data)
	case "":
		if docs, ps := yaml.ReadLoose(file, data); len(ps) == 0 && len(docs) > 0 && len(docs[0].Keys()) > 0 {
			return AnsibleYAML(file, data)
		}
	}
	return AnsibleINI(file, data)
}

// An ansible inventory while it is read. Groups and hosts keep the order in
// which they appear.
type ansible struct {
	*gather
	hosts  map[string]*ansibleHost
	groups map[string]*ansibleGroup
	order  []*ansibleHost
	all    []*ansibleGroup
	said   map[string]bool
	other  int // variables that have nothing to do with reaching a host
}

type ansibleHost struct {
	name   string
	line   int
	groups []*ansibleGroup
	port   string // behind the name
	vars   ansibleVars
}

type ansibleGroup struct {
	name     string
	line     int
	parents  []*ansibleGroup
	vars     ansibleVars
	priority int
	depth    int // from all; 0: not worked out yet
}

// ansibleVars are the variables that are of use here.
type ansibleVars map[string]ansibleValue

type ansibleValue struct {
	text string
	line int
}

func newAnsible(file string) *ansible {
	return &ansible{gather: newGather(file), hosts: map[string]*ansibleHost{}, groups: map[string]*ansibleGroup{}, said: map[string]bool{}}
}

// once is note for what one line says of many hosts: the first is named.
func (a *ansible) once(line int, what, format string, args ...any) {
	key := strconv.Itoa(line) + " " + what
	if !a.said[key] {
		a.said[key] = true
		a.note(line, format, args...)
	}
}

const (
	ansibleAll       = "all"
	ansibleUngrouped = "ungrouped"
)

// What groups of groups can stand for has a bound.
const (
	maxGroups      = 1000
	maxMemberships = 500_000
)

func (a *ansible) group(name string, line int) *ansibleGroup {
	g := a.groups[name]
	if g == nil {
		g = &ansibleGroup{name: name, line: line, vars: ansibleVars{}, priority: 1}
		if len(a.all) >= maxGroups {
			a.note(line, "more than %d groups: the group %s is left out", maxGroups, short(name))
			return g
		}
		a.groups[name] = g
		a.all = append(a.all, g)
	}
	return g
}

func (a *ansible) host(name string, line int, in *ansibleGroup) *ansibleHost {
	h := a.hosts[name]
	if h == nil {
		if !a.room(len(a.order), line) {
			return nil
		}
		h = &ansibleHost{name: name, line: line, vars: ansibleVars{}}
		a.hosts[name] = h
		a.order = append(a.order, h)
	}
	if !slices.Contains(h.groups, in) {
		h.groups = append(h.groups, in)
	}
	return h
}

// within puts a group into another, unless that makes a circle.
func (a *ansible) within(parent, child *ansibleGroup, line int) {
	if slices.Contains(child.parents, parent) {
		return
	}
	if parent == child || slices.Contains(a.above(parent), child) {
		a.note(line, "the groups %s and %s hold each other: not used", short(parent.name), short(child.name))
		return
	}
	child.parents = append(child.parents, parent)
}

// above are the groups that a group lies in, however far up.
func (a *ansible) above(g *ansibleGroup) []*ansibleGroup {
	var out []*ansibleGroup
	seen := map[*ansibleGroup]bool{g: true}
	for todo := slices.Clone(g.parents); len(todo) > 0; {
		p := todo[0]
		todo = todo[1:]
		if seen[p] {
			continue
		}
		seen[p] = true
		out = append(out, p)
		todo = append(todo, p.parents...)
	}
	return out
}

func (g *ansibleGroup) deep() int {
	if g.depth == 0 && g.name != ansibleAll {
		g.depth = 1
		for _, p := range g.parents {
			g.depth = max(g.depth, p.deep()+1)
		}
	}
	return g.depth
}

// finish works out each host from its own variables and those of its groups.
func (a *ansible) finish() Found {
	members := map[*ansibleGroup][]string{}
	left := maxMemberships
	for _, h := range a.order {
		above := slices.Clone(h.groups)
		for _, g := range h.groups {
			above = append(above, a.above(g)...)
		}
		if all := a.groups[ansibleAll]; all != nil {
			above = append(above, all)
		}
		seen := map[*ansibleGroup]bool{}
		above = slices.DeleteFunc(above, func(g *ansibleGroup) bool {
			twice := seen[g]
			seen[g] = true
			return twice
		})
		if left -= len(above); left < 0 {
			a.note(h.line, "the groups hold more than %d hosts all together: what follows is left out", maxMemberships)
			break
		}
		// The deepest group wins, of those the one of the higher priority, of those the last by its name.
		slices.SortFunc(above, func(x, y *ansibleGroup) int {
			return cmp.Or(cmp.Compare(x.deep(), y.deep()), cmp.Compare(x.priority, y.priority), strings.Compare(x.name, y.name))
		})
		vars := ansibleVars{}
		for _, g := range above {
			for k, v := range g.vars {
				vars[k] = v
			}
		}
		if h.port != "" {
			vars["ansible_port"] = ansibleValue{h.port, h.line}
		}
		for k, v := range h.vars {
			vars[k] = v
		}
		n, ok := a.node(h, vars)
		if !ok {
			continue
		}
		a.Nodes = append(a.Nodes, n)
		for _, g := range above {
			members[g] = append(members[g], n.Name)
		}
	}
	for _, g := range a.all {
		if g.name == ansibleAll || g.name == ansibleUngrouped {
			continue
		}
		if err := CheckName(g.name); err != nil {
			a.note(g.line, "the group %s is left out: %s", short(g.name), err)
			continue
		}
		if len(members[g]) == 0 {
			a.note(g.line, "the group %s has no nodes: left out", short(g.name))
			continue
		}
		a.Groups = append(a.Groups, Group{g.name, members[g], a.at(g.line)})
	}
	if a.other > 0 {
		a.note(0, "%d other variables: only those that say how a host is reached are read", a.other)
	}
	inv := New(a.Nodes, a.Groups)
	a.Nodes, a.Groups = inv.Nodes, inv.Groups
	return a.found()
}
