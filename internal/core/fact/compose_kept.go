package fact

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/compose"
	"picket/internal/core/snap"
)

// composeHead begins what is kept of a compose file. Every other line is the
// number of a line, the path to a value as JSON (items of lists by number) and
// the value as JSON ([] and {} before what is in them), with a tag where there is one; --- stands between two
// documents, and after an exclamation mark why the file could not be read.
const composeHead = "# a compose file as Picket keeps it\n"

// readCompose reads a compose file, as the host has it or as it was kept.
func readCompose(e *snap.Entry) ([]*compose.Node, *compose.Problem) {
	if rest, ok := strings.CutPrefix(string(e.Content), composeHead); ok {
		return readKeptCompose(e.Path, rest)
	}
	if len(e.Content) > maxComposeFile {
		return nil, &compose.Problem{File: e.Path, Text: fmt.Sprintf("it is longer than %d bytes, which is no compose file that is read", maxComposeFile)}
	}
	docs, bad := compose.Parse(e.Path, e.Content)
	if bad != nil {
		return nil, bad
	}
	k := &composeKeeper{left: maxComposeNodes}
	var out []*compose.Node
	for _, d := range docs {
		if n := k.node(d, nil); n != nil {
			out = append(out, n)
		}
	}
	if k.left < 0 {
		return nil, &compose.Problem{File: e.Path, Text: "it says more than is read"}
	}
	return out, nil
}

// redactCompose keeps of a compose file what rules read.
func redactCompose(_ *snap.Snapshot, e *snap.Entry, _ Secrets) []byte {
	docs, bad := readCompose(e)
	var b strings.Builder
	b.WriteString(composeHead)
	for i, d := range docs {
		if i > 0 {
			b.WriteString("---\n")
		}
		writeCompose(&b, d, nil)
	}
	if b.Len() > snap.MaxFile {
		b.Reset()
		b.WriteString(composeHead)
		bad = &compose.Problem{Text: "it says more than is kept"}
	}
	if bad != nil {
		fmt.Fprintf(&b, "! %d %s\n", bad.Line, firstOf(hideSecrets(bad.Text)))
	}
	return []byte(b.String())
}

func writeCompose(b *strings.Builder, n *compose.Node, path []any) {
	var v any
	switch n.Kind {
	case compose.Scalar:
		v = n.Text
	case compose.List:
		v = []any{}
	case compose.Map:
		v = map[string]any{}
	}
	if path == nil {
		path = []any{}
	}
	key, _ := json.Marshal(path)
	value, _ := json.Marshal(v)
	fmt.Fprintf(b, "%d\t%s\t%s", n.Line, key, value)
	if n.Tag != "" {
		b.WriteString("\t" + n.Tag)
	}
	b.WriteByte('\n')
	for i, it := range n.Items {
		var key any = i
		if n.Kind == compose.Map {
			key = n.Keys[i]
		}
		writeCompose(b, it, append(slices.Clip(path), key))
	}
}

// readKeptCompose reads what writeCompose wrote.
func readKeptCompose(file, text string) ([]*compose.Node, *compose.Problem) {
	odd := &compose.Problem{File: file, Text: "not as it was kept"}
	var out []*compose.Node
	var root *compose.Node
	nodes := 0
	for l := range strings.Lines(text) {
		l = strings.TrimSuffix(l, "\n")
		if why, ok := strings.CutPrefix(l, "! "); ok {
			line, why, _ := strings.Cut(why, " ")
			n, _ := strconv.Atoi(line)
			return nil, &compose.Problem{File: file, Line: n, Text: hideSecrets(why)}
		}
		if l == "---" {
			root = nil
			continue
		}
		f := strings.SplitN(l, "\t", 4)
		var path []any
		var v any
		if nodes++; len(f) < 3 || nodes > 2*maxComposeNodes || json.Unmarshal([]byte(f[1]), &path) != nil || json.Unmarshal([]byte(f[2]), &v) != nil || len(path) > 20 {
			return nil, odd
		}
		line, _ := strconv.Atoi(f[0])
		leaf := &compose.Node{File: file, Line: line}
		switch v := v.(type) {
		case nil:
		case string:
			leaf.Kind, leaf.Text = compose.Scalar, v
		case []any:
			leaf.Kind = compose.List
		case map[string]any:
			leaf.Kind = compose.Map
		default:
			return nil, odd
		}
		if len(f) > 3 && (f[3] == "!reset" || f[3] == "!override") {
			leaf.Tag = f[3]
		}
		if root == nil {
			root = &compose.Node{Kind: compose.Map, File: file, Line: line}
			out = append(out, root)
		}
		if len(path) == 0 {
			root.Line = line
		}
		if !putCompose(root, path, leaf) {
			return nil, odd
		}
	}
	// What another program, or somebody, put there is held to the same.
	k := &composeKeeper{left: 2 * maxComposeNodes}
	for i, d := range out {
		if out[i] = k.node(d, nil); out[i] == nil {
			return nil, odd
		}
	}
	return out, nil
}

// putCompose puts a leaf at its path, and makes what is between.
func putCompose(at *compose.Node, path []any, leaf *compose.Node) bool {
	if len(path) == 0 {
		return leaf.Kind == compose.Map
	}
	last := len(path) == 1
	var next *compose.Node
	switch key := path[0].(type) {
	case string:
		if at.Kind != compose.Map {
			return false
		}
		if next = at.Get(key); next == nil {
			next = &compose.Node{File: leaf.File, Line: leaf.Line}
			at.Set(key, next)
		}
	case float64:
		i := int(key)
		if at.Kind != compose.List || i != len(at.Items) && i != len(at.Items)-1 || i < 0 {
			return false
		}
		if i == len(at.Items) {
			at.Items = append(at.Items, &compose.Node{File: leaf.File, Line: leaf.Line})
		}
		next = at.Items[i]
	default:
		return false
	}
	if last {
		*next = *leaf
		return true
	}
	if next.Kind == compose.Nothing {
		if next.Kind = compose.Map; len(path) > 1 {
			if _, number := path[1].(float64); number {
				next.Kind = compose.List
			}
		}
	}
	return putCompose(next, path[1:], leaf)
}

// composeWants are the variables whose values decide something that is judged,
// by the compose files beside a file of variables, above and below it.
func composeWants(s *snap.Snapshot, env string) map[string]bool {
	out := map[string]bool{}
	if s == nil {
		return out
	}
	dir, left := path.Dir(env), maxComposeFile
	for _, p := range s.Paths() {
		ext, d := path.Ext(p), path.Dir(p)
		e := s.Entries[p]
		if ext != ".yml" && ext != ".yaml" || !e.Read || !strings.HasPrefix(d+"/", dir+"/") && !strings.HasPrefix(dir+"/", d+"/") {
			continue
		}
		if left -= len(e.Content); left < 0 {
			break
		}
		docs, _ := readCompose(e)
		for _, doc := range docs {
			composeReferences(doc, nil, out)
		}
	}
	return out
}

// composeReferences are the variables in what is kept as it is written.
func composeReferences(n *compose.Node, path []string, out map[string]bool) {
	form := deeper
	if len(path) > 0 {
		form = composeFormOf(path[:min(len(path), 5)])
	}
	if n.Kind == compose.Scalar && form != asNames && form != asWords {
		for _, name := range compose.Names(n.Text) {
			if !secretVariable(name) {
				out[name] = true
			}
		}
	}
	for i, it := range n.Items {
		below := path
		if n.Kind == compose.Map && form == deeper {
			below = append(slices.Clip(path), n.Keys[i])
		}
		composeReferences(it, below, out)
	}
}

// composeRedactions cover the files under their usual names.
func composeRedactions() []redaction {
	var out []redaction
	for _, p := range composePatterns() {
		out = append(out, redaction{p, redactCompose})
	}
	return out
}

// redactLed replaces what only compose files or the engine lead to. It leads on
// from what is replaced alone, as when these files were asked for: what the
// others say must not be what keeps one of them out.
func redactLed(s *snap.Snapshot, sec Secrets) {
	for more := true; more; {
		more = false
		led := ledByCompose(s)
		for _, e := range s.Entries {
			if keep := led(e.Path); keep != nil && e.Read && !e.Redact {
				e.Content, e.Redact = keep(s, e, sec), true
				more = true
			}
		}
	}
}

// ledByCompose tells of files that only compose files or the engine lead to how
// they are kept, nil for any other.
func ledByCompose(s *snap.Snapshot) func(p string) func(*snap.Snapshot, *snap.Entry, Secrets) []byte {
	h := &Host{Snap: s, Composed: Composed{keptOnly: true}}
	parseDocker(h, s)
	parseCompose(h, s)
	led := map[string]bool{}
	for _, p := range h.Composed.led {
		led[p] = true
	}
	return func(p string) func(*snap.Snapshot, *snap.Entry, Secrets) []byte {
		switch {
		case !led[p]:
			return nil
		case path.Ext(p) == ".yml" || path.Ext(p) == ".yaml":
			return redactCompose
		}
		return keepEnv
	}
}
