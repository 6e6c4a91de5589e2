package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"picket/internal/host/remote"
	"picket/internal/ui"
	"picket/lab/sshserver"
)

// TestWaves: leaders go after the others, who is on the way to another after it, and this machine last of all.
func TestWaves(t *testing.T) {
	t.Parallel()
	file := plant(t, 0o600, `cluster:
  nodes:
    lead: {address: 192.0.2.1, user: pi, roles: [leader]}
    one: {address: 192.0.2.2, user: pi, jump: gate}
    two: {address: 192.0.2.3, user: pi, jump: lead}
    gate: {address: 192.0.2.4, user: pi}
    self: {address: 192.0.2.5, user: pi}
    boss: {address: 192.0.2.6, user: pi, roles: [master]}
    head: {address: 192.0.2.7, user: pi, roles: [manager]}
`, t.TempDir(), "picket.yaml")
	for want, tc := range map[string]struct {
		names string
		opt   powerOptions
	}{
		"one, two, then lead": {"lead one two", powerOptions{leaderLast: true}},
		"one, then gate":      {"gate one", powerOptions{}},
		"gate, then lead":     {"lead gate", powerOptions{leaderLast: true}},
		"lead, gate":          {"lead gate", powerOptions{}},
		"two, then lead":      {"lead two", powerOptions{}},
		"one, two, then lead, gate, then self (this machine)": {"self lead gate one two", powerOptions{leaderLast: true}},
		"one, then two, then gate, then lead":                 {"gate one lead two", powerOptions{leaderLast: true, serial: true}},
		"gate, then self (this machine)":                      {"self gate", powerOptions{}},
		"one, then boss, head":                                {"boss head one", powerOptions{leaderLast: true}},
		"one":                                                 {"one", powerOptions{serial: true}},
	} {
		p := &program{configs: []string{file}, getenv: func(string) string { return "" }, io: ui.IO{Err: &strings.Builder{}}}
		var ready []*powered
		for _, name := range strings.Fields(tc.names) {
			ready = append(ready, &powered{target: name, here: name == "self"})
		}
		if is := order(p.waves(ready, tc.opt)); is != want {
			t.Errorf("%s: %s, want %s", tc.names, is, want)
		}
	}
}

// TestPowerWords: what is typed wrongly is told before anybody is spoken to, and so is a host that is this machine.
func TestPowerWords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := plant(t, 0o600, "cluster:\n  nodes:\n    away: {address: 192.0.2.9, user: amy}\n", dir, "picket.yaml")
	n := nodes{dir: dir}
	plant(t, 0o600, "", dir, "known")
	for want, args := range map[string][]string{
		"no host is named": {"--yes"},
		"there is no terminal to ask on\n        --yes does it without asking": {"away"},
		"PICKET_NO_LOCAL is set, so nothing is changed on this machine":        {"away", "local", "--yes"},
		"image:/ does not run":                                          {"image:/", "--yes"},
		file + " is no running host":                                    {file, "--yes"},
		"--within 0s: want a time above zero":                           {"away", "--yes", "--within", "0"},
		"--parallel 0: want a number above zero":                        {"away", "--yes", "--parallel", "0"},
		`no node, group or role is called "awya"; did you mean "away"?`: {"awya", "--yes"},
	} {
		for _, verb := range []string{"reboot", "shutdown"} {
			if _, errs, code := n.run(t.Context(), append([]string{verb}, args...)...); code != ExitUsage || !strings.Contains(errs, want) {
				t.Errorf("%s %q: exit code %d\n%s", verb, args, code, errs)
			}
		}
	}
	for _, address := range []string{"127.0.0.1", "127.8.8.8", "::1", "localhost"} { // where this machine's own sshd could be
		plant(t, 0o600, "cluster:\n  nodes:\n    here: {address: \""+address+"\", port: 1, user: amy}\n", dir, "picket.yaml")
		for _, verb := range []string{"reboot", "shutdown"} {
			if _, errs, code := n.run(t.Context(), verb, "all", "--yes"); code != ExitUsage || !strings.Contains(errs, "PICKET_NO_LOCAL is set") {
				t.Errorf("%s %s: exit code %d\n%s", verb, address, code, errs)
			}
		}
	}
}

// hangs is a shell whose programs never end.
type hangs struct{}

func (hangs) Run(ctx context.Context, _ string, _ []byte, _ func(string)) ([]byte, int, error) {
	<-ctx.Done()
	return nil, 0, ctx.Err()
}

func (hangs) Close() error { return nil }

func quietly() ui.Teller { return ui.NewBoard(io.Discard, false, 1, time.Now).Begin("one") }

// TestPowerHangs: a command that never ends holds nobody up for longer than may be.
func TestPowerHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &program{}
		m := &powered{target: "one", shell: hangs{}}
		for _, what := range []power{reboot, shutdown} {
			begun := time.Now()
			err := p.down(t.Context(), m, what, powerOptions{within: 5 * time.Minute}, quietly())
			if took := time.Since(begun); err == nil || !strings.Contains(err.Error(), "told to "+what.verb+", and what was to do so has not ended within 5m0s") || took != 5*time.Minute {
				t.Errorf("%v after %v", err, took)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if err := p.down(ctx, m, reboot, powerOptions{within: time.Minute}, quietly()); err != context.Canceled {
			t.Errorf("interrupted: %v", err)
		}
	})
}

// TestPatient: the time that somebody takes over a password is not counted, and what comes after it is.
func TestPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, asks, end := patient(t.Context(), time.Minute, func(string) ([]byte, error) {
			time.Sleep(time.Hour)
			return nil, nil
		})
		defer end()
		time.Sleep(50 * time.Second)
		if _, err := asks("pi"); err != nil || ctx.Err() != nil {
			t.Error(err, ctx.Err())
		}
		begun := time.Now()
		<-ctx.Done()
		if took := time.Since(begun); took != time.Minute {
			t.Errorf("it ended after %v", took)
		}
		if _, asks, end := patient(t.Context(), time.Minute, nil); asks != nil {
			t.Error("nobody can be asked")
		} else {
			end()
		}
	})
}

// TestPowerAsksAHostThatHangs: one that lets in and then says nothing is left, also where a person could be asked.
func TestPowerAsksAHostThatHangs(t *testing.T) {
	t.Parallel()
	s := sshserver.Fake(t, sshserver.Behaviour{Run: func(ch ssh.Channel) { _, _ = io.Copy(io.Discard, ch); <-t.Context().Done() }})
	p := &program{getenv: func(name string) string { return map[string]string{"HOME": t.TempDir()}[name] }, io: ui.IO{In: strings.NewReader(""), Err: io.Discard}}
	m, err := p.machine(t.Context(), s.Target(), sshOptions{knownHosts: s.KnownHosts(t), identities: []string{s.Key}, config: remote.NoConfig}, 300*time.Millisecond, quietly())
	if err == nil || !strings.Contains(err.Error(), "then hung: it did not say within 300ms how it is") || errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if m != nil {
		m.client.Close()
	}
}

// TestSilent: only what gives no answer at all is gone.
func TestSilent(t *testing.T) {
	t.Parallel()
	away := func(e remote.UnreachableError) error { return fmt.Errorf("log in: %w", &e) }
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"no answer":                 {away(remote.UnreachableError{Err: os.ErrDeadlineExceeded}), true},
		"no machine":                {away(remote.UnreachableError{Err: syscall.EHOSTUNREACH}), true},
		"refused":                   {away(remote.UnreachableError{Refused: true, Err: syscall.ECONNREFUSED}), false},
		"refused, as Windows says":  {away(remote.UnreachableError{Err: &net.OpError{Op: "dial", Err: os.NewSyscallError("connectex", syscall.Errno(10061))}}), false},
		"taken, and nothing said":   {away(remote.UnreachableError{Stage: remote.Greeting, Err: os.ErrDeadlineExceeded}), false},
		"closed":                    {away(remote.UnreachableError{Stage: remote.Greeting, Err: io.EOF}), false},
		"hangs in the login":        {away(remote.UnreachableError{Stage: remote.LoggingIn, Err: os.ErrDeadlineExceeded}), false},
		"one before it is away":     {&remote.HopError{Err: away(remote.UnreachableError{Err: os.ErrDeadlineExceeded})}, false},
		"seen by the one before":    {away(remote.UnreachableError{Err: &ssh.OpenChannelError{Reason: ssh.ConnectionFailed, Message: "No route to host"}}), true},
		"no name any more":          {away(remote.UnreachableError{Err: &ssh.OpenChannelError{Reason: ssh.ConnectionFailed, Message: "Name or service not known"}}), false},
		"refused by the one before": {away(remote.UnreachableError{Err: &ssh.OpenChannelError{Reason: ssh.Prohibited}}), false},
		"lets nobody in":            {&remote.AuthError{}, false},
		"lets in":                   {nil, false},
	} {
		if is := silent(tc.err); is != tc.want {
			t.Errorf("%s: %v", name, is)
		}
	}
}

// TestGone: a host whose sshd has ended is not taken for one that has: its kernel refuses connections.
func TestGone(t *testing.T) {
	t.Parallel()
	s := sshserver.Fake(t, sshserver.Behaviour{})
	p := &program{getenv: func(name string) string { return map[string]string{"HOME": t.TempDir()}[name] }, io: ui.IO{In: strings.NewReader(""), Err: io.Discard}}
	ssh := sshOptions{knownHosts: s.KnownHosts(t), identities: []string{s.Key}, config: remote.NoConfig}
	c, _, _, err := p.dial(t.Context(), s.Target(), ssh, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	limit, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
	defer cancel()
	m := &powered{target: "ssh://pi@127.0.0.1:1", client: c, boot: "x"}
	err = p.untilGone(t.Context(), limit, m, powerOptions{ssh: ssh, within: 3 * time.Second}, quietly())
	if err == nil || !strings.Contains(err.Error(), "lets nobody in any more and still runs after 3s: its kernel answers") {
		t.Error(err)
	}
	named := &remote.UnreachableError{Err: &net.DNSError{IsNotFound: true}}
	if !m.unnamed(t.Context(), named) || m.unnamed(t.Context(), io.EOF) {
		t.Error("a host without a name any more that answers at its address")
	}
}
