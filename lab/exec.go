package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const hostPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Exec makes a command that root runs in the machine: among its processes while it is on, in its root
// folder while it is off.
func (m *Machine) Exec(ctx context.Context, name string, args ...string) (*exec.Cmd, error) {
	if b := m.current(); b != nil {
		return b.command(ctx, name, args...), nil
	}
	root, err := m.Root()
	if err != nil {
		return nil, err
	}
	return asRoot(exec.CommandContext(ctx, "chroot", append([]string{root, name}, args...)...)), nil
}

// command is a command in all the namespaces of the host.
func (b *boot) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	enter := []string{
		"--target", strconv.Itoa(b.leader), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup",
		"--root", "--wdns=/", "--", name,
	}
	return asRoot(exec.CommandContext(ctx, "nsenter", append(enter, args...)...))
}

func asRoot(cmd *exec.Cmd) *exec.Cmd {
	cmd.Env = []string{"PATH=" + hostPath, "HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/bash", "LANG=C.UTF-8"}
	cmd.WaitDelay = 2 * time.Second // for programs left behind that hold on to the output
	return cmd
}

// root is where this process sees the running host's file system.
func (b *boot) root() string { return fmt.Sprintf("/proc/%d/root", b.leader) }

// findLeader waits for the host's init: the child of systemd-nspawn that is process 1 one level further down.
func (b *boot) findLeader(ctx context.Context) error {
	outer := len(processIDs("self"))
	for {
		statuses, err := filepath.Glob("/proc/[0-9]*/status")
		if err != nil {
			return err
		}
		for _, path := range statuses {
			pid := filepath.Base(filepath.Dir(path))
			ids := processIDs(pid)
			if len(ids) != outer+2 || ids[len(ids)-1] != "1" || parent(pid) != b.cmd.Process.Pid {
				continue
			}
			if b.leader, err = strconv.Atoi(pid); err == nil && exists(b.root()+"/run/systemd/private") {
				return nil
			}
		}
		if err := b.pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// processIDs are a process's ids in each of its process namespaces, outermost first.
func processIDs(pid string) []string { return strings.Fields(status(pid, "NSpid:")) }

func parent(pid string) int {
	id, _ := strconv.Atoi(status(pid, "PPid:"))
	return id
}

// status is one line of a process's status; empty if the process is gone.
func status(pid, key string) string {
	content, err := os.ReadFile(filepath.Join("/proc", pid, "status"))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(content)) {
		if value, ok := strings.CutPrefix(line, key); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
