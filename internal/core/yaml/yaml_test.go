package yaml_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"picket/internal/core/yaml"
)

type sample struct {
	Title string        `yaml:"title"`
	Count int           `yaml:"count"`
	Mode  uint32        `yaml:"mode"`
	Ready bool          `yaml:"ready"`
	Wait  time.Duration `yaml:"wait"`
	List  []string      `yaml:"list"`
	Inner struct {
		A string `yaml:"a"`
	} `yaml:"inner"`
	More map[string][]string `yaml:"more"`
}

func decode(t *testing.T, text string) (sample, []string) {
	t.Helper()
	var s sample
	n, ps := yaml.Read("f.yaml", []byte(text))
	if n != nil {
		ps = append(ps, n.Decode(&s)...)
	}
	var out []string
	for _, p := range ps {
		out = append(out, p.Error())
	}
	return s, out
}

func TestDecode(t *testing.T) {
	s, ps := decode(t, "title: no\ncount: 3\nmode: 0640\nready: true\nwait: 90s\nlist: [a, 1.10]\ninner: {a: x}\nmore: {k: [v]}\n")
	if len(ps) > 0 {
		t.Fatal(ps)
	}
	if s.Title != "no" || s.Count != 3 || s.Mode != 0o640 || !s.Ready || s.Wait != 90*time.Second ||
		!slices.Equal(s.List, []string{"a", "1.10"}) || s.Inner.A != "x" || s.More["k"][0] != "v" {
		t.Errorf("decoded %+v", s)
	}
}

// Every problem of a file is told, each with its place.
func TestProblems(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"unknown key with a near one", "titel: x\n", `f.yaml:1:1: unknown key "titel"; did you mean "title"?`},
		{"unknown key alone", "zzzzzz: x\n", `f.yaml:1:1: unknown key "zzzzzz"`},
		{"nested", "inner:\n  b: x\n", `f.yaml:2:3: unknown key "b"; did you mean "a"?`},
		{"type", "count: many\n", `f.yaml:1:8: want a whole number, found "many"`},
		{"mode", "mode: 0999\n", `f.yaml:1:7: want an octal mode such as 0644, found "0999"`},
		{"list", "list: x\n", `f.yaml:1:7: want a list, found "x"`},
		{"duration", "wait: 5\n", `f.yaml:1:7: want a duration such as 90s or 2m, found "5"`},
		{"twice", "count: 1\ncount: 2\n", `f.yaml:2:1: "count" is set twice (first on line 1)`},
		{"alias", "title: &a x\nlist: [*a]\n", "anchors (&name) are not supported"},
		{"tag", "title: !!binary aGk=\n", "tags (!name) are not supported"},
		{"syntax", "title: [\n", "f.yaml:"},
		{"two", "titel: x\ncount: y\n", `f.yaml:2:8: want a whole number, found "y"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, ps := decode(t, tc.text)
			if !strings.Contains(strings.Join(ps, "\n"), tc.want) {
				t.Errorf("problems are %q, want %q", ps, tc.want)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add("a: [1, {b: c}]\n")
	f.Fuzz(func(t *testing.T, text string) {
		var s sample
		if n, ps := yaml.Read("f", []byte(text)); n != nil && len(ps) == 0 {
			n.Decode(&s)
		}
	})
}
