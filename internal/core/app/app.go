// Package app says what an application is to Picket: how a host that has it is
// recognised, where its settings lie, and which of them it really reads. The
// applications themselves are data in catalogue/apps.
package app

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"picket/internal/core/yaml"
)

// An App is one application.
type App struct {
	Name      string              // of its file
	Title     string              `yaml:"title"`
	Recognise Recognise           `yaml:"recognise"`
	Settings  map[string]Settings `yaml:"settings"`
	Look      []string            `yaml:"look"`     // what else rules look at: whether it is there, and its permissions
	Metrics   map[string][]string `yaml:"metrics"`  // numbers that it gives Prometheus, with their labels
	Probes    map[string]Probe    `yaml:"probes"`   // what shows whether it lets somebody in
	Controls  []string            `yaml:"controls"` // ids or patterns of those that apply
}

// Recognise tells whether a host has an application: one sign of Any, where
// there are any, and each of All.
type Recognise struct {
	Any []Sign `yaml:"any"`
	All []Sign `yaml:"all"`
}

// Signs are all that are looked for.
func (r Recognise) Signs() []Sign { return slices.Concat(r.Any, r.All) }

// A Sign is one thing that is looked for; one of its fields is set.
type Sign struct {
	File    string `yaml:"file"`    // a path or pattern
	Package string `yaml:"package"` // of Debian
	Unit    string `yaml:"unit"`    // of systemd
	Account string `yaml:"account"` // a user's name
	Process string `yaml:"process"` // that listens
	Image   string `yaml:"image"`   // of a container or of a compose file's service, without registry and tag
}

// Settings are some files of one format.
type Settings struct {
	Format  string            `yaml:"format"`
	Files   []string          `yaml:"files"`   // paths or patterns
	Merge   bool              `yaml:"merge"`   // they are one: what a later file sets goes over an earlier one's
	Keys    []string          `yaml:"keys"`    // all that the application reads of the sections named here; * stands for one part, a last ** for any rest
	Ignored []string          `yaml:"ignored"` // what it does not read
	Instead map[string]string `yaml:"instead"` // what is often written, and what it should be
}

// Formats of settings files.
var Formats = []string{"ini", "toml", "yaml", "json", "hcl", "env", "words", "nginx", "lighttpd", "caddy", "users", "git", "text"}

// Load reads every *.yaml of fsys. Applications with problems are left out.
func Load(fsys fs.FS) ([]App, yaml.Problems) { return yaml.Files(fsys, "*.yaml", Parse) }

// Parse reads one application.
func Parse(file, name string, data []byte) (App, yaml.Problems) {
	a := App{Name: name}
	n, ps := yaml.Read(file, data)
	if len(ps) == 0 && n == nil {
		ps = yaml.Problems{{File: file, Text: "the file is empty"}}
	}
	if len(ps) == 0 {
		ps = n.Decode(&a)
	}
	if len(ps) > 0 {
		return a, ps
	}
	at := func(keys ...string) *yaml.Node {
		node := n
		for _, k := range keys {
			if next := node.Get(k); next != nil {
				node = next
			}
		}
		return node
	}
	if a.Title == "" {
		ps = append(ps, n.Problem("title is missing"))
	}
	if len(a.Recognise.Signs()) == 0 {
		ps = append(ps, at("recognise").Problem("nothing tells how to recognise it: want any or all, with file, package, unit, account, process or image"))
	}
	for _, list := range []struct {
		key   string
		signs []Sign
	}{{"any", a.Recognise.Any}, {"all", a.Recognise.All}} {
		items, _ := at("recognise", list.key).Items()
		for i, s := range list.signs {
			if err := s.wrong(); err != "" && i < len(items) {
				ps = append(ps, items[i].Problem("%s", err))
			}
		}
	}
	for _, p := range a.Look {
		if !path.IsAbs(p) || path.Clean(p) != p {
			ps = append(ps, at("look").Problem("%q is not a clean absolute path", p))
		}
	}
	for _, group := range at("settings").Keys() {
		s, ok := a.Settings[group]
		if !ok {
			continue
		}
		node := at("settings", group)
		if !slices.Contains(Formats, s.Format) {
			ps = append(ps, node.Problem("unknown format %q; one of: %s", s.Format, strings.Join(Formats, ", ")))
		}
		if len(s.Files) == 0 {
			ps = append(ps, node.Problem("files is missing"))
		}
		for _, f := range s.Files {
			if !path.IsAbs(f) || path.Clean(f) != f {
				ps = append(ps, node.Problem("%q is not a clean absolute path", f))
			}
		}
	}
	return a, append(ps, checkProbes(a, at("probes"))...)
}

// wrong says what a sign has too much or too little of.
func (s Sign) wrong() string {
	set := 0
	for _, v := range []string{s.File, s.Package, s.Unit, s.Account, s.Process, s.Image} {
		if v != "" {
			set++
		}
	}
	switch {
	case set != 1:
		return "want one of file, package, unit, account, process, image"
	case s.File != "" && (!path.IsAbs(s.File) || path.Clean(s.File) != s.File):
		return "file is not a clean absolute path"
	}
	return ""
}

// Known reports whether the application reads a setting, so far as its profile
// tells: of a section of which it names no key, it reads anything.
func (s Settings) Known(key []string) bool {
	matches := func(p string) bool { return Match(p, key) }
	if slices.ContainsFunc(s.Ignored, matches) {
		return false
	}
	named := slices.ContainsFunc(s.Keys, func(p string) bool {
		first, _, _ := strings.Cut(p, ".")
		return first == key[0]
	})
	return !named || slices.ContainsFunc(s.Keys, matches)
}

// Match compares a pattern such as security.api_keys.*.hash with the parts of
// a setting's name.
func Match(pattern string, key []string) bool {
	parts := strings.Split(pattern, ".")
	key = strings.Split(strings.Join(key, "."), ".") // a section may have a dot in its name
	for i, p := range parts {
		switch {
		case p == "**" && i == len(parts)-1:
			return true
		case i >= len(key), p != "*" && p != key[i]:
			return false
		}
	}
	return len(parts) == len(key)
}
