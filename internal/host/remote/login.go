package remote

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// login logs in to the last host of a way. A host that takes no more logins just
// now hangs up before it says a word: then it is tried again for a while. The client
// closes own, which may be nil.
func login(ctx context.Context, way []step, hops, own *Hops) (*Client, error) {
	at := way[len(way)-1]
	limit := cmp.Or(at.opt.Timeout, dialTimeout)
	var until time.Time
	for try := 1; ; try++ {
		known, err := at.hosts()
		if err != nil {
			return nil, err
		}
		conn, hop, err := connect(ctx, way, hops, limit, &until)
		if err != nil {
			return nil, err
		}
		c, err := at.login(ctx, conn, known)
		if err == nil {
			c.hop, c.own = hop, own
			c.live()
			return c, nil
		}
		var u *UnreachableError
		if !errors.As(err, &u) || !u.turnedAway() {
			return nil, err
		}
		u.Tries, u.Within = try, limit
		wait := pauseAfter(try)
		if time.Now().Add(wait).After(until) {
			return nil, u
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// pauseAfter is how long to wait after some tries: longer each time, and not as
// long as others do.
func pauseAfter(try int) time.Duration {
	longest := min(100*time.Millisecond<<min(try-1, 10), 2*time.Second)
	return longest/2 + rand.N(longest)
}

// hosts is what is known of the host's key.
func (s step) hosts() (*hosts, error) {
	files := s.opt.KnownHosts
	if len(files) == 0 {
		if s.opt.Home == "" {
			return nil, fmt.Errorf("%s: no home folder and no known hosts file to check the host against", s.Target)
		}
		files = []string{filepath.Join(s.opt.Home, ".ssh", "known_hosts"), systemKnownHosts}
	}
	h, err := openHosts(s.Target, files, s.opt.Prompter)
	if err == nil {
		h.look = s.opt.look
	}
	return h, err
}

// login logs in over a connection.
func (s step) login(ctx context.Context, plain net.Conn, known *hosts) (*Client, error) {
	conn := &greeted{Conn: plain}
	limit := cmp.Or(s.opt.Timeout, loginTimeout)
	pause := func() func() {
		conn.SetDeadline(time.Time{})
		return func() { conn.SetDeadline(time.Now().Add(limit)) }
	}
	known.pause = pause
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	l := &auth{target: s.Target, opt: s.opt, timeout: limit, pause: pause}
	version := "SSH-2.0-" + cmp.Or(s.opt.Version, "picket")
	conn.SetDeadline(time.Now().Add(limit))
	sc, chans, reqs, err := ssh.NewClientConn(conn, s.Address(), &ssh.ClientConfig{
		User: s.User, Auth: l.methods(), ClientVersion: version,
		HostKeyCallback: known.verify, HostKeyAlgorithms: known.algorithms(),
		BannerCallback: ssh.BannerCallback(func(string) error { return nil }),
	})
	if l.closer != nil {
		l.closer.Close()
	}
	if !stop() || err != nil {
		conn.Close()
		stage := Exchanging
		switch {
		case !conn.came.Load():
			stage = Greeting
		case known.shown:
			stage = LoggingIn
		}
		err = explain(ctx, l, stage, err)
		var u *UnreachableError
		if errors.As(err, &u) && stage == Greeting {
			u.Said = conn.text()
		}
		return nil, err
	}
	conn.SetDeadline(time.Time{})
	return &Client{
		target: s.Target, ssh: ssh.NewClient(sc, chans, reqs), toBegin: limit, every: cmp.Or(s.opt.keepalive, keepaliveEvery),
		done: make(chan struct{}), gone: make(chan struct{}),
	}, nil
}

// explain says why the handshake failed.
func explain(ctx context.Context, l *auth, stage Stage, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var hostKey *HostKeyError
	switch {
	case errors.Is(err, errSeen):
		return errSeen
	case errors.As(err, &hostKey):
		return hostKey
	case errors.Is(err, errNotConfirmed):
		return fmt.Errorf("%s: %w", l.target, errNotConfirmed)
	case errors.Is(err, errTooMany), errors.Is(err, errNoTerminal), strings.Contains(err.Error(), "unable to authenticate"):
		return &AuthError{Target: l.target, Tried: l.tried(), Why: l.why, Err: err}
	case len(l.keys)+l.passwords > 0 && strings.Contains(err.Error(), "oo many authentication failures"):
		l.why = append(l.why, "more, as the host gave up")
		return &AuthError{Target: l.target, Tried: l.tried(), Why: l.why, Err: err}
	case timedOut(err), hungUp(err):
		return &UnreachableError{Target: l.target, Within: l.timeout, Stage: stage, Err: err}
	}
	return fmt.Errorf("%s: %w", l.target, err)
}

// A greeted connection keeps what a host says in place of its greeting.
type greeted struct {
	net.Conn
	said []byte
	came atomic.Bool // the greeting, SSH-2.0-…
}

func (g *greeted) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	if g.came.Load() {
		return n, err
	}
	if room := 1024 - len(g.said); room > 0 {
		g.said = append(g.said, p[:min(room, n)]...)
	}
	// The greeting is read byte by byte, so its end is seen.
	if line := g.said[bytes.LastIndexByte(bytes.TrimSuffix(g.said, []byte("\n")), '\n')+1:]; bytes.HasPrefix(line, []byte("SSH-")) && bytes.HasSuffix(line, []byte("\n")) {
		g.came.Store(true)
	}
	return n, err
}

// text is the first line that was said, without the beginning of a greeting.
func (g *greeted) text() string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(g.said)), "\n")
	if strings.HasPrefix("SSH-", line) || strings.HasPrefix(line, "SSH-") {
		return ""
	}
	return printable(strings.ToValidUTF8(line[:min(len(line), 200)], "?"))
}
