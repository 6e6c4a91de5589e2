package lab

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"picket/lab/leftout"
)

// commandTimeout ends what a test runs on a host and that hangs.
const commandTimeout = 3 * time.Minute

// Host is a machine in a test: what goes wrong with it ends the test.
type Host struct {
	*Machine
	t testing.TB
}

// Start boots a host of the role. It is gone when the test ends. Where the lab cannot run the test is
// skipped, or fails if PICKET_LAB is "require". PICKET_LAB=off leaves it out.
func Start(t testing.TB, role Role) *Host {
	t.Helper()
	h := Off(t, role)
	h.Boot()
	return h
}

// Off makes a host of the role that is not booted: to plant files before the first boot, or to read its
// disk.
func Off(t testing.TB, role Role) *Host {
	t.Helper()
	need(t)
	machine, err := New(t.Context(), role)
	if err != nil {
		t.Fatal(err)
	}
	h := &Host{machine, t}
	t.Cleanup(h.cleanup)
	return h
}

// need skips or fails the test where the lab cannot run, or is not wanted: PICKET_LAB=off.
func need(t testing.TB) {
	t.Helper()
	if os.Getenv("PICKET_LAB") == "off" {
		leftout.Skip(t, "PICKET_LAB=off")
	}
	if err := Available(); err != nil {
		leftout.Missing(t, err.Error())
	}
}

func (h *Host) cleanup() {
	if h.t.Failed() {
		h.t.Logf("journal of %s:\n%s", h, h.Journal())
	}
	if err := h.Close(); err != nil {
		h.t.Errorf("clean up %s: %v", h, err)
	}
}

// Boot switches the host on.
func (h *Host) Boot() {
	h.t.Helper()
	h.must(h.Machine.Boot(h.t.Context()))
}

// Stop shuts the host down in order.
func (h *Host) Stop() {
	h.t.Helper()
	h.must(h.Machine.Stop(h.t.Context()))
}

// Reboot restarts the host from within and waits until it is up again.
func (h *Host) Reboot() {
	h.t.Helper()
	h.must(h.Machine.Reboot(h.t.Context()))
}

// AwaitReboot runs do, which makes the host reboot by itself, and waits until it is up again.
func (h *Host) AwaitReboot(do func()) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), stopTimeout+bootTimeout)
	defer cancel()
	before := h.current()
	do()
	h.must(h.awaitReboot(ctx, before))
}

// CutNetwork pulls the host's network cable.
func (h *Host) CutNetwork() {
	h.t.Helper()
	h.must(h.Cable(false))
}

// RestoreNetwork puts the cable back.
func (h *Host) RestoreNetwork() {
	h.t.Helper()
	h.must(h.Cable(true))
}

// Root is the folder with the whole file system of a host that is off.
func (h *Host) Root() string {
	h.t.Helper()
	root, err := h.Machine.Root()
	h.must(err)
	return root
}

// Hashes describes each file below a folder of the host: see Machine.Hashes.
func (h *Host) Hashes(folder string) map[string]string {
	h.t.Helper()
	found, err := h.Machine.Hashes(folder)
	h.must(err)
	return found
}

// Run runs a command as root on the host and answers what it printed on stdout and stderr. The test ends if
// the command fails.
func (h *Host) Run(name string, args ...string) string {
	h.t.Helper()
	out, code := h.Try(name, args...)
	if code != 0 {
		h.t.Fatalf("%s: %s: exit code %d\n%s", h, strings.Join(append([]string{name}, args...), " "), code, out)
	}
	return out
}

// Sh runs a shell script as root on the host.
func (h *Host) Sh(script string) string {
	h.t.Helper()
	return h.Run("sh", "-ec", script)
}

// Try is Run for a command that may fail: it answers the exit code, too.
func (h *Host) Try(name string, args ...string) (string, int) {
	h.t.Helper()
	return h.try("", name, args...)
}

func (h *Host) try(stdin, name string, args ...string) (string, int) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	cmd, err := h.Exec(ctx, name, args...)
	h.must(err)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		h.t.Fatalf("%s: %s did not end in %s\n%s", h, name, commandTimeout, out)
	}
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return string(out), 0
	case errors.As(err, &exit):
		return string(out), exit.ExitCode()
	}
	h.t.Fatalf("%s: %s: %v", h, name, err)
	return "", 0
}

// Write writes a file as root on the host; folders that are missing are made. An existing file keeps its owner.
func (h *Host) Write(path string, mode fs.FileMode, content string) {
	h.t.Helper()
	const script = `mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1"`
	if out, code := h.try(content, "sh", "-c", script, "sh", path, octal(mode)); code != 0 {
		h.t.Fatalf("%s: write %s: %s", h, path, out)
	}
}

// Read reads a file of the host.
func (h *Host) Read(path string) string {
	h.t.Helper()
	return h.Run("cat", "--", path)
}

// Remove removes files or whole folders of the host, as rm -rf does.
func (h *Host) Remove(paths ...string) {
	h.t.Helper()
	h.Run("rm", append([]string{"-rf", "--"}, paths...)...)
}

// CopyIn copies a program of this machine to the host.
func (h *Host) CopyIn(local, path string) {
	h.t.Helper()
	content, err := os.ReadFile(local)
	h.must(err)
	h.Write(path, 0o755, string(content))
}

// Install puts a program on the host, built first if it has to be.
func (h *Host) Install(p Program, path string) {
	h.t.Helper()
	file, err := p.Build(h.t.Context())
	h.must(err)
	h.CopyIn(file, path)
}

// SSH runs a command on the host as the user, over a real SSH connection from the bridge, with the lab's
// key.
func (h *Host) SSH(user string, command ...string) string {
	h.t.Helper()
	out, code := h.TrySSH(user, command...)
	if code != 0 {
		h.t.Fatalf("%s: ssh %s: exit code %d\n%s", h, strings.Join(command, " "), code, out)
	}
	return out
}

// TrySSH is SSH for a command, or a login, that may fail; 255 is ssh's own exit code.
func (h *Host) TrySSH(user string, command ...string) (string, int) {
	h.t.Helper()
	args := append(h.SSHOptions(), "-o", "ConnectTimeout=10", "-l", user, h.Addr(), "--")
	out, err := h.Command("ssh", append(args, command...)...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		h.t.Fatalf("%s: ssh: %v", h, err)
	}
	if exit != nil {
		return string(out), exit.ExitCode()
	}
	return string(out), 0
}

// TryPassword logs in over SSH with a password, by whichever way the host asks for it. The error says why
// that did not work.
func (h *Host) TryPassword(user, password string) error {
	h.t.Helper()
	known, err := knownhosts.New(h.KnownHosts())
	if err != nil {
		h.t.Fatal(err)
	}
	addr := net.JoinHostPort(h.Addr(), "22")
	conn, err := h.Dial("tcp", addr)
	if err != nil {
		h.t.Fatal(err)
	}
	defer conn.Close()
	answer := func(_, _ string, questions []string, _ []bool) ([]string, error) {
		return slices.Repeat([]string{password}, len(questions)), nil
	}
	client, _, _, err := ssh.NewClientConn(conn, addr, &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.Password(password), ssh.KeyboardInteractive(answer)}, HostKeyCallback: known,
		HostKeyAlgorithms: []string{ssh.KeyAlgoED25519}, Timeout: 30 * time.Second,
	})
	if err == nil {
		client.Close()
	}
	return err
}

// Dial opens a connection from the bridge, for example to net.JoinHostPort(h.Addr(), "22").
func (h *Host) Dial(network, addr string) (net.Conn, error) {
	return h.DialWithin(10*time.Second, network, addr)
}

// DialWithin is Dial that gives up after some time.
func (h *Host) DialWithin(limit time.Duration, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(h.t.Context(), limit)
	defer cancel()
	return h.DialContext(ctx, network, addr)
}

func (h *Host) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}
