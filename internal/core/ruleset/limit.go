package ruleset

import (
	"slices"
	"strconv"
)

// Limited tells whether new connections to a TCP port are counted anywhere on
// the way of a packet that comes in, and by which rule.
func (f Filter) Limited(family string, port int) (Rule, bool) {
	seen := map[string]bool{}
	var look func(c Chain, inPort bool, depth int) (Rule, bool)
	look = func(c Chain, inPort bool, depth int) (Rule, bool) {
		key := c.Family + " " + c.Table + " " + c.Name + strconv.FormatBool(inPort)
		if seen[key] || depth > maxJumps {
			return Rule{}, false
		}
		seen[key] = true
		for _, rule := range c.Rules {
			if p, ok := rule.Match("proto"); ok && !slices.Contains(p.Values, "tcp") {
				continue
			}
			dport, ok := rule.Match("dport")
			if ok && dport.HasPort(port) == dport.Not {
				continue
			}
			_, limited := rule.Match("limit")
			if limited && (inPort || ok) && rule.Verdict != "" {
				return rule, true
			}
			if rule.Verdict == "jump" || rule.Verdict == "goto" {
				if target, found := f.Chain(c.Family, c.Table, rule.Target, c.Legacy); found {
					if rule, found := look(target, inPort || ok, depth+1); found {
						return rule, true
					}
				}
			}
		}
		return Rule{}, false
	}
	for _, c := range f.Chains {
		if c.Type == "filter" && c.Hook == "input" && Holds(c.Family, family) {
			if rule, ok := look(c, false, 0); ok {
				return rule, true
			}
		}
	}
	return Rule{}, false
}
