package fact

import (
	"net/netip"
	"strings"
)

// sshdCriteria that a Match may have.
var sshdCriteria = []string{"all", "user", "group", "host", "address", "localaddress", "localport", "rdomain", "invalid-user", "version"}

// applies tells whether all criteria of a Match hold for a login.
func (m SSHDMatch) applies(w SSHDWho) bool {
	for _, c := range m.Criteria {
		ok := false
		switch c.Name {
		case "all":
			ok = true
		case "user":
			ok = matchList(w.User, c.Pattern)
		case "group":
			ok = w.Exists && matchGroups(w.Groups, c.Pattern)
		case "host":
			ok = matchList(strings.ToLower(w.Host), strings.ToLower(c.Pattern))
		case "address":
			ok = matchAddr(w.Addr, c.Pattern)
		case "localaddress":
			ok = w.Local != "" && matchAddr(w.Local, c.Pattern)
		case "localport":
			ok = w.Port != "" && w.Port == c.Pattern
		case "rdomain":
			ok = w.Domain != "" && matchList(w.Domain, c.Pattern)
		case "invalid-user":
			ok = !w.Exists
		}
		if !ok {
			return false
		}
	}
	return len(m.Criteria) > 0
}

// matchList is a list of patterns with commas. One that begins with ! and
// matches rules out everything; alone it allows nothing.
func matchList(s, list string) bool {
	found := false
	for _, p := range strings.Split(list, ",") {
		p, not := strings.CutPrefix(p, "!")
		if matchGlob(p, s) {
			if not {
				return false
			}
			found = true
		}
	}
	return found
}

// matchGroups tries every group; a forbidden one rules out the others.
func matchGroups(groups []string, list string) bool {
	found := false
	for _, g := range groups {
		for _, p := range strings.Split(list, ",") {
			p, not := strings.CutPrefix(p, "!")
			if matchGlob(p, g) {
				if not {
					return false
				}
				found = true
			}
		}
	}
	return found
}

// matchAddr is matchList for addresses, which may be networks.
func matchAddr(s, list string) bool {
	addr, err := netip.ParseAddr(s)
	found := false
	for _, p := range strings.Split(list, ",") {
		p, not := strings.CutPrefix(p, "!")
		hit := false
		if n, e := netip.ParsePrefix(p); e == nil {
			hit = err == nil && n.Contains(addr)
		} else if a, e := netip.ParseAddr(p); e == nil {
			hit = err == nil && a == addr
		} else {
			hit = matchGlob(p, s)
		}
		if hit {
			if not {
				return false
			}
			found = true
		}
	}
	return found
}

// matchGlob knows only * and ?. It remembers the last star instead of trying
// all ways, so that no pattern takes long.
func matchGlob(p, s string) bool {
	pi, si, star, mark := 0, 0, -1, 0
	for si < len(s) {
		switch {
		case pi < len(p) && p[pi] == '*':
			star, mark = pi, si
			pi++
		case pi < len(p) && (p[pi] == '?' || p[pi] == s[si]):
			pi++
			si++
		case star >= 0:
			mark++
			pi, si = star+1, mark
		default:
			return false
		}
	}
	for pi < len(p) && p[pi] == '*' {
		pi++
	}
	return pi == len(p)
}
