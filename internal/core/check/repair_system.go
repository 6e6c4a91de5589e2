package check

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/edit"
	"picket/internal/core/fact"
)

var systemRepairs = map[string]repair{
	"updates.automatic":    repairUpdates,
	"logging.journal-kept": repairJournalKept,
	"logging.journal-limit": func(h *fact.Host, d *change.Draft) error {
		return d.Say(journalFile, 0o644, edit.Systemd, "Journal", "SystemMaxUse", "200M")
	},
	"logging.forwarding": func(h *fact.Host, d *change.Draft) error {
		if err := d.Say(journalFile, 0o644, edit.Systemd, "Journal", "ForwardToSyslog", "yes"); err != nil {
			return err
		}
		return holds(journalForwards, d)
	},
	"cron.allowed-users": repairCronAllowed,
	"boot.ctrl-alt-del":  repairCtrlAltDel,
	"pam.core-dumps":     repairCoreDumps,
}

const (
	journalFile = "/etc/systemd/journald.conf.d/zz-picket.conf" // the last wins
)

// holds leaves it to a person when the files as drafted would not bring what is wanted.
func holds(f func(*fact.Host) control.Outcome, d *change.Draft) error {
	if o := f(control.Drafted(d)); o.Verdict.Bad() && o.Persistent != control.Yes {
		d.Leave("another file would still win: %s", o.Reason)
	}
	return nil
}

// repairUpdates installs and switches on what installs security updates. What somebody keeps from being installed is
// theirs.
func repairUpdates(h *fact.Host, d *change.Draft) error {
	if !h.Packages.Has("unattended-upgrades").V {
		d.Do(change.Install, "packages", "unattended-upgrades")
	} else {
		if o, bad := securityMatched(h); bad {
			d.Leave("%s", o.Reason)
			return nil
		}
		if o, bad := leftOut(h); bad {
			d.Leave("%s", o.Reason)
			return nil
		}
	}
	apt := h.Updates.Apt
	for _, key := range []string{periodic + "Update-Package-Lists", periodic + "Unattended-Upgrade"} {
		if v := apt.Get(key); !apt.On(key) || everyDays(v.V) > 7 {
			if err := d.Say(change.AptFile, 0o644, change.Apt, "", key, `"1";`); err != nil {
				return err
			}
		}
	}
	if v := apt.Get(periodic + "Enable"); v.Known() && v.V == "0" {
		if err := d.Say(change.AptFile, 0o644, change.Apt, "", periodic+"Enable", `"1";`); err != nil {
			return err
		}
	}
	for _, name := range []string{"apt-daily", "apt-daily-upgrade"} {
		if why := h.ChangedUnit(name + ".timer"); why != "" {
			d.Leave("%s", why)
			return nil
		}
		if h.Units.Get(name + ".service").Masked() {
			d.Do(change.Unit, name+".service", "unmask")
		}
		t := h.Units.Get(name + ".timer")
		var acts []string
		if t.Masked() {
			acts = append(acts, "unmask")
		}
		if !t.Enabled() {
			acts = append(acts, "enable")
		}
		if !t.Running() {
			acts = append(acts, "start")
		}
		if len(acts) > 0 {
			d.Do(change.Unit, name+".timer", acts...)
		}
	}
	return repairWindow(h, d)
}

// The timer at which updates are installed, and when unattended-upgrades starts the host anew for them, if it may.
const (
	upgradeTimer = "apt-daily-upgrade.timer"
	upgradeFile  = "/etc/systemd/system/apt-daily-upgrade.timer.d/zz-picket.conf" // the last wins
	rebootTime   = "Unattended-Upgrade::Automatic-Reboot-Time"
)

// otherWindow says that updates are installed at another time than the policy has it.
func otherWindow(h *fact.Host, p change.Policy) string {
	from, to, decided := strings.Cut(p.UpdateWindow, "-")
	if !decided || !h.Packages.Has("unattended-upgrades").V {
		return ""
	}
	if why := otherTime(h, from); why != "" {
		return why + ", and policy.updates.window is " + p.UpdateWindow
	}
	if at := h.Updates.Apt.Get(rebootTime); !at.Known() || at.V != to {
		return "the time at which updates may start the host anew is not the end of policy.updates.window, " + p.UpdateWindow
	}
	return ""
}

// otherTime says at which other time than this updates are installed.
func otherTime(h *fact.Host, clock string) string {
	times, hidden := h.OwnTimes(upgradeTimer)
	if hidden != "" {
		return "when updates are installed is not known: " + hidden
	}
	for _, t := range times {
		if t.Value != calendar(clock) {
			return "updates are installed at " + t.Value + " (" + t.Place.String() + ")"
		}
	}
	if len(times) == 0 {
		return "updates are installed when their package has it"
	}
	return ""
}

func calendar(clock string) string { return "*-*-* " + clock + ":00" }

// repairWindow has updates installed in the first half of the window that was decided, so that they have the other to end
// in, and never at a start of the host that comes later; if the host may start anew for them, then at the window's end.
func repairWindow(h *fact.Host, d *change.Draft) error {
	from, to, decided := strings.Cut(d.Policy().UpdateWindow, "-")
	if !decided {
		return nil
	}
	minutes := func(clock string) int {
		t, _ := time.Parse("15:04", clock) // the settings were read strictly
		return t.Hour()*60 + t.Minute()
	}
	half := (minutes(to) - minutes(from) + 24*60) % (24 * 60) / 2
	if err := d.Write(upgradeFile, 0o644, fmt.Sprintf("%s[Timer]\nOnCalendar=\nOnCalendar=%s\nRandomizedDelaySec=%dm\nPersistent=false\n", change.Head, calendar(from), half)); err != nil {
		return err
	}
	if err := d.Say(change.AptFile, 0o644, change.Apt, "", rebootTime, `"`+to+`";`); err != nil {
		return err
	}
	if why := otherTime(control.Drafted(d), from); why != "" {
		d.Leave("another file would still win: %s", why)
	}
	return nil
}

// repairJournalKept has journald write to the disk. The folder is made by journald itself and stays with what it holds
// when this is taken back.
func repairJournalKept(h *fact.Host, d *change.Draft) error {
	if m, found, _ := logsInMemory(h); found {
		d.Leave("%s is memory: where logs are to go instead is yours to decide", m.Point)
		return nil
	}
	if err := d.Say(journalFile, 0o644, edit.Systemd, "Journal", "Storage", "persistent"); err != nil {
		return err
	}
	d.Do(change.Act, "journalctl --flush")
	return nil
}

// repairCronAllowed lists root and those who have jobs of their own today.
func repairCronAllowed(h *fact.Host, d *change.Draft) error {
	if h.Cron.State != fact.Known {
		d.Leave("who has jobs is not known: %s", h.Cron.Why)
		return nil
	}
	users := []string{"root"}
	for _, j := range h.Cron.Jobs {
		if strings.HasPrefix(j.Place.Path, "/var/spool/cron/crontabs/") && !slices.Contains(users, j.User) {
			users = append(users, j.User)
		}
	}
	slices.Sort(users)
	gid := 0
	if i := slices.IndexFunc(h.Accounts.Groups, func(g fact.Group) bool { return g.Name == "crontab" }); i >= 0 {
		gid = h.Accounts.Groups[i].GID
	}
	files := map[string]int{"/etc/cron.allow": gid}
	if h.Packages.Has("at").V {
		files["/etc/at.allow"] = 0
	}
	for _, f := range []string{"/etc/cron.allow", "/etc/at.allow"} {
		gid, wanted := files[f]
		if !wanted {
			continue
		}
		mode := uint32(0o640)
		switch e, st, why := h.Snap.Stat(f); st {
		case fact.Absent:
			if err := d.Write(f, mode, strings.Join(users, "\n")+"\n"); err != nil {
				return err
			}
		case fact.Known:
			mode = e.Mode & 0o640
		default:
			d.Leave("%s", why)
			return nil
		}
		if err := d.Permit(f, mode, 0, gid); err != nil {
			return err
		}
	}
	return nil
}

func repairCtrlAltDel(h *fact.Host, d *change.Draft) error {
	e, st, _ := h.Snap.Stat("/etc/systemd/system/ctrl-alt-del.target")
	switch {
	case st == fact.Known && e.Target != "/dev/null":
		d.Leave("/etc/systemd/system/ctrl-alt-del.target leads to %s: somebody chose that", e.Target)
		return nil
	case st == fact.Absent:
		d.Do(change.Unit, "ctrl-alt-del.target", "mask")
	}
	return d.Say("/etc/systemd/system.conf.d/zz-picket.conf", 0o644, edit.Systemd, "Manager", "CtrlAltDelBurstAction", "none")
}

func repairCoreDumps(h *fact.Host, d *change.Draft) error {
	if limits, _ := lastLimit(h); limits.value != "0" || len(limits.lifted) > 0 {
		if err := d.Add("/etc/security/limits.d/zz-picket.conf", 0o644, "* hard core 0", "root hard core 0"); err != nil {
			return err
		}
	}
	if h.Packages.Has("systemd-coredump").V {
		if err := d.Say("/etc/systemd/coredump.conf.d/zz-picket.conf", 0o644, edit.Systemd, "Coredump", "Storage", "none"); err != nil {
			return err
		}
	}
	return holds(coreDumps, d)
}
