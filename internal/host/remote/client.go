package remote

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

const systemKnownHosts = "/etc/ssh/ssh_known_hosts"

const (
	dialTimeout    = 10 * time.Second
	loginTimeout   = 30 * time.Second // a board that is busy or slow takes its time for keys and PAM
	keepaliveEvery = 15 * time.Second
	keepaliveLost  = 3 // unanswered ones, after which the host is gone
	lostWithin     = 200 * time.Millisecond
)

// Options of Dial. The environment comes in as values.
type Options struct {
	User        string   // for a target that names none
	Home        string   // of the user who runs us: ~/.ssh is looked into; empty: no home
	AgentSocket string   // SSH_AUTH_SOCK
	Identities  []string // private keys to try first; those that are there are shown to the hosts on the way too
	KnownHosts  []string // files; the first is added to. Empty: OpenSSH's own two
	Config      string   // settings of ssh; empty: ~/.ssh/config if there is one; NoConfig: none
	Prompter    Prompter // nil: there is no terminal
	Dial        func(ctx context.Context, network, address string) (net.Conn, error)
	Timeout     time.Duration // of the connection, then of the login without the time a person takes, then of a session's begin; zero: 10 s, 30 s, 30 s
	Version     string        // of us, told to the host: "picket_1.2"

	// Jump is through which hosts the target is reached, the first one first.
	// Each is logged in to with its own key and settings. nil: as the settings of
	// ssh say; empty: none.
	Jump []Target
	Hops *Hops // shares the connections to them; nil: they are this client's own

	configIdentities []string // of Config; one that is not there is left out
	identitiesOnly   bool     // no other keys than those that were named
	look             *look    // the target's key is wanted and no login
	keepalive        time.Duration
}

// A Client is a connection to one host.
type Client struct {
	target  Target
	ssh     *ssh.Client
	hop     *Client // through which it goes
	own     *Hops   // to be closed with it
	toBegin time.Duration
	every   time.Duration // a sign of life is asked for

	done chan struct{} // closed by Close
	gone chan struct{} // closed when the connection has ended

	mu     sync.Mutex
	closed bool
	lost   error
}

// Dial connects and logs in. Cancelling ctx closes what it was doing at once;
// it has no hold on the client afterwards.
func Dial(ctx context.Context, t Target, opt Options) (*Client, error) {
	way, err := route(t, opt)
	if err != nil {
		return nil, err
	}
	if opt.Hops != nil {
		return login(ctx, way, opt.Hops, nil)
	}
	own := new(Hops)
	c, err := login(ctx, way, own, own)
	if err != nil {
		own.Close()
	}
	return c, err
}

// Target is who we are where.
func (c *Client) Target() Target { return c.target }

// Ends are the addresses that the connection goes to and comes from; not valid
// when they are none of IP, as behind another host.
func (c *Client) Ends() (there, here netip.Addr) {
	of := func(a net.Addr) netip.Addr {
		if tcp, ok := a.(*net.TCPAddr); ok {
			return tcp.AddrPort().Addr().Unmap()
		}
		return netip.Addr{}
	}
	return of(c.ssh.RemoteAddr()), of(c.ssh.LocalAddr())
}

// Close ends the connection, and all that runs over it.
func (c *Client) Close() error {
	c.mu.Lock()
	closed := c.closed
	c.closed = true
	c.mu.Unlock()
	if closed {
		return nil
	}
	close(c.done)
	err := c.ssh.Close()
	if c.own != nil {
		c.own.Close()
	}
	return err
}

// lose is Close for a host that is gone.
func (c *Client) lose(why error) {
	c.mu.Lock()
	if c.lost == nil && !c.closed {
		c.lost = why
	}
	c.mu.Unlock()
	c.Close()
}

// Lost says why the connection ended, if it has or does so within a moment. nil:
// it stands, or was closed on this side.
func (c *Client) Lost() error {
	if c.hop != nil {
		if err := c.hop.Lost(); err != nil {
			return onTheWay(context.Background(), c.target, err)
		}
	}
	select {
	case <-c.gone:
	case <-time.After(lostWithin):
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost
}

// live watches over a connection that stands.
func (c *Client) live() {
	go func() {
		err := c.ssh.Wait()
		c.lose(&LostError{Target: c.target, Err: err})
		close(c.gone)
	}()
	go c.keepalive()
}

// keepalive closes the connection to a host that is gone without a word.
func (c *Client) keepalive() {
	tick := time.NewTicker(c.every)
	defer tick.Stop()
	answers := make(chan error, 1)
	for open := 0; ; {
		select {
		case <-c.done:
			return
		case err := <-answers:
			if err != nil {
				return // the connection has ended
			}
			open = 0
		case <-tick.C:
			if open++; open > keepaliveLost {
				if c.hop != nil { // it may be the one that is gone, and be found out a moment later
					select {
					case <-c.hop.gone:
					case <-c.done:
						return
					case <-time.After(2 * c.every):
					}
				}
				c.lose(&LostError{Target: c.target, Silent: keepaliveLost * c.every})
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
