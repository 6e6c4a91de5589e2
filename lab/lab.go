// Package lab boots real Debian 12 hosts for tests: systemd, sshd, nftables and all.
//
// A host is a folder (a role's layers under an overlay of its own) that systemd-nspawn boots in
// namespaces of its own, on a bridge that only the hosts and the test can reach. It dies with the
// process that started it, however that process ends.
//
//	h := lab.Start(t, lab.Debian)
//	h.Write("/etc/ssh/sshd_config.d/50-cloud-init.conf", 0o644, "PasswordAuthentication yes\n")
//	h.Run("systemctl", "reload", "ssh")
//
// The lab shares the kernel and its clock with the machine: hosts cannot set the time, cannot load
// modules, and see the machine's kernel.* settings read-only.
package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Packages are the Debian packages that the lab needs. systemd-container has to be installed first
// and alone: it may bring a newer systemd with it.
var Packages = []string{"systemd-container", "mmdebstrap", "iproute2", "openssh-client", "util-linux", "nftables"}

// programs are what Packages bring and the lab runs.
var programs = []string{"systemd-nspawn", "mmdebstrap", "ip", "ssh", "ssh-keygen", "nsenter", "unshare", "mount", "umount", "chroot"}

// Available tells why the lab cannot run here; nil if it can.
func Available() error {
	var reasons []string
	if os.Geteuid() != 0 {
		reasons = append(reasons, "not root")
	}
	if codename := osRelease()["VERSION_CODENAME"]; codename != suite {
		reasons = append(reasons, fmt.Sprintf("not a Debian %s machine", suite))
	}
	var missing []string
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		reasons = append(reasons, "missing "+strings.Join(missing, ", ")+" (apt-get install "+strings.Join(Packages, " ")+")")
	}
	if len(reasons) == 0 {
		return nil
	}
	return errors.New("the lab cannot run: " + strings.Join(reasons, "; "))
}

// osRelease reads /etc/os-release; an empty map where there is none.
func osRelease() map[string]string {
	values := map[string]string{}
	content, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return values
	}
	for line := range strings.Lines(string(content)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			values[name] = strings.Trim(value, `"`)
		}
	}
	return values
}
