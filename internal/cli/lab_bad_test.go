package cli_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"picket/internal/core/control"
	"picket/lab"
)

// TestWithoutRoot audits as an ordinary user: what needs root is unknown and
// says so. The exit code is 1 where something is wrong all the same, and 3
// where nothing is.
func TestWithoutRoot(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		role lab.Role
		code int
	}{{lab.Debian, 1}, {lab.Good, 3}} {
		h := start(t, tc.role)
		out, code := h.Try("setpriv", "--reuid=operator", "--regid=operator", "--clear-groups", onHost, "audit", "--profile", "strict", "--output", "json")
		r := decode(t, out)
		must(t, r, "accounts/factory-password", "unknown", "root")
		must(t, r, "firewall/default-deny", "unknown", "root")
		if code != tc.code {
			t.Errorf("%s: exit code %d, want %d; findings %q", tc.role, code, tc.code, findings(r, control.Critical, control.High))
		}
		if tc.role.Name == lab.Good.Name {
			// Over SSH, where sudo asks for a password and nobody gives it.
			r, messages, code := over(t, h)
			if code != 3 {
				t.Errorf("over SSH without sudo: exit code %d, want 3\n%s", code, messages)
			}
			must(t, r, "accounts/factory-password", "unknown", "root")
			if r.Host.Root {
				t.Error("the report says that root read the host")
			}
		}
		h.Stop()
	}
}

// TestSpoiledHost spoils a host in ways that a reader has to survive, one
// after the other.
func TestSpoiledHost(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Good)

	t.Run("bytes that are no text in passwd", func(t *testing.T) {
		h.Sh(`cp -p /etc/passwd /root/; printf 'b\377\376d:x:1005:1005:\303:/home/b:/bin/bash\n\377\n' >>/etc/passwd`)
		defer h.Sh(`mv /root/passwd /etc/passwd`)
		out, code := h.Try(onHost, "audit", "--profile", "strict", "--output", "json", "--only", "accounts")
		if code == 2 || code > 3 || !utf8.ValidString(out) {
			t.Fatalf("exit code %d, valid UTF-8 %v\n%.2000s", code, utf8.ValidString(out), out)
		}
		r := decode(t, out)
		must(t, r, "accounts/well-formed", "fail", "/etc/passwd")
		if r.Counts.Error > 0 {
			t.Errorf("%d rules panicked", r.Counts.Error)
		}
	})

	t.Run("sshd is stopped", func(t *testing.T) {
		h.Sh(`systemctl stop ssh.service`)
		defer h.Sh(`systemctl start ssh.service`)
		r := auditOn(t, h, "--only", "ssh")
		for _, res := range r.Results {
			if res.Verdict == control.Error {
				t.Errorf("%s: %s", res.Control, res.Reason)
			}
		}
		// What its files say holds from the next start on, and nothing of it now.
		res := result(t, r, "ssh/password-login")
		if res.Verdict.Bad() || res.Effective != nil && !*res.Effective {
			t.Errorf("passwords are off in the files, and ssh/password-login is %s: %s", res.Verdict, res.Reason)
		}
	})

	t.Run("the disk is full", func(t *testing.T) {
		h.Sh(`mkdir -p /mnt/small; mount -t tmpfs -o size=16k small /mnt/small`)
		defer h.Sh(`umount /mnt/small`)
		for _, args := range [][]string{
			{"--save", "/mnt/small/host.snapshot"}, {"--output", "html:/mnt/small/report.html"}, {"--output", "json:/mnt/small/report.json"},
		} {
			out, code := h.Try(onHost, append([]string{"audit"}, args...)...)
			if code != 3 || !strings.Contains(out, "no space left on device") || !strings.Contains(out, "/mnt/small/") {
				t.Errorf("%q: exit code %d, want 3 and the reason\n%.500s", args, code, out)
			}
			if left := h.Run("ls", "-A", "/mnt/small"); left != "" {
				t.Errorf("%q left %s", args, left)
			}
		}
	})

	t.Run("interrupted", func(t *testing.T) {
		before := leftBehind(h)
		out, code := h.Try("timeout", "--preserve-status", "--signal=INT", "0.15", onHost, "audit", "--save", "/root/host.snapshot", "--output", "json:/root/report.json")
		if code != 130 {
			t.Errorf("exit code %d, want 130\n%s", code, out)
		}
		if after := leftBehind(h); after != before {
			t.Errorf("before it ran\n%s\nafter it was interrupted\n%s", before, after)
		}
	})

	t.Run("interrupted over SSH", func(t *testing.T) {
		before := leftBehind(h)
		cmd := overCommand(t, h)
		var messages bytes.Buffer
		cmd.Stderr = &messages
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		awaitProcess(t, h, "--euid", "operator", "-x", "sh|dash|sudo")
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if err := within(t, cmd, 10*time.Second); cmd.ProcessState.ExitCode() != 130 {
			t.Errorf("%v, want exit code 130\n%s", err, &messages)
		}
		var after string
		for start := time.Now(); time.Since(start) < 20*time.Second; time.Sleep(200 * time.Millisecond) {
			if after = leftBehind(h); after == before {
				break
			}
		}
		if after != before {
			t.Errorf("before it ran\n%s\nafter it was interrupted\n%s", before, after)
		}
	})

	t.Run("the network is cut half way", func(t *testing.T) {
		// A program that takes its time keeps the round from ending before the cut.
		h.Sh(`printf '#!/bin/sh\nsleep 60\n' >/usr/local/sbin/apt-get; chmod 755 /usr/local/sbin/apt-get`)
		defer h.Sh(`rm /usr/local/sbin/apt-get; pkill sleep || true`)
		cmd := overCommand(t, h, sudoPassword(t))
		var out, messages bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &messages
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		awaitProcess(t, h, "-x", "apt-get")
		h.CutNetwork()
		defer h.RestoreNetwork()
		err := within(t, cmd, 90*time.Second)
		if code := cmd.ProcessState.ExitCode(); code != 3 {
			t.Errorf("%v, want exit code 3\n%s", err, &messages)
		}
		if out.Len() > 0 { // what had come before stands
			if r := decode(t, out.String()); r.Counts.Unknown == 0 || len(r.Problems) == 0 {
				t.Errorf("a report without a word on what is missing; problems %q", r.Problems)
			}
		} else if strings.Count(messages.String(), h.Addr()) != 1 {
			t.Errorf("want one message that names the host, got:\n%s", &messages)
		}
	})
}

// leftBehind describes what a run of Picket might leave on a host.
//
// What D-Bus starts for timedatectl ends by itself after half a minute.
func leftBehind(h *lab.Host) string {
	return h.Sh(`ls -A /root /tmp /var/tmp | grep -v '^systemd-private'
		all=$(ps -eo user,args) # before there is a pipe whose own programs it might see
		echo "$all" | grep -v -e systemd-timedated -e 'ps -eo' -e ' grep ' -e '(sd-pam)' -e 'systemd --user' -e '\[' -e 'sh -ec' | sed 's/ .*\// /' | sort`)
}

// awaitProcess waits until a process runs on the host that pgrep finds.
func awaitProcess(t *testing.T, h *lab.Host, pattern ...string) {
	t.Helper()
	for start := time.Now(); time.Since(start) < 20*time.Second; time.Sleep(20 * time.Millisecond) {
		if _, code := h.Try("pgrep", pattern...); code == 0 {
			return
		}
	}
	t.Fatalf("no process %q was seen", pattern)
}

// within waits for a program, and kills it when it takes too long.
func within(t *testing.T, cmd *exec.Cmd, limit time.Duration) error {
	t.Helper()
	kill := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	if !kill.Stop() {
		t.Errorf("it did not end in %s", limit)
	}
	return err
}
