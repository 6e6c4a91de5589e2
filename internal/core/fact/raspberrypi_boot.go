package fact

import (
	"encoding/binary"
	"path"
	"strings"
	"time"

	"picket/internal/core/snap"
)

// left lists what lies on the boot partition and holds a secret.
func (p *Pi) left(s *snap.Snapshot) {
	add := func(e *snap.Entry, line int, what string) {
		for _, b := range p.Left {
			if b.Place.Path == e.Path {
				return // one a file
			}
		}
		p.Left = append(p.Left, BootFile{Place: At(e.Path, line), What: what, Open: e.Mode&0o004 != 0})
	}
	seen := map[string]bool{}
	for _, d := range bootFolders {
		for _, f := range append(append([]string{}, bootLeft...), bootWifi...) {
			e, st, why := s.File(d + f)
			switch {
			case st == Denied:
				p.LeftWhy = why
			case st != Known || seen[path.Base(f)]:
			default:
				seen[path.Base(f)] = true
				for _, l := range lines(e) {
					if what := secretKept(l.text); what != "" {
						add(e, l.at.Line, what)
					}
				}
				if strings.HasPrefix(string(e.Content), fileNotKept) {
					p.LeftWhy = e.Path + " is not valid YAML"
				}
			}
		}
	}
}

// secretKept names the secret that a redacted line stood for.
func secretKept(text string) string {
	for _, m := range anyNote.FindAllString(text, -1) {
		inner, more, _ := strings.Cut(strings.Trim(m, "[]"), ", ")
		what := ""
		switch {
		case inner == "not kept" || inner == notAHash:
			continue
		case inner == plainPhrase, inner == hashedPhrase:
			what = "a Wi-Fi " + inner
		case inner == plainPassword:
			what = "a password"
		case inner == wepKey:
			what = "a WEP key"
		default:
			what = "the hash of a password (" + inner + ")"
		}
		if more != "" && !strings.HasPrefix(more, "not checked") {
			what += ", " + more
		}
		return what
	}
	return ""
}

// notStarted says why a card was never started; what lies on its boot
// partition still waits to be used then.
func notStarted(h *Host, s *snap.Snapshot) string {
	if s.Source.Kind != "image" {
		return ""
	}
	for _, w := range h.Boot.Next.V {
		if w == "init=/usr/lib/raspberrypi-sys-mods/firstboot" || strings.HasPrefix(w, "systemd.run=/boot/") {
			return h.Boot.Next.Place.Path + " still says " + w
		}
	}
	switch id := firstLine(s, machineID); {
	case id.State == Absent, id.Known() && (id.V == "uninitialized" || id.V == ""):
		return machineID + " is not made yet"
	}
	return ""
}

// imageDate is the first line of rpi-issue: Raspberry Pi reference 2024-11-19.
func imageDate(s *snap.Snapshot) Value[time.Time] {
	l := firstLine(s, piIssue)
	if !l.Known() {
		return Not[time.Time](l.State, l.Why)
	}
	f := strings.Fields(l.V)
	if len(f) > 0 {
		if t, err := time.Parse(time.DateOnly, f[len(f)-1]); err == nil {
			return Is(t, l.Place)
		}
	}
	return Not[time.Time](Absent, piIssue+" names no date")
}

// eeprom reads the age of the boot loader, as the firmware tells it, and of
// those that the package rpi-eeprom would write. The program rpi-eeprom-update
// is never run: older ones delete an update that waits for the next boot.
func (p *Pi) eeprom(h *Host, s *snap.Snapshot) {
	e, st, why := s.File(builtStamp)
	p.Built, p.Newest = Not[time.Time](st, why), Not[time.Time](Absent, "the package rpi-eeprom holds none for this board")
	if st == Known && len(e.Content) >= 4 {
		p.Built = Is(snap.Time(int64(binary.BigEndian.Uint32(e.Content))), Place{Path: builtStamp})
	} else if st == Known {
		p.Built = Not[time.Time](Absent, builtStamp+" has another form")
	}
	chip := "2711"
	if strings.Contains(h.OS.Model.V, "Raspberry Pi 5") || strings.Contains(h.OS.Model.V, "Compute Module 5") {
		chip = "2712"
	}
	release := "default"
	switch r, st, why := s.File(eepromRules); st {
	case Denied, Unknown:
		p.Newest = Not[time.Time](st, why)
		return
	case Known:
		if v := assignment(r, "FIRMWARE_RELEASE_STATUS"); v.Known() {
			release = v.V
		}
	}
	switch release {
	case "critical":
		release = "default"
	case "stable":
		release = "latest"
	}
	for _, pattern := range eepromImages {
		es, st, why := s.Glob(pattern)
		if st == Denied || st == Unknown {
			p.Newest = Not[time.Time](st, why)
			return
		}
		for _, e := range es {
			dir, name := path.Split(e.Path)
			if !strings.HasSuffix(path.Dir(path.Clean(dir)), "bootloader-"+chip) || path.Base(dir) != release {
				continue
			}
			date := strings.TrimSuffix(strings.TrimPrefix(name, "pieeprom-"), ".bin")
			if t, err := time.Parse(time.DateOnly, date); err == nil && (!p.Newest.Known() || t.After(p.Newest.V)) {
				p.Newest = Is(t, Place{Path: e.Path})
			}
		}
	}
}

// parseSwaps reads /proc/swaps, without its head.
func parseSwaps(s *snap.Snapshot) Value[[]string] {
	e, st, why := s.File(procSwaps)
	if st != Known {
		return Not[[]string](st, why)
	}
	var out []string
	for i, l := range lines(e) {
		if f := l.fields(); i > 0 && len(f) > 1 {
			out = append(out, printable(f[0]))
		}
	}
	return Is(out, Place{Path: procSwaps})
}
