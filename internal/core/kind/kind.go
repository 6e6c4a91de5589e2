// Package kind holds the kinds of control: typed rules that many controls
// share, each made from its parameters in the control's file.
package kind

import (
	"slices"

	"picket/internal/core/check"
	"picket/internal/core/control"
	"picket/internal/core/yaml"
)

// All kinds. A new one goes here and into a file of its name.
func All() []control.Kind {
	return []control.Kind{
		{Name: "file-mode", Doc: "mode, owner and group of files", Decode: decodeFileMode},
		{Name: "sshd-option", Doc: "options of the SSH server, for everybody who might log in", Decode: decodeSSHDOption},
		{Name: "go", Doc: "a function of package check", Decode: decodeGo},
	}
}

func decodeGo(n *yaml.Node) (control.Rule, yaml.Problems) {
	var p struct {
		Check string `yaml:"check"`
	}
	if ps := n.Decode(&p); len(ps) > 0 {
		return nil, ps
	}
	all := check.All()
	i := slices.IndexFunc(all, func(c check.Check) bool { return c.Name == p.Check })
	if i < 0 {
		var names []string
		for _, c := range all {
			names = append(names, c.Name)
		}
		at := n
		if c := n.Get("check"); c != nil {
			at = c
		}
		text := "unknown check %q"
		if near := yaml.Nearest(p.Check, names); near != "" {
			return nil, yaml.Problems{at.Problem(text+"; did you mean %q?", p.Check, near)}
		}
		return nil, yaml.Problems{at.Problem(text, p.Check)}
	}
	return all[i], nil
}
