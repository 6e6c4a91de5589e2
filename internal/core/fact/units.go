package fact

import (
	"strings"

	"picket/internal/core/snap"
)

// Units are the systemd units of the host.
type Units struct {
	State State
	Why   string
	All   map[string]Unit // by full name: ssh.service
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
	return u.FileState.V == "enabled" || u.FileState.V == "enabled-runtime" || u.FileState.V == "alias"
}

// Running reports whether the unit is active now.
func (u Unit) Running() bool { return u.Active.V == "active" || u.Active.V == "reloading" }

// Get returns a unit. One that the host does not have has Exists false; when
// the units could not be read, its values carry the reason.
func (us Units) Get(name string) Unit {
	if u, ok := us.All[name]; ok {
		return u
	}
	st, why := Absent, "there is no "+name
	if us.State != Known {
		st, why = us.State, us.Why
	}
	return Unit{Name: name, FileState: Not[string](st, why), Active: Not[string](st, why)}
}

var (
	listUnitFiles = []string{"systemctl", "list-unit-files", "--no-legend", "--no-pager", "--plain", "--full"}
	listUnits     = []string{"systemctl", "list-units", "--all", "--no-legend", "--no-pager", "--plain", "--full"}
)

func askUnits(*Host, *snap.Snapshot) snap.Manifest {
	return snap.Manifest{Commands: []snap.Command{{Argv: listUnitFiles}, {Argv: listUnits}}}
}

func parseUnits(h *Host, s *snap.Snapshot) {
	us := &h.Units
	us.All = map[string]Unit{}
	files, st, why := s.Run(listUnitFiles...)
	us.State, us.Why = st, why
	if st != Known {
		return
	}
	for _, l := range outLines(files) {
		if f := l.fields(); len(f) >= 2 {
			us.All[f[0]] = Unit{
				Name: f[0], Exists: true, FileState: Is(f[1], l.at),
				Active: Is("inactive", By(listUnits...)),
			}
		}
	}
	loaded, st, why := s.Run(listUnits...)
	for name, u := range us.All {
		if st != Known {
			u.Active = Not[string](st, why)
			us.All[name] = u
		}
	}
	if st != Known {
		return
	}
	for _, l := range outLines(loaded) {
		f := l.fields()
		if len(f) < 4 {
			continue
		}
		u, ok := us.All[f[0]]
		if !ok {
			u = Unit{Name: f[0], FileState: Not[string](Absent, "no unit file")}
		}
		u.Exists = u.Exists || f[1] != "not-found"
		u.Active, u.Sub = Is(f[2], l.at), f[3]
		us.All[f[0]] = u
	}
}
