package fact

import (
	"net/netip"
	"slices"
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
	Cut          bool         // there was too much to follow: both are set, and nothing is known
}

// Ask follows a packet through the chains. It is an approximation: what it
// cannot read it takes both ways, and never the good one alone.
func (r Ruleset) Ask(p FirewallPacket) FirewallAnswer {
	e := r.effort
	if e == nil {
		e = newFirewallEffort(r)
	}
	if a, ok := e.answers[p]; ok {
		return a
	}
	ports := []int{p.From}
	if p.From == 0 {
		ports = e.ports
	}
	var most FirewallAnswer
	for i, port := range ports {
		q := p
		q.From = port
		if a := r.byAnyCard(q, e); i == 0 || a.opens() > most.opens() {
			most = a
		}
	}
	e.answers[p] = most
	return most
}

// byAnyCard is Ask for one port of the sender.
func (r Ruleset) byAnyCard(p FirewallPacket, e *firewallEffort) FirewallAnswer {
	if p.Loopback || p.Card != "" {
		return r.ask(p, e)
	}
	var most FirewallAnswer
	for i, card := range e.cards {
		p.Card = card
		if a := r.ask(p, e); i == 0 || a.opens() > most.opens() {
			most = a
		}
	}
	if p.Card = anyCard; r.CardsWhy != "" {
		if a := r.ask(p, e); a.opens() > most.opens() { // if there is such a card
			most = FirewallAnswer{Accept: true, Drop: true, Doubt: r.aboutCards(), Cut: a.Cut}
		}
	}
	return most
}

// A firewallEffort bounds what is done to follow packets through one set of
// rules, whoever asks: a hostile host may send as many rules as fit its answer.
// What was answered once is not worked out again.
type firewallEffort struct {
	left    int // conditions, and values of them, that may still be compared
	cards   []string
	ports   []int
	noTrack []firewallNoTrack
	answers map[FirewallPacket]FirewallAnswer
}

// A firewallNoTrack is a rule that takes packets out of the tracking of
// connections, and the family of its chain.
type firewallNoTrack struct {
	family string
	rule   FirewallRule
}

// maxEffort takes about a second. A thousand rules asked about a hundred ports
// are a thirtieth of it.
const maxEffort = 20_000_000

func newFirewallEffort(r Ruleset) *firewallEffort {
	e := &firewallEffort{left: maxEffort, cards: r.cards(), ports: append([]int{anyPort}, r.fromPorts()...), answers: map[FirewallPacket]FirewallAnswer{}}
	for _, c := range r.Chains {
		for _, rule := range c.Rules {
			if rule.NoTrack {
				e.noTrack = append(e.noTrack, firewallNoTrack{c.Family, rule})
			}
		}
	}
	return e
}

// spend is false when no more may be done.
func (e *firewallEffort) spend(rule FirewallRule) bool {
	e.left--
	for _, m := range rule.Matches {
		e.left -= 1 + len(m.Values)
	}
	return e.left > 0
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

// Refuses reports whether a chain refuses, or may refuse, a packet that passes
// through it, by whichever card it comes in; unknown is why that cannot be
// said of all cards.
func (r Ruleset) Refuses(c FirewallChain, p FirewallPacket) (yes bool, unknown string) {
	if p.From == 0 {
		p.From = anyPort
	}
	e := r.effort
	if e == nil {
		e = newFirewallEffort(r)
	}
	drops := func(card string) bool {
		p.Card = card
		w := &firewallWalk{rules: r, packet: p, effort: e}
		return w.chain(c, 0).drops
	}
	if slices.ContainsFunc(e.cards, func(card string) bool { return !drops(card) }) {
		return false, ""
	}
	switch {
	case e.left <= 0:
		return true, tooMuch
	case r.CardsWhy != "" && !drops(anyCard):
		return true, "the network cards of this host are not known: " + r.CardsWhy
	}
	return true, ""
}

// ask follows a packet of which all is said.
func (r Ruleset) ask(p FirewallPacket, e *firewallEffort) FirewallAnswer {
	if e.left <= 0 {
		return notFollowed
	}
	a := FirewallAnswer{Accept: true}
	w := &firewallWalk{rules: r, packet: p, effort: e}
	w.untracked = w.mayBeUntracked()
	for _, c := range r.Chains {
		if c.Type != "filter" || c.Hook != "input" && c.Hook != "prerouting" || !familyHolds(c.Family, p.Family) {
			continue
		}
		w.prerouting = c.Hook == "prerouting"
		out := w.chain(c, 0)
		if out.falls {
			if c.Policy == "drop" || c.Policy == "reject" {
				out.drops = true
			} else {
				out.accepts = true
			}
		}
		if c.MaySleep && out.drops {
			out.accepts = true
			w.doubt = FirewallRule{Verdict: "other", Text: "whether the table " + c.Family + " " + c.Table + " is dormant, which nft does not say"}
		}
		a.Accept = a.Accept && out.accepts
		a.Drop = a.Drop || out.drops
	}
	if a.Rule = w.accepted; !a.Accept {
		a.Rule = FirewallRule{}
	}
	a.Doubt = w.doubt
	if e.left <= 0 {
		return notFollowed
	}
	return a
}

const tooMuch = "there are more rules and addresses in them than Picket follows"

// notFollowed is the answer when there was too much to follow.
var notFollowed = FirewallAnswer{Accept: true, Drop: true, Cut: true, Doubt: FirewallRule{Verdict: "other", Text: tooMuch}}

func familyHolds(chain, packet string) bool { return chain == "inet" || chain == packet }

type firewallWalk struct {
	rules      Ruleset
	packet     FirewallPacket
	prerouting bool
	untracked  bool // it may be that no connection is kept for the packet
	effort     *firewallEffort
	accepted   FirewallRule
	doubt      FirewallRule
}

// mayBeUntracked finds a rule that takes the packet out of the tracking of
// connections; whether its chain is asked at all is not looked at.
func (w *firewallWalk) mayBeUntracked() bool {
	return slices.ContainsFunc(w.effort.noTrack, func(n firewallNoTrack) bool {
		return familyHolds(n.family, w.packet.Family) && w.effort.spend(n.rule) && w.matches(n.rule) != no
	})
}

// outcome of a chain: what may have happened to the packet.
type firewallOutcome struct{ accepts, drops, falls bool }

const maxJumps = 16 // as deep as the kernel lets chains nest

func (w *firewallWalk) chain(c FirewallChain, depth int) firewallOutcome {
	var out firewallOutcome
	for _, rule := range c.Rules {
		if !w.effort.spend(rule) || depth > maxJumps {
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
