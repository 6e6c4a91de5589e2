package fact

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"picket/internal/core/snap"
)

// Services are the services that run, or that the next boot or a timer starts.
type Services struct {
	State State
	Why   string
	All   []Service // by name
}

// Service is what a service's unit says, drop-ins included.
type Service struct {
	Name     string
	User     string // "root" where none is set
	Dynamic  bool   // DynamicUser: a user of its own for each run
	Settings []Setting
	Execs    []Exec
	Files    []string // the unit file and its drop-ins
	EnvFiles []string
	Path     []string // folders on PATH, where the unit sets it
	Uses     []string // paths that its settings name, but for those that systemd itself reads
	Libs     []string // what programs are loaded from besides: PYTHONPATH, LD_PRELOAD, the folder of python -m
	Place    Place    // of the unit
}

// Root reports whether the service's main process runs as root.
func (s Service) Root() bool { return !s.Dynamic && (s.User == "root" || s.User == "0") }

// Exec is one command line of a service.
type Exec struct {
	Key        string // ExecStart, ExecStartPre, …
	Paths      []string
	Privileged bool // runs as root whatever User says
	Place      Place
}

var showProperties = []string{
	"Id", "FragmentPath", "DropInPaths", "User", "DynamicUser", "WorkingDirectory", "EnvironmentFiles", "Environment",
	"ExecStart", "ExecStartPre", "ExecStartPost", "ExecStop", "ExecReload",
	"ExecStartEx", "ExecStartPreEx", "ExecStartPostEx", "ExecStopEx", "ExecReloadEx",
}

// maxServices bounds the services looked at.
const maxServices = 300

// watched are the names of services that run or will, sorted.
func (h *Host) watched() []string {
	var out []string
	for name, u := range h.Units.All {
		stem, service := strings.CutSuffix(name, ".service")
		if !service || strings.HasSuffix(stem, "@") || !u.Exists || u.Masked() {
			continue
		}
		by := func(suffix string) bool {
			t := h.Units.Get(stem + suffix)
			return t.Running() || t.Enabled()
		}
		if u.Running() || u.FileState.V == "enabled" || u.Active.V == "activating" || by(".timer") || by(".socket") || by(".path") {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out[:min(len(out), maxServices)]
}

// showCommand asks systemd for the settings of all watched services at once.
func (h *Host) showCommand() []string {
	names := h.watched()
	if len(names) == 0 {
		return nil
	}
	return append([]string{"systemctl", "show", "--no-pager", "--property=" + strings.Join(showProperties, ",")}, names...)
}

func askServices(h *Host, s *snap.Snapshot) snap.Manifest {
	var m snap.Manifest
	if _, st, _ := s.Run(listUnitFiles...); st != Known {
		return m // the unit files themselves are read
	}
	if argv := h.showCommand(); argv != nil {
		m.Commands = append(m.Commands, snap.Command{Argv: argv})
	}
	return m
}

func parseServices(h *Host, s *snap.Snapshot) {
	sv := &h.Services
	sv.State, sv.Why = h.Units.State, h.Units.Why
	if sv.State == Absent {
		sv.State = Unknown
	}
	if sv.State != Known {
		return
	}
	shown := map[string]Service{}
	argv := h.showCommand()
	if out, st, _ := s.Run(argv...); argv != nil && st == Known && out.Exit == 0 {
		for _, block := range strings.Split(strings.ToValidUTF8(string(out.Stdout), "\uFFFD"), "\n\n") {
			if one := shownService(block); one.Name != "" {
				shown[one.Name] = one
			}
		}
	}
	for _, name := range h.watched() {
		one, ok := shown[name]
		if !ok {
			var why string
			if one, ok, why = serviceFromFiles(s, name); why != "" {
				sv.State, sv.Why = Denied, why
			}
		}
		if !ok {
			if !h.Units.Get(name).FileState.Known() {
				continue // made by systemd or another program at run time
			}
			sv.State, sv.Why = Unknown, "the settings of "+name+" were not read"
			continue
		}
		for _, f := range one.Files {
			if e, st, _ := s.File(f); st == Known {
				one.Uses = append(one.Uses, used(systemdSettings(e))...)
			}
		}
		sv.All = append(sv.All, one)
	}
}

// shownService reads one block of `systemctl show`.
func shownService(block string) Service {
	one := Service{User: "root"}
	var execs []struct{ key, value string }
	dir := ""
	for _, l := range strings.Split(block, "\n") {
		k, v, _ := strings.Cut(l, "=")
		switch k {
		case "Id":
			one.Name = v
			one.Place = By("systemctl", "show", v)
		case "FragmentPath":
			if v != "" {
				one.Files = append(one.Files, v)
			}
		case "DropInPaths":
			one.Files = append(one.Files, strings.Fields(v)...)
		case "User":
			one.User = cmp.Or(v, "root")
		case "DynamicUser":
			one.Dynamic = v == "yes"
		case "WorkingDirectory":
			dir = strings.TrimPrefix(v, "!")
			one.Uses = append(one.Uses, absolute([]string{dir})...)
		case "EnvironmentFiles":
			f, _, _ := strings.Cut(v, " (")
			one.EnvFiles = append(one.EnvFiles, f)
		case "Environment":
			one.Path = append(one.Path, pathOf(v)...)
			one.Libs = append(one.Libs, libsOf(v)...)
		default:
			if strings.HasPrefix(k, "Exec") && v != "" {
				execs = append(execs, struct{ key, value string }{k, v})
			}
		}
	}
	for _, e := range execs {
		_, argv, ok := strings.Cut(e.value, "argv[]=")
		if !ok {
			continue
		}
		argv, _, _ = strings.Cut(argv, " ; ")
		_, flags, _ := strings.Cut(e.value, "; flags=")
		flags, _, _ = strings.Cut(flags, " ;")
		x := Exec{Key: strings.TrimSuffix(e.key, "Ex"), Privileged: strings.Contains(flags, "privileged"), Place: one.Place}
		words := strings.Fields(argv)
		one.Uses = append(one.Uses, absolute(words)...)
		// The quotes are gone: what follows -c is one text.
		if i := slices.Index(words, "-c"); i > 0 && i+1 < len(words) && shell(path.Base(words[0])) {
			words = append(words[:i+1:i+1], strings.Join(words[i+1:], " "))
		}
		x.Paths = ranBy(words, dir, 0)
		one.Libs = append(one.Libs, moduleFolder(words, dir)...)
		one.Execs = append(one.Execs, x)
	}
	return one
}

// used are the paths in settings of a service.
func used(settings []Setting) (paths []string) {
	for _, v := range settings {
		if v.Section != "Service" || v.Key == "EnvironmentFile" {
			continue
		}
		for _, w := range strings.FieldsFunc(v.Value, func(r rune) bool { return strings.ContainsRune(" \t\"'=:,;", r) }) {
			paths = append(paths, absolute([]string{strings.TrimLeft(w, "-+!@")})...)
		}
	}
	return paths
}

// pathOf finds the folders of PATH=… among assignments.
func pathOf(assignments string) []string {
	for _, w := range strings.Fields(assignments) {
		if v, ok := strings.CutPrefix(strings.Trim(w, `"'`), "PATH="); ok {
			return absolute(strings.Split(strings.Trim(v, `"'`), ":"))
		}
	}
	return nil
}

// libraries are the variables that say what a program is put together from.
var libraries = []string{"PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PERL5LIB", "PERLLIB", "RUBYLIB", "GEM_PATH", "NODE_PATH", "LD_LIBRARY_PATH", "LD_PRELOAD", "CLASSPATH"}

// libsOf finds what such variables name among assignments.
func libsOf(assignments string) []string {
	var out []string
	for _, w := range strings.Fields(assignments) {
		if k, v, ok := strings.Cut(strings.Trim(w, `"'`), "="); ok && slices.Contains(libraries, k) {
			out = append(out, absolute(strings.Split(strings.Trim(v, `"'`), ":"))...)
		}
	}
	return out
}

// moduleFolder is the folder that python -m and -c take modules from first: the
// one that they are started in.
func moduleFolder(words []string, dir string) []string {
	if len(words) < 2 || !path.IsAbs(dir) || strings.TrimRight(path.Base(words[0]), "0123456789.") != "python" {
		return nil
	}
	for _, w := range words[1:] {
		switch {
		case w == "-m" || w == "-c":
			return []string{path.Clean(dir)}
		case !strings.HasPrefix(w, "-"), strings.ContainsAny(w, "IP") && !strings.HasPrefix(w, "--"): // -I and -P leave it out
			return nil
		}
	}
	return nil
}

func absolute(ps []string) []string {
	var out []string
	for _, p := range ps {
		if p = resolve(p, ""); p != "" {
			out = append(out, p)
		}
	}
	return out
}

// serviceFromFiles reads a service's unit file and drop-ins; hidden is why one of
// the drop-ins could not be read.
func serviceFromFiles(s *snap.Snapshot, name string) (one Service, ok bool, hidden string) {
	one = Service{Name: name, User: "root"}
	names := []string{name}
	if t, ok := templateOf(name); ok {
		names = append(names, t)
	}
	var main *snap.Entry
	for _, n := range names {
		for _, dir := range UnitDirs {
			if e, st, _ := s.File(dir + "/" + n); st == Known && main == nil {
				main = e
			}
		}
	}
	if main == nil {
		return one, false, ""
	}
	one.Place = Place{Path: main.Path}
	one.Files = []string{main.Path}
	one.Settings = systemdSettings(main)
	drop, hidden := dropIns(s, name)
	for _, e := range drop {
		one.Settings = append(one.Settings, systemdSettings(e)...)
		one.Files = append(one.Files, e.Path)
	}
	one.fill()
	return one, true, hidden
}

// fill sets the fields that rules read from the settings.
func (s *Service) fill() {
	s.User = cmp.Or(Last(s.Settings, "Service", "User").V, "root")
	switch Last(s.Settings, "Service", "DynamicUser").V {
	case "yes", "true", "1", "on":
		s.Dynamic = true
	}
	dir := strings.TrimPrefix(Last(s.Settings, "Service", "WorkingDirectory").V, "-")
	for _, v := range List(s.Settings, "Service", "EnvironmentFile") {
		if p := resolve(strings.TrimPrefix(v.Value, "-"), ""); p != "" {
			s.EnvFiles = append(s.EnvFiles, p)
		}
	}
	for _, v := range List(s.Settings, "Service", "Environment") {
		s.Path = append(s.Path, pathOf(v.Value)...)
		s.Libs = append(s.Libs, libsOf(v.Value)...)
	}
	for _, key := range []string{"ExecStart", "ExecStartPre", "ExecStartPost", "ExecStop", "ExecReload"} {
		for _, v := range List(s.Settings, "Service", key) {
			command := strings.TrimLeft(v.Value, "@-:+!")
			marks := v.Value[:len(v.Value)-len(command)]
			x := Exec{Key: key, Privileged: strings.ContainsAny(marks, "+!"), Place: v.Place}
			for _, words := range unitCommands(command) {
				x.Paths = append(x.Paths, ranBy(words, dir, 0)...)
				s.Libs = append(s.Libs, moduleFolder(words, dir)...)
			}
			s.Execs = append(s.Execs, x)
		}
	}
}

// unitCommands splits a command line of a unit into words; only " ; " parts
// commands there.
func unitCommands(command string) [][]string {
	var out [][]string
	for _, c := range strings.Split(command, " ; ") {
		var words []string
		for _, w := range simpleCommands(neutral.Replace(c)) {
			words = append(words, w...)
		}
		for i := range words {
			words[i] = restored.Replace(words[i])
		}
		if len(words) > 0 {
			out = append(out, words)
		}
	}
	return out
}

// In a unit, the shell's operators are ordinary characters.
var (
	operators = []string{";", "\x01", "|", "\x02", "&", "\x03", "(", "\x04", ")", "\x05", "<", "\x06", ">", "\x07", "#", "\x08"}
	neutral   = strings.NewReplacer(operators...)
	restored  = strings.NewReplacer("\x01", ";", "\x02", "|", "\x03", "&", "\x04", "(", "\x05", ")", "\x06", "<", "\x07", ">", "\x08", "#")
)

// ServiceFile is what the files of a service say, whether it runs or not;
// hidden is why one of them could not be read.
func ServiceFile(s *snap.Snapshot, name string) (one Service, ok bool, hidden string) {
	if one, ok, hidden = serviceFromFiles(s, name); ok || hidden != "" {
		return one, ok, hidden
	}
	for _, dir := range UnitDirs {
		if _, st, why := s.File(dir + "/" + name); st == Denied {
			return one, false, why
		}
	}
	return one, false, ""
}
