package check

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var logging = []Check{
	{"logging.journal-kept", journalKept,
		"Storage in /etc/systemd/journald.conf and its drop-ins, whether /var/log/journal is there, and what is mounted on it (/proc/1/mountinfo, /etc/fstab)"},
	{"logging.journal-limit", journalLimit,
		"SystemMaxUse and Storage in /etc/systemd/journald.conf and its drop-ins"},
	{"logging.no-receiver", noReceiver,
		"inputs in /etc/rsyslog.conf and /etc/rsyslog.d, what syslog daemons listen on (`ss -Hltunpe`), and the unit of journald's receiver (`systemctl list-unit-files`)"},
	{"logging.one-logger", oneLogger,
		"the units of rsyslog and syslog-ng (`systemctl list-unit-files`)"},
	{"logging.forwarding", journalForwards,
		"ForwardToSyslog in /etc/systemd/journald.conf and its drop-ins"},
}

// journalKept wants logs to survive a reboot: the journal on disk, or a
// syslog daemon that writes files; and the disk to be one.
func journalKept(h *fact.Host) control.Outcome {
	o := journalWritten(h)
	if o.Verdict != control.Pass {
		return o
	}
	m, found, unread := logsInMemory(h)
	switch {
	case unread != "":
		return control.CannotTell("whether /var/log is on a disk is not known: "+unread, o.Evidence...)
	case !found:
		return o
	}
	ev := append(o.Evidence, control.Saw(m.Point, m.Place, m.Type+", which is memory", "a disk"))
	if u := h.Units.Get("log2ram.service"); u.Enabled() || u.Running() {
		return control.Passed("logs are in memory, and log2ram writes them to the disk once a day and when the host is shut down: a power cut loses the rest", ev...)
	}
	if h.Units.Silent || h.Units.State == fact.Denied {
		return control.CannotTell("logs are in memory, and whether something writes them to the disk is not known: "+h.Units.Why, ev...)
	}
	return control.IsIneffective("logs are written to "+m.Point+", which is memory: a reboot loses them", ev...)
}

// logsInMemory finds a file system in memory that the logs are on.
func logsInMemory(h *fact.Host) (m fact.Mount, found bool, unread string) {
	image := h.Snap.Source.Kind == "image"
	st, why := h.Mounts.State, h.Mounts.Why
	if image {
		st, why = h.Mounts.Fstab.State, h.Mounts.Fstab.Why
	}
	if st != fact.Known && !(image && st == fact.Absent) {
		return m, false, why
	}
	for _, point := range []string{"/var/log/journal", "/var/log", "/var"} { // the nearest decides
		m, found = h.Mounts.At(point)
		if image {
			m, found = h.Mounts.Next(point)
		}
		if found {
			return m, m.Type == "tmpfs" || m.Type == "ramfs", ""
		}
	}
	return m, false, ""
}

// journalWritten is journalKept as if everything below /var/log were on a disk.
func journalWritten(h *fact.Host) control.Outcome {
	l := h.Logging
	if l.State != fact.Known {
		return control.CannotTell("journald's settings could not be read: " + l.Why)
	}
	if l.Folder.Missing() {
		return control.Missing(l.Folder)
	}
	storage, at := l.Storage.V, l.Storage.Place
	explicit := control.TriOf(l.Storage.Known())
	if !l.Storage.Known() {
		storage, at = "auto", fact.Place{Path: "/etc/systemd/journald.conf"}
	}
	keeps := storage == "persistent" || storage == "auto" && l.Folder.V
	ev := []control.Evidence{
		control.Saw("[Journal] Storage", at, storage, "persistent, or auto with /var/log/journal"),
		control.Saw("/var/log/journal", l.Folder.Place, map[bool]string{true: "exists", false: "does not exist"}[l.Folder.V], ""),
	}
	o := control.Outcome{Configured: control.TriOf(keeps), Persistent: control.TriOf(keeps), Explicit: explicit, Evidence: ev}
	if !keeps {
		if h.Units.Silent || h.Units.State == fact.Denied {
			return control.CannotTell("whether rsyslog keeps the logs is not known: " + h.Units.Why)
		}
		if u := h.Units.Get("rsyslog.service"); u.Running() || u.Enabled() && h.Snap.Source.Kind == "image" {
			if f := journalForwards(h); f.Verdict == control.Ineffective || f.Verdict == control.Unknown {
				f.Reason = "the journal is in memory only: " + f.Reason
				return f.With(ev...)
			}
			return control.Passed("the journal is in memory only, but rsyslog writes the logs to /var/log", ev...)
		}
		o.Effective = control.No
		if storage == "auto" {
			return o.Judge().Because("logs are lost at every reboot: there is no /var/log/journal")
		}
		return o.Judge().Because("logs are lost at every reboot: Storage is %s", storage)
	}
	if l.OnDisk.Known() {
		o.Effective = control.TriOf(l.OnDisk.V)
		if !l.OnDisk.V {
			o = o.With(control.Saw("the journal", l.OnDisk.Place, "in memory", "in /var/log/journal"))
			return o.Judge().Because("the journal is to be kept on disk, but journald still writes to memory (/run/log/journal)")
		}
	} else if h.Snap.Source.Kind != "image" {
		return control.CannotTell("whether the journal is on disk is not known: " + l.OnDisk.Why + "; run as root")
	}
	return o.Judge().Because("the journal is kept in /var/log/journal")
}

// journalSize is what journald takes for a size: numbers with a unit of one
// letter, in capitals, which are added.
var journalSize = regexp.MustCompile(`^(?:[0-9]+(?:\.[0-9]+)?\s*[BKMGTPE]?\s*)+$`)

// journalLimit wants a limit of its own for a journal that is on disk.
func journalLimit(h *fact.Host) control.Outcome {
	l := h.Logging
	if l.State != fact.Known {
		return cannot(l.State, l.Why)
	}
	switch {
	case l.Storage.V == "volatile" || l.Storage.V == "none":
		return control.DoesNotApply("the journal is not on disk: Storage is " + l.Storage.V + " (" + l.Storage.Place.String() + ")")
	case l.Storage.V == "persistent":
	case l.Folder.Missing():
		return control.Missing(l.Folder)
	case !l.Folder.V:
		return control.DoesNotApply("the journal is not on disk: there is no /var/log/journal")
	}
	limit, odd := fact.Not[string](fact.Absent, "not set"), fact.Not[string](fact.Absent, "not set")
	for _, set := range l.Journald {
		switch {
		case set.Section != "Journal" || set.Key != "SystemMaxUse":
		case journalSize.MatchString(set.Value):
			limit = fact.Is(set.Value, set.Place)
		default: // journald says so in its log, and keeps the value that it had
			odd = fact.Is(set.Value, set.Place)
		}
	}
	if limit.Known() {
		o := control.Passed("the journal takes at most "+limit.V, control.Saw("[Journal] SystemMaxUse", limit.Place, limit.V, "a size"))
		o.Effective, o.Configured, o.Persistent, o.Explicit = control.Untold, control.Yes, control.Yes, control.Yes
		return o
	}
	why, found := "the journal may take a tenth of the disk", "not set"
	if odd.V != "" {
		why, found = "SystemMaxUse is no size, so "+why, odd.V
	}
	o := control.Failed(why, control.Saw("[Journal] SystemMaxUse", placeOr(odd.Place, "/etc/systemd/journald.conf"), found, "a size, as 200M"))
	o.Effective, o.Configured, o.Persistent, o.Explicit = control.Untold, control.No, control.No, control.No
	return o
}

func noReceiver(h *fact.Host) control.Outcome {
	var bad []control.Evidence
	unknown := ""
	if h.Units.State != fact.Known {
		unknown = "the systemd units could not be read: " + h.Units.Why
	}
	for _, name := range []string{"systemd-journal-remote.socket", "systemd-journal-remote.service", "systemd-journal-gatewayd.socket"} {
		u := h.Units.Get(name)
		if u.Enabled() || u.Running() {
			bad = append(bad, control.Saw(name, u.FileState.Place, u.FileState.V, "disabled"))
		}
	}
	if u := h.Units.Get("rsyslog.service"); u.Exists && (u.Enabled() || u.Running()) {
		if h.Logging.Rsyslog != fact.Known {
			unknown = "rsyslog's settings could not be read; run as root"
		}
		for _, r := range h.Logging.Receivers {
			bad = append(bad, control.Saw("rsyslog input "+r.Module, r.Place, "receives", "no input from the network"))
		}
	}
	// What they listen on tells of files that Picket does not read.
	runs := false
	for _, name := range syslogs {
		runs = runs || h.Units.Get(name).Running()
	}
	if runs && h.Sockets.State != fact.Known && unknown == "" {
		unknown = control.Missing(fact.Not[bool](h.Sockets.State, h.Sockets.Why)).Reason
	}
	for _, s := range h.Sockets.Listening {
		if !slices.Contains(syslogs, s.Unit.V) || !s.Exposed() || s.Proto == "udp" && s.Port >= ownPorts {
			continue
		}
		bad = append(bad, control.Saw(s.Unit.V, s.Place, fmt.Sprintf("listens on %s port %d", s.Proto, s.Port), "no input from the network"))
	}
	switch {
	case len(bad) > 0:
		return control.Failed(fmt.Sprintf("%s (%s) takes log messages from the network", bad[0].Fact, bad[0].Place), bad...)
	case unknown != "":
		return control.CannotTell(unknown)
	}
	o := control.Passed("nothing here takes log messages from the network")
	o.Persistent = control.Yes
	return o
}

// ownPorts are from where the kernel takes a port for a socket that only sends.
const ownPorts = 32768

// syslogs are the daemons that write what programs log to files.
var syslogs = []string{"rsyslog.service", "syslog-ng.service", "inetutils-syslogd.service", "busybox-syslogd.service"}

func oneLogger(h *fact.Host) control.Outcome {
	if h.Units.State != fact.Known {
		return control.CannotTell("the systemd units could not be read: " + h.Units.Why)
	}
	var on []string
	var ev []control.Evidence
	for _, name := range syslogs {
		if u := h.Units.Get(name); u.Running() || u.Enabled() {
			on = append(on, name)
			ev = append(ev, control.Saw(name, u.FileState.Place, u.FileState.V, "one of them at most"))
		}
	}
	if len(on) > 1 {
		return control.Failed(strings.Join(on, " and ")+" both write the logs", ev...)
	}
	o := control.Passed("journald is the only logger")
	if len(on) == 1 {
		o = control.Passed("journald, and "+on[0]+" behind it", ev...)
	}
	o.Persistent = control.Yes
	return o
}

// journalForwards wants ForwardToSyslog to agree with the logger that is there.
func journalForwards(h *fact.Host) control.Outcome {
	l := h.Logging
	if l.State != fact.Known {
		return control.CannotTell("journald's settings could not be read: " + l.Why)
	}
	if h.Units.State != fact.Known {
		return control.CannotTell("the systemd units could not be read: " + h.Units.Why)
	}
	u := h.Units.Get("rsyslog.service")
	if !u.Exists || !u.Enabled() && !u.Running() {
		return control.DoesNotApply("rsyslog is not used here: the journal is the log")
	}
	v := fact.Last(l.Journald, "Journal", "ForwardToSyslog")
	// rsyslog of Debian listens on the journal's socket: it needs forwarding,
	// which Debian's journald does by default.
	o := control.Outcome{Explicit: control.TriOf(v.Known())}
	found := v.V
	if !v.Known() {
		found = "yes (default)"
	}
	ok := !v.Known() || strings.EqualFold(v.V, "yes") || strings.EqualFold(v.V, "true") || v.V == "1" || strings.EqualFold(v.V, "on")
	o.Configured, o.Persistent = control.TriOf(ok), control.TriOf(ok)
	ev := control.Saw("[Journal] ForwardToSyslog", orPlace(v.Place, "/etc/systemd/journald.conf"), found, "yes")
	if !ok && l.Imjournal {
		return control.Passed("rsyslog reads the journal by itself (imjournal)", ev)
	}
	if !ok && l.Rsyslog != fact.Known {
		return control.CannotTell("whether rsyslog reads the journal by itself is not known: its settings could not be read; run as root")
	}
	if !ok {
		return ineffective("rsyslog is enabled, but journald forwards nothing to it: its files stay empty", ev)
	}
	return o.Judge().Because("journald hands its messages to rsyslog").With(ev)
}
