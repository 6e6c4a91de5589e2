package ruleset

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// matches judges the conditions of a rule for all packets of a question.
func (w *walk) matches(r Rule) matching {
	all := yes
	for _, m := range r.Matches {
		got := w.match(m)
		if m.Not {
			got = yes - got
		}
		all = min(all, got)
		if all == no {
			break
		}
	}
	return all
}

// match judges a condition without its negation.
func (w *walk) match(m Match) matching {
	p := w.asked
	any := func(f func(v string) matching) matching {
		best := no
		for _, v := range m.Values {
			if v == anyValue {
				return yes
			}
			best = max(best, f(v))
		}
		return best
	}
	is := func(words ...string) matching {
		return any(func(v string) matching { return sure(slices.Contains(words, strings.ToLower(v))) })
	}
	switch m.Key {
	case "iif":
		return any(func(v string) matching {
			if v == "lo" || p.Loopback {
				return sure((v == "lo") == p.Loopback)
			}
			if stem := strings.TrimRight(v, "*+"); stem != v {
				return sure(strings.HasPrefix(p.Card, stem))
			}
			return sure(v == p.Card)
		})
	case "oif", "icmp-type", "rt-type": // the packet is none of these
		return no
	case "recent": // a stranger is on no list of who was seen
		if !p.Anybody {
			return no
		}
	case "ct-dir":
		return is("original")
	case "ct-status":
		// A connection to the host itself was sent nowhere else.
		if !slices.ContainsFunc(m.Values, func(v string) bool { return v != "dnat" && v != "snat" }) {
			return no
		}
	case "proto":
		return is(p.Proto, map[string]string{"tcp": "6", "udp": "17"}[p.Proto], "all", "0")
	case "family":
		return is(p.Family, map[string]string{"ip": "ipv4", "ip6": "ipv6"}[p.Family])
	case "saddr":
		return any(w.from)
	case "daddr":
		return any(w.to)
	case "dport":
		if p.Port != 0 {
			return sure(m.HasPort(p.Port))
		}
		return mostPorts(m.Values)
	case "sport":
		if p.From != 0 {
			return sure(m.HasPort(p.From))
		}
	case "state":
		if w.untracked && is("new") != is("untracked") {
			return maybe
		}
		return is("new")
	case "dst-type":
		return is("local")
	case "pkttype":
		return is("host", "unicast")
	case "one-of":
		best := no
		for _, alt := range m.Any {
			best = max(best, w.matches(Rule{Matches: alt}))
		}
		return best
	case "tcp-flags-any":
		return sure(p.Proto == "tcp" && slices.ContainsFunc(m.Values, func(v string) bool { return strings.EqualFold(v, "syn") }))
	case "mark", "ct-mark":
		if !w.made.marks { // all have none
			return any(func(v string) matching {
				value, _, ok := parseMark(v)
				if !ok {
					return maybe
				}
				return sure(value == 0)
			})
		}
	case "tcp-flags":
		return sure(p.Proto == "tcp" && len(m.Values) == 2 && flagsOfNew(m.Values[0], m.Values[1]))
	}
	return maybe
}

// from judges a source address.
func (w *walk) from(v string) matching {
	prefix, got, done := w.prefix(v)
	switch {
	case done:
		return got
	case wide(prefix): // of such there are strangers
		return maybe
	case w.asked.Loopback:
		return sure(prefix.Contains(netip.MustParseAddr("127.0.0.1")) || prefix.Contains(netip.IPv6Loopback()))
	case w.asked.Anybody && !prefix.Addr().IsLoopback():
		return maybe
	}
	return no
}

// to judges a destination: one of the host's own addresses, which we may not know.
func (w *walk) to(v string) matching {
	prefix, got, done := w.prefix(v)
	switch {
	case done:
		return got
	case prefix.Addr().IsLoopback():
		return sure(w.asked.Loopback)
	case prefix.Addr().IsMulticast(), v == "255.255.255.255", w.prerouting:
		// What Docker writes there is about the addresses of containers.
		return no
	}
	return maybe
}

// prefix reads addresses as parsePrefix does; done when that alone tells
// whether one of the packet's is among them, whichever it is.
func (w *walk) prefix(v string) (p netip.Prefix, got matching, done bool) {
	p, all, ok := parsePrefix(v)
	switch {
	case !ok:
		return p, maybe, true
	case p.Addr().Is4() != (w.asked.Family == "ip"):
		return p, no, true
	case p.Bits() == 0 && all:
		return p, yes, true
	}
	return p, no, false
}

// wide reports whether so many public addresses are in it that a stranger may
// well have one of them: more than any owner has.
func wide(p netip.Prefix) bool {
	if p.Addr().Is4() {
		return p.Bits() < 8 && !p.Addr().IsMulticast()
	}
	return p.Bits() < 16 && !p.Addr().IsPrivate() && !p.Addr().IsLinkLocalUnicast() && !p.Addr().IsMulticast()
}

// parsePrefix reads an address, a prefix or a range. Of a range it gives the
// smallest prefix that holds it, and all tells whether it is all of that.
func parsePrefix(v string) (p netip.Prefix, all, ok bool) {
	if p, err := netip.ParsePrefix(v); err == nil {
		return p, true, true
	}
	if a, err := netip.ParseAddr(v); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), true, true
	}
	from, to, _ := strings.Cut(v, "-")
	a, err := netip.ParseAddr(from)
	b, err2 := netip.ParseAddr(to)
	if err != nil || err2 != nil || a.BitLen() != b.BitLen() {
		return netip.Prefix{}, false, false
	}
	bits := a.BitLen()
	for bits > 0 && !netip.PrefixFrom(a, bits).Contains(b) {
		bits--
	}
	p = netip.PrefixFrom(a, bits).Masked()
	return p, a == p.Addr() && b == last(p), true
}

// last is the highest address of a prefix.
func last(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for i := p.Bits(); i < len(bytes)*8; i++ {
		bytes[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(bytes)
	return a
}

// mostPorts judges a condition on ports for one that no rule names: most of
// all ports are in it, or many.
func mostPorts(values []string) matching {
	n := 0
	for _, v := range values {
		if v == anyValue {
			return yes
		}
		n += portsIn(v)
	}
	switch {
	case n > 60_000:
		return yes
	case n > 30_000:
		return maybe
	}
	return no
}

// portsIn counts the ports of a value such as 22 or 8000-8100.
func portsIn(v string) int {
	from, to, isRange := strings.Cut(v, "-")
	if !isRange {
		return 1
	}
	a, err := strconv.Atoi(from)
	b, err2 := strconv.Atoi(to)
	if err != nil || err2 != nil || b < a {
		return 0
	}
	return b - a + 1
}

// flagsOfNew tells whether a first packet, which has SYN alone, matches.
func flagsOfNew(mask, want string) bool {
	seen := strings.Split(strings.ToUpper(mask), ",")
	if strings.EqualFold(mask, "ALL") {
		seen = []string{"SYN"}
	}
	set := ""
	if slices.Contains(seen, "SYN") {
		set = "SYN"
	}
	return strings.EqualFold(want, set) || set == "" && strings.EqualFold(want, "NONE")
}
