package check

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

var logins = []Check{
	{"logins.homes-owned", homesOwned,
		"the home of every person in /etc/passwd: whether it is there, and whose it is"},
	{"logins.homes-private", homesPrivate,
		"the modes of the homes that /etc/passwd gives to persons, mostly below /home"},
	{"logins.dotfiles", dotfiles,
		"modes and owners of the hidden files in homes, as ~/.profile, ~/.bashrc and ~/.netrc"},
	{"logins.root-umask", rootUmask,
		"umask in /root/.bashrc and /root/.profile, on top of what holds for everybody (/etc/profile)"},
	{"logins.umask-own", func(h *fact.Host) control.Outcome { return loginUmask(h, false, 0o077) },
		"UMASK in /etc/login.defs, pam_umask in /etc/pam.d/common-session, and umask in /etc/profile and /etc/profile.d; wanted is 077"},
	{"logins.umask", defaultUmask,
		"UMASK in /etc/login.defs, pam_umask in /etc/pam.d/common-session, and umask in /etc/profile and /etc/profile.d"},
	{"logins.timeout", shellTimeout,
		"TMOUT in /etc/profile, /etc/bash.bashrc and /etc/profile.d"},
	{"logins.root-path", rootPath,
		"PATH in /root/.profile, /root/.bashrc, /etc/login.defs and secure_path in /etc/sudoers, and who may write into those folders"},
}

// people are the homes of accounts that a person logs in with.
func people(h *fact.Host) []fact.Home {
	var out []fact.Home
	for _, home := range h.Keys.Homes {
		if h.Accounts.Human(home.User) {
			out = append(out, home)
		}
	}
	return out
}

// overHomes judges each person's home; a home that cannot be seen makes the
// rule unknown unless another fails.
func overHomes(h *fact.Host, pass string, bad func(fact.Home) []control.Evidence) control.Outcome {
	if o, no := noUsers(h); no {
		return o
	}
	var ev []control.Evidence
	unseen := ""
	st := fact.Unknown
	for _, home := range people(h) {
		if home.State == fact.Denied || home.State == fact.Unknown {
			unseen, st = home.Why, home.State
			continue
		}
		ev = append(ev, bad(home)...)
	}
	if len(ev) == 0 && unseen != "" {
		return cannot(st, unseen)
	}
	return judged(ev, pass)
}

func homesOwned(h *fact.Host) control.Outcome {
	unknown := false
	o := overHomes(h, "every home belongs to its user", func(home fact.Home) []control.Evidence {
		what := "home of " + home.User.Name
		if home.Dir == nil || home.Dir.Type != snap.Dir {
			return []control.Evidence{control.Saw(what, home.User.Place, home.User.Home+" is not there", "a folder of the user's own").Of(home.User.Name).Mend(ownHome(home.User))}
		}
		var ev []control.Evidence
		at := fact.Place{Path: home.User.Home}
		if home.Dir.UID != home.User.UID {
			ev = append(ev, control.Saw(what, at, "belongs to "+h.Accounts.UserName(home.Dir.UID), "the user").Of(home.User.Name).Mend(ownHome(home.User)))
		}
		switch m := home.Dir.Mode; {
		case m&0o022 == 0o020 && h.Accounts.GroupState != fact.Known:
			unknown = true
		case m&0o002 != 0 || m&0o020 != 0 && !ownGroup(h, home.User, home.Dir.GID):
			ev = append(ev, control.Saw(what, at, fmt.Sprintf("mode %04o: others may write it", home.Dir.Mode), "0755 or less").Of(home.User.Name).Mend(ownHome(home.User)))
		}
		return ev
	})
	if unknown && o.Verdict == control.Pass {
		return cannot(h.Accounts.GroupState, h.Accounts.GroupWhy)
	}
	return o
}

// ownHome is a home that may be given to its user without a look; "" where
// it may be a folder of the system, as / or /usr/sbin.
func ownHome(u fact.User) string {
	if path.Dir(u.Home) == "/home" {
		return u.Home
	}
	return ""
}

func homesPrivate(h *fact.Host) control.Outcome {
	return overHomes(h, "no home is open to everybody", func(home fact.Home) []control.Evidence {
		if home.Dir == nil || home.Dir.Mode&0o027 == 0 {
			return nil
		}
		return []control.Evidence{control.Saw("home of "+home.User.Name, fact.Place{Path: home.User.Home}, fmt.Sprintf("mode %04o", home.Dir.Mode), "0750 or less")}
	})
}

// trusting are files by which one password or login is handed on.
var trusting = map[string]string{
	".rhosts": "lets other machines in without a password", ".shosts": "lets other machines in without a password",
	".netrc": "holds passwords in the clear", ".forward": "sends mail, and what is in it, elsewhere or to a program",
}

func dotfiles(h *fact.Host) control.Outcome {
	if o, no := noUsers(h); no {
		return o
	}
	var ev []control.Evidence
	unseen := ""
	for _, home := range h.Keys.Homes {
		if home.User.UID != 0 && !h.Accounts.Human(home.User) {
			continue
		}
		if home.DotsWhy != "" {
			unseen = home.DotsWhy
		}
		for _, e := range home.Dots {
			at := fact.Place{Path: e.Path}
			if why := trusting[path.Base(e.Path)]; why != "" && e.Type == snap.File {
				if strings.HasSuffix(e.Path, ".netrc") && e.Mode&0o077 == 0 {
					continue // git and pip use one; only its owner can read it
				}
				ev = append(ev, control.Saw(e.Path, at, why, "no such file").Of(home.User.Name))
				continue
			}
			if e.Type != snap.File && e.Type != snap.Dir || e.Mode&0o1000 != 0 {
				continue
			}
			switch {
			case e.UID != home.User.UID && e.UID != 0:
				ev = append(ev, control.Saw("owner of "+e.Path, at, h.Accounts.UserName(e.UID)+": what "+home.User.Name+" runs at login is theirs to change", home.User.Name).Of(home.User.Name))
			case e.Mode&0o002 != 0:
				ev = append(ev, control.Saw(e.Path, at, fmt.Sprintf("mode %04o: everybody may write it", e.Mode), "0755 or less").Of(home.User.Name))
			case e.Mode&0o020 != 0 && h.Accounts.GroupState != fact.Known:
				unseen = h.Accounts.GroupWhy
			case e.Mode&0o020 != 0 && !ownGroup(h, home.User, e.GID):
				ev = append(ev, control.Saw(e.Path, at, fmt.Sprintf("mode %04o: the group %s may write it", e.Mode, h.Accounts.GroupName(e.GID)), "0755 or less").Of(home.User.Name))
			}
		}
	}
	if len(ev) == 0 && unseen != "" {
		return control.CannotTell(unseen + "; run as root")
	}
	return judged(ev, "no hidden file of a home trusts or obeys others")
}

// ownGroup reports whether a group is that of one user alone, as useradd and
// adduser make one for each.
func ownGroup(h *fact.Host, u fact.User, gid int) bool {
	if gid != u.GID {
		return gid == 0
	}
	for _, g := range h.Accounts.Groups {
		if g.GID == gid {
			return !slices.ContainsFunc(h.Accounts.Members(g), func(m string) bool { return m != u.Name })
		}
	}
	return false
}

var umaskLine = regexp.MustCompile(`^umask\s+(\S+)$`)

// umaskOf reads the argument of umask: octal, or what is allowed for each of
// user, group and others. ok is false for what changes only a part.
func umaskOf(arg string) (mask int, ok bool) {
	if n, err := strconv.ParseUint(arg, 8, 16); err == nil {
		return int(n), n <= 0o777
	}
	mask, seen := 0o777, ""
	for part := range strings.SplitSeq(arg, ",") {
		who, what, ok := strings.Cut(part, "=")
		if !ok || who == "" || strings.Trim(who, "ugoa") != "" || strings.Trim(what, "rwx") != "" {
			return 0, false
		}
		bits := 0
		for i, c := range "xwr" {
			if strings.ContainsRune(what, c) {
				bits |= 1 << i
			}
		}
		for _, w := range strings.ReplaceAll(who, "a", "ugo") {
			shift := map[rune]int{'u': 6, 'g': 3, 'o': 0}[w]
			mask = mask&^(7<<shift) | (7&^bits)<<shift
			seen += string(w)
		}
	}
	return mask, strings.Contains(seen, "u") && strings.Contains(seen, "g") && strings.Contains(seen, "o")
}

// defaultUmask follows a login: pam_umask with login.defs, then the shell's
// start files; the last one counts.
func defaultUmask(h *fact.Host) control.Outcome { return loginUmask(h, false, 0o027) }

func rootUmask(h *fact.Host) control.Outcome { return loginUmask(h, true, 0o027) }

// loginUmask wants at least the bits of want, for root's login or for that of
// everybody else.
func loginUmask(h *fact.Host, root bool, want int) control.Outcome {
	session := h.Session.PAM["common-session"]
	if session.Missing() {
		return cannot(session.State, session.Why)
	}
	if h.Session.Unread != "" {
		return control.CannotTell(h.Session.Unread + "; run as root")
	}
	if _, st, why := h.Snap.File(loginDefs); st == fact.Denied || st == fact.Unknown {
		return cannot(st, why)
	}
	mask, at, set := 0o022, fact.Place{Path: "/etc/pam.d/common-session"}, false
	for _, l := range session.V {
		if l.Module != "pam_umask.so" {
			continue
		}
		from := h.Accounts.Defs["UMASK"]
		v, place := from.V, from.Place
		for _, a := range l.Args {
			if x, ok := strings.CutPrefix(a, "umask="); ok {
				v, place = x, l.Place
			}
		}
		if n, err := strconv.ParseUint(v, 8, 16); err == nil {
			mask, at, set = int(n), place, true
		}
	}
	for _, l := range h.Session.Shell {
		if !root && strings.HasPrefix(l.Place.Path, "/root/") {
			continue
		}
		if m := umaskLine.FindStringSubmatch(l.Text); m != nil {
			if n, ok := umaskOf(m[1]); ok {
				mask, at, set = n, l.Place, true
			}
		}
	}
	who := "a login"
	if root {
		who = "root's login"
	}
	ev := control.Saw("umask of "+who, at, fmt.Sprintf("%03o", mask), fmt.Sprintf("%03o, or stricter", want))
	if mask&want == want {
		o := control.Passed(fmt.Sprintf("%s starts with umask %03o", who, mask), ev)
		o.Configured, o.Persistent, o.Explicit = control.Yes, control.Yes, control.Yes
		return o
	}
	if d := h.Accounts.Defs["UMASK"]; !set && d.Known() {
		if n, err := strconv.ParseUint(d.V, 8, 16); err == nil && int(n)&want == want {
			o := control.IsIneffective(fmt.Sprintf("login.defs says %s, but nothing reads it at login: pam_umask is not in common-session", d.V),
				control.Saw("UMASK", d.Place, d.V, "pam_umask.so in /etc/pam.d/common-session"))
			o.Persistent = control.No
			return o
		}
	}
	return judged([]control.Evidence{ev}, "")
}

var (
	tmoutLine     = regexp.MustCompile(`(?:^|\s)TMOUT=(\d+)`)
	readonlyTMOUT = regexp.MustCompile(`\b(?:readonly|(?:declare|typeset)\s+(?:-\w+\s+)*-\w*r\w*)\s+(?:-\w+\s+)*TMOUT`)
)

func shellTimeout(h *fact.Host) control.Outcome {
	if h.Session.Unread != "" {
		return control.CannotTell(h.Session.Unread + "; run as root")
	}
	value, at := 0, fact.Place{Path: "/etc/profile.d"}
	fixed := false
	for _, l := range h.Session.Shell {
		if readonlyTMOUT.MatchString(l.Text) {
			fixed = true
		}
		if m := tmoutLine.FindStringSubmatch(l.Text); m != nil && !strings.HasPrefix(l.Place.Path, "/root/") {
			value, _ = strconv.Atoi(m[1])
			at = l.Place
		}
	}
	found := "not set"
	if value > 0 {
		found = strconv.Itoa(value) + " seconds"
	}
	ev := control.Saw("TMOUT", at, found, "900 seconds or less, readonly")
	switch {
	case value == 0 || value > 900:
		return judged([]control.Evidence{ev}, "")
	case !fixed:
		o := control.IsIneffective("TMOUT is set, but every user can unset it: it is not readonly", ev)
		o.Persistent = control.No
		return o
	}
	return judged(nil, fmt.Sprintf("an idle shell ends after %d seconds", value))
}

// emptyStaff reports whether a group is staff, to which Debian gave /usr/local,
// and nobody is in it.
func emptyStaff(h *fact.Host, gid int) bool {
	if gid != 50 {
		return false
	}
	for _, g := range h.Accounts.Groups {
		if g.GID == gid && slices.ContainsFunc(h.Accounts.Members(g), func(m string) bool { return m != "root" }) {
			return false
		}
	}
	return true
}

var pathLine = regexp.MustCompile(`(?:^|\s)PATH=("[^"]*"|'[^']*'|\S*)`)

// rootPath judges the folders in which root's commands are looked for.
func rootPath(h *fact.Host) control.Outcome {
	type found struct {
		value string
		at    fact.Place
	}
	var paths []found
	if d := h.Accounts.Defs["ENV_SUPATH"]; d.Known() {
		paths = append(paths, found{strings.TrimPrefix(d.V, "PATH="), d.Place})
	}
	for _, l := range h.Session.Shell {
		if m := pathLine.FindStringSubmatch(l.Text); m != nil {
			paths = append(paths, found{strings.Trim(m[1], `"'`), l.Place})
		}
	}
	if d, ok := h.Sudo.Global("secure_path"); ok {
		paths = append(paths, found{d.Value, d.Place})
	}
	if len(paths) == 0 {
		return control.CannotTell("no PATH is set in a file that was read")
	}
	var ev []control.Evidence
	var unseen []string
	staff := "" // why it is not known who is in that group
	for _, p := range paths {
		for _, dir := range strings.Split(p.value, ":") {
			switch {
			case strings.HasPrefix(dir, "$") || strings.HasPrefix(dir, "~"):
				continue // what was there before, or root's own home
			case !path.IsAbs(dir):
				ev = append(ev, control.Saw("PATH", p.at, fmt.Sprintf("%q: the folder where root happens to be", dir), "absolute folders").Mend(""))
				continue
			}
			e, st, _ := h.Snap.Stat(path.Clean(dir))
			switch {
			case st == fact.Unknown || st == fact.Denied:
				unseen = append(unseen, dir)
			case st == fact.Known && e.UID == 0 && e.Mode&0o022 == 0o020 && e.GID == 50 && (h.Accounts.GroupState != fact.Known || h.Accounts.State != fact.Known):
				staff = cmp.Or(h.Accounts.GroupWhy, h.Accounts.Why)
			case st == fact.Known && (e.UID != 0 || e.Mode&0o002 != 0 || e.Mode&0o020 != 0 && e.GID != 0 && !emptyStaff(h, e.GID)):
				ev = append(ev, control.Saw("PATH", p.at, fmt.Sprintf("%s (mode %04o, owner %s) can be written by others", dir, e.Mode, h.Accounts.UserName(e.UID)), "folders that only root can write").Mend(dir))
			}
		}
	}
	if len(ev) == 0 && h.Session.Unread != "" {
		return control.CannotTell(h.Session.Unread + "; run as root")
	}
	if len(ev) == 0 && staff != "" {
		return control.CannotTell("who is in the group staff is not known: " + staff)
	}
	slices.Sort(unseen)
	if unseen = slices.Compact(unseen); len(ev) == 0 && len(unseen) > 0 {
		return control.CannotTell("the permissions of " + strings.Join(unseen, ", ") + " were not read")
	}
	return judged(ev, "root's commands come from folders that only root can write")
}
