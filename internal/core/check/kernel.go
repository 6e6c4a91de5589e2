package check

import (
	"fmt"
	"strconv"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
)

var kernelChecks = []Check{
	{"kernel.mmap-randomness", mmapRandomness,
		"/proc/sys/vm/mmap_rnd_bits, what sysctl.d sets at the next boot, and the most that this kernel was built for (/boot/config-*)"},
}

// mmapRandomness wants as many bits as the kernel can do.
func mmapRandomness(h *fact.Host) control.Outcome {
	if h.Snap.Source.Kind == "image" {
		return control.CannotTell("an image has no running kernel")
	}
	e, st, why := h.Snap.File(fact.MmapBits)
	switch {
	case st == fact.Absent:
		return control.DoesNotApply("this kernel has no vm.mmap_rnd_bits")
	case st != fact.Known:
		return control.CannotTell(asRoot(h, why))
	case h.Sysctl.Missing != "":
		return control.CannotTell(asRoot(h, "what the next boot sets is not known: "+h.Sysctl.Missing))
	}
	now, err := strconv.Atoi(strings.TrimSpace(string(e.Content)))
	if err != nil {
		return control.CannotTell(fact.MmapBits + " holds no number")
	}
	most := h.MmapMost()
	if !most.Known() {
		return control.CannotTell(asRoot(h, most.Why))
	}
	want := strconv.Itoa(most.V)
	asked, set := h.Sysctl.Boot("vm/mmap_rnd_bits")
	boot, _ := strconv.Atoi(asked.Value)
	o := control.Outcome{Effective: control.TriOf(now >= most.V), Configured: control.TriOf(set && boot >= most.V), Explicit: control.TriOf(set)}
	o.Persistent = o.Configured
	o = o.Judge().With(control.Saw("vm.mmap_rnd_bits now", fact.Place{Path: fact.MmapBits}, strconv.Itoa(now), want))
	if set {
		o = o.With(control.Saw("vm.mmap_rnd_bits at the next boot", asked.Place, asked.Value, want))
	}
	switch {
	case o.Effective == control.Yes && o.Persistent == control.No:
		o.Reason = "all " + want + " bits now, and no file sets them at the next boot"
	case o.Effective == control.Yes:
		o.Reason = "all " + want + " bits are used"
	default:
		o.Reason = fmt.Sprintf("%d of %s bits are used", now, want)
	}
	return control.OwnKernel(h, o)
}
