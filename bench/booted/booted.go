// Package booted gives measurements a lab host with programs of this module on it.
package booted

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

// Picket is where Picket lies on a host.
const Picket = "/usr/local/bin/picket"

// A Host is a booted lab host.
type Host struct{ *lab.Machine }

// Boot makes a host with Picket and other programs on it: packages of this module, and
// where each lies there. On a machine that has no lab the error says what is missing.
func Boot(ctx context.Context, role lab.Role, others map[string]string) (*Host, error) {
	if err := lab.Available(); err != nil {
		return nil, err
	}
	m, err := lab.New(ctx, role)
	if err != nil {
		return nil, err
	}
	h := &Host{m}
	err = m.Boot(ctx)
	if err == nil {
		err = h.install(ctx, "picket/cmd/picket", Picket)
	}
	for pkg, to := range others {
		if err == nil {
			err = h.install(ctx, pkg, to)
		}
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return h, nil
}

// install builds a package as it is released and puts it on the host.
func (h *Host) install(ctx context.Context, pkg, to string) error {
	dir, err := os.MkdirTemp("", "picket-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, filepath.Base(to))
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", file, pkg)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	program, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	_, err = h.Do(ctx, program, "sh", "-c", "cat >"+to+" && chmod 755 "+to)
	return err
}

// Do runs a command as root on the host and gives what it printed.
func (h *Host) Do(ctx context.Context, stdin []byte, name string, args ...string) (string, error) {
	out, err := h.run(ctx, stdin, name, args...)
	if err != nil {
		return "", err
	}
	return out, nil
}

// Answer is Do for a tool whose exit status only says that it has findings.
func (h *Host) Answer(ctx context.Context, name string, args ...string) (string, error) {
	out, err := h.run(ctx, nil, name, args...)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return "", err
	}
	return out, nil
}

func (h *Host) run(ctx context.Context, stdin []byte, name string, args ...string) (string, error) {
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

// Sh is Do for a line of shell; what fails answers nothing.
func (h *Host) Sh(ctx context.Context, script string) string {
	out, err := h.Do(ctx, nil, "sh", "-c", script)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(out)
}
