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

// auditRule wants the kernel's audit to record something: that files are used
// in some way, that system calls are made, that programs are run.
type auditRule struct {
	Watch  []string `yaml:"watch"`  // files and folders; those that do not exist are passed over
	Perm   string   `yaml:"perm"`   // in which way: of r, w, x, a
	Calls  []string `yaml:"calls"`  // system calls; those that a machine does not have are passed over
	With   []string `yaml:"with"`   // one of these conditions with each call, all of them in turn: exit=-EACCES
	Set    bool     `yaml:"set-id"` // that the set-id programs of this host are run
	People bool     `yaml:"people"` // by people is enough: auid>=1000, auid!=unset
}

func decodeAuditRule(n *yaml.Node) (control.Rule, yaml.Problems) {
	r := &auditRule{}
	ps := n.Decode(r)
	if len(ps) > 0 {
		return nil, ps
	}
	if len(r.Watch)+len(r.Calls) == 0 && !r.Set {
		ps = append(ps, n.Problem("what is to be recorded is missing: watch, calls or set-id"))
	}
	for _, p := range r.Watch {
		if !path.IsAbs(p) || path.Clean(p) != p || snap.IsPattern(p) {
			ps = append(ps, n.Get("watch").Problem("%q is not a clean absolute path", p))
		}
	}
	if len(r.Watch) > 0 && (r.Perm == "" || strings.Trim(r.Perm, "rwxa") != "") {
		ps = append(ps, n.Problem("perm is to be some of the letters r, w, x and a"))
	}
	return r, ps
}

// Ask implements control.Asker.
func (r *auditRule) Ask() snap.Manifest { return snap.Manifest{Stats: r.Watch} }

// A record is one thing that is to be recorded.
type record struct {
	what   string
	wanted string // as a line of a rules file
	in     func([]fact.AuditRule) bool
}

// Evaluate implements control.Rule.
func (r *auditRule) Evaluate(h *fact.Host) control.Outcome {
	a := h.Auditd
	if outer := h.Time.OuterKernel(); outer != "" {
		return control.DoesNotApply("the audit belongs to the kernel, and so to the machine that runs this container (" + outer + ")")
	}
	image := h.Snap.Source.Kind == "image"
	if !image {
		for _, why := range []string{a.Enabled.Why, a.Loaded.Why} {
			if why != "" {
				return control.CannotTell(needRoot(h, why))
			}
		}
	}
	if a.OnDisk.Missing() {
		return control.CannotTell(needRoot(h, a.OnDisk.Why))
	}
	unit := h.Units.Get("auditd.service")
	if h.Units.State != fact.Known {
		return control.CannotTell("whether auditd is started at boot is not known: " + h.Units.Why)
	}
	machine := h.Machine()
	if !machine.Known() {
		return control.Missing(machine)
	}
	records, unseen := r.records(h, machine.V)
	if len(records) == 0 && unseen == "" {
		return control.DoesNotApply("nothing of what this is about is on this host")
	}
	o := control.Outcome{Configured: control.Yes, Effective: control.TriOf(image || a.Enabled.V > 0), Persistent: control.TriOf(unit.Enabled()), Explicit: control.Yes}
	var now, next []string
	for _, want := range records {
		disk, loaded := want.in(a.OnDisk.V), want.in(a.Loaded.V)
		o.Configured = o.Configured.And(control.TriOf(disk))
		o.Persistent = o.Persistent.And(control.TriOf(disk))
		o.Effective = o.Effective.And(control.TriOf(image || loaded))
		if !image && !loaded {
			now = append(now, want.what)
		}
		if !disk {
			next = append(next, want.what)
		}
		if at := a.Loaded.Place; (!loaded && !image || !disk) && len(o.Evidence) < 10 {
			found := "not recorded"
			switch {
			case loaded && !image:
				found = "recorded now, in no file of /etc/audit/rules.d"
			case disk && !image:
				found = "in a file, not loaded"
			}
			if image {
				at = a.OnDisk.Place
			}
			o = o.With(control.Saw(want.what, at, found, want.wanted))
		}
	}
	if image {
		o.Effective = control.Untold
	}
	if unseen != "" && o.Judge().Verdict == control.Pass {
		return control.CannotTell(needRoot(h, unseen))
	}
	o = o.Judge()
	switch {
	case len(now) > 0 && len(next) == 0:
		o.Reason = "asked for in /etc/audit/rules.d, but the kernel does not have it: " + some(now)
	case len(now) > 0:
		o.Reason = "not recorded: " + some(now)
	case len(next) > 0:
		o.Reason = "not recorded after a reboot: " + some(next)
	case !image && a.Enabled.V == 0:
		o = o.With(control.Saw("audit", a.Enabled.Place, "off", "on"))
		o.Reason = "the rules are there, but the audit is off"
	case !unit.Enabled():
		o = o.With(control.Saw("auditd.service", unit.FileState.Place, unit.FileState.V, "enabled"))
		o.Reason = "the rules are there, but auditd is not started at boot"
	default:
		o = o.With(control.Saw("audit rules", a.OnDisk.Place, fmt.Sprintf("%d things recorded", len(records)), ""))
		o.Reason = fmt.Sprintf("all %d things are recorded", len(records))
		if len(records) == 1 {
			o.Reason = records[0].what + " is recorded"
		}
	}
	return o
}

// some names the first of several.
func some(what []string) string {
	if n := len(what); n > 4 {
		return fmt.Sprintf("%s and %d more", strings.Join(what[:3], ", "), n-3)
	}
	return strings.Join(what, ", ")
}

// records lists what is to be recorded on this host; unseen is why more may
// be.
func (r *auditRule) records(h *fact.Host, machine string) (out []record, unseen string) {
	arches := fact.AuditArches(machine)
	file := func(p, perm string) record {
		wanted := "-w " + p + " -p " + perm
		if r.People {
			wanted = "-a always,exit -F path=" + p + " -F perm=" + perm + " -F auid>=1000 -F auid!=unset"
		}
		return record{p, wanted, func(rules []fact.AuditRule) bool { return fact.Watched(rules, p, perm, arches, r.People) }}
	}
	for _, p := range r.Watch {
		switch _, st, why := h.Snap.Stat(p); st {
		case fact.Known:
			out = append(out, file(p, r.Perm))
		case fact.Absent:
		default:
			unseen = why
		}
	}
	if r.Set {
		if h.Walk.State != fact.Known {
			return out, h.Walk.Why
		}
		unseen = h.Walk.Cut
		for _, e := range h.Walk.Found {
			if e.Type == snap.File && e.Mode&0o6000 != 0 && e.Mode&0o111 != 0 {
				out = append(out, file(e.Path, "x"))
			}
		}
	}
	with := r.With
	if len(with) == 0 {
		with = []string{""}
	}
	for _, arch := range arches {
		for _, call := range r.Calls {
			if !fact.HasCall(machine, arch, call) {
				continue
			}
			for _, c := range with {
				out = append(out, r.call(arch, call, c))
			}
		}
	}
	return out, unseen
}

func (r *auditRule) call(arch, call, with string) record {
	rec := record{what: call + " (" + arch + ")", wanted: "-a always,exit -F arch=" + arch + " -S " + call}
	var conditions []string
	if with != "" {
		conditions = []string{with}
		option := " -F "
		if strings.Contains(with, "uid!=e") {
			option = " -C "
		}
		rec.what, rec.wanted = rec.what+" with "+with, rec.wanted+option+with
	}
	rec.in = func(rules []fact.AuditRule) bool {
		return fact.Recorded(rules, arch, call, conditions, r.People) ||
			strings.HasPrefix(with, "exit=-") && fact.Recorded(rules, arch, call, []string{"success=0"}, r.People)
	}
	return rec
}

// Describe implements control.Describer.
func (r *auditRule) Describe() []string {
	out := []string{"the rules that the kernel has (`auditctl -l`), and those that it gets at boot (/etc/audit/rules.d)"}
	if len(r.Watch) > 0 {
		out = append(out, "recorded is to be use ("+r.Perm+") of "+strings.Join(r.Watch, ", "))
	}
	if len(r.Calls) > 0 {
		calls := "recorded are to be the system calls " + strings.Join(r.Calls, ", ")
		if len(r.With) > 0 {
			calls += ", each with " + strings.Join(slices.Clone(r.With), " and with ")
		}
		out = append(out, calls)
	}
	if r.Set {
		out = append(out, "recorded is to be every run of the set-id programs on the host's own file systems")
	}
	if r.People {
		out = append(out, "what no person did may be left out")
	}
	return out
}
