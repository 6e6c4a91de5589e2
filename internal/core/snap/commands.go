package snap

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"
)

// A Permitted command: the fixed arguments it begins with, patterns for those
// that follow, how long it may take, and how its answer is told from something
// else. All of them only read.
type Permitted struct {
	Argv    []string      // each a word or a pattern over [safe] characters; a last "..." is one or more words
	Timeout time.Duration // zero: DefaultTimeout
	Slow    bool          // among the few that everything else waits for: begun first
	Zero    bool          // with any other exit status it has told nothing
	Form    string        // a regular expression for how an answer with exit status 0 begins; "": anything
}

// DefaultTimeout of one command.
const DefaultTimeout = 10 * time.Second

// Path is where commands are looked for on every host, whatever its own PATH.
const Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Table lists every command that Picket may ever run to audit a host. A topic
// that asks for another one is refused by every taker.
var Table = []Permitted{
	{Argv: []string{"uname", "-srm"}, Form: `[A-Za-z]+ \S+ \S+`},
	{Argv: []string{"sshd", "-T"}, Form: sshdForm},
	{Argv: []string{"sshd", "-T", "-C", "*"}, Form: sshdForm},
	{Argv: []string{"sshd", "-t"}, Form: `$`},
	{Argv: []string{"dpkg-query", "-W", "-f=${Package}\t${Version}\t${Architecture}\t${db:Status-Abbrev}\n"}, Zero: true, Form: `[a-z0-9][a-z0-9+.-]*\t[^\t\n]*\t[^\t\n]*\t`},
	{Argv: []string{"apt-cache", "policy"}, Slow: true, Zero: true, Form: `Package files:`},
	{Argv: []string{"apt-config", "dump"}, Zero: true, Form: `[A-Za-z][\w:/.-]* "`},
	{Argv: []string{"apt-get", "-s", "-qq", "-o", "Debug::NoLocking=true", "dist-upgrade"}, Timeout: 30 * time.Second, Slow: true, Form: `($|[A-Z]\w*[ :])`},
	{Argv: []string{"systemctl", "list-unit-files", "--no-legend", "--no-pager", "--plain", "--full", "*.service", "*.socket", "*.timer", "*.path", "ctrl-alt-del.target", "tmp.mount"}, Slow: true, Zero: true, Form: unitForm},
	{Argv: []string{"systemctl", "list-units", "--all", "--no-legend", "--no-pager", "--plain", "--full"}, Zero: true, Form: unitForm},
	{Argv: []string{"systemctl", "show", "--no-pager", "--property=*", "..."}, Zero: true, Form: showForm},
	{Argv: []string{"systemctl", "show", "--no-pager", "--timestamp=utc", "--property=*", "..."}, Zero: true, Form: showForm},
	{Argv: []string{"systemd-detect-virt"}},
	{Argv: []string{"ss", "-Hltunpe"}, Zero: true, Form: `($|[a-z0-9_]+ +\S+ +\d)`},
	{Argv: []string{"nft", "-j", "list", "ruleset"}},
	{Argv: []string{"iptables-save"}, Form: rulesForm},
	{Argv: []string{"ip6tables-save"}, Form: rulesForm},
	{Argv: []string{"iptables-legacy-save"}, Form: rulesForm},
	{Argv: []string{"ip6tables-legacy-save"}, Form: rulesForm},
	{Argv: []string{"ip", "-j", "addr"}},
	{Argv: []string{"ip", "-j", "route"}},
	{Argv: []string{"ip", "-j", "-6", "route"}},
	{Argv: []string{"ip", "-j", "neigh"}, Zero: true},
	{Argv: []string{"ps", "-e", "-o", "user=,comm="}, Zero: true, Form: `\S+ +\S`},
	{Argv: []string{"tailscale", "serve", "status", "--json"}, Form: `\s*($|\{|null)`},
	{Argv: []string{"docker", "ps", "-q", "--no-trunc"}, Zero: true, Form: `($|[0-9a-f]{64}\n)`},
	{Argv: []string{"docker", "ps", "-a", "--no-trunc", "--format", `{{.Label "com.docker.compose.project.working_dir"}}|{{.Label "com.docker.compose.project.config_files"}}`}, Zero: true, Form: `($|[^\n|]*\|)`},
	{Argv: []string{"docker", "info", "--format", "{{json .}}"}, Form: `\{`},
	{Argv: []string{"docker", "inspect", "..."}, Zero: true, Form: `\[`},
	{Argv: []string{"timedatectl", "show"}, Slow: true},
	{Argv: []string{"chronyc", "-n", "tracking"}, Form: `Reference ID`},
	{Argv: []string{"chronyc", "-n", "-c", "sources"}, Zero: true, Form: `($|[#^=],)`},
	{Argv: []string{"ntpq", "-pn"}, Form: `($|\s*remote\s|No association)`},
	{Argv: []string{"fail2ban-client", "ping"}, Slow: true},
	{Argv: []string{"fail2ban-client", "status"}, Slow: true, Form: `Status`},
	{Argv: []string{"fail2ban-regex", "Jan 10 10:00:00 host sshd: Failed password for root from 192.0.2.1 port 40000 ssh2", "sshd"}, Zero: true, Form: filterForm},
	{Argv: []string{"fail2ban-regex", "Jan 10 10:00:00 host sshd: Invalid user probe from 192.0.2.1 port 40000", "sshd"}, Zero: true, Form: filterForm},
	{Argv: []string{"ssh", "-Q", "KexAlgorithms"}, Zero: true, Form: queryForm},
	{Argv: []string{"ssh", "-Q", "Ciphers"}, Zero: true, Form: queryForm},
	{Argv: []string{"ssh", "-Q", "MACs"}, Zero: true, Form: queryForm},
	{Argv: []string{"ssh", "-Q", "HostKeyAlgorithms"}, Zero: true, Form: queryForm},
	{Argv: []string{"dpkg", "--verify", "..."}, Timeout: 30 * time.Second, Form: `($|missing |[?.5]{9} )`},
	{Argv: []string{"auditctl", "-l"}, Zero: true, Form: `(-[aAw] |No rules)`},
	{Argv: []string{"auditctl", "-s"}, Zero: true, Form: `(?s)(AUDIT_STATUS: )?enabled[ =]\d`},
	{Argv: []string{"promtool", "query", "series", "--match=*", "http://127.0.0.1:9090"}, Zero: true, Form: `($|\{)`},
	{Argv: []string{"iw", "dev"}, Form: `($|phy#)`},
	{Argv: []string{"wpa_cli", "-i", "*", "status"}, Form: `(Selected |[a-z_]+=)`},
}

// How the answers of several commands begin.
const (
	sshdForm   = `[a-z][a-z0-9]* \S`
	unitForm   = `\W*\S+\.[a-z]+ +[a-z]`
	showForm   = `\s*[A-Z]\w*=`
	queryForm  = `[a-z0-9@.-]+\n`
	rulesForm  = `($|\s*[#*])`
	filterForm = `\s*Running tests\n`
)

var forms = func() map[string]*regexp.Regexp {
	m := map[string]*regexp.Regexp{}
	for _, p := range Table {
		if p.Form != "" {
			m[p.Form] = regexp.MustCompile(`\A(?:` + p.Form + `)`)
		}
	}
	return m
}()

// Unusable says why an answer tells nothing, "" for one that does: there is
// none, it is not whole, the program failed, or it is of another form than
// everything that the program ever prints. Such an answer would otherwise look
// like that of a host that has nothing.
func (o *Output) Unusable() string {
	if o.Err != "" || o.Cut {
		return cmp.Or(o.Err, "its output was cut off")
	}
	p, err := Permit(o.Argv)
	switch {
	case o.Missing || err != nil:
	case p.Zero && o.Exit != 0:
		return fmt.Sprintf("it failed (exit status %d)%s", o.Exit, complaint(o.Stderr))
	case o.Exit == 0 && p.Form != "" && !forms[p.Form].Match(o.Stdout):
		return "its answer is not of the form that is known"
	}
	return ""
}

// complaint is the first line of what a program said when it failed.
func complaint(stderr string) string {
	l, _, _ := strings.Cut(strings.TrimSpace(strings.ToValidUTF8(stderr, "\uFFFD")), "\n")
	if r := []rune(l); len(r) > 300 {
		l = string(r[:300]) + "…"
	}
	if l == "" {
		return ""
	}
	return ": " + l
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
