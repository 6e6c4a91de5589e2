package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"picket/internal/ui"
	"picket/lab/leftout"
	"picket/lab/sshserver"
)

// A typist sits at a terminal and reads along.
type typist struct {
	t      *testing.T
	master *os.File
	slave  *os.File

	mu   sync.Mutex
	seen strings.Builder
}

func sitDown(t *testing.T) *typist {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		leftout.Missing(t, "no terminals here: "+err.Error())
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	w := &typist{t: t, master: os.NewFile(uintptr(fd), "ptmx")}
	if w.slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.slave.Close(); w.master.Close() })
	go func() {
		buf := make([]byte, 1024)
		for {
			n, err := w.master.Read(buf)
			w.mu.Lock()
			w.seen.Write(buf[:n])
			w.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return w
}

func (w *typist) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen.String()
}

// sees waits for text for the nth time, then types.
func (w *typist) sees(text string, n int, then string) {
	w.t.Helper()
	for end := time.Now().Add(20 * time.Second); strings.Count(w.text(), text) < n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("never saw %q (%d) in %q", text, n, w.text())
		}
	}
	time.Sleep(50 * time.Millisecond) // until echo is off
	fmt.Fprint(w.master, then)
}

// echoes reports whether the terminal shows what is typed.
func (w *typist) echoes() bool {
	t, err := unix.IoctlGetTermios(int(w.slave.Fd()), unix.TCGETS)
	return err == nil && t.Lflag&unix.ECHO != 0
}

// runs starts picket on the terminal, and gives its exit code.
func (w *typist) runs(ctx context.Context, args ...string) <-chan int {
	code := make(chan int, 1)
	home := w.t.TempDir()
	getenv := func(name string) string { return map[string]string{"HOME": home, "USER": "amy", "TERM": "dumb"}[name] }
	go func() {
		code <- Main(ctx, append([]string{"picket"}, args...), ui.IO{In: w.slave, Out: w.slave, Err: w.slave}, getenv)
	}()
	return code
}

func (w *typist) ends(code <-chan int, want int) {
	w.t.Helper()
	select {
	case got := <-code:
		if got != want {
			w.t.Errorf("exit code %d, want %d; the terminal shows\n%s", got, want, w.text())
		}
	case <-time.After(20 * time.Second):
		w.t.Fatalf("it does not end; the terminal shows\n%s", w.text())
	}
	if !w.echoes() {
		w.t.Error("the terminal was left without echo")
	}
}

func TestPasswordIsAskedOnTheTerminal(t *testing.T) {
	server := sshserver.Fake(t, sshserver.Behaviour{Password: "raspberry"})
	w := sitDown(t)
	code := w.runs(t.Context(), "audit", "--known-hosts", server.KnownHosts(t), server.Target())
	for i := range 3 {
		w.sees("password of pi@127.0.0.1: ", i+1, "s3cret-typed\n")
	}
	w.ends(code, ExitPartial)
	for _, want := range []string{"login refused; tried a password (3 times)", "--identity FILE"} {
		w.sees(want, 1, "")
	}
	if strings.Contains(w.text(), "s3cret-typed") {
		t.Error("the password was shown")
	}
}

func TestUnknownHostIsAskedAbout(t *testing.T) {
	server := sshserver.Fake(t, sshserver.Behaviour{})
	file := filepath.Join(t.TempDir(), "known_hosts")
	args := []string{"audit", "--known-hosts", file, "--identity", server.Key, server.Target()}
	w := sitDown(t)
	code := w.runs(t.Context(), args...)
	w.sees("(yes/no)", 1, "what\n")
	w.sees("(yes/no)", 2, "no\n")
	w.ends(code, ExitPartial)
	if _, err := os.Stat(file); err == nil {
		t.Error("it was written down all the same")
	}
	// Nobody to ask: the hint is a command to type.
	var out, errs strings.Builder
	got := Main(t.Context(), append([]string{"picket"}, args...), ui.IO{In: strings.NewReader(""), Out: &out, Err: &errs}, func(string) string { return "" })
	if got != ExitPartial || !strings.Contains(errs.String(), "ssh-keyscan -p ") || out.Len() > 0 {
		t.Errorf("exit code %d: %s%s", got, out.String(), errs.String())
	}
}

// TestOnePasswordForAll: -K asks once, before anything is done, however many hosts there are.
func TestOnePasswordForAll(t *testing.T) {
	a, b := sshserver.Fake(t, sshserver.Behaviour{}), sshserver.Fake(t, sshserver.Behaviour{})
	known := filepath.Join(t.TempDir(), "known_hosts")
	for _, s := range []*sshserver.Server{a, b} {
		text, err := os.ReadFile(s.KnownHosts(t))
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(known, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = f.Write(text)
		f.Close()
	}
	w := sitDown(t)
	code := w.runs(t.Context(), "exec", a.Target(), b.Target(), "-K", "--known-hosts", known, "-i", a.Key, "-i", b.Key, "--", "echo", "is-done")
	w.sees("sudo password, for all hosts: ", 1, "s3cret-typed\n")
	w.ends(code, ExitFine)
	w.sees("2 of 2 hosts done", 1, "")
	if text := w.text(); strings.Count(text, "sudo password") != 1 || strings.Contains(text, "s3cret-typed") || strings.Count(text, "is-done") != 2 {
		t.Errorf("the terminal shows\n%s", text)
	}
	var errs strings.Builder
	got := Main(t.Context(), []string{"picket", "exec", a.Target(), "-K", "--known-hosts", known, "-i", a.Key, "--", "true"}, ui.IO{In: strings.NewReader(""), Out: &errs, Err: &errs}, func(string) string { return "" })
	if got == ExitFine || !strings.Contains(errs.String(), "there is no terminal to ask on") {
		t.Errorf("nobody there: exit code %d\n%s", got, errs.String())
	}
}

// TestInterrupted: Ctrl-C ends at once, at a prompt and while a host is silent.
func TestInterrupted(t *testing.T) {
	asks := sshserver.Fake(t, sshserver.Behaviour{Password: "raspberry"})
	silent := sshserver.Fake(t, sshserver.Behaviour{Silent: true})
	for name, c := range map[string]struct {
		server *sshserver.Server
		args   []string
		wait   string
	}{
		"at the password": {asks, []string{"--known-hosts", asks.KnownHosts(t)}, "password of "},
		"at the question": {asks, []string{"--known-hosts", filepath.Join(t.TempDir(), "none")}, "(yes/no)"},
		"while it waits":  {silent, []string{"--known-hosts", silent.KnownHosts(t)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := sitDown(t)
			ctx, interrupt := context.WithCancel(t.Context())
			code := w.runs(ctx, append(append([]string{"audit"}, c.args...), c.server.Target())...)
			w.sees(c.wait, 1, "")
			begun := time.Now()
			interrupt()
			w.ends(code, ExitInterrupted)
			if d := time.Since(begun); d > 3*time.Second {
				t.Errorf("it took %v", d)
			}
		})
	}
}

// TestInterruptedBetweenHosts: nothing is reported of those that were read
// before, as if that were all.
func TestInterruptedBetweenHosts(t *testing.T) {
	silent := sshserver.Fake(t, sshserver.Behaviour{Silent: true})
	saved, err := filepath.Abs("../../testdata/hosts/debian12.snapshot")
	if err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	var out strings.Builder
	errs := &heard{word: "score", times: 2, then: interrupt} // when both others are done
	args := []string{"picket", "audit", saved, silent.Target(), saved, "--known-hosts", silent.KnownHosts(t)}
	code := Main(ctx, args, ui.IO{In: strings.NewReader(""), Out: &out, Err: errs}, func(name string) string { return map[string]string{"HOME": t.TempDir(), "USER": "amy"}[name] })
	if code != ExitInterrupted || out.Len() > 0 || !strings.HasSuffix(errs.String(), "interrupted\npicket: interrupted\n") {
		t.Errorf("exit code %d, %q, and %d bytes of a report", code, errs.String(), out.Len())
	}
}

// heard does something once a word has been written so many times. It is written to by one at a time.
type heard struct {
	strings.Builder
	word  string
	times int
	then  func()
}

func (h *heard) Write(b []byte) (int, error) {
	n, err := h.Builder.Write(b)
	if h.then != nil && strings.Count(h.String(), h.word) >= h.times {
		h.then()
		h.then = nil
	}
	return n, err
}

// TestPromptIsCleaned: the name of an account comes from the host.
func TestPromptIsCleaned(t *testing.T) {
	w := sitDown(t)
	done := make(chan string, 1)
	go func() {
		b, err := ui.Prompt{IO: ui.IO{In: w.slave, Err: w.slave}, Context: t.Context()}.Password("sudo password of amy\x1b[2J: ")
		done <- fmt.Sprint(string(b), err)
	}()
	w.sees(`amy\u001b[2J: `, 1, "x\n")
	if got := <-done; got != "x<nil>" {
		t.Error(got)
	}
}
