package snapshot

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"picket/internal/core/snap"
)

// A shellConn is a connection to a shell of this machine. The programs are
// those that a host would get, but for the folders that commands are taken from.
type shellConn struct {
	argv []string
	path string // instead of snap.Path
	uid  int    // who to be; 0: as we are
	env  []string

	mu   sync.Mutex
	cmd  *exec.Cmd
	sent bytes.Buffer
	in   io.WriteCloser
	outs []io.Closer
}

func (c *shellConn) Start(command string) (io.WriteCloser, io.Reader, io.Reader, error) {
	if command != shellCommand {
		return nil, nil, nil, errors.New("another command than the one constant one: " + command)
	}
	c.cmd = exec.Command(c.argv[0], c.argv[1:]...)
	c.cmd.Env = append([]string{"PATH=" + c.path, "LANG=C.UTF-8"}, c.env...)
	c.cmd.Dir = "/"
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if c.uid != 0 {
		c.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(c.uid), Gid: uint32(c.uid)}
	}
	stdin, err1 := c.cmd.StdinPipe()
	stdout, err2 := c.cmd.StdoutPipe()
	stderr, err3 := c.cmd.StderrPipe()
	c.outs = []io.Closer{stdout, stderr}
	c.in = stdin
	return shellIn{c}, stdout, stderr, errors.Join(err1, err2, err3, c.cmd.Start())
}

func (c *shellConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cmd != nil && c.cmd.Process != nil {
		syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
		for _, o := range c.outs {
			o.Close()
		}
		c.cmd.Wait()
		c.cmd = nil
	}
	return nil
}

type shellIn struct{ c *shellConn }

func (w shellIn) Write(p []byte) (int, error) {
	w.c.sent.Write(p)
	_, err := w.c.in.Write(bytes.ReplaceAll(p, []byte(snap.Path), []byte(w.c.path)))
	return len(p), err
}
func (w shellIn) Close() error { return w.c.in.Close() }

// shells are the ones that a program has to run in.
func shells(t *testing.T) map[string]func() *shellConn {
	t.Helper()
	all := map[string]func() *shellConn{}
	for name, argv := range map[string][]string{"dash": {"dash"}, "bash": {"bash", "--posix"}} {
		p, err := exec.LookPath(argv[0])
		if err != nil {
			t.Logf("no %s here", name)
			continue
		}
		argv[0] = p
		all[name] = func() *shellConn { return &shellConn{argv: argv, path: snap.Path} }
	}
	if p, err := exec.LookPath("busybox"); err == nil {
		dir := t.TempDir()
		out, err := exec.Command(p, "--list").Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range strings.Fields(string(out)) {
			if a != "sh" && a != "busybox" {
				os.Symlink(p, filepath.Join(dir, a))
			}
		}
		os.Symlink(p, filepath.Join(dir, "sh"))
		openUp(t, dir)
		all["busybox"] = func() *shellConn {
			return &shellConn{argv: []string{filepath.Join(dir, "sh")}, path: dir}
		}
	} else {
		t.Log("no busybox here")
	}
	if len(all) == 0 {
		t.Fatal("there is no shell to test with")
	}
	return all
}

// openUp lets another user reach a temporary folder.
func openUp(t *testing.T, dir string) {
	t.Helper()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// take serves one manifest.
func take(t *testing.T, c Connection, m snap.Manifest, opt SSHOptions) (*snap.Snapshot, error) {
	t.Helper()
	tk := NewSSH(c, "ssh://test", opt)
	defer tk.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	src, err := tk.Source(ctx)
	if err != nil {
		return nil, err
	}
	s := snap.New(src, time.Unix(0, 0))
	if err := tk.Round(ctx, m, s); err != nil {
		return nil, err
	}
	s.MarkAsked(m)
	return s, nil
}

func mustTake(t *testing.T, c Connection, m snap.Manifest) *snap.Snapshot {
	t.Helper()
	s, err := take(t, c, m, SSHOptions{NoSudo: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
