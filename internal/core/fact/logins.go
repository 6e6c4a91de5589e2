package fact

import (
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
	Place    Place
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
	l := Login{User: u.Name, Place: u.Place, Key: value("PubkeyAuthentication") == "yes"}
	pass, known := h.Accounts.Passwords.V[u.Name]
	l.Refused = refusedBy(h.SSHD, a)
	root := value("PermitRootLogin")
	switch {
	case l.Refused != "":
	case u.UID == 0 && root == "no":
		l.Refused = "PermitRootLogin is no"
	case known && pass.Locked && value("UsePAM") == "no":
		l.Refused = "its password is locked and UsePAM is no"
	}
	asks := value("PasswordAuthentication") == "yes" || value("KbdInteractiveAuthentication") == "yes" && value("UsePAM") == "yes"
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
