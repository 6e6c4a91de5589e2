package compose

import (
	"slices"
	"strings"
)

// Merge puts over on base, as `docker compose` does with a second file: maps
// are merged, lists appended; ports, mounts and devices are told apart by where
// they end, variables and labels by their name. !override takes the place of
// what is there, !reset takes it away. Both may be changed.
func Merge(base, over *Node) (*Node, *Problem) {
	m := &merging{}
	out := m.node(base, over, nil)
	return out, m.bad
}

// settled is a node without what its tags did to those below it.
func settled(n *Node) *Node {
	if n == nil || n.Tag == "!reset" {
		return nil
	}
	n.Tag = ""
	for i := 0; i < len(n.Items); i++ {
		kept := settled(n.Items[i])
		switch {
		case kept != nil:
			n.Items[i] = kept
		case n.Kind == Map:
			n.Keys, n.Items = slices.Delete(n.Keys, i, i+1), slices.Delete(n.Items, i, i+1)
			i--
		default:
			n.Items = slices.Delete(n.Items, i, i+1)
			i--
		}
	}
	return n
}

// A merging knows what went wrong first.
type merging struct{ bad *Problem }

// mergeKind is how something in a service is merged.
type mergeKind uint8

const (
	byDefault mergeKind = iota
	replaced            // the later one alone counts
	named               // NAME=value in a list or a map
	listed              // one value or a list of them
	keyed               // a list of names or a map
	unique              // a list in which the later of two for the same counts
	built               // a folder or a map
	logged              // options of one driver
)

var serviceMerges = map[string]mergeKind{
	"command": replaced, "entrypoint": replaced, "healthcheck.test": replaced,
	"environment": named, "labels": named, "annotations": named, "sysctls": named, "build.args": named, "build.labels": named, "deploy.labels": named,
	"env_file": unique, "dns": listed, "dns_search": listed, "dns_opt": listed, "tmpfs": unique,
	"networks": keyed, "depends_on": keyed,
	"ports": unique, "volumes": unique, "devices": unique, "cap_add": unique, "cap_drop": unique, "profiles": unique, "secrets": unique, "configs": unique, "expose": unique,
	"build": built, "logging": logged,
}

// kindOf is how what stands at a path is merged.
func kindOf(path []string) mergeKind {
	switch {
	case len(path) > 2 && path[0] == "services":
		return serviceMerges[strings.Join(path[2:], ".")]
	case len(path) == 3 && path[2] == "labels":
		return named
	}
	return byDefault
}

func (m *merging) node(base, over *Node, path []string) *Node {
	switch {
	case over == nil:
		return base
	case over.Tag == "!reset":
		return nil
	case base == nil || over.Tag == "!override":
		return m.tidy(over, path)
	case over.Kind == Nothing && len(path) > 0 && kindOf(path[:len(path)-1]) == named:
		return over // who starts it gives the value, not the file below
	case over.Kind == Nothing && kindOf(path) != keyed:
		return base
	}
	kind := kindOf(path)
	switch kind {
	case replaced:
		return over
	case named:
		base, over = asMap(base, true), asMap(over, true)
	case keyed:
		base, over = asMap(base, false), asMap(over, false)
	case listed, unique:
		base, over = m.list(base, path), m.list(over, path)
	case built:
		base, over = asBuild(base), asBuild(over)
	case logged:
		if a, b := base.Get("driver"), over.Get("driver"); a != nil && b != nil && a.Text != b.Text {
			return over
		}
	}
	switch {
	case base.Kind == Nothing:
		return m.tidy(over, path)
	case base.Kind != over.Kind:
		m.fail(over, strings.Join(path, ".")+" is of another kind than in "+base.File)
		return base
	case base.Kind == Map:
		for i, k := range over.Keys {
			base.Set(k, m.node(base.Get(k), over.Items[i], append(slices.Clip(path), k)))
		}
		return base
	case base.Kind == List:
		for _, it := range over.Items {
			if it.Tag == "!reset" {
				continue
			}
			if !slices.ContainsFunc(base.Items, it.equal) {
				base.Items = append(base.Items, it)
			}
		}
		return m.tidy(base, path)
	}
	return over
}

// tidy gives what is merged with nothing the form that merging gives, and takes
// out what is reset and what comes twice.
func (m *merging) tidy(n *Node, path []string) *Node {
	switch kindOf(path) {
	case named:
		n = asMap(n, true)
	case keyed:
		n = asMap(n, false)
	case listed:
		n = m.list(n, path)
	case built:
		n = asBuild(n)
	case unique:
		n = m.list(n, path)
		n.Items = lastOfEach(n.Items, path[len(path)-1])
	}
	if n.Kind == Map {
		for _, k := range slices.Clone(n.Keys) {
			n.Set(k, m.node(nil, n.Get(k), append(slices.Clip(path), k)))
		}
	}
	return n
}

func (m *merging) fail(at *Node, text string) {
	if m.bad == nil {
		m.bad = &Problem{at.File, at.Line, text}
	}
}

// list is one value or a list of them as a list.
func (m *merging) list(n *Node, path []string) *Node {
	if n.Kind == Map {
		m.fail(n, strings.Join(path, ".")+" is no list")
		return &Node{Kind: List, File: n.File, Line: n.Line}
	}
	return asList(n)
}

// lastOfEach keeps the last of those that are for the same, in the place of the
// first.
func lastOfEach(items []*Node, what string) []*Node {
	at := map[string]int{}
	var out []*Node
	for _, it := range items {
		key := identity(it, what)
		if i, ok := at[key]; ok && key != "" {
			out[i] = it
			continue
		}
		at[key] = len(out)
		out = append(out, it)
	}
	return out
}

// identity is by what the items of a list are told apart.
func identity(n *Node, what string) string {
	text := func(key string) string {
		if v := n.Get(key); v != nil {
			return v.Text
		}
		return ""
	}
	switch what {
	case "volumes":
		v := readVolume(n)
		return v.Target
	case "devices":
		if n.Kind == Map {
			return text("target")
		}
		f := strings.Split(n.Text, ":")
		return f[min(1, len(f)-1)]
	case "ports":
		if n.Kind == Map {
			host, proto := text("host_ip"), text("protocol")
			if host == "" {
				host = "0.0.0.0"
			}
			if proto == "" {
				proto = "tcp"
			}
			return host + ":" + text("published") + ":" + text("target") + "/" + proto
		}
		return n.Text
	case "env_file":
		if n.Kind == Map {
			return text("path")
		}
	case "secrets", "configs":
		if n.Kind == Map {
			if t := text("target"); t != "" {
				return t
			}
			return text("source")
		}
	}
	name, _, _ := strings.Cut(n.Text, "=")
	return name
}

// asMap turns a list of names, or of NAME=value, into a map.
func asMap(n *Node, values bool) *Node {
	if n.Kind != List {
		return n
	}
	out := &Node{Kind: Map, File: n.File, Line: n.Line, Tag: n.Tag}
	for _, it := range n.Items {
		if it.Kind != Scalar {
			continue
		}
		name, value, has := it.Text, "", false
		if values {
			name, value, has = strings.Cut(it.Text, "=")
		}
		v := &Node{File: it.File, Line: it.Line, Open: it.Open}
		if has {
			v.Kind, v.Text = Scalar, value
		}
		out.Set(name, v)
	}
	return out
}

func asList(n *Node) *Node {
	if n.Kind != Scalar && n.Kind != Map {
		return n
	}
	return &Node{Kind: List, File: n.File, Line: n.Line, Tag: n.Tag, Items: []*Node{n}}
}

func asBuild(n *Node) *Node {
	if n.Kind != Scalar {
		return n
	}
	return &Node{Kind: Map, File: n.File, Line: n.Line, Tag: n.Tag, Keys: []string{"context"}, Items: []*Node{n}}
}
