package snapshot

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"picket/internal/core/fact"
)

// guessNice makes the trying of passwords wait for whatever else wants the
// processor: the host's own work, and the commands that we run and that have a
// time limit of their own.
const guessNice = 15

// A guessing tries passwords beside the reading of a host. While that goes on
// it costs no time; after it has ended, at most Options.Guess.
type guessing struct {
	ctx      context.Context
	opt      Options
	stopped  atomic.Bool
	deadline atomic.Pointer[time.Time] // nil while the host is still being read
	pending  []trying
	procs    int // GOMAXPROCS before; 0: not changed
}

type trying struct {
	done   *sync.WaitGroup
	finish func()
}

// later is fact.Secrets.Later.
func (g *guessing) later(guesses fact.Guesses) {
	t := trying{&sync.WaitGroup{}, guesses.Finish}
	if g.procs == 0 {
		// These threads keep their turns with Go's scheduler while they wait for a
		// processor. With one turn more the reading does not wait for them: a
		// twentieth of the whole time.
		g.procs = runtime.GOMAXPROCS(0)
		runtime.GOMAXPROCS(g.procs + 1)
	}
	for range fact.Parallel {
		t.done.Go(func() {
			// The thread is used for nothing else and ends with the work.
			runtime.LockOSThread()
			restore := yield()
			defer g.opt.Timed.begin("trying passwords")()
			guesses.Try(func() bool {
				if g.deadline.Load() != nil {
					restore() // now it is this that everybody waits for
				}
				// What the last guess took is free now. Without this the next one
				// takes as much again before the collector thinks of it.
				runtime.GC()
				return g.more()
			})
		})
	}
	g.pending = append(g.pending, t)
}

// yield lowers the priority of this thread and returns what undoes that. Where
// it could not be undone, without root, it is left as it is.
func yield() (restore func()) {
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0) // 20 less the niceness, of this thread
	if err != nil || unix.Geteuid() != 0 {
		return func() {}
	}
	before := 20 - raw
	if before >= guessNice || unix.Setpriority(unix.PRIO_PROCESS, 0, guessNice) != nil {
		return func() {}
	}
	return sync.OnceFunc(func() { _ = unix.Setpriority(unix.PRIO_PROCESS, 0, before) })
}

func (g *guessing) more() bool {
	if g.stopped.Load() || g.ctx.Err() != nil {
		return false
	}
	end := g.deadline.Load()
	return end == nil || g.opt.Now().Before(*end)
}

// finish waits until all is tried or there is no more time.
func (g *guessing) finish() {
	end := g.opt.Now().Add(g.opt.Guess)
	g.deadline.Store(&end)
	for _, t := range g.pending {
		t.done.Wait()
		t.finish()
	}
	g.pending = nil
	g.restore()
}

func (g *guessing) restore() {
	if g.procs > 0 {
		runtime.GOMAXPROCS(g.procs)
		g.procs = 0
	}
}

// stop ends it when nobody wants the answer any more.
func (g *guessing) stop() {
	g.stopped.Store(true)
	g.restore()
}
