package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"picket/internal/core/audit"
	"picket/internal/core/yaml"
	"picket/internal/report"
	"picket/internal/ui"
)

// An output is one --output.
type output struct {
	format string
	file   string // "" is standard output
}

func parseOutputs(args []string) ([]output, error) {
	if len(args) == 0 {
		return []output{{format: "text"}}, nil
	}
	var out []output
	stdout := 0
	for _, a := range args {
		format, file, named := strings.Cut(a, ":")
		if named && file == "" {
			return nil, withHint(usage(fmt.Errorf("--output %s names no file", a)), "leave the colon out for standard output, or type "+format+":report."+format)
		}
		if !slices.Contains(report.Names(), format) {
			if f, rest, ok := strings.Cut(a, "="); ok && slices.Contains(report.Names(), f) {
				return nil, withHint(usage(fmt.Errorf("--output %s: a colon stands before the file", a)), "did you mean "+f+":"+rest+"?")
			}
			err := usage(fmt.Errorf("--output %s: unknown format %q; one of: %s", a, format, strings.Join(report.Names(), ", ")))
			if near := yaml.Nearest(format, report.Names()); near != "" {
				err = withHint(err, "did you mean "+near+"?")
			}
			return nil, err
		}
		if file == "" {
			stdout++
		} else if err := canWrite("--output "+format, file, "report."+format, true); err != nil {
			return nil, err
		}
		out = append(out, output{format, file})
	}
	if stdout > 1 {
		return nil, usage(fmt.Errorf("only one --output can go to standard output; give the others a file, as %s:FILE", out[1].format))
	}
	return out, nil
}

// write renders all reports in one format. Several is whether several targets
// were asked for: the form of JSON must not depend on how many could be read.
func (p *program) write(out output, reports []audit.Report, several bool, opt auditOptions) error {
	return p.emit(out, func(w io.Writer, style ui.Style) error { return p.render(w, out.format, reports, several, opt, style) })
}

// emit renders into standard output, or into the file of an --output, whole or
// not at all.
func (p *program) emit(out output, render func(io.Writer, ui.Style) error) error {
	if out.file == "" {
		return render(p.io.Out, p.style)
	}
	if err := writeFile(out.file, func(w io.Writer) error { return render(w, ui.Style{}) }); err != nil {
		return fmt.Errorf("--output %s: %w", out.format, err)
	}
	fmt.Fprintf(p.io.Err, "wrote %s\n", out.file)
	return nil
}

// textOrJSON are the outputs of a command that has no other formats; what says
// of what.
func textOrJSON(args []string, what string) ([]output, error) {
	return formats(args, what, "text", "json")
}

// formats are the outputs of a command that has only these; what says of what.
func formats(args []string, what string, has ...string) ([]output, error) {
	outputs, err := parseOutputs(args)
	if err != nil {
		return nil, err
	}
	for _, out := range outputs {
		if !slices.Contains(has, out.format) {
			last := len(has) - 1
			return nil, usage(fmt.Errorf("--output %s: %s is written as %s or %s", out.format, what, strings.Join(has[:last], ", "), has[last]))
		}
	}
	return outputs, nil
}

func (p *program) render(w io.Writer, format string, reports []audit.Report, several bool, opt auditOptions, style ui.Style) error {
	if format == "text" {
		whole := func(r audit.Report) error {
			t := report.Text{Width: p.width(), Style: style, All: opt.all, Fixes: opt.all || len(opt.only) > 0, Name: p.typed(""), Next: p.afterAudit(r, false, opt), Apply: p.applies(r, opt)}
			return t.Write(w, r)
		}
		if opt.drift != nil {
			return opt.drift.write(w, reports, p.width(), style, whole)
		}
		for i, r := range reports {
			if i > 0 {
				fmt.Fprintln(w)
			}
			if err := whole(r); err != nil {
				return err
			}
		}
		return nil
	}
	if format == "html" {
		return report.Page{Next: p.afterAudit(reports[0], false, opt), Apply: p.applies(reports[0], opt)}.Write(w, reports[0])
	}
	if format == "json" && several {
		return report.JSONArray(w, reports)
	}
	for _, f := range report.Formats() {
		if f.Name == format {
			return f.Func(w, reports[0])
		}
	}
	panic("format " + format + " was checked before")
}
