package ui_test

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"picket/internal/ui"
)

// terminal opens a pseudo-terminal of so many columns; what is written to tty
// comes out of the reader.
func terminal(t *testing.T, columns uint16) (tty *os.File, screen io.Reader) {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { control.Close() })
	fd := int(control.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		t.Fatal(err)
	}
	return tty, control
}

// TestProgressOnTerminal wants one line that is rewritten in place, never
// wider than the terminal, and gone at the end.
func TestProgressOnTerminal(t *testing.T) {
	tty, screen := terminal(t, 50)
	read := make(chan string)
	go func() {
		data, _ := io.ReadAll(screen) // ends with an error when the tty closes
		read <- string(data)
	}()
	p := ui.NewProgress(tty, "reading leader", time.Now)
	time.Sleep(150 * time.Millisecond)
	p.Say("leader: " + strings.Repeat("a long path/", 20) + "\x1b[2J")
	time.Sleep(150 * time.Millisecond)
	p.Stop()
	tty.Close()
	out := <-read
	if !strings.Contains(out, "reading leader") || !strings.Contains(out, "leader: a long path") {
		t.Errorf("progress does not say what is done: %q", out)
	}
	if strings.Contains(out, "\n") || strings.Contains(out, "\x1b[2J") {
		t.Errorf("progress leaves its line: %q", out)
	}
	if !strings.HasSuffix(out, "\r\x1b[K") {
		t.Errorf("progress leaves something behind: %q", out)
	}
	for _, frame := range strings.Split(out, "\r\x1b[K") {
		if n := len([]rune(frame)); n > 49 {
			t.Errorf("%d letters on a terminal of 50: %q", n, frame)
		}
	}
}

// TestProgressIsStoppedByTwo, a prompt and the end of the run.
func TestProgressIsStoppedByTwo(t *testing.T) {
	tty, screen := terminal(t, 50)
	defer tty.Close()
	go io.Copy(io.Discard, screen)
	for range 50 {
		p := ui.NewProgress(tty, "reading", time.Now)
		var both sync.WaitGroup
		both.Go(p.Stop)
		both.Go(p.Stop)
		both.Wait()
	}
}

// TestProgressElsewhere is silent.
func TestProgressElsewhere(t *testing.T) {
	var b strings.Builder
	p := ui.NewProgress(&b, "reading", time.Now)
	p.Say("more")
	time.Sleep(120 * time.Millisecond)
	p.Stop()
	if b.Len() > 0 {
		t.Errorf("a file or pipe got %q", b.String())
	}
}

// TestColour is only where somebody looks and nobody minds.
func TestColour(t *testing.T) {
	tty, _ := terminal(t, 80)
	defer tty.Close()
	env := func(kv ...string) func(string) string {
		return func(k string) string {
			for i := 0; i < len(kv); i += 2 {
				if kv[i] == k {
					return kv[i+1]
				}
			}
			return ""
		}
	}
	for _, tc := range []struct {
		w    io.Writer
		env  func(string) string
		want bool
	}{
		{tty, env("TERM", "xterm"), true}, {tty, env("TERM", "xterm", "NO_COLOR", "1"), false},
		{tty, env("TERM", "dumb"), false}, {&strings.Builder{}, env("TERM", "xterm"), false},
	} {
		if got := ui.Color(tc.w, tc.env); got != tc.want {
			t.Errorf("colour is %v, want %v", got, tc.want)
		}
	}
	if ui.Width(tty, os.Getenv) != 80 {
		t.Errorf("width is %d, want 80", ui.Width(tty, os.Getenv))
	}
	if got := ui.Width(tty, env("COLUMNS", "120")); got != 80 {
		t.Errorf("width is %d, want that of the terminal whatever COLUMNS says", got)
	}
	for columns, want := range map[string]int{"120": 120, "60": 60, "": 80, "5": 80, "wide": 80} {
		if got := ui.Width(&strings.Builder{}, env("COLUMNS", columns)); got != want {
			t.Errorf("without a terminal COLUMNS=%q gives %d, want %d", columns, got, want)
		}
	}
}

func TestWrapCutClean(t *testing.T) {
	if got := ui.Wrap("one two three", 9, "  "); got != "one two\n  three" {
		t.Errorf("wrapped: %q", got)
	}
	if got := ui.Cut("überlang", 4); got != "übe…" {
		t.Errorf("cut: %q", got)
	}
	if got := ui.Clean("a\x1b[31m\u202eb\u200f"); got != `a\u001b[31m\u202eb\u200f` {
		t.Errorf("cleaned: %q", got)
	}
}
