package kind

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
	"picket/internal/core/yaml"
)

// fileMode wants every path that exists to have at most the bits of Mode, and
// one of the owners and groups.
type fileMode struct {
	Paths  []string `yaml:"paths"`  // absolute, may be patterns
	Except []string `yaml:"except"` // patterns left out
	Mode   uint32   `yaml:"mode"`   // the widest permission allowed
	Owner  []string `yaml:"owner"`  // user names; default root; any: whoever
	Group  []string `yaml:"group"`  // group names; empty: any
	Type   string   `yaml:"type"`   // file or dir; empty: any
}

func decodeFileMode(n *yaml.Node) (control.Rule, yaml.Problems) {
	r := &fileMode{Owner: []string{"root"}}
	ps := n.Decode(r)
	if len(ps) > 0 {
		return nil, ps
	}
	if len(r.Paths) == 0 {
		ps = append(ps, n.Problem("paths is missing"))
	}
	for _, p := range append(slices.Clone(r.Paths), r.Except...) {
		if !path.IsAbs(p) || path.Clean(p) != p {
			ps = append(ps, n.Get("paths").Problem("%q is not a clean absolute path", p))
		}
	}
	if n.Get("mode") == nil {
		ps = append(ps, n.Problem("mode is missing"))
	}
	return r, ps
}

// Ask implements control.Asker.
func (r *fileMode) Ask() snap.Manifest { return snap.Manifest{Stats: r.Paths} }

// Evaluate implements control.Rule.
func (r *fileMode) Evaluate(h *fact.Host) control.Outcome {
	var bad []control.Evidence
	var unseen string
	seen := 0
	for _, pattern := range r.Paths {
		es, st, why := h.Snap.Glob(pattern)
		if st == fact.Denied || st == fact.Unknown {
			unseen = why
		}
		for _, e := range es {
			if slices.ContainsFunc(r.Except, func(x string) bool { return snap.Match(x, e.Path) }) {
				continue
			}
			if e.Type == snap.Link || r.Type != "" && string(e.Type) != r.Type {
				continue
			}
			seen++
			switch a := h.Accounts; {
			case e.Mode&^r.Mode != 0: // whoever owns it
			case e.UID != 0 && a.State != fact.Known && !slices.Contains(r.Owner, "any"):
				unseen = "the name of the owner of " + e.Path + " is not known: " + a.Why
				continue
			case e.GID != 0 && a.GroupState != fact.Known && len(r.Group) > 0:
				unseen = "the name of the group of " + e.Path + " is not known: " + a.GroupWhy
				continue
			}
			if ev, wrong := r.wrong(h, e); wrong {
				bad = append(bad, ev)
			}
		}
	}
	switch {
	case len(bad) > 0:
		o := control.Failed(fmt.Sprintf("%s: %s", bad[0].Place, bad[0].Found), bad...)
		o.Persistent = control.No
		if len(bad) > 1 {
			o.Reason += fmt.Sprintf(", and %d more", len(bad)-1)
		}
		return o
	case unseen != "":
		return control.CannotTell(unseen)
	case seen == 0:
		return control.DoesNotApply("there is no " + strings.Join(r.Paths, ", "))
	}
	o := control.Passed(fmt.Sprintf("%d paths are no wider than %04o", seen, r.Mode))
	if seen == 1 {
		o.Reason = fmt.Sprintf("it is no wider than %04o", r.Mode)
	}
	o.Persistent = control.Yes
	return o
}

func (r *fileMode) wrong(h *fact.Host, e *snap.Entry) (control.Evidence, bool) {
	owner, group := h.Accounts.UserName(e.UID), h.Accounts.GroupName(e.GID)
	var found, wanted []string
	if e.Mode&^r.Mode != 0 {
		found = append(found, fmt.Sprintf("mode %04o", e.Mode))
		wanted = append(wanted, fmt.Sprintf("%04o or less", r.Mode))
	}
	if !slices.Contains(r.Owner, owner) && !slices.Contains(r.Owner, "any") {
		found = append(found, "owner "+owner)
		wanted = append(wanted, "owner "+strings.Join(r.Owner, " or "))
	}
	if len(r.Group) > 0 && !slices.Contains(r.Group, group) {
		found = append(found, "group "+group)
		wanted = append(wanted, "group "+strings.Join(r.Group, " or "))
	}
	return control.Saw("permissions", fact.Place{Path: e.Path}, strings.Join(found, ", "), strings.Join(wanted, ", ")), len(found) > 0
}
