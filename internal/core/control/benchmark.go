package control

import (
	"maps"
	"slices"

	"picket/internal/core/yaml"
)

// A Benchmark selects controls by the numbers of one outside. Every number of
// the part that the profile stands for is in one of the two lists.
type Benchmark struct {
	Name       string            `yaml:"name"`        // cis-debian12
	Numbers    []string          `yaml:"numbers"`     // that a control stands for
	NotCovered map[string]string `yaml:"not-covered"` // number → why none does
}

func (b Benchmark) selects(c Control) bool {
	return b.Name != "" && slices.ContainsFunc(c.Refs.CISDebian12, func(n string) bool { return slices.Contains(b.Numbers, n) })
}

// problems are numbers that no control stands for, and numbers that one does
// though the profile says otherwise.
func (b Benchmark) problems(at *yaml.Node, all []Control) yaml.Problems {
	if at == nil {
		return nil
	}
	if b.Name != "cis-debian12" {
		return yaml.Problems{at.Problem("%s", unknownWord("benchmark", b.Name, []string{"cis-debian12"}))}
	}
	var ps yaml.Problems
	covered := func(n string) string {
		for _, c := range all {
			if slices.Contains(c.Refs.CISDebian12, n) {
				return c.ID
			}
		}
		return ""
	}
	seen := map[string]bool{}
	for _, n := range b.Numbers {
		if covered(n) == "" {
			ps = append(ps, at.Get("numbers").Problem("no control stands for %s", n))
		}
		if seen[n] {
			ps = append(ps, at.Get("numbers").Problem("%s is there twice", n))
		}
		seen[n] = true
	}
	for _, n := range slices.Sorted(maps.Keys(b.NotCovered)) {
		if id := covered(n); id != "" {
			ps = append(ps, at.Get("not-covered").Problem("%s is covered: %s stands for it", n, id))
		}
		if b.NotCovered[n] == "" {
			ps = append(ps, at.Get("not-covered").Problem("%s: the reason is missing", n))
		}
	}
	return ps
}
