package ruleset

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Own is a table of Picket's own, "inet picket": it lets in what is named, and refuses all else that comes in. What is
// passed on to others, such as to containers, and what the host sends is not its matter.
type Own struct {
	SSH     []int     // ports at which each sender may open so many connections and no more
	SSHFrom []string  // networks that they are open to; none: all
	Open    []Opening // in the order in which they are written
}

// An Opening lets packets in.
type Opening struct {
	Proto string // tcp, udp, or another protocol by its name or number
	Port  int    // of tcp and udp
	Card  string // by which they come in, a last * stands for more letters; "": any
	From  string // an address or network; "": all
	Why   string // who serves it, in a few words
}

// How many connections to sshd a sender may open: fifteen at once, then one every two seconds. Of IPv6 a sender is a /64,
// since one machine has as many addresses there as it likes.
const sshLimit = "limit rate over 30/minute burst 15 packets"

// String is port and protocol, as 80/tcp.
func (o Opening) String() string {
	if o.Port == 0 {
		return o.Proto
	}
	return strconv.Itoa(o.Port) + "/" + o.Proto
}

// Text is the table as a script of nft, which loads it in the place of the one before, whole or not at all. Nothing of
// others is touched.
func (o Own) Text() string {
	b := &strings.Builder{}
	line := func(format string, args ...any) { fmt.Fprintf(b, "\t\t"+format+"\n", args...) }
	b.WriteString("table inet picket {}\ndelete table inet picket\ntable inet picket {\n" +
		"\t# who has opened connections to sshd of late\n" +
		"\tset ssh4 { type ipv4_addr; size 65535; flags dynamic,timeout; timeout 1m; }\n" +
		"\tset ssh6 { type ipv6_addr; size 65535; flags dynamic,timeout; timeout 1m; }\n\n" +
		"\tchain input {\n")
	line("type filter hook input priority filter; policy drop;")
	line("ct state established,related accept")
	line(`iifname "lo" accept`)
	line(`ct status dnat accept comment "what rules of others lead here"`)
	line("icmp type { echo-request, destination-unreachable, time-exceeded, parameter-problem } accept")
	line("icmpv6 type { echo-request, destination-unreachable, packet-too-big, time-exceeded, parameter-problem } accept")
	line("icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report } accept")
	line(`ip protocol igmp accept comment "who listens to which group"`)
	line(`udp dport { 68, 546 } accept comment "addresses by DHCP"`)
	if len(o.SSH) > 0 {
		ports := "{ " + portList(o.SSH) + " }"
		line("meta nfproto ipv4 tcp dport %s ct state new update @ssh4 { ip saddr %s } drop", ports, sshLimit)
		line("meta nfproto ipv6 tcp dport %s ct state new update @ssh6 { ip6 saddr & ffff:ffff:ffff:ffff:: %s } drop", ports, sshLimit)
		if len(o.SSHFrom) == 0 {
			line(`tcp dport %s accept comment "sshd"`, ports)
		}
		for _, from := range o.SSHFrom {
			line(`%s tcp dport %s accept comment "sshd"`, source(from), ports)
		}
	}
	for _, p := range o.Open {
		var words []string
		if p.Card != "" {
			words = append(words, `iifname "`+p.Card+`"`)
		}
		if p.From != "" {
			words = append(words, source(p.From))
		}
		if p.Port == 0 {
			words = append(words, "meta l4proto "+p.Proto)
		} else {
			words = append(words, p.Proto+" dport "+strconv.Itoa(p.Port))
		}
		words = append(words, "accept")
		if why := plainWords(p.Why); why != "" {
			words = append(words, `comment "`+why+`"`)
		}
		line("%s", strings.Join(words, " "))
	}
	b.WriteString("\t}\n}\n")
	return b.String()
}

func source(from string) string {
	if strings.Contains(from, ":") {
		return "ip6 saddr " + from
	}
	return "ip saddr " + from
}

func portList(ports []int) string {
	var out []string
	for _, p := range slices.Compact(slices.Sorted(slices.Values(ports))) {
		out = append(out, strconv.Itoa(p))
	}
	return strings.Join(out, ", ")
}

// plainWords keeps what a comment of nft may hold: names of programs come from the host.
func plainWords(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == '.' || r == '_' || r == '@' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, s)
	return strings.TrimSpace(s[:min(len(s), 60)])
}
