package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"picket/internal/core/audit"
	"picket/internal/core/plan"
	"picket/internal/core/snap"
	"picket/internal/host/snapshot"
	"picket/internal/report"
	"picket/internal/ui"
)

type planOptions struct {
	auditOptions
	script bool
}

func (p *program) planCommand() *cobra.Command {
	opt := planOptions{auditOptions: auditOptions{guess: snapshot.DefaultGuess}}
	cmd := &cobra.Command{
		Use:   "plan [TARGET…]",
		Short: "what would be changed on a host, as a diff; nothing is changed",
		Long: `Reads a host, judges it as audit does, and works out what would make it right:
each finding with the change of each file as a diff, what is installed, started
and loaded, and what it could cost. What a machine cannot change, or where that
is yours to decide, is listed with the reason.

Nothing is changed on the host. Own settings go into files of their own, such as
/etc/ssh/sshd_config.d/00-picket.conf; the files of others stay as they are
wherever that is possible.

Of several hosts, or a group of picket.yaml, or all, each finding is shown once, with
the hosts on which it would be mended.

With --save the plan is kept in a file: others can review it (picket plan FILE),
and picket apply FILE does just that, or refuses if the host has changed since.

` + otherHelp,
		Example: `  sudo picket plan
  picket plan ssh://pi@leader --only ssh
  picket plan all
  picket plan ssh://pi@leader --save leader.plan
  picket plan leader.plan --output markdown
  picket plan leader.snapshot --profile strict --script`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch targets, several, err := p.severalTargets(args); {
			case err != nil:
				return err
			case several:
				return p.planMany(cmd.Context(), args, targets, opt)
			}
			return p.plan(cmd.Context(), targetOf(args), opt)
		},
	}
	f := cmd.Flags()
	opt.choosing(cmd)
	f.BoolVar(&opt.script, "script", false, "print the steps as a host would run them")
	f.StringVar(&opt.save, "save", "", "keep the plan in this `FILE`, to be reviewed, and applied by picket apply FILE")
	f.StringArrayVarP(&opt.outputs, "output", "o", nil, "`FORMAT[:FILE]`, may be repeated: text, json (docs/plan.schema.json), markdown (default text)")
	f.DurationVar(&opt.guess, "guess-time", snapshot.DefaultGuess, "how long passwords are tried, `TIME` after all else has been read")
	opt.ssh.flags(f)
	opt.many.flags(f, 10*time.Minute)
	return cmd
}

// choosing adds the flags of plan and apply that say which findings it is about.
func (o *auditOptions) choosing(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.profile, "profile", "", "which controls to judge: the `NAME` of a profile (default "+DefaultProfile+")")
	f.StringSliceVar(&o.only, "only", nil, "only these controls: `ID`s, topics or patterns, as ssh or */root-*")
	f.StringSliceVar(&o.skip, "skip", nil, "leave these controls out: `ID`s, topics or patterns")
	completeAudit(cmd)
}

// chosen are those flags as they were typed.
func (o auditOptions) chosenAs() (out string) {
	for _, s := range []struct{ flag, value string }{{"--profile", o.profile}, {"--only", strings.Join(o.only, ",")}, {"--skip", strings.Join(o.skip, ",")}} {
		if s.value != "" {
			out += " " + s.flag + " " + snap.CommandKey(s.value)
		}
	}
	return out
}

func (p *program) plan(ctx context.Context, target string, opt planOptions) error {
	outputs, err := formats(opt.outputs, "a plan", "text", "json", "markdown")
	if err != nil {
		return err
	}
	if opt.script && len(opt.outputs) > 0 {
		return usage(errors.New("--script is a form of its own: leave --output out"))
	}
	if opt.guess <= 0 {
		return usage(fmt.Errorf("--guess-time %v: want a time above zero", opt.guess))
	}
	if opt.save != "" {
		if err := canWrite("--save", opt.save, "host.plan", false); err != nil {
			return err
		}
	}
	saved, kept, err := p.savedPlan(target)
	if err != nil {
		return err
	}
	if kept {
		if opt.chosenAs() != "" || opt.save != "" {
			return withHint(usage(fmt.Errorf("%s is a plan that was made before: --profile, --only, --skip and --save are for a new one", target)), "name the host")
		}
	} else if saved, err = p.newPlan(ctx, target, opt, nil); err != nil {
		return err
	}
	if opt.script {
		folder, err := plan.Compile(saved.Plan.Steps)
		if err != nil {
			return err
		}
		_, err = p.io.Out.Write(folder["plan"])
		return err
	}
	if opt.save != "" {
		if err := p.savePlan(opt.save, saved); err != nil {
			return err
		}
	}
	var unwritten []error
	for _, out := range outputs {
		unwritten = append(unwritten, p.emit(out, func(w io.Writer, style ui.Style) error {
			switch out.format {
			case "json":
				data, err := saved.Encode()
				if err == nil {
					_, err = w.Write(data)
				}
				return err
			case "markdown":
				return report.PlanMarkdown(w, saved)
			}
			return report.Plan{Width: p.width(), Style: style, Name: p.typed(""), Next: p.afterPlan(target, kept, saved.Plan, opt)}.Write(w, saved.Plan)
		}))
	}
	return errors.Join(unwritten...)
}

// planMany shows what would be changed on several hosts.
func (p *program) planMany(ctx context.Context, words, targets []string, opt planOptions) error {
	for flag, given := range map[string]bool{"--save": opt.save != "", "--script": opt.script, "--output": len(opt.outputs) > 0} {
		if given {
			return withHint(usage(fmt.Errorf("%s takes one target at a time", flag)), "`"+p.typed("plan "+snap.CommandKey(targets[0]))+" …` is about one of them")
		}
	}
	if err := opt.many.check(); err != nil {
		return err
	}
	if opt.guess <= 0 {
		return usage(fmt.Errorf("--guess-time %v: want a time above zero", opt.guess))
	}
	for _, t := range targets {
		if err := p.checkTarget(t); err != nil {
			return err
		}
	}
	saved, errs := many(ctx, p, targets, opt.many, func(ctx context.Context, target string, tell ui.Teller) (plan.Saved, error) {
		return p.newPlan(ctx, target, opt, tell)
	}, func(s plan.Saved) string { return report.PlanLine(s.Plan) })
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var names []string
	var plans []plan.Plan
	var unread []error
	steps := 0
	for i, err := range errs {
		if err != nil {
			unread = append(unread, named(targets[i], err))
			continue
		}
		names, plans, steps = append(names, targets[i]), append(plans, saved[i].Plan), steps+len(saved[i].Plan.Steps)
	}
	if len(plans) > 0 {
		fmt.Fprintln(p.io.Out)
		if err := (report.Plans{Width: p.width(), Style: p.style, Show: func(host string) string { return p.typed("plan " + snap.CommandKey(host) + opt.chosenAs()) }}).Write(p.io.Out, names, plans); err != nil {
			return err
		}
	}
	if steps > 0 {
		fmt.Fprintf(p.io.Out, "to change them: %s\n", p.typed("apply "+strings.Join(words, " ")+opt.chosenAs()))
	}
	switch len(unread) {
	case 0:
		return nil
	case 1:
		return unread[0]
	}
	return &several{unread}
}

// newPlan reads a host and plans.
func (p *program) newPlan(ctx context.Context, target string, opt planOptions, tell ui.Teller) (plan.Saved, error) {
	s, err := p.settings()
	if err != nil {
		return plan.Saved{}, err
	}
	controls, profile, err := p.chosen(opt.auditOptions, s)
	if err != nil {
		return plan.Saved{}, err
	}
	if err := errors.Join(opt.ssh.check(), p.checkTarget(target)); err != nil {
		return plan.Saved{}, err
	}
	shot, err := p.snapshot(ctx, target, controls, opt.auditOptions, nil, tell)
	if err != nil {
		return plan.Saved{}, err
	}
	r := audit.Evaluate(controls, shot, audit.Options{Version: Version, Profile: profile, Now: p.now(), Waivers: s.Policy.Audit()})
	return plan.Saved{
		Picket: Version, Made: p.now(), Taken: shot.Taken, Profile: profile, Policy: s.Policy.Change(), Identity: plan.IdentityOf(shot),
		Plan: plan.Make(controls, shot, r, plan.Options{Policy: s.Policy.Change(), Card: shot.Source.Kind == "image"}),
	}, nil
}

// savePlan keeps a plan in a file that only its owner can read.
func (p *program) savePlan(file string, saved plan.Saved) error {
	if saved.Identity.Empty() {
		return fmt.Errorf("--save %s: %s shows nothing to know it by, neither /etc/machine-id nor SSH host keys: its plan cannot be kept", file, saved.Plan.Host.Name)
	}
	data, err := saved.Encode()
	if err == nil {
		err = replacePrivate(file, data)
	}
	if err != nil {
		return fmt.Errorf("--save: %w", err)
	}
	fmt.Fprintf(p.io.Err, "wrote %s\n", file)
	return nil
}

// afterPlan is what to type after a plan.
func (p *program) afterPlan(target string, kept bool, made plan.Plan, opt planOptions) []report.Hint {
	live := target == "local" || p.isSSH(target)
	if !made.Host.Root && target == "local" && len(made.Unknown) > 0 {
		return []report.Hint{{Command: p.typedAsRoot("plan" + opt.chosenAs()), Does: "as root: all of it"}}
	}
	if len(made.Steps) == 0 {
		return nil
	}
	const does = "asks first; goes back unless it holds"
	where := made.Host.Target
	switch {
	case kept || opt.save != "":
		file, as := target, p.typed
		if !kept {
			file = opt.save
		}
		if where == "local" {
			as = p.typedAsRoot
		}
		return []report.Hint{{Command: as("apply " + snap.CommandKey(file)), Does: does}}
	case target == "local":
		return []report.Hint{{Command: p.typedAsRoot("apply" + opt.chosenAs()), Does: does}}
	case live:
		return []report.Hint{{Command: p.typed("apply " + snap.CommandKey(target) + opt.chosenAs()), Does: does}}
	case strings.HasPrefix(where, "ssh://"): // a snapshot of it
		return []report.Hint{{Command: p.typed("apply " + snap.CommandKey(where) + opt.chosenAs()), Does: "reads the host anew"}}
	}
	return nil
}
