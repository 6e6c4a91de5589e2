package fact_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"picket/internal/core/fact"
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

func FuzzSudo(f *testing.F) {
	f.Add("User_Alias A=B:B=A\nA ALL=(A) C\nCmnd_Alias C=C,!C\nDefaults!C !authenticate\n")
	f.Add("@include \\\n#includedir [\npi ALL=(ALL) NOPASSWD: ^a$\n")
	f.Fuzz(func(t *testing.T, text string) {
		s := host(t, always, map[string]string{"/etc/passwd": somePasswd, "/etc/group": someGroup, "/etc/sudoers": text})
		fact.Parse(s)
		fact.Ask(s)
	})
}
