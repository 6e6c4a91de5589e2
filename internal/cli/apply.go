package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"picket/internal/core/audit"
	"picket/internal/core/control"
	"picket/internal/core/plan"
	"picket/internal/harden"
	"picket/internal/host/shell"
	"picket/internal/host/snapshot"
	"picket/internal/report"
	"picket/internal/ui"
)

// changeHelp closes the help of the commands that change a host.
const changeHelp = `Exit codes: 0 done, 2 wrong usage or settings, 3 something could not be read,
4 refused or not confirmed and nothing changed, 5 failed and rolled back,
6 failed and not rolled back, 130 interrupted.`

type applyOptions struct {
	auditOptions
	within time.Duration
	risks  []string
	yes    bool
	peers  []string
}

func (p *program) applyCommand() *cobra.Command {
	opt := applyOptions{auditOptions: auditOptions{guess: snapshot.DefaultGuess}}
	cmd := &cobra.Command{
		Use:   "apply [TARGET]",
		Short: "change a host as planned, prove that it holds, or take it back",
		Long: `Reads a host, plans as "picket plan" does, asks, and has the host take the steps.

Before the first step the host keeps what is there and is told to go back by
itself: after --confirm-within, and at its next start. Over SSH a new login is
made then, your own ssh, the peers that you name and the ports that are served
have to come through as before, the host is judged anew, and only what holds is
kept; the rest is taken back at once. On this machine it waits for you to log in
anew and to type picket confirm.

What could cost something is left out unless you accept that by its name:
--accept-risk lose-ssh.

` + changeHelp,
		Example: `  picket apply ssh://pi@leader --only cron
  picket apply ssh://pi@leader --accept-risk lose-ssh
  sudo picket apply --only network`,
		Args: oneTarget,
		RunE: func(cmd *cobra.Command, args []string) error { return p.apply(cmd.Context(), targetOf(args), opt) },
	}
	f := cmd.Flags()
	f.StringVar(&opt.profile, "profile", "", "which controls to judge: the `NAME` of a profile (default "+DefaultProfile+")")
	f.StringSliceVar(&opt.only, "only", nil, "only these controls: `ID`s, topics or patterns, as ssh or */root-*")
	f.StringSliceVar(&opt.skip, "skip", nil, "leave these controls out: `ID`s, topics or patterns")
	f.DurationVar(&opt.within, "confirm-within", 2*time.Minute, "`TIME` after which the host goes back by itself unless the change was confirmed")
	f.StringSliceVar(&opt.risks, "accept-risk", nil, "accept what a change could cost, by `NAME`: "+strings.Join(control.Risks, ", "))
	f.StringArrayVar(&opt.peers, "peer", nil, "a `HOST` whose ssh has to reach the target as before: ssh://pi@leader, or ssh://pi@leader=pi@worker1 with what is typed there; may be repeated")
	f.BoolVarP(&opt.yes, "yes", "y", false, "do not ask")
	opt.ssh.flags(f)
	return cmd
}

func oneTarget(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usage(fmt.Errorf("want one host; found %d", len(args)))
	}
	return nil
}

func targetOf(args []string) string {
	if len(args) == 0 {
		return "local"
	}
	return args[0]
}

// mayChange refuses targets that nothing can be changed on.
func (p *program) mayChange(target string) error {
	switch {
	case target == "local" && p.getenv("PICKET_NO_LOCAL") != "":
		return withHint(usage(errors.New("PICKET_NO_LOCAL is set, so nothing is changed on this machine")), "unset PICKET_NO_LOCAL, or name another target")
	case target == "local" && os.Geteuid() != 0:
		return withHint(usage(errors.New("only root can change this machine")), "type `sudo picket apply`")
	case target == "local", strings.HasPrefix(target, "ssh://"):
		return checkTarget(target)
	}
	return usage(fmt.Errorf("%s is no running host: only local and ssh://user@host can be changed", target))
}

func (p *program) apply(ctx context.Context, target string, opt applyOptions) error {
	if err := p.mayChange(target); err != nil {
		return err
	}
	for _, r := range opt.risks {
		if !slices.Contains(control.Risks, r) {
			return usage(fmt.Errorf("--accept-risk %s: want %s", r, strings.Join(control.Risks, ", ")))
		}
	}
	if opt.within < 10*time.Second {
		return usage(fmt.Errorf("--confirm-within %v: want ten seconds or more: a login takes some", opt.within))
	}
	s, err := p.settings()
	if err != nil {
		return err
	}
	controls, profile, err := p.chosen(opt.auditOptions, s)
	if err != nil {
		return err
	}
	if err := opt.ssh.check(); err != nil {
		return err
	}
	h := &changed{p: p, target: target, opt: opt}
	h.judge = func(ctx context.Context, without map[string]string) (audit.Report, func(raw map[string][]byte) plan.Plan, error) {
		shot, err := p.snapshot(ctx, target, controls, opt.auditOptions, nil)
		if err != nil {
			return audit.Report{}, nil, err
		}
		r := audit.Evaluate(controls, shot, audit.Options{Version: Version, Profile: profile, Now: p.now(), Waivers: s.Policy.Audit()})
		leave := func(c control.Control) string {
			if why, not := without[c.ID]; not {
				return "it was tried, and " + why
			}
			return opt.leaves(c)
		}
		return r, func(raw map[string][]byte) plan.Plan {
			return plan.Make(controls, shot, r, plan.Options{Leave: leave, Raw: raw})
		}, nil
	}
	defer h.close()
	made, err := h.Plan(ctx, nil)
	if err != nil {
		return err
	}
	if err := (report.Plan{Width: p.width(), Style: p.style}).Write(p.io.Out, made); err != nil {
		return err
	}
	if len(made.Steps) == 0 {
		return nil
	}
	if !opt.yes {
		prompt := ui.Prompt{IO: p.io, Context: ctx}
		if !prompt.Possible() {
			return withHint(usage(errors.New("there is no terminal to ask on")), "--yes takes the steps without asking")
		}
		if ok, err := prompt.Confirm(fmt.Sprintf("Change %s so?", target)); err != nil || !ok {
			return errors.Join(err, withCode(ExitRefused, errors.New("nothing was changed")))
		}
	}
	if err := h.connect(ctx); err != nil {
		return err
	}
	paths, closePaths, err := p.paths(ctx, target, opt, made)
	if err != nil {
		return err
	}
	defer closePaths()
	id := p.now().UTC().Format("20060102-150405")
	done, err := harden.Apply(ctx, h, made, harden.Options{ID: id, Within: opt.within, Paths: paths, Say: func(line string) { fmt.Fprintln(p.io.Err, ui.Clean(line)) }})
	switch {
	case errors.Is(err, harden.ErrByHand):
		fmt.Fprintf(p.io.Out, "\nThe change is made and not kept yet: this machine goes back by itself in %v.\nLog in anew from elsewhere, and if that works type there: %s\n", opt.within, p.typedAsRoot("confirm "+done.ID))
		return nil
	case errors.Is(err, harden.ErrRefused):
		return withCode(ExitRefused, err)
	case errors.Is(err, harden.ErrRolledBack):
		return withCode(ExitRolledBack, err)
	case errors.Is(err, harden.ErrNotUndone):
		return withCode(ExitNotUndone, err)
	case err != nil:
		return err
	}
	for _, c := range slices.Sorted(maps.Keys(done.Left)) {
		fmt.Fprintf(p.io.Out, "\nnot done: %s: it was tried and taken back: %s\n", c, ui.Clean(done.Left[c]))
	}
	fmt.Fprintf(p.io.Out, "\n%s: done and kept as %s. To take it back: %s\n", target, done.ID, p.typed(strings.TrimSpace("rollback "+done.ID+" "+target)))
	return nil
}

// leaves says why a finding is not touched: what it could cost was not accepted.
func (o applyOptions) leaves(c control.Control) string {
	for _, r := range c.Risk {
		if !slices.Contains(o.risks, r) {
			return "its risk was not accepted: --accept-risk " + r
		}
	}
	return ""
}

// changed is the host that apply changes.
type changed struct {
	p      *program
	target string
	opt    applyOptions
	// judge takes a snapshot and judges it; what it returns besides plans as often as wanted, with files as they are.
	judge func(ctx context.Context, without map[string]string) (audit.Report, func(raw map[string][]byte) plan.Plan, error)
	shell shell.Shell // nil until connect
}

// connect logs in, once.
func (h *changed) connect(ctx context.Context) (err error) {
	if h.shell == nil {
		h.shell, err = h.p.rootShell(ctx, h.target, h.opt.ssh)
	}
	return err
}

func (h *changed) close() {
	if h.shell != nil {
		h.shell.Close()
	}
}

// Shell implements harden.Host.
func (h *changed) Shell() shell.Shell { return h.shell }

// Fresh implements harden.Host.
func (h *changed) Fresh(ctx context.Context) (shell.Shell, error) {
	if h.target == "local" {
		return nil, harden.ErrByHand
	}
	return h.p.rootShell(ctx, h.target, h.opt.ssh)
}

// Judge implements harden.Host.
func (h *changed) Judge(ctx context.Context) (audit.Report, plan.Plan, error) {
	r, again, err := h.judge(ctx, nil)
	if err != nil {
		return r, plan.Plan{}, err
	}
	return r, again(nil), nil
}

// Plan implements harden.Host.
func (h *changed) Plan(ctx context.Context, without map[string]string) (plan.Plan, error) {
	_, again, err := h.judge(ctx, without)
	if err != nil {
		return plan.Plan{}, err
	}
	made := again(nil)
	if len(made.Wanted()) == 0 {
		return made, nil
	}
	if err := h.connect(ctx); err != nil {
		return made, err
	}
	return harden.Anew(ctx, h.shell, made, again)
}

// rootShell is a shell of root on a target.
func (p *program) rootShell(ctx context.Context, target string, opt sshOptions) (shell.Shell, error) {
	if target == "local" {
		return shell.Local(), nil
	}
	c, t, password, err := p.dial(ctx, target, opt, nil)
	if err != nil {
		return nil, err
	}
	return shell.SSH(c, t.User, password), nil
}
