package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"picket/internal/core/snap"
	"picket/internal/host/remote"
	"picket/lab/sshserver"
)

// fakeSudo answers as sudo does; who is root by it says so by id -u, as the
// shell it gives is only told so.
const fakeSudo = `#!/bin/sh
case "$MODE" in
tty) echo "sudo: sorry, you must have a tty to run sudo" >&2; exit 1 ;;
broken) echo "sudo: /usr/bin/sudo must be owned by uid 0 and have the setuid bit set" >&2; exit 1 ;;
esac
prompt= stdin=
while :; do
	case $1 in
	-n) n=1; shift ;;
	-S) stdin=1; shift ;;
	-p) prompt=$2; shift 2 ;;
	*) break ;;
	esac
done
if [ -n "$n" ]; then
	[ "$MODE" = nopasswd ] || { echo "sudo: a password is required" >&2; exit 1; }
else
	tries=0
	while :; do
		printf '%s' "$prompt" >&2
		IFS= read -r p || exit 1
		[ "$p" = "it's \$ecret" ] && break
		echo "Sorry, try again." >&2
		tries=$((tries+1))
		[ $tries -lt 3 ] || { echo "sudo: 3 incorrect password attempts" >&2; exit 1; }
	done
	[ "$MODE" != notallowed ] || { echo "amy is not in the sudoers file." >&2; exit 1; }
fi
exec env BECAME=root "$@"
`

const fakeID = `#!/bin/sh
if [ "$BECAME" = root ]; then echo 0
elif [ "$1" = -un ]; then echo amy
else echo 1000
fi
`

func TestSudo(t *testing.T) {
	const secret = "it's $ecret"
	for _, c := range []struct {
		name     string
		mode     string // of fakeSudo; "none": there is no sudo
		password string // "": nobody to ask
		uid      int
		problem  string
		err      error
	}{
		{name: "without a password", mode: "nopasswd", uid: 0},
		{name: "with the password", mode: "password", password: secret, uid: 0},
		{name: "with a wrong password", mode: "password", password: "guess", err: ErrSudoPassword},
		{name: "nobody to ask", mode: "password", uid: 1000, problem: "sudo wants the password of amy; what needs root is unknown; give it with --sudo-password-file FILE"},
		{name: "not a sudoer", mode: "notallowed", password: secret, uid: 1000, problem: "sudo does not let amy become root: it is not in the sudoers file; what needs root is unknown; to let it, type on the host, as root: usermod -aG sudo amy"},
		{name: "requiretty", mode: "tty", password: secret, uid: 1000, problem: "sudo wants a terminal for amy (requiretty); what needs root is unknown; lift that with visudo -f /etc/sudoers.d/picket and the line: Defaults:amy !requiretty"},
		{name: "requiretty, nobody to ask", mode: "tty", uid: 1000, problem: "sudo wants a terminal for amy (requiretty); what needs root is unknown; lift that with visudo -f /etc/sudoers.d/picket and the line: Defaults:amy !requiretty"},
		{name: "a broken sudo, nobody to ask", mode: "broken", uid: 1000, problem: `sudo does not let amy become root (it said "sudo: /usr/bin/sudo must be owned by uid 0 and have the setuid bit set"); what needs root is unknown; see it on the host: sudo -v`},
		{name: "no sudo", mode: "none", password: secret, uid: 1000, problem: "amy is not root, and the host has no sudo; what needs root is unknown; install it there, as root: apt-get install sudo; or log in as root"},
	} {
		for _, sh := range []string{"dash", "bash"} { // BusyBox has its own id, which no file can stand in for
			t.Run(c.name+"/"+sh, func(t *testing.T) {
				t.Parallel()
				connect, path := shell(t, sh)
				bin := t.TempDir()
				for name, text := range map[string]string{"sudo": fakeSudo, "id": fakeID} {
					if name != "sudo" || c.mode != "none" {
						if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o755); err != nil {
							t.Fatal(err)
						}
					}
				}
				conn := connect()
				conn.env = []string{"MODE=" + c.mode}
				heard := &wiretap{Connection: conn}
				asked := 0
				opt := SSHOptions{}
				if c.password != "" {
					opt.SudoPassword = func(user string) ([]byte, error) {
						asked++
						if user != "amy" {
							t.Errorf("asked for the password of %q", user)
						}
						return []byte(c.password), nil
					}
				}
				if c.mode == "none" {
					path = noSudo(t)
				}
				s, err := round(t, NewSSH(onPath{heard, bin + ":" + path}, "ssh://amy@host", opt), snap.Manifest{Commands: []snap.Command{{Argv: []string{"uname", "-srm"}}}})
				if !errors.Is(err, c.err) {
					t.Fatalf("error %v, want %v", err, c.err)
				}
				if asked > 1 {
					t.Errorf("asked %d times", asked)
				}
				if n := strings.Count(heard.sent.String(), "guess"); n > 1 {
					t.Errorf("a wrong password was sent %d times", n)
				}
				if err != nil {
					return
				}
				if s.Source.UID != c.uid || strings.Join(s.Problems, "; ") != c.problem {
					t.Errorf("uid %d, problems %q; want %d, %q", s.Source.UID, s.Problems, c.uid, c.problem)
				}
				if _, st, why := s.Run("uname", "-srm"); st != snap.Known {
					t.Errorf("uname: %v", why)
				}
			})
		}
	}
}

// TestSudoPasswordIsOneLine: a second line would be run by the shell, as root.
func TestSudoPasswordIsOneLine(t *testing.T) {
	connect, path := shell(t, "dash")
	bin := t.TempDir()
	for name, text := range map[string]string{"sudo": fakeSudo, "id": fakeID} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	conn := connect()
	conn.env = []string{"MODE=password"}
	heard := &wiretap{Connection: conn}
	_, err := round(t, NewSSH(onPath{heard, bin + ":" + path}, "ssh://amy@host", SSHOptions{
		SudoPassword: func(string) ([]byte, error) { return []byte("it's $ecret\nrm x"), nil },
	}), snap.Manifest{})
	if err == nil || !strings.Contains(err.Error(), "must be one line") || strings.Contains(heard.sent.String(), "rm x") {
		t.Errorf("error %v; sent %q", err, heard.sent.String())
	}
}

// TestSessionEnds: a shell whose other end is gone without a word, and one that
// somebody stopped, is ended by the host itself.
func TestSessionEnds(t *testing.T) {
	for _, sh := range shells {
		for _, stop := range []bool{false, true} {
			if !stop && sh != "dash" {
				continue // the end does not depend on it; a shell that is stopped may
			}
			t.Run(fmt.Sprintf("%s/stopped %v", sh, stop), func(t *testing.T) {
				t.Parallel()
				connect, path := shell(t, sh)
				conn := connect()
				tk := NewSSH(onPath{conn, path}, "ssh://x", SSHOptions{NoSudo: true, Session: 2 * time.Second})
				defer tk.Close()
				if _, err := tk.Source(t.Context()); err != nil {
					t.Fatal(err)
				}
				if stop {
					// Nothing is sent any more, and the shell could not take it.
					if _, err := io.WriteString(tk.(*sshTaker).stdin, "kill -STOP $$\n"); err != nil {
						t.Fatal(err)
					}
				}
				ended := make(chan error, 1)
				go func() { _, err := tk.(*sshTaker).in.next(); ended <- err }()
				select {
				case <-ended:
				case <-time.After(20 * time.Second):
					t.Error("the shell is still there")
				}
			})
		}
	}
}

// noSudo is a folder with what a program needs, without sudo.
func noSudo(t *testing.T) string {
	dir := t.TempDir()
	for _, n := range strings.Fields("sh tr uname stat xargs tar find head cat timeout dd true env") {
		if err := os.Symlink(sshserver.Need(t, n), filepath.Join(dir, n)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A wiretap keeps what was sent.
type wiretap struct {
	Connection
	sent strings.Builder
}

func (w *wiretap) Start(command string) (io.WriteCloser, io.Reader, io.Reader, error) {
	stdin, stdout, stderr, err := w.Connection.Start(command)
	return tapped{stdin, w}, stdout, stderr, err
}

type tapped struct {
	io.WriteCloser
	w *wiretap
}

func (t tapped) Write(p []byte) (int, error) {
	t.w.sent.Write(p)
	return t.WriteCloser.Write(p)
}

// throughFake takes a snapshot of a server that misbehaves.
func throughFake(t *testing.T, ctx context.Context, b sshserver.Behaviour, m snap.Manifest, opt SSHOptions) (*snap.Snapshot, error) {
	t.Helper()
	server := sshserver.Fake(t, b)
	target, err := remote.ParseTarget(server.Target())
	if err != nil {
		t.Fatal(err)
	}
	c, err := remote.Dial(t.Context(), target, remote.Options{KnownHosts: []string{server.KnownHosts(t)}, Identities: []string{server.Key}})
	if err != nil {
		t.Fatal(err)
	}
	opt.NoSudo = true
	tk := NewSSH(c, server.Target(), opt)
	defer tk.Close()
	src, err := tk.Source(ctx)
	if err != nil {
		return nil, err
	}
	s := snap.New(src, time.Unix(1, 0))
	if err := tk.Round(ctx, m, s); err != nil {
		return nil, err
	}
	s.MarkAsked(m)
	return s, nil
}

// upTo runs the shell and passes on what it prints until text comes, and
// calls then.
func upTo(text string, then func(ssh.Channel)) func(ssh.Channel) {
	return func(ch ssh.Channel) {
		c := &shellWithoutWire{argv: []string{"/bin/sh"}}
		stdin, stdout, _, err := c.Start(shellCommand)
		if err != nil {
			return
		}
		defer c.Close()
		go io.Copy(stdin, ch)
		var all []byte
		buf := make([]byte, 512)
		for {
			n, err := stdout.Read(buf)
			all = append(all, buf[:n]...)
			if i := strings.Index(string(all), text); i >= 0 {
				ch.Write(buf[:max(0, n-(len(all)-i))])
				then(ch)
				return
			}
			ch.Write(buf[:n])
			if err != nil {
				return
			}
		}
	}
}

func TestHostsThatMisbehave(t *testing.T) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	wait := func(ssh.Channel) { <-hang }
	say := func(text string) func(ssh.Channel) {
		return func(ch ssh.Channel) { io.WriteString(ch, text); io.Copy(io.Discard, ch) }
	}
	flood := func(ch ssh.Channel) {
		block := []byte(strings.Repeat("x", 32<<10))
		for {
			if _, err := ch.Write(block); err != nil {
				return
			}
		}
	}
	fast := SSHOptions{Round: 2 * time.Second}
	for _, c := range []struct {
		name    string
		b       sshserver.Behaviour
		opt     SSHOptions
		err     string // of no snapshot at all
		problem string // of one that is not whole
	}{
		{name: "none", b: sshserver.Behaviour{}},
		{name: "a banner, and a .bashrc that prints", b: sshserver.Behaviour{Banner: "go away\n", Noise: "Welcome!\npicket- 0\n\x1b[2J no newline"}},
		{name: "nologin", b: sshserver.Behaviour{Run: func(ch ssh.Channel) {
			io.WriteString(ch, "This account is currently not available.\n")
		}}, err: `the login gave no shell: the connection broke off half way (it said "This account is currently not available.")`},
		{name: "a forced command", b: sshserver.Behaviour{Run: func(ch ssh.Channel) {
			io.WriteString(ch.Stderr(), "only sftp here\n")
		}}, err: `(it said "only sftp here")`},
		{name: "noise without end", b: sshserver.Behaviour{Run: flood}, err: "the login gave no shell"},
		{name: "hangs half way", b: sshserver.Behaviour{Run: upTo(" run 0", wait)}, opt: SSHOptions{Round: 4 * time.Second}, problem: "reading stopped half way: no answer within 4s"},
		{name: "is cut off half way", b: sshserver.Behaviour{Run: upTo(" run 0", func(ssh.Channel) {})}, problem: "reading stopped half way: the connection broke off half way"},
		{name: "floods half way", b: sshserver.Behaviour{Run: upTo(" run 0", flood)}, opt: SSHOptions{Round: 30 * time.Second}, problem: "reading stopped half way: the host sent more than"},
		{name: "hangs at once", b: sshserver.Behaviour{Run: upTo(" lstat", wait)}, opt: fast, err: "no answer within 2s"},
		{name: "answers nonsense", b: sshserver.Behaviour{Run: say("hello\n\x00\xff\n")}, opt: SSHOptions{}, err: "*"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			if c.err == "*" { // it never answers: whoever waits may give up
				limited, cancel := context.WithTimeout(ctx, time.Second)
				defer cancel()
				if _, err := throughFake(t, limited, c.b, snap.Manifest{}, c.opt); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v", err)
				}
				return
			}
			m := snap.Manifest{Files: []string{"/etc/hostname", "/etc/passwd"}, Commands: []snap.Command{{Argv: []string{"uname", "-srm"}}}, Walk: &snap.Walk{Roots: []string{"/proc/self/fd"}}}
			s, err := throughFake(t, ctx, c.b, m, c.opt)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(s.Problems, "; "); !strings.HasPrefix(got, c.problem) || c.problem == "" && got != "" {
				t.Errorf("problems %q, want %q", got, c.problem)
			}
			if e, st, why := s.File("/etc/passwd"); st != snap.Known || len(e.Content) == 0 {
				t.Errorf("passwd, which had come, is %v: %s", st, why)
			}
			_, st, why := s.Run("uname", "-srm")
			if want := map[bool]snap.State{true: snap.Known, false: snap.Unknown}[c.problem == ""]; st != want {
				t.Errorf("uname is %v (%s), want %v", st, why, want)
			}
			if c.problem != "" && (s.Walk == nil || s.Walk.Err == "") {
				t.Errorf("the walk that was not made: %+v", s.Walk)
			}
		})
	}
}

// TestCancelEndsARound: Ctrl-C ends at once, and leaves nothing running here.
func TestCancelEndsARound(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(300*time.Millisecond, cancel)
		hang := make(chan struct{})
		t.Cleanup(func() { close(hang) })
		begun := time.Now()
		_, err := throughFake(t, ctx, sshserver.Behaviour{Run: upTo(" lstat", func(ssh.Channel) { <-hang })}, snap.Manifest{Files: []string{"/etc/*"}}, SSHOptions{})
		if !errors.Is(err, context.Canceled) || time.Since(begun) > 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
	var after int
	for range 100 {
		if after = runtime.NumGoroutine(); after <= before {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	buf := make([]byte, 1<<20)
	t.Errorf("%d goroutines before, %d after\n%s", before, after, buf[:runtime.Stack(buf, true)])
}

// TestWalkThatRunsOutOfTime: what was found by then is kept.
func TestWalkThatRunsOutOfTime(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "open"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "open"), 0o666); err != nil {
		t.Fatal(err)
	}
	// A find that does not come to an end.
	bin := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in *-xdev*) ;; *) exec /usr/bin/find \"$@\" ;; esac\n/usr/bin/find %q -type f -print0\nexec sleep 60\n", dir)
	if err := os.WriteFile(filepath.Join(bin, "find"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	connect, path := shell(t, "dash")
	s, err := round(t, NewSSH(onPath{connect(), bin + ":" + path}, "ssh://x", SSHOptions{NoSudo: true, Walk: time.Second}),
		snap.Manifest{Walk: &snap.Walk{Roots: []string{dir}}})
	if err != nil {
		t.Fatal(err)
	}
	if w := s.Walk; w.Err != "ran out of time after 1s" || len(w.Found) != 1 || w.Found[0].Path != filepath.Join(dir, "open") {
		t.Errorf("%+v", w)
	}
}

// TestRealFindKeepsNothingBack: find writes what it finds at once, so that the
// end of its time takes nothing away.
func TestRealFindKeepsNothingBack(t *testing.T) {
	sshserver.Need(t, "stdbuf")
	text := program(snap.Manifest{Walk: &snap.Walk{Roots: []string{"/"}}}, "picket-00", limits{walk: time.Second})
	if !strings.Contains(text, "stdbuf -o0") {
		t.Error("find is not told so")
	}
}
