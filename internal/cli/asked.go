package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"picket/internal/core/audit"
	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/plan"
	"picket/internal/core/snap"
	"picket/internal/harden"
	"picket/internal/host/shell"
	"picket/internal/report"
	"picket/internal/ui"
)

// askedOptions are the flags of every command that changes a host as somebody asks by name.
type askedOptions struct {
	ssh    sshOptions
	within time.Duration
	yes    bool
}

func (o *askedOptions) flags(f *pflag.FlagSet) {
	f.DurationVar(&o.within, "confirm-within", 2*time.Minute, "`TIME` after which the host goes back by itself unless the change was confirmed")
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	o.ssh.flags(f)
}

// An asked change is one that no control wants: its owner does.
type asked struct {
	p      *program
	target string
	opt    askedOptions
	name   string // as the history and the journal call it
	title  string // what is done, for the owner
	id     string // of the change; "": as the time is when it is made
	among  bool   // others are changed after it, or with it
	shell  shell.Shell
	shot   *snap.Snapshot
	host   *fact.Host
	raw    map[string][]byte

	// What sudo asks for from when the change is made.
	secret []byte
	ends   []string                    // accounts that are meant not to come in any more
	by     string                      // who confirms where a person has to
	first  func(context.Context) error // what is done before, once it was agreed to; may be nil
	prove  func(context.Context, plan.Plan, shell.Shell) error
	paths  []harden.Path // those that can be gone before still have to be after
	brief  []string      // new files whose content need not be shown
	tell   ui.Teller     // where several are changed at once; nil: what is done is said on standard error
	asking chan struct{} // a place for who has this host try how it comes to another: a host may allow few sessions at a time
}

// say tells what is being done.
func (a *asked) say(line string) {
	if a.tell != nil {
		a.tell.Say(ui.Clean(line))
		return
	}
	fmt.Fprintln(a.p.io.Err, ui.Clean(line))
}

// begin reads the host, and becomes root on it.
func (p *program) begin(ctx context.Context, target string, opt askedOptions) (*asked, error) {
	return p.beginTelling(ctx, target, opt, nil)
}

// beginTelling is begin among others: tell is told what is being done. It may be nil.
func (p *program) beginTelling(ctx context.Context, target string, opt askedOptions, tell ui.Teller) (*asked, error) {
	if opt.within < 10*time.Second {
		return nil, usage(fmt.Errorf("--confirm-within %v: want ten seconds or more: a login takes some", opt.within))
	}
	if err := errors.Join(p.mayChange(target), opt.ssh.check()); err != nil {
		return nil, err
	}
	if strings.HasPrefix(target, "image:") {
		return nil, withHint(usage(fmt.Errorf("%s does not run: accounts and passwords are changed on a running host", target)), "start it, and name it as ssh://user@host")
	}
	a := &asked{p: p, target: target, opt: opt, raw: map[string][]byte{}, asking: make(chan struct{}, 1)}
	var err error
	if a.shot, err = a.look(ctx, opt.ssh, tell); err != nil {
		return nil, err
	}
	a.host = fact.Parse(a.shot)
	if !a.shot.Root() && target == "local" {
		return nil, withHint(usage(errors.New("only root can change this machine")), "type `sudo picket`")
	}
	a.shell, err = p.rootShell(ctx, target, opt.ssh, tell)
	return a, err
}

// look reads what there is to know of the host, without a walk over its disk or a guess at a password.
func (a *asked) look(ctx context.Context, ssh sshOptions, tell ui.Teller) (*snap.Snapshot, error) {
	return a.p.take(ctx, a.target, ssh, func(s *snap.Snapshot) snap.Manifest {
		m := fact.Ask(s).Minus(s)
		m.Walk = nil
		return m
	}, takeOptions{guess: time.Millisecond, tell: tell})
}

// more reads files, as they are, that no topic asks for.
func (a *asked) more(ctx context.Context, paths ...string) error {
	found, err := harden.Raw(ctx, a.shell, paths)
	if err != nil {
		return err
	}
	a.shot.MarkAsked(snap.Manifest{Files: paths})
	for p, e := range found {
		a.raw[p] = e.Content
		seen := *e
		seen.Content, seen.Redact = fact.Hide(a.shot, p, e.Content), true
		a.shot.Put(&seen)
	}
	return nil
}

// run makes the change: shows it, asks, has the host take it, and proves it. done is false when there was nothing to do.
func (a *asked) run(ctx context.Context, fix func(*fact.Host, *change.Draft) error) (done bool, err error) {
	made, err := a.plan(ctx, fix)
	if err != nil || len(made.Steps) == 0 {
		return false, err
	}
	if err := a.show(made); err != nil {
		return false, err
	}
	if err := a.p.agreed(ctx, a.opt.yes, fmt.Sprintf("Change %s so?", a.target)); err != nil {
		return false, err
	}
	return a.take(ctx, made)
}

// plan works out the change; without steps there is nothing to do.
func (a *asked) plan(ctx context.Context, fix func(*fact.Host, *change.Draft) error) (made plan.Plan, err error) {
	var failed error
	make := func(raw map[string][]byte) plan.Plan {
		for path, content := range a.raw {
			if _, ok := raw[path]; !ok {
				raw[path] = content
			}
		}
		made, err := plan.Own(a.name, a.title, a.shot, raw, fix)
		failed = err
		return made
	}
	made, err = harden.Anew(ctx, a.shell, make(map[string][]byte{}), make)
	if err := errors.Join(err, failed); err != nil {
		return made, withCode(ExitRefused, fmt.Errorf("%s: %w", a.target, err))
	}
	for _, i := range made.Items {
		if i.Left != "" {
			return made, withCode(ExitRefused, fmt.Errorf("%s: %s", a.target, i.Left))
		}
	}
	made.Ways = slices.DeleteFunc(made.Ways, func(w plan.Way) bool { return slices.Contains(a.ends, w.User) })
	return made, nil
}

// show writes what would be done.
func (a *asked) show(made plan.Plan) error {
	return (report.Plan{Width: a.p.width(), Style: a.p.style, Brief: a.brief}).Asked(a.p.io.Out, made)
}

// agreed asks, and gives the error of who does not agree.
func (p *program) agreed(ctx context.Context, yes bool, question string) error {
	if yes {
		return nil
	}
	prompt := ui.Prompt{IO: p.io, Context: ctx}
	if !prompt.Possible() {
		return withHint(usage(errors.New("there is no terminal to ask on")), "--yes takes the steps without asking")
	}
	if ok, err := prompt.Confirm(question); err != nil || !ok {
		return errors.Join(err, withCode(ExitRefused, errors.New("nothing was changed")))
	}
	return nil
}

// take has the host take a change, proves it, and says how to take it back.
func (a *asked) take(ctx context.Context, made plan.Plan) (done bool, err error) {
	p := a.p
	switch id, err := a.change(ctx, made); {
	case errors.Is(err, harden.ErrByHand):
		who := "Log in anew from elsewhere"
		if a.by != "" {
			who = "Log in as " + a.by + " from elsewhere"
		}
		fmt.Fprintf(p.io.Out, "\nThe change is made and not kept yet: this machine goes back by itself in %v.\n%s, and if that works type there: %s\n", a.opt.within, who, p.typedAsRoot("confirm "+id))
	case err != nil:
		return false, err
	default:
		fmt.Fprintf(p.io.Out, "\n%s: done and kept as %s. To take it back: %s\n", a.target, id, p.typed(strings.TrimSpace("rollback "+id+" "+a.target)))
	}
	return true, nil
}

// change has the host take a change, and proves it. It gives what the change is called there. The error is harden.ErrByHand where it
// waits for a person to confirm it.
func (a *asked) change(ctx context.Context, made plan.Plan) (string, error) {
	p := a.p
	if a.first != nil {
		if err := a.first(ctx); err != nil {
			return "", withCode(ExitRefused, fmt.Errorf("%s: %w", a.target, err))
		}
	}
	id := cmp.Or(a.id, p.now().UTC().Format("20060102-150405"))
	opt := harden.Options{ID: id, Within: a.opt.within, Whole: true, By: a.by, Prove: a.prove, Paths: a.paths, Say: a.say, Again: a.again}
	if a.among {
		opt.Wait = a.opt.within + time.Minute // others wait
	}
	tx, err := harden.Apply(ctx, a, made, opt)
	switch {
	case errors.Is(err, harden.ErrRefused):
		err = withCode(ExitRefused, err)
	case errors.Is(err, harden.ErrRolledBack):
		err = withCode(ExitRolledBack, err)
	case errors.Is(err, harden.ErrNotUndone):
		err = withCode(ExitNotUndone, err)
	}
	return tx.ID, err
}

// Shell implements harden.Host.
func (a *asked) Shell() shell.Shell { return a.shell }

// later is how the host is reached once the change is made.
func (a *asked) later() sshOptions {
	ssh := a.opt.ssh
	if a.secret != nil {
		ssh.secret = a.secret
	}
	return ssh
}

// Fresh implements harden.Host.
func (a *asked) Fresh(ctx context.Context) (shell.Shell, error) {
	if a.target == "local" {
		return nil, harden.ErrByHand
	}
	return a.p.rootShell(ctx, a.target, a.later(), a.tell)
}

// again logs in as it was before the change or is after it: sudo may ask for either password while the host goes back.
func (a *asked) again(ctx context.Context) (shell.Shell, error) {
	if a.secret == nil {
		return a.Fresh(ctx)
	}
	var errs []error
	for _, ssh := range []sshOptions{a.later(), a.opt.ssh} {
		s, err := a.p.rootShell(ctx, a.target, ssh, a.tell)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		_, exit, err := s.Run(ctx, "true", nil, nil)
		if err == nil && exit == 0 {
			return s, nil
		}
		s.Close()
		errs = append(errs, cmp.Or(err, shell.ErrNoRoot))
	}
	return nil, errors.Join(errs...)
}

// Plan is what is tried when a part does not hold: nothing, since what was asked for is done whole or not at all.
func (a *asked) Plan(context.Context, map[string]string) (plan.Plan, error) { return plan.Plan{}, nil }

// Judge implements harden.Host: no control is judged, but who comes in. That it has the effect is shown by its own proof.
func (a *asked) Judge(ctx context.Context) (audit.Report, plan.Plan, error) {
	s, err := a.look(ctx, a.later(), a.tell)
	if err != nil {
		return audit.Report{}, plan.Plan{}, err
	}
	now, err := plan.Own(a.name, a.title, s, nil, nil)
	return audit.Report{Results: []audit.Result{{Control: a.name, Verdict: control.Pass}}}, now, err
}
