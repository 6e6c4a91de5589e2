package cli

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"picket/internal/core/audit"
	"picket/internal/report"
	"picket/internal/ui"
)

func (p *program) compareCommand() *cobra.Command {
	var opt auditOptions
	cmd := &cobra.Command{
		Use:   "compare BEFORE AFTER",
		Short: "what became worse and better between two reports or hosts",
		Long: `Compares two reports of one host, or two hosts. Each side is a report that was
written with --output json, or a target that is audited now: local, ssh://…,
image:DIR, or a saved snapshot.

Exit codes: 0 nothing became worse · 1 something did · 2 wrong usage or settings
· 3 a host could not be read · 130 interrupted`,
		Example: `  picket compare monday.json friday.json
  picket compare leader.json ssh://pi@leader
  picket compare ssh://pi@worker1 ssh://pi@worker2 --output json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return withHint(usage(fmt.Errorf("want two sides to compare, found %d", len(args))), "for example picket compare monday.json friday.json; `picket audit --output json:monday.json` writes one")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return p.compare(cmd.Context(), args, opt) },
	}
	f := cmd.Flags()
	f.StringArrayVarP(&opt.outputs, "output", "o", nil, "`FORMAT[:FILE]`, may be repeated: text, json (default text)")
	f.StringVar(&opt.profile, "profile", "", "by which profile targets are judged: its `NAME` (default "+DefaultProfile+")")
	opt.ssh.flags(f)
	return cmd
}

func (p *program) compare(ctx context.Context, sides []string, opt auditOptions) error {
	outputs, err := textOrJSON(opt.outputs, "a comparison")
	if err != nil {
		return err
	}
	var found []audit.Report
	for _, s := range sides {
		r, err := p.side(ctx, s, opt)
		if err != nil {
			return err
		}
		found = append(found, r)
	}
	c := audit.Compare(found[0], found[1])
	for _, out := range outputs {
		err := p.emit(out, func(w io.Writer, style ui.Style) error {
			if out.format == "json" {
				return report.CompareJSON(w, c)
			}
			return report.Compare{Width: p.width(), Style: style}.Write(w, c)
		})
		if err != nil {
			return err
		}
	}
	if len(c.Of(audit.Worse)) > 0 {
		return errFindings
	}
	return nil
}

// side is one report: stored, or of a target that is audited now.
func (p *program) side(ctx context.Context, what string, opt auditOptions) (audit.Report, error) {
	if what == "-" || strings.EqualFold(filepath.Ext(what), ".json") {
		rs, err := p.stored(what)
		if err == nil && len(rs) != 1 {
			err = usage(fmt.Errorf("%s holds %d reports, want one", what, len(rs)))
		}
		if err != nil {
			return audit.Report{}, err
		}
		return rs[0], nil
	}
	if err := p.checkTarget(what); err != nil {
		return audit.Report{}, err
	}
	if err := opt.ssh.check(); err != nil {
		return audit.Report{}, err
	}
	s, err := p.settings()
	if err != nil {
		return audit.Report{}, err
	}
	controls, profile, err := p.chosen(opt, s)
	if err != nil {
		return audit.Report{}, err
	}
	rs, err := p.judge(ctx, []string{what}, controls, profile, s, opt)
	if err != nil {
		return audit.Report{}, err
	}
	return rs[0], nil
}
