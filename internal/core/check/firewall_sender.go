package check

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/ruleset"
)

// A sender takes the port that it sends from as it likes. usualPort is one
// that no rule is about; farPort is a port that nobody opens.
const (
	usualPort = 50_123
	farPort   = 40_917
)

// senderPorts finds rules that look at the sender's port where the host's own
// was meant: T3.
func senderPorts(h *fact.Host) control.Outcome {
	f := h.Firewall
	if f.Running.State != fact.Known && f.NextBoot.State != fact.Known {
		return control.Missing(f.Running.Denies("ip"))
	}
	o := control.Outcome{Explicit: control.Yes}
	var first, firstNext string
	judge := func(r fact.Ruleset, when string, first *string) control.Tri {
		if r.State != fact.Known {
			return control.Untold
		}
		found := control.Yes
		for _, c := range r.Chains {
			if c.Type == "nat" || c.Hook != "" && c.Hook != "input" {
				continue
			}
			for _, rule := range c.Rules {
				what, wanted := wrongPort(h, r, c, rule)
				if what == "" {
					continue
				}
				found = control.No
				o = o.With(control.Saw("rule"+when, rule.Place, rule.Text, wanted))
				if *first == "" {
					*first = what
				}
			}
		}
		return found
	}
	o.Effective = judge(f.Running, "", &first)
	o.Persistent = judge(f.NextBoot, ", after a reboot", &firstNext)
	o.Configured = control.Yes // a rule that does not do what it says
	switch {
	case o.Effective == control.Untold && h.Snap.Source.Kind != "image":
		return control.Missing(f.Running.Denies("ip"))
	case o.Effective == control.No:
		return o.Judge().Because("%s", first)
	case o.Persistent == control.No:
		return o.Judge().Because("after the next reboot: %s", firstNext)
	case f.NextBoot.State != fact.Known:
		return control.Missing(f.NextBoot.Denies("ip"))
	case f.Running.Rules()+f.NextBoot.Rules() == 0:
		return control.DoesNotApply("the firewall has no rules")
	}
	return o.Judge().Because("no rule looks at the sender's port where that of this host was meant")
}

// wrongPort says what a rule about the sender's port leads to; "" where it does
// what it may be meant for.
func wrongPort(h *fact.Host, r fact.Ruleset, c ruleset.Chain, rule ruleset.Rule) (what, wanted string) {
	sport, ok := rule.Match("sport")
	if _, both := rule.Match("dport"); !ok || sport.Not || both {
		return "", ""
	}
	if p, ok := rule.Match("proto"); ok && !slices.Contains(p.Values, "tcp") {
		return "", "" // answers of DNS and of time servers, from before connections were tracked
	}
	if s, ok := rule.Match("state"); ok && slices.Contains(s.Values, "new") == s.Not {
		return "", ""
	}
	kernel, card, own, stranger := standpoint(h, c.Family)
	if s, ok := rule.Match("saddr"); ok {
		if s.Not || len(s.Values) == 0 {
			return "", ""
		}
		p, err := netip.ParsePrefix(s.Values[0])
		if err != nil {
			a, err := netip.ParseAddr(s.Values[0])
			if err != nil {
				return "", ""
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		if stranger = p.Addr(); p.Bits() < p.Addr().BitLen() {
			stranger = stranger.Next()
		}
	}
	if stranger.Is4() != own.Is4() {
		return "", ""
	}
	connect := func(from, to int) ruleset.Verdict {
		return r.Connect(kernel, ruleset.Flow{Card: card, TCP: true,
			Src: netip.AddrPortFrom(stranger, uint16(from)), Dst: netip.AddrPortFrom(own, uint16(to))}).Verdict
	}
	who := "everybody"
	if s, ok := rule.Match("saddr"); ok {
		who = strings.TrimSuffix(strings.Join(s.Values, ", "), "/32")
	}
	for _, v := range sport.Values {
		port, err := strconv.Atoi(v)
		if err != nil || port <= 0 || port > 65535 {
			continue
		}
		switch rule.Verdict {
		case "drop", "reject":
			if connect(usualPort, port) == ruleset.Arrives {
				return fmt.Sprintf("a rule is to refuse port %d to %s and refuses what is sent from port %d: port %d stays open", port, who, port, port),
					fmt.Sprintf("a rule about the destination port: ufw deny from %s to any port %d", anyone(who), port)
			}
		case "accept":
			if connect(port, farPort) == ruleset.Arrives && connect(usualPort, farPort) == ruleset.Refused {
				return fmt.Sprintf("a rule lets in whatever %s sends from port %d: to every port of this host", who, port),
					fmt.Sprintf("a rule about the destination port: ufw allow from %s to any port %d", anyone(who), port)
			}
		}
	}
	return "", ""
}

func anyone(who string) string {
	if who == "everybody" {
		return "any"
	}
	return who
}

// standpoint is where packets of a family come in: the host's own network, or,
// where it is not known, any.
func standpoint(h *fact.Host, family string) (kernel *ruleset.Host, card string, own, stranger netip.Addr) {
	kernel = h.Network.Kernel()
	for _, a := range h.Network.Addresses {
		if a.Iface != "lo" && ruleset.NetworkCard(a.Iface) && a.Addr.Addr().Is4() == (family != "ip6") {
			card, own = a.Iface, a.Addr.Addr()
			break
		}
	}
	stranger = netip.MustParseAddr("198.51.100.77")
	if family == "ip6" {
		stranger = netip.MustParseAddr("2001:db8:ffff::77")
	}
	if card == "" {
		card, own = "eth0", netip.MustParseAddr("192.0.2.1")
		if family == "ip6" {
			own = netip.MustParseAddr("2001:db8::1")
		}
		kernel.Addrs = append(kernel.Addrs, ruleset.CardAddr{Card: card, Addr: netip.PrefixFrom(own, 24)})
		kernel.Routes = append(kernel.Routes, ruleset.Route{To: netip.PrefixFrom(stranger, 0).Masked(), Card: card})
	}
	return kernel, card, own, stranger
}
