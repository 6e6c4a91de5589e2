package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

// What decides who comes in, and who becomes root: beginnings of paths, and units.
var (
	doors    = []string{"/etc/ssh/", "/etc/pam.d/", "/etc/security/", "/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/shells"}
	toRoot   = []string{"/etc/sudoers", "/etc/sudo.conf", "/etc/pam.d/", "/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow"}
	sshUnits = []string{"ssh.service", "ssh.socket", "sshd.service", "sshd.socket", "ssh@.service"}
)

// keptOut says whom a change would keep out, or from becoming root, and which controls have it do so. What sshd is told
// to read may hold what nobody has loaded yet; going back would not take that out again. On a card no login proves
// anything, so that what is not known keeps them out as well.
func keptOut(h *fact.Host, p Plan, d *change.Draft, card bool) (why string, controls []string) {
	at := func(of []string, more func(string) bool, units ...string) (ids []string) {
		for _, i := range p.Items {
			path := func(e change.Edit) bool {
				return more(e.Path) || slices.ContainsFunc(of, func(dir string) bool { return strings.HasPrefix(e.Path, dir) })
			}
			unit := func(s change.Step) bool { return s.Verb == change.Unit && slices.Contains(units, s.Name) }
			if slices.ContainsFunc(i.Edits, path) || slices.ContainsFunc(i.Steps, unit) {
				ids = append(ids, i.Control)
			}
		}
		return ids
	}
	never := func(string) bool { return false }
	loads := at(nil, never, "ssh.service")
	if changed := h.SSHD.Changed(h.Snap); len(loads) > 0 && len(changed) > 0 {
		return fmt.Sprintf("%s was changed after sshd last read its files; a reload would bring that into force, and could not be taken back. Load it first, while you are logged in: sudo sshd -t && sudo systemctl reload ssh", changed[0]), loads
	}
	come := at(doors, func(p string) bool { return strings.Contains(p, "/.ssh/") }, sshUnits...)
	become := at(toRoot, never)
	if len(come)+len(become) == 0 {
		return "", nil
	}
	then := control.DraftedFiles(d)
	if why := noLogin(h, then, p, card, len(loads) > 0); why != "" && len(come) > 0 {
		return why, come
	}
	if why := noMoreRoot(h, then, card); why != "" && len(become) > 0 {
		return why, become
	}
	return "", nil
}

// noLogin says who comes in before a change and not after it. With loads, all that the files say comes into force; without,
// what they said before does not count.
func noLogin(before, after *fact.Host, p Plan, card, loads bool) string {
	will, blind := ways(after)
	if p.Blind != "" || blind != "" {
		if card {
			return "on a card no login can prove that somebody still comes in, and " + cmp.Or(p.Blind, blind)
		}
		return "" // the new login decides
	}
	out := LockedOut(p.Ways, will)
	if user := loggedIn(before.Snap.Source); user != "" && !slices.ContainsFunc(will, func(w Way) bool { return w.User == user }) && !slices.Contains(out, user) {
		out = append(out, user) // who is in now, so that the running sshd does not say so
	}
	if !loads && len(out) > 0 {
		was, _ := ways(fact.Parse(change.On(before.Snap, nil, change.Policy{}).ByFiles()))
		out = slices.DeleteFunc(out, func(user string) bool {
			return !slices.ContainsFunc(was, func(w Way) bool { return w.User == user && (w.Key || w.Password) })
		})
	}
	if len(out) > 0 {
		return fmt.Sprintf("sshd would read its files as they are, and these keep %s out: mend AllowUsers, AllowGroups, the Match lines or the keys first, in /etc/ssh", strings.Join(out, ", "))
	}
	return ""
}

// noMoreRoot says who becomes root by sudo before a change and not after it. Of a card it is not known whether anybody
// knows the passwords: who is not asked for one is to be asked for none.
func noMoreRoot(before, after *fact.Host, card bool) string {
	was, why := sudoers(before)
	will, blind := sudoers(after)
	if why != "" || blind != "" {
		if card {
			return "on a card no login can prove that somebody still becomes root, and " + cmp.Or(why, blind)
		}
		return "" // the new login decides
	}
	free := func(h *fact.Host, user string) bool {
		return slices.ContainsFunc(h.Sudo.Grants, func(g fact.SudoGrant) bool { return g.User == user && g.Full && !g.Password })
	}
	var lost, asked []string
	for _, user := range was {
		switch {
		case !slices.Contains(will, user):
			lost = append(lost, user)
		case card && free(before, user) && !free(after, user):
			asked = append(asked, user)
		}
	}
	switch {
	case len(lost) > 0:
		return strings.Join(lost, ", ") + " would not become root by sudo any more"
	case len(asked) > 0:
		return fmt.Sprintf("%s; sudo would ask %s for a password, and of a card nobody can tell whether it is known", onceItRuns, strings.Join(asked, ", "))
	}
	return ""
}

// unproven says why a control is not for a card: it could cost the way in, and only a new login shows that it does not.
func unproven(c control.Control) string {
	switch {
	case slices.Contains(c.Risk, "lose-ssh"):
		return "once the host runs, `picket apply ssh://USER@HOST --accept-risk " + strings.Join(c.Risk, ",") + "` does it; on a card no login can prove that somebody still comes in"
	case c.Guard != "":
		return onceItRuns + "; on a card no login can prove that somebody still becomes root"
	}
	return ""
}

const onceItRuns = "once the host runs, `picket apply ssh://USER@HOST` does it"

// loggedIn is who took the snapshot over SSH, "" where that is not known.
func loggedIn(s snap.Source) string {
	rest, ssh := strings.CutPrefix(s.Target, "ssh://")
	user, _, named := strings.Cut(rest, "@")
	if s.Kind != "ssh" || !ssh || !named {
		return ""
	}
	return user
}
