package fact

import (
	"strings"

	"picket/internal/core/ruleset"
	"picket/internal/core/snap"
)

// Programs that load rules at boot.
var firewallPrograms = []struct{ name, pkg, unit, wants string }{
	{"ufw", "ufw", "ufw.service", "/etc/systemd/system/multi-user.target.wants/ufw.service"},
	{"nftables", "nftables", "nftables.service", "/etc/systemd/system/sysinit.target.wants/nftables.service"},
	{"netfilter-persistent", "netfilter-persistent", "netfilter-persistent.service", "/etc/systemd/system/multi-user.target.wants/netfilter-persistent.service"},
	{"firewalld", "firewalld", "firewalld.service", "/etc/systemd/system/multi-user.target.wants/firewalld.service"},
	{"picket", "", "picket-firewall.service", "/etc/systemd/system/sysinit.target.wants/picket-firewall.service"},
}

// ownRules is the file of Picket's own rules.
const ownRules = "/etc/picket/firewall.nft"

// firewallManagers reads those that are installed.
func firewallManagers(h *Host, s *snap.Snapshot) []FirewallManager {
	var out []FirewallManager
	for _, p := range firewallPrograms {
		unit := h.Units.Get(p.unit)
		if p.pkg == "" { // no package has it
			if _, st, _ := s.Stat(ownRules); st == Absent && !unit.Exists {
				continue
			}
		} else if has := h.Packages.Has(p.pkg); (!has.Known() || !has.V) && !unit.Exists {
			continue
		}
		m := FirewallManager{Name: p.name, Unit: p.unit, Enabled: unitEnabled(s, unit, p.wants)}
		m.Running = Value[bool]{V: unit.Running(), State: unit.Active.State, Place: unit.Active.Place, Why: unit.Active.Why}
		switch p.name {
		case "ufw":
			readUFW(s, &m)
		case "nftables":
			m.Rules = parseNFTConf(s, "/etc/nftables.conf")
		case "picket":
			m.Rules = parseNFTConf(s, ownRules)
		case "netfilter-persistent":
			m.Rules = readSaved(s, "/etc/iptables/rules.v4", "ip", "/etc/iptables/rules.v6", "ip6")
		case "firewalld":
			m.Rules = Ruleset{State: Unknown, Why: "the zones of firewalld are not read from files", Place: Place{Path: "/etc/firewalld"}}
			m.On = Is(true, Place{Path: "/etc/firewalld"})
		}
		if m.On.State == Unknown && m.On.Why == "" {
			m.On = m.Rules.value(func(Ruleset) bool { return m.Rules.bases() > 0 })
		}
		if why := h.changedLoader(p.unit); why != "" && m.Enabled.V {
			m.Enabled = Not[bool](Unknown, why)
		}
		m.Deny4 = m.Rules.value(func(r Ruleset) bool { return r.Denies("ip").V })
		m.Deny6 = m.Rules.value(func(r Ruleset) bool { return r.Denies("ip6").V })
		out = append(out, m)
	}
	return out
}

// changedLoader is ChangedUnit; Picket's own unit is this host's own from the beginning.
func (h *Host) changedLoader(name string) string {
	if name != "picket-firewall.service" {
		return h.ChangedUnit(name)
	}
	all, hidden := ownSettings(h.Snap, name)
	for _, l := range all {
		switch {
		case l.Key == "ExecStart" && l.Value == "/usr/sbin/nft -f "+ownRules:
		case l.Section == "Service" && strings.HasPrefix(l.Key, "ExecStart"), l.Section == "Unit" && (strings.HasPrefix(l.Key, "Condition") || strings.HasPrefix(l.Key, "Assert")):
			return name + " is changed at " + l.Place.String() + " (" + l.Key + "), which Picket does not follow"
		}
	}
	return hidden
}

// unitEnabled is what the next boot does with a unit: what systemd says, or,
// on an image, whether its link is there.
func unitEnabled(s *snap.Snapshot, u Unit, wants string) Value[bool] {
	if u.FileState.Known() {
		return Is(u.Enabled(), u.FileState.Place)
	}
	if u.FileState.State == Absent {
		return Is(false, u.FileState.Place)
	}
	if s.Source.Kind != "image" {
		return Not[bool](u.FileState.State, u.FileState.Why) // another target may start it
	}
	_, st, why := s.Stat(wants)
	switch st {
	case Known:
		return Is(true, Place{Path: wants})
	case Absent:
		return Is(false, Place{Path: wants})
	}
	return Not[bool](st, why)
}

// value asks a ruleset whose state may not be known.
func (r Ruleset) value(f func(Ruleset) bool) Value[bool] {
	if r.State == Absent {
		return Is(false, r.Place)
	}
	if r.State != Known {
		return Not[bool](r.State, r.Why)
	}
	return Is(f(r), r.Place)
}

// Filters is whether a chain stands in the way of incoming packets of a family.
func (r Ruleset) Filters(family string) bool {
	for _, c := range r.Chains {
		if c.Hook == "input" && c.Type == "filter" && ruleset.Holds(c.Family, family) {
			return true
		}
	}
	return false
}

// bases counts the chains through which incoming packets pass.
func (r Ruleset) bases() int {
	n := 0
	for _, c := range r.Chains {
		if c.Hook == "input" {
			n++
		}
	}
	return n
}

// Denies is whether a connection of a family that no rule names is refused.
// It is unknown where that hangs on a rule that Picket does not read.
func (r Ruleset) Denies(family string) Value[bool] {
	if r.State == Absent {
		return Is(false, r.Place)
	}
	if r.State != Known {
		return Not[bool](r.State, r.Why)
	}
	v := Is(true, r.Place)
	for _, proto := range []string{"tcp", "udp"} {
		a := r.Ask(ruleset.Packet{Family: family, Proto: proto})
		switch {
		case a.Accept && a.Drop:
			return Not[bool](Unknown, "it hangs on a rule that Picket cannot judge: "+firstOf(a.Doubt.Text))
		case a.Accept:
			v.V = false
		}
	}
	return v
}

// readUFW reads what ufw's init script will load: a frame of its own with the
// default policy, and the user's rules within.
func readUFW(s *snap.Snapshot, m *FirewallManager) {
	const conf, defaults = "/etc/ufw/ufw.conf", "/etc/default/ufw"
	e, st, why := s.File(conf)
	if st != Known {
		m.On = Not[bool](st, why)
		m.Rules = Ruleset{State: st, Why: why}
		return
	}
	on := assignment(e, "ENABLED")
	m.On = Is(strings.EqualFold(on.V, "yes"), on.Place)
	if on.State != Known {
		m.On.Place = Place{Path: conf}
	}
	d, st, why := s.File(defaults)
	if st == Absent {
		st = Unknown // ufw does not start without it
	}
	if st != Known {
		m.Rules = Ruleset{State: st, Why: why}
		return
	}
	policy := assignment(d, "DEFAULT_INPUT_POLICY")
	word := strings.ToLower(policy.V)
	if word == "reject" {
		word = "drop"
	}
	if word != "drop" && word != "accept" {
		m.Rules = Ruleset{State: Unknown, Why: policy.Place.String() + ": DEFAULT_INPUT_POLICY is neither ACCEPT, DROP nor REJECT"}
		return
	}
	six := assignment(d, "IPV6")
	files := []string{"/etc/ufw/user.rules", "ip"}
	frames := []string{"/etc/ufw/before.rules", "ip", "/etc/ufw/after.rules", "ip"}
	filter6 := strings.EqualFold(six.V, "yes")
	if filter6 {
		files = append(files, "/etc/ufw/user6.rules", "ip6")
		frames = append(frames, "/etc/ufw/before6.rules", "ip6", "/etc/ufw/after6.rules", "ip6")
	}
	for i := 0; i < len(frames); i += 2 {
		if e, st, _ := s.File(frames[i]); e != nil || st == Denied { // snapshots of old do not have them
			files = append(files, frames[i], frames[i+1])
		}
	}
	m.Rules = readSaved(s, files...)
	if m.Rules.State == Absent {
		m.Rules.State = Known
	}
	m.Rules.Place = policy.Place
	// INPUT as ufw makes it. What its own files send to logs, or to the default,
	// are chains that it makes too.
	frame := func(family, six, policy string, at Place) {
		c := ruleset.Chain{Family: family, Table: "filter", Name: "INPUT", Type: "filter", Hook: "input", Policy: policy, Place: at}
		c.Rules = append(c.Rules, ruleset.Rule{Matches: []ruleset.Match{{Key: "iif", Values: []string{"lo"}}}, Verdict: "accept", Text: "-i lo -j ACCEPT", Place: at})
		if six != "" {
			jump := func(name string) ruleset.Rule {
				return ruleset.Rule{Verdict: "jump", Target: six + name, Text: "-j " + six + name, Place: at}
			}
			c.Rules = append(c.Rules, jump("-before-input"), jump("-after-input"))
			for _, name := range []string{"-before-input", "-user-input", "-after-input", "-logging-deny", "-logging-allow", "-skip-to-policy-input"} {
				if _, ok := m.Rules.Chain(family, "filter", six+name, false); ok {
					continue
				}
				made := ruleset.Chain{Family: family, Table: "filter", Name: six + name}
				if name == "-skip-to-policy-input" {
					made.Rules = []ruleset.Rule{{Verdict: policy, Text: "-j " + strings.ToUpper(policy), Place: at}}
				}
				m.Rules.Chains = append(m.Rules.Chains, made)
			}
			for i, before := range m.Rules.Chains {
				if before.Family == family && before.Table == "filter" && before.Name == six+"-before-input" {
					m.Rules.Chains[i].Rules = append(before.Rules, jump("-user-input"))
				}
			}
		}
		m.Rules.Chains = append(m.Rules.Chains, c)
	}
	frame("ip", "ufw", word, policy.Place)
	if filter6 {
		frame("ip6", "ufw6", word, policy.Place)
	} else {
		// Without IPV6=yes ufw lets IPv6 in from the host itself only.
		frame("ip6", "", "drop", six.Place)
	}
}

// readSaved reads pairs of file and family in the form of iptables-save.
func readSaved(s *snap.Snapshot, files ...string) Ruleset {
	r := Ruleset{State: Absent, Place: Place{Path: files[0]}}
	for i := 0; i+1 < len(files); i += 2 {
		e, st, why := s.File(files[i])
		switch {
		case st == Known:
			if r.State == Absent {
				r.State = Known
			}
			r.Chains = append(r.Chains, ruleset.ParseIptables(string(e.Content), Place{Path: e.Path}, files[i+1])...)
		case st != Absent:
			r.State, r.Why = st, why
		case r.Why == "":
			r.Why = why
		}
	}
	return r
}

// nextBoot joins what the managers load that are on.
func nextBoot(ms []FirewallManager) Ruleset {
	out := Ruleset{State: Known}
	for _, m := range ms {
		on := m.AtBoot()
		if on.Known() && !on.V || on.State == Absent {
			continue
		}
		out.Place = m.Rules.Place
		switch {
		case !on.Known():
			out.State, out.Why = on.State, on.Why
		case m.Rules.State != Known:
			out.State, out.Why = m.Rules.State, m.Rules.Why
		default:
			out.Chains = append(out.Chains, m.Rules.Chains...)
		}
	}
	return out
}
