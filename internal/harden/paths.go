package harden

import (
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
	Turn sync.Locker                 // held while it is tried, which it may have to wait for, also for the paths of other hosts; may be nil
}

const (
	pathTime  = 15 * time.Second // for one attempt
	pathTries = 4                // after a change: services that were started anew take a while
	pathPause = 2 * time.Second
)

// open gives those of the paths that can be gone now. Where one asks a unit whether it works, it says that it does not.
func open(ctx context.Context, paths []Path, say func(string)) (ok []Path) {
	bad := blocked(ctx, paths)
	for i, p := range paths {
		switch {
		case bad[i] == nil:
			ok = append(ok, p)
		case p.Asks:
			say(fmt.Sprintf("%s fails before anything is changed, so that it shows nothing: %v", p.Name, bad[i]))
		}
	}
	return ok
}

// shut says which of the paths cannot be gone any more, each with the unit that does not answer.
func shut(ctx context.Context, paths []Path) map[string]string {
	for try := 1; ; try++ {
		gone := map[string]string{}
		bad := blocked(ctx, paths)
		for i, p := range paths {
			if bad[i] != nil {
				gone[fmt.Sprintf("%s worked before and does not any more: %v", p.Name, bad[i])] = p.Unit
			}
		}
		if len(gone) == 0 || try == pathTries || ctx.Err() != nil {
			return gone
		}
		select {
		case <-ctx.Done():
		case <-time.After(pathPause):
		}
	}
}

// blocked tries all at once.
func blocked(ctx context.Context, paths []Path) []error {
	errs := make([]error, len(paths))
	var wait sync.WaitGroup
	for i, p := range paths {
		wait.Go(func() {
			if p.Turn != nil { // its time begins when it is its turn: else who waits would be taken for shut
				p.Turn.Lock()
				defer p.Turn.Unlock()
			}
			one, cancel := context.WithTimeout(ctx, pathTime)
			defer cancel()
			errs[i] = p.Try(one)
		})
	}
	wait.Wait()
	return errs
}
