package ui

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Teller is told what is being done, and makes room for a question.
type Teller interface {
	Say(what string)
	Pause() (resume func()) // until resume is called, nothing is written
}

// A Board is a line for each of many hosts. On a terminal those that are worked on are a block at the bottom, which is
// drawn anew; a host that is done becomes a line above it. On anything else there are only these.
type Board struct {
	w     io.Writer
	total int
	now   func() time.Time

	ask  sync.Mutex // one question at a time
	mu   sync.Mutex
	rows []*Row
	done int
	lit  int // lines of the block that are on the screen
	dark int // questions that are being asked

	stop    chan struct{}
	stopped sync.WaitGroup
}

// A Row is one host of a Board. It implements Teller.
type Row struct {
	board *Board
	name  string
	what  string
	since time.Time
}

// mostRows are drawn at a time; of the others their number is told.
const mostRows = 12

// NewBoard begins one on w for so many hosts. Without live a terminal is written to as anything else is.
func NewBoard(w io.Writer, live bool, total int, now func() time.Time) *Board {
	b := &Board{w: w, total: total, now: now}
	if !live || !Terminal(w) {
		return b
	}
	b.stop = make(chan struct{})
	b.stopped.Go(func() {
		tick := time.NewTicker(150 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-b.stop:
				return
			case <-tick.C:
				b.mu.Lock()
				b.draw()
				b.mu.Unlock()
			}
		}
	})
	return b
}

// Begin adds a host that is worked on from now on.
func (b *Board) Begin(name string) *Row {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := &Row{board: b, name: name, what: "connecting", since: b.now()}
	b.rows = append(b.rows, r)
	return r
}

// Say changes what a host is said to be doing.
func (r *Row) Say(what string) {
	r.board.mu.Lock()
	defer r.board.mu.Unlock()
	r.what = strings.TrimPrefix(what, r.name+": ")
}

// Done takes a host from the block, and writes a line for it.
func (r *Row) Done(line string) {
	b := r.board
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows = slices.DeleteFunc(b.rows, func(o *Row) bool { return o == r })
	b.done++
	b.line(line)
}

// Line writes a line of no host that was begun.
func (b *Board) Line(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done++
	b.line(line)
}

func (b *Board) line(text string) {
	b.clear()
	fmt.Fprintln(b.w, Clean(text))
	b.draw()
}

// Pause implements Teller: whoever asks something has the terminal to itself.
func (r *Row) Pause() (resume func()) {
	b := r.board
	b.ask.Lock()
	b.mu.Lock()
	b.clear()
	b.dark++
	b.mu.Unlock()
	return func() {
		b.mu.Lock()
		b.dark--
		b.mu.Unlock()
		b.ask.Unlock()
	}
}

// Over has something else written to the terminal, above the block, and never into a question.
func (b *Board) Over(write func() error) error {
	b.ask.Lock()
	defer b.ask.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clear()
	defer b.draw()
	return write()
}

// Stop takes the block away.
func (b *Board) Stop() {
	if b.stop == nil {
		return
	}
	close(b.stop)
	b.stopped.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clear()
	b.stop = nil
}

// clear takes the block from the screen.
func (b *Board) clear() {
	if b.lit > 0 {
		fmt.Fprintf(b.w, "\r\x1b[%dA\x1b[J", b.lit)
		b.lit = 0
	}
}

// draw writes the block.
func (b *Board) draw() {
	if b.stop == nil || b.dark > 0 {
		return
	}
	width := Width(b.w, func(string) string { return "" }) - 1 // a line that wraps cannot be taken back
	name := 0
	shown := b.rows[:min(len(b.rows), mostRows)]
	for _, r := range shown {
		name = max(name, len([]rune(r.name)))
	}
	var lines []string
	for _, r := range shown {
		lines = append(lines, fmt.Sprintf("  %-*s  %s %.0fs", name, Clean(r.name), Clean(r.what), b.now().Sub(r.since).Seconds()))
	}
	if more := len(b.rows) - len(shown); more > 0 {
		lines = append(lines, fmt.Sprintf("  and %d more", more))
	}
	lines = append(lines, fmt.Sprintf("%d of %d done", b.done, b.total))
	var out strings.Builder
	if b.lit > 0 {
		fmt.Fprintf(&out, "\r\x1b[%dA\x1b[J", b.lit)
	}
	for _, l := range lines {
		out.WriteString(Cut(l, width) + "\n")
	}
	b.lit = len(lines)
	_, _ = io.WriteString(b.w, out.String())
}
