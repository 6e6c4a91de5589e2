package ruleset

import (
	"net/netip"
	"slices"
	"strings"
)

// A verdict on a condition.
type matching uint8

const (
	no matching = iota
	maybe
	yes
)

func sure(b bool) matching {
	if b {
		return yes
	}
	return no
}

// packet is one of a connection that is followed, as it is at one point of its
// way.
type packet struct {
	in, out    string // network cards; "" where there is none (yet)
	tcp        bool
	flags      uint8
	src, dst   netip.AddrPort
	state      uint8
	reply      bool
	mark       mark
	first      bool // of its connection
	untracked  bool
	blind      bool // no connection is known for it at this point
	connection *connection
	host       *Host
}

// connection is what conntrack keeps.
type connection struct {
	src, dst   netip.AddrPort // as the first packet came
	newSrc     netip.AddrPort // what the source was translated to; not valid: it was not
	newDst     netip.AddrPort
	mark       mark
	translated bool // where the first packet leads is decided: by a rule, or by none
}

// all judges the conditions of one rule.
func (p *packet) all(cs []cond) matching {
	best := yes
	for i := range cs {
		if p.blind && cs[i].op >= opOrigSaddr && cs[i].op <= opConnMark {
			return no // negated or not
		}
		got := p.holds(&cs[i])
		if cs[i].not {
			got = yes - got
		}
		if best = min(best, got); best == no {
			break
		}
	}
	return best
}

// holds judges a condition without its negation.
func (p *packet) holds(c *cond) matching {
	if c.all {
		return yes
	}
	got := false
	switch c.op {
	case opSaddr:
		got = inAddrs(c.addrs, p.src.Addr())
	case opDaddr:
		got = inAddrs(c.addrs, p.dst.Addr())
	case opSport:
		got = inNums(c.nums, uint32(p.src.Port()))
	case opDport:
		got = inNums(c.nums, uint32(p.dst.Port()))
	case opPort:
		got = inNums(c.nums, uint32(p.src.Port())) || inNums(c.nums, uint32(p.dst.Port()))
	case opProto:
		got = slices.Contains(c.words, word(p.tcp, "tcp", "udp"))
	case opFamily:
		got = slices.Contains(c.words, word(p.src.Addr().Is4(), "ip", "ip6"))
	case opIn:
		got = named(c.words, p.in)
	case opOut:
		got = named(c.words, p.out)
	case opState:
		got = p.state&c.bits != 0 || len(c.words) > 0 && p.status(c) == yes
	case opOrigSaddr:
		got = inAddrs(c.addrs, p.connection.src.Addr())
	case opOrigDaddr:
		got = inAddrs(c.addrs, p.connection.dst.Addr())
	case opOrigSport:
		got = inNums(c.nums, uint32(p.connection.src.Port()))
	case opOrigDport:
		got = inNums(c.nums, uint32(p.connection.dst.Port()))
	case opDirection:
		got = slices.Contains(c.words, word(p.reply, "reply", "original"))
	case opStatus:
		return p.status(c)
	case opMark, opConnMark:
		m := p.mark
		if c.op == opConnMark {
			m = p.connection.mark
		}
		if !m.known {
			return maybe
		}
		for i, n := range c.nums {
			got = got || m.value&c.masks[i] == n.lo
		}
	case opFlags:
		got = p.tcp && p.flags&c.mask == c.bits
	case opFlagsAny:
		got = p.tcp && p.flags&c.bits != 0
	case opPacketType:
		got = slices.Contains(c.words, "host") || slices.Contains(c.words, "unicast")
	case opDstType:
		got = slices.Contains(c.words, p.host.kind(p.dst.Addr(), ""))
	case opDstTypeHere:
		got = slices.Contains(c.words, p.host.kind(p.dst.Addr(), p.in))
	case opSrcType:
		got = slices.Contains(c.words, p.host.kind(p.src.Addr(), ""))
	case opRouteBack:
		route, ok := p.host.route(p.src.Addr())
		got = p.in != "lo" && (!ok || route.Card != p.in)
	case opOneOf:
		best := no
		for _, alt := range c.alts {
			if best = max(best, p.all(alt)); best == yes {
				break
			}
		}
		return best
	case opNever:
	default:
		return maybe
	}
	if !got && c.unread {
		return maybe
	}
	return sure(got)
}

// status judges ct status, of which several bits may be set.
func (p *packet) status(c *cond) matching {
	best := no
	for _, w := range c.words {
		switch w {
		case "dnat":
			best = max(best, sure(p.connection.newDst.IsValid()))
		case "snat":
			best = max(best, sure(p.connection.newSrc.IsValid()))
		case "seen-reply", "seen_reply":
			best = max(best, sure(!p.first))
		case "expected", "dying", "none":
		default:
			best = max(best, maybe)
		}
	}
	return best
}

// named reports whether a card is one of these; a last * or + stands for more
// letters.
func named(words []string, card string) bool {
	return card != "" && slices.ContainsFunc(words, func(w string) bool {
		if stem := strings.TrimRight(w, "*+"); stem != w {
			return strings.HasPrefix(card, stem)
		}
		return w == card
	})
}

func word(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}
