// Command record boots hosts of the lab and keeps what an audit reads of them, for
// testdata/hosts: docs/recorded-hosts.md.
//
//	go run ./lab/record testdata/hosts
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"picket/internal/host/snapshot"
	"picket/lab"
)

// hosts are the recorded ones, by the name of their file.
var hosts = []struct {
	name string
	role lab.Role
}{
	{"debian12", lab.Debian},
	{"guides", lab.Guides},
	{"pioreactor", lab.Pioreactor},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./lab/record FOLDER")
		os.Exit(2)
	}
	if err := record(ctx, os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "record: %v\n", err)
		os.Exit(1)
	}
}

func record(ctx context.Context, folder string) error {
	if err := lab.Available(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "picket-record")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "picket")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, "picket/cmd/picket")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build picket: %w", err)
	}
	for _, h := range hosts {
		taken := filepath.Join(dir, h.name)
		if err := take(ctx, h.role, program, taken); err != nil {
			return fmt.Errorf("%s: %w", h.name, err)
		}
		if err := keep(taken, filepath.Join(folder, h.name+".snapshot")); err != nil {
			return fmt.Errorf("%s: %w", h.name, err)
		}
	}
	return nil
}

// take boots a host, audits it from within, and copies what was read into file.
func take(ctx context.Context, role lab.Role, program, file string) (err error) {
	m, err := lab.New(ctx, role)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if err := m.Boot(ctx); err != nil {
		return err
	}
	binary, err := os.Open(program)
	if err != nil {
		return err
	}
	defer binary.Close()
	// In memory, and from standard input, so that the host's disk does not show it. The lists of packages
	// are as old as the lab's cache otherwise.
	const script = `cat >/run/picket; chmod 755 /run/picket
		touch /var/lib/apt/lists
		/run/picket audit --save /run/host.snapshot >/dev/null 2>/run/messages || [ $? = 1 ] || [ $? = 3 ] || { cat /run/messages >&2; exit 1; }
		cat /run/host.snapshot`
	cmd, err := m.Exec(ctx, "sh", "-ec", script)
	if err != nil {
		return err
	}
	var out, messages bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = binary, &out, &messages
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("audit: %w: %s", err, &messages)
	}
	return os.WriteFile(file, out.Bytes(), 0o644)
}

// What stands for the machine's own kernel in recorded hosts.
const (
	kernelRelease = "6.1.0-0-lab"
	kernelLine    = "BOOT_IMAGE=/boot/vmlinuz-" + kernelRelease + " root=/dev/sda1 ro quiet\n"
)

// keep saves a taken snapshot without what tells of the machine that the lab
// ran on: the name of its kernel and how that was started.
func keep(taken, file string) error {
	s, err := snapshot.Open(taken)
	if err != nil {
		return err
	}
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return err
	}
	name := []byte(strings.TrimSpace(string(release)))
	clean := func(content []byte) []byte { return bytes.ReplaceAll(content, name, []byte(kernelRelease)) }
	for _, e := range s.Entries {
		e.Content = clean(e.Content)
		if e.Path == "/proc/cmdline" {
			e.Content = []byte(kernelLine)
		}
	}
	for _, o := range s.Commands {
		o.Stdout = clean(o.Stdout)
	}
	if err := snapshot.SaveFile(file, s); err != nil {
		return err
	}
	if err := os.Chmod(file, 0o644); err != nil { // of no real host
		return err
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "wrote %s, %d kB\n", file, info.Size()/1000)
	return nil
}
