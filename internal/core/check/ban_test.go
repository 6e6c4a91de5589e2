package check

import (
	"testing"

	"picket/internal/core/fact"
)

// TestCloses: what a jail's action and ports close.
func TestCloses(t *testing.T) {
	for _, tc := range []struct {
		action, ports string
		port          int
		want          bool
	}{
		{"iptables-multiport", "ssh", 22, true},
		{"iptables-multiport", "ssh", 2222, false},
		{"iptables-multiport[blocktype=DROP]", "2222", 22, false},
		{"nftables-multiport", "ssh,2222", 2222, true},
		{"nftables", "2200:2299", 2222, true},
		{"nftables", "2200-2299", 2300, false},
		{"iptables-multiport", "http,https", 22, false},
		{"iptables-multiport", "telnets", 22, true}, // who knows
		{"iptables-allports", "http", 22, true},
		{"nftables-allports", "http", 22, true},
		{"ufw", "http", 22, true}, // closes all of an address
	} {
		j := fact.Jail{BanAction: fact.Is(tc.action, fact.Place{}), Port: fact.Is(tc.ports, fact.Place{})}
		if got := closes(j, tc.port); got != tc.want {
			t.Errorf("%s of %s closes port %d: %v", tc.action, tc.ports, tc.port, got)
		}
	}
	if !closes(fact.Jail{BanAction: fact.Is("iptables-multiport", fact.Place{})}, 22) {
		t.Error("a jail whose ports are not known is taken to miss one")
	}
}
