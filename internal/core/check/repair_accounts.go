package check

import (
	"fmt"
	"path"
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
	"accounts.root-locked":      held(lockRoot, rootLocked),
	"accounts.empty-password":   held(barEmpty, emptyPassword),
	"accounts.no-shell-locked":  held(lockShellless, noShellLocked),
	"accounts.system-shells":    held(takeShells, systemShells),
	"accounts.shadow-group":     held(emptyShadowGroup, shadowGroup),
	"accounts.nologin-shells":   unlistShells,
	"accounts.default-user":     leaveTo(defaultUser, "OLD", "`picket user add NAME --from OLD --key FILE --sudo`, and then `picket user close OLD --for NAME`: your own account has to come in before this one is closed"),
	"accounts.factory-password": leaveTo(factoryPassword, "USER", "a new password is yours to choose: `picket passwd USER`"),
	"sudo.personal-admin":       leaveTo(personalAdmin, "OLD", "`picket user add NAME --key FILE --sudo` makes your own account, with the groups of another by --from OLD"),
	"aging.max-days":            maxDays.repair,
	"aging.min-days":            minDays.repair,
	"aging.warn-days":           warnDays.repair,
	"aging.inactive":            held(closeUnused, inactive),
	"aging.future":              held(changedToday, changedInFuture),
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
	if o := judge(control.Drafted(d)); o.Verdict != control.Pass {
		d.Leave("not all of it can be set by a machine: %s", o.Reason)
	}
}

// held does it, has the real tools look at the files of accounts, and leaves to a person what would not pass then either.
func held(fix repair, judge func(*fact.Host) control.Outcome) repair {
	return func(h *fact.Host, d *change.Draft) error {
		if err := fix(h, d); err != nil {
			return err
		}
		checked(d)
		stillBad(d, judge)
		return nil
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

// lookInto are services that hand out files, perhaps of a home.
var lookInto = []string{
	"lighttpd", "nginx", "apache2", "caddy", "smbd", "nfs-server", "vsftpd", "proftpd", "rsync", "minidlna", "mpd", "jellyfin", "plexmediaserver", "transmission-daemon",
}

func closeHomes(h *fact.Host, d *change.Draft) error {
	for _, s := range lookInto {
		if h.Units.Get(s+".service").Running() || h.Units.Get(s+".service").Enabled() {
			d.Leave("%s may read files in a home: give it their group first, then `sudo chmod o-rwx,g-w FOLDER`", s)
			return nil
		}
	}
	if h.Units.State == fact.Known && h.Services.State != fact.Known {
		d.Leave("which services read files in a home is not known: %s", h.Services.Why)
		return nil
	}
	for _, home := range people(h) {
		if home.Dir == nil || home.Dir.Type != snap.Dir || home.Dir.Mode&0o027 == 0 {
			continue
		}
		if who := readerOf(h, home); who != "" {
			d.Leave("%s reads %s: give its account a group that may first, then `sudo chmod o-rwx,g-w %s`", who, home.User.Home, home.User.Home)
			return nil
		}
		if err := d.Permit(home.User.Home, home.Dir.Mode&^0o027, home.Dir.UID, home.Dir.GID); err != nil {
			return err
		}
	}
	return nil
}

// readerOf is what runs as somebody else and has files in a home, "" where nothing is seen to. Who is in the home's group
// may still pass, and root always.
func readerOf(h *fact.Host, home fact.Home) string {
	in := func(p string) bool {
		return p == path.Clean(home.User.Home) || strings.HasPrefix(p, strings.TrimRight(home.User.Home, "/")+"/")
	}
	other := func(name string) bool {
		u, ok := h.Accounts.User(name)
		if !ok {
			id, err := strconv.Atoi(name)
			u, ok = h.Accounts.User(h.Accounts.UserName(id))
			ok = ok && err == nil
		}
		member := slices.ContainsFunc(h.Accounts.Groups, func(g fact.Group) bool { return g.GID == home.Dir.GID && h.Accounts.InGroup(u, g) })
		return !ok || u.UID != 0 && u.UID != home.User.UID && !member
	}
	for _, s := range h.Services.All {
		if i := slices.IndexFunc(s.Uses, in); i >= 0 && (s.Dynamic || other(s.User)) {
			user := s.User
			if s.Dynamic {
				user = "a user of its own"
			}
			return fmt.Sprintf("%s, which runs as %s and names %s,", s.Name, user, s.Uses[i])
		}
	}
	for _, j := range h.Cron.Jobs {
		words := strings.FieldsFunc(j.Command, func(r rune) bool { return strings.ContainsRune(" \t\"'=:,;()<>|&", r) })
		if i := slices.IndexFunc(words, in); i >= 0 && other(j.User) {
			return fmt.Sprintf("cron (%s), which runs as %s and names %s,", j.Place, j.User, words[i])
		}
	}
	for _, c := range h.Docker.Containers.V {
		if i := slices.IndexFunc(c.Mounts, func(m fact.ContainerMount) bool { return in(m.Source) }); i >= 0 {
			return fmt.Sprintf("the container %s, which has %s mounted,", c.Label(), c.Mounts[i].Source)
		}
	}
	return ""
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
