package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"picket/internal/core/snap"
	"picket/internal/host/shell"
	"picket/internal/host/snapshot"
	"picket/lab"
)

// TestGateway goes through a real gateway to a host that only that one reaches: the
// gateway lets two log in at once, the host has one session for each, and its
// login prints.
func TestGateway(t *testing.T) {
	t.Parallel()
	gate, behind := lab.Start(t, lab.Debian), lab.Start(t, lab.Debian)
	behind.Sh("ip route add unreachable $(ip route show default | cut -d' ' -f3)/32") // the side that we are on
	gate.Write("/etc/ssh/sshd_config.d/slots.conf", 0o644, "MaxStartups 2:100:2\n")
	gate.Sh("systemctl reload ssh")
	behind.Write("/etc/ssh/sshd_config.d/slots.conf", 0o644, "MaxSessions 1\n")
	behind.Write("/etc/sudoers.d/operator", 0o440, "operator ALL=(ALL) NOPASSWD: ALL\n")
	behind.Write("/home/operator/.bashrc", 0o644, "trap 'echo bye' EXIT\necho; echo 'Welcome!'; echo root; echo 'no tty' >&2; printf 'no end'\n")
	behind.Sh("systemctl reload ssh")

	known := filepath.Join(t.TempDir(), "known_hosts")
	var text []byte
	for _, h := range []*lab.Host{gate, behind} {
		one, err := os.ReadFile(h.KnownHosts())
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, one...)
	}
	if err := os.WriteFile(known, text, 0o600); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(config, fmt.Appendf(nil, "Host behind\n HostName %s\n ProxyJump gate\nHost gate\n HostName %s\nHost *\n User operator\n IdentityFile %s\n UserKnownHostsFile %s\n BatchMode yes\n",
		behind.Addr(), gate.Addr(), gate.KeyFile(), known), 0o600); err != nil {
		t.Fatal(err)
	}
	// The ssh command goes the same way with the same settings.
	if out, err := gate.Command("ssh", "-F", config, "behind", "hostname -I").CombinedOutput(); err != nil || !strings.Contains(string(out), behind.Addr()) {
		t.Fatalf("ssh itself: %v\n%s", err, out)
	}
	opt := Options{Config: config, Dial: gate.DialContext, Timeout: 2 * time.Minute}
	direct := opt
	direct.Jump, direct.Timeout = []Target{}, 3*time.Second
	if _, err := Dial(t.Context(), Target{Host: "behind"}, direct); err == nil {
		t.Fatal("the host is reached without the gateway")
	}

	at := func(name string, opt Options) *Client {
		t.Helper()
		c, err := Dial(t.Context(), Target{Host: name}, opt)
		if err != nil {
			t.Error(err)
			return nil
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	crowd := func(name string, opt Options) {
		t.Helper()
		var all sync.WaitGroup
		begun := time.Now()
		for range 20 {
			all.Go(func() {
				if c := at(name, opt); c != nil {
					c.Close()
				}
			})
		}
		all.Wait()
		t.Logf("20 logins at %s took %s", name, time.Since(begun).Round(10*time.Millisecond))
		if t.Failed() {
			t.FailNow()
		}
	}
	crowd("gate", opt)
	if log := gate.Sh("journalctl -u ssh"); !strings.Contains(log, "MaxStartups") {
		t.Errorf("nobody was turned away:\n%s", log)
	}
	var hops Hops
	defer hops.Close()
	shared := opt
	shared.Hops = &hops
	before := strings.Count(gate.Sh("journalctl --sync; journalctl -u ssh"), "Accepted publickey")
	crowd("behind", shared)
	if n := strings.Count(gate.Sh("journalctl --sync; journalctl -u ssh"), "Accepted publickey") - before; n != 1 {
		t.Errorf("%d logins at the gateway, want 1", n)
	}

	// One session after the other, as root, past what the login prints.
	c := at("behind", opt)
	sh := shell.SSH(c, "operator", nil)
	for i := range 10 {
		var said []string
		out, exit, err := sh.Run(t.Context(), fmt.Sprintf("id -un; cat; echo it said this >&2; exit %d", i), []byte("in"), func(l string) { said = append(said, l) })
		if err != nil || exit != i || string(out) != "root\nin" || strings.Join(said, "|") != "it said this" {
			t.Fatalf("%q %q, exit status %d, %v", out, said, exit, err)
		}
	}
	if _, err := c.Exec(t.Context(), "true", nil, nil, nil); err != nil {
		t.Error(err)
	}
	taker := snapshot.NewSSH(at("behind", shared), "ssh://behind", snapshot.SSHOptions{})
	defer taker.Close()
	src, err := taker.Source(t.Context())
	if err != nil || src.UID != 0 {
		t.Fatalf("%+v %v", src, err)
	}
	s := snap.New(src, time.Unix(1, 0))
	if err := taker.Round(t.Context(), snap.Manifest{Files: []string{"/etc/shadow"}}, s); err != nil || len(s.Problems) > 0 {
		t.Errorf("%v %q", err, s.Problems)
	}
	if e, st, why := s.File("/etc/shadow"); st != snap.Known || len(e.Content) == 0 {
		t.Errorf("/etc/shadow is %v: %s", st, why)
	}

	// What runs when its time is over is ended on the host.
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if _, err := c.Exec(ctx, "exec sleep 9876", nil, nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if _, code := behind.Try("pgrep", "-f", "sleep 9876"); code != 0 {
			break
		}
		if time.Now().After(end) {
			t.Error("the command still runs")
			break
		}
	}

	// The gateway vanishes in the middle of a command.
	lively := opt
	lively.keepalive = time.Second
	c = at("behind", lively)
	var out bytes.Buffer
	cut := time.AfterFunc(2*time.Second, func() {
		if err := gate.Cable(false); err != nil {
			t.Error(err)
		}
	})
	defer cut.Stop()
	_, err = c.Exec(t.Context(), "sleep 100", nil, &out, nil)
	refused(t, err, "on the way there: ssh://operator@"+gate.Addr()+": the host is gone or hangs: it has answered nothing for 3s", "")
	gate.RestoreNetwork()

	behind.Write("/etc/ssh/sshd_config.d/slots.conf", 0o644, "MaxSessions 0\n")
	behind.Sh("systemctl reload ssh")
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		_, err = at("behind", opt).Exec(t.Context(), "true", nil, nil, nil)
		var none *SessionError
		if errors.As(err, &none) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the host has no sessions, and %v", err)
		}
	}
	refused(t, err, "opens no session: open failed", "sshd -T | grep -i maxsessions")
}
