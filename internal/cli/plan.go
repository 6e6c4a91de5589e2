package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"picket/internal/core/audit"
	"picket/internal/core/plan"
	"picket/internal/host/snapshot"
	"picket/internal/report"
	"picket/internal/ui"
)

func (p *program) planCommand() *cobra.Command {
	opt := auditOptions{guess: snapshot.DefaultGuess}
	var script bool
	cmd := &cobra.Command{
		Use:   "plan [TARGET]",
		Short: "what would be changed on a host, as a diff; nothing is changed",
		Long: `Reads a host, judges it as audit does, and works out what would make it right:
each finding with the change of each file as a diff, what is installed, started
and loaded, and what it could cost. What a machine cannot change, or where that
is yours to decide, is listed with the reason.

Nothing is changed on the host. Own settings go into files of their own, such as
/etc/ssh/sshd_config.d/00-picket.conf; the files of others stay as they are
wherever that is possible.

` + otherHelp,
		Example: `  sudo picket plan
  picket plan ssh://pi@leader --only ssh
  picket plan leader.snapshot --profile strict --script`,
		Args: oneTarget,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.plan(cmd.Context(), targetOf(args), opt, script)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opt.profile, "profile", "", "which controls to judge: the `NAME` of a profile (default "+DefaultProfile+")")
	f.StringSliceVar(&opt.only, "only", nil, "only these controls: `ID`s, topics or patterns, as ssh or */root-*")
	f.StringSliceVar(&opt.skip, "skip", nil, "leave these controls out: `ID`s, topics or patterns")
	f.BoolVar(&script, "script", false, "print the steps as a host would run them")
	f.DurationVar(&opt.guess, "guess-time", snapshot.DefaultGuess, "how long passwords are tried, `TIME` after all else has been read")
	opt.ssh.flags(f)
	return cmd
}

func (p *program) plan(ctx context.Context, target string, opt auditOptions, script bool) error {
	s, err := p.settings()
	if err != nil {
		return err
	}
	controls, profile, err := p.chosen(opt, s)
	if err != nil {
		return err
	}
	if err := errors.Join(opt.ssh.check(), checkTarget(target)); err != nil {
		return err
	}
	if opt.guess <= 0 {
		return usage(fmt.Errorf("--guess-time %v: want a time above zero", opt.guess))
	}
	shot, err := p.snapshot(ctx, target, controls, opt, nil)
	if err != nil {
		return err
	}
	r := audit.Evaluate(controls, shot, audit.Options{Version: Version, Profile: profile, Now: p.now(), Waivers: s.Policy.Audit()})
	made := plan.Make(controls, shot, r, plan.Options{})
	if script {
		folder, err := plan.Compile(made.Steps)
		if err != nil {
			return err
		}
		_, err = p.io.Out.Write(folder["plan"])
		return err
	}
	return p.emit(output{format: "text"}, func(w io.Writer, style ui.Style) error {
		return report.Plan{Width: p.width(), Style: style}.Write(w, made)
	})
}
