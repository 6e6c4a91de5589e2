package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh/knownhosts"

	"picket/lab/sshserver"
)

// all writes a file that knows servers.
func all(t *testing.T, servers ...*sshserver.Server) []string {
	t.Helper()
	var text []byte
	for _, s := range servers {
		one, err := os.ReadFile(s.KnownHosts(t))
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, one...)
	}
	file := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{file}
}

// at is a server as a target, with its own key.
func at(s *sshserver.Server) Target {
	return Target{User: s.User, Host: s.Host, Port: s.Port, Identity: s.Key}
}

// only lets nobody but the first hop be dialled from here.
func only(t *testing.T, s *sshserver.Server) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if address != fmt.Sprintf("%s:%d", s.Host, s.Port) {
			t.Errorf("dialled %s", address)
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
}

func TestJump(t *testing.T) {
	fake := func(t *testing.T) *sshserver.Server { return sshserver.Fake(t, sshserver.Behaviour{}) }
	real := func(t *testing.T) *sshserver.Server { return sshserver.Real(t) }
	for name, start := range map[string]func(*testing.T) *sshserver.Server{"real": real, "fake": fake} {
		t.Run(name, func(t *testing.T) {
			first, second, last := start(t), start(t), start(t)
			opt := Options{KnownHosts: all(t, first, second, last), Jump: []Target{at(first), at(second)}, Dial: only(t, first), Timeout: 20 * time.Second}
			c, err := Dial(t.Context(), at(last), opt)
			if err != nil {
				t.Fatal(err)
			}
			if out := says(t, c, "echo in; head -c 3000000 /dev/zero | wc -c"); out != "in\n3000000\n" {
				t.Errorf("%q", out)
			}
			if there, here := c.Ends(); there.IsValid() || here.IsValid() {
				t.Errorf("ends %v %v, which nobody knows", there, here)
			}
			hop := c.hop
			c.Close()
			for _, h := range []*Client{c, hop, hop.hop} {
				select {
				case <-h.gone:
				case <-time.After(5 * time.Second):
					t.Errorf("%s is still connected", h.target)
				}
			}
			if err := c.Lost(); err != nil {
				t.Errorf("closed here, and yet %v", err)
			}
		})
	}
}

// TestJumpFails: the host that is at fault is named, with what to type.
func TestJumpFails(t *testing.T) {
	gate, last := sshserver.Fake(t, sshserver.Behaviour{}), sshserver.Fake(t, sshserver.Behaviour{})
	closed := sshserver.Fake(t, sshserver.Behaviour{NoForward: true})
	silent := sshserver.Fake(t, sshserver.Behaviour{Silent: true})
	picky := sshserver.Fake(t, sshserver.Behaviour{NoKeys: true})
	nobody := at(last)
	nobody.Port = freePort(t)
	known := all(t, gate, last, closed, silent, picky)
	via := fmt.Sprintf("-o ProxyJump=pi@127.0.0.1:%d", gate.Port)
	for name, c := range map[string]struct {
		target    Target
		jump      Target
		known     []string
		says, hop string
		hint      string
	}{
		"the hop refuses the key":  {at(last), at(picky), known, "login refused", at(picky).String(), fmt.Sprintf("ssh-copy-id -p %d pi@127.0.0.1", picky.Port)},
		"the hop says nothing":     {at(last), at(silent), known, "said nothing within", at(silent).String(), "overloaded"},
		"the hop is not known":     {at(last), at(gate), all(t, last), "the host is not known", at(gate).String(), fmt.Sprintf("\nssh-keyscan -p %d -t ed25519 127.0.0.1", gate.Port)},
		"nobody listens on a hop":  {at(last), nobody, known, "no SSH server listens", nobody.String(), "systemctl status ssh"},
		"the hop may not":          {at(last), at(closed), known, "cannot connect to it: it is not allowed to", "", "AllowTcpForwarding yes"},
		"nobody listens behind it": {nobody, at(gate), known, "no SSH server listens", "", "systemctl status ssh"},
		"the target is not known":  {at(last), at(gate), all(t, gate), "the host is not known", "", fmt.Sprintf("\nssh -p %d pi@127.0.0.1 ssh-keyscan -p %d -t ed25519 127.0.0.1 >> ", gate.Port, last.Port)},
		"the target refuses":       {at(picky), at(gate), known, "login refused", "", fmt.Sprintf("ssh-copy-id %s -p %d pi@127.0.0.1", via, picky.Port)},
		"the target says nothing":  {at(silent), at(gate), known, "said nothing within 2s", "", "overloaded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			_, err := Dial(t.Context(), c.target, Options{KnownHosts: c.known, Jump: []Target{c.jump}, Timeout: 2 * time.Second})
			refused(t, err, c.says, c.hint)
			if d := time.Since(begun); d > 8*time.Second {
				t.Errorf("it took %s", d)
			}
			want := c.target.String() + ": "
			if c.hop != "" {
				want += "on the way there: " + c.hop + ": "
			}
			if err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%v does not begin with %s", err, want)
			}
			var h *HopError
			if errors.As(err, &h) != (c.hop != "") {
				t.Errorf("%T", err)
			}
		})
	}
}

func TestJumpThroughItself(t *testing.T) {
	_, err := Dial(t.Context(), Target{User: "pi", Host: "a"}, Options{Jump: []Target{{User: "pi", Host: "b"}, {User: "pi", Host: "a", Port: 22}}, KnownHosts: []string{"/none"}})
	refused(t, err, "ssh://pi@a: the way there leads in a circle: pi@a is reached through itself", "each host on the way once")
}

func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// TestJumpOfSettings: each host on the way has its own block in the settings of ssh.
func TestJumpOfSettings(t *testing.T) {
	first, second, last := sshserver.Fake(t, sshserver.Behaviour{}), sshserver.Fake(t, sshserver.Behaviour{}), sshserver.Fake(t, sshserver.Behaviour{})
	home := t.TempDir()
	block := func(name string, s *sshserver.Server) string {
		return fmt.Sprintf("Host %s\n HostName 127.0.0.1\n Port %d\n User pi\n IdentityFile %s\n HostKeyAlias the-%[1]s\n", name, s.Port, s.Key)
	}
	hosts := block("first", first) + block("second", second) + block("last", last) + "Host *\n User nobody\n"
	if err := os.Mkdir(filepath.Join(home, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	known := filepath.Join(home, "known")
	if err := os.WriteFile(known, []byte(knownhosts.Line([]string{"the-first"}, first.HostKey)+"\n"+knownhosts.Line([]string{"the-second"}, second.HostKey)+"\n"+
		knownhosts.Line([]string{"the-last"}, last.HostKey)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]string{
		"a list":           "Host last\n ProxyJump first,second\n" + hosts,
		"one has its own":  "Host last\n ProxyJump second\nHost second\n ProxyJump first\n" + hosts,
		"a command":        "Host last\n ProxyCommand ssh -q -W %h:%p second\nHost second\n ProxyCommand \"ssh\" first -W [%h]:%p\n" + hosts,
		"with tokens":      "Host last\n ProxyJump %r@second\nHost second\n ProxyJump first\n" + hosts,
		"only the first":   "Host last\n ProxyJump first,second\nHost second\n ProxyJump nowhere\n" + hosts,
		"what comes first": "Host last\n ProxyJump first,second\n ProxyCommand nc %h %p\n" + hosts,
		"all but the hops": "Host * !first !second\n ProxyJump first,second\n" + hosts,
		"not for the hops": "Host last\n ProxyJump first,second\nHost first\n ProxyJump none\nHost *\n ProxyJump first\n" + hosts,
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(home, ".ssh/config"), []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			opt := Options{Home: home, User: "nobody", KnownHosts: []string{known}, Dial: only(t, first), Timeout: 5 * time.Second}
			c, err := Dial(t.Context(), Target{Host: "last"}, opt)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if want := fmt.Sprintf("pi@127.0.0.1:%d,pi@127.0.0.1:%d", first.Port, second.Port); c.target.via != want {
				t.Errorf("through %s, want %s", c.target.via, want)
			}
		})
	}
	// What is said to go directly does so, and what is said wins over the settings.
	opt := Options{Home: home, KnownHosts: []string{known}, Dial: only(t, last), Jump: []Target{}, Timeout: 5 * time.Second}
	c, err := Dial(t.Context(), Target{Host: "last"}, opt)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// TestHopsAreShared: one login for all who go through a host, a new one once it broke.
func TestHopsAreShared(t *testing.T) {
	gate, inner, last := sshserver.Fake(t, sshserver.Behaviour{}), sshserver.Fake(t, sshserver.Behaviour{}), sshserver.Fake(t, sshserver.Behaviour{})
	var hops Hops
	defer hops.Close()
	opt := Options{KnownHosts: all(t, gate, inner, last), Jump: []Target{at(gate), at(inner)}, Dial: only(t, gate), Hops: &hops, Timeout: 20 * time.Second}
	connect := func() (clients []*Client) {
		var mu sync.Mutex
		var all sync.WaitGroup
		for range 12 {
			all.Go(func() {
				c, err := Dial(t.Context(), at(last), opt)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				clients = append(clients, c)
			})
		}
		all.Wait()
		return clients
	}
	clients := connect()
	if g, i, l := gate.Came.Load(), inner.Came.Load(), last.Came.Load(); g != 1 || i != 1 || l != 12 {
		t.Errorf("%d, %d and %d connections, want 1, 1 and 12", g, i, l)
	}
	if t.Failed() {
		return
	}
	clients[0].Close()
	if out := says(t, clients[1], "echo in"); out != "in\n" {
		t.Errorf("another was closed, and it says %q", out)
	}
	// The connection to the first breaks: whoever goes through it ends, and is told why.
	clients[1].hop.hop.ssh.Close()
	refused(t, clients[1].Lost(), "on the way there: "+at(gate).String(), "")
	connect()
	if g, i := gate.Came.Load(), inner.Came.Load(); g != 2 || i != 2 {
		t.Errorf("%d and %d connections, want 2 and 2", g, i)
	}
	clients = connect()
	hops.Close()
	for _, c := range clients {
		select {
		case <-c.gone:
		case <-time.After(5 * time.Second):
			t.Fatal("still connected")
		}
	}
	_, err := Dial(t.Context(), at(last), opt)
	refused(t, err, "were closed", "")
}

// TestHopThatFailsIsAskedOnce: many targets behind it do not ask for many passwords.
func TestHopThatFailsIsAskedOnce(t *testing.T) {
	gate, last := sshserver.Fake(t, sshserver.Behaviour{NoKeys: true}), sshserver.Fake(t, sshserver.Behaviour{})
	var hops Hops
	defer hops.Close()
	for range 5 {
		_, err := Dial(t.Context(), at(last), Options{KnownHosts: all(t, gate, last), Jump: []Target{at(gate)}, Hops: &hops})
		refused(t, err, "login refused", "")
	}
	if n := gate.Came.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// waitFor returns once so many wait for the one host on the way.
func waitFor(t *testing.T, h *Hops, n int) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		waiting := 0
		h.mu.Lock()
		for _, s := range h.open {
			waiting += s.waiting
		}
		h.mu.Unlock()
		if waiting == n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d wait, want %d", waiting, n)
		}
	}
}

// TestWhoWaitsForAHop: one who gives up does not take it from the others.
func TestWhoWaitsForAHop(t *testing.T) {
	slow := make(chan struct{})
	gate, last := sshserver.Fake(t, sshserver.Behaviour{}), sshserver.Fake(t, sshserver.Behaviour{})
	var hops Hops
	defer hops.Close()
	var ended atomic.Int32
	opt := Options{KnownHosts: all(t, gate, last), Jump: []Target{at(gate)}, Hops: &hops, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		select {
		case <-slow:
		case <-ctx.Done():
			ended.Add(1)
			return nil, ctx.Err()
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() { _, err := Dial(ctx, at(last), opt); gone <- err }()
	waitFor(t, &hops, 1)
	stays := make(chan error)
	go func() { _, err := Dial(t.Context(), at(last), opt); stays <- err }()
	waitFor(t, &hops, 2)
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(slow)
	if err := <-stays; err != nil {
		t.Error(err)
	}
	if ended.Load() != 0 {
		t.Error("the one that was waited for was ended")
	}

	// Nobody waits any more: it ends.
	var others Hops
	defer others.Close()
	opt.Hops, slow = &others, make(chan struct{})
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := Dial(ctx, at(last), opt); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for end := time.Now().Add(5 * time.Second); ended.Load() != 1; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it is still dialled")
		}
	}
}

// A frozen connection brings nothing more once it is told so.
type frozen struct {
	net.Conn
	now  *atomic.Bool
	once sync.Once
	done chan struct{}
}

func (f *frozen) Read(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	if f.now.Load() {
		<-f.done
		return 0, net.ErrClosed
	}
	return n, err
}

func (f *frozen) Close() error {
	f.once.Do(func() { close(f.done) })
	return f.Conn.Close()
}

// freezing dials connections that freeze all at once.
func freezing(now *atomic.Bool) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return &frozen{Conn: c, now: now, done: make(chan struct{})}, err
	}
}

// TestHopThatHangs: it is found out, it is named, and Ctrl-C does not wait for it.
func TestHopThatHangs(t *testing.T) {
	gate, last := sshserver.Fake(t, sshserver.Behaviour{}), sshserver.Fake(t, sshserver.Behaviour{})
	var now atomic.Bool
	var hops Hops
	defer hops.Close()
	opt := Options{KnownHosts: all(t, gate, last), Jump: []Target{at(gate)}, Dial: freezing(&now), Hops: &hops, keepalive: 300 * time.Millisecond}
	c, err := Dial(t.Context(), at(last), opt)
	if err != nil {
		t.Fatal(err)
	}
	now.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	begun := time.Now()
	if _, err := Dial(ctx, at(last), opt); !errors.Is(err, context.Canceled) || time.Since(begun) > time.Second {
		t.Errorf("%v after %s", err, time.Since(begun))
	}
	begun = time.Now()
	var out bytes.Buffer
	_, err = c.Exec(t.Context(), "sleep 60", nil, &out, nil)
	if err == nil || !strings.Contains(err.Error(), "it has answered nothing for") || !strings.Contains(err.Error(), "on the way there: "+at(gate).String()) || time.Since(begun) > 10*time.Second {
		t.Errorf("%v after %s", err, time.Since(begun))
	}
	begun = time.Now()
	if c.Close(); time.Since(begun) > time.Second {
		t.Errorf("closing took %s", time.Since(begun))
	}
}
