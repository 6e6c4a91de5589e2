package fact

import (
	"slices"
	"strings"

	"picket/internal/core/snap"
)

// Packages are the Debian packages that are installed.
type Packages struct {
	State State
	Why   string
	Place Place
	All   map[string]Package // by name; the main architecture's where there are several
}

// Package is one installed package.
type Package struct {
	Name    string
	Version string
	Arch    string
	Held    bool // apt leaves it as it is
}

// Has reports whether a package is installed; unknown where the list could not be read.
func (p Packages) Has(name string) Value[bool] {
	if p.State != Known {
		return Not[bool](p.State, p.Why)
	}
	_, ok := p.All[name]
	return Is(ok, p.Place)
}

var dpkgQuery = []string{"dpkg-query", "-W", "-f=${Package}\t${Version}\t${Architecture}\t${db:Status-Abbrev}\n"}

const dpkgStatus = "/var/lib/dpkg/status"

func askPackages(*Host, *snap.Snapshot) snap.Manifest {
	return snap.Manifest{Commands: []snap.Command{{Argv: dpkgQuery, Instead: []string{dpkgStatus}}}}
}

func parsePackages(h *Host, s *snap.Snapshot) {
	p := &h.Packages
	if o, st, why := s.Run(dpkgQuery...); st == Known && o.Exit == 0 {
		*p = Packages{State: Known, Place: Place{Command: "dpkg-query -W"}, All: map[string]Package{}}
		for _, l := range outLines(o) {
			f := strings.Split(l.text, "\t")
			// The second letter is the state, the first what is wanted: "hi" is on hold.
			if len(f) == 4 && len(f[3]) > 1 && strings.IndexByte("iWt", f[3][1]) >= 0 {
				p.All[f[0]] = Package{f[0], f[1], f[2], f[3][0] == 'h'}
			}
		}
		return
	} else if st == Absent {
		*p = Packages{State: Unknown, Why: "this is not a Debian system: " + why}
	} else if st == Known {
		*p = Packages{State: Unknown, Why: "dpkg-query failed: " + firstOf(o.Stderr)}
	} else if o != nil && s.Source.Kind != "image" {
		*p = Packages{State: Unknown, Why: why}
	}
	e, st, why := s.File(dpkgStatus)
	if st != Known || e.Cut {
		if p.Why == "" {
			*p = Packages{State: Unknown, Why: "the list of packages could not be read: " + why}
		}
		return
	}
	*p = Packages{State: Known, Place: Place{Path: dpkgStatus}, All: map[string]Package{}}
	var one Package
	installed := false
	end := func() {
		if one.Name != "" && installed {
			p.All[one.Name] = one
		}
		one, installed = Package{}, false
	}
	for _, l := range lines(e) {
		key, value, ok := strings.Cut(l.text, ": ")
		switch {
		case l.text == "":
			end()
		case !ok:
		case key == "Package":
			one.Name = value
		case key == "Version":
			one.Version = value
		case key == "Architecture":
			one.Arch = value
		case key == "Status":
			one.Held = strings.HasPrefix(value, "hold ")
			installed = strings.HasSuffix(value, " installed") || strings.HasSuffix(value, " triggers-awaited") || strings.HasSuffix(value, " triggers-pending")
		}
	}
	end()
}

// DpkgQuery is the command that lists the packages.
func DpkgQuery() []string { return slices.Clone(dpkgQuery) }
