package plan

import (
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/fact"
)

// A guard says why a fix must not be made, "" where it may be, and then what it relies on.
type guard func(*fact.Host, Options) (refused, holds string)

var guards = map[string]guard{
	"key-login-exists":   keyLoginExists,
	"other-admin-exists": otherAdminExists,
	"sudo-admin-exists":  sudoAdminExists,
	"ssh-allowed-first":  drafted, // see proofs
	"peers-are-tried":    peersAreTried,
}

// A Way is how an account comes in over SSH.
type Way struct {
	User     string `json:"user"`
	Key      bool   `json:"key"` // with a key that is not bound to one command
	Password bool   `json:"password"`
	Admin    bool   `json:"admin"` // and becomes root by sudo, or is root
}

// LockedOut are the accounts that came in with a key and do not come in any more, or with a password, and have no
// key.
func LockedOut(before, after []Way) (users []string) {
	for _, b := range before {
		i := slices.IndexFunc(after, func(a Way) bool { return a.User == b.User })
		still := i >= 0 && (after[i].Key || !b.Key && after[i].Password)
		if (b.Key || b.Password) && !still {
			users = append(users, b.User)
		}
	}
	return users
}

// ways are the accounts that sshd lets in. why is what of it is not known.
func ways(h *fact.Host) (all []Way, why string) {
	if h.Logins.State != fact.Known {
		return nil, "who can log in is not known: " + h.Logins.Why
	}
	for _, l := range h.Logins.All {
		if l.Refused != "" {
			continue
		}
		if l.Password.Missing() {
			return nil, "whether " + l.User + " logs in with a password is not known: " + l.Password.Why
		}
		w := Way{User: l.User, Password: l.Password.V, Admin: l.User == "root"}
		w.Key = l.Key && slices.ContainsFunc(h.Keys.Authorized[l.User], func(k fact.AuthorizedKey) bool {
			return !slices.ContainsFunc(k.Options, func(o string) bool {
				return strings.HasPrefix(o, "command=") || strings.HasPrefix(o, "cert-authority") || strings.HasPrefix(o, "expiry-time")
			})
		})
		w.Admin = w.Admin || slices.ContainsFunc(h.Sudo.Grants, func(g fact.SudoGrant) bool { return g.User == l.User && g.Full })
		all = append(all, w)
	}
	return all, ""
}

// keyLoginExists: whoever comes in with a password today comes in with a key as well, and one of them is an administrator.
func keyLoginExists(h *fact.Host, _ Options) (refused, holds string) {
	all, why := ways(h)
	if why != "" {
		return why, ""
	}
	var without, admins []string
	for _, w := range all {
		if w.Password && !w.Key {
			without = append(without, w.User)
		}
		if w.Key && w.Admin {
			admins = append(admins, w.User)
		}
	}
	switch {
	case len(without) > 0:
		return fmt.Sprintf("%s would be locked out: a password, and no key. Give a key (ssh-copy-id), or take the login away (sudo passwd -l)", strings.Join(without, ", ")), ""
	case len(admins) == 0:
		return "nobody who may become root logs in with a key: ssh-copy-id first", ""
	}
	return "", "whoever logs in with a password has a key; " + strings.Join(admins, ", ") + " may become root"
}

// otherAdminExists: somebody else than root comes in and becomes root.
func otherAdminExists(h *fact.Host, _ Options) (refused, holds string) {
	all, why := ways(h)
	if why != "" {
		return why, ""
	}
	var admins []string
	for _, w := range all {
		if w.User != "root" && w.Admin && (w.Key || w.Password) {
			admins = append(admins, w.User)
		}
	}
	if len(admins) == 0 {
		return "nobody but root logs in and may become root", ""
	}
	return "", strings.Join(admins, ", ") + " can log in and may become root"
}

// peersAreTried: the leader of a Pioreactor comes in afterwards as before. What its own ssh agrees to only it knows, and some
// insist on a key exchange that is refused then (T19).
func peersAreTried(h *fact.Host, opt Options) (refused, holds string) {
	if slices.Contains(opt.Peers, "pioreactor") || slices.Contains(opt.Peers, "") {
		return "", "the peers that are named have to come in as before"
	}
	if h.Accounts.State != fact.Known {
		return "whether a Pioreactor's leader comes in is not known: " + h.Accounts.Why, ""
	}
	if _, ok := h.Accounts.User("pioreactor"); !ok {
		return "", ""
	}
	leader := "LEADER"
	if v := h.Apps.Get("pioreactor").Value("config", "cluster.topology", "leader_hostname"); v.Known() {
		leader = v.V
	}
	return "a Pioreactor's leader may insist on what is to go; have it tried: apply with --peer ssh://pioreactor@" + leader, ""
}
