package ruleset

import (
	"iter"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// anyCard is one that no rule names.
const (
	anyCard  = "\x00"
	maxCards = 16
)

// anyPort is one that a sender has who does not choose: Linux takes 32768 to
// 60999 by default, others from 49152 on.
const anyPort = 50_000

// fromPorts are ports of senders that rules name.
func (f Filter) fromPorts() []int {
	var out []int
	for v := range f.valuesOf("sport") {
		_, end, isRange := strings.Cut(v, "-") // one may begin with 0, which nobody sends from
		if !isRange {
			end = v
		}
		if n, err := strconv.Atoi(end); err == nil && n > 0 && !slices.Contains(out, n) && len(out) < maxCards {
			out = append(out, n)
		}
	}
	return out
}

// named are the cards that rules name, and one that none does: where the host's
// own are known, only if there is such a one.
func (f Filter) named() []string {
	var named []string
	for v := range f.valuesOf("iif") {
		if stem := strings.TrimRight(v, "*+"); stem != v {
			if v = ""; stem != "" {
				v = stem + "0"
			}
		}
		if v != "" && v != "lo" && NetworkCard(v) && !slices.Contains(named, v) && len(named) < maxCards {
			named = append(named, v)
		}
	}
	for _, own := range f.Cards {
		if !slices.Contains(named, own) {
			return append(named, own)
		}
	}
	if len(named) == 0 {
		return []string{anyCard}
	}
	return named
}

// valuesOf are the values of a condition, in every rule that has it.
func (f Filter) valuesOf(key string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, c := range f.Chains {
			for _, rule := range c.Rules {
				m, _ := rule.Match(key)
				for _, v := range m.Values {
					if !yield(v) {
						return
					}
				}
			}
		}
	}
}

// aboutCards is a rule that holds for some network cards only.
func (f Filter) aboutCards() Rule {
	for _, c := range f.Chains {
		for _, rule := range c.Rules {
			if m, ok := rule.Match("iif"); ok && !slices.Contains(m.Values, "lo") {
				return rule
			}
		}
	}
	return Rule{}
}

// NetworkCard reports whether an interface is one that strangers reach, not a
// tunnel or a bridge to containers.
func NetworkCard(name string) bool {
	for _, inner := range []string{"docker", "br-", "veth", "virbr", "lxc", "lxd", "cni", "podman", "tailscale", "wg", "zt", "tun", "tap", "vnet", "incus", "flannel", "cali", "dummy"} {
		if strings.HasPrefix(name, inner) {
			return false
		}
	}
	return true
}

// SenderPorts are ports of senders that rules name: a sender may choose one.
func (f Filter) SenderPorts() []int { return f.fromPorts() }

// Senders are the networks and addresses of senders that rules name; of a set
// that is longer than can be asked about, the first.
func (f Filter) Senders() []netip.Prefix {
	var out []netip.Prefix
	seen := map[netip.Prefix]bool{}
	var add func(ms []Match)
	add = func(ms []Match) {
		for _, m := range ms {
			for _, alt := range m.Any {
				add(alt)
			}
			if m.Key != "saddr" && m.Key != "orig-saddr" {
				continue
			}
			for _, v := range m.Values {
				s, ok := addresses(v)
				if !ok || len(out) >= maxSenders {
					continue
				}
				p := netip.PrefixFrom(s.lo, s.lo.BitLen())
				if q, _, ok := parsePrefix(v); ok {
					p = q.Masked()
				}
				if !seen[p] && p.Bits() > 0 {
					seen[p] = true
					out = append(out, p)
				}
			}
		}
	}
	for _, c := range f.Chains {
		for _, r := range c.Rules {
			add(r.Matches)
		}
	}
	return out
}

// maxSenders is how many senders that rules name are told apart.
const maxSenders = 256
