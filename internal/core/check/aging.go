package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/account"
	"picket/internal/core/control"
	"picket/internal/core/fact"
)

// The ages that new accounts are given, and old ones are to have.
var (
	maxDays = age{
		key: "PASS_MAX_DAYS", unset: "not set: never", least: 1, most: 365, wanted: "1 to 365", mend: 365, field: account.Max,
		of: func(p fact.Password) int { return p.Max }, what: "days until its password runs out",
	}
	minDays = age{
		key: "PASS_MIN_DAYS", unset: "not set: none", least: 1, most: 365, wanted: "1 or more", mend: 1, field: account.Min,
		of: func(p fact.Password) int { return p.Min }, what: "days between two changes of its password",
	}
	warnDays = age{
		key: "PASS_WARN_AGE", unset: "not set: no warning", least: 7, most: 99999, wanted: "7 or more", mend: 7, field: account.Warn,
		of: func(p fact.Password) int { return p.Warn }, what: "days of warning before its password runs out",
	}
)

var aging = []Check{
	{"aging.max-days", maxDays.judge,
		"PASS_MAX_DAYS in /etc/login.defs for new accounts, and the field in /etc/shadow of those that have a password"},
	{"aging.min-days", minDays.judge,
		"PASS_MIN_DAYS in /etc/login.defs for new accounts, and the field in /etc/shadow of those that have a password"},
	{"aging.warn-days", warnDays.judge,
		"PASS_WARN_AGE in /etc/login.defs for new accounts, and the field in /etc/shadow of those that have a password"},
	{"aging.inactive", inactive,
		"INACTIVE in /etc/default/useradd for new accounts, and the field in /etc/shadow of those that have a password"},
	{"aging.future", changedInFuture,
		"the day of the last change in /etc/shadow, against the host's clock"},
	{"aging.hash-algorithm", hashAlgorithm,
		"the kind of the hashes in /etc/shadow, and what /etc/pam.d/common-password and /etc/login.defs give to new ones"},
}

// An age is one of the numbers of days that login.defs gives to new accounts
// and shadow keeps for each. Without a line in login.defs, useradd writes none.
type age struct {
	key, unset  string
	least, most int
	wanted      string
	of          func(fact.Password) int
	what        string
	mend        int // what a repair sets
	field       int // of shadow
}

func (a age) fits(n int) bool { return n >= a.least && n <= a.most }

// judge wants the number for new accounts, and for those with a password that
// were there before: login.defs does not touch them.
func (a age) judge(h *fact.Host) control.Outcome {
	if _, st, why := h.Snap.File(loginDefs); st == fact.Denied || st == fact.Unknown {
		return cannot(st, why)
	}
	at, found := fact.Place{Path: loginDefs}, a.unset
	v := h.Accounts.Defs[a.key]
	if v.Known() {
		at, found = v.Place, v.V
	}
	ev := control.Saw(a.key, at, found, a.wanted)
	if n, err := strconv.Atoi(v.V); err != nil || !a.fits(n) {
		return judged([]control.Evidence{ev}, "")
	}
	bad, open := peoplesAges(h, a.what, a.wanted, func(p fact.Password) bool { return a.fits(a.of(p)) }, a.of)
	switch {
	case open.Verdict == control.Unknown:
		return open
	case len(bad) > 0:
		return ineffective(fmt.Sprintf("%s is %s for new accounts, but not for those that were there before: %s: %s", a.key, found, bad[0].Fact, bad[0].Found),
			append(bad, ev)...)
	}
	o := judged(nil, fmt.Sprintf("%s is %s", a.key, found)).With(ev)
	o.Configured, o.Explicit = control.Yes, control.Yes
	return o
}

const loginDefs = "/etc/login.defs"

// peoplesAges finds the accounts with a password that works and a number in
// shadow which does not fit; open is unknown when shadow could not be read.
func peoplesAges(h *fact.Host, what, wanted string, fits func(fact.Password) bool, of func(fact.Password) int) (bad []control.Evidence, open control.Outcome) {
	ps := h.Accounts.Passwords
	if !ps.Known() {
		return nil, cannot(ps.State, ps.Why)
	}
	for _, name := range byName(ps.V) {
		p := ps.V[name]
		if p.Scheme == "" || p.Locked || fits(p) {
			continue
		}
		found := "none"
		if n := of(p); n != fact.Never {
			found = strconv.Itoa(n)
		}
		bad = append(bad, control.Saw(name+"'s "+what, p.Place, found, wanted).Of(name))
	}
	return bad, open
}

// endless is what shadow's programs take as a password that never runs out.
const endless = 99999

// inactive wants new accounts, and those with a password, to close some time
// after it ran out; which never comes where it does not run out.
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
	days := func(p fact.Password) int { return p.Inactive }
	bad, open := peoplesAges(h, "days until it closes", "0 to 45", func(p fact.Password) bool { return p.Inactive >= 0 && p.Inactive <= 45 }, days)
	if open.Verdict == control.Unknown {
		return open
	}
	if len(bad) > 0 {
		return ineffective(fmt.Sprintf("INACTIVE is %s for new accounts, but not for those that were there before: %s: %s", v.V, bad[0].Fact, bad[0].Found), append(bad, ev)...)
	}
	ps := h.Accounts.Passwords.V
	for _, name := range byName(ps) {
		if p := ps[name]; p.Scheme != "" && !p.Locked && (p.Max < 0 || p.Max >= endless) {
			return ineffective("accounts close "+v.V+" days after their password ran out, but that of "+name+" never does",
				control.Saw(name+"'s days until its password runs out", p.Place, strconv.Itoa(p.Max), "365 or less").Of(name), ev)
		}
	}
	return judged(nil, "accounts close "+v.V+" days after their password ran out").With(ev)
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
			bad = append(bad, control.Saw("last change of "+name, p.Place, fmt.Sprintf("%d days from now", p.Changed-today), "a day that was").Of(name))
		}
	}
	return judged(bad, "every password was last changed in the past")
}

// good hashes, in the words of login.defs and pam_unix, and in those of shadow.
// The programs of shadow know no other word than these, in capitals, and take
// DES for any that they do not know.
var (
	goodMethods = []string{"YESCRYPT", "SHA512"}
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
		if method != "" && !slices.Contains([]string{"yescrypt", "gost_yescrypt", "sha512", "blowfish"}, method) {
			bad = append(bad, control.Saw("pam_unix", l.Place, method, "yescrypt"))
		}
	}
	if _, st, why := h.Snap.File(loginDefs); st == fact.Denied || st == fact.Unknown {
		return cannot(st, why)
	}
	if m := h.Accounts.Defs["ENCRYPT_METHOD"]; m.Known() && !slices.Contains(goodMethods, m.V) {
		found := m.V
		if slices.Contains(goodMethods, strings.ToUpper(m.V)) {
			found += ": only capitals are understood, so DES is used"
		}
		bad = append(bad, control.Saw("ENCRYPT_METHOD", m.Place, found, "YESCRYPT or SHA512"))
	} else if !m.Known() {
		bad = append(bad, control.Saw("ENCRYPT_METHOD", fact.Place{Path: loginDefs}, "not set: DES", "YESCRYPT or SHA512"))
	}
	ps := h.Accounts.Passwords
	if ps.Known() {
		for _, name := range byName(ps.V) {
			if p := ps.V[name]; p.Scheme != "" && !slices.Contains(goodSchemes, p.Scheme) {
				bad = append(bad, control.Saw("password of "+name, p.Place, p.Scheme, "yescrypt, set anew").Of(name))
			}
		}
	}
	if len(bad) == 0 && !ps.Known() {
		return cannot(ps.State, ps.Why)
	}
	return judged(bad, "new passwords and those that are there are hashed well")
}
