package snap

import (
	"fmt"
	"path"
	"strings"
	"time"
)

// A Permitted command: the fixed arguments it begins with, patterns for those
// that follow, and how long it may take. All of them only read.
type Permitted struct {
	Argv    []string      // each a word or a pattern over [safe] characters; a last "..." is one or more words
	Timeout time.Duration // zero: DefaultTimeout
	Slow    bool          // among the few that everything else waits for: begun first
}

// DefaultTimeout of one command.
const DefaultTimeout = 10 * time.Second

// Path is where commands are looked for on every host, whatever its own PATH.
const Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Table lists every command that Picket may ever run to audit a host. A topic
// that asks for another one is refused by every taker.
var Table = []Permitted{
	{Argv: []string{"uname", "-srm"}},
	{Argv: []string{"sshd", "-T"}},
	{Argv: []string{"sshd", "-T", "-C", "*"}},
	{Argv: []string{"sshd", "-t"}},
	{Argv: []string{"ssh", "-Q", "*"}},
	{Argv: []string{"dpkg-query", "-W", "-f=${Package}\t${Version}\t${Architecture}\t${db:Status-Abbrev}\n"}},
	{Argv: []string{"dpkg", "--print-architecture"}},
	{Argv: []string{"apt-cache", "policy"}, Slow: true},
	{Argv: []string{"apt-config", "dump"}},
	{Argv: []string{"apt-get", "-s", "-qq", "-o", "Debug::NoLocking=true", "dist-upgrade"}, Timeout: 30 * time.Second, Slow: true},
	{Argv: []string{"systemctl", "list-unit-files", "--no-legend", "--no-pager", "--plain", "--full", "*.service", "*.socket", "*.timer", "*.path", "ctrl-alt-del.target", "tmp.mount"}, Slow: true},
	{Argv: []string{"systemctl", "list-units", "--all", "--no-legend", "--no-pager", "--plain", "--full"}},
	{Argv: []string{"systemctl", "list-timers", "--all", "--no-legend", "--no-pager"}},
	{Argv: []string{"systemctl", "show", "--no-pager", "--property=*", "..."}},
	{Argv: []string{"systemctl", "show", "--no-pager", "--timestamp=utc", "--property=*", "..."}},
	{Argv: []string{"systemctl", "get-default"}},
	{Argv: []string{"systemd-detect-virt"}},
	{Argv: []string{"ss", "-Hltunpe"}},
	{Argv: []string{"nft", "-j", "list", "ruleset"}},
	{Argv: []string{"nft", "list", "ruleset"}},
	{Argv: []string{"iptables-save"}},
	{Argv: []string{"ip6tables-save"}},
	{Argv: []string{"iptables-legacy-save"}},
	{Argv: []string{"ip6tables-legacy-save"}},
	{Argv: []string{"ip", "-j", "addr"}},
	{Argv: []string{"ip", "-j", "route"}},
	{Argv: []string{"ip", "-j", "-6", "route"}},
	{Argv: []string{"ufw", "status", "verbose"}},
	{Argv: []string{"timedatectl", "show"}, Slow: true},
	{Argv: []string{"chronyc", "-n", "tracking"}},
	{Argv: []string{"chronyc", "-n", "-c", "sources"}},
	{Argv: []string{"ntpq", "-pn"}},
	{Argv: []string{"fail2ban-client", "ping"}, Slow: true},
	{Argv: []string{"fail2ban-client", "status"}, Slow: true},
	{Argv: []string{"fail2ban-client", "status", "*"}},
	{Argv: []string{"fail2ban-client", "-d"}, Slow: true},
	{Argv: []string{"iw", "dev"}},
	{Argv: []string{"wpa_cli", "-i", "*", "status"}},
	{Argv: []string{"rfkill", "-J"}},
	{Argv: []string{"nmcli", "-t", "-f", "*", "connection", "show"}},
	{Argv: []string{"nmcli", "-t", "-f", "*", "device", "status"}},
	{Argv: []string{"nmcli", "-t", "-f", "*", "device", "show"}},
	{Argv: []string{"nmcli", "-t", "-f", "*", "general", "status"}},
	{Argv: []string{"findmnt", "-J", "--real"}},
	{Argv: []string{"visudo", "-c"}},
	{Argv: []string{"lsmod"}},
	{Argv: []string{"aa-status", "--json"}},
	{Argv: []string{"ssh-keygen", "-l", "-f", "*"}},
}

// Permit returns the entry of Table that allows argv, or an error that names
// the command.
func Permit(argv []string) (Permitted, error) {
	for _, p := range Table {
		if !permits(p.Argv, argv) {
			continue
		}
		if p.Timeout == 0 {
			p.Timeout = DefaultTimeout
		}
		return p, nil
	}
	return Permitted{}, fmt.Errorf("command not in the table of permitted ones: %s", CommandKey(argv...))
}

// permits matches word by word; a last "..." stands for one or more words.
func permits(want, got []string) bool {
	if n := len(want) - 1; want[n] == "..." && len(got) > n {
		for _, w := range got[n:] {
			if strings.HasPrefix(w, "-") || !safe(w) {
				return false
			}
		}
		want, got = want[:n], got[:n]
	}
	if len(want) != len(got) {
		return false
	}
	for i, w := range want {
		if w != got[i] && !permitsWord(w, got[i]) {
			return false
		}
	}
	return true
}

func permitsWord(want, got string) bool {
	if !IsPattern(want) || !safe(got) || strings.HasPrefix(got, "-") && !strings.HasPrefix(want, "-") {
		return false
	}
	// A slash is an ordinary character here.
	m, err := path.Match(strings.ReplaceAll(want, "*", "?*"), strings.ReplaceAll(got, "/", "|"))
	return m && err == nil
}

// safe keeps arguments that came from the host (an account's name, a file's
// path) to characters that no program and no shell treats specially.
func safe(s string) bool {
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		case strings.ContainsRune("-_./=,:@%+$ \\", r):
		default:
			return false
		}
	}
	return s != "" && len(s) < 4096
}
