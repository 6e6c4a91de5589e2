package fact_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

// host makes a snapshot of files, already redacted as a taker would.
func host(t *testing.T, sec fact.Secrets, files map[string]string) *snap.Snapshot {
	t.Helper()
	s := snap.New(snap.Source{Kind: "local", Target: "test"}, time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC))
	s.MarkComplete()
	for p, content := range files {
		s.Entries[p] = &snap.Entry{Path: p, Type: snap.File, Mode: 0o644, Read: true, Content: []byte(content)}
	}
	fact.Redact(s, sec)
	return s
}

var always = fact.Secrets{More: func() bool { return true }}

// Hashes of the real crypt(3) in what they stand for.
const (
	hashRaspberry = "$y$j75$saltsaltsalt$d2v3hkUSx9obEcmvIPnnDGho9IhUclwqdIkqB3OiN89"
	hashAlice     = "$6$rounds=1000$salt$f26WTGsC2hfxZkExNb1rXoyRe.BaaSzOmq4s3WbGP4Rq1YeJ5Lm9gORC1V7nGH0tveq0D82XyGYvliVjIoKEg0" // alice
	hashStrong    = "$6$rounds=1000$salt$Op5Pr8IefYjtJFNiLT8d.Xb85v8VtEyyKosvqEUXP9/.f4IC5kMbKoUZwss1ymncWvUZB6QVTmIH88IN1Uc5C."
	hashHost      = "$5$rounds=1000$salt$itn3YAbs6.caFpNB5T6JHIAOCzK2djx8EYPQpQlVoCB" // lab-3
	hashNothing   = "$1$salt$UsdFqFVB.FsuinRDK5eE.."                                  // no characters at all
	hashCommon    = "$2b$04$abcdefghijklmnopqrstuuFwMibPVIyV1/Vdxb3PVZCmM4bYxIada"    // a row of digits
)

var shadow = strings.Join([]string{
	"root:*:20779:0:99999:7:::",
	"pi:" + hashRaspberry + ":20779:0:99999:7:::",
	"alice:" + hashAlice + ":20779:1:365:7:30:20999:",
	"bob:" + hashStrong + ":20779:0:99999:7:::",
	"carol:" + hashHost + ":20779:0:99999:7:::",
	"dave:" + hashNothing + ":20779:0:99999:7:::",
	"erin:" + hashCommon + ":20779:0:99999:7:::",
	"frank:!" + hashRaspberry + ":20779:0:99999:7:::",
	"grace::20779:0:99999:7:::",
	"heidi:!:20779:0:99999:7:::",
	"ivan:$6$rounds=999999999$salt$" + strings.Repeat("a", 86) + ":20779:0:99999:7:::",
	"judy:raspberry:20779:0:99999:7:::",
	"mallory:$6$x$y$z:20779:0:99999:7:::",
	"pi:" + hashStrong + ":20779",
	"nobody::" + hashStrong + ":0:99999:7:::",
	hashStrong,
	"+::::::::",
}, "\n") + "\n"

const wantShadow = `root:*:20779:0:99999:7:::
pi:[yescrypt, factory password]:20779:0:99999:7:::
alice:[sha512crypt, the account's own name]:20779:1:365:7:30:20999:
bob:[sha512crypt]:20779:0:99999:7:::
carol:[sha256crypt, the host's name]:20779:0:99999:7:::
dave:[md5crypt, an empty password]:20779:0:99999:7:::
erin:[bcrypt, a common password]:20779:0:99999:7:::
frank:![yescrypt, not checked (locked)]:20779:0:99999:7:::
grace::20779:0:99999:7:::
heidi:!:20779:0:99999:7:::
ivan:[sha512crypt, not checked (too expensive to check)]:20779:0:99999:7:::
judy:[not a hash]:20779:0:99999:7:::
mallory:[not a hash]:20779:0:99999:7:::
[line not kept, 3 fields]
nobody::[not a number]:0:99999:7:::
[line not kept, 1 field]
+::::::::
`

func TestRedactShadow(t *testing.T) {
	s := host(t, always, map[string]string{"/etc/shadow": shadow, "/etc/hostname": "lab-3\n"})
	e := s.Entries["/etc/shadow"]
	if d := cmp.Diff(wantShadow, string(e.Content)); d != "" || !e.Redact {
		t.Errorf("redacted shadow (-want +got):\n%s", d)
	}
	// What is left of a snapshot is the same whoever was faster.
	for range 5 {
		again := host(t, always, map[string]string{"/etc/shadow": shadow, "/etc/hostname": "lab-3\n"})
		if got := string(again.Entries["/etc/shadow"].Content); got != wantShadow {
			t.Fatalf("another run gave:\n%s", got)
		}
	}
}

func TestRedactWithoutTime(t *testing.T) {
	never := fact.Secrets{More: func() bool { return false }}
	s := host(t, never, map[string]string{"/etc/shadow": shadow})
	got := string(s.Entries["/etc/shadow"].Content)
	if !strings.Contains(got, "pi:[yescrypt, not checked (ran out of time)]:") || strings.Contains(got, "$") {
		t.Errorf("shadow without time to guess:\n%s", got)
	}
	p := fact.Parse(s).Accounts.Passwords.V["pi"]
	if p.Checked || p.Why != "ran out of time" || !p.Usable() {
		t.Errorf("pi's password: %+v", p)
	}
	// Time for the first guess of everybody finds the factory account.
	n := 0
	some := fact.Secrets{More: func() bool { n++; return n <= 8 }}
	s = host(t, some, map[string]string{"/etc/shadow": shadow})
	got = string(s.Entries["/etc/shadow"].Content)
	for _, want := range []string{"pi:[yescrypt, factory password]", "alice:[sha512crypt, the account's own name]", "bob:[sha512crypt, not checked (ran out of time)]"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}

func TestRedactOtherFiles(t *testing.T) {
	s := host(t, always, map[string]string{
		"/etc/passwd":  "root:x:0:0:root:/root:/bin/bash\nold:" + hashRaspberry + ":1000:1000::/home/old:/bin/sh\n",
		"/etc/shadow-": "pi:" + hashRaspberry + ":20779:0:99999:7:::\n",
		"/etc/group":   "staff:" + hashStrong + ":50:old\nodd\nlab:" + hashStrong + ":51:\n",
		"/etc/gshadow": "staff:" + hashStrong + "::\nroot:*::\n",
	})
	for p, want := range map[string]string{
		"/etc/passwd":  "root:x:0:0:root:/root:/bin/bash\nold:[yescrypt, factory password]:1000:1000::/home/old:/bin/sh\n",
		"/etc/shadow-": "pi:[yescrypt, not checked (ran out of time)]:20779:0:99999:7:::\n",
		"/etc/group":   "staff:[sha512crypt]:50:old\n[line not kept, 1 field]\nlab:[sha512crypt]:51:\n",
		"/etc/gshadow": "staff:[sha512crypt]::\nroot:*::\n",
	} {
		if d := cmp.Diff(want, string(s.Entries[p].Content)); d != "" {
			t.Errorf("%s (-want +got):\n%s", p, d)
		}
	}
}

func TestParseAccounts(t *testing.T) {
	s := host(t, always, map[string]string{
		"/etc/hostname": "lab-3\n",
		"/etc/passwd": "root:x:0:0:root:/root:/bin/bash\npi:x:1000:1000:,,,:/home/pi:/bin/bash\n" +
			"broken:x:1001\nb\xff:x:1002:1002::/home/b:/bin/sh\n+nis::::::\nneg:x:-1:0::/:/bin/sh\n",
		"/etc/group":      "root:x:0:\nsudo:x:27:pi,bob\npi:x:1000:\nodd:x:y:\n",
		"/etc/shadow":     "root:*:20779:0:99999:7:::\npi:" + hashRaspberry + ":20779:0:99999:7:::\n",
		"/etc/login.defs": "# ENCRYPT_METHOD DES\nENCRYPT_METHOD SHA512\nUID_MIN\t\t\t 1000\n",
		"/etc/shells":     "# valid login shells\n/bin/sh\n/bin/bash\n",
	})
	a := fact.Parse(s).Accounts
	var names []string
	for _, u := range a.Users {
		names = append(names, u.Name)
	}
	if d := cmp.Diff([]string{"root", "pi", "b\uFFFD"}, names); d != "" {
		t.Errorf("users (-want +got):\n%s", d)
	}
	var problems []string
	for _, p := range a.Problems {
		problems = append(problems, p.String())
	}
	if d := cmp.Diff([]string{
		"/etc/passwd:3: 3 fields, want 7", "/etc/passwd:4: not valid UTF-8",
		"/etc/passwd:6: the user or group id is not a number", "/etc/group:4: the group id is not a number",
	}, problems); d != "" {
		t.Errorf("problems (-want +got):\n%s", d)
	}
	if len(a.NIS) != 1 || a.NIS[0] != fact.At("/etc/passwd", 5) {
		t.Errorf("NIS lines: %v", a.NIS)
	}
	if d := cmp.Diff(map[string]fact.Password{
		"root": {Locked: true, Place: fact.At("/etc/shadow", 1), Changed: 20779, Max: 99999, Warn: 7, Inactive: -1, Expires: -1},
		"pi": {Scheme: "yescrypt", Guessed: "factory password", Checked: true, Place: fact.At("/etc/shadow", 2),
			Changed: 20779, Max: 99999, Warn: 7, Inactive: -1, Expires: -1},
	}, a.Passwords.V); d != "" {
		t.Errorf("passwords (-want +got):\n%s", d)
	}
	if v := a.Defs["ENCRYPT_METHOD"]; v.V != "SHA512" || v.Place.Line != 2 {
		t.Errorf("ENCRYPT_METHOD: %+v", v)
	}
	if d := cmp.Diff([]string{"/bin/sh", "/bin/bash"}, a.Shells.V); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"pi"}, a.Members(a.Groups[2])); d != "" {
		t.Errorf("members of the first group of pi: %s", d)
	}
}

func FuzzAccounts(f *testing.F) {
	f.Add("root:x:0:0:root:/root:/bin/bash\n", shadow, "sudo:x:27:pi\n")
	f.Add("a::::::\n+\n", ":::::::::\n", "\xff")
	f.Fuzz(func(t *testing.T, passwd, shadow, group string) {
		s := host(t, fact.Secrets{}, map[string]string{"/etc/passwd": passwd, "/etc/shadow": shadow, "/etc/group": group})
		for l := range strings.Lines(string(s.Entries["/etc/shadow"].Content)) {
			if f := strings.Split(l, ":"); len(f) > 1 && strings.Contains(f[1], "$") {
				t.Errorf("a hash was kept: %q", l)
			}
		}
		fact.Parse(s)
	})
}
