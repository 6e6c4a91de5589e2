package check

import (
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/ruleset"
)

var firewallChecks = []Check{
	{"firewall.default-deny", func(h *fact.Host) control.Outcome { return defaultDeny(h, "ip") },
		"the rules in the kernel (`nft -j list ruleset`, `iptables-save`) and those that the next boot loads (/etc/nftables.conf, /etc/default/ufw, /etc/iptables)"},
	{"firewall.default-deny-ipv6", defaultDeny6,
		"the rules in the kernel (`nft -j list ruleset`, `ip6tables-save`) and those that the next boot loads (/etc/nftables.conf, /etc/default/ufw, /etc/iptables)"},
	{"firewall.one-manager", oneManager,
		"which of ufw (/etc/ufw/ufw.conf), nftables (/etc/nftables.conf), iptables-persistent (/etc/iptables) and firewalld start at boot"},
	{"firewall.loopback", firewallLoopback,
		"the rules for lo in the kernel (`nft -j list ruleset`, `iptables-save`)"},
	{"firewall.ssh-allowed", sshAllowed,
		"what the rules (`nft -j list ruleset`, /etc/default/ufw, /etc/nftables.conf, /etc/iptables) do with a connection to the ports of sshd (`ss -Hltunpe`, /etc/ssh/sshd_config)"},
	{"firewall.ssh-rate-limit", sshRateLimit,
		"limits in the rules for the ports of sshd (`nft -j list ruleset`, `iptables-save`, /etc/ufw/user.rules)"},
	{"firewall.persist", firewallPersist,
		"the rules in the kernel (`nft -j list ruleset`, `iptables-save`) against what the next boot loads"},
	{"firewall.sender-port", senderPorts,
		"rules about the port that a packet is sent from, in the kernel (`nft -j list ruleset`, `iptables-save`) and in what the next boot loads, and whether the port of the same number is open"},
	{"firewall.docker-published", dockerPublished,
		"Docker's own rules in the kernel (`iptables-save`, `nft -j list ruleset`), and the ports that compose files publish"},
}

var familyName = map[string]string{"ip": "IPv4", "ip6": "IPv6"}

func defaultDeny6(h *fact.Host) control.Outcome {
	if v := h.Network.IPv6; v.Known() && !v.V {
		return control.DoesNotApply("this host has no IPv6 address but the loopback's").
			With(control.Saw("IPv6 addresses", v.Place, "none", ""))
	}
	return defaultDeny(h, "ip6")
}

// defaultDeny judges what happens to a connection that no rule names.
func defaultDeny(h *fact.Host, family string) control.Outcome {
	f := h.Firewall
	now, next := f.Running.Denies(family), f.NextBoot.Denies(family)
	o := control.Outcome{Effective: triOf(now), Persistent: triOf(next), Explicit: control.Yes}
	if o.Persistent == control.No && o.Effective == control.Yes && ownLoader(h) != "" {
		o.Persistent = control.Untold
	}
	o.Configured = control.TriOf(next.Known() && next.V)
	what := "a new " + familyName[family] + " connection that no rule names"
	if now.Known() {
		o = o.With(control.Saw(what, now.Place, word(now.V, "refused", "accepted"), "refused"))
	}
	if next.Known() {
		o = o.With(control.Saw(what+", after a reboot", placeOr(next.Place, "/etc/nftables.conf, /etc/ufw, /etc/iptables"), word(next.V, "refused", "accepted"), "refused"))
	}
	meant := meantToFilter(f, family)
	if meant.Name != "" {
		o.Configured = control.Yes
	}
	o = o.Judge()
	if o.Effective == control.Untold && h.Snap.Source.Kind != "image" {
		o.Verdict = control.Unknown
	}
	if o.Effective == control.Yes && o.Persistent == control.No && h.Units.Silent {
		return control.CannotTell("what loads the rules at boot is not known: "+h.Units.Why, o.Evidence...)
	}
	hidden := o.Effective == control.Yes && next.State == fact.Denied
	switch {
	case o.Verdict == control.Unknown, hidden:
		v := now
		if h.Snap.Source.Kind == "image" || hidden {
			v = next
		}
		return control.CannotTell(control.Missing(v).Reason, o.Evidence...)
	case o.Verdict == control.Pass && o.Effective == control.Untold:
		return o.Because("the next boot refuses every %s connection that no rule names (whether it is refused now is not known)", familyName[family])
	case o.Verdict == control.Pass && o.Persistent == control.Untold:
		why := next.Why
		if loader := ownLoader(h); loader != "" {
			why = loader + " may load the rules, which Picket does not read"
		}
		return o.Because("every %s connection that no rule names is refused; whether that holds after a reboot is not known: %s", familyName[family], why)
	case o.Verdict == control.Pass:
		return o.Because("every %s connection that no rule names is refused, now and after a reboot", familyName[family])
	case o.Effective == control.Yes:
		return o.Because("%s connections are refused now, but a reboot ends that: %s", familyName[family], nothingAtBoot(f))
	case o.Verdict == control.Ineffective && next.Known() && next.V:
		return o.Because("%s is to refuse %s connections that no rule names, but the kernel accepts them: its rules are not loaded%s",
			managerName(f), familyName[family], unitState(f))
	case o.Verdict == control.Ineffective:
		return o.Because("%s is on, but an %s connection that no rule names is accepted: its default is to accept", meant.Name, familyName[family])
	case f.Running.State == fact.Known && f.Running.Rules() == 0:
		return o.Because("there is no firewall: the kernel has no rule for incoming %s connections", familyName[family])
	}
	return o.Because("a new %s connection that no rule names is accepted", familyName[family])
}

func triOf(v fact.Value[bool]) control.Tri {
	if !v.Known() {
		return control.Untold
	}
	return control.TriOf(v.V)
}

func word(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}

// placeOr names a place where none is known, since nothing was found there.
func placeOr(p fact.Place, or string) fact.Place {
	if p == (fact.Place{}) {
		return fact.Place{Path: or}
	}
	return p
}

// meantToFilter is a manager that the operator has switched on and that has
// something to say of a family.
func meantToFilter(f fact.Firewall, family string) fact.FirewallManager {
	for _, m := range f.Managers {
		if m.Rules.State == fact.Known && !m.Rules.Filters(family) {
			continue
		}
		// The unit of ufw is enabled by its package; ENABLED=yes is a decision.
		// That of nftables is a decision too.
		if m.On.Known() && m.On.V && m.Enabled.Known() && m.Enabled.V {
			return m
		}
		if m.Name == "ufw" && m.On.Known() && m.On.V {
			return m
		}
	}
	return fact.FirewallManager{}
}

func managerName(f fact.Firewall) string {
	var names []string
	for _, m := range f.Managers {
		if on := m.AtBoot(); on.Known() && on.V {
			names = append(names, m.Name)
		}
	}
	return strings.Join(names, " and ")
}

func unitState(f fact.Firewall) string {
	for _, m := range f.Managers {
		if on := m.AtBoot(); on.Known() && on.V && m.Running.Known() {
			return fmt.Sprintf(" (%s is %s)", m.Unit, word(m.Running.V, "active all the same", "not active"))
		}
	}
	return ""
}

func nothingAtBoot(f fact.Firewall) string {
	if name := managerName(f); name != "" {
		return "what " + name + " loads does not refuse them"
	}
	for _, m := range f.Managers {
		switch {
		case m.On.Known() && m.On.V && m.Enabled.Known() && !m.Enabled.V:
			return m.Unit + " is not enabled"
		case m.Enabled.Known() && m.Enabled.V && m.On.Known() && !m.On.V:
			if m.Name == "ufw" {
				return "ufw is not enabled (" + m.On.Place.String() + ")"
			}
			return m.Name + " has no rules to load"
		}
	}
	return "no firewall is started by the next boot"
}

// ownLoader finds a unit or script that may load rules in a way Picket does
// not read.
func ownLoader(h *fact.Host) string {
	for _, name := range []string{"/etc/rc.local", "/etc/network/if-pre-up.d/iptables", "/etc/network/if-up.d/iptables"} {
		if _, st, _ := h.Snap.Stat(name); st == fact.Known {
			return name
		}
	}
	known := []string{"ufw.service", "nftables.service", "netfilter-persistent.service", "firewalld.service", firewallUnit}
	var found []string
	for name, u := range h.Units.All {
		if !u.Enabled() || slices.Contains(known, name) {
			continue
		}
		for _, part := range []string{"firewall", "iptables", "nft", "shorewall", "ferm"} {
			if strings.Contains(name, part) {
				found = append(found, name)
			}
		}
	}
	slices.Sort(found)
	if len(found) == 0 {
		return ""
	}
	return found[0]
}

func oneManager(h *fact.Host) control.Outcome {
	var on []string
	var ev []control.Evidence
	for _, m := range h.Firewall.Managers {
		v := m.AtBoot()
		if !v.Known() && v.State != fact.Absent {
			return control.Missing(v)
		}
		if v.V {
			on = append(on, m.Name)
			ev = append(ev, control.Saw(m.Name, v.Place, "loads rules at boot", "one program alone"))
		}
	}
	if h.Firewall.NextBoot.State != fact.Known && len(on) == 0 {
		return control.Missing(h.Firewall.NextBoot.Denies("ip"))
	}
	if h.Packages.State != fact.Known && len(on) == 0 {
		return control.CannotTell(h.Packages.Why)
	}
	switch len(on) {
	case 0:
		return control.DoesNotApply("no firewall is started by the next boot; see firewall/default-deny")
	case 1:
		return control.Passed(on[0]+" alone loads the rules", ev...)
	}
	return control.Failed(strings.Join(on, " and ")+" all load rules at boot, and each may undo the other's", ev...)
}

// filters are the rulesets under which a question makes sense: those that
// refuse what they do not name.
func filters(r fact.Ruleset, family string) bool {
	v := r.Denies(family)
	return v.Known() && v.V
}

func firewallLoopback(h *fact.Host) control.Outcome {
	f := h.Firewall
	o := control.Outcome{Explicit: control.Yes}
	if f.Running.State != fact.Known && f.NextBoot.State != fact.Known {
		return control.Missing(f.Running.Denies("ip"))
	}
	judge := func(r fact.Ruleset, family string) control.Tri {
		if !filters(r, family) {
			return control.Untold
		}
		a := r.Ask(ruleset.Packet{Family: family, Proto: "tcp", Port: 5432, Loopback: true})
		if a.Accept && a.Drop {
			return control.Untold
		}
		return control.TriOf(a.Accept)
	}
	asked := false
	for _, family := range []string{"ip", "ip6"} {
		for _, r := range []struct {
			rules fact.Ruleset
			facet *control.Tri
			when  string
		}{{f.Running, &o.Effective, ""}, {f.NextBoot, &o.Persistent, ", after a reboot"}} {
			if !filters(r.rules, family) {
				continue
			}
			asked = true
			got := judge(r.rules, family)
			if got == control.No {
				o = o.With(control.Saw(familyName[family]+" from the host to itself"+r.when, r.rules.Place, "refused", "accepted"))
			}
			if *r.facet == control.Untold || got == control.No {
				*r.facet = got
			}
		}
	}
	if !asked {
		if v := f.Running.Denies("ip"); !v.Known() {
			return control.Missing(v)
		}
		return control.DoesNotApply("the firewall refuses nothing; see firewall/default-deny")
	}
	o = o.Judge()
	if o.Effective == control.Untold && h.Snap.Source.Kind != "image" {
		return control.Missing(f.Running.Denies("ip"))
	}
	switch o.Verdict {
	case control.Pass:
		return o.Because("the host can reach its own services over the loopback")
	case control.Unknown:
		return o.Because("whether the loopback is accepted hangs on a rule that Picket cannot judge")
	}
	return o.Because("the firewall refuses what the host sends to itself")
}
