package trust_test

import (
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"picket/internal/core/fact"
	"picket/internal/core/snap"
	"picket/internal/core/trust"
)

// key is a pair that is the same for the same name.
func key(t *testing.T, name, passphrase string) (private, public string) {
	t.Helper()
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, name)
	k := ed25519.NewKeyFromSeed(seed)
	pub, err := ssh.NewPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(k, name)
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(k, name, []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block)), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub))) + " " + name
}

func public(t *testing.T, name string) string { _, p := key(t, name, ""); return p }

// raspberry is the hash of a factory password, good that of another.
const raspberry = "$5$saltsalt$co270cgnQFtIiaigKUIOOLh41ufjqoVJXZNYu0l.NS4"

const good = "$5$saltsalt$quGbxA.BhyQnqGJZkuI1S.BDR/G7pfDbaFhchkpnQe3"

// host is one of a few files: pi, who comes in, and root.
func host(t *testing.T, name string, files map[string]string) trust.Host {
	t.Helper()
	s := snap.New(snap.Source{Kind: "image", Target: name}, time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC))
	s.MarkComplete()
	all := map[string]string{
		"/etc/passwd":          "root:x:0:0:root:/root:/bin/bash\nwww:x:33:33::/var/www:/usr/sbin/nologin\npi:x:1000:1000::/home/pi:/bin/bash\n",
		"/etc/group":           "root:x:0:\npi:x:1000:\n",
		"/etc/shadow":          "root:*:20000:0:99999:7:::\npi:" + good + ":20000:0:99999:7:::\n",
		"/etc/sudoers":         "pi ALL=(ALL) NOPASSWD: ALL\n",
		"/etc/ssh/sshd_config": "",
		"/etc/hostname":        name + "\n",
	}
	for p, c := range files {
		all[p] = c
	}
	for p, c := range all {
		if c == "absent" {
			continue
		}
		mode, uid := uint32(0o644), 0
		if strings.Contains(p, "/.ssh/") || p == "/etc/shadow" {
			mode = 0o600
		}
		if strings.HasPrefix(p, "/home/pi/") {
			uid = 1000
		}
		s.Put(&snap.Entry{Path: p, Type: snap.File, Mode: mode, UID: uid, GID: uid, Read: true, Content: []byte(c)})
	}
	fact.Redact(s, fact.Secrets{More: func() bool { return true }})
	return trust.Host{Name: name, Facts: fact.Parse(s)}
}

// addressed gives a host an address, as an image has none.
func addressed(h trust.Host, addr string) trust.Host {
	h.Facts.Network.State = fact.Known
	h.Facts.Network.Addresses = append(h.Facts.Network.Addresses, fact.Address{Iface: "eth0", Addr: prefix(addr)}, fact.Address{Iface: "docker0", Addr: prefix("172.17.0.1/16")})
	return h
}

// mesh are hosts as a guide sets them up: each has a key of its own, without a passphrase, and everybody's lets in everywhere.
func mesh(t *testing.T, n int) (out []trust.Host) {
	t.Helper()
	var lines string
	name := func(i int) string {
		if i == 0 {
			return "leader"
		}
		return fmt.Sprintf("worker%d", i)
	}
	for i := range n {
		lines += public(t, "pi@"+name(i)) + "\n"
	}
	for i := range n {
		private, _ := key(t, "pi@"+name(i), "")
		h := host(t, name(i), map[string]string{"/home/pi/.ssh/authorized_keys": lines + public(t, "operator") + "\n", "/home/pi/.ssh/id_ed25519": private})
		h.Roles = []string{"worker"}
		if i == 0 {
			h.Roles = []string{"leader"}
		}
		out = append(out, h)
	}
	return out
}

// takes says what falls with a host: "worker1 leader:root …"; with a comma and a space behind it what falls later.
func takes(m trust.Map) []string {
	var out []string
	say := func(fs []trust.Fallen) (s string) {
		for _, f := range fs {
			if f.Root {
				s += " " + f.Host + ":root"
			} else {
				s += " " + f.Host + ":" + strings.Join(f.Accounts, "+")
			}
		}
		return s
	}
	for _, n := range m.Nodes {
		l := n.Name + ":" + say(n.Takes)
		if len(n.Later) > 0 {
			l += "; later" + say(n.Later)
		}
		out = append(out, l)
	}
	return out
}

// TestFullMesh (T20): with a key of each on each, one worker taken is every node taken.
func TestFullMesh(t *testing.T) {
	m := trust.Of(mesh(t, 4))
	want := []string{
		"leader: worker1:root worker2:root worker3:root",
		"worker1: leader:root worker2:root worker3:root",
		"worker2: leader:root worker1:root worker3:root",
		"worker3: leader:root worker1:root worker2:root",
	}
	if d := cmp.Diff(want, takes(m)); d != "" {
		t.Error(d)
	}
	keys := 0
	for _, e := range m.Edges {
		if e.How == trust.Key {
			keys++
		}
	}
	if keys != 4*3 {
		t.Errorf("%d ways by key", keys)
	}
	if len(m.Outside) != 1 || m.Outside[0].Comment != "operator" || len(m.Outside[0].To) != 4 {
		t.Errorf("keys from outside: %+v", m.Outside)
	}
	if f := m.Findings(); len(f) != 1 || !strings.Contains(f[0], "up to 3 more: worker1, worker2, worker3") {
		t.Errorf("the three workers that take others are a finding: %q", f)
	}
	if m.Partial() {
		t.Errorf("%+v", m.Nodes)
	}

	// A leader's key, and no other.
	hosts := mesh(t, 4)
	for i := range hosts {
		private, _ := key(t, "pi@"+hosts[i].Name, "")
		files := map[string]string{"/home/pi/.ssh/authorized_keys": public(t, "operator") + "\n"}
		if i == 0 {
			files["/home/pi/.ssh/id_ed25519"] = private
		} else {
			files["/home/pi/.ssh/authorized_keys"] += "restrict,from=\"192.168.1.10\" " + public(t, "pi@leader") + "\n"
		}
		h := host(t, hosts[i].Name, files)
		h.Roles = hosts[i].Roles
		hosts[i] = h
	}
	star := trust.Of(hosts)
	want = []string{"leader: worker1:root worker2:root worker3:root", "worker1:", "worker2:", "worker3:"}
	if d := cmp.Diff(want, takes(star)); d != "" {
		t.Error(d)
	}
	if f := star.Findings(); len(f) != 0 {
		t.Errorf("%q", f)
	}
	one, _ := json.Marshal(trust.Of(mesh(t, 4)))
	two, _ := json.Marshal(trust.Of(mesh(t, 4)))
	if string(one) != string(two) {
		t.Error("the same hosts give another map")
	}
}

// TestWays: two hosts a and b; a holds a key and is at 192.168.1.11, b lets it in.
func TestWays(t *testing.T) {
	open, _ := key(t, "a", "")
	locked, _ := key(t, "a", "x")
	for name, tc := range map[string]struct {
		a, b map[string]string
		want string // of a
	}{
		"a key":                                 {nil, nil, "a: b:root"},
		"a key with a passphrase":               {map[string]string{"/home/pi/.ssh/id_ed25519": locked}, nil, "a:; later b:root"},
		"a key of root's":                       {map[string]string{"/home/pi/.ssh/id_ed25519": "absent", "/root/.ssh/id_rsa": open}, nil, "a: b:root"},
		"sudo that asks":                        {nil, map[string]string{"/etc/sudoers": "pi ALL=(ALL) ALL\n"}, "a: b:pi; later b:root"},
		"sudo that asks for what it cannot get": {nil, map[string]string{"/etc/sudoers": "pi ALL=(ALL) ALL\n", "/etc/shadow": "root:*:1::::::\npi:*:1::::::\n"}, "a: b:pi"},
		"sudo for one harmless command":         {nil, map[string]string{"/etc/sudoers": "pi ALL=(ALL) NOPASSWD: /usr/bin/uptime\n"}, "a: b:pi"},
		"no sudo, docker":                       {nil, map[string]string{"/etc/sudoers": "", "/etc/group": "root:x:0:\ndocker:x:99:pi\npi:x:1000:\n"}, "a: b:root"},
		"from the address":                      {nil, map[string]string{"/home/pi/.ssh/authorized_keys": `from="192.168.1.11" ` + public(t, "a") + "\n"}, "a: b:root"},
		"from another":                          {nil, map[string]string{"/home/pi/.ssh/authorized_keys": `from="192.168.1.12" ` + public(t, "a") + "\n"}, "a:"},
		"from docker's own, which both have":    {nil, map[string]string{"/home/pi/.ssh/authorized_keys": `from="172.17.*" ` + public(t, "a") + "\n"}, "a:"},
		"from a name":                           {nil, map[string]string{"/home/pi/.ssh/authorized_keys": `from="leader.local" ` + public(t, "a") + "\n"}, "a: b:root"},
		"one command":                           {nil, map[string]string{"/home/pi/.ssh/authorized_keys": `restrict,command="rsync --server" ` + public(t, "a") + "\n"}, "a:"},
		"it has ended":                          {nil, map[string]string{"/home/pi/.ssh/authorized_keys": `expiry-time="20251231" ` + public(t, "a") + "\n"}, "a:"},
		"it has not ended":                      {nil, map[string]string{"/home/pi/.ssh/authorized_keys": `expiry-time="20261231" ` + public(t, "a") + "\n"}, "a: b:root"},
		"no keys of sshd":                       {nil, map[string]string{"/etc/ssh/sshd_config": "PubkeyAuthentication no\n"}, "a:"},
		"not among those who may":               {nil, map[string]string{"/etc/ssh/sshd_config": "AllowUsers eve\n"}, "a:"},
		"from nearby alone":                     {nil, map[string]string{"/etc/ssh/sshd_config": "AllowUsers pi@192.168.1.*\n"}, "a: b:root"},
		"not from nearby":                       {nil, map[string]string{"/etc/ssh/sshd_config": "AllowUsers pi@10.*\n"}, "a:"},
		"a Match for nearby":                    {nil, map[string]string{"/etc/ssh/sshd_config": "PubkeyAuthentication no\nMatch Address 192.168.1.0/24\nPubkeyAuthentication yes\n"}, "a: b:root"},
		"a key and a password":                  {nil, map[string]string{"/etc/ssh/sshd_config": "AuthenticationMethods publickey,password\n"}, "a:; later b:root"},
		"a factory password":                    {map[string]string{"/home/pi/.ssh/id_ed25519": "absent"}, map[string]string{"/etc/shadow": "root:*:1::::::\npi:" + raspberry + ":1::::::\n"}, "a: b:root"},
		"one that sshd does not take":           {map[string]string{"/home/pi/.ssh/id_ed25519": "absent"}, map[string]string{"/etc/shadow": "root:*:1::::::\npi:" + raspberry + ":1::::::\n", "/etc/ssh/sshd_config": "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"}, "a:"},
		"sudo with a factory password":          {nil, map[string]string{"/etc/sudoers": "pi ALL=(ALL) ALL\n", "/etc/shadow": "root:*:1::::::\npi:" + raspberry + ":1::::::\n"}, "a: b:root"},
		"no sshd":                               {nil, map[string]string{"/etc/ssh/sshd_config": "absent"}, "a:"},
	} {
		t.Run(name, func(t *testing.T) {
			a := map[string]string{"/home/pi/.ssh/id_ed25519": open}
			for p, c := range tc.a {
				a[p] = c
			}
			b := map[string]string{"/home/pi/.ssh/authorized_keys": public(t, "a") + "\n"}
			for p, c := range tc.b {
				b[p] = c
			}
			m := trust.Of([]trust.Host{addressed(host(t, "a", a), "192.168.1.11/24"), addressed(host(t, "b", b), "192.168.1.12/24")})
			if got := takes(m)[0]; got != tc.want {
				t.Errorf("%s, want %s\n%+v", got, tc.want, m.Edges)
			}
		})
	}
}

// TestUnread: what could not be read is said, and is not taken for nothing.
func TestUnread(t *testing.T) {
	hosts := mesh(t, 2)
	hosts = append(hosts, trust.Host{Name: "gone", Why: "no route to host"})
	m := trust.Of(hosts)
	if !m.Partial() || m.Nodes[2].Read || m.Nodes[2].Unknown[0] != "no route to host" {
		t.Errorf("%+v", m.Nodes[2])
	}
	s := snap.New(snap.Source{Kind: "ssh"}, time.Unix(0, 0))
	m = trust.Of([]trust.Host{{Name: "empty", Facts: fact.Parse(s)}})
	if !m.Partial() {
		t.Error("a host of which nothing was read is said to be known")
	}
}

// TestCopies: what copied cards have in common.
func TestCopies(t *testing.T) {
	private, _ := key(t, "copied", "")
	files := func(id string) map[string]string {
		return map[string]string{"/etc/machine-id": id + "\n", "/etc/ssh/ssh_host_ed25519_key.pub": public(t, "hostkey") + "\n", "/home/pi/.ssh/id_ed25519": private}
	}
	const one, two = "0123456789abcdef0123456789abcdef", "1123456789abcdef0123456789abcdef"
	a, b, c := addressed(host(t, "a", files(one)), "192.168.1.1/24"), addressed(host(t, "b", files(one)), "192.168.1.2/24"), addressed(host(t, "c", files(two)), "192.168.1.3/24")
	m := trust.Of([]trust.Host{a, b, c})
	var got []string
	for _, s := range m.Same {
		got = append(got, s.What+": "+strings.Join(s.Hosts, ","))
		if strings.Contains(s.Of, one) {
			t.Error("the machine's id is shown")
		}
	}
	if want := []string{"host key: a,b,c", "machine-id: a,b", "private key: a,b,c"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	again := a
	again.Name = "other"
	m = trust.Of([]trust.Host{a, again})
	if len(m.Same) != 1 || m.Same[0].What != trust.SameMachine || len(m.Findings()) != 0 {
		t.Errorf("one machine under two names: %+v", m.Same)
	}
}
