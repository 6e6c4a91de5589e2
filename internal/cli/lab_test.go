package cli_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"picket/internal/core/audit"
	"picket/internal/core/control"
	"picket/lab"
)

// binary builds the program that the tests on booted hosts run, once.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "picket-test")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "picket")
	cmd := exec.Command("go", "build", "-o", file, "picket/cmd/picket")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	return file, cmd.Run()
})

const onHost = "/usr/local/bin/picket"

// start boots a host with picket on it.
func start(t *testing.T, role lab.Role) *lab.Host {
	t.Helper()
	h := lab.Start(t, role)
	file, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	h.CopyIn(file, onHost)
	return h
}

// report reads the JSON that picket wrote before its messages.
func decode(t *testing.T, out string) audit.Report {
	t.Helper()
	var r audit.Report
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&r); err != nil {
		t.Fatalf("%v in:\n%.2000s", err, out)
	}
	return r
}

// auditOn runs picket as root on the host.
func auditOn(t *testing.T, h *lab.Host, args ...string) audit.Report {
	t.Helper()
	out, code := h.Try(onHost, append([]string{"audit", "--output", "json"}, args...)...)
	if code == 2 || code > 3 {
		t.Fatalf("exit code %d\n%.2000s", code, out)
	}
	return decode(t, out)
}

// result finds one control's result.
func result(t *testing.T, r audit.Report, id string) audit.Result {
	t.Helper()
	for _, res := range r.Results {
		if res.Control == id {
			return res
		}
	}
	t.Fatalf("no result for %s", id)
	return audit.Result{}
}

// must wants a control's verdict to be one of those given, parted by "|", and
// its reason or evidence to hold every text.
func must(t *testing.T, r audit.Report, id, verdicts string, texts ...string) {
	t.Helper()
	res := result(t, r, id)
	all := res.Reason
	for _, e := range res.Evidence {
		all += "\n  " + e.Place + ": " + e.Fact + ": " + e.Found + ", wanted " + e.Wanted
	}
	if !strings.Contains("|"+verdicts+"|", "|"+string(res.Verdict)+"|") {
		t.Errorf("%s is %s, want %s: %s", id, res.Verdict, verdicts, all)
		return
	}
	for _, text := range texts {
		if !strings.Contains(all, text) {
			t.Errorf("%s does not name %q: %s", id, text, all)
		}
	}
}

// TestTraps plants what looks protected and is not (requirements T1 to T22),
// on a host that is protected, and takes it away again.
func TestTraps(t *testing.T) {
	h := start(t, lab.Good)
	const bad, pass = "fail|ineffective", "pass"
	for _, tc := range []struct {
		name, control, plant, undo, verdict string
		texts                               []string
	}{
		{
			name: "T1 a drop-in switches passwords back on", control: "ssh/password-login", verdict: "ineffective",
			plant: `printf 'PasswordAuthentication yes\n' >/etc/ssh/sshd_config.d/00-cloud-init.conf; systemctl reload ssh`,
			undo:  `rm /etc/ssh/sshd_config.d/00-cloud-init.conf; systemctl reload ssh`,
			texts: []string{"/etc/ssh/sshd_config.d/00-cloud-init.conf:1"},
		},
		{
			name: "root may log in by a drop-in that wins", control: "ssh/root-login", verdict: bad,
			plant: `printf 'PermitRootLogin yes\n' >/etc/ssh/sshd_config.d/00-a.conf; systemctl reload ssh`,
			undo:  `rm /etc/ssh/sshd_config.d/00-a.conf; systemctl reload ssh`,
			texts: []string{"/etc/ssh/sshd_config.d/00-a.conf:1"},
		},
		{
			name: "root may log in: the line stands behind a Match", control: "ssh/root-login", verdict: bad,
			plant: `cp -p /etc/ssh/sshd_config.d/00-hardening.conf /root/keep
				sed -i '/^PermitRootLogin/d' /etc/ssh/sshd_config.d/00-hardening.conf
				printf 'Match User nobody\nPermitRootLogin no\n' >>/etc/ssh/sshd_config; systemctl reload ssh`,
			undo: `mv /root/keep /etc/ssh/sshd_config.d/00-hardening.conf; sed -i '/^Match User nobody/,$d' /etc/ssh/sshd_config; systemctl reload ssh`,
		},
		{
			name: "one user may use a password", control: "ssh/password-login", verdict: bad,
			plant: `printf 'Match User operator\nPasswordAuthentication yes\n' >>/etc/ssh/sshd_config
				sed -i '/^PasswordAuthentication/d' /etc/ssh/sshd_config.d/00-hardening.conf
				printf 'PasswordAuthentication no\n' >>/etc/ssh/sshd_config.d/10-later.conf
				printf 'Match User operator\nPasswordAuthentication yes\n' >/etc/ssh/sshd_config.d/05-one.conf; systemctl reload ssh`,
			undo: `sed -i '/^Match User operator/,$d' /etc/ssh/sshd_config; rm /etc/ssh/sshd_config.d/05-one.conf /etc/ssh/sshd_config.d/10-later.conf
				sed -i '1i PasswordAuthentication no' /etc/ssh/sshd_config.d/00-hardening.conf; systemctl reload ssh`,
			texts: []string{"operator"},
		},
		{
			name: "the file is right and sshd has not read it", control: "ssh/config-loaded", verdict: bad,
			plant: `sleep 1; touch /etc/ssh/sshd_config.d/00-hardening.conf`,
			undo:  `systemctl reload ssh`,
		},
		{
			name: "H13 the host joins an open network", control: "wifi/encryption", verdict: bad,
			plant: `mkdir -p /etc/wpa_supplicant; printf 'network={\n\tssid="cafe"\n\tkey_mgmt=NONE\n}\n' >/etc/wpa_supplicant/wpa_supplicant.conf`,
			undo:  `rm -r /etc/wpa_supplicant`,
			texts: []string{"cafe", "/etc/wpa_supplicant/wpa_supplicant.conf:1"},
		},
		{
			name: "H13 the factory passphrase of an access point, hashed", control: "wifi/access-point-default", verdict: bad,
			plant: `mkdir -p /etc/NetworkManager/system-connections; cd /etc/NetworkManager/system-connections
				psk=$(python3 -c "import hashlib; print(hashlib.pbkdf2_hmac('sha1', b'raspberry', b'pioreactor', 4096, 32).hex())")
				printf '[connection]\ntype=wifi\n[wifi]\nmode=ap\nssid=pioreactor\n[wifi-security]\nkey-mgmt=wpa-psk\npsk=%s\n' "$psk" >ap.nmconnection; chmod 600 ap.nmconnection`,
			undo:  `rm -r /etc/NetworkManager`,
			texts: []string{"pioreactor", "hashed passphrase: factory password"},
		},
		{
			name: "a console logs somebody in", control: "boot/auto-login", verdict: bad,
			plant: `mkdir /etc/systemd/system/getty@tty1.service.d
				printf '[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin operator --noclear %%I $TERM\n' >/etc/systemd/system/getty@tty1.service.d/a.conf`,
			undo:  `rm -r /etc/systemd/system/getty@tty1.service.d`,
			texts: []string{"operator", "a.conf:3"},
		},
		{
			name: "T5 the timers are masked", control: "updates/automatic", verdict: "ineffective",
			plant: `systemctl mask --now apt-daily.timer apt-daily-upgrade.timer`,
			undo:  `systemctl unmask apt-daily.timer apt-daily-upgrade.timer; systemctl start apt-daily.timer apt-daily-upgrade.timer`,
			texts: []string{"apt-daily"},
		},
		{
			name: "T6 UsePAM no locks out an account with a key", control: "ssh/use-pam", verdict: bad,
			plant: `printf 'UsePAM no\n' >/etc/ssh/sshd_config.d/00-pam.conf; systemctl reload ssh
				useradd -m -s /bin/bash -G sudo mary; install -d -m 700 -o mary /home/mary/.ssh
				cp /home/operator/.ssh/authorized_keys /home/mary/.ssh/; chown mary /home/mary/.ssh/authorized_keys`,
			undo:  `rm /etc/ssh/sshd_config.d/00-pam.conf; userdel -r mary 2>/dev/null; systemctl reload ssh`,
			texts: []string{"mary"},
		},
		{
			name: "T13 the firewall's service is on, its rules are gone", control: "firewall/default-deny", verdict: "ineffective",
			plant: `nft flush ruleset`,
			undo:  `systemctl restart nftables`,
		},
		{
			name: "T15 every user can read a TLS key", control: "keys/tls-keys", verdict: bad,
			plant: `install -d /etc/ssl/private; printf 'x' >/etc/ssl/private/site.key; chmod 755 /etc/ssl/private; chmod 644 /etc/ssl/private/site.key`,
			undo:  `rm /etc/ssl/private/site.key; chmod 710 /etc/ssl/private`,
			texts: []string{"/etc/ssl/private/site.key"},
		},
		{
			name: "T20 a key without passphrase", control: "keys/passphrases", verdict: bad,
			plant: `su operator -c "ssh-keygen -q -t ed25519 -N '' -f /home/operator/.ssh/id_ed25519"`,
			undo:  `rm /home/operator/.ssh/id_ed25519 /home/operator/.ssh/id_ed25519.pub`,
			texts: []string{"/home/operator/.ssh/id_ed25519"},
		},
		{
			name: "T22 root runs what a user can write", control: "services/root-runs-user-files", verdict: bad,
			plant: `printf '#!/bin/sh\nexec sleep 1000\n' >/home/operator/app; chown operator /home/operator/app; chmod 755 /home/operator/app
				printf '[Service]\nExecStart=/home/operator/app\n[Install]\nWantedBy=multi-user.target\n' >/etc/systemd/system/app.service
				systemctl daemon-reload; systemctl enable --now app.service`,
			undo:  `systemctl disable --now app.service; rm /etc/systemd/system/app.service /home/operator/app; systemctl daemon-reload`,
			texts: []string{"app.service", "/home/operator/app"},
		},
		{
			name: "H1 a factory password", control: "accounts/factory-password", verdict: "fail",
			plant: `useradd -m -s /bin/bash pi; echo pi:raspberry | chpasswd`,
			undo:  `userdel -r pi 2>/dev/null`,
			texts: []string{"pi", "factory"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			must(t, auditOn(t, h, "--only", tc.control), tc.control, "pass|not-applicable")
			h.Sh(tc.plant)
			must(t, auditOn(t, h, "--only", tc.control), tc.control, tc.verdict, tc.texts...)
			h.Sh(tc.undo)
			must(t, auditOn(t, h, "--only", tc.control), tc.control, "pass|not-applicable")
		})
	}
}

// TestFollowedTheGuides audits a host on which the guides were followed to
// the letter: set up, and not protected (T2, T16).
func TestFollowedTheGuides(t *testing.T) {
	h := start(t, lab.Guides)
	r := auditOn(t, h)
	must(t, r, "ban/ssh", "ineffective", "/var/log/auth.log")
	must(t, r, "time/synchronised", "ineffective|fail")
	must(t, r, "accounts/factory-password", "pass")
}

// TestFactoryPassword finds the password that Pioreactors are delivered with,
// and not a strong one (H1).
func TestFactoryPassword(t *testing.T) {
	h := start(t, lab.Pioreactor)
	r := auditOn(t, h)
	must(t, r, "accounts/factory-password", "fail", "pioreactor", "factory")
	res := result(t, r, "accounts/factory-password")
	for _, e := range res.Evidence {
		if strings.Contains(e.Fact, "operator") || strings.Contains(e.Found, "raspberry") {
			t.Errorf("evidence %+v accuses a strong password, or shows one", e)
		}
	}
	must(t, r, "updates/automatic", "fail|ineffective", "mask")
	must(t, r, "keys/passphrases", "fail", "/home/pioreactor/.ssh/id_rsa")
}

// TestSameVerdicts audits each host from within, over SSH, from what was
// saved, and from its disk: the first three agree in everything, and the last
// one says the same or that it does not know.
func TestSameVerdicts(t *testing.T) {
	for _, role := range []lab.Role{lab.Debian, lab.Guides, lab.Good, lab.Pioreactor} {
		t.Run(role.Name, func(t *testing.T) {
			h := start(t, role)
			tmp := t.TempDir()
			saved := filepath.Join(tmp, "host.snapshot")
			file, err := binary()
			if err != nil {
				t.Fatal(err)
			}

			local := auditOn(t, h)
			out, _ := h.Command(file, "audit", "--output", "json", "--save", saved, "--identity", h.KeyFile(),
				"--known-hosts", h.KnownHosts(), "ssh://operator@"+h.Addr()).Output()
			ssh := decode(t, string(out))
			out, _ = exec.Command(file, "audit", "--output", "json", saved).Output()
			again := decode(t, string(out))
			h.Stop()
			out, _ = exec.Command(file, "audit", "--output", "json", "image:"+h.Root()).Output()
			image := decode(t, string(out))

			for _, want := range local.Results {
				if got := result(t, ssh, want.Control); got.Verdict != want.Verdict {
					t.Errorf("%s: %s locally (%s), %s over ssh (%s)", want.Control, want.Verdict, want.Reason, got.Verdict, got.Reason)
				}
				over := result(t, ssh, want.Control)
				if got := result(t, again, want.Control); got.Verdict != over.Verdict || got.Reason != over.Reason {
					t.Errorf("%s: %s over ssh (%s), %s from what was saved (%s)", want.Control, over.Verdict, over.Reason, got.Verdict, got.Reason)
				}
				if got := result(t, image, want.Control); opposite(got.Verdict, want.Verdict) {
					t.Errorf("%s: %s locally (%s), %s from the image (%s)", want.Control, want.Verdict, want.Reason, got.Verdict, got.Reason)
				}
			}
			if len(local.Results) < 90 {
				t.Errorf("%d controls, want at least 90", len(local.Results))
			}
			for _, r := range []audit.Report{local, ssh, again, image} {
				if r.Counts.Error > 0 {
					t.Errorf("%d controls panicked via %s", r.Counts.Error, r.Host.Via)
				}
			}
		})
	}
}

// opposite reports whether an image's verdict contradicts that of the running
// host. Fail and ineffective are both findings.
func opposite(image, running control.Verdict) bool {
	switch image {
	case control.Unknown, running:
		return false
	case control.Pass:
		return running.Bad()
	case control.Fail, control.Ineffective:
		return !running.Bad()
	}
	return running == control.Pass || running.Bad()
}

// TestWithoutRoot audits as an ordinary user: what needs root is unknown and
// says so.
func TestWithoutRoot(t *testing.T) {
	h := start(t, lab.Good)
	out, code := h.Try("setpriv", "--reuid=operator", "--regid=operator", "--clear-groups", onHost, "audit", "--output", "json")
	r := decode(t, out)
	must(t, r, "accounts/factory-password", "unknown", "root")
	must(t, r, "firewall/default-deny", "unknown", "root")
	findings := false
	for _, res := range r.Results {
		findings = findings || res.Finding() && res.Severity.Rank() >= control.High.Rank()
	}
	want := 3
	if findings {
		want = 1
	}
	if code != want {
		t.Errorf("exit code %d, want %d", code, want)
	}
}
