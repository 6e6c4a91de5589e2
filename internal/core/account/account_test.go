package account

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"picket/internal/core/change"
	"picket/internal/core/snap"
	"picket/lab/leftout"
)

const hash = "$y$j9T$abcdefghijklmnop$ZDloJgfb9iMP/OhlO6VibvzQwWOMaT5q5ZGAWJe8us."

// files of a small host, of a shape that an editor could stumble over: a comment, a damaged line, NIS, no last newline.
var files = map[string]string{
	Passwd:  "root:x:0:0:root:/root:/bin/bash\n# a comment\ndamaged:x:1\npi:x:1000:1000:,,,:/home/pi:/bin/bash\nsvc:x:990:990::/srv:/bin/sh\nold::1001:1001::/home/old:/bin/sh\nplain:" + hash + ":1002:1002::/home/plain:/bin/sh\ntwice:x:1003:1003::/:/bin/sh\ntwice:x:1004:1004::/:/bin/sh\n+::::::\n",
	Shadow:  "root:*:19700:0:99999:7:::\npi:" + hash + ":19700:0:99999:7:::\nsvc::19700::::::\nold:" + hash + ":1:::::: \nno newline:x:",
	Group:   "root:x:0:\nsudo:x:27:pi\ngpio:x:997:svc,pi\npi:x:1000:pi\nempty:x:1005:",
	GShadow: "root:*::\nsudo:*::pi\ngpio:!::svc,pi\npi:!::\nempty:!::\n",
	SubUID:  "pi:100000:65536\n",
}

// on drafts on a host with those files, all of them read anew.
func on(with map[string]string) *change.Draft {
	s := snap.New(snap.Source{Kind: "ssh"}, time.Unix(0, 0))
	s.MarkComplete()
	raw := map[string][]byte{}
	s.Put(&snap.Entry{Path: "/home", Type: snap.Dir, Mode: 0o755})
	for p, c := range with {
		s.Put(&snap.Entry{Path: p, Type: snap.File, Mode: 0o644, Read: true, Redact: true, Content: []byte("[secret]")})
		raw[p] = []byte(c)
	}
	return change.On(s, raw, change.Policy{})
}

// differ is what a draft changes: a line each, with what it becomes.
func differ(d *change.Draft) string {
	var b strings.Builder
	for _, s := range d.Steps() {
		if s.Before.Type == "" {
			fmt.Fprintf(&b, "new %s %s %04o %d:%d %q\n", s.After.Type, s.Name, s.After.Mode, s.After.UID, s.After.GID, s.After.Content)
			continue
		}
		if s.After.Type == "" {
			fmt.Fprintf(&b, "gone %s\n", s.Name)
			continue
		}
		was := strings.SplitAfter(string(s.Before.Content), "\n")
		for l := range strings.Lines(string(s.After.Content)) {
			if !slices.Contains(was, l) {
				fmt.Fprintf(&b, "%s %s\n", s.Name, strings.TrimSuffix(l, "\n"))
			}
		}
	}
	return b.String()
}

func TestEdits(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(*change.Draft) error
		want string // lines that change; or in the error
		fail bool
	}{
		{"a password", func(d *change.Draft) error { return Password(d, "pi", "$6$x$y", 20000) }, "/etc/shadow pi:$6$x$y:20000:0:99999:7:::\n", false},
		{"one that is locked", func(d *change.Draft) error { return Password(d, "root", "$6$x$y", 20000) }, "/etc/shadow root:$6$x$y:20000:0:99999:7:::\n", false},
		{"of nobody", func(d *change.Draft) error { return Password(d, "nobody", "$6$x$y", 1) }, "nobody is not there", true},
		{"no hash", func(d *change.Draft) error { return Password(d, "pi", "!", 1) }, "no hash", true},
		{"a hash with a colon", func(d *change.Draft) error { return Password(d, "pi", "$6$x:y", 1) }, "cannot stand", true},
		{"in passwd", func(d *change.Draft) error { return Password(d, "plain", "$6$x$y", 1) }, "pwconv", true},
		{"damaged", func(d *change.Draft) error { return Shell(d, "damaged", "/bin/sh") }, "has not 7 fields", true},
		{"twice", func(d *change.Draft) error { return Shell(d, "twice", "/bin/sh") }, "twice", true},
		{"lock", func(d *change.Draft) error { return Lock(d, "pi") }, "/etc/shadow pi:!" + hash + ":19700:0:99999:7:::\n", false},
		{"lock what is locked", func(d *change.Draft) error { return Lock(d, "root") }, "", false},
		{"lock what is empty", func(d *change.Draft) error { return Lock(d, "svc") }, "/etc/shadow svc:!:19700::::::\n", false},
		{"lock what is in passwd", func(d *change.Draft) error { return Lock(d, "plain") }, "pwconv", true},
		{"bar in shadow", func(d *change.Draft) error { return Bar(d, "svc") }, "/etc/shadow svc:*:19700::::::\n", false},
		{"bar in passwd", func(d *change.Draft) error { return Bar(d, "old") }, "/etc/passwd old:x:1001:1001::/home/old:/bin/sh\n", false},
		{"bar what has one", func(d *change.Draft) error { return Bar(d, "pi") }, "", false},
		{"an age", func(d *change.Draft) error { return Age(d, "pi", Max, 365) }, "/etc/shadow pi:" + hash + ":19700:0:365:7:::\n", false},
		{"none", func(d *change.Draft) error { return Age(d, "pi", Warn, -1) }, "/etc/shadow pi:" + hash + ":19700:0:99999::::\n", false},
		{"a shell", func(d *change.Draft) error { return Shell(d, "svc", "/usr/sbin/nologin") }, "/etc/passwd svc:x:990:990::/srv:/usr/sbin/nologin\n", false},
		{"out of a group", func(d *change.Draft) error { return Leave(d, "pi", "gpio") }, "/etc/group gpio:x:997:svc\n/etc/gshadow gpio:!::svc\n", false},
		{"close", func(d *change.Draft) error { return Close(d, "pi", []string{"/home/pi/.ssh/authorized_keys"}) },
			"/etc/shadow pi:!" + hash + ":19700:0:99999:7::1:\n", false},
	} {
		d := on(files)
		err := d.For("test", tc.do)
		if tc.fail {
			if err == nil || !strings.Contains(err.Error(), tc.want) || len(d.Steps()) > 0 {
				t.Errorf("%s: %v, want %q; %s", tc.name, err, tc.want, differ(d))
			}
			continue
		}
		if got := differ(d); err != nil || got != tc.want {
			t.Errorf("%s: %v\n%swant\n%s", tc.name, err, got, tc.want)
		}
	}
}

func TestWhatIsNotReadIsNotChanged(t *testing.T) {
	s := snap.New(snap.Source{Kind: "ssh"}, time.Unix(0, 0))
	s.Put(&snap.Entry{Path: Passwd, Type: snap.File, Mode: 0o644, Read: true, Redact: true, Content: []byte("pi:x:1:1:::\n")})
	d := change.On(s, nil, change.Policy{})
	var unread *change.Unread
	if err := d.For("test", func(d *change.Draft) error { return Lock(d, "pi") }); !errors.As(err, &unread) || !unread.Secret {
		t.Errorf("%v", err)
	}
}

var limits = Limits{UIDMin: 1000, UIDMax: 60000, SubMin: 100000, SubMax: 600100000, SubCount: 65536, Max: 99999, Warn: 7, Inactive: -1}

func ann() New {
	return New{Name: "ann", From: "pi", Groups: []string{"empty"}, Shell: "/bin/bash", Home: "/home/ann", Mode: 0o700, Day: 20000, Limits: limits,
		Keys: []string{"ssh-ed25519 AAAA ann"}, Skel: []Piece{{".profile", change.Thing{Type: snap.File, Mode: 0o644, Content: []byte("x")}}}}
}

func TestAdd(t *testing.T) {
	d := on(files)
	var uid int
	err := d.For("test", func(d *change.Draft) (err error) { uid, err = Add(d, ann()); return err })
	want := `/etc/passwd ann:x:1006:1006::/home/ann:/bin/bash
/etc/group sudo:x:27:pi,ann
/etc/group gpio:x:997:svc,pi,ann
/etc/group empty:x:1005:ann
/etc/group ann:x:1006:
/etc/shadow no newline:x:
/etc/shadow ann:*:20000:0:99999:7:::
/etc/gshadow sudo:*::pi,ann
/etc/gshadow gpio:!::svc,pi,ann
/etc/gshadow empty:!::ann
/etc/gshadow ann:!::
/etc/subuid ann:165536:65536
new dir /home/ann 0700 1006:1006 ""
new file /home/ann/.profile 0644 1006:1006 "x"
new dir /home/ann/.ssh 0700 1006:1006 ""
new file /home/ann/.ssh/authorized_keys 0600 1006:1006 "ssh-ed25519 AAAA ann\n"
`
	if got := differ(d); err != nil || uid != 1006 || got != want {
		t.Errorf("%d, %v\n%swant\n%s", uid, err, got, want)
	}
	if is, _ := d.At(Passwd); !strings.HasSuffix(string(is.Content), "ann:x:1006:1006::/home/ann:/bin/bash\n+::::::\n") {
		t.Errorf("the line of NIS is not the last any more:\n%s", is.Content)
	}
}

func TestAddRefuses(t *testing.T) {
	for _, tc := range []struct {
		with func(*New)
		want string
	}{
		{func(n *New) { n.Name = "pi" }, "an account pi already"},
		{func(n *New) { n.Name = "empty" }, "a group empty already"},
		{func(n *New) { n.Name = "An:n" }, "no name for an account"},
		{func(n *New) { n.Name = "an.n" }, "no name for an account"},
		{func(n *New) { n.From = "who" }, "who is not there"},
		{func(n *New) { n.Groups = []string{"none"} }, "none is not there"},
		{func(n *New) { n.Limits.UIDMax = 1005 }, "no number from 1000 to 1005 is left"},
		{func(n *New) { n.Home = "/home/../etc" }, "no place for a home"},
		{func(n *New) { n.Home = "/home" }, "there is a /home already"},
		{func(n *New) { n.Shell = "/bin/sh\nroot2:x:0:0::/:/bin/sh" }, "cannot stand in a field"},
		{func(n *New) { n.Hash = "x:y" }, "cannot stand in a field"},
	} {
		n := ann()
		tc.with(&n)
		d := on(files)
		if err := d.For("test", func(d *change.Draft) error { _, err := Add(d, n); return err }); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v, want %s", err, tc.want)
		}
		if steps := d.Steps(); len(steps) > 0 {
			t.Errorf("%s: it leaves %s", tc.want, differ(d))
		}
	}
}

func TestCloseMovesKeys(t *testing.T) {
	with := map[string]string{"/home/pi/.ssh/authorized_keys": "ssh-ed25519 AAAA pi\n"}
	for p, c := range files {
		with[p] = c
	}
	d := on(with)
	if err := d.For("test", func(d *change.Draft) error { return Close(d, "pi", []string{"/home/pi/.ssh/authorized_keys"}) }); err != nil {
		t.Fatal(err)
	}
	if got := differ(d); !strings.Contains(got, "new file /home/pi/.ssh/closed.authorized_keys 0644 0:0 \"ssh-ed25519 AAAA pi\\n\"\ngone /home/pi/.ssh/authorized_keys\n") {
		t.Error(got)
	}
}

// TestAgainstPwck has the real tool look at what comes out. grpck looks for members in the accounts of the machine that it
// runs on, so only the tests on booted hosts can ask it.
func TestAgainstPwck(t *testing.T) {
	if _, err := exec.LookPath("pwck"); err != nil {
		leftout.Missing(t, "needs pwck: "+err.Error())
	}
	with := map[string]string{
		Passwd: "root:x:0:0:root:/root:/bin/bash\npi:x:1000:1000:,,,:/home/pi:/bin/bash\n", Shadow: "root:*:19700:0:99999:7:::\npi:" + hash + ":19700:0:99999:7:::\n",
		Group: "root:x:0:\nsudo:x:27:pi\npi:x:1000:\nempty:x:1005:\n", GShadow: "root:*::\nsudo:*::pi\npi:!::\nempty:!::\n",
	}
	check := func(d *change.Draft) string {
		t.Helper()
		dir := t.TempDir()
		at := func(p string) string {
			is, err := d.At(p)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, filepath.Base(p))
			if err := os.WriteFile(file, is.Content, 0o600); err != nil {
				t.Fatal(err)
			}
			return file
		}
		out, err := exec.Command("pwck", "-rq", at(Passwd), at(Shadow)).CombinedOutput()
		if err != nil {
			return string(out)
		}
		return ""
	}
	d := on(with)
	if err := d.For("test", func(d *change.Draft) error {
		_, err := Add(d, ann())
		return errors.Join(err, Password(d, "ann", hash, 20000), Lock(d, "pi"), Age(d, "pi", Expires, Closed), Leave(d, "pi", "sudo"))
	}); err != nil {
		t.Fatal(err)
	}
	if said := check(d); said != "" {
		t.Errorf("pwck objects:\n%s\n%s", said, differ(d))
	}
	if d = on(with); check(d) != "" || d.For("test", func(d *change.Draft) error {
		return edit(d, Passwd, func(t *table) error { return t.insert("ann", "x", "1001", "1001", "", "/", "/bin/sh") })
	}) != nil || check(d) == "" {
		t.Error("pwck objects to nothing")
	}
}

func FuzzEdits(f *testing.F) {
	for p, c := range files {
		f.Add(c, "pi", "x", uint8(fields[p]))
	}
	f.Fuzz(func(t *testing.T, content, name, value string, n uint8) {
		n = 2 + n%8
		tab := parse([]byte(content), int(n))
		if string(tab.print()) != content {
			t.Fatalf("%q becomes %q", content, tab.print())
		}
		if i, err := tab.find(name); err == nil && i >= 0 {
			if err := tab.set(i, int(n)-1, value); err == nil {
				again := parse(tab.print(), int(n))
				if len(again.lines) != len(tab.lines) || again.split(i)[n-1] != value {
					t.Fatalf("%q: %q becomes %q", content, value, again.lines)
				}
				was := parse([]byte(content), int(n))
				for j := range was.lines {
					if j != i && was.lines[j] != again.lines[j] {
						t.Fatalf("line %d was %q and becomes %q", j, was.lines[j], again.lines[j])
					}
				}
			}
		}
		tab = parse([]byte(content), int(n))
		row := slices.Repeat([]string{value}, int(n))
		row[0] = "fresh"
		had, _ := tab.find("fresh")
		if tab.insert(row...) == nil && had < 0 {
			again := parse(tab.print(), int(n))
			if i, err := again.find("fresh"); err == nil && i < 0 {
				t.Fatalf("%q: the new record cannot be found in %q", content, tab.print())
			}
			rest := bytes.Replace(tab.print(), []byte(strings.Join(row, ":")+"\n"), nil, 1)
			if got := strings.TrimSuffix(string(rest), "\n"); got != strings.TrimSuffix(content, "\n") {
				t.Fatalf("%q becomes %q", content, tab.print())
			}
		}
	})
}
