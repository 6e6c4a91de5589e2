package cli_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"picket/lab"
)

// A cluster is some booted hosts, and what somebody outside has to reach all of them.
type cluster struct {
	t     *testing.T
	names []string
	hosts map[string]*lab.Host
	dir   string
}

// newCluster boots a host for each name, "leader" as a Pioreactor's leader, and writes picket.yaml for all. The account
// pioreactor of the leader logs in at each of the others as operator, with a client that insists on an old key exchange.
func newCluster(t *testing.T, names ...string) *cluster {
	c := &cluster{t: t, names: names, hosts: map[string]*lab.Host{}, dir: t.TempDir()}
	var known []byte
	config := "cluster:\n  user: operator\n  nodes:\n"
	for _, name := range names {
		role := "worker"
		if c.hosts[name] = start(t, lab.Debian); name == "leader" {
			c.hosts[name], role = start(t, lab.Pioreactor), "leader"
		}
		b, err := os.ReadFile(c.hosts[name].KnownHosts())
		if err != nil {
			t.Fatal(err)
		}
		known = append(known, b...)
		config += fmt.Sprintf("    %s: {address: %s, roles: [%s], identity: %s}\n", name, c.hosts[name].Addr(), role, c.hosts[name].KeyFile())
	}
	for file, text := range map[string][]byte{"picket.yaml": []byte(config), "known_hosts": known} {
		if err := os.WriteFile(filepath.Join(c.dir, file), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	leader := c.hosts["leader"]
	key := leader.Sh("runuser -u pioreactor -- sh -c 'cd; [ -f .ssh/id_ed25519 ] || ssh-keygen -q -t ed25519 -N \"\" -f .ssh/id_ed25519; cat .ssh/id_ed25519.pub'")
	for name, h := range c.hosts {
		lived(h)
		h.Sh("runuser -u operator -- touch /home/operator/.sudo_as_admin_successful") // sudo's own mark of a first time
		if name != "leader" {
			h.Sh("hostname " + name + "; echo " + name + " >/etc/hostname; cat >>~operator/.ssh/authorized_keys <<'END'\n" + key + "END\n")
			leader.Sh("echo '" + h.Addr() + " " + name + "' >>/etc/hosts; runuser -u pioreactor -- sh -c 'cd; printf \"Host " + name + "\\n User operator\\n KexAlgorithms diffie-hellman-group14-sha256\\n\" >>.ssh/config; ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new " + name + " true'")
		}
	}
	return c
}

// command is picket as somebody types it who sits outside.
func (c *cluster) command(args ...string) *exec.Cmd {
	c.t.Helper()
	args = append(args, "--config", filepath.Join(c.dir, "picket.yaml"), "--known-hosts", filepath.Join(c.dir, "known_hosts"))
	if verb := args[0]; verb != "explain" {
		args = append(args, sudoPassword(c.t))
	}
	cmd := c.hosts[c.names[0]].Command(program(c.t), args...)
	cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK=", "HOME="+c.dir)
	return cmd
}

func (c *cluster) run(args ...string) (string, int) {
	c.t.Helper()
	cmd := c.command(args...)
	out, _ := cmd.CombinedOutput()
	return string(out), cmd.ProcessState.ExitCode()
}

// undriven reports which of the others the leader cannot drive.
func (c *cluster) undriven() (bad []string) {
	for _, name := range c.names {
		if out, code := c.hosts["leader"].Try("runuser", "-u", "pioreactor", "--", "sh", "-c", "cd; ssh -o BatchMode=yes -o ControlPath=none -o UpdateHostKeys=no "+name+" hostname"); name != "leader" && (code != 0 || strings.TrimSpace(out) != name) {
			bad = append(bad, name+": "+out)
		}
	}
	return bad
}

func (c *cluster) hashes() map[string]map[string]string {
	all := map[string]map[string]string{}
	for name, h := range c.hosts {
		all[name] = hashes(h)
	}
	return all
}

// TestApplyCluster: a leader and its workers, some of which are away for a while.
func TestApplyCluster(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "leader", "worker1", "worker2", "worker3")
	if bad := c.undriven(); len(bad) > 0 {
		t.Fatal(bad)
	}
	before := c.hashes()
	risks := []string{"--accept-risk", "lose-ssh,lose-network,reboot,data", "--yes", "--wave", "2", "--confirm-within", "60s", "--skip", "updates,ban"}

	// In the wave after the first host one of two is unplugged: the rest is finished, and it goes back by itself.
	lost := c.hosts["worker3"]
	cmd := c.command(append([]string{"apply", "all"}, risks...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for begun := time.Now(); time.Since(begun) < 5*time.Minute; time.Sleep(100 * time.Millisecond) {
		if _, code := lost.Try("sh", "-c", "grep -q . /var/lib/picket/tx/*/state"); code == 0 {
			break
		}
	}
	lost.CutNetwork()
	err := within(t, cmd, 6*time.Minute)
	first := out.String()
	run := regexp.MustCompile(`rollback (\d{8}-\d{6}) all`).FindStringSubmatch(first)
	if code := cmd.ProcessState.ExitCode(); code != 6 || run == nil {
		t.Fatalf("%v, exit code %d\n%s", err, code, first)
	}
	for _, want := range []string{
		"leader  reaches 3 of 3 over SSH as pioreactor", "worker1  reaches leader:1883, leader:22, leader:80", "one first, to see that it holds: worker1", "wave 2 of 3: worker2, worker3",
		"wave 3 of 3: leader", "worker3  away since", "To go on with the other host: the same command again",
	} {
		if !strings.Contains(first, want) {
			t.Errorf("it does not say %q:\n%s", want, first)
		}
	}
	if strings.Contains(first, "tried and taken back") {
		t.Errorf("what the leader's client does not know was tried:\n%s", first)
	}
	if n := len(regexp.MustCompile(`(?m)^(leader|worker\d) +\d+ findings? mended, \d+ left to you; kept as [-\d]+$`).FindAllString(first, -1)); n != 3 {
		t.Errorf("%d hosts were changed:\n%s", n, first)
	}
	lost.RestoreNetwork()
	await(t, "worker3 goes back by itself", func() bool {
		out, _ := lost.Try("sh", "-c", "cat /var/lib/picket/tx/*/state")
		return strings.TrimSpace(out) == "undone"
	})
	differ(t, "unplugged", before["worker3"], hashes(lost))

	// The same command again mends what was left.
	second, code := c.run(append([]string{"apply", "all"}, risks...)...)
	again := regexp.MustCompile(`rollback (\d{8}-\d{6}) all`).FindStringSubmatch(second)
	if code != 0 || again == nil || !strings.Contains(second, "to be changed: worker3") || !strings.Contains(second, "nothing to change: leader, worker1, worker2") {
		t.Errorf("once more: exit code %d\n%s", code, second)
	}
	if bad := c.undriven(); len(bad) > 0 {
		t.Errorf("the cluster is cut in two: %q", bad)
	}
	if third, code := c.run(append([]string{"apply", "all"}, risks...)...); code != 0 || strings.Contains(third, "to be changed") {
		t.Errorf("a third time: exit code %d\n%s", code, third)
	}

	// All of it back.
	for _, m := range [][]string{again, run} {
		if m == nil {
			continue
		}
		if out, code := c.run("rollback", m[1], "all"); code != 0 {
			t.Errorf("rollback %s: exit code %d\n%s", m[1], code, out)
		}
	}
	for _, h := range c.hosts {
		h.Sh("rm -rf /var/lib/picket")
	}
	after := c.hashes()
	for _, name := range slices.Sorted(maps.Keys(after)) {
		differ(t, name, before[name], after[name])
	}
	if bad := c.undriven(); len(bad) > 0 {
		t.Errorf("taken back, and the cluster is cut in two: %q", bad)
	}
}

// TestJoin takes a host into a cluster with one command, and once more when it is in.
func TestJoin(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "leader", "worker1")
	h := start(t, lab.Debian)
	lived(h)
	join := []string{"join", "worker9", "ssh://operator@" + h.Addr(), "--identity", h.KeyFile(), "--profile", "strict", "--only", "cron,network", "--yes"}
	if out, code := c.run(join...); code == 0 || !strings.Contains(out, "--accept-new-host-keys") {
		t.Errorf("its key is not known, and nobody is asked: exit code %d\n%s", code, out)
	}
	out, code := c.run(append(join, "--accept-new-host-keys", "--accept-risk", "lose-network")...)
	if code != 0 || !strings.Contains(out, "worker9") || !regexp.MustCompile(`(?m)^worker9 +\d+ findings? mended`).MatchString(out) {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	text, err := os.ReadFile(filepath.Join(c.dir, "picket.yaml"))
	if err != nil || !strings.Contains(string(text), "worker9:") || !strings.Contains(string(text), h.Addr()) {
		t.Errorf("%v\n%s", err, text)
	}
	if out, code := c.run("audit", "all", "--profile", "strict", "--only", "cron", "--fail-on", "low"); code != 1 || !strings.Contains(out, "worker9") { // the others are as they were
		t.Errorf("as one of all: exit code %d\n%s", code, out)
	}
	if out, code := c.run(append(join, "--accept-risk", "lose-network")...); code != 0 || !strings.Contains(out, "nothing to change: worker9") {
		t.Errorf("once more: exit code %d\n%s", code, out)
	}
	if out, code := c.run("join", "worker8", "ssh://operator@"+h.Addr(), "--yes"); code != 2 || !strings.Contains(out, "is a node already, as worker9") {
		t.Errorf("under another name: exit code %d\n%s", code, out)
	}
}
