package fact

import (
	"path"
	"slices"
	"strings"

	"picket/internal/core/snap"
)

// Sysctl are the kernel's settings: what runs, and what the next boot sets.
// Keys are paths below /proc/sys ("net/ipv4/ip_forward"), since the names of
// interfaces hold dots.
type Sysctl struct {
	Running map[string]Value[string]
	// Settings in the order in which the boot applies them: the kernel's
	// command line, systemd-sysctl, ufw.
	Settings []SysctlSetting
	// Unread settings stand in /etc/sysctl.conf on a system that does not read
	// it at boot.
	Unread  []SysctlSetting
	Missing string // why some file could not be read
	Off     Place  // set when systemd-sysctl is masked: the unit's place
	ufwFile string // the file that ufw loads when it starts
}

// SysctlSetting is one line that sets a key, or keeps a pattern from doing so.
type SysctlSetting struct {
	Key     string // may be a pattern
	Value   string
	Exclude bool // "-key" without a value: patterns leave this key alone
	Place   Place
	order   sysctlWriter
}

// sysctlWriter is who writes a setting while booting, in that order.
type sysctlWriter int

const (
	bySystemd sysctlWriter = iota
	byKernel
	byUfw
)

// Folders of sysctl.d, the first wins among files of one name.
var sysctlFolders = []string{"/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d"}

const (
	sysctlRoot  = "/proc/sys/"
	sysctlConf  = "/etc/sysctl.conf"
	ufwDefaults = "/etc/default/ufw"
	ufwConf     = "/etc/ufw/ufw.conf"
	ufwSysctl   = "/etc/ufw/sysctl.conf"
)

func askSysctl(h *Host, _ *snap.Snapshot) snap.Manifest {
	m := snap.Manifest{Files: []string{
		sysctlConf, ufwDefaults, ufwConf, ufwSysctl, procCmdline,
		"/proc/sys/net/ipv4/ip_forward",
		"/proc/sys/net/ipv4/conf/*/forwarding",
		"/proc/sys/net/ipv6/conf/*/disable_ipv6",
	}}
	for _, d := range sysctlFolders {
		m.Files = append(m.Files, d+"/*.conf")
	}
	if f := h.Sysctl.ufwFile; path.IsAbs(f) && path.Clean(f) == f && !snap.IsPattern(f) {
		m.Files = append(m.Files, f)
	}
	return m
}

func parseSysctl(h *Host, s *snap.Snapshot) {
	c := &h.Sysctl
	c.Running = map[string]Value[string]{}
	for p, e := range s.Entries {
		key, ok := strings.CutPrefix(p, sysctlRoot)
		if !ok || e.Type == snap.Dir {
			continue
		}
		_, st, why := s.File(p)
		c.Running[key] = Not[string](st, why)
		if st == Known {
			c.Running[key] = Is(strings.Join(strings.Fields(string(e.Content)), " "), Place{Path: p})
		}
	}
	c.parseCmdline(s)
	c.parseFolders(s)
	c.parseUfw(s)
	if u := h.Units.Get("systemd-sysctl.service"); u.Masked() {
		c.Off = u.FileState.Place
	} else if why := h.ChangedUnit(u.Name); why != "" {
		c.Missing = why
	}
}

// parseCmdline takes sysctl.KEY=VALUE, which the kernel itself applies.
func (c *Sysctl) parseCmdline(s *snap.Snapshot) {
	e, st, _ := s.File(procCmdline)
	if st != Known {
		return
	}
	for _, w := range strings.Fields(string(e.Content)) {
		if k, v, ok := strings.Cut(w, "="); ok && strings.HasPrefix(k, "sysctl.") {
			key := sysctlKey(strings.TrimPrefix(k, "sysctl."))
			c.Settings = append(c.Settings, SysctlSetting{Key: key, Value: v, Place: At(procCmdline, 1), order: byKernel})
		}
	}
}

// parseFolders does what systemd-sysctl does: files sorted by name over all
// folders, one of each name, a link to /dev/null masks the others of its name.
// Source: systemd 252, src/sysctl/sysctl.c and conf_files_list.
func (c *Sysctl) parseFolders(s *snap.Snapshot) {
	files := map[string]*snap.Entry{}
	for _, d := range sysctlFolders {
		es, st, why := s.Glob(d + "/*.conf")
		if st == Denied {
			c.Missing = why
		}
		for _, e := range es {
			name := path.Base(e.Path)
			if _, shadowed := files[name]; !shadowed {
				files[name] = e
			}
		}
	}
	names := make([]string, 0, len(files))
	for n := range files {
		names = append(names, n)
	}
	slices.Sort(names)
	linked := false
	var all []SysctlSetting
	for _, n := range names {
		e := files[n]
		linked = linked || e.Real == sysctlConf
		if e.Denied != "" {
			c.Missing = e.Denied
		}
		if e.Read {
			all = append(all, ParseSysctl(e.Path, string(e.Content))...)
		}
	}
	c.Settings = append(c.Settings, replaceEarlier(all)...)
	if e, st, _ := s.File(sysctlConf); st == Known && !linked {
		c.Unread = ParseSysctl(sysctlConf, string(e.Content))
	}
}

// replaceEarlier drops an assignment when a later one gives its key another
// value; an equal one leaves it where it stands.
func replaceEarlier(all []SysctlSetting) []SysctlSetting {
	last := map[string]int{}
	keep := make([]bool, len(all))
	for i, a := range all {
		if j, ok := last[a.Key]; ok {
			if all[j].Value == a.Value && all[j].Exclude == a.Exclude {
				continue
			}
			keep[j] = false
		}
		last[a.Key], keep[i] = i, true
	}
	var out []SysctlSetting
	for i, a := range all {
		if keep[i] {
			out = append(out, a)
		}
	}
	return out
}

// parseUfw takes the file that ufw writes to the kernel when it starts.
func (c *Sysctl) parseUfw(s *snap.Snapshot) {
	conf, st, why := s.File(ufwConf)
	if st == Denied {
		c.Missing = why
	}
	if st != Known || !strings.EqualFold(assignment(conf, "ENABLED").V, "yes") {
		return
	}
	file := ufwSysctl
	if e, st, why2 := s.File(ufwDefaults); st == Known {
		v := assignment(e, "IPT_SYSCTL")
		if v.Known() {
			file = v.V
		}
	} else if st == Denied {
		c.Missing = why2
	}
	if file == "" {
		return
	}
	c.ufwFile = file
	e, st, why := s.File(file)
	switch st {
	case Known:
		for _, a := range ParseSysctl(file, string(e.Content)) {
			a.order = byUfw
			c.Settings = append(c.Settings, a)
		}
	case Denied, Unknown:
		c.Missing = why
	}
}

// ParseSysctl reads the lines of one file of sysctl.d.
func ParseSysctl(file, text string) []SysctlSetting {
	var out []SysctlSetting
	for _, l := range linesAt(text, Place{Path: file}) {
		t := strings.TrimSpace(l.text)
		if t == "" || t[0] == '#' || t[0] == ';' {
			continue
		}
		t, dash := strings.CutPrefix(t, "-")
		key, value, ok := strings.Cut(t, "=")
		key = sysctlKey(strings.TrimSpace(key))
		if key == "" || !ok && !dash {
			continue // systemd says "not an assignment" and goes on
		}
		value = strings.Join(strings.Fields(value), " ")
		out = append(out, SysctlSetting{Key: key, Value: value, Exclude: !ok, Place: l.at})
	}
	return out
}

// sysctlKey turns a name into a path. When the first separator is a dot, dots
// and slashes change places; when it is a slash, it is a path already.
func sysctlKey(name string) string {
	if i := strings.IndexAny(name, "./"); i >= 0 && name[i] == '.' {
		name = strings.Map(func(r rune) rune {
			switch r {
			case '.':
				return '/'
			case '/':
				return '.'
			}
			return r
		}, name)
	}
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	return name
}

// SysctlName is the usual way to write a key: dots, and slashes within the
// name of an interface.
func SysctlName(key string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '/':
			return '.'
		case '.':
			return '/'
		}
		return r
	}, key)
}

// Asked returns the setting that wins among the files, whether or not anything
// reads them at boot.
func (c Sysctl) Asked(key string) (SysctlSetting, bool) {
	c.Off = Place{}
	if a, ok := c.Boot(key); ok {
		return a, true
	}
	for _, a := range slices.Backward(c.Unread) {
		if a.Key == key && !a.Exclude {
			return a, true
		}
	}
	return SysctlSetting{}, false
}

// Boot returns the setting that the next boot ends with, if anything makes one.
func (c Sysctl) Boot(key string) (SysctlSetting, bool) {
	var kernel, systemd, pattern, ufw *SysctlSetting
	explicit := false
	for i := range c.Settings {
		a := &c.Settings[i]
		same := a.Key == key
		switch {
		case a.order == byKernel && same:
			kernel = a
		case a.order == byUfw && same && !a.Exclude:
			ufw = a
		case a.order != bySystemd:
		case same:
			explicit = true
			if !a.Exclude {
				systemd = a
			}
		case snap.IsPattern(a.Key) && !a.Exclude && snap.Match(a.Key, key):
			pattern = a
		}
	}
	if !explicit {
		systemd = pattern
	}
	if c.Off != (Place{}) {
		systemd = nil
	}
	for _, a := range []*SysctlSetting{ufw, systemd, kernel} {
		if a != nil {
			return *a, true
		}
	}
	return SysctlSetting{}, false
}

// Interfaces are the names below net/FAMILY/conf of which a setting was read,
// but for the loopback and the two that stand for all and for new ones.
func (c Sysctl) Interfaces(family, name string) []string {
	var out []string
	for key := range c.Running {
		i, ok := strings.CutPrefix(key, "net/"+family+"/conf/")
		if i, ok2 := strings.CutSuffix(i, "/"+name); ok && ok2 && i != "all" && i != "default" && i != "lo" {
			out = append(out, i)
		}
	}
	slices.Sort(out)
	return out
}

// NoIPv6 gives the reason when the host does not speak IPv6.
func (c Sysctl) NoIPv6(s *snap.Snapshot) (string, bool) {
	image := s.Source.Kind == "image"
	v, ok := c.Running["net/ipv6/conf/all/disable_ipv6"]
	if ok && v.Known() && !image {
		return "IPv6 is switched off (net.ipv6.conf.all.disable_ipv6 is 1)", v.V == "1"
	}
	if !ok && !image {
		// Another key of the family proves that the kernel speaks it.
		for k := range c.Running {
			if strings.HasPrefix(k, "net/ipv6/") {
				return "", false
			}
		}
		_, st, _ := s.Glob("/proc/sys/net/ipv6/conf/*/disable_ipv6")
		return "this kernel does not speak IPv6", st == Absent
	}
	a, set := c.Boot("net/ipv6/conf/all/disable_ipv6")
	return "IPv6 is switched off in " + a.Place.String(), set && a.Value == "1"
}
