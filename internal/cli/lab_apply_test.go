package cli_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"picket/lab"
)

// verb runs a command of picket's about a host, over SSH from outside, as the operator with the password for sudo.
func verb(t *testing.T, h *lab.Host, args ...string) (out string, code int) {
	t.Helper()
	at := slices.Index(args, "TARGET")
	args[at] = "ssh://operator@" + h.Addr()
	cmd := h.Command(program(t), append(args, "--identity", h.KeyFile(), "--known-hosts", h.KnownHosts(), sudoPassword(t))...)
	cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK=", "HOME="+t.TempDir())
	text, _ := cmd.CombinedOutput()
	return string(text), cmd.ProcessState.ExitCode()
}

// TestApply changes a stock Debian over SSH, with every risk accepted that there is, and takes it back.
func TestApply(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Debian)
	lived(h)
	before := auditOn(t, h)

	// Somebody who has a password and no key would be locked out.
	h.Sh(`useradd -m -s /bin/bash ada; echo ada:brackish-lantern-41-Friday | chpasswd`)
	if out, code := verb(t, h, "apply", "TARGET", "--only", "ssh/password-login", "--accept-risk", "lose-ssh", "--yes"); code != 0 ||
		!strings.Contains(out, "ada would be locked out") || strings.Contains(out, "done and kept") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	must(t, auditOn(t, h), "ssh/password-login", "fail")
	h.Sh("userdel -r ada 2>/dev/null")

	const skip = "--skip=audit,integrity,ban,updates,time" // what wants packages, of which the lab has none to give
	out, code := verb(t, h, "apply", "TARGET", "--profile", "strict", skip, "--accept-risk", "lose-ssh,lose-network", "--yes")
	if code != 0 || !strings.Contains(out, "all of it holds: kept") {
		t.Fatalf("exit code %d\n%s\n%s", code, out, h.Sh("cat /var/lib/picket/tx/*/journal"))
	}
	after := auditOn(t, h)
	for _, id := range []string{"ssh/password-login", "ssh/root-login", "cron/crontab", "cron/folders", "ssh/auth-tries", "ssh/key-exchange", "ssh/macs", "ssh/rsa-size", "network/accept-redirects"} {
		must(t, after, id, "pass")
	}
	// Of what wants a package there is none; all else is done.
	if out, code = verb(t, h, "apply", "TARGET", "--profile", "strict", skip+",pam/password-quality", "--accept-risk", "lose-ssh,lose-network", "--yes"); code != 0 || strings.Contains(out, "done and kept") {
		t.Errorf("a second time: exit code %d\n%s", code, out)
	}
	out, _ = verb(t, h, "history", "TARGET")
	kept := regexp.MustCompile(`(?m)^(\d{8}-\d{6}\S*) +confirmed +\d{4}-\d\d-\d\d \d\d:\d\d UTC +\d+ steps?$`).FindAllStringSubmatch(out, -1)
	if len(kept) == 0 {
		t.Fatalf("the history:\n%s", out)
	}
	for _, m := range kept { // the last first
		if out, code = verb(t, h, "rollback", m[1], "TARGET"); code != 0 || !strings.Contains(out, "was taken back") {
			t.Errorf("rollback: exit code %d\n%s", code, out)
		}
	}
	same(t, before, auditOn(t, h))
	if out, code = verb(t, h, "rollback", "20010101-000000", "TARGET"); code != 2 || !strings.Contains(out, "there is no change") {
		t.Errorf("what never was: exit code %d\n%s", code, out)
	}
}

// TestApplyGoesBack has a change that keeps the operator out, and one that is of no use; the host is as before each time.
func TestApplyGoesBack(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Debian)
	lived(h)
	before := auditOn(t, h)
	// What locks the operator out comes with the reload of sshd.
	h.Sh(`mkdir -p /etc/systemd/system/ssh.service.d; cat >/usr/local/sbin/trap-reload <<'END'
#!/bin/sh
if [ -e /etc/ssh/sshd_config.d/00-picket.conf ]; then echo 'AllowUsers nobody' >/etc/ssh/sshd_config.d/01-trap.conf; else rm -f /etc/ssh/sshd_config.d/01-trap.conf; fi
END
chmod 755 /usr/local/sbin/trap-reload; printf '[Service]\nExecReload=\nExecReload=/usr/local/sbin/trap-reload\nExecReload=/bin/kill -HUP $MAINPID\n' >/etc/systemd/system/ssh.service.d/trap.conf; systemctl daemon-reload`)
	out, code := verb(t, h, "apply", "TARGET", "--only", "ssh/auth-tries", "--profile", "strict", "--yes")
	if code != 5 || !strings.Contains(out, "a new login fails") || !strings.Contains(out, "it was taken back") {
		t.Errorf("a change that keeps the operator out: exit code %d\n%s", code, out)
	}
	h.SSH("operator", "true")
	if got := h.Sh("ls /etc/ssh/sshd_config.d; cat /var/lib/picket/tx/*/state"); got != "undone\n" {
		t.Errorf("left: %q", got)
	}
	// The same on the host itself, where nobody can be logged in anew: what can be judged is.
	h.Sh("rm -r /var/lib/picket")
	if out, code := h.Try(onHost, "apply", "--only", "ssh/auth-tries", "--profile", "strict", "--yes"); code != 5 || !strings.Contains(out, "operator could log in before and cannot any more") {
		t.Errorf("on the host itself: exit code %d\n%s", code, out)
	}
	h.SSH("operator", "true")
	h.Sh("rm -r /etc/systemd/system/ssh.service.d /usr/local/sbin/trap-reload /var/lib/picket; systemctl daemon-reload")
	same(t, before, auditOn(t, h))

	// The link is cut as soon as the steps are being taken.
	done := make(chan string, 1)
	go func() {
		out, _ := verb(t, h, "apply", "TARGET", "--only", "ssh/auth-tries", "--profile", "strict", "--yes", "--confirm-within", "10s")
		done <- out
	}()
	h.Sh("for i in $(seq 600); do [ ! -e /var/lib/picket/tx/*/pid ] || break; sleep 0.05; done")
	h.CutNetwork()
	await(t, "it goes back by itself", func() bool {
		return strings.Contains(h.Sh("sh /var/lib/picket/tx/*/tx state"), "undone")
	})
	h.RestoreNetwork()
	select {
	case out := <-done:
		if strings.Contains(out, "done and kept") {
			t.Errorf("it says that it is kept:\n%s", out)
		}
	case <-time.After(3 * time.Minute):
		t.Error("apply waits for ever")
	}
	h.SSH("operator", "true")
	h.Sh("rm -r /var/lib/picket")
	same(t, before, auditOn(t, h))
}
