// Package probe tries what should not be possible: logins with passwords that
// everybody knows, pages without one, old versions of TLS. What is tried is
// decided in core/fact; here it is done, and nothing else is sent anywhere.
package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

// Limits. All attempts at one port follow one another.
const (
	each     = 8 * time.Second // one attempt
	all      = 2 * time.Minute // of one host
	parallel = 4               // ports at a time
)

// Run makes the attempts and puts their answers into the snapshot. An attempt
// that gave no answer is there with the reason. It ends in bounded time.
func Run(ctx context.Context, probes []fact.Probe, s *snap.Snapshot, version string, progress func(fact.Probe)) {
	ctx, cancel := context.WithTimeout(ctx, all)
	defer cancel()
	ports := map[netip.AddrPort][]fact.Probe{}
	var order []netip.AddrPort
	for _, p := range probes {
		if ports[p.To] == nil {
			order = append(order, p.To)
		}
		ports[p.To] = append(ports[p.To], p)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	turn := make(chan struct{}, parallel)
	for _, to := range order {
		turn <- struct{}{}
		wg.Go(func() {
			defer func() { <-turn }()
			for _, p := range ports[to] {
				mu.Lock()
				progress(p)
				mu.Unlock()
				o := try(ctx, p, version)
				o.Argv = p.Argv()
				mu.Lock()
				s.Commands[snap.CommandKey(o.Argv...)] = o
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

func try(ctx context.Context, p fact.Probe, version string) *snap.Output {
	ctx, cancel := context.WithTimeout(ctx, each)
	defer cancel()
	a := &attempt{ctx: ctx, to: p.To, version: version}
	var words []string
	var err error
	switch {
	case p.Router:
		words, err = a.router()
	case p.SSH:
		words, err = a.ssh(p.User, p.Password)
	case p.MQTT:
		words, err = a.mqtt(p.User, p.Password)
	case p.TLS:
		words, err = a.versions()
	default:
		words, err = a.http(p.Probe)
	}
	if err != nil {
		return &snap.Output{Exit: -1, Err: why(err)}
	}
	return fact.ProbeAnswer(a.from, words)
}

// An attempt at one port.
type attempt struct {
	ctx     context.Context
	to      netip.AddrPort
	from    netip.Addr // of the last connection
	version string
}

// dial connects; the connection ends with the attempt's time.
func (a *attempt) dial() (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(a.ctx, "tcp", a.to.String())
	if err != nil {
		return nil, err
	}
	if end, ok := a.ctx.Deadline(); ok {
		c.SetDeadline(end)
	}
	if from, ok := c.LocalAddr().(*net.TCPAddr); ok {
		a.from = from.AddrPort().Addr()
	}
	return c, nil
}

// why says to a person that there was no answer, without addresses that differ from
// one attempt to the next.
func why(err error) string {
	var net net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return "no answer: interrupted"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &net) && net.Timeout():
		return "no answer in " + each.String()
	case errors.Is(err, syscall.ECONNREFUSED):
		return "no answer: the connection was refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "no answer: there is no way to it"
	case errors.Is(err, syscall.ECONNRESET):
		return "no answer: the connection was cut"
	}
	return "no answer that is understood"
}
