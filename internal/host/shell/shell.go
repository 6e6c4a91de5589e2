// Package shell runs programs of a POSIX shell as root on one host: this one, or one
// that is reached over SSH.
package shell

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"sync"
)

// A Shell runs programs as root.
type Shell interface {
	// Run gives a program its stdin, and every line that it writes to stderr, as it comes, to said (which may be nil).
	// exit is the program's exit status; err is that it could not be run, or that the host was lost on the way.
	Run(ctx context.Context, program string, stdin []byte, said func(line string)) (stdout []byte, exit int, err error)
	Close() error
}

// maxOut bounds what is kept of a program's output, in bytes.
const maxOut = 8 << 20

// Local is this machine's shell. Whether we are root is the caller's to know.
func Local() Shell { return local{} }

type local struct{}

func (local) Close() error { return nil }

func (local) Run(ctx context.Context, program string, stdin []byte, said func(string)) ([]byte, int, error) {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", program)
	cmd.Stdin = bytes.NewReader(stdin)
	lines := &lineWriter{said: said}
	cmd.Stderr = lines
	out, err := cmd.Output()
	lines.end()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return out, exit.ExitCode(), nil
	}
	return out, 0, err
}

// A Connection starts commands on a host, as remote.Client does.
type Connection interface {
	Start(command string) (stdin io.WriteCloser, stdout, stderr io.Reader, err error)
	Close() error
}

// ErrNoRoot is that sudo does not let us in.
var ErrNoRoot = errors.New("sudo does not let us become root")

// SSH is the shell of the host at the other end of a connection. password gives that for sudo, where it asks for
// one; it may be nil.
func SSH(c Connection, user string, password func(user string) ([]byte, error)) Shell {
	return &ssh{conn: c, user: user, password: password}
}

type ssh struct {
	conn     Connection
	user     string
	password func(string) ([]byte, error)

	once   sync.Once
	become string // what goes before the shell
	secret []byte // sudo's password and a newline
	err    error
}

func (s *ssh) Close() error { return s.conn.Close() }

// root finds out how to become root.
func (s *ssh) root(ctx context.Context) error {
	s.once.Do(func() {
		out, _, err := s.start(ctx, "", nil, `if [ "$(id -u)" = 0 ]; then echo root; elif sudo -n true 2>/dev/null; then echo sudo; else echo ask; fi`, nil, nil)
		switch how := strings.TrimSpace(string(out)); {
		case err != nil:
			s.err = err
		case how == "root":
		case how == "sudo":
			s.become = "sudo -n "
		case s.password == nil:
			s.err = ErrNoRoot
		default:
			secret, err := s.password(s.user)
			if err != nil {
				s.err = err
				return
			}
			s.become, s.secret = "sudo -S -p '' ", append(bytes.Clone(secret), '\n')
		}
	})
	return s.err
}

func (s *ssh) Run(ctx context.Context, program string, stdin []byte, said func(string)) ([]byte, int, error) {
	if err := s.root(ctx); err != nil {
		return nil, 0, err
	}
	return s.start(ctx, s.become, s.secret, program, stdin, said)
}

// start runs a program. Its exit status comes behind its output, on a line that begins with a word that nobody can guess.
func (s *ssh) start(ctx context.Context, become string, secret []byte, program string, stdin []byte, said func(string)) ([]byte, int, error) {
	raw := make([]byte, 12)
	if _, err := rand.Read(raw); err != nil {
		return nil, 0, err
	}
	mark := "end-" + hex.EncodeToString(raw)
	whole := fmt.Sprintf("(%s\n); printf '\\n%s %%s\\n' \"$?\"", program, mark)
	in, out, complaint, err := s.conn.Start(become + "/bin/sh -c " + quote(whole))
	if err != nil {
		return nil, 0, err
	}
	stop := context.AfterFunc(ctx, func() { s.conn.Close() })
	defer stop()
	go func() {
		_, _ = in.Write(append(bytes.Clone(secret), stdin...))
		_ = in.Close()
	}()
	var told sync.WaitGroup
	last := ""
	told.Go(func() {
		lines := bufio.NewScanner(io.LimitReader(complaint, maxOut))
		for lines.Scan() {
			last = lines.Text()
			if said != nil {
				said(last)
			}
		}
		_, _ = io.Copy(io.Discard, complaint)
	})
	got, err := io.ReadAll(io.LimitReader(out, maxOut))
	told.Wait()
	if ctx.Err() != nil {
		return nil, 0, ctx.Err()
	}
	at := bytes.LastIndex(got, []byte("\n"+mark+" "))
	if at < 0 {
		if err == nil {
			err = errors.New("the connection ended before the program did")
			if become != "" && last != "" && len(got) == 0 {
				err = fmt.Errorf("%w (it said %q)", ErrNoRoot, last)
			}
		}
		return got, 0, err
	}
	exit, err := strconv.Atoi(strings.TrimSpace(string(got[at+len(mark)+2:])))
	return got[:at], exit, err
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// A lineWriter gives whole lines on.
type lineWriter struct {
	said func(string)
	open []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.open = append(w.open, p...)
	for {
		i := bytes.IndexByte(w.open, '\n')
		if i < 0 {
			return len(p), nil
		}
		if w.said != nil {
			w.said(string(w.open[:i]))
		}
		w.open = w.open[i+1:]
	}
}

func (w *lineWriter) end() {
	if len(w.open) > 0 && w.said != nil {
		w.said(string(w.open))
	}
}
