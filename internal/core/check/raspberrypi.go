package check

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var raspberryPi = []Check{
	{"raspberry-pi.boot-secrets", piBootSecrets,
		"userconf.txt, custom.toml, user-data, network-config and others in /boot/firmware"},
	{"raspberry-pi.first-user", piFirstUser,
		"rpi-first-boot-wizard in /etc/passwd, and the unit of the first start (`systemctl list-unit-files`)"},
	{"raspberry-pi.host-keys", piHostKeys,
		"when the keys in /etc/ssh were made, against the day of the card's image, and the unit that makes them anew (`systemctl list-unit-files`)"},
	{"raspberry-pi.usb-gadget", piUSBGadget,
		"the loaded modules (/proc/modules), and config.txt and cmdline.txt in /boot/firmware"},
	{"raspberry-pi.overlay", piOverlay,
		"the kernel's command line now (/proc/cmdline) and at the next boot (/boot/firmware/cmdline.txt)"},
	{"raspberry-pi.watchdog", piWatchdog,
		"RuntimeWatchdogSec in /etc/systemd/system.conf and its drop-ins, the unit of the watchdog daemon (`systemctl list-unit-files`), and the state of /sys/class/watchdog"},
	{"raspberry-pi.swap", piSwap,
		"/proc/swaps now; /etc/fstab and the units of swap files for the next boot (`systemctl list-unit-files`)"},
	{"raspberry-pi.boot-loader", piBootLoader,
		"the date of the boot loader that started this host (/proc/device-tree/chosen/bootloader)"},
	{"boot.auto-login", autoLogin,
		"autologin in the units of terminals (/etc/systemd/system) and of the desktop (/etc/lightdm)"},
}

// piBootSecrets looks for what was meant for the first start only. On a FAT
// partition the mount decides who can read it.
func piBootSecrets(h *fact.Host) control.Outcome {
	image := h.Snap.Source.Kind == "image"
	if image && h.Pi.NotStarted != "" {
		return control.DoesNotApply("this card was never started, and what is on it waits for that: " + h.Pi.NotStarted)
	}
	var found []control.Evidence
	closed := 0
	for _, b := range h.Pi.Left {
		open := b.Open
		if next, ok := h.Mounts.Next("/boot/firmware"); image && ok {
			open = !fatShut(next)
		} else if next, ok := h.Mounts.Next("/boot"); image && ok {
			open = !fatShut(next)
		}
		if !open {
			closed++
			continue
		}
		found = append(found, control.Saw("left behind", b.Place, b.What, "deleted, or a boot partition that only root can read"))
	}
	if len(found) > 0 {
		o := control.Failed(fmt.Sprintf("every user can read %s, which holds %s", before(found[0].Place, ":"), found[0].Found), found...)
		if len(found) > 1 {
			o.Reason += fmt.Sprintf("; %d more files hold secrets", len(found)-1)
		}
		o.Persistent = control.No
		return o
	}
	if h.Pi.LeftWhy != "" {
		return control.CannotTell(h.Pi.LeftWhy)
	}
	o := control.Passed("the boot partition holds no password and no passphrase")
	if closed > 0 {
		o.Reason = "only root can read what the first start left on the boot partition"
	}
	o.Persistent = control.Yes
	return o
}

func before(s, sep string) string {
	s, _, _ = strings.Cut(s, sep)
	return s
}

// wizard is the account that Raspberry Pi OS asks for a name and a password at
// the first start.
const wizard = "rpi-first-boot-wizard"

func piFirstUser(h *fact.Host) control.Outcome {
	switch {
	case h.Pi.NotStarted != "":
		return control.DoesNotApply("this card was never started: " + h.Pi.NotStarted)
	case h.Accounts.State != fact.Known:
		return control.CannotTell("the list of users could not be read: " + h.Accounts.Why)
	}
	if u, ok := h.Accounts.User(wizard); ok {
		o := control.Failed("the account that the first start asks for a name still exists: nobody has finished it", control.Saw("account "+wizard, u.Place, "exists", "renamed by the first start"))
		o.Persistent = control.No
		return o
	}
	if h.Units.State != fact.Known {
		return control.CannotTell("the systemd units could not be read: " + h.Units.Why)
	}
	u := h.Units.Get("userconfig.service")
	if u.FileState.Missing() {
		return control.Missing(u.FileState)
	}
	if u.Exists && u.Enabled() {
		o := control.Failed("the first start's questions are still due: whoever stands at the screen answers them", control.Saw("userconfig.service", u.FileState.Place, u.FileState.V, "disabled by its own end"))
		o.Persistent = control.No
		return o
	}
	o := control.Passed("the first start was finished")
	o.Persistent = control.Yes
	return o
}

func piHostKeys(h *fact.Host) control.Outcome {
	const unit = "regenerate_ssh_host_keys.service"
	switch {
	case h.Pi.NotStarted != "":
		return control.DoesNotApply("this card was never started: " + h.Pi.NotStarted)
	case h.Units.State != fact.Known && h.Snap.Source.Kind != "image":
		return control.CannotTell("the systemd units could not be read: " + h.Units.Why)
	}
	keys, st, why := h.Snap.Glob("/etc/ssh/ssh_host_*_key")
	if st == fact.Denied || st == fact.Unknown {
		return control.CannotTell(why)
	}
	if len(keys) == 0 {
		return control.DoesNotApply("there is no SSH host key")
	}
	if u := h.Units.Get(unit); u.Exists && u.Enabled() && h.Snap.Source.Kind != "image" {
		o := control.Failed("the keys that came with the image are still used: "+unit+" has not run", control.Saw(unit, u.FileState.Place, u.FileState.V, "disabled by its own end"))
		o.Persistent = control.No
		return o
	}
	date := h.Pi.ImageDate
	if date.Missing() {
		return control.Missing(date)
	}
	if date.State == fact.Absent {
		return control.DoesNotApply("it is not told when the image of this card was made: " + date.Why)
	}
	var found []control.Evidence
	for _, e := range keys {
		if e.MTime.Before(date.V) {
			found = append(found, control.Saw("host key", fact.Place{Path: e.Path}, "made "+e.MTime.Format(time.DateOnly), "after "+date.V.Format(time.DateOnly)+", when the image was made"))
		}
	}
	if len(found) > 0 {
		o := control.Failed("the SSH host keys are older than the image of the card: everybody who has it can pose as this host", found...)
		o.Persistent = control.No
		return o
	}
	o := control.Passed("the SSH host keys were made after the image of the card")
	o.Persistent = control.Yes
	return o
}

// piUSBGadget: with these a Pi acts as a network card, a serial line or a disk
// towards whatever its USB cable is plugged into.
func piUSBGadget(h *fact.Host) control.Outcome {
	o := control.Outcome{Effective: control.Untold, Persistent: control.Yes, Configured: control.Yes}
	if h.Modules.Loaded.Known() {
		o.Effective = control.Yes
		for name := range h.Modules.Loaded.V {
			if gadget(name) {
				o.Effective = control.No
				o = o.With(control.Saw("kernel module", h.Modules.Loaded.Place, name, "not loaded"))
			}
		}
		slices.SortFunc(o.Evidence, func(a, b control.Evidence) int { return strings.Compare(a.Found, b.Found) })
	} else if h.Modules.Loaded.State == fact.Absent && h.Snap.Source.Kind != "image" {
		o.Effective = control.Yes // a kernel without modules
	} else if h.Snap.Source.Kind != "image" {
		return control.Missing(h.Modules.Loaded)
	}
	c := h.Pi.Config
	if c.Missing() {
		return control.Missing(c)
	}
	if h.OS.Model.Missing() && h.Snap.Source.Kind != "image" {
		return control.Missing(h.OS.Model) // which parts of config.txt are for this board
	}
	over, has := h.Overlay("dwc2")
	if has && strings.Contains(over.Value, "dr_mode=host") {
		has = false
	}
	asked, unseen := gadgetsAsked(h)
	if has && unseen != "" && len(asked) == 0 {
		return control.CannotTell(unseen)
	}
	if has && len(asked) > 0 {
		o.Persistent, o.Configured = control.No, control.No
		o = o.With(control.Saw("overlay", over.Place, over.Value, "not there, or dr_mode=host")).With(asked...)
	}
	o = o.Judge()
	switch {
	case o.Effective == control.No && o.Persistent == control.Yes:
		return o.Because("this host acts as a USB device until it is started anew")
	case o.Verdict.Bad():
		return o.Because("this host acts as a USB device: what its cable is plugged into reaches it")
	}
	return o.Because("this host is no USB device")
}

func gadget(module string) bool {
	switch module {
	case "g_ether", "g_serial", "g_multi", "g_cdc", "g_ncm", "g_mass_storage", "g_acm_ms", "g_hid", "g_webcam":
		return true
	}
	return strings.HasPrefix(module, "usb_f_")
}

// gadgetsAsked are the places that load such a module at the next boot.
func gadgetsAsked(h *fact.Host) (found []control.Evidence, unseen string) {
	for _, w := range h.Boot.Next.V {
		if list, ok := strings.CutPrefix(w, "modules-load="); ok {
			for _, m := range strings.Split(list, ",") {
				if gadget(m) {
					found = append(found, control.Saw("kernel's command line", h.Boot.Next.Place, w, "no "+m))
				}
			}
		}
	}
	if h.Boot.Next.Missing() {
		unseen = h.Boot.Next.Why
	}
	for _, p := range []string{"/etc/modules", "/etc/modules-load.d/*.conf"} {
		for _, f := range h.Words(p) {
			if gadget(f.V) {
				found = append(found, control.Saw("loaded at boot", f.Place, f.V, "not there"))
			}
		}
		if _, st, why := h.Snap.Glob(p); st == fact.Denied {
			unseen = why
		}
	}
	for name, u := range h.Units.All {
		if strings.Contains(name, "usb-gadget") && strings.HasSuffix(name, ".service") && u.Enabled() {
			found = append(found, control.Saw(name, u.FileState.Place, u.FileState.V, "disabled"))
		}
	}
	return found, unseen
}

// piOverlay is about raspi-config's overlay file system.
func piOverlay(h *fact.Host) control.Outcome {
	on := func(v fact.Value[[]string]) (string, bool) {
		for _, w := range v.V {
			if w == "boot=overlay" || strings.HasPrefix(w, "overlayroot=") && w != "overlayroot=disabled" && w != `overlayroot=""` {
				return w, true
			}
		}
		return "", false
	}
	now, isNow := on(h.Boot.Now)
	next, isNext := on(h.Boot.Next)
	switch {
	case h.Snap.Source.Kind != "image" && h.Boot.Now.Missing():
		return control.Missing(h.Boot.Now)
	case h.Boot.Next.Missing():
		return control.Missing(h.Boot.Next)
	case !isNow && !isNext:
		o := control.Passed("the system is no overlay")
		o.Persistent = control.Yes
		return o
	}
	o := control.Outcome{Configured: control.Yes, Effective: control.TriOf(!isNow), Persistent: control.TriOf(!isNext)}
	if h.Snap.Source.Kind == "image" {
		o.Effective = control.Untold
	}
	if isNow {
		o = o.With(control.Saw("running kernel", h.Boot.Now.Place, now, ""))
	}
	if isNext {
		o = o.With(control.Saw("next boot", h.Boot.Next.Place, next, ""))
	}
	o = o.Judge()
	if !isNext {
		return o.Because("the system is an overlay until the next boot: what is installed until then is lost")
	}
	return o.Because("the system is an overlay: updates, passwords and bans are gone after each boot")
}
