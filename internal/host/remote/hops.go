package remote

import (
	"context"
	"errors"
	"sync"
	"time"
)

// failedFor is how long nobody tries again a host on the way that let nobody
// through: it would ask for the same password, or take the same time.
const failedFor = 30 * time.Second

var errHopsClosed = errors.New("the connections to the hosts on the way were closed")

// Hops are connections to hosts on the way to others, which all those share that
// are reached through them. They may be used by many Dials at once, whose
// Options are alike. A connection that broke is made anew; one that could not be
// made is not tried again for half a minute. The zero value is ready; who
// made it closes it.
type Hops struct {
	mu     sync.Mutex
	open   map[Target]*sharedHop // the target knows the way to it
	closed bool
}

type sharedHop struct {
	ready   chan struct{} // closed when there is a client or an error
	cancel  context.CancelFunc
	waiting int // for it to be ready
	left    bool

	client *Client
	err    error
	failed time.Time
}

// get returns the connection to a host. dial makes it where there is none that
// works: for all who ask meanwhile, and until nobody waits for it any more.
func (h *Hops) get(ctx context.Context, t Target, dial func(context.Context) (*Client, error)) (*Client, error) {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil, errHopsClosed
	}
	s := h.open[t]
	if s == nil || s.over() {
		own, cancel := context.WithCancel(context.WithoutCancel(ctx))
		s = &sharedHop{ready: make(chan struct{}), cancel: cancel}
		if h.open == nil {
			h.open = map[Target]*sharedHop{}
		}
		h.open[t] = s
		go func() {
			defer cancel()
			c, err := dial(own)
			h.mu.Lock()
			defer h.mu.Unlock()
			if s.left || h.closed {
				if c != nil {
					c.Close()
				}
				c, err = nil, errHopsClosed
			}
			s.client, s.err, s.failed = c, err, time.Now()
			close(s.ready)
		}()
	}
	s.waiting++
	h.mu.Unlock()

	select {
	case <-s.ready:
	case <-ctx.Done():
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s.waiting--
	if ctx.Err() == nil {
		return s.client, s.err
	}
	if s.waiting == 0 && !s.isReady() {
		s.left = true
		s.cancel()
		if h.open[t] == s {
			delete(h.open, t)
		}
	}
	return nil, ctx.Err()
}

func (s *sharedHop) isReady() bool {
	select {
	case <-s.ready:
		return true
	default:
		return false
	}
}

// over reports whether the host has to be dialled anew.
func (s *sharedHop) over() bool {
	switch {
	case !s.isReady():
		return false
	case s.err != nil:
		return time.Since(s.failed) > failedFor
	}
	select {
	case <-s.client.gone:
		return true
	default:
		return false
	}
}

// drop closes a connection that turned out to be broken.
func (h *Hops) drop(c *Client) {
	h.mu.Lock()
	for t, s := range h.open {
		if s.isReady() && s.client == c {
			delete(h.open, t)
		}
	}
	h.mu.Unlock()
	c.Close()
}

// Close ends all the connections, and those that go through them.
func (h *Hops) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, s := range h.open {
		if s.isReady() && s.client != nil {
			s.client.Close()
		}
		s.cancel()
	}
	clear(h.open)
	return nil
}
