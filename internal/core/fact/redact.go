package fact

import (
	"bytes"
	"slices"
	"strings"

	"picket/internal/core/pamauth"
	"picket/internal/core/passhash"
	"picket/internal/core/snap"
)

// A Secrets value holds what replacing secrets needs from outside.
type Secrets struct {
	More func() bool // false when no more time may be spent on guessing
	// Later is given what takes most of a second for each account: trying
	// guesses against hashes of passwords. Nil: it is done at once, while More.
	Later func(Guesses)
	// Verify is passhash.Verify, or one that remembers. Nil: passhash.Verify.
	Verify func(hash, guess string) (bool, error)
}

func (s Secrets) verify(hash, guess string) (bool, error) {
	if s.Verify == nil {
		return passhash.Verify(hash, guess)
	}
	return s.Verify(hash, guess)
}

// Guesses wait to be tried. Any number of Try may run beside each other and
// beside anything else, Parallel is a good one; Finish is called when all have
// returned, and before anybody judges the snapshot.
type Guesses struct {
	Try    func(more func() bool)
	Finish func()
}

// A redaction replaces the content of files that hold secrets by what rules
// need to know of them. It is pure but for the budget.
type redaction struct {
	pattern string // as in a manifest
	replace func(s *snap.Snapshot, e *snap.Entry, sec Secrets) []byte
}

// tlsRedactions cover all that parseTLS asks for.
func tlsRedactions() []redaction {
	var out []redaction
	for _, p := range tlsFiles {
		out = append(out, redaction{p, redactTLS})
	}
	return out
}

// redactions, the first that matches a path wins. A file that may hold a
// secret and is asked for by a topic has its line here.
var redactions = slices.Concat(tlsRedactions(), []redaction{
	{"/etc/passwd*", redactShadow},
	{"/etc/shadow*", redactShadow},
	{"/etc/group*", redactGroup},
	{"/etc/gshadow*", redactGroup},
	{procCmdline, redactWords},
	{"/boot/firmware/cmdline.txt", redactWords},
	{"/boot/cmdline.txt", redactWords},
	{grubDefaults, redactWords},
	{grubDropIns, redactWords},
	{fstab, redactWords},
	{grubCfg, redactGrub},
	{"/etc/systemd/system/*", hideInFile},
	{"/etc/systemd/system/*/*", hideInFile},
	{"/run/systemd/system/*", hideInFile},
	{"/run/systemd/system/*/*", hideInFile},
	{"/usr/local/lib/systemd/system/*", hideInFile},
	{"/usr/local/lib/systemd/system/*/*", hideInFile},
	{"/etc/systemd/*.conf", hideInFile},
	{"/etc/systemd/*.conf.d/*", hideInFile},
	{"/run/systemd/*.conf", hideInFile},
	{"/run/systemd/*.conf.d/*", hideInFile},
	{"/usr/local/lib/systemd/*.conf", hideInFile},
	{"/usr/local/lib/systemd/*.conf.d/*", hideInFile},
	{"/etc/lightdm/*", hideInFile},
	{"/etc/lightdm/*/*", hideInFile},
	{"/etc/ssh/sshd_config*", redactSSHD},
	{"/etc/ssh/sshd_config.d/*", redactSSHD},
	{sshDefaults, redactSSHDOpts},
	{"/proc/*/cmdline", redactSSHDTitle},
	{"/etc/ssh/ssh_config", redactSSHClient},
	{"/etc/ssh/ssh_config.d/*", redactSSHClient},
	{"/etc/sudoers", redactSudo},
	{"/etc/sudoers.d/*", redactSudo},
	{"/usr/lib/systemd/system/*", hideInFile},
	{"/usr/lib/systemd/system/*/*", hideInFile},
	{"/lib/systemd/system/*", hideInFile},
	{"/lib/systemd/system/*/*", hideInFile},
	{"/etc/crontab", hideInFile},
	{"/etc/cron.d/*", hideInFile},
	{"/var/spool/cron/crontabs/*", hideInFile},
	{"/etc/apt/apt.conf", hideInFile},
	{"/etc/apt/apt.conf.d/*", hideInFile},
	{"/etc/apt/sources.list", hideInFile},
	{"/etc/apt/sources.list.d/*", hideInFile},
	{"/var/lib/apt/lists/*Release", releaseHead},
	{"/etc/rsyslog.conf", hideInFile},
	{"/etc/rsyslog.d/*", hideInFile},
	{daemonJSON, redactDaemonConfig},
	{"/etc/fail2ban/*", hideInFile},
	{"/etc/fail2ban/*/*", hideInFile},
	{"/*/.ssh/config", redactSSHClient},
	{"/*/*/.ssh/config", redactSSHClient},
	{"/*/*/*/.ssh/config", redactSSHClient},
	{"/*/.ssh/*", redactHomeKey},
	{"/*/*/.ssh/*", redactHomeKey},
	{"/*/*/*/.ssh/*", redactHomeKey},
	{"/*/*/*/*/.ssh/*", redactHomeKey},
	{supplicants, redactSupplicant},
	{"/boot/firmware/wpa_supplicant.conf", redactSupplicant},
	{"/boot/wpa_supplicant.conf", redactSupplicant},
	{hostapdMore, redactHostapd},
	{interfaces, redactInterfaces},
	{interfacesD, redactInterfaces},
	{"/etc/NetworkManager/system-connections/*", redactKeyfile},
	{"/usr/lib/NetworkManager/system-connections/*", redactKeyfile},
	{"/boot/firmware/wifi.ini", redactKeyfile},
	{"/boot/wifi.ini", redactKeyfile},
	{"/home/*/.pioreactor/*.ini", redactPioreactor},
	{"/etc/netplan/*.yaml", redactYAML},
	{"/run/netplan/*.yaml", redactYAML},
	{"/lib/netplan/*.yaml", redactYAML},
	{"/boot/firmware/network-config", redactYAML},
	{"/boot/network-config", redactYAML},
	{"/boot/firmware/user-data", redactYAML},
	{"/boot/user-data", redactYAML},
	{"/boot/firmware/userconf*", redactUserconf},
	{"/boot/userconf*", redactUserconf},
	{"/boot/firmware/custom.toml", redactTOML},
	{"/boot/custom.toml", redactTOML},
	{"/boot/firmware/firstrun.sh", redactFirstRun},
	{"/boot/firstrun.sh", redactFirstRun},
	{"/etc/greetd/config.toml", hideInFile},
	{"/etc/pam.d/*", redactPAM},
	{pamauth.Profiles + "/*", redactPAM},
	{pamauth.Saved + "/*", redactPAM},
	{"/etc/profile", redactStart},
	{"/etc/bash.bashrc", redactStart},
	{"/etc/profile.d/*", redactStart},
	{"/root/.profile", redactStart},
	{"/root/.bash*", redactStart},
}, appRedactions(), composeRedactions())

// talkative commands repeat what files say, secrets included.
var talkative = [][]string{{"systemctl", "show"}, {"apt-config", "dump"}, {"apt-cache", "policy"}, {"sshd", "-T"}, {"docker", "ps"}}

// Redact replaces the secrets of everything in s that has not been redacted
// yet. Every taker's answer goes through it before anything else sees it.
func Redact(s *snap.Snapshot, sec Secrets) {
	was := map[*snap.Entry][]byte{}
	for _, e := range s.Entries {
		if e.Read && !e.Redact {
			was[e] = e.Content
		}
	}
	defer func() {
		for e, content := range was {
			e.Whole = e.Redact && bytes.Equal(content, e.Content)
		}
	}()
	bySSHD, bySudo := includedBySSHD(s), includedBySudo(s)
	for _, e := range s.Entries {
		if e.Read && !e.Redact {
			redactByPath(s, e, sec, bySSHD, bySudo)
		}
	}
	redactLed(s, sec)
	for _, e := range s.Entries {
		if !e.Read || e.Redact {
			continue
		}
		// An address with a password may stand anywhere, also in a file that only
		// an Include has led to.
		if text := string(e.Content); hideURLs(text) != text {
			e.Content, e.Redact = []byte(hideURLs(text)), true
		}
	}
	for _, o := range s.Commands {
		if len(o.Argv) > 0 && o.Argv[0] == "sshd" {
			o.Stderr = hideComplaints(s, o.Stderr)
		}
		redactDocker(o)
		o.Stderr = hideSecrets(o.Stderr) // a complaint repeats the line that it is about
		for _, t := range talkative {
			if len(o.Argv) >= len(t) && slices.Equal(o.Argv[:len(t)], t) {
				hideInOutput(o)
			}
		}
	}
}

// redactionsAt are the places in redactions of the paths that are no patterns, and redactionsFor of the patterns, by how many folders
// they go down.
var redactionsAt, redactionsFor = func() (map[string]int, map[int][]int) {
	at, of := map[string]int{}, map[int][]int{}
	for i, r := range redactions {
		if snap.IsPattern(r.pattern) {
			n := strings.Count(r.pattern, "/")
			of[n] = append(of[n], i)
		} else if _, first := at[r.pattern]; !first {
			at[r.pattern] = i
		}
	}
	return at, of
}()

// indexOf is the place of the first redaction that matches a path, -1 where none does.
func indexOf(p string) int {
	exact, ok := redactionsAt[p]
	for _, i := range redactionsFor[strings.Count(p, "/")] {
		if ok && i > exact {
			break
		}
		r := redactions[i].pattern
		// Up to the first wildcard they have to be the same, which is soon found out.
		if n := strings.IndexAny(r, "*?["); strings.HasPrefix(p, r[:n]) && snap.Match(r, p) {
			return i
		}
	}
	if ok {
		return exact
	}
	return -1
}

// redactByPath replaces the secrets of a file that its path, or what leads to it, shows to hold some.
func redactByPath(s *snap.Snapshot, e *snap.Entry, sec Secrets, bySSHD, bySudo func(string) bool) {
	i := indexOf(e.Path)
	switch {
	case i >= 0:
		e.Content = redactions[i].replace(s, e, sec)
	case s.IsKeys(e.Path):
		e.Content = redactKeyLines(s, e, sec)
	case bySSHD(e.Path):
		e.Content = sshdLinesOnly(e.Content)
	case bySudo(e.Path):
		e.Content = sudoLinesOnly(s, e, sec)
	default:
		return
	}
	e.Redact = true
}

// Hide is what a file of a host would hold, with its secrets replaced as they are when it is read. Passwords are not
// tried.
func Hide(s *snap.Snapshot, p string, content []byte) []byte {
	if k, lock, ok := privateKey(content); ok && snap.Match("/etc/ssh/ssh_host_*_key", p) { // no topic asks for it
		return []byte(k.redacted(lock) + "\n")
	}
	e := &snap.Entry{Path: p, Type: snap.File}
	if was, ok := s.Entries[p]; ok {
		*e = *was
	}
	e.Read, e.Redact, e.Content, e.Size = true, false, content, int64(len(content))
	redactByPath(s, e, Secrets{}, includedBySSHD(s), includedBySudo(s))
	if keep := ledByCompose(s)(p); !e.Redact && keep != nil {
		e.Content, e.Redact = keep(s, e, Secrets{}), true
	}
	if !e.Redact {
		return []byte(hideSecrets(string(content)))
	}
	return e.Content
}
