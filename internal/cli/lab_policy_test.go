package cli_test

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"picket/lab"
)

// TestApplyPolicy has a protected host, of which nothing is found, be as its owner has decided: when updates are installed,
// in which country the radio is, and at which port SSH listens. All of it goes back.
func TestApplyPolicy(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Good)
	h.Sh("mkdir -p /etc/wpa_supplicant")
	h.Write("/etc/wpa_supplicant/wpa_supplicant.conf", 0o600, "country=GB\nnetwork={\n\tssid=\"home\"\n\tpsk=\"orchard-teapot\"\n}\n")
	before := h.Hashes("/etc")
	file := filepath.Join(t.TempDir(), "picket.yaml")
	if err := os.WriteFile(file, []byte("policy:\n  ssh: {port: 2222}\n  wifi: {country: DE}\n  updates: {window: \"02:00-04:00\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var ids []string
	apply := func(target string, more ...string) string {
		t.Helper()
		out, code := verb(t, h, append([]string{"apply", "TARGET", "--config", file, "--profile", "strict", "--accept-risk", "lose-ssh,lose-network", "--yes"}, more...)...)
		for _, m := range regexp.MustCompile(`kept as (\S+)`).FindAllStringSubmatch(out, -1) {
			ids = append(ids, m[1])
		}
		if code != 0 {
			t.Errorf("%s: exit code %d\n%s", target, code, out)
		}
		return strings.Join(strings.Fields(out), " ")
	}
	listens := func(want ...string) {
		t.Helper()
		got := strings.Fields(h.Sh("ss -Hltn4 | awk '{print $4}' | sed -n 's/^0.0.0.0://p' | sort -n"))
		if got = slices.DeleteFunc(got, func(p string) bool { return p != "22" && p != "2222" }); !slices.Equal(got, want) {
			t.Errorf("sshd listens at %v, want %v", got, want)
		}
	}
	// The firewall lets nobody in at the new port: that is left, and the rest is done.
	out := apply("with a firewall", "--only", "ssh/socket-port,updates/automatic,wifi/country")
	if !strings.Contains(out, "the firewall refuses port 2222: open it first") {
		t.Error(out)
	}
	listens("22")
	if at := h.Sh("systemctl show -p NextElapseUSecRealtime --value apt-daily-upgrade.timer; systemctl show -p RandomizedDelayUSec --value apt-daily-upgrade.timer"); !regexp.MustCompile(` 0[23]:\d\d:\d\d .*\n1h\n`).MatchString(at) {
		t.Errorf("updates are installed at %s", at)
	}
	h.Sh(`[ "$(apt-config dump Unattended-Upgrade::Automatic-Reboot-Time)" = 'Unattended-Upgrade::Automatic-Reboot-Time "04:00";' ]
		grep -qx country=DE /etc/wpa_supplicant/wpa_supplicant.conf && grep -q orchard-teapot /etc/wpa_supplicant/wpa_supplicant.conf
		grep -qx 'options cfg80211 ieee80211_regdom=DE' /etc/modprobe.d/zz-picket.conf`)

	h.Sh("nft insert rule inet filter input tcp dport 2222 accept")
	apply("with an open firewall", "--only", "ssh/socket-port")
	listens("22", "2222")
	if out := apply("once more", "--only", "ssh/socket-port"); !strings.Contains(out, "who comes in there may have the others shut") {
		t.Error(out)
	}

	// Over the new port the old one is shut.
	known, err := os.ReadFile(h.KnownHosts())
	if err != nil {
		t.Fatal(err)
	}
	there := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(there, []byte(strings.ReplaceAll("\n"+string(known), "\n"+h.Addr()+" ", "\n["+h.Addr()+"]:2222 ")), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := h.Command(program(t), []string{"apply", "ssh://operator@" + h.Addr() + ":2222", "--config", file, "--profile", "strict", "--only", "ssh/socket-port",
		"--accept-risk", "lose-ssh", "--yes", "--identity", h.KeyFile(), "--known-hosts", there, sudoPassword(t)}...)
	cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK=", "HOME="+t.TempDir())
	text, _ := cmd.CombinedOutput()
	m := regexp.MustCompile(`kept as (\S+)`).FindSubmatch(text)
	if m == nil {
		t.Fatalf("over the new port: exit code %d\n%s", cmd.ProcessState.ExitCode(), text)
	}
	ids = append(ids, string(m[1]))
	listens("2222")
	if c, err := h.DialWithin(5*time.Second, "tcp", net.JoinHostPort(h.Addr(), "2222")); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
	for _, id := range slices.Backward(ids) {
		h.Sh("sh /var/lib/picket/tx/" + id + "/tx undo")
	}
	listens("22")
	h.SSH("operator", "true")
	differ(t, "the policy", before, h.Hashes("/etc"))
}

// TestApplyPortOfSocket has ssh.socket, which listens in sshd's place, listen at the port that was decided as well.
func TestApplyPortOfSocket(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Debian)
	h.Sh("systemctl disable --now ssh.service; systemctl enable --now ssh.socket")
	h.SSH("operator", "true")
	before := h.Hashes("/etc")
	file := filepath.Join(t.TempDir(), "picket.yaml")
	if err := os.WriteFile(file, []byte("policy:\n  ssh: {port: 2222}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := verb(t, h, "apply", "TARGET", "--config", file, "--profile", "strict", "--only", "ssh/socket-port", "--accept-risk", "lose-ssh", "--yes")
	m := regexp.MustCompile(`kept as (\S+)`).FindStringSubmatch(out)
	if code != 0 || m == nil {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	if got := h.Sh("systemctl show -p Listen --value ssh.socket"); !strings.Contains(got, ":22 ") || !strings.Contains(got, ":2222 ") {
		t.Errorf("ssh.socket listens at %s", got)
	}
	h.SSH("operator", "true")
	h.Sh("sh /var/lib/picket/tx/" + m[1] + "/tx undo")
	if got := h.Sh("systemctl show -p Listen --value ssh.socket"); strings.Contains(got, ":2222 ") {
		t.Errorf("ssh.socket listens at %s", got)
	}
	h.SSH("operator", "true")
	differ(t, "the socket", before, h.Hashes("/etc"))
}
