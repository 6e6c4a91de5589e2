package cli_test

import (
	"os"
	"strings"
	"testing"

	"picket/lab"
)

// TestWeakHostKey has sshd not show a short RSA key any more where clients know the host by a stronger one; for one that knows it
// by the short one alone it goes back.
func TestWeakHostKey(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Debian)
	h.Sh("cd /etc/ssh; rm ssh_host_rsa_key*; ssh-keygen -q -t rsa -b 2048 -N '' -f ssh_host_rsa_key; systemctl restart ssh")
	known := h.Addr() + " " + h.Read("/etc/ssh/ssh_host_rsa_key.pub")
	shown := func() string {
		return h.Sh("ssh-keyscan -t rsa,ecdsa,ed25519 127.0.0.1 2>/dev/null | cut -d' ' -f 2 | sort; sha256sum /etc/ssh/ssh_host_* | sha256sum; ls /etc/ssh/sshd_config.d")
	}
	before := shown()
	if !strings.Contains(before, "ssh-rsa") {
		t.Fatalf("it shows %s", before)
	}
	all, err := os.ReadFile(h.KnownHosts())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		known string
		code  int
		says  string
	}{{known, 5, "a new login fails"}, {string(all), 0, "all of it holds: kept"}} {
		if err := os.WriteFile(h.KnownHosts(), []byte(c.known), 0o600); err != nil {
			t.Fatal(err)
		}
		out, code := verb(t, h, "apply", "TARGET", "--only", "ssh/host-key-size", "--accept-risk", "lose-ssh", "--yes")
		if code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("exit code %d, want %d\n%s", code, c.code, out)
		}
		switch after := shown(); {
		case c.code != 0 && after != before:
			t.Errorf("it was to go back: %s, and is %s", before, after)
		case c.code == 0 && after != strings.Replace(before, "ssh-rsa\n", "", 1)+"00-picket.conf\n":
			t.Errorf("it shows %s", after)
		}
	}
	h.SSH("operator", "true")
}
