package check

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

var files = []Check{
	{"files.world-writable", worldWritable,
		"modes of all files on the host's own file systems; containers' stores and network mounts are left out"},
	{"files.sticky-folders", stickyFolders,
		"modes of all folders on the host's own file systems; containers' stores and network mounts are left out"},
	{"files.unowned", unowned,
		"owners of all files on the host's own file systems, against /etc/passwd and /etc/group"},
	{"files.set-id", setID,
		"set-user-id and set-group-id files on the host's own file systems, against the lists of Debian's packages"},
	{"files.secrets", secretFiles,
		"modes of files that are known to hold secrets where they are there, as /etc/wireguard, /etc/mosquitto and ~/.pioreactor/config.ini, and of the files of variables (.env, env_file) of compose projects"},
}

// most evidence that one result carries.
const maxFound = 20

// walked makes the outcome of a search: what was found fails even when the
// search was cut short; nothing found passes only when it was not.
func walked(h *fact.Host, found []control.Evidence, what, none string) control.Outcome {
	w := h.Walk
	switch {
	case len(found) > 0:
		n := len(found)
		o := control.Failed(found[0].Place+" "+what, found[:min(n, maxFound)]...)
		if n > 1 {
			o.Reason = fmt.Sprintf("%s and %d more: each %s", found[0].Place, n-1, what)
		}
		o.Persistent = control.No
		return o
	case w.State != fact.Known:
		return control.CannotTell(w.Why)
	case w.Cut != "":
		return control.CannotTell(w.Cut)
	}
	o := control.Passed(none)
	o.Persistent = control.Yes
	return o
}

func worldWritable(h *fact.Host) control.Outcome {
	var found []control.Evidence
	for _, e := range h.Walk.Found {
		if e.Type == snap.File && e.Mode&0o002 != 0 {
			found = append(found, control.Saw("file", fact.Place{Path: e.Path}, fmt.Sprintf("mode %04o", e.Mode), "not writable by others"))
		}
	}
	return walked(h, found, "can be changed by every user", "no file can be changed by every user")
}

func stickyFolders(h *fact.Host) control.Outcome {
	var found []control.Evidence
	for _, e := range h.Walk.Found {
		if e.Type == snap.Dir && e.Mode&0o002 != 0 && e.Mode&0o1000 == 0 {
			found = append(found, control.Saw("folder", fact.Place{Path: e.Path}, fmt.Sprintf("mode %04o", e.Mode), "1777, or not writable by others"))
		}
	}
	return walked(h, found, "lets every user delete what others put there", "where every user may put files, nobody may delete those of others")
}

func unowned(h *fact.Host) control.Outcome {
	list, ok := h.Walk.Unowned(h.Accounts)
	if h.Walk.State == fact.Known && !ok {
		return control.CannotTell("the lists of users and groups could not be read")
	}
	var found []control.Evidence
	for _, e := range list {
		found = append(found, control.Saw("owner", fact.Place{Path: e.Path},
			h.Accounts.UserName(e.UID)+":"+h.Accounts.GroupName(e.GID), "a user and a group of this host"))
	}
	return walked(h, found, "belongs to a user or group that does not exist", "every file belongs to a user and a group of this host")
}

func setID(h *fact.Host) control.Outcome {
	var found, below []control.Evidence
	usual := 0
	trees, told := systemsBelow(h.Walk.Found), map[string]bool{}
	for _, e := range h.Walk.Found {
		if e.Type != snap.File || e.Mode&0o6000 == 0 || e.Mode&0o111 == 0 {
			continue
		}
		if usualSetID(e.Path) && (e.Mode&0o4000 == 0 || !groupOnly(e.Path)) {
			usual++
			continue
		}
		if root, ok := rootOf(e.Path); ok && trees[root] > 0 {
			if !told[root] {
				below = append(below, control.Saw("set-id programs", fact.Place{Path: root},
					fmt.Sprintf("%d programs below %s, which holds a whole system of its own", trees[root], root),
					"no such folder, or one on a file system that is mounted nosuid").Mend(""))
				told[root] = true
			}
			continue
		}
		var bits []string
		if e.Mode&0o4000 != 0 {
			bits = append(bits, "set-user-id "+h.Accounts.UserName(e.UID))
		}
		if e.Mode&0o2000 != 0 {
			bits = append(bits, "set-group-id "+h.Accounts.GroupName(e.GID))
		}
		found = append(found, control.Saw("program", fact.Place{Path: e.Path},
			fmt.Sprintf("%s, mode %04o", strings.Join(bits, ", "), e.Mode), "not a set-id program, or one that Debian ships as such"))
	}
	o := walked(h, slices.Concat(found, below), "runs with the rights of its owner or group, and is none that Debian ships so",
		fmt.Sprintf("%d programs run with the rights of their owner or group, all of them as Debian ships them", usual))
	if len(found) == 0 && len(below) > 0 {
		o.Reason = below[0].Found + ": each runs with the rights of its owner or group"
		if len(below) > 1 {
			o.Reason += fmt.Sprintf(" (and %d more such folders)", len(below)-1)
		}
	}
	return o
}

// fewPrograms is from how many of Debian's set-id programs a folder is taken
// for a system of its own: a container's or a chroot's.
const fewPrograms = 3

// systemsBelow counts Debian's set-id programs below folders that hold a
// system of their own: twenty lines for a chroot would hide what matters.
func systemsBelow(found []snap.Entry) map[string]int {
	trees := map[string]int{}
	for _, e := range found {
		if e.Type != snap.File || e.Mode&0o6000 == 0 || e.Mode&0o111 == 0 || usualSetID(e.Path) {
			continue
		}
		if root, ok := rootOf(e.Path); ok {
			trees[root]++
		}
	}
	for root, n := range trees {
		if n < fewPrograms {
			delete(trees, root)
		}
	}
	return trees
}

// rootOf is the folder in which a program would be one of Debian's.
func rootOf(p string) (string, bool) {
	for i := 1; i < len(p); i++ {
		if p[i] == '/' && usualSetID(p[i:]) {
			return p[:i], true
		}
	}
	return "", false
}

func usualSetID(p string) bool {
	// Before the merge of /bin into /usr/bin both names lead to one file.
	for _, d := range []string{"/bin/", "/sbin/", "/lib/"} {
		if strings.HasPrefix(p, d) {
			p = "/usr" + p
			break
		}
	}
	return slices.ContainsFunc(setIDs, func(s string) bool { return snap.Match(s, p) })
}

// groupOnly are those of setIDs that take the rights of a group and no user's:
// as root they do what they were not written for.
func groupOnly(p string) bool {
	switch strings.TrimPrefix(p, "/usr") {
	case "/bin/bsd-write", "/bin/chage", "/bin/crontab", "/bin/dotlockfile", "/bin/expiry", "/bin/mlocate", "/bin/mutt_dotlock",
		"/bin/plocate", "/bin/screen", "/bin/ssh-agent", "/bin/wall", "/bin/write", "/bin/write.ul",
		"/sbin/dma", "/sbin/postdrop", "/sbin/postqueue":
		return true
	}
	return false
}

// setIDs are the set-id programs of packages of Debian 12 and 13 and of
// Raspberry Pi OS that a small server or desktop may have.
var setIDs = []string{
	"/usr/bin/at", "/usr/bin/bsd-write", "/usr/bin/bwrap", "/usr/bin/chage", "/usr/bin/chfn", "/usr/bin/chsh",
	"/usr/bin/crontab", "/usr/bin/doas", "/usr/bin/dotlockfile", "/usr/bin/dotlock.mailutils", "/usr/bin/expiry",
	"/usr/bin/firejail", "/usr/bin/fusermount", "/usr/bin/fusermount3", "/usr/bin/gpasswd",
	"/usr/bin/ksu", "/usr/bin/lockfile", "/usr/bin/mailq", "/usr/bin/mlocate", "/usr/bin/mount", "/usr/bin/mount.cifs", "/usr/bin/mutt_dotlock", "/usr/bin/newgidmap",
	"/usr/bin/newgrp", "/usr/bin/newuidmap", "/usr/bin/ntfs-3g", "/usr/bin/passwd", "/usr/bin/ping",
	"/usr/bin/pkexec", "/usr/bin/plocate", "/usr/bin/pmount", "/usr/bin/pumount", "/usr/bin/procmail", "/usr/bin/screen", "/usr/bin/ssh-agent",
	"/usr/bin/su", "/usr/bin/sudo", "/usr/bin/umount", "/usr/bin/vmware-user-suid-wrapper", "/usr/bin/wall",
	"/usr/bin/write", "/usr/bin/write.ul", "/usr/bin/Xorg",
	"/usr/lib/dbus-1.0/dbus-daemon-launch-helper",
	"/usr/lib/*/utempter/utempter",
	"/usr/lib/*/libexec/kf5/*",
	"/usr/lib/*/lxc/lxc-user-nic",
	"/usr/lib/*/gstreamer1.0/gstreamer-1.0/gst-ptp-helper",
	"/usr/lib/chromium/chrome-sandbox", "/usr/lib/chromium-browser/chrome-sandbox",
	"/usr/lib/cups/backend/*",
	"/usr/lib/dma/dma-mbox-create",
	"/usr/lib/openssh/ssh-keysign",
	"/usr/lib/policykit-1/polkit-agent-helper-1",
	"/usr/lib/polkit-1/polkit-agent-helper-1",
	"/usr/lib/snapd/snap-confine",
	"/usr/lib/spice-gtk/spice-client-glib-usb-acl-helper",
	"/usr/lib/xorg/Xorg.wrap",
	"/usr/libexec/camel-lock-helper-1.2",
	"/usr/libexec/lxc/lxc-user-nic",
	"/usr/libexec/polkit-agent-helper-1",
	"/usr/libexec/sssd/krb5_child", "/usr/libexec/sssd/ldap_child", "/usr/libexec/sssd/proxy_child", "/usr/libexec/sssd/selinux_child",
	"/usr/libexec/xscreensaver/xscreensaver-auth",
	"/usr/libexec/spice-client-glib-usb-acl-helper",
	"/usr/libexec/utempter/utempter",
	"/usr/sbin/dma", "/usr/sbin/exim4", "/usr/sbin/mount.cifs", "/usr/sbin/mount.davfs", "/usr/sbin/mount.nfs", "/usr/sbin/nullmailer-queue", "/usr/sbin/pam_extrausers_chkpwd",
	"/usr/sbin/postdrop", "/usr/sbin/postqueue", "/usr/sbin/pppd", "/usr/sbin/unix_chkpwd",
}

// readers is the group that a secret's service reads it by: the group that the
// file has, or for one of root's that which is called as the folder in /etc. It
// is "" where that is not known.
func readers(h *fact.Host, e *snap.Entry) string {
	if e.GID != 0 {
		return h.Accounts.GroupName(e.GID)
	}
	service, _, _ := strings.Cut(strings.TrimPrefix(e.Path, "/etc/"), "/")
	service = strings.TrimSuffix(service, ".d")
	switch {
	case service == "wireguard":
		return "root" // wg-quick runs as root
	case slices.ContainsFunc(h.Accounts.Groups, func(g fact.Group) bool { return g.Name == service }):
		return service
	}
	return ""
}

// secretFiles finds files with secrets that every user can read; one inside a
// folder that others cannot enter is safe, whatever its own mode.
func secretFiles(h *fact.Host) control.Outcome {
	var found []control.Evidence
	unseen, seen, kept := h.Composed.UnreadEnv, 0, 0
	if h.Composed.State == fact.Denied {
		unseen = h.Composed.Why
	}
	for _, p := range h.Composed.Projects {
		unseen = cmp.Or(unseen, p.Unread())
	}
	for _, p := range slices.Concat(fact.SecretFiles, h.Composed.EnvFiles()) {
		es, st, why := h.Snap.Glob(p)
		if st == fact.Denied || st == fact.Unknown {
			unseen = why
		}
		for _, e := range es {
			if e.Type != snap.File {
				continue
			}
			seen++
			if e.Mode&0o006 == 0 {
				continue
			}
			_, shut, hidden := fact.Shut(h.Snap, e.Path)
			switch {
			case shut:
				kept++
				continue
			case hidden != "":
				unseen = hidden
				continue
			}
			found = append(found, control.Saw("permissions", fact.Place{Path: e.Path},
				fmt.Sprintf("mode %04o, owner %s", e.Mode, h.Accounts.UserName(e.UID)), "closed to others, as 0640").For(readers(h, e)))
		}
	}
	switch {
	case len(found) > 0:
		o := control.Failed(found[0].Place+" can be read by every user of the host", found[:min(len(found), maxFound)]...)
		if len(found) > 1 {
			o.Reason += fmt.Sprintf(", and %d more", len(found)-1)
		}
		o.Persistent = control.No
		return o
	case unseen != "":
		if !h.Snap.Root() {
			unseen += "; run as root"
		}
		return control.CannotTell(unseen)
	case seen == 0:
		return control.DoesNotApply("no file that is known to hold secrets is here")
	}
	o := control.Passed(fmt.Sprintf("%d files with secrets cannot be read by other users", seen))
	if kept > 0 {
		o.Reason += fmt.Sprintf("; %d of them only because their folder is closed", kept)
	}
	o.Persistent = control.Yes
	return o
}
