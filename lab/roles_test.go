package lab_test

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"picket/lab"
)

// What each role plants is so: a test that builds on a role relies on it.

func TestDebian(t *testing.T) {
	h := lab.Start(t, lab.Debian)
	if failed := failedUnits(h); failed != "" {
		t.Errorf("failed units: %s", failed)
	}
	if got := listening(t, h, "tcp"); !slices.Equal(got, []string{"22"}) {
		t.Errorf("listens on TCP ports %q", got)
	}
	if rules := h.Sh("command -v nft >/dev/null && nft list ruleset || true"); rules != "" {
		t.Errorf("has a firewall:\n%s", rules)
	}
	sshd := h.Run("sshd", "-T")
	for _, want := range []string{"passwordauthentication yes", "permitrootlogin without-password", "usepam yes", "x11forwarding yes"} {
		has(t, "sshd -T", sshd, want)
	}
	has(t, "shadow", h.Run("getent", "shadow", "root"), "root:!")
	has(t, "sudo", h.Run("sudo", "-l", "-U", "operator"), "(ALL : ALL) ALL")
	has(t, "sources", h.Run("apt-cache", "policy"), "bookworm-security/main")
	if changed := h.Sh("dpkg --verify 2>/dev/null | grep ' c \\?/etc/' || true"); changed != "" {
		t.Errorf("settings that are not Debian's:\n%s", changed)
	}
}

func TestGuides(t *testing.T) {
	h := lab.Start(t, lab.Guides)

	// T1: the main file says no, and a drop-in wins.
	has(t, "sshd_config", h.Read("/etc/ssh/sshd_config"), "\nPasswordAuthentication no\n")
	has(t, "sshd -T", h.Run("sshd", "-T"), "\npasswordauthentication yes\n")
	if err := h.TryPassword("alice", lab.AlicePassword); err != nil {
		t.Errorf("alice and her weak password: %v", err)
	}
	// T2: the ban daemon does not start without the log file that its jail names.
	if failed := failedUnits(h); failed != "fail2ban.service" {
		t.Errorf("failed units: %q, want fail2ban's only", failed)
	}
	has(t, "fail2ban's journal", h.Run("journalctl", "--no-pager", "-u", "fail2ban"), "Have not found any log file for")
	// T3: the rule names the port that the other side sends from.
	rules := h.Run("nft", "list", "ruleset")
	has(t, "rules", rules, "ip saddr 192.168.2.1 tcp sport 30")
	has(t, "rules", rules, "policy drop")
	// T6: an account without password and with a key.
	has(t, "shadow", h.Run("getent", "shadow", "deploy"), "deploy:!")
	if out, code := h.TrySSH("deploy", "true"); code != 255 {
		t.Errorf("deploy's key lets it in although UsePAM is no (exit code %d)\n%s", code, out)
	}
	if out, code := h.TrySSH("alice", "true"); code != 0 {
		t.Errorf("alice's key does not let her in (exit code %d)\n%s", code, out)
	}
	// T12: a ban for ever, and nobody left out of it.
	has(t, "jail.local", h.Read("/etc/fail2ban/jail.local"), "\nbantime = -1\n")
	// T16: no source of time answers.
	has(t, "chronyc", h.Run("chronyc", "-n", "tracking"), "Not synchronised")
	// T20: a key without passphrase, allowed on every node.
	h.Run("ssh-keygen", "-y", "-P", "", "-f", "/home/alice/.ssh/id_ed25519")
	if keys := strings.Count(h.Read("/home/alice/.ssh/authorized_keys"), "ssh-ed25519 "); keys != 4 {
		t.Errorf("alice has %d keys, want three nodes' and the lab's", keys)
	}
}

func TestGood(t *testing.T) {
	h := lab.Start(t, lab.Good)
	if failed := failedUnits(h); failed != "" {
		t.Errorf("failed units: %s", failed)
	}
	sshd := h.Run("sshd", "-T")
	for _, want := range []string{"passwordauthentication no", "kbdinteractiveauthentication no", "permitrootlogin no"} {
		has(t, "sshd -T", sshd, want)
	}
	if h.TryPassword("operator", lab.OperatorPassword) == nil {
		t.Error("a password lets in")
	}
	if got := h.SSH("operator", "echo", "in"); got != "in\n" {
		t.Errorf("over SSH: %q", got)
	}
	has(t, "rules", h.Run("nft", "list", "ruleset"), "hook input priority filter; policy drop;")
	has(t, "chronyc", h.Run("chronyc", "-n", "tracking"), "Leap status     : Normal")
	has(t, "timers", h.Run("systemctl", "list-timers", "--no-pager"), "apt-daily-upgrade.timer")

	// The firewall drops what it does not know: a server that somebody starts is not reached.
	h.Run("systemd-run", "--quiet", "python3", "-m", "http.server", "8000")
	h.Sh("for i in $(seq 50); do ss -Hltn 'sport = :8000' | grep -q . && exit; sleep 0.1; done; exit 1")
	if reached(h, "8000") {
		t.Error("port 8000 is reached from outside")
	}

	// Bans are read from the journal, and made in the kernel.
	intruder := lab.Start(t, lab.Debian)
	for range 6 {
		intruder.Try("timeout", "10", "ssh", "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes", "nobody-here@"+h.Addr())
	}
	banned := ""
	for start := time.Now(); time.Since(start) < 20*time.Second && !strings.Contains(banned, intruder.Addr()); time.Sleep(200 * time.Millisecond) {
		banned = h.Run("nft", "list", "ruleset")
	}
	has(t, "rules after six failed logins", banned, intruder.Addr())
	if got := h.SSH("operator", "echo", "in"); got != "in\n" {
		t.Errorf("over SSH, from an address that is not banned: %q", got)
	}
}

func TestPioreactor(t *testing.T) {
	h := lab.Start(t, lab.Pioreactor)
	if err := h.TryPassword("pioreactor", lab.PioreactorPassword); err != nil {
		t.Errorf("with the factory password: %v", err)
	}
	if got := h.SSH("pioreactor", "sudo", "-n", "id", "-u"); got != "0\n" {
		t.Errorf("sudo without a password gives %q", got)
	}
	for _, port := range []string{"22", "80", "1883", "9001"} {
		if !reached(h, port) {
			t.Errorf("port %s is not reached from outside", port)
		}
	}
	h.Run("mosquitto_pub", "-u", "pioreactor", "-P", lab.PioreactorPassword, "-t", "a", "-m", "b")
	if _, code := h.Try("mosquitto_pub", "-t", "a", "-m", "b"); code == 0 {
		t.Error("the broker lets anybody in")
	}
	has(t, "config.ini", h.Read("/home/pioreactor/.pioreactor/config.ini"), "\npassword=raspberry\n")
	if got := h.Run("stat", "-c", "%a %U:%G", "/home/pioreactor/.pioreactor/config.ini"); got != "664 pioreactor:www-data\n" {
		t.Errorf("config.ini has %s", got)
	}
	// T5: updates are installed, and never run.
	for _, unit := range []string{"apt-daily.service", "apt-daily-upgrade.service"} {
		if got, _ := h.Try("systemctl", "is-enabled", unit); got != "masked\n" {
			t.Errorf("%s is %s", unit, got)
		}
	}
	has(t, "packages", h.Run("dpkg-query", "-W", "-f=${Status}", "unattended-upgrades"), "ok installed")
}

func failedUnits(h *lab.Host) string {
	return strings.Join(strings.Fields(h.Sh("systemctl list-units --failed --plain --no-legend | cut -d ' ' -f 1")), " ")
}

// listening lists the ports on which something answers from outside, sorted.
func listening(t *testing.T, h *lab.Host, protocol string) []string {
	t.Helper()
	var ports []string
	for line := range strings.Lines(h.Run("ss", "-Hln", "--"+protocol)) {
		host, port, err := net.SplitHostPort(strings.Fields(line)[3])
		if err != nil {
			t.Fatalf("ss: %q: %v", line, err)
		}
		if ip := net.ParseIP(host); !ip.IsLoopback() && !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	slices.Sort(ports)
	return ports
}

// reached reports whether a TCP port answers from the bridge.
func reached(h *lab.Host, port string) bool {
	conn, err := h.DialWithin(2*time.Second, "tcp", net.JoinHostPort(h.Addr(), port))
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

func has(t *testing.T, what, text, want string) {
	t.Helper()
	if !strings.Contains(text, want) {
		t.Errorf("%s does not hold %q:\n%s", what, want, text)
	}
}
