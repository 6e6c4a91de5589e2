package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"picket/internal/core/audit"
	"picket/internal/core/cases"
	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/kind"
	"picket/internal/ui"
)

// byNumber orders the numbers of a benchmark: 1.9 before 1.10.
func byNumber(a, b string) int {
	number := func(s string) (out []int) {
		for _, f := range strings.Split(s, ".") {
			n, _ := strconv.Atoi(f)
			out = append(out, n)
		}
		return out
	}
	return slices.Compare(number(a), number(b))
}

// DefaultProfile is used where neither the settings nor the command line names one.
const DefaultProfile = "recommended"

func (p *program) controlsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:        "controls",
		Short:      "list the rules, or check rules that you wrote",
		SuggestFor: []string{"list", "check", "new"},
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
			all, profiles, err := p.catalogue()
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
			if left := prof.Benchmark.NotCovered; len(left) > 0 && len(only) == 0 {
				fmt.Fprintf(p.io.Err, "for %d of %d numbers of the benchmark there is none:\n", len(left), len(left)+len(prof.Benchmark.Numbers))
				for _, n := range slices.SortedFunc(maps.Keys(left), byNumber) {
					fmt.Fprintf(p.io.Err, "  %-8s  %s\n", n, left[n])
				}
			}
			return nil
		},
	}
	list.Flags().StringVar(&profile, "profile", "", "only the controls of the profile `NAME` (default: all)")
	check := &cobra.Command{
		Use:   "check [FILE…]",
		Short: "check control files and their cases; without files, what is built in and what you have added",
		Long: `Checks that each file is a valid control and that every case in the .txtar
beside it comes out as it says. All problems of all files are told at once.`,
		Example: "  picket controls check\n  picket controls check mine/door-sensor.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return p.checkAll()
			}
			return p.checkControls(args)
		},
	}
	cmd.AddCommand(list, check, p.newControl())
	return cmd
}

// checkAll checks what is built in, and each file of one's own with its cases.
func (p *program) checkAll() error {
	all, _, err := builtIn()
	if err != nil {
		return err
	}
	fmt.Fprintf(p.io.Out, "%d built-in controls are well formed\n", len(all))
	dirs := p.controlDirs
	if len(dirs) == 0 {
		dirs = []string{ownControls}
	}
	var files []string
	for _, d := range dirs {
		more, err := filepath.Glob(filepath.Join(d, "*.yaml"))
		if err != nil {
			return err
		}
		files = append(files, more...)
	}
	if err := p.checkControls(files); err != nil {
		return err
	}
	_, _, err = p.catalogue() // also profiles, names that are there twice, and who could have written them
	return err
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
	c, ps := control.Parse(file, ownTopic+"/"+name, data, kind.All())
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
