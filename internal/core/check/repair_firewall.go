package check

import (
	"cmp"
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
