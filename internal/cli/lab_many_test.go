package cli_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"picket/lab"
)

// A booted cluster is hosts, leader, worker1, worker2 and so on, with a picket.yaml that names them, and away, where
// nobody is.
type booted struct {
	t     *testing.T
	dir   string // the home of who runs picket
	names []string
	hosts map[string]*lab.Host
}

func boot(t *testing.T, n int) *booted {
	t.Helper()
	c := &booted{t: t, dir: t.TempDir(), hosts: map[string]*lab.Host{}}
	var known []byte
	config := "cluster:\n  user: operator\n  nodes:\n"
	for i := range n {
		name, role := fmt.Sprintf("worker%d", i), "worker"
		if i == 0 {
			name, role = "leader", "leader"
		}
		h := lab.Start(t, lab.Debian)
		h.Write("/etc/node", 0o644, name+"\n")
		c.names, c.hosts[name] = append(c.names, name), h
		text, err := os.ReadFile(h.KnownHosts())
		if err != nil {
			t.Fatal(err)
		}
		known = append(known, text...)
		config += fmt.Sprintf("    %s: {address: %s, roles: [%s], identity: %s}\n", name, h.Addr(), role, h.KeyFile())
	}
	config += "    away: {address: 192.168.77.250, roles: [spare]}\n"
	for name, text := range map[string]string{"picket.yaml": config, "known": string(known)} {
		if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *booted) command(args ...string) *exec.Cmd {
	c.t.Helper()
	argv := append([]string{args[0], "--config", filepath.Join(c.dir, "picket.yaml"), "--known-hosts", filepath.Join(c.dir, "known")}, args[1:]...)
	cmd := c.hosts["leader"].Command(program(c.t), argv...)
	cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK=", "HOME="+c.dir, "PICKET_NO_LOCAL=1")
	return cmd
}

// run runs picket on this machine.
func (c *booted) run(args ...string) (out, errs string, code int) {
	c.t.Helper()
	cmd := c.command(args...)
	var o, e strings.Builder
	cmd.Stdout, cmd.Stderr = &o, &e
	_ = cmd.Run()
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

// want runs picket, and wants this exit code and these texts of it.
func (c *booted) want(code int, texts []string, args ...string) (out string) {
	c.t.Helper()
	out, errs, is := c.run(args...)
	if is != code {
		c.t.Errorf("%q: exit code %d, want %d\n%.3000s%.3000s", args, is, code, out, errs)
	}
	for _, text := range texts {
		if !strings.Contains(out+errs, text) {
			c.t.Errorf("%q does not say %q:\n%.3000s%.3000s", args, text, out, errs)
		}
	}
	return out
}

// reached waits until all hosts let somebody in: a start gives the lab's hosts another address on the wire, which is
// found out in time.
func (c *booted) reached() {
	c.t.Helper()
	for _, name := range c.names {
		for range 20 {
			if _, code := c.hosts[name].TrySSH("operator", "true"); code == 0 {
				break
			}
			time.Sleep(time.Second)
		}
	}
}

// TestExecOnHosts runs commands on booted hosts that misbehave in all ways.
func TestExecOnHosts(t *testing.T) {
	t.Parallel()
	c := boot(t, 3)
	// A login whose files print, on both outputs, and ask for a terminal.
	for _, h := range c.hosts {
		h.Sh(`printf 'echo "Welcome to $HOSTNAME!"\necho no terminal >&2\nprintf "no end of a line"\nexport FROM_RC=yes\n' | cat - /home/operator/.bashrc >/root/rc; cat /root/rc >/home/operator/.bashrc
			touch "/home/operator/a file"`)
	}
	c.hosts["worker1"].Sh(`printf 'MaxSessions 1\n' >/etc/ssh/sshd_config.d/one.conf; systemctl reload ssh`)

	hostile := []string{"a  b", "$HOME", "*", "`id`", "'", `"`, "", "two\nlines", `\`, ";reboot", "grüße", "-n"}
	out := c.want(0, []string{"3 of 3 hosts done"}, append([]string{"exec", "worker", "leader", "--output", "json", "--", "printf", "<%s>"}, hostile...)...)
	for _, r := range eachLine(t, out) {
		if r["stdout"] != "<"+strings.Join(hostile, "><")+">" || r["stderr"] != nil || r["exit"] != 0.0 {
			t.Errorf("%v", r)
		}
	}
	// Builtins, the shell's line, its variables, and stderr apart.
	out = c.want(1, []string{"2 of 3 hosts done", "1 failed"}, "exec", "worker", "leader", "--output", "json", "--shell", `[[ $FROM_RC = yes ]] && echo {1..3}; echo problem >&2; test -e "a file" && [ "$(cat /etc/node)" != worker2 ] || exit 42`)
	for _, r := range eachLine(t, out) {
		exit := 0.0
		if r["host"] == "worker2" {
			exit = 42
		}
		if r["stdout"] != "1 2 3\n" || r["stderr"] != "problem\n" || r["exit"] != exit {
			t.Errorf("%v", r)
		}
	}
	c.want(0, nil, "exec", "worker1", "--", "cd", "/")
	c.want(0, []string{"root\n", "worker1"}, "exec", "worker", "--root", sudoPassword(t), "--", "id", "-un")
	c.want(3, []string{"picket: worker1: sudo does not let us become root"}, "exec", "worker", "--root", "--", "id", "-un")

	// What root writes comes as it is written, whole, and more of it than one would keep.
	if out, _, code := c.run("exec", "worker1", "--root", sudoPassword(t), "--", "head", "-c", "20000000", "/dev/zero"); code != 0 || len(out) != 20_000_000 {
		t.Errorf("exit code %d, %d bytes", code, len(out))
	}
	if out, _, code := c.run("exec", "worker1", "--", "head", "-c", "20000000", "/dev/zero"); code != 0 || len(out) != 20_000_000 {
		t.Errorf("exit code %d, %d bytes", code, len(out))
	}
	for _, r := range eachLine(t, c.want(0, nil, "exec", "worker1", "--output", "json", "--", "printf", `\377\000`)) {
		if r["stdoutBase64"] != "/wA=" {
			t.Errorf("%v", r)
		}
	}

	// One is dead, one hangs after it has answered the call, one command takes too long: the rest is done.
	c.hosts["worker2"].Sh("pkill -STOP -o sshd")
	began := time.Now()
	c.want(3, []string{"leader  | fine", "worker1 | fine", "worker2  not done within 8s", "away     failed", "2 of 4 hosts done", "2 not reached", "picket: worker2: not done within 8s", "picket: away: ssh://operator@192.168.77.250: no machine answers"},
		"exec", "all", "--deadline", "8s", "--", "echo", "fine")
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	c.hosts["worker2"].Sh("pkill -CONT -o sshd")
	out = c.want(3, []string{"worker1  not done within 5s", "leader   done"}, "exec", "leader", "worker1", "--deadline", "5s", "--output", "json", "--shell", `echo begun; [ "$(cat /etc/node)" = leader ] || sleep 1000`)
	for _, r := range eachLine(t, out) {
		if r["stdout"] != "begun\n" {
			t.Errorf("what was said before it was too late is lost: %v", r)
		}
	}

	// One after the other, and interrupted in the middle.
	cmd := c.command("exec", "leader", "worker1", "worker2", "--serial", "--shell", `date +%s.%N >>/tmp/when; [ "$(cat /etc/node)" = leader ] || sleep 1000`)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if _, code := c.hosts["worker1"].Try("test", "-s", "/tmp/when"); code == 0 {
			break
		}
	}
	_ = cmd.Process.Signal(syscall.SIGINT)
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{"done:       leader\n", "broken off: worker1\n", "not begun:  worker2\n", "picket: interrupted\n"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("no %q:\n%s", want, &said)
		}
	}
	if _, code := c.hosts["worker2"].Try("test", "-e", "/tmp/when"); code == 0 {
		t.Error("worker2 was begun")
	}
}

// eachLine reads lines of JSON.
func eachLine(t *testing.T, out string) (all []map[string]any) {
	t.Helper()
	for line := range strings.Lines(out) {
		var r map[string]any
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v in %.300q", err, line)
		}
		all = append(all, r)
	}
	if len(all) == 0 {
		t.Error("no line of JSON")
	}
	return all
}

// TestCopyOnHosts copies to booted hosts, one of which vanishes in the middle, one of which has no room, and one of which
// has nothing but BusyBox.
func TestCopyOnHosts(t *testing.T) {
	t.Parallel()
	c := boot(t, 3)
	for _, h := range c.hosts {
		h.Sh(`printf 'echo "Welcome!"\necho no terminal >&2\n' | cat - /home/operator/.bashrc >/root/rc; cat /root/rc >/home/operator/.bashrc; rm -f /usr/bin/tar /bin/tar`)
	}
	write := func(mode fs.FileMode, content string, elem ...string) string {
		t.Helper()
		name := filepath.Join(append([]string{c.dir}, elem...)...)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		return name
	}
	write(0o755, "#!/bin/sh\n", ".scripts", "cluster_commands.sh")
	write(0o640, "x y z\n", ".scripts", "a file")
	scripts := filepath.Join(c.dir, ".scripts")
	c.want(3, []string{"leader   2 files sent (16 bytes)", "away     failed", "3 of 4 hosts done", "1 not reached"}, "copy", scripts, "all")
	for name, h := range c.hosts {
		if is := h.Sh("cd /home/operator/.scripts; stat -c '%n %a %U:%G' *; sha256sum *"); !strings.HasPrefix(is, "a file 640 operator:operator\ncluster_commands.sh 755 operator:operator\n") {
			t.Errorf("%s: %s", name, is)
		}
	}
	c.want(0, []string{"2 files the same already"}, "copy", scripts, "worker")

	// As root, to a place of root: with its owner kept. Where others could interfere, not.
	conf := write(0o644, "new\n", "some.conf")
	c.hosts["worker1"].Sh("mkdir /etc/some; echo old >/etc/some/some.conf; chown games:mail /etc/some/some.conf; chmod 600 /etc/some/some.conf")
	c.want(3, []string{"picket: worker1: the login may not write in /etc/some\n        --root writes as root"}, "copy", conf, "worker1", "--to", "/etc/some/")
	c.want(0, []string{"1 file sent"}, "copy", conf, "worker1", "--to", "/etc/some/", "--root", sudoPassword(t))
	if is := c.hosts["worker1"].Sh("stat -c '%a %U:%G' /etc/some/some.conf; cat /etc/some/some.conf; ls -A /etc/some"); is != "644 games:mail\nnew\nsome.conf\n" {
		t.Errorf("%s", is)
	}
	c.want(3, []string{"as root nothing is written there"}, "copy", conf, "worker1", "--root", sudoPassword(t))

	// No space on one of them: the others have it, and there nothing is left.
	big := filepath.Join(c.dir, "big")
	f, err := os.Create(big)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 60 { // 60 MB
		if _, err := f.WriteString(strings.Repeat(fmt.Sprintf("%7d\n", i), 125_000)); err != nil {
			t.Fatal(err)
		}
	}
	f.Close()
	for name, h := range c.hosts {
		size := map[bool]string{true: "20m", false: "200m"}[name == "worker2"]
		h.Sh("mkdir -p /srv/data; mount -t tmpfs -o size=" + size + ",uid=operator,mode=755 none /srv/data")
	}
	c.want(3, []string{"worker1  1 file sent (60 MB)", "picket: worker2: no space left: /srv/data/big takes 60 MB, and 21 MB are free there\n        nothing was changed there", "2 of 3 hosts done", "1 failed"},
		"copy", "--to", "/srv/data/big", big, "--", "leader", "worker1", "worker2")
	if is := c.hosts["worker2"].Sh("ls -A /srv/data"); is != "" {
		t.Errorf("worker2 has %s", is)
	}

	// The power of one goes in the middle. It goes on from there.
	c.hosts["worker1"].Sh("umount /srv/data; install -d -o operator /srv/data; tc qdisc add dev host0 root tbf rate 8mbit burst 32k latency 50ms 2>/dev/null || :")
	cmd := c.command("copy", big, "worker1", "--to", "/srv/data/big")
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if out, _ := c.hosts["worker1"].Try("sh", "-c", "find /srv/data -name '.picket-*' -size +4000k"); out != "" {
			break
		}
	}
	c.hosts["worker1"].PowerCut()
	_ = cmd.Wait()
	if cmd.ProcessState.ExitCode() != 3 || !strings.Contains(said.String(), "what had come is kept there: the same command goes on from it") {
		t.Errorf("exit code %d\n%s", cmd.ProcessState.ExitCode(), &said)
	}
	c.hosts["worker1"].Boot()
	if is := c.hosts["worker1"].Sh("ls /srv/data"); is != "" {
		t.Errorf("worker1 has %s", is)
	}
	c.want(0, []string{"1 file sent", " had come before"}, "copy", big, "worker1", "--to", "/srv/data/big")
	here, err := exec.Command("sha256sum", big).Output()
	if err != nil {
		t.Fatal(err)
	}
	if is := c.hosts["worker1"].Sh("sha256sum /srv/data/big; ls -A /srv/data"); is[:64] != string(here[:64]) || !strings.HasSuffix(is, "\nbig\n") {
		t.Errorf("worker1 has %s", is)
	}
}
