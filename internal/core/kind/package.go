package kind

import (
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/yaml"
)

// packageRule wants Debian packages installed, or none of them.
type packageRule struct {
	Packages []string `yaml:"packages"`
	State    string   `yaml:"state"` // absent, installed (all of them), any (at least one)
}

func decodePackage(n *yaml.Node) (control.Rule, yaml.Problems) {
	r := &packageRule{}
	ps := n.Decode(r)
	if len(ps) > 0 {
		return nil, ps
	}
	if len(r.Packages) == 0 {
		ps = append(ps, n.Problem("packages is missing"))
	}
	ps = append(ps, oneOf(n, "state", r.State, "absent", "installed", "any")...)
	return r, ps
}

// oneOf refuses a word that is none of the known ones.
func oneOf(n *yaml.Node, key, got string, known ...string) yaml.Problems {
	if slices.Contains(known, got) {
		return nil
	}
	at := n
	if k := n.Get(key); k != nil {
		at = k
	}
	if got == "" {
		return yaml.Problems{at.Problem("%s is missing; one of: %s", key, strings.Join(known, ", "))}
	}
	if near := yaml.Nearest(got, known); near != "" {
		return yaml.Problems{at.Problem("unknown %s %q; did you mean %q?", key, got, near)}
	}
	return yaml.Problems{at.Problem("unknown %s %q; one of: %s", key, got, strings.Join(known, ", "))}
}

// Evaluate implements control.Rule.
func (r *packageRule) Evaluate(h *fact.Host) control.Outcome {
	if h.Packages.State != fact.Known {
		return control.CannotTell(h.Packages.Why)
	}
	var have, lack []string
	for _, p := range r.Packages {
		if h.Packages.Has(p).V {
			have = append(have, p)
		} else {
			lack = append(lack, p)
		}
	}
	at := h.Packages.Place
	var o control.Outcome
	switch {
	case r.State == "absent" && len(have) > 0:
		o = control.Failed(strings.Join(have, ", ") + isAre(have) + " installed")
		for _, p := range have {
			o = o.With(control.Saw("package "+p, at, "version "+h.Packages.All[p].Version, "not installed"))
		}
	case r.State == "absent":
		o = control.Passed("none of " + strings.Join(lack, ", ") + " is installed")
		if len(lack) == 1 {
			o.Reason = lack[0] + " is not installed"
		}
	case r.State == "installed" && len(lack) > 0, r.State == "any" && len(have) == 0:
		o = control.Failed(fmt.Sprintf("%s%s not installed", strings.Join(lack, ", "), isAre(lack)))
		if r.State == "any" && len(lack) > 1 {
			o.Reason = "none of " + strings.Join(lack, ", ") + " is installed"
		}
		o = o.With(control.Saw("packages", at, "not installed: "+strings.Join(lack, ", "), "installed"))
	default:
		o = control.Passed(strings.Join(have, ", ") + isAre(have) + " installed")
	}
	o.Configured = control.TriOf(o.Verdict == control.Pass)
	o.Persistent = o.Configured
	return o
}

func isAre(names []string) string {
	if len(names) == 1 {
		return " is"
	}
	return " are"
}
