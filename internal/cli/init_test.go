package cli

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"picket/internal/core/inventory"
	"picket/internal/host/remote"
	"picket/internal/ui"
	"picket/lab/sshserver"
)

// A desk is a folder that is home and working folder, where picket is typed.
type desk struct {
	t    *testing.T
	home string
}

func newDesk(t *testing.T) *desk {
	d := &desk{t, t.TempDir()}
	if err := os.Mkdir(d.path(".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) path(name string) string { return filepath.Join(d.home, name) }

func (d *desk) write(name, text string) {
	d.t.Helper()
	if err := os.WriteFile(d.path(name), []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) read(name string) string {
	text, _ := os.ReadFile(d.path(name))
	return string(text)
}

// types runs picket where nobody can be asked, and wants an exit code and texts in what it says.
func (d *desk) types(code int, texts []string, args ...string) (out, errs string) {
	d.t.Helper()
	var o, e strings.Builder
	got := Main(d.t.Context(), append([]string{"picket"}, args...), ui.IO{In: strings.NewReader(""), Out: &o, Err: &e}, func(name string) string {
		return map[string]string{"HOME": d.home, "USER": "amy", "COLUMNS": "200"}[name]
	})
	if got != code {
		d.t.Errorf("%q: exit code %d, want %d\n%s%s", args, got, code, &o, &e)
	}
	for _, text := range texts {
		if !strings.Contains(o.String()+e.String(), text) {
			d.t.Errorf("%q: it does not say %q:\n%s%s", args, text, &o, &e)
		}
	}
	return o.String(), e.String()
}

// line is a node as an inventory of Ansible has it.
func ansibleLine(name string, s *sshserver.Server, key string) string {
	return fmt.Sprintf("%s ansible_host=%s ansible_port=%d ansible_user=%s ansible_ssh_private_key_file=%s\n", name, s.Host, s.Port, s.User, key)
}

func knownLine(s *sshserver.Server, key ssh.PublicKey) string {
	return fmt.Sprintf("[%s]:%d %s", s.Host, s.Port, ssh.MarshalAuthorizedKey(key))
}

// TestInitFrom: what is known of nodes in a file, is written, keys are pinned only if that was asked for, one that has
// changed never, and what is there already stays as it is.
func TestInitFrom(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	a, b, changed := sshserver.Real(t), sshserver.Real(t), sshserver.Fake(t, sshserver.Behaviour{})
	closed, nobody := sshserver.Fake(t, sshserver.Behaviour{NoKeys: true}), "away ansible_host=127.0.0.1 ansible_port=1\n"
	other := sshserver.NewKey(t, d.path("other")).PublicKey()
	d.write("lab.ini", "[up]\n"+ansibleLine("a", a, a.Key)+ansibleLine("b", b, b.Key)+strings.Replace(ansibleLine("again", b, b.Key), "127.0.0.1", "localhost", 1)+ansibleLine("changed", changed, changed.Key)+ansibleLine("closed", closed, closed.Key)+nobody)
	was := "# mine\n" + knownLine(changed, other)
	d.write(".ssh/known_hosts", was)
	out, from := d.path("picket.yaml"), d.path("lab.ini")
	init := func(code int, texts []string, more ...string) (string, string) {
		t.Helper()
		return d.types(code, texts, append([]string{"init", "--from", from, "--output", out}, more...)...)
	}

	init(ExitUsage, []string{"lab.ini  6 nodes", "there is no terminal to ask on: nothing was written", "--yes takes"})
	if d.read("picket.yaml") != "" || d.read(".ssh/known_hosts") != was {
		t.Error("something was written without a word from anybody")
	}

	print := ssh.FingerprintSHA256(a.HostKey)
	init(ExitPartial, []string{print, "a: its key is not pinned", "the host key has changed", "`picket keys repair changed`", "connection refused", "0 of 6 nodes are ready"}, "--yes")
	if d.read(".ssh/known_hosts") != was {
		t.Errorf("a key was pinned that nobody has seen:\n%s", d.read(".ssh/known_hosts"))
	}
	first := d.read("picket.yaml")
	for _, want := range []string{fmt.Sprintf("    a: {address: 127.0.0.1, user: %s, port: %d", a.User, a.Port), "  groups:\n    up: [a, b, again, changed, closed, away]\n", "# " + from + ":2\n"} {
		if !strings.Contains(first, want) {
			t.Errorf("it does not hold %q:\n%s", want, first)
		}
	}
	if info, err := os.Stat(out); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", info.Mode(), err)
	}

	// In a file of one's own: only what is new in it, all else to the letter.
	mine := "policy: {fail-on: none} # mine\ncluster:\n  nodes:\n    b: {address: 127.0.0.1, port: " + fmt.Sprint(b.Port) + ", user: " + b.User + ", identity: " + b.Key + "} # the second\n"
	d.write("picket.yaml", mine)
	init(ExitPartial, []string{"pinned: a, b, again, closed", "b and again are one machine under two names; again is left out", "a and b are two SSH servers on one machine",
		"closed: no key lets pi in there; tried key SHA256:", "ssh-copy-id -p", "2 of 5 nodes are ready. Not ready: changed, closed, away", "Next: picket audit all --config " + out}, "--yes", "--accept-new-host-keys")
	if got := d.read("picket.yaml"); !strings.HasPrefix(got, mine) || !strings.Contains(got, "\n    a: {") || strings.Contains(got, "again:") || strings.Count(got, "\n    b: {") != 1 {
		t.Errorf("it holds\n%s", got)
	}
	known := d.read(".ssh/known_hosts")
	if !strings.HasPrefix(known, was) || !strings.Contains(known, knownLine(a, a.HostKey)) || !strings.Contains(known, knownLine(b, b.HostKey)) || strings.Count(known, "\n") != 6 {
		t.Errorf("known are\n%s", known)
	}
	before := d.read("picket.yaml")
	init(ExitFine, []string{"has all of them already: it stays as it is", "2 of 2 nodes are ready"}, "--yes", "--nodes", "a,b")
	if d.read("picket.yaml") != before || d.read(".ssh/known_hosts") != known {
		t.Error("a second time something was changed")
	}
	d.types(ExitFine, []string{"2 of 2 hosts done"}, "exec", "--config", out, "a", "b", "--", "true")

	// Into a file that cannot be added to, and on the screen.
	d.write("picket.yaml", "cluster: {user: pi}\n")
	init(ExitRefused, []string{"These lines belong into", "\n    a: {address", "its cluster is written in brackets: nothing was written"}, "--yes", "--nodes", "a")
	if d.read("picket.yaml") != "cluster: {user: pi}\n" {
		t.Error("it was written")
	}
	text, _ := d.types(ExitFine, nil, "init", "--from", from, "--output", "-", "--yes", "--nodes", "a")
	if !strings.HasPrefix(text, head+"cluster:\n  nodes:\n    a: {") || strings.Contains(text, "ready") {
		t.Errorf("it shows\n%s", text)
	}
}

// TestInitBad: what is wrong is said before any host is asked, and nothing is written.
func TestInitBad(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.write("none.ini", "[g]\n")
	d.write("one.ini", "[g]\nworker1 ansible_host=127.0.0.1 ansible_port=1\n")
	d.write("bad.yaml", "cluser: {}\n")
	one, out := d.path("one.ini"), d.path("picket.yaml")
	for want, c := range map[string]struct {
		code int
		args []string
	}{
		"--from /nosuch: there is no such file":                 {ExitUsage, []string{"--from", "/nosuch"}},
		"`picket init ssh://pi@leader`":                         {ExitUsage, []string{"--from", "pi@leader"}},
		"type ssh://leader":                                     {ExitUsage, []string{"leader"}},
		"files are named with --from FILE":                      {ExitUsage, []string{"./inventory"}},
		"must not hold a password":                              {ExitUsage, []string{"ssh://pi:raspberry@leader"}},
		"no nodes were found":                                   {ExitPartial, []string{"--from", d.path("none.ini"), "--yes"}},
		`--nodes: "wroker1" is the name of none of them`:        {ExitUsage, []string{"--from", one, "--nodes", "wroker1", "--yes"}},
		"--user: want the name of one user":                     {ExitUsage, []string{"--from", one, "--user", "-x", "--yes"}},
		"there is no folder /nosuch":                            {ExitUsage, []string{"--from", one, "--output", "/nosuch/picket.yaml", "--yes"}},
		`unknown key "cluser"`:                                  {ExitUsage, []string{"--from", one, "--config", d.path("bad.yaml"), "--yes"}},
		"--parallel 0: want a number above zero":                {ExitUsage, []string{"--from", one, "--parallel", "0", "--yes"}},
		"--identity /nosuch: there is no such file":             {ExitUsage, []string{"--from", one, "--identity", "/nosuch", "--yes"}},
		"there is no host named no-such-host.invalid":           {ExitPartial, []string{"ssh://pi@no-such-host.invalid", "--yes"}},
		"ssh://pi@127.0.0.1:1: connection refused: no SSH serv": {ExitPartial, []string{"ssh://pi@127.0.0.1:1", "--yes", "--accept-new-host-keys"}},
	} {
		args := append([]string{"init", "--output", out}, c.args...)
		if c.args[len(c.args)-1] == "--yes" && strings.Contains(want, "no folder") || strings.Contains(want, "cluser") {
			args = append([]string{"init"}, c.args...)
		}
		said, errs := d.types(c.code, []string{want}, args...)
		if strings.Contains(said+errs, "raspberry") {
			t.Errorf("%q: it shows a password", c.args)
		}
	}
	if d.read("picket.yaml") != "" || d.read(".ssh/known_hosts") != "" {
		t.Error("something was written")
	}
}

// TestInitAsks: what a person is asked, and what a no does.
func TestInitAsks(t *testing.T) {
	t.Parallel()
	a, b := sshserver.Fake(t, sshserver.Behaviour{}), sshserver.Fake(t, sshserver.Behaviour{})
	d := newDesk(t)
	d.write("inventory.ini", strings.ReplaceAll(ansibleLine("a", a, a.Key)+ansibleLine("b", b, b.Key), "ansible_user=pi", ""))
	talk := func(code int, says ...string) *typist {
		t.Helper()
		w := sitDown(t)
		done := w.runs(t.Context(), "init", "--from", d.path("inventory.ini"), "--output", d.path("picket.yaml"), "--known-hosts", d.path("known"))
		for i := 0; i < len(says); i += 2 {
			w.sees(says[i], 1, says[i+1]+"\n")
		}
		w.ends(done, code)
		if code == ExitFine {
			w.sees("picket audit all --config", 1, "") // which comes after it has ended
		}
		return w
	}
	talk(ExitRefused, "Which of them?", "", "User on a, b", "pi", "Pin these 2 keys? (yes/no)", "no", "Write "+d.path("picket.yaml")+"? (yes/no)", "no")
	if d.read("known") != "" || d.read("picket.yaml") != "" {
		t.Errorf("after two times no there are %q and %q", d.read("known"), d.read("picket.yaml"))
	}
	w := talk(ExitFine, "Which of them?", "c*", "is the name of none of them", "b", "User on b", "pi", "Pin this key? (yes/no)", "yes", "Write "+d.path("picket.yaml")+"? (yes/no)", "yes")
	if !strings.Contains(d.read("picket.yaml"), "    b: {address: 127.0.0.1, user: pi, port: ") || strings.Contains(d.read("picket.yaml"), " a: ") || d.read("known") != knownLine(b, b.HostKey) {
		t.Errorf("%s%s", d.read("picket.yaml"), d.read("known"))
	}
	for _, want := range []string{ssh.FingerprintSHA256(b.HostKey), "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub", "1 of 1 node is ready"} {
		if !strings.Contains(w.text(), want) {
			t.Errorf("it does not show %q:\n%s", want, w.text())
		}
	}
	talk(ExitFine, "Which of them?", "", "User on a (", "pi", "Pin this key? (yes/no)", "yes", "Add these lines to", "yes")
	if got := d.read("picket.yaml"); !strings.Contains(got, "    a: {") || strings.Count(d.read("known"), "\n") != 2 {
		t.Errorf("%s%s", got, d.read("known"))
	}
}

// TestInitVouched: a key that the leader knows otherwise is not pinned, whatever was said of new ones.
func TestInitVouched(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	other := sshserver.NewKey(t, d.path("other")).PublicKey()
	known, nodes := "", []inventory.Node(nil)
	servers := map[string]*sshserver.Server{}
	for _, name := range []string{"same", "another", "strange"} {
		s := sshserver.Fake(t, sshserver.Behaviour{})
		servers[name] = s
		nodes = append(nodes, inventory.Node{Name: name, Address: s.Host, Port: s.Port, User: s.User, Identity: s.Key})
		switch name {
		case "same": // by its name there, beside an old key of another type
			known += fmt.Sprintf("[same]:%d %s", s.Port, ssh.MarshalAuthorizedKey(s.HostKey))
		case "another":
			known += knownLine(s, other)
		}
	}
	var out, errs strings.Builder
	p := &program{name: "picket", io: ui.IO{In: strings.NewReader(""), Out: &out, Err: &errs}, now: fixedNow, hops: new(remote.Hops),
		getenv: func(name string) string { return map[string]string{"HOME": d.home, "USER": "amy"}[name] }}
	opt := initOptions{yes: true, newKeys: true, many: manyOptions{atOnce: 4}}
	n := &initRun{p: p, opt: opt, out: &out, inv: inventory.New(nodes, nil),
		sources: &sources{over: []leader{{name: "gate", known: []byte(known), nodes: []string{"same", "another", "strange"}}}}}
	if err := n.reach(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n.failed["same"] != nil || n.failed["strange"] != nil || n.failed["another"] == nil || !strings.Contains(n.failed["another"].Error(), "gate knows it by "+ssh.FingerprintSHA256(other)+": not pinned") {
		t.Errorf("%v", n.failed)
	}
	if got := d.read(".ssh/known_hosts"); got != knownLine(servers["same"], servers["same"].HostKey)+knownLine(servers["strange"], servers["strange"].HostKey) {
		t.Errorf("pinned are\n%s", got)
	}
	for _, l := range strings.Split(out.String(), "\n") {
		if strings.HasPrefix(l, "  same ") != strings.HasSuffix(l, "  yes") {
			t.Errorf("%q", l)
		}
	}
}

// TestLike: what cloned cards and containers have in common.
func TestLike(t *testing.T) {
	one, other := being{"m1", "b1"}, being{"m2", "b2"}
	for _, c := range []struct {
		name string
		a, b being
		key  bool
		want string
		same bool
	}{
		{"one machine", one, one, true, "one machine under two names", true},
		{"two servers", one, one, false, "two SSH servers on one machine", false},
		{"two machines", one, other, false, "", false},
		{"a copied card", one, being{"m1", "b2"}, true, "two machines with one host key", false},
		{"with new keys", one, being{"m1", "b2"}, false, "two machines with one machine-id", false},
		{"with a new id", one, other, true, "two machines with one host key", false},
		{"containers", one, being{"m2", "b1"}, false, "", false},
		{"containers with one key", one, being{"m2", "b1"}, true, "two machines with one host key", false},
		{"nobody came in", being{}, being{}, true, "they are one machine under two names, or copies", false},
		{"nobody came in there", one, being{}, false, "", false},
		{"they do not say", being{}, being{}, false, "", false},
	} {
		if what, same := like(c.a, c.b, c.key); !strings.Contains(what, c.want) || (what == "") != (c.want == "") || same != c.same {
			t.Errorf("%s: %q, %v", c.name, what, same)
		}
	}
}

// TestLeaderNode: a leader is called as its own files call it.
func TestLeaderNode(t *testing.T) {
	hosts := inventory.Hosts("/etc/hosts", []byte("192.168.0.100 master\n192.168.0.101 worker1\n"))
	there := func(s string) (a remote.Target) { a, _ = remote.ParseTarget("ssh://pi@" + s); return a }
	for typed, c := range map[string]struct{ address, hostname, want string }{
		"192.168.0.100":     {"192.168.0.100", "raspberrypi", "master 192.168.0.100"},
		"lab.example.org":   {"192.168.0.100", "raspberrypi", "master lab.example.org"},
		"10.0.0.1:2222":     {"10.0.0.1", "master", "master 10.0.0.1"},
		"10.0.0.2":          {"10.0.0.2", "other", "other 10.0.0.2"},
		"10.0.0.3":          {"10.0.0.3", "localhost", "10.0.0.3 10.0.0.3"},
		"gate.example.org":  {"", "", "gate.example.org gate.example.org"},
		"gate2.example.org": {"", "-bad name", "gate2.example.org gate2.example.org"},
	} {
		n := leaderNode(there(typed), c.hostname, netip.MustParseAddr(cmp.Or(c.address, "::")), []inventory.Found{hosts})
		if got := n.Name + " " + n.Host(); got != c.want || n.User != "pi" {
			t.Errorf("%s: %s as %s, want %s", typed, got, n.User, c.want)
		}
	}
}

// TestUsual: where inventories are looked for, and in which order.
func TestUsual(t *testing.T) {
	files := map[string]string{
		"/home/pi/.ssh/config":              "Host w1\n  HostName 10.0.0.1\n",
		"/home/pi/.ansible.cfg":             "[defaults]\ninventory = lab, ~/other.yaml\n",
		"/home/pi/lab/a":                    "[g]\nw2 ansible_host=10.0.0.2\n",
		"/home/pi/lab/b.yml":                "g: {hosts: {w3: {ansible_host: 10.0.0.3}}}\n",
		"/home/pi/lab/README.md":            "text\n",
		"/home/pi/other.yaml":               "g: {hosts: {w4: }}\n",
		"/home/pi/ansible/hosts":            "10.0.0.5 w5\n",
		"/etc/hosts":                        "127.0.0.1 localhost\n",
		"/home/pi/.pioreactor/config.ini":   "[cluster.topology]\nleader_hostname=pio\n",
		"/etc/ansible/ansible.cfg":          "[defaults]\ninventory=/not/this\n",
		"/not/this":                         "w9\n",
		"/home/pioreactor/.pioreactor/conf": "",
	}
	read := func(_ context.Context, patterns []string) (map[string][]byte, []string, error) {
		out := map[string][]byte{}
		for _, p := range patterns {
			for f, text := range files {
				if ok, _ := filepath.Match(p, f); ok {
					out[f] = []byte(text)
				}
			}
		}
		return out, nil, nil
	}
	found, unread, err := usual(t.Context(), read, site{home: "/home/pi", folders: []string{"/home/pi", "/home/pi/ansible"}})
	var got []string
	for _, f := range found {
		got = append(got, fmt.Sprintf("%s:%d", f.File, len(f.Nodes)))
	}
	want := "/home/pi/lab/a:1 /home/pi/lab/b.yml:1 /home/pi/other.yaml:1 /home/pi/ansible/hosts:1 /home/pi/.ssh/config:1 /home/pi/.pioreactor/config.ini:1 /etc/hosts:0"
	if err != nil || len(unread) > 0 || strings.Join(got, " ") != want {
		t.Errorf("%v %v\n%s\nwant\n%s", err, unread, strings.Join(got, " "), want)
	}
	found, _, err = usual(t.Context(), read, site{home: "/home/pi", inventory: "/not/this"})
	if err != nil || found[0].File != "/not/this" || len(found) != 4 {
		t.Errorf("%v %v", found, err)
	}
}
