package fact

import (
	"path"
	"regexp"
	"strings"

	"picket/internal/core/snap"
)

// A WifiLink is one wireless interface as it runs now.
type WifiLink struct {
	Interface string
	Mode      string // "managed", "AP", …
	SSID      string // "" when it is part of no network
	Pairwise  string // CCMP, TKIP, WEP-40, NONE; "" when not told
	Mgmt      string // WPA2-PSK, SAE, NONE, …; "" when not told
	Why       string // why the protection in use could not be asked, where somebody knows it
	Place     Place
}

// Weak tells what is wrong with the protection that is in force.
func (l WifiLink) Weak() string {
	switch {
	case l.Pairwise == "TKIP":
		return "the cipher in use is TKIP, which is broken"
	case strings.HasPrefix(l.Pairwise, "WEP"):
		return "the cipher in use is WEP, which is broken"
	case l.Mgmt == "WPA-PSK" || strings.HasPrefix(l.Mgmt, "WPA/"):
		return "the first WPA is in use, which is broken"
	case l.Mgmt == "NONE" && (l.Pairwise == "" || l.Pairwise == "NONE"):
		return "nothing is encrypted"
	}
	return ""
}

// phys is there for every wireless interface.
const phys = "/sys/class/net/*/phy80211"

var iwDev = []string{"iw", "dev"}

// rfkill are the kernel's own words on every transmitter.
var rfkill = []string{"/sys/class/rfkill/*/type", "/sys/class/rfkill/*/soft", "/sys/class/rfkill/*/hard", "/sys/class/rfkill/*/name"}

func askLinks(s *snap.Snapshot) snap.Manifest {
	m := snap.Manifest{}
	for _, name := range wlans(s) {
		m.Commands = append(m.Commands, snap.Command{Argv: wpaStatus(name)})
	}
	if len(m.Commands) > 0 {
		m.Commands = append(m.Commands, snap.Command{Argv: iwDev})
	}
	return m
}

func wpaStatus(name string) []string { return []string{"wpa_cli", "-i", name, "status"} }

// interfaceName is what an interface's name has to be before a command may hold it.
var interfaceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// wlans are the wireless interfaces.
func wlans(s *snap.Snapshot) []string {
	es, _, _ := s.Glob(phys)
	var out []string
	for _, e := range es {
		name := path.Base(path.Dir(e.Path))
		if interfaceName.MatchString(name) && len(out) < 16 {
			out = append(out, name)
		}
	}
	return out
}

func (w *Wifi) links(s *snap.Snapshot) {
	if _, st, why := s.Glob(phys); st == Denied || st == Unknown {
		w.LinksWhy = why
	}
	byName := map[string]int{}
	for _, name := range wlans(s) {
		byName[name] = len(w.Links)
		w.Links = append(w.Links, WifiLink{Interface: name, Place: Place{Path: "/sys/class/net/" + name}})
	}
	out, st, why := s.Run(iwDev...)
	switch {
	case len(w.Links) == 0:
		return
	case st == Known && out.Exit == 0:
		w.dev(out, byName)
	case st == Known:
		w.LinksWhy = "`iw dev` failed: " + firstOf(out.Stderr)
	case st == Absent:
		w.LinksWhy = why + ", so nothing tells what the wireless interfaces do"
	default:
		w.LinksWhy = why
	}
	for i := range w.Links {
		w.Links[i].status(s)
	}
}

// dev reads the answer of `iw dev`.
func (w *Wifi) dev(out *snap.Output, byName map[string]int) {
	now := -1
	for _, l := range outLines(out) {
		k, v := word(strings.TrimSpace(l.text))
		i, known := byName[v]
		switch {
		case k == "Interface" && known:
			now = i
			w.Links[i].Place = l.at
		case k == "Interface" || strings.HasPrefix(k, "phy#"):
			now = -1
		case now < 0:
		case k == "ssid":
			w.Links[now].SSID = printable(v)
		case k == "type":
			w.Links[now].Mode = printable(v)
		}
	}
}

// status reads what wpa_supplicant says of its connection.
func (l *WifiLink) status(s *snap.Snapshot) {
	out, st, why := s.Run(wpaStatus(l.Interface)...)
	switch {
	case st == Unknown:
		l.Why = why
		return
	case st == Known && out.Exit != 0 && !s.Root():
		l.Why = "run as root to ask wpa_supplicant what " + l.Interface + " uses"
		return
	case st == Known && out.Exit != 0 && !strings.Contains(out.Stderr+string(out.Stdout), "Failed to connect"):
		l.Why = "`" + snap.CommandKey(out.Argv...) + "` failed: " + firstOf(out.Stderr)
		return
	case st != Known || out.Exit != 0 || !strings.Contains(string(out.Stdout), "wpa_state=COMPLETED"):
		return // another program connects it; the files have to do
	}
	l.Place = By(out.Argv...)
	for _, o := range outLines(out) {
		k, v, _ := strings.Cut(strings.TrimSpace(o.text), "=")
		v = printable(v)
		switch k {
		case "ssid":
			l.SSID = v
		case "pairwise_cipher":
			l.Pairwise = v
		case "key_mgmt":
			l.Mgmt = v
		case "mode":
			l.Mode = map[string]string{"station": "managed"}[v]
			if l.Mode == "" {
				l.Mode = v
			}
		}
	}
}

// radios reads the kernel's list of transmitters.
func radios(s *snap.Snapshot) Value[[]Radio] {
	es, st, why := s.Glob(rfkill[0])
	if st == Denied || st == Unknown {
		return Not[[]Radio](st, why)
	}
	var out []Radio
	for _, e := range es {
		dir := path.Dir(e.Path)
		if !e.Read {
			return Not[[]Radio](Denied, e.Path+" could not be read")
		}
		r := Radio{Name: path.Base(dir), Kind: trimmed(e), Place: Place{Path: dir}}
		if n, st, _ := s.File(dir + "/name"); st == Known {
			r.Name = trimmed(n)
		}
		for _, b := range []struct{ file, why string }{{"/hard", "switched off by hand"}, {"/soft", "blocked"}} {
			f, st, why := s.File(dir + b.file)
			if st == Denied || st == Unknown {
				return Not[[]Radio](st, why)
			}
			if st == Known && trimmed(f) == "1" {
				r.Off = b.why
			}
		}
		out = append(out, r)
	}
	return Is(out, Place{Path: "/sys/class/rfkill"})
}

func trimmed(e *snap.Entry) string {
	return printable(strings.TrimSpace(strings.Trim(string(e.Content), "\x00\n")))
}
