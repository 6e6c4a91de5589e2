package fact

import (
	"path"
	"slices"
	"strconv"
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
const maxSteps = 3_000_000

// grant fills in Grants.
func (su *Sudo) grant(h *Host) {
	left := maxSteps
	for _, u := range h.Accounts.Users {
		if u.UID != 0 {
			su.Grants = append(su.Grants, su.grantsOf(h, u, &left)...)
		}
	}
	if left <= 0 {
		su.Incomplete = "there are too many rules, aliases and accounts to compare them all"
	}
}

func (su *Sudo) grantsOf(h *Host, u User, left *int) []SudoGrant {
	var out []SudoGrant
	m := matcher{su, h, u, left}
	for _, r := range su.Rules {
		via, ok := m.user(r.Who)
		if !ok || !m.host(r.Hosts) || !m.root(r) {
			continue
		}
		// What may not hold takes nothing away.
		holds := !r.Dated && !r.Digest && m.surely(r.Hosts, 0)
		for _, c := range m.commands(sudoers.Item{Name: r.Name, Not: r.Not}, 0) {
			// The last rule for a command counts.
			out = slices.DeleteFunc(out, func(g SudoGrant) bool { return holds && (c.Name == "ALL" || g.Command == c.Name) })
			if c.Not {
				continue
			}
			env := m.anyEnv(r, c.Name)
			out = append(out, SudoGrant{
				User: u.Name, Via: via, Command: c.Name, Full: full(c.Name) || env, AnyEnv: env, Password: m.asked(r, c.Name), Place: r.Place,
			})
		}
	}
	return out
}

// A matcher compares lists of sudoers with one account of a host.
type matcher struct {
	su   *Sudo
	h    *Host
	u    User
	left *int // steps; 0 when something was left out, which makes Incomplete
}

const maxAlias = 16 // aliases within aliases

// user reports whether a list of users has the account, and by which item.
// The last item that fits decides.
func (m matcher) user(list []sudoers.Item) (via string, ok bool) { return m.userAt(list, "User", 0) }

func (m matcher) userAt(list []sudoers.Item, kind string, depth int) (string, bool) {
	for _, it := range slices.Backward(list) {
		if m.names(it.Name, kind, depth) {
			return it.Name, !it.Not
		}
	}
	return "", false
}

func (m matcher) names(name, kind string, depth int) bool {
	*m.left--
	switch {
	case *m.left <= 0:
		return false
	case name == "ALL":
		return true
	case strings.HasPrefix(name, "%#"):
		gid, err := strconv.Atoi(name[2:])
		return err == nil && m.inGroup(func(g Group) bool { return g.GID == gid }, gid)
	case strings.HasPrefix(name, "%"):
		return m.inGroup(func(g Group) bool { return g.Name == name[1:] }, -1)
	case strings.HasPrefix(name, "#"):
		return name[1:] == strconv.Itoa(m.u.UID)
	case strings.HasPrefix(name, "+"):
		return false // netgroups come from elsewhere
	}
	if items, ok := m.su.aliases[kind+" "+name]; ok {
		if depth >= maxAlias {
			*m.left = 0
			return false
		}
		_, in := m.userAt(items, kind, depth+1)
		return in
	}
	return name == m.u.Name
}

func (m matcher) inGroup(is func(Group) bool, gid int) bool {
	*m.left -= len(m.h.Accounts.Groups) / 8
	return gid == m.u.GID || slices.ContainsFunc(m.h.Accounts.Groups, func(g Group) bool {
		return is(g) && m.h.Accounts.InGroup(m.u, g)
	})
}

// host reports whether a list of hosts may mean this one. Addresses and
// netgroups may.
func (m matcher) host(list []sudoers.Item) bool { return m.hostAt(list, 0) }

func (m matcher) hostAt(list []sudoers.Item, depth int) bool {
	name := m.h.OS.Hostname.V
	short, _, _ := strings.Cut(name, ".")
	for _, it := range slices.Backward(list) {
		if *m.left--; *m.left <= 0 {
			return false
		}
		items, alias := m.su.aliases["Host "+it.Name]
		var fits bool
		switch {
		case alias && depth >= maxAlias:
			*m.left = 0
			return false
		case alias:
			fits = m.hostAt(items, depth+1)
		case it.Name == "ALL" || name == "":
			fits = true
		case perhapsHost(it.Name):
			fits = !it.Not
		default:
			fits = strings.EqualFold(it.Name, name) || strings.EqualFold(it.Name, short)
		}
		if fits {
			return !it.Not
		}
	}
	return false
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
		return *m.left <= 0 || perhapsHost(it.Name)
	})
}

// perhapsHost reports whether a name is an address, a pattern or a netgroup.
func perhapsHost(name string) bool {
	return strings.ContainsAny(name, "+/*?[:") || strings.Trim(name, "0123456789.") == ""
}

// Takes are the commands that a rule takes away.
func (su *Sudo) Takes(r SudoRule) (out []string) {
	left := 10_000
	for _, c := range (matcher{su: su, left: &left}).commands(sudoers.Item{Name: r.Name, Not: r.Not}, 0) {
		if c.Not {
			out = append(out, c.Name)
		}
	}
	return out
}

// root reports whether a rule lets its command run as root.
func (m matcher) root(r SudoRule) bool {
	if !r.Runas {
		d, ok := m.su.Global("runas_default")
		return !ok || d.Value == "root" || d.Value == "#0"
	}
	root := matcher{m.su, m.h, User{Name: "root"}, m.left}
	_, ok := root.userAt(r.Users, "Runas", 0)
	return ok
}

// commands resolves aliases of commands.
func (m matcher) commands(it sudoers.Item, depth int) []sudoers.Item {
	items, ok := m.su.aliases["Cmnd "+it.Name]
	if !ok {
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

// asked reports whether the account has to type a password: the tags of the
// rule first, then the last setting of authenticate that fits.
func (m matcher) asked(r SudoRule, command string) bool {
	switch r.Ask {
	case sudoers.Passwd:
		return true
	case sudoers.NoPasswd:
		return false
	}
	asked := true
	// sudo reads the lines for single commands after all others.
	for _, late := range []bool{false, true} {
		for _, d := range m.su.Settings {
			if (d.Scope == '!') != late || !m.applies(d, command) {
				continue
			}
			switch d.Name {
			case "authenticate":
				asked = d.Op != "!"
			case "exempt_group":
				if m.names("%"+strings.TrimPrefix(d.Value, "%"), "User", 0) {
					return false
				}
			}
		}
	}
	return asked
}

// anyEnv reports whether the account may set the environment of a single command
// that runs as root. sudoedit runs its editor as the account.
func (m matcher) anyEnv(r SudoRule, command string) bool {
	name, _, _ := strings.Cut(command, " ")
	if command == "ALL" || name == "sudoedit" || name == "list" || r.SetEnv != sudoers.EnvAsSet {
		return r.SetEnv == sudoers.SetEnv && path.IsAbs(name)
	}
	may := false
	for _, late := range []bool{false, true} {
		for _, d := range m.su.Settings {
			if d.Name == "setenv" && (d.Scope == '!') == late && m.applies(d, command) {
				may = d.Op != "!"
			}
		}
	}
	return may
}

// applies reports whether a Defaults line is for the account, running command
// as root.
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
		_, ok := matcher{m.su, m.h, User{Name: "root"}, m.left}.userAt(d.Who, "Runas", 0)
		return ok
	}
	p, _, _ := strings.Cut(command, " ")
	for _, it := range d.Who {
		for _, c := range m.commands(it, 0) {
			if c.Name == "ALL" || c.Name == p || c.Name == command {
				return !c.Not
			}
		}
	}
	return false
}

// rootMakers are programs that hand a root shell, or the writing of any file,
// to whoever may run them as root with arguments of their own choice.
var rootMakers = slices.Concat(interpreters, escapes, editors, runners, []string{
	"busybox", "su", "sudo", "sudoedit", "tee", "cp", "mv", "dd", "install", "ln", "rsync",
	"tar", "cpio", "zip", "awk", "gawk", "mawk", "sed", "find", "git", "make", "docker", "podman", "lxc", "incus", "ctr", "apt", "apt-get", "aptitude", "dpkg", "pip", "pip3",
	"chmod", "chown", "setfacl", "setcap", "mount", "usermod", "useradd", "adduser", "newusers", "gpasswd", "passwd", "chpasswd", "crontab", "at", "systemctl", "service", "tcpdump",
	"ssh", "scp", "sftp", "wget", "curl", "openvpn", "openssl", "nft", "ip", "sysctl", "insmod", "modprobe", "snap", "flatpak", "ansible", "ansible-playbook", "nmap", "socat",
	"screen", "tmux", "run-parts", "logrotate", "update-alternatives", "patch", "sort",
})

var (
	// interpreters run the program that their first argument names.
	interpreters = []string{"sh", "bash", "dash", "rbash", "zsh", "ksh", "csh", "tcsh", "fish", "python", "python2", "python3", "perl", "ruby", "lua", "node", "php", "tclsh", "expect"}
	// escapes start a shell at a key, whatever file they show.
	escapes = []string{"vi", "vim", "view", "vimdiff", "nvim", "nano", "pico", "ed", "emacs", "less", "more", "most", "man", "gdb", "ftp"}
	// editors start one for a file of theirs.
	editors = []string{"visudo", "vipw", "vigr"}
	// runners start the program that stands among their arguments.
	runners = []string{
		"env", "nice", "ionice", "timeout", "nohup", "setsid", "stdbuf", "time", "chrt", "taskset", "prlimit", "flock", "script", "watch", "xargs", "strace", "setpriv", "capsh",
		"chroot", "nsenter", "unshare", "runuser", "systemd-run", "start-stop-daemon",
	}
)

// stem is a program's name without its version: python3.11 is python3.
func stem(p string) string {
	name := path.Base(p)
	if base, minor, ok := strings.Cut(name, "."); ok && strings.Trim(minor, "0123456789.") == "" {
		return base
	}
	return name
}

// full reports whether a command makes whoever may run it root: with fixed
// arguments only what gives a shell of itself.
func full(command string) bool {
	p, args, has := strings.Cut(command, " ")
	if p == "ALL" || strings.HasPrefix(p, "^") || strings.ContainsAny(p, "*?[") {
		return true
	}
	if strings.HasSuffix(p, "/") {
		return true // any program of a folder
	}
	name, words := stem(p), strings.Fields(args)
	switch {
	case !slices.Contains(rootMakers, name):
		return false
	case !has || strings.Contains(args, "*"):
		return true
	case slices.Contains(escapes, name):
		return args != `""`
	case slices.Contains(editors, name):
		return !slices.Contains(words, "-c") && !slices.Contains(words, "--check")
	case slices.Contains(runners, name):
		if name == "chroot" && len(words) == 1 {
			return args != `""`
		}
		i := slices.IndexFunc(words, func(w string) bool { return slices.Contains(rootMakers, stem(w)) })
		return i >= 0 && full(strings.Join(words[i:], " "))
	case slices.Contains(interpreters, name): // without a program it reads what is typed
		tells := []string{"--version", "--help", "-V", "-v", "-h"}
		return !slices.ContainsFunc(words, func(w string) bool {
			return w != `""` && !strings.HasPrefix(w, "-") || slices.Contains(tells, w)
		})
	case name == "su", name == "sudo":
		return args == `""` && name == "su" || args == "-" || args == "-i" || args == "-s" || args == "root" || args == "- root" || args == "-l"
	case name == "crontab":
		return slices.Contains(words, "-e")
	case name == "passwd":
		return slices.Contains(words, "root")
	case name == "systemctl":
		return len(words) > 0 && words[0] == "edit"
	}
	return false
}
