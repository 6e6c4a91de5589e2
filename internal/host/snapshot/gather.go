//go:build linux

package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"picket/internal/core/snap"
)

// fileTime is how long one pattern may take: a dead network mount never
// answers, and must not keep the rest from being judged.
const fileTime = 5 * time.Second

// A gatherer serves the patterns of one round.
type gatherer struct {
	tree    *tree
	time    time.Duration // for one pattern
	workers int
	names   int          // in one folder
	entries atomic.Int64 // that may still be added
	bytes   atomic.Int64
}

// newGatherer leaves what s already holds out of its limits.
func newGatherer(t *tree, s *snap.Snapshot, workers int) *gatherer {
	g := &gatherer{tree: t, time: fileTime, workers: workers, names: snap.MaxEntries}
	left := int64(snap.MaxTotal)
	for _, e := range s.Entries {
		left -= int64(len(e.Content))
	}
	for _, o := range s.Commands {
		left -= int64(len(o.Stdout))
	}
	g.bytes.Store(left)
	g.entries.Store(int64(snap.MaxEntries - len(s.Entries)))
	return g
}

// seen is the answer to one pattern.
type seen struct {
	entries []*snap.Entry
	denials map[string]string
}

// serve answers patterns in parallel and adds them to s in their order.
func (g *gatherer) serve(ctx context.Context, files, stats []string, s *snap.Snapshot) {
	type job struct {
		pattern string
		content bool
		answer  chan seen
	}
	var jobs []job
	for _, p := range files {
		jobs = append(jobs, job{p, true, make(chan seen, 1)})
	}
	for _, p := range stats {
		jobs = append(jobs, job{p, false, make(chan seen, 1)})
	}
	free := make(chan struct{}, g.workers)
	go func() {
		for _, j := range jobs {
			select {
			case free <- struct{}{}:
			case <-ctx.Done():
				return
			}
			go func() {
				defer func() { <-free }()
				j.answer <- g.within(j.pattern, j.content)
			}()
		}
	}()
	for _, j := range jobs {
		select {
		case a := <-j.answer:
			for _, e := range a.entries {
				s.Put(e)
			}
			for k, why := range a.denials {
				s.Denials[k] = why
			}
		case <-ctx.Done():
			return
		}
	}
}

// within gives a pattern its time. What hangs is left behind; it writes to
// nothing that anybody still reads.
func (g *gatherer) within(pattern string, content bool) seen {
	done := make(chan seen, 1)
	go func() {
		a := seen{denials: map[string]string{}}
		switch {
		case !path.IsAbs(pattern) || path.Clean(pattern) != pattern:
			a.denials[pattern] = fmt.Sprintf("%q is not a clean absolute path", pattern)
		case !snap.IsPattern(pattern):
			g.one(&a, pattern, pattern, content)
		default:
			g.expand(&a, "", "", strings.Split(pattern[1:], "/"), content)
		}
		done <- a
	}()
	timer := time.NewTimer(g.time)
	defer timer.Stop()
	select {
	case a := <-done:
		return a
	case <-timer.C:
		return seen{denials: map[string]string{pattern: fmt.Sprintf("no answer after %s from the file system of %s", g.time, pattern)}}
	}
}

// expand follows a pattern component by component. key is base as a pattern.
func (g *gatherer) expand(a *seen, base, key string, parts []string, content bool) {
	for len(parts) > 1 && !snap.IsPattern(parts[0]) {
		base, key, parts = base+"/"+parts[0], key+"/"+parts[0], parts[1:]
	}
	if !snap.IsPattern(parts[0]) {
		g.one(a, base+"/"+parts[0], key+"/"+parts[0], content)
		return
	}
	names, err := g.list(base)
	if err != nil {
		if !absent(err) {
			a.denials[key+"/"+strings.Join(parts, "/")] = g.tree.why(base+"/", err)
		}
		if names == nil {
			return
		}
	}
	for _, name := range names {
		if !snap.MatchName(parts[0], name) {
			continue
		}
		child, childKey := base+"/"+name, key+"/"+snap.Literal(name)
		if len(parts) == 1 {
			g.one(a, child, childKey, content)
		} else {
			g.expand(a, child, childKey, parts[1:], content)
		}
	}
}

// list returns the names in a folder, sorted.
func (g *gatherer) list(p string) ([]string, error) {
	real, err := g.tree.dir(p)
	if err != nil {
		return nil, err
	}
	if !g.tree.live && g.tree.hidden(real) {
		return nil, unix.ENOENT
	}
	fd, err := g.tree.open(real, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), p)
	defer f.Close()
	names, err := f.Readdirnames(g.names)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if len(names) == g.names {
		err = fmt.Errorf("%d names or more", g.names)
	}
	slices.Sort(names)
	return names, err
}

// one adds a path, when it is there.
func (g *gatherer) one(a *seen, p, key string, content bool) {
	e, err := g.tree.entry(p)
	switch {
	case absent(err):
		return
	case err != nil:
		a.denials[key] = g.tree.why(p, err)
		return
	case g.entries.Add(-1) < 0:
		a.denials[key] = fmt.Sprintf("not read: a snapshot holds at most %d files", snap.MaxEntries)
		return
	}
	a.entries = append(a.entries, e)
	if !content || e.Type != snap.File {
		return
	}
	real := e.Real
	if real == "" {
		real = p
	}
	data, cut, err := g.tree.read(real, e.Size, snap.FileLimit(p))
	switch {
	case err != nil:
		e.Denied = g.tree.why(p, err)
	case g.bytes.Add(-int64(len(data))) < 0:
		g.bytes.Add(int64(len(data)))
		e.Denied = fmt.Sprintf("not read: a snapshot holds at most %d MB", snap.MaxTotal>>20)
	default:
		e.Content, e.Read, e.Cut = data, true, cut
	}
}
