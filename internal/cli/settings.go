package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"picket/internal/core/settings"
	"picket/internal/core/yaml"
	"picket/internal/host/machine"
)

// maxSettings is the largest settings file that is read, in bytes.
const maxSettings = yaml.MaxSize

// settingsName is what the file of settings is called where none is named.
const settingsName = "picket.yaml"

// settings reads the files named by --config, or the first picket.yaml of the
// working folder, the user's configuration folder and /etc/picket.
func (p *program) settings() (settings.Settings, error) {
	var s settings.Settings
	files := p.configs
	if len(files) == 0 {
		file, err := p.findSettings()
		if err != nil || file == "" {
			return s, err
		}
		files = []string{file}
	}
	var problems yaml.Problems
	for _, f := range files {
		data, err := readBounded(f)
		if errors.Is(err, fs.ErrNotExist) {
			return s, usage(fmt.Errorf("--config %s: there is no such file", f))
		}
		if err != nil {
			return s, usage(err)
		}
		problems = append(problems, s.Merge(f, data)...)
	}
	if err := problems.Err(); err != nil {
		return s, usage(err)
	}
	return s, nil
}

func (p *program) findSettings() (string, error) {
	dirs := []string{"."}
	if d := p.getenv("XDG_CONFIG_HOME"); d != "" {
		dirs = append(dirs, filepath.Join(d, "picket"))
	} else if d := p.getenv("HOME"); d != "" {
		dirs = append(dirs, filepath.Join(d, ".config", "picket"))
	}
	dirs = append(dirs, "/etc/picket")
	for _, d := range dirs {
		file := filepath.Join(d, settingsName)
		info, err := os.Stat(file)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			continue
		}
		if err != nil {
			return "", usage(err)
		}
		if d == "." {
			if why := strange(info); why != "" {
				fmt.Fprintf(p.io.Err, "picket: ./picket.yaml is not read: %s; name it with --config to use it all the same\n", why)
				continue
			}
		}
		return file, nil
	}
	return "", nil
}

// strange says why a settings file of the working folder is not to be
// trusted: somebody else could have put it there.
func strange(info fs.FileInfo) string {
	uid, _, ok := machine.Owner(info)
	switch {
	case ok && uid != os.Geteuid():
		return "it belongs to another user"
	case ok && info.Mode().Perm()&0o022 != 0:
		return fmt.Sprintf("others can write it (mode %04o)", info.Mode().Perm())
	}
	return ""
}

func readBounded(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", file)
	}
	if info.Size() > maxSettings {
		return nil, fmt.Errorf("%s: larger than %d bytes", file, maxSettings)
	}
	return os.ReadFile(file)
}
