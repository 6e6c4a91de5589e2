package cli_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"picket/internal/core/audit"
	"picket/internal/core/control"
	"picket/lab"
)

// TestRoles audits each kind of host from within, over SSH, from what was
// saved, and from its disk: the first three agree in everything, and the last
// one does not contradict them. Then each host is found to be what it is.
func TestRoles(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		role lab.Role
		is   func(*testing.T, audit.Report)
	}{
		{lab.Debian, isStock}, {lab.Debian13, isStock}, {lab.Guides, isConfiguredNotProtected}, {lab.Good, isProtected}, {lab.Pioreactor, hasFactoryPassword},
	} {
		t.Run(tc.role.Name, func(t *testing.T) {
			t.Parallel()
			h := start(t, tc.role)
			lived(h)
			local := auditOn(t, h)
			saved := filepath.Join(t.TempDir(), "host.snapshot")
			remote, messages, _ := over(t, h, "--save", saved, sudoPassword(t))
			if len(remote.Results) == 0 {
				t.Fatalf("no report over SSH: %s", messages)
			}
			h.Stop()
			agree(t, local, remote, here(t, saved), here(t, "image:"+h.Root()))
			tc.is(t, local)
		})
	}
}

// agree compares four reports of one host.
func agree(t *testing.T, local, remote, saved, image audit.Report) {
	t.Helper()
	if len(local.Results) < 90 {
		t.Errorf("%d controls, want at least 90", len(local.Results))
	}
	for _, r := range []audit.Report{local, remote, saved, image} {
		if r.Counts.Error > 0 {
			t.Errorf("%d controls panicked via %s", r.Counts.Error, r.Host.Via)
		}
	}
	if !remote.Host.Root {
		t.Error("with the password for sudo, root did not read the host")
	}
	unknown := 0
	for _, want := range local.Results {
		got := result(t, remote, want.Control)
		hurried := strings.Contains(got.Reason+want.Reason, "ran out of time") // on a busy machine one of them may
		if got.Verdict != want.Verdict && !hurried {
			t.Errorf("%s: %s locally (%s), %s over SSH (%s)", want.Control, want.Verdict, want.Reason, got.Verdict, got.Reason)
		}
		if again := result(t, saved, want.Control); again.Verdict != got.Verdict || again.Reason != got.Reason {
			t.Errorf("%s: %s over SSH (%s), %s from what was saved (%s)", want.Control, got.Verdict, got.Reason, again.Verdict, again.Reason)
		}
		card := result(t, image, want.Control)
		if why := contradiction(card, want); why != "" {
			t.Errorf("%s: %s: locally %s (%s), from the image %s (%s)", want.Control, why, want.Verdict, want.Reason, card.Verdict, card.Reason)
		}
		if card.Verdict == control.Unknown {
			unknown++
		}
	}
	if unknown > len(local.Results)/3 {
		t.Errorf("of %d controls, %d are unknown on an image", len(local.Results), unknown)
	}
}

// depends are the controls that may apply to a host and not to its disk, or
// the other way round, with the reason: what they judge is not on the disk.
var depends = map[string]string{
	"firewall/default-deny-ipv6": "whether the network that the host stands in has IPv6",
	"kernel/*":                   "the lab's hosts are containers: they run on the machine's kernel and cannot set it",
	"apparmor/enabled":           "the same",
	"boot/no-weakening":          "the same",
	"network/*":                  "the same, for the network's settings",
	"boot/cpu-flaws":             "the processor",
}

// contradiction tells why an image's verdict cannot stand beside that of the
// running host; "" if it can. An image answers for the next boot.
func contradiction(image, running audit.Result) string {
	persists := func(want bool) bool { return running.Persistent != nil && *running.Persistent == want }
	switch {
	case image.Verdict == control.Unknown || image.Verdict == running.Verdict || running.Verdict == control.Unknown:
		return ""
	case image.Verdict == control.NotApplicable || running.Verdict == control.NotApplicable:
		topic, _, _ := strings.Cut(image.Control, "/")
		if depends[image.Control] != "" || depends[topic+"/*"] != "" {
			return ""
		}
		return "it applies to one of them only"
	case image.Verdict == control.Pass && persists(false):
		return "the running host says that it will not last"
	case image.Verdict == control.Pass && running.Verdict.Bad() && !persists(true):
		return "the running host says nothing of what will come"
	case image.Verdict.Bad() && running.Verdict == control.Pass && !persists(false):
		return "the running host passes"
	case image.Verdict.Bad() && persists(true):
		return "the running host says that it is right after a reboot"
	}
	return ""
}

// isStock: what a security engineer would defend as high on a Debian 12 as it
// is installed, and nothing else.
func isStock(t *testing.T, r audit.Report) {
	want := []string{
		"firewall/default-deny",      // every service that is ever installed is reached from everywhere
		"firewall/default-deny-ipv6", // the same, over IPv6
		"ssh/password-login",         // passwords can be guessed
		"updates/automatic",          // nobody installs security updates
	}
	got := findings(r, control.Critical, control.High)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("findings of high severity:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// isProtected: a host that is set up properly passes everything of medium
// severity and above.
func isProtected(t *testing.T, r audit.Report) {
	for _, res := range r.Results {
		if res.Severity.Rank() < control.Medium.Rank() || res.Verdict == control.Pass || res.Verdict == control.NotApplicable {
			continue
		}
		t.Errorf("%s (%s) is %s: %s", res.Control, res.Severity, res.Verdict, res.Reason)
	}
	if r.Score < 90 {
		t.Errorf("score %d, want at least 90", r.Score)
	}
}

// isConfiguredNotProtected: the guides were followed to the letter.
func isConfiguredNotProtected(t *testing.T, r audit.Report) {
	must(t, r, "ssh/password-login", "ineffective", "/etc/ssh/sshd_config.d/50-cloud-init.conf:1") // T1
	must(t, r, "ban/ssh", "ineffective", "/var/log/auth.log")                                      // T2
	must(t, r, "ssh/use-pam", "fail|ineffective", "deploy")                                        // T6
	must(t, r, "time/synchronised", "fail|ineffective", "chrony")                                  // T16
	must(t, r, "keys/passphrases", "fail|ineffective", "/home/alice/.ssh/id_ed25519")              // T20
	must(t, r, "firewall/default-deny", "pass")
	must(t, r, "updates/automatic", "pass")
	// Weak, and no factory's; a busy machine may not have the time to tell.
	must(t, r, "accounts/factory-password", "pass|unknown")
}

// hasFactoryPassword: the password that Pioreactors are delivered with is
// found, and a strong one is not.
func hasFactoryPassword(t *testing.T, r audit.Report) {
	must(t, r, "accounts/factory-password", "fail", "pioreactor", "factory") // H1
	for _, e := range result(t, r, "accounts/factory-password").Evidence {
		if strings.Contains(e.Fact, "operator") || strings.Contains(e.Found, "raspberry") {
			t.Errorf("evidence %+v accuses a strong password, or shows one", e)
		}
	}
	must(t, r, "updates/automatic", "fail|ineffective", "mask")                        // T5
	must(t, r, "keys/passphrases", "fail|ineffective", "/home/pioreactor/.ssh/id_rsa") // T20
	must(t, r, "sudo/no-passwordless", "fail|ineffective", "/etc/sudoers.d/010_pioreactor-nopasswd")
	must(t, r, "app/pioreactor-flags", "fail", "DISALLOW_UI_FILE_SYSTEM") // T7
	must(t, r, "app/pioreactor-reach", "fail|ineffective")                // T8: what the workers' interface hands out
	must(t, r, "app/mosquitto-passwords", "fail", "/etc/mosquitto/pw.txt", "pioreactor")
	must(t, r, "app/pioreactor-mqtt-account", "fail", "pioreactor")
}
