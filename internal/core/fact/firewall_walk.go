package fact

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// A FirewallPacket opens a new connection to an address of the host itself.
type FirewallPacket struct {
	Family   string // ip or ip6
	Loopback bool   // from the host itself; otherwise by a network card
	Proto    string // tcp or udp
	Port     int    // 0: one that no rule names
	// From is the sender's port. Where none is said, the answer is that of the
	// port which is let in most easily: a sender may choose it.
	From int
	// Anybody is whether the sender may be chosen: the answer is then that of
	// the luckiest address. Otherwise it is a stranger, whom no rule names.
	Anybody bool
	// Card is the network card that it comes in by. Where none is said, the
	// answer is that of the card which lets it in most easily.
	Card string
	// To is set for a packet that is handed on, as to a container: its address
	// there. Published is then the port of the host that it was sent to.
	To        netip.Addr
	Published int
}

// A FirewallAnswer is what the rules do with a packet. Both are set when that
// hangs on something Picket does not read.
type FirewallAnswer struct {
	Accept, Drop bool
	Rule         FirewallRule // one that accepts, if it was a rule and not a policy
	Doubt        FirewallRule // the first rule that could not be judged, where both are set
	Chains       int          // base chains that the packet passed
}

// Ask follows a packet through the chains. It is an approximation: what it
// cannot read it takes both ways, and never the good one alone.
func (r Ruleset) Ask(p FirewallPacket) FirewallAnswer {
	if p.From == 0 {
		var most FirewallAnswer
		for i, port := range append([]int{anyPort}, r.fromPorts()...) {
			p.From = port
			if a := r.Ask(p); i == 0 || a.opens() > most.opens() {
				most = a
			}
		}
		return most
	}
	if p.Loopback || p.Card != "" {
		return r.ask(p)
	}
	var most FirewallAnswer
	for i, card := range r.cards() {
		p.Card = card
		if a := r.ask(p); i == 0 || a.opens() > most.opens() {
			most = a
		}
	}
	if p.Card = anyCard; r.CardsWhy != "" {
		if a := r.ask(p); a.opens() > most.opens() { // if there is such a card
			most = FirewallAnswer{Accept: true, Drop: true, Doubt: r.aboutCards(), Chains: a.Chains}
		}
	}
	return most
}

// aboutCards is a rule that holds for some network cards only.
func (r Ruleset) aboutCards() FirewallRule {
	for _, c := range r.Chains {
		for _, rule := range c.Rules {
			if m, ok := rule.Match("iif"); ok && !slices.Contains(m.Values, "lo") {
				return rule
			}
		}
	}
	return FirewallRule{}
}

// opens is how surely a packet comes in.
func (a FirewallAnswer) opens() int {
	switch {
	case a.Accept && !a.Drop:
		return 2
	case a.Accept:
		return 1
	}
	return 0
}

// anyValue stands for all that the other elements of a set leave over.
const anyValue = "*"

// anyCard is one that no rule names.
const (
	anyCard  = "\x00"
	maxCards = 16
)

// anyPort is one that a sender has who does not choose: Linux takes 32768 to
// 60999 by default, others from 49152 on.
const anyPort = 50_000

// fromPorts are ports of senders that rules name.
func (r Ruleset) fromPorts() []int {
	var out []int
	for _, c := range r.Chains {
		for _, rule := range c.Rules {
			m, ok := rule.Match("sport")
			if !ok {
				continue
			}
			for _, v := range m.Values {
				_, end, isRange := strings.Cut(v, "-") // one may begin with 0, which nobody sends from
				if !isRange {
					end = v
				}
				if n, err := strconv.Atoi(end); err == nil && n > 0 && !slices.Contains(out, n) && len(out) < maxCards {
					out = append(out, n)
				}
			}
		}
	}
	return out
}

// cards are those that rules name, and one that none does: where the host's
// own are known, only if there is such a one.
func (r Ruleset) cards() []string {
	var named []string
	for _, c := range r.Chains {
		for _, rule := range c.Rules {
			m, ok := rule.Match("iif")
			if !ok {
				continue
			}
			for _, v := range m.Values {
				if stem := strings.TrimRight(v, "*+"); stem != v {
					if v = ""; stem != "" {
						v = stem + "0"
					}
				}
				if v != "" && v != "lo" && networkCard(v) && !slices.Contains(named, v) && len(named) < maxCards {
					named = append(named, v)
				}
			}
		}
	}
	for _, own := range r.Cards {
		if !slices.Contains(named, own) {
			return append(named, own)
		}
	}
	if len(named) == 0 {
		return []string{anyCard}
	}
	return named
}

// Refuses reports whether a chain refuses, or may refuse, a packet that passes
// through it, by whichever card it comes in; unknown is why that cannot be
// said of all cards.
func (r Ruleset) Refuses(c FirewallChain, p FirewallPacket) (yes bool, unknown string) {
	if p.From == 0 {
		p.From = anyPort
	}
	drops := func(card string) bool {
		p.Card = card
		w := &firewallWalk{rules: r, packet: p, budget: maxRules}
		return w.chain(c, 0).drops
	}
	if slices.ContainsFunc(r.cards(), func(card string) bool { return !drops(card) }) {
		return false, ""
	}
	if r.CardsWhy != "" && !drops(anyCard) {
		return true, "the network cards of this host are not known: " + r.CardsWhy
	}
	return true, ""
}

func (r Ruleset) ask(p FirewallPacket) FirewallAnswer {
	a := FirewallAnswer{Accept: true}
	w := &firewallWalk{rules: r, packet: p, budget: maxRules}
	w.untracked = w.mayBeUntracked()
	for _, c := range r.Chains {
		if c.Type != "filter" || c.Hook != "input" && c.Hook != "prerouting" || !familyHolds(c.Family, p.Family) {
			continue
		}
		a.Chains++
		w.prerouting = c.Hook == "prerouting"
		out := w.chain(c, 0)
		if out.falls {
			if c.Policy == "drop" || c.Policy == "reject" {
				out.drops = true
			} else {
				out.accepts = true
			}
		}
		a.Accept = a.Accept && out.accepts
		a.Drop = a.Drop || out.drops
	}
	if a.Rule = w.accepted; !a.Accept {
		a.Rule = FirewallRule{}
	}
	a.Doubt = w.doubt
	return a
}

func familyHolds(chain, packet string) bool { return chain == "inet" || chain == packet }

type firewallWalk struct {
	rules      Ruleset
	packet     FirewallPacket
	prerouting bool
	untracked  bool // it may be that no connection is kept for the packet
	budget     int  // rules that may still be looked at
	accepted   FirewallRule
	doubt      FirewallRule
}

// mayBeUntracked finds a rule that takes the packet out of the tracking of
// connections; whether its chain is asked at all is not looked at.
func (w *firewallWalk) mayBeUntracked() bool {
	for _, c := range w.rules.Chains {
		for _, rule := range c.Rules {
			if rule.NoTrack && familyHolds(c.Family, w.packet.Family) && w.matches(rule) != no {
				return true
			}
		}
	}
	return false
}

// outcome of a chain: what may have happened to the packet.
type firewallOutcome struct{ accepts, drops, falls bool }

const maxJumps = 16 // as deep as the kernel lets chains nest

func (w *firewallWalk) chain(c FirewallChain, depth int) firewallOutcome {
	var out firewallOutcome
	for _, rule := range c.Rules {
		if w.budget--; w.budget < 0 || depth > maxJumps {
			return firewallOutcome{true, true, true}
		}
		match := w.matches(rule)
		if match == no || rule.Verdict == "" {
			continue
		}
		sub := firewallOutcome{}
		switch rule.Verdict {
		case "accept":
			sub.accepts = true
			if w.accepted.Verdict == "" && !w.prerouting {
				w.accepted = rule
			}
		case "drop", "reject":
			sub.drops = true
		case "return":
			sub.falls = true
		case "jump", "goto":
			target, ok := w.rules.Chain(c.Family, c.Table, rule.Target, c.Legacy)
			if !ok {
				sub = firewallOutcome{true, true, true}
				break
			}
			sub = w.chain(target, depth+1)
			if rule.Verdict == "jump" && sub.falls {
				// The packet comes back and goes on with the next rule.
				sub.falls = false
				match = maybe
				if !sub.accepts && !sub.drops {
					continue
				}
			}
		default:
			sub = firewallOutcome{true, true, true}
		}
		if match == maybe && w.doubt.Verdict == "" && rule.Verdict != "jump" {
			w.doubt = rule
		}
		out.accepts = out.accepts || sub.accepts
		out.drops = out.drops || sub.drops
		out.falls = out.falls || sub.falls
		if match == yes {
			return out
		}
	}
	out.falls = true
	return out
}

// A verdict on a condition.
type matching uint8

const (
	no matching = iota
	maybe
	yes
)

func (w *firewallWalk) matches(r FirewallRule) matching {
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
func (w *firewallWalk) match(m FirewallMatch) matching {
	p := w.packet
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
	case "oif":
		if p.To.IsValid() {
			return maybe
		}
		return no
	case "icmp-type", "rt-type": // the packet is none of these
		return no
	case "recent": // a stranger is on no list of who was seen
		if !p.Anybody {
			return no
		}
	case "orig-dport":
		if p.Published != 0 {
			return sure(m.HasPort(p.Published))
		}
	case "ct-dir":
		return is("original")
	case "ct-status":
		// A connection to the host itself was sent nowhere else.
		if !p.To.IsValid() && !slices.ContainsFunc(m.Values, func(v string) bool { return v != "dnat" && v != "snat" }) {
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
		if p.To.IsValid() {
			return maybe
		}
		return is("local")
	case "pkttype":
		return is("host", "unicast")
	case "tcp-flags":
		return sure(p.Proto == "tcp" && len(m.Values) == 2 && flagsOfNew(m.Values[0], m.Values[1]))
	}
	return maybe
}

func sure(b bool) matching {
	if b {
		return yes
	}
	return no
}

// from judges a source address.
func (w *firewallWalk) from(v string) matching {
	prefix, all, ok := parsePrefix(v)
	switch {
	case !ok:
		return maybe
	case prefix.Addr().Is4() != (w.packet.Family == "ip"):
		return no
	case prefix.Bits() == 0 && all:
		return yes
	case wide(prefix): // of such there are strangers
		return maybe
	case w.packet.Loopback:
		return sure(prefix.Contains(netip.MustParseAddr("127.0.0.1")) || prefix.Contains(netip.IPv6Loopback()))
	case w.packet.Anybody && !prefix.Addr().IsLoopback():
		return maybe
	}
	return no
}

// to judges a destination: one of the host's own addresses, which we may not know.
func (w *firewallWalk) to(v string) matching {
	prefix, all, ok := parsePrefix(v)
	switch {
	case !ok:
		return maybe
	case prefix.Addr().Is4() != (w.packet.Family == "ip"):
		return no
	case prefix.Bits() == 0 && all:
		return yes
	case w.packet.To.IsValid():
		if prefix.Contains(w.packet.To) && !all {
			return maybe
		}
		return sure(prefix.Contains(w.packet.To))
	case prefix.Addr().IsLoopback():
		return sure(w.packet.Loopback)
	case prefix.Addr().IsMulticast(), v == "255.255.255.255", w.prerouting:
		// What Docker writes there is about the addresses of containers.
		return no
	}
	return maybe
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

// networkCard reports whether an interface is one that strangers reach, not a
// tunnel or a bridge to containers.
func networkCard(name string) bool {
	for _, inner := range []string{"docker", "br-", "veth", "virbr", "lxc", "lxd", "cni", "podman", "tailscale", "wg", "zt", "tun", "tap", "vnet", "incus", "flannel", "cali", "dummy"} {
		if strings.HasPrefix(name, inner) {
			return false
		}
	}
	return true
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

// Limited tells whether new connections to a TCP port are counted anywhere on
// the way of a packet that comes in, and by which rule.
func (r Ruleset) Limited(family string, port int) (FirewallRule, bool) {
	seen := map[string]bool{}
	var look func(c FirewallChain, inPort bool, depth int) (FirewallRule, bool)
	look = func(c FirewallChain, inPort bool, depth int) (FirewallRule, bool) {
		key := c.Family + " " + c.Table + " " + c.Name + strconv.FormatBool(inPort)
		if seen[key] || depth > maxJumps {
			return FirewallRule{}, false
		}
		seen[key] = true
		for _, rule := range c.Rules {
			if p, ok := rule.Match("proto"); ok && !slices.Contains(p.Values, "tcp") {
				continue
			}
			dport, ok := rule.Match("dport")
			if ok && dport.HasPort(port) == dport.Not {
				continue
			}
			_, limited := rule.Match("limit")
			if limited && (inPort || ok) && rule.Verdict != "" {
				return rule, true
			}
			if rule.Verdict == "jump" || rule.Verdict == "goto" {
				if target, found := r.Chain(c.Family, c.Table, rule.Target, c.Legacy); found {
					if rule, found := look(target, inPort || ok, depth+1); found {
						return rule, true
					}
				}
			}
		}
		return FirewallRule{}, false
	}
	for _, c := range r.Chains {
		if c.Type == "filter" && c.Hook == "input" && familyHolds(c.Family, family) {
			if rule, ok := look(c, false, 0); ok {
				return rule, true
			}
		}
	}
	return FirewallRule{}, false
}
