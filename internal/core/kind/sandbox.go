package kind

import (
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/yaml"
)

// sandbox wants the exposure of services, as systemd scores it, to be at most
// Most tenths.
type sandbox struct {
	Of     string   `yaml:"of"`     // own: whose unit is not of a package; network: others that other hosts reach
	Most   int      `yaml:"most"`   // in tenths: 70 is the score 7.0
	Except []string `yaml:"except"` // services that let people in and so can do everything
}

func decodeSandbox(n *yaml.Node) (control.Rule, yaml.Problems) {
	r := &sandbox{}
	ps := n.Decode(r)
	if len(ps) > 0 {
		return nil, ps
	}
	ps = append(ps, oneOf(n, "of", r.Of, "own", "network")...)
	if r.Most < 1 || r.Most > 100 {
		ps = append(ps, n.Problem("most is to be a score in tenths, 1 to 100"))
	}
	return r, ps
}

// Evaluate implements control.Rule.
func (r *sandbox) Evaluate(h *fact.Host) control.Outcome {
	if h.Sandboxes.State != fact.Known {
		return control.CannotTell(needRoot(h, h.Sandboxes.Why))
	}
	if r.Of == "network" {
		for _, k := range h.Sockets.Listening {
			if k.Exposed() && k.Unit.Missing() {
				return control.CannotTell(needRoot(h, "which service listens on "+k.Where()+" is not known: "+k.Unit.Why))
			}
		}
	}
	var bad []control.Evidence
	judged := 0
	for _, c := range h.Sandboxes.All {
		if c.Own != (r.Of == "own") || slices.Contains(r.Except, c.Service.Name) {
			continue
		}
		judged++
		now := c.Now.Exposure()
		if now <= r.Most {
			continue
		}
		lines, then := c.DropIn(h)
		found := "exposure " + fact.Tenths(now)
		if then < now {
			found += "; with the drop-in of the fix " + fact.Tenths(then)
		}
		e := control.Saw(c.Service.Name, fact.By("systemctl", "show", c.Service.Name), found, fact.Tenths(r.Most)+" or less").Of(c.Service.Name)
		e.Lines = lines
		bad = append(bad, e)
	}
	switch {
	case judged == 0:
		return control.DoesNotApply("there is no such service")
	case len(bad) > 0:
		o := control.Failed(fmt.Sprintf("%s: %s", bad[0].Fact, strings.Split(bad[0].Found, ";")[0]), bad[:min(len(bad), 20)]...)
		if len(bad) > 1 {
			o.Reason += fmt.Sprintf(", and %d more", len(bad)-1)
		}
		o.Persistent = control.No
		return o
	}
	o := control.Passed(fmt.Sprintf("%d services have an exposure of %s or less", judged, fact.Tenths(r.Most)))
	o.Persistent = control.Yes
	return o
}

// Describe implements control.Describer.
func (r *sandbox) Describe() []string {
	which := "services whose unit is not of a package (/etc/systemd/system)"
	if r.Of == "network" {
		which = "services of packages that other hosts reach"
	}
	if len(r.Except) > 0 {
		which += ", without " + strings.Join(r.Except, ", ")
	}
	return []string{"what systemd keeps them from (`systemctl show`): " + which, "wanted: an exposure, as `systemd-analyze security` scores it, of " + fact.Tenths(r.Most) + " or less"}
}
