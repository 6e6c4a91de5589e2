//go:build linux

package snapshot

import (
	"context"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

// local reads the machine that we run on, by system calls.
type local struct {
	opt  LocalOptions
	root string // a folder read in place of "/", for tests
	run  runner
	walk time.Duration
	read func() // see early
}

// NewLocal reads the machine that we run on.
func NewLocal(opt LocalOptions) Taker {
	return &local{opt: opt, run: runner{path: snap.Path, workers: commandWorkers(), timed: opt.Timed}, walk: snap.WalkTime}
}

func (l *local) Source(context.Context) (snap.Source, error) {
	return snap.Source{Kind: "local", Target: "local", UID: os.Geteuid(), Client: l.opt.Client}, nil
}

func (l *local) Close() error { return nil }

func (l *local) filesRead(then func()) { l.read = then }

// Round reads files, runs commands and walks at the same time.
func (l *local) Round(ctx context.Context, m snap.Manifest, s *snap.Snapshot) error {
	t, err := openTree(l.root, true, os.Geteuid() == 0)
	if err != nil {
		return err
	}
	defer t.close()
	g := newGatherer(t, s, fileWorkers())
	files := slices.Clone(m.Files)
	if l.read != nil {
		// Guesses at passwords take longest of all, so they begin before anything else.
		files = slices.DeleteFunc(files, fact.Guessed)
		g.serve(ctx, slices.DeleteFunc(slices.Clone(m.Files), func(p string) bool { return !fact.Guessed(p) }), nil, s)
		l.read()
	}
	var wg sync.WaitGroup
	var outputs []*snap.Output
	var walked *snap.Walked
	wg.Go(func() { outputs = l.run.run(ctx, m.Commands) })
	if m.Walk != nil {
		wg.Go(func() {
			defer l.opt.Timed.begin("walk")()
			walked = t.walk(ctx, m.Walk, l.walk, fileWorkers())
		})
	}
	end := l.opt.Timed.begin("files")
	g.serve(ctx, files, m.Stats, s)
	end()
	if l.read != nil {
		l.read()
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	if walked != nil {
		s.Walk = walked
	}
	var instead []string
	for i, o := range outputs {
		s.Commands[m.Commands[i].Key()] = o
		g.bytes.Add(-int64(len(o.Stdout)))
		if o.Missing || o.Unusable() != "" {
			instead = append(instead, m.Commands[i].Instead...)
		}
	}
	return g.instead(ctx, instead, s)
}

// commandWorkers is how many commands run at once. Many of them only wait for
// systemd, which answers one after the other.
func commandWorkers() int { return runtime.NumCPU() + 6 }

// fileWorkers is how many files are looked at at once: enough to keep the
// processors and a card reader busy, few enough for a small board.
func fileWorkers() int { return min(max(runtime.NumCPU(), 2), 8) }

// instead gathers the files that stand in for commands without an answer.
func (g *gatherer) instead(ctx context.Context, files []string, s *snap.Snapshot) error {
	m := snap.Manifest{Files: files}.Minus(s)
	if len(m.Files) == 0 {
		return nil
	}
	g.serve(ctx, m.Files, nil, s)
	s.MarkAsked(m)
	return ctx.Err()
}
