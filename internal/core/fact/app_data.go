package fact

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	toml "github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"picket/internal/core/yaml"
)

func readAppYAML(r *appReader, text string) {
	root, ps := yaml.Read(r.file, []byte(text))
	if len(ps) > 0 {
		r.fail(ps[0].Line, "not YAML that can be read here")
		return
	}
	if root != nil {
		r.yaml(root, nil)
	}
}

func (r *appReader) yaml(n *yaml.Node, key []string) {
	if len(key) > maxAppDepth || r.err != "" {
		r.fail(n.Line(), "nested too deeply")
		return
	}
	if v, ok := n.Scalar(); ok {
		if len(key) > 0 {
			r.add(n.Line(), v, true, key...)
		}
		return
	}
	if n.Empty() && len(key) > 0 {
		r.add(n.Line(), "", true, key...)
		return
	}
	if items, ok := n.Items(); ok {
		for i, it := range items {
			r.yaml(it, append(slices.Clip(key), strconv.Itoa(i)))
		}
		return
	}
	for _, k := range n.Keys() {
		r.yaml(n.Get(k), append(slices.Clip(key), k))
	}
}

// readAppJSON reads one document. Of a key that is there twice the last
// counts, as everywhere; both are kept.
func readAppJSON(r *appReader, text string) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	lineAt, done := 1, 0
	here := func() int {
		at := min(int(d.InputOffset()), len(text))
		lineAt += strings.Count(text[done:at], "\n")
		done = at
		return lineAt
	}
	var value func(key []string) error
	value = func(key []string) error {
		t, err := d.Token()
		if err != nil {
			return err
		}
		if len(key) > maxAppDepth {
			return errors.New("nested too deeply")
		}
		delim, ok := t.(json.Delim)
		if !ok {
			if len(key) > 0 {
				_, text := t.(string)
				v := fmt.Sprint(t)
				if t == nil {
					v = "null"
				}
				r.add(here(), v, text, key...)
			}
			return nil
		}
		n := 0
		for ; d.More() && r.err == ""; n++ {
			part := strconv.Itoa(n)
			if delim == '{' {
				k, err := d.Token()
				if err != nil {
					return err
				}
				part, _ = k.(string)
			}
			if err := value(append(slices.Clip(key), part)); err != nil {
				return err
			}
		}
		if n == 0 && len(key) > 0 {
			r.add(here(), "", true, key...)
		}
		_, err = d.Token() // what closes it
		return err
	}
	if strings.TrimSpace(text) == "" {
		return
	}
	err := value(nil)
	if err == nil && r.err == "" {
		if _, err = d.Token(); err == nil {
			err = errors.New("more than one document")
		} else if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	if err != nil {
		r.fail(here(), "not JSON")
	}
}

// readAppTOML lets the library say whether the file is TOML, which its parser
// of single expressions does not, and walks the expressions for their places.
func readAppTOML(r *appReader, text string) {
	var all map[string]any
	if err := toml.Unmarshal([]byte(text), &all); err != nil {
		line := 0
		if bad := new(toml.DecodeError); errors.As(err, &bad) {
			line, _ = bad.Position()
		}
		r.fail(line, "not TOML")
		return
	}
	var p unstable.Parser
	p.Reset([]byte(text))
	var table []string
	nth := map[string]int{} // how many of an array of tables there are
	lines := newLineIndex(text)
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.Table:
			table = indexed(tomlKey(e.Key(), &lines, nil), nth)
		case unstable.ArrayTable:
			key := tomlKey(e.Key(), &lines, nil)
			parent := indexed(key[:len(key)-1], nth)
			full := append(parent, key[len(key)-1])
			name := strings.Join(full, "\x00")
			nth[name]++
			table = append(full, strconv.Itoa(nth[name]-1))
		case unstable.KeyValue:
			line := 0
			key := append(slices.Clone(table), tomlKey(e.Key(), &lines, &line)...)
			r.toml(e.Value(), key, line)
		}
	}
	if err := p.Error(); err != nil {
		r.fail(0, "not TOML")
	}
}

// indexed puts in the number of the table of an array that a name goes into:
// its last.
func indexed(key []string, nth map[string]int) []string {
	var out []string
	for _, k := range key {
		out = append(out, k)
		if n := nth[strings.Join(out, "\x00")]; n > 0 {
			out = append(out, strconv.Itoa(n-1))
		}
	}
	return out
}

func tomlKey(it unstable.Iterator, lines *lineIndex, line *int) []string {
	var out []string
	for it.Next() {
		n := it.Node()
		out = append(out, string(n.Data))
		if line != nil && *line == 0 {
			*line = lines.of(int(n.Raw.Offset))
		}
	}
	return out
}

func (r *appReader) toml(n *unstable.Node, key []string, line int) {
	if len(key) > maxAppDepth {
		r.fail(line, "nested too deeply")
		return
	}
	switch n.Kind {
	case unstable.Array:
		i := 0
		for it := n.Children(); it.Next(); {
			if it.Node().Kind == unstable.Comment {
				continue
			}
			r.toml(it.Node(), append(slices.Clip(key), strconv.Itoa(i)), line)
			i++
		}
		if i == 0 {
			r.add(line, "", true, key...)
		}
	case unstable.InlineTable:
		for it := n.Children(); it.Next(); {
			if kv := it.Node(); kv.Kind == unstable.KeyValue {
				more := tomlKey(kv.Key(), nil, nil)
				r.toml(kv.Value(), append(slices.Clip(key), more...), line)
			}
		}
	default:
		r.add(line, string(n.Data), n.Kind == unstable.String, key...)
	}
}

// A lineIndex finds the line of a place in a text.
type lineIndex []int

func newLineIndex(text string) lineIndex {
	ends := lineIndex{}
	for i := range len(text) {
		if text[i] == '\n' {
			ends = append(ends, i)
		}
	}
	return ends
}

func (x lineIndex) of(offset int) int {
	n, _ := slices.BinarySearch(x, offset)
	return n + 1
}
