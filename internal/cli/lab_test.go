package cli_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"picket/internal/core/audit"
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
	h.CopyIn(program(t), onHost)
	return h
}

// decode reads the JSON that picket wrote among its messages.
func decode(t *testing.T, out string) audit.Report {
	t.Helper()
	var r audit.Report
	if err := json.NewDecoder(strings.NewReader(out[max(0, strings.Index(out, "{")):])).Decode(&r); err != nil {
		t.Fatalf("%v in:\n%.2000s", err, out)
	}
	return r
}

// auditOn runs picket as root on the host.
func auditOn(t *testing.T, h *lab.Host, args ...string) audit.Report {
	t.Helper()
	out, code := h.Try(onHost, append([]string{"audit", "--profile", "strict", "--output", "json"}, args...)...)
	if code == 2 || code > 3 {
		t.Fatalf("exit code %d\n%.2000s", code, out)
	}
	return decode(t, out)
}

// over audits the host over SSH from outside. More arguments may name the
// password for sudo.
func over(t *testing.T, h *lab.Host, args ...string) (r audit.Report, stderr string, code int) {
	t.Helper()
	cmd := overCommand(t, h, args...)
	var out, messages strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &messages
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if out.Len() > 0 {
		r = decode(t, out.String())
	}
	return r, messages.String(), cmd.ProcessState.ExitCode()
}

// overCommand is that audit, not yet started.
func overCommand(t *testing.T, h *lab.Host, args ...string) *exec.Cmd {
	t.Helper()
	return overCommandAs(t, h, "operator", args...)
}

// overCommandAs logs in as somebody else.
func overCommandAs(t *testing.T, h *lab.Host, user string, args ...string) *exec.Cmd {
	t.Helper()
	all := []string{"audit", "--profile", "strict", "--output", "json", "--identity", h.KeyFile(), "--known-hosts", h.KnownHosts(), "ssh://" + user + "@" + h.Addr()}
	cmd := h.Command(program(t), append(all, args...)...)
	cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK=", "HOME="+t.TempDir())
	return cmd
}

// sudoPassword is the flag that names a file with the operator's password.
func sudoPassword(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(lab.OperatorPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return "--sudo-password-file=" + file
}

// here audits something that needs no host: a saved snapshot, an image.
func here(t *testing.T, target string) audit.Report {
	t.Helper()
	out, err := exec.Command(program(t), "audit", "--profile", "strict", "--output", "json", target).Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() == 2 || exit.ExitCode() > 3) {
		t.Fatalf("audit %s: %v", target, err)
	}
	return decode(t, string(out))
}

func program(t *testing.T) string {
	t.Helper()
	file, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// result finds one control's result.
func result(t *testing.T, r audit.Report, id string) audit.Result {
	t.Helper()
	for _, res := range r.Results {
		if res.Control == id {
			return res
		}
	}
	t.Errorf("no result for %s", id)
	return audit.Result{}
}

// must wants a control's verdict to be one of those given, parted by "|", and
// its reason or evidence to hold every text.
func must(t *testing.T, r audit.Report, id, verdicts string, texts ...string) {
	t.Helper()
	res := result(t, r, id)
	if res.Control == "" {
		return
	}
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
