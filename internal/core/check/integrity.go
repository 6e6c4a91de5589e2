package check

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var integrity = []Check{
	{"integrity.list", aideList,
		"AIDE's list of what every file looked like (/var/lib/aide/aide.db)"},
	{"integrity.audit-tools", aideAuditTools,
		"the rules for the programs of the audit in /etc/aide/aide.conf and /etc/aide/aide.conf.d"},
	{"boot.secure-boot", secureBoot,
		"what the firmware says of itself (/sys/firmware/efi)"},
	{"logging.remote", logRemote,
		"URL in /etc/systemd/journal-upload.conf and its drop-ins, systemd-journal-upload.service, and what rsyslog forwards (/etc/rsyslog.conf, /etc/rsyslog.d)"},
}

func aideList(h *fact.Host) control.Outcome {
	const db = "/var/lib/aide/aide.db"
	e, st, why := h.Snap.Stat(db)
	switch {
	case st == fact.Known && e.Mode&0o022 != 0:
		return persistentFail(fmt.Sprintf("others can change the list: mode %04o", e.Mode), control.Saw("list", fact.Place{Path: db}, fmt.Sprintf("mode %04o", e.Mode), "0600"))
	case st == fact.Known:
		return judged(nil, "there is a list to compare with").With(control.Saw("list", fact.Place{Path: db}, "of "+e.MTime.UTC().Format("2006-01-02"), ""))
	case st != fact.Absent:
		return control.CannotTell(asRoot(h, why))
	}
	ev := control.Saw("list", fact.Place{Path: db}, "not there", "there")
	switch _, st, why := h.Snap.Stat(db + ".new"); st {
	case fact.Known:
		return ineffective("the list was made as "+db+".new and was never put in its place", ev)
	case fact.Absent:
		return persistentFail("there is no list: no check can find anything", ev)
	default:
		return control.CannotTell(asRoot(h, why))
	}
}

var aideRule = regexp.MustCompile(`^(/(?:usr/)?sbin/\w+)\$?\s+(?:f\s+)?(\S+)$`)

// aideAuditTools wants a rule with a checksum for each program of the audit.
func aideAuditTools(h *fact.Host) control.Outcome {
	audit := h.Packages.Has("auditd")
	switch {
	case !audit.Known():
		return control.Missing(audit)
	case !audit.V:
		return control.DoesNotApply("auditd is not installed")
	}
	found := map[string]fact.Place{}
	for _, pattern := range []string{"/etc/aide/aide.conf", "/etc/aide/aide.conf.d/*"} {
		es, st, why := h.Snap.Glob(pattern)
		if st == fact.Denied || st == fact.Unknown {
			return control.CannotTell(asRoot(h, why))
		}
		for _, e := range es {
			f, st, why := h.Snap.File(e.Path)
			if st == fact.Denied || st == fact.Unknown {
				return control.CannotTell(asRoot(h, why))
			}
			if st != fact.Known {
				continue
			}
			for i, l := range strings.Split(string(f.Content), "\n") {
				m := aideRule.FindStringSubmatch(strings.TrimSpace(l))
				if m != nil && slices.ContainsFunc(strings.Split(m[2], "+"), func(a string) bool {
					return strings.HasPrefix(a, "sha256") || strings.HasPrefix(a, "sha512") || strings.HasPrefix(a, "stribog") || a == "H"
				}) {
					found[strings.TrimPrefix(m[1], "/usr")] = fact.At(e.Path, i+1)
				}
			}
		}
	}
	var bad []control.Evidence
	for _, p := range []string{"auditctl", "auditd", "augenrules", "aureport", "ausearch", "autrace"} {
		if _, ok := found["/sbin/"+p]; !ok {
			bad = append(bad, control.Saw("rule for /sbin/"+p, fact.Place{Path: "/etc/aide/aide.conf"}, "none with a strong checksum", "p+i+n+u+g+s+b+acl+xattrs+sha512"))
		}
	}
	return judged(bad, "every program of the audit has a rule with a checksum")
}

// secureBoot reads the firmware's variable: four bytes of attributes and one
// that is 1 where Secure Boot is on (UEFI specification, 3.3).
func secureBoot(h *fact.Host) control.Outcome {
	if h.Snap.Source.Kind == "image" {
		return control.DoesNotApply("an image has no firmware")
	}
	const efi = "/sys/firmware/efi"
	switch _, st, why := h.Snap.Stat(efi); st {
	case fact.Absent:
		return control.DoesNotApply("this machine was not started by UEFI")
	case fact.Known:
	default:
		return control.CannotTell(asRoot(h, why))
	}
	es, st, why := h.Snap.Glob(fact.SecureBootVariable)
	if st == fact.Denied || st == fact.Unknown {
		return control.CannotTell(asRoot(h, why))
	}
	if len(es) == 0 {
		return control.OwnKernel(h, persistentFail("the firmware knows nothing of Secure Boot", control.Saw("Secure Boot", fact.Place{Path: efi}, "no such variable", "on")))
	}
	e, st, why := h.Snap.File(es[0].Path)
	if st != fact.Known || len(e.Content) < 5 {
		return control.CannotTell(asRoot(h, why+" the variable of Secure Boot could not be read"))
	}
	place := fact.Place{Path: e.Path}
	if e.Content[4] == 1 {
		return judged(nil, "Secure Boot is on").With(control.Saw("Secure Boot", place, "on", ""))
	}
	return control.OwnKernel(h, persistentFail("Secure Boot is off", control.Saw("Secure Boot", place, "off", "on")))
}

// logRemote wants a way for the log to leave the host, and no way in the clear.
func logRemote(h *fact.Host) control.Outcome {
	l := h.Logging
	if l.Upload.Missing() {
		return control.CannotTell(asRoot(h, l.Upload.Why))
	}
	if l.Rsyslog != fact.Known {
		return control.CannotTell(asRoot(h, "not all settings of rsyslog could be read"))
	}
	if h.Units.State != fact.Known {
		return control.CannotTell("the systemd units could not be read: " + h.Units.Why)
	}
	const unit = "systemd-journal-upload.service"
	if l.Upload.Known() && l.Upload.V != "" {
		u := h.Units.Get(unit)
		ev := control.Saw("journal upload", l.Upload.Place, l.Upload.V, "")
		switch {
		case strings.HasPrefix(l.Upload.V, "http://"):
			return persistentFail("the journal is sent in the clear", control.Saw("journal upload", l.Upload.Place, l.Upload.V, "https://…"))
		case u.FileState.Missing() || u.Active.Missing() && h.Snap.Source.Kind != "image":
			return control.CannotTell("whether " + unit + " runs is not known")
		case !u.Enabled() || u.Active.Known() && !u.Running():
			return ineffective("journal-upload.conf names a collector, but "+unit+" does not run or is not started at boot", ev,
				control.Saw(unit, u.FileState.Place, u.FileState.V+", "+u.Active.V, "enabled, active"))
		}
		return judged(nil, "the journal is sent to "+l.Upload.V).With(ev)
	}
	has := h.Packages.Has("rsyslog")
	if len(l.Forwards) > 0 && !has.Known() {
		return control.Missing(has)
	}
	if len(l.Forwards) > 0 && has.V {
		var clear []control.Evidence
		for _, f := range l.Forwards {
			if !f.TLS {
				clear = append(clear, control.Saw("rsyslog", f.Place, "forwards in the clear", "with TLS (gtls, or RELP with tls)"))
			}
		}
		return judged(clear, "rsyslog sends the log elsewhere").With(control.Saw("rsyslog", l.Forwards[0].Place, "forwards", ""))
	}
	return persistentFail("the log stays on this host", control.Saw("log", fact.Place{Path: "/etc/systemd/journal-upload.conf"}, "URL is not set, and rsyslog forwards nothing", "a collector"))
}
