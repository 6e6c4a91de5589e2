package snapshot

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"picket/internal/core/snap"
)

// A Connection starts programs on one host. Closing it ends all of them.
type Connection interface {
	Start(command string) (stdin io.WriteCloser, stdout, stderr io.Reader, err error)
	Close() error
}

// Ends are the address by which the host was reached, and ours; where the
// connection tells.
func (t *sshTaker) Ends() (there, here netip.Addr) {
	if c, ok := t.conn.(interface {
		Ends() (there, here netip.Addr)
	}); ok {
		return c.Ends()
	}
	return netip.Addr{}, netip.Addr{}
}

// SSHOptions of NewSSH.
type SSHOptions struct {
	// SudoPassword is called once at most, when the host's sudo wants one. nil:
	// then what needs root stays unknown.
	SudoPassword func(user string) ([]byte, error)
	NoSudo       bool          // do not try
	Round        time.Duration // for a whole round; zero: DefaultRound
	Session      time.Duration // after which the host ends what runs there, should we be gone; zero: DefaultSession
	Walk         time.Duration // for the walk within it; zero: snap.WalkTime
	Command      time.Duration // for one command; zero: what the table says
}

// Time limits.
const (
	DefaultRound   = 60 * time.Second
	DefaultSession = 15 * time.Minute
	greeting       = 20 * time.Second // until a shell answers
)

// shellCommand is all that is ever told to a host outside of a shell's stdin.
const shellCommand = "exec /bin/sh"

// NewSSH returns a taker that reads a host through one session: a POSIX shell,
// as root where that can be had, that is given one program a round.
// It closes the connection when it is closed.
func NewSSH(c Connection, target string, opt SSHOptions) Taker {
	if opt.Round == 0 {
		opt.Round = DefaultRound
	}
	if opt.Session == 0 {
		opt.Session = DefaultSession
	}
	if opt.Walk == 0 {
		opt.Walk = snap.WalkTime
	}
	return &sshTaker{conn: c, target: target, opt: opt}
}

type sshTaker struct {
	conn    Connection
	target  string
	opt     SSHOptions
	stdin   io.WriteCloser
	in      *stream
	problem string // for the reader, once
	broken  string // why the host is not asked any more
}

// Source starts the session and becomes root if it can.
func (t *sshTaker) Source(ctx context.Context) (snap.Source, error) {
	src := snap.Source{Kind: "ssh", Target: t.target}
	uid, problem, err := t.greet(ctx)
	if err != nil {
		t.conn.Close()
		return src, err
	}
	src.UID, t.problem = uid, problem
	return src, nil
}

// Round sends one program and reads what it prints. Files that stand in for
// commands without an answer are asked for by a second one.
func (t *sshTaker) Round(ctx context.Context, m snap.Manifest, s *snap.Snapshot) error {
	if t.problem != "" {
		s.Problems = append(s.Problems, t.problem)
		t.problem = ""
	}
	if err := t.ask(ctx, m, s); err != nil {
		return err
	}
	var instead snap.Manifest
	for _, c := range m.Commands {
		if o := s.Commands[c.Key()]; o.Missing || o.Unusable() != "" {
			instead.Files = append(instead.Files, c.Instead...)
		}
	}
	if instead = instead.Minus(s); instead.Empty() || t.broken != "" {
		return nil
	}
	if err := t.ask(ctx, instead, s); err != nil {
		return err
	}
	s.MarkAsked(instead)
	return nil
}

func (t *sshTaker) ask(ctx context.Context, m snap.Manifest, s *snap.Snapshot) error {
	limit := limits{t.opt.Walk, t.opt.Command}
	a := newAnswer(m, limit)
	if t.broken != "" {
		a.fill(s, t.broken)
		return nil
	}
	if t.in == nil {
		return errors.New("the session was not started")
	}
	nonce, err := newNonce()
	if err != nil {
		return err
	}
	err = t.within(ctx, t.opt.Round, func() error {
		t.in.expect(nonce)
		sent := make(chan error, 1)
		go func() {
			_, err := io.WriteString(t.stdin, program(m, nonce, limit))
			sent <- err
		}()
		if err := a.read(t.in); err != nil {
			return err
		}
		return <-sent
	})
	switch {
	case a.missing != "":
		return fmt.Errorf("%s: the host has no %s, which is needed to read it (BusyBox would do)", t.target, a.missing)
	case err == nil:
		a.fill(s, "")
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	t.broken = err.Error()
	if !a.meta {
		return fmt.Errorf("%s: %w", t.target, err)
	}
	// What has come stands; the rest is unknown.
	s.Problems = append(s.Problems, fmt.Sprintf("reading stopped half way: %v", err))
	a.fill(s, t.broken)
	return nil
}

// within runs f and closes the connection when its time is over or ctx ends,
// which is what makes reading and writing return.
func (t *sshTaker) within(ctx context.Context, d time.Duration, f func() error) error {
	limited, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	stop := context.AfterFunc(limited, func() { t.conn.Close() })
	err := f()
	if stop() {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = t.brokeOff()
		}
		if err != nil {
			t.conn.Close()
		}
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("no answer within %s", short(d))
}

// brokeOff says why: the host hangs, or another one on the way there was lost.
func (t *sshTaker) brokeOff() error {
	const what = "the connection broke off half way"
	if c, ok := t.conn.(interface{ Lost() error }); ok {
		if lost := c.Lost(); lost != nil {
			return errors.New(what + ": " + strings.TrimPrefix(lost.Error(), t.target+": ")) // whoever gets it names the target
		}
	}
	return errors.New(what)
}

func (t *sshTaker) Close() error {
	if t.stdin != nil {
		t.stdin.Close()
	}
	return t.conn.Close()
}

func newNonce() (string, error) {
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("make a boundary: %w", err)
	}
	return "picket-" + hex.EncodeToString(b), nil
}

// greet starts the shell, asks who it is, and goes through sudo if it is not
// root. The shell that remains is the one that every round talks to.
func (t *sshTaker) greet(ctx context.Context) (uid int, problem string, err error) {
	nonce, err := newNonce()
	if err != nil {
		return 0, "", err
	}
	var errs *tail
	var words []string
	// exchange sends a line and waits for the line that answers it.
	exchange := func(line string) error {
		return t.within(ctx, greeting, func() error {
			// A host that takes no more may still have said why.
			_, refused := io.WriteString(t.stdin, line)
			t.in.left = maxNoise
			words, err = t.in.next()
			t.in.left = snap.MaxTotal
			if err == nil && refused != nil {
				err = io.ErrUnexpectedEOF
			}
			return err
		})
	}
	err = t.within(ctx, greeting, func() error {
		stdin, stdout, stderr, err := t.conn.Start(shellCommand)
		if err != nil {
			return err
		}
		t.stdin, t.in = stdin, newStream(stdout)
		t.in.expect(nonce)
		errs = newTail(stderr, promptOf(nonce))
		return nil
	})
	if err != nil {
		return 0, "", err
	}
	if err = exchange(hello(nonce, !t.opt.NoSudo, t.opt.Session)); err != nil {
		if ctx.Err() != nil {
			return 0, "", err
		}
		err = fmt.Errorf("%s: the login gave no shell: %w%s", t.target, err, cmp.Or(errs.said(), saying(string(t.in.heard))))
		return 0, "", &hinted{err, "the account's own shell has to run commands; to give it one, type on the host, as root: usermod -s /bin/bash USER"}
	}
	state, uid, user, err := parseHello(words)
	if err != nil {
		return 0, "", fmt.Errorf("%s: %w", t.target, err)
	}
	if state == "refused" {
		errs.wait(refusedMark)
	}
	if state != "ask" {
		return uid, unprivileged(state, user, uid, errs.text()), nil
	}
	if t.opt.SudoPassword == nil {
		err := exchange(asUser(nonce))
		return uid, unprivileged("nopassword", user, uid, ""), err
	}
	pass, err := t.opt.SudoPassword(user)
	if err != nil {
		return 0, "", fmt.Errorf("%s: ask for the sudo password: %w", t.target, err)
	}
	defer clear(pass)
	if strings.ContainsAny(string(pass), "\n\x00") {
		return 0, "", errors.New("the sudo password must be one line")
	}
	// The password is sent when sudo has asked for it and at no other time, so
	// that no shell ever takes it for a command.
	asked := make(chan error, 1)
	go func() { asked <- t.answerSudo(errs, pass) }()
	err = exchange(withPassword(nonce, t.opt.Session))
	if err == nil && len(words) > 0 && words[0] == "refused" {
		errs.wait(refusedMark)
	}
	errs.stop()
	if perr := <-asked; perr != nil {
		t.conn.Close()
		return 0, "", t.wrongPassword(user)
	}
	if err != nil {
		return 0, "", fmt.Errorf("%s: sudo: %w%s", t.target, err, errs.said())
	}
	if state, uid, user, err = parseHello(words); err != nil {
		return 0, "", fmt.Errorf("%s: %w", t.target, err)
	}
	if state == "refused" && strings.Contains(errs.text(), "incorrect password") {
		t.conn.Close()
		return 0, "", t.wrongPassword(user)
	}
	return uid, unprivileged(state, user, uid, errs.text()), nil
}

// ErrSudoPassword says that sudo asked a second time.
var ErrSudoPassword = errors.New("the sudo password was not accepted")

func (t *sshTaker) wrongPassword(user string) error {
	return &hinted{fmt.Errorf("%s: %w", t.target, ErrSudoPassword),
		fmt.Sprintf("it was tried once only, so that %s is not locked out\nrun it again to be asked again, or look at the first line of --sudo-password-file\nto try it by hand: ssh -t %s sudo -v", user, t.target)}
}

// hinted is an error with what to type next.
type hinted struct {
	err  error
	hint string
}

func (e *hinted) Error() string { return e.err.Error() }
func (e *hinted) Unwrap() error { return e.err }
func (e *hinted) Hint() string  { return e.hint }

func (t *sshTaker) answerSudo(errs *tail, pass []byte) error {
	if !errs.prompted(1) {
		return nil
	}
	line := append(append(make([]byte, 0, len(pass)+1), pass...), '\n')
	_, err := t.stdin.Write(line)
	clear(line)
	if err != nil {
		return nil // the reader knows better why
	}
	if errs.prompted(2) {
		t.conn.Close() // it is not tried again: accounts get locked that way
		return ErrSudoPassword
	}
	return nil
}

// parseHello reads "STATE UID USER".
func parseHello(words []string) (state string, uid int, user string, err error) {
	if len(words) < 2 {
		return "", 0, "", errGarbage
	}
	u, err := strconv.ParseUint(words[1], 10, 31)
	if err != nil {
		return "", 0, "", errGarbage
	}
	if len(words) > 2 {
		user = words[2]
	}
	return words[0], int(u), user, nil
}
