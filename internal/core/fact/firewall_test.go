package fact

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"picket/internal/core/ruleset"
	"picket/internal/core/snap"
)

// recorded makes a snapshot of commands and files that were recorded on a
// real Debian 12: "$ nft -j list ruleset" or a path, and the name of a file in
// testdata, or its content after an equals sign.
func recorded(t *testing.T, dir string, parts ...string) *snap.Snapshot {
	t.Helper()
	s := snap.New(snap.Source{Kind: "local"}, time.Unix(0, 0))
	s.MarkComplete()
	for i := 0; i < len(parts); i += 2 {
		data := []byte(parts[i+1])
		if len(data) == 0 || data[0] != '=' {
			var err error
			if data, err = os.ReadFile(filepath.Join("testdata", dir, parts[i+1])); err != nil {
				t.Fatal(err)
			}
		} else {
			data = data[1:]
		}
		if name := parts[i]; name[0] == '$' {
			argv := strings.Fields(name[2:])
			s.Commands[snap.CommandKey(argv...)] = &snap.Output{Argv: argv, Stdout: data}
		} else {
			s.Entries[name] = &snap.Entry{Path: name, Type: snap.File, Mode: 0o644, Read: true, Content: data}
		}
	}
	return s
}

type askedPort struct {
	family string
	port   int
	want   string // yes, no: from anywhere; some: from some addresses; doubt
}

func ask(r Ruleset, family string, port int) string {
	p := ruleset.Packet{Family: family, Proto: "tcp", Port: port}
	a := r.Ask(p)
	switch {
	case a.Accept && a.Drop:
		return "doubt"
	case a.Accept:
		return "yes"
	}
	p.Anybody = true
	if r.Ask(p).Accept {
		return "some"
	}
	return "no"
}

func TestFirewallRunning(t *testing.T) {
	for _, tt := range []struct {
		name         string
		parts        []string
		deny4, deny6 string
		ports        []askedPort
		limited      int
	}{
		{
			name:  "ufw",
			parts: []string{"$ nft -j list ruleset", "ufw.json", "$ iptables-save", "ufw.v4", "$ ip6tables-save", "ufw.v6"},
			deny4: "true", deny6: "true", limited: 2222,
			ports: []askedPort{{"ip", 22, "yes"}, {"ip6", 22, "yes"}, {"ip", 2222, "doubt"}, {"ip", 1883, "some"}, {"ip6", 1883, "no"}, {"ip", 80, "no"}},
		},
		{
			name:  "ufw where iptables cannot be asked",
			parts: []string{"$ nft -j list ruleset", "ufw.json"},
			// What nft tells of iptables' extensions is not enough to be sure.
			deny4: "unknown", deny6: "unknown",
		},
		{
			name:  "nftables by hand",
			parts: []string{"$ nft -j list ruleset", "nftables.json"},
			deny4: "true", deny6: "true", limited: 22,
			ports: []askedPort{{"ip", 22, "doubt"}, {"ip6", 22, "doubt"}, {"ip", 80, "some"}, {"ip6", 80, "no"}, {"ip", 25, "no"}},
		},
		{
			name:  "the nftables.conf that Debian ships",
			parts: []string{"$ nft -j list ruleset", "stock.json"},
			deny4: "false", deny6: "false",
			ports: []askedPort{{"ip", 22, "yes"}},
		},
		{
			name:  "nothing but Docker's rules",
			parts: []string{"$ nft -j list ruleset", "docker.json", "$ iptables-save", "docker.v4"},
			deny4: "false", deny6: "false",
		},
		{
			name:  "iptables-legacy beside an empty nft",
			parts: []string{"$ nft -j list ruleset", `={"nftables": []}`, "$ iptables-legacy-save", "=*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n"},
			deny4: "true", deny6: "false",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := Parse(recorded(t, "firewall", tt.parts...))
			r := h.Firewall.Running
			if r.State != Known {
				t.Fatalf("state %v: %s", r.State, r.Why)
			}
			for family, want := range map[string]string{"ip": tt.deny4, "ip6": tt.deny6} {
				got := "unknown"
				if v := r.Denies(family); v.Known() {
					got = map[bool]string{true: "true", false: "false"}[v.V]
				}
				if got != want {
					t.Errorf("default deny of %s: %s, want %s (%s)", family, got, want, r.Denies(family).Why)
				}
			}
			for _, p := range tt.ports {
				if got := ask(r, p.family, p.port); got != p.want {
					t.Errorf("%s port %d is open: %s, want %s", p.family, p.port, got, p.want)
				}
			}
			if tt.limited != 0 {
				if rule, ok := r.Limited("ip", tt.limited); !ok {
					t.Errorf("port %d is limited, but no rule was found: %v", tt.limited, rule)
				}
				if rule, ok := r.Limited("ip", 80); ok {
					t.Errorf("port 80 is not limited, but: %s", rule.Text)
				}
			}
		})
	}
}

// A script of nft is understood as the kernel understands it.
func TestFirewallConfAgrees(t *testing.T) {
	h := Parse(recorded(t, "firewall",
		"$ nft -j list ruleset", "nftables.json", "/etc/nftables.conf", "nftables.conf",
		"$ systemctl list-unit-files --no-legend --no-pager --plain --full *.service *.socket *.timer *.path ctrl-alt-del.target tmp.mount", "=nftables.service enabled enabled\n",
		"$ systemctl list-units --all --no-legend --no-pager --plain --full", "=nftables.service loaded active exited nftables\n"))
	m, ok := h.Firewall.Manager("nftables")
	if !ok || m.Rules.State != Known {
		t.Fatalf("nftables: %v %s", ok, m.Rules.Why)
	}
	for _, family := range []string{"ip", "ip6"} {
		for _, port := range []int{0, 22, 80, 443, 53, 60500} {
			if kernel, file := ask(h.Firewall.Running, family, port), ask(h.Firewall.NextBoot, family, port); kernel != file {
				t.Errorf("%s port %d: kernel %s, file %s", family, port, kernel, file)
			}
		}
		lo := ruleset.Packet{Family: family, Proto: "tcp", Port: 5432, Loopback: true}
		if a := h.Firewall.NextBoot.Ask(lo); !a.Accept || a.Drop {
			t.Errorf("%s: loopback is not accepted: %+v", family, a)
		}
	}
}

// An include is asked for in the next round, and a ruleset that lacks it is unknown.
func TestFirewallInclude(t *testing.T) {
	s := recorded(t, "firewall", "/etc/nftables.conf", "=flush ruleset\ninclude \"/etc/nftables.d/*.nft\"\n",
		"$ systemctl list-unit-files --no-legend --no-pager --plain --full *.service *.socket *.timer *.path ctrl-alt-del.target tmp.mount", "=nftables.service enabled enabled\n")
	h := Parse(s)
	found := false
	for _, f := range askFirewall(h, s).Files {
		found = found || f == "/etc/nftables.d/*.nft"
	}
	if !found {
		t.Error("the included files are not asked for")
	}
	s.Entries["/etc/nftables.d/a.nft"] = &snap.Entry{Path: "/etc/nftables.d/a.nft", Type: snap.File, Read: true,
		Content: []byte("table ip filter {\n chain in {\n type filter hook input priority 0; policy drop;\n}\n}\n")}
	if v := Parse(s).Firewall.NextBoot.Denies("ip"); !v.Known() || !v.V {
		t.Errorf("the included chain drops, but: %+v", v)
	}
}

func TestFirewallUFWFiles(t *testing.T) {
	units := []string{
		"$ systemctl list-unit-files --no-legend --no-pager --plain --full *.service *.socket *.timer *.path ctrl-alt-del.target tmp.mount", "=ufw.service enabled enabled\n",
		"/etc/ufw/user.rules", "user.rules", "/etc/ufw/user6.rules", "user6.rules",
	}
	for _, tt := range []struct {
		name, conf, defaults string
		deny4, deny6         bool
		ssh4                 string
	}{
		{"as enabled", "=ENABLED=yes\n", "=IPV6=yes\nDEFAULT_INPUT_POLICY=\"DROP\"\n", true, true, "yes"},
		{"off", "=ENABLED=no\n", "=IPV6=yes\nDEFAULT_INPUT_POLICY=\"DROP\"\n", false, false, "yes"},
		{"accepts", "=ENABLED=yes\n", "=IPV6=yes\nDEFAULT_INPUT_POLICY=\"ACCEPT\"\n", false, false, "yes"},
		{"rejects, without IPv6", "=ENABLED=yes\n", "=IPV6=no\nDEFAULT_INPUT_POLICY=\"REJECT\"\n", true, true, "yes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := Parse(recorded(t, "firewall", append(units, "/etc/ufw/ufw.conf", tt.conf, "/etc/default/ufw", tt.defaults)...))
			next := h.Firewall.NextBoot
			if v := next.Denies("ip"); !v.Known() || v.V != tt.deny4 {
				t.Errorf("IPv4: %+v", v)
			}
			if v := next.Denies("ip6"); !v.Known() || v.V != tt.deny6 {
				t.Errorf("IPv6: %+v", v)
			}
			if got := ask(next, "ip", 22); got != tt.ssh4 {
				t.Errorf("ssh: %s", got)
			}
		})
	}
}

// What nft 1.0.6 prints of tables that Debian 12 loads.
func TestFirewallNFTForms(t *testing.T) {
	const base = `{"chain": {"family": "inet", "table": "f", "name": "in", "type": "filter", "hook": "input", "prio": 0, "policy": "accept"}}`
	const drop = `{"chain": {"family": "inet", "table": "f", "name": "in", "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}}`
	rule := func(expr string) string {
		return `, {"rule": {"family": "inet", "table": "f", "chain": "in", "expr": [` + expr + `]}}`
	}
	header := func(op, protocol, field, right string) string {
		return `{"match": {"op": "` + op + `", "left": {"payload": {"protocol": "` + protocol + `", "field": "` + field + `"}}, "right": ` + right + `}}, {"drop": null}`
	}
	state := `{"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": "untracked"}}, {"accept": null}`
	raw := `, {"chain": {"family": "inet", "table": "f", "name": "raw", "type": "filter", "hook": "prerouting", "prio": -300, "policy": "accept"}},
		{"rule": {"family": "inet", "table": "f", "chain": "raw", "expr": [{"notrack": null}]}}`
	for _, tt := range []struct{ name, items, deny4, deny6 string }{
		{"a table with some flag, as nft 1.0.6 has it", `{"table": {"family": "inet", "name": "f", "handle": 2, "flags": "f"}}, ` + drop, "unknown", "unknown"},
		{"a table with some flag that accepts", `{"table": {"family": "inet", "name": "f", "handle": 2, "flags": "f"}}, ` + base, "false", "false"},
		{"a table that sleeps", `{"table": {"family": "inet", "name": "f", "flags": ["dormant", "owner"]}}, ` + drop, "false", "false"},
		{"a table with an owner", `{"table": {"family": "inet", "name": "f", "flags": "owner"}}, ` + drop, "true", "true"},
		{"not from the own network", base + rule(header("!=", "ip", "saddr", `{"prefix": {"addr": "192.168.0.0", "len": 16}}`)), "true", "false"},
		{"not from the own network, IPv6", base + rule(header("!=", "ip6", "saddr", `{"prefix": {"addr": "fd00::", "len": 8}}`)), "false", "true"},
		{"by the header of IPv4", base + rule(header("==", "ip", "protocol", `{"set": ["tcp", "udp"]}`)), "true", "false"},
		{"but from one port", base + rule(`{"match": {"op": "!=", "left": {"payload": {"protocol": "th", "field": "sport"}}, "right": 53}}, {"drop": null}`), "false", "false"},
		{"all ports but one", base + rule(`{"vmap": {"key": {"payload": {"protocol": "th", "field": "dport"}}, "data": {"set": [[22, {"accept": null}], ["*", {"drop": null}]]}}}`), "true", "true"},
		{"untracked", drop + rule(state) + raw, "unknown", "unknown"},
		{"tracked", drop + rule(state), "true", "true"},
	} {
		chains, err := ruleset.ParseNFT([]byte(`{"nftables": [`+tt.items+`]}`), Place{})
		if err != nil {
			t.Fatal(err)
		}
		for family, want := range map[string]string{"ip": tt.deny4, "ip6": tt.deny6} {
			got := "unknown"
			if v := (Ruleset{State: Known, Filter: ruleset.Filter{Chains: chains}}).Denies(family); v.Known() {
				got = strconv.FormatBool(v.V)
			}
			if got != want {
				t.Errorf("%s: default deny of %s: %s, want %s", tt.name, family, got, want)
			}
		}
	}

	chains, err := ruleset.ParseNFT([]byte(`{"nftables": [`+drop+rule(`{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 22}},
		{"set": {"op": "add", "elem": {"payload": {"protocol": "ip", "field": "saddr"}}, "set": "@limited"}}, {"accept": null}`)+`]}`), Place{})
	if rule, limited := (Ruleset{State: Known, Filter: ruleset.Filter{Chains: chains}}).Limited("ip", 22); err != nil || limited {
		t.Errorf("a set by the name of limited is no limit: %v %s", err, rule.Text)
	}
}

// A script that makes one chain in several pieces, and one that takes away.
func TestFirewallConfPieces(t *testing.T) {
	const chain = "table inet f {\n chain in {\n type filter hook input priority 0; policy drop;\n}\n}\n"
	for conf, want := range map[string]string{
		chain + "table inet f {\n chain in {\n tcp dport 22 accept\n}\n}\n": "yes",
		chain + "flush ruleset\n":                                                              "yes",
		chain + "delete table inet f\n":                                                        "yes",
		chain + "delete table inet g\n":                                                        "no",
		"table inet f\ndelete table inet f\n" + chain:                                          "no",
		strings.Replace(chain, "chain in", "flags dormant\n chain in", 1):                      "unknown",
		strings.Replace(chain, "drop;\n", "drop;\n tcp dport vmap {22:accept}\n", 1):           "doubt",
		strings.Replace(chain, "drop;\n", "drop;\n tcp dport vmap { $SSH : accept }\n", 1):     "doubt",
		strings.Replace(chain, "policy drop;\n", "\n ip6 saddr != fd00::/8 drop\n", 1):         "yes",
		strings.Replace(chain, "drop;\n", "drop;\n tcp sport 0-1023 tcp dport 22 accept\n", 1): "yes",
		chain + "flush chain inet f in\n":                                                      "unknown",
	} {
		s := recorded(t, "firewall", "/etc/nftables.conf", "="+conf,
			"$ systemctl list-unit-files --no-legend --no-pager --plain --full *.service *.socket *.timer *.path ctrl-alt-del.target tmp.mount", "=nftables.service enabled enabled\n")
		r := Parse(s).Firewall.NextBoot
		got := "unknown"
		if r.State == Known {
			got = ask(r, "ip", 22)
		}
		if got != want {
			t.Errorf("%s: port 22 is open: %s, want %s", conf, got, want)
		}
	}
}

// Senders choose their port, and from a great part of the network come strangers.
func TestFirewallStranger(t *testing.T) {
	for rule, want := range map[string]string{
		"":                                           "true",
		"tcp sport 80 accept":                        "false", // nc -p 80
		"udp sport { 53, 123 } accept":               "false",
		"tcp sport 1024-65535 accept":                "false",
		"tcp sport 1-1023 drop":                      "true",
		"tcp sport 80 tcp dport 8080 accept":         "true",
		"tcp sport != 80 accept":                     "false",
		"ip saddr 10.0.0.0/8 accept":                 "true",
		"ip saddr 192.168.1.0/24 accept":             "true",
		"ip saddr 128.0.0.0/1 accept":                "unknown",
		"ip saddr { 0.0.0.0/1, 128.0.0.0/1 } accept": "unknown",
		"ip saddr 0.0.0.0/0 accept":                  "false",
		"ip saddr 1.0.0.0-223.255.255.255 accept":    "unknown",
		"ip saddr 192.168.1.5-192.168.1.20 accept":   "true",
		"ip saddr != 10.0.0.0/8 accept":              "false",
		"tcp dport 1024-65535 accept":                "false",
		"tcp dport { 1-30000, 30001-65535 } accept":  "false",
		"tcp dport 20000-60000 accept":               "unknown",
		"tcp dport 8000-8100 accept":                 "true",
	} {
		conf := "=table inet filter {\n chain in {\n type filter hook input priority 0; policy drop;\n" + rule + "\n}\n}\n"
		s := recorded(t, "firewall", "/etc/nftables.conf", conf,
			"$ systemctl list-unit-files --no-legend --no-pager --plain --full *.service *.socket *.timer *.path ctrl-alt-del.target tmp.mount", "=nftables.service enabled enabled\n")
		got := "unknown"
		if v := Parse(s).Firewall.NextBoot.Denies("ip"); v.Known() {
			got = strconv.FormatBool(v.V)
		}
		if got != want {
			t.Errorf("%s: default deny: %s, want %s", rule, got, want)
		}
	}
}

// iptables-save of Debian 11 does not say whose rules it shows, and nft 0.9.8
// nothing of what its extensions compare.
func TestFirewallDebian11(t *testing.T) {
	const nft = `={"nftables": [{"table": {"family": "ip", "name": "filter"}},
		{"chain": {"family": "ip", "table": "filter", "name": "INPUT", "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}},
		{"rule": {"family": "ip", "table": "filter", "chain": "INPUT", "expr": [{"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": "tcp"}}, {"xt": null}, {"accept": null}]}}]}`
	const saved = "=# Generated by iptables-save v1.8.7 on Fri Nov 27 05:56:50 2026\n*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n"
	parts := func(more ...string) []string {
		return append([]string{"$ nft -j list ruleset", nft, "$ iptables-save", saved}, more...)
	}
	for _, tt := range []struct {
		name  string
		parts []string
		sure  bool
	}{
		{"nftables alone", parts("$ iptables-legacy-save", "="), true},
		{"nobody asked the older filter", parts(), false},
		{"the older filter has rules", parts("$ iptables-legacy-save", saved), false},
		{"the older filter has other rules", append(parts("$ iptables-legacy-save", "="), "$ nft -j list ruleset", `={"nftables": []}`), false},
	} {
		r := Parse(recorded(t, "firewall", tt.parts...)).Firewall.Running
		a := r.Ask(ruleset.Packet{Family: "ip", Proto: "tcp", Port: 80, From: 5})
		if sure := !a.Accept && a.Drop && len(r.Chains) == 1 && !r.Chains[0].Legacy; sure != tt.sure {
			t.Errorf("%s: one chain that refuses port 80: %v, want %v (%+v)", tt.name, sure, tt.sure, a)
		}
	}
}

// A kernel that cannot be asked is never one without rules.
func TestFirewallUnreadable(t *testing.T) {
	gone := func(s *snap.Snapshot, names ...string) {
		for _, n := range names {
			argv := strings.Fields(n)
			s.Commands[snap.CommandKey(argv...)] = &snap.Output{Argv: argv, Missing: true}
		}
	}
	tools := []string{"nft -j list ruleset", "iptables-save", "ip6tables-save", "iptables-legacy-save", "ip6tables-legacy-save"}

	s := recorded(t, "firewall", "/proc/modules", "=nf_tables 1 0 - Live 0x0\n")
	gone(s, tools...)
	if r := Parse(s).Firewall.Running; r.State != Unknown {
		t.Errorf("nf_tables is loaded and nobody can show it: %v", r.State)
	}
	s = recorded(t, "firewall", "/proc/modules", "=ext4 1 0 - Live 0x0\n")
	gone(s, tools...)
	if r := Parse(s).Firewall.Running; r.State != Known || len(r.Chains) != 0 {
		t.Errorf("no tool and no module: %v %s", r.State, r.Why)
	}
	s = recorded(t, "firewall")
	gone(s, tools...)
	if r := Parse(s).Firewall.Running; r.State != Unknown {
		t.Errorf("a kernel without modules may have it built in: %v", r.State)
	}
	s.Source.UID = 1000
	s.Commands[snap.CommandKey(nftList...)] = &snap.Output{Argv: nftList, Exit: 1, Stderr: "Operation not permitted (you must be root)\n"}
	if r := Parse(s).Firewall.Running; r.State != Denied {
		t.Errorf("without root: %v", r.State)
	}
}

// TestFirewallAddresses: a name instead of an address may be anybody's, and an
// address of the other family is nobody's.
func TestFirewallAddresses(t *testing.T) {
	for _, key := range []string{"saddr", "daddr"} {
		for value, want := range map[string][2]bool{"router.example.org": {true, true}, "fe80::/10": {false, true}, "0.0.0.0/0": {true, false}} {
			r := Ruleset{State: Known, Filter: ruleset.Filter{Chains: []ruleset.Chain{{Family: "inet", Type: "filter", Hook: "input", Policy: "drop", Rules: []ruleset.Rule{
				{Verdict: "accept", Matches: []ruleset.Match{{Key: key, Values: []string{value}}}},
			}}}}}
			a := r.Ask(ruleset.Packet{Family: "ip", Proto: "tcp", Port: 80, Card: "eth0"})
			if got := [2]bool{a.Accept, a.Drop}; got != want {
				t.Errorf("%s %s: accepted, dropped: %v, want %v", key, value, got, want)
			}
		}
	}
}
