package fact

import (
	"slices"
	"strings"
	"testing"
	"time"

	"picket/internal/core/snap"
)

// harmless are the files that are asked for and hold no secret by their
// nature: what the kernel says, what packages ship, settings of a known form
// without passwords. A last * stands for any rest. Addresses with passwords
// are hidden in them all the same.
var harmless = []string{
	"/proc/*", "/sys/*", "/usr/lib/modprobe.d/*", "/usr/lib/os-release", "/usr/lib/sddm/*", "/usr/lib/sysctl.d/*",
	"/usr/lib/systemd/journald.conf*", "/usr/lib/systemd/resolved.conf*", "/usr/lib/systemd/system.conf*",
	"/usr/lib/systemd/timesyncd.conf*", "/usr/share/lightdm/*", "/lib/modprobe.d/*", "/lib/modules/*",
	"/var/lib/dpkg/status", "/run/modprobe.d/*", "/run/sysctl.d/*", "/run/reboot-required*", "/usr/local/lib/modprobe.d/*",
	"/usr/local/lib/sysctl.d/*", "/boot/config.txt", "/boot/firmware/config.txt", "/etc/chrony/chrony.conf",
	"/etc/chrony/conf.d/*", "/etc/chrony/sources.d/*", "/etc/default/rpi-eeprom-update", "/etc/default/ufw",
	"/etc/default/useradd", "/etc/gdm3/custom.conf", "/etc/gdm3/daemon.conf", "/etc/hostname", "/etc/iptables/rules.*",
	"/etc/issue", "/etc/issue.net", "/etc/login.defs", "/etc/machine-id", "/etc/modprobe.d/*", "/etc/modules",
	"/etc/modules-load.d/*", "/etc/nftables.conf", "/etc/nsswitch.conf", "/etc/picket/firewall.nft", "/etc/os-release", "/etc/rpi-issue",
	"/etc/audit/rules.d/*", "/etc/aide/*", "/usr/lib/systemd/journal-upload.conf*", "/etc/audit/auditd.conf", "/etc/sddm.conf*", "/etc/security/*", "/etc/shells", "/etc/ssh/moduli", "/etc/ssh/ssh_host_*", "/etc/subgid",
	"/etc/subuid", "/etc/sysctl.conf", "/etc/sysctl.d/*", "/etc/ufw/*",
}

// TestEveryFileIsRedactedOrHarmless: who asks for a new file has to think of
// the secrets in it, and who drops a redaction hears of it.
func TestEveryFileIsRedactedOrHarmless(t *testing.T) {
	used, keys := map[string]bool{}, 0
	for _, kind := range []string{"local", "image"} {
		s := snap.New(snap.Source{Kind: kind}, time.Unix(0, 0))
		put := func(p, content string) {
			s.Put(&snap.Entry{Path: p, Type: snap.File, Mode: 0o644, Read: true, Content: []byte(content)})
		}
		put("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\namy:x:1000:1000::/home/amy:/bin/bash\n")
		put("/etc/ssh/sshd_config", "AuthorizedKeysFile /etc/ssh/keys/%u .config/keys /etc/shadow /etc/hostname\n")
		put("/etc/group", "root:x:0:\namy:x:1000:\n")
		for range snap.MaxRounds {
			m := Ask(s)
			files := slices.Clone(m.Files)
			for _, c := range m.Commands {
				files = append(files, c.Instead...)
			}
			for _, p := range files {
				sample := strings.NewReplacer(`\`, "", "*", "x", "?", "x").Replace(p)
				if slices.ContainsFunc(redactions, func(r redaction) bool { return snap.Match(r.pattern, sample) }) {
					continue
				}
				if slices.Contains(m.Keys, p) {
					keys++
					continue // only lines that are keys are kept of it
				}
				i := slices.IndexFunc(harmless, func(h string) bool {
					before, rest := strings.CutSuffix(h, "*")
					return rest && strings.HasPrefix(p, before) || h == p
				})
				if i < 0 {
					t.Errorf("%s is neither redacted nor said to be harmless", p)
					continue
				}
				used[harmless[i]] = true
			}
			s.MarkAsked(m)
		}
	}
	// Two files of two accounts, on two kinds of host; shadow and hostname are others'.
	if keys != 2*2*2 {
		t.Errorf("%d files of keys", keys)
	}
	for _, h := range harmless {
		if !used[h] {
			t.Errorf("nothing asks for %s", h)
		}
	}
}
