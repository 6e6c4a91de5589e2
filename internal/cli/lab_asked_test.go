package cli_test

import (
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"picket/lab"
	"picket/lab/leftout"
)

// A talk is a run of picket on a terminal.
type talk struct {
	t    *testing.T
	in   io.Writer
	cmd  *exec.Cmd
	mu   sync.Mutex
	seen strings.Builder
	done chan struct{}
}

// onTerminal starts a command of picket's about a host on a terminal of its own, as script(1) makes it.
func onTerminal(t *testing.T, h *lab.Host, l login, args ...string) *talk {
	t.Helper()
	words := append([]string{program(t)}, args...)
	for i, a := range words {
		if a == "TARGET" {
			words[i] = "ssh://" + l.user + "@" + h.Addr()
		}
	}
	words = append(words, "--identity", l.key, "--known-hosts", h.KnownHosts(), "--sudo-password-file", secretFile(t, l.password))
	cmd := h.Command("script", "-qec", "'"+strings.Join(words, "' '")+"'", "/dev/null")
	cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK=", "HOME="+t.TempDir(), "TERM=dumb")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		leftout.Missing(t, "script(1) cannot be run: "+err.Error())
	}
	k := &talk{t: t, in: in, cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(k.done)
		for buf := make([]byte, 4096); ; {
			n, err := out.Read(buf)
			k.mu.Lock()
			k.seen.Write(buf[:n])
			k.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return k
}

func (k *talk) text() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.seen.String()
}

// answer waits for a question and types.
func (k *talk) answer(question, typed string) {
	k.t.Helper()
	for end := time.Now().Add(time.Minute); !strings.Contains(k.text(), question); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			k.t.Fatalf("never asked %q:\n%s", question, k.text())
		}
	}
	time.Sleep(200 * time.Millisecond) // until echo is off
	if _, err := io.WriteString(k.in, typed+"\n"); err != nil {
		k.t.Fatal(err)
	}
}

func (k *talk) ends() (out string, code int) {
	k.t.Helper()
	select {
	case <-k.done:
	case <-time.After(2 * time.Minute):
		k.t.Fatalf("it does not end:\n%s", k.text())
	}
	_ = k.cmd.Wait()
	return k.text(), k.cmd.ProcessState.ExitCode()
}

// TestPasswordsOnATerminal asks for one, twice and without an echo, and makes one up.
func TestPasswordsOnATerminal(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Debian)
	h.Sh("useradd -m -s /bin/bash ada")
	operator := login{"operator", h.KeyFile(), lab.OperatorPassword}
	const word = "lantern-Mosaic-41-umbrella"

	k := onTerminal(t, h, operator, "passwd", "ada", "TARGET")
	k.answer("new password of ada: ", word)
	k.answer("the same once more: ", word+"x")
	if out, code := k.ends(); code != 2 || !strings.Contains(out, "differ") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	k = onTerminal(t, h, operator, "passwd", "ada", "TARGET")
	k.answer("new password of ada: ", word)
	k.answer("the same once more: ", word)
	k.answer("so? (yes/no) ", "no")
	if out, code := k.ends(); code != 4 || !strings.Contains(out, "nothing was changed") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if h.TryPassword("ada", word) == nil {
		t.Error("it was changed all the same")
	}
	k = onTerminal(t, h, operator, "passwd", "ada", "TARGET")
	k.answer("new password of ada: ", word)
	k.answer("the same once more: ", word)
	k.answer("so? (yes/no) ", "yes")
	out, code := k.ends()
	kept(t, h, out, code)
	noSecrets(t, h, out, word)
	if err := h.TryPassword("ada", word); err != nil {
		t.Error(err)
	}
	k = onTerminal(t, h, operator, "passwd", "ada", "TARGET", "--generate", "--yes")
	out, code = k.ends()
	kept(t, h, out, code)
	m := regexp.MustCompile(`The password of ada, shown this once: ([a-z2-9]{5}(?:-[a-z2-9]{5}){3})\r?\n`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no password is shown:\n%s", out)
	}
	noSecrets(t, h, strings.Replace(out, m[1], "", 1), m[1])
	if err := h.TryPassword("ada", m[1]); err != nil {
		t.Errorf("%s: %v", m[1], err)
	}
}

// TestCloseHere closes an account on the machine itself, where only who stays can confirm it.
func TestCloseHere(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Debian)
	lived(h)
	plantPi(h)
	h.Sh(`useradd -m -s /bin/bash -G sudo ann; echo ann:` + annPassword + ` | chpasswd; touch /home/ann/.sudo_as_admin_successful
		install -d -o ann -g ann -m 700 /home/ann/.ssh; install -o ann -g ann -m 600 /home/operator/.ssh/authorized_keys /home/ann/.ssh/`)
	here := func(args ...string) (string, int) { return h.Try(onHost, args...) }
	if out, code := here("user", "close", "pi", "--for", "eve", "--yes"); code != 2 || !strings.Contains(out, "no account eve") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	h.Sh("gpasswd -d ann sudo")
	if out, code := here("user", "close", "pi", "--for", "ann", "--yes"); code != 4 || !strings.Contains(out, "ann is not seen to log in and to become root") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	h.Sh("gpasswd -a ann sudo")
	before := accountsOf(h)
	out, code := here("user", "close", "pi", "--for", "ann", "--yes", "--confirm-within", "60s")
	m := regexp.MustCompile(`Log in as ann from elsewhere, and if that works type there: .* confirm (\d{8}-\d{6})`).FindStringSubmatch(out)
	if code != 0 || m == nil {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	confirm := func(user, password string) (string, int) {
		return h.TrySSH(user, "printf '%s\\n' '"+password+"' | sudo -S -p '' "+onHost+" confirm "+m[1])
	}
	if out, code := confirm("operator", lab.OperatorPassword); code != 4 || !strings.Contains(out, "log in as ann") {
		t.Errorf("somebody else confirms it: exit code %d\n%s", code, out)
	}
	if got := h.Sh("cat /var/lib/picket/tx/" + m[1] + "/state"); got != "applied\n" {
		t.Errorf("it is %s", got)
	}
	if out, code := confirm("ann", annPassword); code != 0 || !strings.Contains(out, "is kept") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if out, code := h.TrySSH("pi", "true"); code == 0 {
		t.Errorf("pi comes in: %s", out)
	}
	if out, code := here("rollback", m[1]); code != 0 {
		t.Errorf("rollback: exit code %d\n%s", code, out)
	}
	same2(t, before, accountsOf(h))

	// Nobody confirms: pi is back by itself.
	if out, code := here("user", "close", "pi", "--for", "ann", "--yes", "--confirm-within", "10s"); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	if out, code := h.TrySSH("pi", "true"); code == 0 {
		t.Errorf("pi comes in: %s", out)
	}
	await(t, "it goes back by itself", func() bool {
		return h.Sh("for t in /var/lib/picket/tx/*/tx; do sh $t state; done | sort -u; find /etc/systemd -name 'picket-back*'") == "undone\n"
	})
	same2(t, before, accountsOf(h))
	h.SSH("pi", "true")
}
