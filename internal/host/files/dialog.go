package files

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"picket/internal/host/shell"
)

// A dialog is the program on the host: commands go in, and each has its answer.
type dialog struct {
	in *io.PipeWriter
	w  *bufio.Writer

	mu      sync.Mutex
	answers []string
	said    string // by the host's tools, last
	ended   bool
	exit    int
	err     error
	news    chan struct{}
}

func talk(ctx context.Context, sh shell.Streamer, opt Options) *dialog {
	r, w := io.Pipe()
	d := &dialog{in: w, w: bufio.NewWriterSize(w, 64<<10), news: make(chan struct{}, 1)}
	home := "home=$HOME\n"
	if opt.Home != "" {
		home = "home='" + strings.ReplaceAll(opt.Home, "'", `'\''`) + "'\n"
	}
	go func() {
		exit, err := sh.Stream(ctx, home+hostProgram, r, io.Discard, func(line string) {
			d.mu.Lock()
			defer d.mu.Unlock()
			if answer, ok := strings.CutPrefix(line, "picket "); ok {
				d.answers = append(d.answers, answer)
				d.wake()
			} else {
				d.said = line
			}
		})
		d.mu.Lock()
		d.ended, d.exit, d.err = true, exit, err
		d.wake()
		d.mu.Unlock()
		r.CloseWithError(errEnded)
	}()
	return d
}

var errEnded = errors.New("the host has ended it")

func (d *dialog) wake() {
	select {
	case d.news <- struct{}{}:
	default:
	}
}

// put sends a command. What has gone wrong is told by its answer.
func (d *dialog) put(words ...string) error {
	_, err := d.w.WriteString(strings.Join(words, " ") + "\n")
	return d.why(context.Background(), err)
}

func (d *dialog) flush() error { return d.why(context.Background(), d.w.Flush()) }

// why is what the host has to say about a write that failed.
func (d *dialog) why(ctx context.Context, err error) error {
	if !errors.Is(err, errEnded) {
		return err
	}
	for {
		said, err := d.answer(ctx)
		if err != nil {
			return err
		}
		_ = said // of what went well before
	}
}

func (d *dialog) ask(ctx context.Context, words ...string) (string, error) {
	if err := d.put(words...); err != nil {
		return "", err
	}
	if err := d.flush(); err != nil {
		return "", err
	}
	return d.answer(ctx)
}

// answer is the next one. That the host refuses is an error.
func (d *dialog) answer(ctx context.Context) (string, error) {
	for {
		d.mu.Lock()
		switch {
		case len(d.answers) > 0:
			said := d.answers[0]
			d.answers = d.answers[1:]
			d.mu.Unlock()
			if no, ok := strings.CutPrefix(said, "no "); ok {
				return "", refusal(no)
			}
			return said, nil
		case d.ended:
			defer d.mu.Unlock()
			switch {
			case ctx.Err() != nil:
				return "", ctx.Err()
			case d.err != nil:
				return "", d.err
			case d.said != "":
				return "", fmt.Errorf("the host gave up: %s", d.said)
			}
			return "", fmt.Errorf("the host gave up (exit status %d): does somebody else copy to the same place?", d.exit)
		}
		d.mu.Unlock()
		select {
		case <-d.news:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

func refusal(said string) *Refusal {
	kind, what, _ := strings.Cut(said, " ")
	what = strings.TrimSpace(what)
	if kind == "write" {
		for _, full := range []string{"No space left on device", "Disk quota exceeded"} {
			if strings.Contains(what, full) {
				return &Refusal{"space", "no space left: " + strings.ToLower(full[:1]) + full[1:] + "; what had come was taken away again"}
			}
		}
	}
	return &Refusal{kind, what}
}

func (d *dialog) expect(ctx context.Context, words ...string) error {
	said, err := d.answer(ctx)
	if err != nil {
		return err
	}
	for _, w := range words {
		if said == w {
			return nil
		}
	}
	return d.odd(said)
}

func (d *dialog) odd(said string) error {
	return fmt.Errorf("the host says what is not understood: %q", said)
}

// end has the program end.
func (d *dialog) end() error {
	if err := d.put("end"); err != nil {
		return err
	}
	if err := d.flush(); err != nil {
		return err
	}
	for {
		d.mu.Lock()
		ended, exit, err := d.ended, d.exit, d.err
		d.mu.Unlock()
		switch {
		case err != nil:
			return err
		case ended && exit != 0:
			return fmt.Errorf("the host ended with exit status %d", exit)
		case ended:
			return nil
		}
		<-d.news
	}
}
