package check

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/account"
	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

// accountRepairs are those of accounts and logins.
var accountRepairs = map[string]repair{
	"accounts.root-locked":      lockRoot,
	"accounts.empty-password":   barEmpty,
	"accounts.no-shell-locked":  lockShellless,
	"accounts.system-shells":    takeShells,
	"accounts.shadow-group":     emptyShadowGroup,
	"accounts.nologin-shells":   unlistShells,
	"accounts.default-user":     leaveTo(defaultUser, "OLD", "`picket user add NAME --from OLD --key FILE --sudo`, and then `picket user close OLD --for NAME`: your own account has to come in before this one is closed"),
	"accounts.factory-password": leaveTo(factoryPassword, "USER", "a new password is yours to choose: `picket passwd USER`"),
	"sudo.personal-admin":       leaveTo(personalAdmin, "OLD", "`picket user add NAME --key FILE --sudo` makes your own account, with the groups of another by --from OLD"),
	"aging.max-days":            maxDays.repair,
	"aging.min-days":            minDays.repair,
	"aging.warn-days":           warnDays.repair,
	"aging.inactive":            closeUnused,
	"aging.future":              changedToday,
	"aging.hash-algorithm":      hashWell,
	"logins.homes-private":      closeHomes,
	"logins.umask":              umaskTo(0o027, defaultUmask),
	"logins.umask-own":          umaskTo(0o077, func(h *fact.Host) control.Outcome { return loginUmask(h, false, 0o077) }),
	"logins.root-umask":         umaskTo(0o027, rootUmask),
	"logins.timeout":            endIdleShells,
}

// leaveTo says what to type. blank is in the place of the first account that the rule objects to.
func leaveTo(judge func(*fact.Host) control.Outcome, blank, why string) repair {
	return func(h *fact.Host, d *change.Draft) error {
		text := why
		for _, e := range judge(h).Evidence {
			if account.CheckName(e.Account) == nil {
				text = strings.ReplaceAll(why, blank, e.Account)
				break
			}
		}
		d.Leave("%s", text)
		return nil
	}
}

// stillBad leaves to a person what would not pass with the draft either.
func stillBad(d *change.Draft, judge func(*fact.Host) control.Outcome) {
	if o := judge(fact.Parse(d.Snapshot())); o.Verdict != control.Pass {
		d.Leave("not all of it can be set by a machine: %s", o.Reason)
	}
}

// checked has the real tools look at the files of accounts.
func checked(d *change.Draft) { d.Do(change.Check, account.Check, account.CheckWords) }

func lockRoot(h *fact.Host, d *change.Draft) error {
	if h.Accounts.Passwords.V["root"].Empty {
		if err := account.Bar(d, "root"); err != nil {
			return err
		}
	} else {
		l, ok := h.Logins.Login("root")
		if ok && l.Refused == "" && l.Key && len(h.Keys.Authorized["root"]) > 0 && slices.ContainsFunc(h.SSHD.Answers.V, func(a fact.SSHDAnswer) bool {
			v, _ := h.SSHD.Option(a, "UsePAM")
			return a.Who.User == "root" && slices.Contains(v, "no")
		}) {
			d.Leave("sshd runs with UsePAM no, and refuses the key of an account whose password is locked")
			return nil
		}
		if err := account.Lock(d, "root"); err != nil {
			return err
		}
	}
	checked(d)
	stillBad(d, rootLocked)
	return nil
}

func barEmpty(h *fact.Host, d *change.Draft) error {
	ps := h.Accounts.Passwords.V
	for _, name := range byName(ps) {
		if ps[name].Empty {
			if err := account.Bar(d, name); err != nil {
				return err
			}
		}
	}
	checked(d)
	stillBad(d, emptyPassword)
	return nil
}

func lockShellless(h *fact.Host, d *change.Draft) error {
	for _, u := range h.Accounts.Users {
		if p := h.Accounts.Passwords.V[u.Name]; !u.LoginShell() && p.Usable() {
			lock := account.Lock
			if p.Empty {
				lock = account.Bar
			}
			if err := lock(d, u.Name); err != nil {
				return err
			}
		}
	}
	checked(d)
	stillBad(d, noShellLocked)
	return nil
}

func takeShells(h *fact.Host, d *change.Draft) error {
	for _, u := range h.Accounts.Users {
		if !h.Accounts.System(u) || !u.LoginShell() || slices.Contains(shellServices, u.Name) {
			continue
		}
		switch p := h.Accounts.Passwords; {
		case p.Missing():
			d.Leave("whether somebody logs in as %s is not known: %s", u.Name, p.Why)
			return nil
		case p.V[u.Name].Usable(), len(h.Keys.Authorized[u.Name]) > 0:
			d.Leave("%s has a password or a key that works: look first who logs in with it", u.Name)
			return nil
		}
		if err := account.Shell(d, u.Name, "/usr/sbin/nologin"); err != nil {
			return err
		}
	}
	checked(d)
	stillBad(d, systemShells)
	return nil
}

func emptyShadowGroup(h *fact.Host, d *change.Draft) error {
	for _, g := range h.Accounts.Groups {
		if g.Name != "shadow" {
			continue
		}
		for _, m := range g.Members {
			if m != "root" && m != "backup" {
				if err := account.Leave(d, m, "shadow"); err != nil {
					return err
				}
			}
		}
	}
	checked(d)
	stillBad(d, shadowGroup)
	return nil
}

func unlistShells(_ *fact.Host, d *change.Draft) error {
	return d.Edit("/etc/shells", 0o644, func(was []byte) ([]byte, error) {
		var out strings.Builder
		for l := range strings.Lines(string(was)) {
			if t := strings.TrimSpace(l); strings.HasPrefix(t, "#") || !strings.HasSuffix(t, "/nologin") && !strings.HasSuffix(t, "/false") {
				out.WriteString(l)
			}
		}
		return []byte(out.String()), nil
	})
}

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

func closeUnused(h *fact.Host, d *change.Draft) error {
	const days = 30
	if n, err := strconv.Atoi(h.Accounts.Useradd["INACTIVE"].V); err != nil || n < 0 || n > 45 {
		if err := setting(d, "/etc/default/useradd", "INACTIVE", "=", strconv.Itoa(days)); err != nil {
			return err
		}
	}
	today := int(h.Snap.Taken.Unix() / 86400)
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
	}
	checked(d)
	stillBad(d, inactive)
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
	checked(d)
	stillBad(d, changedInFuture)
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

// lookInto are services that hand out files, perhaps of a home.
var lookInto = []string{"lighttpd", "nginx", "apache2", "caddy", "smbd", "nfs-server", "vsftpd", "proftpd"}

func closeHomes(h *fact.Host, d *change.Draft) error {
	for _, s := range lookInto {
		if h.Units.Get(s+".service").Running() || h.Units.Get(s+".service").Enabled() {
			d.Leave("%s may read files in a home: give it their group first, then `sudo chmod o-rwx,g-w FOLDER`", s)
			return nil
		}
	}
	for _, home := range people(h) {
		if home.Dir == nil || home.Dir.Type != snap.Dir || home.Dir.Mode&0o027 == 0 {
			continue
		}
		if err := d.Permit(home.User.Home, home.Dir.Mode&^0o027, home.Dir.UID, home.Dir.GID); err != nil {
			return err
		}
	}
	return nil
}

// umaskTo has a login set a umask by PAM, which holds for scp and cron too.
func umaskTo(mask int, judge func(*fact.Host) control.Outcome) repair {
	return func(h *fact.Host, d *change.Draft) error {
		text := fmt.Sprintf("%03o", mask)
		if was, err := strconv.ParseUint(h.Accounts.Defs["UMASK"].V, 8, 16); err != nil || int(was)&mask != mask {
			if err := setting(d, loginDefs, "UMASK", "\t\t", text); err != nil {
				return err
			}
		}
		if !slices.ContainsFunc(h.Session.PAM["common-session"].V, func(l fact.PAMLine) bool { return l.Module == "pam_umask.so" }) {
			// Behind the part that pam-auth-update writes anew.
			if err := d.Edit("/etc/pam.d/common-session", 0o644, func(was []byte) ([]byte, error) {
				text := string(was)
				if text != "" && !strings.HasSuffix(text, "\n") {
					text += "\n"
				}
				return []byte(text + "session\toptional\tpam_umask.so\n"), nil
			}); err != nil {
				return err
			}
		}
		stillBad(d, judge)
		return nil
	}
}

func endIdleShells(h *fact.Host, d *change.Draft) error {
	for _, l := range h.Session.Shell {
		if readonlyTMOUT.MatchString(l.Text) {
			d.Leave("%s sets TMOUT for good: change it there", l.Place)
			return nil
		}
	}
	const file = "/etc/profile.d/zz-picket-timeout.sh"
	if err := d.Edit(file, 0o644, func([]byte) ([]byte, error) {
		return []byte("# Written by Picket. What it was for: picket history\nTMOUT=900\nreadonly TMOUT\nexport TMOUT\n"), nil
	}); err != nil {
		return err
	}
	stillBad(d, shellTimeout)
	return nil
}
