package fact

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"picket/internal/core/snap"
	"picket/internal/core/sudoers"
)

// Sudo is what sudoers allows. Rules are in the order in which sudo reads
// them: the last that fits counts.
type Sudo struct {
	State      State // of /etc/sudoers; Absent where sudo is not installed
	Why        string
	Rules      []SudoRule
	Settings   []SudoSetting
	Unparsed   []Problem // lines that sudo does not understand
	Ignored    []Problem // files that sudo does not take
	Incomplete string    // what could not be read, so that more may be allowed than is known
	Files      []string
	Netgroup   string // a netgroup that a rule names: who is in it is not known
	// Grants are what each account may run as root, root itself left out, in
	// the order of the accounts. A rule that a later one overrides is not
	// among them.
	Grants []SudoGrant

	aliases map[string][]sudoers.Item
	wanted  []string // files that are included, and what is in folders that are
	folders []string // that are included
}

// SudoRule lets users run one command.
type SudoRule struct {
	Who, Hosts  []sudoers.Item
	sudoers.Cmd // its Users and Groups are whom the command is run as
	Place       Place
}

// SudoSetting is one parameter of a Defaults line.
type SudoSetting struct {
	sudoers.Setting
	Place Place
}

// sudoFlags are the settings looked at that sudo does not take with a value.
var sudoFlags = []string{"authenticate", "use_pty", "setenv", "env_reset", "log_allowed", "case_insensitive_user", "case_insensitive_group"}

const sudoersFile = "/etc/sudoers"

// Includes nest at most as deep as sudo allows, and stay few.
const (
	maxSudoDepth = 32
	maxSudoFiles = 500
	maxSudoRules = 20_000
)

func askSudo(h *Host, s *snap.Snapshot) snap.Manifest {
	m := snap.Manifest{
		Files: append([]string{sudoersFile, "/etc/sudoers.d/*", nsswitch}, h.Sudo.wanted...),
		Stats: append([]string{"/etc/sudoers.d"}, h.Sudo.folders...),
	}
	for _, g := range h.Sudo.Grants {
		for _, program := range g.Programs() {
			if len(m.Stats) < 4000 {
				m.Stats = append(m.Stats, askWriters(s, program)...)
			}
		}
	}
	return m
}

func parseSudo(h *Host, s *snap.Snapshot) {
	su := &h.Sudo
	su.aliases = map[string][]sudoers.Item{}
	_, su.State, su.Why = s.File(sudoersFile)
	if su.State == Absent {
		return
	}
	su.Incomplete = elsewhere(s, "sudoers", "rules of sudo")
	r := sudoReader{su: su, s: s, host: h.OS.Hostname.V}
	r.file(sudoersFile, 0)
	su.grant(h)
}

type sudoReader struct {
	su   *Sudo
	s    *snap.Snapshot
	host string
}

func (su *Sudo) unread(st State, why string) {
	if su.Incomplete = why; st == Denied {
		su.Incomplete += "; run as root"
	}
}

func keep(list *[]Problem, at Place, text string) {
	if len(*list) < 100 {
		*list = append(*list, Problem{at, text})
	}
}

func (r *sudoReader) file(p string, depth int) {
	e, st, why := r.s.File(p)
	switch {
	case st == Absent:
		return // sudo goes on without an included file
	case st != Known:
		r.su.unread(st, why)
		return
	case depth > maxSudoDepth || len(r.su.Files) >= maxSudoFiles:
		keep(&r.su.Ignored, Place{Path: p}, "too many included files")
		r.su.Incomplete = "too many included files: " + p + " was not read"
		return
	}
	if why := untrusted(e); why != "" {
		keep(&r.su.Ignored, Place{Path: p}, "sudo does not take this file: "+why)
		return
	}
	r.su.Files = append(r.su.Files, p)
	text := string(e.Content)
	for _, entry := range sudoers.Parse(text) {
		at := func(line int) Place { return At(p, line) }
		if entry.Err != "" {
			keep(&r.su.Unparsed, at(entry.Line), entry.Err)
			continue
		}
		for _, a := range entry.Aliases {
			key := a.Kind + " " + a.Name
			if _, twice := r.su.aliases[key]; twice {
				keep(&r.su.Unparsed, at(a.Line), "the alias "+a.Name+" is defined twice")
				continue
			}
			r.su.aliases[key] = a.Items
		}
		for _, d := range entry.Settings {
			if slices.Contains(sudoFlags, d.Name) && d.Op != "" && d.Op != "!" {
				keep(&r.su.Unparsed, at(d.Line), d.Name+" does not take a value")
				continue
			}
			r.su.Settings = append(r.su.Settings, SudoSetting{d, at(d.Line)})
		}
		for _, spec := range entry.Specs {
			for _, c := range spec.Cmds {
				if len(r.su.Rules) >= maxSudoRules {
					r.su.Incomplete = fmt.Sprintf("there are more than %d rules", maxSudoRules)
					break
				}
				r.su.Rules = append(r.su.Rules, SudoRule{spec.Users, spec.Hosts, c, at(c.Line)})
			}
		}
		if entry.Include != nil {
			r.include(p, entry, depth)
		}
	}
}

func (r *sudoReader) include(from string, e sudoers.Entry, depth int) {
	p := strings.ReplaceAll(e.Include.Path, "%h", strings.SplitN(r.host, ".", 2)[0])
	if !path.IsAbs(p) {
		p = path.Join(path.Dir(from), p)
	}
	p = path.Clean(p)
	if snap.IsPattern(p) || strings.Contains(p, "\\") {
		r.su.Incomplete = fmt.Sprintf("%s:%d includes %q, whose name cannot be asked for", from, e.Line, p)
		return
	}
	if !e.Include.Dir {
		r.su.wanted = append(r.su.wanted, p)
		r.file(p, depth+1)
		return
	}
	r.su.wanted, r.su.folders = append(r.su.wanted, p+"/*"), append(r.su.folders, p)
	switch dir, st, why := r.s.Stat(p); {
	case st == Denied || st == Unknown:
		r.su.unread(st, why)
	case st == Known:
		if why := untrusted(dir); why != "" {
			keep(&r.su.Ignored, Place{Path: p}, "sudo does not read this folder: "+why)
			return
		}
	}
	es, st, why := r.s.Glob(p + "/*")
	if st == Denied || st == Unknown {
		r.su.unread(st, why)
	}
	for _, f := range es {
		name := path.Base(f.Path)
		if f.Type != snap.File {
			continue
		}
		// sudo leaves these out, so that editors' copies do nothing.
		if strings.HasSuffix(name, "~") || strings.Contains(name, ".") {
			keep(&r.su.Ignored, Place{Path: f.Path}, "sudo leaves this file out because of its name")
			continue
		}
		r.file(f.Path, depth+1)
	}
}

// untrusted says why sudo refuses a file or folder that somebody but root may write.
func untrusted(e *snap.Entry) string {
	switch {
	case e.UID != 0:
		return fmt.Sprintf("it belongs to user %d, not to root", e.UID)
	case e.Mode&0o002 != 0:
		return "anybody may write it"
	case e.Mode&0o020 != 0 && e.GID != 0:
		return "its group may write it"
	}
	return ""
}

// Global returns the last setting of a parameter that holds for everybody; ok
// is false where there is none.
func (su Sudo) Global(name string) (s SudoSetting, ok bool) {
	for _, d := range su.Settings {
		if d.Scope == 0 && d.Name == name {
			s, ok = d, true
		}
	}
	return s, ok
}

const nsswitch = "/etc/nsswitch.conf"

// elsewhere says that nsswitch.conf takes a database from other sources than
// the files of this host, or why that is not known; "" where it does not.
func elsewhere(s *snap.Snapshot, database, what string) string {
	e, st, why := s.File(nsswitch)
	switch st {
	case Absent:
		return ""
	case Denied:
		return why + "; run as root"
	case Unknown:
		return why
	}
	var from []string
	for _, l := range lines(e) {
		k, v, ok := strings.Cut(uncomment(l.text, "#"), ":")
		if !ok || strings.TrimSpace(k) != database {
			continue
		}
		for _, w := range strings.Fields(v) {
			switch w {
			case "files", "compat", "systemd", "mymachines", "altfiles", "extrausers", "db":
			default:
				if !strings.HasPrefix(w, "[") && !strings.HasSuffix(w, "]") && len(from) < 5 {
					from = append(from, w)
				}
			}
		}
	}
	if len(from) == 0 {
		return ""
	}
	return fmt.Sprintf("%s takes %s from %s too", nsswitch, what, strings.Join(from, " and "))
}
