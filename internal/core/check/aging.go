package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var aging = []Check{
	{"aging.max-days", newAccounts("PASS_MAX_DAYS", 99999, 1, 365, "365 or less")},
	{"aging.min-days", newAccounts("PASS_MIN_DAYS", 0, 1, 365, "1 or more")},
	{"aging.warn-days", newAccounts("PASS_WARN_AGE", 7, 7, 99999, "7 or more")},
	{"aging.inactive", inactive},
	{"aging.future", changedInFuture},
	{"aging.hash-algorithm", hashAlgorithm},
}

// newAccounts judges what login.defs gives to new accounts. Those that exist keep
// what they have: changing it can lock people out.
func newAccounts(key string, otherwise, least, most int, wanted string) func(*fact.Host) control.Outcome {
	return func(h *fact.Host) control.Outcome {
		e, st, why := h.Snap.File("/etc/login.defs")
		if st == fact.Denied || st == fact.Unknown {
			return cannot(st, why)
		}
		at := fact.Place{Path: "/etc/login.defs"}
		v := h.Accounts.Defs[key]
		found := fmt.Sprintf("%d, as it is not set", otherwise)
		if v.Known() && e != nil {
			at, found = v.Place, v.V
		}
		n := h.Accounts.Def(key, otherwise)
		ev := control.Saw(key, at, found, wanted)
		if n < least || n > most {
			return judged([]control.Evidence{ev}, "")
		}
		o := judged(nil, fmt.Sprintf("%s is %s", key, found)).With(ev)
		o.Explicit = control.TriOf(v.Known())
		return o
	}
}

func inactive(h *fact.Host) control.Outcome {
	_, st, why := h.Snap.File("/etc/default/useradd")
	if st == fact.Denied || st == fact.Unknown {
		return cannot(st, why)
	}
	v := h.Accounts.Useradd["INACTIVE"]
	found, at := "not set: never", fact.Place{Path: "/etc/default/useradd"}
	if v.Known() {
		found, at = v.V, v.Place
	}
	ev := control.Saw("INACTIVE", at, found, "0 to 45 days")
	if n, err := strconv.Atoi(v.V); err != nil || n < 0 || n > 45 {
		return judged([]control.Evidence{ev}, "")
	}
	return judged(nil, "new accounts close "+v.V+" days after their password ran out").With(ev)
}

func changedInFuture(h *fact.Host) control.Outcome {
	ps := h.Accounts.Passwords
	if !ps.Known() {
		return cannot(ps.State, ps.Why)
	}
	today := int(h.Snap.Taken.Unix() / 86400)
	var bad []control.Evidence
	for _, name := range byName(ps.V) {
		if p := ps.V[name]; p.Changed > today+1 { // a day of grace for time zones
			bad = append(bad, control.Saw("last change of "+name, p.Place, fmt.Sprintf("%d days from now", p.Changed-today), "a day that was"))
		}
	}
	return judged(bad, "every password was last changed in the past")
}

// good hashes, in the words of login.defs and pam_unix, and in those of shadow.
var (
	goodMethods = []string{"YESCRYPT", "GOST_YESCRYPT", "SHA512", "BCRYPT", "SCRYPT"}
	goodSchemes = []string{"yescrypt", "gost-yescrypt", "scrypt", "sha512crypt", "sha256crypt", "bcrypt"}
	pamMethods  = []string{"yescrypt", "gost_yescrypt", "sha512", "sha256", "blowfish", "md5", "bigcrypt"}
)

// hashAlgorithm looks at what passwd(1) really uses (pam_unix), at what
// chpasswd and useradd use (login.defs), and at the hashes that are there.
func hashAlgorithm(h *fact.Host) control.Outcome {
	var bad []control.Evidence
	stack := h.Session.PAM["common-password"]
	if stack.Missing() {
		return cannot(stack.State, stack.Why)
	}
	for _, l := range stack.V {
		if l.Module != "pam_unix.so" || l.Type != "password" {
			continue
		}
		method := "" // then pam_unix takes login.defs
		for _, a := range l.Args {
			if slices.Contains(pamMethods, a) {
				method = a
			}
		}
		if method != "" && !slices.Contains(goodMethods, strings.ToUpper(method)) && method != "blowfish" {
			bad = append(bad, control.Saw("pam_unix", l.Place, method, "yescrypt"))
		}
	}
	if m := h.Accounts.Defs["ENCRYPT_METHOD"]; m.Known() && !slices.Contains(goodMethods, strings.ToUpper(m.V)) {
		bad = append(bad, control.Saw("ENCRYPT_METHOD", m.Place, m.V, "YESCRYPT or SHA512"))
	} else if !m.Known() {
		bad = append(bad, control.Saw("ENCRYPT_METHOD", fact.Place{Path: "/etc/login.defs"}, "not set: DES", "YESCRYPT or SHA512"))
	}
	ps := h.Accounts.Passwords
	if ps.Known() {
		for _, name := range byName(ps.V) {
			if p := ps.V[name]; p.Scheme != "" && !slices.Contains(goodSchemes, p.Scheme) {
				bad = append(bad, control.Saw("password of "+name, p.Place, p.Scheme, "yescrypt, set anew"))
			}
		}
	}
	if len(bad) == 0 && !ps.Known() {
		return cannot(ps.State, ps.Why)
	}
	return judged(bad, "new passwords and those that are there are hashed well")
}
