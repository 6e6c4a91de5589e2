package check

import (
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var auditChecks = []Check{
	{"audit.immutable", auditImmutable,
		"whether the kernel lets the rules be changed (`auditctl -s`), and the last -e in /etc/audit/rules.d"},
	{"audit.loaded", auditLoaded,
		"the rules that the kernel has (`auditctl -l`), against those in /etc/audit/rules.d"},
}

// noAudit is why nothing can be said of the audit here; "" where it can.
func noAudit(h *fact.Host) (control.Outcome, bool) {
	if outer := h.Time.OuterKernel(); outer != "" {
		return control.DoesNotApply("the audit belongs to the machine that runs this container (" + outer + ")"), true
	}
	if h.Auditd.OnDisk.Missing() {
		return control.CannotTell(asRoot(h, h.Auditd.OnDisk.Why)), true
	}
	return control.Outcome{}, false
}

func auditImmutable(h *fact.Host) control.Outcome {
	if o, none := noAudit(h); none {
		return o
	}
	a := h.Auditd
	if a.Lock.Missing() {
		return control.CannotTell(asRoot(h, a.Lock.Why))
	}
	locks := control.TriOf(a.Lock.V == "2")
	o := control.Outcome{Configured: locks, Persistent: locks, Explicit: control.TriOf(a.Lock.Known())}
	if h.Snap.Source.Kind != "image" {
		if a.Enabled.Missing() {
			return control.CannotTell(asRoot(h, a.Enabled.Why))
		}
		o.Effective = control.TriOf(a.Enabled.V == 2)
		o = o.With(control.Saw("audit", a.Enabled.Place, fmt.Sprintf("enabled %d", a.Enabled.V), "enabled 2"))
	}
	place, found := a.Lock.Place, "-e "+a.Lock.V
	if !a.Lock.Known() {
		place, found = fact.Place{Path: "/etc/audit/rules.d"}, "no -e"
	}
	o = o.With(control.Saw("lock", place, found, "-e 2"))
	switch o = o.Judge(); {
	case o.Verdict == control.Pass:
		o.Reason = "the rules cannot be changed until a reboot"
	case o.Verdict == control.Ineffective:
		o.Reason = "asked for in " + place.String() + ", and the kernel does not have it"
	case o.Effective == control.Yes:
		o.Reason = "the rules are locked now, and will not be after a reboot"
	default:
		o.Reason = "root can take the rules away at any time"
	}
	return o
}

// auditLoaded compares what can be compared: the kernel writes some conditions
// in another way than the files do.
func auditLoaded(h *fact.Host) control.Outcome {
	if o, none := noAudit(h); none {
		return o
	}
	a := h.Auditd
	if a.Loaded.Missing() {
		return control.CannotTell(asRoot(h, a.Loaded.Why))
	}
	left := map[string]int{}
	for _, r := range a.OnDisk.V {
		left[auditKey(r)]++
	}
	var more, missing []control.Evidence
	for _, r := range a.Loaded.V {
		if k := auditKey(r); left[k] > 0 {
			left[k]--
		} else {
			more = append(more, control.Saw("rule", a.Loaded.Place, auditKey(r)+" is in no file", "in /etc/audit/rules.d"))
		}
	}
	for _, r := range slices.Backward(a.OnDisk.V) {
		if k := auditKey(r); left[k] > 0 {
			left[k]--
			missing = append(missing, control.Saw("rule", r.Place, "not loaded", "in `auditctl -l`"))
		}
	}
	slices.Reverse(missing)
	bad := append(missing, more...)
	o := control.Outcome{Configured: control.Yes, Effective: control.TriOf(len(bad) == 0), Persistent: control.Yes}
	if len(more) > 0 {
		o.Configured, o.Persistent = control.No, control.No
	}
	o = o.Judge().With(bad[:min(len(bad), maxFound)]...)
	switch {
	case len(missing) > 0:
		o.Reason = fmt.Sprintf("%d rules of the files are not loaded, the first is %s", len(missing), missing[0].Place)
	case len(more) > 0:
		o.Reason = more[0].Found
	default:
		o.Reason = fmt.Sprintf("the %d rules of the files are those of the kernel", len(a.OnDisk.V))
		o = o.With(control.Saw("rules", a.Loaded.Place, fmt.Sprint(len(a.Loaded.V)), ""))
	}
	return o
}

func auditKey(r fact.AuditRule) string {
	action := "always"
	if r.Never {
		action = "never"
	}
	words := []string{action + "," + r.List}
	if r.Arch != "" {
		words = append(words, r.Arch)
	}
	words = append(words, slices.Sorted(slices.Values(r.Calls))...)
	if where := r.Path + r.Dir; where != "" {
		perm := strings.Split(r.Perm, "")
		slices.Sort(perm)
		if r.Path == r.Dir {
			where = r.Path
		}
		words = append(words, where, strings.Join(perm, ""))
	}
	if n := len(r.Others); n > 0 {
		words = append(words, fmt.Sprintf("%d conditions", n))
	}
	return strings.Join(words, " ")
}
