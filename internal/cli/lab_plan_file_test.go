package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"picket/lab"
)

// typed runs picket from outside a host, as somebody who has the operator's key and password.
func typed(t *testing.T, h *lab.Host, args ...string) (out string, code int) {
	t.Helper()
	cmd := h.Command(program(t), append(args, "--identity", h.KeyFile(), "--known-hosts", h.KnownHosts(), sudoPassword(t))...)
	cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK=", "HOME="+t.TempDir())
	text, _ := cmd.CombinedOutput()
	return string(text), cmd.ProcessState.ExitCode()
}

// TestApplyPlanFile keeps the plan of a host, and applies it: not while the host is not as it was, and then just that.
func TestApplyPlanFile(t *testing.T) {
	t.Parallel()
	h, other := start(t, lab.Debian), start(t, lab.Debian)
	lived(h)
	lived(other)
	before := auditOn(t, h)
	host := "ssh://operator@" + h.Addr()
	file := filepath.Join(t.TempDir(), "leader.plan")
	if out, code := typed(t, h, "plan", host, "--profile", "strict", "--only", "cron/crontab,ssh/auth-tries,network/rp-filter", "--save", file); code != 0 || !strings.Contains(out, "picket apply "+file) {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	refused := func(what string, wants ...string) {
		t.Helper()
		out, code := typed(t, h, "apply", file, "--yes")
		if code != 4 || !strings.Contains(out, "nothing was changed") {
			t.Errorf("%s: exit code %d\n%s", what, code, out)
		}
		for _, want := range wants {
			if !strings.Contains(out, want) {
				t.Errorf("%s: %q is not said:\n%s", what, want, out)
			}
		}
		if got := h.Sh("ls /var/lib/picket 2>/dev/null || true"); got != "" {
			t.Errorf("%s: left on the host: %s", what, got)
		}
	}
	h.Sh("chmod 640 /etc/crontab; mkdir -p /etc/sysctl.d; echo '# mine' >/etc/sysctl.d/99-zz-picket.conf")
	refused("two files were changed", "/etc/crontab: its mode was 0644, and is 0640", "/etc/sysctl.d/99-zz-picket.conf: it was not there, and is now", "make it anew")
	h.Sh("chmod 644 /etc/crontab; rm /etc/sysctl.d/99-zz-picket.conf")
	h.Sh("echo 'MaxAuthTries 2' >/etc/ssh/sshd_config.d/mine.conf; systemctl reload ssh")
	refused("one was mended by somebody", "ssh/auth-tries is no finding any more")
	h.Sh("rm /etc/ssh/sshd_config.d/mine.conf; systemctl reload ssh")

	if out, code := typed(t, other, "apply", file, "ssh://operator@"+other.Addr(), "--yes"); code != 4 || !strings.Contains(out, "is another host") {
		t.Errorf("on another host: exit code %d\n%s", code, out)
	}

	out, code := typed(t, h, "apply", file, "--yes")
	if code != 0 || !strings.Contains(out, "all of it holds: kept") {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	after := auditOn(t, h)
	for _, id := range []string{"cron/crontab", "ssh/auth-tries", "network/rp-filter"} {
		must(t, before, id, "fail")
		must(t, after, id, "pass")
	}
	must(t, after, "cron/folders", "fail")
	if out, code := typed(t, h, "apply", file, "--yes"); code != 4 || !strings.Contains(out, "/etc/crontab: its mode was 0644, and is 0600") {
		t.Errorf("a second time: exit code %d\n%s", code, out)
	}

	// What the host tells of it.
	out, _ = typed(t, h, "history", host, "--output", "json")
	var told struct {
		Changes []struct {
			ID, State string
			Controls  []string
			Journal   []string
		}
	}
	if err := json.Unmarshal([]byte(out), &told); err != nil || len(told.Changes) != 1 || told.Changes[0].State != "confirmed" || len(told.Changes[0].Controls) != 3 || len(told.Changes[0].Journal) < 4 {
		t.Fatalf("%v\n%s", err, out)
	}
	id := told.Changes[0].ID
	if out, code = typed(t, h, "history", id, host); code != 0 || !strings.Contains(out, "new file /etc/ssh/sshd_config.d/00-picket.conf") || !strings.Contains(out, "mode and owner of /etc/crontab: 0600 0 0") ||
		!strings.Contains(out, "waits for confirmation") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if out, code = typed(t, h, "history", "20010101-000000", host); code != 2 || !strings.Contains(out, "there is no change") {
		t.Errorf("what never was: exit code %d\n%s", code, out)
	}
	if out, code = typed(t, h, "confirm", host); code != 4 || !strings.Contains(out, "no change waits to be confirmed") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if out, code = typed(t, h, "rollback", host); code != 2 || !strings.Contains(out, id+"  confirmed") || !strings.Contains(out, "picket rollback "+id+" "+host) && !strings.Contains(out, "rollback "+id+" "+host) {
		t.Errorf("without a name: exit code %d\n%s", code, out)
	}
	must(t, auditOn(t, h), "cron/crontab", "pass")
	if out, code = typed(t, h, "rollback", id, host); code != 0 || !strings.Contains(out, "was taken back") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	same(t, before, auditOn(t, h))
	if out, code = typed(t, h, "rollback", host); code != 4 || !strings.Contains(out, "there is nothing to take back") {
		t.Errorf("twice: exit code %d\n%s", code, out)
	}
}
