package yaml

import (
	"fmt"
	"strings"
	"testing"
)

// flat writes a node on one line.
func flat(n *Node) string {
	tag := n.Tag()
	if v, ok := n.Scalar(); ok {
		if n.Null() {
			v = "null"
		}
		return tag + v
	}
	var parts []string
	if items, ok := n.Items(); ok {
		for _, it := range items {
			parts = append(parts, flat(it))
		}
		return tag + "[" + strings.Join(parts, " ") + "]"
	}
	n.Each(func(key string, line int, v *Node) {
		parts = append(parts, fmt.Sprintf("%s@%d:%s", key, line, flat(v)))
	})
	return tag + "{" + strings.Join(parts, " ") + "}"
}

func TestReadLoose(t *testing.T) {
	for in, want := range map[string]string{
		"a: &x [1, 2]\nb: *x\n":                          "{a@1:[1 2] b@2:[1 2]}",
		"a: &x {p: 1, q: 2}\nb:\n  <<: *x\n  q: 3\n":     "{a@1:{p@1:1 q@1:2} b@2:{q@4:3 p@1:1}}",
		"a: {<<: [{p: 1}, {p: 2, q: 3}], q: 4}":          "{a@1:{q@1:4 p@1:1}}",
		"a: !reset null\nb: !override [1]\nc: !!str 5\n": "{a@1:!resetnull b@2:!override[1] c@3:5}",
		"a: 1\n---\nb:\n":                                "{a@1:1}|{b@3:null}",
		"\"<<\": 1\n":                                    "{<<@1:1}",
		"":                                               "",
		"a: 1\na: 2\n":                                   "f:2:1: a key is set twice (first on line 1)",
		"? [a]\n: b\n":                                   "f:1:3: a key that is no word",
		"a: 1\nb: caf\xe9\n":                             "f:2:1: not UTF-8, perhaps saved as Latin-1",
		"\xff\xfea\x00:\x00 \x001\x00":                   "{a@1:1}", // UTF-16
		"a: *b\n":                                        "f:1:",
		strings.Repeat("- ", 60) + "x\n":                 "nested too deeply",
		"a: &a [" + strings.Repeat("1,", 400) + "1]\nb: [" + strings.Repeat("*a,", 300) + "*a]\n": "stand for more than 100000 values",
	} {
		docs, ps := ReadLoose("f", []byte(in))
		var all []string
		for _, d := range docs {
			all = append(all, flat(d))
		}
		got := strings.Join(all, "|")
		if err := ps.Err(); err != nil {
			got = err.Error()
		}
		if got != want && (want == "" || len(ps) == 0 || !strings.Contains(got, want)) {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}
