package check

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/fact"
	"picket/internal/core/ruleset"
)

var firewallRepairs = map[string]repair{
	"firewall.default-deny": func(h *fact.Host, d *change.Draft) error {
		return ownFirewall(h, d, "sudo ufw default deny incoming && sudo ufw enable")
	},
	"firewall.default-deny-ipv6": func(h *fact.Host, d *change.Draft) error {
		return ownFirewall(h, d, "IPV6=yes in /etc/default/ufw, then: sudo ufw default deny incoming && sudo ufw reload")
	},
	"firewall.loopback": func(h *fact.Host, d *change.Draft) error {
		return withOwnFirewall(h, d, "sudo ufw reload")
	},
	"firewall.persist": func(h *fact.Host, d *change.Draft) error {
		return withOwnFirewall(h, d, "sudo ufw reload")
	},
	"firewall.ssh-rate-limit": func(h *fact.Host, d *change.Draft) error {
		ports, _, _ := sshPorts(h)
		var limits []string
		for _, p := range ports {
			limits = append(limits, "sudo ufw limit "+strconv.Itoa(p)+"/tcp")
		}
		return withOwnFirewall(h, d, strings.Join(limits, " && "))
	},
	"firewall.sender-port": func(_ *fact.Host, d *change.Draft) error {
		d.Leave("what the rule was meant for only its writer knows: sudo ufw status numbered, then insert one with `to any port` and delete this one by its number")
		return nil
	},
}

const (
	firewallFile = "/etc/picket/firewall.nft"
	firewallUnit = "picket-firewall.service"
	firewallHead = "#!/usr/sbin/nft -f\n" + change.Head +
		"# It is loaded by " + firewallUnit + ". All rules but those of this table are somebody else's and stay as they are.\n"
	// It is there before any card has an address. Where the rules of nftables.conf are loaded as well, they come first, as they
	// take everything away that was there.
	firewallService = change.Head + `[Unit]
Description=Packet filter: the table inet picket of ` + firewallFile + `
Wants=network-pre.target
Before=network-pre.target shutdown.target
After=nftables.service
Conflicts=shutdown.target
DefaultDependencies=no
RequiresMountsFor=` + firewallFile + `

[Service]
Type=oneshot
RemainAfterExit=yes
StandardInput=null
ExecStart=/usr/sbin/nft -f ` + firewallFile + `
ExecReload=/usr/sbin/nft -f ` + firewallFile + `
ExecStop=-/usr/sbin/nft delete table inet picket
CapabilityBoundingSet=CAP_NET_ADMIN
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
ProtectControlGroups=yes
ProtectKernelLogs=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_NETLINK AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
UMask=0077

[Install]
WantedBy=sysinit.target
`
	// Going back, the file is gone and the table is not, as the unit that would take it away is gone too.
	firewallGone = "[ -e " + firewallFile + " ] || ! nft list table inet picket >/dev/null 2>&1 || nft delete table inet picket"
)

// ownFirewall has the host load the table of our own, unless somebody else is in charge of the rules.
func ownFirewall(h *fact.Host, d *change.Draft, ufw string) error {
	if why := firewallOfOthers(h, ufw); why != "" {
		d.Leave("%s", why)
		return nil
	}
	rules, why := OwnRules(h, d.Policy())
	if why != "" {
		d.Leave("%s", why)
		return nil
	}
	if !h.Packages.Has("nftables").V {
		d.Do(change.Install, "packages", "nftables")
	}
	switch shuts, stand := stands(h, rules); {
	case shuts != "":
		d.Leave("the rules in %s stand, and shut what is reached now: %s. Where that is meant: sudo systemctl enable --now %s. Else take the file away, and plan anew", firewallFile, shuts, firewallUnit)
		return nil
	case !stand:
		if err := d.Write(firewallFile, 0o644, firewallHead+rules.Text()); err != nil {
			return err
		}
	}
	if err := d.Write("/etc/systemd/system/"+firewallUnit, 0o644, firewallService); err != nil {
		return err
	}
	acts := []string{"enable", "start"}
	if h.Units.Get(firewallUnit).Running() {
		acts = []string{"enable", "reload"}
	}
	d.Do(change.Unit, firewallUnit, acts...)
	d.Do(change.Act, firewallGone)
	return nil
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

// withOwnFirewall is for what our own table does besides: on its own it is no reason to have one.
func withOwnFirewall(h *fact.Host, d *change.Draft, ufw string) error {
	_, ours := h.Firewall.Manager("picket")
	if !ours && !d.Touches(firewallFile) {
		why := firewallOfOthers(h, ufw)
		d.Leave("%s", cmp.Or(why, "it comes with Picket's own rules, see firewall/default-deny: apply that, and this is done as well"))
		return nil
	}
	return ownFirewall(h, d, ufw)
}

// firewallOfOthers says who else is in charge of the rules, with what to type there; "" where nobody is.
func firewallOfOthers(h *fact.Host, ufw string) string {
	f := h.Firewall
	for _, m := range f.Managers {
		on := m.AtBoot()
		switch {
		case m.Name == "picket", on.State == fact.Absent, on.Known() && !on.V:
			continue
		case !on.Known():
			return "whether " + m.Name + " loads rules is not known: " + on.Why
		}
		switch m.Name {
		case "ufw":
			return "ufw is in charge of the rules; with the ports that are to stay open allowed first (sudo ufw allow PORT/tcp): " + ufw
		case "firewalld":
			return "firewalld is in charge of the rules: sudo firewall-cmd --get-active-zones, then --set-target=DROP and --add-service=ssh for the zone, with --permanent"
		}
		return m.Name + " is in charge of the rules (" + m.Rules.Place.String() + "): the change belongs there"
	}
	if f.Running.State != fact.Known {
		return "the rules in the kernel are not known: " + f.Running.Why
	}
	for _, c := range f.Running.Chains {
		if c.Hook != "input" || c.Type != "filter" || !shuts(f.Running.Filter, c, 0) {
			continue
		}
		return "somebody else has loaded rules (" + c.String() + "), and what loads them is not known: Picket lays none of its own over them"
	}
	if own := ownLoader(h); own != "" {
		return own + " may load rules, which Picket does not read: it lays none of its own over them"
	}
	return ""
}

// Tables and chains of programs that shut out or forward, and leave the rest to others.
var (
	knownTables = []string{"picket", "f2b-table", "crowdsec", "crowdsec6", "netavark", "libvirt_network", "lxd", "incus", "docker-bridges"}
	knownJumps  = []string{"f2b-", "ts-", "DOCKER", "KUBE-", "cali-", "LIBVIRT_", "CNI-", "CROWDSEC"}
)

// shuts reports whether a chain for incoming packets refuses some, and is of no program that Picket's rules can stand
// beside. A firewall that was switched off may leave chains that do nothing.
func shuts(f ruleset.Filter, c ruleset.Chain, depth int) bool {
	if slices.Contains(knownTables, c.Table) {
		return false
	}
	return c.Policy == "drop" || slices.ContainsFunc(c.Rules, func(r ruleset.Rule) bool {
		switch r.Verdict {
		case "", "accept", "return":
			return false
		case "jump", "goto":
			to, ok := f.Chain(c.Family, c.Table, r.Target, c.Legacy)
			return !slices.ContainsFunc(knownJumps, func(p string) bool { return strings.HasPrefix(r.Target, p) }) && (!ok || depth > 20 || shuts(f, to, depth+1))
		}
		return true
	})
}

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
