package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// maxHops is through how many hosts a target may be reached.
const maxHops = 8

// A step is one host of the way to a target, which is the last one, with what
// holds for it.
type step struct {
	Target
	opt Options
}

// route is the way to a target: what Options.Jump or the settings of ssh say
// of it, and of the first host before it.
func route(t Target, opt Options) ([]step, error) {
	way, err := wayTo(t, opt, nil)
	if err != nil {
		var c *ConfigError
		if errors.As(err, &c) && c.Target != t {
			return nil, &HopError{Target: t, Err: err}
		}
		return nil, err
	}
	var via []string
	for i := range way {
		way[i].via = strings.Join(via, ",")
		via = append(via, way[i].hop())
		if i > 0 && way[i].Address() == way[i-1].Address() && way[i].User == way[i-1].User {
			return nil, circle(t, opt, way[i].Target)
		}
	}
	return way, nil
}

// As is a target as Dial reaches it: where, as whom, and over how many other hosts, by the settings of ssh. Nobody is connected to.
func As(t Target, opt Options) (at Target, hops int, err error) {
	way, err := route(t, opt)
	if err != nil {
		return t, 0, err
	}
	return way[len(way)-1].Target, len(way) - 1, nil
}

func circle(t Target, opt Options, again Target) error {
	again.via = ""
	next := fmt.Sprintf("in the settings of ssh, at the top: Host %s, and below it: ProxyJump none", again.Host)
	if opt.Jump != nil {
		next = "name each host on the way once"
	}
	return &ConfigError{t, configFile(opt), fmt.Sprintf("leads in a circle: %s is reached through itself", again.hop()), next}
}

func wayTo(t Target, opt Options, after []Target) ([]step, error) {
	for _, a := range after {
		if strings.EqualFold(a.Host, t.Host) && a.Port == t.Port && a.User == t.User {
			return nil, circle(after[0], opt, t)
		}
	}
	tooLong := func(first Target) error {
		return &ConfigError{first, configFile(opt), fmt.Sprintf("leads through more than %d hosts", maxHops), "name fewer with ProxyJump"}
	}
	if len(after) > maxHops {
		return nil, tooLong(after[0])
	}
	host, with, jump, err := configured(t, opt)
	if err != nil {
		return nil, err
	}
	if host.User == "" {
		host.User = opt.User
	}
	if host.User == "" {
		return nil, fmt.Errorf("%s: no user: write %s", host, Target{User: "user", Host: host.Host, Port: host.Port})
	}
	if t.Identity != "" {
		with.Identities = slices.Concat([]string{inHome(t.Identity, opt.Home)}, with.Identities)
	}
	if opt.Jump != nil {
		jump = opt.Jump
	}
	var way []step
	for i, j := range jump {
		// As with ssh: what is typed for the target is no host's on the way, and
		// only the first of them has a way of its own.
		o := opt
		o.configIdentities, o.Identities = slices.Concat(opt.configIdentities, opt.Identities), nil
		o.Jump, o.look = nil, nil
		if i > 0 {
			o.Jump = []Target{}
		}
		part, err := wayTo(j, o, append(slices.Clone(after), t))
		if err != nil {
			return nil, err
		}
		way = append(way, part...)
	}
	if len(way) > maxHops {
		return nil, tooLong(t)
	}
	return append(way, step{host, with}), nil
}

func configFile(opt Options) string {
	switch {
	case opt.Jump != nil, opt.Config == NoConfig, opt.Config == "" && opt.Home == "":
		return "the way there"
	case opt.Config == "":
		return filepath.Join(opt.Home, ".ssh", "config")
	}
	return opt.Config
}

// connect opens a connection to the last host of a way, through those before
// it. until is set when the time for this host begins, which is not before
// they are passed. hop is the last of them.
func connect(ctx context.Context, way []step, hops *Hops, limit time.Duration, until *time.Time) (conn net.Conn, hop *Client, err error) {
	at, before := way[len(way)-1], way[:len(way)-1]
	for again := false; ; again = true {
		dial := at.opt.Dial
		if dial == nil {
			dial = (&net.Dialer{}).DialContext
		}
		if len(before) > 0 {
			hop, err = hops.get(ctx, before[len(before)-1].Target, func(ctx context.Context) (*Client, error) { return login(ctx, before, hops, nil) })
			if err != nil {
				return nil, nil, onTheWay(ctx, at.Target, err)
			}
			dial = hop.pass
		}
		if until.IsZero() {
			*until = time.Now().Add(limit)
		}
		limited, cancel := context.WithDeadline(ctx, *until)
		conn, err = dial(limited, "tcp", at.Address())
		cancel()
		if err == nil {
			return conn, hop, nil
		}
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		var open *ssh.OpenChannelError
		if hop != nil && !errors.As(err, &open) && !timedOut(err) {
			// Not the host is gone but the one before it.
			if hops.drop(hop); !again {
				continue
			}
			return nil, nil, &HopError{Target: at.Target, Err: &LostError{Target: hop.target, Err: err}}
		}
		refused := errors.Is(err, syscall.ECONNREFUSED) || open != nil && strings.Contains(open.Message, "refused")
		return nil, nil, &UnreachableError{Target: at.Target, Within: limit, Refused: refused, Err: err}
	}
}

// onTheWay is an error of a host on the way to the target, which is told once
// how far away it was.
func onTheWay(ctx context.Context, t Target, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var h *HopError
	if errors.As(err, &h) {
		err = h.Err
	}
	return &HopError{Target: t, Err: err}
}

// pass opens a connection from the host to another one.
func (c *Client) pass(ctx context.Context, network, address string) (net.Conn, error) {
	ch, err := c.ssh.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	// The channel knows no deadlines, and is closed only when the host agrees.
	ours, theirs := net.Pipe()
	go func() {
		_, _ = io.Copy(theirs, ch)
		theirs.Close()
	}()
	go func() {
		_, _ = io.Copy(ch, theirs)
		theirs.Close()
		ch.Close()
	}()
	return ours, nil
}
