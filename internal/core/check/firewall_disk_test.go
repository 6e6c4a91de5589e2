package check

import (
	"strconv"
	"testing"
	"time"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/ruleset"
	"picket/internal/core/snap"
)

// TestPersistLeavesNothingOut: rules that were not all compared are not the same.
func TestPersistLeavesNothingOut(t *testing.T) {
	for ports, want := range map[int]control.Verdict{maxPorts: control.Pass, maxPorts + 1: control.Unknown} {
		c := ruleset.Chain{Family: "inet", Table: "filter", Name: "in", Type: "filter", Hook: "input", Policy: "drop"}
		for p := range ports {
			c.Rules = append(c.Rules, ruleset.Rule{Verdict: "accept", Matches: []ruleset.Match{
				{Key: "proto", Values: []string{"tcp"}}, {Key: "dport", Values: []string{strconv.Itoa(p + 1)}},
			}})
		}
		r := fact.Ruleset{State: fact.Known, Filter: ruleset.Filter{Chains: []ruleset.Chain{c}}}
		h := &fact.Host{Snap: snap.New(snap.Source{Kind: "local"}, time.Unix(0, 0)), Firewall: fact.Firewall{Running: r, NextBoot: r}}
		if o := firewallPersist(h); o.Verdict != want {
			t.Errorf("%d ports: %s (%s), want %s", ports, o.Verdict, o.Reason, want)
		}
	}
}
