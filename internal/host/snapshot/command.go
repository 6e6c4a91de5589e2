//go:build linux

package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"picket/internal/core/snap"
)

// A runner runs commands on this machine.
type runner struct {
	path    string // where programs are looked for
	workers int
	time    time.Duration // for one command; zero: what the table says
	timed   Timed
}

// run runs commands, several at once, and returns their answers in order. The
// slow ones begin first.
func (r runner) run(ctx context.Context, cs []snap.Command) []*snap.Output {
	out := make([]*snap.Output, len(cs))
	order := make([]int, len(cs))
	permitted := make([]snap.Permitted, len(cs))
	for i, c := range cs {
		order[i] = i
		out[i] = &snap.Output{Argv: c.Argv}
		var err error
		if permitted[i], err = snap.Permit(c.Argv); err != nil {
			out[i].Err = err.Error()
		}
	}
	slow := func(i int) int {
		if permitted[i].Slow {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(order, func(a, b int) int { return slow(a) - slow(b) })
	var wg sync.WaitGroup
	free := make(chan struct{}, r.workers)
	for _, i := range order {
		if out[i].Err != "" {
			continue
		}
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			limit := permitted[i].Timeout
			if r.time > 0 {
				limit = r.time
			}
			out[i] = r.within(ctx, out[i].Argv, limit)
		})
	}
	wg.Wait()
	return out
}

// within gives a command its time, also one that cannot even be killed because
// the kernel waits for a dead disk.
func (r runner) within(ctx context.Context, argv []string, limit time.Duration) *snap.Output {
	defer r.timed.begin("`" + snap.CommandKey(argv...) + "`")()
	done := make(chan *snap.Output, 1)
	go func() { done <- r.one(ctx, argv, limit) }()
	timer := time.NewTimer(limit + time.Second)
	defer timer.Stop()
	select {
	case o := <-done:
		return o
	case <-timer.C:
		return &snap.Output{Argv: argv, Exit: -1, Err: fmt.Sprintf("no answer after %s, and it cannot be stopped", limit)}
	}
}

// outputDelay is how long after a command's end its output may still come.
const outputDelay = 2 * time.Second

// one runs a command without a shell, in a process group of its own, so that
// what it started dies with it.
func (r runner) one(ctx context.Context, argv []string, limit time.Duration) *snap.Output {
	o := &snap.Output{Argv: argv}
	program := r.find(argv[0])
	if program == "" {
		o.Missing = true
		return o
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	stdout, stderr := &bounded{max: snap.MaxOutput, full: cancel}, &bounded{max: maxStderr}
	cmd := exec.CommandContext(ctx, program, argv[1:]...)
	cmd.Env = []string{"PATH=" + r.path, "LC_ALL=C", "HOME=/", "TERM=dumb"}
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = outputDelay
	err := cmd.Run()
	o.Stdout, o.Cut = stdout.take()
	complaint, _ := stderr.take()
	o.Stderr = strings.ToValidUTF8(string(complaint), "\uFFFD")
	var exit *exec.ExitError
	switch {
	case o.Cut:
		o.Err = tooMuch
	case err == nil:
	case errors.Is(err, exec.ErrWaitDelay):
		_ = cmd.Cancel() // a process that it left behind holds our pipe
		// Or this machine is so busy that we have not read all: half a list is none.
		o.Err = "its output did not end"
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		o.Err = fmt.Sprintf("no answer after %s", limit)
	case ctx.Err() != nil:
		o.Err = "interrupted"
	case errors.As(err, &exit) && exit.Exited():
		o.Exit = exit.ExitCode()
	case errors.As(err, &exit):
		o.Err = fmt.Sprintf("ended by signal %d", exit.Sys().(syscall.WaitStatus).Signal())
	default:
		o.Err = "it could not be started: " + err.Error()
	}
	if o.Err != "" {
		o.Exit = -1
	}
	return o
}

// find looks a program up in our own list of folders, whatever PATH says.
func (r runner) find(name string) string {
	if strings.Contains(name, "/") {
		return ""
	}
	for _, dir := range filepath.SplitList(r.path) {
		p := filepath.Join(dir, name)
		if fi, err := os.Stat(p); err == nil && fi.Mode().IsRegular() && fi.Mode()&(fs.FileMode(0o111)) != 0 {
			return p
		}
	}
	return ""
}

// bounded keeps the first max bytes written to it, swallows the rest, and says
// once that it is full. It is
// locked because a process that outlives its parent may still write when the
// answer is taken.
type bounded struct {
	mu   sync.Mutex
	max  int
	data []byte
	full func() // may be nil
	cut  bool
	done bool
}

func (b *bounded) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done {
		return len(p), nil
	}
	n := min(len(p), b.max-len(b.data))
	b.data = append(b.data, p[:n]...)
	if n < len(p) {
		if !b.cut && b.full != nil {
			b.full()
		}
		b.cut = true
	}
	return len(p), nil
}

func (b *bounded) take() ([]byte, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done = true
	return b.data, b.cut
}
