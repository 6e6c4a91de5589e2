package ruleset

import (
	"slices"
	"strings"
)

// hooks of iptables' built-in chains.
var iptablesHooks = map[string]string{
	"INPUT": "input", "FORWARD": "forward", "OUTPUT": "output", "PREROUTING": "prerouting", "POSTROUTING": "postrouting",
}

// Services are names that people write for ports; the programs take those of
// /etc/services.
var Services = map[string]string{
	"ssh": "22", "domain": "53", "http": "80", "https": "443", "ntp": "123", "mdns": "5353", "mqtt": "1883",
	"smtp": "25", "bootps": "67", "bootpc": "68", "ftp": "21", "telnet": "23",
}

// Priorities of iptables' tables at each hook; nat is later where packets leave.
var iptablesPriority = map[string]int{"raw": -300, "mangle": -150, "nat": -100, "filter": 0, "security": 50}

// ParseIptables reads the form of iptables-save. Counters are ignored. The
// files of ufw and of netfilter-persistent have the same form. A place without
// a command gets the number of the line.
func ParseIptables(data string, at Place, family string) []Chain {
	var chains []Chain
	index := map[string]int{}
	table := ""
	chain := func(name string, at Place) int {
		i, ok := index[table+" "+name]
		if !ok {
			i = len(chains)
			index[table+" "+name] = i
			c := Chain{Family: family, Table: table, Name: name, Place: at}
			if hook := iptablesHooks[name]; hook != "" {
				c.Hook, c.Type, c.Policy = hook, "filter", "accept"
				c.Priority = iptablesPriority[table]
				if table == "nat" {
					c.Type = "nat"
					if hook == "postrouting" || hook == "input" {
						c.Priority = 100
					}
				}
			}
			chains = append(chains, c)
		}
		return i
	}
	rules := 0
	number := 0
	for raw := range strings.SplitSeq(strings.ToValidUTF8(data, "\uFFFD"), "\n") {
		if number++; at.Command == "" {
			at.Line = number
		}
		text := strings.TrimSpace(raw)
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
			i := chain(f[0], at)
			if len(f) > 1 && f[1] != "-" {
				chains[i].Policy = strings.ToLower(f[1])
			}
		case strings.HasPrefix(text, "-A ") || strings.HasPrefix(text, "-I "):
			w := words(text)
			if len(w) < 2 {
				continue
			}
			i := chain(w[1], at)
			if rules++; rules > MaxRules { // what the others do is not known
				if !beginsOpen(chains[i]) {
					open := Rule{Verdict: "other", Target: "more rules than are read", Place: at}
					chains[i].Rules = append([]Rule{open}, chains[i].Rules...)
				}
				continue
			}
			r := iptablesRule(w[2:])
			r.Text, r.Place = text, at
			if w[0] == "-I" {
				chains[i].Rules = append([]Rule{r}, chains[i].Rules...)
			} else {
				chains[i].Rules = append(chains[i].Rules, r)
			}
		case strings.HasPrefix(text, "-P "):
			if w := strings.Fields(text); len(w) == 3 {
				chains[chain(w[1], at)].Policy = strings.ToLower(w[2])
			}
		}
	}
	return chains
}

// beginsOpen reports whether the rules of a chain begin with one that is not
// known.
func beginsOpen(c Chain) bool {
	return len(c.Rules) > 0 && c.Rules[0].Verdict == "other"
}

// Modules whose options are read below, or that only carry them.
var iptablesModules = map[string]bool{
	"tcp": true, "udp": true, "icmp": true, "icmp6": true, "ipv6-icmp": true, "conntrack": true, "state": true,
	"multiport": true, "comment": true, "limit": true, "hashlimit": true, "recent": true, "connlimit": true,
	"addrtype": true, "pkttype": true, "rt": true, "hl": true, "iprange": true, "mark": true, "connmark": true,
}

// Options that take a value: what they say, "-" for nothing that matters.
var iptablesOptions = map[string]string{
	"-s": "saddr", "--source": "saddr", "-d": "daddr", "--destination": "daddr",
	"--src-range": "saddr", "--dst-range": "daddr",
	"-i": "iif", "--in-interface": "iif", "-o": "oif", "--out-interface": "oif",
	"-p": "proto", "--protocol": "proto",
	"--dport": "dport", "--dports": "dport", "--destination-port": "dport", "--destination-ports": "dport",
	"--sport": "sport", "--sports": "sport", "--source-port": "sport", "--source-ports": "sport", "--ports": "port",
	"--ctstate": "state", "--state": "state", "--dst-type": "dst-type", "--src-type": "src-type",
	"--icmp-type": "icmp-type", "--icmpv6-type": "icmp-type", "--pkt-type": "pkttype",
	"--rt-type": "rt-type", "--hl-eq": "opaque", "--hl-lt": "opaque", "--hl-gt": "opaque",
	"--limit": "limit", "--hashlimit-upto": "limit", "--hashlimit-above": "limit", "--hashlimit": "limit",
	"--connlimit-above": "limit", "--connlimit-upto": "limit", "--hitcount": "limit",
	"--limit-burst": "-", "--hashlimit-burst": "-", "--hashlimit-mode": "-", "--hashlimit-name": "-",
	"--hashlimit-htable-expire": "-", "--hashlimit-htable-size": "-", "--hashlimit-htable-max": "-",
	"--hashlimit-htable-gcinterval": "-", "--hashlimit-srcmask": "-", "--connlimit-mask": "-",
	"--seconds": "-", "--name": "-", "--mask": "-", "--comment": "-", "--ctproto": "proto",
	"--ctorigdstport": "orig-dport", "--ctorigsrcport": "orig-sport", "--ctorigdst": "orig-daddr", "--ctorigsrc": "orig-saddr",
	"--ctdir": "ct-dir", "--ctstatus": "ct-status", "--mark": "mark",
	"--log-prefix": "-", "--log-level": "-", "--reject-with": "-", "--nflog-prefix": "-", "--nflog-group": "-",
	"--to-destination": "target", "--to-source": "target", "--to-ports": "target",
	"--set-mss": "-", "--zone": "opaque",
}

// Options without a value that change nothing here.
var iptablesFlags = map[string]bool{
	"--rsource": true, "--set": true, "--reap": true, "--rttl": true,
	"--connlimit-saddr": true, "--connlimit-daddr": true, "--random": true, "--random-fully": true, "--persistent": true,
	"--log-tcp-options": true, "--log-ip-options": true, "--log-uid": true, "--log-tcp-sequence": true, "--clamp-mss-to-pmtu": true,
}

func iptablesRule(w []string) Rule {
	var r Rule
	not := false
	add := func(key string, values ...string) {
		r.Matches = append(r.Matches, Match{Key: key, Not: not, Values: values})
	}
	value := func(i int) string {
		if i < len(w) {
			return w[i]
		}
		return ""
	}
	counts := slices.Contains(w, "--hitcount")
	module, jump := "", "" // of the options that follow
	for i := 0; i < len(w); i++ {
		switch opt := w[i]; {
		case opt == "!":
			not = true
			continue
		case opt == "-j" || opt == "--jump" || opt == "-g" || opt == "--goto":
			i++
			jump = value(i)
			r.Verdict, r.Target = iptablesVerdict(jump, opt)
			r.NoTrack = r.NoTrack || jump == "NOTRACK"
		case opt == "--notrack":
			r.NoTrack = true
		case opt == "-m" || opt == "--match":
			i++
			if module = value(i); !iptablesModules[module] {
				add("opaque", module)
			}
		case jump == "MARK" || jump == "CONNMARK":
			// What follows -j is what the target does.
			r.Marks = append(r.Marks, iptablesMark(jump == "CONNMARK", w[i:]))
			i = len(w)
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
				if r.Target = value(i); opt == "--to-ports" {
					r.Target = ":" + r.Target
				}
			case key == "state" || key == "dst-type" || key == "src-type" || key == "ct-status" || key == "ct-dir":
				i++
				add(key, strings.Split(strings.ToLower(value(i)), ",")...)
			case key == "dport" || key == "sport" || key == "port" || key == "orig-dport" || key == "orig-sport":
				i++
				ports := strings.Split(value(i), ",")
				for j, p := range ports { // a name, where somebody wrote the file by hand
					ports[j] = portRange(p)
				}
				add(key, ports...)
			case key == "mark" && module == "connmark":
				i++
				add("ct-mark", value(i))
			case key == "saddr" || key == "daddr" || key == "orig-saddr" || key == "orig-daddr":
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

// portRange reads 8000:8010, 8000: and names.
func portRange(v string) string {
	lo, hi, isRange := strings.Cut(v, ":")
	word := func(p, empty string) string {
		if p == "" {
			return empty
		}
		if n, ok := Services[p]; ok {
			return n
		}
		return p
	}
	if !isRange {
		return word(v, v)
	}
	return word(lo, "0") + "-" + word(hi, "65535")
}

// iptablesMark reads the options of MARK and CONNMARK, as iptables-save writes
// them.
func iptablesMark(conn bool, w []string) SetMark {
	const allBits = ^uint32(0)
	option := func(name string) (value, mask uint32, ok bool) {
		i := slices.Index(w, name)
		if i < 0 || i+1 >= len(w) {
			return allBits, allBits, i < 0
		}
		return parseMark(w[i+1])
	}
	set, mask, ok := option(w[0])
	from, _, ok1 := option("--nfmask")
	to, _, ok2 := option("--ctmask")
	whole := ok1 && ok2 && from == allBits && to == allBits
	switch {
	case w[0] == "--save-mark" && whole:
		return SetMark{Conn: true, From: "packet", And: allBits}
	case w[0] == "--restore-mark" && whole:
		return SetMark{From: "conn", And: allBits}
	case ok && w[0] == "--set-xmark":
		return SetMark{Conn: conn, From: whose(conn), And: ^mask, Xor: set}
	case ok && w[0] == "--set-mark":
		return SetMark{Conn: conn, From: whose(conn), And: ^(mask | set), Xor: set}
	}
	return SetMark{Conn: conn && w[0] != "--restore-mark", From: whose(conn), Unread: true}
}

func whose(conn bool) string {
	if conn {
		return "conn"
	}
	return "packet"
}

func iptablesVerdict(target, opt string) (verdict, chain string) {
	switch target {
	case "ACCEPT", "DROP", "REJECT", "RETURN":
		return strings.ToLower(target), ""
	case "DNAT", "REDIRECT", "SNAT", "MASQUERADE":
		return strings.ToLower(target), ""
	case "LOG", "NFLOG", "MARK", "CONNMARK", "CT", "TCPMSS", "NOTRACK", "SET", "TOS", "DSCP", "CHECKSUM", "ULOG":
		return "", ""
	case "QUEUE", "NFQUEUE", "TPROXY", "NETMAP", "SYNPROXY", "TEE":
		return "other", target
	}
	if strings.HasPrefix(opt, "-g") || opt == "--goto" {
		return "goto", target
	}
	return "jump", target
}

// words splits at blanks; double and single quotes group.
func words(s string) []string {
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
