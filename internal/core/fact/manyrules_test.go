package fact

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"picket/lab/leftout"
)

// TestTenThousandRules: a ban list in the form of rules is followed to its end, for
// every port, in bounded time.
func TestTenThousandRules(t *testing.T) {
	leftout.OfRace(t)
	const rules = 10_000
	var b strings.Builder
	b.WriteString("*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n")
	for i := range rules {
		fmt.Fprintf(&b, "-A INPUT -s 10.%d.%d.%d/32 -p tcp -m tcp --dport %d -j DROP\n", i>>16&255, i>>8&255, i&255, 22+i%40)
	}
	b.WriteString("-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT\nCOMMIT\n")
	var ss strings.Builder
	for port := range 10 {
		fmt.Fprintf(&ss, "tcp LISTEN 0 128 0.0.0.0:%d 0.0.0.0:* users:((\"a\",pid=1,fd=3)) ino:%d\n", 75+port, port+1)
	}
	begun := time.Now()
	h := probedHost(t, "$ nft -j list ruleset", `{"nftables": []}`, "$ iptables-save", b.String(), "$ ip6tables-save", "", "$ ss -Hltunpe", ss.String())
	open := 0
	for _, e := range h.Exposure() {
		if e.Network.Reached != Nobody {
			open++
			if e.Port != 80 || e.Network.Reached != Everybody || !strings.Contains(e.Network.Rule(), "--dport 80") {
				t.Errorf("port %d: %v by %s", e.Port, e.Network.Reached, e.Network.Rule())
			}
		}
	}
	if open != 1 {
		t.Errorf("%d ports are reached, want that of the last rule", open)
	}
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("10 ports and %d rules took %v", rules, took)
	}
	t.Logf("10 ports and %d rules: %v", rules, time.Since(begun))
}
