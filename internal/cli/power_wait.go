package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"

	"picket/internal/host/remote"
	"picket/internal/host/shell"
	"picket/internal/ui"
)

const (
	pollEvery  = time.Second      // a host is looked for
	pollWithin = 15 * time.Second // it has to let one in, or is tried again: what goes down may leave a connection open for good
)

// pause waits for the next look; false: the time is over.
func pause(limit context.Context) bool {
	select {
	case <-limit.Done():
		return false
	case <-time.After(pollEvery):
		return true
	}
}

// again logs in anew, asking nobody.
func (p *program) again(ctx context.Context, m *powered, opt sshOptions) (boot string, err error) {
	ctx, cancel := context.WithTimeout(ctx, pollWithin)
	defer cancel()
	quiet := *p
	quiet.io.In = strings.NewReader("")
	boot, err = quiet.bootOf(ctx, m, opt, nil)
	if err != nil && ctx.Err() != nil {
		err = &remote.UnreachableError{Target: m.client.Target(), Within: pollWithin, Stage: remote.LoggingIn, Err: context.DeadlineExceeded}
	}
	return boot, err
}

func (p *program) bootOf(ctx context.Context, m *powered, opt sshOptions, tell ui.Teller) (string, error) {
	c, _, _, err := p.dial(ctx, m.target, opt, tell)
	if err != nil {
		return "", err
	}
	defer c.Close()
	said, exit, err := shell.Login(c).Run(ctx, "cat "+bootID, nil, nil)
	if err == nil && exit != 0 {
		err = fmt.Errorf("it lets nobody in yet: %s", strings.TrimSpace(string(said)))
	}
	return strings.TrimSpace(string(said)), err
}

// untilBack waits for a login at a system that has started anew.
func (p *program) untilBack(ctx, limit context.Context, m *powered, opt powerOptions, tell ui.Teller) error {
	last := errors.New("it never went down")
	asks := 2
	for away := false; pause(limit); {
		boot, err := p.again(limit, m, opt.ssh)
		var key *remote.HostKeyError
		var auth *remote.AuthError
		switch {
		case limit.Err() != nil:
		case err == nil && boot != m.boot:
			return nil
		case err == nil:
			tell.Say("going down")
		case errors.As(err, &key):
			return fmt.Errorf("it came back, with another host key: %w", err)
		case errors.As(err, &auth) && away && asks > 0 && (ui.Prompt{IO: p.io, Context: ctx}).Possible():
			asks-- // whoever typed a password before has to do so again
			if boot, err := p.bootOf(limit, m, opt.ssh, tell); err == nil && boot != m.boot {
				return nil
			}
			last = err
		default:
			away, last = true, err
			tell.Say("waiting until it is back")
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%s did not come back within %v: %w", m.target, opt.within, last)
}

// refusedOnWindows is ECONNREFUSED as Windows has it.
const refusedOnWindows = syscall.Errno(10061)

// silent reports whether nothing answers at a host. A connection that is refused or closed was answered: sshd has ended there,
// and the kernel still runs, with all that takes longer to end.
func silent(err error) bool {
	var hop *remote.HopError
	var away *remote.UnreachableError
	var open *ssh.OpenChannelError
	switch {
	case errors.As(err, &hop), !errors.As(err, &away): // one on the way says nothing of those behind it
		return false
	case away.Refused, away.Stage > remote.Connecting, errors.Is(err, refusedOnWindows):
		return false
	}
	if errors.As(err, &open) { // from the host before it: that it does not try, or finds no name, says nothing of this one
		return open.Reason == ssh.ConnectionFailed && slices.ContainsFunc([]string{"no route", "timed out", "unreachable", "host is down"}, func(why string) bool {
			return strings.Contains(strings.ToLower(open.Message), why)
		})
	}
	return true
}

// unnamed reports whether a host has no name any more and still answers at its address: what tells the network its name ends
// long before it does.
func (m *powered) unnamed(ctx context.Context, err error) bool {
	var dns *net.DNSError
	at, _ := m.client.Ends()
	if !errors.As(err, &dns) || !at.IsValid() {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, pollWithin)
	defer cancel()
	err = connects(ctx, net.JoinHostPort(at.String(), strconv.Itoa(cmp.Or(m.client.Target().Port, 22))))
	return err == nil || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, refusedOnWindows)
}

// untilGone waits until nothing answers any more.
func (p *program) untilGone(ctx, limit context.Context, m *powered, opt powerOptions, tell ui.Teller) error {
	sshd := true
	for times := 0; pause(limit); {
		boot, err := p.again(limit, m, opt.ssh)
		var away *remote.UnreachableError
		var hop *remote.HopError
		switch {
		case limit.Err() != nil:
		case err == nil && boot != m.boot:
			return fmt.Errorf("%s has started again", m.target)
		case silent(err) && !m.unnamed(limit, err):
			tell.Say("going down")
			if times++; times == 2 {
				return nil
			}
		default:
			times = 0
			if sshd = !errors.As(err, &away) || errors.As(err, &hop); !sshd {
				tell.Say("sshd has ended; the rest has not yet")
			}
		}
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case !sshd:
		return withHint(fmt.Errorf("%s lets nobody in any more and still runs after %v: its kernel answers", m.target, opt.within),
			"what it waits for may still be writing: look at its screen before you cut its power")
	}
	return fmt.Errorf("%s still answers after %v", m.target, opt.within)
}
