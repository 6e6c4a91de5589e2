package fact

import (
	"path"
	"slices"
	"strings"
	"time"

	"picket/internal/core/snap"
)

// Updates is how the host gets its updates.
type Updates struct {
	Apt       AptConf
	Sources   Value[[]Source]
	Origins   Value[[]Origin]  // archives that apt has lists of
	ListsAt   Value[time.Time] // when the lists were last refreshed, at the latest
	MadeAt    Value[time.Time] // when the newest list of security updates was made, as its archive says
	UpgradeAt Value[time.Time] // when unattended-upgrades last ran
	Pending   Value[[]Upgrade] // what an upgrade would install now
	Kernels   []string         // installed, by the names of their module folders

	KernelsHidden string // why some of them could not be seen
	OriginsSilent string // why apt, which was asked for Origins, did not answer
}

// Upgrade is one package that apt would upgrade.
type Upgrade struct {
	Package, From, To string
	Security          bool
}

var (
	aptPolicy   = []string{"apt-cache", "policy"}
	aptSimulate = []string{"apt-get", "-s", "-qq", "-o", "Debug::NoLocking=true", "dist-upgrade"}
)

// securityLists keep the time that their archive gives them, which moves at
// least once a week. The other stamps also move when nothing could be fetched:
// then apt-get update warns, and ends well (tried with 2.6).
const securityLists = "/var/lib/apt/lists/*-security_*Release"

const aptStamps = "/var/lib/apt/periodic/"

func askUpdates(*Host, *snap.Snapshot) snap.Manifest {
	m := askAptConf()
	m.Add(snap.Manifest{
		Files: []string{"/etc/apt/sources.list", "/etc/apt/sources.list.d/*", "/run/reboot-required", "/run/reboot-required.pkgs"},
		Stats: []string{
			aptStamps + "*", "/var/lib/apt/lists", "/var/lib/apt/lists/partial", "/lib/modules/*",
			"/var/lib/dpkg/info/unattended-upgrades.list", securityLists,
		},
		Commands: []snap.Command{
			{Argv: aptPolicy, Instead: []string{"/var/lib/apt/lists/*Release"}},
			{Argv: aptSimulate},
		},
	})
	return m
}

func parseUpdates(h *Host, s *snap.Snapshot) {
	u := &h.Updates
	u.Apt = readAptConf(s)
	srcs, st, why := aptSources(s)
	u.Sources = Value[[]Source]{V: srcs, State: st, Why: why, Place: Place{Path: "/etc/apt/sources.list"}}

	if out, st, why := s.Run(aptPolicy...); st == Known && out.Exit == 0 {
		u.Origins = Is(policyOrigins(out), By(aptPolicy...))
	} else if st == Unknown && out != nil && s.Source.Kind != "image" {
		u.Origins, u.OriginsSilent = Not[[]Origin](Unknown, why), why
	} else if st == Absent {
		u.Origins = Not[[]Origin](Absent, "this host has no apt")
	} else {
		os, st, why := releaseOrigins(s)
		u.Origins = Value[[]Origin]{V: os, State: st, Why: why, Place: Place{Path: "/var/lib/apt/lists"}}
	}

	u.ListsAt = newest(s, aptStamps+"update-stamp", aptStamps+"update-success-stamp", "/var/lib/apt/lists", "/var/lib/apt/lists/partial")
	u.MadeAt = Not[time.Time](Absent, "there is no list of security updates")
	made, st, why := s.Glob(securityLists)
	if st == Denied || st == Unknown {
		u.MadeAt = Not[time.Time](st, why)
	}
	for _, e := range made {
		if !u.MadeAt.Known() || e.MTime.After(u.MadeAt.V) {
			u.MadeAt = Is(e.MTime, Place{Path: e.Path})
		}
	}
	u.UpgradeAt = newest(s, aptStamps+"unattended-upgrades-stamp", aptStamps+"upgrade-stamp")
	u.Pending = pending(s)
	es, st, why := s.Glob("/lib/modules/*")
	if st == Denied {
		u.KernelsHidden = why
	}
	for _, e := range es {
		if e.Type == snap.Dir {
			u.Kernels = append(u.Kernels, path.Base(e.Path))
		}
	}
}

// newest is the latest change of those paths that exist.
func newest(s *snap.Snapshot, paths ...string) Value[time.Time] {
	out := Not[time.Time](Absent, "there is no "+paths[0])
	for _, p := range paths {
		e, st, why := s.Stat(p)
		switch {
		case st == Known && (!out.Known() || e.MTime.After(out.V)):
			out = Is(e.MTime, Place{Path: p})
		case (st == Denied || st == Unknown) && !out.Known():
			out = Not[time.Time](st, why)
		}
	}
	return out
}

// pending reads the simulation: Inst bash [5.2.15-2+b8] (5.2.15-2+b13 Debian:12.15/oldstable [amd64]).
func pending(s *snap.Snapshot) Value[[]Upgrade] {
	out, st, why := s.Run(aptSimulate...)
	if st != Known {
		if s.Source.Kind == "image" {
			why = "apt cannot be asked on an image"
		}
		return Not[[]Upgrade](Unknown, why)
	}
	if out.Exit != 0 {
		return Not[[]Upgrade](Unknown, "apt could not work out an upgrade: "+firstOf(out.Stderr))
	}
	var list []Upgrade
	for _, l := range outLines(out) {
		f := l.fields()
		if len(f) < 3 || f[0] != "Inst" || len(list) > 10_000 {
			continue
		}
		one := Upgrade{Package: f[1]}
		rest := strings.Join(f[2:], " ")
		if strings.HasPrefix(rest, "[") {
			one.From, rest, _ = strings.Cut(rest[1:], "] ")
		}
		rest = strings.TrimPrefix(rest, "(")
		one.To, rest = word(rest)
		from, _, _ := strings.Cut(rest, "[")
		one.Security = strings.Contains(from, "Debian-Security:") || strings.Contains(from, "Raspbian:") || strings.Contains(from, "-security")
		if one.From != "" { // a new dependency is not an update
			list = append(list, one)
		}
	}
	return Is(list, By(aptSimulate...))
}

// An OriginPattern is one line of what unattended-upgrades may install.
type OriginPattern struct {
	Text  string
	Place Place
	Wrong bool // unattended-upgrades ends at it, and installs nothing
	want  map[string]string
}

// UpgradePatterns are the archives that unattended-upgrades takes from.
func (h *Host) UpgradePatterns() []OriginPattern {
	fill := strings.NewReplacer("${distro_codename}", h.OS.Codename.V, "${distro_id}", distroID(h.OS.ID.V)).Replace
	keys := map[string]string{
		"o": "origin", "origin": "origin", "l": "label", "label": "label", "a": "suite", "suite": "suite", "archive": "suite",
		"n": "codename", "codename": "codename", "c": "component", "component": "component", "site": "site",
	}
	var out []OriginPattern
	for _, v := range h.Updates.Apt.List("Unattended-Upgrade::Origins-Pattern") {
		p := OriginPattern{Text: v.V, Place: v.Place, want: map[string]string{}}
		for _, part := range strings.Split(strings.ReplaceAll(fill(v.V), `\,`, "\x00"), ",") {
			k, val, _ := strings.Cut(strings.ReplaceAll(part, "\x00", ","), "=")
			if name, ok := keys[strings.TrimSpace(k)]; ok && strings.Count(part, "=") == 1 {
				p.want[name] = strings.TrimSpace(val)
			} else {
				p.want["unknown"] = k // such a pattern matches nothing
				p.Wrong = strings.TrimSpace(v.V) != ""
			}
		}
		out = append(out, p)
	}
	for _, v := range h.Updates.Apt.List("Unattended-Upgrade::Allowed-Origins") {
		text := fill(v.V)
		o, a, ok := strings.Cut(text, ":")
		if !ok {
			o, a, _ = strings.Cut(text, " ")
		}
		out = append(out, OriginPattern{Text: v.V, Place: v.Place, want: map[string]string{"origin": o, "suite": a}})
	}
	return out
}

// distroID is what lsb_release says of an os-release ID.
func distroID(id string) string {
	switch id {
	case "debian":
		return "Debian"
	case "raspbian":
		return "Raspbian"
	case "ubuntu":
		return "Ubuntu"
	}
	return id
}

// Matches reports whether the pattern takes packages of an archive.
func (p OriginPattern) Matches(o Origin) bool {
	has := map[string]string{"origin": o.Origin, "label": o.Label, "suite": o.Suite, "codename": o.Codename, "component": o.Component, "site": o.Site}
	for k, want := range p.want {
		got, ok := has[k]
		if !ok || want != got && !wild(want, got) {
			return false
		}
	}
	return len(p.want) > 0
}

// wild matches with * only, slashes included.
func wild(pattern, s string) bool {
	m, err := path.Match(strings.ReplaceAll(pattern, "/", "|"), strings.ReplaceAll(s, "/", "|"))
	return m && err == nil
}

// NewerKernel is the newest installed kernel of the running one's flavour, if
// it is newer; "" when the running one is the newest. ok is false when the
// installed ones do not include that flavour.
func (h *Host) NewerKernel() (name string, ok bool) {
	running := h.OS.Kernel.V
	best := ""
	for _, k := range h.Updates.Kernels {
		if flavour(k) != flavour(running) {
			continue
		}
		if best == "" || slices.Compare(numbers(k), numbers(best)) > 0 {
			best = k
		}
	}
	if best == "" {
		return "", false
	}
	if slices.Compare(numbers(best), numbers(running)) > 0 {
		return best, true
	}
	return "", true
}

// flavour is a kernel's name without its numbers: 6.1.0-21-amd64 and
// 6.1.0-37-amd64 are of one flavour, 6.6.31+rpt-rpi-2712 and -v8 are not.
func flavour(k string) string {
	i := strings.LastIndexFunc(k, func(r rune) bool { return r == '-' })
	tail := k[i+1:]
	rest := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r == '.' || r == '+' || r == '-' {
			return -1
		}
		return r
	}, k[:i+1])
	return rest + "|" + tail
}

// numbers are the numbers in a kernel's name, its last part left out.
func numbers(k string) []int {
	if i := strings.LastIndexByte(k, '-'); i > 0 {
		k = k[:i]
	}
	var out []int
	n, in := 0, false
	for i := 0; i <= len(k); i++ {
		if i < len(k) && k[i] >= '0' && k[i] <= '9' {
			n, in = min(n*10+int(k[i]-'0'), 1<<30), true
			continue
		}
		if in {
			out = append(out, n)
		}
		n, in = 0, false
	}
	return out
}
