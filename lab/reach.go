package lab

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"os/exec"
	"time"
)

// DialContext opens a connection from the bridge.
func (m *Machine) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return m.site.bridge.dial(ctx, network, addr)
}

// Cable pulls the host's network cable, or puts it back in. Nobody on either side is told: packets just end.
func (m *Machine) Cable(in bool) error { return m.site.bridge.cable(m.number, in) }

// Command is a program on this machine with the bridge as its network, where it can reach the lab's hosts
// and nothing else. Files and user are those of the test.
func (m *Machine) Command(name string, args ...string) *exec.Cmd {
	return m.site.bridge.command(name, args...)
}

// SSHOptions are the arguments that let ssh, scp and the like log in with the lab's key, and trust the
// machine's host keys only.
func (m *Machine) SSHOptions() []string {
	return []string{
		"-F", "none", "-i", m.KeyFile(), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=" + m.KnownHosts(), "-o", "LogLevel=ERROR",
	}
}

// Journal is the end of the journal of this boot; of the console if the machine is off.
func (m *Machine) Journal() string {
	b := m.current()
	if b == nil {
		return "(off) console:\n" + m.console()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := b.command(ctx, "journalctl", "--boot", "--no-pager", "--quiet", "--lines=200").CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%s(journalctl: %v) console:\n%s", out, err, m.console())
	}
	return string(out)
}

func octal(mode fs.FileMode) string { return fmt.Sprintf("%o", mode.Perm()) }
