package fact

import (
	"path"
	"slices"
	"strings"

	"picket/internal/core/ruleset"
	"picket/internal/core/snap"
)

// Firewall is the packet filter of the host: what the kernel runs with, and
// what the next boot will load.
type Firewall struct {
	Running  Ruleset // the kernel's, whoever wrote it
	NextBoot Ruleset // as far as the managers' files tell
	Managers []FirewallManager
}

// A Ruleset is what one or several readers say of the rules. State is Known
// also for a kernel without any.
type Ruleset struct {
	State State
	Why   string
	Place Place
	ruleset.Filter
}

// A FirewallManager is a program that loads rules at boot.
type FirewallManager struct {
	Name    string // ufw, nftables, netfilter-persistent, firewalld, picket
	Unit    string
	Enabled Value[bool] // its unit is started by the next boot
	Running Value[bool]
	// On is whether it will load rules once started: ENABLED=yes of ufw,
	// rules in /etc/nftables.conf.
	On Value[bool]
	// Deny4 and Deny6 are whether what it loads refuses what it does not name.
	Deny4, Deny6 Value[bool]
	Rules        Ruleset // what it loads, as far as its files tell
}

// AtBoot is whether the next boot filters by this manager.
func (m FirewallManager) AtBoot() Value[bool] {
	for _, v := range []Value[bool]{m.Enabled, m.On} {
		if !v.Known() || !v.V {
			return v
		}
	}
	return m.On
}

// Manager returns a manager that is installed.
func (f Firewall) Manager(name string) (FirewallManager, bool) {
	i := slices.IndexFunc(f.Managers, func(m FirewallManager) bool { return m.Name == name })
	if i < 0 {
		return FirewallManager{}, false
	}
	return f.Managers[i], true
}

var (
	nftList         = []string{"nft", "-j", "list", "ruleset"}
	iptablesSaves   = []string{"iptables-save", "ip6tables-save"}
	iptablesLegacys = []string{"iptables-legacy-save", "ip6tables-legacy-save"}
)

func askFirewall(h *Host, _ *snap.Snapshot) snap.Manifest {
	m := snap.Manifest{
		Files: []string{
			"/etc/ufw/ufw.conf", "/etc/default/ufw", "/etc/ufw/user.rules", "/etc/ufw/user6.rules",
			"/etc/ufw/before.rules", "/etc/ufw/before6.rules", "/etc/ufw/after.rules", "/etc/ufw/after6.rules",
			"/etc/nftables.conf", ownRules, "/etc/iptables/rules.v4", "/etc/iptables/rules.v6",
			"/proc/net/ip_tables_names", "/proc/net/ip6_tables_names", "/proc/modules",
		},
		Stats:    []string{path.Dir(ownRules)},
		Commands: []snap.Command{{Argv: nftList}},
	}
	for _, c := range slices.Concat(iptablesSaves, iptablesLegacys) {
		m.Commands = append(m.Commands, snap.Command{Argv: []string{c}})
	}
	for _, p := range firewallPrograms {
		m.Stats = append(m.Stats, p.wants)
	}
	for _, mgr := range h.Firewall.Managers {
		if mgr.Name == "nftables" {
			m.Files = append(m.Files, mgr.Rules.includes()...)
		}
	}
	return m
}

func parseFirewall(h *Host, s *snap.Snapshot) {
	f := &h.Firewall
	f.Running = runningRules(s)
	f.Running.Cards, f.Running.CardsWhy = ownCards(h)
	f.Managers = firewallManagers(h, s)
	f.NextBoot = nextBoot(f.Managers)
	f.NextBoot.Cards, f.NextBoot.CardsWhy = f.Running.Cards, f.Running.CardsWhy
	f.Running.Prepare()
	f.NextBoot.Prepare()
	if len(f.Managers) == 0 && h.Packages.State != Known && h.Packages.State != Absent {
		f.NextBoot.State, f.NextBoot.Why = Unknown, "which firewall is installed is not known: "+h.Packages.Why
	}
}

// ownCards are the host's network cards, as far as they have an address. Where
// there is no ip to tell, the rules name those that matter.
func ownCards(h *Host) (out []string, why string) {
	if st := h.Network.State; st == Denied || st == Unknown {
		why = h.Network.Why
	}
	for _, a := range h.Network.Addresses {
		if a.Iface != "lo" && ruleset.NetworkCard(a.Iface) && !slices.Contains(out, a.Iface) {
			out = append(out, a.Iface)
		}
	}
	return out, why
}

// runningRules asks the kernel by every tool the host has: nft shows all but
// the rules of iptables-legacy, iptables-save shows what nft cannot say of
// iptables' own extensions.
func runningRules(s *snap.Snapshot) Ruleset {
	r := Ruleset{Place: By(nftList...)}
	o, st, why := s.Run(nftList...)
	nft := st == Known && o.Exit == 0 && !o.Cut
	switch {
	case nft:
		chains, err := ruleset.ParseNFT(o.Stdout, By(o.Argv...))
		if err != nil {
			return Ruleset{State: Unknown, Why: "`nft -j list ruleset`: " + err.Error(), Place: r.Place}
		}
		r.Chains = chains
	case st == Known && o.Cut:
		return Ruleset{State: Unknown, Why: "the answer of `nft -j list ruleset` is too long", Place: r.Place}
	case st == Known && !s.Root():
		return Ruleset{State: Denied, Why: "only root may read the kernel's packet filter", Place: r.Place}
	case st == Known:
		return Ruleset{State: Unknown, Why: "`nft -j list ruleset` failed: " + firstOf(o.Stderr), Place: r.Place}
	case st != Absent:
		return Ruleset{State: st, Why: why, Place: r.Place}
	}
	saved, denied, silent, failed := false, false, false, ""
	for i, name := range slices.Concat(iptablesSaves, iptablesLegacys) {
		o, st, why := s.Run(name)
		switch {
		case st == Absent:
			continue
		case st != Known:
			failed = why
			silent = silent || o != nil
			continue
		case o.Exit != 0:
			// The legacy tools also fail where their module was never loaded: then
			// they have no rules.
			if i < len(iptablesSaves) && !strings.Contains(o.Stderr, "Address family not supported") { // booted without IPv6
				silent = silent || s.Root()
				failed = "`" + name + "` failed: " + firstOf(o.Stderr)
				denied = denied || !s.Root()
			}
			continue
		}
		saved = true
		family := "ip"
		if strings.HasPrefix(name, "ip6") {
			family = "ip6"
		}
		chains := ruleset.ParseIptables(string(o.Stdout), By(o.Argv...), family)
		byNFT := i < len(iptablesSaves) && (strings.Contains(string(o.Stdout[:min(len(o.Stdout), 400)]), "(nf_tables)") || r.shows(chains) && noLegacy(s, iptablesLegacys[i]))
		for _, c := range chains {
			c.Legacy = !byNFT
			r.Replace(c)
		}
	}
	switch {
	case silent:
		r.State, r.Why = Unknown, failed // it may know rules that nft does not show
	case nft || saved && failed == "":
		r.State = Known
		if !nft {
			r.Place = By(iptablesSaves[0])
		}
	case denied:
		r.State, r.Why = Denied, "only root may read the kernel's packet filter"
	case failed != "":
		r.State, r.Why = Unknown, failed
	default:
		return rulesWithoutTools(s)
	}
	return r
}

// shows reports whether all chains are among those that nft has shown. Before
// 1.8.8 (Debian 11) iptables-save does not say whether it asks nftables.
func (r Ruleset) shows(chains []ruleset.Chain) bool {
	return !slices.ContainsFunc(chains, func(c ruleset.Chain) bool {
		_, ok := r.Chain(c.Family, c.Table, c.Name, false)
		return !ok
	})
}

// noLegacy reports whether the kernel's older packet filter was asked, and has
// no chain.
func noLegacy(s *snap.Snapshot, name string) bool {
	o, st, _ := s.Run(name)
	return st == Known && len(ruleset.ParseIptables(string(o.Stdout), By(o.Argv...), "ip")) == 0
}

// rulesWithoutTools judges a kernel that no tool on the host can speak to.
func rulesWithoutTools(s *snap.Snapshot) Ruleset {
	for _, p := range []string{"/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"} {
		if e, st, _ := s.File(p); st == Known && len(lines(e)) > 0 {
			return Ruleset{State: Unknown, Why: "the kernel has iptables rules (" + p + "), and there is neither nft nor iptables to show them"}
		}
	}
	e, st, why := s.File("/proc/modules")
	if st != Known {
		return Ruleset{State: Unknown, Why: "there is neither nft nor iptables, and the kernel's modules are not known: " + why}
	}
	for _, l := range lines(e) {
		name, _, _ := strings.Cut(l.text, " ")
		if name == "nf_tables" || name == "ip_tables" || name == "ip6_tables" {
			return Ruleset{State: Unknown, Why: "the kernel has " + name + " loaded, and there is neither nft nor iptables to show its rules", Place: l.at}
		}
	}
	return Ruleset{State: Known, Place: Place{Path: "/proc/modules"}}
}
