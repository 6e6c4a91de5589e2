package fact

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"picket/internal/core/snap"
)

// A RootRun is one path that root runs or obeys.
type RootRun struct {
	By    string // "backup.service", "cron"
	What  string // program, unit file, environment file, folder on PATH, cron table
	Path  string
	Place Place
}

// RootRuns lists what root's services and jobs run, without duplicates.
func (h *Host) RootRuns() []RootRun {
	var out []RootRun
	seen := map[string]bool{}
	add := func(by, what, p string, at Place) {
		if p = path.Clean(p); path.IsAbs(p) && !strings.ContainsAny(p, "*?[\x00") && !seen[by+p] && len(out) < 4000 {
			seen[by+p] = true
			out = append(out, RootRun{by, what, p, at})
		}
	}
	for _, s := range h.Services.All {
		for _, f := range s.Files {
			add(s.Name, "unit file", f, s.Place) // root's systemd obeys it, whoever it runs as
		}
		for _, x := range s.Execs {
			if !s.Root() && !x.Privileged {
				continue
			}
			for _, p := range x.Paths {
				add(s.Name, "program", p, x.Place)
			}
		}
		if s.Root() {
			for _, f := range s.EnvFiles {
				add(s.Name, "environment file", f, s.Place)
			}
			for _, f := range s.Path {
				add(s.Name, "folder on PATH", f, s.Place)
			}
			for _, f := range s.Libs {
				add(s.Name, "folder or file that code is loaded from", f, s.Place)
			}
		}
	}
	for _, j := range h.Cron.Jobs {
		if j.User != "root" {
			continue
		}
		add("cron", "cron table", j.Place.Path, j.Place)
		for _, p := range j.Paths {
			add("cron", "program", p, j.Place)
		}
		for _, p := range j.Path {
			add("cron", "folder on PATH", p, j.Place)
		}
	}
	for _, f := range h.SSHD.Config.Files {
		add("sshd", "settings", f, Place{Path: f})
	}
	for _, l := range h.SSHD.Config.Settings { // sshd does not look at who may write it
		if l.Keyword == "trustedusercakeys" && len(l.Values) > 0 {
			add("sshd", "keys that vouch for others", l.Values[0], l.Place)
		}
	}
	return out
}

// askRootRuns wants the modes of those paths, of the folders above them and,
// once it is known where links lead, of the folders above that.
func askRootRuns(h *Host, s *snap.Snapshot) snap.Manifest {
	var m snap.Manifest
	for _, r := range h.RootRuns() {
		m.Stats = append(m.Stats, askWriters(s, r.Path)...)
	}
	return m
}

// askWriters is what Writers needs to see of a path.
func askWriters(s *snap.Snapshot, p string) []string {
	var out []string
	if merged(p) {
		out = append(out, withParents("/usr"+p)...) // there is no round left to ask after the link is known
	}
	for _, p := range withParents(p) {
		out = append(out, p)
		if e, st, _ := s.Stat(p); st == Known && e.Real != "" {
			out = append(out, withParents(path.Dir(e.Real))...)
		}
	}
	return out
}

// merged tells a path that leads into /usr on every Debian since 12.
func merged(p string) bool {
	for _, d := range []string{"/bin/", "/sbin/", "/lib/", "/lib32/", "/lib64/"} {
		if strings.HasPrefix(p, d) {
			return true
		}
	}
	return false
}

func parseRootRuns(*Host, *snap.Snapshot) {}

// withParents is a path and all folders above it, the path first.
func withParents(p string) []string {
	p = path.Clean(p)
	out := []string{p}
	for p != "/" && p != "." && len(out) < 64 {
		p = path.Dir(p)
		out = append(out, p)
	}
	return out
}

// A Writer is somebody other than root who can change what is at a path.
type Writer struct {
	Who  string // "user pi", "group staff (pi)", "everybody"
	Path string // the path itself or a folder above it
	Mode uint32
	// Accounts are those that can, but for everybody.
	Accounts []string
}

// Writers says who but root can change or replace what is at a path, in its
// own mode and owner and in those of every folder above it. unknown is the
// reason why part of that could not be seen.
func (h *Host) Writers(p string) (found []Writer, unknown string) {
	s := h.Snap
	all := withParents(p)
	for _, q := range withParents(p) {
		if e, st, _ := s.Stat(q); st == Known && e.Real != "" && e.Type != snap.Device {
			for _, r := range withParents(path.Dir(e.Real)) { // what is there itself is what e tells
				if !slices.Contains(all, r) {
					all = append(all, r)
				}
			}
		}
	}
	missing := false
	for _, q := range all {
		e, st, why := s.Stat(q)
		if q == "/" && st != Known {
			continue
		}
		switch st {
		case Absent:
			missing = missing || q == all[0]
			continue
		case Known:
		default:
			unknown = why
			continue
		}
		if e.Type == snap.Device {
			continue
		}
		who, accounts := h.writer(e)
		// In a folder with the sticky bit nobody replaces what root has there,
		// but anybody makes what is missing.
		if who != "" && q != all[0] && e.Mode&0o1000 != 0 && e.UID == 0 && !missing {
			who = ""
		}
		if who != "" {
			found = append(found, Writer{who, q, e.Mode, accounts})
		}
	}
	return found, unknown
}

// writer names who but root may write an entry; "" where nobody.
func (h *Host) writer(e *snap.Entry) (string, []string) {
	switch {
	case e.Mode&0o002 != 0:
		return "everybody", nil
	case e.UID != 0:
		name := h.Accounts.UserName(e.UID)
		return "user " + name, []string{name} // an owner can always give themselves the right
	case e.Mode&0o020 != 0 && e.GID != 0:
		var who []string
		for _, g := range h.Accounts.Groups {
			if g.GID == e.GID {
				who = append(who, g.Members...)
			}
		}
		for _, u := range h.Accounts.Users {
			if u.GID == e.GID {
				who = append(who, u.Name)
			}
		}
		who = slices.DeleteFunc(who, func(n string) bool { return n == "root" })
		if len(who) > 0 {
			return fmt.Sprintf("group %s (%s)", h.Accounts.GroupName(e.GID), strings.Join(who[:min(len(who), 5)], ", ")), who
		}
	}
	return "", nil
}
