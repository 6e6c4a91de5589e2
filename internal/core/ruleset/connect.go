package ruleset

import (
	"math"
	"net/netip"
	"slices"
)

// A Flow is one attempt to reach a service: a TCP connection, or a UDP packet
// and its answer.
type Flow struct {
	// Card is the network card by which it comes in; "" when a process of the
	// host itself begins it.
	Card     string
	TCP      bool
	Src, Dst netip.AddrPort
}

// A Verdict on a flow.
type Verdict uint8

// The verdicts.
const (
	Unsure  Verdict = iota // it hangs on something that is not read, or on a limit
	Arrives                // it arrives, and the answer comes back
	Refused
)

// A Reach is what becomes of a flow.
type Reach struct {
	Verdict Verdict
	// To is where it arrives: another address or port than it was sent to where
	// a rule translates it. Forwarded: it leaves the host again, as to a container.
	To        netip.AddrPort
	Forwarded bool
	// Rule has decided; where there is none a policy has, or Why says what.
	Rule    Rule
	Chain   Chain  // which holds Rule, or whose policy it was
	Why     string // "" when a rule or a policy decided
	Limited bool   // of Unsure: all that is not sure is a limit
	Answer  bool   // of Refused: the packet arrives, and the answer is refused
}

// Connect follows a flow: the first packet, the answer, and of TCP what ends
// the handshake.
func (f Filter) Connect(h *Host, flow Flow) Reach {
	w := &walk{made: f.ready()}
	conn := &connection{src: flow.Src, dst: flow.Dst, mark: mark{known: true}}
	first := packet{
		in: flow.Card, tcp: flow.TCP, src: flow.Src, dst: flow.Dst, flags: flagBits["SYN"], state: stateNew, first: true,
		mark: mark{known: true}, connection: conn, host: h,
	}
	if flow.Src.Addr().Is4() != flow.Dst.Addr().Is4() {
		return Reach{Verdict: Refused, Why: "the addresses are of two families"}
	}
	there := first
	r := Reach{Verdict: Arrives}
	if why := w.way(&there); why != "" {
		return w.refused(r, why)
	}
	r.To, r.Forwarded = there.dst, !h.local(there.dst.Addr())
	r.Rule, r.Chain = w.rule, w.where
	if w.dropped {
		return w.refused(r, "")
	}
	by, chain := w.rule, w.where
	back := packet{
		tcp: flow.TCP, src: there.dst, dst: there.src, flags: flagBits["SYN"] | flagBits["ACK"], state: stateEstablished, reply: true,
		mark: mark{known: true}, connection: conn, host: h,
	}
	if there.untracked { // then nobody knows what is answered
		back.state = stateInvalid
		if !flow.TCP {
			back.state = stateNew
		}
	}
	w.loses(&there)
	if r.Forwarded {
		route, _ := h.route(there.dst.Addr())
		back.in = route.Card
	}
	if why := w.way(&back); why != "" || w.dropped {
		r.Answer = true
		r.Rule, r.Chain = w.rule, w.where
		return w.refused(r, why)
	}
	w.loses(&back)
	if flow.TCP {
		third := first
		third.flags, third.first = flagBits["ACK"], false
		if !there.untracked {
			third.state = stateEstablished
		}
		if why := w.way(&third); why != "" || w.dropped {
			r.Rule, r.Chain = w.rule, w.where
			return w.refused(r, why)
		}
		w.loses(&third)
	}
	r.Rule, r.Chain = by, chain
	if w.lost {
		return w.refused(r, "")
	}
	if w.unsure {
		r.Verdict, r.Limited = Unsure, !w.unread
		r.Rule, r.Chain = w.doubt, w.doubtWhere
		if w.made.left <= 0 {
			r.Why = tooMuch
		}
	}
	return r
}

// loses notes a packet that is not tracked where others are translated: later
// ones of its connection count as new, and may be translated then.
func (w *walk) loses(p *packet) {
	if p.untracked && w.translates(p) {
		w.lost = true
		w.doubtful(Rule{Verdict: "other", Text: "what becomes of later packets of a connection that is not tracked, where others are translated"}, Chain{}, true)
	}
}

// refused is the end of a flow: for sure only if nothing before was unsure of
// where it leads.
func (w *walk) refused(r Reach, why string) Reach {
	r.Verdict, r.Why = Refused, why
	if w.lost {
		r.Verdict, r.Rule, r.Chain = Unsure, w.doubt, w.doubtWhere
	}
	if w.made.left <= 0 {
		r.Verdict, r.Why = Unsure, tooMuch
	}
	return r
}

// way takes a packet through the hooks; why is set when something else than a
// rule ends it.
func (w *walk) way(p *packet) (why string) {
	own := p.in == "" // a process of the host sends it
	if own {
		p.out = w.outCard(p)
		if p.out == "" {
			return "the host has no route there"
		}
		if !w.hook(p, "output") {
			return ""
		}
		if p.out = w.outCard(p); p.out == "" { // translation may have led it elsewhere
			return "the host has no route there"
		}
		if !w.hook(p, "postrouting") || p.out != "lo" {
			return ""
		}
		p.in, p.out = "lo", ""
	} else {
		a, b := p.src.Addr(), p.dst.Addr()
		if a.IsLoopback() || b.IsLoopback() || p.host.local(a) {
			return "an address of the host itself does not come in by a network card"
		}
		if !w.hook(p, "ingress") {
			return ""
		}
	}
	if !w.hook(p, "prerouting") {
		return ""
	}
	if p.host.local(p.dst.Addr()) {
		if !own && p.dst.Addr().IsLoopback() {
			return "what comes in by a network card is not led to the loopback"
		}
		w.hook(p, "input")
		return ""
	}
	if p.dst.Addr().Is4() && !p.host.Forwards4 || p.dst.Addr().Is6() && !p.host.Forwards6 {
		return "the host does not forward packets"
	}
	route, ok := p.host.route(p.dst.Addr())
	if !ok {
		return "the host has no route there"
	}
	if p.out = route.Card; w.hook(p, "forward") {
		w.hook(p, "postrouting")
	}
	return ""
}

func (w *walk) outCard(p *packet) string {
	if p.host.local(p.dst.Addr()) {
		return "lo"
	}
	r, _ := p.host.route(p.dst.Addr())
	return r.Card
}

// Priorities at which the kernel begins to track connections, and translates
// addresses of what comes and of what goes.
const (
	prioTracking    = -200
	prioTranslation = -100
	prioGoing       = 100
)

// hook takes a packet through the chains of one hook; false when it ends there.
func (w *walk) hook(p *packet, name string) bool {
	w.dropped = false
	state := p.state
	at := prioTranslation
	if name == "postrouting" || name == "input" {
		at = prioGoing
	}
	tracks := name == "prerouting" && p.in != "lo" || name == "output"
	chains := w.made.hooks[name]
	i := 0
	pass := func(until int) bool {
		for ; i < len(chains) && chains[i].Priority < until; i++ {
			c := chains[i]
			if c.Type == "nat" || !w.sees(c, p) {
				continue
			}
			p.state = state
			switch {
			case p.untracked:
				p.state = stateUntracked
			case tracks && c.Priority < prioTracking || name == "ingress":
				p.state = stateInvalid // nobody knows it yet
			}
			w.early = tracks && c.Priority < prioTracking
			p.blind = w.early && p.state == stateInvalid || p.untracked || name == "ingress"
			if !w.base(c, p) {
				return false
			}
		}
		return true
	}
	defer func() { p.state = state }()
	if name != "forward" && name != "ingress" {
		if !pass(at) || !w.translate(p, name) {
			return false
		}
	}
	return pass(math.MaxInt)
}

// sees reports whether a base chain is asked about a packet.
func (w *walk) sees(c *chain, p *packet) bool {
	if c.Family == "netdev" || c.Hook == "ingress" {
		return len(c.Devices) == 0 || named(c.Devices, p.in)
	}
	return Holds(c.Family, word(p.src.Addr().Is4(), "ip", "ip6"))
}

// base takes a packet through a base chain, its policy included.
func (w *walk) base(c *chain, p *packet) bool {
	w.packet = p
	w.hit, w.hitIn = Rule{}, Chain{}
	out := w.chain(c, 0)
	if out.falls {
		if c.Policy == "drop" || c.Policy == "reject" {
			out.drops = true
		} else {
			out.accepts = true
		}
	}
	if why := c.mayNotBeAsked(); why != "" && out.drops {
		out.accepts = true
		w.doubtful(Rule{Verdict: "other", Text: why}, c.Chain, true)
	}
	// What a person wants to know is the rule that lets the packet in, or that
	// ends its way.
	decides := c.Hook == "input" || c.Hook == "forward"
	if out.drops || decides && (w.hit.Verdict != "" || w.where.Name == "") {
		w.rule, w.where = w.hit, c.Chain
		if w.hit.Verdict != "" {
			w.where = w.hitIn
		}
	}
	if out.drops && out.accepts {
		w.unsure = true
		if w.doubt.Verdict == "" && w.doubt.Text == "" {
			w.doubtful(w.hit, w.where, true)
		}
		return true
	}
	w.dropped = out.drops
	return !out.drops
}

// translate does what the chains of type nat and what they once decided do to
// a packet at a hook.
func (w *walk) translate(p *packet, hook string) bool {
	if p.untracked {
		return true
	}
	coming := hook == "prerouting" || hook == "output"
	c := p.connection
	p.blind = false
	if p.first && (!coming || !c.translated) {
		var chosen *rule
		at := 0 // the priority of its chain
		for _, ch := range w.made.hooks[hook] {
			if ch.Type != "nat" || !w.sees(ch, p) || chosen != nil && ch.Priority != at {
				continue
			}
			w.nat, w.natSure = nil, true
			if !w.base(ch, p) {
				return false
			}
			switch {
			case w.nat == nil:
			case chosen != nil && chosen.Verdict+chosen.Target != w.nat.Verdict+w.nat.Target:
				// Which of two chains is asked first hangs on which was made first.
				w.natSure = false
				w.redirect(p, w.nat, coming)
			default:
				chosen, at = w.nat, ch.Priority
				w.redirect(p, chosen, coming)
			}
		}
		if coming {
			c.translated = true
		}
	}
	switch {
	case coming && !p.reply && c.newDst.IsValid():
		p.dst = c.newDst
	case coming && p.reply && c.newSrc.IsValid() && p.dst == c.newSrc:
		p.dst = c.src
	case !coming && !p.reply && c.newSrc.IsValid() && hook == "postrouting":
		p.src = c.newSrc
	case !coming && p.reply && c.newDst.IsValid():
		p.src = c.dst
	}
	return true
}

// redirect keeps what a rule of nat says of where the first packet goes, or
// whose address it goes on with.
func (w *walk) redirect(p *packet, r *rule, coming bool) {
	addr, port := r.nat.addr, r.nat.port
	was := p.dst
	switch {
	case !coming:
		if was = p.src; r.Verdict == "masquerade" {
			addr, _ = p.host.source(p.out, p.src.Addr().Is4())
		}
	case r.Verdict == "redirect" && p.in == "": // from the host itself
		addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if p.dst.Addr().Is6() {
			addr = netip.IPv6Loopback()
		}
	case r.Verdict == "redirect":
		addr, _ = p.host.source(p.in, p.dst.Addr().Is4())
	}
	if !addr.IsValid() {
		addr = was.Addr()
	}
	if port == 0 {
		port = was.Port()
	}
	if !r.nat.ok || !w.natSure || addr.Is4() != was.Addr().Is4() {
		w.lost = true
		w.doubtful(*r.Rule, w.where, true)
		return
	}
	if netip.AddrPortFrom(addr, port) == was {
		return // then the kernel counts it as not translated
	}
	if coming {
		p.connection.newDst = netip.AddrPortFrom(addr, port)
	} else if r.Verdict == "masquerade" || r.Verdict == "snat" {
		p.connection.newSrc = netip.AddrPortFrom(addr, port)
	}
}

// translates reports whether there is any chain that could translate a packet
// of the same family.
func (w *walk) translates(p *packet) bool {
	return slices.ContainsFunc(w.made.chains, func(c *chain) bool {
		return c.Type == "nat" && c.Hook != "" && len(c.rules) > 0 && w.sees(c, p)
	})
}

// Doubt names what an unsure answer hangs on.
func (r Reach) Doubt() string {
	if r.Why != "" {
		return r.Why
	}
	return r.Rule.Text
}
