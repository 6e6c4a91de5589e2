package check

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var accounts = []Check{
	{"accounts.factory-password", factoryPassword,
		"the hashes in /etc/shadow, against the factory passwords of images and applications and against the names of the account and the host; the guesses do not leave Picket"},
	{"accounts.empty-password", emptyPassword,
		"the second field of /etc/passwd and /etc/shadow"},
	{"accounts.default-user", defaultUser,
		"/etc/passwd and /etc/shadow: accounts such as pi that every image has, and whether anybody could log in to them"},
	{"accounts.uid0", onlyRoot("user id 0", func(u fact.User) bool { return u.UID == 0 }),
		"the third field of /etc/passwd"},
	{"accounts.gid0", onlyRoot("first group 0", func(u fact.User) bool {
		return u.GID == 0 && !slices.Contains([]string{"sync", "shutdown", "halt", "operator"}, u.Name)
	}),
		"the fourth field of /etc/passwd"},
	{"accounts.gid0-group", gid0Group,
		"the third field of /etc/group"},
	{"accounts.root-locked", rootLocked,
		"root's line in /etc/shadow"},
	{"accounts.shadowed", shadowed,
		"the second field of /etc/passwd"},
	{"accounts.unique-uids", uniqueUsers(func(u fact.User) string { return "user id " + strconv.Itoa(u.UID) }),
		"the third field of /etc/passwd"},
	{"accounts.unique-names", uniqueUsers(func(u fact.User) string { return "name " + u.Name }),
		"the first field of /etc/passwd"},
	{"accounts.unique-gids", uniqueGroups(func(g fact.Group) string { return "group id " + strconv.Itoa(g.GID) }),
		"the third field of /etc/group"},
	{"accounts.unique-groups", uniqueGroups(func(g fact.Group) string { return "name " + g.Name }),
		"the first field of /etc/group"},
	{"accounts.group-exists", groupExists,
		"the fourth field of /etc/passwd, against /etc/group"},
	{"accounts.shadow-group", shadowGroup,
		"the members of shadow in /etc/group, and whose first group it is in /etc/passwd"},
	{"accounts.legacy-plus", legacyPlus,
		"lines that begin with + in /etc/passwd, /etc/shadow and /etc/group"},
	{"accounts.well-formed", wellFormed,
		"every line of /etc/passwd, /etc/shadow and /etc/group"},
	{"accounts.system-shells", systemShells,
		"the shells in /etc/passwd of accounts that belong to programs"},
	{"accounts.no-shell-locked", noShellLocked,
		"the hashes in /etc/shadow of accounts whose shell in /etc/passwd lets nobody in"},
	{"accounts.nologin-shells", nologinShells,
		"the lines of /etc/shells"},
	{"accounts.root-groups", rootGroups,
		"the members in /etc/group of docker, lxd, incus, disk and kmem, against who may become root with sudo"},
}

// judged makes an outcome of a rule over a list: it fails with the first of
// what is bad. What is in these files holds now and after a reboot.
func judged(bad []control.Evidence, pass string) control.Outcome {
	if len(bad) == 0 {
		o := control.Passed(pass)
		o.Persistent = control.Yes
		return o
	}
	o := control.Failed(fmt.Sprintf("%s: %s", bad[0].Fact, bad[0].Found), bad...)
	if len(bad) > 1 {
		o.Reason += fmt.Sprintf(", and %d more", len(bad)-1)
	}
	o.Persistent = control.No
	return o
}

// cannot is the outcome when a file that a rule needs could not be read.
func cannot(st fact.State, why string) control.Outcome {
	if st == fact.Denied {
		why += "; run as root"
	}
	return control.CannotTell(why)
}

func noUsers(h *fact.Host) (control.Outcome, bool) {
	a := h.Accounts
	return cannot(a.State, a.Why), a.State != fact.Known
}

func noGroups(h *fact.Host) (control.Outcome, bool) {
	a := h.Accounts
	return cannot(a.GroupState, a.GroupWhy), a.GroupState != fact.Known
}

// byName gives the accounts of shadow in a fixed order.
func byName(m map[string]fact.Password) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(m[a].Place.Line, m[b].Place.Line), cmp.Compare(a, b))
	})
	return names
}

func factoryPassword(h *fact.Host) control.Outcome {
	ps := h.Accounts.Passwords
	if !ps.Known() {
		return cannot(ps.State, ps.Why)
	}
	var bad, open, reached []control.Evidence
	usable, locked, outOfTime := 0, 0, false
	for _, name := range byName(ps.V) {
		p := ps.V[name]
		what := "password of " + name
		switch {
		case p.Empty, p.Scheme == "":
		case p.Locked:
			locked++ // may still be one, for after it is unlocked
		case p.Guessed != "":
			bad = append(bad, control.Saw(what, p.Place, p.Guessed, "one that only its owner knows").Of(name))
			if e, ok := passwordOverSSH(h, name); ok {
				reached = append(reached, e)
			}
		case !p.Checked:
			why := p.Why
			if why == "" {
				why = "not tried"
			}
			outOfTime = outOfTime || why == fact.OutOfTime
			open = append(open, control.Saw(what, p.Place, "not checked: "+why, "none that is easy to guess"))
		default:
			usable++
		}
	}
	if len(bad) == 0 && len(open) > 0 {
		o := control.CannotTell(fmt.Sprintf("the %s was %s", open[0].Fact, open[0].Found), open...)
		if len(open) > 1 {
			o.Reason += fmt.Sprintf(", and %d more", len(open)-1)
		}
		if outOfTime {
			o.Reason += "; --guess-time 2m takes longer"
			if h.Snap.Source.Kind == "local" {
				o.Reason += ", and over SSH a faster machine does the work"
			}
		}
		return o
	}
	pass := "no account has a password that works"
	if usable > 0 {
		pass = fmt.Sprintf("none of the passwords that anybody would try first fits (%d checked)", usable)
	}
	if locked > 0 {
		pass += fmt.Sprintf("; %d locked ones were not tried", locked)
	}
	o := judged(bad, pass)
	if len(bad) == 1 && len(reached) == 1 {
		o.Reason += ", and SSH " + reached[0].Found
	}
	return o.With(reached...)
}

// passwordOverSSH is whether an account's password opens SSH, where that is
// known: sshd runs, and has read its files as they are.
func passwordOverSSH(h *fact.Host, user string) (control.Evidence, bool) {
	l, ok := h.Logins.Login(user)
	found := "accepts it"
	running := h.Snap.Source.Kind == "image" || h.SSHD.Read.Known() && len(h.SSHD.Changed(h.Snap)) == 0
	switch {
	case !running || !ok || l.Refused == "" && !l.Password.Known():
		return control.Evidence{}, false
	case l.Refused != "":
		found = "does not let the account in: " + l.Refused
	case !l.Password.V:
		found = "takes no password of this account"
	}
	return control.Saw("password of "+user+" over SSH", l.Asked, found, ""), true
}

func emptyPassword(h *fact.Host) control.Outcome {
	ps := h.Accounts.Passwords
	if !ps.Known() {
		return cannot(ps.State, ps.Why)
	}
	var bad []control.Evidence
	for _, name := range byName(ps.V) {
		if p := ps.V[name]; p.Empty {
			bad = append(bad, control.Saw("password of "+name, p.Place, "empty", "a password, or * for none").Of(name))
		}
	}
	if o, _ := noUsers(h); len(bad) == 0 && (h.Accounts.State == fact.Denied || h.Accounts.State == fact.Unknown) {
		return o
	}
	return judged(bad, "no account has an empty password")
}

// factoryNames are the accounts that images come with.
var factoryNames = []string{"pi", "pioreactor", "ubuntu", "debian", "dietpi", "orangepi", "rock", "odroid", "osmc", "volumio", "vagrant", "admin", "user", "test", "guest", "rpi-first-boot-wizard"}

func defaultUser(h *fact.Host) control.Outcome {
	if o, no := noUsers(h); no {
		return o
	}
	var bad []control.Evidence
	for _, u := range h.Accounts.Users {
		if slices.Contains(factoryNames, u.Name) && h.Accounts.Human(u) {
			switch in, why := canEnter(h, u); {
			case why != "":
				return control.CannotTell(why)
			case !in:
				continue
			}
			bad = append(bad, control.Saw("account "+u.Name, u.Place, "the name that its image comes with", "an account named by its owner").Of(u.Name))
		}
	}
	return judged(bad, "no account that an image comes with is open")
}

// canEnter reports whether a password or a key lets somebody use an account;
// unknown says what was not seen when neither could be found.
func canEnter(h *fact.Host, u fact.User) (yes bool, unknown string) {
	ps := h.Accounts.Passwords
	p, has := ps.V[u.Name]
	if has && p.Expires != fact.Never && p.Expires <= int(h.Snap.Taken.Unix()/86400) {
		return false, "" // it ran out, whatever opens it
	}
	switch {
	case ps.Missing():
		return false, cannot(ps.State, ps.Why).Reason
	case has && p.Usable(), len(h.Keys.Authorized[u.Name]) > 0:
		return true, ""
	}
	return false, h.Keys.Unseen(u.Name)
}

func onlyRoot(what string, is func(fact.User) bool) func(*fact.Host) control.Outcome {
	return func(h *fact.Host) control.Outcome {
		if o, no := noUsers(h); no {
			return o
		}
		var bad []control.Evidence
		for _, u := range h.Accounts.Users {
			if is(u) && u.Name != "root" {
				bad = append(bad, control.Saw("account "+u.Name, u.Place, what, "another, as only root has it").Of(u.Name))
			}
		}
		return judged(bad, "only root has "+what)
	}
}

func gid0Group(h *fact.Host) control.Outcome {
	if o, no := noGroups(h); no {
		return o
	}
	var bad []control.Evidence
	for _, g := range h.Accounts.Groups {
		if g.GID == 0 && g.Name != "root" {
			bad = append(bad, control.Saw("group "+g.Name, g.Place, "group id 0", "another, as only root has it"))
		}
	}
	return judged(bad, "only the group root has group id 0")
}

func rootLocked(h *fact.Host) control.Outcome {
	ps := h.Accounts.Passwords
	if !ps.Known() {
		return cannot(ps.State, ps.Why)
	}
	p, ok := ps.V["root"]
	switch {
	case !ok:
		return judged(nil, "root has no password: shadow does not name it")
	case p.Empty:
		return judged([]control.Evidence{control.Saw("password of root", p.Place, "empty", "locked")}, "")
	case p.Usable():
		return judged([]control.Evidence{control.Saw("password of root", p.Place, "set", "locked")}, "")
	}
	return judged(nil, "root's password is locked")
}

func shadowed(h *fact.Host) control.Outcome {
	if o, no := noUsers(h); no {
		return o
	}
	var bad []control.Evidence
	for _, u := range h.Accounts.Users {
		switch {
		case u.Hash:
			bad = append(bad, control.Saw("password of "+u.Name, u.Place, "in passwd, which everybody can read", "x"))
		case u.NoPass:
			bad = append(bad, control.Saw("password of "+u.Name, u.Place, "empty in passwd", "x").Of(u.Name))
		}
	}
	return judged(bad, "no password stands in passwd")
}

func uniqueUsers(key func(fact.User) string) func(*fact.Host) control.Outcome {
	return func(h *fact.Host) control.Outcome {
		if o, no := noUsers(h); no {
			return o
		}
		var bad []control.Evidence
		first := map[string]string{}
		for _, u := range h.Accounts.Users {
			if other, twice := first[key(u)]; twice {
				bad = append(bad, control.Saw("account "+u.Name, u.Place, key(u)+", as "+other, "one of its own"))
				continue
			}
			first[key(u)] = u.Name
		}
		return judged(bad, fmt.Sprintf("%d accounts differ", len(h.Accounts.Users)))
	}
}

func uniqueGroups(key func(fact.Group) string) func(*fact.Host) control.Outcome {
	return func(h *fact.Host) control.Outcome {
		if o, no := noGroups(h); no {
			return o
		}
		var bad []control.Evidence
		first := map[string]string{}
		for _, g := range h.Accounts.Groups {
			if other, twice := first[key(g)]; twice {
				bad = append(bad, control.Saw("group "+g.Name, g.Place, key(g)+", as "+other, "one of its own"))
				continue
			}
			first[key(g)] = g.Name
		}
		return judged(bad, fmt.Sprintf("%d groups differ", len(h.Accounts.Groups)))
	}
}

func groupExists(h *fact.Host) control.Outcome {
	if o, no := noUsers(h); no {
		return o
	}
	if o, no := noGroups(h); no {
		return o
	}
	var bad []control.Evidence
	for _, u := range h.Accounts.Users {
		if !slices.ContainsFunc(h.Accounts.Groups, func(g fact.Group) bool { return g.GID == u.GID }) {
			bad = append(bad, control.Saw("account "+u.Name, u.Place, fmt.Sprintf("first group %d, which does not exist", u.GID), "a group of /etc/group"))
		}
	}
	return judged(bad, "every account's first group exists")
}

func shadowGroup(h *fact.Host) control.Outcome {
	if o, no := noGroups(h); no {
		return o
	}
	return members(h, map[string]string{"shadow": "may read every password hash"}, "nobody", "nobody is in the group shadow")
}

// members fails for every account in one of the groups.
func members(h *fact.Host, groups map[string]string, wanted, pass string) control.Outcome {
	var bad []control.Evidence
	for _, g := range h.Accounts.Groups {
		why, ok := groups[g.Name]
		if !ok {
			continue
		}
		for _, m := range h.Accounts.Members(g) {
			if m != "root" && m != "backup" {
				bad = append(bad, control.Saw("member of "+g.Name, g.Place, m+" ("+why+")", wanted).Of(m))
			}
		}
	}
	if o, no := noUsers(h); no && len(bad) == 0 {
		return o // a first group stands in passwd
	}
	return judged(bad, pass)
}

func rootGroups(h *fact.Host) control.Outcome {
	if o, no := noGroups(h); no {
		return o
	}
	return members(h, map[string]string{
		"docker": "can start a container as root with the whole disk",
		"lxd":    "can start a container as root with the whole disk",
		"incus":  "can start a container as root with the whole disk", "incus-admin": "can start a container as root with the whole disk",
		"disk": "can read and write the disk itself",
		"kmem": "can read the memory of the kernel",
	}, "only who may be root", "nobody is in a group that amounts to root")
}

func legacyPlus(h *fact.Host) control.Outcome {
	if o, no := noUsers(h); no {
		return o
	}
	var bad []control.Evidence
	for _, at := range h.Accounts.NIS {
		bad = append(bad, control.Saw("line of NIS", at, "begins with + or -", "no such line"))
	}
	return judged(bad, "no line is left of NIS")
}

func wellFormed(h *fact.Host) control.Outcome {
	if o, no := noUsers(h); no {
		return o
	}
	var bad []control.Evidence
	for _, p := range h.Accounts.Problems {
		bad = append(bad, control.Saw(p.Place.String(), p.Place, p.Text, "a line that programs agree on"))
	}
	return judged(bad, "every line can be read")
}

// shellServices are accounts of Debian packages that need their shell.
var shellServices = []string{"postgres", "git", "gitolite", "gitolite3", "gitea", "forgejo", "backuppc", "nut", "hacluster", "libvirt-qemu"}

func systemShells(h *fact.Host) control.Outcome {
	if o, no := noUsers(h); no {
		return o
	}
	var bad []control.Evidence
	for _, u := range h.Accounts.Users {
		if h.Accounts.System(u) && u.LoginShell() && !slices.Contains(shellServices, u.Name) {
			shell := u.Shell
			if shell == "" {
				shell = "/bin/sh, as none is named"
			}
			bad = append(bad, control.Saw("shell of "+u.Name, u.Place, shell, "/usr/sbin/nologin").Of(u.Name))
		}
	}
	return judged(bad, "no account of the system has a login shell")
}

func noShellLocked(h *fact.Host) control.Outcome {
	if o, no := noUsers(h); no {
		return o
	}
	ps := h.Accounts.Passwords
	if !ps.Known() {
		return cannot(ps.State, ps.Why)
	}
	var bad []control.Evidence
	for _, u := range h.Accounts.Users {
		if p := ps.V[u.Name]; !u.LoginShell() && p.Usable() {
			bad = append(bad, control.Saw("password of "+u.Name, p.Place, "works, and the shell is "+u.Shell, "locked").Of(u.Name))
		}
	}
	return judged(bad, "accounts without a shell have no password")
}

func nologinShells(h *fact.Host) control.Outcome {
	s := h.Accounts.Shells
	switch {
	case s.State == fact.Absent:
		return control.DoesNotApply(s.Why)
	case !s.Known():
		return cannot(s.State, s.Why)
	}
	var bad []control.Evidence
	for _, sh := range s.V {
		if strings.HasSuffix(sh, "/nologin") || strings.HasSuffix(sh, "/false") {
			bad = append(bad, control.Saw("login shells", s.Place, sh, "only shells that let somebody in"))
		}
	}
	return judged(bad, "only real shells are listed")
}
