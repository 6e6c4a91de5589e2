package fact

import (
	"path"
	"slices"
	"strings"

	"picket/internal/core/snap"
)

// A Setting is one assignment in a settings file with sections.
type Setting struct {
	Section, Key, Value string
	Place               Place
}

// systemdSettings reads a file in systemd's form: sections, assignments,
// comments at the start of a line only, a backslash at the end goes on.
func systemdSettings(e *snap.Entry) []Setting {
	var out []Setting
	section := ""
	var whole string
	var at Place
	for _, l := range lines(e) {
		t := strings.TrimSpace(l.text)
		if strings.HasPrefix(t, "#") || strings.HasPrefix(t, ";") {
			continue // also between the parts of a continued line
		}
		if whole == "" {
			at = l.at
		}
		if c, ok := strings.CutSuffix(t, `\`); ok && len(whole) < snap.MaxFile {
			whole += c + " "
			continue
		}
		t, whole = strings.TrimSpace(whole+t), ""
		if strings.HasPrefix(t, "[") && strings.HasSuffix(t, "]") {
			section = t[1 : len(t)-1]
			continue
		}
		if k, v, ok := strings.Cut(t, "="); ok {
			out = append(out, Setting{section, strings.TrimSpace(k), strings.TrimSpace(v), at})
		}
	}
	return out
}

// SystemdFiles are what a settings file of systemd is made of: the main file
// and drop-ins. Name is relative: "journald.conf".
func SystemdFiles(name string) []string {
	var out []string
	for _, root := range []string{"/etc/systemd/", "/run/systemd/", "/usr/local/lib/systemd/", "/usr/lib/systemd/"} {
		out = append(out, root+name, root+name+".d/*.conf")
	}
	return out
}

// SystemdConf reads a settings file of systemd in its order: the main file of
// the first folder that has one, then drop-ins of all folders by name, where
// one in /etc hides another of the same name.
func SystemdConf(s *snap.Snapshot, name string) (all []Setting, st State, why string) {
	read := func(e *snap.Entry) {
		switch {
		case e.Denied != "":
			st, why = Denied, e.Denied
		case e.Target == "/dev/null":
		case e.Read:
			all = append(all, systemdSettings(e)...)
		}
	}
	st = Absent
	files := SystemdFiles(name)
	main := true
	drop := map[string]*snap.Entry{}
	for i := 0; i < len(files); i += 2 {
		if e, fst, fwhy := s.Stat(files[i]); fst == Known && main {
			main = false
			read(e)
		} else if fst == Denied || fst == Unknown {
			st, why = fst, fwhy
		}
		es, gst, gwhy := s.Glob(files[i+1])
		if gst == Denied || gst == Unknown {
			st, why = gst, gwhy
		}
		for _, e := range es {
			if n := path.Base(e.Path); drop[n] == nil {
				drop[n] = e
			}
		}
	}
	var names []string
	for n := range drop {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		read(drop[n])
	}
	if st == Absent {
		return all, Known, ""
	}
	return all, st, why
}

// Last is the value of the last assignment of a key. An empty one goes back
// to the default, as systemd does. Keys are compared as they are.
func Last(all []Setting, section, key string) Value[string] {
	out := Not[string](Absent, key+" is not set")
	for _, s := range all {
		if s.Section == section && s.Key == key {
			out = Is(s.Value, s.Place)
			if s.Value == "" {
				out = Not[string](Absent, key+" is not set")
			}
		}
	}
	return out
}

// List are all values of a key that may be given several times; an empty one
// forgets those before it.
func List(all []Setting, section, key string) []Setting {
	var out []Setting
	for _, s := range all {
		switch {
		case s.Section != section || s.Key != key:
		case s.Value == "":
			out = nil
		default:
			out = append(out, s)
		}
	}
	return out
}
