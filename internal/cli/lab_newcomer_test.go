package cli

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"picket/lab"
)

// A login is somebody at the other end of ssh, on a terminal.
type login struct {
	*typist
	end chan error
}

func logIn(t *testing.T, h *lab.Host, command string) *login {
	t.Helper()
	w := sitDown(t)
	cmd := h.Command("ssh", append(h.SSHOptions(), "-tt", "-l", "operator", h.Addr(), "--", command)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = w.slave, w.slave, w.slave
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l := &login{w, make(chan error, 1)}
	go func() { l.end <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return l
}

// answers types what is wanted after each text that is seen, in their order, and gives all that was seen in the end.
func (l *login) answers(dialogue ...string) string {
	l.t.Helper()
	from := 0
	wait := func(text string) bool {
		for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			if i := strings.Index(l.text()[from:], text); i >= 0 {
				from += i + len(text)
				return true
			}
			select {
			case err := <-l.end:
				l.end <- err
				time.Sleep(100 * time.Millisecond)
				return strings.Contains(l.text()[from:], text)
			default:
			}
		}
		return false
	}
	for n := 0; n+1 < len(dialogue); n += 2 {
		if !wait(dialogue[n]) {
			l.t.Fatalf("never saw %q in\n%s", dialogue[n], l.text())
		}
		time.Sleep(100 * time.Millisecond) // until echo is off
		if _, err := l.master.WriteString(dialogue[n+1] + "\n"); err != nil {
			l.t.Fatal(err)
		}
	}
	select {
	case <-l.end:
	case <-time.After(3 * time.Minute):
		l.t.Fatalf("it does not end:\n%s", l.text())
	}
	time.Sleep(100 * time.Millisecond)
	text := regexp.MustCompile(`\x1b\[K[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏][^\x1b\n]*|\x1b\[[0-9;]*[mK]|\r`).ReplaceAllString(l.text(), "") // progress and colours
	return strings.TrimLeft(text, "\n")
}

// TestNewcomer is somebody who has never heard of Picket, logs in to a host that has it, types its name, and from then on
// only what the terminal says.
func TestNewcomer(t *testing.T) {
	t.Parallel()
	h := lab.Start(t, lab.Debian)
	file := filepath.Join(t.TempDir(), "picket")
	if out, err := exec.Command("go", "build", "-o", file, "picket/cmd/picket").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	h.CopyIn(file, "/usr/local/bin/picket")
	h.Sh("mkdir -p /etc/picket && echo 'policy: {skip: [audit, integrity, ban, updates, logging/journal-limit]}' >/etc/picket/picket.yaml") // they want packages, of which the lab has none to give

	told := func(text, pattern string) string {
		t.Helper()
		m := regexp.MustCompile(pattern).FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("nothing like %q is said in\n%s", pattern, text)
		}
		return m[1]
	}
	const sudo = "password for operator: "
	for _, c := range []string{"apply --only ssh", "rollback", "history"} { // who forgets sudo is told just that
		if out := logIn(t, h, "picket "+c).answers(); !strings.Contains(out, "type `sudo picket "+c+"`") {
			t.Errorf("picket %s: %s", c, out)
		}
	}
	first := logIn(t, h, "picket").answers()
	if n := strings.Count(first, "\n"); n > 24 {
		t.Errorf("the first screen has %d lines", n)
	}
	plan := logIn(t, h, told(first, `(?m)^(?:Next:|     ) (sudo picket plan)  +# what would be changed`)).answers(sudo, lab.OperatorPassword)
	apply := told(plan, `(?m)^Next: (sudo picket apply)  # asks first`)
	if again := told(first, `(?m)^      (sudo picket apply)  +# asks first`); again != apply {
		t.Errorf("%q and %q", apply, again)
	}
	done := logIn(t, h, apply).answers(sudo, lab.OperatorPassword, "Type lose-ssh to accept", "lose-ssh", "Type lose-network to accept", "lose-network", "so? (yes/no)", "yes")
	confirm := told(done, `(?m)If that works, type there:\n +(sudo picket confirm \d{8}-\d{6})$`)
	told(done, `(?m)or type here:\n +(sudo picket rollback \d{8}-\d{6})$`)
	kept := logIn(t, h, confirm).answers(sudo, lab.OperatorPassword)
	told(kept, `(?m)^local: \S+ (is kept: \d+ steps, for firewall/default-deny,)`)
	left := told(kept, `(?m)^\d+ findings? (?:is|are) left to you: (sudo picket plan)$`)
	back := told(kept, `(?m)^To take it back: (sudo picket rollback \d{8}-\d{6})$`)

	if out := logIn(t, h, left).answers(sudo, lab.OperatorPassword); !regexp.MustCompile(`\d findings?, (?:all )?left to you`).MatchString(out) || strings.Contains(out, "Next:") {
		t.Errorf("what is left:\n%s", out)
	}
	if err := h.TryPassword("operator", lab.OperatorPassword); err == nil {
		t.Error("a password still logs in")
	}
	if out := logIn(t, h, "sudo picket history").answers(sudo, lab.OperatorPassword); !strings.Contains(out, "  confirmed  ") {
		t.Errorf("the history:\n%s", out)
	}
	if out := logIn(t, h, back).answers(sudo, lab.OperatorPassword, "is in this as it was before? (yes/no)", "yes"); !strings.Contains(out, "was taken back") {
		t.Errorf("going back:\n%s", out)
	}
	if err := h.TryPassword("operator", lab.OperatorPassword); err != nil {
		t.Errorf("it went back, and a password does not log in: %v", err)
	}
	t.Logf("the newcomer's terminal\n%s\n---\n%s\n---\n%s\n---\n%s", first, plan, done, kept)
}
