package fact

import (
	"net/netip"
	"slices"
	"strings"
)

// SSHDWho is a login as sshd sees it before it is allowed.
type SSHDWho struct {
	User   string
	Exists bool     // there is such an account
	Groups []string // of the account
	Host   string   // name of the client
	Addr   string   // of the client
	Port   string   // that it came to; "" when no Match asks
	Local  string   // address that it came to; "" when no Match asks
	Domain string   // routing domain that it came through; "" when no Match asks
}

// Stranger is a user name that no host has.
const Stranger = "picket-no-such-user"

// The client that is asked about: an address of the range kept for examples,
// so that no Match for the own network applies to it.
const (
	farHost = "client.invalid"
	farAddr = "192.0.2.1"
	ourAddr = "192.0.2.2"
	ourPort = "22"
)

// MaxSSHDLogins is how many logins sshd is asked about.
const MaxSSHDLogins = 40

func (w SSHDWho) argv() []string {
	spec := "user=" + w.User + ",host=" + w.Host + ",addr=" + w.Addr
	if w.Local != "" {
		spec += ",laddr=" + w.Local
	}
	if w.Port != "" {
		spec += ",lport=" + w.Port
	}
	if w.Domain != "" {
		spec += ",rdomain=" + w.Domain
	}
	return []string{"sshd", "-T", "-C", spec}
}

// String names the login for a person.
func (w SSHDWho) String() string {
	s := "user " + w.User
	if !w.Exists {
		s = "a user that does not exist"
	}
	if w.Addr != farAddr {
		s += " from " + w.Addr
	}
	if w.Host != farHost {
		s += " from host " + w.Host
	}
	if w.Local != "" && w.Local != ourAddr {
		s += " at " + w.Local
	}
	if w.Port != "" && w.Port != ourPort {
		s += " on port " + w.Port
	}
	return s
}

// needsAsking reports whether different logins may get different settings, as
// far as is known.
func (c SSHDConfig) needsAsking() bool { return len(c.Matches) > 0 || c.State != Known }

// Logins are those that sshd is to be asked about: root, every account with a
// login shell or named by a Match, and a stranger; from afar, and from one place
// in each network, host or port that a Match names. left is how many there
// would be beyond the bound.
func (c SSHDConfig) Logins(a Accounts) (who []SSHDWho, left int) {
	named := map[string]bool{}
	for _, m := range c.Matches {
		for _, cr := range m.Criteria {
			if cr.Name == "user" {
				for _, p := range strings.Split(cr.Pattern, ",") {
					named[p] = true
				}
			}
		}
	}
	users := []SSHDWho{{User: "root", Exists: true, Groups: groupsOf(a, "root")}, {User: Stranger}}
	more := 0 // not even looked at: finding groups takes long where there are thousands of accounts
	for _, u := range a.Users {
		switch {
		case u.Name == "root" || !u.LoginShell() && !named[u.Name] || !plainName(u.Name):
		case len(users) >= MaxSSHDLogins:
			more++
		default:
			users = append(users, SSHDWho{User: u.Name, Exists: true, Groups: groupsOf(a, u.Name)})
		}
	}
	places := c.places()
	for _, place := range places {
		for _, u := range users {
			if len(who) == MaxSSHDLogins {
				return who, len(places)*(len(users)+more) - len(who)
			}
			u.Host, u.Addr, u.Local, u.Port, u.Domain = place.Host, place.Addr, place.Local, place.Port, place.Domain
			who = append(who, u)
		}
	}
	return who, len(places)*(len(users)+more) - len(who)
}

// places are one from afar, and one for each Match that speaks of where a login
// comes from.
func (c SSHDConfig) places() []SSHDWho {
	far := SSHDWho{Host: farHost, Addr: farAddr}
	for _, m := range c.Matches {
		for _, cr := range m.Criteria {
			// sshd refuses to answer when it is not told what a Match asks for.
			switch cr.Name {
			case "localaddress":
				far.Local = ourAddr
			case "localport":
				far.Port = ourPort
			case "rdomain":
				far.Domain = "none"
			}
		}
	}
	out, seen := []SSHDWho{far}, map[[5]string]bool{far.place(): true}
	for _, m := range c.Matches {
		w := out[0]
		for _, cr := range m.Criteria {
			first, _, _ := strings.Cut(cr.Pattern, ",")
			if !plainName(strings.NewReplacer("/", "", ":", "", "*", "", "?", "").Replace(first)) {
				continue
			}
			switch cr.Name {
			case "address":
				w.Addr = addressIn(first)
			case "host":
				w.Host = strings.ToLower(strings.NewReplacer("*", "x", "?", "x").Replace(first))
			case "localaddress":
				w.Local = addressIn(first)
			case "localport":
				w.Port = first
			case "rdomain":
				w.Domain = first
			}
		}
		if at := w.place(); !seen[at] {
			seen[at] = true
			out = append(out, w)
		}
	}
	return out
}

// place is all of a login but whose it is.
func (w SSHDWho) place() [5]string { return [5]string{w.Host, w.Addr, w.Local, w.Port, w.Domain} }

// addressIn is an address that a pattern of one address, network or wildcard
// stands for; far away when there is none.
func addressIn(pattern string) string {
	if p, err := netip.ParsePrefix(pattern); err == nil {
		a := p.Masked().Addr()
		if n := a.Next(); n.IsValid() && p.Contains(n) {
			a = n
		}
		return a.String()
	}
	s := strings.NewReplacer("*", "1", "?", "1").Replace(pattern)
	for strings.Count(s, ".") < 3 && strings.HasSuffix(pattern, "*") && !strings.Contains(s, ":") {
		s += ".1"
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return a.String()
	}
	return farAddr
}

// plainName keeps what is passed on to a command to names without a comma or
// anything that it could mistake.
func plainName(s string) bool {
	ok := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.$@", r)
	}
	return s != "" && s[0] != '-' && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool { return !ok(r) })
}

// groupsOf are the names of a user's groups, the first one first.
func groupsOf(a Accounts, user string) []string {
	var out []string
	for _, u := range a.Users {
		if u.Name == user {
			out = append(out, a.GroupName(u.GID))
		}
	}
	for _, g := range a.Groups {
		if slices.Contains(g.Members, user) && !slices.Contains(out, g.Name) {
			out = append(out, g.Name)
		}
	}
	return out
}

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
