package fact

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

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
