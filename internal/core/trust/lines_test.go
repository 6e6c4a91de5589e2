package trust_test

import (
	"slices"
	"strings"
	"testing"

	"picket/internal/core/change"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
	"picket/internal/core/trust"
)

var pi = fact.User{Name: "pi", UID: 1000, GID: 1000, Home: "/home/pi"}

// drafted is what a file becomes when something is drafted on a host that has it as content; "absent" has none.
func drafted(t *testing.T, file, content string, draft func(*change.Draft) error) (after string, steps []change.Step) {
	t.Helper()
	s := host(t, "a", map[string]string{file: content}).Facts.Snap
	raw := map[string][]byte{}
	if content != "absent" {
		raw[file] = []byte(content)
	}
	s.Put(&snap.Entry{Path: "/home/pi", Type: snap.Dir, Mode: 0o700, UID: 1000, GID: 1000})
	d := change.On(s, raw, change.Policy{})
	if err := d.For("test", draft); err != nil {
		t.Fatal(err)
	}
	is, err := d.At(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(is.Content), d.Steps()
}

// TestAdd: a line comes to the end, and nothing else changes; what is not there is made, the user's.
func TestAdd(t *testing.T) {
	const file = "/home/pi/.ssh/authorized_keys"
	for was, want := range map[string]string{
		"":                        "new key\n",
		"absent":                  "new key\n",
		"# mine\n\n" + "a b\n":    "# mine\n\na b\nnew key\n",
		"no end of the last line": "no end of the last line\nnew key\n",
		"windows\r\n":             "windows\r\nnew key\n",
	} {
		got, steps := drafted(t, file, was, func(d *change.Draft) error { return trust.Add(d, pi, file, 0o600, "new key") })
		if got != want {
			t.Errorf("%q becomes %q, want %q", was, got, want)
		}
		if was == "absent" {
			if len(steps) != 2 || steps[0].Name != "/home/pi/.ssh" || steps[0].After.Mode != 0o700 || steps[0].After.UID != 1000 || steps[1].After.Mode != 0o600 || steps[1].After.UID != 1000 {
				t.Errorf("%+v", steps)
			}
		} else if len(steps) != 1 {
			t.Errorf("%+v", steps)
		}
	}
}

// TestRemove: only lines of those keys go, with their options, and in whatever form.
func TestRemove(t *testing.T) {
	const file = "/home/pi/.ssh/authorized_keys"
	a, b := public(t, "a"), public(t, "b")
	k, ok := fact.ReadKey(a)
	if !ok {
		t.Fatal(a)
	}
	was := "# " + a + "\n\n" + a + "\n  from=\"10.*\",command=\"x y\" " + a + "\nrestrict " + b + "\nnot a key\n" + a
	got, _ := drafted(t, file, was, func(d *change.Draft) error {
		n, err := trust.Remove(d, file, func(o fact.AuthorizedKey) bool { return o.Fingerprint == k.Fingerprint })
		if n != 3 {
			t.Errorf("%d lines go", n)
		}
		return err
	})
	if want := "# " + a + "\n\nrestrict " + b + "\nnot a key\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestTighten: a line without options gets some, in its place.
func TestTighten(t *testing.T) {
	const file = "/home/pi/.ssh/authorized_keys"
	a, b := public(t, "a"), public(t, "b")
	k, _ := fact.ReadKey(a)
	got, _ := drafted(t, file, "# "+a+"\n"+a+"\n"+b+"\nno-pty "+a+"\n", func(d *change.Draft) error {
		return trust.Tighten(d, file, k.Fingerprint, `restrict,from="10.1.1.1"`)
	})
	if want := "# " + a + "\nrestrict,from=\"10.1.1.1\" " + a + "\n" + b + "\nno-pty " + a + "\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// The hashed line is of ssh-keygen -H, for worker1.
const hashed = "|1|L2UnoXakAXXF3yesjUIjO/PcYwA=|dgSrSQ6o4nX5Ezdn//hxC2pDAIA= ssh-ed25519 AAAA\n"

func TestKnown(t *testing.T) {
	const content = "# of the cluster\nworker1,192.168.1.11 ssh-ed25519 AAAA\n[worker1]:2222 ssh-ed25519 CCCC\nworker2 ssh-ed25519 BBBB comment\n@revoked * ssh-ed25519 AAAA\n"
	for _, tc := range []struct {
		names   []string
		key     string
		missing []string
		err     string
	}{
		{[]string{"worker1", "192.168.1.11"}, "ssh-ed25519 AAAA", nil, ""},
		{[]string{"worker1", "fd00::1"}, "ssh-ed25519 AAAA", []string{"fd00::1"}, ""},
		{[]string{"worker1"}, "ssh-rsa AAAA", []string{"worker1"}, ""},
		{[]string{"worker2"}, "ssh-ed25519 AAAA", nil, "line 4"},
		{[]string{"[worker1]:2222"}, "ssh-ed25519 CCCC", nil, ""},
	} {
		missing, err := trust.Known([]byte(content), tc.names, tc.key)
		if !slices.Equal(missing, tc.missing) || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%v %s: %v, %v", tc.names, tc.key, missing, err)
		}
	}
}

func TestHashed(t *testing.T) {
	if missing, err := trust.Known([]byte(hashed), []string{"worker1", "worker2"}, "ssh-ed25519 AAAA"); err != nil || !slices.Equal(missing, []string{"worker2"}) {
		t.Errorf("%v, %v", missing, err)
	}
	if _, err := trust.Known([]byte(hashed), []string{"worker1"}, "ssh-ed25519 BBBB"); err == nil {
		t.Error("another key is taken for the known one")
	}
	if got, had := trust.Repin([]byte(hashed), []string{"worker1"}, []string{"ssh-ed25519 AAAA"}, []string{"ssh-ed25519 NEW"}); string(got) != strings.Replace(hashed, "AAAA", "NEW", 1) || len(had) != 1 {
		t.Errorf("%q, %v", got, had)
	}
	both, want := hashed+"192.168.1.11 ssh-ed25519 AAAA\n", "192.168.1.11 ssh-ed25519 NEW\n"+strings.Replace(hashed, "AAAA", "NEW", 1)
	if got, had := trust.Repin([]byte(both), []string{"worker1", "192.168.1.11"}, []string{"ssh-ed25519 AAAA"}, []string{"ssh-ed25519 NEW"}); string(got) != want || len(had) != 2 {
		t.Errorf("%q, %v", got, had)
	}
}

// TestRepin: a copied card's other names keep the key that is theirs.
func TestRepin(t *testing.T) {
	names, old, fresh := []string{"worker2", "192.168.1.12"}, []string{"ssh-ed25519 OLD", "ssh-rsa OLDR"}, []string{"ssh-ed25519 NEW", "ssh-rsa NEWR"}
	for was, want := range map[string]string{
		"worker2 ssh-ed25519 OLD\nworker1 ssh-ed25519 OLD\n":            "worker1 ssh-ed25519 OLD\nworker2 ssh-ed25519 NEW\nworker2 ssh-rsa NEWR\n",
		"worker1,worker2,192.168.1.12 ssh-ed25519 OLD a comment":        "worker1 ssh-ed25519 OLD a comment\nworker2,192.168.1.12 ssh-ed25519 NEW\nworker2,192.168.1.12 ssh-rsa NEWR\n",
		"worker2 ssh-ed25519 ANOTHER\n":                                 "worker2 ssh-ed25519 ANOTHER\n",
		"# worker2 ssh-ed25519 OLD\n@revoked worker2 ssh-ed25519 OLD\n": "# worker2 ssh-ed25519 OLD\n@revoked worker2 ssh-ed25519 OLD\n",
		"": "",
		"worker2 ssh-ed25519 OLD\nworker2 ssh-rsa OLDR\nx ssh-ed25519 OLD\n": "x ssh-ed25519 OLD\nworker2 ssh-ed25519 NEW\nworker2 ssh-rsa NEWR\n",
	} {
		if got, _ := trust.Repin([]byte(was), names, old, fresh); string(got) != want {
			t.Errorf("%q becomes %q, want %q", was, got, want)
		}
	}
}
