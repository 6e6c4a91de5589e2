package harden_test

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"picket/internal/harden"
	"picket/lab"
)

// onHost is root's shell of a lab host.
type onHost struct{ *lab.Host }

func (h onHost) Close() error { return nil }

func (h onHost) Run(ctx context.Context, program string, _ []byte, said func(string)) ([]byte, int, error) {
	cmd, err := h.Exec(ctx, "sh", "-c", program)
	if err != nil {
		return nil, 0, err
	}
	var told strings.Builder
	cmd.Stderr = &told
	out, err := cmd.Output()
	for l := range strings.Lines(told.String()) {
		if said != nil {
			said(strings.TrimSuffix(l, "\n"))
		}
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return out, exit.ExitCode(), nil
	}
	return out, 0, err
}

// TestWhatRunsAsAClosedAccountEnds has an account work on: from a login, by a job, as a service and in a container, whose
// process with the same number is not its own.
func TestWhatRunsAsAClosedAccountEnds(t *testing.T) {
	t.Parallel()
	h := lab.Start(t, lab.Debian)
	h.Sh(`useradd -m -u 4321 pi; useradd -m -u 4322 ann
		systemd-run -q --unit bot --uid pi sleep 10000; systemd-run -q --unit other --uid ann sleep 10000
		setsid runuser -u pi -- perl -e '$SIG{TERM} = "IGNORE"; $SIG{HUP} = "IGNORE"; sleep 1 while 1' >/dev/null 2>&1 </dev/null &
		setsid unshare --fork --pid --kill-child setpriv --reuid 4321 sleep 20000 >/dev/null 2>&1 </dev/null &
		while [ $(pgrep -cu 4321) -lt 3 ]; do sleep 0.1; done`)
	sh := onHost{h}
	units, err := harden.Serving(t.Context(), sh, 4321)
	if err != nil || !slices.Equal(units, []string{"bot.service"}) {
		t.Errorf("services: %q, %v", units, err)
	}
	if out, code := h.Try("runuser", "-u", "pi", "--", "sh", "-c", "true"); code != 0 {
		t.Fatal(out)
	}
	h.Sh("systemctl stop bot")
	if units, err := harden.Serving(t.Context(), sh, 4321); err != nil || len(units) != 0 {
		t.Errorf("stopped: %q, %v", units, err)
	}
	if err := harden.End(t.Context(), sh, "pi", 4321); err != nil {
		t.Error(err)
	}
	if got := h.Sh("pgrep -au 4321; systemctl is-active other"); !strings.HasSuffix(got, " sleep 20000\nactive\n") || strings.Count(got, "\n") != 2 {
		t.Errorf("what runs:\n%s", got)
	}
}
