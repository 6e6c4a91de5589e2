package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"picket/lab"
)

const picketOnHost = "/usr/local/bin/picket"

// A host is a booted lab host with Picket and the other tools.
type host struct{ *lab.Machine }

// boot makes the host; on a machine with no lab it says what is missing.
func boot(ctx context.Context) (*host, error) {
	if err := lab.Available(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "picket-bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "picket")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", file, "picket/cmd/picket")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build picket: %w\n%s", err, out)
	}
	program, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	m, err := lab.New(ctx, lab.Bench)
	if err != nil {
		return nil, err
	}
	h := &host{m}
	err = m.Boot(ctx)
	if err == nil {
		_, err = h.do(ctx, program, "sh", "-c", "cat >"+picketOnHost+" && chmod 755 "+picketOnHost)
	}
	if err == nil {
		_, err = h.do(ctx, nil, "sh", "-ec", livedADay)
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return h, nil
}

// livedADay makes the host one that has been up for a day: its timers of apt have
// run, which nothing in the lab could serve.
const livedADay = `mkdir -p /var/lib/apt/periodic; cd /var/lib/apt; touch lists
	for s in update upgrade update-success unattended-upgrades; do touch periodic/$s-stamp; done`

// do runs a command as root on the host and gives what it printed.
func (h *host) do(ctx context.Context, stdin []byte, name string, args ...string) (string, error) {
	out, err := h.run(ctx, stdin, name, args...)
	if err != nil {
		return "", err
	}
	return out, nil
}

// answer is do for a tool whose exit status only says that it has findings.
func (h *host) answer(ctx context.Context, name string, args ...string) (string, error) {
	out, err := h.run(ctx, nil, name, args...)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return "", err
	}
	return out, nil
}

func (h *host) run(ctx context.Context, stdin []byte, name string, args ...string) (string, error) {
	cmd, err := h.Exec(ctx, name, args...)
	if err != nil {
		return "", err
	}
	cmd.Stdin = bytes.NewReader(stdin)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("on the host: %s: %w\n%s", strings.Join(append([]string{name}, args...), " "), err, complaint.String())
	}
	return string(out), err
}

// sh is do for a line of shell; what fails answers nothing.
func (h *host) sh(ctx context.Context, script string) string {
	out, err := h.do(ctx, nil, "sh", "-c", script)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(out)
}
