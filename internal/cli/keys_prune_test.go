package cli

import (
	"crypto/ed25519"
	"encoding/pem"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"picket/internal/core/cases"
	"picket/internal/core/change"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

// pair is a key that is the same for the same name.
func pair(t *testing.T, name string) (private, public string) {
	t.Helper()
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, name)
	k := ed25519.NewKeyFromSeed(seed)
	pub, err := ssh.NewPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(k, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block)), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub))) + " " + name
}

// keyed is a host whose account pi has a key, if it has, and lets in others.
func keyed(t *testing.T, name, own, sshd string, lets ...string) *asked {
	t.Helper()
	text := "-- a host: pass --\non: image\n-- /etc/passwd --\nroot:x:0:0:root:/root:/bin/bash\npi:x:1000:1000::/home/pi:/bin/bash\n-- /etc/group --\nroot:x:0:\npi:x:1000:\n" +
		"-- /etc/shadow 0600 --\nroot:*:20000:0:99999:7:::\npi:$6$x$y:20000:0:99999:7:::\n-- /etc/ssh/sshd_config --\n" + sshd + "\n"
	if own != "" {
		private, _ := pair(t, own)
		text += "-- /home/pi/.ssh/id_ed25519 0600 1000:1000 --\n" + private
	}
	text += "-- /home/pi/.ssh/authorized_keys 0600 1000:1000 --\n"
	for _, l := range lets {
		_, public := pair(t, l)
		text += public + "\n"
	}
	all, err := cases.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	s := all[0].Snapshot
	fact.Redact(s, fact.Secrets{})
	return &asked{target: name, shot: s, host: fact.Parse(s), raw: map[string][]byte{}}
}

const keysOnly = "PasswordAuthentication no\nKbdInteractiveAuthentication no"

// TestPruned: which lines go, and where nothing is done since somebody would be locked out.
func TestPruned(t *testing.T) {
	print := func(name string) string {
		_, public := pair(t, name)
		k, _ := fact.ReadKey(public)
		return k.Fingerprint
	}
	leader := keyed(t, "leader", "leader", "", "operator", "leader", "w1", "w2")
	w1 := keyed(t, "w1", "w1", "", "operator", "leader", "w1", "w2")
	copied := keyed(t, "w2", "leader", "", "operator")
	gone, shared := onWorkers([]*asked{w1, leader}, "leader")
	if !gone[print("w1")] || len(gone) != 1 || len(shared) != 0 {
		t.Errorf("%v, %v", gone, shared)
	}
	if gone, shared := onWorkers([]*asked{copied, leader}, "leader"); len(gone) != 0 || len(shared) != 1 { // a copied card has the leader's key
		t.Errorf("%v, %v", gone, shared)
	}
	gone = map[string]bool{print("w1"): true, print("w2"): true}
	for name, tc := range map[string]struct {
		host *asked
		left []string
		why  string
	}{
		"the leader":                             {leader, []string{"operator", "leader"}, ""},
		"a worker":                               {w1, []string{"operator", "leader"}, ""},
		"only workers' keys, and a password":     {keyed(t, "x", "", "PasswordAuthentication yes", "w1"), nil, ""},
		"only workers' keys, and no password":    {keyed(t, "x", "", keysOnly, "w1", "w2"), nil, "nobody would come in as pi"},
		"only workers' keys, nobody may come in": {keyed(t, "x", "", keysOnly+"\nAllowUsers root", "w1"), nil, ""},
		"no key of a worker":                     {keyed(t, "x", "", keysOnly, "operator"), []string{"operator"}, ""},
	} {
		one, why := pruned(tc.host, gone)
		if tc.why != "" || why != "" {
			if tc.why == "" || !strings.Contains(why, tc.why) {
				t.Errorf("%s: %q, want %q", name, why, tc.why)
			}
			continue
		}
		file := "/home/pi/.ssh/authorized_keys"
		e, _, _ := tc.host.shot.File(file)
		d := change.On(tc.host.shot, map[string][]byte{file: e.Content}, change.Policy{})
		if err := d.For("test", func(d *change.Draft) error { return one.fix(tc.host.host, d) }); err != nil {
			t.Fatal(err)
		}
		is, err := d.At(file)
		if err != nil {
			t.Fatal(err)
		}
		var left []string
		for l := range strings.Lines(string(is.Content)) {
			k, _ := fact.ReadKey(l)
			left = append(left, k.Comment)
		}
		if !slices.Equal(left, tc.left) {
			t.Errorf("%s: %q are left, want %q", name, left, tc.left)
		}
	}
}

// TestPinned: a worker that the leader knows by another key keeps no other from being pinned.
func TestPinned(t *testing.T) {
	key := func(name string) string {
		_, public := pair(t, name)
		return strings.Join(strings.Fields(public)[:2], " ")
	}
	w1, w2, w3 := keyed(t, "w1", "", ""), keyed(t, "w2", "", ""), keyed(t, "w3", "", "")
	s := &setup{leader: keyed(t, "leader", "leader", ""), pins: map[*asked]pin{
		w1: {names: []string{"w1", "10.0.0.1"}, keys: []string{key("h1")}},
		w2: {names: []string{"w2"}, keys: []string{key("h2")}},
		w3: {names: []string{"w3"}, keys: []string{key("h3")}},
	}}
	s.user, _ = s.leader.host.Accounts.User("pi")
	file, was := "/home/pi/.ssh/known_hosts", "w1 "+key("h1")+"\nw2 "+key("other")+"\n"
	s.leader.shot.Put(&snap.Entry{Path: file, Type: snap.File, Mode: 0o600, UID: 1000, GID: 1000, Content: []byte(was)})
	d := change.On(s.leader.shot, map[string][]byte{file: []byte(was)}, change.Policy{})
	if err := d.For("test", func(d *change.Draft) error { return s.onLeader(d, []part{{asked: w1}, {asked: w2}, {asked: w3}}) }); err != nil {
		t.Fatal(err)
	}
	is, err := d.At(file)
	if want := was + "10.0.0.1 " + key("h1") + "\nw3 " + key("h3") + "\n"; err != nil || string(is.Content) != want {
		t.Errorf("%v, known_hosts:\n%s\nwant\n%s", err, is.Content, want)
	}
	if err := s.strange[w2]; len(s.strange) != 1 || err == nil || !strings.Contains(err.Error(), "leader knows it by another key: line 2 of known_hosts") {
		t.Errorf("known by another key: %v", s.strange)
	}
}
