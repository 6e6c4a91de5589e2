package fact

import (
	"slices"
	"strings"

	"picket/internal/core/snap"
)

// An AutoLogin is a screen at which somebody is logged in without a password.
type AutoLogin struct {
	User  string
	Where string // "the console tty1", "the desktop (lightdm)"
	Unit  string // what does it
	Place Place
}

// AutoLogins are those that settings ask for.
type AutoLogins struct {
	List   []AutoLogin
	Unread string // why a file could not be read
}

var desktopLogins = []struct {
	name    string
	units   []string
	files   []string // in rising precedence
	section string
	user    string // the key that names who
	on      string // the key that has to be true besides, "" when none
}{
	{"lightdm", []string{"lightdm.service"}, []string{
		"/usr/share/lightdm/lightdm.conf.d/*.conf", "/etc/lightdm/lightdm.conf.d/*.conf", "/etc/lightdm/lightdm.conf",
	}, "Seat:*", "autologin-user", ""},
	{"gdm", []string{"gdm3.service", "gdm.service"}, []string{"/etc/gdm3/daemon.conf", "/etc/gdm3/custom.conf"}, "daemon", "AutomaticLogin", "AutomaticLoginEnable"},
	{"sddm", []string{"sddm.service"}, []string{"/usr/lib/sddm/sddm.conf.d/*.conf", "/etc/sddm.conf.d/*.conf", "/etc/sddm.conf"}, "Autologin", "User", ""},
	{"greetd", []string{"greetd.service"}, []string{"/etc/greetd/config.toml"}, "initial_session", "user", ""},
}

// gettys are the units of consoles, by the template or name of their files.
var gettys = []string{"getty@", "serial-getty@", "console-getty", "container-getty@", "autologin@"}

func askAutoLogin(*Host, *snap.Snapshot) snap.Manifest {
	var m snap.Manifest
	for _, d := range desktopLogins {
		m.Files = append(m.Files, d.files...)
	}
	for _, dir := range UnitDirs {
		m.Files = append(m.Files, dir+"/*getty*.service", dir+"/*getty*.service.d/*.conf", dir+"/autologin@.service")
	}
	return m
}

func parseAutoLogin(h *Host, s *snap.Snapshot) {
	a := &h.AutoLogins
	for _, d := range desktopLogins {
		user, on := Value[string]{}, Value[string]{}
		for _, section := range []string{d.section, "SeatDefaults", "Seat"} {
			if u := LastOf(s, "ini", d.files, section, d.user); u.Known() || u.Missing() {
				user = u
			}
			if section == d.section && d.on != "" {
				on = LastOf(s, "ini", d.files, section, d.on)
			}
		}
		if user.Missing() && user.Why != "" {
			a.Unread = user.Why
		}
		name := strings.Trim(user.V, `"'`)
		if !user.Known() || name == "" || d.on != "" && !strings.EqualFold(on.V, "true") {
			continue
		}
		a.List = append(a.List, AutoLogin{printable(name), "the desktop (" + d.name + ")", d.units[0], user.Place})
	}
	for _, name := range gettyUnits(h, s) {
		svc, ok, hidden := serviceFromFiles(s, name)
		if hidden != "" {
			a.Unread = hidden
		}
		if !ok {
			a.mainUnread(s, name)
			continue
		}
		for _, c := range List(svc.Settings, "Service", "ExecStart") {
			if user := agettyLogin(c.Value); user != "" {
				a.List = append(a.List, AutoLogin{printable(user), "the console " + console(name), name, c.Place})
			}
		}
	}
}

// mainUnread notes that a console's unit file may be there and was not seen.
func (a *AutoLogins) mainUnread(s *snap.Snapshot, name string) {
	names := []string{name}
	if t, ok := templateOf(name); ok {
		names = append(names, t)
	}
	for _, dir := range UnitDirs {
		for _, n := range names {
			if _, st, why := s.File(dir + "/" + n); st == Denied {
				a.Unread = why
			}
		}
	}
}

// gettyUnits are the consoles that the host has, and those that a drop-in is
// for.
func gettyUnits(h *Host, s *snap.Snapshot) []string {
	names := []string{"getty@tty1.service"}
	for name, u := range h.Units.All {
		if slices.ContainsFunc(gettys, func(g string) bool { return strings.HasPrefix(name, g) }) && !strings.Contains(name, "@.") && u.Exists {
			names = append(names, name)
		}
	}
	for _, dir := range UnitDirs {
		es, _, _ := s.Glob(dir + "/*getty*.service.d/*.conf")
		for _, e := range es {
			f := strings.Split(e.Path, "/")
			name := strings.TrimSuffix(f[len(f)-2], ".d")
			if !strings.Contains(name, "@.") {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func console(unit string) string {
	_, tty, ok := strings.Cut(strings.TrimSuffix(unit, ".service"), "@")
	if !ok {
		return "of the system"
	}
	return tty
}

// agettyLogin is whom an agetty logs in by itself.
func agettyLogin(command string) string {
	f := strings.Fields(command)
	if len(f) == 0 || !strings.HasSuffix(f[0], "getty") {
		return ""
	}
	for i, w := range f {
		if v, ok := strings.CutPrefix(w, "--autologin="); ok {
			return v
		}
		if (w == "--autologin" || w == "-a") && i+1 < len(f) {
			return f[i+1]
		}
		// login -f asks no password; what comes after -- or \u is who typed a name.
		if w == "-o" || strings.HasPrefix(w, "--login-options") {
			_, first, _ := strings.Cut(w, "=")
			options := f[i+1:]
			if first != "" {
				options = append([]string{first}, options...)
			}
			for j, o := range options {
				if strings.Trim(o, `"'`) != "-f" || j+1 == len(options) {
					continue
				}
				if who := strings.Trim(options[j+1], `"'`); who != "" && who[0] != '-' && who[0] != '\\' {
					return who
				}
			}
		}
	}
	return ""
}
