package cli

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"picket/internal/core/yaml"
)

// templates are the first form of a control of each kind: KIND.yaml and
// KIND.txtar.
//
//go:embed templates
var templates embed.FS

func templateKinds() []string {
	names, err := fs.Glob(templates, "templates/*.yaml")
	if err != nil {
		panic(err) // the pattern is well formed
	}
	for i, n := range names {
		names[i] = strings.TrimSuffix(filepath.Base(n), ".yaml")
	}
	return names
}

var controlName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

func (p *program) newControl() *cobra.Command {
	var kind, dir string
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "begin a control of your own: a file with comments, and its cases",
		Long: `Writes NAME.yaml, a control that works and says what each line is for, and
NAME.txtar, hosts of a few lines that it has to judge right. Change both, check
them, and put them into ` + ownControls + `: every audit then judges by it,
as ` + ownTopic + `/NAME.`,
		Example: `  picket controls new door-sensor
  picket controls new door-sensor-running --kind unit
  picket controls check door-sensor.yaml
  sudo install -D -m 644 -t ` + ownControls + ` door-sensor.yaml door-sensor.txtar`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(fmt.Errorf("want one name, found %d", len(args)))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return p.writeControl(args[0], kind, dir) },
	}
	cmd.Flags().StringVar(&kind, "kind", "file-mode", "what it compares, a `KIND`: "+strings.Join(templateKinds(), ", "))
	cmd.Flags().StringVar(&dir, "dir", ".", "the `FOLDER` to write into")
	_ = cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(templateKinds(), cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	return cmd
}

func (p *program) writeControl(name, kind, dir string) error {
	name = strings.TrimPrefix(strings.TrimSuffix(name, ".yaml"), ownTopic+"/")
	if !controlName.MatchString(name) {
		return usage(fmt.Errorf("%q is no name for a control: want small letters, digits and hyphens, as door-sensor", name))
	}
	if !slices.Contains(templateKinds(), kind) {
		err := usage(fmt.Errorf("--kind %s: one of: %s", kind, strings.Join(templateKinds(), ", ")))
		if near := yaml.Nearest(kind, templateKinds()); near != "" {
			err = withHint(err, "did you mean "+near+"?")
		}
		return err
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return withHint(usage(fmt.Errorf("there is no folder %s", dir)), "mkdir -p "+dir)
	}
	files := map[string]string{}
	for _, ext := range []string{".yaml", ".txtar"} {
		data, err := templates.ReadFile("templates/" + kind + ext)
		if err != nil {
			return err
		}
		file := filepath.Join(dir, name+ext)
		if _, err := os.Lstat(file); err == nil {
			return withHint(usage(fmt.Errorf("%s is there already, and is not written over", file)), "take another name, or --dir")
		} else if !errors.Is(err, fs.ErrNotExist) {
			return usage(err)
		}
		files[file] = strings.ReplaceAll(string(data), "NAME-OF-CONTROL", name)
	}
	var written []string
	for _, ext := range []string{".txtar", ".yaml"} { // the control last: it is whole with its cases
		file := filepath.Join(dir, name+ext)
		if err := replaceFile(file, []byte(files[file])); err != nil {
			for _, w := range written {
				err = errors.Join(err, os.Remove(w))
			}
			return err
		}
		written = append(written, file)
	}
	slices.Sort(written)
	fmt.Fprintf(p.io.Out, "wrote %s\n", strings.Join(written, " and "))
	fmt.Fprintf(p.io.Err, "next: change them, and check them with `%s`\n", p.typed("controls check "+filepath.Join(dir, name+".yaml")))
	return nil
}
