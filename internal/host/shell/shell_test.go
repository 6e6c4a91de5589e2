package shell

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// here is a connection to this machine, without SSH between.
type here struct {
	cmd *exec.Cmd
	cut int // bytes of the output after which the connection is lost; 0: none
}

func (h *here) Start(command string) (io.WriteCloser, io.Reader, io.Reader, error) {
	h.cmd = exec.Command("/bin/sh", "-c", command)
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
		_ = h.cmd.Process.Kill()
	}
	return nil
}

// asRoot is one that need not find out how to become root.
func asRoot(c Connection) Shell {
	s := &ssh{conn: c}
	s.once.Do(func() {})
	return s
}

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
		} {
			var said []string
			out, exit, err := s.Run(t.Context(), tc.program, []byte(tc.in), func(l string) { said = append(said, l) })
			if err != nil || exit != tc.exit || string(out) != tc.out || !slices.Equal(said, tc.said) {
				t.Errorf("%s: %s: %q %q, exit status %d, %v", name, tc.program, out, said, exit, err)
			}
		}
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
	s := &ssh{conn: &here{}, become: "sh -c 'read -r p; echo \"$p\" >&2; exec \"$@\"' sudo ", secret: []byte("hunter2\n")}
	s.once.Do(func() {})
	var said bytes.Buffer
	out, _, err := s.Run(t.Context(), "cat", []byte("rest"), func(l string) { said.WriteString(l) })
	if err != nil || string(out) != "rest" || said.String() != "hunter2" {
		t.Errorf("%q %q %v", out, &said, err)
	}
}
