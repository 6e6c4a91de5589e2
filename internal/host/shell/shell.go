// Package shell runs programs of a POSIX shell as root on one host: this one, or one
// that is reached over SSH.
package shell

import (
	"bytes"
	"cmp"
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
	"time"
)

// A Shell runs programs as root.
type Shell interface {
	// Run gives a program its stdin, and every line that it writes to stderr, as it comes, to said (which may be nil).
	// exit is the program's exit status; err is that it could not be run, or that the host was lost on the way. How long it
	// may take is for ctx to say.
	Run(ctx context.Context, program string, stdin []byte, said func(line string)) (stdout []byte, exit int, err error)
	Close() error
}

// A Streamer is a Shell whose programs read and write as they go.
type Streamer interface {
	Shell
	// Stream is Run for a program that reads and writes more than one would hold at once: stdout gets what it writes as it
	// comes. stdin may be read once more after the program has ended.
	Stream(ctx context.Context, program string, stdin io.Reader, stdout io.Writer, said func(line string)) (exit int, err error)
}

// asking is how long a host may take to say how one becomes root on it.
const asking = 60 * time.Second

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
func SSH(c Connection, user string, password func(user string) ([]byte, error)) Streamer {
	return &ssh{conn: c, user: user, password: password}
}

// Login is the shell of whoever has logged in at the other end of a connection, root or not.
func Login(c Connection) Streamer {
	s := &ssh{conn: c}
	s.once.Do(func() {}) // nothing is to be found out
	return s
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
		limited, cancel := context.WithTimeout(ctx, asking)
		defer cancel()
		var out bytes.Buffer
		_, err := s.start(limited, "", nil, `if [ "$(id -u)" = 0 ]; then echo root; elif sudo -n true 2>/dev/null; then echo sudo; else echo ask; fi`, nil, &out, nil)
		switch how := strings.TrimSpace(out.String()); {
		case err != nil && limited.Err() != nil && ctx.Err() == nil:
			s.err = fmt.Errorf("the host took the login and then hung: it did not say within %s whether sudo lets us in", asking)
		case err != nil:
			s.err = err
		case how == "root":
		case how == "sudo":
			s.become = "sudo -n "
		case how != "ask":
			s.err = fmt.Errorf("the login gives no shell that works: it said %q", cut(how))
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
	var out bytes.Buffer
	exit, err := s.Stream(ctx, program, bytes.NewReader(stdin), &bounded{&out, maxOut}, said)
	return out.Bytes(), exit, err
}

func (s *ssh) Stream(ctx context.Context, program string, stdin io.Reader, stdout io.Writer, said func(string)) (int, error) {
	if err := s.root(ctx); err != nil {
		return 0, err
	}
	return s.start(ctx, s.become, s.secret, program, stdin, stdout, said)
}

// start runs a program. Its output begins behind a line that nobody can guess, on stdout and stderr: what stands before it
// is what the login's own files print. Its exit status comes behind the output, after a word of that kind.
func (s *ssh) start(ctx context.Context, become string, secret []byte, program string, stdin io.Reader, stdout io.Writer, said func(string)) (int, error) {
	raw := make([]byte, 12)
	if _, err := rand.Read(raw); err != nil {
		return 0, err
	}
	begin, end := "begin-"+hex.EncodeToString(raw), "end-"+hex.EncodeToString(raw)
	whole := fmt.Sprintf("echo %s; echo %[1]s >&2; (%s\n); printf '%s %%s\n' \"$?\"", begin, program, end)
	in, out, complaint, err := s.conn.Start(become + "/bin/sh -c " + quote(whole))
	if err != nil {
		return 0, err
	}
	stop := context.AfterFunc(ctx, func() { s.conn.Close() })
	defer stop()
	go func() {
		if len(secret) > 0 {
			_, _ = in.Write(secret)
		}
		if stdin != nil {
			_, _ = io.Copy(in, stdin)
		}
		_ = in.Close()
	}()
	var told sync.WaitGroup
	last := ""
	told.Go(func() {
		begun := false
		lines := &lineWriter{said: func(line string) {
			if !begun && strings.HasSuffix(line, begin) {
				begun = true
				return
			}
			if last = line; begun && said != nil {
				said(line)
			}
		}}
		_, _ = io.Copy(lines, complaint)
		lines.end()
	})
	f := &framed{to: stdout, begin: []byte(begin + "\n"), end: []byte(end + " ")}
	_, err = io.Copy(f, out)
	if f.err != nil {
		s.conn.Close() // the program may wait for somebody to read on
	}
	told.Wait()
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case f.err != nil:
		return 0, f.err
	}
	if !f.ended {
		if err == nil {
			err = s.whyEnded(f.begun, become != "", cmp.Or(last, lastLine(f.held)))
		}
		if f.begun {
			_, _ = stdout.Write(f.held)
		}
		return 0, err
	}
	status, _, _ := bytes.Cut(f.held, []byte("\n")) // a login's trap may print something more
	return strconv.Atoi(string(status))
}

// A framed writer passes on what stands between two words that nobody can guess.
type framed struct {
	to           io.Writer
	begin, end   []byte
	begun, ended bool
	held         []byte // before the beginning; what may be a part of the end; what is behind it
	err          error  // of writing
}

// mostNoise is how much is kept of what is none of the program's output.
const mostNoise = 64 << 10

func (f *framed) Write(b []byte) (int, error) {
	f.held = append(f.held, b...)
	if !f.begun {
		_, rest, found := bytes.Cut(f.held, f.begin)
		if !found {
			f.held = f.held[max(0, len(f.held)-mostNoise):]
			return len(b), nil
		}
		f.begun, f.held = true, rest
	}
	if f.ended {
		f.held = f.held[:min(len(f.held), mostNoise)]
		return len(b), nil
	}
	out, rest := f.held, []byte(nil)
	if i := bytes.Index(f.held, f.end); i >= 0 {
		f.ended = true
		out, rest = f.held[:i], f.held[i+len(f.end):]
	} else {
		for n := min(len(f.held), len(f.end)-1); n > 0; n-- {
			if bytes.HasSuffix(f.held, f.end[:n]) {
				out, rest = f.held[:len(f.held)-n], f.held[len(f.held)-n:]
				break
			}
		}
	}
	if len(out) > 0 {
		if _, f.err = f.to.Write(out); f.err != nil {
			return 0, f.err
		}
	}
	f.held = bytes.Clone(rest)
	return len(b), nil
}

// A bounded writer takes so many bytes and no more.
type bounded struct {
	to   io.Writer
	left int
}

func (w *bounded) Write(b []byte) (int, error) {
	if len(b) > w.left {
		n, _ := w.to.Write(b[:w.left])
		w.left = 0
		return n, fmt.Errorf("the program writes more than %d bytes", maxOut)
	}
	w.left -= len(b)
	return w.to.Write(b)
}

// whyEnded is why a program did not come to its end, or did not begin.
func (s *ssh) whyEnded(begun, become bool, last string) error {
	if c, ok := s.conn.(interface{ Lost() error }); ok {
		if lost := c.Lost(); lost != nil {
			return fmt.Errorf("the connection ended before the program did: %w", lost)
		}
	}
	switch {
	case begun || last == "":
		return errors.New("the connection ended before the program did")
	case become:
		return fmt.Errorf("%w (it said %q)", ErrNoRoot, last)
	}
	return fmt.Errorf("the login gives no shell that works: it said %q", cut(last))
}

func lastLine(b []byte) string {
	b = bytes.TrimSpace(b)
	return string(b[bytes.LastIndexByte(b, '\n')+1:])
}

func cut(s string) string { return s[:min(len(s), 200)] }

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// mostLine is how much of a line is given on, in bytes.
const mostLine = 64 << 10

// A lineWriter gives whole lines on. Of one that is too long it gives the beginning, and then goes on with the next.
type lineWriter struct {
	said func(string)
	open []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	n := len(p)
	for {
		line, rest, whole := bytes.Cut(p, []byte("\n"))
		w.open = append(w.open, line[:min(len(line), mostLine-len(w.open))]...)
		if !whole {
			return n, nil
		}
		w.give()
		p = rest
	}
}

func (w *lineWriter) end() {
	if len(w.open) > 0 {
		w.give()
	}
}

func (w *lineWriter) give() {
	if w.said != nil {
		w.said(string(bytes.TrimSuffix(w.open, []byte("\r"))))
	}
	w.open = w.open[:0]
}
