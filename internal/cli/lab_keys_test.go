package cli_test

import (
	"testing"

	"picket/internal/core/audit"
	"picket/lab"
)

// TestKeysElsewhere gives one account its key by a file that only a Match
// names, and wants of every way to read the host what its sshd does.
func TestKeysElsewhere(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Debian)
	h.Write("/etc/ssh/sshd_config.d/keys.conf", 0o644, "Match User pi\n  AuthorizedKeysFile /etc/ssh/keys/%u\n")
	// The short key in the home is one that sshd does not read.
	h.Sh(`useradd -m -s /bin/bash pi && mkdir -m 755 /etc/ssh/keys && install -m 644 /home/operator/.ssh/authorized_keys /etc/ssh/keys/pi
		install -d -m 700 -o pi -g pi /home/pi/.ssh && ssh-keygen -q -t rsa -b 1024 -N '' -f /run/short && install -m 666 -o pi -g pi /run/short.pub /home/pi/.ssh/authorized_keys
		systemctl restart ssh`)
	lets := func(want bool) {
		t.Helper()
		if out, code := h.TrySSH("pi", "true"); (code == 0) != want {
			t.Errorf("ssh as pi ends with %d: %s", code, out)
		}
	}
	lets(true)
	right := func(r audit.Report) {
		t.Helper()
		must(t, r, "keys/authorized-files", "pass", "only its user and root", "sshd takes no keys from /home/pi/.ssh/authorized_keys")
		must(t, r, "keys/weak-keys", "pass", "sshd takes no keys from /home/pi/.ssh/authorized_keys")
		must(t, r, "accounts/default-user", "fail", "account pi")
	}
	right(auditOn(t, h))
	h.Sh("chmod 777 /etc/ssh/keys; chmod 666 /etc/ssh/keys/pi; cat /run/short.pub >>/etc/ssh/keys/pi")
	lets(false)
	wrong := func(r audit.Report) {
		t.Helper()
		must(t, r, "keys/authorized-files", "fail", "/etc/ssh/keys: permissions: mode 0777, wanted 0755", "/etc/ssh/keys/pi: permissions: mode 0666, wanted 0644")
		must(t, r, "keys/weak-keys", "fail", "/etc/ssh/keys/pi:2", "RSA of 1024 bits")
	}
	r, messages, _ := over(t, h, sudoPassword(t))
	if len(r.Results) == 0 {
		t.Fatal(messages)
	}
	wrong(r)
	h.Sh("echo 'StrictModes no' >/etc/ssh/sshd_config.d/a.conf; systemctl restart ssh")
	lets(true)
	h.Stop()
	wrong(here(t, "image:"+h.Root()))
}
