package kind

import (
	"maps"
	"slices"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

// head begins a file of our own.
const head = change.Head

// Fix implements control.Fixer.
func (r *fileMode) Fix(h *fact.Host, d *change.Draft) error {
	for _, pattern := range r.Paths {
		es, _, _ := h.Snap.Glob(pattern)
		for _, e := range es {
			if e.Type == snap.Link || r.Type != "" && string(e.Type) != r.Type || slices.ContainsFunc(r.Except, func(x string) bool { return snap.Match(x, e.Path) }) {
				continue
			}
			if _, wrong := r.wrong(h, e); !wrong {
				continue
			}
			uid, gid := e.UID, e.GID
			if owner := h.Accounts.UserName(e.UID); !slices.Contains(r.Owner, owner) && !slices.Contains(r.Owner, "any") {
				u, ok := h.Accounts.User(r.Owner[0])
				if !ok {
					d.Leave("there is no user %s", r.Owner[0])
					return nil
				}
				uid = u.UID
			}
			if len(r.Group) > 0 && !slices.Contains(r.Group, h.Accounts.GroupName(e.GID)) {
				i := slices.IndexFunc(h.Accounts.Groups, func(g fact.Group) bool { return g.Name == r.Group[0] })
				if i < 0 {
					d.Leave("there is no group %s", r.Group[0])
					return nil
				}
				gid = h.Accounts.Groups[i].GID
			}
			at := e.Path
			if e.Real != "" {
				at = e.Real
			}
			if err := d.Permit(at, e.Mode&r.Mode, uid, gid); err != nil {
				return err
			}
		}
	}
	return nil
}

// Fix implements control.Fixer.
func (r *unitRule) Fix(h *fact.Host, d *change.Draft) error {
	for _, name := range r.Units {
		u := h.Units.Get(name)
		var acts []string
		switch r.State {
		case "running":
			if r.Any && !u.Exists {
				continue
			}
			if !u.Exists {
				d.Leave("there is no %s", name)
				return nil
			}
			if u.Masked() {
				acts = append(acts, "unmask")
			}
			if !u.Enabled() && u.FileState.V != "static" {
				acts = append(acts, "enable")
			}
			if !u.Running() {
				acts = append(acts, "start")
			}
		case "off", "masked":
			if u.Exists && u.Running() {
				acts = append(acts, "stop")
			}
			switch {
			case r.State == "masked" && u.Exists && !u.Masked():
				acts = append(acts, "mask")
			case r.State == "off" && u.Enabled():
				acts = append(acts, "disable")
			}
		case "absent":
			if u.Exists {
				d.Leave("%s belongs to a package or to somebody: taking it away is yours to decide", name)
				return nil
			}
		}
		if len(acts) > 0 {
			d.Do(change.Unit, name, acts...)
		}
		if r.Any {
			return nil
		}
	}
	return nil
}

// Fix implements control.Fixer.
func (r *packageRule) Fix(h *fact.Host, d *change.Draft) error {
	if r.State == "absent" {
		return r.remove(h, d)
	}
	for _, p := range r.Packages {
		if !h.Packages.Has(p).V {
			d.Do(change.Install, "packages", p)
		}
		if r.State == "any" {
			break
		}
	}
	return nil
}

// remove takes packages away that are there and that nothing runs of: what runs, somebody may use.
func (r *packageRule) remove(h *fact.Host, d *change.Draft) error {
	for _, p := range r.Packages {
		if !h.Packages.Has(p).V {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(h.Units.All)) {
			if base, _, _ := strings.Cut(name, "."); h.Units.All[name].Running() && (base == p || strings.HasPrefix(p, base+"-")) {
				d.Leave("%s runs: whether somebody needs %s is yours to decide", name, p)
				return nil
			}
		}
		d.Do(change.Remove, "packages", p)
	}
	return nil
}
