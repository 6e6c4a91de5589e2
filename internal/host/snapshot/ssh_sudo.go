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

const whoAmI = `u=$(id -u); n=$(id -un | tr -c 'a-zA-Z0-9_.@\n-' '?'); `

// shellAs is run by sudo: it says that it is there, and becomes a plain shell that
// reads the rest of stdin.
func shellAs(nonce string, limit time.Duration) string {
	return `/bin/sh -c 'printf "\n%s root %s\n" "$1" "$(id -u)"; ` + becomeShell(limit) + `' sh ` + nonce
}

// becomeShell is a shell that the host ends by itself: a machine of ours that is
// switched off half way would leave one that waits for hours, as root. It kills
// what it has started, too, and a shell that somebody has stopped.
func becomeShell(limit time.Duration) string {
	return fmt.Sprintf("timeout 9 true 2>/dev/null && exec timeout -s KILL %d /bin/sh; exec /bin/sh", int(max(limit, time.Second).Seconds()))
}

// hello is the first line for the shell. It answers "root 0", "ask UID USER"
// when sudo wants a password, "notty UID USER" when it wants a terminal,
// "nosudo UID USER" when there is none, or "refused UID USER" when it does not
// even ask, with the reason on stderr.
//
// The shell that goes on is another one. It may take the place of the first
// since nothing else is sent before the answer has come.
func hello(nonce string, sudo bool, limit time.Duration) string {
	return greet(nonce, sudo, limit) + "; " + becomeShell(limit) + "\n"
}

func greet(nonce string, sudo bool, limit time.Duration) string {
	s := shellEnv + whoAmI
	if !sudo {
		return s + fmt.Sprintf(`printf '\n%%s plain %%s %%s\n' %s "$u" "$n"`, nonce)
	}
	return s + fmt.Sprintf(`if [ "$u" = 0 ]; then printf '\n%%s root 0\n' %[1]s; `+
		`elif ! command -v sudo >/dev/null; then printf '\n%%s nosudo %%s %%s\n' %[1]s "$u" "$n"; `+
		`elif e=$(sudo -n /bin/sh -c : 2>&1 </dev/null); then sudo -n %[2]s; `+
		`elif case $e in *'have a tty'*) ;; *) false ;; esac; then printf '\n%%s notty %%s %%s\n' %[1]s "$u" "$n"; `+
		`elif case $e in *sudoers*|*'must be owned by'*|*setuid*|*'new privileges'*) ;; *) false ;; esac; then `+
		`printf '%%s\n%%s\n' "$e" %[3]s >&2; printf '\n%%s refused %%s %%s\n' %[1]s "$u" "$n"; `+
		`else printf '\n%%s ask %%s %%s\n' %[1]s "$u" "$n"; fi`, nonce, shellAs(nonce, limit), refusedMark)
}

// withPassword has sudo read the password from stdin. Should it not let us, the
// shell that we have says so and goes on as it is.
func withPassword(nonce string, limit time.Duration) string {
	return whoAmI + fmt.Sprintf(`sudo -S -p %s %s || { echo %s >&2; printf '\n%%s refused %%s %%s\n' %s "$u" "$n"; }`,
		promptOf(nonce), shellAs(nonce, limit), refusedMark, nonce) + "\n"
}

// refusedMark ends what sudo says on stderr, which comes by another way than
// the shell's own answer.
const refusedMark = "picket-sudo-ended"

func asUser(nonce string) string {
	return whoAmI + fmt.Sprintf(`printf '\n%%s plain %%s\n' %s "$u"`, nonce) + "\n"
}

// unprivileged says for the reader why we are not root, and what to type. said is
// what sudo wrote.
func unprivileged(state, user string, uid int, said string) string {
	if uid == 0 {
		return ""
	}
	why, next := "", ""
	switch state {
	case "nosudo":
		why = fmt.Sprintf("%s is not root, and the host has no sudo", user)
		next = "install it there, as root: apt-get install sudo; or log in as root"
	case "nopassword":
		why = fmt.Sprintf("sudo wants the password of %s", user)
		next = "give it with --sudo-password-file FILE"
	case "notty":
		why = fmt.Sprintf("sudo wants a terminal for %s (requiretty)", user)
		next = fmt.Sprintf("lift that with visudo -f /etc/sudoers.d/picket and the line: Defaults:%s !requiretty", user)
	case "refused":
		why, next = refusal(user, said)
	default:
		return ""
	}
	return why + "; what needs root is unknown; " + next
}

// refusal tells apart why sudo lets nobody in, by what it says.
func refusal(user, said string) (why, next string) {
	member := "to let it, type on the host, as root: usermod -aG sudo " + user
	switch {
	case strings.Contains(said, "is not in the sudoers file"), strings.Contains(said, "may not run sudo"):
		return fmt.Sprintf("sudo does not let %s become root: it is not in the sudoers file", user), member
	case strings.Contains(said, "is not allowed to execute"):
		return fmt.Sprintf("sudo does not let %s become root: it may run some commands only, and no shell", user), member
	}
	said = strings.ReplaceAll(said, refusedMark, "")
	return fmt.Sprintf("sudo does not let %s become root%s", user, saying(said)), "see it on the host: sudo -v"
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
