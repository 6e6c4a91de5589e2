package ruleset

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAddresses(t *testing.T) {
	for addr, want := range map[string]bool{"2000::/3": true, "2001::/16": false, "fe80::/10": false, "fc00::/7": false, "ff00::/8": false, "::/1": true} {
		if p, _, _ := parsePrefix(addr); wide(p) != want {
			t.Errorf("%s is wide: %v", addr, !want)
		}
	}
	for v, want := range map[string]string{"10.0.0.0-10.0.0.255": "10.0.0.0/24 true", "10.0.0.1-10.0.0.2": "10.0.0.0/30 false", "10.0.0.9": "10.0.0.9/32 true",
		"fe80::1-fe80::1": "fe80::1/128 true", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": "::/0 true"} {
		p, all, ok := parsePrefix(v)
		if got := fmt.Sprintf("%v %v", p, all); got != want || !ok {
			t.Errorf("%s: %s, want %s", v, got, want)
		}
	}
}

// Only ports are ranges with a colon, or names of services.
func TestIptablesRule(t *testing.T) {
	r := iptablesRule(strings.Fields("-s fe80::/10 -i ssh -p tcp -m multiport --dports ssh,8000:8010 -j ACCEPT"))
	want := []Match{
		{Key: "saddr", Values: []string{"fe80::/10"}}, {Key: "iif", Values: []string{"ssh"}},
		{Key: "proto", Values: []string{"tcp"}}, {Key: "dport", Values: []string{"22", "8000-8010"}},
	}
	if d := cmp.Diff(want, r.Matches); d != "" {
		t.Error(d)
	}
	for words, want := range map[string]bool{"-p udp -j NOTRACK": true, "-p udp -j CT --notrack": true, "-p udp -j CT --helper tftp": false} {
		if r := iptablesRule(strings.Fields(words)); r.NoTrack != want {
			t.Errorf("%s takes packets out of tracking: %v", words, r.NoTrack)
		}
	}
}
