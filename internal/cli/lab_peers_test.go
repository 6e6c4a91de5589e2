package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"picket/lab"
)

// TestApplyKeepsPeers: a leader whose ssh insists on an algorithm (T19) has to reach its worker after a change as before;
// where it does not, the change is taken back.
func TestApplyKeepsPeers(t *testing.T) {
	t.Parallel()
	leader, worker := start(t, lab.Debian), start(t, lab.Debian)
	leader.SSH("operator", "ssh-keygen -q -t ed25519 -N '' -f .ssh/id_ed25519")
	key := strings.TrimSpace(leader.SSH("operator", "cat .ssh/id_ed25519.pub"))
	worker.SSH("operator", "echo '"+key+"' >>.ssh/authorized_keys")
	leader.SSH("operator", "printf 'Host worker\\n HostName "+worker.Addr()+"\\n KexAlgorithms diffie-hellman-group14-sha256\\n' >.ssh/config; ssh -o StrictHostKeyChecking=accept-new worker true")

	var known strings.Builder
	for _, h := range []*lab.Host{leader, worker} {
		b, err := os.ReadFile(h.KnownHosts())
		if err != nil {
			t.Fatal(err)
		}
		known.Write(b)
	}
	file := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(file, []byte(known.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	apply := func(only string) (string, int) {
		cmd := worker.Command(program(t), "apply", "ssh://operator@"+worker.Addr(), "--only", only, "--profile", "strict", "--accept-risk", "lose-ssh", "--yes",
			"--peer", "ssh://operator@"+leader.Addr()+"=worker", "--identity", worker.KeyFile(), "--known-hosts", file, sudoPassword(t))
		cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK=", "HOME="+t.TempDir())
		text, _ := cmd.CombinedOutput()
		return string(text), cmd.ProcessState.ExitCode()
	}
	out, code := apply("ssh/key-exchange")
	if code != 5 || !strings.Contains(out, "reaches the host now: ssh worker from") || !strings.Contains(out, "worked before and does not any more") {
		t.Errorf("the leader cannot reach the worker any more: exit code %d\n%s", code, out)
	}
	leader.SSH("operator", "ssh worker true")
	worker.Sh("[ ! -e /etc/ssh/sshd_config.d/00-picket.conf ]")

	// What has nothing to do with it is done all the same.
	if out, code = apply("ssh/key-exchange,network/log-martians"); code != 0 || !strings.Contains(out, "taken back: ssh/key-exchange: ssh worker") || !strings.Contains(out, "done and kept") {
		t.Errorf("the leader cannot reach the worker any more, and more is asked for: exit code %d\n%s", code, out)
	}
	leader.SSH("operator", "ssh worker true")
	worker.Sh("[ ! -e /etc/ssh/sshd_config.d/00-picket.conf ] && [ $(sysctl -n net.ipv4.conf.all.log_martians) = 1 ]")

	leader.SSH("operator", "sed -i /KexAlgorithms/d .ssh/config; ssh worker true")
	if out, code = apply("ssh/key-exchange"); code != 0 || !strings.Contains(out, "done and kept") {
		t.Errorf("the leader can reach the worker: exit code %d\n%s", code, out)
	}
	leader.SSH("operator", "ssh worker true")
}
