package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"picket/internal/core/audit"
	"picket/internal/report"
)

// maxStored bounds a report that is read again: one of a thousand hosts is
// some 200 MB.
const maxStored = 256 << 20

func (p *program) reportCommand() *cobra.Command {
	var opt auditOptions
	cmd := &cobra.Command{
		Use:   "report FILE",
		Short: "write a stored report again, in another format",
		Long: `Reads what picket audit --output json has written, and writes it in any other
format. Nothing is judged anew. A - stands for standard input.

` + otherHelp,
		Example: `  picket report leader.json
  picket report leader.json --output html:leader.html --output csv:leader.csv
  picket audit ssh://pi@leader --output json | picket report - --output markdown`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(fmt.Errorf("want one file, found %d", len(args)))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return p.report(args[0], opt) },
	}
	cmd.Flags().StringArrayVarP(&opt.outputs, "output", "o", nil, "`FORMAT[:FILE]`, may be repeated: "+strings.Join(report.Names(), ", ")+" (default text)")
	cmd.Flags().BoolVar(&opt.all, "all", false, "also show what passes and what does not apply")
	return cmd
}

func (p *program) report(file string, opt auditOptions) error {
	outputs, err := parseOutputs(opt.outputs)
	if err != nil {
		return err
	}
	reports, err := p.stored(file)
	if err != nil {
		return err
	}
	controls, _, err := builtIn() // those of somebody's own may be another's than the report's
	if err != nil {
		return err
	}
	opt.fixes = fixesOf(controls)
	var unwritten []error
	for _, out := range outputs {
		if len(reports) > 1 && !report.Several(out.format) {
			return withHint(usage(fmt.Errorf("%s holds %d reports, and --output %s takes one", file, len(reports), out.format)), "text and json take several")
		}
		if err := p.write(out, reports, len(reports) > 1, opt); err != nil {
			unwritten = append(unwritten, err)
		}
	}
	return errors.Join(unwritten...)
}

// stored reads reports from a file, or from standard input.
func (p *program) stored(file string) ([]audit.Report, error) {
	in, name := p.io.In, "standard input"
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, withHint(usage(fmt.Errorf("read a report: %w", err)), "a report is written by `picket audit --output json:FILE`")
		}
		defer f.Close()
		in, name = f, file
	}
	data, err := io.ReadAll(io.LimitReader(in, maxStored+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", name, err)
	case len(data) > maxStored:
		return nil, usage(fmt.Errorf("%s is larger than %d MB", name, maxStored>>20))
	}
	reports, err := audit.ReadReports(data)
	if err != nil {
		return nil, withHint(usage(fmt.Errorf("%s is no report: %w", name, err)), "a report is written by `picket audit --output json:FILE`")
	}
	return reports, nil
}
