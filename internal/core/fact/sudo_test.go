package fact_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"picket/internal/core/fact"
	"picket/internal/core/snap"
	"picket/lab/leftout"
)

const (
	somePasswd = "root:x:0:0:root:/root:/bin/bash\npi:x:1000:1000::/home/pi:/bin/bash\nalice:x:1001:27::/home/alice:/bin/bash\n"
	someGroup  = "root:x:0:\nsudo:x:27:pi\ndialout:x:20:pi\npi:x:1000:\n"
)

// grants in a short form: who command [nopasswd] at place.
func grants(t *testing.T, files map[string]string) (out []string, su fact.Sudo) {
	t.Helper()
	all := map[string]string{"/etc/passwd": somePasswd, "/etc/group": someGroup, "/etc/hostname": "lab-3\n"}
	for p, c := range files {
		all[p] = c
	}
	h := fact.Parse(host(t, always, all))
	for _, g := range h.Sudo.Grants {
		s := g.User + " " + g.Command
		if !g.Full {
			s += " (limited)"
		}
		if !g.Password {
			s += " nopasswd"
		}
		out = append(out, fmt.Sprintf("%s by %s at %s", s, g.Via, strings.TrimPrefix(g.Place.String(), "/etc/")))
	}
	return out, h.Sudo
}

func TestGrants(t *testing.T) {
	for _, tc := range []struct {
		name, sudoers string
		want          []string
	}{
		{"a group, by membership and by first group", "%sudo ALL=(ALL:ALL) ALL\n",
			[]string{"pi ALL by %sudo at sudoers:1", "alice ALL by %sudo at sudoers:1"}},
		{"by number of group", "%#27 ALL=(root) ALL\n",
			[]string{"pi ALL by %#27 at sudoers:1", "alice ALL by %#27 at sudoers:1"}},
		{"by number of user", "#1000 ALL=ALL\n", []string{"pi ALL by #1000 at sudoers:1"}},
		{"the last rule counts: no password", "%sudo ALL=ALL\npi ALL=(ALL) NOPASSWD: ALL\n",
			[]string{"pi ALL nopasswd by pi at sudoers:2", "alice ALL by %sudo at sudoers:1"}},
		{"the last rule counts: password", "pi ALL=(ALL) NOPASSWD: ALL\npi ALL=(ALL) NOPASSWD: /bin/id\n%sudo ALL=ALL\n",
			[]string{"pi ALL by %sudo at sudoers:3", "alice ALL by %sudo at sudoers:3"}},
		{"one command", "pi ALL=NOPASSWD: /usr/bin/systemctl restart nginx, /usr/bin/vim, PASSWD: /bin/id\n",
			[]string{"pi /usr/bin/systemctl restart nginx (limited) nopasswd by pi at sudoers:1", "pi /usr/bin/vim nopasswd by pi at sudoers:1", "pi /bin/id (limited) by pi at sudoers:1"}},
		{"another user is not root", "pi ALL=(www-data) NOPASSWD: ALL\npi ALL=(:dialout) ALL\n", nil},
		{"everybody but root", "pi ALL=(ALL, !root) NOPASSWD: ALL\n", nil},
		{"another host", "pi lab-4=ALL\nalice lab-3=ALL\n", []string{"alice ALL by alice at sudoers:2"}},
		{"every host but this", "pi ALL,!lab-3=ALL\n", nil},
		{"an address may be ours", "pi 10.0.0.0/8=ALL\n", []string{"pi ALL by pi at sudoers:1"}},
		{"aliases, defined later", "OPS HERE=(BOSS) SHELLS\nUser_Alias OPS=%sudo,!alice\nHost_Alias HERE=lab-3\nRunas_Alias BOSS=root\nCmnd_Alias SHELLS=/bin/sh,/bin/id -u\n",
			[]string{"pi /bin/sh by OPS at sudoers:1", "pi /bin/id -u (limited) by OPS at sudoers:1"}},
		{"an alias of itself", "User_Alias A=A\nA ALL=ALL\n", nil},
		{"a command taken away", "pi ALL=/bin/sh, /bin/id, !/bin/sh\n", []string{"pi /bin/id (limited) by pi at sudoers:1"}},
		{"ALL but a shell is ALL", "pi ALL=ALL, !/bin/sh\n", []string{"pi ALL by pi at sudoers:1"}},
		{"authentication off for all", "Defaults !authenticate\n%sudo ALL=ALL\nalice ALL=PASSWD: ALL\n",
			[]string{"pi ALL nopasswd by %sudo at sudoers:2", "alice ALL by alice at sudoers:3"}},
		{"authentication off for one", "%sudo ALL=ALL\nDefaults:pi !authenticate\n",
			[]string{"pi ALL nopasswd by %sudo at sudoers:1", "alice ALL by %sudo at sudoers:1"}},
		{"a group that is exempt", "Defaults exempt_group=dialout\n%sudo ALL=ALL\n",
			[]string{"pi ALL nopasswd by %sudo at sudoers:2", "alice ALL by %sudo at sudoers:2"}},
		{"the lines for one command come last", "Defaults!/usr/bin/id !authenticate\nDefaults authenticate\npi ALL=/usr/bin/id\n",
			[]string{"pi /usr/bin/id (limited) nopasswd by pi at sudoers:3"}},
		{"off for one, and on again for all", "Defaults:pi !authenticate\nDefaults authenticate\npi ALL=ALL\n",
			[]string{"pi ALL by pi at sudoers:3"}},
		{"off for all, and on for one", "Defaults !authenticate\nDefaults:pi authenticate\npi ALL=ALL\n",
			[]string{"pi ALL by pi at sudoers:3"}},
		{"a command that no alias has", "pi ALL=NOPASSWD: FOO\n", nil},
		{"the last command of a setting that fits", "Defaults!ALL,!/usr/bin/id !authenticate\npi ALL=/usr/bin/id\n",
			[]string{"pi /usr/bin/id (limited) by pi at sudoers:2"}},
		{"a setting for one command of all", "Defaults!/usr/bin/id !authenticate\npi ALL=ALL\n",
			[]string{"pi ALL by pi at sudoers:2", "pi /usr/bin/id (limited) nopasswd by pi at sudoers:2"}},
		{"another default user", "Defaults runas_default=www-data\npi ALL=ALL\nalice ALL=(root) ALL\n",
			[]string{"alice ALL by alice at sudoers:3"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, su := grants(t, map[string]string{"/etc/sudoers": tc.sudoers})
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("grants (-want +got):\n%s", d)
			}
			if len(su.Ignored)+len(su.Unparsed) > 0 {
				t.Errorf("problems: %v %v", su.Ignored, su.Unparsed)
			}
		})
	}
}

func TestSudoIncludes(t *testing.T) {
	got, su := grants(t, map[string]string{
		"/etc/sudoers":                   "%sudo ALL=ALL\n@includedir sudoers.d\n#include /etc/sudo-%h\nbroken\n",
		"/etc/sudoers.d/010_pi-nopasswd": "pi ALL=(ALL) NOPASSWD: ALL\n",
		"/etc/sudoers.d/020_pi~":         "alice ALL=(ALL) NOPASSWD: ALL\n",
		"/etc/sudoers.d/030.dpkg-old":    "alice ALL=(ALL) NOPASSWD: ALL\n",
		"/etc/sudo-lab-3":                "alice ALL=(ALL) ALL\n@include /etc/sudo-lab-3\n",
	})
	if d := cmp.Diff([]string{"pi ALL nopasswd by pi at sudoers.d/010_pi-nopasswd:1", "alice ALL by alice at sudo-lab-3:1"}, got); d != "" {
		t.Errorf("grants (-want +got):\n%s", d)
	}
	var problems []string
	for _, p := range append(su.Ignored, su.Unparsed...) {
		problems = append(problems, p.String())
	}
	want := []string{
		"/etc/sudoers.d/020_pi~: sudo leaves this file out because of its name",
		"/etc/sudoers.d/030.dpkg-old: sudo leaves this file out because of its name",
	}
	if len(problems) < 4 || cmp.Diff(want, problems[:2]) != "" || !strings.Contains(strings.Join(problems, "\n"), "too many included files") || !strings.Contains(strings.Join(problems, "\n"), `/etc/sudoers:4: a name is missing`) {
		t.Errorf("problems: %q", problems)
	}
}

func TestSudoTakesOnlyRootsFiles(t *testing.T) {
	s := host(t, always, map[string]string{
		"/etc/passwd": somePasswd, "/etc/group": someGroup,
		"/etc/sudoers": "@includedir /etc/sudoers.d\n", "/etc/sudoers.d/x": "pi ALL=ALL\n", "/etc/sudoers.d/y": "pi ALL=ALL\n",
	})
	s.Entries["/etc/sudoers.d/x"].UID = 1000
	s.Entries["/etc/sudoers.d/y"].Mode = 0o666
	h := fact.Parse(s)
	if g := h.Sudo.Grants; len(g) > 0 || len(h.Sudo.Ignored) != 2 {
		t.Errorf("grants %v, problems %v", g, h.Sudo.Ignored)
	}
}

// What makes root: many of them tried by hand with sudo on Debian 12, with what each program does at
// its prompt, or with arguments of the caller's choice.
func TestSudoFull(t *testing.T) {
	for command, want := range map[string]bool{
		"ALL": true, "/bin/sh": true, `/bin/sh ""`: true, "/bin/bash -i": true, "/bin/sh /opt/job.sh": false,
		"/usr/bin/vim /etc/hosts": true, "/usr/bin/less /var/log/syslog": true, "/usr/bin/python3": true, "/usr/bin/python3.11": true,
		"/usr/bin/python3 /opt/job.py": false, "/usr/bin/systemctl restart nginx": false, "/usr/bin/systemctl": true,
		"/usr/bin/systemctl * nginx": true, "/usr/bin/passwd [a-z]*": true, "/usr/bin/apt-get update": false, "/usr/bin/apt-get": true,
		"/bin/su - postgres": false, "/bin/su -": true, "/opt/bin/": true, "/opt/bin/*": true, "/usr/sbin/reboot": false, "/usr/bin/id": false,
		// An editor has its keys with no file too, and what it is called does not matter.
		`/usr/bin/vim ""`: true, `/usr/bin/less ""`: true, `/usr/bin/man ""`: false, "/usr/bin/vim --version": false, "/usr/bin/vim.tiny /etc/hosts": true, "/usr/bin/editor /etc/hosts": true,
		"/usr/bin/perl5.36.0": true, "/usr/bin/php8.2 -a": true, "/opt/job1": false,
		// bash -v and python3 -v go on to read what is typed; so does what has an option's value only.
		"/usr/bin/bash -v": true, "/usr/bin/bash -O extglob": true, "/usr/bin/bash --rcfile /opt/rc": true, "/usr/bin/bash -s x": true, "/usr/bin/python3 -v": true, "/usr/bin/python3 -W ignore": true,
		"/usr/bin/python3 -i /opt/job.py": true, "/usr/bin/python3 -V": false, "/usr/bin/bash --version": false, "/usr/bin/python3 -m http.server": false, "/usr/bin/bash -c id": false,
		"/usr/bin/script /tmp/x": true, "/usr/bin/script -c /opt/job": false, "/usr/bin/nsenter -t 1 -m": true, "/usr/bin/nsenter -t 1 /opt/job": false, "/usr/bin/unshare -m": true,
		"/usr/bin/env -i bash": true, "/usr/bin/env /opt/job": false, `/usr/bin/env ""`: false,
		"/usr/bin/su --login": true, "/usr/bin/su -l root": true, `/usr/bin/su ""`: true, "/usr/bin/su -c id": false, "/usr/sbin/runuser -u postgres /opt/job": false,
		"/usr/bin/sudo su": true, "/usr/bin/sudo -u root bash": true, "/usr/bin/sudo /opt/job": false, `/usr/bin/pkexec ""`: true,
		"/usr/bin/crontab -": true, "/usr/bin/crontab -e": true, "/usr/bin/crontab -l": false, "/usr/bin/crontab /opt/table": false,
		`/usr/bin/passwd ""`: true, "/usr/bin/passwd root": true, "/usr/bin/passwd pi": false, `/usr/sbin/chpasswd ""`: true,
		"/usr/bin/systemctl --full edit ssh": true, "/usr/bin/systemctl ^.+ nginx$": true, "/usr/bin/systemctl ^restart (nginx|huey[0-9])$": false,
	} {
		out, _ := grants(t, map[string]string{"/etc/sudoers": "pi ALL=" + command + "\n"})
		if len(out) != 1 || strings.Contains(out[0], "(limited)") == want {
			t.Errorf("%s: %q, want full: %t", command, out, want)
		}
	}
}

func TestSudoReadsOnlyRootsFolders(t *testing.T) {
	for _, tc := range []struct {
		mode     uint32
		uid, gid int
		read     bool
	}{{0o755, 0, 0, true}, {0o775, 0, 0, true}, {0o777, 0, 0, false}, {0o775, 0, 37, false}, {0o755, 1000, 0, false}} {
		s := host(t, always, map[string]string{
			"/etc/passwd": somePasswd, "/etc/group": someGroup, "/etc/sudoers": "@includedir /etc/sudoers.d\n", "/etc/sudoers.d/x": "pi ALL=ALL\n",
		})
		s.Entries["/etc/sudoers.d"] = &snap.Entry{Path: "/etc/sudoers.d", Type: snap.Dir, Mode: tc.mode, UID: tc.uid, GID: tc.gid}
		if h := fact.Parse(s); len(h.Sudo.Grants) > 0 != tc.read || len(h.Sudo.Ignored) > 0 == tc.read {
			t.Errorf("folder %04o %d:%d: grants %v, ignored %v", tc.mode, tc.uid, tc.gid, h.Sudo.Grants, h.Sudo.Ignored)
		}
	}
}

func TestAccountsFromElsewhere(t *testing.T) {
	for text, want := range map[string]string{
		"passwd: files systemd\nsudoers: files\n":              "",
		"passwd: files [SUCCESS=merge] systemd\n":              "",
		"passwd:\tfiles sss # comment\nsudoers: files sss\n":   "/etc/nsswitch.conf takes accounts from sss too|/etc/nsswitch.conf takes rules of sudo from sss too",
		"passwd: compat [NOTFOUND=return] ldap\nshadow: nis\n": "/etc/nsswitch.conf takes accounts from ldap too",
	} {
		h := fact.Parse(host(t, always, map[string]string{"/etc/passwd": somePasswd, "/etc/sudoers": "", "/etc/nsswitch.conf": text}))
		if got := strings.TrimSuffix(h.Accounts.Elsewhere+"|"+h.Sudo.Incomplete, "|"); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestSudoBounded(t *testing.T) {
	var b strings.Builder
	for i := range 15 {
		fmt.Fprintf(&b, "User_Alias A%d=%s\n", i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("A%d,", i+1), 20), ","))
	}
	b.WriteString("A0 ALL=ALL\n")
	if _, su := grants(t, map[string]string{"/etc/sudoers": b.String()}); !strings.Contains(su.Incomplete, "too many rules") {
		t.Errorf("incomplete: %q", su.Incomplete)
	}
}

// TestSudoEffort holds the time to a share of what a hostile host may send: a
// file has a million bytes at most.
func TestSudoEffort(t *testing.T) {
	leftout.OfRace(t)
	var users, rules, settings strings.Builder
	users.WriteString(somePasswd)
	for i := range 200 {
		fmt.Fprintf(&users, "u%d:x:%d:%d::/:/bin/sh\n", i, 2000+i, 2000+i)
	}
	for i := range 19_000 {
		fmt.Fprintf(&rules, "ALL ALL=/a%d\n", i)
		fmt.Fprintf(&settings, "Defaults!/b%d !authenticate\n", i)
	}
	for name, text := range map[string]string{
		"rules": rules.String(), "settings": settings.String() + rules.String(),
		"continued lines":    "pi ALL=/a" + strings.Repeat(",\\\n/a", 150_000),
		"expressions no end": "pi ALL=/a" + strings.Repeat(" ^", 400_000),
	} {
		start := time.Now()
		grants(t, map[string]string{"/etc/passwd": users.String(), "/etc/sudoers": text})
		if d := time.Since(start); d > 25*time.Second { // with the race detector, which is ten times slower, 8 s at most
			t.Errorf("%s: %v", name, d)
		}
	}
}

func FuzzSudo(f *testing.F) {
	f.Add("User_Alias A=B:B=A\nA ALL=(A) C\nCmnd_Alias C=C,!C\nDefaults!C !authenticate\n")
	f.Add("@include \\\n#includedir [\npi ALL=(ALL) NOPASSWD: ^a$\n")
	f.Fuzz(func(t *testing.T, text string) {
		s := host(t, always, map[string]string{"/etc/passwd": somePasswd, "/etc/group": someGroup, "/etc/sudoers": text})
		fact.Parse(s)
		fact.Ask(s)
	})
}
