package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"picket/internal/core/audit"
	"picket/internal/core/fact"
	"picket/internal/report"
	"picket/internal/ui"
)

func (p *program) exposureCommand() *cobra.Command {
	var outputs []string
	var ssh sshOptions
	cmd := &cobra.Command{
		Use:   "exposure [TARGET…]",
		Short: "every open port, and from where it can be reached",
		Long: `Lists what listens on a host, who holds it, and from where the kernel's rules
let it be reached: this host, its networks, or anywhere. Each answer names the
rule that decided. It does not matter who wrote the rules: nft, iptables, ufw
and Docker's are read as the kernel has them, ports that are led on to
containers included.

Nothing is sent to the ports; the rules are read and followed. "Anywhere" is as
far as the host's own rules say: a router before it may refuse more.

` + otherHelp,
		Example: `  sudo picket exposure
  picket exposure ssh://pi@leader
  picket exposure ssh://pi@leader --output json:leader-ports.json`,
		RunE: func(cmd *cobra.Command, args []string) error { return p.exposure(cmd.Context(), args, outputs, ssh) },
	}
	cmd.Flags().StringArrayVarP(&outputs, "output", "o", nil, "`FORMAT[:FILE]`, may be repeated: text, json (default text)")
	ssh.flags(cmd.Flags())
	return cmd
}

func (p *program) exposure(ctx context.Context, targets, wanted []string, ssh sshOptions) error {
	if err := ssh.check(); err != nil {
		return err
	}
	outputs, err := textOrJSON(wanted, "exposure")
	if err != nil {
		return err
	}
	if len(targets) == 0 {
		targets = []string{"local"}
	}
	for _, t := range targets {
		if err := checkTarget(t); err != nil {
			return err
		}
	}
	var found []audit.Exposure
	var unread []error
	for _, target := range targets {
		shot, err := p.take(ctx, target, ssh, fact.AskExposure, takeOptions{})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			unread = append(unread, err)
			continue
		}
		found = append(found, audit.Exposes(shot, Version))
	}
	if len(found) > 0 {
		for _, out := range outputs {
			err := p.emit(out, func(w io.Writer, style ui.Style) error {
				return p.renderExposure(w, out.format, found, len(targets) > 1, style)
			})
			if err != nil {
				return err
			}
		}
	}
	switch {
	case len(unread) > 0 && len(found) == 0:
		return errors.Join(unread...)
	case len(unread) > 0:
		p.fail(errors.Join(unread...))
		return errPartial
	}
	for _, e := range found {
		if e.Unknown != "" {
			return errPartial
		}
		for _, port := range e.Ports {
			if port.Network.Reached == "unknown" || port.Anywhere.Reached == "unknown" {
				return errPartial
			}
		}
	}
	return nil
}

func (p *program) renderExposure(w io.Writer, format string, found []audit.Exposure, several bool, style ui.Style) error {
	if format == "json" {
		return report.ExposureJSON(w, found, several)
	}
	for i, e := range found {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := (report.Exposure{Width: p.width(), Style: style}).Write(w, e); err != nil {
			return err
		}
	}
	return nil
}
