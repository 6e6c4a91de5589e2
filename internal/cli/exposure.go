package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"picket/internal/core/audit"
	"picket/internal/core/fact"
	"picket/internal/report"
	"picket/internal/ui"
)

func (p *program) exposureCommand() *cobra.Command {
	var opt exposureOptions
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

With --from the nodes that it names really connect to the TCP ports of the others,
each once, and only to hosts of picket.yaml; what comes of it stands beside what
the rules say. That one is reached which the rules should keep shut ends with 1.

` + otherHelp,
		Example: `  sudo picket exposure
  picket exposure ssh://pi@leader
  picket exposure all --from worker1           # and what worker1 really reaches
  picket exposure ssh://pi@leader --output json:leader-ports.json`,
		RunE: func(cmd *cobra.Command, args []string) error { return p.exposure(cmd.Context(), args, opt) },
	}
	cmd.Flags().StringSliceVar(&opt.from, "from", nil, "have these `NODE`s, or groups of them, connect to the targets' ports")
	cmd.Flags().StringArrayVarP(&opt.outputs, "output", "o", nil, "`FORMAT[:FILE]`, may be repeated: text, json (default text)")
	opt.ssh.flags(cmd.Flags())
	opt.many.flags(cmd.Flags(), 10*time.Minute)
	return cmd
}

type exposureOptions struct {
	outputs []string
	from    []string
	ssh     sshOptions
	many    manyOptions
}

func (p *program) exposure(ctx context.Context, targets []string, opt exposureOptions) error {
	if err := errors.Join(opt.ssh.check(), opt.many.check()); err != nil {
		return err
	}
	outputs, err := textOrJSON(opt.outputs, "exposure")
	if err != nil {
		return err
	}
	if targets, err = p.targets(targets); err != nil {
		return err
	}
	for _, t := range targets {
		if err := p.checkTarget(t); err != nil {
			return err
		}
	}
	from, err := p.sources(opt.from, targets)
	if err != nil {
		return err
	}
	take := func(ctx context.Context, target string, tell ui.Teller) (*audit.Exposure, error) {
		shot, err := p.take(ctx, target, opt.ssh, fact.AskExposure, takeOptions{tell: tell})
		if err != nil {
			return nil, err
		}
		e := audit.Exposes(shot, Version)
		return &e, nil
	}
	var read []*audit.Exposure
	errs := make([]error, 1)
	if len(targets) == 1 {
		var e *audit.Exposure
		e, errs[0] = take(ctx, targets[0], nil)
		read = []*audit.Exposure{e}
	} else {
		read, errs = many(ctx, p, targets, opt.many, take, func(e *audit.Exposure) string { return counted(len(e.Ports), "port") })
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var unread []error
	by := map[string]*audit.Exposure{}
	for i, err := range errs {
		if err != nil {
			unread = append(unread, named(targets[i], err))
		} else {
			by[targets[i]] = read[i]
		}
	}
	if len(from) > 0 && len(by) > 0 {
		fmt.Fprintln(p.io.Err, "what is really reached:")
		unread = append(unread, p.tryFrom(ctx, from, by, opt.ssh, opt.many)...)
	}
	var found []audit.Exposure
	for i := range targets {
		if errs[i] == nil {
			found = append(found, *read[i])
		}
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
		return allOf(unread)
	case len(unread) > 0:
		p.fail(allOf(unread))
		return errPartial
	}
	if slices.ContainsFunc(found, audit.Exposure.Contradicted) {
		return errFindings
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
