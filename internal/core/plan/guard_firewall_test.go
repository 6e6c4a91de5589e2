package plan

import (
	"slices"
	"strings"
	"testing"

	"picket/catalogue"
	"picket/internal/core/audit"
	"picket/internal/core/cases"
	"picket/internal/core/change"
	"picket/internal/core/check"
	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/kind"
	"picket/internal/core/ruleset"
	"picket/internal/core/snap"
)

// leader serves a web page, a broker on IPv4, a name service for its containers, DHCP by its access point, and something
// for itself; sshd listens at two ports.
const leader = `-- host: fail --
packages: nftables, openssh-server
-- $ nft -j list ruleset --
{"nftables": []}
-- $ systemctl list-unit-files --no-legend --no-pager --plain --full *.service *.socket *.timer *.path ctrl-alt-del.target tmp.mount --
ssh.service enabled enabled
-- $ systemctl list-units --all --no-legend --no-pager --plain --full --
ssh.service loaded active running OpenBSD Secure Shell server
-- $ ip -j addr --
[{"ifname":"lo","addr_info":[{"local":"127.0.0.1","prefixlen":8}]},{"ifname":"eth0","addr_info":[{"local":"192.168.7.20","prefixlen":24},{"local":"2001:db8::20","prefixlen":64}]},{"ifname":"wlan0","addr_info":[{"local":"10.42.0.1","prefixlen":24}]},{"ifname":"docker0","addr_info":[{"local":"172.17.0.1","prefixlen":16}]},{"ifname":"wg0","addr_info":[{"local":"10.9.0.1","prefixlen":24}]},{"ifname":"br-0123456789ab","addr_info":[{"local":"172.18.0.1","prefixlen":16}]}]
-- $ ip -j route --
[{"dst":"default","gateway":"192.168.7.1","dev":"eth0"},{"dst":"192.168.7.0/24","dev":"eth0"}]
-- $ ip -j -6 route --
[{"dst":"default","gateway":"fe80::1","dev":"eth0"}]
-- /proc/net/if_inet6 --
20010db8000000000000000000000020 02 40 00 80 eth0
-- /etc/picket/ 0755 0:0 --
-- $ ss -Hltunpe --
tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=70,fd=3)) ino:1 sk:1
tcp LISTEN 0 128 [::]:22 [::]:* users:(("sshd",pid=70,fd=4)) ino:2 sk:2
tcp LISTEN 0 128 0.0.0.0:2222 0.0.0.0:* users:(("sshd",pid=70,fd=5)) ino:3 sk:3
tcp LISTEN 0 128 *:80 *:* users:(("lighttpd",pid=71,fd=3)) ino:4 sk:4
tcp LISTEN 0 128 0.0.0.0:1883 0.0.0.0:* users:(("mosquitto",pid=72,fd=3)) ino:5 sk:5
tcp LISTEN 0 128 127.0.0.1:5432 0.0.0.0:* users:(("postgres",pid=73,fd=3)) ino:6 sk:6
udp UNCONN 0 0 0.0.0.0%wlan0:67 0.0.0.0:* users:(("dnsmasq",pid=74,fd=3)) ino:7 sk:7
udp UNCONN 0 0 0.0.0.0:5353 0.0.0.0:* users:(("avahi-daemon",pid=75,fd=3)) ino:8 sk:8
udp UNCONN 0 0 0.0.0.0:41234 0.0.0.0:* users:(("avahi-daemon",pid=75,fd=4)) ino:9 sk:9
udp UNCONN 0 0 0.0.0.0:51820 0.0.0.0:* ino:10 sk:10
udp UNCONN 0 0 0.0.0.0:1900 0.0.0.0:* users:(("minidlnad",pid=77,fd=4)) ino:12 sk:12
tcp LISTEN 0 128 172.17.0.1:5300 0.0.0.0:* users:(("resolver",pid=76,fd=3)) ino:11 sk:11
`

// TestOwnRules reads the drafted rules back and asks them about packets.
func TestOwnRules(t *testing.T) {
	for _, tc := range []struct {
		name     string
		policy   change.Policy
		open     string // card family proto/port, of those that come in from a stranger there
		shut     string
		holds    string
		somebody string // comes in from those alone who are named
	}{
		{"what is served today", change.Policy{},
			"eth0 ip tcp/22, eth0 ip6 tcp/22, eth0 ip tcp/2222, eth0 ip tcp/80, eth0 ip6 tcp/80, eth0 ip tcp/1883, wlan0 ip udp/67, eth0 ip udp/5353, eth0 ip udp/51820, eth0 ip udp/68, docker0 ip tcp/5300, docker0 ip tcp/80",
			"eth0 ip tcp/5432, eth0 ip udp/67, eth0 ip udp/41234, eth0 ip tcp/8080, eth0 ip udp/53, eth0 ip6 tcp/5432, docker0 ip tcp/5432",
			"SSH at port 22, 2222 stays open; besides it what is served today: 80/tcp lighttpd, 1883/tcp mosquitto", ""},
		{"what the policy says", change.Policy{Ports: []change.Port{{Number: 443, Protocol: "tcp"}, {Number: 1883, Protocol: "tcp", From: "192.168.7.0/24"}}},
			"eth0 ip tcp/22, eth0 ip6 tcp/22, eth0 ip tcp/443, eth0 ip6 tcp/443, eth0 ip udp/51820, wlan0 ip udp/67, eth0 ip udp/5353, docker0 ip tcp/80, docker0 ip tcp/5300, br-0123456789ab ip tcp/80, br-fedcba987654 ip tcp/80",
			"eth0 ip tcp/80, eth0 ip6 tcp/80, eth0 ip tcp/1883, eth0 ip udp/1900, eth0 ip tcp/5300, docker0 ip tcp/5432",
			"by policy.ports: 443/tcp policy, 1883/tcp policy from 192.168.7.0/24", "eth0 ip tcp/1883"},
		{"SSH for some", change.Policy{SSHPort: 2022, Ports: []change.Port{{Number: 22, Protocol: "tcp", From: "10.0.0.0/8"}}},
			"docker0 ip tcp/80", "eth0 ip tcp/22, eth0 ip6 tcp/22, eth0 ip tcp/2222, eth0 ip tcp/2022, eth0 ip tcp/80",
			"stays open from 10.0.0.0/8, and is kept only if a new login from where you are works", "eth0 ip tcp/22, eth0 ip tcp/2022"},
	} {
		list, err := cases.Parse([]byte(leader))
		if err != nil {
			t.Fatal(err)
		}
		h := fact.Parse(list[0].Snapshot)
		d := change.On(list[0].Snapshot, nil, tc.policy)
		own, why := check.OwnRules(h, tc.policy)
		if why != "" {
			t.Fatal(why)
		}
		if err := d.Write("/etc/picket/firewall.nft", 0o644, own.Text()); err != nil {
			t.Fatal(err)
		}
		refused, holds := sshAllowedFirst(h, d, Options{})
		if refused != "" || !strings.Contains(holds, tc.holds) {
			t.Errorf("%s: refused %q, holds %q", tc.name, refused, holds)
		}
		m, _ := fact.Parse(d.Snapshot()).Firewall.Manager("picket")
		if m.Rules.State != fact.Known {
			t.Fatalf("%s: %s\n%s", tc.name, m.Rules.Why, own.Text())
		}
		ask := func(what string, anybody bool) bool {
			f := strings.Fields(what)
			proto, port, _ := strings.Cut(f[2], "/")
			p := ruleset.Packet{Family: f[1], Proto: proto, Card: f[0], Anybody: anybody}
			for _, c := range port {
				p.Port = p.Port*10 + int(c-'0')
			}
			return m.Rules.Ask(p).Accept
		}
		for _, what := range strings.Split(tc.open, ", ") {
			if !ask(what, false) {
				t.Errorf("%s: %s is shut\n%s", tc.name, what, own.Text())
			}
		}
		for _, what := range slices.Concat(strings.Split(tc.shut, ", "), strings.Split(tc.somebody, ", ")) {
			if what != "" && ask(what, false) {
				t.Errorf("%s: %s is open\n%s", tc.name, what, own.Text())
			}
		}
		for _, what := range strings.Split(tc.somebody, ", ") {
			if what != "" && !ask(what, true) {
				t.Errorf("%s: %s is shut to all\n%s", tc.name, what, own.Text())
			}
		}
		for _, family := range []string{"ip", "ip6"} {
			if v := m.Rules.Denies(family); !v.Known() || !v.V {
				t.Errorf("%s: a port that no rule names is open over %s", tc.name, family)
			}
			if _, ok := m.Rules.Limited(family, 22); !ok {
				t.Errorf("%s: nothing counts connections over %s", tc.name, family)
			}
		}
	}
}

// TestSSHAllowedFirst breaks the drafted rules, and wants each slip refused.
func TestSSHAllowedFirst(t *testing.T) {
	list, err := cases.Parse([]byte(leader))
	if err != nil {
		t.Fatal(err)
	}
	h := fact.Parse(list[0].Snapshot)
	own, _ := check.OwnRules(h, change.Policy{})
	for name, broken := range map[string]func(string) string{
		"no rule for SSH": func(s string) string {
			return strings.ReplaceAll(s, `tcp dport { 22, 2222 } accept comment "sshd"`, "")
		},
		"one of its ports": func(s string) string {
			return strings.ReplaceAll(s, `tcp dport { 22, 2222 } accept`, "tcp dport 22 accept")
		},
		"one family": func(s string) string {
			return strings.ReplaceAll(s, `tcp dport { 22, 2222 } accept`, "ip saddr 0.0.0.0/0 tcp dport { 22, 2222 } accept")
		},
		"one card": func(s string) string {
			return strings.ReplaceAll(s, `tcp dport { 22, 2222 } accept`, `iifname "eth7" tcp dport { 22, 2222 } accept`)
		},
		"refused before": func(s string) string {
			return strings.ReplaceAll(s, "\t\tct state established", "\t\ttcp dport 22 drop\n\t\tct state established")
		},
		"a condition that is not known": func(s string) string {
			return strings.ReplaceAll(s, `tcp dport { 22, 2222 } accept`, "meta cgroup 7 tcp dport { 22, 2222 } accept")
		},
		"what cannot be read": func(s string) string { return s + "add rule inet picket input tcp dport 22 drop\n" },
	} {
		d := change.On(list[0].Snapshot, nil, change.Policy{})
		if err := d.Write("/etc/picket/firewall.nft", 0o644, broken(own.Text())); err != nil {
			t.Fatal(err)
		}
		if refused, holds := sshAllowedFirst(h, d, Options{}); refused == "" {
			t.Errorf("%s: taken to be right: %s", name, holds)
		}
	}
	if refused, _ := sshAllowedFirst(&fact.Host{Snap: list[0].Snapshot}, change.On(list[0].Snapshot, nil, change.Policy{}), Options{}); refused == "" {
		t.Error("what is not known is taken to be right")
	}
	for _, p := range []change.Port{{Number: 0, Protocol: "tcp"}, {Number: 70000, Protocol: "udp"}, {Number: 80, Protocol: "sctp"}, {Number: 80, Protocol: "tcp", From: "home"}, {Number: 80, Protocol: "tcp", From: "10.0.0.0/8; drop"}} {
		if _, why := check.OwnRules(h, change.Policy{Ports: []change.Port{p}}); why == "" {
			t.Errorf("%+v is taken for a port", p)
		}
	}
}

// TestOwnRulesThatStand are loaded again as they are, and not where they would shut what is reached now.
func TestOwnRulesThatStand(t *testing.T) {
	controls, problems := control.Load(catalogue.Controls(), kind.All())
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	controls = slices.DeleteFunc(controls, func(c control.Control) bool { return c.ID != "firewall/default-deny" })
	for _, tc := range []struct {
		name  string
		file  func(string) string
		edits string
		left  string
	}{
		{"as they were written", func(s string) string { return s }, "/etc/systemd/system/picket-firewall.service", ""},
		{"with a line of somebody's", func(s string) string { return s + "# ours\n" }, "/etc/systemd/system/picket-firewall.service", ""},
		{"they shut what is reached", func(s string) string { return strings.ReplaceAll(s, "tcp dport 80 accept", "tcp dport 81 accept") }, "", "80/tcp lighttpd"},
		{"they refuse nothing", func(s string) string { return strings.ReplaceAll(s, "policy drop", "policy accept") }, "/etc/picket/firewall.nft /etc/systemd/system/picket-firewall.service", ""},
		{"nothing counts", func(s string) string { return strings.ReplaceAll(s, "limit rate", "# limit rate") }, "/etc/picket/firewall.nft /etc/systemd/system/picket-firewall.service", ""},
	} {
		list, err := cases.Parse([]byte(leader))
		if err != nil {
			t.Fatal(err)
		}
		s := list[0].Snapshot
		own, _ := check.OwnRules(fact.Parse(s), change.Policy{})
		list, err = cases.Parse([]byte(leader + "-- /etc/picket/firewall.nft --\n" + tc.file(own.Text())))
		if err != nil {
			t.Fatal(err)
		}
		s = list[0].Snapshot
		made := Make(controls, s, audit.Evaluate(controls, s, audit.Options{Now: s.Taken}), Options{})
		var edits []string
		for _, e := range made.Items[0].Edits {
			if e.After.Type == snap.File {
				edits = append(edits, e.Path)
			}
		}
		if got := strings.Join(edits, " "); got != tc.edits || !strings.Contains(made.Items[0].Left, tc.left) || (made.Items[0].Left == "") != (tc.left == "") {
			t.Errorf("%s: %q are written, left: %q", tc.name, got, made.Items[0].Left)
		}
	}
}
