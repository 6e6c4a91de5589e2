package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

const systemKnownHosts = "/etc/ssh/ssh_known_hosts"

const (
	dialTimeout    = 10 * time.Second
	loginTimeout   = 30 * time.Second // a board that is busy or slow takes its time for keys and PAM
	keepaliveEvery = 15 * time.Second
	keepaliveLost  = 3 // unanswered ones, after which the host is gone
)

// Options of Dial. The environment comes in as values.
type Options struct {
	User        string   // for a target that names none
	Home        string   // of the user who runs us: ~/.ssh is looked into; empty: no home
	AgentSocket string   // SSH_AUTH_SOCK
	Identities  []string // private keys to try first
	KnownHosts  []string // files; the first is added to. Empty: OpenSSH's own two
	Config      string   // settings of ssh; empty: ~/.ssh/config if there is one; NoConfig: none
	Prompter    Prompter // nil: there is no terminal
	Dial        func(ctx context.Context, network, address string) (net.Conn, error)
	Timeout     time.Duration // of the connection, then of the login without the time a person takes; zero: 10 s and 30 s
	Version     string        // of us, told to the host: "picket_1.2"

	configIdentities []string // of Config; one that is not there is left out
	identitiesOnly   bool     // no other keys than those that were named
}

// A Client is a connection to one host.
type Client struct {
	target Target
	ssh    *ssh.Client
	once   sync.Once
	done   chan struct{}
}

// Dial connects and logs in. Cancelling ctx closes what it was doing at once;
// it has no hold on the client afterwards.
func Dial(ctx context.Context, t Target, opt Options) (*Client, error) {
	t, opt, err := configured(t, opt)
	if err != nil {
		return nil, err
	}
	if t.User == "" {
		t.User = opt.User
	}
	if t.User == "" {
		return nil, fmt.Errorf("%s: no user: write %s", t, Target{User: "user", Host: t.Host, Port: t.Port})
	}
	files := opt.KnownHosts
	if len(files) == 0 {
		if opt.Home == "" {
			return nil, fmt.Errorf("%s: no home folder and no known hosts file to check the host against", t)
		}
		files = []string{filepath.Join(opt.Home, ".ssh", "known_hosts"), systemKnownHosts}
	}
	dial := opt.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	toConnect, toLogin := cmp.Or(opt.Timeout, dialTimeout), cmp.Or(opt.Timeout, loginTimeout)
	var conn net.Conn
	pause := func() func() {
		if conn != nil {
			conn.SetDeadline(time.Time{})
		}
		return func() { conn.SetDeadline(time.Now().Add(toLogin)) }
	}
	known, err := openHosts(t, files, opt.Prompter, pause)
	if err != nil {
		return nil, err
	}

	dialCtx, cancel := context.WithTimeout(ctx, toConnect)
	conn, err = dial(dialCtx, "tcp", t.Address())
	cancel()
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &UnreachableError{Target: t, Within: toConnect, Refused: errors.Is(err, syscall.ECONNREFUSED), Err: err}
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	l := &login{target: t, opt: opt, timeout: toLogin, pause: pause}
	version := "SSH-2.0-" + opt.Version
	if opt.Version == "" {
		version = "SSH-2.0-picket"
	}
	conn.SetDeadline(time.Now().Add(toLogin))
	sc, chans, reqs, err := ssh.NewClientConn(conn, t.Address(), &ssh.ClientConfig{
		User: t.User, Auth: l.methods(), ClientVersion: version,
		HostKeyCallback: known.verify, HostKeyAlgorithms: known.algorithms(),
		BannerCallback: ssh.BannerCallback(func(string) error { return nil }),
	})
	if l.closer != nil {
		l.closer.Close()
	}
	if !stop() || err != nil {
		conn.Close()
		return nil, explain(ctx, l, err)
	}
	conn.SetDeadline(time.Time{})
	c := &Client{target: t, ssh: ssh.NewClient(sc, chans, reqs), done: make(chan struct{})}
	go c.keepalive()
	return c, nil
}

// explain says why the handshake failed.
func explain(ctx context.Context, l *login, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var hostKey *HostKeyError
	switch {
	case errors.As(err, &hostKey):
		return hostKey
	case errors.Is(err, errNotConfirmed):
		return fmt.Errorf("%s: %w", l.target, errNotConfirmed)
	case errors.Is(err, errTooMany), errors.Is(err, errNoTerminal), strings.Contains(err.Error(), "unable to authenticate"):
		return &AuthError{Target: l.target, Tried: l.tried(), Why: l.why, Err: err}
	case len(l.keys)+l.passwords > 0 && strings.Contains(err.Error(), "oo many authentication failures"):
		l.why = append(l.why, "more, as the host gave up")
		return &AuthError{Target: l.target, Tried: l.tried(), Why: l.why, Err: err}
	case timedOut(err), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return &UnreachableError{Target: l.target, Within: l.timeout, Err: err}
	}
	return fmt.Errorf("%s: %w", l.target, err)
}

// Target is who we are where.
func (c *Client) Target() Target { return c.target }

// Ends are the addresses that the connection goes to and comes from; not valid
// when they are none of IP.
func (c *Client) Ends() (there, here netip.Addr) {
	of := func(a net.Addr) netip.Addr {
		if tcp, ok := a.(*net.TCPAddr); ok {
			return tcp.AddrPort().Addr().Unmap()
		}
		return netip.Addr{}
	}
	return of(c.ssh.RemoteAddr()), of(c.ssh.LocalAddr())
}

// Start runs a command. It ends with its stdin, or with the connection.
func (c *Client) Start(command string) (stdin io.WriteCloser, stdout, stderr io.Reader, err error) {
	s, err := c.ssh.NewSession()
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%s: open a session: %w", c.target, err)
	}
	stdin, err1 := s.StdinPipe()
	stdout, err2 := s.StdoutPipe()
	stderr, err3 := s.StderrPipe()
	if err := errors.Join(err1, err2, err3, s.Start(command)); err != nil {
		s.Close()
		return nil, nil, nil, fmt.Errorf("%s: start a session: %w", c.target, err)
	}
	return stdin, stdout, stderr, nil
}

// Close ends the connection, and all that runs over it.
func (c *Client) Close() error {
	var err error
	c.once.Do(func() {
		close(c.done)
		err = c.ssh.Close()
	})
	return err
}

// keepalive closes the connection to a host that is gone without a word.
func (c *Client) keepalive() {
	tick := time.NewTicker(keepaliveEvery)
	defer tick.Stop()
	answers := make(chan error, 1)
	for open := 0; ; {
		select {
		case <-c.done:
			return
		case err := <-answers:
			if err != nil {
				c.Close()
				return
			}
			open = 0
		case <-tick.C:
			if open++; open > keepaliveLost {
				c.Close()
				return
			}
			if open == 1 {
				go func() {
					_, _, err := c.ssh.SendRequest("keepalive@openssh.com", true, nil)
					answers <- err
				}()
			}
		}
	}
}
