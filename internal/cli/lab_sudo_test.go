package cli_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"picket/internal/core/audit"
	"picket/internal/core/control"
	"picket/lab"
)

// A sudoer is an account whose way to root is a special one.
type sudoer struct {
	name     string
	plant    string // sh, as root, with $U the account
	password string // the account's; empty: none
	give     string // what --sudo-password-file holds; empty: no such flag
	root     bool   // the host is read as root in the end
	says     string // in the report's problems, or in the message where there is no report
	refused  bool   // there is no report
	named    int    // how often the message then names the host
	all      bool   // all controls are compared
}

const (
	plainPassword = "harbour-Mosaic-17-umbrella"
	// oddPassword has what a shell, an editor or a C program might stumble over.
	oddPassword   = ` two  "quoted" 'words' \n \\ $HOME $(id) %s ~ * ! # é ß 漢 `
	wrongPassword = "cinnamon-Trapeze-93-lagoon"
)

var sudoers = []sudoer{
	{name: "free", plant: `echo "$U ALL=(ALL) NOPASSWD: ALL"`, root: true, all: true},
	{name: "unasked", plant: `echo "$U ALL=(ALL) ALL"`, password: plainPassword, says: "sudo wants the password of unasked; what needs root is unknown; give it with --sudo-password-file FILE", all: true},
	{name: "wrong", plant: `echo "$U ALL=(ALL) ALL"`, password: plainPassword, give: wrongPassword, refused: true, named: 2, says: "the sudo password was not accepted"},
	{name: "odd", plant: `echo "$U ALL=(ALL) ALL"`, password: oddPassword, give: oddPassword, root: true, all: true},
	{name: "ttyless", plant: `echo "Defaults:$U requiretty"; echo "$U ALL=(ALL) NOPASSWD: ALL"`, says: "lift that with visudo -f /etc/sudoers.d/picket and the line: Defaults:ttyless !requiretty"},
	{name: "none", plant: `:`, password: plainPassword, give: plainPassword, says: "sudo does not let none become root: it is not in the sudoers file"},
	{name: "some", plant: `echo "$U ALL=(ALL) NOPASSWD: /usr/bin/systemctl status *, /usr/bin/apt-get update"`, password: plainPassword, give: plainPassword, says: "sudo does not let some become root: it may run some commands only"},
	{name: "insults", plant: `echo "Defaults:$U insults, lecture=always, passwd_tries=2, badpass_message=\"root 0\""; echo "$U ALL=(ALL) ALL"`, password: plainPassword, give: plainPassword, root: true},
	{name: "onetry", plant: `echo "Defaults:$U passwd_tries=1"; echo "$U ALL=(ALL) ALL"`, password: plainPassword, give: wrongPassword, refused: true, named: 2, says: "the sudo password was not accepted"},
	{name: "pty", plant: `echo "Defaults:$U use_pty, log_output"; echo "$U ALL=(ALL) ALL"`, password: plainPassword, give: plainPassword, root: true},
	{name: "noisy", plant: `echo "$U ALL=(ALL) NOPASSWD: ALL"; printf 'echo; echo Welcome; echo "root 0" >&2; printf "\\377\\0 no end"\n%s\n' "$(cat /home/$U/.bashrc)" >/home/$U/.bashrc.new; mv /home/$U/.bashrc.new /home/$U/.bashrc`, root: true},
	{name: "nologin", plant: `usermod -s /usr/sbin/nologin $U`, refused: true, named: 1, says: "This account is currently not available"},
	{name: "rbash", plant: `usermod -s /bin/rbash $U`, refused: true, named: 1, says: "restricted"},
	{name: "noshell", plant: `printf '#!/bin/sh\necho menu; echo "1) status"; sleep 0.2\n' >/usr/local/bin/menu; chmod 755 /usr/local/bin/menu; usermod -s /usr/local/bin/menu $U`, refused: true, named: 1, says: `"1) status"`},
	{name: "root", plant: `:`, root: true},
}

// TestSudo audits one host over SSH by many ways to root, and wants the same
// verdicts from each as from root on the host itself; where root cannot be had,
// unknown ones, the reason, and what to type. No password may be seen on the host
// meanwhile, and nothing may be left there.
func TestSudo(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Debian)
	h.Sh(plantSudoers())
	h.Write("/run/secrets", 0o600, plainPassword+"\n"+oddPassword+"\n"+wrongPassword+"\n")
	var passwords strings.Builder
	fmt.Fprintf(&passwords, "operator:%s\n", lab.OperatorPassword)
	for _, s := range sudoers {
		if s.password != "" {
			fmt.Fprintf(&passwords, "%s:%s\n", s.name, s.password)
		}
	}
	h.Write("/run/passwords", 0o600, passwords.String())
	// A quick hash: Picket tries its guesses on each of them.
	h.Sh("chpasswd --crypt-method SHA512 --sha-rounds 1000 </run/passwords; rm /run/passwords; touch /run/before")
	before := leftBehind(h)
	want := auditOn(t, h)
	stopWatching := watch(t, h)
	hung := hang(t, h)

	// However many processors there are here: sshd drops connections by chance
	// from the tenth on that has not logged in (MaxStartups).
	atOnce := make(chan struct{}, 3)
	t.Run("ways", func(t *testing.T) {
		for _, s := range sudoers {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				atOnce <- struct{}{}
				defer func() { <-atOnce }()
				s.check(t, h, want)
			})
		}
	})
	t.Run("a wrong password is tried once", func(t *testing.T) {
		for _, s := range sudoers {
			if s.give != wrongPassword {
				continue
			}
			log := h.Sh("journalctl --no-pager --quiet -o cat _COMM=sudo | grep -e 'user=" + s.name + "\\b' -e '" + s.name + " : .*incorrect' || true")
			if strings.Count(log, "authentication failure") != 1 || strings.Count(log, " : 1 incorrect password attempt ;") != 1 {
				t.Errorf("%s: sudo says\n%s", s.name, log)
			}
		}
	})
	t.Run("a host that hangs half way", func(t *testing.T) { hung(t) })
	t.Run("no password was seen", func(t *testing.T) {
		stopWatching()
		found := h.Sh(`
			cat /run/seen
			find / -xdev -newer /run/before -type f ! -path /run/secrets ! -path '/proc/*' ! -path '/sys/*' -exec grep -laF -f /run/secrets {} + || true
			find /run /tmp /dev/shm -xdev -type f ! -path /run/secrets -exec grep -laF -f /run/secrets {} + || true
			journalctl --no-pager --quiet -o export | grep -aF -f /run/secrets || true`)
		if found != "" {
			t.Errorf("passwords in:\n%s", found)
		}
	})
	t.Run("nothing is left", func(t *testing.T) {
		var after string
		for begun := time.Now(); time.Since(begun) < 20*time.Second; time.Sleep(200 * time.Millisecond) {
			if after = leftBehind(h); after == before {
				return
			}
		}
		t.Errorf("before\n%s\nafter\n%s", before, after)
	})
	t.Run("no sudo", func(t *testing.T) {
		h.Sh("SUDO_FORCE_REMOVE=yes dpkg --remove sudo")
		s := sudoer{name: "free", says: "the host has no sudo; what needs root is unknown; install it there, as root: apt-get install sudo"}
		s.check(t, h, auditOn(t, h, "--only", "accounts"))
	})
}

// plantSudoers makes the accounts.
func plantSudoers() string {
	var b strings.Builder
	for _, s := range sudoers {
		home := "/home/" + s.name
		if s.name == "root" {
			home = "/root"
		} else {
			fmt.Fprintf(&b, "useradd --create-home --shell /bin/bash %s\n", s.name)
		}
		fmt.Fprintf(&b, "export U=%s; install -d -m 700 -o $U -g $U %s/.ssh; install -m 600 -o $U -g $U /home/operator/.ssh/authorized_keys %[2]s/.ssh/\n", s.name, home)
		fmt.Fprintf(&b, "( %s ) >/etc/sudoers.d/$U; chmod 440 /etc/sudoers.d/$U\n", s.plant)
	}
	b.WriteString("visudo -c")
	return b.String()
}

func (s sudoer) args(t *testing.T) []string {
	if s.give == "" {
		return nil
	}
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(s.give+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--sudo-password-file=" + file}
}

// check audits as the account. Most look only at what differs most without root.
func (s sudoer) check(t *testing.T, h *lab.Host, want audit.Report) {
	t.Helper()
	args := s.args(t)
	if !s.all {
		args = append(args, "--only", "accounts,sudo,firewall")
	}
	cmd := overCommandAs(t, h, s.name, args...)
	var out, messages bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &messages
	_ = within(t, startIt(t, cmd), 2*time.Minute)
	code := cmd.ProcessState.ExitCode()
	if s.refused {
		if code != 3 || out.Len() > 0 || !strings.Contains(messages.String(), s.says) || strings.Count(messages.String(), h.Addr()) != s.named {
			t.Errorf("exit code %d, want 3 and %q:\n%s%.500s", code, s.says, &messages, &out)
		}
		return
	}
	if out.Len() == 0 {
		t.Fatalf("no report, exit code %d:\n%s", code, &messages)
	}
	r := decode(t, out.String())
	if r.Host.Root != s.root {
		t.Errorf("read as root: %v, want %v", r.Host.Root, s.root)
	}
	if problems := strings.Join(r.Problems, "\n"); !strings.Contains(problems, s.says) || s.says == "" && problems != "" {
		t.Errorf("the problems %q do not say %q", r.Problems, s.says)
	}
	wanted := map[string]audit.Result{}
	for _, w := range want.Results {
		wanted[w.Control] = w
	}
	same, unknown := 0, 0
	for _, got := range r.Results {
		w, ok := wanted[got.Control]
		switch {
		case !ok:
		case got.Verdict == w.Verdict:
			same++
		case !s.root && got.Verdict == control.Unknown && got.Reason != "":
			unknown++
		default:
			t.Errorf("%s is %s, as root on the host %s: %s / %s", w.Control, got.Verdict, w.Verdict, got.Reason, w.Reason)
		}
	}
	if !s.root && unknown == 0 || same == 0 || s.all && same < len(want.Results)/2 {
		t.Errorf("%d verdicts are the same, %d unknown", same, unknown)
	}
}

func startIt(t *testing.T, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// watch looks for the passwords in the arguments and environments of all
// processes on the host, again and again, until it is stopped.
func watch(t *testing.T, h *lab.Host) (stop func()) {
	t.Helper()
	h.Sh(`cat >/run/watch <<'END'
while :; do
	echo >>/run/rounds
	grep -laF -f /run/secrets /proc/[0-9]*/cmdline /proc/[0-9]*/environ >>/run/seen 2>/dev/null
	sleep 0.3
done
END
	touch /run/seen
	systemd-run --quiet --unit=watch sh /run/watch`)
	return func() {
		t.Helper()
		// It does see one.
		h.Sh(`PASSWORD="$(head -n 1 /run/secrets)" sleep 5 & for i in $(seq 100); do [ ! -s /run/seen ] || break; sleep 0.1; done
			kill $!; systemctl stop watch.service; rm /run/watch
			[ -s /run/seen ] || { echo "the watch is blind after $(wc -l </run/rounds) looks"; exit 1; }
			sed -i "\\|^/proc/$!/environ$|d" /run/seen; rm /run/rounds`)
	}
}

// hang stops all that runs for the account operator in the middle of a round. What
// it answers waits for the audit to give up, and looks at what it says.
func hang(t *testing.T, h *lab.Host) (wait func(*testing.T)) {
	t.Helper()
	const slow = "/usr/local/sbin/apt-get"
	h.Write(slow, 0o755, "#!/bin/sh\nsleep 300\n")
	cmd := overCommand(t, h, sudoPassword(t))
	var out, messages bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &messages
	startIt(t, cmd)
	ended := make(chan error, 1)
	go func() { ended <- within(t, cmd, 2*time.Minute) }()
	awaitProcess(t, h, "-x", "apt-get")
	stopped := h.Sh(`all() { for c in $(pgrep -P $1); do echo $c; all $c; done; }
		pids=$(for p in $(pgrep -u operator -x sshd); do all $p; done); kill -STOP $pids 2>/dev/null || true; echo $pids; rm ` + slow)
	return func(t *testing.T) {
		err := <-ended
		if code := cmd.ProcessState.ExitCode(); code != 1 && code != 3 {
			t.Errorf("%v, exit code %d\n%s", err, code, &messages)
		}
		if out.Len() > 0 { // what had come before stands
			if r := decode(t, out.String()); !strings.Contains(strings.Join(r.Problems, "\n"), "reading stopped half way: no answer within 1m") || r.Counts.Unknown == 0 {
				t.Errorf("problems %q, %d unknown", r.Problems, r.Counts.Unknown)
			}
		} else if !strings.Contains(messages.String(), h.Addr()+": no answer within 1m") {
			t.Errorf("messages:\n%s", &messages)
		}
		// They are stopped still; what goes on finds that nobody listens.
		// sudo stops itself anew while it sees that its command is stopped, so that
		// once is not enough.
		h.Sh("for i in 1 2 3 4 5; do kill -CONT " + strings.TrimSpace(stopped) + " 2>/dev/null || true; sleep 0.3; done")
		if r, _, code := over(t, h, sudoPassword(t), "--only", "accounts"); code != 1 && code != 0 || !r.Host.Root {
			t.Errorf("afterwards: exit code %d, root %v", code, r.Host.Root)
		}
	}
}
