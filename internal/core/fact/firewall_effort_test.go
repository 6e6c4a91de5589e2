package fact

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"picket/internal/core/ruleset"
	"picket/lab/leftout"
)

// Whatever a host sends, following packets through it ends; and what was not
// followed is not known.
func TestFirewallEffort(t *testing.T) {
	leftout.OfRace(t)
	rules := func(n int, more ...string) string {
		var b strings.Builder
		b.WriteString("*filter\n:INPUT DROP [0:0]\n")
		for i := range n {
			fmt.Fprintf(&b, "-A INPUT -s 10.%d.%d.1/32 -p tcp --dport %d -j ACCEPT\n", i/250, i%250, 1000+i%100)
		}
		return b.String() + strings.Join(more, "") + "COMMIT\n"
	}
	var many []string // cards and ports, each of which has to be tried with each
	for i := range 16 {
		many = append(many, fmt.Sprintf("-A INPUT -i eth%d -p tcp --sport %d -j DROP\n", i, 10+i))
	}
	for _, tt := range []struct {
		name  string
		rules string
		cut   bool
	}{
		{"a thousand rules", rules(1000), false},
		{"as many as there may be, with cards and ports", rules(ruleset.MaxRules-100, many...), true},
	} {
		h := Parse(recorded(t, "firewall", "$ nft -j list ruleset", `={"nftables": []}`, "$ iptables-save", "="+tt.rules, "$ ip6tables-save", "="+rules(0)))
		begin, cut := time.Now(), false
		for port := range 200 {
			for _, anybody := range []bool{false, true} {
				p := ruleset.Packet{Family: "ip", Proto: "tcp", Port: 1000 + port, Anybody: anybody}
				a := h.Firewall.Running.Ask(p)
				cut = cut || a.Cut
				if a.Cut && (!a.Accept || !a.Drop) {
					t.Errorf("%s: not followed, and %+v", tt.name, a)
				}
				if again := h.Firewall.Running.Ask(p); cmp.Diff(a, again) != "" {
					t.Errorf("%s: the same packet is %+v, then %+v", tt.name, a, again)
				}
			}
		}
		if cut != tt.cut {
			t.Errorf("%s: cut off: %v, want %v", tt.name, cut, tt.cut)
		}
		if v := h.Firewall.Running.Denies("ip6"); tt.cut && v.Known() {
			t.Errorf("%s: known after all effort was spent: %+v", tt.name, v)
		}
		if took := time.Since(begin); took > time.Minute {
			t.Errorf("%s: took %v", tt.name, took)
		}
	}
}
