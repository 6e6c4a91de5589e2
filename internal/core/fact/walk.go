package fact

import (
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/snap"
)

// Walk is what one pass over the local disks found: set-id files, what anybody
// may write, what belongs to nobody.
type Walk struct {
	State State // Known also when Cut is set: what was found is true
	Why   string
	Cut   string // why something may have been missed
	Found []snap.Entry
	subs  []idRange
	taken bool // the lists of users and groups could be read
}

type idRange struct{ first, count int }

// localTypes are the file systems of local disks.
var localTypes = []string{"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "vfat", "exfat", "ntfs3", "zfs", "bcachefs", "jfs", "reiserfs"}

// walkSkip is never entered: the kernel's own, and what containers bring along.
var walkSkip = []string{
	"/proc", "/sys", "/dev", "/run", "/snap", "/var/snap",
	"/var/lib/docker", "/var/lib/containerd", "/var/lib/containers", "/var/lib/lxc", "/var/lib/lxd",
	"/var/lib/incus", "/var/lib/machines", "/var/lib/rancher", "/var/lib/kubelet", "/var/lib/flatpak",
	"/var/lib/schroot", "/var/cache/pbuilder",
}

func askWalk(h *Host, s *snap.Snapshot) snap.Manifest {
	m := snap.Manifest{Files: []string{"/etc/subuid", "/etc/subgid"}}
	if h.Accounts.State == Unknown && s.Walk == nil {
		return m // owners and disks are not known before the first answer
	}
	w := &snap.Walk{Roots: []string{"/"}, Skip: slices.Clone(walkSkip)}
	for _, mount := range h.Mounts.Now {
		at, _ := h.Mounts.At(mount.Point)
		if slices.Contains(localTypes, at.Type) && !slices.Contains(w.Roots, mount.Point) && !below(mount.Point, walkSkip) {
			w.Roots = append(w.Roots, mount.Point)
		}
	}
	for _, u := range h.Accounts.Users {
		w.UIDs = append(w.UIDs, u.UID)
	}
	for _, g := range h.Accounts.Groups {
		w.GIDs = append(w.GIDs, g.GID)
	}
	m.Walk = w
	return m
}

func below(p string, folders []string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return p == f || strings.HasPrefix(p, f+"/") })
}

func parseWalk(h *Host, s *snap.Snapshot) {
	w := &h.Walk
	w.Why = "the file system was not walked"
	if s.Walk == nil {
		return
	}
	w.State, w.Why, w.Found = Known, "", s.Walk.Found
	w.taken = h.Accounts.State == Known && len(h.Accounts.Groups) > 0
	switch {
	case s.Walk.Err != "":
		w.Cut = "the walk over the file system is incomplete: " + s.Walk.Err
	case !s.Root():
		w.Cut = "folders of other users could not be entered; run as root"
	}
	for _, p := range []string{"/etc/subuid", "/etc/subgid"} {
		if e, st, _ := s.File(p); st == Known {
			w.subs = append(w.subs, parseSubIDs(e)...)
		}
	}
}

func parseSubIDs(e *snap.Entry) []idRange {
	var out []idRange
	for _, l := range lines(e) {
		f := strings.Split(strings.TrimSpace(l.text), ":")
		if len(f) != 3 {
			continue
		}
		first, err := strconv.Atoi(f[1])
		count, err2 := strconv.Atoi(f[2])
		if err == nil && err2 == nil && first > 0 && count > 0 {
			out = append(out, idRange{first, count})
		}
	}
	return out
}

// Unowned returns what belongs to no account or group. Ids that systemd and
// containers hand out for a time are somebody's; ok is false when the lists
// of accounts could not be read.
func (w Walk) Unowned(a Accounts) (found []snap.Entry, ok bool) {
	uids, gids := map[int]bool{}, map[int]bool{}
	for _, u := range a.Users {
		uids[u.UID] = true
	}
	for _, g := range a.Groups {
		gids[g.GID] = true
	}
	for _, e := range w.Found {
		if !uids[e.UID] && !w.lent(e.UID) || !gids[e.GID] && !w.lent(e.GID) {
			found = append(found, e)
		}
	}
	return found, w.taken
}

// lent ids are systemd's dynamic users (61184 to 65519), nobody, containers of
// systemd (524288 and up) and the ranges of subuid and subgid.
func (w Walk) lent(id int) bool {
	if id >= 61184 && id <= 65519 || id == 65534 || id >= 524288 && id <= 1879048191 {
		return true
	}
	return slices.ContainsFunc(w.subs, func(r idRange) bool { return id >= r.first && id-r.first < r.count })
}
