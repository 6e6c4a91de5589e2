package snapshot_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"picket/catalogue"
	"picket/internal/core/control"
	"picket/internal/core/kind"
	"picket/lab/sshserver"
)

// policy is "Hardened Debian 12 (version 3)" of ssh-audit, which the version in
// Debian 12 does not bring, as a file of its own. What sshd adds to the list of
// key exchanges to tell that it counts strictly is no algorithm; the last host
// key is that of the test's server.
const policy = `name = "Hardened Debian 12"
version = 3
hostkey_size_rsa-sha2-256 = 4096
hostkey_size_rsa-sha2-512 = 4096
host keys = ssh-ed25519, rsa-sha2-512, rsa-sha2-256, ssh-ed25519
key exchanges = sntrup761x25519-sha512, sntrup761x25519-sha512@openssh.com, curve25519-sha256, curve25519-sha256@libssh.org, diffie-hellman-group16-sha512, diffie-hellman-group18-sha512, diffie-hellman-group-exchange-sha256, kex-strict-s-v00@openssh.com
ciphers = chacha20-poly1305@openssh.com, aes256-gcm@openssh.com, aes256-ctr, aes192-ctr, aes128-gcm@openssh.com, aes128-ctr
macs = hmac-sha2-256-etm@openssh.com, hmac-sha2-512-etm@openssh.com, umac-128-etm@openssh.com
`

// TestSSHAuditPassesTheFix types the fix of ssh/audit-policy, starts an sshd
// with the lists that it makes, and lets ssh-audit judge it by its policy.
func TestSSHAuditPassesTheFix(t *testing.T) {
	audit := sshserver.Need(t, "ssh-audit")
	controls, _ := control.Load(catalogue.Controls(), kind.All())
	fix := ""
	for _, c := range controls {
		if c.ID == "ssh/audit-policy" {
			fix = c.Fix
		}
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "lists")
	for kind, bits := range map[string]string{"ed25519": "256", "rsa": "4096"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", kind, "-b", bits, "-N", "", "-f", filepath.Join(dir, "ssh_host_"+kind+"_key")).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, out)
		}
	}
	var script strings.Builder
	for line := range strings.Lines(fix) {
		if strings.HasPrefix(line, "echo ") || strings.HasPrefix(line, "printf ") {
			script.WriteString(strings.NewReplacer("sudo tee", "tee", "/etc/ssh/sshd_config.d/00-algorithms.conf", file, "/etc/ssh/ssh_host", dir+"/ssh_host").Replace(line))
		}
	}
	if out, err := exec.Command("sh", "-ec", script.String()).CombinedOutput(); err != nil {
		t.Fatalf("the fix: %v: %s", err, out)
	}
	lists, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	judge := func(options ...string) string {
		s := sshserver.Real(t, options...)
		file := filepath.Join(t.TempDir(), "policy")
		if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(audit, "-n", "-P", file, "-p", strconv.Itoa(s.Port), s.Host).CombinedOutput()
		return fmt.Sprintf("%s (%v)", out, err)
	}
	if said := judge(strings.Split(strings.TrimSpace(string(lists)), "\n")...); !strings.Contains(said, "Passed") {
		t.Errorf("with the lists\n%s\nssh-audit says\n%s", lists, said)
	}
	if said := judge(); strings.Contains(said, "Passed") {
		t.Errorf("without them it is content as well: %s", said)
	}
}
