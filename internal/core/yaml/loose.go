package yaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	lib "go.yaml.in/yaml/v4"
)

// MaxNodes bounds what the aliases of a file may stand for all together.
const MaxNodes = 100_000

// ReadLoose is Read for files that are other programs' own: all documents of
// it, with aliases and merge keys put in place and tags told by Tag. A few
// lines of aliases can stand for billions; more than MaxNodes are refused.
func ReadLoose(file string, data []byte) ([]*Node, Problems) {
	if len(data) > MaxSize {
		return nil, Problems{{File: file, Text: fmt.Sprintf("larger than %d bytes", MaxSize)}}
	}
	if line := notUTF8(data); line > 0 {
		return nil, Problems{{File: file, Line: line, Column: 1, Text: "not UTF-8, perhaps saved as Latin-1; type: iconv -f latin1 -t utf8 OLD >NEW"}}
	}
	var out []*Node
	x := &expansion{file: file, left: MaxNodes, open: map[*lib.Node]bool{}}
	d := lib.NewDecoder(bytes.NewReader(data))
	for {
		var root lib.Node
		err := d.Decode(&root)
		switch {
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			line, text := splitLine(err.Error())
			if n, ok := tabbed(data); ok {
				line, text = n, "a tab at the beginning of the line; YAML wants blanks"
			}
			return nil, Problems{{File: file, Line: line, Column: 1, Text: text}}
		case root.Kind == 0 || len(root.Content) == 0:
			continue
		}
		n := x.expand(root.Content[0], 0)
		if x.bad != nil {
			return nil, Problems{*x.bad}
		}
		out = append(out, &Node{n, file})
	}
}

// notUTF8 is the line of the first byte that is not UTF-8, 0 where there is none.
// What begins with the mark of UTF-16 is for the library to read.
func notUTF8(data []byte) int {
	if utf8.Valid(data) || bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return 0
	}
	line := 1
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		switch {
		case r == utf8.RuneError && n == 1:
			return line
		case r == '\n':
			line++
		}
		data = data[n:]
	}
	return 0
}

// Tag is a tag of the file's own, such as !reset; those of YAML itself are "".
func (d *Node) Tag() string {
	if d.n.Style&lib.TaggedStyle == 0 || strings.HasPrefix(d.n.Tag, "!!") || strings.HasPrefix(d.n.Tag, "tag:yaml.org") {
		return ""
	}
	return d.n.Tag
}

// Null reports whether nothing is written there.
func (d *Node) Null() bool { return d.n.Kind == lib.ScalarNode && d.n.Tag == "!!null" }

// Each calls f with every key of a mapping, its line and its value.
func (d *Node) Each(f func(key string, line int, value *Node)) {
	if d.n.Kind != lib.MappingNode {
		return
	}
	for i := 0; i+1 < len(d.n.Content); i += 2 {
		f(d.n.Content[i].Value, d.n.Content[i].Line, &Node{d.n.Content[i+1], d.file})
	}
}

// An expansion puts aliases in their places.
type expansion struct {
	file string
	left int                // how many nodes more are made
	open map[*lib.Node]bool // what is being expanded: an alias to it has no end
	bad  *Problem
}

func (x *expansion) fail(n *lib.Node, text string) *lib.Node {
	if x.bad == nil {
		p := (&Node{n, x.file}).problem(n, text)
		x.bad = &p
	}
	return &lib.Node{Kind: lib.ScalarNode, Tag: "!!null", Line: n.Line, Column: n.Column}
}

func (x *expansion) expand(n *lib.Node, depth int) *lib.Node {
	x.left--
	switch {
	case x.bad != nil:
		return n
	case depth > 50:
		return x.fail(n, "nested too deeply")
	case x.left < 0:
		return x.fail(n, fmt.Sprintf("its aliases (*name) stand for more than %d values", MaxNodes))
	case n.Kind == lib.AliasNode && (n.Alias == nil || x.open[n.Alias]):
		return x.fail(n, "an alias (*name) that leads to itself")
	case n.Kind == lib.AliasNode:
		return x.expand(n.Alias, depth+1)
	case n.Kind == lib.ScalarNode:
		return n
	}
	x.open[n] = true
	defer delete(x.open, n)
	c := *n
	c.Anchor, c.Content = "", nil
	if n.Kind != lib.MappingNode {
		for _, it := range n.Content {
			c.Content = append(c.Content, x.expand(it, depth+1))
		}
		return &c
	}
	have := map[string]int{}
	var merged []*lib.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != lib.ScalarNode {
			return x.fail(k, "a key that is no word")
		}
		if k.Value == "<<" && k.Style&(lib.SingleQuotedStyle|lib.DoubleQuotedStyle) == 0 {
			merged = append(merged, x.expand(v, depth+1))
			continue
		}
		if first, ok := have[k.Value]; ok {
			return x.fail(k, fmt.Sprintf("a key is set twice (first on line %d)", first))
		}
		have[k.Value] = k.Line
		c.Content = append(c.Content, k, x.expand(v, depth+1))
	}
	for _, m := range merged {
		x.merge(&c, m, have)
	}
	return &c
}

// merge puts in what a mapping does not have itself, of one other or of a list
// of them.
func (x *expansion) merge(to, from *lib.Node, have map[string]int) {
	switch from.Kind {
	case lib.SequenceNode:
		for _, it := range from.Content {
			if it.Kind != lib.MappingNode {
				x.fail(it, "a merge key (<<) wants mappings")
				return
			}
			x.merge(to, it, have)
		}
	case lib.MappingNode:
		for i := 0; i+1 < len(from.Content); i += 2 {
			k := from.Content[i]
			if _, ok := have[k.Value]; ok {
				continue
			}
			have[k.Value] = k.Line
			to.Content = append(to.Content, k, from.Content[i+1])
		}
	default:
		x.fail(from, "a merge key (<<) wants a mapping")
	}
}
