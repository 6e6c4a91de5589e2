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
	"picket/lab/sshserver"
)

// shellWithoutWire is a connection to a shell of this machine: what SSH does
// is left out, and nothing else. It is given the programs that a host would
// get.
type shellWithoutWire struct {
	argv []string
	env  []string
	uid  int // who to be; 0: as we are

	mu   sync.Mutex
	cmd  *exec.Cmd
	outs []io.Closer
}

func (c *shellWithoutWire) Start(command string) (io.WriteCloser, io.Reader, io.Reader, error) {
	if command != shellCommand {
		return nil, nil, nil, errors.New("another command than the one constant one: " + command)
	}
	c.cmd = exec.Command(c.argv[0], c.argv[1:]...)
	c.cmd.Env = append([]string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8"}, c.env...)
	c.cmd.Dir = "/"
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if c.uid != 0 {
		c.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(c.uid), Gid: uint32(c.uid)}
	}
	stdin, err1 := c.cmd.StdinPipe()
	stdout, err2 := c.cmd.StdoutPipe()
	stderr, err3 := c.cmd.StderrPipe()
	c.outs = []io.Closer{stdout, stderr}
	return stdin, stdout, stderr, errors.Join(err1, err2, err3, c.cmd.Start())
}

func (c *shellWithoutWire) Close() error {
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

// onPath has the programs of a connection look for commands elsewhere.
type onPath struct {
	Connection
	path string
}

func (c onPath) Start(command string) (io.WriteCloser, io.Reader, io.Reader, error) {
	stdin, stdout, stderr, err := c.Connection.Start(command)
	return pathIn{stdin, c.path}, stdout, stderr, err
}

type pathIn struct {
	io.WriteCloser
	path string
}

func (w pathIn) Write(p []byte) (int, error) {
	_, err := w.WriteCloser.Write(bytes.ReplaceAll(p, []byte(snap.Path), []byte(w.path)))
	return len(p), err
}

// shells are the ones that a program has to run in.
var shells = []string{"dash", "bash", "busybox"}

// shell makes connections to a shell, with only its own tools for BusyBox, and
// the folders where these are. The test is left out where there is no such
// shell.
func shell(t *testing.T, name string) (connect func() *shellWithoutWire, path string) {
	t.Helper()
	p := sshserver.Need(t, name)
	argv := []string{p}
	switch name {
	case "bash":
		argv = append(argv, "--posix")
	case "busybox":
		dir := t.TempDir()
		out, err := exec.Command(p, "--list").Output()
		if err != nil {
			t.Fatal(err)
		}
		for a := range strings.FieldsSeq(string(out)) {
			if a != "busybox" {
				os.Symlink(p, filepath.Join(dir, a))
			}
		}
		openUp(t, dir)
		return func() *shellWithoutWire { return &shellWithoutWire{argv: []string{filepath.Join(dir, "sh")}} }, dir
	}
	return func() *shellWithoutWire { return &shellWithoutWire{argv: argv} }, snap.Path
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

// round serves one manifest.
func round(t *testing.T, tk Taker, m snap.Manifest) (*snap.Snapshot, error) {
	t.Helper()
	defer tk.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	src, err := tk.Source(ctx)
	if err != nil {
		return nil, err
	}
	s := snap.New(src, time.Unix(1700000000, 0).UTC())
	if err := tk.Round(ctx, m, s); err != nil {
		return nil, err
	}
	s.MarkAsked(m)
	return s, nil
}
