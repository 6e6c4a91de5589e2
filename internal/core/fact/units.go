package fact

import (
	"path"
	"slices"
	"strings"

	"picket/internal/core/snap"
)

// Units are the systemd units of the host.
type Units struct {
	State State
	Why   string
	// Silent is set when systemd was asked and gave no answer.
	Silent bool
	All    map[string]Unit // by full name: ssh.service
}

// Unit is one systemd unit.
type Unit struct {
	Name      string
	Exists    bool          // there is a unit file, or it is loaded
	FileState Value[string] // what the next boot does: enabled, disabled, masked, static, …
	Active    Value[string] // now: active, inactive, failed, …; unknown on an image
	Sub       string        // running, exited, dead, waiting, …
}

// Masked reports whether the unit cannot start.
func (u Unit) Masked() bool { return strings.HasPrefix(u.FileState.V, "masked") }

// Enabled reports whether the next boot starts the unit by itself.
func (u Unit) Enabled() bool {
	return u.FileState.V == "enabled" || u.FileState.V == "alias"
}

// Running reports whether the unit is active now.
func (u Unit) Running() bool { return u.Active.V == "active" || u.Active.V == "reloading" }

// Get returns a unit. One that the host does not have has Exists false; when
// the units could not be read, its values carry the reason.
func (us Units) Get(name string) Unit {
	u, ok := us.All[name]
	template, isInstance := templateOf(name)
	if ok && (u.FileState.Known() || !isInstance) {
		return u
	}
	// An instance has the state of its template, unless it has its own.
	if t, found := us.All[template]; isInstance && found {
		if !ok {
			u = Unit{Name: name, Active: t.Active}
			if t.Active.Known() {
				u.Active.V = "inactive"
			}
		}
		u.FileState = t.FileState
		return u
	}
	if ok {
		return u
	}
	st, why := Absent, "there is no "+name
	if us.State != Known {
		st, why = us.State, us.Why
	}
	return Unit{Name: name, FileState: Not[string](st, why), Active: Not[string](st, why)}
}

// templateOf is the name of the template that an instance is made of:
// getty@.service of getty@tty1.service.
func templateOf(name string) (string, bool) {
	stem, rest, ok := strings.Cut(name, "@")
	dot := strings.LastIndexByte(rest, '.')
	if !ok || dot <= 0 {
		return "", false
	}
	return stem + "@" + rest[dot:], true
}

// listedUnits are the unit files that systemd is asked for. It works out the
// state of each one by itself, in process 1, which meanwhile answers nobody:
// without the many targets and mounts this is half of the time.
var listedUnits = []string{"*.service", "*.socket", "*.timer", "*.path", "ctrl-alt-del.target", "tmp.mount"}

// UnitIsListed reports whether a unit's state is read at all. A control may
// name no other unit.
func UnitIsListed(name string) bool {
	return slices.ContainsFunc(listedUnits, func(p string) bool {
		ok, _ := path.Match(p, name)
		return ok
	})
}

var (
	listUnitFiles = append([]string{"systemctl", "list-unit-files", "--no-legend", "--no-pager", "--plain", "--full"}, listedUnits...)
	listUnits     = []string{"systemctl", "list-units", "--all", "--no-legend", "--no-pager", "--plain", "--full"}
)

func askUnits(_ *Host, s *snap.Snapshot) snap.Manifest {
	m := snap.Manifest{
		Files: ownUnitFiles(),
		Stats: []string{"/lib"},
		Commands: []snap.Command{
			{Argv: listUnitFiles, Instead: shippedUnitFiles("/usr/lib/systemd/system")},
			{Argv: listUnits},
		},
	}
	// Where /lib is a folder of its own, units live there too.
	if e, st, _ := s.Stat("/lib"); st == Known && e.Target == "" {
		if _, st, _ := s.Run(listUnitFiles...); st != Known {
			m.Files = append(m.Files, shippedUnitFiles("/lib/systemd/system")...)
		}
	}
	return m
}

func parseUnits(h *Host, s *snap.Snapshot) {
	us := &h.Units
	us.All = map[string]Unit{}
	files, st, why := s.Run(listUnitFiles...)
	if st == Known && files.Exit != 0 {
		st, why = Unknown, "`systemctl list-unit-files` failed: "+firstOf(files.Stderr)
	}
	us.State, us.Why = st, why
	us.Silent = st == Unknown && files != nil && s.Source.Kind != "image"
	if st != Known {
		us.fromFiles(s)
		return
	}
	for _, l := range outLines(files) {
		if f := l.fields(); len(f) >= 2 {
			us.All[f[0]] = Unit{
				Name: f[0], Exists: true, FileState: Is(f[1], By("systemctl", "list-unit-files", f[0])),
				Active: Is("inactive", By("systemctl", "list-units", "--all", f[0])),
			}
		}
	}
	us.activity(s)
}

// activity adds what is loaded and running now.
func (us *Units) activity(s *snap.Snapshot) {
	loaded, st, why := s.Run(listUnits...)
	switch {
	case st == Known && loaded.Exit != 0:
		st, why = Unknown, "`systemctl list-units` failed: "+firstOf(loaded.Stderr)
	case s.Source.Kind == "image":
		st, why = Unknown, "nothing runs on an image"
	}
	if st != Known {
		for name, u := range us.All {
			u.Active = Not[string](st, why)
			us.All[name] = u
		}
		if s.Source.Kind != "image" {
			us.Silent = us.Silent || st == Unknown && loaded != nil
			us.State, us.Why = st, why // a unit that is not among the files may run
		}
		return
	}
	for name, u := range us.All {
		u.Active = Is("inactive", By("systemctl", "list-units", "--all", name)) // unless it is loaded
		us.All[name] = u
	}
	for _, l := range outLines(loaded) {
		f := l.fields()
		if len(f) > 0 && f[0] == "●" {
			f = f[1:]
		}
		if len(f) < 4 {
			continue
		}
		u, ok := us.All[f[0]]
		if !ok {
			u = Unit{Name: f[0], FileState: Not[string](Absent, "no unit file")}
		}
		u.Exists = u.Exists || f[1] != "not-found"
		u.Active, u.Sub = Is(f[2], By("systemctl", "list-units", "--all", f[0])), f[3]
		us.All[f[0]] = u
	}
}
