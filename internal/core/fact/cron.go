package fact

import (
	"path"
	"strings"

	"picket/internal/core/snap"
)

// Cron are the jobs that cron runs.
type Cron struct {
	State State // Unknown or Denied when some tables could not be read
	Why   string
	Jobs  []Job
}

// Job is one line of a table, or one script of a cron.daily folder.
type Job struct {
	User    string
	Command string // credentials taken out
	Paths   []string
	Path    []string // folders on the table's PATH
	Place   Place
}

// Periodic are the folders whose scripts cron runs as root.
var Periodic = []string{"/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly"}

func askCron(*Host, *snap.Snapshot) snap.Manifest {
	m := snap.Manifest{
		Files: []string{"/etc/crontab", "/etc/cron.d/*", "/var/spool/cron/crontabs/*"},
		Stats: []string{"/etc/cron.d", "/etc/cron.allow", "/etc/cron.deny", "/etc/at.allow", "/etc/at.deny"},
	}
	for _, d := range Periodic {
		m.Stats = append(m.Stats, d, d+"/*")
	}
	return m
}

func parseCron(h *Host, s *snap.Snapshot) {
	c := &h.Cron
	c.State = Known
	table := func(es []*snap.Entry, st State, why string, user func(string) string) {
		if st == Unknown || st == Denied {
			c.State, c.Why = st, why
		}
		for _, e := range es {
			switch {
			case e.Denied != "":
				c.State, c.Why = Denied, e.Denied
			case e.Read:
				c.Jobs = append(c.Jobs, crontab(e, user(path.Base(e.Path)))...)
			}
		}
	}
	system := func(string) string { return "" }
	if e, st, why := s.Stat("/etc/crontab"); st == Known {
		table([]*snap.Entry{e}, st, why, system)
	} else {
		table(nil, st, why, system)
	}
	es, st, why := s.Glob("/etc/cron.d/*")
	var proper []*snap.Entry
	for _, e := range es {
		if runPartsName(path.Base(e.Path)) {
			proper = append(proper, e)
		}
	}
	table(proper, st, why, system)
	es, st, why = s.Glob("/var/spool/cron/crontabs/*")
	table(es, st, why, func(name string) string { return name })
	for _, d := range Periodic {
		es, _, _ := s.Glob(d + "/*")
		for _, e := range es {
			if e.Type == snap.File && e.Mode&0o111 != 0 && runPartsName(path.Base(e.Path)) {
				c.Jobs = append(c.Jobs, Job{User: "root", Command: e.Path, Paths: []string{e.Path}, Place: Place{Path: e.Path}})
			}
		}
	}
}

// runPartsName reports whether cron takes a file of this name: one with a dot
// or a tilde is left aside.
func runPartsName(name string) bool {
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
		default:
			return false
		}
	}
	return name != ""
}

// crontab reads one table. Without a user, each line names it.
func crontab(e *snap.Entry, user string) []Job {
	var out []Job
	var onPath []string
	for _, l := range lines(e) {
		t := strings.TrimSpace(l.text)
		if t == "" || t[0] == '#' {
			continue
		}
		if name, v, ok := strings.Cut(t, "="); ok && !strings.ContainsAny(strings.TrimSpace(name), " \t*@") {
			if strings.TrimSpace(name) == "PATH" {
				onPath = absolute(strings.Split(unquote(strings.TrimSpace(v)), ":"))
			}
			continue
		}
		skip := 5
		if t[0] == '@' {
			skip = 1
		}
		rest := t
		for range skip {
			_, rest = word(rest)
		}
		j := Job{User: user, Path: onPath, Place: l.at}
		if user == "" {
			j.User, rest = word(rest)
		}
		// An unquoted % ends the command; the rest is its input.
		for i := range len(rest) {
			if rest[i] == '%' && (i == 0 || rest[i-1] != '\\') {
				rest = rest[:i]
				break
			}
		}
		j.Command = strings.TrimSpace(rest)
		if j.Command == "" || len(out) > 1000 {
			continue
		}
		j.Paths = ran(j.Command, "", 0)
		out = append(out, j)
	}
	return out
}

// word cuts the first word off.
func word(s string) (first, rest string) {
	s = strings.TrimLeft(s, " \t")
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimLeft(s[i:], " \t")
}
