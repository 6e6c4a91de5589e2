package cli

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"picket/lab/sshserver"
)

// TestKeysRepair: the error of a changed key names the command that mends it, which takes no key that nobody has compared, and
// touches no line of another host.
func TestKeysRepair(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := sshserver.Real(t)
	old := sshserver.NewKey(t, d.path("old")).PublicKey()
	name := fmt.Sprintf("[%s]:%d", s.Host, s.Port)
	key := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(old)))
	was := "nas " + key + "\n" + knownhosts.HashHostname(name) + " " + key + "\n[worker3]:" + fmt.Sprint(s.Port) + " " + key + "\n"
	d.write(".ssh/known_hosts", was)
	d.write("picket.yaml", fmt.Sprintf("cluster:\n  nodes:\n    worker3: {address: %s, port: %d, user: %s, identity: %s}\n", s.Host, s.Port, s.User, s.Key))
	picket := func(code int, texts []string, args ...string) {
		t.Helper()
		d.types(code, texts, append(args, "--config", d.path("picket.yaml"))...)
	}
	print, wrong := ssh.FingerprintSHA256(s.HostKey), "SHA256:"+strings.Repeat("x", 43)
	exec := []string{"exec", "worker3", "--shell", "true"}
	picket(ExitPartial, []string{"the host key has changed", "`picket keys repair worker3`"}, exec...)
	for _, c := range []struct {
		code int
		says []string
		args []string
	}{
		{ExitRefused, []string{ssh.FingerprintSHA256(old), d.path(".ssh/known_hosts") + ":2", "known_hosts:3, under another name of it", print, "known_hosts:1 (nas) too, which is left", "there is no terminal to ask on: nothing was changed", "--yes --fingerprint SHA256:…`"}, nil},
		{ExitUsage, []string{"--yes alone would take any key"}, []string{"--yes"}},
		{ExitUsage, []string{"want SHA256: and 43 letters"}, []string{"--fingerprint", "MD5:aa:bb"}},
		{ExitRefused, []string{"shows " + print + " and not " + wrong}, []string{"--fingerprint", wrong, "--yes"}},
	} {
		picket(c.code, c.says, append([]string{"keys", "repair", "worker3"}, c.args...)...)
		if d.read(".ssh/known_hosts") != was {
			t.Fatalf("%q: it was changed", c.args)
		}
	}
	picket(ExitUsage, []string{"want one node"}, "keys", "repair")
	picket(ExitUsage, []string{`no node, group or role is called "wroker3"; did you mean "worker3"?`}, "keys", "repair", "wroker3")
	picket(ExitPartial, []string{"connection refused"}, "keys", "repair", "ssh://pi@127.0.0.1:1")
	d.write("none", "")
	picket(ExitRefused, []string{"is not known yet (as " + name + "): there is nothing to repair"}, "keys", "repair", "worker3", "--known-hosts", d.path("none"))

	picket(ExitFine, []string{"worker3 is known by the key that it has now", ".old-"}, "keys", "repair", "worker3", "--yes", "--fingerprint", print)
	after := strings.Split(d.read(".ssh/known_hosts"), "\n")
	lines, fresh := strings.Split(was, "\n"), " "+strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.HostKey)))
	if len(after) != 4 || after[0] != lines[0] || after[1] != strings.Fields(lines[1])[0]+fresh || after[2] != strings.Fields(lines[2])[0]+fresh {
		t.Errorf("it holds\n%s", strings.Join(after, "\n"))
	}
	files, _ := os.ReadDir(d.path(".ssh"))
	if len(files) != 2 || d.read(".ssh/"+files[1].Name()) != was {
		t.Errorf("kept is %v", files)
	}
	picket(ExitFine, nil, exec...)
	picket(ExitFine, []string{"shows the host key that is known", "there is nothing to repair"}, "keys", "repair", "worker3")

	// A file of many hosts, and one that somebody else has to change.
	d.write("many", "[127.0.0.*]:* "+key+"\n")
	picket(ExitRefused, []string{d.path("many") + ":1 is for many hosts, worker3 among them: nothing was changed"}, "keys", "repair", "worker3", "--fingerprint", print, "--known-hosts", d.path("many"))
	if d.read("many") != "[127.0.0.*]:* "+key+"\n" {
		t.Error("it was changed")
	}
}

// TestKeysRepairAsks: a person compares.
func TestKeysRepairAsks(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := sshserver.Fake(t, sshserver.Behaviour{})
	old := sshserver.NewKey(t, d.path("old")).PublicKey()
	was := knownLine(s, old)
	for answer, want := range map[string]string{"no": was, "yes": knownLine(s, s.HostKey)} {
		d.write("known", was)
		w := sitDown(t)
		code := w.runs(t.Context(), "keys", "repair", s.Target(), "--known-hosts", d.path("known"))
		w.sees("Does it show the same there? (yes/no)", 1, answer+"\n")
		w.ends(code, map[string]int{"no": ExitRefused, "yes": ExitFine}[answer])
		if got := d.read("known"); got != want {
			t.Errorf("after %s it holds %s", answer, got)
		}
		for _, text := range []string{ssh.FingerprintSHA256(old), ssh.FingerprintSHA256(s.HostKey), "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"} {
			if !strings.Contains(w.text(), text) {
				t.Errorf("it does not show %q:\n%s", text, w.text())
			}
		}
	}
}
