package fact

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/ruleset"
)

// Reached says whether somebody reaches a port.
type Reached uint8

// How a port is reached. The order is that of what a person should hear first.
const (
	NotKnown Reached = iota
	Nobody           // nobody of those who were asked about
	Some             // only senders that a rule names
	Limited          // everybody, a few times a minute
	Everybody
)

var reachedWords = [...]string{"unknown", "no", "some", "limited", "yes"}

func (r Reached) String() string { return reachedWords[r] }

// An Exposed port is one that listens, or that a rule forwards, and from where
// the kernel lets it be reached.
type Exposed struct {
	Socket
	// Forwarded is where a rule leads the port, as Docker does for a container;
	// "" where the socket itself answers.
	Forwarded string
	Host      Reach // from the host itself
	VPN       Reach // from a private network laid over others: Tailscale, WireGuard
	Network   Reach // from the networks that its cards are in
	// Anywhere is from all over the Internet, as far as the host's own rules
	// say; Public is whether it has a public address that such packets can be sent to. Where
	// it has none a router has to forward the port.
	Anywhere Reach
	Public   bool
	// Stranger is from whoever no rule names, by whichever of its cards: a
	// neighbour is none where a rule lets the whole network in.
	Stranger Reach
	// Local is whether it is for the host alone, whatever the rules: it listens on
	// the loopback, or on no address that a network card has.
	Local bool
}

// Reach is what the rules say of one kind of sender.
type Reach struct {
	Reached Reached
	Asked   bool         // there are such senders
	From    []string     // of Some: who
	By      ruleset.Rule // that decided; where it has no text a policy did, or Why says what
	Chain   ruleset.Chain
	Why     string
}

// Rule is what decided, in words.
func (r Reach) Rule() string {
	switch {
	case r.Why != "":
		return r.Why
	case r.By.Text != "":
		return r.By.Text
	case r.Chain.Name != "":
		return "the policy of " + r.Chain.String() + " is " + r.Chain.Policy
	}
	return "no rule is about it"
}

// maxAsked bounds the senders that are tried for one port.
const maxAsked = 24

// Exposure is every port that listens or is forwarded, and who reaches it.
// What is not known of the firewall or the network is said port by port.
func (h *Host) Exposure() []Exposed {
	if h.exposed != nil {
		return h.exposed
	}
	q := newExposureQuestion(h)
	out := []Exposed{}
	for _, s := range h.Sockets.Listening {
		out = append(out, q.ask(s))
	}
	for _, s := range q.forwards {
		if !slices.ContainsFunc(h.Sockets.Listening, func(l Socket) bool { return l.Port == s.Port && l.Proto == s.Proto }) {
			e := q.ask(s.Socket)
			e.Forwarded = cmp.Or(e.Forwarded, s.to)
			out = append(out, e)
		}
	}
	h.exposed = out
	return out
}

// Reach is who reaches one of the sockets that listen.
func (h *Host) Reach(s Socket) Exposed {
	i := slices.IndexFunc(h.Exposure(), func(e Exposed) bool {
		return e.Proto == s.Proto && e.Addr == s.Addr && e.Port == s.Port && e.Iface == s.Iface
	})
	if i < 0 {
		return Exposed{Socket: s}
	}
	return h.exposed[i]
}

type exposureQuestion struct {
	h        *Host
	why      string // nothing can be said
	host     *ruleset.Host
	rules    ruleset.Filter
	cards    []exposureCard
	ports    []uint16 // senders' ports: a usual one, and those that rules name
	named    []netip.Prefix
	forwards []forwardedPort
}

// An exposureCard is an address of the host on one of its networks.
type exposureCard struct {
	name    string
	addr    netip.Prefix
	vpn     bool
	gateway bool // the way to the Internet leads by it
}

func newExposureQuestion(h *Host) *exposureQuestion {
	q := &exposureQuestion{h: h, rules: h.Firewall.Running.Filter, ports: []uint16{50_000}}
	n := h.Network
	switch {
	case h.Firewall.Running.State != Known:
		q.why = "the firewall's rules are not known: " + h.Firewall.Running.Why
	case n.State != Known:
		q.why = "the host's addresses are not known: " + cmp.Or(n.Why, "there is no `ip`")
	case n.RoutesWhy != "":
		q.why = "the host's routes are not known: " + n.RoutesWhy
	}
	q.host = n.Kernel()
	for _, a := range n.Addresses {
		c := exposureCard{name: a.Iface, addr: a.Addr, vpn: overlay(a.Iface)}
		c.gateway = slices.ContainsFunc(n.Routes, func(r Route) bool {
			return r.Gateway && r.To.Bits() == 0 && r.Iface == a.Iface && r.To.Addr().Is4() == a.Addr.Addr().Is4()
		})
		if a.Iface != "lo" && (c.vpn || ruleset.NetworkCard(a.Iface)) {
			q.cards = append(q.cards, c)
		}
	}
	for _, p := range q.rules.SenderPorts() {
		q.ports = append(q.ports, uint16(p))
	}
	q.named = q.rules.Senders()
	q.forwards = forwardedPorts(q.rules)
	return q
}

// Kernel is what the kernel knows of the network besides its rules. Where it is
// not known whether packets are passed on, they may be.
func (n Network) Kernel() *ruleset.Host {
	h := &ruleset.Host{Forwards4: !n.Forwards4.Known() || n.Forwards4.V, Forwards6: !n.Forwards6.Known() || n.Forwards6.V}
	for _, a := range n.Addresses {
		h.Addrs = append(h.Addrs, ruleset.CardAddr{Card: a.Iface, Addr: a.Addr})
	}
	for _, r := range n.Routes {
		h.Routes = append(h.Routes, ruleset.Route{To: r.To, Card: r.Iface})
	}
	return h
}

// overlay reports whether a card is the end of a private network laid over
// others.
func overlay(card string) bool {
	return slices.ContainsFunc([]string{"tailscale", "wg", "zt", "nebula"}, func(p string) bool { return strings.HasPrefix(card, p) })
}

func (q *exposureQuestion) ask(s Socket) Exposed {
	e := Exposed{Socket: s}
	e.Host.Asked = true
	e.Local = !s.Exposed()
	if q.why != "" {
		for _, r := range []*Reach{&e.Host, &e.Network, &e.Anywhere, &e.Stranger} {
			*r = Reach{Asked: true, Why: q.why}
		}
		if e.Local {
			e.Network, e.Anywhere, e.Stranger = onlyHere, onlyHere, onlyHere
		}
		return e
	}
	for _, to := range q.local(s) {
		e.Host.join(q.try(&e, "", []netip.Addr{to}, to))
	}
	if e.Local {
		e.Network, e.Anywhere, e.Stranger = onlyHere, onlyHere, onlyHere
		return e
	}
	for _, c := range q.cards {
		a := c.addr.Addr()
		if !s.hears(c) {
			continue
		}
		near, far := q.senders(c)
		reach := q.try(&e, c.name, near, a)
		if c.vpn {
			e.VPN.join(reach)
			continue
		}
		e.Network.join(reach)
		e.Stranger.join(q.try(&e, c.name, far[:min(len(far), 1)], a))
		if c.gateway && !a.IsLinkLocalUnicast() {
			public := Public(a)
			if e.Public && !public {
				continue
			}
			if public && !e.Public {
				e.Public, e.Anywhere = true, Reach{}
			}
			e.Anywhere.join(q.try(&e, c.name, far, a))
		}
	}
	e.Local = !e.Network.Asked && !e.VPN.Asked
	for _, r := range []*Reach{&e.Network, &e.Anywhere, &e.Stranger} {
		if !r.Asked {
			*r = Reach{Asked: true, Reached: Nobody, Why: "it listens on no address of a card that leads there"}
		}
	}
	return e
}

// Public reports whether an address is one of the Internet's.
func Public(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !tailnet.Contains(a) &&
		!slices.ContainsFunc(nobodys, func(p netip.Prefix) bool { return p.Contains(a) })
}

// nobodys are addresses for examples and measurements.
var nobodys = []netip.Prefix{
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("2001:db8::/32"),
}

// onlyHere is the reach of what listens on the loopback.
var onlyHere = Reach{Asked: true, Reached: Nobody, Why: "it listens on the loopback only"}

// hears reports whether packets to the address of a card come to the socket.
func (s Socket) hears(c exposureCard) bool {
	a := s.Addr.Unmap().WithZone("")
	switch {
	case s.Iface != "" && s.Iface != c.name:
		return false
	case s.Addr.IsUnspecified() && s.Addr.Is6():
		return c.addr.Addr().Is6() || s.Both
	case a.IsUnspecified():
		return c.addr.Addr().Is4()
	case a.IsMulticast():
		return a.Is4() == c.addr.Addr().Is4()
	}
	return a == c.addr.Addr()
}

// local are the addresses at which the host itself reaches the socket.
func (q *exposureQuestion) local(s Socket) []netip.Addr {
	a := s.Addr.Unmap().WithZone("")
	switch {
	case a.IsMulticast():
		return nil
	case !a.IsUnspecified():
		return []netip.Addr{a}
	case a.Is4() || s.Both:
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	}
	return []netip.Addr{netip.IPv6Loopback()}
}

// senders by a card: first a neighbour, or a stranger, whom no rule names; then
// those who are named.
func (q *exposureQuestion) senders(c exposureCard) (near, far []netip.Addr) {
	net := c.addr.Masked()
	own := func(a netip.Addr) bool {
		return slices.ContainsFunc(q.host.Addrs, func(o ruleset.CardAddr) bool { return o.Addr.Addr() == a })
	}
	named := func(a netip.Addr) bool {
		return slices.ContainsFunc(q.named, func(p netip.Prefix) bool { return p.Bits() > net.Bits() && p.Contains(a) })
	}
	a := net.Addr().Next()
	for i := 0; i < 200 && net.Contains(a) && (own(a) || named(a)); i++ {
		a = a.Next()
	}
	if net.Contains(a) && !own(a) && !named(a) {
		near = append(near, a)
	} else if net.Bits() == net.Addr().BitLen() { // a point-to-point card, as of a tailnet
		near = append(near, net.Addr().Prev())
	}
	strangers := []string{"93.184.216.34", "151.101.1.69", "203.0.113.77", "8.8.4.4"}
	if c.addr.Addr().Is6() {
		strangers = []string{"2600:1f18::77", "2a00:1450:4001::77", "2400:cb00::77"}
	}
	for _, s := range strangers {
		if a := netip.MustParseAddr(s); !slices.ContainsFunc(q.named, func(p netip.Prefix) bool { return p.Bits() > 7 && p.Contains(a) }) {
			far = append(far, a)
			break
		}
	}
	for _, p := range q.named {
		one := p.Addr()
		for i := 0; i < 4 && (own(one) || p.Bits() < one.BitLen() && one == p.Addr()); i++ { // not the network's own address
			one = one.Next()
		}
		if one.Is4() != c.addr.Addr().Is4() || own(one) || one.IsUnspecified() || one.IsLoopback() || one.IsMulticast() || len(near)+len(far) > maxAsked {
			continue
		}
		if net.Contains(one) {
			near = append(near, one)
		} else {
			far = append(far, one)
		}
	}
	return near, far
}

// try asks about senders, the first of which stands for all whom no rule
// names.
func (q *exposureQuestion) try(e *Exposed, card string, from []netip.Addr, to netip.Addr) Reach {
	out := Reach{Asked: len(from) > 0}
	for i, a := range from {
		var best Reach
		for j, port := range q.ports {
			if card == "" && j > 0 {
				break
			}
			r := q.rules.Connect(q.host, ruleset.Flow{
				Card: card, TCP: e.Proto == "tcp", Src: netip.AddrPortFrom(a, port), Dst: netip.AddrPortFrom(to, uint16(e.Port)),
			})
			one := Reach{Asked: true, By: r.Rule, Chain: r.Chain, Why: r.Why}
			switch {
			case r.Verdict == ruleset.Arrives:
				if one.Reached = Everybody; r.To.Addr() != to || int(r.To.Port()) != e.Port {
					e.Forwarded = r.To.String()
				}
			case r.Verdict == ruleset.Unsure && r.Limited:
				one.Reached = Limited
			case r.Verdict == ruleset.Unsure:
				one.Reached, one.Why = NotKnown, "it hangs on what Picket does not read: "+r.Doubt()
			default:
				one.Reached = Nobody
				if r.Answer {
					one.Why = "its answers are refused: " + cmp.Or(r.Rule.Text, "the policy of "+r.Chain.String())
				}
			}
			if j == 0 || one.Reached > best.Reached {
				if best = one; j > 0 && one.Reached > Nobody {
					best.Why = "whoever sends from port " + strconv.Itoa(int(port)) + " comes in: " + one.Rule()
				}
			}
		}
		switch {
		case i == 0:
			out = best
			if best.Reached >= Limited {
				return out
			}
		case best.Reached >= Limited && out.Reached != NotKnown:
			if out.Reached != Some {
				out = best
				out.Reached, out.From = Some, nil
			}
			out.From = append(out.From, a.String())
		}
	}
	return out
}

// join keeps the widest of what several cards let in; what is not known of one
// is not known, unless everybody comes in by another.
func (r *Reach) join(o Reach) {
	switch {
	case !o.Asked:
	case !r.Asked, o.Reached >= Limited && o.Reached > r.Reached:
		*r = o
	case r.Reached >= Limited:
	case o.Reached == NotKnown:
		*r = o
	case r.Reached != NotKnown && o.Reached > r.Reached:
		*r = o
	}
}

// A forwardedPort is led elsewhere by a rule.
type forwardedPort struct {
	Socket
	to string
}

// forwardedPorts are ports that rules lead elsewhere, whether anything listens
// on them or not.
func forwardedPorts(f ruleset.Filter) []forwardedPort {
	var out []forwardedPort
	for _, c := range f.Chains {
		for _, r := range c.Rules {
			port, ok := r.Match("dport")
			if r.Verdict != "dnat" && r.Verdict != "redirect" || !ok || port.Not || len(out) > maxSockets {
				continue
			}
			if to, ok := r.Match("daddr"); ok && slices.ContainsFunc(to.Values, func(v string) bool { return strings.HasPrefix(v, "127.") }) {
				continue
			}
			any := netip.IPv4Unspecified()
			if c.Family == "ip6" {
				any = netip.IPv6Unspecified()
			}
			proto := "tcp"
			if p, ok := r.Match("proto"); ok && slices.Contains(p.Values, "udp") {
				proto = "udp"
			}
			for _, v := range port.Values {
				n, err := strconv.Atoi(v)
				s := Socket{Proto: proto, Addr: any, Port: n, Place: r.Place,
					User: Not[string](Absent, ""), Unit: Not[string](Absent, "")}
				if err == nil && n > 0 && n < 65536 && !slices.ContainsFunc(out, func(o forwardedPort) bool { return o.Port == n && o.Proto == proto && o.Addr == any }) {
					out = append(out, forwardedPort{s, r.Target})
				}
			}
		}
	}
	return out
}
