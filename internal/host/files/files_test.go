package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"picket/internal/host/shell"
	"picket/lab/sshserver"
)

// A pipe is a connection to a shell of this machine, without SSH between.
type pipe struct {
	argv    []string // of the shell
	path    string
	uid     uint32
	home    string
	cut     int64 // bytes that come through before the line is cut; 0: all
	cmd     *exec.Cmd
	sent    int64
	written *atomic.Int64 // so far, while it is sent
}

func (p *pipe) Start(command string) (io.WriteCloser, io.Reader, io.Reader, error) {
	command = strings.Replace(command, "/bin/sh -c ", strings.Join(p.argv, " ")+" -c ", 1)
	p.cmd = exec.Command(p.argv[0], append(slices.Clone(p.argv[1:]), "-c", command)...)
	p.cmd.Dir = "/"
	p.cmd.Env = []string{"PATH=" + p.path, "HOME=" + p.home}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if p.uid != 0 && os.Getuid() == 0 {
		p.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: p.uid, Gid: p.uid}
	}
	in, err1 := p.cmd.StdinPipe()
	out, err2 := p.cmd.StdoutPipe()
	complaint, err3 := p.cmd.StderrPipe()
	return &counted{in, p}, out, complaint, errors.Join(err1, err2, err3, p.cmd.Start())
}

func (p *pipe) Close() error {
	if p.cmd != nil {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	}
	return nil
}

type counted struct {
	io.WriteCloser
	p *pipe
}

func (c *counted) Write(b []byte) (int, error) {
	if left := c.p.cut - c.p.written.Load(); c.p.cut > 0 && int64(len(b)) > left {
		n, _ := c.WriteCloser.Write(b[:left])
		c.p.written.Add(int64(n))
		c.WriteCloser.Close()
		return n, io.ErrClosedPipe
	}
	n, err := c.WriteCloser.Write(b)
	c.p.written.Add(int64(n))
	return n, err
}

const nobody = 65534

// onShells runs a test with each shell that a host may have, and with nothing but its own tools for BusyBox: as somebody
// who is not root where the test may be that.
func onShells(t *testing.T, test func(t *testing.T, p *pipe)) {
	t.Helper()
	for _, name := range []string{"dash", "bash", "busybox"} {
		t.Run(name, func(t *testing.T) {
			argv, path := []string{sshserver.Need(t, name)}, "/usr/sbin:/usr/bin:/sbin:/bin"
			if name == "busybox" {
				path = openUp(t, t.TempDir())
				list, err := exec.Command(argv[0], "--list").Output()
				if err != nil {
					t.Fatal(err)
				}
				for _, applet := range strings.Fields(string(list)) {
					if err := os.Symlink(argv[0], filepath.Join(path, applet)); err != nil {
						t.Fatal(err)
					}
				}
				argv = append(argv, "sh")
			}
			home := openUp(t, t.TempDir())
			if os.Getuid() == 0 {
				if err := os.Chown(home, nobody, nobody); err != nil {
					t.Fatal(err)
				}
			}
			test(t, &pipe{argv: argv, path: path, uid: nobody, home: home})
		})
	}
}

func (p *pipe) send(t *testing.T, opt Options, jobs ...Job) (Sent, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn := *p
	conn.written = new(atomic.Int64)
	sent, err := Send(ctx, shell.Login(&conn), jobs, opt)
	if p.cut > 0 {
		_ = conn.cmd.Wait() // the host finds out by itself
	} else {
		conn.Close()
	}
	p.sent = conn.written.Load()
	return sent, err
}

// openUp lets another user reach a temporary folder.
func openUp(t *testing.T, dir string) string {
	t.Helper()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t *testing.T, path string) Source {
	t.Helper()
	s, err := Read(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func write(t *testing.T, mode fs.FileMode, content string, elem ...string) string {
	t.Helper()
	name := filepath.Join(elem...)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o600), os.Chmod(name, mode)); err != nil {
		t.Fatal(err)
	}
	return name
}

// tree is what is below a folder: names, modes, whole seconds and contents.
func tree(t *testing.T, root string) string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		line := fmt.Sprintf("%q %v", rel, info.Mode())
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			text, _ := os.Readlink(p)
			line += fmt.Sprintf(" -> %q", text)
		case info.IsDir():
			line += fmt.Sprint(" ", info.ModTime().Unix())
		default:
			content, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %d %x", info.ModTime().Unix(), content[:min(len(content), 40)])
		}
		out = append(out, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, "\n")
}

// odd makes a folder with all that is hard to copy.
func odd(t *testing.T) string {
	root := filepath.Join(t.TempDir(), "scripts")
	write(t, 0o644, "plain\n", root, "a")
	write(t, 0o755, "#!/bin/sh\n", root, "run.sh")
	write(t, 0o400, "", root, "empty")
	write(t, 0o640, strings.Repeat("long", 100_000), root, "sub", "deep", "long")
	write(t, 0o600, "x", root, "with blank", " and *? [a] $HOME 'q' \"d\" \\n\t", "end ")
	write(t, 0o600, "x", root, "two\nlines\n")
	write(t, 0o600, "x", root, "-rf")
	write(t, 0o600, "x", root, "grüße")
	write(t, 0o4751, "x", root, "setuid")
	for name, text := range map[string]string{"to a": "a", "nowhere": "/nonexistent/ x\n", "folder": "sub"} {
		if err := os.Symlink(text, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Mkdir(filepath.Join(root, "nothing"), 0o750), os.Chmod(filepath.Join(root, "sub"), 0o2710)); err != nil {
		t.Fatal(err)
	}
	old := time.Date(2019, 2, 28, 23, 59, 58, 0, time.UTC)
	for _, name := range []string{"a", "sub/deep", "."} {
		if err := os.Chtimes(filepath.Join(root, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// TestFolder: a folder arrives as it is; a second time nothing is sent, and what else is there stays.
func TestFolder(t *testing.T) {
	from := odd(t)
	onShells(t, func(t *testing.T, p *pipe) {
		job := Job{read(t, from), "scripts"}
		sent, err := p.send(t, Options{}, job)
		to := filepath.Join(p.home, "scripts")
		if err != nil || sent.Files != 12 || sent.Same != 0 || sent.Places[0] != to {
			t.Fatalf("%+v, %v", sent, err)
		}
		if is, want := tree(t, to), tree(t, from); is != want {
			t.Errorf("it is\n%s\nwant\n%s", is, want)
		}
		alone(t, p.home, "scripts")

		sent, err = p.send(t, Options{}, job)
		if err != nil || sent.Files != 0 || sent.Same != 12 || sent.Bytes != 0 || p.sent > 10_000 {
			t.Errorf("again: %+v, %d bytes, %v", sent, p.sent, err)
		}
		write(t, 0o600, "theirs", to, "sub", "theirs")
		write(t, 0o600, "changed", to, "a")
		if err := errors.Join(os.Chmod(filepath.Join(to, "run.sh"), 0o700), os.Chmod(to, 0o700), os.Remove(filepath.Join(to, "to a")), os.Symlink("other", filepath.Join(to, "to a"))); err != nil {
			t.Fatal(err)
		}
		if os.Getuid() == 0 {
			for _, name := range []string{"a", "sub/theirs", "to a"} {
				if err := os.Lchown(filepath.Join(to, name), nobody, nobody); err != nil {
					t.Fatal(err)
				}
			}
		}
		sent, err = p.send(t, Options{Pretend: true}, job)
		if err != nil || sent.Files != 2 || sent.Adjusted != 1 || sent.Same != 9 {
			t.Errorf("what differs: %+v, %v", sent, err)
		}
		if b, _ := os.ReadFile(filepath.Join(to, "a")); string(b) != "changed" {
			t.Errorf("to pretend has changed it: %q", b)
		}
		sent, err = p.send(t, Options{}, job)
		if err != nil || sent.Files != 2 || sent.Adjusted != 1 || sent.Same != 9 {
			t.Errorf("what differs: %+v, %v", sent, err)
		}
		if b, err := os.ReadFile(filepath.Join(to, "sub", "theirs")); string(b) != "theirs" {
			t.Errorf("what was there is %q, %v", b, err)
		}
		if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("a folder that was there has another mode: %v", info.Mode())
		}
		if err := errors.Join(os.Remove(filepath.Join(to, "sub", "theirs")), os.Chmod(to, 0o755)); err != nil {
			t.Fatal(err)
		}
		folders := func(s string) string { // their times are those of the last change in them
			var out []string
			for l := range strings.Lines(s) {
				if !strings.Contains(l, `" d`) {
					out = append(out, l)
				}
			}
			return strings.Join(out, "")
		}
		if is, want := folders(tree(t, to)), folders(tree(t, from)); is != want {
			t.Errorf("it is\n%s\nwant\n%s", is, want)
		}
	})
}

// alone wants nothing in a folder but these.
func alone(t *testing.T, dir string, names ...string) {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var is []string
	for _, e := range all {
		is = append(is, e.Name())
	}
	if !slices.Equal(is, names) {
		t.Errorf("in %s are %q, want %q", dir, is, names)
	}
}

// TestRead: what cannot be copied is told before any host is spoken to.
func TestRead(t *testing.T) {
	dir := t.TempDir()
	write(t, 0o644, "x", dir, "d", "f")
	write(t, 0o644, "x", dir, "d", ".picket-01234567-0123456789abcdef")
	if s := read(t, filepath.Join(dir, "d")); len(s.Entries) != 2 {
		t.Errorf("%+v", s.Entries)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "d", "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(t.Context(), filepath.Join(dir, "d")); err == nil || !strings.Contains(err.Error(), "/d/pipe is a pipe: only files, folders and links are copied") {
		t.Error(err)
	}
	if _, err := Read(t.Context(), filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	for n, want := range map[int64]string{0: "0 bytes", 999: "999 bytes", 1000: "1.0 kB", 999_499: "999 kB", 999_500: "1.0 MB", 12_345_678_901: "12 GB"} {
		if is := Size(n); is != want {
			t.Errorf("%d: %s, want %s", n, is, want)
		}
	}
}
