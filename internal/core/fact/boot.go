package fact

import (
	"path"
	"strings"

	"picket/internal/core/snap"
)

// Boot is what the kernel was started with and what it will be next time.
type Boot struct {
	Now  Value[[]string] // words of the running kernel's command line
	Next Value[[]string] // words that the boot loader will pass: cmdline.txt or grub.cfg
	// Asked are the words of /etc/default/grub; they reach Next with update-grub.
	Asked Value[[]string]
	// GrubPassword tells whether grub.cfg asks for one before its menu can be changed.
	GrubPassword Value[bool]
}

const (
	procCmdline  = "/proc/cmdline"
	grubDefaults = "/etc/default/grub"
	grubDropIns  = "/etc/default/grub.d/*.cfg"
	grubCfg      = "/boot/grub/grub.cfg"
	cpuFlaws     = "/sys/devices/system/cpu/vulnerabilities/*"
	ctrlAltDel   = "/etc/systemd/system/ctrl-alt-del.target"
)

var piCmdlines = []string{"/boot/firmware/cmdline.txt", "/boot/cmdline.txt"}

func askBoot(*Host, *snap.Snapshot) snap.Manifest {
	return snap.Manifest{
		Files: append([]string{procCmdline, grubDefaults, grubDropIns, grubCfg, cpuFlaws}, piCmdlines...),
		Stats: []string{ctrlAltDel, "/usr/lib/systemd/system/ctrl-alt-del.target"},
	}
}

func parseBoot(h *Host, s *snap.Snapshot) {
	b := &h.Boot
	b.Now = words(s, procCmdline)
	if s.Source.Kind == "image" {
		b.Now = Not[[]string](Unknown, "an image has no running kernel")
	}
	b.Asked = grubAsked(s)
	for _, p := range piCmdlines {
		b.Next = words(s, p)
		if b.Next.State != Absent {
			return
		}
	}
	b.parseGrub(s)
}

// words are those of a file's first line.
func words(s *snap.Snapshot, p string) Value[[]string] {
	v := firstLine(s, p)
	if !v.Known() {
		return Not[[]string](v.State, v.Why)
	}
	return Is(strings.Fields(v.V), v.Place)
}

// parseGrub takes the first entry's kernel line: what grub boots by default.
func (b *Boot) parseGrub(s *snap.Snapshot) {
	e, st, why := s.File(grubCfg)
	b.Next, b.GrubPassword = Not[[]string](st, why), Not[bool](st, why)
	if st != Known {
		return
	}
	b.Next = Not[[]string](Absent, grubCfg+" starts no kernel")
	b.GrubPassword = Is(false, Place{Path: grubCfg})
	users, password := false, Place{}
	for _, l := range lines(e) {
		f := l.fields()
		if len(f) == 0 {
			continue
		}
		switch {
		case f[0] == "linux" && !b.Next.Known() && len(f) > 1:
			b.Next = Is(f[2:], l.at)
		case f[0] == "set" && len(f) > 1 && strings.HasPrefix(f[1], "superusers="):
			_, who, _ := strings.Cut(f[1], "=")
			users = strings.Trim(who, `"'`) != ""
		case f[0] == "password" || f[0] == "password_pbkdf2":
			password = l.at
		}
	}
	if users && password != (Place{}) { // in whichever order
		b.GrubPassword = Is(true, password)
	}
}

// grubAsked reads the shell assignments of /etc/default/grub and its drop-ins.
func grubAsked(s *snap.Snapshot) Value[[]string] {
	e, st, why := s.File(grubDefaults)
	if st != Known {
		return Not[[]string](st, why)
	}
	files := []*snap.Entry{e}
	more, st, why := s.Glob(grubDropIns)
	if st == Denied {
		return Not[[]string](st, why)
	}
	for _, f := range more {
		if f.Denied != "" {
			return Not[[]string](Denied, f.Denied)
		}
	}
	files = append(files, more...)
	vars := map[string]string{}
	at := Place{Path: grubDefaults}
	for _, f := range files {
		for _, l := range lines(f) {
			k, v, ok := strings.Cut(strings.TrimSpace(l.text), "=")
			if !ok || k != "GRUB_CMDLINE_LINUX" && k != "GRUB_CMDLINE_LINUX_DEFAULT" {
				continue
			}
			v = unquote(uncomment(v, "#"))
			for _, name := range []string{"${" + k + "}", "$" + k} {
				v = strings.ReplaceAll(v, name, vars[k])
			}
			// A file that names itself over and over would grow without end.
			if len(v) > 1<<16 {
				v = v[:1<<16]
			}
			vars[k] = v
			at = l.at
		}
	}
	return Is(strings.Fields(vars["GRUB_CMDLINE_LINUX"]+" "+vars["GRUB_CMDLINE_LINUX_DEFAULT"]), at)
}

// CPUFlaws are the kernel's own words on each known flaw of the processor.
func (h *Host) CPUFlaws() (flaws map[string]string, st State, why string) {
	es, st, why := h.Snap.Glob(cpuFlaws)
	flaws = map[string]string{}
	for _, e := range es {
		if e.Denied != "" {
			st, why = Denied, e.Denied
		}
		if e.Read {
			flaws[path.Base(e.Path)] = strings.TrimSpace(strings.ToValidUTF8(string(e.Content), "\uFFFD"))
		}
	}
	return flaws, st, why
}
