package fact

import (
	"slices"
	"strings"
)

// hooks of iptables' built-in chains.
var iptablesHooks = map[string]string{
	"INPUT": "input", "FORWARD": "forward", "OUTPUT": "output", "PREROUTING": "prerouting", "POSTROUTING": "postrouting",
}

// parseIptables reads the form of iptables-save. Counters are ignored. The
// files of ufw and of netfilter-persistent have the same form.
func parseIptables(ls []line, family string) []FirewallChain {
	var chains []FirewallChain
	index := map[string]int{}
	table := ""
	chain := func(name string, at Place) int {
		i, ok := index[table+" "+name]
		if !ok {
			i = len(chains)
			index[table+" "+name] = i
			c := FirewallChain{Family: family, Table: table, Name: name, Place: at}
			if hook := iptablesHooks[name]; hook != "" {
				c.Hook, c.Type, c.Policy = hook, "filter", "accept"
				if table == "nat" {
					c.Type = "nat"
				}
			}
			chains = append(chains, c)
		}
		return i
	}
	rules := 0
	for _, l := range ls {
		text := strings.TrimSpace(l.text)
		if strings.HasPrefix(text, "[") { // counters of iptables-save -c
			if _, rest, ok := strings.Cut(text, "] "); ok {
				text = rest
			}
		}
		switch {
		case text == "" || text[0] == '#' || text == "COMMIT":
		case text[0] == '*':
			table = text[1:]
		case table == "":
		case text[0] == ':':
			f := strings.Fields(text[1:])
			if len(f) == 0 {
				continue
			}
			i := chain(f[0], l.at)
			if len(f) > 1 && f[1] != "-" {
				chains[i].Policy = strings.ToLower(f[1])
			}
		case strings.HasPrefix(text, "-A ") || strings.HasPrefix(text, "-I "):
			w := shellWords(text)
			if len(w) < 2 {
				continue
			}
			i := chain(w[1], l.at)
			if rules++; rules > maxRules { // what the others do is not known
				if !beginsOpen(chains[i]) {
					open := FirewallRule{Verdict: "other", Target: "more rules than are read", Place: l.at}
					chains[i].Rules = append([]FirewallRule{open}, chains[i].Rules...)
				}
				continue
			}
			r := iptablesRule(w[2:])
			r.Text, r.Place = text, l.at
			if w[0] == "-I" {
				chains[i].Rules = append([]FirewallRule{r}, chains[i].Rules...)
			} else {
				chains[i].Rules = append(chains[i].Rules, r)
			}
		case strings.HasPrefix(text, "-P "):
			if w := strings.Fields(text); len(w) == 3 {
				chains[chain(w[1], l.at)].Policy = strings.ToLower(w[2])
			}
		}
	}
	return chains
}

// beginsOpen reports whether the rules of a chain begin with one that is not
// known.
func beginsOpen(c FirewallChain) bool {
	return len(c.Rules) > 0 && c.Rules[0].Verdict == "other"
}

// Modules whose options are read below, or that only carry them.
var iptablesModules = map[string]bool{
	"tcp": true, "udp": true, "icmp": true, "icmp6": true, "ipv6-icmp": true, "conntrack": true, "state": true,
	"multiport": true, "comment": true, "limit": true, "hashlimit": true, "recent": true, "connlimit": true,
	"addrtype": true, "pkttype": true, "rt": true, "hl": true,
}

// Options that take a value: what they say, "-" for nothing that matters.
var iptablesOptions = map[string]string{
	"-s": "saddr", "--source": "saddr", "-d": "daddr", "--destination": "daddr",
	"-i": "iif", "--in-interface": "iif", "-o": "oif", "--out-interface": "oif",
	"-p": "proto", "--protocol": "proto",
	"--dport": "dport", "--dports": "dport", "--destination-port": "dport", "--destination-ports": "dport",
	"--sport": "sport", "--sports": "sport", "--source-port": "sport", "--source-ports": "sport", "--ports": "opaque",
	"--ctstate": "state", "--state": "state", "--dst-type": "dst-type", "--src-type": "opaque",
	"--icmp-type": "icmp-type", "--icmpv6-type": "icmp-type", "--pkt-type": "pkttype",
	"--rt-type": "rt-type", "--hl-eq": "opaque", "--hl-lt": "opaque", "--hl-gt": "opaque",
	"--limit": "limit", "--hashlimit-upto": "limit", "--hashlimit-above": "limit", "--hashlimit": "limit",
	"--connlimit-above": "limit", "--connlimit-upto": "limit", "--hitcount": "limit",
	"--limit-burst": "-", "--hashlimit-burst": "-", "--hashlimit-mode": "-", "--hashlimit-name": "-",
	"--hashlimit-htable-expire": "-", "--hashlimit-htable-size": "-", "--hashlimit-htable-max": "-",
	"--hashlimit-htable-gcinterval": "-", "--hashlimit-srcmask": "-", "--connlimit-mask": "-",
	"--seconds": "-", "--name": "-", "--mask": "-", "--comment": "-", "--ctproto": "-",
	"--ctorigdstport": "orig-dport", "--ctdir": "ct-dir",
	"--log-prefix": "-", "--log-level": "-", "--reject-with": "-", "--nflog-prefix": "-", "--nflog-group": "-",
	"--set-xmark": "-", "--set-mark": "-", "--to-destination": "target", "--to-ports": "target",
}

// Options without a value that change nothing here.
var iptablesFlags = map[string]bool{
	"--rsource": true, "--set": true, "--reap": true, "--rttl": true,
	"--connlimit-saddr": true, "--connlimit-daddr": true, "--random": true, "--persistent": true,
	"--log-tcp-options": true, "--log-ip-options": true, "--log-uid": true,
}

func iptablesRule(w []string) FirewallRule {
	var r FirewallRule
	not := false
	add := func(key string, values ...string) {
		r.Matches = append(r.Matches, FirewallMatch{Key: key, Not: not, Values: values})
	}
	value := func(i int) string {
		if i < len(w) {
			return w[i]
		}
		return ""
	}
	counts := slices.Contains(w, "--hitcount")
	for i := 0; i < len(w); i++ {
		switch opt := w[i]; {
		case opt == "!":
			not = true
			continue
		case opt == "-j" || opt == "--jump" || opt == "-g" || opt == "--goto":
			i++
			r.Verdict, r.Target = iptablesVerdict(value(i), opt)
			r.NoTrack = r.NoTrack || value(i) == "NOTRACK"
		case opt == "--notrack":
			r.NoTrack = true
		case opt == "-m" || opt == "--match":
			i++
			if !iptablesModules[value(i)] {
				add("opaque", value(i))
			}
		case opt == "--tcp-flags":
			// New connections carry SYN alone; what asks for other flags is for
			// broken packets.
			add("tcp-flags", value(i+1), value(i+2))
			i += 2
		case opt == "--syn":
			add("tcp-flags", "FIN,SYN,RST,ACK", "SYN")
		case (opt == "--update" || opt == "--rcheck") && !counts:
			add("recent", opt)
		case iptablesFlags[opt], opt == "--update", opt == "--rcheck":
		default:
			key, ok := iptablesOptions[opt]
			switch {
			case !ok:
				add("opaque", opt)
			case key == "-":
				i++
			case key == "target":
				i++
				r.Target = value(i)
			case key == "state" || key == "dst-type":
				i++
				add(key, strings.Split(strings.ToLower(value(i)), ",")...)
			case key == "dport" || key == "sport" || key == "orig-dport":
				i++
				ports := strings.Split(strings.ReplaceAll(value(i), ":", "-"), ",")
				for j, p := range ports { // a name, where somebody wrote the file by hand
					if n, ok := confServices[p]; ok {
						ports[j] = n
					}
				}
				add(key, ports...)
			case key == "saddr" || key == "daddr":
				i++
				add(key, strings.Split(value(i), ",")...)
			default:
				i++
				add(key, value(i))
			}
		}
		not = false
	}
	return r
}

func iptablesVerdict(target, opt string) (verdict, chain string) {
	switch target {
	case "ACCEPT", "DROP", "REJECT", "RETURN":
		return strings.ToLower(target), ""
	case "DNAT", "REDIRECT", "SNAT", "MASQUERADE":
		return strings.ToLower(target), ""
	case "LOG", "NFLOG", "MARK", "CONNMARK", "CT", "TCPMSS", "NOTRACK", "SET", "TOS", "DSCP", "CHECKSUM", "ULOG":
		return "", ""
	case "QUEUE", "NFQUEUE":
		return "other", target
	}
	if strings.HasPrefix(opt, "-g") || opt == "--goto" {
		return "goto", target
	}
	return "jump", target
}

// shellWords splits at blanks; double and single quotes group.
func shellWords(s string) []string {
	var out []string
	var b strings.Builder
	var quote rune
	begun, escaped := false, false
	for _, c := range s {
		switch {
		case escaped:
			b.WriteRune(c)
			escaped = false
		case c == '\\' && quote != '\'':
			escaped, begun = true, true
		case quote != 0:
			if c == quote {
				quote = 0
			} else {
				b.WriteRune(c)
			}
		case c == '"' || c == '\'':
			quote, begun = c, true
		case c == ' ' || c == '\t':
			if begun {
				out = append(out, b.String())
				b.Reset()
				begun = false
			}
		default:
			b.WriteRune(c)
			begun = true
		}
	}
	if begun {
		out = append(out, b.String())
	}
	return out
}
