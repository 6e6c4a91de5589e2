package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"picket/catalogue"
	"picket/internal/core/app"
	"picket/internal/core/control"
	"picket/internal/core/kind"
	"picket/internal/core/yaml"
	"picket/internal/host/machine"
)

// Where controls and profiles of one's own are looked for.
const (
	ownControls = "/etc/picket/controls.d"
	ownProfiles = "/etc/picket/profiles.d"
	ownTopic    = "local" // of the ids of one's own controls
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

// catalogue is what is built in, and what people have added to it. Their
// controls have ids of a topic of their own, so that none can take the place of
// one that is built in, and every profile holds them.
func (p *program) catalogue() ([]control.Control, []control.Profile, error) {
	all, profiles, err := builtIn()
	if err != nil {
		return nil, nil, err
	}
	dirs, profileDirs := p.controlDirs, []string{}
	for _, d := range dirs {
		if _, err := os.Stat(d); err != nil {
			return nil, nil, usage(fmt.Errorf("--controls: %w", err))
		}
	}
	if len(dirs) == 0 {
		dirs, profileDirs = []string{ownControls}, []string{ownProfiles}
	}
	var problems yaml.Problems
	for _, d := range dirs {
		more, ps := readOwn(d, func(file, name string, data []byte) (control.Control, yaml.Problems) {
			return control.Parse(file, ownTopic+"/"+name, data, kind.All())
		})
		problems = append(problems, ps...)
		for _, c := range more {
			if i := slices.IndexFunc(all, func(o control.Control) bool { return o.ID == c.ID }); i >= 0 {
				problems = append(problems, yaml.Problem{File: c.File, Text: fmt.Sprintf("%s has the same name; rename one of them", all[i].File)})
				continue
			}
			all = append(all, c)
		}
	}
	for i := range profiles {
		profiles[i].Include = append(slices.Clone(profiles[i].Include), ownTopic+"/*")
	}
	for _, d := range profileDirs {
		more, ps := readOwn(d, func(file, name string, data []byte) (control.Profile, yaml.Problems) {
			return control.ParseProfile(file, name, data, all)
		})
		problems = append(problems, ps...)
		for _, own := range more {
			if slices.ContainsFunc(profiles, func(o control.Profile) bool { return o.Name == own.Name }) {
				problems = append(problems, yaml.Problem{File: filepath.Join(d, own.Name+".yaml"), Text: "there is a built-in profile " + own.Name + "; give yours another name"})
				continue
			}
			if err := own.Resolve(profiles); err != nil {
				problems = append(problems, yaml.Problem{File: filepath.Join(d, own.Name+".yaml"), Text: err.Error()})
				continue
			}
			profiles = append(profiles, own)
		}
	}
	if err := problems.Err(); err != nil {
		return nil, nil, withHint(usage(err), "`picket controls check` tells more about controls of your own")
	}
	return all, profiles, nil
}

// readOwn reads the *.yaml of a folder, which need not be there. What somebody
// else could have written is refused: a control decides what is reported.
func readOwn[T any](dir string, parse func(file, name string, data []byte) (T, yaml.Problems)) (out []T, problems yaml.Problems) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, yaml.Problems{{File: dir, Text: err.Error()}}
	}
	if why := foreign(info); why != "" {
		return nil, yaml.Problems{{File: dir, Text: why}}
	}
	out, problems = yaml.Files(ownFS{os.DirFS(dir), dir}, "*.yaml", func(file, name string, data []byte) (T, yaml.Problems) {
		return parse(filepath.Join(dir, file), name, data)
	})
	for i, p := range problems {
		if filepath.Dir(p.File) == "." {
			problems[i].File = filepath.Join(dir, p.File)
		}
	}
	return out, problems
}

// ownFS is a folder of whose files only those are read that are to be trusted.
type ownFS struct {
	fs.FS
	dir string
}

// ReadFile implements fs.ReadFileFS.
func (f ownFS) ReadFile(name string) ([]byte, error) {
	file := filepath.Join(f.dir, name)
	info, err := os.Stat(file)
	if err == nil {
		if why := foreign(info); why != "" {
			err = errors.New(why)
		}
	}
	if err != nil {
		return nil, err
	}
	data, err := readBounded(file)
	if err != nil {
		err = errors.New(strings.TrimPrefix(err.Error(), file+": "))
	}
	return data, err
}

// foreign says why a file or folder is not to be trusted: somebody else than
// root and the caller could have written it.
func foreign(info fs.FileInfo) string {
	uid, _, ok := machine.Owner(info)
	switch {
	case ok && uid != 0 && uid != os.Geteuid():
		return fmt.Sprintf("it is not read: it belongs to another user (uid %d); sudo chown root it", uid)
	case ok && info.Mode().Perm()&0o022 != 0:
		return fmt.Sprintf("it is not read: others can write it (mode %04o); chmod go-w it", info.Mode().Perm())
	}
	return ""
}
