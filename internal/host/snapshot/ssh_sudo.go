package snapshot

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"picket/internal/core/snap"
)

// promptOf is what sudo is told to ask with, so that its question cannot be
// mistaken. It is no secret.
func promptOf(nonce string) string { return "sudo-" + nonce }

const shellEnv = "PATH=" + snap.Path + "; LC_ALL=C; export PATH LC_ALL; "

// shellAs is run by sudo: it says that it is there, and becomes a plain shell that
// reads the rest of stdin.
func shellAs(nonce string) string {
	return `/bin/sh -c 'printf "\n%s root %s\n" "$1" "$(id -u)"; exec /bin/sh' sh ` + nonce
}

// hello is the first line for the shell. It answers "root 0", "ask UID USER"
// when sudo wants a password, "notty UID USER" when it wants a terminal, or
// "nosudo UID USER" when there is none.
func hello(nonce string, sudo bool) string {
	s := shellEnv + `u=$(id -u); n=$(id -un | tr -c 'a-zA-Z0-9_.@\n-' '?'); `
	if !sudo {
		return s + fmt.Sprintf(`printf '\n%%s plain %%s %%s\n' %s "$u" "$n"`, nonce) + "\n"
	}
	return s + fmt.Sprintf(`if [ "$u" = 0 ]; then printf '\n%%s root 0\n' %[1]s; `+
		`elif ! command -v sudo >/dev/null; then printf '\n%%s nosudo %%s %%s\n' %[1]s "$u" "$n"; `+
		`elif e=$(sudo -n /bin/sh -c : 2>&1 </dev/null); then sudo -n %[2]s; `+
		`elif case $e in *'have a tty'*) ;; *) false ;; esac; then printf '\n%%s notty %%s %%s\n' %[1]s "$u" "$n"; `+
		`else printf '\n%%s ask %%s %%s\n' %[1]s "$u" "$n"; fi`, nonce, shellAs(nonce)) + "\n"
}

// withPassword has sudo read the password from stdin. Should it not let us, the
// shell that we have says so and goes on as it is.
func withPassword(nonce string) string {
	return fmt.Sprintf(`sudo -S -p %s %s || { echo %s >&2; printf '\n%%s refused %%s %%s\n' %s "$u" "$n"; }`,
		promptOf(nonce), shellAs(nonce), refusedMark, nonce) + "\n"
}

// refusedMark ends what sudo says on stderr, which comes by another way than
// the shell's own answer.
const refusedMark = "picket-sudo-ended"

func asUser(nonce string) string {
	return fmt.Sprintf(`printf '\n%%s plain %%s\n' %s "$u"`, nonce) + "\n"
}

// unprivileged says for the reader why we are not root.
func unprivileged(state, user string, uid int) string {
	if uid == 0 {
		return ""
	}
	switch state {
	case "nosudo":
		return fmt.Sprintf("%s is not root, and the host has no sudo; what needs root is unknown", user)
	case "nopassword":
		return fmt.Sprintf("sudo wants the password of %s; give it with --sudo-password-file; what needs root is unknown", user)
	case "notty":
		return fmt.Sprintf("sudo wants a terminal for %s (requiretty); what needs root is unknown", user)
	case "refused":
		return fmt.Sprintf("sudo is not allowed for %s; what needs root is unknown", user)
	}
	return ""
}

// A tail keeps the last of what a host says on stderr, and counts prompts.
type tail struct {
	mu      sync.Mutex
	changed *sync.Cond
	last    []byte
	prompt  string
	prompts int
	ended   bool
}

const tailSize = 4 << 10

func newTail(r io.Reader, prompt string) *tail {
	t := &tail{prompt: prompt}
	t.changed = sync.NewCond(&t.mu)
	go t.follow(r)
	return t
}

// follow reads to the end, so that the host never waits for us.
func (t *tail) follow(r io.Reader) {
	buf := make([]byte, 1024)
	var open []byte // may be the beginning of a prompt
	for {
		n, err := r.Read(buf)
		t.mu.Lock()
		open = append(open, buf[:n]...)
		for {
			i := strings.Index(string(open), t.prompt)
			if i < 0 {
				break
			}
			t.prompts++
			open = open[i+len(t.prompt):]
		}
		if keep := len(t.prompt) - 1; len(open) > keep {
			open = append([]byte(nil), open[len(open)-keep:]...)
		}
		t.last = append(t.last, buf[:n]...)
		if len(t.last) > tailSize {
			t.last = append([]byte(nil), t.last[len(t.last)-tailSize:]...)
		}
		if err != nil {
			t.ended = true
		}
		t.changed.Broadcast()
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// prompted waits for the nth prompt; false when there will be none.
func (t *tail) prompted(n int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.prompts < n && !t.ended {
		t.changed.Wait()
	}
	return t.prompts >= n
}

// wait waits a little for text.
func (t *tail) wait(text string) {
	defer time.AfterFunc(time.Second, t.stop).Stop()
	t.mu.Lock()
	defer t.mu.Unlock()
	for !t.ended && !strings.Contains(string(t.last), text) {
		t.changed.Wait()
	}
}

// stop ends all waiting.
func (t *tail) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	t.changed.Broadcast()
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.last)
}

// said is the last line, to be put behind an error.
func (t *tail) said() string { return saying(strings.ReplaceAll(t.text(), t.prompt, "")) }

func saying(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	l := lines[len(lines)-1]
	if l == "" {
		return ""
	}
	return fmt.Sprintf(" (it said %q)", l[:min(len(l), 200)])
}
