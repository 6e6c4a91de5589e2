package cli_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"picket/internal/core/audit"
	"picket/internal/report"
	"picket/lab"
)

// stays are findings that what a report says to type does not mend on a host of
// the lab, and why. Of every other one it does, now and after a reboot.
var stays = map[string]string{
	"firewall/*":                     "wants a package, and the lab has no archive",
	"network/listen-allowed-by-name": "wants ufw",
	"network/listen-mqtt":            "wants ufw",
	"ban/ssh":                        "wants a package",
	"updates/automatic":              "wants a package, on two of the hosts",
	"pam/password-quality":           "wants a package",
	"audit/installed":                "wants a package",
	"integrity/installed":            "wants a package",
	"logging/remote":                 "wants a package, and a collector",
	"time/synchronised":              "wants a server on the network",
	"accounts/factory-password":      "asks for a new password",
	"accounts/default-user":          "wants another account first",
	"keys/passphrases":               "asks for a passphrase",
	"sudo/no-passwordless":           "wants an editor",
	"mounts/tmp-noexec":              "wants an editor",
	"mounts/separate-partitions":     "wants another disk",
	"keys/full-mesh":                 "wants an editor",
	"app/mosquitto-acl":              "wants to be told who may do what",
	"app/mosquitto-passwords":        "asks for a new password",
	"app/mosquitto-tls":              "wants a certificate",
	"app/pioreactor-login":           "wants Pioreactor's own programs",
	"app/pioreactor-mqtt-account":    "asks for a new password",
	"app/pioreactor-reach":           "wants ufw",
	"app/pioreactor-tls":             "wants a certificate",
	"ssh/client-fits-server":         "comes of ssh/key-exchange, which warns of it",
}

// notHere are lines that cannot be run without a person or an archive.
var notHere = regexp.MustCompile(`^sudo (apt|apt-get|reboot|nano|visudo|passwd|ufw|unattended-upgrade)\b|^ssh|systemctl edit|\b[A-Z]{4,}@|(^|[^$\w])(FILE|NAME|USER|GROUP|YOURNAME)\b`)

// TestFixes types what the report of a host says to type, and nothing else: it
// mends what was found and locks nobody out.
func TestFixes(t *testing.T) {
	for _, role := range []lab.Role{lab.Debian, lab.Guides, lab.Pioreactor} {
		t.Run(role.Name, func(t *testing.T) {
			t.Parallel()
			h := start(t, role)
			h.Sh("echo 'operator ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/operator; chmod 440 /etc/sudoers.d/operator")
			before := found(auditOn(t, h))
			typeFixes(t, h, before)
			// What was set for new accounts is found of old ones only then, and what
			// a PAM module may be told once it is there.
			typeFixes(t, h, found(auditOn(t, h, "--only", "accounts,pam")))
			h.Reboot()
			for _, r := range found(auditOn(t, h)) {
				if mended(r) {
					t.Errorf("%s is still %s: %s; the fix was:\n%s", r.Control, r.Verdict, r.Reason, r.Fix)
				}
			}
			if got := strings.TrimSpace(h.SSH("operator", "id", "-un")); got != "operator" {
				t.Errorf("the operator is let in as %q", got)
			}
			if len(before) < 40 {
				t.Errorf("only %d findings before", len(before))
			}
		})
	}
}

func found(r audit.Report) []audit.Result {
	var out []audit.Result
	for _, res := range r.Results {
		if res.Finding() {
			out = append(out, res)
		}
	}
	return out
}

// mended is whether what the report says to type must mend it here.
func mended(r audit.Result) bool {
	topic, _, _ := strings.Cut(r.Control, "/")
	return stays[r.Control] == "" && stays[topic+"/*"] == ""
}

// typeFixes runs the commands of the fixes, line by line, as a person would: by
// an account with sudo, with no answer to a question.
func typeFixes(t *testing.T, h *lab.Host, results []audit.Result) {
	t.Helper()
	var script strings.Builder
	of := map[string]audit.Result{}
	for _, r := range results {
		for _, s := range report.Steps(r.Fix) {
			for line := range strings.Lines(s.Text) {
				if line = strings.TrimSpace(line); !s.Code || strings.HasPrefix(line, "#") || notHere.MatchString(line) {
					continue
				}
				of[line] = r
				fmt.Fprintf(&script, "export L=%s; timeout 30 sh -c \"$L\" </dev/null >/tmp/said 2>&1 || { printf 'FAILED %%s\\n' \"$L\"; cat /tmp/said; }\n", "'"+strings.ReplaceAll(line, "'", `'\''`)+"'")
			}
		}
	}
	h.Write("/run/fixes", 0o755, script.String())
	for _, said := range strings.Split("\n"+h.Sh("runuser -u operator -- sh -c 'cd && USER=operator && export USER && . /run/fixes'"), "\nFAILED ")[1:] {
		if line, out, _ := strings.Cut(said, "\n"); mended(of[line]) {
			t.Errorf("%s: %s\n%s", of[line].Control, line, out)
		}
	}
}
