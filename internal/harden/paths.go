package harden

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"
)

// A Path is one way on which something reaches the host: a peer's ssh with that peer's own settings, a port.
type Path struct {
	Name string                      // for a person: "ssh of leader", "port 1883"
	Try  func(context.Context) error // goes it, and changes nothing
	Unit string                      // that has to answer there; "" where that is no unit's affair
	Asks bool                        // it asks the unit itself whether it works

	// Turn waits until the path may be gone, where others are gone at the same time; done lets the next one go. Only then its time
	// begins. nil: at once.
	Turn  func(context.Context) (done func(), err error)
	Takes time.Duration // for one attempt; 0: pathTime
}

const (
	pathTime  = 15 * time.Second // for one attempt
	pathTries = 4                // after a change: services that were started anew take a while
	pathRetry = 45 * time.Second // since the first, for another one: the host waits for us to confirm
	pathPause = 2 * time.Second
)

// open gives those of the paths that can be gone now, and says which cannot.
func open(ctx context.Context, paths []Path, say func(string)) (ok []Path) {
	bad := blocked(ctx, paths)
	for i, p := range paths {
		switch {
		case bad[i] == nil:
			ok = append(ok, p)
		case p.Asks:
			say(fmt.Sprintf("%s fails before anything is changed, so that it shows nothing: %v", p.Name, bad[i]))
		default:
			say(fmt.Sprintf("does not reach the host now, and shows nothing: %s: %v", p.Name, bad[i]))
		}
	}
	return ok
}

// shut says which of the paths cannot be gone any more, each with the unit that does not answer. Only what failed is tried again.
func shut(ctx context.Context, paths []Path) map[string]string {
	begun := time.Now()
	for try := 1; ; try++ {
		gone := map[string]string{}
		bad := blocked(ctx, paths)
		var again []Path
		for i, p := range paths {
			if bad[i] != nil {
				gone[fmt.Sprintf("%s worked before and does not any more: %v", p.Name, bad[i])] = p.Unit
				again = append(again, p)
			}
		}
		if paths = again; len(gone) == 0 || try == pathTries || ctx.Err() != nil || time.Since(begun) > pathRetry {
			return gone
		}
		select {
		case <-ctx.Done():
		case <-time.After(pathPause):
		}
	}
}

// blocked tries all at once, but for those that wait for their turn.
func blocked(ctx context.Context, paths []Path) []error {
	errs := make([]error, len(paths))
	var wait sync.WaitGroup
	for i, p := range paths {
		wait.Go(func() { errs[i] = p.gone(ctx) })
	}
	wait.Wait()
	return errs
}

func (p Path) gone(ctx context.Context) error {
	if p.Turn != nil {
		done, err := p.Turn(ctx)
		if err != nil {
			return fmt.Errorf("it was not tried: %w", err)
		}
		defer done()
	}
	one, cancel := context.WithTimeout(ctx, cmp.Or(p.Takes, pathTime))
	defer cancel()
	return p.Try(one)
}
