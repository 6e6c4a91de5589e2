package fact

import (
	"net/netip"
	"slices"
	"strconv"
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

// Bounds of the accounts and places that are looked at, of which those that
// get settings of their own are asked about.
const (
	maxSSHDUsers  = 2000
	maxSSHDPlaces = 100
	maxSSHDSteps  = 2_000_000
)

// Logins are those that sshd is to be asked about: root, a stranger, every account
// with a login shell or named by a Match, and one of those without that a pattern of
// a Match fits (sftp and forwarding need no shell); from afar, and from one place
// in each network, host or port that a Match tells apart. Where these are more
// than the bound, one may stand for all that the same blocks apply to. left is how
// many there would be beyond the bound.
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
	groups := groupLists(a)
	root := SSHDWho{User: "root", Exists: true}
	if i := slices.IndexFunc(a.Users, func(u User) bool { return u.Name == "root" }); i >= 0 {
		root.Groups = groups(a.Users[i])
	}
	users := []SSHDWho{root, {User: Stranger}}
	places, unasked := c.places()
	kinds := map[string]bool{}
	for _, u := range users {
		kinds[c.told(u, false)] = true
	}
	most := max(MaxSSHDLogins, min(maxSSHDUsers, maxSSHDSteps/(len(places)*(len(c.Matches)+1))))
	more := 0                  // not even looked at
	var without, odd []SSHDWho // odd have names that sshd is not asked about
	for _, u := range a.Users {
		switch {
		case u.Name == "root":
		case !plainName(u.Name):
			if len(c.Matches) > 0 {
				odd = append(odd, SSHDWho{User: u.Name, Exists: true, Groups: groups(u)})
			}
		case len(users)+len(without) >= most:
			if u.LoginShell() || named[u.Name] || len(c.Matches) > 0 {
				more++
			}
		case u.LoginShell() || named[u.Name]:
			one := SSHDWho{User: u.Name, Exists: true, Groups: groups(u)}
			kinds[c.told(one, false)] = true
			users = append(users, one)
		case len(c.Matches) > 0:
			without = append(without, SSHDWho{User: u.Name, Exists: true, Groups: groups(u)})
		}
	}
	for i, u := range without {
		if (i+1)*len(c.Matches) > maxSSHDSteps {
			more += len(without) - i
			break
		}
		if kind := c.told(u, false); strings.Contains(kind, "1") && !kinds[kind] {
			kinds[kind] = true
			users = append(users, u)
		}
	}
	for i, u := range odd {
		if kind := c.told(u, false); (i+1)*len(c.Matches) > maxSSHDSteps || strings.Contains(kind, "1") && !kinds[kind] {
			more += len(odd) - i
			break
		}
	}
	for _, place := range places {
		for _, u := range users {
			u.Host, u.Addr, u.Local, u.Port, u.Domain = place.Host, place.Addr, place.Local, place.Port, place.Domain
			who = append(who, u)
		}
	}
	if len(who) > MaxSSHDLogins && len(who)*len(c.Matches) <= maxSSHDSteps {
		alike := map[string]bool{}
		var first, rest []SSHDWho
		for _, w := range who {
			if kind := c.applying(w); !alike[kind] {
				alike[kind] = true
				first = append(first, w)
			} else {
				rest = append(rest, w)
			}
		}
		who = append(first, rest[:min(len(rest), max(0, MaxSSHDLogins-len(first)))]...)
	}
	left = more*len(places) + unasked*len(users)
	if len(who) > MaxSSHDLogins {
		left += len(who) - MaxSSHDLogins
		who = who[:MaxSSHDLogins]
	}
	return who, left
}

// told is which criteria of the Match lines a login meets, as a text of 0 and
// 1: of those about the place that it comes from or goes to, or of the others.
func (c SSHDConfig) told(w SSHDWho, place bool) string {
	var b strings.Builder
	for _, m := range c.Matches {
		for _, cr := range m.Criteria {
			who := cr.Name == "user" || cr.Name == "group" || cr.Name == "invalid-user"
			if who == place || cr.Name == "all" {
				continue
			}
			b.WriteByte(bit(SSHDMatch{Criteria: []SSHDCriterion{cr}}.applies(w)))
		}
	}
	return b.String()
}

// applying is which Match lines apply to a login.
func (c SSHDConfig) applying(w SSHDWho) string {
	var b strings.Builder
	for _, m := range c.Matches {
		b.WriteByte(bit(m.applies(w)))
	}
	return b.String()
}

func bit(b bool) byte {
	if b {
		return '1'
	}
	return '0'
}

// ports are those that sshd listens on, as its files say.
func (c SSHDConfig) ports() []string {
	var out []string
	for _, s := range c.Settings {
		if s.Keyword != "listenaddress" || len(s.Values) == 0 {
			continue
		}
		if a, err := netip.ParseAddrPort(s.Values[0]); err == nil {
			out = append(out, strconv.Itoa(int(a.Port())))
		} else if host, port, ok := strings.Cut(s.Values[0], ":"); ok && !strings.Contains(port, ":") && host != "" {
			out = append(out, port)
		}
	}
	out = append(out, c.Find(SSHDWho{}, "Port").Values...)
	return slices.DeleteFunc(out, func(p string) bool { return !plainName(p) })
}

// places are one from afar, and one for each way in which the Match lines tell
// where a login comes from: within a network that they name, and outside of those
// that they leave out. left are those that were not looked at.
func (c SSHDConfig) places() (out []SSHDWho, left int) {
	far := SSHDWho{Host: farHost, Addr: farAddr}
	ports := append(c.ports(), ourPort)
	for _, m := range c.Matches {
		for _, cr := range m.Criteria {
			// sshd refuses to answer when it is not told what a Match asks for.
			switch cr.Name {
			case "localaddress":
				far.Local = ourAddr
			case "localport":
				far.Port = ports[0]
			case "rdomain":
				far.Domain = "none"
			}
		}
	}
	out = []SSHDWho{far}
	asked, seen := map[[5]string]bool{far.place(): true}, map[string]bool{c.told(far, true): true}
	steps := maxSSHDSteps / (len(c.Matches) + 1)
	add := func(w SSHDWho) {
		if asked[w.place()] {
			return
		}
		asked[w.place()] = true
		if steps--; steps < 0 || len(out) >= maxSSHDPlaces {
			left++
			return
		}
		if kind := c.told(w, true); !seen[kind] {
			seen[kind] = true
			out = append(out, w)
		}
	}
	for _, m := range c.Matches {
		base := far
		for _, cr := range m.Criteria {
			for _, set := range samples(cr, false) {
				set(&base)
				break
			}
		}
		add(base)
		for _, cr := range m.Criteria {
			for _, set := range samples(cr, true) {
				w := base
				set(&w)
				add(w)
			}
		}
	}
	if far.Port != "" {
		for _, p := range ports[:len(ports)-1] {
			w := far
			w.Port = p
			add(w)
		}
	}
	return out, left
}

// place is all of a login but whose it is.
func (w SSHDWho) place() [5]string { return [5]string{w.Host, w.Addr, w.Local, w.Port, w.Domain} }

// samples are places that a criterion speaks of: what it takes in and, with
// all, what it leaves out as well, and both ends of a network.
func samples(cr SSHDCriterion, all bool) (out []func(*SSHDWho)) {
	take := func(f func(*SSHDWho)) {
		if len(out) < maxSSHDPlaces {
			out = append(out, f)
		}
	}
	for _, p := range strings.Split(cr.Pattern, ",") {
		p, not := strings.CutPrefix(p, "!")
		if not && !all || !plainName(strings.NewReplacer("/", "", ":", "", "*", "", "?", "").Replace(p)) && strings.Trim(p, "*?") != "" {
			continue
		}
		switch cr.Name {
		case "address":
			for _, a := range addressesIn(p) {
				take(func(w *SSHDWho) { w.Addr = a })
			}
		case "host":
			h := strings.ToLower(strings.NewReplacer("*", "x", "?", "x").Replace(p))
			take(func(w *SSHDWho) { w.Host = h })
		case "localaddress":
			for _, a := range addressesIn(p) {
				take(func(w *SSHDWho) { w.Local = a })
			}
		case "localport":
			take(func(w *SSHDWho) { w.Port = p })
		case "rdomain":
			take(func(w *SSHDWho) { w.Domain = p })
		}
	}
	return out
}

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

// addressesIn are the first and the last address that a pattern stands for.
func addressesIn(pattern string) []string {
	out := []string{addressIn(pattern)}
	p, err := netip.ParsePrefix(pattern)
	if err != nil {
		return out
	}
	last := p.Masked().Addr().AsSlice()
	for i := range last {
		for b := range 8 {
			if i*8+b >= p.Bits() && (i < len(last)-1 || b < 7) {
				last[i] |= 0x80 >> b
			}
		}
	}
	if a, ok := netip.AddrFromSlice(last); ok && a.String() != out[0] {
		out = append(out, a.String())
	}
	return out
}

// plainName keeps what is passed on to a command to names without a comma or
// anything that it could mistake.
func plainName(s string) bool {
	ok := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.$@", r)
	}
	return s != "" && s[0] != '-' && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool { return !ok(r) })
}

// groupLists makes a function of the names of a user's groups, the first one
// first, that does not go through all groups for each user.
func groupLists(a Accounts) func(User) []string {
	member, name := map[string][]string{}, map[int]string{}
	for _, g := range a.Groups {
		if _, twice := name[g.GID]; !twice {
			name[g.GID] = a.GroupName(g.GID)
		}
		for _, m := range g.Members {
			member[m] = append(member[m], g.Name)
		}
	}
	return func(u User) []string {
		first, ok := name[u.GID]
		if !ok {
			first = strconv.Itoa(u.GID)
		}
		out := []string{first}
		for _, g := range member[u.Name] {
			if !slices.Contains(out, g) {
				out = append(out, g)
			}
		}
		return out
	}
}
