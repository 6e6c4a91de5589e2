package check

import (
	"fmt"
	"path"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

var keys = []Check{
	{"keys.permissions", keyPermissions,
		"modes and owners of ~/.ssh/authorized_keys and of the folders above it, for everybody who may log in"},
	{"keys.weak", weakKeys,
		"the kind and the length of every key in ~/.ssh/authorized_keys and where else sshd looks"},
	{"keys.private-mode", privateMode,
		"modes and owners of private keys in ~/.ssh"},
	{"keys.passphrase", passphrase,
		"the head of private keys in ~/.ssh, which says whether the rest is encrypted"},
}

// overSSH judges the .ssh of every account that can log in. One that cannot be
// seen makes the rule unknown unless another fails.
func overSSH(h *fact.Host, pass string, bad func(fact.Home) []control.Evidence) control.Outcome {
	if o, no := noUsers(h); no {
		return o
	}
	var ev []control.Evidence
	unseen, st := "", fact.Unknown
	for _, home := range h.Keys.Homes {
		if home.SSH == fact.Denied || home.SSH == fact.Unknown {
			unseen, st = "the keys of "+home.User.Name+" were not read: "+home.SSHWhy, home.SSH
		}
		ev = append(ev, bad(home)...)
	}
	if len(ev) == 0 && unseen != "" {
		return cannot(st, unseen)
	}
	return judged(ev, pass)
}

func keyPermissions(h *fact.Host) control.Outcome {
	return overSSH(h, "only its user can read or change any .ssh folder", func(home fact.Home) []control.Evidence {
		var ev []control.Evidence
		check := func(e *snap.Entry, most uint32) {
			at := fact.Place{Path: e.Path}
			if e.Mode&^most != 0 {
				ev = append(ev, control.Saw("permissions", at, fmt.Sprintf("mode %04o", e.Mode), fmt.Sprintf("%04o or less", most)).Of(home.User.Name))
			}
			if e.UID != home.User.UID && e.UID != 0 {
				ev = append(ev, control.Saw("owner", at, h.Accounts.UserName(e.UID), home.User.Name).Of(home.User.Name))
			}
		}
		if e, st, _ := h.Snap.Stat(home.User.Home + "/.ssh"); st == fact.Known && e.Type == snap.Dir {
			check(e, 0o700)
		}
		for _, name := range []string{"authorized_keys", "authorized_keys2"} {
			if e, st, _ := h.Snap.Stat(home.User.Home + "/.ssh/" + name); st == fact.Known {
				check(e, 0o600)
			}
		}
		return ev
	})
}

// minRSA is what BSI, ANSSI and ssh-audit ask for today.
const minRSA = 3072

func weakKeys(h *fact.Host) control.Outcome {
	o := overSSH(h, "every key that lets somebody in is strong", func(home fact.Home) []control.Evidence {
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
	return overSSH(h, "no private key can be read by others", func(home fact.Home) []control.Evidence {
		var ev []control.Evidence
		for _, k := range h.Keys.Private[home.User.Name] {
			if k.Entry.Mode&0o077 != 0 {
				ev = append(ev, control.Saw("private key of "+home.User.Name, k.Place, fmt.Sprintf("mode %04o", k.Entry.Mode), "0600"))
			}
			if k.Entry.UID != home.User.UID {
				ev = append(ev, control.Saw("private key of "+home.User.Name, k.Place, "owner "+h.Accounts.UserName(k.Entry.UID), "owner "+home.User.Name))
			}
		}
		return ev
	})
}

func passphrase(h *fact.Host) control.Outcome {
	n := 0
	o := overSSH(h, "", func(home fact.Home) []control.Evidence {
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
