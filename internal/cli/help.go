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
		switch {
		case f.Value.Type() == "bool" || value == "":
		case f.NoOptDefVal != "": // it may stand alone
			left += "[=" + value + "]"
		default:
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

// help replaces cobra's own commands for help and completion: they take a
// misspelt word for none.
func (p *program) help(root *cobra.Command) {
	root.SetHelpCommand(&cobra.Command{
		Use: "help [COMMAND]", Short: "say more about a command", Hidden: true,
		RunE: func(_ *cobra.Command, words []string) error {
			c, rest, err := root.Find(words)
			if err == nil {
				err = noArguments(c, rest)
			}
			if err != nil {
				return err
			}
			return c.Help()
		},
	})
	root.InitDefaultCompletionCmd("complete")
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			c.Short = "let the shell complete commands and controls"
			c.Long = c.Short + "; `picket completion bash --help` says how"
			c.Args = noArguments
			c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
		}
	}
}

// progressTo is where progress is shown: a terminal that cannot take a line
// back would get one below the other.
func (p *program) progressTo() io.Writer {
	if p.getenv("TERM") == "dumb" {
		return io.Discard
	}
	return p.io.Err
}

// completeAudit names the values of audit's flags to the shell.
func completeAudit(cmd *cobra.Command) {
	for flag, words := range map[string][]string{
		"profile": {"baseline", "recommended", "strict"},
		"fail-on": {"low", "medium", "high", "critical", "none"},
	} {
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	}
	for _, flag := range []string{"only", "skip"} {
		_ = cmd.RegisterFlagCompletionFunc(flag, completeControls)
	}
}

// completeControls names the controls that begin with a word to the shell.
func completeControls(_ *cobra.Command, _ []string, start string) ([]string, cobra.ShellCompDirective) {
	all, _, _ := builtIn()
	var ids []string
	for _, c := range all {
		if strings.HasPrefix(c.ID, start) {
			ids = append(ids, c.ID)
		}
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
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
	if audit, _, e := cmd.Find([]string{"audit"}); near == "" && e == nil && audit.Flags().Lookup(given) != nil {
		return withHint(usage(err), "did you mean `"+audit.CommandPath()+" --"+given+"`? "+see)
	}
	if near == "" {
		return withHint(usage(err), see)
	}
	return withHint(usage(err), "did you mean --"+near+"? "+see)
}
