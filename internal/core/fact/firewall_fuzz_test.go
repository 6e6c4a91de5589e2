package fact

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"picket/internal/core/ruleset"
	"picket/internal/core/snap"
)

func FuzzNFT(f *testing.F) {
	for _, name := range []string{"ufw.json", "nftables.json", "docker.json"} {
		data, err := os.ReadFile(filepath.Join("testdata", "firewall", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"nftables":[{"chain":{"family":"ip","table":"t","name":"c","hook":"input","type":"filter"}},{"rule":{"family":"ip","table":"t","chain":"c","expr":[{"jump":{"target":"c"}}]}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		chains, err := ruleset.ParseNFT(data, Place{})
		if err == nil {
			askAll(Ruleset{State: Known, Filter: ruleset.Filter{Chains: chains}})
		}
	})
}

func FuzzIptables(f *testing.F) {
	for _, name := range []string{"ufw.v4", "ufw.v6", "docker.v4", "user.rules"} {
		data, err := os.ReadFile(filepath.Join("testdata", "firewall", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Fuzz(func(t *testing.T, text string) {
		askAll(Ruleset{State: Known, Filter: ruleset.Filter{Chains: ruleset.ParseIptables(text, Place{}, "ip")}})
	})
}

func FuzzNFTConf(f *testing.F) {
	data, err := os.ReadFile(filepath.Join("testdata", "firewall", "nftables.conf"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(data))
	f.Add("include \"/etc/nftables.conf\"\ntable ip t { chain c { jump c; limit rate over 3/second; tcp dport vmap { 22: jump c } } }")
	f.Fuzz(func(t *testing.T, text string) {
		s := snap.New(snap.Source{}, time.Unix(0, 0))
		s.MarkComplete()
		s.Entries["/etc/nftables.conf"] = &snap.Entry{Path: "/etc/nftables.conf", Type: snap.File, Read: true, Content: []byte(text)}
		askAll(parseNFTConf(s, "/etc/nftables.conf"))
	})
}

func askAll(r Ruleset) {
	for _, family := range []string{"ip", "ip6"} {
		for _, port := range []int{0, 22} {
			ask(r, family, port)
		}
		r.Limited(family, 22)
	}
}
