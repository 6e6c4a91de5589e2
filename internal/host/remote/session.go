package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// sessionTries is how often a session is asked for: a host that allows one at a
// time may still be busy with the end of the one before.
const sessionTries = 6

var errNUL = errors.New("a command cannot hold a NUL byte")

// open starts a command.
func (c *Client) open(ctx context.Context, command string) (s *ssh.Session, stdin io.WriteCloser, stdout, stderr io.Reader, err error) {
	fail := func(err error) (*ssh.Session, io.WriteCloser, io.Reader, io.Reader, error) {
		switch {
		case ctx.Err() != nil:
			return nil, nil, nil, nil, ctx.Err()
		case timedOut(err):
			c.lose(&LostError{Target: c.target, Silent: c.toBegin})
			err = fmt.Errorf("no answer within %s: %w", c.toBegin, err)
		default:
			var open *ssh.OpenChannelError
			if errors.As(err, &open) {
				break
			}
			if lost := c.Lost(); lost != nil {
				err = lost
			}
		}
		return nil, nil, nil, nil, &SessionError{Target: c.target, Err: err}
	}
	if strings.IndexByte(command, 0) >= 0 {
		return fail(errNUL)
	}
	limited, cancel := context.WithTimeout(ctx, c.toBegin)
	defer cancel()
	for try := 1; ; try++ {
		s, err = await(limited, c.ssh.NewSession, func(late *ssh.Session) { late.Close() })
		var open *ssh.OpenChannelError
		if !errors.As(err, &open) || open.Reason == ssh.Prohibited || try == sessionTries {
			break
		}
		select {
		case <-time.After(50 * time.Millisecond << (try - 1)):
		case <-limited.Done():
			return fail(limited.Err())
		}
	}
	if err != nil {
		return fail(err)
	}
	stdin, err1 := s.StdinPipe()
	stdout, err2 := s.StdoutPipe()
	stderr, err3 := s.StderrPipe()
	if err = errors.Join(err1, err2, err3); err == nil {
		_, err = await(limited, func() (struct{}, error) { return struct{}{}, s.Start(command) }, nil)
	}
	if err != nil {
		go s.Close()
		return fail(err)
	}
	return s, stdin, stdout, stderr, nil
}

// await waits for what the host may never answer. What comes too late is
// thrown away.
func await[T any](ctx context.Context, f func() (T, error), late func(T)) (T, error) {
	type answer struct {
		v   T
		err error
	}
	came := make(chan answer, 1)
	go func() {
		v, err := f()
		came <- answer{v, err}
	}()
	select {
	case a := <-came:
		return a.v, a.err
	case <-ctx.Done():
		if late != nil {
			go func() {
				if a := <-came; a.err == nil {
					late(a.v)
				}
			}()
		}
		var none T
		return none, ctx.Err()
	}
}

// Start runs a command. It ends with its stdin, or with the connection. What it
// does after it has begun has no limit in time; a host that is gone is found
// out.
func (c *Client) Start(command string) (stdin io.WriteCloser, stdout, stderr io.Reader, err error) {
	_, stdin, stdout, stderr, err = c.open(context.Background(), command)
	return stdin, stdout, stderr, err
}

// SignalError says that a command did not end by itself.
type SignalError struct {
	Target Target
	Signal string // without SIG, as "KILL"
}

func (e *SignalError) Error() string {
	return fmt.Sprintf("%s: the command was ended by the signal %s", e.Target, printable(e.Signal))
}

// Exec runs a command and passes on what goes in and out as it comes; each of
// the three may be nil. exit is its exit status, -1 where there is an error
// instead: *SignalError, what reading stdin or writing the output gave, that the
// connection was lost, or that ctx ended. Then the command is sent SIGTERM, and
// its session ends; sshd passes no signal on to what root runs, which may go on
// until it reads or writes. Nothing is written after Exec has returned, so it waits
// for a write that is going on; stdin may be read once more.
func (c *Client) Exec(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) (exit int, err error) {
	s, in, out, complaint, err := c.open(ctx, command)
	if err != nil {
		return -1, err
	}
	run, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	if stdin == nil {
		_ = in.Close()
	} else {
		go func() {
			from := &reader{Reader: stdin}
			_, _ = io.Copy(in, from) // a command need not read all of it
			if from.err != nil {
				fail(fmt.Errorf("read what is to be sent: %w", from.err)) // its end is not what it looks like
				return
			}
			_ = in.Close()
		}()
	}
	pipes := []*writer{{to: stdout}, {to: stderr}}
	ended := make(chan error, 1)
	go func() {
		var all sync.WaitGroup
		for i, from := range []io.Reader{out, complaint} {
			all.Go(func() {
				_, _ = io.Copy(pipes[i], from)
				if err := pipes[i].err; err != nil {
					fail(fmt.Errorf("write what the command says: %w", err))
				}
			})
		}
		all.Wait()
		ended <- s.Wait()
	}()
	select {
	case err = <-ended:
		for _, w := range pipes {
			if w.err != nil {
				return -1, context.Cause(run)
			}
		}
	case <-run.Done():
		go func() {
			_ = s.Signal(ssh.SIGTERM)
			_ = s.Close()
		}()
		for _, w := range pipes {
			w.shut()
		}
		err := context.Cause(run)
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%s: the command did not end in time: %w", c.target, err)
		}
		return -1, err
	}
	var status *ssh.ExitError
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &status) && status.Signal() != "":
		return -1, &SignalError{Target: c.target, Signal: status.Signal()}
	case errors.As(err, &status):
		return status.ExitStatus(), nil
	}
	if lost := c.Lost(); lost != nil {
		return -1, fmt.Errorf("in the middle of a command: %w", lost)
	}
	return -1, fmt.Errorf("%s: the host ended the command's session without its exit status", c.target)
}

// A reader keeps why reading stopped.
type reader struct {
	io.Reader
	err error
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// A writer writes until it is shut.
type writer struct {
	mu  sync.Mutex
	to  io.Writer // nil: nowhere
	err error     // why writing failed; only for who has written
	end bool
}

func (w *writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.end {
		return 0, io.ErrClosedPipe
	}
	if w.to == nil {
		return len(p), nil
	}
	n, err := w.to.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	w.err = err
	return n, err
}

func (w *writer) shut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.end = true
}
