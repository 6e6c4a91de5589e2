package plan

import (
	"slices"
	"strings"

	"picket/internal/core/fact"
)

// sudoAdminExists: somebody else than root comes in and is let through by sudo.
func sudoAdminExists(h *fact.Host) (refused, holds string) { return AdminBesides(h, "root") }

// AdminBesides says whether another account than one comes in over SSH and becomes root by sudo: without a password, or
// with one that works. refused is why not, else holds says who.
func AdminBesides(h *fact.Host, user string) (refused, holds string) {
	all, why := ways(h)
	if why != "" {
		return why, ""
	}
	ps := h.Accounts.Passwords
	if !ps.Known() {
		return "whose password works is not known: " + ps.Why, ""
	}
	today := int(h.Snap.Taken.Unix() / 86400)
	var admins []string
	for _, w := range all {
		if w.User == user || w.User == "root" || !w.Key && !w.Password {
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
	if len(admins) == 0 {
		return "nobody but " + user + " logs in and becomes root by sudo with a password that works: picket user add makes somebody who does", ""
	}
	return "", strings.Join(admins, ", ") + " can log in and is let through by sudo"
}
