package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"picket/lab"
)

// TestInit (C1, C2): a leader's /etc/hosts, as the cluster guide has it, is read over SSH from outside; the written file is
// good for an audit of all; a worker that is set up anew is refused until its key is repaired.
func TestInit(t *testing.T) {
	t.Parallel()
	leader, one, two := start(t, lab.Debian), start(t, lab.Debian), start(t, lab.Debian)
	// The second worker has an address that only the leader has a way to.
	const inner = "10.99.0.9"
	two.Sh("ip address add " + inner + "/32 dev lo")
	leader.Sh("ip route add " + inner + " via " + two.Addr())
	leader.Sh("echo master >/etc/hostname; hostname master; printf '%s master\\n%s worker1\\n%s worker2\\n10.255.255.9 worker3\\n' " + leader.Addr() + " " + one.Addr() + " " + inner + " >>/etc/hosts")
	leader.SSH("operator", "ssh-keyscan -t ed25519 worker1 worker2 >.ssh/known_hosts 2>/dev/null")
	home := t.TempDir()
	picket := func(args ...string) (string, int) {
		t.Helper()
		cmd := leader.Command(program(t), args...)
		cmd.Env, cmd.Dir = append(os.Environ(), "SSH_AUTH_SOCK=", "HOME="+home), home
		text, _ := cmd.CombinedOutput()
		return string(text), cmd.ProcessState.ExitCode()
	}
	want := func(out string, code, wanted int, texts ...string) {
		t.Helper()
		if code != wanted {
			t.Errorf("exit code %d, want %d\n%s", code, wanted, out)
		}
		for _, text := range texts {
			if !strings.Contains(out, text) {
				t.Errorf("it does not say %q:\n%s", text, out)
			}
		}
	}
	target := "ssh://operator@" + leader.Addr()
	out, code := picket("init", target, "--yes", "--identity", leader.KeyFile())
	want(out, code, 3, "the host is not known", "ssh-keyscan")

	out, code = picket("init", target, "--yes", "--accept-new-host-keys", "--identity", leader.KeyFile())
	want(out, code, 3, "master:/etc/hosts", "worker2", "the leader knows it", "worker2, worker3: no answer from here; tried through the host that knows them", "pinned: worker1, worker2", "worker3: ssh://operator@10.255.255.9: no", "3 of 4 nodes are ready", "Next: "+program(t)+" audit all")
	file, err := os.ReadFile(filepath.Join(home, "picket.yaml"))
	if err != nil || !strings.Contains(string(file), "  user: operator\n") || !strings.Contains(string(file), "    worker1: {address: "+one.Addr()+", roles: [worker]}") ||
		!strings.Contains(string(file), "    worker2: {address: "+inner+", jump: master, roles: [worker]}") || !strings.Contains(string(file), "    worker3: {address: 10.255.255.9, roles: [worker]}") {
		t.Fatalf("%v\n%s", err, file)
	}
	known, err := os.ReadFile(filepath.Join(home, ".ssh/known_hosts"))
	if err != nil || strings.Count(string(known), "ssh-ed25519") != 3 {
		t.Errorf("%v\n%s", err, known)
	}
	out, code = picket("audit", "all", "--only", "accounts/uid0", sudoPassword(t), "--deadline", "1m")
	want(out, code, 3, "master ", "worker1 ", "worker2 ", "1 passed", "worker3")
	out, code = picket("init", target, "--yes", "--nodes", "worker1,worker2", "--identity", leader.KeyFile())
	want(out, code, 0, "has all of them already", "2 of 2 nodes are ready")
	if again, _ := os.ReadFile(filepath.Join(home, "picket.yaml")); string(again) != string(file) {
		t.Errorf("a second time it is\n%s", again)
	}

	two.Sh("rm /etc/ssh/ssh_host_*; ssh-keygen -A >/dev/null; systemctl restart ssh")
	print := strings.Fields(two.Sh("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"))[1]
	out, code = picket("exec", "worker2", "--", "true")
	want(out, code, 3, "the host key has changed", print, "keys repair worker2")
	out, code = picket("keys", "repair", "worker2", "--yes", "--fingerprint", "SHA256:"+strings.Repeat("A", 43))
	want(out, code, 4, print, "nothing was changed")
	out, code = picket("keys", "repair", "worker2", "--yes", "--fingerprint", print)
	want(out, code, 0, "is known by the key that it has now", ".old-")
	out, code = picket("exec", "worker1", "worker2", "--", "true")
	want(out, code, 0, "2 of 2 hosts done")
	out, code = picket("keys", "repair", "worker2", "--yes", "--fingerprint", print)
	want(out, code, 0, "there is nothing to repair")

	// A file of the whole system is for root to change: the command is told, and does it.
	stale := one.Addr() + " " + leader.Read("/etc/ssh/ssh_host_ed25519_key.pub")
	leader.Write("/etc/ssh/ssh_known_hosts", 0o644, stale)
	leader.SSH("operator", "rm .ssh/known_hosts")
	fingerprint := " --yes --fingerprint " + strings.Fields(one.Sh("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"))[1]
	out, code = leader.TrySSH("operator", onHost+" keys repair ssh://operator@"+one.Addr()+fingerprint)
	system := "keys repair ssh://" + one.Addr() + " --known-hosts /etc/ssh/ssh_known_hosts"
	want(out, code, 4, "/etc/ssh/ssh_known_hosts cannot be changed by you: nothing was changed", "sudo "+onHost+" "+system)
	if got := leader.Read("/etc/ssh/ssh_known_hosts"); got != stale {
		t.Errorf("it holds %s", got)
	}
	leader.Sh(onHost + " " + system + fingerprint)
	leader.SSH("operator", "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o PreferredAuthentications=none "+one.Addr()+" 2>&1 | grep 'Permission denied'")
}
