package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"picket/internal/core/audit"
	"picket/internal/core/snap"
	"picket/internal/host/snapshot"
	"picket/internal/ui"
)

func (p *program) snapshotCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "snapshot",
		Short: "read this machine, and write what picket audit --save keeps to standard output",
		Long: `Reads this machine as picket audit does, and writes the snapshot to standard output, without
a verdict and without any secret. It reads no settings, no arguments and no input, so that a
key may be limited to it: picket keys audit-only does that.`,
		Example: `  sudo picket snapshot > this.snapshot
  ssh -i audit_key auditor@leader > leader.snapshot && picket audit leader.snapshot`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return withHint(usage(errors.New("it reads this machine, and takes no argument")), "`picket audit TARGET --save FILE` reads another")
			}
			return p.takeSnapshot(cmd.Context())
		},
	}
}

func (p *program) takeSnapshot(ctx context.Context) error {
	if ui.Terminal(p.io.Out) {
		return withHint(usage(errors.New("a snapshot is no text for a terminal")), "`picket snapshot > FILE`")
	}
	controls, _, err := builtIn()
	if err != nil {
		return err
	}
	ask := func(s *snap.Snapshot) snap.Manifest { return audit.Ask(controls, s) }
	shot, err := p.take(ctx, "local", sshOptions{}, ask, takeOptions{guess: snapshot.DefaultGuess})
	if err != nil {
		return err
	}
	return snapshot.Save(p.io.Out, shot)
}
