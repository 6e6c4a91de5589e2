package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/ruleset"
)

// sshPorts are the ports on which sshd listens, and where that was seen; why is
// set when they are not known.
func sshPorts(h *fact.Host) (ports []int, at fact.Place, why string) {
	add := func(p int) {
		if p > 0 && p < 65536 && !slices.Contains(ports, p) {
			ports = append(ports, p)
		}
	}
	for _, s := range h.Sockets.Listening {
		if s.Proto == "tcp" && s.Exposed() && (s.Process == "sshd" || s.Unit.V == "ssh.service" || s.Unit.V == "ssh.socket") {
			add(s.Port)
		}
	}
	d := h.SSHD
	switch {
	case len(ports) > 0:
		return ports, h.Sockets.Place, ""
	case h.Sockets.Silent != "":
		return nil, at, "the port on which sshd listens is not known: " + h.Sockets.Silent
	case d.Socket.InUse.V && len(d.Socket.Ports) > 0:
		at = d.Socket.Place
		for _, p := range d.Socket.Ports {
			n, _ := strconv.Atoi(p)
			add(n)
		}
	default:
		if d.Config.State == fact.Denied {
			return nil, at, "the port on which sshd listens is not known: " + control.Missing(fact.Not[bool](fact.Denied, d.Config.Why)).Reason
		}
		var asked fact.SSHDAnswer
		if len(d.Answers.V) > 0 {
			asked = d.Answers.V[0]
		}
		values, found := d.Option(asked, "Port")
		at = fact.Place{Path: sshdMain}
		if len(found.By) > 0 {
			at = found.By[0].Place
		}
		for _, p := range values {
			n, _ := strconv.Atoi(p)
			add(n)
		}
	}
	if len(ports) == 0 {
		return []int{22}, at, ""
	}
	return ports, at, ""
}

func sshAllowed(h *fact.Host) control.Outcome {
	f := h.Firewall
	ports, at, why := sshPorts(h)
	if why != "" {
		return control.CannotTell(why)
	}
	if f.Running.State != fact.Known && h.Snap.Source.Kind != "image" {
		return control.Missing(f.Running.Denies("ip"))
	}
	var o control.Outcome
	o.Explicit = control.Yes
	asked := false
	judge := func(r fact.Ruleset, when string) control.Tri {
		if r.State != fact.Known {
			return control.Untold
		}
		got := control.Untold
		for _, family := range []string{"ip", "ip6"} {
			if !filters(r, family) {
				// A family that is not filtered lets SSH in; that it does is
				// another control's finding.
				got = max(got, control.Yes)
				continue
			}
			asked = true
			open := false
			for _, p := range ports {
				a := r.Ask(ruleset.Packet{Family: family, Proto: "tcp", Port: p, Anybody: true})
				open = open || a.Accept
			}
			if family == "ip6" && !open {
				continue // many rulesets close IPv6 as a whole
			}
			if !open {
				o = o.With(control.Saw("SSH over "+familyName[family]+when, r.Place, fmt.Sprintf("port %s is refused for everybody", joinInts(ports)), "accepted for somebody"))
				return control.No
			}
			got = control.Yes
		}
		return got
	}
	o.Effective = judge(f.Running, "")
	o.Persistent = judge(f.NextBoot, ", after a reboot")
	o = o.With(control.Saw("ports of sshd", at, joinInts(ports), ""))
	if (!asked || o.Effective == control.Yes) && (f.NextBoot.State == fact.Denied || !asked && f.NextBoot.State == fact.Unknown) {
		return control.CannotTell(control.Missing(f.NextBoot.Denies("ip")).Reason, o.Evidence...)
	}
	if !asked {
		return control.DoesNotApply("no firewall refuses anything")
	}
	o = o.Judge()
	switch {
	case o.Verdict == control.Pass:
		return o.Because("the firewall lets somebody reach SSH on port %s", joinInts(ports))
	case o.Verdict == control.Unknown:
		return control.CannotTell(control.Missing(f.NextBoot.Denies("ip")).Reason, o.Evidence...)
	case o.Effective == control.Yes:
		return o.Because("after the next reboot the firewall refuses SSH on port %s: nobody could log in from outside", joinInts(ports))
	}
	return o.Because("the firewall refuses SSH on port %s: who is logged in now stays, nobody else gets in", joinInts(ports))
}

func joinInts(ns []int) string {
	var out []string
	for _, n := range ns {
		out = append(out, strconv.Itoa(n))
	}
	return strings.Join(out, ", ")
}

// sshFamilies are those over which sshd can be reached: where it runs, by its
// sockets.
func sshFamilies(h *fact.Host) []string {
	four, six := false, false
	for _, s := range h.Sockets.Listening {
		if s.Proto == "tcp" && s.Exposed() && (s.Process == "sshd" || s.Unit.V == "ssh.service" || s.Unit.V == "ssh.socket") {
			four = four || s.Addr.Unmap().Is4() || s.Both
			six = six || s.Addr.Is6() && !s.Addr.Is4In6()
		}
	}
	if !four && !six {
		four, six = true, true // it does not run, or that is not known
	}
	if v := h.Network.IPv6; v.Known() && !v.V {
		six = false
	}
	switch {
	case six && !four:
		return []string{"ip6"}
	case six:
		return []string{"ip", "ip6"}
	}
	return []string{"ip"}
}

func sshRateLimit(h *fact.Host) control.Outcome {
	f := h.Firewall
	ports, at, why := sshPorts(h)
	if why != "" {
		return control.CannotTell(why)
	}
	families := sshFamilies(h)
	judge := func(r fact.Ruleset, when string) (control.Tri, control.Evidence) {
		if r.State != fact.Known {
			return control.Untold, control.Evidence{}
		}
		var first control.Evidence
		for _, family := range families {
			over := ""
			if family == "ip6" {
				over = " over IPv6"
			}
			var good control.Evidence
			var open []int // a limit on one port does not help the others
			for _, p := range ports {
				stranger := r.Ask(ruleset.Packet{Family: family, Proto: "tcp", Port: p})
				// A limit that comes after the port was opened, or after which it is
				// open all the same, holds nobody up.
				if rule, ok := r.Limited(family, p); ok && (stranger.Drop || !stranger.Accept) {
					good = control.Saw(fmt.Sprintf("rule for port %d%s%s", p, over, when), rule.Place, rule.Text, "")
				} else if !r.Ask(ruleset.Packet{Family: family, Proto: "tcp", Port: p, Anybody: true}).Accept {
					good = control.Saw(fmt.Sprintf("port %d%s%s", p, over, when), r.Place, "refused", "")
				} else {
					open = append(open, p)
				}
			}
			if len(open) > 0 || len(ports) == 0 {
				return control.No, control.Saw(fmt.Sprintf("new connections to port %s%s%s", joinInts(open), over, when), placeOr(r.Place, "/etc"), "as many as one likes", "a limit, such as 6 in 30 s")
			}
			if first.Fact == "" {
				first = good
			}
		}
		return control.Yes, first
	}
	var o control.Outcome
	var ev control.Evidence
	if o.Effective, ev = judge(f.Running, ""); ev.Fact != "" {
		o = o.With(ev)
	}
	if o.Persistent, ev = judge(f.NextBoot, ", after a reboot"); ev.Fact != "" {
		o = o.With(ev)
	}
	if o.Persistent == control.No && o.Effective == control.Yes && ownLoader(h) != "" {
		o.Persistent = control.Untold
	}
	o.Explicit = control.Yes
	o.Configured = control.TriOf(o.Persistent == control.Yes)
	if h.Snap.Source.Kind != "image" && o.Effective == control.Untold {
		return control.Missing(f.Running.Denies("ip"))
	}
	if o.Effective == control.Yes && o.Persistent == control.Untold && f.NextBoot.State == fact.Denied {
		return control.CannotTell(control.Missing(f.NextBoot.Denies("ip")).Reason, o.Evidence...)
	}
	o = o.With(control.Saw("ports of sshd", at, joinInts(ports), "")).Judge()
	switch {
	case o.Verdict == control.Pass:
		return o.Because("the firewall counts new connections to SSH")
	case o.Verdict == control.Unknown:
		return control.CannotTell(control.Missing(f.NextBoot.Denies("ip")).Reason)
	case o.Effective == control.Yes:
		return o.Because("new connections to SSH are counted now, not after a reboot")
	case o.Verdict == control.Ineffective:
		return o.Because("a limit for SSH is written down, and the kernel has none")
	}
	return o.Because("one address may open as many connections to SSH as it likes")
}
