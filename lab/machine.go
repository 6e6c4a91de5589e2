package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	_ "embed"
)

//go:embed boot.sh
var bootScript string

const (
	bootTimeout = 3 * time.Minute
	stopTimeout = 30 * time.Second
	restartExit = 133 // systemd-nspawn's way to say: the host wants to boot again
)

// Machine is one host of the lab, off or booted. Its errors are values, for programs; tests use Host.
type Machine struct {
	Role Role

	site   *site
	number int
	lower  []string // the role's layers, top first
	dir    string   // upper, work, merged, console.log, known_hosts

	mu      sync.Mutex
	running *boot
	mounted bool // merged is mounted for Root
	closed  bool
}

// boot is one life of a machine, from power on to power off.
type boot struct {
	cmd    *exec.Cmd
	leader int           // the host's init, as this process sees it
	over   chan struct{} // closed when every process of the host is gone
	err    error         // valid when over
}

// New makes a machine of the role: its disk, its keys, its name. It is off.
func New(ctx context.Context, role Role) (*Machine, error) {
	s, number, err := enter()
	if err != nil {
		return nil, err
	}
	m := &Machine{Role: role, site: s, number: number, dir: filepath.Join(s.dir, fmt.Sprintf("host%d", number))}
	if err := m.make(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("make %s: %w", m, err), m.Close())
	}
	return m, nil
}

func (m *Machine) make(ctx context.Context) error {
	var err error
	if m.lower, err = layerDirs(ctx, m.site.cache, m.Role); err != nil {
		return err
	}
	for _, name := range []string{"upper", "work", "merged"} {
		if err := os.MkdirAll(filepath.Join(m.dir, name), 0o755); err != nil {
			return err
		}
	}
	return m.personalise()
}

// Addr is the machine's IPv4 address on the bridge.
func (m *Machine) Addr() string { return address(m.number) }

// Boot switches the machine on and waits until systemd has started everything.
func (m *Machine) Boot(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.running != nil {
		return fmt.Errorf("%s is on already", m)
	}
	if err := m.unmount(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	b, err := m.powerOn(ctx)
	if err != nil {
		return fmt.Errorf("boot %s: %w\n%s", m, err, m.console())
	}
	m.running = b
	go m.watch(b)
	return nil
}

// powerOn starts the host's processes and answers when it is up.
func (m *Machine) powerOn(ctx context.Context) (*boot, error) {
	groups, err := makeGroups(m.site.run(), fmt.Sprint(m.number))
	if err != nil {
		return nil, err
	}
	console, err := os.OpenFile(filepath.Join(m.dir, "console.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer console.Close()
	ready, readyWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer ready.Close()
	capabilities, calls := m.Role.rights()
	cmd := exec.Command("sh", "-c", bootScript)
	cmd.Env = []string{
		"PATH=" + hostPath, "SYSTEMD_NSPAWN_API_VFS_WRITABLE=network", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1",
		"SYSTEMD_NSPAWN_TMPFS_TMP=0",
		"DISK=" + m.dir, "LAYERS=" + strings.Join(m.lower, " "), "MACHINE=" + m.hostname(),
		"GROUPS_OF_HOST=" + strings.Join(groups, " "), "MORE_RIGHTS=" + capabilities, "MORE_CALLS=" + calls,
	}
	cmd.Stdout, cmd.Stderr = console, console
	cmd.ExtraFiles = []*os.File{readyWrite}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	err = m.site.start(cmd, syscall.CLONE_NEWPID|syscall.CLONE_NEWNS|syscall.CLONE_NEWNET)
	readyWrite.Close()
	if err != nil {
		return nil, err
	}
	b := &boot{cmd: cmd, over: make(chan struct{})}
	go func() {
		b.err = cmd.Wait()
		close(b.over)
	}()
	if err := m.comeUp(ctx, b, ready, stdin); err != nil {
		b.kill()
		return nil, err
	}
	return b, nil
}

func (m *Machine) comeUp(ctx context.Context, b *boot, ready io.Reader, stdin io.Writer) error {
	if line, err := bufio.NewReader(ready).ReadString('\n'); err != nil {
		return fmt.Errorf("mount the disk: %w %s", err, line)
	}
	if err := m.site.bridge.plug(b.cmd.Process.Pid, m.number); err != nil {
		return err
	}
	if _, err := io.WriteString(stdin, "go\n"); err != nil {
		return err
	}
	if err := b.findLeader(ctx); err != nil {
		return err
	}
	return b.waitUp(ctx, m.Role.readiness())
}

// waitUp waits for the end of the boot, and then until the role's own services answer. A host with failed
// units is up as well.
func (b *boot) waitUp(ctx context.Context, ready string) error {
	missing := "systemd has not said that it is up"
	wait := 20 * time.Millisecond
	for booted := false; ; {
		if !booted {
			out, _ := b.command(ctx, "systemctl", "is-system-running", "--wait").Output()
			switch state := strings.TrimSpace(string(out)); state {
			case "running", "degraded":
				booted = true
			case "maintenance", "stopping":
				return fmt.Errorf("the host is %s", state)
			}
		}
		if booted {
			out, err := b.command(ctx, "sh", "-exc", ready).CombinedOutput()
			if err == nil {
				return nil
			}
			if ctx.Err() == nil {
				missing = strings.TrimSpace(string(out))
			}
			wait = min(wait*2, 500*time.Millisecond) // asking costs what the services need to start
		}
		if err := b.pause(ctx, wait); err != nil {
			return fmt.Errorf("%w; last: %s", err, missing)
		}
	}
}

// pause waits a moment, and fails when there is nothing to wait for any more.
func (b *boot) pause(ctx context.Context, moment time.Duration) error {
	select {
	case <-b.over:
		return fmt.Errorf("the host went down: %v", b.err)
	case <-ctx.Done():
		return fmt.Errorf("wait for the host to come up: %w", ctx.Err())
	case <-time.After(moment):
		return nil
	}
}

// watch boots the machine again when it asked for it by rebooting.
func (m *Machine) watch(b *boot) {
	<-b.over
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.running != b {
		return // somebody switched it off
	}
	m.running = nil
	var exit *exec.ExitError
	if !errors.As(b.err, &exit) || exit.ExitCode() != restartExit {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), bootTimeout)
	defer cancel()
	if next, err := m.powerOn(ctx); err == nil {
		m.running = next
		go m.watch(next)
	}
}

// kill takes the power away: all processes of the host die at once.
func (b *boot) kill() {
	_ = b.cmd.Process.Kill()
	<-b.over
}

// PowerCut kills everything in the machine. The disk stays as it is.
func (m *Machine) PowerCut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.running != nil {
		b := m.running
		m.running = nil
		b.kill()
	}
}

// Stop shuts the machine down in order, as its power button would.
func (m *Machine) Stop(ctx context.Context) error {
	b := m.current()
	if b == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	_ = b.command(ctx, "systemctl", "poweroff").Run() // the answer may be lost with the host
	if err := b.waitOver(ctx); err != nil {
		return fmt.Errorf("stop %s: %w", m, err)
	}
	m.PowerCut()
	return nil
}

// Reboot restarts the machine from within and waits until it is up again.
func (m *Machine) Reboot(ctx context.Context) error {
	b := m.current()
	if b == nil {
		return fmt.Errorf("reboot %s: it is off", m)
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout+bootTimeout)
	defer cancel()
	_ = b.command(ctx, "systemctl", "reboot").Run()
	return m.awaitReboot(ctx, b)
}

// awaitReboot waits until the life b has ended and the next one is up.
func (m *Machine) awaitReboot(ctx context.Context, b *boot) error {
	if err := b.waitOver(ctx); err != nil {
		return fmt.Errorf("reboot %s: %w", m, err)
	}
	for {
		if next := m.current(); next != nil && next != b {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("reboot %s: it did not come up again: %w\n%s", m, ctx.Err(), m.console())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (b *boot) waitOver(ctx context.Context) error {
	select {
	case <-b.over:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("it did not go down: %w", ctx.Err())
	}
}

// current is the machine's present life; nil while it is off.
func (m *Machine) current() *boot {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.running
}

// Close cuts the power and removes the disk. The last machine takes the lab's network and key with it.
func (m *Machine) Close() error {
	m.PowerCut()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	problems := []error{m.unmount()}
	for _, group := range groupsOf(m.site.run(), fmt.Sprint(m.number)) {
		problems = append(problems, removeGroup(group))
	}
	if errors.Join(problems...) == nil {
		problems = append(problems, os.RemoveAll(m.dir))
	}
	problems = append(problems, m.site.leave())
	return errors.Join(problems...)
}

func (m *Machine) String() string { return fmt.Sprintf("lab host %d (%s)", m.number, m.Role.Name) }

// console is the end of what the host wrote to its console.
func (m *Machine) console() string {
	content, err := os.ReadFile(filepath.Join(m.dir, "console.log"))
	if err != nil {
		return err.Error()
	}
	return tail(string(content), 30)
}
