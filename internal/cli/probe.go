package cli

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"picket/internal/core/fact"
	"picket/internal/core/snap"
	"picket/internal/host/probe"
	"picket/internal/host/snapshot"
	"picket/internal/ui"
)

// What --probe may be.
const (
	probeRun  = "run"
	probeList = "list"
)

// wanted names the flags that ask for more than reading.
func (o takeOptions) wanted() string {
	var flags []string
	if o.probe != "" {
		flags = append(flags, "--probe")
	}
	if o.router {
		flags = append(flags, "--ask-router")
	}
	return strings.Join(flags, ", ")
}

// mayTry finds what keeps the flags that ask for more than reading from a target.
func (p *program) mayTry(target string, opt auditOptions) error {
	flags := takeOptions{probe: opt.probe, router: opt.router}.wanted()
	switch {
	case flags == "":
	case strings.HasPrefix(target, "image:"):
		return withHint(usage(fmt.Errorf("%s: %s has no services that run", flags, target)), "leave that out, or audit the running host")
	case target == "local" && opt.probe != probeList && p.getenv("PICKET_NO_LOCAL") != "": // a login is written down
		return withHint(usage(fmt.Errorf("%s: PICKET_NO_LOCAL is set, so nothing is tried on this machine", flags)), "unset PICKET_NO_LOCAL, or name another target")
	}
	return nil
}

// probe says which attempts at the services of a host would show something, and
// makes them. What keeps it from that is told beside the answers of the host.
func (p *program) probe(ctx context.Context, target string, opt takeOptions, t snapshot.Taker, s *snap.Snapshot, progress ui.Teller) {
	var there, here netip.Addr
	if c, ok := t.(interface {
		Ends() (there, here netip.Addr)
	}); ok {
		if there, here = c.Ends(); !there.IsValid() {
			s.Problems = append(s.Problems, "nothing was tried: the address of the host is not known")
			return
		} else if there == here { // as with ssh -L: behind other ports of it is no other machine
			s.Problems = append(s.Problems, fmt.Sprintf("nothing was tried: the host was reached at %s, an address of this machine", there))
			return
		}
	}
	h := fact.Parse(s)
	progress.Say("")
	var list []fact.Probe
	var err error
	if opt.probe != "" {
		list, err = h.Probes(there)
		switch {
		case err != nil:
			s.Problems = append(s.Problems, "nothing was tried: "+err.Error())
		case len(list) == 0:
			fmt.Fprintf(p.io.Err, "%s: nothing to try: no service of a known kind is open to others\n", target)
		}
	}
	if opt.router {
		if q, err := h.RouterProbe(here); err == nil {
			list = append(list, q)
		} else {
			s.Problems = append(s.Problems, "the router was not asked: "+err.Error())
		}
	}
	switch {
	case len(list) == 0:
		return
	case opt.probe == probeList:
		fmt.Fprintf(p.io.Err, "%s: these would be tried. They change nothing there, but its logs will show them.\n", target)
	default:
		fmt.Fprintf(p.io.Err, "%s: these are tried now. They change nothing there, but its logs will show them.\n", target)
	}
	for i, a := range list {
		fmt.Fprintf(p.io.Err, "%4d  %s\n", i+1, ui.Clean(a.String()))
	}
	if opt.probe == probeList {
		return
	}
	tried := 0
	probe.Run(ctx, list, s, Version, func(a fact.Probe) {
		tried++
		progress.Say(fmt.Sprintf("%s: trying %d of %d: %s", target, tried, len(list), ui.Clean(a.String())))
	})
}
