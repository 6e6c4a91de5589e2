package inventory

import (
	"path"
	"strconv"
	"strings"

	"picket/internal/core/sshwords"
)

// A sshLine is one line of ssh's settings.
type sshLine struct {
	n     int
	key   string // in small letters
	value string // as written
	args  []string
}

// SSHConfig reads ~/.ssh/config: each name of a Host line that is no pattern
// is a node, with what ssh would do for it. Match and Include are not followed.
//
// The library that host/remote uses is not used here: it follows Include by
// reading files, and gives no lines.
func SSHConfig(file string, data []byte) Found {
	g := newGather(file)
	if !g.readable(data) {
		return g.found()
	}
	all := g.sshLines(data)
	seen := map[string]int{}
	patterns := 1
	for _, l := range all {
		patterns += len(l.args)
	}
	most := min(MaxNodes, maxSSHWork/patterns)
	for _, l := range all {
		if l.key != "host" {
			continue
		}
		for _, alias := range l.args {
			low := strings.ToLower(alias)
			if strings.ContainsAny(alias, "*?!") || alias == "" {
				continue
			}
			if first, ok := seen[low]; ok {
				if first != l.n {
					g.note(l.n, "%s stands on line %d already; both are read, the first wins", short(alias), first)
				}
				continue
			}
			seen[low] = l.n
			if err := CheckName(alias); err != nil {
				g.note(l.n, "%s", err)
				continue
			}
			if len(seen) > most {
				g.note(l.n, "more than %d names in a file of this size: what follows is left out", most)
				return g.found()
			}
			if n, ok := g.sshNode(alias, l.n, all); ok {
				g.Nodes = append(g.Nodes, n)
			}
		}
	}
	return g.found()
}

// Each name goes through all lines: so there is a bound on both.
const (
	maxSSHLines = 5000
	maxSSHWork  = 20_000_000
)

func (g *gather) sshLines(data []byte) (out []sshLine) {
	for n, text := range lines(data) {
		text = strings.TrimSpace(text)
		if text == "" || text[0] == '#' {
			continue
		}
		l := sshLine{n: n}
		l.key, l.value = option(text)
		args, ok := sshwords.Args(l.value)
		if !ok {
			g.note(n, "a quote is not closed: the line is not used")
			continue
		}
		l.args = args
		switch {
		case l.key == "include":
			g.note(n, "includes %s, which is not looked at: name that file too", short(l.value))
			continue
		case l.key == "match" && !(len(args) == 1 && strings.EqualFold(args[0], "all")):
			g.note(n, "what stands under Match is not followed")
		case len(args) == 0:
			g.note(n, "says nothing")
			continue
		}
		if out = append(out, l); len(out) == maxSSHLines {
			g.note(n, "more than %d lines: what follows is not read", maxSSHLines)
			break
		}
	}
	return out
}

// sshNode is what all lines that hold for an alias say of it; the first wins.
func (g *gather) sshNode(alias string, line int, all []sshLine) (Node, bool) {
	n := Node{Name: alias, At: g.at(line)}
	said := map[string]bool{}
	active := true
	keys := 0
	for _, l := range all {
		switch l.key {
		case "host":
			active = matches(alias, l.args)
			continue
		case "match":
			active = len(l.args) == 1 && strings.EqualFold(l.args[0], "all")
			continue
		}
		if !active {
			continue
		}
		v := l.args[0]
		key := l.key
		if key == "proxycommand" {
			key = "proxyjump" // whichever comes first
		}
		if said[key] && key != "identityfile" {
			continue
		}
		said[key] = true
		bad := func(err error) { g.note(l.n, "%s: %s", alias, err) }
		switch l.key {
		case "hostname":
			v = strings.ReplaceAll(strings.ReplaceAll(v, "%h", alias), "%%", "%")
			if err := CheckAddress(v); err != nil {
				bad(err)
				g.note(l.n, "%s is left out", alias)
				return n, false
			}
			if v != alias {
				n.Address = v
			}
		case "user":
			if v == "git" {
				g.note(line, "%s has the user git, as places for code have: left out", alias)
				return n, false
			}
			if err := CheckUser(v); err != nil {
				bad(err)
			} else {
				n.User = v
			}
		case "port":
			if err := CheckPort(v); err != nil {
				bad(err)
			} else {
				n.Port, _ = strconv.Atoi(v)
			}
		case "identityfile":
			if keys++; keys == 2 {
				g.note(l.n, "%s has more than one IdentityFile; the first is used", alias)
			}
			if keys > 1 || strings.EqualFold(v, "none") {
				continue
			}
			for _, home := range []string{"%d/", "${HOME}/"} {
				if rest, ok := strings.CutPrefix(v, home); ok {
					v = "~/" + rest
				}
			}
			if err := CheckIdentity(v); err != nil {
				bad(err)
			} else if strings.Contains(v, "%") || strings.Contains(v, "${") {
				g.note(l.n, "%s: %s has parts that only ssh fills in: not used", alias, short(v))
			} else {
				n.Identity = v
			}
		case "proxyjump":
			if strings.EqualFold(v, "none") {
				continue
			}
			hops, err := Hops(v)
			if err != nil {
				bad(err)
				g.note(l.n, "%s is left out, as it is not reached without", alias)
				return n, false
			}
			n.Jump = written(hops)
		case "proxycommand":
			if strings.EqualFold(v, "none") {
				continue
			}
			jump, ok := JumpOf(l.value)
			if !ok {
				g.note(l.n, "%s is reached by a ProxyCommand, which cannot be followed: left out", alias)
				return n, false
			}
			n.Jump = jump
		}
	}
	return n, true
}

// matches reports whether a Host line holds for a name. Its case matters.
func matches(name string, patterns []string) bool {
	yes := false
	for _, p := range patterns {
		p, not := strings.CutPrefix(p, "!")
		if !glob(p, name) {
			continue
		}
		if not {
			return false
		}
		yes = true
	}
	return yes
}

// glob knows * and ? and nothing else.
func glob(pattern, s string) bool {
	pattern = strings.NewReplacer(`\`, `\\`, `[`, `\[`).Replace(pattern)
	ok, err := path.Match(pattern, s)
	return ok && err == nil
}
