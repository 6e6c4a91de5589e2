package harden

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// A Path is one way on which something reaches the host: a peer's ssh with that peer's own settings, a port.
type Path struct {
	Name string                      // for a person: "ssh of leader", "port 1883"
	Try  func(context.Context) error // goes it, and changes nothing
}

const (
	pathTime  = 15 * time.Second // for one attempt
	pathTries = 4                // after a change: services that were started anew take a while
	pathPause = 2 * time.Second
)

// open gives those of the paths that can be gone now.
func open(ctx context.Context, paths []Path) (ok []Path) {
	bad := blocked(ctx, paths)
	for i, p := range paths {
		if bad[i] == nil {
			ok = append(ok, p)
		}
	}
	return ok
}

// shut says which of the paths cannot be gone any more, "" if all can.
func shut(ctx context.Context, paths []Path) string {
	var text []string
	for try := 1; ; try++ {
		text = nil
		bad := blocked(ctx, paths)
		for i, p := range paths {
			if bad[i] != nil {
				text = append(text, fmt.Sprintf("%s worked before and does not any more: %v", p.Name, bad[i]))
			}
		}
		if len(text) == 0 || try == pathTries || ctx.Err() != nil {
			return strings.Join(text, "; ")
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
			one, cancel := context.WithTimeout(ctx, pathTime)
			defer cancel()
			errs[i] = p.Try(one)
		})
	}
	wait.Wait()
	return errs
}
