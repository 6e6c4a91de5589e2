package ruleset

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// compiled is a filter made ready to follow packets through, and the bound of
// what may be done with it: a hostile host may send as many rules as fit its
// answer. What was answered once is not worked out again.
type compiled struct {
	left    int // rules, conditions and values that may still be looked at
	chains  []*chain
	hooks   map[string][]*chain // base chains by hook, in the order of their priority
	marks   bool                // some rule sets a mark
	cards   []string
	ports   []int
	noTrack []noTrackRule
	answers map[Packet]Answer
}

type chain struct {
	Chain
	rules []rule
}

// A rule with what its words mean.
type rule struct {
	*Rule
	conds []cond
	to    *chain // of jump and goto; nil when there is no such chain
	nat   nat    // of dnat and redirect
	cost  int
}

// nat is where dnat and redirect lead.
type nat struct {
	addr netip.Addr // not valid: the address stays, or is the card's own
	port uint16     // 0: the port stays
	ok   bool       // false: one of several, or not understood
}

// A noTrackRule takes packets out of the tracking of connections.
type noTrackRule struct {
	family string
	rule   *Rule
}

// maxEffort takes one or two seconds. A thousand rules asked about a hundred ports
// are a hundredth of it, ten thousand asked about ten ports all of it.
const maxEffort = 50_000_000

// Prepare makes a filter ready to be asked. Copies of it share what was
// worked out, and the bound of what may be; they must not be asked at once.
func (f *Filter) Prepare() { f.made = f.compile() }

// ready is what Prepare made, or the same for this question alone.
func (f Filter) ready() *compiled {
	if f.made != nil {
		return f.made
	}
	return f.compile()
}

func (f Filter) compile() *compiled {
	c := &compiled{
		left: maxEffort, hooks: map[string][]*chain{}, answers: map[Packet]Answer{},
		cards: f.named(), ports: append([]int{anyPort}, f.fromPorts()...),
	}
	type name struct {
		family, table, name string
		legacy              bool
	}
	byName := map[name]*chain{}
	for i := range f.Chains {
		one := &chain{Chain: f.Chains[i], rules: make([]rule, len(f.Chains[i].Rules))}
		c.chains = append(c.chains, one)
		byName[name{one.Family, one.Table, one.Name, one.Legacy}] = one
		if one.Hook != "" {
			c.hooks[one.Hook] = append(c.hooks[one.Hook], one)
		}
	}
	for _, list := range c.hooks {
		slices.SortStableFunc(list, func(a, b *chain) int { return cmp.Compare(a.Priority, b.Priority) })
	}
	for _, ch := range c.chains {
		for i := range ch.Rules {
			r := &ch.rules[i]
			r.Rule = &ch.Rules[i]
			r.conds = conditionsOf(r.Matches)
			r.cost = 1
			for _, m := range r.Matches {
				r.cost += 1 + len(m.Values) + 4*len(m.Any)
			}
			switch r.Verdict {
			case "jump", "goto":
				r.to = byName[name{ch.Family, ch.Table, r.Target, ch.Legacy}]
			case "dnat", "redirect", "snat", "masquerade":
				r.nat = readNAT(r.Target)
			}
			if r.NoTrack {
				c.noTrack = append(c.noTrack, noTrackRule{ch.Family, r.Rule})
			}
			c.marks = c.marks || len(r.Marks) > 0
		}
	}
	return c
}

// spend is false when no more may be done.
func (c *compiled) spend(cost int) bool {
	c.left -= cost
	return c.left > 0
}

// readNAT reads 10.0.0.2:80, [fe80::1]:80, an address, or :80.
func readNAT(target string) nat {
	if target == "" {
		return nat{ok: true}
	}
	if a, err := netip.ParseAddr(target); err == nil {
		return nat{addr: a, ok: true}
	}
	if ap, err := netip.ParseAddrPort(target); err == nil && ap.Port() != 0 {
		return nat{addr: ap.Addr(), port: ap.Port(), ok: true}
	}
	if p, ok := strings.CutPrefix(target, ":"); ok {
		if n, err := strconv.ParseUint(p, 10, 16); err == nil && n != 0 {
			return nat{port: uint16(n), ok: true}
		}
	}
	return nat{}
}

// An op is what a condition looks at.
type op uint8

const (
	opOpaque op = iota
	opIn
	opOut
	opProto
	opSaddr
	opDaddr
	opSport
	opDport
	opPort
	opState
	opFamily
	opDstType
	opDstTypeHere
	opSrcType
	opMark
	opOrigSaddr // from here to opConnMark: of the connection
	opOrigDaddr
	opOrigSport
	opOrigDport
	opDirection
	opStatus
	opConnMark
	opFlags
	opFlagsAny
	opPacketType
	opRouteBack
	opOneOf
	opNever
)

var ops = map[string]op{
	"iif": opIn, "oif": opOut, "proto": opProto, "saddr": opSaddr, "daddr": opDaddr, "sport": opSport, "dport": opDport,
	"port": opPort, "state": opState, "family": opFamily, "dst-type": opDstType, "dst-type-here": opDstTypeHere, "src-type": opSrcType,
	"orig-saddr": opOrigSaddr, "orig-daddr": opOrigDaddr, "orig-sport": opOrigSport, "orig-dport": opOrigDport,
	"ct-dir": opDirection, "ct-status": opStatus, "mark": opMark, "ct-mark": opConnMark,
	"tcp-flags": opFlags, "tcp-flags-any": opFlagsAny, "pkttype": opPacketType, "route-back": opRouteBack, "one-of": opOneOf,
	"icmp-type": opNever, "rt-type": opNever, // we follow TCP and UDP
	"recent": opNever, // who comes first is on no list of who came before
}

// A cond is a condition with its values read.
type cond struct {
	op     op
	not    bool
	all    bool     // holds whatever the value is
	unread bool     // one of its values was not understood
	words  []string // in small letters
	nums   []span[uint32]
	masks  []uint32 // of marks, beside nums
	addrs  []span[netip.Addr]
	bits   uint8 // wanted states or flags
	mask   uint8
	alts   [][]cond
}

// A span holds both of its ends. Those of a condition are in order.
type span[T any] struct{ lo, hi T }

func conditionsOf(ms []Match) []cond {
	out := make([]cond, 0, len(ms))
	for _, m := range ms {
		out = append(out, readCond(m))
	}
	return out
}

func readCond(m Match) cond {
	c := cond{op: ops[m.Key], not: m.Not, all: slices.Contains(m.Values, anyValue)}
	switch c.op {
	case opProto:
		for _, v := range m.Values {
			switch v = strings.ToLower(v); v {
			case "all", "0":
				c.all = true
			case "6":
				v = "tcp"
			case "17":
				v = "udp"
			}
			c.words = append(c.words, v)
		}
	case opFamily:
		for _, v := range m.Values {
			switch v = strings.ToLower(v); v {
			case "ipv4":
				v = "ip"
			case "ipv6":
				v = "ip6"
			}
			c.words = append(c.words, v)
		}
	case opIn, opOut:
		c.words = m.Values
	case opDstType, opDstTypeHere, opSrcType, opDirection, opStatus, opPacketType:
		for _, v := range m.Values {
			c.words = append(c.words, strings.ToLower(v))
		}
	case opSport, opDport, opPort, opOrigSport, opOrigDport:
		for _, v := range m.Values {
			lo, hi, ok := numbers(v)
			if v == anyValue {
				continue
			}
			if !ok || lo < 0 || hi > 65535 {
				c.unread = true
				continue
			}
			c.nums = append(c.nums, span[uint32]{uint32(lo), uint32(hi)})
		}
		slices.SortFunc(c.nums, func(a, b span[uint32]) int { return cmp.Compare(a.lo, b.lo) })
		c.nums = joined(c.nums, cmp.Compare)
	case opSaddr, opDaddr, opOrigSaddr, opOrigDaddr:
		for _, v := range m.Values {
			s, ok := addresses(v)
			if v == anyValue {
				continue
			}
			if !ok {
				c.unread = true
				continue
			}
			c.addrs = append(c.addrs, s)
		}
		slices.SortFunc(c.addrs, func(a, b span[netip.Addr]) int { return a.lo.Compare(b.lo) })
		c.addrs = joined(c.addrs, netip.Addr.Compare)
	case opMark, opConnMark:
		for _, v := range m.Values {
			value, mask, ok := parseMark(v)
			c.unread = c.unread || !ok
			c.nums, c.masks = append(c.nums, span[uint32]{value, value}), append(c.masks, mask)
		}
	case opState:
		for _, v := range m.Values {
			v = strings.ToLower(v)
			bit, ok := stateBits[v]
			if c.bits |= bit; v == "dnat" || v == "snat" { // iptables takes these as states too
				c.words = append(c.words, v)
				ok = true
			}
			c.unread = c.unread || !ok
		}
	case opFlags:
		if len(m.Values) != 2 {
			c.op = opOpaque
			break
		}
		var ok, ok2 bool
		c.mask, ok = readFlags(m.Values[0])
		c.bits, ok2 = readFlags(m.Values[1])
		c.unread = !ok || !ok2
	case opFlagsAny:
		for _, v := range m.Values {
			bit, ok := readFlags(v)
			c.bits |= bit
			c.unread = c.unread || !ok
		}
	case opOneOf:
		for _, alt := range m.Any {
			c.alts = append(c.alts, conditionsOf(alt))
		}
	}
	return c
}

// joined makes one of spans that overlap. They are in order of their lower ends.
func joined[T any](in []span[T], compare func(a, b T) int) []span[T] {
	out := in[:0]
	for _, s := range in {
		if n := len(out); n > 0 && compare(s.lo, out[n-1].hi) <= 0 {
			if compare(s.hi, out[n-1].hi) > 0 {
				out[n-1].hi = s.hi
			}
			continue
		}
		out = append(out, s)
	}
	return out
}

// inNums and inAddrs report whether a value is in one of the spans. Most
// conditions have one value; lists of addresses may be long.
func inNums(spans []span[uint32], v uint32) bool {
	for i := range spans {
		if v >= spans[i].lo && v <= spans[i].hi {
			return true
		}
	}
	return false
}

func inAddrs(spans []span[netip.Addr], v netip.Addr) bool {
	if len(spans) == 1 && spans[0].lo == spans[0].hi {
		return v == spans[0].lo
	}
	i, exact := slices.BinarySearchFunc(spans, v, func(s span[netip.Addr], v netip.Addr) int { return s.lo.Compare(v) })
	return exact || i > 0 && v.Compare(spans[i-1].hi) <= 0
}

// addresses reads an address, a prefix or a range.
func addresses(v string) (span[netip.Addr], bool) {
	if a, err := netip.ParseAddr(v); err == nil {
		return span[netip.Addr]{a, a}, true
	}
	if p, err := netip.ParsePrefix(v); err == nil {
		return span[netip.Addr]{p.Masked().Addr(), last(p.Masked())}, true
	}
	from, to, _ := strings.Cut(v, "-")
	a, err := netip.ParseAddr(from)
	b, err2 := netip.ParseAddr(to)
	if err == nil && err2 == nil && a.BitLen() == b.BitLen() {
		return span[netip.Addr]{a, b}, true
	}
	// iptables writes masks that are no prefix, and people 10.0.0.0/255.0.0.0.
	addr, mask, _ := strings.Cut(v, "/")
	if p, ok := contiguous(addr, mask); ok {
		return addresses(p)
	}
	return span[netip.Addr]{}, false
}

// States of a packet in the tracking of connections.
const (
	stateNew uint8 = 1 << iota
	stateEstablished
	stateRelated
	stateInvalid
	stateUntracked
)

var stateBits = map[string]uint8{
	"new": stateNew, "established": stateEstablished, "related": stateRelated, "invalid": stateInvalid, "untracked": stateUntracked,
}

// Flags of TCP, as they stand in the header.
var flagBits = map[string]uint8{"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "ECN": 64, "ECE": 64, "CWR": 128, "NONE": 0}

func readFlags(v string) (uint8, bool) {
	if strings.EqualFold(v, "ALL") {
		return 0x3f, true
	}
	var out uint8
	for _, w := range strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == '|' }) {
		bit, ok := flagBits[strings.ToUpper(w)]
		if !ok {
			return 0, false
		}
		out |= bit
	}
	return out, true
}
