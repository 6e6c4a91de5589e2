package cli_test

import (
	"strings"
	"testing"
	"time"

	"picket/lab"
)

// TestBanSeesNothing is T21: fail2ban runs, its jail is on, and what it looks for is never written: not into that file,
// or not in those words. Somebody who guesses is let go on; once it is repaired, that is over.
func TestBanSeesNothing(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Good)
	const anew = `systemctl restart fail2ban; for i in $(seq 50); do ! fail2ban-client status sshd >/dev/null 2>&1 || break; sleep 0.1; done; fail2ban-client status sshd`
	shut := func() bool {
		conn, err := h.DialWithin(time.Second, "tcp", h.Addr()+":22")
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	}
	guess := func() {
		for range 6 {
			// A ban in the middle of it leaves the client waiting.
			_ = h.Command("timeout", append(append([]string{"3", "ssh"}, h.SSHOptions()...), "-l", "nobodyofthatname", h.Addr(), "true")...).Run()
		}
	}
	unseen := func() {
		t.Helper()
		guess()
		time.Sleep(2 * time.Second) // more than fail2ban takes to see a line
		if out := h.Run("fail2ban-client", "status", "sshd"); !strings.Contains(out, "Total failed:\t0") || shut() {
			t.Errorf("it sees something:\n%s", out)
		}
	}
	// What is planted spares nobody but the host itself.
	h.Sh(`cp -p /etc/fail2ban/jail.d/sshd.local /root/; sed -i -e 's/^ignoreip.*/ignoreip = 127.0.0.1/' -e '/^backend/d' /etc/fail2ban/jail.d/sshd.local
		touch /var/log/auth.log; ` + anew)
	must(t, auditOn(t, h, "--only", "ban/ssh"), "ban/ssh", "ineffective", "fail2ban sees nothing", "/var/log/auth.log, which nothing writes")
	unseen()
	h.Sh(`sed -i 's/^enabled.*/&\nbackend = systemd/' /etc/fail2ban/jail.d/sshd.local; rm /var/log/auth.log
		printf '[Definition]\nfailregex = ^password denied for <HOST>$\n' >/etc/fail2ban/filter.d/sshd.local; ` + anew)
	must(t, auditOn(t, h, "--only", "ban/ssh"), "ban/ssh", "ineffective", "matches no line of sshd's", "/etc/fail2ban/filter.d/sshd.local")
	unseen()
	h.Sh(`printf '[Definition]\nmaxlines = 1\n' >/etc/fail2ban/filter.d/sshd.local; ` + anew)
	must(t, auditOn(t, h, "--only", "ban/ssh"), "ban/ssh", "pass")
	guess()
	await(t, "whoever guesses is shut out", shut)
}
