// Package yaml reads YAML strictly: unknown keys, wrong types and duplicate
// keys are problems with their line and column, and all problems of a file
// are told at once. It is the only package that imports a YAML library.
package yaml

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	lib "go.yaml.in/yaml/v4"
)

// MaxSize of one file, in bytes.
const MaxSize = 1 << 20

// A Problem is one thing that is wrong in a file.
type Problem struct {
	File   string
	Line   int // from 1; 0 when it concerns the whole file
	Column int
	Text   string
}

func (p Problem) Error() string {
	if p.Line == 0 {
		return p.File + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Text)
}

// Problems are in the order of the file.
type Problems []Problem

// Err is nil when there are none.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errors.Join(errs...)
}

// A Node is a part of a file. Kinds of controls decode their own keys from one.
type Node struct {
	n    *lib.Node
	file string
}

// Read parses one document. The result is nil when the file is empty or
// cannot be parsed at all.
func Read(file string, data []byte) (*Node, Problems) {
	if len(data) > MaxSize {
		return nil, Problems{{File: file, Text: fmt.Sprintf("larger than %d bytes", MaxSize)}}
	}
	var root lib.Node
	if err := lib.Unmarshal(data, &root); err != nil {
		line, text := splitLine(err.Error())
		if n, ok := tabbed(data); ok {
			line, text = n, "a tab at the beginning of the line; YAML wants blanks"
		}
		return nil, Problems{{File: file, Line: line, Column: 1, Text: text}}
	}
	if root.Kind == 0 || len(root.Content) == 0 {
		return nil, nil
	}
	node := &Node{root.Content[0], file}
	if ps := node.refuse(node.n, 0); len(ps) > 0 {
		return nil, ps
	}
	return node, nil
}

// tabbed finds the first line that is indented with a tab. It is looked for
// only where there is an error: within a block of text a tab is fine.
func tabbed(data []byte) (int, bool) {
	n := 0
	for line := range bytes.Lines(data) {
		n++
		if bytes.HasPrefix(bytes.TrimLeft(line, " "), []byte("\t")) {
			return n, true
		}
	}
	return 0, false
}

var linePrefix = regexp.MustCompile(`(?s)^.*?line (\d+)(?:, column \d+)?: (.*)$`)

func splitLine(msg string) (int, string) {
	if m := linePrefix.FindStringSubmatch(msg); m != nil {
		n, _ := strconv.Atoi(m[1])
		return n, strings.TrimSpace(m[2])
	}
	return 0, strings.TrimPrefix(msg, "yaml: ")
}

// refuse finds what this dialect leaves out: anchors and aliases (a few lines
// of which can stand for billions), merge keys, custom tags, duplicate keys,
// endless nesting.
func (d *Node) refuse(n *lib.Node, depth int) Problems {
	switch {
	case depth > 50:
		return Problems{d.problem(n, "nested too deeply")}
	case n.Kind == lib.AliasNode:
		return Problems{d.problem(n, "aliases (*name) are not supported")}
	case n.Anchor != "":
		return Problems{d.problem(n, "anchors (&name) are not supported")}
	case n.Style&lib.TaggedStyle != 0:
		return Problems{d.problem(n, "tags (!name) are not supported")}
	}
	var ps Problems
	if n.Kind == lib.MappingNode {
		seen := map[string]int{}
		for i := 0; i < len(n.Content); i += 2 {
			k := n.Content[i]
			if first, ok := seen[k.Value]; ok {
				ps = append(ps, d.problem(k, fmt.Sprintf("%q is set twice (first on line %d)", k.Value, first)))
			}
			seen[k.Value] = k.Line
		}
	}
	for _, c := range n.Content {
		ps = append(ps, d.refuse(c, depth+1)...)
	}
	return ps
}

func (d *Node) problem(n *lib.Node, text string) Problem {
	return Problem{File: d.file, Line: n.Line, Column: n.Column, Text: text}
}

// Problem makes a problem at the node's place.
func (d *Node) Problem(format string, args ...any) Problem {
	return d.problem(d.n, fmt.Sprintf(format, args...))
}

// Keys lists a mapping's keys in order.
func (d *Node) Keys() []string {
	var ks []string
	if d.n.Kind == lib.MappingNode {
		for i := 0; i < len(d.n.Content); i += 2 {
			ks = append(ks, d.n.Content[i].Value)
		}
	}
	return ks
}

// Get returns the value of a key, or nil; a nil node has no keys.
func (d *Node) Get(key string) *Node {
	if d != nil && d.n.Kind == lib.MappingNode {
		for i := 0; i < len(d.n.Content); i += 2 {
			if d.n.Content[i].Value == key {
				return &Node{d.n.Content[i+1], d.file}
			}
		}
	}
	return nil
}

// Key is the key itself, where it stands; nil where there is no such key.
func (d *Node) Key(key string) *Node {
	if d != nil && d.n.Kind == lib.MappingNode {
		for i := 0; i < len(d.n.Content); i += 2 {
			if d.n.Content[i].Value == key {
				return &Node{d.n.Content[i], d.file}
			}
		}
	}
	return nil
}

// File is the name of the file that the node is of.
func (d *Node) File() string { return d.file }

// Without is a mapping less some keys: what another decoder has taken.
func (d *Node) Without(keys ...string) *Node {
	c := *d.n
	c.Content = nil
	for i := 0; i+1 < len(d.n.Content); i += 2 {
		if !slices.Contains(keys, d.n.Content[i].Value) {
			c.Content = append(c.Content, d.n.Content[i], d.n.Content[i+1])
		}
	}
	return &Node{&c, d.file}
}

// With is a mapping in which the values of over stand in the place of its own.
func (d *Node) With(over *Node) *Node {
	c := d.Without(over.Keys()...)
	c.n.Content = append(c.n.Content, over.n.Content...)
	return c
}

// Line is where the node stands, from 1.
func (d *Node) Line() int { return d.n.Line }

// KeyLine is where a mapping's key stands; it is the node's own line when there
// is no such key.
func (d *Node) KeyLine(key string) int {
	if d.n.Kind == lib.MappingNode {
		for i := 0; i < len(d.n.Content); i += 2 {
			if d.n.Content[i].Value == key {
				return d.n.Content[i].Line
			}
		}
	}
	return d.n.Line
}

// Flow reports whether a mapping or list is written as {…} or […].
func (d *Node) Flow() bool { return d.n.Style&lib.FlowStyle != 0 }

// Empty reports whether a mapping or list has nothing in it.
func (d *Node) Empty() bool { return d.n.Kind != lib.ScalarNode && len(d.n.Content) == 0 }

// Scalar is a scalar's text, and whether the node is one.
func (d *Node) Scalar() (string, bool) { return d.n.Value, d.n.Kind == lib.ScalarNode }

// Items are a list's elements, and whether the node is a list.
func (d *Node) Items() ([]*Node, bool) {
	if d.n.Kind != lib.SequenceNode {
		return nil, false
	}
	out := make([]*Node, len(d.n.Content))
	for i, c := range d.n.Content {
		out[i] = &Node{c, d.file}
	}
	return out, true
}

// A Decoder decodes itself, for types with more than one form.
type Decoder interface{ DecodeYAML(*Node) Problems }

// Decode fills v, a pointer. Struct fields take the key of their `yaml` tag;
// a field without tag is not read. A string takes any scalar as written, so
// that no, 1.10 and 0644 mean what they say.
func (d *Node) Decode(v any) Problems {
	return d.decode(reflect.ValueOf(v).Elem())
}

// Known tells which keys Decode would take for v, a struct or a pointer to one.
func Known(v any) []string {
	t := reflect.TypeOf(v)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var ks []string
	for i := range t.NumField() {
		if tag := t.Field(i).Tag.Get("yaml"); tag != "" {
			ks = append(ks, tag)
		}
	}
	return ks
}

func (d *Node) decode(v reflect.Value) Problems {
	if v.CanAddr() {
		if dec, ok := v.Addr().Interface().(Decoder); ok {
			return dec.DecodeYAML(d)
		}
	}
	if v.Type() == reflect.TypeFor[time.Duration]() {
		s, ok := d.Scalar()
		dur, err := time.ParseDuration(s)
		if !ok || err != nil {
			return Problems{d.Problem("want a duration such as 90s or 2m, found %s", d.describe())}
		}
		v.SetInt(int64(dur))
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return d.decode(v.Elem())
	case reflect.Struct:
		return d.decodeStruct(v)
	case reflect.Slice:
		items, ok := d.Items()
		if !ok {
			return Problems{d.Problem("want a list, found %s", d.describe())}
		}
		var ps Problems
		out := reflect.MakeSlice(v.Type(), len(items), len(items))
		for i, it := range items {
			ps = append(ps, it.decode(out.Index(i))...)
		}
		v.Set(out)
		return ps
	case reflect.Map:
		if d.n.Kind != lib.MappingNode {
			return Problems{d.Problem("want key: value pairs, found %s", d.describe())}
		}
		var ps Problems
		out := reflect.MakeMap(v.Type())
		for i := 0; i < len(d.n.Content); i += 2 {
			el := reflect.New(v.Type().Elem()).Elem()
			ps = append(ps, (&Node{d.n.Content[i+1], d.file}).decode(el)...)
			out.SetMapIndex(reflect.ValueOf(d.n.Content[i].Value).Convert(v.Type().Key()), el)
		}
		v.Set(out)
		return ps
	}
	return d.decodeScalar(v)
}

func (d *Node) decodeStruct(v reflect.Value) Problems {
	if d.n.Kind != lib.MappingNode {
		return Problems{d.Problem("want key: value pairs, found %s", d.describe())}
	}
	fields := map[string]int{}
	var known []string
	for i := range v.NumField() {
		if tag := v.Type().Field(i).Tag.Get("yaml"); tag != "" {
			fields[tag] = i
			known = append(known, tag)
		}
	}
	var ps Problems
	for i := 0; i < len(d.n.Content); i += 2 {
		k, val := d.n.Content[i], d.n.Content[i+1]
		f, ok := fields[k.Value]
		if !ok {
			ps = append(ps, d.problem(k, UnknownKey(k.Value, known)))
			continue
		}
		ps = append(ps, (&Node{val, d.file}).decode(v.Field(f))...)
	}
	return ps
}

func (d *Node) decodeScalar(v reflect.Value) Problems {
	s, ok := d.Scalar()
	want := "a word"
	if ok {
		switch v.Kind() {
		case reflect.String:
			v.SetString(s)
			return nil
		case reflect.Bool:
			want = "true or false"
			if s == "true" || s == "false" {
				v.SetBool(s == "true")
				return nil
			}
		case reflect.Int, reflect.Int64:
			want = "a whole number"
			if n, err := strconv.ParseInt(s, 10, 64); err == nil && !v.OverflowInt(n) {
				v.SetInt(n)
				return nil
			}
		case reflect.Uint32:
			want = "an octal mode such as 0644"
			if n, err := strconv.ParseUint(s, 8, 32); err == nil {
				v.SetUint(n)
				return nil
			}
		case reflect.Float64:
			want = "a number"
			if f, err := strconv.ParseFloat(s, 64); err == nil {
				v.SetFloat(f)
				return nil
			}
		default:
			panic("yaml: field of type " + v.Type().String() + " cannot be decoded")
		}
	}
	return Problems{d.Problem("want %s, found %s", want, d.describe())}
}

func (d *Node) describe() string {
	switch d.n.Kind {
	case lib.MappingNode:
		return "key: value pairs"
	case lib.SequenceNode:
		return "a list"
	}
	if d.n.Value == "" {
		return "nothing"
	}
	return strconv.Quote(d.n.Value)
}

// UnknownKey is the message for a key that is not one of known, with the
// nearest of them.
func UnknownKey(key string, known []string) string {
	if near := Nearest(key, known); near != "" {
		return fmt.Sprintf("unknown key %q; did you mean %q?", key, near)
	}
	return fmt.Sprintf("unknown key %q", key)
}

// Nearest returns the word of known that differs from s by few enough letters
// to be a slip, or "".
func Nearest(s string, known []string) string {
	best, at := "", max(1, len(s)/3)+1
	for _, k := range known {
		if d := distance(strings.ToLower(s), strings.ToLower(k)); d < at {
			best, at = k, d
		}
	}
	return best
}

// distance counts insertions, deletions, substitutions and swaps of
// neighbours (optimal string alignment).
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
