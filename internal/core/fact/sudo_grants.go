package fact

import (
	"cmp"
	"iter"
	"path"
	"slices"
	"strings"

	"picket/internal/core/snap"
	"picket/internal/core/sudoers"
)

// A SudoGrant is one command that one account may run as root.
type SudoGrant struct {
	User     string
	Via      string // as the rule names the account: "%sudo", an alias, "ALL"
	Command  string // with its arguments, or ALL
	Full     bool   // it makes the account root: ALL, a shell, an editor, …
	AnyEnv   bool   // with an environment of its choice: LD_PRELOAD makes it root
	AnyRoot  bool   // below a folder of its choice, whose programs are the account's own
	Password bool   // the account has to type its password
	Place    Place
}

// Program is the path of the program that the grant names, "" where it names
// none, or more than one.
func (g SudoGrant) Program() string {
	p, _, _ := strings.Cut(g.Command, " ")
	if !path.IsAbs(p) || strings.HasSuffix(p, "/") || path.Clean(p) != p || snap.IsPattern(p) || strings.ContainsAny(p, "\\^\uFFFD") {
		return ""
	}
	return p
}

// Programs are the paths that run as root by the grant: the program, and the
// script that an interpreter is given.
func (g SudoGrant) Programs() []string {
	if g.Program() == "" {
		return nil
	}
	return slices.DeleteFunc(ranBy(strings.Fields(g.Command), "", 0), snap.IsPattern)
}

// maxSteps bounds the comparing of rules with accounts: a hostile host may have
// aliases of aliases of aliases.
const maxSteps = 1_000_000

// grant fills in Grants.
func (su *Sudo) grant(h *Host) {
	left := maxSteps
	m := matcher{su: su, h: h, left: &left}
	roots := slices.DeleteFunc(slices.Clone(h.Accounts.Users), func(u User) bool { return u.UID != 0 })
	if !slices.ContainsFunc(roots, func(u User) bool { return u.Name == "root" }) {
		roots = append(roots, User{Name: "root"})
	}
	for _, d := range su.Settings {
		if d.Scope == '!' {
			m.special = append(m.special, m.those(d.Who)...)
		}
	}
	for _, m.u = range h.Accounts.Users {
		if m.u.UID == 0 {
			continue
		}
		var of []SudoGrant
		for _, m.target = range roots {
			for _, g := range m.grants() {
				if !slices.ContainsFunc(of, func(o SudoGrant) bool {
					return o.Command == g.Command && o.Password == g.Password && o.Full == g.Full
				}) {
					of = append(of, g)
				}
				left -= len(of) / 8
			}
		}
		su.Grants = append(su.Grants, of...)
	}
	if left <= 0 {
		su.Incomplete = "there are too many rules, aliases and accounts to compare them all"
	}
}

// grants are what the account may run as the target.
func (m matcher) grants() []SudoGrant {
	var out []SudoGrant
	byDefault := m.runasDefault()
	for _, r := range m.su.Rules {
		if *m.left <= 0 {
			break
		}
		via, ok := m.user(r.Who)
		if !ok || !m.host(r.Hosts) || !m.runas(r, byDefault) {
			continue
		}
		// What may not hold takes nothing away.
		surely := !r.Dated && m.surely(r.Hosts, 0)
		for _, c := range m.commands(r.Item, 0) {
			*m.left -= 1 + (len(out)+len(m.special))/2
			if *m.left <= 0 {
				break
			}
			// The last rule for a command counts.
			out = slices.DeleteFunc(out, func(g SudoGrant) bool { return surely && !c.Digest && covers(c.Name, g.Command) })
			if c.Not {
				continue
			}
			grant := func(command string) SudoGrant {
				g := SudoGrant{User: m.u.Name, Via: via, Command: command, Place: r.Place, Password: m.asked(r, command), AnyEnv: m.anyEnv(r, command), AnyRoot: m.anyRoot(r, command)}
				g.Full = full(command) || g.AnyEnv || g.AnyRoot
				return g
			}
			g := grant(c.Name)
			out = append(out, g)
			// A setting for one command of those that the rule allows.
			for _, s := range m.special {
				if s.Name == "ALL" || s.Name == c.Name || !covers(c.Name, s.Name) {
					continue
				}
				if one := grant(s.Name); one.Password != g.Password || one.AnyEnv != g.AnyEnv || one.AnyRoot != g.AnyRoot {
					out = append(out, one)
				}
			}
		}
	}
	return out
}

// covers reports whether one command of sudoers surely fits whatever another does.
func covers(wide, narrow string) bool {
	if wide == "ALL" || wide == narrow {
		return true
	}
	p, args, has := strings.Cut(wide, " ")
	q, others, _ := strings.Cut(narrow, " ")
	if p, q = inUsr(p), inUsr(q); p == q {
		return !has || args == others
	}
	if has || strings.ContainsAny(p, `[\`) || strings.ContainsAny(q, `*?[\^`) {
		return false
	}
	if dir, ok := strings.CutSuffix(p, "/"); ok {
		return path.Dir(q) == dir
	}
	ok, _ := path.Match(p, q)
	return ok
}

// inUsr is where a program is found by either name: sudo compares the files.
func inUsr(p string) string {
	if merged(p) {
		return "/usr" + p
	}
	return p
}

// A matcher compares lists of sudoers with one account of a host.
type matcher struct {
	su      *Sudo
	h       *Host
	u       User           // who runs a command
	target  User           // as whom: an account with the number 0
	special []sudoers.Item // commands that settings are for
	left    *int           // steps; 0 when something was left out, which makes Incomplete
}

const maxAlias = 16 // aliases within aliases

// An answer of a list is that of its last item that has one.
type answer uint8

const (
	silent answer = iota
	denied
	allowed
)

// ask compares a list with what is reports of single names. An alias answers as
// its own list does, and where that is silent the items before it decide. is
// is told whether a fit speaks against the list as a whole.
func (m matcher) ask(list []sudoers.Item, kind string, depth int, against bool, is func(name string, against bool) bool) (via string, a answer) {
	for _, it := range slices.Backward(list) {
		if *m.left--; *m.left <= 0 {
			return "", silent
		}
		items, alias := m.su.aliases[kind+" "+it.Name]
		switch {
		case alias && depth >= maxAlias:
			*m.left = 0
			return "", silent
		case alias:
			_, a = m.ask(items, kind, depth+1, against != it.Not, is)
		case it.Name == "ALL" || is(it.Name, against != it.Not):
			a = allowed
		}
		if a == silent {
			continue
		}
		if it.Not {
			a = denied + allowed - a
		}
		return it.Name, a
	}
	return "", silent
}

// user reports whether a list of users has the account, and by which item.
func (m matcher) user(list []sudoers.Item) (via string, ok bool) {
	via, a := m.ask(list, "User", 0, false, func(name string, _ bool) bool { return m.names(m.u, name) })
	return via, a == allowed
}

// isTarget reports whether a list of whom to run a command as has the target.
func (m matcher) isTarget(list []sudoers.Item) bool {
	_, a := m.ask(list, "Runas", 0, false, func(name string, _ bool) bool { return m.names(m.target, name) })
	return a == allowed
}

// names reports whether a name that is no alias means an account.
func (m matcher) names(u User, name string) bool {
	is := func(kind, a, b string) bool {
		d, _ := m.su.Global("case_insensitive_" + kind)
		return a == b || d.Op != "!" && strings.EqualFold(a, b)
	}
	switch {
	case strings.HasPrefix(name, "%#"):
		gid, ok := id(name[2:])
		return ok && (gid == u.GID || m.inGroup(u, func(g Group) bool { return g.GID == gid }))
	case strings.HasPrefix(name, "%"):
		return m.inGroup(u, func(g Group) bool { return is("group", g.Name, name[1:]) })
	case strings.HasPrefix(name, "#"):
		uid, ok := id(name[1:])
		return ok && uid == u.UID
	case strings.HasPrefix(name, "+"):
		m.su.Netgroup = name
		return false
	}
	return is("user", u.Name, name)
}

func (m matcher) inGroup(u User, is func(Group) bool) bool {
	*m.left -= len(m.h.Accounts.Groups) / 8
	return slices.ContainsFunc(m.h.Accounts.Groups, func(g Group) bool {
		return is(g) && m.h.Accounts.InGroup(u, g)
	})
}

// host reports whether a list of hosts may mean this one. Addresses and
// netgroups may.
func (m matcher) host(list []sudoers.Item) bool {
	_, a := m.ask(list, "Host", 0, false, func(name string, against bool) bool {
		if m.perhapsHost(name) {
			return !against
		}
		return strings.EqualFold(name, m.h.OS.Hostname.V)
	})
	return a == allowed
}

// surely reports whether it is plain which hosts a list means.
func (m matcher) surely(list []sudoers.Item, depth int) bool {
	return depth <= maxAlias && !slices.ContainsFunc(list, func(it sudoers.Item) bool {
		if items, alias := m.su.aliases["Host "+it.Name]; alias {
			return !m.surely(items, depth+1)
		}
		if it.Name != "ALL" && m.h.OS.Hostname.V == "" {
			m.su.Incomplete = "the name of this host, which rules ask for, is not known"
		}
		*m.left--
		return *m.left <= 0 || it.Name != "ALL" && m.perhapsHost(it.Name)
	})
}

// perhapsHost reports whether a name is an address, a pattern, a netgroup, or
// this host's name in some domain, which sudo asks for.
func (m matcher) perhapsHost(name string) bool {
	host := m.h.OS.Hostname.V
	short, _, _ := strings.Cut(host, ".")
	first, _, domain := strings.Cut(name, ".")
	return host == "" || strings.ContainsAny(name, "+/*?[:") || domain && strings.Trim(name, "0123456789.") == "" ||
		strings.EqualFold(first, short) && !strings.EqualFold(name, host) && domain
}

// Takes are the commands that a rule takes away.
func (su *Sudo) Takes(r SudoRule) (out []string) {
	left := 10_000
	for _, c := range (matcher{su: su, left: &left}).commands(r.Item, 0) {
		if c.Not {
			out = append(out, c.Name)
		}
	}
	return out
}

// runasDefault is whom sudo runs a command as where nobody is named.
func (m matcher) runasDefault() string {
	name := "root"
	*m.left -= len(m.su.Settings) / 8
	for _, d := range m.su.Settings {
		if d.Name == "runas_default" && d.Value != "" && d.Scope != '!' && d.Scope != '>' && m.applies(d, "") {
			name = d.Value
		}
	}
	return name
}

// runas reports whether a rule lets its command run as the target.
func (m matcher) runas(r SudoRule, byDefault string) bool {
	if !r.Runas {
		return m.names(m.target, byDefault)
	}
	return m.isTarget(r.Users)
}

// commands resolves aliases of commands.
func (m matcher) commands(it sudoers.Item, depth int) []sudoers.Item {
	items, ok := m.su.aliases["Cmnd "+it.Name]
	switch {
	case !ok && sudoers.IsAlias(it.Name):
		return nil // nobody defined it
	case !ok:
		return []sudoers.Item{it}
	}
	if depth >= maxAlias {
		*m.left = 0
		return nil
	}
	var out []sudoers.Item
	for _, sub := range items {
		if *m.left--; len(out) >= 1000 || *m.left <= 0 {
			*m.left = 0
			break
		}
		for _, c := range m.commands(sub, depth+1) {
			c.Not = c.Not != it.Not
			out = append(out, c)
		}
	}
	return out
}

// those are the commands of a list, aliases resolved.
func (m matcher) those(list []sudoers.Item) []sudoers.Item {
	var out []sudoers.Item
	for _, it := range list {
		out = append(out, m.commands(it, 0)...)
	}
	return out
}

// settings are those of some names that hold when the account runs command as
// the target.
func (m matcher) settings(command string, names ...string) iter.Seq[SudoSetting] {
	return func(yield func(SudoSetting) bool) {
		*m.left -= len(m.su.Settings) / 2
		// sudo reads the lines for single commands after all others.
		for _, late := range []bool{false, true} {
			for _, d := range m.su.Settings {
				if (d.Scope == '!') == late && slices.Contains(names, d.Name) && m.applies(d, command) && !yield(d) {
					return
				}
			}
		}
	}
}

// asked reports whether the account has to type a password: not the members of
// exempt_group; else the tags of the rule decide, and then authenticate.
func (m matcher) asked(r SudoRule, command string) bool {
	asked, exempt := true, ""
	for d := range m.settings(command, "authenticate", "exempt_group") {
		switch d.Name {
		case "authenticate":
			asked = d.Op != "!"
		case "exempt_group":
			exempt = strings.TrimPrefix(d.Value, "%")
		}
	}
	switch {
	case exempt != "" && m.names(m.u, "%"+exempt):
		return false
	case r.Ask != sudoers.AsSet:
		return r.Ask == sudoers.Passwd
	}
	return asked
}

// anyEnv reports whether the account may set the environment of a single command
// that runs as root, or at least what the loader obeys of it. sudoedit runs its
// editor as the account.
func (m matcher) anyEnv(r SudoRule, command string) bool {
	name, _, _ := strings.Cut(command, " ")
	if !path.IsAbs(name) {
		return false
	}
	may, reset := false, true
	keep, drop := []string{}, []string{"LD_*"}
	for d := range m.settings(command, "setenv", "env_reset", "env_keep", "env_delete") {
		switch d.Name {
		case "setenv":
			may = d.Op != "!"
		case "env_reset":
			reset = d.Op != "!"
		case "env_keep":
			keep = listed(keep, d)
		case "env_delete":
			drop = listed(drop, d)
		}
	}
	if r.SetEnv != sudoers.EnvAsSet {
		may = r.SetEnv == sudoers.SetEnv
	}
	return may || slices.ContainsFunc([]string{"LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT"}, func(v string) bool {
		has := func(patterns []string) bool {
			return slices.ContainsFunc(patterns, func(p string) bool {
				p, _, _ = strings.Cut(p, "=")
				ok, _ := path.Match(p, v)
				return ok
			})
		}
		return reset && has(keep) || !reset && !has(drop)
	})
}

// listed is a list of words after a setting of it.
func listed(list []string, d SudoSetting) []string {
	words := strings.Fields(d.Value)
	switch d.Op {
	case "+=":
		return append(list, words...)
	case "-=":
		return slices.DeleteFunc(list, func(w string) bool { return slices.Contains(words, w) })
	}
	return words
}

// anyRoot reports whether the account may choose the folder below which a
// command is run.
func (m matcher) anyRoot(r SudoRule, command string) bool {
	folder := ""
	for d := range m.settings(command, "runchroot") {
		folder = d.Value
	}
	return command != "ALL" && cmp.Or(r.Chroot, folder) == "*"
}

// applies reports whether a Defaults line is for the account, running command
// as the target.
func (m matcher) applies(d SudoSetting, command string) bool {
	switch d.Scope {
	case 0:
		return true
	case '@':
		return m.host(d.Who)
	case ':':
		_, ok := m.user(d.Who)
		return ok
	case '>':
		return m.isTarget(d.Who)
	}
	for _, c := range slices.Backward(m.those(d.Who)) {
		if covers(c.Name, command) {
			return !c.Not
		}
	}
	return false
}

// rootMakers are programs that hand a root shell, or the writing of any file,
// to whoever may run them as root with arguments of their own choice.
var rootMakers = slices.Concat(interpreters, escapes, editors, runners, shells, []string{
	"busybox", "su", "runuser", "sudo", "doas", "pkexec", "sudoedit", "tee", "cp", "mv", "dd", "install", "ln", "rsync", "split", "unzip",
	"tar", "cpio", "zip", "awk", "gawk", "mawk", "sed", "find", "git", "make", "docker", "podman", "lxc", "incus", "ctr", "apt", "apt-get", "aptitude", "dpkg", "dpkg-reconfigure", "pip", "npm", "gem",
	"chmod", "chown", "setfacl", "setcap", "mount", "usermod", "useradd", "adduser", "newusers", "gpasswd", "passwd", "chpasswd", "crontab", "at", "systemctl", "machinectl", "busctl", "dbus-send", "service", "tcpdump",
	"ssh", "scp", "sftp", "wget", "curl", "openvpn", "openssl", "nft", "ip", "sysctl", "insmod", "modprobe", "snap", "flatpak", "ansible", "ansible-playbook", "nmap", "socat",
	"screen", "tmux", "run-parts", "logrotate", "update-alternatives", "patch", "sort", "debugfs", "sqlite3", "raspi-config",
})

var (
	// interpreters run the program that their first argument names.
	interpreters = []string{"sh", "bash", "dash", "rbash", "zsh", "ksh", "mksh", "csh", "tcsh", "fish", "python", "perl", "ruby", "lua", "node", "nodejs", "php", "tclsh", "expect"}
	// escapes start a shell at a key, whatever file they show, or none.
	escapes = []string{
		"vi", "vim", "vim.basic", "vim.tiny", "vim.nox", "view", "rview", "rvim", "vimdiff", "nvim", "ex", "nano", "rnano", "pico", "ed", "emacs", "mcedit", "mc", "joe", "editor", "sensible-editor",
		"less", "more", "most", "pager", "sensible-pager", "man", "gdb", "ftp",
	}
	// editors start one for a file of theirs.
	editors = []string{"visudo", "vipw", "vigr"}
	// runners start the program that stands among their arguments.
	runners = []string{
		"env", "nice", "ionice", "timeout", "nohup", "setsid", "stdbuf", "time", "chrt", "taskset", "prlimit", "flock", "watch", "xargs", "strace", "setpriv", "capsh",
		"chroot", "systemd-run", "start-stop-daemon",
	}
	// shells are runners that start a shell where no program is named.
	shells = []string{"script", "nsenter", "unshare"}
)

// stem is a program's name without its version: python3.11 is python.
func stem(p string) string { return strings.TrimRight(path.Base(p), "0123456789.") }

// rootMaker is the name that a program has in rootMakers, "" where it is not there.
func rootMaker(p string) string {
	for _, name := range []string{path.Base(p), stem(p)} {
		if slices.Contains(rootMakers, name) {
			return name
		}
	}
	return ""
}

// full reports whether a command makes whoever may run it root: with fixed
// arguments only what gives a shell of itself.
func full(command string) bool {
	p, args, has := strings.Cut(command, " ")
	if p == "ALL" || strings.HasPrefix(p, "^") || strings.ContainsAny(p, `*?[\`) {
		return true
	}
	if strings.HasSuffix(p, "/") {
		return true // any program of a folder
	}
	name := rootMaker(p)
	switch {
	case name == "":
		return false
	case !has, strings.Contains(args, "*"), strings.HasPrefix(args, "^") && strings.ContainsAny(args, ".+{"):
		return true
	}
	words := strings.Fields(args)
	if args == `""` {
		words = nil
	}
	plain := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return strings.HasPrefix(w, "-") }) // no options
	has = len(words) > 0
	told := slices.ContainsFunc(words, func(w string) bool { return w == "--version" || w == "--help" })
	switch {
	case told:
		return false
	case slices.Contains(escapes, name):
		return has || name != "man"
	case slices.Contains(editors, name):
		return !slices.Contains(words, "-c") && !slices.Contains(words, "--check")
	case slices.Contains(runners, name), slices.Contains(shells, name):
		if name == "chroot" && len(words) == 1 {
			return true
		}
		if i := slices.IndexFunc(words, func(w string) bool { return rootMaker(w) != "" }); i >= 0 {
			return full(strings.Join(append(words[i:i+1:i+1], cmp.Or(strings.Join(words[i+1:], " "), `""`)), " "))
		}
		return name == "script" && !slices.Contains(words, "-c") ||
			slices.Contains(shells[1:], name) && !slices.ContainsFunc(plain, path.IsAbs)
	case slices.Contains(interpreters, name):
		return interactive(name, words)
	case name == "sudo", name == "doas", name == "pkexec":
		return !has && name == "pkexec" || slices.Contains(words, "-i") || slices.Contains(words, "-s") || slices.ContainsFunc(plain, func(w string) bool { return rootMaker(w) != "" && full(w+` ""`) })
	case name == "su", name == "runuser":
		return !slices.ContainsFunc(words, func(w string) bool {
			return w == "-c" || w == "-u" || strings.HasPrefix(w, "--command") || w != "root" && !strings.HasPrefix(w, "-")
		})
	case name == "crontab": // it edits, or takes what is typed
		return len(plain) == 0 && !slices.Contains(words, "-l") && !slices.Contains(words, "-r") || slices.Contains(words, "-") || slices.Contains(words, "-e")
	case name == "passwd":
		return !slices.Contains(words, "-S") && (len(plain) == 0 || slices.Contains(words, "root"))
	case name == "chpasswd", name == "newusers":
		return len(plain) == 0
	case name == "systemctl":
		return slices.Contains(words, "edit")
	}
	return false
}

// interactive reports whether an interpreter reads what is typed: it has no
// program, or is told to.
func interactive(name string, words []string) bool {
	for i := 0; i < len(words); i++ {
		switch w := words[i]; {
		case w == "-", w == "-i", w == "-s" && strings.HasSuffix(name, "sh"):
			return true
		case slices.Contains([]string{"-V", "-c", "-e", "-m"}, w):
			return false
		case slices.Contains([]string{"-O", "-o", "--rcfile", "--init-file", "-W", "-X"}, w):
			i++
		case !strings.HasPrefix(w, "-"):
			return false
		}
	}
	return true
}
