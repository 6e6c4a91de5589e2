package snapshot

import (
	"context"
	"crypto/sha256"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"picket/internal/core/fact"
	"picket/internal/core/passhash"
)

// A Memory is what trying guesses has given, for a program that reads more than one host, or one more than once: hosts that were
// made from the same card have the same hashes. It also bounds how many are tried at a time, since each takes 16 MiB. It holds no
// hash and no password, only whether a guess fits a hash, by a digest of both.
type Memory struct {
	slots chan struct{}

	mu    sync.Mutex
	fits  map[[sha256.Size]byte]bool
	tried map[[sha256.Size]byte]chan struct{} // just now; closed when it is known
	works int                                 // guessings that go on
	procs int                                 // GOMAXPROCS before the first of them
}

// mostKnown bounds a Memory.
const mostKnown = 1 << 17

// NewMemory makes an empty one.
func NewMemory() *Memory {
	return &Memory{slots: make(chan struct{}, min(max(fact.Parallel, runtime.NumCPU()), 2*fact.Parallel)), fits: map[[sha256.Size]byte]bool{}, tried: map[[sha256.Size]byte]chan struct{}{}}
}

// verify is passhash.Verify.
func (m *Memory) verify(hash, guess string) (bool, error) {
	key := sha256.Sum256([]byte(hash + "\x00" + guess))
	for {
		m.mu.Lock()
		fits, ok := m.fits[key]
		other := m.tried[key]
		if !ok && other == nil {
			m.tried[key] = make(chan struct{})
		}
		m.mu.Unlock()
		if ok {
			return fits, nil
		}
		if other == nil {
			break
		}
		<-other
	}
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		close(m.tried[key])
		delete(m.tried, key)
	}()
	m.slots <- struct{}{}
	defer func() { <-m.slots }()
	fits, err := passhash.Verify(hash, guess)
	// What the guess took is free now. Without this the next one takes as much again
	// before the collector thinks of it.
	runtime.GC()
	if err == nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		if len(m.fits) < mostKnown {
			m.fits[key] = fits
		}
	}
	return fits, err
}

// begins gives Go's scheduler one turn more while somebody tries guesses: those threads keep their turns while they wait for a
// processor. With it the reading does not wait for them: a twentieth of the whole time.
func (m *Memory) begins() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.works++; m.works == 1 {
		m.procs = runtime.GOMAXPROCS(0)
		runtime.GOMAXPROCS(m.procs + 1)
	}
}

// working is how many hosts are being tried.
func (m *Memory) working() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.works
}

func (m *Memory) ends() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.works--; m.works == 0 {
		runtime.GOMAXPROCS(m.procs)
	}
}

// A guessing tries passwords beside the reading of a host. While that goes on
// it costs no time; after it has ended, at most Options.Guess.
type guessing struct {
	ctx      context.Context
	opt      Options
	stopped  atomic.Bool
	deadline atomic.Pointer[time.Time] // nil while the host is still being read
	pending  []trying
	begun    bool
}

type trying struct {
	done   *sync.WaitGroup
	finish func()
}

// later is fact.Secrets.Later.
func (g *guessing) later(guesses fact.Guesses) {
	t := trying{&sync.WaitGroup{}, guesses.Finish}
	if !g.begun {
		g.begun = true
		g.opt.Memory.begins()
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
				return g.more()
			})
		})
	}
	g.pending = append(g.pending, t)
}

func (g *guessing) more() bool {
	if g.stopped.Load() || g.ctx.Err() != nil {
		return false
	}
	end := g.deadline.Load()
	return end == nil || g.opt.Now().Before(*end)
}

// sparing is how much of a host's own time is left for what comes after its passwords.
const sparing = 20 * time.Second

// finish waits until all is tried or there is no more time.
func (g *guessing) finish() {
	now := g.opt.Now()
	end := now.Add(g.opt.Guess)
	// As many hosts as are being tried share the processors, so each gets so much longer, but not more than it has as a whole.
	if longer := now.Add(g.opt.Guess * time.Duration(g.opt.Memory.working())); longer.After(end) {
		if last, ok := g.ctx.Deadline(); ok && longer.After(last.Add(-sparing)) {
			longer = last.Add(-sparing)
		}
		if longer.After(end) {
			end = longer
		}
	}
	g.deadline.Store(&end)
	for _, t := range g.pending {
		t.done.Wait()
		t.finish()
	}
	g.pending = nil
	g.restore()
}

func (g *guessing) restore() {
	if g.begun {
		g.begun = false
		g.opt.Memory.ends()
	}
}

// stop ends it when nobody wants the answer any more.
func (g *guessing) stop() {
	g.stopped.Store(true)
	g.restore()
}
