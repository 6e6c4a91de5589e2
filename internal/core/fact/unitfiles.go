package fact

import (
	"path"
	"slices"
	"strings"

	"picket/internal/core/snap"
)

// UnitDirs are the folders of unit files, the one that wins first.
var UnitDirs = []string{
	"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system",
	"/usr/lib/systemd/system", "/lib/systemd/system",
}

// ownUnitFiles are those that an administrator writes or links.
func ownUnitFiles() []string {
	return []string{
		"/etc/systemd/system/*", "/etc/systemd/system/*.d/*.conf",
		"/etc/systemd/system/*.wants/*", "/etc/systemd/system/*.requires/*",
		"/usr/local/lib/systemd/system/*",
	}
}

// shippedUnitFiles are those of packages, below one folder.
func shippedUnitFiles(dir string) []string {
	return []string{dir + "/*", dir + "/*.d/*.conf"}
}

var unitSuffixes = []string{".service", ".socket", ".timer", ".target", ".mount", ".automount", ".path"}

// fromFiles derives what the next boot does from the unit folders, as
// systemctl does without a running systemd.
func (us *Units) fromFiles(s *snap.Snapshot) {
	seen, denied := false, ""
	for _, dir := range UnitDirs {
		es, st, why := s.Glob(dir + "/*")
		if st == Denied {
			denied = why
		}
		for _, e := range es {
			name := path.Base(e.Path)
			if !slices.Contains(unitSuffixes, path.Ext(name)) || e.Type == snap.Dir {
				continue
			}
			seen = seen || dir == "/usr/lib/systemd/system" || dir == "/lib/systemd/system"
			if _, ok := us.All[name]; !ok {
				us.All[name] = Unit{Name: name, Exists: true, FileState: fileState(dir, e)}
			}
		}
	}
	for _, p := range []string{"/etc/systemd/system/*.wants/*", "/etc/systemd/system/*.requires/*"} {
		if _, st, why := s.Glob(p); st == Denied {
			denied = why
		}
	}
	// What is hidden may mask or enable any unit.
	if denied != "" {
		us.State, us.Why = Denied, denied
	}
	if !seen || denied != "" {
		us.All = map[string]Unit{}
		return
	}
	us.State, us.Why = Known, ""
	us.enable(s)
	us.activity(s)
}

// fileState is the state of one unit file, links in .wants left aside.
func fileState(dir string, e *snap.Entry) Value[string] {
	at := Place{Path: e.Path}
	switch {
	case e.Target == "/dev/null", e.Type == snap.File && e.Size == 0 && e.Target == "":
		return Is("masked", at)
	case e.Target != "" && path.Base(e.Target) != path.Base(e.Path) && dir == "/etc/systemd/system":
		return Is("alias", at)
	case e.Denied != "":
		return Not[string](Denied, e.Denied)
	case !e.Read:
		return Not[string](Unknown, e.Path+" was not read")
	}
	for _, l := range lines(e) {
		if strings.TrimSpace(l.text) == "[Install]" {
			return Is("disabled", at)
		}
	}
	return Is("static", at)
}

// enable marks what the links of targets start.
func (us *Units) enable(s *snap.Snapshot) {
	for _, kind := range []string{"wants", "requires"} {
		es, _, _ := s.Glob("/etc/systemd/system/*." + kind + "/*")
		for _, e := range es {
			names := []string{path.Base(e.Path)}
			if t, ok := templateOf(names[0]); ok {
				if _, own := us.All[names[0]]; !own && us.All[t].Exists {
					us.All[names[0]] = Unit{Name: names[0], Exists: true, FileState: us.All[t].FileState}
				}
				names = append(names, t)
			}
			for _, n := range names {
				if u, ok := us.All[n]; ok && !u.Masked() {
					u.FileState = Is("enabled", Place{Path: e.Path})
					us.All[n] = u
				}
			}
		}
	}
	// A link of another name in /etc is made by enabling, too:
	// dbus-org.freedesktop.timesync1.service.
	es, _, _ := s.Glob("/etc/systemd/system/*")
	for _, e := range es {
		n := path.Base(e.Target)
		if e.Target == "" || n == path.Base(e.Path) {
			continue
		}
		if u, ok := us.All[n]; ok && u.FileState.V == "disabled" {
			u.FileState = Is("enabled", Place{Path: e.Path})
			us.All[n] = u
		}
	}
}

// dropIns are the drop-ins that were read of a unit, in systemd's order: by name, the
// first folder's in place of others of the same name. hidden is why one could
// not be read.
func dropIns(s *snap.Snapshot, name string) (files []*snap.Entry, hidden string) {
	ext := path.Ext(name)
	names := []string{name}
	if t, ok := templateOf(name); ok {
		names = append(names, t)
	}
	// a-b-c.service has those of a-b-.service and of a-.service too.
	for _, n := range slices.Clone(names) {
		stem, _, _ := strings.Cut(strings.TrimSuffix(n, ext), "@")
		for stem = strings.TrimRight(stem, "-"); strings.Contains(stem, "-"); {
			stem = stem[:strings.LastIndexByte(stem, '-')]
			names = append(names, stem+"-"+ext)
		}
	}
	var patterns []string
	for _, dir := range UnitDirs {
		for _, n := range names {
			patterns = append(patterns, dir+"/"+n+".d/*.conf")
		}
	}
	for _, dir := range UnitDirs {
		patterns = append(patterns, dir+"/"+strings.TrimPrefix(ext, ".")+".d/*.conf")
	}
	seen := map[string]bool{}
	for _, p := range patterns {
		es, st, why := s.Glob(p)
		if st == Denied {
			hidden = why
		}
		for _, e := range es {
			if b := path.Base(e.Path); !seen[b] {
				seen[b] = true
				files = append(files, e)
			}
		}
	}
	slices.SortFunc(files, func(a, b *snap.Entry) int { return strings.Compare(path.Base(a.Path), path.Base(b.Path)) })
	return slices.DeleteFunc(files, func(e *snap.Entry) bool {
		if e.Denied != "" {
			hidden = e.Denied
		}
		return !e.Read || e.Target == "/dev/null"
	}), hidden
}

// ownSettings are the lines of this host's own unit file and drop-ins, which
// change a package's unit; hidden is why they are not all known.
func ownSettings(s *snap.Snapshot, name string) (all []Setting, hidden string) {
	const own = "/etc/systemd/system/"
	var files []*snap.Entry
	if e, st, why := s.File(own + name); st == Denied {
		return nil, why
	} else if st == Known && e.Target == "" {
		files = append(files, e)
	}
	drop, hidden := dropIns(s, name)
	if hidden != "" {
		return nil, hidden
	}
	for _, e := range drop {
		if strings.HasPrefix(e.Path, own) {
			files = append(files, e)
		}
	}
	for _, e := range files {
		if e.Denied != "" {
			return nil, e.Denied
		}
		if e.Read {
			all = append(all, systemdSettings(e)...)
		}
	}
	return all, ""
}

// ChangedUnit tells of a line of this host's own that changes what a package's
// unit runs, or on what it hangs, so that its name alone says little of what it
// does; "" when there is none.
func (h *Host) ChangedUnit(name string) string {
	all, hidden := ownSettings(h.Snap, name)
	if hidden != "" {
		return hidden
	}
	runs := []string{"ExecStart", "ExecStartPre", "ExecStartPost", "ExecCondition", "RootDirectory", "RootImage"}
	var times, emptied *Setting // of a timer
	for i, l := range all {
		switch {
		case l.Section == "Service" && slices.Contains(runs, l.Key),
			l.Section == "Unit" && l.Value != "" && (strings.HasPrefix(l.Key, "Condition") || strings.HasPrefix(l.Key, "Assert")):
			return name + " is changed at " + l.Place.String() + " (" + l.Key + "), which Picket does not follow"
		case l.Section == "Timer" && strings.HasPrefix(l.Key, "On") && l.Key != "OnClockChange" && l.Key != "OnTimezoneChange":
			if l.Value == "" {
				times, emptied = nil, &all[i]
			} else {
				times = &all[i]
			}
		}
	}
	if emptied != nil && times == nil {
		return name + " has no time left at which it starts: " + emptied.Place.String()
	}
	return ""
}

// OwnTimes are the times of day at which this host's own files have a timer start, none where they leave it as its
// package has it. hidden is why one of them could not be read.
func (h *Host) OwnTimes(timer string) (times []Setting, hidden string) {
	all, hidden := ownSettings(h.Snap, timer)
	for _, l := range all {
		switch {
		case l.Section != "Timer" || l.Key != "OnCalendar":
		case l.Value == "":
			times = nil
		default:
			times = append(times, l)
		}
	}
	return times, hidden
}
