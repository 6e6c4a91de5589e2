package fact

import (
	"path"
	"strconv"
	"strings"

	"picket/internal/core/snap"
)

// OS is what runs on the host, and on what machine.
type OS struct {
	ID       Value[string] // "debian"; from os-release
	Version  Value[string] // "12"
	Name     Value[string] // "Debian GNU/Linux 12 (bookworm)"
	Codename Value[string]
	Hostname Value[string]
	Model    Value[string] // "Raspberry Pi 4 Model B Rev 1.5"; absent on a PC
	Kernel   Value[string] // "6.1.0-21-amd64"
	Arch     Value[string] // "x86_64"
	// RaspberryPi is true on a Pi, and on a card that was made for one.
	RaspberryPi bool
}

func askOS(h *Host, _ *snap.Snapshot) snap.Manifest {
	m := snap.Manifest{
		Files: []string{
			MmapBits,
			"/etc/os-release", "/usr/lib/os-release", "/etc/hostname", "/etc/rpi-issue",
			"/proc/device-tree/model", "/proc/sys/kernel/osrelease", "/proc/sys/kernel/hostname",
		},
		Stats:    []string{"/boot/firmware/config.txt", "/boot/config.txt"},
		Commands: []snap.Command{{Argv: []string{"uname", "-srm"}}},
	}
	if h.OS.Arch.Known() && h.OS.Arch.V != "x86_64" && h.OS.Kernel.Known() {
		m.Files = append(m.Files, h.kernelConfig())
	}
	return m
}

// kernelConfig is the file with what the running kernel was built with.
func (h *Host) kernelConfig() string { return "/boot/config-" + path.Base(h.OS.Kernel.V) }

func parseOS(h *Host, s *snap.Snapshot) {
	o := &h.OS
	release, st, why := s.File("/etc/os-release")
	if st != Known {
		if r, st2, why2 := s.File("/usr/lib/os-release"); st2 == Known || st == Absent {
			release, st, why = r, st2, why2
		}
	}
	for _, f := range []struct {
		v   *Value[string]
		key string
	}{{&o.ID, "ID"}, {&o.Version, "VERSION_ID"}, {&o.Name, "PRETTY_NAME"}, {&o.Codename, "VERSION_CODENAME"}} {
		*f.v = Not[string](st, why)
		if st == Known {
			*f.v = assignment(release, f.key)
		}
	}
	o.Hostname = firstLine(s, "/proc/sys/kernel/hostname")
	if name := firstLine(s, "/etc/hostname"); !o.Hostname.Known() || s.Source.Kind == "image" {
		o.Hostname = name
	}
	o.Model = firstLine(s, "/proc/device-tree/model")
	o.Model.V = strings.TrimRight(o.Model.V, "\x00")
	o.Kernel = firstLine(s, "/proc/sys/kernel/osrelease")
	o.Arch = Not[string](Unknown, "no command could be run")
	if out, st, _ := s.Run("uname", "-srm"); st == Known {
		if f := strings.Fields(string(out.Stdout)); len(f) == 3 {
			o.Arch = Is(f[2], By(out.Argv...))
		}
	}
	_, issue, _ := s.Stat("/etc/rpi-issue")
	o.RaspberryPi = issue == Known || strings.Contains(o.Model.V, "Raspberry Pi")
}

// Is32Bit reports whether a machine, in the words of uname, has a kernel of 32
// bits.
func Is32Bit(arch string) bool {
	return strings.HasPrefix(arch, "armv") || len(arch) == 4 && arch[0] == 'i' && strings.HasSuffix(arch, "86")
}

// Machine is the kind of processor, as the kernel or, on an image, as the
// packages name it.
func (h *Host) Machine() Value[string] {
	if h.OS.Arch.Known() || h.Snap.Source.Kind != "image" {
		return h.OS.Arch
	}
	for _, p := range []string{"libc6", "auditd"} {
		switch arch := h.Packages.All[p].Arch; arch {
		case "amd64":
			return Is("x86_64", h.Packages.Place)
		case "arm64":
			return Is("aarch64", h.Packages.Place)
		case "armhf", "armel":
			return Is("armv7l", h.Packages.Place)
		case "i386":
			return Is("i686", h.Packages.Place)
		}
	}
	return Not[string](Unknown, "the packages do not tell what kind of processor this image is for")
}

// MmapBits is where the kernel tells how random the places in memory are.
const MmapBits = "/proc/sys/vm/mmap_rnd_bits"

// MmapMost is the largest value that the running kernel was built for.
func (h *Host) MmapMost() Value[int] {
	if h.OS.Arch.V == "x86_64" {
		return Is(32, h.OS.Arch.Place) // arch/x86/Kconfig: no other is possible
	}
	if !h.OS.Arch.Known() {
		return Not[int](Unknown, h.OS.Arch.Why)
	}
	if !h.OS.Kernel.Known() {
		return Not[int](Unknown, h.OS.Kernel.Why)
	}
	f, st, why := h.Snap.File(h.kernelConfig())
	if st != Known {
		return Not[int](Unknown, "the most bits that this kernel can do are not known: "+why)
	}
	v := assignment(f, "CONFIG_ARCH_MMAP_RND_BITS_MAX")
	n, err := strconv.Atoi(v.V)
	if !v.Known() || err != nil {
		return Not[int](Unknown, "the most bits that this kernel can do are not known: "+v.Why)
	}
	return Is(n, v.Place)
}

// firstLine is the first line of a small file.
func firstLine(s *snap.Snapshot, path string) Value[string] {
	e, st, why := s.File(path)
	if st != Known {
		return Not[string](st, why)
	}
	ls := lines(e)
	if len(ls) == 0 {
		return Not[string](Absent, path+" is empty")
	}
	return Is(strings.TrimSpace(ls[0].text), ls[0].at)
}

// assignment finds KEY=value in a file of shell assignments.
func assignment(e *snap.Entry, key string) Value[string] {
	out := Not[string](Absent, key+" is not set in "+e.Path)
	for _, l := range lines(e) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(l.text), key+"="); ok {
			out = Is(unquote(strings.TrimSpace(v)), l.at)
		}
	}
	return out
}
