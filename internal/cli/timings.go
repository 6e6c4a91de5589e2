package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"picket/internal/host/snapshot"
	"picket/internal/ui"
)

// timings collects how long the steps of one audit took, for --timings.
type timings struct {
	now   func() time.Time
	since time.Time

	mu    sync.Mutex
	steps []step
}

type step struct {
	what       string
	from, took time.Duration // from the start of the audit
}

// hook is nil when nobody wants to know.
func (t *timings) hook() snapshot.Timed {
	if t == nil {
		return nil
	}
	return t.add
}

// add records a step that has just ended.
func (t *timings) add(what string, took time.Duration) {
	from := t.now().Sub(t.since) - took
	t.mu.Lock()
	defer t.mu.Unlock()
	t.steps = append(t.steps, step{what, from, took})
}

// write lists the steps in the order in which they began.
func (t *timings) write(w io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.SortStableFunc(t.steps, func(a, b step) int { return cmp.Compare(a.from, b.from) })
	fmt.Fprintln(w, " began     took   step (in milliseconds; several go on at once)")
	for _, s := range t.steps {
		fmt.Fprintf(w, "%6d %8.1f   %s\n", s.from.Milliseconds(), float64(s.took.Microseconds())/1000, ui.Clean(s.what))
	}
	fmt.Fprintf(w, "%6d            done\n", t.now().Sub(t.since).Milliseconds())
}
