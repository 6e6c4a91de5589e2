package fact

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/snap"
)

// Ban is the daemon that shuts out addresses with repeated failures.
type Ban struct {
	Installed []string // of fail2ban, crowdsec, sshguard
	Jails     []Jail   // of fail2ban, in the order of its files
	State     State    // of Jails
	Why       string
	Refused   []Problem       // lines for which fail2ban refuses all of its files
	Answers   Value[bool]     // whether fail2ban's server answers
	Running   Value[[]string] // jails that the running server has
}

// Jail is one of fail2ban, as its merged settings say.
type Jail struct {
	Name      string
	Enabled   Value[bool]
	Filter    string // without its options: sshd
	Backend   Value[string]
	LogPath   Value[string] // patterns, parted by line ends
	MaxRetry  Value[string] // failures within FindTime for which an address is banned for BanTime
	FindTime  Value[string]
	BanTime   Value[string]
	Growing   bool // an address that comes back is banned for longer
	IgnoreIP  Value[string]
	BanAction Value[string]
	Action    Value[string] // what is done, a line each; the usual one is BanAction with its options
	Port      Value[string] // names, numbers and ranges; only these are closed to a banned address
}

// BanDaemons are the programs that ban, with their unit.
var BanDaemons = []struct{ Package, Unit string }{
	{"fail2ban", "fail2ban.service"}, {"crowdsec", "crowdsec.service"}, {"sshguard", "sshguard.service"},
}

var (
	f2bPing   = []string{"fail2ban-client", "ping"} // in snapshots of old; the next says it as well, and each takes Python a moment
	f2bStatus = []string{"fail2ban-client", "status"}
)

// SSHLog is where Debian's syslog daemons write logins.
const SSHLog = "/var/log/auth.log"

// f2bRegex has fail2ban itself look at what sshd writes when somebody guesses: a line for a user that there is, and one
// for a user that there is not.
var f2bRegex = [][]string{
	{"fail2ban-regex", "Jan 10 10:00:00 host sshd: Failed password for root from 192.0.2.1 port 40000 ssh2", "sshd"},
	{"fail2ban-regex", "Jan 10 10:00:00 host sshd: Invalid user probe from 192.0.2.1 port 40000", "sshd"},
}

var f2bMatched = regexp.MustCompile(`(?m)^Lines: 1 lines, \d+ ignored, (\d+) matched,`)

// FilterSees tells whether the filter for sshd finds a failed login. Absent where fail2ban's own is as it came, which
// does: the question costs a start of Python.
func (h *Host) FilterSees() Value[bool] {
	own, at := filterChanged(h.Snap)
	if !own {
		return Not[bool](Absent, "fail2ban's own filter for sshd was not changed")
	}
	for _, argv := range f2bRegex {
		o, st, why := h.Snap.Run(argv...)
		switch st {
		case Known:
		case Denied:
			return Not[bool](Denied, why)
		default:
			return Not[bool](Unknown, why)
		}
		m := f2bMatched.FindSubmatch(o.Stdout)
		if m == nil {
			return Not[bool](Unknown, "`fail2ban-regex` gave no answer that is known")
		}
		if string(m[1]) != "0" {
			return Is(true, at)
		}
	}
	return Is(false, at)
}

// filterChanged finds a file that changes the filter for sshd, or that might be there.
func filterChanged(s *snap.Snapshot) (bool, Place) {
	for _, name := range []string{"sshd.local", "common.local"} {
		p := "/etc/fail2ban/filter.d/" + name
		if _, st, _ := s.Stat(p); st != Absent {
			return true, Place{Path: p}
		}
	}
	return false, Place{}
}

func askBan(h *Host, s *snap.Snapshot) snap.Manifest {
	m := snap.Manifest{
		Files:    []string{"/etc/fail2ban/*", "/etc/fail2ban/jail.d/*"},
		Stats:    []string{"/etc/fail2ban/filter.d/*", SSHLog},
		Commands: []snap.Command{{Argv: f2bStatus}},
	}
	for _, j := range h.Ban.Jails {
		if j.Enabled.V {
			m.Stats = append(m.Stats, j.Logs()...)
		}
	}
	if own, at := filterChanged(s); own && h.Ban.Answers.V && s.Source.Kind != "image" {
		if _, st, _ := s.Stat(at.Path); st == Known {
			for _, argv := range f2bRegex {
				m.Commands = append(m.Commands, snap.Command{Argv: argv})
			}
		}
	}
	return m
}

// Logs are the absolute patterns of a jail's log files.
func (j Jail) Logs() []string {
	var out []string
	for _, l := range strings.Split(j.LogPath.V, "\n") {
		if f := strings.Fields(l); len(f) > 0 && path.IsAbs(f[0]) && !strings.Contains(f[0], "%(") && len(out) < 50 {
			out = append(out, path.Clean(f[0]))
		}
	}
	return out
}

// WatchesSSH reports whether the jail reads sshd's failures.
func (j Jail) WatchesSSH() bool { return j.Filter == "sshd" || j.Filter == "" && j.Name == "sshd" }

// PerHour is how often an address may fail in an hour: just too seldom to be
// banned, or again after each ban; and the place of what lets it. ok is false
// where that is not plain to read.
func (j Jail) PerHour() (n float64, at Place, ok bool) {
	retry, err := strconv.Atoi(j.MaxRetry.V)
	find, ok1 := banSeconds(j.FindTime.V)
	ban, ok2 := banSeconds(j.BanTime.V)
	if err != nil || !ok1 || !ok2 {
		return 0, at, false
	}
	n, at = 3600*float64(retry-1)/max(find, 1), j.MaxRetry.Place
	if find < 60 {
		at = j.FindTime.Place
	}
	if again := 3600 * float64(retry) / max(ban, 1); ban >= 0 && again > n && !(j.Growing && ban > 0) {
		if n = again; ban < 60 {
			at = j.BanTime.Place
		}
	}
	return n, at, true
}

// banSeconds reads a time as fail2ban writes it: 600, 10m, 1h 30m, -1. Sums of
// other forms are not read.
func banSeconds(text string) (sum float64, ok bool) {
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		end := strings.IndexFunc(text, func(r rune) bool { return !strings.ContainsRune("-.0123456789", r) })
		if end < 0 {
			end = len(text)
		}
		n, err := strconv.ParseFloat(text[:end], 64)
		if err != nil {
			return 0, false
		}
		text = strings.TrimSpace(text[end:])
		unit := text[:len(text)-len(strings.TrimLeft(text, "abcdefghijklmnopqrstuvwxyz"))]
		text = text[len(unit):]
		switch {
		case unit == "", unit[0] == 's':
		case strings.HasPrefix(unit, "mo"):
			n *= 30 * 86400
		case unit[0] == 'm':
			n *= 60
		case unit[0] == 'h':
			n *= 3600
		case unit[0] == 'd':
			n *= 86400
		case unit[0] == 'w':
			n *= 7 * 86400
		case unit[0] == 'y':
			n *= 365 * 86400
		default:
			return 0, false
		}
		sum, ok = sum+n, true
	}
	return sum, ok
}

// Journal reports whether the jail reads the journal and no files.
func (j Jail) Journal() bool { return strings.HasPrefix(strings.ToLower(j.Backend.V), "systemd") }

func parseBan(h *Host, s *snap.Snapshot) {
	b := &h.Ban
	for _, d := range BanDaemons {
		if h.Packages.Has(d.Package).V {
			b.Installed = append(b.Installed, d.Package)
		}
	}
	b.readJails(s)
	b.askServer(s)
	b.Running = Not[[]string](Unknown, "the jails that run were not listed")
	if b.Answers.Missing() {
		b.Running = Not[[]string](b.Answers.State, b.Answers.Why)
	}
	if out, st, _ := s.Run(f2bStatus...); st == Known && out.Exit == 0 && b.Answers.V {
		b.Running = Is([]string(nil), By(f2bStatus...))
		for _, l := range outLines(out) {
			if _, list, ok := strings.Cut(l.text, "Jail list:"); ok {
				b.Running.V = strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
			}
		}
	}
}

// askServer tells whether the server answers.
func (b *Ban) askServer(s *snap.Snapshot) {
	argv, answer := f2bStatus, "Number of jail:"
	if _, asked := s.Commands[snap.CommandKey(f2bPing...)]; asked {
		argv, answer = f2bPing, "pong"
	}
	out, st, why := s.Run(argv...)
	switch {
	case st != Known:
		b.Answers = Not[bool](st, why)
	case strings.Contains(out.Stderr+string(out.Stdout), "Permission denied"):
		b.Answers = Not[bool](Denied, "only root may ask fail2ban")
	default:
		b.Answers = Is(out.Exit == 0 && strings.Contains(string(out.Stdout), answer), By(argv...))
	}
}

// readJails merges fail2ban's files in its order: jail.conf, jail.d/*.conf,
// jail.local, jail.d/*.local.
func (b *Ban) readJails(s *snap.Snapshot) {
	const dir = "/etc/fail2ban/"
	_, st, why := s.File(dir + "jail.conf")
	_, localState, localWhy := s.File(dir + "jail.local")
	b.State, b.Why = st, why
	switch {
	case localState == Denied || localState == Unknown:
		b.State, b.Why = localState, localWhy
		return
	case st == Denied || st == Unknown || st == Absent && localState == Absent:
		return
	}
	b.State, b.Why = Known, ""
	parts, pst, pwhy := s.Glob(dir + "jail.d/*")
	if pst == Denied || pst == Unknown {
		b.State, b.Why = pst, pwhy
		return
	}
	files := []string{dir + "jail.conf"}
	part := func(ext string) {
		for _, e := range parts {
			if path.Ext(e.Path) == ext {
				if e.Denied != "" {
					b.State, b.Why = Denied, e.Denied
				}
				files = append(files, e.Path)
			}
		}
	}
	part(".conf")
	files = append(files, dir+"jail.local")
	part(".local")
	conf := newPyIni()
	for _, f := range files {
		conf.read(s, f, new([]string))
	}
	b.Refused = conf.refused
	for _, name := range conf.order {
		if name == "INCLUDES" {
			continue
		}
		enabled := conf.get(name, "enabled")
		j := Jail{
			Name: name, Enabled: Is(pyTrue(enabled.V), enabled.Place),
			Backend: conf.get(name, "backend"), LogPath: conf.get(name, "logpath"),
			MaxRetry: conf.get(name, "maxretry"), FindTime: conf.get(name, "findtime"),
			BanTime: conf.get(name, "bantime"), Growing: pyTrue(conf.get(name, "bantime.increment").V),
			IgnoreIP: conf.get(name, "ignoreip"), BanAction: conf.get(name, "banaction"),
			Port: conf.get(name, "port"), Action: conf.get(name, "action"),
		}
		f := conf.get(name, "filter").V
		j.Filter, _, _ = strings.Cut(f, "[")
		j.Filter = strings.TrimSpace(j.Filter)
		b.Jails = append(b.Jails, j)
	}
}

func pyTrue(v string) bool {
	return slices.Contains([]string{"1", "yes", "true", "on"}, strings.ToLower(v))
}

// CannotStart says why fail2ban's server refuses to start with its settings,
// or why a jail of it does not work; "" when nothing stands against it.
func (h *Host) CannotStart(j Jail) (why string, at Place) {
	s := h.Snap
	if j.Filter != "" {
		known := false
		for _, ext := range []string{".conf", ".local"} {
			if _, st, _ := s.Stat("/etc/fail2ban/filter.d/" + j.Filter + ext); st != Absent {
				known = true
			}
		}
		if !known {
			return "jail [" + j.Name + "] uses the filter " + j.Filter + ", which does not exist", j.Enabled.Place
		}
	}
	if j.Journal() {
		if has := h.Packages.Has("python3-systemd"); has.Known() && !has.V {
			return "jail [" + j.Name + "] reads the journal, but python3-systemd is not installed", j.Backend.Place
		}
		return "", Place{}
	}
	for _, p := range j.Logs() {
		if es, st, _ := s.Glob(p); len(es) > 0 || st != Absent {
			return "", Place{}
		}
	}
	if logs := j.Logs(); len(logs) > 0 {
		return "jail [" + j.Name + "] reads " + strings.Join(logs, ", ") + ", which does not exist (this host logs to the journal)", j.LogPath.Place
	}
	if j.LogPath.Known() && !strings.Contains(j.LogPath.V, "%(") {
		return "jail [" + j.Name + "] has no log to read", j.LogPath.Place
	}
	return "", Place{}
}
