package cli_test

import (
	"regexp"
	"strings"
	"testing"

	"picket/lab"
)

var runOf = regexp.MustCompile(`To take (?:all of )?it back: \S+ rollback (\d{8}-\d{6})`)

// TestAccountsOfMany makes an account on each node of a cluster, gives another one new passwords there, and closes it. A node
// that refuses, or cannot be reached, keeps no other from it.
func TestAccountsOfMany(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "leader", "worker1", "worker2")
	for _, h := range c.hosts {
		plantPi(h)
	}
	all := func(what string) string {
		var out []string
		for _, name := range c.names {
			got, _ := c.hosts[name].Try("sh", "-c", what)
			out = append(out, strings.TrimSpace(got))
		}
		return strings.Join(out, " ")
	}
	key := newKey(t)
	add := []string{"user", "add", "ann", "all", "--from", "pi", "--key", key + ".pub", "--sudo", "--password-file", secretFile(t, lab.OperatorPassword), "--yes"}

	c.hosts["worker2"].Sh("mkdir /home/ann")
	out, code := c.run(add...)
	if code != 4 || !strings.Contains(out, "worker2: there is such a folder already: /home/ann") || !strings.Contains(out, "not done on 1 host") {
		t.Errorf("one refuses: exit code %d\n%s", code, out)
	}
	if got := all("id -nG ann 2>/dev/null | tr ' ' '\n' | grep -c -e gpio -e sudo"); got != "2 2 0" {
		t.Errorf("accounts: %q\n%s", got, out)
	}
	c.hosts["worker2"].Sh("rmdir /home/ann")
	if out, code = c.run(add...); code != 4 || !strings.Contains(out, "worker2: done and kept as ") {
		t.Errorf("once more: exit code %d\n%s", code, out)
	}

	// A node that is away is named, and the others are done.
	was := all("getent shadow pi | cut -d: -f2")
	c.hosts["worker1"].CutNetwork()
	secret := "copper-Gondola-47-thistle"
	out, code = c.run("passwd", "pi", "all", "--password-file", secretFile(t, secret), "--yes")
	if code != 3 || !strings.Contains(out, "worker1: ") || runOf.FindString(out) == "" {
		t.Errorf("one is away: exit code %d\n%s", code, out)
	}
	c.hosts["worker1"].RestoreNetwork()
	is, old := strings.Fields(all("getent shadow pi | cut -d: -f2")), strings.Fields(was)
	for i, name := range c.names {
		if changed := is[i] != old[i]; changed != (name != "worker1") {
			t.Errorf("%s: a new password: %v\n%s", name, changed, out)
		}
		if h := c.hosts[name]; name != "worker1" {
			noSecrets(t, h, out, secret)
		}
	}

	// One's own, with which all that follows becomes root.
	own := secretFile(t, secret)
	if out, code = c.run("passwd", "operator", "all", "--password-file", own, "--yes"); code != 0 || strings.Count(out, "done and kept as") != 3 {
		t.Errorf("one's own: exit code %d\n%s", code, out)
	}
	for _, h := range c.hosts {
		h.Sh("echo operator:" + lab.OperatorPassword + " | chpasswd")
	}

	// Locked, and closed.
	if out, code = c.run("passwd", "pi", "all", "--lock", "--yes"); code != 0 || all("passwd -S pi | cut -d' ' -f2") != "L L L" {
		t.Errorf("locked: exit code %d, %s\n%s", code, all("passwd -S pi"), out)
	}
	if out, code = c.run("passwd", "pi", "all", "--lock", "--yes"); code != 0 || strings.Count(out, "no password of pi works already") != 3 {
		t.Errorf("locked again: exit code %d\n%s", code, out)
	}
	shut := []string{"user", "close", "pi", "all", "--for", "ann", "--identity", key, "--yes"}
	out, code = c.run(shut...)
	run := runOf.FindStringSubmatch(out)
	if code != 0 || run == nil || all("chage -l pi | grep -c 'Account expires.*never'") != "0 0 0" {
		t.Fatalf("closed: exit code %d\n%s", code, out)
	}
	if out, code = c.run(shut...); code != 0 || strings.Count(out, "pi is closed already") != 3 {
		t.Errorf("closed again: exit code %d\n%s", code, out)
	}
	if out, code = c.run("rollback", run[1], "all", "--yes"); code != 0 || all("chage -l pi | grep -c 'Account expires.*never'") != "1 1 1" {
		t.Errorf("opened again: exit code %d\n%s", code, out)
	}
}
