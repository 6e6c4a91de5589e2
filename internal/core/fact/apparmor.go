package fact

import (
	"strings"

	"picket/internal/core/snap"
)

// AppArmor is what the kernel enforces, and whether the next boot will.
type AppArmor struct {
	Enabled  Value[bool]              // the running kernel uses it
	Profiles Value[map[string]string] // loaded profile → enforce, complain, …; needs root
	Files    int                      // profiles in /etc/apparmor.d
}

const (
	lsmFile    = "/sys/kernel/security/lsm"
	aaEnabled  = "/sys/module/apparmor/parameters/enabled"
	aaProfiles = "/sys/kernel/security/apparmor/profiles"
	aaFolder   = "/etc/apparmor.d/*"
)

func askAppArmor(*Host, *snap.Snapshot) snap.Manifest {
	return snap.Manifest{
		Files: []string{lsmFile, aaEnabled, aaProfiles},
		Stats: []string{aaFolder},
	}
}

func parseAppArmor(h *Host, s *snap.Snapshot) {
	a := &h.AppArmor
	profiles, _, _ := s.Glob(aaFolder)
	for _, p := range profiles {
		if p.Type == snap.File {
			a.Files++
		}
	}
	if s.Source.Kind == "image" {
		a.Enabled = Not[bool](Unknown, "an image has no running kernel")
		a.Profiles = Not[map[string]string](Unknown, a.Enabled.Why)
		return
	}
	lsm, on := firstLine(s, lsmFile), firstLine(s, aaEnabled)
	switch {
	case lsm.Known():
		a.Enabled = Is(strings.Contains(","+lsm.V+",", ",apparmor,"), lsm.Place)
	case on.Known():
		a.Enabled = Is(on.V == "Y", on.Place)
	case lsm.State == Absent && on.State == Absent:
		a.Enabled = Is(false, Place{Path: aaEnabled})
	default:
		a.Enabled = Not[bool](on.State, on.Why)
	}
	e, st, why := s.File(aaProfiles)
	a.Profiles = Not[map[string]string](st, why)
	if st == Known {
		m := map[string]string{}
		for _, l := range lines(e) {
			if name, mode, ok := strings.Cut(strings.TrimSuffix(l.text, ")"), " ("); ok {
				m[name] = mode
			}
		}
		a.Profiles = Is(m, Place{Path: aaProfiles})
	}
}
