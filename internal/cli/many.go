package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"

	"picket/internal/fleet"
	"picket/internal/harden"
	"picket/internal/host/files"
	"picket/internal/ui"
)

// manyOptions are the flags of every command that works on several hosts at once.
type manyOptions struct {
	atOnce   int
	deadline time.Duration
	plain    bool          // the terminal is written to by others meanwhile
	grace    time.Duration // for a host that is told to end; 0: fleet.Grace
	through  *hostLines    // writes to the terminal, too; may be nil
	width    int           // of the names, where more hosts than these are told of
}

func (o *manyOptions) flags(f *pflag.FlagSet, deadline time.Duration) {
	f.IntVar(&o.atOnce, "parallel", fleet.AtOnce, "`NUMBER` of hosts at a time")
	f.DurationVar(&o.deadline, "deadline", deadline, "`TIME` that one host may take, of several; 0: as long as it likes")
}

func (o *manyOptions) check() error {
	switch {
	case o.atOnce < 1:
		return withHint(usage(fmt.Errorf("--parallel %d: want a number above zero", o.atOnce)), "--parallel 1 takes one host after the other")
	case o.deadline < 0:
		return usage(fmt.Errorf("--deadline %v: want a time above zero, or 0 for none", o.deadline))
	}
	return nil
}

// many does something on several targets at once. say makes a line of what came of it on one. The results and errors are in
// the order of the targets: what has an error has no result.
func many[R any](ctx context.Context, p *program, targets []string, opt manyOptions, do func(ctx context.Context, target string, tell ui.Teller) (R, error), say func(R) string) ([]R, []error) {
	return manyHeard(ctx, p, targets, opt, do, say, func(int, R, error) {})
}

// manyHeard is many that tells each result, by its place among the targets, as it comes.
func manyHeard[R any](ctx context.Context, p *program, targets []string, opt manyOptions, do func(ctx context.Context, target string, tell ui.Teller) (R, error), say func(R) string, heard func(int, R, error)) ([]R, []error) {
	defer p.roomFor(min(len(targets), opt.atOnce))()
	board := ui.NewBoard(p.io.Err, !opt.plain && p.progressTo() == p.io.Err, len(targets), p.now)
	defer board.Stop()
	if opt.through != nil {
		opt.through.over = board.Over
	}
	rows := make([]atomic.Pointer[ui.Row], len(targets))
	results, errs := make([]R, len(targets)), make([]error, len(targets))
	width := opt.width
	for _, t := range targets {
		width = max(width, len([]rune(t)))
	}
	for r := range fleet.Each(ctx, len(targets), fleet.Limits{AtOnce: opt.atOnce, Deadline: opt.deadline, Grace: opt.grace}, func(ctx context.Context, i int) (R, error) {
		row := board.Begin(targets[i])
		rows[i].Store(row)
		return do(ctx, targets[i], row)
	}) {
		results[r.Host], errs[r.Host] = r.Value, r.Err
		heard(r.Host, r.Value, r.Err)
		line := fmt.Sprintf("%-*s  ", width, targets[r.Host])
		var late fleet.Late
		switch {
		case r.Err == nil:
			line += say(r.Value) + fmt.Sprintf("  %.1f s", r.Took.Seconds())
		case errors.Is(r.Err, fleet.ErrNotBegun):
			line += "not begun"
		case errors.As(r.Err, &late):
			line += late.Error()
		case ctx.Err() != nil:
			line += "interrupted"
		case errors.Is(r.Err, harden.ErrAway):
			line += "away"
		default:
			line += "failed"
		}
		if row := rows[r.Host].Load(); row != nil {
			row.Done(line)
		} else {
			board.Line(line)
		}
	}
	return results, errs
}

// room is what reading one host more at a time may take, and mostRoom all of them, in bytes.
const (
	room     = 6 << 20
	mostRoom = 110 << 20
)

// roomFor gives the collector more memory where several hosts are read at once, until the function that it returns is called:
// with the little that is enough for one it would be at work most of the time. Whoever runs us may have said what there is.
func (p *program) roomFor(hosts int) (back func()) {
	before := debug.SetMemoryLimit(-1)
	if hosts < 2 || before == math.MaxInt64 || p.getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	debug.SetMemoryLimit(before + min(int64(hosts-1)*room, mostRoom))
	return func() { debug.SetMemoryLimit(before) }
}

// severalTargets are what words mean where that is several hosts, or a group of them.
func (p *program) severalTargets(words []string) (targets []string, several bool, err error) {
	if len(words) == 0 || len(words) > 1 && looksLikeFile(words[0]) { // a plan, and its host
		return nil, false, nil
	}
	if targets, err = p.targets(words); err != nil {
		return nil, false, err
	}
	return targets, len(targets) > 1 || !slices.Equal(targets, words), nil
}

// whole is what became of a run on many hosts.
type whole struct {
	targets []string
	errs    []error
	failed  map[string]bool // of those without an error
	took    time.Duration
	not     string // what is said of those with an error; empty: not reached
}

// told says how a run on many hosts went, by name where it was interrupted, and gives the error that stands for the hosts
// that were not reached or not done.
func (p *program) told(ctx context.Context, w whole) error {
	var unreached []error
	var done, bad, begun, not []string
	failed := len(w.failed)
	for i, t := range w.targets {
		switch err := w.errs[i]; {
		case err == nil && w.failed[t]:
			bad = append(bad, t)
		case err == nil:
			done = append(done, t)
		default:
			if ctx.Err() == nil {
				unreached = append(unreached, named(t, err))
			}
			var no *files.Refusal
			if errors.As(err, &no) {
				failed++ // it was reached, and said so
			}
			switch {
			case errors.Is(err, fleet.ErrNotBegun):
				not = append(not, t)
			case errors.Is(err, context.Canceled):
				begun = append(begun, t)
			default:
				bad = append(bad, t)
			}
		}
	}
	if len(w.targets) > 1 {
		fmt.Fprintf(p.io.Err, "%d of %d hosts done in %.1f s", len(done), len(w.targets), w.took.Seconds())
		if failed > 0 {
			fmt.Fprintf(p.io.Err, ", %d failed", failed)
		}
		if n := len(unreached) + len(w.failed) - failed; n > 0 {
			fmt.Fprintf(p.io.Err, ", %d %s", n, cmp.Or(w.not, "not reached"))
		}
		fmt.Fprintln(p.io.Err)
	}
	if ctx.Err() != nil && len(begun)+len(not) > 0 {
		for _, part := range []struct {
			what  string
			names []string
		}{{"done", done}, {"failed", bad}, {"broken off", begun}, {"not begun", not}} {
			if len(part.names) > 0 {
				fmt.Fprintf(p.io.Err, "%-11s %s\n", part.what+":", strings.Join(part.names, " "))
			}
		}
		return context.Canceled
	}
	if len(unreached) > 0 {
		return &several{unreached}
	}
	return nil
}
