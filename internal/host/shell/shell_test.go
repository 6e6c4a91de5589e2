package shell

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// here is a connection to this machine, without SSH between.
type here struct {
	cmd *exec.Cmd
	cut int // bytes of the output after which the connection is lost; 0: none
}

func (h *here) Start(command string) (io.WriteCloser, io.Reader, io.Reader, error) {
	h.cmd = exec.Command("/bin/sh", "-c", command)
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err1 := h.cmd.StdinPipe()
	out, err2 := h.cmd.StdoutPipe()
	complaint, err3 := h.cmd.StderrPipe()
	var r io.Reader = out
	if h.cut > 0 && !strings.Contains(command, "id -u") {
		r = io.LimitReader(out, int64(h.cut))
	}
	return in, r, complaint, errors.Join(err1, err2, err3, h.cmd.Start())
}

func (h *here) Close() error {
	if h.cmd != nil {
		_ = syscall.Kill(-h.cmd.Process.Pid, syscall.SIGKILL)
	}
	return nil
}

// asRoot is one that need not find out how to become root.
func asRoot(c Connection) Streamer { return Login(c) }

func TestRun(t *testing.T) {
	for name, s := range map[string]Shell{"local": Local(), "ssh": asRoot(&here{})} {
		for _, tc := range []struct {
			program, in, out string
			exit             int
			said             []string
		}{
			{"echo it\\'s; exit 3", "", "it's\n", 3, nil},
			{"cat; printf end", "a\x00b", "a\x00bend", 0, nil},
			{"echo one >&2; printf two >&2; false", "", "", 1, []string{"one", "two"}},
			{"# a comment\ncd / && pwd", "", "/\n", 0, nil},
			{"printf '\\nend-0 0\\n'; exit 4", "", "\nend-0 0\n", 4, nil},
			{"head -c 200000 /dev/zero | tr '\\0' x >&2; printf '\\nstep 003 failed\\r\\n' >&2", "", "", 0, []string{strings.Repeat("x", 64<<10), "step 003 failed"}},
		} {
			var said []string
			out, exit, err := s.Run(t.Context(), tc.program, []byte(tc.in), func(l string) { said = append(said, l) })
			if err != nil || exit != tc.exit || string(out) != tc.out || !slices.Equal(said, tc.said) {
				t.Errorf("%s: %s: %q %q, exit status %d, %v", name, tc.program, out, said, exit, err)
			}
		}
	}
}

// TestStream: what a program writes is there before it has ended, and is no other for how it came in pieces.
func TestStream(t *testing.T) {
	in, send := io.Pipe()
	out, got := io.Pipe()
	type end struct {
		exit int
		err  error
	}
	ended := make(chan end, 1)
	go func() {
		exit, err := asRoot(&here{}).Stream(t.Context(), `echo ready; read -r word; echo "got $word"; printf end-; cat >/dev/null; exit 5`, in, got, nil)
		got.Close()
		ended <- end{exit, err}
	}()
	lines := bufio.NewReader(out)
	if l, err := lines.ReadString('\n'); l != "ready\n" || err != nil {
		t.Fatalf("%q %v", l, err)
	}
	io.WriteString(send, "blue\n")
	if l, err := lines.ReadString('\n'); l != "got blue\n" || err != nil {
		t.Fatalf("%q %v", l, err)
	}
	send.Close()
	if rest, err := io.ReadAll(lines); string(rest) != "end-" || err != nil {
		t.Errorf("%q %v", rest, err)
	}
	if e := <-ended; e.exit != 5 || e.err != nil {
		t.Errorf("%+v", e)
	}

	const text, begin, end2 = "noise begin-xyz\nout\n end- end-x end-xend-xyz 3\nbye", "begin-xyz\n", "end-xyz "
	for cut := range len(text) {
		var is bytes.Buffer
		f := &framed{to: &is, begin: []byte(begin), end: []byte(end2)}
		io.WriteString(f, text[:cut])
		io.WriteString(f, text[cut:])
		if is.String() != "out\n end- end-x end-x" || !f.ended || string(f.held) != "3\nbye" {
			t.Errorf("cut at %d: %q, then %q", cut, &is, f.held)
		}
	}
	if _, err := asRoot(&here{}).Stream(t.Context(), "while :; do echo much; done", nil, &bounded{io.Discard, 1000}, nil); err == nil {
		t.Error("a writer that takes no more is no error")
	}
}

func TestALostConnectionIsNoExitStatus(t *testing.T) {
	if _, _, err := asRoot(&here{cut: 10}).Run(t.Context(), "echo much longer than that", nil, nil); err == nil {
		t.Error("no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := asRoot(&here{}).Run(ctx, "sleep 20", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestPasswordOfSudo(t *testing.T) {
	s := &ssh{conn: &here{}, become: "sh -c 'read -r p; echo lecture >&2; [ \"$p\" = hunter2 ] && exec \"$@\"' sudo ", secret: []byte("hunter2\n")}
	s.once.Do(func() {})
	var said bytes.Buffer
	out, _, err := s.Run(t.Context(), "cat; echo done >&2", []byte("rest"), func(l string) { said.WriteString(l) })
	if err != nil || string(out) != "rest" || said.String() != "done" {
		t.Errorf("%q %q %v", out, &said, err)
	}
	s.secret = []byte("*******\n")
	if _, _, err = s.Run(t.Context(), "cat", nil, nil); !errors.Is(err, ErrNoRoot) || !strings.Contains(err.Error(), "lecture") {
		t.Errorf("a wrong password: %v", err)
	}
}

// A noisy connection is one whose login files print, before and after what is run.
type noisy struct{ here }

func (n *noisy) Start(command string) (io.WriteCloser, io.Reader, io.Reader, error) {
	return n.here.Start("trap 'echo bye; echo farewell >&2' EXIT; echo Welcome!; echo end-0 0; echo no tty >&2; printf 'no newline'; printf 'none here' >&2\n" + command)
}

// TestLoginThatPrints: what .bashrc says is not what a program says.
func TestLoginThatPrints(t *testing.T) {
	conn := &noisy{}
	s := SSH(conn, "pi", func(string) ([]byte, error) { return nil, errors.New("no sudo is to be asked") })
	if os.Getuid() != 0 {
		s = asRoot(conn)
	}
	var said []string
	out, exit, err := s.Run(t.Context(), "printf out; echo err >&2; exit 7", nil, func(l string) { said = append(said, l) })
	if err != nil || exit != 7 || string(out) != "out" || !slices.Equal(said, []string{"err", "farewell"}) {
		t.Errorf("%q %q, exit status %d, %v", out, said, exit, err)
	}
}

// says is a connection to a login that runs nothing.
type says struct{ here }

func (s *says) Start(string) (io.WriteCloser, io.Reader, io.Reader, error) {
	return s.here.Start("echo This account is currently not available.")
}

func TestLoginWithoutAShell(t *testing.T) {
	_, _, err := SSH(&says{}, "pi", func(string) ([]byte, error) { t.Error("asked for a password"); return nil, nil }).Run(t.Context(), "true", nil, nil)
	if err == nil || !strings.Contains(err.Error(), `gives no shell that works: it said "This account is currently not available."`) {
		t.Error(err)
	}
}
