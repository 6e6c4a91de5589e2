package check

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/fact"
	"picket/internal/core/ruleset"
)

// SSHPorts are the ports at which sshd listens; why is set when they are not known.
func SSHPorts(h *fact.Host) (ports []int, why string) {
	ports, _, why = sshPorts(h)
	return ports, why
}

// OwnRules are what the table of our own lets in: SSH, what the policy allows, and where it says nothing of ports all that
// is served to other hosts today. why is set when that is not known.
func OwnRules(h *fact.Host, p change.Policy) (rules ruleset.Own, why string) {
	if rules.SSH, why = SSHPorts(h); why != "" {
		return rules, why
	}
	if h.Sockets.State != fact.Known {
		return rules, "which ports are served is not known: " + cmp.Or(h.Sockets.Silent, h.Sockets.Why)
	}
	for _, s := range h.Sockets.Listening { // dropbear and the like
		if s.Proto == "tcp" && s.Exposed() && s.Service() == "SSH" && !slices.Contains(rules.SSH, s.Port) {
			rules.SSH = append(rules.SSH, s.Port)
		}
	}
	if p.SSHPort > 0 && !slices.Contains(rules.SSH, p.SSHPort) {
		rules.SSH = append(rules.SSH, p.SSHPort)
	}
	add := func(o ruleset.Opening) {
		if o.Proto == "tcp" && slices.Contains(rules.SSH, o.Port) && o.Card == "" {
			return
		}
		if o.Proto == "udp" && (o.Port == 68 || o.Port == 546) {
			return // always open
		}
		// One without a card or a sender is for all.
		if !slices.ContainsFunc(rules.Open, func(r ruleset.Opening) bool {
			return r.Proto == o.Proto && r.Port == o.Port && (r.Card == "" && r.From == "" || r.Card == o.Card && r.From == o.From)
		}) {
			rules.Open = append(rules.Open, o)
		}
	}
	var served []ruleset.Opening
	for _, s := range h.Sockets.Listening {
		if !s.Exposed() || s.Proto == "udp" && passing(s) || shutNow(h.Reach(s)) {
			continue
		}
		o := ruleset.Opening{Proto: s.Proto, Port: s.Port, Card: s.Iface, Why: cmp.Or(s.Process, s.Service(), kernelServes)}
		if zone := s.Addr.Zone(); o.Card == "" && zone != "" {
			o.Card = zone
		}
		served = append(served, o)
	}
	slices.SortStableFunc(served, func(a, b ruleset.Opening) int {
		return cmp.Or(cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Card, b.Card))
	})
	for _, a := range p.Ports {
		if why := badPort(a); why != "" {
			return rules, why
		}
		if a.Protocol == "tcp" && slices.Contains(rules.SSH, a.Number) {
			if a.From != "" {
				rules.SSHFrom = append(rules.SSHFrom, a.From)
			}
			continue
		}
		add(ruleset.Opening{Proto: a.Protocol, Port: a.Number, From: a.From, Why: "policy"})
	}
	for _, s := range served {
		if len(p.Ports) == 0 || aroundTheHost(h, s) {
			add(s)
		}
	}
	if len(p.Ports) > 0 { // containers and guests reach the host as before
		for _, card := range innerCards(h) {
			for _, s := range served {
				if s.Card == "" && !(s.Proto == "tcp" && slices.Contains(rules.SSH, s.Port)) {
					s.Card = card
					add(s)
				}
			}
		}
	}
	for _, one := range []struct{ unit, proto, why string }{
		{"keepalived.service", "vrrp", "keepalived"}, {"strongswan.service", "esp", "IPsec"}, {"strongswan-starter.service", "esp", "IPsec"}, {"ipsec.service", "esp", "IPsec"},
	} {
		if h.Units.Get(one.unit).Running() {
			proto := map[string]string{"vrrp": "112"}[one.proto]
			add(ruleset.Opening{Proto: cmp.Or(proto, one.proto), Why: one.why})
		}
	}
	return rules, ""
}

// shutNow reports whether a rule refuses a port to all others already.
func shutNow(e fact.Exposed) bool {
	return e.Network.Asked && e.Network.Reached == fact.Nobody && e.Network.Why == "" && (!e.VPN.Asked || e.VPN.Reached == fact.Nobody)
}

// kernelServes is who serves a port that no process has.
const kernelServes = "the kernel"

// passing are sockets of programs that ask others, at a port that is another tomorrow.
func passing(s fact.Socket) bool {
	return s.Port >= 32768 && slices.Contains([]string{"avahi-daemon", "systemd-timesyn", "systemd-timesyncd", "systemd-resolve", "systemd-network", "dhclient", "dhcpcd", "dnsmasq", "chronyd", "ntpd", "NetworkManager", "snmpd"}, s.Process)
}

// aroundTheHost are services that stay reachable whatever the policy says of ports: its name on the network, the ends of
// private networks by which somebody may be logged in, and what the clients of its access point need to come on.
func aroundTheHost(h *fact.Host, o ruleset.Opening) bool {
	private := func(card string) bool {
		return slices.ContainsFunc(h.Network.Addresses, func(a fact.Address) bool { return strings.HasPrefix(a.Iface, card) })
	}
	switch {
	case o.Proto == "udp" && o.Port == 5353 && o.Why == "avahi-daemon",
		slices.Contains([]string{"openvpn", "tailscaled", "zerotier-one", "nebula", "charon", "WireGuard"}, o.Why),
		o.Proto == "udp" && o.Why == kernelServes && private("wg"):
		return true
	}
	dhcp := slices.ContainsFunc(h.Sockets.Listening, func(s fact.Socket) bool {
		return s.Proto == "udp" && s.Port == 67 && s.Exposed() && s.Process == o.Why
	})
	return dhcp && (o.Port == 67 || o.Port == 547 || o.Port == 53)
}

// innerCards are those of containers and guests, as nft names them.
func innerCards(h *fact.Host) (out []string) {
	for _, a := range h.Network.Addresses {
		name := a.Iface
		if name == "lo" || ruleset.NetworkCard(name) || slices.ContainsFunc([]string{"tailscale", "wg", "zt", "tun", "tap"}, func(p string) bool { return strings.HasPrefix(name, p) }) {
			continue
		}
		if strings.HasPrefix(name, "br-") { // one for each network of containers, and some later
			name = "br-*"
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// badPort says what of a port of the policy nft would not read.
func badPort(p change.Port) string {
	_, err := netip.ParsePrefix(p.From)
	if _, one := netip.ParseAddr(p.From); p.From != "" && err != nil && one != nil {
		return fmt.Sprintf("policy.ports: %q is no address or network", p.From)
	}
	if p.Number < 1 || p.Number > 65535 || p.Protocol != "tcp" && p.Protocol != "udp" {
		return fmt.Sprintf("policy.ports: %d/%s is no port", p.Number, p.Protocol)
	}
	return ""
}

// stands reports whether there are rules of our own that do what they are for: then they are loaded as they are, since
// somebody may have changed them. shut is what they would shut that is to stay open.
func stands(h *fact.Host, want ruleset.Own) (shut string, ok bool) {
	m, ours := h.Firewall.Manager("picket")
	if !ours || m.Rules.State != fact.Known {
		return "", false
	}
	for _, family := range []string{"ip", "ip6"} {
		if v := m.Rules.Denies(family); !v.Known() || !v.V {
			return "", false
		}
		for _, p := range want.SSH {
			if _, limited := m.Rules.Limited(family, p); !limited {
				return "", false
			}
		}
	}
	var all []string
	for _, o := range want.Open {
		if o.Port > 0 && !m.Rules.Ask(ruleset.Packet{Family: "ip", Proto: o.Proto, Port: o.Port, Card: strings.TrimSuffix(o.Card, "*"), Anybody: o.From != ""}).Accept {
			all = append(all, o.String()+" "+o.Why)
		}
	}
	return strings.Join(all, ", "), m.Rules.Ask(ruleset.Packet{Family: "ip", Proto: "tcp", Port: 5432, Loopback: true}).Accept
}
