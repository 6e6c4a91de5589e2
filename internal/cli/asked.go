package cli

import (
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
	shell  shell.Shell
	shot   *snap.Snapshot
	host   *fact.Host
	raw    map[string][]byte

	// What sudo asks for from when the change is made.
	secret []byte
	ends   []string                    // accounts that are meant not to come in any more
	by     string                      // who confirms where a person has to
	first  func(context.Context) error // what is done before, once it was agreed to; may be nil
	prove  func(context.Context, shell.Shell) error
	brief  []string // new files whose content need not be shown
}

// begin reads the host, and becomes root on it.
func (p *program) begin(ctx context.Context, target string, opt askedOptions) (*asked, error) {
	if opt.within < 10*time.Second {
		return nil, usage(fmt.Errorf("--confirm-within %v: want ten seconds or more: a login takes some", opt.within))
	}
	if err := errors.Join(p.mayChange(target), opt.ssh.check()); err != nil {
		return nil, err
	}
	if strings.HasPrefix(target, "image:") {
		return nil, withHint(usage(fmt.Errorf("%s does not run: accounts and passwords are changed on a running host", target)), "start it, and name it as ssh://user@host")
	}
	if opt.ssh.typed == nil {
		opt.ssh.typed = map[string][]byte{}
	}
	a := &asked{p: p, target: target, opt: opt, raw: map[string][]byte{}}
	var err error
	if a.shot, err = a.look(ctx, opt.ssh); err != nil {
		return nil, err
	}
	a.host = fact.Parse(a.shot)
	if !a.shot.Root() && target == "local" {
		return nil, withHint(usage(errors.New("only root can change this machine")), "type `sudo picket`")
	}
	a.shell, err = p.rootShell(ctx, target, opt.ssh)
	return a, err
}

// look reads what there is to know of the host, without a walk over its disk or a guess at a password.
func (a *asked) look(ctx context.Context, ssh sshOptions) (*snap.Snapshot, error) {
	return a.p.take(ctx, a.target, ssh, func(s *snap.Snapshot) snap.Manifest {
		m := fact.Ask(s).Minus(s)
		m.Walk = nil
		return m
	}, takeOptions{guess: time.Millisecond})
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
	p := a.p
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
	made, err := harden.Anew(ctx, a.shell, make(map[string][]byte{}), make)
	if err := errors.Join(err, failed); err != nil {
		return false, withCode(ExitRefused, fmt.Errorf("%s: %w", a.target, err))
	}
	for _, i := range made.Items {
		if i.Left != "" {
			return false, withCode(ExitRefused, fmt.Errorf("%s: %s", a.target, i.Left))
		}
	}
	if len(made.Steps) == 0 {
		return false, nil
	}
	made.Ways = slices.DeleteFunc(made.Ways, func(w plan.Way) bool { return slices.Contains(a.ends, w.User) })
	if err := (report.Plan{Width: p.width(), Style: p.style, Brief: a.brief}).Asked(p.io.Out, made); err != nil {
		return false, err
	}
	if !a.opt.yes {
		prompt := ui.Prompt{IO: p.io, Context: ctx}
		if !prompt.Possible() {
			return false, withHint(usage(errors.New("there is no terminal to ask on")), "--yes takes the steps without asking")
		}
		if ok, err := prompt.Confirm(fmt.Sprintf("Change %s so?", a.target)); err != nil || !ok {
			return false, errors.Join(err, withCode(ExitRefused, errors.New("nothing was changed")))
		}
	}
	if a.first != nil {
		if err := a.first(ctx); err != nil {
			return false, withCode(ExitRefused, fmt.Errorf("%s: %w", a.target, err))
		}
	}
	id := p.now().UTC().Format("20060102-150405")
	tx, err := harden.Apply(ctx, a, made, harden.Options{ID: id, Within: a.opt.within, Whole: true, By: a.by, Prove: a.prove, Say: func(line string) { fmt.Fprintln(p.io.Err, ui.Clean(line)) }})
	switch {
	case errors.Is(err, harden.ErrByHand):
		who := "Log in anew from elsewhere"
		if a.by != "" {
			who = "Log in as " + a.by + " from elsewhere"
		}
		fmt.Fprintf(p.io.Out, "\nThe change is made and not kept yet: this machine goes back by itself in %v.\n%s, and if that works type there: %s\n", a.opt.within, who, p.typedAsRoot("confirm "+tx.ID))
		return true, nil
	case errors.Is(err, harden.ErrRefused):
		return false, withCode(ExitRefused, err)
	case errors.Is(err, harden.ErrRolledBack):
		return false, withCode(ExitRolledBack, err)
	case errors.Is(err, harden.ErrNotUndone):
		return false, withCode(ExitNotUndone, err)
	case err != nil:
		return false, err
	}
	fmt.Fprintf(p.io.Out, "\n%s: done and kept as %s. To take it back: %s\n", a.target, tx.ID, p.typed(strings.TrimSpace("rollback "+tx.ID+" "+a.target)))
	return true, nil
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
	return a.p.rootShell(ctx, a.target, a.later())
}

// Plan is what is tried when a part does not hold: nothing, since what was asked for is done whole or not at all.
func (a *asked) Plan(context.Context, map[string]string) (plan.Plan, error) { return plan.Plan{}, nil }

// Judge implements harden.Host: no control is judged, but who comes in. That it has the effect is shown by its own proof.
func (a *asked) Judge(ctx context.Context) (audit.Report, plan.Plan, error) {
	s, err := a.look(ctx, a.later())
	if err != nil {
		return audit.Report{}, plan.Plan{}, err
	}
	now, err := plan.Own(a.name, a.title, s, nil, nil)
	return audit.Report{Results: []audit.Result{{Control: a.name, Verdict: control.Pass}}}, now, err
}
