package ruleset_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// pick one at random.
func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// nftRules makes a ruleset of nft's language.
func nftRules(r *rand.Rand) string {
	var b strings.Builder
	table := func(family string, n int) {
		fmt.Fprintf(&b, "table %s t%d {\n", family, n)
		b.WriteString(" set few { type inet_service; elements = { 22, 8080 } }\n")
		b.WriteString(" set many { type inet_service; flags interval; elements = { 20-100, 1800-1900 } }\n")
		if family != "ip6" {
			b.WriteString(" set who { type ipv4_addr; flags interval; elements = { 10.7.0.0/30, 10.8.0.9, 198.51.0.0/16 } }\n")
			b.WriteString(" set both { type ipv4_addr . inet_service; flags interval; elements = { 10.7.0.2 . 80, 10.8.0.0/24 . 22-443 } }\n")
		}
		b.WriteString(" map then { type inet_service : verdict; elements = { 22 : accept, 80 : drop, 443 : jump u1 } }\n")
		if family != "inet" {
			b.WriteString(" map lead { type inet_service : inet_service; elements = { 443 : 80, 8080 : 5432 } }\n")
		}
		for _, name := range []string{"u2", "u1"} {
			fmt.Fprintf(&b, " chain %s {\n", name)
			rules(r, &b, family, "", name == "u1", 4)
			b.WriteString(" }\n")
		}
		if r.IntN(3) > 0 {
			base(r, &b, family, "input", "filter", pick(r, -10, 0, 10), pick(r, "accept", "drop", "drop"), 8)
		}
		if r.IntN(3) == 0 {
			base(r, &b, family, "input", "filter", 20, "accept", 3)
		}
		if r.IntN(2) == 0 {
			base(r, &b, family, "forward", "filter", 0, pick(r, "accept", "drop"), 5)
		}
		if r.IntN(3) == 0 {
			base(r, &b, family, "prerouting", "filter", pick(r, -300, -150, 10), "accept", 4)
		}
		if r.IntN(4) == 0 {
			base(r, &b, family, "output", pick(r, "filter", "route"), pick(r, -300, -150, 0), "accept", 3)
		}
		if r.IntN(5) == 0 {
			base(r, &b, family, "postrouting", "filter", pick(r, -150, 0, 150), "accept", 2)
		}
		if r.IntN(2) == 0 {
			fmt.Fprintf(&b, " chain nat%d { type nat hook prerouting priority %d\n", n, -110+10*n)
			for range 3 {
				fmt.Fprintf(&b, "  %s %s\n", strings.Join(conditions(r, family, "prerouting", r.IntN(3)), " "), nftNAT(r, family))
			}
			b.WriteString(" }\n")
		}
		if r.IntN(4) == 0 {
			fmt.Fprintf(&b, " chain natout { type nat hook output priority %d\n", -110+10*n)
			fmt.Fprintf(&b, "  %s %s\n }\n", strings.Join(conditions(r, family, "output", 1), " "), nftNAT(r, family))
		}
		if r.IntN(3) == 0 {
			fmt.Fprintf(&b, " chain natpost { type nat hook postrouting priority 100\n  oifname \"docker0\" masquerade\n }\n")
		}
		b.WriteString("}\n")
	}
	table(pick(r, "inet", "inet", "ip", "ip6"), 1)
	if r.IntN(2) == 0 {
		table(pick(r, "inet", "ip", "ip6"), 2)
	}
	return b.String()
}

func nftNAT(r *rand.Rand, family string) string {
	four := []string{"dnat to 10.9.0.2:80", "dnat to 10.9.0.2", "redirect to :80", "redirect", "dnat to 10.8.0.1:22", "accept", "return",
		"meta l4proto tcp dnat to 10.9.0.2 : tcp dport map @lead", "dnat to tcp dport map { 443 : 10.9.0.2, 22 : 10.7.0.1 }"}
	six := []string{"dnat to [fd00:9::2]:80", "dnat to fd00:9::2", "redirect to :80", "accept"}
	proto := "meta l4proto { tcp, udp } "
	switch family {
	case "ip":
		return proto + pick(r, four...)
	case "ip6":
		return proto + pick(r, six...)
	}
	return proto + pick(r, "dnat ip to 10.9.0.2:80", "dnat ip6 to [fd00:9::2]:5432", "redirect to :443", "accept",
		"dnat ip to tcp dport map { 8080 : 10.9.0.2 . 80, 443 : 10.9.0.2 . 5432 }")
}

func base(r *rand.Rand, b *strings.Builder, family, hook, kind string, prio int, policy string, n int) {
	fmt.Fprintf(b, " chain %s%d%s { type %s hook %s priority %d; policy %s;\n", hook, prio+1000, kind, kind, hook, prio, policy)
	if hook == "input" || hook == "forward" {
		if r.IntN(4) > 0 {
			b.WriteString(pick(r, "  ct state established,related accept\n", "  ct state vmap { established : accept, related : accept, invalid : drop }\n"))
		}
		if family != "ip" {
			b.WriteString("  icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept\n")
		}
	}
	if hook != "input" && hook != "forward" && r.IntN(3) == 0 && kind == "filter" && prio == -300 {
		fmt.Fprintf(b, "  tcp dport %d notrack\n", pick(r, kernelPorts...))
	}
	rules(r, b, family, hook, true, n)
	b.WriteString(" }\n")
}

func rules(r *rand.Rand, b *strings.Builder, family, hook string, jumps bool, n int) {
	for range 1 + r.IntN(n) {
		cs := conditions(r, family, hook, 1+r.IntN(3))
		verdicts := []string{"accept", "accept", "drop", "drop", "reject", "return", "counter", "meta mark set 0x10", "meta mark set meta mark | 0x3", "ct mark set 0x5"}
		if hook == "" || hook == "prerouting" || hook == "output" || hook == "postrouting" {
			verdicts = []string{"accept", "drop", "return", "meta mark set 0x10", "ct mark set meta mark", "meta mark set ct mark", "counter"}
		}
		if jumps && hook != "" {
			verdicts = append(verdicts, "jump u1", "goto u1", "jump u2")
		}
		if jumps && hook == "" {
			verdicts = append(verdicts, "jump u2", "goto u2")
		}
		v := pick(r, verdicts...)
		if r.IntN(12) == 0 && hook != "" {
			v = "tcp dport vmap @then"
		}
		if r.IntN(14) == 0 {
			v = "tcp dport vmap { 22 : drop, 80 : accept, 1883 : return }"
		}
		fmt.Fprintf(b, "  %s %s\n", strings.Join(cs, " "), v)
	}
}

func conditions(r *rand.Rand, family, hook string, n int) []string {
	out := []string{}
	not := func() string { return pick(r, "", "", "", "!= ") }
	for range n {
		var c string
		switch k := r.IntN(20); {
		case k < 5:
			c = fmt.Sprintf("%s dport %s%s", pick(r, "tcp", "tcp", "udp"), not(), pick(r, "22", "80", "443", "{ 80, 443 }", "1000-9000", "{ 20-80, 1883 }", "@few", "@many"))
		case k == 5:
			c = fmt.Sprintf("tcp dport %s %d", pick(r, "<", ">", "<=", ">="), pick(r, kernelPorts...))
		case k < 9 && family != "ip6":
			c = fmt.Sprintf("ip saddr %s%s", not(), pick(r, "10.7.0.2", "10.7.0.0/24", "{ 10.7.0.3, 10.8.0.0/24 }", "10.7.0.2-10.7.0.50", "198.51.100.0/24", "10.0.0.0/8", "@who", "127.0.0.0/8"))
		case k < 9:
			c = fmt.Sprintf("ip6 saddr %s%s", not(), pick(r, "fd00:7::2", "fd00:7::/64", "{ fd00:8::2, 2001:db8::/32 }", "fd00::/8"))
		case k == 9 && family != "ip6":
			c = fmt.Sprintf("ip daddr %s%s", not(), pick(r, "10.7.0.1", "10.9.0.0/24", "{ 10.8.0.1, 127.0.0.1 }"))
		case k == 10 && hook != "output" && hook != "postrouting":
			c = fmt.Sprintf("iifname %s%s", not(), pick(r, `"lo"`, `"eth0"`, `"eth*"`, `{ "eth1", "docker0" }`))
		case k == 11:
			c = "ct state " + pick(r, "new", "new", "established", "invalid", "{ new, untracked }", "new,invalid")
		case k == 12:
			c = "meta mark " + pick(r, "0x0", "0x10", "& 0x3 == 0x3", "!= 0x0")
		case k == 13:
			c = "meta l4proto " + not() + pick(r, "tcp", "udp", "{ tcp, udp }")
		case k == 14:
			c = "tcp sport " + pick(r, "1-1023", "!= 1-1023", "10000-12000")
		case k == 15 && family != "ip6":
			c = fmt.Sprintf("ip saddr . tcp dport %s%s", not(), pick(r, "@both", "{ 10.7.0.2 . 22, 10.7.0.3 . 80 }"))
		case k == 16:
			c = pick(r, "tcp flags & (fin|syn|rst|ack) == syn", "tcp flags syn", "tcp flags & (syn|ack) != syn", "tcp flags { syn, syn|ack }", "tcp flags ack")
		case k == 17:
			c = pick(r, "fib daddr type local", "fib daddr type != local", "ct status dnat", "ct direction original", "ct direction reply", "ct mark 0x5", "ct mark 0x0")
			if hook == "output" && strings.HasPrefix(c, "fib") {
				c = ""
			}
		case k == 18 && family == "inet":
			c = pick(r, "meta nfproto ipv4", "meta nfproto ipv6", "meta protocol ip")
		case k == 19 && hook == "input":
			c = pick(r, "fib saddr . iif oif missing", "fib daddr . iif type local", "iifname . tcp dport { \"eth0\" . 22, \"eth1\" . 80 }", "ct original proto-dst 80")
			if strings.HasPrefix(c, "ct original") {
				c = ""
			}
		}
		if c != "" {
			out = append(out, c)
		}
	}
	return out
}

// iptablesRules makes what iptables-restore reads.
func iptablesRules(r *rand.Rand, family string) string {
	var b strings.Builder
	four := family == "ip"
	box := map[bool]string{true: "10.9.0.2", false: "[fd00:9::2]"}[four]
	addr := func() string {
		if four {
			return pick(r, "10.7.0.2", "10.7.0.0/24", "10.8.0.0/24", "198.51.100.7", "10.0.0.0/8", "127.0.0.0/8")
		}
		return pick(r, "fd00:7::2", "fd00:7::/64", "fd00:8::/64", "2001:db8::/32", "::1")
	}
	not := func() string { return pick(r, "", "", "", "! ") }
	conds := func(hook string) string {
		var out []string
		proto := pick(r, "tcp", "tcp", "tcp", "udp")
		for range 1 + r.IntN(3) {
			switch r.IntN(12) {
			case 0, 1, 2:
				out = append(out, fmt.Sprintf("-p %s -m %s %s--dport %s", proto, proto, not(), pick(r, "22", "80", "443", "1000:9000", "1883")))
				return strings.Join(out, " ")
			case 3:
				out = append(out, fmt.Sprintf("-p %s -m multiport %s--dports %s", proto, not(), pick(r, "22,80", "443,1000:9000", "20:100")))
				return strings.Join(out, " ")
			case 4, 5:
				if !strings.Contains(strings.Join(out, " "), "-s ") {
					out = append(out, not()+"-s "+addr())
				}
			case 6:
				if hook == "INPUT" || hook == "FORWARD" || hook == "PREROUTING" {
					if !strings.Contains(strings.Join(out, " "), "-i ") {
						out = append(out, not()+"-i "+pick(r, "lo", "eth0", "eth+", "docker0"))
					}
				}
			case 7:
				out = append(out, "-m conntrack --ctstate "+pick(r, "NEW", "NEW,ESTABLISHED", "INVALID", "ESTABLISHED"))
			case 8:
				if strings.Contains(strings.Join(out, " "), "mark") {
					break // may be said once
				}
				out = append(out, pick(r, "-m mark --mark 0x10", "-m mark ! --mark 0x0", "-m connmark --mark 0x7", "-m mark --mark 0x3/0x3"))
			case 9:
				if four {
					out = append(out, pick(r, "-m addrtype --dst-type LOCAL", "-m addrtype ! --dst-type LOCAL", "-m iprange --src-range 10.7.0.2-10.7.0.9", "-m conntrack --ctstate DNAT"))
				}
			case 10:
				out = append(out, "-p tcp -m tcp "+pick(r, "--tcp-flags FIN,SYN,RST,ACK SYN", "! --tcp-flags FIN,SYN,RST,ACK SYN", "--sport 1:1023", "--sport 10000:"))
				return strings.Join(out, " ")
			case 11:
				out = append(out, pick(r, "-m conntrack --ctdir ORIGINAL", "-m conntrack --ctorigdstport 80", "-m comment --comment \"two words\""))
			}
		}
		return strings.Join(out, " ")
	}
	list := func(chain, hook string, n int, verdicts ...string) {
		for range 1 + r.IntN(n) {
			fmt.Fprintf(&b, "-A %s %s %s\n", chain, conds(hook), pick(r, verdicts...))
		}
	}
	b.WriteString("*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n")
	if r.IntN(5) == 0 {
		list("PREROUTING", "RAW", 2, "-j DROP", "-j ACCEPT", "-j CT --notrack")
	}
	b.WriteString("COMMIT\n*mangle\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n")
	if r.IntN(2) == 0 {
		list("PREROUTING", "PREROUTING", 4, "-j MARK --set-xmark 0x10/0xffffffff", "-j MARK --set-xmark 0x3/0x3", "-j CONNMARK --set-xmark 0x7/0xffffffff",
			"-j CONNMARK --restore-mark", "-j CONNMARK --save-mark", "-j RETURN", "-j DROP")
	}
	b.WriteString("COMMIT\n*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n")
	if r.IntN(2) == 0 {
		if four {
			b.WriteString("-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER\n")
		} else {
			b.WriteString("-A PREROUTING -j DOCKER\n")
		}
		for range 1 + r.IntN(2) {
			p := pick(r, "tcp", "udp")
			fmt.Fprintf(&b, "-A DOCKER ! -i docker0 -p %s -m %s --dport %d -j %s\n", p, p, pick(r, kernelPorts...),
				pick(r, "DNAT --to-destination "+box+":80", "DNAT --to-destination "+box+":5432", "REDIRECT --to-ports 22", "RETURN"))
		}
		if r.IntN(2) == 0 {
			b.WriteString("-A POSTROUTING -o docker0 -j MASQUERADE\n")
		}
	}
	b.WriteString("COMMIT\n*filter\n")
	fmt.Fprintf(&b, ":INPUT %s [0:0]\n:FORWARD %s [0:0]\n:OUTPUT ACCEPT [0:0]\n:DOCKER-USER - [0:0]\n:mine - [0:0]\n", pick(r, "DROP", "DROP", "ACCEPT"), pick(r, "ACCEPT", "DROP"))
	if !four {
		b.WriteString("-A INPUT -p ipv6-icmp -j ACCEPT\n-A FORWARD -p ipv6-icmp -j ACCEPT\n")
	}
	if r.IntN(4) > 0 {
		b.WriteString("-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n")
	}
	b.WriteString("-A FORWARD -j DOCKER-USER\n")
	end := []string{"-j ACCEPT", "-j ACCEPT", "-j DROP", "-j REJECT", "-j RETURN"}
	list("DOCKER-USER", "FORWARD", 3, end...)
	list("mine", "", 3, end...)
	list("INPUT", "INPUT", 6, append(end, "-j mine", "-g mine", "-m limit --limit 3/min -j LOG")...)
	list("FORWARD", "FORWARD", 3, end...)
	if r.IntN(5) == 0 {
		list("OUTPUT", "OUTPUT", 2, end...)
	}
	b.WriteString("COMMIT\n")
	return b.String()
}
