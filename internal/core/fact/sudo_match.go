package fact

import (
	"path"
	"slices"
	"strings"

	"picket/internal/core/sudoers"
)

// A matcher compares lists of sudoers with one account of a host.
type matcher struct {
	su      *Sudo
	h       *Host
	u       User           // who runs a command
	target  User           // as whom: an account with the number 0
	special []sudoers.Item // commands that settings are for
	left    *int           // steps; 0 when something was left out, which makes Incomplete
}

const maxAlias = 16 // aliases within aliases

// An answer of a list is that of its last item that has one.
type answer uint8

const (
	silent answer = iota
	denied
	allowed
)

// ask compares a list with what is reports of single names. An alias answers as
// its own list does, and where that is silent the items before it decide. is
// is told whether a fit speaks against the list as a whole.
func (m matcher) ask(list []sudoers.Item, kind string, depth int, against bool, is func(name string, against bool) bool) (via string, a answer) {
	for _, it := range slices.Backward(list) {
		if *m.left--; *m.left <= 0 {
			return "", silent
		}
		items, alias := m.su.aliases[kind+" "+it.Name]
		switch {
		case alias && depth >= maxAlias:
			*m.left = 0
			return "", silent
		case alias:
			_, a = m.ask(items, kind, depth+1, against != it.Not, is)
		case it.Name == "ALL" || is(it.Name, against != it.Not):
			a = allowed
		}
		if a == silent {
			continue
		}
		if it.Not {
			a = denied + allowed - a
		}
		return it.Name, a
	}
	return "", silent
}

// user reports whether a list of users has the account, and by which item.
func (m matcher) user(list []sudoers.Item) (via string, ok bool) {
	via, a := m.ask(list, "User", 0, false, func(name string, _ bool) bool { return m.names(m.u, name) })
	return via, a == allowed
}

// isTarget reports whether a list of whom to run a command as has the target.
func (m matcher) isTarget(list []sudoers.Item) bool {
	_, a := m.ask(list, "Runas", 0, false, func(name string, _ bool) bool { return m.names(m.target, name) })
	return a == allowed
}

// names reports whether a name that is no alias means an account.
func (m matcher) names(u User, name string) bool {
	is := func(kind, a, b string) bool {
		d, _ := m.su.Global("case_insensitive_" + kind)
		return a == b || d.Op != "!" && strings.EqualFold(a, b)
	}
	switch {
	case strings.HasPrefix(name, "%#"):
		gid, ok := id(name[2:])
		return ok && (gid == u.GID || m.inGroup(u, func(g Group) bool { return g.GID == gid }))
	case strings.HasPrefix(name, "%"):
		return m.inGroup(u, func(g Group) bool { return is("group", g.Name, name[1:]) })
	case strings.HasPrefix(name, "#"):
		uid, ok := id(name[1:])
		return ok && uid == u.UID
	case strings.HasPrefix(name, "+"):
		m.su.Netgroup = name
		return false
	}
	return is("user", u.Name, name)
}

func (m matcher) inGroup(u User, is func(Group) bool) bool {
	*m.left -= len(m.h.Accounts.Groups) / 8
	return slices.ContainsFunc(m.h.Accounts.Groups, func(g Group) bool {
		return is(g) && m.h.Accounts.InGroup(u, g)
	})
}

// host reports whether a list of hosts may mean this one. Addresses and
// netgroups may.
func (m matcher) host(list []sudoers.Item) bool {
	_, a := m.ask(list, "Host", 0, false, func(name string, against bool) bool {
		if m.perhapsHost(name) {
			return !against
		}
		return strings.EqualFold(name, m.h.OS.Hostname.V)
	})
	return a == allowed
}

// surely reports whether it is plain which hosts a list means.
func (m matcher) surely(list []sudoers.Item, depth int) bool {
	return depth <= maxAlias && !slices.ContainsFunc(list, func(it sudoers.Item) bool {
		if items, alias := m.su.aliases["Host "+it.Name]; alias {
			return !m.surely(items, depth+1)
		}
		if it.Name != "ALL" && m.h.OS.Hostname.V == "" {
			m.su.Incomplete = "the name of this host, which rules ask for, is not known"
		}
		*m.left--
		return *m.left <= 0 || it.Name != "ALL" && m.perhapsHost(it.Name)
	})
}

// perhapsHost reports whether a name is an address, a pattern, a netgroup, or
// this host's name in some domain, which sudo asks for.
func (m matcher) perhapsHost(name string) bool {
	host := m.h.OS.Hostname.V
	short, _, _ := strings.Cut(host, ".")
	first, _, domain := strings.Cut(name, ".")
	return host == "" || strings.ContainsAny(name, "+/*?[:") || domain && strings.Trim(name, "0123456789.") == "" ||
		strings.EqualFold(first, short) && !strings.EqualFold(name, host) && domain
}

// runasDefault is whom sudo runs a command as where nobody is named.
func (m matcher) runasDefault() string {
	name := "root"
	*m.left -= len(m.su.Settings) / 8
	for _, d := range m.su.Settings {
		if d.Name == "runas_default" && d.Value != "" && d.Scope != '!' && d.Scope != '>' && m.applies(d, "") {
			name = d.Value
		}
	}
	return name
}

// runas reports whether a rule lets its command run as the target.
func (m matcher) runas(r SudoRule, byDefault string) bool {
	if !r.Runas {
		return m.names(m.target, byDefault)
	}
	return m.isTarget(r.Users)
}

// commands resolves aliases of commands.
func (m matcher) commands(it sudoers.Item, depth int) []sudoers.Item {
	items, ok := m.su.aliases["Cmnd "+it.Name]
	switch {
	case !ok && sudoers.IsAlias(it.Name):
		return nil // nobody defined it
	case !ok:
		return []sudoers.Item{it}
	}
	if depth >= maxAlias {
		*m.left = 0
		return nil
	}
	var out []sudoers.Item
	for _, sub := range items {
		if *m.left--; len(out) >= 1000 || *m.left <= 0 {
			*m.left = 0
			break
		}
		for _, c := range m.commands(sub, depth+1) {
			c.Not = c.Not != it.Not
			out = append(out, c)
		}
	}
	return out
}

// those are the commands of a list, aliases resolved.
func (m matcher) those(list []sudoers.Item) []sudoers.Item {
	var out []sudoers.Item
	for _, it := range list {
		out = append(out, m.commands(it, 0)...)
	}
	return out
}

// covers reports whether one command of sudoers surely fits whatever another does.
func covers(wide, narrow string) bool {
	if wide == "ALL" || wide == narrow {
		return true
	}
	p, args, has := strings.Cut(wide, " ")
	q, others, _ := strings.Cut(narrow, " ")
	if p, q = inUsr(p), inUsr(q); p == q {
		return !has || args == others
	}
	if has || strings.ContainsAny(p, `[\`) || strings.ContainsAny(q, `*?[\^`) {
		return false
	}
	if dir, ok := strings.CutSuffix(p, "/"); ok {
		return path.Dir(q) == dir
	}
	ok, _ := path.Match(p, q)
	return ok
}

// inUsr is where a program is found by either name: sudo compares the files.
func inUsr(p string) string {
	if merged(p) {
		return "/usr" + p
	}
	return p
}
