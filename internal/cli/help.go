package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"picket/internal/core/yaml"
	"picket/internal/ui"
)

// width is how wide text for a person may be: long lines are hard to read.
func (p *program) width() int { return min(ui.Width(p.io.Out, p.getenv), 100) }

// usage writes what stands below a command's description in its help. Cobra's
// own neither wraps nor leaves out that a switch may be given =true.
func (p *program) usage(c *cobra.Command) error {
	var b strings.Builder
	b.WriteString("Usage:\n")
	if c.Runnable() && (!c.HasAvailableSubCommands() || !c.HasParent()) {
		fmt.Fprintf(&b, "  %s\n", c.UseLine())
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "  %s COMMAND\n", c.CommandPath())
	}
	if c.HasExample() {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", c.Example)
	}
	if c.HasAvailableSubCommands() {
		b.WriteString("\nCommands:\n")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(&b, "  %-10s  %s\n", sub.Name(), ui.Wrap(sub.Short, p.width(), strings.Repeat(" ", 14)))
			}
		}
	}
	p.flagUsages(&b, "Flags", c.LocalFlags())
	p.flagUsages(&b, "Flags of every command", c.InheritedFlags())
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\n`%s COMMAND --help` says more about a command.\n", c.CommandPath())
	}
	_, err := io.WriteString(c.OutOrStderr(), b.String())
	return err
}

func (p *program) flagUsages(b *strings.Builder, title string, flags *pflag.FlagSet) {
	type line struct{ left, text string }
	var lines []line
	width := 0
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, text := pflag.UnquoteUsage(f)
		left := "    --" + f.Name
		if f.Shorthand != "" {
			left = "-" + f.Shorthand + ", --" + f.Name
		}
		if f.Value.Type() != "bool" && value != "" {
			left += " " + value
		}
		lines = append(lines, line{left, text})
		width = max(width, len(left))
	})
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s:\n", title)
	for _, l := range lines {
		fmt.Fprintf(b, "  %-*s  %s\n", width, l.left, ui.Wrap(l.text, p.width(), strings.Repeat(" ", width+4)))
	}
}

// flagError says which flag was probably meant.
func flagError(cmd *cobra.Command, err error) error {
	see := "see `" + cmd.CommandPath() + " --help`"
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || unknown.GetSpecifiedShortnames() != "" {
		return withHint(usage(err), see)
	}
	given := unknown.GetSpecifiedName()
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	near := yaml.Nearest(given, names)
	for _, n := range names {
		if len(given) > 1 && strings.HasPrefix(n, given) {
			near = n
		}
	}
	if near == "" {
		return withHint(usage(err), see)
	}
	return withHint(usage(err), "did you mean --"+near+"? "+see)
}
