package fact

import (
	"slices"
	"strconv"
)

// Limited tells whether new connections to a TCP port are counted anywhere on
// the way of a packet that comes in, and by which rule.
func (r Ruleset) Limited(family string, port int) (FirewallRule, bool) {
	seen := map[string]bool{}
	var look func(c FirewallChain, inPort bool, depth int) (FirewallRule, bool)
	look = func(c FirewallChain, inPort bool, depth int) (FirewallRule, bool) {
		key := c.Family + " " + c.Table + " " + c.Name + strconv.FormatBool(inPort)
		if seen[key] || depth > maxJumps {
			return FirewallRule{}, false
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
				if target, found := r.Chain(c.Family, c.Table, rule.Target, c.Legacy); found {
					if rule, found := look(target, inPort || ok, depth+1); found {
						return rule, true
					}
				}
			}
		}
		return FirewallRule{}, false
	}
	for _, c := range r.Chains {
		if c.Type == "filter" && c.Hook == "input" && familyHolds(c.Family, family) {
			if rule, ok := look(c, false, 0); ok {
				return rule, true
			}
		}
	}
	return FirewallRule{}, false
}
