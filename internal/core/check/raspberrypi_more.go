package check

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

func piWatchdog(h *fact.Host) control.Outcome {
	all, st, why := fact.SystemdConf(h.Snap, "system.conf")
	if st != fact.Known {
		return control.CannotTell(why)
	}
	set := fact.Last(all, "Manager", "RuntimeWatchdogSec")
	asked := set.Known() && !strings.EqualFold(set.V, "off") && strings.Trim(set.V, "0smhin ") != ""
	daemon := h.Units.Get("watchdog.service") // of the package watchdog, which feeds the same device
	if daemon.Enabled() && !asked {
		o := control.Outcome{Configured: control.Yes, Persistent: control.Yes, Explicit: control.Yes, Effective: control.TriOf(daemon.Running())}
		o = o.With(control.Saw("watchdog.service", daemon.FileState.Place, daemon.FileState.V+", "+daemon.Active.V, "enabled, running"))
		if h.Snap.Source.Kind == "image" {
			o.Effective = control.Untold
		} else if daemon.Active.Missing() {
			return control.Missing(daemon.Active)
		}
		if o = o.Judge(); o.Verdict == control.Pass {
			return o.Because("a host that hangs is restarted by its watchdog, which the watchdog daemon feeds")
		}
		return o.Because("the watchdog daemon is enabled and does not run")
	}
	o := control.Outcome{Configured: control.TriOf(asked), Persistent: control.TriOf(asked), Explicit: control.TriOf(set.Known())}
	if set.Known() {
		o = o.With(control.Saw("RuntimeWatchdogSec", set.Place, set.V, "15s or so"))
	} else {
		o = o.With(control.Saw("RuntimeWatchdogSec", fact.Place{Path: "/etc/systemd/system.conf"}, "not set", "15s or so"))
	}
	switch w := h.Pi.Watchdog; {
	case w.Known():
		o.Effective = control.TriOf(w.V == "active")
		o = o.With(control.Saw("watchdog", w.Place, w.V, "active"))
	case w.Missing() && h.Snap.Source.Kind != "image":
		return control.Missing(w)
	}
	if !asked && o.Effective == control.Yes && h.Units.Silent {
		return control.CannotTell("something feeds the watchdog, and what the next boot starts is not known: "+h.Units.Why, o.Evidence...)
	}
	o = o.Judge()
	switch {
	case o.Verdict == control.Pass:
		return o.Because("a host that hangs is restarted by its watchdog")
	case o.Verdict == control.Ineffective:
		return o.Because("the watchdog is asked for and does not run")
	}
	return o.Because("nothing restarts this host when it hangs")
}

func piSwap(h *fact.Host) control.Outcome {
	image := h.Snap.Source.Kind == "image"
	o := control.Outcome{Effective: control.Yes, Persistent: control.Yes}
	switch s := h.Pi.Swaps; {
	case image:
		o.Effective = control.Untold
	case s.Missing():
		return control.Missing(s)
	default:
		for _, name := range s.V {
			if strings.HasPrefix(name, "/dev/zram") || strings.HasPrefix(name, "/dev/dm-") || strings.HasPrefix(name, "/dev/mapper/") {
				continue
			}
			o.Effective = control.No
			o = o.With(control.Saw("swap", s.Place, name, "zram, or none"))
		}
	}
	if h.Units.State != fact.Known {
		return control.CannotTell("the systemd units could not be read: " + h.Units.Why)
	}
	if u := h.Units.Get("dphys-swapfile.service"); u.Exists && u.Enabled() {
		o.Persistent = control.No
		o = o.With(control.Saw("dphys-swapfile.service", u.FileState.Place, u.FileState.V, "disabled"))
	}
	if h.Mounts.Fstab.Missing() && o.Persistent == control.Yes {
		return control.Missing(h.Mounts.Fstab)
	}
	for _, m := range h.Mounts.Fstab.V {
		if m.Type == "swap" && !strings.HasPrefix(m.Source, "/dev/mapper/") && !strings.HasPrefix(m.Source, "/dev/zram") {
			o.Persistent = control.No
			o = o.With(control.Saw("fstab", m.Place, m.Source, "zram, or none"))
		}
	}
	o.Configured = o.Persistent
	o = o.Judge()
	switch {
	case !o.Verdict.Bad():
		return o.Because("memory is not written to the card")
	case o.Effective == control.Yes:
		return o.Because("from the next boot on, parts of memory are written to the card")
	}
	return o.Because("parts of memory, keys and passwords among them, are written to the card and stay there")
}

func piBootLoader(h *fact.Host) control.Outcome {
	built, newest := h.Pi.Built, h.Pi.Newest
	switch {
	case built.State == fact.Absent:
		return control.DoesNotApply("this board has no boot loader of its own, or does not tell its age")
	case built.Missing():
		return control.Missing(built)
	case newest.State == fact.Absent:
		return control.DoesNotApply(newest.Why)
	case newest.Missing():
		return control.Missing(newest)
	}
	day := func(t time.Time) string { return t.Format(time.DateOnly) }
	ev := control.Saw("boot loader", built.Place, "of "+day(built.V), "of "+day(newest.V))
	// The file is named by a day, the other time is to the second.
	if newest.V.After(built.V.Add(24 * time.Hour)) {
		o := control.IsIneffective(fmt.Sprintf("the boot loader is of %s, and one of %s is installed and was not written to the board", day(built.V), day(newest.V)), ev)
		o.Persistent = control.No
		return o
	}
	o := control.Passed("the boot loader is as new as the package's: of "+day(built.V), ev)
	o.Persistent = control.Yes
	return o
}

// autoLogin: only a screen whose program runs or will run counts.
func autoLogin(h *fact.Host) control.Outcome {
	if h.Units.State != fact.Known {
		return control.CannotTell("the systemd units could not be read: " + h.Units.Why)
	}
	image := h.Snap.Source.Kind == "image"
	o := control.Outcome{Effective: control.Yes, Persistent: control.Yes, Configured: control.Yes}
	reason, dormant := "", ""
	for _, l := range h.AutoLogins.List {
		u := h.Units.Get(l.Unit)
		if u.Masked() || !u.Running() && !u.Enabled() {
			dormant = l.Unit
			continue
		}
		if u.Running() {
			o.Effective = control.No
		}
		if u.Enabled() || u.Running() {
			o.Persistent, o.Configured = control.No, control.No
		}
		o = o.With(control.Saw(l.Where, l.Place, "logs in "+l.User, "asks for a password"))
		if reason == "" {
			reason = fmt.Sprintf("whoever stands at %s is logged in as %s", l.Where, l.User)
			if l.User == "root" {
				reason += ", with all rights"
			} else if slices.ContainsFunc(h.Sudo.Grants, func(g fact.SudoGrant) bool { return g.User == l.User && !g.Password && g.Command == "ALL" }) {
				reason += ", who becomes root without a password"
			}
		}
	}
	if image {
		o.Effective = control.Untold
	}
	switch {
	case reason == "" && h.AutoLogins.Unread != "":
		return control.CannotTell(h.AutoLogins.Unread)
	case reason == "" && dormant != "":
		reason = "nobody is logged in without a password: " + dormant + " is off"
	case reason == "":
		reason = "nobody is logged in without a password"
	}
	return o.Judge().Because("%s", reason)
}
