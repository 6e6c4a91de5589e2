package fact

import (
	"cmp"
	"iter"
	"path"
	"slices"
	"strings"

	"picket/internal/core/snap"
	"picket/internal/core/sudoers"
)

// A SudoGrant is one command that one account may run as root.
type SudoGrant struct {
	User     string
	Via      string // as the rule names the account: "%sudo", an alias, "ALL"
	Command  string // with its arguments, or ALL
	Full     bool   // it makes the account root: ALL, a shell, an editor, …
	AnyEnv   bool   // with an environment of its choice: LD_PRELOAD makes it root
	AnyRoot  bool   // below a folder of its choice, whose programs are the account's own
	Password bool   // the account has to type its password
	Place    Place
}

// Program is the path of the program that the grant names, "" where it names
// none, or more than one.
func (g SudoGrant) Program() string {
	p, _, _ := strings.Cut(g.Command, " ")
	if !path.IsAbs(p) || strings.HasSuffix(p, "/") || path.Clean(p) != p || snap.IsPattern(p) || strings.ContainsAny(p, "\\^\uFFFD") {
		return ""
	}
	return p
}

// Programs are the paths that run as root by the grant: the program, and the
// script that an interpreter is given.
func (g SudoGrant) Programs() []string {
	if g.Program() == "" {
		return nil
	}
	return slices.DeleteFunc(ranBy(strings.Fields(g.Command), "", 0), snap.IsPattern)
}

// maxSteps bounds the comparing of rules with accounts: a hostile host may have
// aliases of aliases of aliases.
const maxSteps = 1_000_000

// grant fills in Grants.
func (su *Sudo) grant(h *Host) {
	left := maxSteps
	m := matcher{su: su, h: h, left: &left}
	roots := slices.DeleteFunc(slices.Clone(h.Accounts.Users), func(u User) bool { return u.UID != 0 })
	if !slices.ContainsFunc(roots, func(u User) bool { return u.Name == "root" }) {
		roots = append(roots, User{Name: "root"})
	}
	for _, d := range su.Settings {
		if d.Scope == '!' {
			m.special = append(m.special, m.those(d.Who)...)
		}
	}
	for _, m.u = range h.Accounts.Users {
		if m.u.UID == 0 {
			continue
		}
		var of []SudoGrant
		for _, m.target = range roots {
			for _, g := range m.grants() {
				if !slices.ContainsFunc(of, func(o SudoGrant) bool {
					return o.Command == g.Command && o.Password == g.Password && o.Full == g.Full
				}) {
					of = append(of, g)
				}
				left -= len(of) / 8
			}
		}
		su.Grants = append(su.Grants, of...)
	}
	if left <= 0 {
		su.Incomplete = "there are too many rules, aliases and accounts to compare them all"
	}
}

// grants are what the account may run as the target.
func (m matcher) grants() []SudoGrant {
	var out []SudoGrant
	byDefault := m.runasDefault()
	for _, r := range m.su.Rules {
		if *m.left <= 0 {
			break
		}
		via, ok := m.user(r.Who)
		if !ok || !m.host(r.Hosts) || !m.runas(r, byDefault) {
			continue
		}
		// What may not hold takes nothing away.
		surely := !r.Dated && m.surely(r.Hosts, 0)
		for _, c := range m.commands(r.Item, 0) {
			*m.left -= 1 + (len(out)+len(m.special))/2
			if *m.left <= 0 {
				break
			}
			// The last rule for a command counts.
			out = slices.DeleteFunc(out, func(g SudoGrant) bool { return surely && !c.Digest && covers(c.Name, g.Command) })
			if c.Not {
				continue
			}
			grant := func(command string) SudoGrant {
				g := SudoGrant{User: m.u.Name, Via: via, Command: command, Place: r.Place, Password: m.asked(r, command), AnyEnv: m.anyEnv(r, command), AnyRoot: m.anyRoot(r, command)}
				g.Full = full(command) || g.AnyEnv || g.AnyRoot
				return g
			}
			g := grant(c.Name)
			out = append(out, g)
			// A setting for one command of those that the rule allows.
			for _, s := range m.special {
				if s.Name == "ALL" || s.Name == c.Name || !covers(c.Name, s.Name) {
					continue
				}
				if one := grant(s.Name); one.Password != g.Password || one.AnyEnv != g.AnyEnv || one.AnyRoot != g.AnyRoot {
					out = append(out, one)
				}
			}
		}
	}
	return out
}

// Takes are the commands that a rule takes away.
func (su *Sudo) Takes(r SudoRule) (out []string) {
	left := 10_000
	for _, c := range (matcher{su: su, left: &left}).commands(r.Item, 0) {
		if c.Not {
			out = append(out, c.Name)
		}
	}
	return out
}

// settings are those of some names that hold when the account runs command as
// the target.
func (m matcher) settings(command string, names ...string) iter.Seq[SudoSetting] {
	return func(yield func(SudoSetting) bool) {
		*m.left -= len(m.su.Settings) / 2
		// sudo reads the lines for single commands after all others.
		for _, late := range []bool{false, true} {
			for _, d := range m.su.Settings {
				if (d.Scope == '!') == late && slices.Contains(names, d.Name) && m.applies(d, command) && !yield(d) {
					return
				}
			}
		}
	}
}

// asked reports whether the account has to type a password: not the members of
// exempt_group; else the tags of the rule decide, and then authenticate.
func (m matcher) asked(r SudoRule, command string) bool {
	asked, exempt := true, ""
	for d := range m.settings(command, "authenticate", "exempt_group") {
		switch d.Name {
		case "authenticate":
			asked = d.Op != "!"
		case "exempt_group":
			exempt = strings.TrimPrefix(d.Value, "%")
		}
	}
	switch {
	case exempt != "" && m.names(m.u, "%"+exempt):
		return false
	case r.Ask != sudoers.AsSet:
		return r.Ask == sudoers.Passwd
	}
	return asked
}

// anyEnv reports whether the account may set the environment of a single command
// that runs as root, or at least what the loader obeys of it. sudoedit runs its
// editor as the account.
func (m matcher) anyEnv(r SudoRule, command string) bool {
	name, _, _ := strings.Cut(command, " ")
	if !path.IsAbs(name) {
		return false
	}
	may, reset := false, true
	keep, drop := []string{}, []string{"LD_*"}
	for d := range m.settings(command, "setenv", "env_reset", "env_keep", "env_delete") {
		switch d.Name {
		case "setenv":
			may = d.Op != "!"
		case "env_reset":
			reset = d.Op != "!"
		case "env_keep":
			keep = listed(keep, d)
		case "env_delete":
			drop = listed(drop, d)
		}
	}
	if r.SetEnv != sudoers.EnvAsSet {
		may = r.SetEnv == sudoers.SetEnv
	}
	return may || slices.ContainsFunc([]string{"LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT"}, func(v string) bool {
		has := func(patterns []string) bool {
			return slices.ContainsFunc(patterns, func(p string) bool {
				p, _, _ = strings.Cut(p, "=")
				ok, _ := path.Match(p, v)
				return ok
			})
		}
		return reset && has(keep) || !reset && !has(drop)
	})
}

// listed is a list of words after a setting of it.
func listed(list []string, d SudoSetting) []string {
	words := strings.Fields(d.Value)
	switch d.Op {
	case "+=":
		return append(list, words...)
	case "-=":
		return slices.DeleteFunc(list, func(w string) bool { return slices.Contains(words, w) })
	}
	return words
}

// anyRoot reports whether the account may choose the folder below which a
// command is run.
func (m matcher) anyRoot(r SudoRule, command string) bool {
	folder := ""
	for d := range m.settings(command, "runchroot") {
		folder = d.Value
	}
	return command != "ALL" && cmp.Or(r.Chroot, folder) == "*"
}

// applies reports whether a Defaults line is for the account, running command
// as the target.
func (m matcher) applies(d SudoSetting, command string) bool {
	switch d.Scope {
	case 0:
		return true
	case '@':
		return m.host(d.Who)
	case ':':
		_, ok := m.user(d.Who)
		return ok
	case '>':
		return m.isTarget(d.Who)
	}
	for _, c := range slices.Backward(m.those(d.Who)) {
		if covers(c.Name, command) {
			return !c.Not
		}
	}
	return false
}
