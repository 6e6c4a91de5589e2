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

// Where the programs are put on the host.
const (
	picketOnHost = "/usr/local/bin/picket"
	benchOnHost  = "/usr/local/bin/bench-audit"
)

// A host is a booted lab host with Picket, this program and the other tools.
type host struct {
	*lab.Machine
	binary int64 // size of Picket on it
}

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
	m, err := lab.New(ctx, lab.Bench)
	if err != nil {
		return nil, err
	}
	h := &host{Machine: m}
	if err := errors.Join(m.Boot(ctx), h.install(ctx, dir)); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return h, nil
}

func (h *host) install(ctx context.Context, dir string) error {
	for _, p := range []struct{ pkg, to string }{{"picket/cmd/picket", picketOnHost}, {"picket/bench/audit", benchOnHost}} {
		file := filepath.Join(dir, filepath.Base(p.to))
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", file, p.pkg)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", p.pkg, err, out)
		}
		program, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if p.to == picketOnHost {
			h.binary = int64(len(program))
		}
		if _, err := h.do(ctx, program, "sh", "-c", "cat >"+p.to+" && chmod 755 "+p.to); err != nil {
			return err
		}
	}
	return nil
}

// do runs a command as root on the host and gives what it printed.
func (h *host) do(ctx context.Context, stdin []byte, name string, args ...string) (string, error) {
	cmd, err := h.Exec(ctx, name, args...)
	if err != nil {
		return "", err
	}
	cmd.Stdin = bytes.NewReader(stdin)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("on the host: %s: %w\n%s", strings.Join(append([]string{name}, args...), " "), err, complaint.String())
	}
	return string(out), nil
}

// sh is do for a line of shell; what fails answers nothing.
func (h *host) sh(ctx context.Context, script string) string {
	out, err := h.do(ctx, nil, "sh", "-c", script)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(out)
}

// run measures one run of a program on the host.
func (h *host) run(ctx context.Context, sample bool, argv ...string) (run, error) {
	args := []string{"measure"}
	if sample {
		args = append(args, "-tree")
	}
	out, err := h.do(ctx, nil, benchOnHost, append(args, argv...)...)
	if err != nil {
		return run{}, err
	}
	return parse(strings.NewReader(out))
}
