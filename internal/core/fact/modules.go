package fact

import (
	"path"
	"slices"
	"strings"

	"picket/internal/core/snap"
)

// Modules are the parts of the kernel that can be loaded: which are, and which
// the settings of modprobe keep out. Names have underscores, as the kernel
// writes them.
type Modules struct {
	Loaded  Value[map[string]bool]
	BuiltIn map[string]bool // part of every kernel image; nothing keeps these out
	Any     bool            // there is a folder of modules; a container has none
	Blocked map[string]ModuleBlock
	Options []Setting // of modprobe.d: the section is the module, the last of a key wins
	Missing string    // why a file of modprobe.d could not be read
	Hidden  string    // why the folders of modules could not be seen
}

// ModuleBlock keeps a module from being loaded by itself.
type ModuleBlock struct {
	Place Place
	How   string // "install cramfs /bin/false" or "blacklist cramfs"
}

// Folders of modprobe.d, the first wins among files of one name (modprobe.d(5)).
var modprobeFolders = []string{"/etc/modprobe.d", "/run/modprobe.d", "/usr/local/lib/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d"}

func askModules(*Host, *snap.Snapshot) snap.Manifest {
	m := snap.Manifest{
		Files: []string{"/proc/modules", "/lib/modules/*/modules.builtin", procCmdline},
		Stats: []string{"/lib/modules/*/kernel"},
	}
	for _, d := range modprobeFolders {
		m.Files = append(m.Files, d+"/*.conf")
	}
	return m
}

func parseModules(h *Host, s *snap.Snapshot) {
	m := &h.Modules
	m.BuiltIn, m.Blocked = map[string]bool{}, map[string]ModuleBlock{}
	e, st, why := s.File("/proc/modules")
	m.Loaded = Not[map[string]bool](st, why)
	if st == Known {
		loaded := map[string]bool{}
		for _, l := range lines(e) {
			if f := l.fields(); len(f) > 0 {
				loaded[f[0]] = true
			}
		}
		m.Loaded = Is(loaded, Place{Path: "/proc/modules"})
	}
	kernels, st, why := s.Glob("/lib/modules/*/kernel")
	m.Any = len(kernels) > 0
	if st == Denied {
		m.Hidden = why
	}
	builtin, st, why := s.Glob("/lib/modules/*/modules.builtin")
	if st == Denied {
		m.Hidden = why
	}
	for _, b := range builtin {
		m.Any = true
		for _, l := range lines(b) {
			name, _, _ := strings.Cut(path.Base(l.text), ".ko")
			m.BuiltIn[moduleName(name)] = true
		}
	}
	m.parseFolders(s)
	if e, st, _ := s.File(procCmdline); st == Known {
		m.parseCmdline(string(e.Content))
	}
}

func (m *Modules) parseFolders(s *snap.Snapshot) {
	seen := map[string]bool{}
	for _, d := range modprobeFolders {
		es, st, why := s.Glob(d + "/*.conf")
		if st == Denied {
			m.Missing = why
		}
		for _, e := range es {
			if e.Denied != "" {
				m.Missing = e.Denied
			}
			if name := path.Base(e.Path); !seen[name] {
				seen[name] = true
				m.parseConf(e)
			}
		}
	}
}

// parseConf reads one file of modprobe.d; a backslash joins lines.
func (m *Modules) parseConf(e *snap.Entry) {
	before := ""
	for _, l := range lines(e) {
		text := before + l.text
		if t, ok := strings.CutSuffix(text, `\`); ok {
			before = t + " "
			continue
		}
		before = ""
		f := strings.Fields(text)
		if len(f) < 2 || strings.HasPrefix(f[0], "#") {
			continue
		}
		name := moduleName(f[1])
		switch {
		case f[0] == "blacklist":
			if _, have := m.Blocked[name]; !have {
				m.Blocked[name] = ModuleBlock{l.at, "blacklist " + f[1]}
			}
		case f[0] == "options":
			for _, o := range f[2:] {
				key, value, _ := strings.Cut(o, "=")
				m.Options = append(m.Options, Setting{Section: name, Key: key, Value: value, Place: l.at})
			}
		case f[0] == "install" && len(f) == 3 && doesNothing(f[2]):
			m.Blocked[name] = ModuleBlock{l.at, strings.Join(f, " ")}
		}
	}
}

func (m *Modules) parseCmdline(text string) {
	for _, w := range strings.Fields(text) {
		k, v, _ := strings.Cut(w, "=")
		if k != "modprobe.blacklist" && k != "module_blacklist" {
			continue
		}
		for _, name := range strings.Split(v, ",") {
			if name != "" {
				m.Blocked[moduleName(name)] = ModuleBlock{At(procCmdline, 1), w}
			}
		}
	}
}

func doesNothing(program string) bool {
	return slices.Contains([]string{"false", "true"}, path.Base(program)) || program == ":"
}

func moduleName(s string) string { return strings.ReplaceAll(s, "-", "_") }
