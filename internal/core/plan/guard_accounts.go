package plan

import (
	"slices"
	"strings"

	"picket/internal/core/fact"
)

// sudoAdminExists: somebody else than root comes in and is let through by sudo.
func sudoAdminExists(h *fact.Host, _ Options) (refused, holds string) { return AdminBesides(h, "root") }

// AdminBesides says whether another account than one comes in over SSH and becomes root by sudo: without a password, or
// with one that works. refused is why not, else holds says who.
func AdminBesides(h *fact.Host, user string) (refused, holds string) {
	all, why := sudoers(h)
	if why != "" {
		return why, ""
	}
	others := slices.DeleteFunc(all, func(u string) bool { return u == user })
	if len(others) == 0 {
		return "nobody but " + user + " is seen to log in and to become root by sudo with a password that works: picket user add makes somebody who does", ""
	}
	return "", strings.Join(others, ", ") + " can log in and is let through by sudo"
}

// NoAdmin says why an account does not come in over SSH and become root by sudo, "" where it does.
func NoAdmin(h *fact.Host, user string) string {
	all, why := sudoers(h)
	if why == "" && !slices.Contains(all, user) {
		why = user + " is not seen to log in and to become root by sudo with a password that works"
	}
	return why
}

// sudoers are the accounts that come in over SSH and are let through by sudo. why is what of it is not known.
func sudoers(h *fact.Host) (admins []string, why string) {
	all, why := ways(h)
	ps := h.Accounts.Passwords
	if why == "" && !ps.Known() {
		why = "whose password works is not known: " + ps.Why
	}
	if why != "" {
		return nil, why
	}
	today := int(h.Snap.Taken.Unix() / 86400)
	for _, w := range all {
		if w.User == "root" || !w.Key && !w.Password {
			continue
		}
		p, has := ps.V[w.User]
		ended := has && p.Expires != fact.Never && p.Expires <= today
		ranOut := has && p.Changed >= 0 && p.Max >= 0 && p.Changed+p.Max < today // sudo asks for a new one first
		through := slices.ContainsFunc(h.Sudo.Grants, func(g fact.SudoGrant) bool {
			return g.User == w.User && g.Full && (!g.Password || p.Usable() && !ranOut)
		})
		if through && !ended {
			admins = append(admins, w.User)
		}
	}
	return admins, ""
}
