// Package trust works out who can become whom on several hosts: by SSH keys, by passwords that anybody guesses, and by sudo.
package trust

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/fact"
)

// A Host is one that was to be read.
type Host struct {
	Name  string     // as it is called on the command line
	Roles []string   // of the inventory
	Facts *fact.Host // nil: it could not be read
	Why   string     // why not
}

// How somebody becomes somebody else.
type How string

// The ways. Root becomes every account of its host without one.
const (
	Key      How = "key"      // a private key lies in the home, and its public half lets in
	Password How = "password" // it is one that anybody guesses
	Sudo     How = "sudo"
	Group    How = "group" // of which each member is as good as root
)

// Anybody is who reaches the hosts over the network, with nothing in hand.
const Anybody = "anybody"

// An Account of a host that matters: somebody can work as it.
type Account struct {
	ID   string `json:"id"` // pi@worker1
	Name string `json:"name"`
	Host string `json:"host"`
	Root bool   `json:"root,omitempty"` // it is root, under this or another name

	Password bool `json:"password,omitempty"` // sshd lets it in with its password
}

// An Edge is one way on which one account becomes another.
type Edge struct {
	From   string `json:"from"` // an account, or Anybody
	To     string `json:"to"`
	How    How    `json:"how"`
	With   string `json:"with"`             // the key's fingerprint and comment, the rule of sudo, the group
	Needs  string `json:"needs,omitempty"`  // what somebody has to type first; empty: it works at once
	Only   string `json:"only,omitempty"`   // the key runs this command and nothing else; then nobody becomes anybody
	Unsure string `json:"unsure,omitempty"` // why it may not work; it is counted all the same
	Place  string `json:"place,omitempty"`  // what lets in, on the host of To
	Source string `json:"source,omitempty"` // the private key, on the host of From
}

// An Outside key lets somebody in whose private half lies on none of the hosts: the operator's own, or one that is forgotten.
type Outside struct {
	Print   string   `json:"fingerprint"`
	Type    string   `json:"type"`
	Comment string   `json:"comment,omitempty"`
	To      []string `json:"to"`             // accounts
	From    string   `json:"from,omitempty"` // the addresses and names that it lets in from; empty: any
	Only    string   `json:"only,omitempty"` // the command that it runs, and nothing else
	Places  []string `json:"places"`         // for each of To
}

// A Same is what should be one host's alone and is several's: the traces of a copied card.
type Same struct {
	What  string   `json:"what"` // host key, machine-id, private key, machine
	Of    string   `json:"of"`   // type and fingerprint of a key; a digest of a machine-id, which itself is not shown
	Hosts []string `json:"hosts"`
}

// A Node is one host of the map.
type Node struct {
	Name    string   `json:"name"`
	Roles   []string `json:"roles,omitempty"`
	Read    bool     `json:"read"`
	Unknown []string `json:"unknown,omitempty"` // what of it could not be read, so that more may be possible
	Takes   []Fallen `json:"takes"`             // hosts that are taken with it, at once
	Later   []Fallen `json:"later"`             // further ones, once somebody has typed a password or a passphrase where it is overheard
}

// Leads reports whether it is meant to reach the others.
func (n Node) Leads() bool {
	return slices.ContainsFunc(n.Roles, func(r string) bool { return slices.Contains(Leaders, r) })
}

// Leaders are the roles of a host that drives the others.
var Leaders = []string{"leader", "master", "controller", "manager", "head"}

// Fallen is a host that is taken with another.
type Fallen struct {
	Host     string   `json:"host"`
	Root     bool     `json:"root"`     // all of it
	Accounts []string `json:"accounts"` // their names
}

// A Map is who can become whom.
type Map struct {
	Schema   string    `json:"schema"` // picket.trust/1
	Nodes    []Node    `json:"hosts"`
	Accounts []Account `json:"accounts"`
	Edges    []Edge    `json:"edges"`
	Outside  []Outside `json:"outside"`
	Anybody  []Fallen  `json:"anybody"` // what is taken by whoever reaches the hosts
	Same     []Same    `json:"same"`
}

// Findings says in a line each what should not be so. That one host takes others is one only where the inventory says which
// host leads.
func (m Map) Findings() (out []string) {
	for _, f := range m.Anybody {
		out = append(out, "anybody who reaches "+f.Host+" becomes "+f.who())
	}
	if slices.ContainsFunc(m.Nodes, Node.Leads) {
		var names []string
		most := 0
		for _, n := range m.Nodes {
			if !n.Leads() && len(n.Takes) > 0 {
				names, most = append(names, n.Name), max(most, len(n.Takes))
			}
		}
		if len(names) > 0 {
			out = append(out, fmt.Sprintf("only a leader should come to other hosts; whoever takes one of these has up to %d more: %s", most, strings.Join(names, ", ")))
		}
	}
	for _, s := range m.Same {
		if s.What != SameMachine {
			out = append(out, strings.Join(s.Hosts, ", ")+" have the same "+s.What)
		}
	}
	return out
}

func (f Fallen) who() string {
	if f.Root {
		return "root"
	}
	return strings.Join(f.Accounts, ", ")
}

// Partial reports whether something could not be read.
func (m Map) Partial() bool {
	return slices.ContainsFunc(m.Nodes, func(n Node) bool { return !n.Read || len(n.Unknown) > 0 })
}

// Of works the map out. The hosts keep their order; all else is sorted.
func Of(hosts []Host) Map {
	b := builder{hosts: hosts, logins: map[loginKey]loginIs{}, held: map[string][]holder{}}
	m := Map{Schema: "picket.trust/1", Nodes: []Node{}, Accounts: []Account{}, Edges: []Edge{}, Outside: []Outside{}, Anybody: []Fallen{}, Same: []Same{}}
	for i, h := range hosts {
		n := Node{Name: h.Name, Roles: h.Roles, Read: h.Facts != nil}
		if h.Facts == nil {
			n.Unknown = []string{cmp.Or(h.Why, "it was not read")}
		} else {
			m.Accounts = append(m.Accounts, accounts(h)...)
			n.Unknown = unknown(h.Facts)
			b.hold(i)
		}
		m.Nodes = append(m.Nodes, n)
	}
	for i, h := range hosts {
		if h.Facts != nil {
			b.within(h)
			b.into(i)
		}
	}
	m.Edges = append(m.Edges, b.edges...)
	slices.SortStableFunc(m.Edges, func(x, y Edge) int {
		return cmp.Or(cmp.Compare(x.From, y.From), cmp.Compare(x.To, y.To), cmp.Compare(x.How, y.How), cmp.Compare(x.With, y.With), cmp.Compare(x.Place, y.Place), cmp.Compare(x.Source, y.Source))
	})
	m.Edges = slices.Compact(m.Edges)
	m.Outside = append(m.Outside, b.outside()...)
	m.Same = append(m.Same, same(hosts)...)
	m.close()
	return m
}

func id(user, host string) string { return user + "@" + host }

// accounts are those that somebody can work as, and those that become root.
func accounts(h Host) (out []Account) {
	for _, u := range h.Facts.Accounts.Users {
		sudo := slices.ContainsFunc(h.Facts.Sudo.Grants, func(g fact.SudoGrant) bool { return g.Full && g.User == u.Name })
		if (u.UID == 0 || u.LoginShell() || sudo) && !slices.ContainsFunc(out, func(a Account) bool { return a.Name == u.Name }) {
			l, _ := h.Facts.Logins.Login(u.Name)
			out = append(out, Account{ID: id(u.Name, h.Name), Name: u.Name, Host: h.Name, Root: u.UID == 0, Password: l.Password.V})
		}
	}
	return out
}

// unknown says what of a host is not known, in a line each.
func unknown(h *fact.Host) (out []string) {
	missing := func(what string, st fact.State, why string) {
		if st == fact.Denied || st == fact.Unknown {
			out = append(out, what+": "+cmp.Or(why, "it was not read"))
		}
	}
	missing("its accounts", h.Accounts.State, h.Accounts.Why)
	missing("its passwords", h.Accounts.Passwords.State, h.Accounts.Passwords.Why)
	missing("its rules of sudo", h.Sudo.State, h.Sudo.Why)
	if h.Sudo.Incomplete != "" && len(out) == 0 {
		out = append(out, "its rules of sudo: "+h.Sudo.Incomplete)
	}
	if h.SSHD.Config.State != fact.Absent {
		missing("whom its sshd lets in", h.Logins.State, h.Logins.Why)
	}
	for _, home := range h.Keys.Homes {
		if (home.SSH == fact.Denied || home.SSH == fact.Unknown) && home.State != fact.Absent {
			out = append(out, "which keys "+home.User.Name+" has: "+home.SSHWhy)
		} else if why := h.Keys.Unseen(home.User.Name); why != "" {
			out = append(out, "whose keys let in as "+home.User.Name+": "+why)
		}
	}
	for _, u := range h.Accounts.Users {
		if p := h.Accounts.Passwords.V[u.Name]; p.Usable() && !p.Empty && !p.Checked {
			out = append(out, "whether the password of "+u.Name+" is easy to guess: "+cmp.Or(p.Why, "it was not tried"))
		}
	}
	if ca := h.SSHD.Config.Find(fact.SSHDWho{}, "trustedusercakeys").Values; len(ca) > 0 && ca[0] != "none" {
		out = append(out, "whom certificates let in: sshd takes those of "+strings.Join(ca, " "))
	}
	return out
}

// SameMachine is the What of one machine that was named twice.
const SameMachine = "machine"

// same finds what copied cards have in common.
func same(hosts []Host) (out []Same) {
	of := map[[2]string][]string{}
	add := func(what, print, host string) {
		k := [2]string{what, print}
		if print != "" && !slices.Contains(of[k], host) {
			of[k] = append(of[k], host)
		}
	}
	for _, h := range hosts {
		if h.Facts == nil {
			continue
		}
		for _, k := range h.Facts.SSHD.HostKeys {
			if k.Print != "" {
				add("host key", k.Type+" "+k.Print, h.Name)
			}
		}
		add("machine-id", MachineID(h.Facts), h.Name)
		for _, all := range h.Facts.Keys.Private {
			for _, p := range all {
				if p.Fingerprint != "" {
					add("private key", p.Type+" "+p.Fingerprint, h.Name)
				}
			}
		}
	}
	for k, names := range of {
		if len(names) > 1 {
			slices.Sort(names)
			out = append(out, Same{k[0], k[1], names})
		}
	}
	slices.SortFunc(out, func(x, y Same) int { return cmp.Or(cmp.Compare(x.What, y.What), cmp.Compare(x.Of, y.Of)) })
	for i, a := range hosts {
		for _, b := range hosts[:i] {
			if oneMachine(a.Facts, b.Facts) {
				pair := []string{b.Name, a.Name}
				slices.Sort(pair)
				out = append(slices.DeleteFunc(out, func(s Same) bool { return slices.Equal(s.Hosts, pair) }), Same{SameMachine, MachineID(a.Facts), pair})
			}
		}
	}
	return out
}

// oneMachine reports whether two are one machine under two names: it has the same id, name and addresses.
func oneMachine(a, b *fact.Host) bool {
	if a == nil || b == nil || MachineID(a) == "" || MachineID(a) != MachineID(b) || a.OS.Hostname.V != b.OS.Hostname.V || len(a.Network.Addresses) == 0 {
		return false
	}
	return slices.Equal(a.Network.Addresses, b.Network.Addresses)
}

// MachineID is a digest of the host's /etc/machine-id, which itself is not to leave it: see machine-id(5). It is "" where there is none.
func MachineID(h *fact.Host) string {
	e, st, _ := h.Snap.File("/etc/machine-id")
	if st != fact.Known {
		return ""
	}
	text := strings.TrimSpace(string(e.Content))
	if len(text) != 32 {
		return ""
	}
	sum := sha256.Sum256([]byte("picket.trust " + text))
	return hex.EncodeToString(sum[:8])
}
