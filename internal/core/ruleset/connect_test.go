package ruleset

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"picket/lab/leftout"
)

// small is a host with one network, a container and a tailnet.
var small = &Host{
	Addrs: []CardAddr{
		{Card: "eth0", Addr: netip.MustParsePrefix("192.168.1.10/24")}, {Card: "eth0", Addr: netip.MustParsePrefix("fd00::10/64")},
		{Card: "docker0", Addr: netip.MustParsePrefix("172.17.0.1/16")},
	},
	Routes: []Route{
		{To: netip.MustParsePrefix("192.168.1.0/24"), Card: "eth0"}, {To: netip.MustParsePrefix("172.17.0.0/16"), Card: "docker0"},
		{To: netip.MustParsePrefix("0.0.0.0/0"), Card: "eth0"}, {To: netip.MustParsePrefix("fd00::/64"), Card: "eth0"},
	},
	Forwards4: true,
}

func flow(src, dst string) Flow {
	f := Flow{Card: "eth0", TCP: true, Src: netip.MustParseAddrPort(src), Dst: netip.MustParseAddrPort(dst)}
	if f.Src.Addr().IsLoopback() {
		f.Card = ""
	}
	return f
}

// say puts an answer in words.
func say(r Reach) string {
	s := map[Verdict]string{Unsure: "unsure", Arrives: "arrives", Refused: "refused"}[r.Verdict]
	if r.Verdict == Arrives && r.Forwarded {
		s += " at " + r.To.String()
	}
	if r.Answer {
		s += ", the answer"
	}
	if r.Limited {
		s += ", limited"
	}
	if by := r.Doubt(); by != "" {
		s += " by " + by
	} else if r.Chain.Name != "" {
		s += " by the policy of " + r.Chain.Name
	}
	return s
}

const ufwWithDocker = `*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:8080
COMMIT
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
:ufw-user-input - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -j ufw-user-input
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 8080 -j ACCEPT
-A DOCKER-USER -j RETURN
-A ufw-user-input -s 192.168.1.77/32 -p tcp -m tcp --sport 30 -j DROP
-A ufw-user-input -p tcp -m tcp --dport 22 -j ACCEPT
-A ufw-user-input -p tcp -m tcp --dport 30 -j ACCEPT
-A ufw-user-input -p tcp -m tcp --dport 23 -m conntrack --ctstate NEW -m recent --set --name DEFAULT --mask 255.255.255.255 --rsource
-A ufw-user-input -p tcp -m tcp --dport 23 -m conntrack --ctstate NEW -m recent --update --seconds 30 --hitcount 6 --name DEFAULT --mask 255.255.255.255 --rsource -j DROP
-A ufw-user-input -p tcp -m tcp --dport 23 -j ACCEPT
-A ufw-user-input -p tcp -m tcp --dport 26 -m conntrack --ctstate NEW -m recent --update --seconds 30 --hitcount 6 --name DEFAULT --mask 255.255.255.255 --rsource -j ufw-user-limit
-A ufw-user-input -p tcp -m tcp --dport 26 -j ACCEPT
-A ufw-user-limit -m limit --limit 3/min -j LOG
-A ufw-user-limit -j REJECT --reject-with icmp-port-unreachable
-A ufw-user-input -p tcp -m tcp --dport 24 -m set --match-set friends src -j ACCEPT
COMMIT
`

func TestConnect(t *testing.T) {
	for _, tt := range []struct{ src, dst, want string }{
		{"192.168.1.20:5000", "192.168.1.10:22", "arrives by -A ufw-user-input -p tcp -m tcp --dport 22 -j ACCEPT"},
		{"192.168.1.20:5000", "192.168.1.10:25", "refused by the policy of INPUT"},
		// T4: the container is reached although ufw allows 22 only.
		{"8.8.8.8:5000", "192.168.1.10:80", "arrives at 172.17.0.2:8080 by -A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 8080 -j ACCEPT"},
		// T3: `ufw deny from 192.168.1.77 port 30` is about the sender's port.
		{"192.168.1.77:5000", "192.168.1.10:30", "arrives by -A ufw-user-input -p tcp -m tcp --dport 30 -j ACCEPT"},
		{"192.168.1.77:30", "192.168.1.10:30", "refused by -A ufw-user-input -s 192.168.1.77/32 -p tcp -m tcp --sport 30 -j DROP"},
		{"192.168.1.20:5000", "192.168.1.10:23", "unsure, limited by -A ufw-user-input -p tcp -m tcp --dport 23 -m conntrack --ctstate NEW -m recent --update --seconds 30 --hitcount 6 --name DEFAULT --mask 255.255.255.255 --rsource -j DROP"},
		{"192.168.1.20:5000", "192.168.1.10:26", "unsure, limited by -A ufw-user-input -p tcp -m tcp --dport 26 -m conntrack --ctstate NEW -m recent --update --seconds 30 --hitcount 6 --name DEFAULT --mask 255.255.255.255 --rsource -j ufw-user-limit"},
		{"192.168.1.20:5000", "192.168.1.10:24", "unsure by -A ufw-user-input -p tcp -m tcp --dport 24 -m set --match-set friends src -j ACCEPT"},
		{"127.0.0.1:5000", "127.0.0.1:5432", "arrives by -A INPUT -i lo -j ACCEPT"},
		{"192.168.1.20:5000", "10.1.1.1:80", "refused by the policy of FORWARD"},
		{"192.168.1.20:5000", "127.0.0.1:80", "refused by an address of the host itself does not come in by a network card"},
	} {
		f := Filter{Chains: ParseIptables(ufwWithDocker, Place{Command: "iptables-save"}, "ip")}
		if got := say(f.Connect(small, flow(tt.src, tt.dst))); got != tt.want {
			t.Errorf("%s to %s: %s\nwant %s", tt.src, tt.dst, got, tt.want)
		}
	}
}

// nftBase makes a base chain as nft shows it.
func nftBase(family, table, kind, hook string, prio int, policy string, rules ...string) string {
	s := fmt.Sprintf(`{"chain": {"family": %q, "table": %q, "name": %q, "type": %q, "hook": %q, "prio": %d, "policy": %q}}`,
		family, table, hook, kind, hook, prio, policy)
	for _, r := range rules {
		s += fmt.Sprintf(`,{"rule": {"family": %q, "table": %q, "chain": %q, "expr": [%s]}}`, family, table, hook, r)
	}
	return s
}

func port22(then string) string {
	return `{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 22}}, ` + then
}

// What the kernel could not be asked about, or does not tell.
func TestConnectDoubt(t *testing.T) {
	dnat := func(to string) string { return port22(`{"dnat": {"addr": "` + to + `", "port": 22}}`) }
	for name, tt := range map[string]struct{ items, want string }{
		"an expression that is not known": {nftBase("inet", "t", "filter", "input", 0, "drop", `{"osf": {}}, {"accept": null}`), "unsure by opaque osf accept"},
		"a card that nft does not name":   {nftBase("netdev", "t", "filter", "ingress", 0, "accept", port22(`{"drop": null}`)), "unsure by by which card packets pass through the chain netdev t ingress, which nft does not say"},
		"two translations at once": {nftBase("ip", "a", "nat", "prerouting", -100, "accept", dnat("172.17.0.2")) + "," + nftBase("ip", "b", "nat", "prerouting", -100, "accept", dnat("172.17.0.3")),
			"unsure by proto tcp dport 22 dnat 172.17.0.3:22"},
		"one after the other": {nftBase("ip", "a", "nat", "prerouting", -90, "accept", dnat("172.17.0.2")) + "," + nftBase("ip", "b", "nat", "prerouting", -100, "accept", dnat("172.17.0.3")),
			"arrives at 172.17.0.3:22"},
		"one of several addresses":  {nftBase("ip", "a", "nat", "prerouting", -100, "accept", port22(`{"dnat": {"addr": {"range": ["172.17.0.2", "172.17.0.9"]}}}`)), "unsure by proto tcp dport 22 dnat 172.17.0.2-172.17.0.9"},
		"the answer is refused":     {nftBase("inet", "t", "filter", "output", 0, "drop"), "refused, the answer by the policy of output"},
		"the packet is changed":     {nftBase("ip", "t", "filter", "prerouting", -150, "accept", `{"mangle": {"key": {"payload": {"protocol": "ip", "field": "daddr"}}, "value": "10.0.0.1"}}`), "unsure by other sets daddr"},
		"a chain that is not there": {nftBase("inet", "t", "filter", "input", 0, "accept", `{"jump": {"target": "gone"}}`), "unsure by jump gone"},
		"not tracked and translated": {nftBase("ip", "t", "filter", "prerouting", -300, "accept", port22(`{"notrack": null}`)) + "," + nftBase("ip", "t", "nat", "output", -100, "accept", dnat("172.17.0.2")),
			"unsure by what becomes of later packets of a connection that is not tracked, where others are translated"},
		"refused whatever the rest": {nftBase("inet", "t", "filter", "input", 0, "accept", `{"osf": {}}, {"accept": null}`) + "," + nftBase("inet", "u", "filter", "input", 5, "drop"), "refused by the policy of input"},
	} {
		chains, err := ParseNFT([]byte(`{"nftables": [`+tt.items+`]}`), Place{})
		if err != nil {
			t.Fatal(err)
		}
		if got := say(Filter{Chains: chains}.Connect(small, flow("192.168.1.20:5000", "192.168.1.10:22"))); got != tt.want {
			t.Errorf("%s: %s\nwant %s", name, got, tt.want)
		}
	}
}

// many is a filter of n rules that name one address and port each.
func many(n int) Filter {
	var b strings.Builder
	b.WriteString("*filter\n:INPUT DROP [0:0]\n")
	for i := range n {
		fmt.Fprintf(&b, "-A INPUT -s 10.%d.%d.1/32 -p tcp -m tcp --dport %d -j ACCEPT\n", i/250, i%250, 1000+i%100)
	}
	b.WriteString("COMMIT\n")
	f := Filter{Chains: ParseIptables(b.String(), Place{}, "ip")}
	f.Prepare()
	return f
}

// Whatever a host sends, following flows ends.
func TestConnectEffort(t *testing.T) {
	leftout.OfRace(t)
	f := many(MaxRules)
	for i := range 3000 {
		r := f.Connect(small, flow("192.168.1.20:5000", fmt.Sprintf("192.168.1.10:%d", 1+i)))
		if cut := f.made.left <= 0; cut != (r.Verdict == Unsure) {
			t.Fatalf("flow %d: cut off: %v, and %s", i, cut, say(r))
		}
	}
	if f.made.left > 0 {
		t.Error("the bound was not reached")
	}
}

// BenchmarkConnect is 1,000 flows through 2,000 rules, none of which matches.
func BenchmarkConnect(b *testing.B) {
	f := many(2000)
	for b.Loop() {
		f.made.left = maxEffort
		for i := range 1000 {
			f.Connect(small, flow("192.168.1.20:5000", fmt.Sprintf("192.168.1.10:%d", 1000+i)))
		}
	}
}

func FuzzConnect(f *testing.F) {
	f.Add(ufwWithDocker, `{"nftables": [`+nftBase("inet", "t", "filter", "input", 0, "drop", port22(`{"accept": null}`))+`]}`)
	f.Add("*nat\n-A PREROUTING -j DNAT --to-destination [fe80::1]:99999\n*mangle\n-A INPUT -j MARK --set-xmark 1/2\n", `{"nftables": [{"chain": {"family": "ip", "table": "t", "name": "c", "hook": "input", "type": "nat"}}, {"rule": {"family": "ip", "table": "t", "chain": "c", "expr": [{"goto": {"target": "c"}}]}}]}`)
	f.Fuzz(func(t *testing.T, saved, json string) {
		chains, _ := ParseNFT([]byte(json), Place{})
		x := Filter{Chains: append(chains, ParseIptables(saved, Place{}, "ip")...)}
		x.Prepare()
		for _, dst := range []string{"192.168.1.10:22", "172.17.0.2:80", "[fd00::10]:22"} {
			src := "192.168.1.20:5000"
			if dst[0] == '[' {
				src = "[fd00::20]:5000"
			}
			fl := flow(src, dst)
			x.Connect(small, fl)
			fl.Card, fl.TCP = "", false
			x.Connect(small, fl)
		}
	})
}
