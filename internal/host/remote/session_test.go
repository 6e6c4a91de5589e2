package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/crypto/ssh"

	"picket/lab/sshserver"
)

func into(t *testing.T, s *sshserver.Server, opt Options) *Client {
	t.Helper()
	opt.KnownHosts = []string{s.KnownHosts(t)}
	if opt.Timeout == 0 {
		opt.Timeout = 20 * time.Second
	}
	c, err := Dial(t.Context(), at(s), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestTurnedAway: a host that takes no more logins just now is tried again, for
// that cause alone.
func TestTurnedAway(t *testing.T) {
	turn := func(n int, say string) func(int) (string, bool) {
		return func(i int) (string, bool) { return say, i <= n }
	}
	for name, c := range map[string]struct {
		b    sshserver.Behaviour
		came int // 0: more than once
		err  string
	}{
		"without a word":     {sshserver.Behaviour{TurnAway: turn(3, "")}, 4, ""},
		"with a word":        {sshserver.Behaviour{TurnAway: turn(3, "Exceeded MaxStartups\r\n")}, 4, ""},
		"within a greeting":  {sshserver.Behaviour{TurnAway: turn(1, "SSH-2.0-Op")}, 2, ""},
		"always":             {sshserver.Behaviour{TurnAway: turn(99, "Exceeded MaxStartups\r\n")}, 0, "times within 2s (it said \"Exceeded MaxStartups\")"},
		"for another cause":  {sshserver.Behaviour{TurnAway: turn(1, "go away\x1b[2J\n")}, 1, `(it said "go away?[2J")`},
		"behind a greeting":  {sshserver.Behaviour{TurnAway: turn(1, "SSH-2.0-x\r\n")}, 1, "closed the connection before the login"},
		"a key was tried":    {sshserver.Behaviour{Hangs: sshserver.DropsLogin}, 1, "closed the connection during the login"},
		"a key is not right": {sshserver.Behaviour{NoKeys: true}, 1, "login refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sshserver.Fake(t, c.b)
			begun := time.Now()
			_, err := Dial(t.Context(), at(s), Options{KnownHosts: []string{s.KnownHosts(t)}, Timeout: 2 * time.Second})
			if c.err != "" {
				refused(t, err, c.err, "")
			} else if err != nil {
				t.Error(err)
			}
			if n := int(s.Came.Load()); n != c.came && (c.came != 0 || n < 3) {
				t.Errorf("%d connections", n)
			}
			if d := time.Since(begun); d > 5*time.Second {
				t.Errorf("it took %s", d)
			}
		})
	}
	for try := range 100 {
		if p := pauseAfter(try + 1); p < 50*time.Millisecond || p > 3*time.Second {
			t.Errorf("pause %d is %s", try, p)
		}
	}
}

func TestTurnedAwayAndCancelled(t *testing.T) {
	s := sshserver.Fake(t, sshserver.Behaviour{HangUp: true})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, cancel)
	begun := time.Now()
	if _, err := Dial(ctx, at(s), Options{KnownHosts: []string{s.KnownHosts(t)}}); !errors.Is(err, context.Canceled) || time.Since(begun) > 2*time.Second {
		t.Errorf("%v after %s", err, time.Since(begun))
	}
}

// TestMaxStartups has more come at once than a real sshd lets log in.
func TestMaxStartups(t *testing.T) {
	s := sshserver.Real(t, "MaxStartups 2:100:2")
	opt := Options{KnownHosts: []string{s.KnownHosts(t)}, Timeout: time.Minute}
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			c, err := Dial(t.Context(), at(s), opt)
			if err != nil {
				t.Error(err)
				return
			}
			c.Close()
		})
	}
	all.Wait()
}

// TestMaxSessions: one session at a time is enough for one after the other; none
// is told.
func TestMaxSessions(t *testing.T) {
	for name, s := range map[string]*sshserver.Server{"real": sshserver.Real(t, "MaxSessions 1"), "fake": sshserver.Fake(t, sshserver.Behaviour{Sessions: 1})} {
		c := into(t, s, Options{})
		for i := range 30 {
			var out bytes.Buffer
			if exit, err := c.Exec(t.Context(), fmt.Sprintf("echo %d; exit %d", i, i), nil, &out, nil); err != nil || exit != i || out.String() != fmt.Sprintf("%d\n", i) {
				t.Fatalf("%s: %d: exit status %d, %q, %v", name, i, exit, &out, err)
			}
		}
		in, _, _, err := c.Start("cat")
		if err != nil {
			t.Fatal(err)
		}
		_, _, _, err = c.Start("true")
		refused(t, err, "opens no session: open failed", "MaxSessions")
		in.Close()
	}
	for name, s := range map[string]*sshserver.Server{"real": sshserver.Real(t, "MaxSessions 0"), "fake": sshserver.Fake(t, sshserver.Behaviour{Sessions: -1})} {
		_, err := into(t, s, Options{}).Exec(t.Context(), "true", nil, nil, nil)
		refused(t, err, s.Target()+": the host takes the login and opens no session: open failed", "MaxSessions 10")
		if err == nil {
			t.Error(name)
		}
	}
}

func TestHangsAfterTheLogin(t *testing.T) {
	s := sshserver.Fake(t, sshserver.Behaviour{Hangs: sshserver.HangsLoggedIn})
	begun := time.Now()
	_, err := into(t, s, Options{Timeout: time.Second}).Exec(t.Context(), "true", nil, nil, nil)
	refused(t, err, "took the login and then hung: no session: no answer within 1s", "journalctl")
	if d := time.Since(begun); d > 8*time.Second {
		t.Errorf("it took %s", d)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	begun = time.Now()
	if _, err = into(t, s, Options{}).Exec(ctx, "true", nil, nil, nil); !errors.Is(err, context.Canceled) || time.Since(begun) > 5*time.Second {
		t.Errorf("%v after %s", err, time.Since(begun))
	}
	// Nobody asks for anything: it is found out all the same.
	c := into(t, s, Options{keepalive: 50 * time.Millisecond})
	select {
	case <-c.gone:
		refused(t, c.Lost(), s.Target()+": the host is gone or hangs: it has answered nothing for 150ms", "")
	case <-time.After(10 * time.Second):
		t.Error("the host hangs, and nobody finds out")
	}
}

func TestHangsInACommand(t *testing.T) {
	var now atomic.Bool
	s := sshserver.Fake(t, sshserver.Behaviour{})
	c := into(t, s, Options{Dial: freezing(&now), keepalive: 100 * time.Millisecond})
	time.AfterFunc(200*time.Millisecond, func() { now.Store(true) })
	_, err := c.Exec(t.Context(), "echo begun; sleep 60", nil, nil, nil)
	refused(t, err, "in the middle of a command: "+s.Target()+": the host is gone or hangs: it has answered nothing for 300ms", "")
}

func TestExec(t *testing.T) {
	real, fake := sshserver.Real(t), sshserver.Fake(t, sshserver.Behaviour{})
	for name, s := range map[string]*sshserver.Server{"real": real, "fake": fake} {
		t.Run(name, func(t *testing.T) {
			c := into(t, s, Options{})
			for _, tc := range []struct {
				command, in, out, complaint string
				exit                        int
			}{
				{"true", "", "", "", 0},
				{"echo out; echo err >&2; exit 3", "", "out\n", "err\n", 3},
				{"cat; exit 255", "a\x00b\xff", "a\x00b\xff", "", 255},
				{"head -c 1", strings.Repeat("x", 5<<20), "x", "", 0}, // it need not read all
				{Command([]string{"printf", "%s|", "a b", "", "-n", "it's\n"}), "", "a b||-n|it's\n|", "", 0},
				{Command([]string{"if"}), "", "", "*", 127},
			} {
				var out, complaint bytes.Buffer
				exit, err := c.Exec(t.Context(), tc.command, strings.NewReader(tc.in), &out, &complaint)
				if err != nil || exit != tc.exit || out.String() != tc.out || tc.complaint != "*" && complaint.String() != tc.complaint {
					t.Errorf("%.60s: exit status %d, %q, %q, %v", tc.command, exit, &out, &complaint, err)
				}
			}
			var out counter
			if exit, err := c.Exec(t.Context(), "head -c 20000000 /dev/zero", nil, &out, nil); err != nil || exit != 0 || out != 20000000 {
				t.Errorf("%d bytes, exit status %d, %v", out, exit, err)
			}

			var signal *SignalError
			exit, err := c.Exec(t.Context(), "kill -KILL $$", nil, nil, nil)
			if !errors.As(err, &signal) || signal.Signal != "KILL" || exit != -1 {
				t.Errorf("killed: exit status %d, %v", exit, err)
			}
			_, err = c.Exec(t.Context(), "echo a\x00b", nil, nil, nil)
			refused(t, err, "NUL", "")
			_, err = c.Exec(t.Context(), "cat; echo it was taken for the end >&2", io.MultiReader(strings.NewReader("half"), iotest.ErrReader(errors.New("the disk is broken"))), io.Discard, io.Discard)
			refused(t, err, "read what is to be sent: the disk is broken", "")
			_, err = c.Exec(t.Context(), "yes", nil, full{}, nil)
			refused(t, err, "write what the command says: the disk is full", "")

			// The end of ctx ends the session at once, whatever stdin does.
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			never, w := io.Pipe()
			defer w.Close()
			begun := time.Now()
			var said bytes.Buffer
			_, err = c.Exec(ctx, "echo $$; exec sleep 98", never, &said, nil)
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), s.Target()+": the command did not end in time") || time.Since(begun) > 5*time.Second {
				t.Errorf("%v after %s", err, time.Since(begun))
			}
			if name == "real" && os.Getuid() != 0 { // sshd passes signals on to no command of root's, the fake one to none
				pid := strings.TrimSpace(said.String())
				for end := time.Now().Add(10 * time.Second); exec.Command("kill", "-0", pid).Run() == nil; time.Sleep(10 * time.Millisecond) {
					if time.Now().After(end) {
						t.Fatal("it still runs")
					}
				}
			}
			ctx, cancel = context.WithCancel(t.Context())
			cancel()
			if _, err := c.Exec(ctx, "true", nil, nil, nil); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			if out := says(t, c, "echo still there"); out != "still there\n" {
				t.Errorf("%q", out)
			}
		})
	}
}

// TestExecLosesTheHost: what is no exit status is not taken for one.
func TestExecLosesTheHost(t *testing.T) {
	s := sshserver.Fake(t, sshserver.Behaviour{Run: func(ch ssh.Channel) {}})
	exit, err := into(t, s, Options{}).Exec(t.Context(), "true", nil, nil, nil)
	refused(t, err, s.Target()+": the host ended the command's session without its exit status", "")
	if exit != -1 {
		t.Errorf("exit status %d", exit)
	}
	s = sshserver.Fake(t, sshserver.Behaviour{})
	c := into(t, s, Options{})
	time.AfterFunc(200*time.Millisecond, func() { c.ssh.Close() })
	_, err = c.Exec(t.Context(), "sleep 30", nil, nil, nil)
	refused(t, err, "in the middle of a command: "+s.Target()+": the connection was closed from the other side", "")
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }

type counter int

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }
