package kind

import (
	"cmp"
	"fmt"
	"path"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
	"picket/internal/core/yaml"
)

// unitRule wants systemd units running or not, now and after a reboot.
//
//	running  active now and started at boot
//	off      not active now, not started at boot (disabled, masked or absent)
//	masked   cannot be started at all
//	absent   there is no such unit
type unitRule struct {
	Units  []string `yaml:"units"` // full names: ssh.service
	State  string   `yaml:"state"`
	Any    bool     `yaml:"any"`    // one of the units is enough (running)
	Unless []string `yaml:"unless"` // paths that show that a unit is there for a reason
}

func decodeUnit(n *yaml.Node) (control.Rule, yaml.Problems) {
	r := &unitRule{}
	ps := n.Decode(r)
	if len(ps) > 0 {
		return nil, ps
	}
	if len(r.Units) == 0 {
		ps = append(ps, n.Problem("units is missing"))
	}
	for _, u := range r.Units {
		if !strings.Contains(u, ".") {
			ps = append(ps, n.Get("units").Problem("%q is not a full unit name, such as %s.service", u, u))
		} else if !fact.UnitIsListed(u) {
			ps = append(ps, n.Get("units").Problem("the state of %q is not read: only services, sockets, timers and paths are, and what fact.UnitIsListed adds", u))
		}
	}
	for _, p := range r.Unless {
		if !path.IsAbs(p) {
			ps = append(ps, n.Get("unless").Problem("%q is not an absolute path", p))
		}
	}
	ps = append(ps, oneOf(n, "state", r.State, "running", "off", "masked", "absent")...)
	return r, ps
}

// Ask implements control.Asker.
func (r *unitRule) Ask() snap.Manifest { return snap.Manifest{Stats: r.Unless} }

// Evaluate implements control.Rule.
func (r *unitRule) Evaluate(h *fact.Host) control.Outcome {
	if h.Units.State != fact.Known {
		return control.CannotTell("the systemd units could not be read: " + h.Units.Why)
	}
	for _, p := range r.Unless {
		es, st, why := h.Snap.Glob(p)
		switch {
		case len(es) > 0:
			return control.DoesNotApply(es[0].Path + " shows that this is needed here")
		case st == fact.Denied || st == fact.Unknown:
			return control.CannotTell("whether this is needed here is not known: " + needRoot(h, why))
		}
	}
	var first control.Outcome
	for i, name := range r.Units {
		u := h.Units.Get(name)
		o := r.one(u)
		if o.Verdict == control.Pass && u.Exists && u.Active.Missing() && h.Snap.Source.Kind != "image" {
			o = control.CannotTell(name + ": " + u.Active.Why)
		}
		switch {
		case i == 0, !r.Any && worse(o, first), r.Any && worse(first, o):
			first = o
		}
	}
	if first.Verdict == control.Pass && !r.Any && len(r.Units) > 1 {
		first.Reason = strings.Join(r.Units, ", ") + ": " + map[string]string{
			"running": "running, and started at boot", "off": "none runs or starts at boot", "masked": "masked", "absent": "not there",
		}[r.State]
	}
	return first
}

func worse(a, b control.Outcome) bool {
	rank := map[control.Verdict]int{control.Pass: 0, control.Unknown: 1, control.Ineffective: 2, control.Fail: 3}
	return rank[a.Verdict] > rank[b.Verdict]
}

func (r *unitRule) one(u fact.Unit) control.Outcome {
	if u.FileState.Missing() {
		return control.CannotTell(u.FileState.Why)
	}
	var o control.Outcome
	file := control.Saw(u.Name+" at boot", u.FileState.Place, u.FileState.V, "").Of(u.Name)
	now := control.Saw(u.Name+" now", u.Active.Place, u.Active.V, "")
	running := control.Untold
	if u.Active.State == fact.Known {
		running = control.TriOf(u.Running())
	} else if !u.Exists {
		running = control.No
	}
	not := func(t control.Tri) control.Tri {
		switch t {
		case control.Yes:
			return control.No
		case control.No:
			return control.Yes
		}
		return control.Untold
	}
	switch r.State {
	case "running":
		if u.FileState.V == "static" && running == control.Untold {
			return control.CannotTell(u.Name + " is started by another unit, or not; that is not known of an image")
		}
		o.Configured = control.TriOf(u.Exists && u.Enabled())
		o.Persistent = control.TriOf(u.Enabled() || u.FileState.V == "static" && u.Running())
		o.Effective = running
		file.Wanted, now.Wanted = "enabled", "active"
	case "off":
		// Without an [Install] part a unit runs only if something else pulls it in.
		o.Persistent = control.TriOf(!u.Enabled())
		o.Configured = control.TriOf(!u.Enabled() && u.FileState.V != "static")
		o.Effective = not(running)
		file.Wanted, now.Wanted = "disabled or masked", "inactive"
	case "masked":
		o.Configured = control.TriOf(u.Masked() || !u.Exists)
		o.Persistent = o.Configured
		o.Effective = o.Configured.And(not(running))
		if running == control.Untold {
			o.Effective = control.Untold
		}
		file.Wanted, now.Wanted = "masked", ""
	case "absent":
		o.Configured = control.TriOf(!u.Exists)
		o.Persistent, o.Effective = o.Configured, o.Configured
		file.Wanted = "no such unit"
	}
	o = o.Judge()
	if u.Exists {
		o = o.With(file)
		if u.Active.Known() && now.Wanted != "" {
			o = o.With(now)
		}
	}
	return o.Because("%s", r.reason(u, o))
}

func (r *unitRule) reason(u fact.Unit, o control.Outcome) string {
	file := cmp.Or(u.FileState.V, "not an installed unit")
	switch {
	case !u.Exists:
		return "there is no " + u.Name
	case o.Verdict == control.Pass && r.State == "running":
		if !u.Active.Known() {
			return u.Name + " is started at boot"
		}
		return u.Name + " runs, and is started at boot"
	case o.Verdict == control.Pass && !u.Active.Known():
		return fmt.Sprintf("%s is %s", u.Name, file)
	case o.Verdict == control.Pass:
		return fmt.Sprintf("%s is %s and %s", u.Name, file, u.Active.V)
	case r.State == "running" && u.Masked():
		return u.Name + " is masked: it cannot start"
	case r.State == "running" && u.Running():
		return fmt.Sprintf("%s runs now, but is %s: a reboot ends it", u.Name, file)
	case r.State == "running" && u.Enabled():
		return fmt.Sprintf("%s is enabled, but %s", u.Name, u.Active.V)
	case r.State == "running":
		return fmt.Sprintf("%s is %s and does not run", u.Name, file)
	case u.Running() && o.Configured == control.Yes:
		return fmt.Sprintf("%s is %s, but still runs", u.Name, file)
	case u.Running():
		return fmt.Sprintf("%s runs and is %s", u.Name, file)
	case r.State == "masked":
		return fmt.Sprintf("%s is %s, not masked", u.Name, file)
	}
	return fmt.Sprintf("%s is %s", u.Name, file)
}
