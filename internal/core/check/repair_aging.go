package check

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"picket/internal/core/account"
	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/fact"
)

// setting has a file of keys and values give one, on the lines that it has or a new one.
func setting(d *change.Draft, file, key, between, value string) error {
	line := regexp.MustCompile(`^[ \t]*` + key + `(?:[ \t]|=|$)`)
	return d.Edit(file, 0o644, func(was []byte) ([]byte, error) {
		ls := strings.SplitAfter(string(was), "\n")
		found := false
		for i, l := range ls {
			if line.MatchString(strings.TrimRight(l, "\r\n")) {
				ls[i], found = key+between+value+"\n", true
			}
		}
		text := strings.Join(ls, "")
		if !found {
			if text != "" && !strings.HasSuffix(text, "\n") {
				text += "\n"
			}
			text += key + between + value + "\n"
		}
		return []byte(text), nil
	})
}

// repair sets the number for new accounts, and for those that have a password and another number.
func (a age) repair(h *fact.Host, d *change.Draft) error {
	if n, err := strconv.Atoi(h.Accounts.Defs[a.key].V); err != nil || !a.fits(n) {
		if err := setting(d, loginDefs, a.key, "\t", strconv.Itoa(a.mend)); err != nil {
			return err
		}
	}
	ps := h.Accounts.Passwords
	if !ps.Known() {
		d.Leave("which accounts have a password is not known: %s", ps.Why)
		return nil
	}
	today := int(h.Snap.Taken.Unix() / 86400)
	touched := false
	for _, name := range byName(ps.V) {
		p := ps.V[name]
		if p.Scheme == "" || p.Locked || a.fits(a.of(p)) {
			continue
		}
		if why := a.atOnce(name, p, today); why != "" {
			d.Leave("%s", why)
			return nil
		}
		if err := account.Age(d, name, a.field, a.mend); err != nil {
			return err
		}
		if a.field == account.Max {
			d.Note("%s", mustChange(name, p.Changed+a.mend))
		}
		touched = true
	}
	if touched {
		checked(d)
	}
	stillBad(d, a.judge)
	return nil
}

// atOnce says why a password must not be given an end: it would have come already.
func (a age) atOnce(name string, p fact.Password, today int) string {
	if a.field != account.Max || p.Changed > 0 && p.Changed+a.mend > today {
		return ""
	}
	return "the password of " + name + " is older than that and would have run out at once, which keeps keys and cron out too: `picket passwd " + name + "` first"
}

// mustChange tells when a password runs out: the last day on which it still lets somebody in.
func mustChange(name string, last int) string {
	return fmt.Sprintf("%s must change its password by %s: after that neither a key nor cron works for it until it has", name, date(last))
}

// date is a day since 1970-01-01 in words.
func date(day int) string { return time.Unix(int64(day)*86400, 0).UTC().Format(time.DateOnly) }

func closeUnused(h *fact.Host, d *change.Draft) error {
	const days = 30
	if n, err := strconv.Atoi(h.Accounts.Useradd["INACTIVE"].V); err != nil || n < 0 || n > 45 {
		if err := setting(d, "/etc/default/useradd", "INACTIVE", "=", strconv.Itoa(days)); err != nil {
			return err
		}
	}
	today := int(h.Snap.Taken.Unix() / 86400)
	changed := map[string]bool{}
	for _, name := range byName(h.Accounts.Passwords.V) {
		p := h.Accounts.Passwords.V[name]
		if p.Scheme == "" || p.Locked || p.Inactive >= 0 && p.Inactive <= 45 {
			continue
		}
		if p.Changed >= 0 && p.Max >= 0 && p.Changed+p.Max+days <= today {
			d.Leave("the password of %s ran out so long ago that the account would close at once: `picket passwd %s` first", name, name)
			return nil
		}
		if err := account.Age(d, name, account.Inactive, days); err != nil {
			return err
		}
		changed[name] = true
	}
	// It counts from the day on which the password runs out, which has to come.
	for _, name := range byName(h.Accounts.Passwords.V) {
		p := h.Accounts.Passwords.V[name]
		if p.Scheme == "" || p.Locked || p.Max >= 0 && p.Max < endless {
			continue
		}
		if why := maxDays.atOnce(name, p, today); why != "" {
			d.Leave("%s", why)
			return nil
		}
		if err := account.Age(d, name, account.Max, maxDays.mend); err != nil {
			return err
		}
		changed[name] = true
	}
	then := control.Drafted(d).Accounts.Passwords.V
	for _, name := range slices.Sorted(maps.Keys(changed)) {
		p := then[name]
		last := p.Changed + p.Max
		if p.Changed < 0 || p.Max < 0 { // it never runs out
			continue
		}
		text := mustChange(name, last)
		if last < today {
			text = "the password of " + name + " has run out"
		}
		d.Note("%s; it is closed from %s on", text, date(last+p.Inactive+1))
	}
	return nil
}

func changedToday(h *fact.Host, d *change.Draft) error {
	today := int(h.Snap.Taken.Unix() / 86400)
	for _, name := range byName(h.Accounts.Passwords.V) {
		if h.Accounts.Passwords.V[name].Changed > today+1 {
			if err := account.Age(d, name, account.Changed, today); err != nil {
				return err
			}
		}
	}
	return nil
}

// hashWell sets what new passwords are hashed with. One that is there cannot be hashed anew by anybody who does not know it.
func hashWell(h *fact.Host, d *change.Draft) error {
	if m := h.Accounts.Defs["ENCRYPT_METHOD"]; !slices.Contains(goodMethods, m.V) {
		if err := setting(d, loginDefs, "ENCRYPT_METHOD", " ", "YESCRYPT"); err != nil {
			return err
		}
	}
	stillBad(d, hashAlgorithm)
	return nil
}
