// Package snapshot takes snapshots: of this machine, of one over SSH, of a
// mounted image. It is the only code that reads a host in order to judge it.
package snapshot

import (
	"context"
	"fmt"
	"time"

	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

// A Taker reads one host.
type Taker interface {
	// Source says what will be read, and as whom. It may connect.
	Source(ctx context.Context) (snap.Source, error)
	// Round serves one manifest into s. What could not be read is recorded
	// there; an error means that the host gave no usable answer at all.
	Round(ctx context.Context, m snap.Manifest, s *snap.Snapshot) error
	Close() error
}

// Options of Take.
type Options struct {
	Now      func() time.Time
	Guess    time.Duration // how long passwords may be tried; zero: DefaultGuess
	Memory   *Memory       // of what was tried before; nil: nothing was
	Progress func(what string)
	Timed    Timed // told how long each step took
}

// Timed is told how long something took, when it has ended. Several steps go
// on at once, so it may be called from any goroutine.
type Timed func(what string, took time.Duration)

// begin starts a step; the function that it returns ends it.
func (t Timed) begin(what string) func() {
	if t == nil {
		return func() {}
	}
	start := time.Now()
	return func() { t(what, time.Since(start)) }
}

// DefaultGuess bounds the checking of password hashes, per host.
const DefaultGuess = 10 * time.Second

// early is a taker that has the files of a round long before the answers of
// its commands. What it is told is called in between; it may replace secrets,
// and asks for nothing.
type early interface {
	filesRead(then func())
}

// Take asks a host in rounds until ask wants nothing more. Secrets are
// replaced after each round, before ask or anybody else sees the answer. Only
// the trying of passwords goes on beside what follows, and ends in time.
func Take(ctx context.Context, t Taker, ask func(*snap.Snapshot) snap.Manifest, opt Options) (*snap.Snapshot, error) {
	if opt.Progress == nil {
		opt.Progress = func(string) {}
	}
	if opt.Guess == 0 {
		opt.Guess = DefaultGuess
	}
	if opt.Memory == nil {
		opt.Memory = NewMemory()
	}
	src, err := t.Source(ctx)
	if err != nil {
		return nil, err
	}
	s := snap.New(src, opt.Now().UTC().Truncate(time.Second))
	g := &guessing{ctx: ctx, opt: opt}
	defer g.stop()
	redact := func() {
		var deadline time.Time // for what is tried on the way: keys of Wi-Fi networks
		fact.Redact(s, fact.Secrets{Later: g.later, Verify: opt.Memory.verify, More: func() bool {
			if deadline.IsZero() {
				deadline = opt.Now().Add(opt.Guess)
			}
			return opt.Now().Before(deadline)
		}})
	}
	if e, ok := t.(early); ok {
		e.filesRead(redact)
	}
	for round := 1; round <= snap.MaxRounds; round++ {
		end := opt.Timed.begin(fmt.Sprintf("round %d: what to ask", round))
		m := ask(s)
		end()
		if m.Empty() {
			break
		}
		for _, c := range m.Commands {
			if _, err := snap.Permit(c.Argv); err != nil {
				return nil, err
			}
		}
		opt.Progress(fmt.Sprintf("reading (round %d)", round))
		end = opt.Timed.begin(fmt.Sprintf("round %d: reading", round))
		s.ExpectKeys(m)
		if err := t.Round(ctx, m, s); err != nil {
			return nil, err
		}
		end()
		s.MarkAsked(m)
		end = opt.Timed.begin(fmt.Sprintf("round %d: replacing secrets", round))
		redact()
		end()
	}
	if len(g.pending) > 0 {
		opt.Progress("trying factory passwords")
	}
	g.finish()
	return s, ctx.Err()
}
