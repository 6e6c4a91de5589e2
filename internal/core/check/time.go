package check

import (
	"fmt"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var timeChecks = []Check{
	{"time.one-daemon", timeOneDaemon,
		"the units of systemd-timesyncd, chrony and ntpsec, now and at boot (`systemctl list-units`, `systemctl list-unit-files`)"},
	{"time.synchronised", timeSynchronised,
		"what the running daemon says: `timedatectl show`, `chronyc -n tracking`, `ntpq -pn`"},
}

// daemon is one time daemon's state: its unit that matters most.
type daemon struct {
	name string
	unit fact.Unit
}

// timeDaemons are those that run, and those that the next boot starts.
func timeDaemons(h *fact.Host) (running, enabled []daemon) {
	for _, d := range fact.TimeDaemons {
		var run, boot bool
		var one fact.Unit
		for _, name := range d.Units {
			u := h.Units.Get(name)
			if u.FileState.V == "alias" {
				continue // another unit's name: ntpsec's are ntp and ntpd too
			}
			if u.Running() {
				run, one = true, u
			}
			if u.Exists && u.Enabled() {
				if boot = true; !run {
					one = u
				}
			}
		}
		if run {
			running = append(running, daemon{d.Name, one})
		}
		if boot {
			enabled = append(enabled, daemon{d.Name, one})
		}
	}
	return running, enabled
}

func names(ds []daemon) string {
	var out []string
	for _, d := range ds {
		out = append(out, d.name)
	}
	return strings.Join(out, " and ")
}

func timeOneDaemon(h *fact.Host) control.Outcome {
	if h.Units.State != fact.Known {
		return control.CannotTell("the systemd units could not be read: " + h.Units.Why)
	}
	running, enabled := timeDaemons(h)
	var ev []control.Evidence
	for _, d := range enabled {
		ev = append(ev, control.Saw(d.unit.Name+" at boot", d.unit.FileState.Place, d.unit.FileState.V, ""))
	}
	for _, d := range running {
		ev = append(ev, control.Saw(d.unit.Name+" now", d.unit.Active.Place, d.unit.Active.V, ""))
	}
	image := h.Snap.Source.Kind == "image"
	switch {
	case len(running) > 1:
		return control.Failed(names(running)+" run at the same time and fight over the clock", ev...)
	case len(enabled) > 1 && (image || len(running) == 0):
		return control.Failed(names(enabled)+" are both started at boot and fight over the clock", ev...)
	case image && len(enabled) == 1:
		o := control.Passed(enabled[0].name+" is started at boot", ev...)
		o.Effective, o.Persistent, o.Configured = control.Untold, control.Yes, control.Yes
		return o
	case image, len(running) == 0 && len(enabled) == 0:
		if h.Time.Container() {
			return control.DoesNotApply("the clock is that of the container's host (" + h.Time.Virtual.V + ")")
		}
		o := control.Failed("no time daemon is started at boot", ev...)
		o.Configured, o.Persistent = control.No, control.No
		return o
	case len(running) == 0 && enabled[0].unit.Active.Missing():
		return control.CannotTell(enabled[0].unit.Active.Why)
	case len(running) == 0:
		// systemd starts timesyncd on no container, since the clock is not its own.
		if h.Time.Container() && enabled[0].name == "systemd-timesyncd" {
			return control.DoesNotApply("the clock is that of the container's host (" + h.Time.Virtual.V + "); systemd-timesyncd does not start here")
		}
		return ineffective(fmt.Sprintf("%s is enabled, but does not run (%s)", enabled[0].name, enabled[0].unit.Active.V), ev...)
	case len(enabled) == 0:
		o := control.Outcome{Configured: control.No, Effective: control.Yes, Persistent: control.No, Evidence: ev}
		return o.Judge().Because("%s runs now, but is not started at boot", running[0].name)
	case len(enabled) > 1:
		return control.Failed(fmt.Sprintf("%s runs; at boot %s are started and fight over the clock", running[0].name, names(enabled)), ev...)
	}
	o := control.Passed(running[0].name+" keeps the clock, now and after a reboot", ev...)
	o.Configured, o.Persistent = control.Yes, control.Yes
	return o
}

// timeSynchronised asks the daemon that runs, then the kernel: T16.
func timeSynchronised(h *fact.Host) control.Outcome {
	if h.Snap.Source.Kind == "image" {
		return control.CannotTell("whether the clock is synchronised shows only on the running host")
	}
	if h.Units.State == fact.Unknown && h.Units.Silent || h.Units.State == fact.Denied {
		return control.CannotTell("which time daemon runs is not known: " + h.Units.Why)
	}
	running, enabled := timeDaemons(h)
	name := ""
	if len(running) > 0 {
		name = running[0].name
	}
	t := h.Time
	switch {
	case name == "chrony":
		return chronySynchronised(t)
	case (name == "ntpsec" || name == "ntp") && t.NTP.Known():
		p := t.NTP.V
		ev := control.Saw("servers of "+name, t.NTP.Place, fmt.Sprintf("%d known, %d reachable, %d chosen", p.All, p.Reachable, p.Selected), "one chosen")
		if p.Selected == 0 {
			return ineffective(fmt.Sprintf("%s runs, but follows no server (%d of %d reachable)", name, p.Reachable, p.All), ev)
		}
		return control.Passed(name+" follows a server", ev)
	}
	if t.Container() && name == "" {
		if len(enabled) > 0 && enabled[0].name != "systemd-timesyncd" {
			return ineffective(enabled[0].name+" is enabled, but does not run",
				control.Saw(enabled[0].unit.Name, enabled[0].unit.Active.Place, enabled[0].unit.Active.V, "active"))
		}
		return control.DoesNotApply("the clock is that of the container's host (" + t.Virtual.V + ")")
	}
	if !t.Kernel.Known() {
		return control.CannotTell("whether the clock is synchronised is not known: " + t.Kernel.Why)
	}
	ev := control.Saw("NTPSynchronized", t.Kernel.Place, yesNo(t.Kernel.V), "yes")
	switch {
	case t.Kernel.V && name == "" && len(enabled) == 0 && h.Units.State == fact.Known:
		return control.Failed("the kernel calls the clock synchronised, but no time daemon keeps it so", ev)
	case t.Kernel.V:
		return control.Passed("the clock is synchronised", ev)
	case name != "":
		return ineffective(name+" runs, but the clock is not synchronised: no server has answered", ev)
	case len(enabled) > 0:
		return ineffective(enabled[0].name+" is enabled, but does not run, and the clock is not synchronised", ev)
	}
	return control.Failed("the clock is not synchronised, and no time daemon runs", ev)
}

func chronySynchronised(t fact.Time) control.Outcome {
	if !t.Chrony.Known() {
		return control.CannotTell("chrony runs, but could not be asked: " + t.Chrony.Why)
	}
	c := t.Chrony.V
	leap := control.Saw("chrony's leap status", t.Chrony.Place, c.Leap, "Normal")
	if c.Leap == leap.Wanted {
		leap.Wanted = ""
	}
	ev := []control.Evidence{leap}
	if c.Silent != "" && c.Synchronised {
		return control.CannotTell("whether chrony still reaches a source is not known: "+c.Silent, ev...)
	}
	if p := c.Sources; p.Known() {
		ev = append(ev, control.Saw("chrony's sources", p.Place, fmt.Sprintf("%d known, %d reachable, %d chosen", p.V.All, p.V.Reachable, p.V.Selected), "one chosen"))
		if c.Own {
			return ineffective(fmt.Sprintf("chrony follows the host's own clock (local stratum): %d sources are set, %d reachable", p.V.All, p.V.Reachable), ev...)
		}
		if p.V.All == 0 && !c.Synchronised {
			return ineffective("chrony runs, but has no source", ev...)
		}
		if p.V.All > 0 && p.V.Reachable == 0 {
			return ineffective(fmt.Sprintf("chrony runs, but none of its %d sources is reachable", p.V.All), ev...)
		}
	}
	if c.Own {
		return ineffective("chrony follows the host's own clock (local stratum), which nothing corrects", ev...)
	}
	if !c.Synchronised {
		return ineffective("chrony runs, but is not synchronised", ev...)
	}
	return control.Passed("chrony is synchronised", ev...)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
