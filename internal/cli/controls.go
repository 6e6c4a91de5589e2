package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"picket/catalogue"
	"picket/internal/core/app"
	"picket/internal/core/audit"
	"picket/internal/core/cases"
	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/kind"
	"picket/internal/ui"
)

// builtIn loads the controls and profiles that are part of the program.
func builtIn() ([]control.Control, []control.Profile, error) {
	if _, problems := app.Load(catalogue.Apps()); len(problems) > 0 {
		return nil, nil, fmt.Errorf("the built-in applications are broken: %w", problems.Err())
	}
	all, problems := control.Load(catalogue.Controls(), kind.All())
	profiles, more := control.LoadProfiles(catalogue.Profiles(), all)
	if err := append(problems, more...).Err(); err != nil {
		return nil, nil, fmt.Errorf("the built-in catalogue is broken: %w", err)
	}
	return all, profiles, nil
}

// DefaultProfile is used where neither the settings nor the command line names one.
const DefaultProfile = "recommended"

func (p *program) controlsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:        "controls",
		Short:      "list the rules, or check rules that you wrote",
		SuggestFor: []string{"list", "check"},
		Args:       noArguments,
		RunE:       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var profile string
	list := &cobra.Command{
		Use:               "list [ID…]",
		Short:             "all controls with severity and title, or those of some topics",
		ValidArgsFunction: completeControls,
		Example:           "  picket controls list ssh\n  picket controls list --profile baseline\n  picket controls list '*/root-*'",
		RunE: func(cmd *cobra.Command, only []string) error {
			all, profiles, err := builtIn()
			if err != nil {
				return err
			}
			prof, err := control.Named(profiles, cmp.Or(profile, "strict"))
			if err != nil {
				return usage(err)
			}
			if _, err := control.Filter(all, only, nil); err != nil {
				return usage(err)
			}
			controls := prof.Select(all)
			if len(only) > 0 {
				controls = slices.DeleteFunc(controls, func(c control.Control) bool { return !control.Match(only, c.ID) })
			}
			var b strings.Builder
			width := 0
			for _, c := range controls {
				width = max(width, len(c.ID))
			}
			for _, c := range controls {
				fmt.Fprintf(&b, "%-*s  %-8s  %s\n", width, c.ID, c.Severity, c.Title)
			}
			if _, err := io.WriteString(p.io.Out, b.String()); err != nil {
				return err
			}
			fmt.Fprintf(p.io.Err, "%d controls\n", len(controls))
			return nil
		},
	}
	list.Flags().StringVar(&profile, "profile", "", "only the controls of the profile `NAME` (default: all)")
	check := &cobra.Command{
		Use:   "check [FILE…]",
		Short: "check control files and their cases; without files, that the built-in ones are well formed",
		Long: `Checks that each file is a valid control and that every case in the .txtar
beside it comes out as it says. All problems of all files are told at once.`,
		Example: "  picket controls check\n  picket controls check mine/door-sensor.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				all, _, err := builtIn()
				if err != nil {
					return err
				}
				fmt.Fprintf(p.io.Out, "%d built-in controls are well formed\n", len(all))
				return nil
			}
			return p.checkControls(args)
		},
	}
	cmd.AddCommand(list, check)
	return cmd
}

func (p *program) checkControls(files []string) error {
	var problems []error
	bad := 0
	for _, file := range files {
		found := p.checkControl(file)
		problems = append(problems, found...)
		bad += min(len(found), 1)
	}
	if err := errors.Join(problems...); err != nil {
		fmt.Fprintln(p.io.Out, ui.Clean(err.Error()))
		return usage(fmt.Errorf("problems: %d, in %d of the files named", len(problems), bad))
	}
	return nil
}

func (p *program) checkControl(file string) []error {
	data, err := os.ReadFile(file)
	switch info, _ := os.Stat(file); {
	case errors.Is(err, os.ErrNotExist):
		return []error{fmt.Errorf("%s: there is no such file", file)}
	case info != nil && info.IsDir():
		return []error{fmt.Errorf("%s is a folder: name the files, as %s", file, filepath.Join(file, "*.yaml"))}
	case err != nil:
		return []error{err}
	}
	name := strings.TrimSuffix(filepath.Base(file), ".yaml")
	c, ps := control.Parse(file, "local/"+name, data, kind.All())
	if len(ps) > 0 {
		var out []error
		for _, p := range ps {
			out = append(out, p)
		}
		return out
	}
	casesFile := strings.TrimSuffix(file, ".yaml") + ".txtar"
	data, err = os.ReadFile(casesFile)
	if errors.Is(err, os.ErrNotExist) {
		fmt.Fprintf(p.io.Out, "%s: well formed; no cases (%s)\n", file, casesFile)
		return nil
	}
	if err != nil {
		return []error{err}
	}
	list, err := cases.Parse(data)
	if err != nil {
		return []error{fmt.Errorf("%s: %w", casesFile, err)}
	}
	var out []error
	for _, tc := range list {
		for _, d := range tc.Check(audit.Outcome(c, fact.Parse(tc.Snapshot))) {
			out = append(out, fmt.Errorf("%s: case %q: %s", casesFile, tc.Name, d))
		}
	}
	if len(out) == 0 {
		fmt.Fprintf(p.io.Out, "%s: well formed; %d cases come out as they say\n", file, len(list))
	}
	return out
}
