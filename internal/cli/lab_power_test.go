package cli_test

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"picket/lab"
)

// TestPowerOnHosts reboots and shuts down booted hosts over SSH: the leader last, each seen to have started anew, and none
// that would not come up again.
func TestPowerOnHosts(t *testing.T) {
	t.Parallel()
	c := boot(t, 3)
	sudo := sudoPassword(t)
	start := func(name string) string {
		t.Helper()
		var id string
		for range 100 { // the lab is told of a start a moment after it can be logged in to
			var code int
			if id, code = c.hosts[name].Try("cat", "/proc/sys/kernel/random/boot_id"); code == 0 {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		return id
	}
	ids := map[string]string{}
	since := func(rebooted ...string) {
		t.Helper()
		for _, name := range c.names {
			now := start(name)
			if want := strings.Contains(strings.Join(rebooted, " "), name); (now != ids[name]) != want {
				t.Errorf("%s has started anew: %v, want %v", name, now != ids[name], want)
			}
			ids[name] = now
		}
	}
	since(c.names...)

	c.want(3, []string{"picket: leader: sudo does not let us become root", "0 of 3 hosts done"}, "reboot", "worker", "leader", "--yes")
	since()
	_, errs, code := c.run("reboot", "leader", "worker", "away", "--yes", sudo)
	if code != 3 || !strings.Contains(errs, "3 of 4 hosts done") || !strings.Contains(errs, "picket: away: ") || strings.Index(errs, "leader   is back") < max(strings.Index(errs, "worker1  is back"), strings.Index(errs, "worker2  is back")) {
		t.Errorf("exit code %d\n%s", code, errs)
	}
	since(c.names...)

	// On a terminal it is asked for, with the order.
	argv := c.command("reboot", "leader", "worker", sudo).Args
	typed := c.hosts["leader"].Command("script", "-qec", "'"+strings.Join(argv[slices.Index(argv, program(t)):], "' '")+"'", "/dev/null")
	typed.Env, typed.Stdin = append(os.Environ(), "SSH_AUTH_SOCK=", "HOME="+c.dir, "PICKET_NO_LOCAL=1"), strings.NewReader("no\n")
	shown, _ := typed.CombinedOutput()
	for _, want := range []string{"Reboot worker1, worker2, then leader? (yes/no) ", "picket: nothing was done"} {
		if code := typed.ProcessState.ExitCode(); code != 4 || !strings.Contains(string(shown), want) {
			t.Errorf("exit code %d, no %q:\n%s", code, want, shown)
		}
	}
	since()

	// What would do harm is not done, and keeps no other from it.
	c.hosts["worker1"].Sh("mkdir -p /var/lib/picket/tx/20260101-000000; echo applied >/var/lib/picket/tx/20260101-000000/state")
	c.hosts["leader"].Sh("cp /bin/sleep /usr/local/bin/dpkg; systemd-run --unit=packages /usr/local/bin/dpkg 600; until pgrep -x dpkg; do sleep 0.1; done; rm /usr/local/bin/dpkg")
	out := c.want(3, []string{
		"picket: worker1: the change 20260101-000000 waits for confirmation there", "`" + program(t) + " confirm 20260101-000000 worker1` keeps it",
		"picket: leader: dpkg is at work there", "worker2  is back", "1 of 3 hosts done",
	}, "reboot", "worker", "leader", "--yes", "--output", "json", sudo)
	for _, r := range eachLine(t, out) {
		if r["done"] != (r["host"] == "worker2") || (r["error"] == nil) != (r["host"] == "worker2") {
			t.Errorf("%v", r)
		}
	}
	since("worker2")
	c.hosts["worker1"].Sh("rm -r /var/lib/picket")
	c.hosts["leader"].Sh("systemctl stop packages")

	// One refuses, and those behind it are left alone.
	c.hosts["worker1"].Sh("systemctl mask reboot.target")
	c.want(3, []string{"picket: worker1: it refuses to reboot: ", "Call to Reboot failed", "worker2: not begun, since a host before it did not do so", "0 of 2 hosts done", "2 not rebooted"}, "reboot", "worker1", "worker2", "--serial", "--yes", sudo)
	since()
	// One does not come back.
	c.hosts["worker1"].Sh("systemctl unmask reboot.target; systemctl disable ssh")
	c.want(3, []string{"picket: worker1 did not come back within 1m0s: ssh://operator@", "leader: not begun, since a host before it did not do so", "worker2  is back"},
		"reboot", "all", "--yes", "--within", "1m", sudo)
	since("worker1", "worker2")
	c.hosts["worker1"].Sh("systemctl enable --now ssh")

	// Who interrupts it hears what goes on all the same.
	c.hosts["worker1"].Sh("systemctl disable ssh")
	cmd := c.command("reboot", "worker1", "leader", "--yes", sudo)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end) && start("worker1") == ids["worker1"]; {
		time.Sleep(200 * time.Millisecond)
	}
	_ = cmd.Process.Signal(syscall.SIGINT)
	_ = cmd.Wait()
	for _, want := range []string{"broken off: worker1\n", "not begun:  leader\n", "these were told to, and will do so all the same: worker1\n", "picket: interrupted\n"} {
		if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.Contains(said.String(), want) {
			t.Errorf("exit code %d, no %q:\n%s", code, want, &said)
		}
	}
	since("worker1")
	c.hosts["worker1"].Sh("systemctl enable --now ssh")

	// The machine that Picket runs on is refused where it must not be touched, and goes last otherwise.
	leader := c.hosts["leader"]
	leader.CopyIn(program(t), onHost)
	for from, to := range map[string]string{leader.KeyFile(): "/root/key", c.dir + "/known": "/root/known"} {
		leader.CopyIn(from, to)
	}
	leader.Sh("chmod 600 /root/key")
	config := "cluster:\n  user: operator\n  identity: /root/key\n  nodes:\n"
	for _, name := range c.names {
		config += "    " + name + ": {address: " + c.hosts[name].Addr() + "}\n"
	}
	leader.Write("/root/picket.yaml", 0o600, config)
	leader.Write("/root/password", 0o600, lab.OperatorPassword+"\n")
	self := func(env string, args ...string) (string, int) {
		return leader.Try("env", append([]string{env, onHost}, append(args, "--config", "/root/picket.yaml", "--known-hosts", "/root/known", "--sudo-password-file", "/root/password")...)...)
	}
	for _, targets := range [][]string{{"leader", "worker1"}, {"local", "worker1"}} {
		if out, code := self("PICKET_NO_LOCAL=1", "reboot", targets[0], targets[1], "--yes"); code != 2 || !strings.Contains(out, "PICKET_NO_LOCAL is set") {
			t.Errorf("exit code %d\n%s", code, out)
		}
	}
	since()
	out, _ = self("LC_ALL=C", "reboot", "leader", "worker1", "--yes")
	if back, here := strings.Index(out, "worker1  is back"), strings.Index(out, "leader is the machine that Picket runs on: it is rebooted now"); back < 0 || here < back {
		t.Errorf("%s", out)
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end) && start("leader") == ids["leader"]; {
		time.Sleep(200 * time.Millisecond)
	}
	since("leader", "worker1")

	c.reached()
	c.want(0, []string{"worker1  is gone", "leader   is gone", "3 of 3 hosts done"}, "shutdown", "worker", "leader", "--yes", sudo)
	for _, name := range c.names {
		c.hosts[name].Boot() // which it refuses for one that is on
	}
	since(c.names...)
}
