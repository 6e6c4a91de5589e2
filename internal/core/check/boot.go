package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var boot = []Check{
	{"boot.cpu-flaws", cpuFlaws,
		"what the kernel says of itself in /sys/devices/system/cpu/vulnerabilities"},
	{"boot.grub-password", grubPassword,
		"superusers and passwords in /boot/grub/grub.cfg"},
	{"boot.ctrl-alt-del", ctrlAltDel,
		"where /etc/systemd/system/ctrl-alt-del.target leads, and CtrlAltDelBurstAction in /etc/systemd/system.conf and its drop-ins"},
	{"apparmor.enabled", appArmorEnabled,
		"/sys/module/apparmor and /sys/kernel/security/lsm now; the package apparmor and the kernel's command line for the next boot"},
	{"apparmor.enforced", appArmorEnforced,
		"the profiles that the kernel has loaded (/sys/kernel/security/apparmor/profiles) and their modes"},
}

func cpuFlaws(h *fact.Host) control.Outcome {
	if h.Snap.Source.Kind == "image" {
		return control.CannotTell("an image has no running kernel to ask")
	}
	flaws, st, why := h.CPUFlaws()
	switch {
	case st == fact.Absent:
		return control.DoesNotApply("this kernel does not tell what its processor is open to")
	case st != fact.Known && len(flaws) == 0:
		return control.CannotTell(why)
	}
	var found []control.Evidence
	for _, name := range slices.Sorted(maps.Keys(flaws)) {
		if strings.HasPrefix(flaws[name], "Vulnerable") {
			place := fact.Place{Path: "/sys/devices/system/cpu/vulnerabilities/" + name}
			found = append(found, control.Saw(name, place, flaws[name], "Mitigation or Not affected"))
		}
	}
	if len(found) == 0 && st != fact.Known {
		return control.CannotTell(why)
	}
	if len(found) == 0 {
		return control.Passed(fmt.Sprintf("none of %d known flaws of processors is open here", len(flaws)))
	}
	var names []string
	for _, e := range found {
		names = append(names, e.Fact)
	}
	return control.OwnKernel(h, control.Failed("the kernel says that this processor is open to "+strings.Join(names, ", "), found...))
}

func grubPassword(h *fact.Host) control.Outcome {
	p := h.Boot.GrubPassword
	switch {
	case h.OS.RaspberryPi:
		return control.DoesNotApply("a Raspberry Pi does not start with GRUB")
	case p.State == fact.Absent || p.State == fact.Unknown && p.Why == "":
		return control.DoesNotApply("this host does not start with GRUB")
	case p.Missing():
		return control.Missing(p)
	case p.V:
		o := control.Passed("the boot menu asks for a password before it can be changed")
		o.Persistent = control.Yes
		return o
	}
	o := control.Failed("anybody at the keyboard can change how the system starts",
		control.Saw("GRUB", p.Place, "no superusers with a password", "set superusers and password_pbkdf2"))
	o.Persistent = control.No
	return o
}

func ctrlAltDel(h *fact.Host) control.Outcome {
	const unit = "/etc/systemd/system/ctrl-alt-del.target"
	e, st, why := h.Snap.Stat(unit)
	if st == fact.Denied || st == fact.Unknown {
		return control.CannotTell(why)
	}
	if st == fact.Known && e.Target == "/dev/null" {
		all, st, why := fact.SystemdConf(h.Snap, "system.conf")
		if st != fact.Known {
			return control.CannotTell(why)
		}
		// Seven presses in two seconds do not start the target: systemd acts by
		// itself. What it does not understand leaves its default.
		burst := fact.Last(all, "Manager", "CtrlAltDelBurstAction")
		if burst.V != "none" {
			found := burst.V
			if !burst.Known() {
				found = "not set, which means reboot-force"
			}
			o := control.IsIneffective("ctrl-alt-del.target is masked, but pressing the keys more than seven times in two seconds still restarts or stops the host at once",
				control.Saw("CtrlAltDelBurstAction", placeOr(burst.Place, "/etc/systemd/system.conf"), found, "none"))
			o.Persistent = control.No
			return o
		}
		o := control.Passed("ctrl-alt-del.target is masked, and CtrlAltDelBurstAction is none", control.Saw("unit", fact.Place{Path: unit}, "masked", "masked"))
		o.Persistent, o.Explicit = control.Yes, control.Yes
		return o
	}
	if _, st, _ := h.Snap.Stat("/usr/lib/systemd/system/ctrl-alt-del.target"); st == fact.Absent {
		return control.DoesNotApply("this host has no ctrl-alt-del.target")
	}
	o := control.Failed("three keys on any keyboard restart the host",
		control.Saw("unit", fact.Place{Path: "/usr/lib/systemd/system/ctrl-alt-del.target"}, "not masked", "masked"))
	o.Persistent = control.No
	return o
}

func appArmorEnabled(h *fact.Host) control.Outcome {
	a, has := h.AppArmor, h.Packages.Has("apparmor")
	if h.Snap.Source.Kind != "image" && a.Enabled.Missing() {
		return control.Missing(a.Enabled)
	}
	o := control.Outcome{Configured: control.Untold, Persistent: control.Untold}
	refused := ""
	for _, w := range h.Boot.Next.V {
		if w == "apparmor=0" || strings.HasPrefix(w, "security=") && w != "security=apparmor" || strings.HasPrefix(w, "lsm=") && !strings.Contains(w, "apparmor") {
			refused = w
		}
	}
	if has.Known() && !has.V {
		o.Configured, o.Persistent = control.No, control.No
	} else if refused != "" {
		o.Configured, o.Persistent = control.No, control.No
		o = o.With(control.Saw("next boot", h.Boot.Next.Place, refused, "apparmor=1"))
	} else if has.Known() {
		o.Configured = control.Yes
		if a.Enabled.Known() && a.Enabled.V && h.Boot.Next.Known() {
			o.Persistent = control.Yes
		}
	}
	if a.Enabled.Known() {
		o.Effective = control.TriOf(a.Enabled.V && o.Configured != control.No || a.Enabled.V && refused != "")
		o = o.With(control.Saw("kernel", a.Enabled.Place, map[bool]string{true: "AppArmor is on", false: "AppArmor is off"}[a.Enabled.V], "on"))
	}
	if has.Missing() && o.Effective != control.No {
		return control.Missing(has)
	}
	if n := h.Boot.Next; n.State == fact.Denied && o.Effective == control.Yes {
		return control.CannotTell("whether the next boot switches AppArmor off is not known: "+n.Why, o.Evidence...)
	}
	o = o.Judge()
	switch {
	case o.Verdict == control.Unknown:
		o.Reason = "whether the kernel will use AppArmor can only be seen while it runs"
	case has.Known() && !has.V:
		o.Reason = "the package apparmor is not installed: there are no profiles to enforce"
	case a.Enabled.Known() && !a.Enabled.V:
		o.Reason = "the running kernel does not use AppArmor"
		if o.Configured == control.Yes {
			o.Reason += ", although the package is installed"
		}
	case refused != "":
		o.Reason = "the next boot switches AppArmor off with " + refused
	default:
		o.Reason = "the kernel uses AppArmor"
	}
	return control.OwnKernel(h, o)
}

func appArmorEnforced(h *fact.Host) control.Outcome {
	a := h.AppArmor
	switch {
	case a.Enabled.Known() && !a.Enabled.V:
		return control.DoesNotApply("the kernel does not use AppArmor")
	case a.Profiles.State == fact.Absent:
		return control.DoesNotApply("the kernel keeps no list of profiles")
	case a.Profiles.Missing():
		return control.Missing(a.Profiles)
	}
	var found []control.Evidence
	enforced := 0
	for _, name := range slices.Sorted(maps.Keys(a.Profiles.V)) {
		switch mode := a.Profiles.V[name]; mode {
		case "enforce", "kill":
			enforced++
		case "unconfined":
			// Debian ships such profiles to give a name to programs that may
			// make user namespaces; they are not meant to confine.
		default:
			found = append(found, control.Saw("profile "+name, a.Profiles.Place, mode, "enforce"))
		}
	}
	switch {
	case len(a.Profiles.V) == 0 && a.Files > 0:
		return control.IsIneffective(fmt.Sprintf("there are %d profiles in /etc/apparmor.d and none is loaded", a.Files),
			control.Saw("loaded profiles", a.Profiles.Place, "none", "those of /etc/apparmor.d"))
	case len(a.Profiles.V) == 0:
		return control.Failed("no profile is loaded", control.Saw("loaded profiles", a.Profiles.Place, "none", "some"))
	case len(found) > 0:
		o := control.IsIneffective(fmt.Sprintf("%d of %d profiles only complain", len(found), len(a.Profiles.V)), found[:min(len(found), maxFound)]...)
		return o
	}
	if enforced == 0 {
		return control.Failed(fmt.Sprintf("none of the %d loaded profiles confines anything", len(a.Profiles.V)),
			control.Saw("loaded profiles", a.Profiles.Place, "all unconfined", "some that are enforced"))
	}
	if enforced == 1 {
		return control.Passed("1 profile is enforced")
	}
	return control.Passed(fmt.Sprintf("%d profiles are enforced", enforced))
}
