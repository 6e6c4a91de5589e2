// Package fleet does for many hosts at once what the floors below do for one:
// a bounded number at a time, each with a deadline, and none that waits for another.
package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// AtOnce is how many hosts are worked on at a time where nothing else is said.
const AtOnce = 16

// Grace is how long a host that is told to end may take to do so before it is left behind, where nothing else is said.
const Grace = 2 * time.Second

// Limits of Each.
type Limits struct {
	AtOnce   int           // hosts at a time; 0: AtOnce
	Deadline time.Duration // for each host, from its own beginning; 0: none
	Grace    time.Duration // for what is told to end; 0: Grace
}

// ErrNotBegun is the error of a host that was not begun: the run was interrupted before.
var ErrNotBegun = errors.New("not begun")

// Late is the error of a host that was not done within its time.
type Late struct{ Deadline time.Duration }

func (l Late) Error() string { return fmt.Sprintf("not done within %v", l.Deadline) }

// A Result is how it went on one host.
type Result[R any] struct {
	Host  int // its place among those that were given
	Value R
	Err   error
	Took  time.Duration
}

// Each works on n hosts and yields their results as they come, one for each host. A host that does not end when its
// context does is left behind with what it was doing. When ctx ends, what runs is told to end, and what was not begun is ErrNotBegun.
// Whoever stops listening ends the run.
func Each[R any](ctx context.Context, n int, limits Limits, do func(ctx context.Context, host int) (R, error)) iter.Seq[Result[R]] {
	return func(yield func(Result[R]) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		atOnce := limits.AtOnce
		if atOnce <= 0 {
			atOnce = AtOnce
		}
		results := make(chan Result[R], n) // nobody waits to be heard
		next := make(chan int, n)
		for i := range n {
			next <- i
		}
		close(next)
		for range min(atOnce, n) {
			go func() {
				for i := range next {
					if ctx.Err() != nil {
						results <- Result[R]{Host: i, Err: ErrNotBegun}
						continue
					}
					results <- one(ctx, i, limits, do)
				}
			}()
		}
		for range n {
			if !yield(<-results) {
				return
			}
		}
	}
}

// one works on one host until it is done, or gives it up.
func one[R any](ctx context.Context, host int, limits Limits, do func(context.Context, int) (R, error)) Result[R] {
	begun := time.Now()
	own, cancel := context.WithCancel(ctx)
	if d := limits.Deadline; d > 0 {
		own, cancel = context.WithTimeoutCause(ctx, d, Late{d})
	}
	defer cancel()
	done := make(chan Result[R], 1)
	go func() {
		v, err := do(own, host)
		done <- Result[R]{Host: host, Value: v, Err: err}
	}()
	var r Result[R]
	select {
	case r = <-done:
	case <-own.Done():
		select {
		case r = <-done:
		case <-time.After(cmp.Or(limits.Grace, Grace)):
			r = Result[R]{Host: host, Err: context.Cause(own)}
		}
	}
	if late, ok := context.Cause(own).(Late); ok && r.Err != nil {
		r.Err = late // what it says of itself is that its context ended
	}
	r.Took = time.Since(begun)
	return r
}
