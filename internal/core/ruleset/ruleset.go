// Package ruleset models the kernel's packet filter: it reads what nft and
// iptables say of it, and answers whether a packet would arrive and by which
// rule.
//
// Two kinds of question can be asked. [Filter.Connect] follows one connection,
// of which everything is said, on the way that the kernel takes: through the
// hooks in their order, with translation of addresses, and back. [Filter.Ask]
// is about packets of which less is said, such as all that strangers may send.
// What cannot be read is taken both ways, and never the good one alone.
package ruleset

import (
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/snap"
)

// Place is where a rule was found.
type Place = snap.Place

// A Filter is a set of chains from one or several readers.
type Filter struct {
	Chains []Chain
	Cards  []string // the host's network cards that have an address
	// CardsWhy is why there may be others than these; "" when there are none.
	CardsWhy string

	made *compiled // shared by all who ask
}

// A Chain is a list of rules; a base chain has a hook.
type Chain struct {
	Family   string // ip, ip6, inet, arp, bridge, netdev
	Table    string
	Name     string
	Type     string // filter, nat, route; of a base chain
	Hook     string // input, forward, output, prerouting, postrouting, ingress; "" for others
	Priority int
	Policy   string   // accept or drop; of a base chain
	Devices  []string // of an ingress hook
	Legacy   bool     // from iptables-legacy, which nft does not show
	MaySleep bool     // its table has a flag that is not known: perhaps the kernel does not ask it
	Rules    []Rule
	Place    Place
}

// A Rule is one rule, in words common to nft and iptables.
type Rule struct {
	Matches []Match // all must hold
	Verdict string  // accept, drop, reject, jump, goto, return, dnat, redirect, snat, masquerade, other; "" for none
	Target  string  // the chain of jump and goto; where dnat and redirect lead; what else follows the verdict
	NoTrack bool    // what matches is untracked from then on, not new
	Marks   []SetMark
	Text    string // for a person
	Place   Place
}

// A Match is one condition of a rule.
//
//	Key          Values
//	iif, oif     interface names, a last * or + stands for more letters
//	proto        tcp, udp, icmp, ipv6-icmp, …
//	saddr, daddr addresses, prefixes and ranges
//	sport, dport ports and ranges (22, 8000-8100); port is either of them
//	state        new, established, related, invalid, untracked
//	dst-type     local, unicast, broadcast, multicast, …; src-type likewise
//	family       ip, ip6
//	orig-daddr … what the packet had before it was translated; orig-dport, orig-saddr, orig-sport likewise
//	ct-dir       original, reply
//	ct-status    dnat, snat, …
//	mark, ct-mark numbers, with a mask after a slash
//	tcp-flags    a mask and what is wanted of it, each with commas
//	tcp-flags-any one of these
//	route-back   missing: the sender's address is not routed to where it came from
//	one-of       see Any
//	recent       a list of addresses that came before
//	limit        the rate, as written: some packets match
//	opaque       what Picket does not read
type Match struct {
	Key    string
	Not    bool
	Values []string
	Any    [][]Match // of one-of: all conditions of one of these must hold
}

// A SetMark is a rule's effect on the mark of a packet or of its connection:
// the new one is what From has, and And, exclusive-or Xor.
type SetMark struct {
	Conn     bool   // the connection's, not the packet's
	From     string // packet or conn
	And, Xor uint32
	Unread   bool // it is set, and to what is not known
}

// anyValue stands for all that the other elements of a set leave over.
const anyValue = "*"

// Chain returns a chain by name.
func (f Filter) Chain(family, table, name string, legacy bool) (Chain, bool) {
	for _, c := range f.Chains {
		if c.Family == family && c.Table == table && c.Name == name && c.Legacy == legacy {
			return c, true
		}
	}
	return Chain{}, false
}

// Rules counts them.
func (f Filter) Rules() int {
	n := 0
	for _, c := range f.Chains {
		n += len(c.Rules)
	}
	return n
}

// String names a chain as nft does.
func (c Chain) String() string { return c.Family + " " + c.Table + " " + c.Name }

// Match returns the first condition with this key.
func (r Rule) Match(key string) (Match, bool) {
	for _, m := range r.Matches {
		if m.Key == key {
			return m, true
		}
	}
	return Match{}, false
}

// HasPort reports whether the condition's values hold a port.
func (m Match) HasPort(port int) bool {
	return slices.ContainsFunc(m.Values, func(v string) bool {
		if v == anyValue {
			return true
		}
		lo, hi, ok := numbers(v)
		return ok && port >= lo && port <= hi
	})
}

// numbers reads 22 or 8000-8100.
func numbers(v string) (lo, hi int, ok bool) {
	from, to, isRange := strings.Cut(v, "-")
	lo, err := strconv.Atoi(from)
	if err != nil {
		return 0, 0, false
	}
	if !isRange {
		return lo, lo, true
	}
	hi, err = strconv.Atoi(to)
	return lo, hi, err == nil
}

// Holds reports whether a chain of one family sees packets of another: those
// of inet see both.
func Holds(chain, packet string) bool { return chain == "inet" || chain == packet }

// String is the rule in short words, for evidence.
func (r Rule) String() string {
	var parts []string
	for _, m := range r.Matches {
		parts = append(parts, m.String())
	}
	if r.NoTrack {
		parts = append(parts, "notrack")
	}
	if len(r.Marks) > 0 {
		parts = append(parts, "set mark")
	}
	if r.Verdict != "" {
		parts = append(parts, strings.TrimSpace(r.Verdict+" "+r.Target))
	}
	return strings.Join(parts, " ")
}

// String is the condition in short words.
func (m Match) String() string {
	word := m.Key
	values := m.Values
	if m.Key == "one-of" && len(m.Any) > 0 {
		var keys []string
		for _, part := range m.Any[0] {
			keys = append(keys, part.Key)
		}
		word, values = strings.Join(keys, " . "), nil
		for _, alt := range m.Any[:min(len(m.Any), maxShown+1)] {
			var vs []string
			for _, part := range alt {
				vs = append(vs, strings.Join(part.Values, ","))
			}
			values = append(values, strings.Join(vs, " . "))
		}
	}
	if m.Not {
		word += " !="
	}
	more := ""
	if n := max(len(m.Any), len(values)); n > maxShown {
		more = " and " + strconv.Itoa(n-maxShown) + " more"
		values = values[:maxShown]
	}
	return strings.TrimSpace(word+" "+strings.Join(values, ",")) + more
}

// maxShown values of a condition stand in evidence.
const maxShown = 6

// Replace puts c in the place of the chain of the same name: iptables-save
// says more of it than nft.
func (f *Filter) Replace(c Chain) {
	for i, old := range f.Chains {
		if old.Family == c.Family && old.Table == c.Table && old.Name == c.Name && old.Legacy == c.Legacy {
			f.Chains[i] = c
			return
		}
	}
	f.Chains = append(f.Chains, c)
}
