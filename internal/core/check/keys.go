package check

import (
	"fmt"
	"path"
	"slices"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

var keys = []Check{
	{"keys.permissions", keyPermissions,
		"modes and owners of ~/.ssh/authorized_keys, or of the files that AuthorizedKeysFile names and the folders above them, for everybody who may log in"},
	{"keys.weak", weakKeys,
		"the kind and the length of every key in ~/.ssh/authorized_keys and where else sshd looks"},
	{"keys.private-mode", privateMode,
		"modes and owners of private keys in ~/.ssh"},
	{"keys.passphrase", passphrase,
		"the head of private keys in ~/.ssh, which says whether the rest is encrypted"},
}

// overSSH judges the keys of every account that can log in. Where some cannot
// be seen, the rule is unknown unless another account fails.
func overSSH(h *fact.Host, pass string, unseen func(fact.Home) (fact.State, string), bad func(fact.Home) []control.Evidence) control.Outcome {
	if o, no := noUsers(h); no {
		return o
	}
	var ev []control.Evidence
	var why string
	var st fact.State
	for _, home := range h.Keys.Homes {
		ev = append(ev, bad(home)...)
		if s, w := unseen(home); w != "" {
			why, st = "the keys of "+home.User.Name+" were not read: "+w, s
		}
	}
	if len(ev) == 0 && why != "" {
		return cannot(st, why)
	}
	return judged(ev, pass)
}

// unseenHome is why what lies in ~/.ssh is not known; "" when it is.
func unseenHome(home fact.Home) (fact.State, string) {
	if home.SSH == fact.Denied || home.SSH == fact.Unknown {
		return home.SSH, home.SSHWhy
	}
	return fact.Known, ""
}

// ignored says which files look as if sshd took keys from them, and it does not; "" when there is none.
func ignored(h *fact.Host) string {
	n, first := 0, ""
	for _, home := range h.Keys.Homes {
		for _, at := range h.Keys.Ignored[home.User.Name] {
			if n++; n == 1 {
				first = at.Path
			}
		}
	}
	switch n {
	case 0:
		return ""
	case 1:
		return "; sshd takes no keys from " + first
	}
	return fmt.Sprintf("; sshd takes no keys from %s and %d more like it", first, n-1)
}

func keyPermissions(h *fact.Host) control.Outcome {
	var st fact.State
	var why string // of a folder that was not seen
	said := map[string]bool{}
	unseen := func(home fact.Home) (fact.State, string) {
		if st, why := unseenHome(home); why != "" {
			return st, why
		}
		if st, why := h.Keys.Unread(home.User.Name); why != "" {
			return st, why
		}
		return st, why
	}
	pass := "only its user can read or change any .ssh folder"
	for _, home := range h.Keys.Homes {
		for _, f := range h.Keys.Files[home.User.Name] {
			if f.State == fact.Known && path.Dir(f.Path) != home.User.Home+"/.ssh" {
				pass = "only its user and root can change a file that lets somebody in"
			}
		}
	}
	return overSSH(h, pass+ignored(h), unseen, func(home fact.Home) []control.Evidence {
		st, why = fact.Known, ""
		var ev []control.Evidence
		saw := func(what string, at, found, wanted string) {
			if key := what + at + found; !said[key] { // of a folder that accounts share
				said[key] = true
				ev = append(ev, control.Saw(what, fact.Place{Path: at}, found, wanted).Of(home.User.Name))
			}
		}
		check := func(e *snap.Entry, most uint32) {
			if e.Mode&^most != 0 {
				saw("permissions", e.Path, fmt.Sprintf("mode %04o", e.Mode), fmt.Sprintf("%04o or less", most))
			}
			if e.UID != home.User.UID && e.UID != 0 {
				saw("owner", e.Path, h.Accounts.UserName(e.UID), home.User.Name)
			}
		}
		if e, st, _ := h.Snap.Stat(home.User.Home + "/.ssh"); st == fact.Known && e.Type == snap.Dir {
			check(e, 0o700)
		}
		for _, f := range h.Keys.Files[home.User.Name] {
			if f.Usual(home.User) {
				if e, st, _ := h.Snap.Stat(f.Path); st == fact.Known {
					check(e, 0o600)
				}
				continue
			}
			if f.State == fact.Absent && f.InHome {
				continue
			}
			// What sshd's StrictModes asks for. A missing file counts too: who may
			// write the folder can make one.
			for _, p := range append([]string{f.Path}, f.Folders...) {
				e, seen, hidden := h.Snap.Stat(p)
				switch {
				case f.Folders == nil || seen == fact.Absent:
				case seen != fact.Known:
					st, why = seen, hidden
				default:
					// As sshd of Debian: the group of its owner alone may write.
					open := e.Mode&0o002 != 0
					if e.Mode&0o020 != 0 && !open {
						if g := h.Accounts.GroupState; g == fact.Denied || g == fact.Unknown {
							st, why = g, h.Accounts.GroupWhy
							continue
						}
						open = !groupOfOwner(h, e)
					}
					if open {
						saw("permissions", e.Path, fmt.Sprintf("mode %04o", e.Mode), fmt.Sprintf("%04o or less", e.Mode&^0o022))
					}
					if e.UID != home.User.UID && e.UID != 0 {
						saw("owner", e.Path, h.Accounts.UserName(e.UID), home.User.Name+" or root")
					}
				}
			}
		}
		return ev
	})
}

// groupOfOwner reports whether nobody but the owner of a file is in its group.
func groupOfOwner(h *fact.Host, e *snap.Entry) bool {
	return slices.ContainsFunc(h.Accounts.Users, func(u fact.User) bool { return u.UID == e.UID && ownGroup(h, u, e.GID) })
}

// minRSA is what BSI, ANSSI and ssh-audit ask for today.
const minRSA = 3072

func weakKeys(h *fact.Host) control.Outcome {
	unseen := func(home fact.Home) (fact.State, string) {
		if st, why := h.Keys.Unread(home.User.Name); why != "" {
			return st, why
		}
		return fact.Unknown, h.Keys.Command[home.User.Name]
	}
	o := overSSH(h, "every key that lets somebody in is strong"+ignored(h), unseen, func(home fact.Home) []control.Evidence {
		var ev []control.Evidence
		for _, k := range h.Keys.Authorized[home.User.Name] {
			what := "key of " + home.User.Name
			if k.Comment != "" {
				what += " (" + k.Comment + ")"
			}
			switch {
			case k.Type == "ssh-dss":
				ev = append(ev, control.Saw(what, k.Place, "DSA", "Ed25519"))
			case k.Type == "ssh-rsa" && k.Bits < minRSA:
				ev = append(ev, control.Saw(what, k.Place, fmt.Sprintf("RSA of %d bits", k.Bits), fmt.Sprintf("Ed25519, or RSA of %d", minRSA)))
			}
		}
		return ev
	})
	if o.Verdict == control.Pass {
		for _, p := range h.Keys.Problems {
			return control.CannotTell("a line is no key that can be read: "+p.String(), control.Saw("authorized key", p.Place, p.Text, "a key"))
		}
	}
	return o
}

func privateMode(h *fact.Host) control.Outcome {
	return overSSH(h, "no private key can be read by others", unseenHome, func(home fact.Home) []control.Evidence {
		var ev []control.Evidence
		for _, k := range h.Keys.Private[home.User.Name] {
			if k.Entry.Mode&0o077 != 0 {
				ev = append(ev, control.Saw("private key of "+home.User.Name, k.Place, fmt.Sprintf("mode %04o", k.Entry.Mode), "0600"))
			}
			if k.Entry.UID != home.User.UID && k.Entry.UID != 0 { // root reads every file
				ev = append(ev, control.Saw("private key of "+home.User.Name, k.Place, "owner "+h.Accounts.UserName(k.Entry.UID), "owner "+home.User.Name))
			}
		}
		return ev
	})
}

func passphrase(h *fact.Host) control.Outcome {
	n := 0
	o := overSSH(h, "", unseenHome, func(home fact.Home) []control.Evidence {
		var ev []control.Evidence
		for _, k := range h.Keys.Private[home.User.Name] {
			n++
			if k.Lock == fact.Open {
				ev = append(ev, control.Saw("private key of "+home.User.Name, k.Place, k.Type+" without a passphrase", "one with a passphrase, or none on this host"))
			}
		}
		return ev
	})
	switch {
	case o.Verdict == control.Pass && n == 0:
		o.Reason = "there is no private key in a home"
	case o.Verdict == control.Pass:
		o.Reason = fmt.Sprintf("a passphrase protects the %d private keys", n)
	case o.Verdict == control.Fail:
		o.Reason = fmt.Sprintf("%s: %s", path.Clean(o.Evidence[0].Place), o.Evidence[0].Found)
		if len(o.Evidence) > 1 {
			o.Reason += fmt.Sprintf(", and %d more", len(o.Evidence)-1)
		}
	}
	return o
}
