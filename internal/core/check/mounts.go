package check

import (
	"fmt"
	"strconv"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var mounts = []Check{
	{"mounts.boot-private", bootPrivate,
		"the mode that the boot partition is mounted with now (/proc/1/mountinfo) and at the next boot (/etc/fstab)"},
	{"mounts.separate", separatePartitions,
		"what is mounted on /home, /var and /var/log (/proc/1/mountinfo, /etc/fstab)"},
	{"mounts.automount", automount,
		"the unit of autofs (`systemctl list-unit-files`)"},
}

// bootPrivate looks at the FAT partition that a host starts from: FAT knows no
// owners, so the mount's own mask is all that protects it.
func bootPrivate(h *fact.Host) control.Outcome {
	ms := h.Mounts
	image := h.Snap.Source.Kind == "image"
	if !image && ms.State != fact.Known {
		return control.CannotTell("the mounts could not be read: " + ms.Why)
	}
	if image && ms.Fstab.Missing() {
		return control.Missing(ms.Fstab)
	}
	o := control.Outcome{Configured: control.Yes, Effective: control.Yes, Persistent: control.Yes, Explicit: control.Yes}
	var open []string
	seen := 0
	for _, point := range []string{"/boot/firmware", "/boot", "/boot/efi"} {
		now, mounted := ms.At(point)
		next, will := ms.Next(point)
		if !(mounted && now.Type == "vfat") && !(will && next.Type == "vfat") {
			continue
		}
		seen++
		if will {
			shut := fatShut(next)
			o.Configured, o.Persistent = o.Configured.And(control.TriOf(shut)), o.Persistent.And(control.TriOf(shut))
			o = o.With(control.Saw(point+" at the next boot", next.Place, strings.Join(next.Options, ","), "umask=0077"))
			if !shut && (image || !mounted) {
				open = append(open, point)
			}
		} else {
			o.Configured = control.No
			o.Persistent = o.Persistent.And(control.Untold)
		}
		if !mounted {
			continue
		}
		shut := fatShut(now)
		o.Effective = o.Effective.And(control.TriOf(shut))
		o = o.With(control.Saw(point+" now", now.Place, strings.Join(now.Options, ","), "fmask=0077,dmask=0077"))
		if !shut || will && !fatShut(next) {
			open = append(open, point)
		}
	}
	if seen == 0 && ms.Fstab.Missing() {
		return control.Missing(ms.Fstab)
	}
	if seen == 0 {
		return control.DoesNotApply("no FAT partition is mounted below /boot")
	}
	if image {
		o.Effective = control.Untold
	}
	if ms.Fstab.Missing() && o.Effective != control.No {
		return control.Missing(ms.Fstab)
	}
	o = o.Judge()
	switch {
	case o.Verdict == control.Pass:
		return o.Because("only root can read the boot partition")
	case o.Verdict == control.Ineffective:
		return o.Because("every user can read %s now, although /etc/fstab forbids it", strings.Join(open, ", "))
	case o.Effective == control.Yes:
		return o.Because("only root can read %s now, but the next boot opens it to every user", strings.Join(open, ", "))
	}
	return o.Because("others than root can read %s", strings.Join(open, ", "))
}

// fatShut reports whether nobody but root may read files and enter folders: the
// mount gives them all one owner and one group.
func fatShut(m fact.Mount) bool {
	bits := uint64(0o004)
	if gid, ok := m.Option("gid"); ok && gid != "0" && gid != "root" {
		bits |= 0o040
	}
	if uid, ok := m.Option("uid"); ok && uid != "0" && uid != "root" {
		return false
	}
	closed := func(kind string) bool {
		v, ok := m.Option(kind)
		if !ok {
			v, ok = m.Option("umask")
		}
		n, err := strconv.ParseUint(v, 8, 32)
		return ok && err == nil && n&bits == bits
	}
	return closed("dmask") && closed("fmask")
}

func separatePartitions(h *fact.Host) control.Outcome {
	if h.OS.RaspberryPi {
		return control.DoesNotApply("an SD card has one system partition; it cannot be divided in place")
	}
	ms := h.Mounts
	image := h.Snap.Source.Kind == "image"
	if !image && ms.State != fact.Known {
		return control.CannotTell("the mounts could not be read: " + ms.Why)
	}
	if image && ms.Fstab.Missing() {
		return control.Missing(ms.Fstab)
	}
	var lack []string
	var found []control.Evidence
	for _, point := range []string{"/home", "/var", "/var/log"} {
		now, mounted := ms.At(point)
		next, will := ms.Next(point)
		switch {
		case mounted:
			found = append(found, control.Saw(point, now.Place, now.Source, ""))
		case image && will:
			found = append(found, control.Saw(point, next.Place, next.Source, ""))
		default:
			lack = append(lack, point)
			found = append(found, control.Saw(point, fact.Place{Path: "/etc/fstab"}, "part of a larger file system", "a file system of its own"))
		}
	}
	if len(lack) > 0 {
		o := control.Failed(fmt.Sprintf("%s share a file system with the system itself", strings.Join(lack, ", ")), found...)
		o.Persistent = control.No
		return o
	}
	return control.Passed("/home, /var and /var/log are file systems of their own", found...)
}

func automount(h *fact.Host) control.Outcome {
	u := h.Units.Get("autofs.service")
	if _, st, why := h.Snap.Stat("/usr/sbin/automount"); st == fact.Absent {
		o := control.Passed("autofs is not installed")
		o.Persistent = control.Yes
		return o
	} else if st != fact.Known {
		return control.CannotTell(why)
	}
	if u.FileState.Missing() {
		return control.Missing(u.FileState)
	}
	if u.Active.Missing() && h.Snap.Source.Kind != "image" {
		return control.Missing(u.Active)
	}
	o := control.Outcome{
		Effective: control.TriOf(!u.Running()), Persistent: control.TriOf(!u.Enabled()), Configured: control.TriOf(!u.Enabled()),
		Evidence: []control.Evidence{control.Saw("autofs.service", u.FileState.Place, u.FileState.V+", "+u.Active.V, "disabled or masked, not running")},
	}
	o = o.Judge()
	switch {
	case u.Running():
		return o.Because("autofs is running")
	case u.Enabled():
		return o.Because("autofs starts at the next boot")
	}
	return o.Because("autofs is installed and not in use")
}
