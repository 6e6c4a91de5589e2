package fact

import (
	"net/netip"
	"slices"
	"strings"

	"picket/internal/core/snap"
)

// Logins are the accounts that could log in over SSH, and what keeps them out.
type Logins struct {
	State State // Known when what sshd applies to everybody is known
	Why   string
	All   []Login
}

// Login is one account with a login shell, as sshd treats it from afar.
type Login struct {
	User    string
	Refused string // why sshd does not let it in whatever it shows; "" when it may
	// Password is whether some password lets it in. Unknown without shadow.
	Password Value[bool]
	Key      bool // sshd accepts keys for it; whether it has any is not looked at here
	KeyAlone bool // a key is enough, and nothing is asked besides
	Place    Place
	Asked    Place // where what sshd does is known from
}

func askLogins(*Host, *snap.Snapshot) snap.Manifest { return snap.Manifest{} }

func parseLogins(h *Host, s *snap.Snapshot) {
	d, l := h.SSHD, &h.Logins
	answers := d.Answers.V
	l.State, l.Why = d.Answers.State, d.Answers.Why
	if (s.Source.Kind == "image" || d.Stopped) && d.Config.State == Known && h.Accounts.State == Known {
		l.State, l.Why = Known, ""
		who, _ := d.Config.Logins(h.Accounts)
		for _, w := range who {
			answers = append(answers, SSHDAnswer{Who: w})
		}
	}
	for _, u := range h.Accounts.Users {
		if !u.LoginShell() {
			continue
		}
		i := slices.IndexFunc(answers, func(a SSHDAnswer) bool {
			return a.Who.Exists && a.Who.User == u.Name && a.Who.Addr == farAddr && a.Who.Host == farHost
		})
		if i >= 0 {
			l.All = append(l.All, loginOf(h, u, answers[i]))
		}
	}
}

func loginOf(h *Host, u User, a SSHDAnswer) Login {
	value := func(k string) string {
		v, _ := h.SSHD.Option(a, k)
		return strings.ToLower(strings.Join(v, " "))
	}
	l := Login{User: u.Name, Place: u.Place, Asked: a.Place, Key: value("PubkeyAuthentication") == "yes"}
	l.KeyAlone = slices.Contains([]string{"", "any"}, value("AuthenticationMethods"))
	for _, list := range methods(value("AuthenticationMethods")) {
		l.KeyAlone = l.KeyAlone || len(list) == 1 && list[0] == "publickey"
	}
	l.KeyAlone = l.KeyAlone && l.Key
	pass, known := h.Accounts.Passwords.V[u.Name]
	l.Refused = refusedBy(h.SSHD, a)
	root := value("PermitRootLogin")
	switch {
	case l.Refused != "":
	case u.UID == 0 && root == "no":
		l.Refused = "PermitRootLogin is no"
	case known && pass.Barred && value("UsePAM") == "no":
		l.Refused = "its password is locked and UsePAM is no"
	}
	way := map[string]bool{
		"password":             value("PasswordAuthentication") == "yes",
		"keyboard-interactive": value("KbdInteractiveAuthentication") == "yes" && value("UsePAM") == "yes",
	}
	asks := false
	for _, list := range methods(value("AuthenticationMethods")) {
		alone := true
		for _, m := range list {
			m, _, _ = strings.Cut(m, ":") // keyboard-interactive:pam
			alone = alone && way[m]
		}
		asks = asks || alone
	}
	switch {
	case !asks || l.Refused != "" || u.UID == 0 && root != "yes":
		l.Password = Is(false, a.Place)
	case !h.Accounts.Passwords.Known():
		l.Password = Not[bool](h.Accounts.Passwords.State, h.Accounts.Passwords.Why)
	case !known || pass.Locked || pass.Empty && value("PermitEmptyPasswords") != "yes":
		l.Password = Is(false, a.Place)
	default:
		l.Password = Is(true, pass.Place)
	}
	return l
}

// LoginFrom is how sshd treats an account that comes from an address, which may be within the host's own network; not
// valid is a client of no network that is known. ok is false where it is not known, or nobody logs in with the account.
func (h *Host) LoginFrom(user string, from netip.Addr) (l Login, ok bool) {
	u, known := h.Accounts.User(user)
	if !known || !u.LoginShell() || h.Logins.State != Known {
		return Login{}, false
	}
	if !from.IsValid() {
		return h.Logins.Login(user)
	}
	a := SSHDAnswer{Who: SSHDWho{User: user, Exists: true, Groups: groupLists(h.Accounts)(u), Host: farHost, Addr: from.Unmap().String(), Local: ourAddr, Port: ourPort}}
	applying := h.SSHD.Config.applying(a.Who)
	for _, b := range h.SSHD.Answers.V {
		if b.Who.Exists && b.Who.User == user && h.SSHD.Config.applying(b.Who) == applying {
			a.Options, a.Place = b.Options, b.Place
			break
		}
	}
	return loginOf(h, u, a), true
}

// ByAddress reports whether sshd treats logins differently by where they come from.
func (h *Host) ByAddress() bool {
	return len(h.SSHD.Config.Matches) > 0 || slices.ContainsFunc(h.SSHD.Config.Settings, func(s SSHDSetting) bool {
		return (s.Keyword == "allowusers" || s.Keyword == "denyusers") && slices.ContainsFunc(s.Values, func(v string) bool { return strings.Contains(v, "@") })
	})
}

// methods are the lists of which one has to be gone through as a whole: each way
// by itself, where no AuthenticationMethods says otherwise.
func methods(option string) [][]string {
	var out [][]string
	for _, list := range strings.Fields(option) {
		if list != "any" {
			out = append(out, strings.Split(list, ","))
		}
	}
	if len(out) == 0 {
		return [][]string{{"password"}, {"keyboard-interactive"}}
	}
	return out
}

// Login is what is known of one account's login over SSH.
func (l Logins) Login(user string) (Login, bool) {
	i := slices.IndexFunc(l.All, func(x Login) bool { return x.User == user })
	if l.State != Known || i < 0 {
		return Login{}, false
	}
	return l.All[i], true
}

// refusedBy applies the lists in the order in which sshd does.
func refusedBy(d SSHD, a SSHDAnswer) string {
	list := func(k string) []string {
		v, _ := d.Option(a, k)
		return strings.Fields(strings.Join(v, " "))
	}
	hit := func(patterns []string) bool {
		for _, p := range patterns {
			user, host, at := strings.Cut(p, "@")
			if matchList(a.Who.User, user) && (!at || matchAddr(a.Who.Addr, host) || matchList(a.Who.Host, host)) {
				return true
			}
		}
		return false
	}
	group := func(patterns []string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { return matchGroups(a.Who.Groups, p) })
	}
	if hit(list("DenyUsers")) {
		return "DenyUsers names it"
	}
	if allow := list("AllowUsers"); len(allow) > 0 && !hit(allow) {
		return "AllowUsers does not name it"
	}
	if group(list("DenyGroups")) {
		return "DenyGroups names a group of it"
	}
	if allow := list("AllowGroups"); len(allow) > 0 && !group(allow) {
		return "AllowGroups names no group of it"
	}
	return ""
}
