package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"picket/lab"
)

// TestApplyCard changes the card of a host that is off, starts it, and takes it back: once from outside before it was
// started, and once on the host.
func TestApplyCard(t *testing.T) {
	t.Parallel()
	h := lab.Off(t, lab.Debian)
	root := h.Root()
	card := func(args ...string) (string, int) {
		cmd := exec.Command(program(t), args...)
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "PICKET_NO_LOCAL=1")
		text, _ := cmd.CombinedOutput()
		return string(text), cmd.ProcessState.ExitCode()
	}
	// Nothing outside of it is changed, wherever its links lead.
	out, code := card("apply", "image:/", "--yes")
	if code != 2 || !strings.Contains(out, "is the root of this machine") {
		t.Errorf("the root of this machine: exit code %d\n%s", code, out)
	}
	before := h.Hashes("/etc")
	apply := func() string {
		t.Helper()
		out, code := card("apply", "image:"+root, "--profile", "strict", "--accept-risk", "lose-ssh,lose-network,reboot,data", "--yes")
		m := regexp.MustCompile(`its files are changed, as (\S+)`).FindStringSubmatch(out)
		if code != 0 || m == nil {
			t.Fatalf("exit code %d\n%s", code, out)
		}
		_, left, _ := strings.Cut(strings.Join(strings.Fields(out), " "), "apply ssh://USER@HOST --accept-risk lose-ssh` does it")
		for _, id := range []string{"ssh/macs", "pam/lockout", "ssh/root-login"} {
			if !strings.Contains(left, id) {
				t.Errorf("%s is not left with what to type:\n%s", id, out)
			}
		}
		return m[1]
	}
	id := apply()
	if out, code := card("apply", "image:"+root, "--only", "ssh", "--profile", "strict", "--yes"); code != 0 {
		t.Errorf("what has nothing left to do: exit code %d\n%s", code, out)
	}
	if _, err := os.Stat(filepath.Join(root, "etc/ssh/sshd_config.d/00-picket.conf")); err != nil {
		t.Error(err)
	}
	for {
		if out, code = card("rollback", id, "image:"+root); code != 0 {
			t.Fatalf("rollback: exit code %d\n%s", code, out)
		}
		found, _ := filepath.Glob(filepath.Join(root, "var/lib/picket/tx/*/first"))
		if len(found) == 0 {
			break
		}
		id = filepath.Base(filepath.Dir(found[0]))
	}
	differ(t, "taken back before the first start", before, h.Hashes("/etc"))

	id = apply()
	h.Boot()
	h.CopyIn(program(t), onHost)
	await(t, "the first start does the rest", func() bool {
		return h.Sh("ls /var/lib/picket/tx/*/first 2>/dev/null || true") == ""
	})
	if state := h.Sh("sh /var/lib/picket/tx/" + id + "/tx state"); state != "confirmed\n" {
		t.Errorf("after the first start: %s\n%s\n%s", state, h.Sh("cat /var/lib/picket/tx/"+id+"/journal"), h.Sh("journalctl -u picket-first --no-pager"))
	}
	h.Sh("! [ -e /etc/systemd/system/picket-first.service ] && ! [ -e /etc/systemd/system/multi-user.target.wants/picket-first.service ]")
	h.SSH("operator", "true")
	after := auditOn(t, h)
	for _, id := range []string{"ssh/x11-forwarding", "cron/crontab", "ssh/auth-tries"} {
		must(t, after, id, "pass")
	}
	// What no login could prove was left, with what to type now.
	must(t, after, "ssh/macs", "fail")
	out, code = verb(t, h, "apply", "TARGET", "--only", "ssh/macs", "--accept-risk", "lose-ssh", "--yes")
	if m := regexp.MustCompile(`kept as (\S+)`).FindStringSubmatch(out); code != 0 || m == nil {
		t.Errorf("exit code %d\n%s", code, out)
	} else if out, code := h.Try("sh", "/var/lib/picket/tx/"+m[1]+"/tx", "undo"); code != 0 {
		t.Errorf("undo on the host: exit code %d\n%s", code, out)
	}
	if out, code := h.Try("sh", "/var/lib/picket/tx/"+id+"/tx", "undo"); code != 0 {
		t.Errorf("undo on the host: exit code %d\n%s", code, out)
	}
	touched := func(all map[string]string) map[string]string { // the first start writes elsewhere in /etc
		out := map[string]string{}
		for p, is := range all {
			if slices.ContainsFunc([]string{"/etc/ssh", "/etc/pam.d", "/etc/security", "/etc/sysctl", "/etc/cron", "/etc/issue", "/etc/fstab", "/etc/sudo", "/etc/modprobe.d", "/etc/apt"}, func(of string) bool { return strings.HasPrefix(p, of) }) {
				out[p] = is
			}
		}
		return out
	}
	differ(t, "on the host", touched(before), touched(h.Hashes("/etc")))
}

// TestApplyCardRefused has a file of the card changed before the first start: nothing of the change stays then.
func TestApplyCardRefused(t *testing.T) {
	t.Parallel()
	h := lab.Off(t, lab.Debian)
	root := h.Root()
	cmd := exec.Command(program(t), "apply", "image:"+root, "--profile", "strict", "--only", "ssh,banners,cron", "--accept-risk", "lose-ssh", "--yes")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "PICKET_NO_LOCAL=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(root, "etc/issue"), []byte("somebody's own\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	h.Boot()
	await(t, "the first start refuses, and goes back", func() bool {
		return h.Sh("ls /var/lib/picket/tx/*/first 2>/dev/null || true") == ""
	})
	if state := h.Sh("sh /var/lib/picket/tx/*/tx state"); state != "stuck\n" { // what somebody has changed stays as it is, and is told
		t.Errorf("after the first start: %s\n%s", state, h.Sh("cat /var/lib/picket/tx/*/journal; journalctl -u picket-first --no-pager"))
	}
	h.Sh("! [ -e /etc/ssh/sshd_config.d/00-picket.conf ] && ! [ -e /etc/cron.allow ] && [ $(stat -c %a /etc/crontab) = 644 ] && grep -q own /etc/issue")
	h.SSH("operator", "true")
}
