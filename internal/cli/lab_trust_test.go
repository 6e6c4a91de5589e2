package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"picket/internal/core/trust"
	"picket/lab"
)

// A meshed is a leader and its workers, under their names.
type meshed struct {
	t     *testing.T
	hosts map[string]*lab.Host
	names []string // the leader first
	args  []string
	home  string
}

// meshedOf boots a leader and workers, and writes the settings that name them.
func meshedOf(t *testing.T, names ...string) *meshed {
	t.Helper()
	c := &meshed{t: t, hosts: map[string]*lab.Host{}, names: names, home: t.TempDir()}
	var known, nodes strings.Builder
	for i, name := range names {
		h := lab.Start(t, lab.Debian)
		c.hosts[name] = h
		b, err := os.ReadFile(h.KnownHosts())
		if err != nil {
			t.Fatal(err)
		}
		known.Write(b)
		role := "worker"
		if i == 0 {
			role = "leader"
		}
		fmt.Fprintf(&nodes, "    %s: {address: %s, roles: [%s]}\n", name, h.Addr(), role)
	}
	dir := t.TempDir()
	for file, content := range map[string]string{"known_hosts": known.String(), "picket.yaml": "cluster:\n  user: operator\n  nodes:\n" + nodes.String()} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.args = []string{"--config", filepath.Join(dir, "picket.yaml"), "--known-hosts", filepath.Join(dir, "known_hosts"), "--identity", c.leader().KeyFile(), sudoPassword(t)}
	return c
}

func (c *meshed) leader() *lab.Host { return c.hosts[c.names[0]] }

// picket runs a command from outside.
func (c *meshed) picket(args ...string) (out string, code int) {
	c.t.Helper()
	cmd := c.leader().Command(program(c.t), append(args, c.args...)...)
	cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK=", "HOME="+c.home)
	text, _ := cmd.CombinedOutput()
	return string(text), cmd.ProcessState.ExitCode()
}

// takes says which hosts fall with which: "worker1: leader worker2"; text is the map for a person.
func (c *meshed) takes(code int) (takes, text string) {
	c.t.Helper()
	file := filepath.Join(c.t.TempDir(), "map.json")
	out, got := c.picket("trust", "all", "--output", "text", "--output", "json:"+file)
	if got != code {
		c.t.Fatalf("exit code %d, want %d\n%s", got, code, out)
	}
	var m trust.Map
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	var all []string
	for _, n := range m.Nodes {
		l := n.Name + ":"
		for _, f := range n.Takes {
			l += " " + f.Host
			if !f.Root {
				l += "(part)"
			}
		}
		if len(n.Unknown) > 0 {
			l += fmt.Sprint(" unknown ", n.Unknown)
		}
		all = append(all, l)
	}
	return strings.Join(all, "; "), out
}

// mesh has alice on each host come in on every other, as a guide for clusters has it: by keys without a passphrase, in one file
// that is copied to all.
func (c *meshed) mesh() {
	kind := "rsa"
	keys := "# all nodes\n\n"
	for _, name := range c.names {
		h := c.hosts[name]
		h.Sh("hostnamectl set-hostname " + name + "; useradd -m -s /bin/bash alice; echo 'alice ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/alice; chmod 440 /etc/sudoers.d/alice; install -d -o alice -g alice -m 700 /home/alice/.ssh")
		h.Sh("runuser -u alice -- ssh-keygen -q -t " + kind + " -N '' -C alice@" + name + " -f /home/alice/.ssh/id_" + kind)
		keys += h.Read("/home/alice/.ssh/id_" + kind + ".pub")
		kind = "ed25519" // the leader has none of that kind
	}
	for _, name := range c.names {
		h := c.hosts[name]
		h.Write("/home/alice/.ssh/authorized_keys", 0o600, keys+h.Read("/home/operator/.ssh/authorized_keys")+"# the end, without a line's end")
		h.Sh("chown alice:alice /home/alice/.ssh/authorized_keys")
	}
}

// state is all that the changes may touch.
func (c *meshed) state() string {
	var all strings.Builder
	for _, name := range c.names {
		all.WriteString(name + "\n" + c.hosts[name].Sh("find /home /root /etc/ssh -printf '%p %y %m %U %G %s %l\\n' | sort; find /home /root /etc/ssh -type f -exec sha256sum {} + | sort -k 2"))
	}
	return all.String()
}

// ssh tries to come from alice on one host to alice on another, with any key that she has.
func (c *meshed) ssh(from, to string, command string) error {
	out, code := c.hosts[from].Try("runuser", "-u", "alice", "--", "ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=10", c.hosts[to].Addr(), command)
	if code != 0 {
		return fmt.Errorf("exit code %d: %s", code, out)
	}
	return nil
}

var keptOn = regexp.MustCompile(`(?m)^(\S+?):? +done and kept as ([-\d]+)`)

// changesOf are those that were kept: name and host.
func changesOf(out string) (all [][2]string) {
	for _, m := range keptOn.FindAllStringSubmatch(out, -1) {
		all = append(all, [2]string{m[2], m[1]})
	}
	return all
}

// TestKeys (C2, H4, T20): a cluster in which every key opens every node gets a key for its leader, loses all others, and has all of
// it back. A worker that is away meanwhile keeps no other from it, and follows.
func TestKeys(t *testing.T) {
	t.Parallel()
	c := meshedOf(t, "leader", "worker1", "worker2", "worker3")
	c.mesh()
	got, text := c.takes(1)
	if want := "leader: worker1 worker2 worker3; worker1: leader worker2 worker3; worker2: leader worker1 worker3; worker3: leader worker1 worker2"; got != want {
		t.Fatalf("%s, want %s", got, want)
	}
	if !strings.Contains(text, "whoever takes any one of them has them all") || !strings.Contains(text, "alice on every other host: a key, without a passphrase") || !strings.Contains(text, "keys prune") {
		t.Errorf("the map:\n%s", text)
	}
	before := c.state()

	// A worker on which the leader's login fails is left as it was; the leader has its key.
	second := c.hosts["worker2"]
	second.Sh("echo 'AllowUsers operator' >/etc/ssh/sshd_config.d/allow.conf")
	reloadSSH(t, second)
	out, code := c.picket("keys", "setup", "worker2", "--user", "alice", "--yes")
	if code != 5 || strings.Count(out, "done and kept as") != 1 || !strings.Contains(out, "alice of leader does not come in with its key") || !strings.Contains(out, "worker2: ") {
		t.Errorf("a worker that does not let it in: exit code %d\n%s", code, out)
	}
	first := changesOf(out)
	if strings.Contains(second.Read("/home/alice/.ssh/authorized_keys"), "restrict") {
		t.Error("what did not work is left there")
	}
	second.Sh("rm /etc/ssh/sshd_config.d/allow.conf")
	reloadSSH(t, second)

	out, code = c.picket("keys", "setup", "--user", "alice", "--yes")
	if code != 0 || strings.Count(out, "done and kept as") != 4 || strings.Count(out, "alice of leader comes in on worker") != 3 {
		t.Fatalf("setup: exit code %d\n%s", code, out)
	}
	if strings.Contains(out, "PRIVATE") || !strings.Contains(out, `+restrict,from="`+c.leader().Addr()) {
		t.Errorf("what is shown:\n%s", out)
	}
	made := changesOf(out)
	was := c.hosts["worker1"].Read("/home/alice/.ssh/authorized_keys")
	if !strings.HasPrefix(was, "# all nodes\n\n") || strings.Count(was, "\n") != 9 {
		t.Errorf("the file is not as it was, and a line:\n%s", was)
	}
	again, code := c.picket("keys", "setup", "--user", "alice", "--yes")
	if code != 0 || !strings.Contains(again, "nothing to do") || strings.Contains(again, "done and kept") {
		t.Errorf("once more: exit code %d\n%s", code, again)
	}

	// Of worker3, which is away, nothing is known: it stays as it is, and so does its key on the others.
	third := c.hosts["worker3"]
	as := third.Read("/home/alice/.ssh/authorized_keys")
	third.CutNetwork()
	out, code = c.picket("keys", "prune", "--yes")
	third.RestoreNetwork()
	if code != 3 || !strings.Contains(out, "picket: worker3: ") || !strings.Contains(out, "not done on 1 host") || strings.Contains(out, "→ alice@worker3") ||
		!strings.Contains(out, "alice@worker1 → alice@leader") || strings.Count(out, "done and kept as") != 3 {
		t.Fatalf("prune while one is away: exit code %d\n%s", code, out)
	}
	away := changesOf(out)
	if order := []string{away[0][1], away[1][1], away[2][1]}; !slices.Equal(order, []string{"worker1", "worker2", "leader"}) {
		t.Errorf("the leader goes last: %s", order)
	}
	if strings.Count(out, "reaches the host now: alice@leader comes in as alice") != 4 { // with either key, on either worker
		t.Errorf("that the leader still comes in:\n%s", out)
	}
	if got := third.Read("/home/alice/.ssh/authorized_keys"); got != as {
		t.Errorf("worker3, which was away:\n%s", got)
	}
	for _, name := range c.names[:3] {
		if got := c.hosts[name].Read("/home/alice/.ssh/authorized_keys"); strings.Contains(got, "alice@worker1") || strings.Contains(got, "alice@worker2") || !strings.Contains(got, "alice@worker3") {
			t.Errorf("%s, while worker3 is away:\n%s", name, got)
		}
	}
	out, code = c.picket("keys", "prune", "--yes")
	if code != 0 || !strings.Contains(out, "alice@worker1 → alice@worker3") || strings.Count(out, "done and kept as") != 4 {
		t.Fatalf("prune once all are there: exit code %d\n%s", code, out)
	}
	pruned := changesOf(out)
	if got, text = c.takes(0); got != "leader: worker1 worker2 worker3; worker1:; worker2:; worker3:" {
		t.Errorf("%s\n%s", got, text)
	}
	for _, w := range c.names[1:] {
		for _, other := range c.names {
			if err := c.ssh(w, other, "true"); err == nil {
				t.Errorf("%s still comes to %s", w, other)
			}
		}
		if err := c.ssh("leader", w, "sudo id -u | grep -x 0"); err != nil {
			t.Errorf("the leader does not drive %s: %v", w, err)
		}
		h := c.hosts[w]
		if got := h.SSH("alice", "id -un"); got != "alice\n" {
			t.Errorf("the operator's own key: %q", got)
		}
		if got := h.Read("/home/alice/.ssh/authorized_keys"); !strings.HasPrefix(got, "# all nodes\n\n") || !strings.Contains(got, "# the end") || strings.Contains(got, "alice@worker") {
			t.Errorf("%s:\n%s", w, got)
		}
	}
	again, code = c.picket("keys", "prune", "--yes")
	if code != 0 || !strings.Contains(again, "nothing to do") {
		t.Errorf("once more: exit code %d\n%s", code, again)
	}

	// The key that was made is of use from the leader alone, and for commands.
	c.leader().Sh("cp /home/alice/.ssh/id_ed25519 /tmp/key; chmod 644 /tmp/key")
	c.hosts["worker1"].Write("/home/alice/.ssh/stolen", 0o600, c.leader().Read("/tmp/key"))
	c.hosts["worker1"].Sh("chown alice /home/alice/.ssh/stolen")
	if out, code := c.hosts["worker1"].Try("runuser", "-u", "alice", "--", "ssh", "-i", "/home/alice/.ssh/stolen", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", c.hosts["worker2"].Addr(), "true"); code == 0 {
		t.Errorf("the leader's key lets in from a worker\n%s", out)
	}
	c.hosts["worker1"].Sh("rm -f /home/alice/.ssh/stolen")

	for _, tx := range []string{pruned[0][0], away[0][0], made[0][0], first[0][0]} { // the later one first
		if out, code := c.picket("rollback", tx, "all"); code != 0 {
			t.Errorf("rollback %s: exit code %d\n%s", tx, code, out)
		}
	}
	same2(t, before, c.state())
}

// TestRenewHost: a worker that was copied from the leader, host keys and all, gets keys of its own, which who knew it knows.
func TestRenewHost(t *testing.T) {
	t.Parallel()
	c := meshedOf(t, "leader", "worker")
	leader, worker := c.hosts["leader"], c.hosts["worker"]
	c.mesh()
	was := worker.Addr() + " "
	for _, kind := range []string{"rsa", "ecdsa", "ed25519"} {
		for _, file := range []string{"/etc/ssh/ssh_host_" + kind + "_key", "/etc/ssh/ssh_host_" + kind + "_key.pub"} {
			worker.Sh("cp -p " + file + " /root/")
			mode := os.FileMode(0o600)
			if strings.HasSuffix(file, ".pub") {
				mode = 0o644
			}
			worker.Write(file, mode, leader.Read(file))
		}
	}
	worker.Sh("systemctl reload ssh; sleep 1; ssh-keyscan -t ed25519 127.0.0.1")
	known := c.args[3]
	b, err := os.ReadFile(known)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for l := range strings.Lines(string(b)) { // the worker shows what the leader shows
		if !strings.HasPrefix(l, was) {
			lines = append(lines, l, strings.Replace(l, leader.Addr(), worker.Addr(), 1))
		}
	}
	if err := os.WriteFile(known, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	leader.Sh("runuser -u alice -- sh -c 'ssh -o StrictHostKeyChecking=accept-new -o HashKnownHosts=yes " + worker.Addr() + " true'")
	ids := worker.Sh("cat /etc/ssh/ssh_host_*_key | sha256sum")

	_, text := c.takes(1)
	if !strings.Contains(text, "The same on several hosts") || !strings.Contains(text, "keys renew-host worker") {
		t.Errorf("the map:\n%s", text)
	}
	out, code := c.picket("keys", "renew-host", "worker", "--yes")
	if code != 0 || len(changesOf(out)) != 2 || strings.Contains(out, "BEGIN OPENSSH") || !strings.Contains(out, "systemd-machine-id-setup") {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	made := changesOf(out)
	if now := worker.Sh("cat /etc/ssh/ssh_host_*_key | sha256sum"); now == ids {
		t.Error("the keys are the old ones")
	}
	if out := worker.Sh("stat -c '%a %U %n' /etc/ssh/ssh_host_*_key; for k in rsa ecdsa ed25519; do ssh-keygen -lf /etc/ssh/ssh_host_${k}_key.pub; ssh-keygen -y -f /etc/ssh/ssh_host_${k}_key | cmp -n 80 - /etc/ssh/ssh_host_${k}_key.pub; done"); strings.Count(out, "600 root") != 3 || strings.Contains(out, "differ") {
		t.Errorf("the new keys:\n%s", out)
	}
	// Who knew it knows it: the operator, and alice on the leader, whose own line is hashed.
	if out, code := c.picket("exec", "worker", "--shell", "true"); code != 0 {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if out, code := leader.Try("runuser", "-u", "alice", "--", "ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", worker.Addr(), "true"); code != 0 {
		t.Errorf("the leader does not know the worker: %s", out)
	}
	if out, code := c.picket("exec", "leader", "--shell", "true"); code != 0 {
		t.Errorf("the leader itself: exit code %d\n%s", code, out)
	}
	for _, tx := range slices.Backward(made) {
		if out, code := c.picket("rollback", tx[0], tx[1]); code != 0 {
			t.Errorf("rollback %s: exit code %d\n%s", tx, code, out)
		}
	}
	if back := worker.Sh("cat /etc/ssh/ssh_host_*_key | sha256sum"); back != ids {
		t.Error("the old keys are not back")
	}
	if out := worker.Sh("ssh-keyscan -t ed25519 127.0.0.1 2>/dev/null | cut -d' ' -f3; cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub"); strings.Fields(out)[0] != strings.Fields(out)[1] {
		t.Errorf("sshd does not show the old key again:\n%s", out)
	}
}

// TestAuditOnly: a key takes snapshots of a host, whatever is asked for, and the account that it lets in as does no more by it.
func TestAuditOnly(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Debian)
	h.Sh("useradd -m -s /bin/bash auditor; install -d -o auditor -g auditor -m 700 /home/auditor/.ssh; useradd -m -s /bin/bash eve; touch /home/operator/.sudo_as_admin_successful; chown operator:operator /home/operator/.sudo_as_admin_successful")
	lived(h)
	before := accountsOf(h)
	operator := login{"operator", h.KeyFile(), lab.OperatorPassword}
	key := newKey(t)
	add := []string{"keys", "audit-only", "TARGET", "--key", key + ".pub", "--user", "auditor", "--yes"}

	// Whoever can change the program could have root run another.
	h.Sh("chown eve " + onHost)
	if out, code := as(t, h, operator, add...); code != 4 || !strings.Contains(out, "others than root can change") {
		t.Errorf("eve's program: exit code %d\n%s", code, out)
	}
	h.Sh("chown root " + onHost)

	out, code := as(t, h, operator, add...)
	tx := kept(t, h, out, code)
	if !strings.Contains(out, "taking a snapshot with the key") || !strings.Contains(out, `+restrict,command="sudo -n /usr/local/bin/picket snapshot" ssh-ed25519`) {
		t.Errorf("what is shown:\n%s", out)
	}
	honest(t, h)
	try := func(subsystem string, args ...string) (string, int) {
		cmd := h.Command("ssh", append(append([]string{"-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "UserKnownHostsFile=" + h.KnownHosts(), "-i", key}, args...), append([]string{"auditor@" + h.Addr()}, strings.Fields(subsystem)...)...)...)
		cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK=")
		cmd.Stdin = strings.NewReader("touch /tmp/was-here; id\n")
		text, _ := cmd.Output()
		return string(text), cmd.ProcessState.ExitCode()
	}
	text, code := try("")
	file := filepath.Join(t.TempDir(), "host.snapshot")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil || code != 0 {
		t.Fatalf("exit code %d, %v", code, err)
	}
	must(t, here(t, file), "ssh/password-login", "fail")
	if strings.Contains(unpacked(t, file), "$y$") {
		t.Error("a hash comes with it")
	}
	if out, _ := try("sftp", "-s"); !strings.HasPrefix(out, "\x1f\x8b") {
		t.Errorf("sftp gets something else: %.100q", out)
	}
	if out, code := try("", "-W", "127.0.0.1:22"); code == 0 || strings.Contains(out, "SSH-2.0") {
		t.Errorf("a port is forwarded: exit code %d, %.100q", code, out)
	}
	for _, command := range []string{"id", onHost + " snapshot --config /home/auditor/x.yaml", onHost + " audit", onHost + " apply --yes"} {
		if out, code := h.Try("runuser", "-u", "auditor", "--", "sh", "-c", "sudo -n "+command); code == 0 {
			t.Errorf("the account may: %s\n%.300s", command, out)
		}
	}
	if _, code := h.Try("test", "-e", "/tmp/was-here"); code == 0 {
		t.Error("what came in was run")
	}
	if out, code := as(t, h, operator, add...); code != 4 || !strings.Contains(out, "lets in as auditor already") {
		t.Errorf("a second time: exit code %d\n%s", code, out)
	}
	if out, code := as(t, h, operator, "rollback", tx, "TARGET"); code != 0 {
		t.Errorf("rollback: exit code %d\n%s", code, out)
	}
	same2(t, before, accountsOf(h))
}
