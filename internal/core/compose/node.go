// Package compose reads compose files as `docker compose` does: overrides,
// variables, extends and include. It reads nothing by itself: files and
// variables come from whoever asks, and every value knows its line.
package compose

import (
	"slices"
	"strings"

	"picket/internal/core/yaml"
)

// Kind of a node.
type Kind uint8

// The kinds. Nothing is what `key:` alone has.
const (
	Nothing Kind = iota
	Scalar
	List
	Map
)

// A Node is a part of a compose file.
type Node struct {
	Kind  Kind
	Text  string // of a scalar
	Tag   string // !reset, !override
	File  string
	Line  int
	Keys  []string // of a map
	Items []*Node  // of a list, or the values of a map
	Open  string   // why the text of a scalar is not known, "" when it is
}

// A Problem is what could not be read or followed.
type Problem struct {
	File string
	Line int // 0: it concerns the whole file
	Text string
}

// Parse reads a file: its documents, each over the one before.
func Parse(file string, data []byte) ([]*Node, *Problem) {
	docs, ps := yaml.ReadLoose(file, data)
	if len(ps) > 0 {
		return nil, &Problem{file, ps[0].Line, "not valid YAML: " + plain(ps[0].Text)}
	}
	var out []*Node
	for _, d := range docs {
		n := convert(d, file)
		if n.Kind == Nothing {
			continue
		}
		if n.Kind != Map {
			return nil, &Problem{file, n.Line, "not a compose file: it has no keys"}
		}
		out = append(out, n)
	}
	return out, nil
}

// plain is a message without what it quotes of the file.
func plain(text string) string {
	if i := strings.IndexAny(text, "\"'`"); i >= 0 {
		text = text[:i] + "…"
	}
	return text
}

func convert(y *yaml.Node, file string) *Node {
	n := &Node{File: file, Line: y.Line(), Tag: y.Tag()}
	if items, ok := y.Items(); ok {
		n.Kind = List
		for _, it := range items {
			n.Items = append(n.Items, convert(it, file))
		}
		return n
	}
	if v, ok := y.Scalar(); ok {
		if !y.Null() {
			n.Kind, n.Text = Scalar, v
		}
		return n
	}
	n.Kind = Map
	y.Each(func(key string, line int, value *yaml.Node) {
		v := convert(value, file)
		if v.Kind != Scalar {
			v.Line = line
		}
		n.Keys, n.Items = append(n.Keys, key), append(n.Items, v)
	})
	return n
}

// Get is the value of a key, or nil. A nil node has no keys.
func (n *Node) Get(keys ...string) *Node {
	for _, k := range keys {
		if n == nil || n.Kind != Map {
			return nil
		}
		i := slices.Index(n.Keys, k)
		if i < 0 {
			return nil
		}
		n = n.Items[i]
	}
	return n
}

// Set gives a map's key a value; nil takes it out.
func (n *Node) Set(key string, v *Node) {
	i := slices.Index(n.Keys, key)
	switch {
	case i >= 0 && v == nil:
		n.Keys, n.Items = slices.Delete(n.Keys, i, i+1), slices.Delete(n.Items, i, i+1)
	case i >= 0:
		n.Items[i] = v
	case v != nil:
		n.Keys, n.Items = append(n.Keys, key), append(n.Items, v)
	}
}

// Copy is a node that may be changed.
func (n *Node) Copy() *Node {
	if n == nil {
		return nil
	}
	c := *n
	c.Keys = slices.Clone(n.Keys)
	c.Items = make([]*Node, len(n.Items))
	for i, it := range n.Items {
		c.Items[i] = it.Copy()
	}
	return &c
}

// Is reports whether a node is a map, a list or a scalar. A nil node is none.
func (n *Node) Is(k Kind) bool { return n != nil && n.Kind == k }

// equal reports whether two nodes say the same.
func (n *Node) equal(o *Node) bool {
	return n.Kind == o.Kind && n.Text == o.Text && n.Open == o.Open && slices.Equal(n.Keys, o.Keys) && slices.EqualFunc(n.Items, o.Items, (*Node).equal)
}

// each calls f with every scalar.
func (n *Node) each(f func(*Node)) {
	if n == nil {
		return
	}
	if n.Kind == Scalar {
		f(n)
	}
	for _, it := range n.Items {
		it.each(f)
	}
}

// Size is how many nodes there are.
func (n *Node) Size() int {
	size := 1
	for _, it := range n.Items {
		size += it.Size()
	}
	return size
}
