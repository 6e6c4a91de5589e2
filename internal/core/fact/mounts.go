package fact

import (
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/snap"
)

// Mounts are the file systems of the host: those mounted now, and those that
// the next boot mounts.
type Mounts struct {
	State State // of Now
	Why   string
	Now   []Mount // in the kernel's order; a later one covers an earlier one at the same point
	Fstab Value[[]Mount]
	// TmpUnit are the options that systemd's tmp.mount asks for; absent when
	// there is no such unit.
	TmpUnit Value[[]string]
}

// A Mount is one file system at one place.
type Mount struct {
	Source  string
	Point   string
	Type    string
	Options []string
	Place   Place
}

// Has reports whether an option is set.
func (m Mount) Has(option string) bool { return slices.Contains(m.Options, option) }

// Option returns the value of name=value, the last one.
func (m Mount) Option(name string) (string, bool) {
	for _, o := range slices.Backward(m.Options) {
		if k, v, ok := strings.Cut(o, "="); ok && k == name {
			return v, true
		}
	}
	return "", false
}

const (
	mountinfo1    = "/proc/1/mountinfo"
	mountinfoSelf = "/proc/self/mountinfo"
	fstab         = "/etc/fstab"
)

var tmpMountFiles = []string{
	"/etc/systemd/system/tmp.mount", "/run/systemd/system/tmp.mount",
	"/usr/lib/systemd/system/tmp.mount", "/lib/systemd/system/tmp.mount",
}

// tmpWanted start tmp.mount: the first since Debian 13, the second when enabled.
var tmpWanted = []string{
	"/usr/lib/systemd/system/local-fs.target.wants/tmp.mount",
	"/etc/systemd/system/local-fs.target.wants/tmp.mount",
}

// InFstab reports whether fstab mounts something at a point while booting.
func (m Mounts) InFstab(point string) bool {
	next, ok := m.Next(point)
	return ok && (!next.Has("noauto") || next.Has("x-systemd.automount"))
}

// TmpWanted reports whether the next boot starts tmp.mount.
func (m Mounts) TmpWanted(s *snap.Snapshot) bool {
	return slices.ContainsFunc(tmpWanted, func(p string) bool {
		_, st, _ := s.Stat(p)
		return st == Known
	})
}

const tmpMountDropIns = "/etc/systemd/system/tmp.mount.d/*.conf"

func askMounts(*Host, *snap.Snapshot) snap.Manifest {
	return snap.Manifest{
		Files: append([]string{mountinfo1, mountinfoSelf, fstab, tmpMountDropIns}, tmpMountFiles...),
		Stats: append([]string{"/usr/sbin/automount"}, tmpWanted...),
	}
}

func parseMounts(h *Host, s *snap.Snapshot) {
	m := &h.Mounts
	// A process of its own mount namespace does not see the host's /tmp.
	e, st, why := s.File(mountinfo1)
	if st != Known {
		e, st, why = s.File(mountinfoSelf)
	}
	m.State, m.Why = st, why
	if s.Source.Kind == "image" {
		m.State, m.Why = Unknown, "an image has no mounts"
	} else if st == Known {
		m.Now = ParseMountinfo(e.Path, string(e.Content))
	}
	m.Fstab = Not[[]Mount](st, why)
	e, st, why = s.File(fstab)
	m.Fstab = Not[[]Mount](st, why)
	if st == Known {
		m.Fstab = Is(ParseFstab(fstab, string(e.Content)), Place{Path: fstab})
	}
	m.TmpUnit = tmpUnit(s)
}

// At returns what is mounted at a point now.
func (m Mounts) At(point string) (Mount, bool) { return lastAt(m.Now, point) }

// Next returns what fstab mounts at a point. Of two lines for one point systemd
// takes the first and refuses the other as a duplicate: tried with 252.
func (m Mounts) Next(point string) (Mount, bool) {
	for _, f := range m.Fstab.V {
		if f.Point == point {
			return f, true
		}
	}
	return Mount{}, false
}

func lastAt(ms []Mount, point string) (Mount, bool) {
	for _, m := range slices.Backward(ms) {
		if m.Point == point {
			return m, true
		}
	}
	return Mount{}, false
}

// ParseMountinfo reads /proc/PID/mountinfo (proc(5)); the options are those of
// the mount and of its file system.
func ParseMountinfo(file, text string) []Mount {
	var out []Mount
	for _, l := range linesAt(text, Place{Path: file}) {
		before, after, ok := strings.Cut(l.text, " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 6 || len(g) < 3 {
			continue
		}
		opts := strings.Split(f[5], ",")
		for _, o := range strings.Split(g[2], ",") {
			// The mount's own ro or rw is the one that counts here.
			if o != "rw" && o != "ro" {
				opts = append(opts, o)
			}
		}
		out = append(out, Mount{unescapeMount(g[1]), unescapeMount(f[4]), g[0], opts, l.at})
	}
	return out
}

// ParseFstab reads fstab(5).
func ParseFstab(file, text string) []Mount {
	var out []Mount
	for _, l := range linesAt(text, Place{Path: file}) {
		f := l.fields()
		if len(f) < 3 || strings.HasPrefix(f[0], "#") {
			continue
		}
		opts := []string{"defaults"}
		if len(f) > 3 {
			opts = fstabOptions(f[3])
		}
		point := unescapeMount(f[1])
		if len(point) > 1 {
			point = strings.TrimRight(point, "/")
		}
		out = append(out, Mount{unescapeMount(f[0]), point, f[2], opts, l.at})
	}
	return out
}

// fstabOptions resolves what cancels or implies each other (mount(8)): the
// last of noexec and exec counts, and user implies three.
func fstabOptions(s string) []string {
	var out []string
	drop := func(o string) { out = slices.DeleteFunc(out, func(x string) bool { return x == o }) }
	add := func(o string) {
		if !slices.Contains(out, o) {
			out = append(out, o)
		}
	}
	for _, o := range strings.Split(s, ",") {
		switch o {
		case "":
			continue
		case "dev", "suid", "exec":
			drop("no" + o)
		case "user", "users":
			add("noexec")
			add("nosuid")
			add("nodev")
		case "owner", "group":
			add("nosuid")
			add("nodev")
		}
		add(o)
	}
	return out
}

// unescapeMount turns \040 into a blank.
func unescapeMount(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return strings.ToValidUTF8(b.String(), "\uFFFD")
}

// tmpUnit finds the options of tmp.mount: the unit's file, then its drop-ins.
func tmpUnit(s *snap.Snapshot) Value[[]string] {
	out := Not[[]string](Absent, "there is no tmp.mount")
	take := func(e *snap.Entry) {
		for _, l := range lines(e) {
			if v, ok := strings.CutPrefix(strings.TrimSpace(l.text), "Options="); ok {
				out = Is(fstabOptions(v), l.at)
			}
		}
	}
	for _, p := range tmpMountFiles {
		if e, st, why := s.File(p); st == Known {
			out = Is([]string(nil), Place{Path: p})
			take(e)
			break
		} else if e != nil && e.Target == "/dev/null" {
			return Not[[]string](Absent, "tmp.mount is masked")
		} else if st == Denied {
			return Not[[]string](st, why)
		}
	}
	if !out.Known() {
		return out
	}
	dropIns, st, why := s.Glob(tmpMountDropIns)
	if st == Denied {
		return Not[[]string](st, why)
	}
	for _, e := range dropIns {
		if e.Denied != "" {
			return Not[[]string](Denied, e.Denied)
		}
		take(e)
	}
	return out
}
