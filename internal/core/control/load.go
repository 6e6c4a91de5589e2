package control

import (
	"cmp"
	"io/fs"
	"path"
	"slices"
	"strings"

	"picket/internal/core/fact"
	"picket/internal/core/snap"
	"picket/internal/core/yaml"
)

// A Kind makes rules of one shape from their parameters.
type Kind struct {
	Name   string
	Doc    string // one line: what it compares
	Decode func(params *yaml.Node) (Rule, yaml.Problems)
}

// An Asker is a rule that reads more of a host than the topics do.
type Asker interface{ Ask() snap.Manifest }

// ofApp is a rule about the settings of one application; it applies where the
// host has that.
type ofApp interface{ Application() string }

// Load reads every *.yaml below topic folders of fsys. Controls that have
// problems are left out; all problems of all files are returned, in the order
// of the files.
func Load(fsys fs.FS, kinds []Kind) ([]Control, yaml.Problems) {
	return yaml.Files(fsys, "*/*.yaml", func(file, id string, data []byte) (Control, yaml.Problems) {
		return Parse(file, id, data, kinds)
	})
}

// Parse reads one control.
func Parse(file, id string, data []byte, kinds []Kind) (Control, yaml.Problems) {
	c := Control{ID: id, File: file}
	node, ps := yaml.Read(file, data)
	if len(ps) > 0 {
		return c, ps
	}
	if node == nil {
		return c, yaml.Problems{{File: file, Text: "the file is empty"}}
	}
	own := yaml.Known(&c)
	kindNode := node.Get("kind")
	if kindNode == nil {
		return c, yaml.Problems{node.Problem("kind is missing; one of: %s", strings.Join(kindNames(kinds), ", "))}
	}
	name, _ := kindNode.Scalar()
	i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == name })
	if i < 0 {
		return c, yaml.Problems{kindNode.Problem("%s", unknownWord("kind", name, kindNames(kinds)))}
	}

	params := node.Without(own...)
	ps = append(ps, node.Without(params.Keys()...).Decode(&c)...)
	rule, rps := kinds[i].Decode(params)
	// A key that neither knows may be a slip for one of ours.
	for j, p := range rps {
		for _, k := range params.Keys() {
			if p.Text == yaml.UnknownKey(k, nil) {
				rps[j].Text = yaml.UnknownKey(k, own)
			}
		}
	}
	c.Rule, c.params, c.decode = rule, params, kinds[i].Decode
	if a, ok := rule.(ofApp); ok && c.Applies.App == "" {
		c.Applies.App = a.Application()
	}
	ps = append(ps, rps...)
	slips := len(ps) > 0
	for _, p := range c.problems(node) {
		if !slips || !strings.Contains(p.Text, "missing") { // a slip in a name explains what is missing
			ps = append(ps, p)
		}
	}
	slices.SortStableFunc(ps, func(a, b yaml.Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return c, ps
}

// problems finds what the types cannot: missing words, unknown ones.
func (c Control) problems(n *yaml.Node) yaml.Problems {
	var ps yaml.Problems
	need := func(key, value string) {
		if strings.TrimSpace(value) == "" {
			ps = append(ps, n.Problem("%s is missing", key))
		}
	}
	need("title", c.Title)
	need("why", c.Why)
	need("fix", c.Fix)
	at := func(key string) *yaml.Node {
		if k := n.Get(key); k != nil {
			return k
		}
		return n
	}
	if !slices.Contains(Layers, c.Layer) {
		ps = append(ps, at("layer").Problem("%s", unknownWord("layer", c.Layer, Layers)))
	}
	if c.Severity.Rank() < 0 {
		ps = append(ps, at("severity").Problem("%s", unknownWord("severity", string(c.Severity), severityNames())))
	}
	for _, b := range c.Baselines {
		if b.Who == "" || b.Says == "" {
			ps = append(ps, at("baselines").Problem("a baseline needs who and says"))
		}
	}
	for _, r := range c.Risk {
		if !slices.Contains(Risks, r) {
			ps = append(ps, at("risk").Problem("%s", unknownWord("risk", r, Risks)))
		}
	}
	if h := c.Applies.Hardware; h != "" && h != "raspberry-pi" {
		ps = append(ps, at("applies").Problem("%s", unknownWord("hardware", h, []string{"raspberry-pi"})))
	}
	if a := c.Applies.App; a != "" && !slices.Contains(fact.AppNames(), a) {
		ps = append(ps, at("applies").Problem("%s", unknownWord("application", a, fact.AppNames())))
	}
	for _, f := range c.Applies.File {
		if !path.IsAbs(f) {
			ps = append(ps, at("applies").Problem("file %q is not an absolute path", f))
		}
	}
	return ps
}

func unknownWord(what, got string, known []string) string {
	if got == "" {
		return what + " is missing; one of: " + strings.Join(known, ", ")
	}
	msg := "unknown " + what + " \"" + got + "\""
	if near := yaml.Nearest(got, known); near != "" {
		return msg + "; did you mean \"" + near + "\"?"
	}
	return msg + "; one of: " + strings.Join(known, ", ")
}

func join(words []string) string { return strings.Join(words, ", ") }

func severityNames() []string {
	var out []string
	for _, s := range Severities {
		out = append(out, string(s))
	}
	return out
}

func kindNames(kinds []Kind) []string {
	var out []string
	for _, k := range kinds {
		out = append(out, k.Name)
	}
	return out
}
