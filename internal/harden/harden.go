// Package harden changes one host: it stages a plan there, has the host take its
// steps, proves that who came in still can and that the change has an effect, and
// confirms it or has it taken back.
package harden

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"picket/internal/core/audit"
	"picket/internal/core/plan"
	"picket/internal/host/shell"
)

// Box is where transactions lie on a host.
const Box = "/var/lib/picket/tx"

// A Host is what is changed.
type Host interface {
	Shell() shell.Shell                                         // of the connection that is there
	Fresh(ctx context.Context) (shell.Shell, error)             // a new login, as whoever logged in before
	Judge(ctx context.Context) (audit.Report, plan.Plan, error) // a new snapshot, judged and planned as before
}

// Options of Apply.
type Options struct {
	ID     string                                             // of the transaction: a name of a folder
	Within time.Duration                                      // after which the host goes back by itself when nothing has confirmed
	Say    func(string)                                       // progress, a line each; may be nil
	By     string                                             // who has to confirm where only a person can: an account of the host; "" for anybody
	Prove  func(ctx context.Context, fresh shell.Shell) error // what else has to hold; may be nil
}

// Kinds of how it ended, each with the exit code of its name.
var (
	ErrRefused    = errors.New("nothing was changed")
	ErrRolledBack = errors.New("it was taken back: the host is as it was")
	ErrNotUndone  = errors.New("it could not be taken back by itself")
	// ErrByHand is what Host.Fresh gives where only a person can log in anew: the change waits for that.
	ErrByHand = errors.New("it waits to be confirmed after a new login")
)

// Apply has a host take the steps of a plan, and keeps them if they hold. The error says, besides what went wrong, how
// the host was left: one of ErrRefused, ErrRolledBack and ErrNotUndone.
func Apply(ctx context.Context, h Host, p plan.Plan, opt Options) error {
	say := opt.Say
	if say == nil {
		say = func(string) {}
	}
	if len(p.Steps) == 0 {
		return nil
	}
	folder, err := plan.Compile(p.Steps)
	if err != nil {
		return fmt.Errorf("%w: %w", err, ErrRefused)
	}
	folder["within"] = fmt.Appendf(nil, "%d\n", int(opt.Within.Seconds()))
	if opt.By != "" {
		folder["by"] = []byte(opt.By + "\n")
	}
	at := Box + "/" + opt.ID
	sh := h.Shell()
	say(fmt.Sprintf("laying %s into %s", count(len(p.Steps), "step"), at))
	if _, exit, err := sh.Run(ctx, "set -e; umask 077; mkdir -p "+Box+"; mkdir "+at+"; tar -C "+at+" -xf -; sync", pack(folder), say); err != nil || exit != 0 {
		return fmt.Errorf("the steps could not be laid onto the host%s: %w", because(err), ErrRefused)
	}
	say("taking them; should this connection be lost, the host goes back by itself")
	// Of its own session, so that it ends well without us.
	var last string
	_, exit, err := sh.Run(ctx, Away("sh "+at+"/tx apply"), nil, func(line string) { last = line; say("host: " + line) })
	switch {
	case err != nil:
		return lost(ctx, h, at, fmt.Errorf("the connection was lost while the host took the steps: %w", err), opt)
	case exit == 4:
		return fmt.Errorf("the host refused: %s: %w", last, ErrRefused)
	case exit == 5:
		return fmt.Errorf("%s: %w", last, ErrRolledBack)
	case exit != 0:
		return fmt.Errorf("%s: %w; on the host: sudo sh %s/tx undo", last, ErrNotUndone, at)
	}
	say("logging in anew")
	switch err := prove(ctx, h, at, p, opt, say); {
	case errors.Is(err, ErrByHand):
		return err
	case err != nil:
		return back(ctx, h, at, err, opt)
	}
	say("all of it holds: kept")
	return nil
}

// Away is a command in a session of its own, which ends well without us, where the host can do that.
func Away(command string) string {
	return "if setsid -w true 2>/dev/null; then setsid -w " + command + "; else " + command + "; fi </dev/null"
}

// prove logs in anew, judges anew, and confirms over the new login.
func prove(ctx context.Context, h Host, at string, p plan.Plan, opt Options, say func(string)) error {
	fresh, err := h.Fresh(ctx)
	if errors.Is(err, ErrByHand) {
		return err
	}
	if err != nil {
		return fmt.Errorf("a new login fails: %w", err)
	}
	defer fresh.Close()
	if _, exit, err := fresh.Run(ctx, "true", nil, nil); err != nil || exit != 0 {
		return fmt.Errorf("a new login does not become root%s", because(err))
	}
	if opt.Prove != nil {
		if err := opt.Prove(ctx, fresh); err != nil {
			return err
		}
	}
	say("judging anew")
	r, after, err := h.Judge(ctx)
	if err != nil {
		return fmt.Errorf("the host cannot be judged anew: %w", err)
	}
	var bad []string
	for _, i := range p.Items {
		if !i.Changes() {
			continue
		}
		for _, res := range r.Results {
			if res.Control == i.Control && res.Finding() {
				bad = append(bad, fmt.Sprintf("%s is still %s: %s", i.Control, res.Verdict, res.Reason))
			}
		}
	}
	switch out := plan.LockedOut(p.Ways, after.Ways); {
	case p.Blind == "" && after.Blind != "":
		bad = append(bad, after.Blind)
	case p.Blind == "" && len(out) > 0:
		bad = append(bad, strings.Join(out, ", ")+" could log in before and cannot any more")
	}
	if len(bad) > 0 {
		return errors.New(strings.Join(bad, "; "))
	}
	if _, exit, err := fresh.Run(ctx, "sh "+at+"/tx confirm", nil, say); err != nil || exit != 0 {
		return fmt.Errorf("it could not be confirmed%s", because(err))
	}
	return nil
}

// back has the host go back, over the connection that is there or a new one.
func back(ctx context.Context, h Host, at string, why error, opt Options) error {
	for _, sh := range []func() (shell.Shell, error){
		func() (shell.Shell, error) { return h.Shell(), nil },
		func() (shell.Shell, error) { return h.Fresh(ctx) },
	} {
		s, err := sh()
		if err != nil {
			continue
		}
		_, exit, err := s.Run(ctx, Away("sh "+at+"/tx undo"), nil, opt.Say)
		switch {
		case err != nil:
			continue
		case exit == 0:
			return fmt.Errorf("%w: %w", why, ErrRolledBack)
		}
		return fmt.Errorf("%w: %w; on the host: sudo sh %s/tx undo", why, ErrNotUndone, at)
	}
	return fmt.Errorf("%w: the host cannot be reached, and goes back by itself within %v: %w", why, opt.Within, ErrNotUndone)
}

// lost finds out how a host is that was lost on the way.
func lost(ctx context.Context, h Host, at string, why error, opt Options) error {
	if ctx.Err() != nil {
		ctx = context.WithoutCancel(ctx)
		limited, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		ctx = limited
	}
	return back(ctx, h, at, why, opt)
}

// pack is a tar of the folder.
func pack(f plan.Folder) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(f)) {
		// Writing into memory does not fail.
		_ = w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(f[name])), Typeflag: tar.TypeReg, ModTime: time.Unix(0, 0)})
		_, _ = w.Write(f[name])
	}
	_ = w.Close()
	return b.Bytes()
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Risks are those of what a plan changes.
func Risks(p plan.Plan) (risks []string) {
	for _, i := range p.Items {
		for _, r := range i.Risk {
			if i.Changes() && !slices.Contains(risks, r) {
				risks = append(risks, r)
			}
		}
	}
	return risks
}
