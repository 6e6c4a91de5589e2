package check

import (
	"fmt"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var cron = []Check{{"cron.allowed-users", cronAllowed, "/etc/cron.allow and /etc/at.allow, with their modes and owners"}}

// cronAllowed wants a list of those who may have jobs, for cron and, where it
// is installed, for at.
func cronAllowed(h *fact.Host) control.Outcome {
	files := []string{"/etc/cron.allow"}
	if at := h.Packages.Has("at"); !at.Known() {
		return control.Missing(at)
	} else if at.V {
		files = append(files, "/etc/at.allow")
	}
	var ev []control.Evidence
	for _, f := range files {
		e, st, why := h.Snap.Stat(f)
		place := fact.Place{Path: f}
		switch {
		case st == fact.Absent:
			return persistentFail("there is no "+f+": every user may have jobs", control.Saw("list of users", place, "not there", "a list"))
		case st != fact.Known:
			return control.CannotTell(why)
		case e.Mode&0o027 != 0 || e.UID != 0:
			return persistentFail(fmt.Sprintf("%s: mode %04o, owner %s", f, e.Mode, h.Accounts.UserName(e.UID)),
				control.Saw("permissions", place, fmt.Sprintf("mode %04o, owner %s", e.Mode, h.Accounts.UserName(e.UID)), "0640 or less, owner root"))
		}
		ev = append(ev, control.Saw("list of users", place, "there", ""))
	}
	o := control.Passed("only users on a list may have jobs", ev...)
	o.Persistent = control.Yes
	return o
}

// persistentFail is a failure that a reboot does not mend.
func persistentFail(reason string, ev ...control.Evidence) control.Outcome {
	o := control.Failed(reason, ev...)
	o.Persistent = control.No
	return o
}
