package check

import (
	"slices"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/edit"
	"picket/internal/core/fact"
)

var hostRepairs = map[string]repair{
	"time.one-daemon":   repairOneDaemon,
	"time.synchronised": repairSynchronised,
	"listeners.llmnr": func(_ *fact.Host, d *change.Draft) error {
		if err := d.Say("/etc/systemd/resolved.conf.d/zz-picket.conf", 0o644, edit.Systemd, "Resolve", "LLMNR", "no"); err != nil {
			return err
		}
		stillSo(llmnr, d)
		return nil
	},
	"mounts.automount": func(_ *fact.Host, d *change.Draft) error {
		d.Leave("folders of the network that it mounts (/etc/auto.master) would be gone: where nobody needs them, sudo systemctl disable --now autofs.service")
		return nil
	},
	"raspberry-pi.swap":       repairSwap,
	"raspberry-pi.watchdog":   repairWatchdog,
	"raspberry-pi.usb-gadget": repairGadget,
	"wifi.bluetooth": func(h *fact.Host, d *change.Draft) error {
		acts := []string{"disable"}
		if h.Units.Get("bluetooth.service").Running() {
			acts = append(acts, "stop")
		}
		d.Do(change.Unit, "bluetooth.service", acts...)
		return nil
	},
}

// A first answer of a server takes some seconds. It is no failure if none comes: the host is judged anew in any case.
const timeAwaited = "timeout 15 sh -c 'until timedatectl show -p NTPSynchronized --value | grep -q yes || chronyc -n tracking 2>/dev/null | grep -q Normal; do sleep 1; done' || true"

// stillSo leaves it to a person when the files as drafted would not bring what is wanted.
func stillSo(judge func(*fact.Host) control.Outcome, d *change.Draft) {
	if o := judge(control.Drafted(d)); o.Persistent == control.No {
		d.Leave("another file would still win: %s", o.Reason)
	}
}

// repairOneDaemon keeps one of several time daemons: not the one that every system comes with, but what somebody put
// there. Where there is none the small one is taken.
func repairOneDaemon(h *fact.Host, d *change.Draft) error {
	running, enabled := timeDaemons(h)
	all := slices.Concat(enabled, running)
	if len(all) == 0 {
		installed(h, d, "systemd-timesyncd")
		d.Do(change.Unit, "systemd-timesyncd.service", startsOf(h.Units.Get("systemd-timesyncd.service"))...)
		return nil
	}
	keep := all[0]
	for _, name := range []string{"chrony", "ntpsec", "ntp", "openntpd"} {
		if i := slices.IndexFunc(all, func(o daemon) bool { return o.name == name }); i >= 0 {
			keep = all[i]
			break
		}
	}
	for _, other := range all {
		if other.name == keep.name {
			continue
		}
		var acts []string
		if other.unit.Enabled() {
			acts = append(acts, "disable")
		}
		if other.unit.Running() {
			acts = append(acts, "stop")
		}
		d.Do(change.Unit, other.unit.Name, acts...)
	}
	if acts := startsOf(keep.unit); len(acts) > 0 {
		d.Do(change.Unit, keep.unit.Name, acts...)
	}
	return nil
}

// startsOf is what has a unit run now and after each start of the host.
func startsOf(u fact.Unit) (acts []string) {
	if u.Masked() {
		acts = append(acts, "unmask")
	}
	if !u.Enabled() {
		acts = append(acts, "enable")
	}
	if !u.Running() {
		acts = append(acts, "start")
	}
	return acts
}

// repairSynchronised starts a daemon that does not run. Whom to ask is for a person to say.
func repairSynchronised(h *fact.Host, d *change.Draft) error {
	running, _ := timeDaemons(h)
	if len(running) > 0 {
		d.Leave("%s runs, and which server it is to ask is yours to decide: UDP port 123 has to be open to the outside, or name one of your own network, often the router (chronyc sources, timedatectl timesync-status)", running[0].name)
		return nil
	}
	if err := repairOneDaemon(h, d); err != nil {
		return err
	}
	d.Do(change.Act, timeAwaited)
	return nil
}

// repairSwap has the next start bring none. What is in use stays until then: to give it back takes memory that there may
// not be.
func repairSwap(h *fact.Host, d *change.Draft) error {
	d.Later("%s: what is swapped out now has to stay where it is until then", change.NextStart)
	u := h.Units.Get("dphys-swapfile.service")
	if u.Enabled() {
		d.Do(change.Unit, u.Name, "disable")
	}
	var lines []int
	for _, m := range h.Mounts.Fstab.V {
		if m.Type == "swap" && !strings.HasPrefix(m.Source, "/dev/mapper/") && !strings.HasPrefix(m.Source, "/dev/zram") {
			lines = append(lines, m.Place.Line)
		}
	}
	if len(lines) > 0 {
		return d.Edit("/etc/fstab", 0o644, func(was []byte) ([]byte, error) { return edit.CommentOut(was, commentMark, lines...) })
	}
	if !u.Enabled() {
		d.Leave("what has made it is not known: sudo swapoff FILE, and look for what starts it (systemctl list-units --type swap)")
	}
	return nil
}

// commentMark is put before a line that Picket takes out of somebody's file.
const commentMark = "# picket: "

func repairWatchdog(h *fact.Host, d *change.Draft) error {
	if u := h.Units.Get("watchdog.service"); u.Enabled() && !u.Running() {
		d.Do(change.Unit, u.Name, "restart")
		return nil
	}
	if o := piWatchdog(h); o.Configured == control.Yes {
		d.Leave("it is asked for, and there may be no device for it: look for dtparam=watchdog=off in config.txt, and at journalctl -b _PID=1")
		return nil
	}
	if err := d.Say("/etc/systemd/system.conf.d/zz-picket.conf", 0o644, edit.Systemd, "Manager", "RuntimeWatchdogSec", "15s"); err != nil {
		return err
	}
	stillSo(piWatchdog, d)
	return nil
}

// repairGadget takes out what loads the modules; the driver of the USB port stays.
func repairGadget(h *fact.Host, d *change.Draft) error {
	d.Later("it ends with the next start of the host")
	asked, unseen := gadgetsAsked(h)
	if unseen != "" {
		d.Leave("%s", unseen)
		return nil
	}
	if len(asked) == 0 {
		d.Leave("the next start of the host ends it: nothing loads such a module any more")
		return nil
	}
	for _, w := range h.Boot.Next.V {
		list, ok := strings.CutPrefix(w, "modules-load=")
		if !ok || !slices.ContainsFunc(strings.Split(list, ","), gadget) {
			continue
		}
		var add []string
		if rest := slices.DeleteFunc(strings.Split(list, ","), gadget); len(rest) > 0 {
			add = []string{"modules-load=" + strings.Join(rest, ",")}
		}
		if err := d.Edit(h.Boot.Next.Place.Path, 0o755, func(was []byte) ([]byte, error) {
			return edit.Parameters(was, func(word string) bool { return word == w }, add...)
		}); err != nil {
			return err
		}
	}
	for _, p := range []string{"/etc/modules", "/etc/modules-load.d/*.conf"} {
		for _, f := range h.Words(p) {
			if gadget(f.V) {
				if err := d.Edit(f.Place.Path, 0o644, func(was []byte) ([]byte, error) { return edit.CommentOut(was, commentMark, f.Place.Line) }); err != nil {
					return err
				}
			}
		}
	}
	for name, u := range h.Units.All {
		if strings.Contains(name, "usb-gadget") && strings.HasSuffix(name, ".service") && u.Enabled() {
			d.Do(change.Unit, name, "disable")
		}
	}
	return nil
}
