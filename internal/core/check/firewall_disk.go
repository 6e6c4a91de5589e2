package check

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/ruleset"
)

// firewallPersist compares the kernel's rules with those of the next boot by
// what they do to new connections.
func firewallPersist(h *fact.Host) control.Outcome {
	f := h.Firewall
	if f.Running.State != fact.Known {
		return control.Missing(f.Running.Denies("ip"))
	}
	if managerName(f) == "" {
		switch {
		case f.NextBoot.State != fact.Known:
			return control.Missing(f.NextBoot.Denies("ip"))
		case !filters(f.Running, "ip") && !filters(f.Running, "ip6"):
			return control.DoesNotApply("there is no firewall to keep; see firewall/default-deny")
		case ownLoader(h) != "":
			return control.CannotTell(ownLoader(h) + " may load the rules, which Picket does not read")
		}
	}
	if f.NextBoot.State != fact.Known {
		return control.Missing(f.NextBoot.Denies("ip"))
	}
	ports, left := map[int]bool{0: true}, false
	for _, r := range []fact.Ruleset{f.Running, f.NextBoot} {
		named, more := namedPorts(r)
		for _, p := range named {
			ports[p] = true
		}
		left = left || more
	}
	var diff []control.Evidence
	for _, family := range []string{"ip", "ip6"} {
		for _, p := range slices.Sorted(maps.Keys(ports)) {
			now, next := reach(f.Running, family, p), reach(f.NextBoot, family, p)
			if now == tooMuch || next == tooMuch {
				left = true
				continue
			}
			if now != next && len(diff) < 20 {
				what := fmt.Sprintf("%s to TCP port %d", familyName[family], p)
				if p == 0 {
					what = familyName[family] + " to a port that no rule names"
				}
				diff = append(diff, control.Saw(what, f.Running.Place, "now "+now, "as after a reboot: "+next))
			}
		}
	}
	if len(diff) > 0 {
		o := control.Failed(fmt.Sprintf("the firewall will be another after a reboot: %s is %s, then %s",
			diff[0].Fact, diff[0].Found, strings.TrimPrefix(diff[0].Wanted, "as after a reboot: ")), diff...)
		o.Persistent = control.No
		return o
	}
	if left {
		return control.CannotTell("the rules name too many ports and addresses to compare all that they do")
	}
	o := control.Passed("the kernel's rules do what those of the next boot will do")
	o.Persistent = control.Yes
	return o
}

// reach says who can open a TCP connection.
func reach(r fact.Ruleset, family string, port int) string {
	p := ruleset.Packet{Family: family, Proto: "tcp", Port: port}
	a := r.Ask(p)
	switch {
	case a.Cut:
		return tooMuch
	case a.Accept && a.Drop:
		return "open with a limit"
	case a.Accept:
		return "open"
	}
	p.Anybody = true
	switch a := r.Ask(p); {
	case a.Cut:
		return tooMuch
	case a.Accept:
		return "open for some"
	}
	return "closed"
}

// tooMuch stands for what was not followed to the end.
const tooMuch = "too much to follow"

// namedPorts are the single TCP ports that rules for incoming packets name;
// more is whether there are others.
func namedPorts(r fact.Ruleset) (out []int, more bool) {
	for _, c := range r.Chains {
		if c.Hook != "" && c.Hook != "input" || c.Table == "nat" {
			continue
		}
		for _, rule := range c.Rules {
			m, ok := rule.Match("dport")
			if p, proto := rule.Match("proto"); !ok || proto && !slices.Contains(p.Values, "tcp") {
				continue
			}
			for _, v := range m.Values {
				if n, err := strconv.Atoi(v); err == nil {
					if len(out) == maxPorts {
						return out, true
					}
					out = append(out, n)
				}
			}
		}
	}
	return out, false
}

const maxPorts = 500

// dockerPublished finds ports that Docker forwards before the firewall's
// rules for incoming packets are asked.
func dockerPublished(h *fact.Host) control.Outcome {
	r := h.Firewall.Running
	if r.State != fact.Known {
		return control.Missing(r.Denies("ip"))
	}
	type published struct {
		port int
		rule ruleset.Rule
	}
	var open []published
	forwarded := map[int]bool{}
	docker, hidden := false, ""
	for _, c := range r.Chains {
		if c.Table != "nat" || c.Name != "DOCKER" {
			continue
		}
		docker = true
		for _, rule := range c.Rules {
			m, ok := rule.Match("dport")
			if rule.Verdict != "dnat" || !ok {
				continue
			}
			if to, ok := rule.Match("daddr"); ok && slices.ContainsFunc(to.Values, loopbackAddress) {
				continue
			}
			for _, v := range m.Values {
				port, err := strconv.Atoi(v)
				if err != nil {
					continue
				}
				forwarded[port] = true
				proto := "tcp"
				if p, ok := rule.Match("proto"); ok && slices.Contains(p.Values, "udp") {
					proto = "udp"
				}
				// A port that the operator has opened for everybody is meant to be.
				meant := filters(r, c.Family) && r.Ask(ruleset.Packet{Family: c.Family, Proto: proto, Port: port}).Accept
				shut, why := refusedToStrangers(h, proto, port)
				if !meant && why != "" {
					hidden = why
				}
				if !meant && !shut && why == "" && !slices.ContainsFunc(open, func(p published) bool { return p.port == port }) {
					open = append(open, published{port, rule})
				}
			}
		}
	}
	next, why := toPublish(h, r, forwarded)
	hidden = cmp.Or(hidden, why)
	switch {
	case len(open) == 0 && len(next) > 0:
		o := control.Outcome{Configured: control.No, Effective: control.Yes, Persistent: control.No}.Judge()
		return o.With(next...).Because("%s is open to everybody past the firewall with the next `docker compose up`: %s", next[0].Fact, next[0].Found)
	case len(open) == 0 && hidden != "":
		return control.CannotTell("whether strangers reach what containers publish is not known: " + hidden)
	case !docker:
		return control.DoesNotApply("Docker has no rules in the kernel")
	case len(open) == 0:
		return control.Passed("no container's port is open past the firewall's rules")
	}
	var ev []control.Evidence
	var ports []int
	mended := 0
	for _, p := range open {
		ports = append(ports, p.port)
		e := control.Saw(fmt.Sprintf("published port %d", p.port), p.rule.Place, p.rule.Text, "bound to 127.0.0.1, or refused in DOCKER-USER, or allowed by the firewall")
		if at, wide, ok := publisher(h, p.port); ok && wide {
			e.Found += "; so in " + at.String()
			e.File = at.Path
		} else if ok {
			e.Found += "; no longer so in " + at.String() + ": docker compose up -d"
			mended++
		}
		ev = append(ev, e)
	}
	ev = append(ev, next...)
	if filters(r, "ip") {
		return control.IsIneffective(fmt.Sprintf("the firewall refuses port %s, and it is open all the same: Docker's rules come first", joinInts(ports)), ev...)
	}
	if mended == len(ev) {
		return control.IsIneffective(fmt.Sprintf("containers still publish port %s to everybody; their compose files no longer say so: docker compose up -d", joinInts(ports)), ev...)
	}
	return control.Failed(fmt.Sprintf("containers publish port %s to everybody", joinInts(ports)), ev...)
}

// publisher is where a compose file publishes a port of the host, and whether
// to everybody.
func publisher(h *fact.Host, port int) (at fact.Place, wide, ok bool) {
	for _, p := range h.Composed.Projects {
		for _, s := range p.Services {
			for _, q := range s.Ports {
				if q.Open == "" && q.Published == strconv.Itoa(port) {
					at, ok = fact.At(q.At.File, q.At.Line), true
					wide = wide || !loopbackAddress(q.Host)
				}
			}
		}
	}
	return at, wide, ok
}

// toPublish finds ports that compose files publish to everybody and that are not
// forwarded now; why says of which that is not known.
func toPublish(h *fact.Host, r fact.Ruleset, forwarded map[int]bool) (ev []control.Evidence, why string) {
	if o, ok := noDocker(h); !ok && o.Verdict == control.Unknown {
		return nil, o.Reason
	} else if !ok {
		return nil, ""
	}
	inHand := slices.ContainsFunc(r.Chains, func(c ruleset.Chain) bool {
		return c.Name == "DOCKER-USER" && slices.ContainsFunc(c.Rules, func(rule ruleset.Rule) bool { return rule.Verdict != "return" })
	})
	runs := map[*fact.ComposeService]bool{}
	for _, u := range h.ComposeUnits() {
		runs[u.Service] = u.Container != nil
	}
	for i := range h.Composed.Projects {
		for j := range h.Composed.Projects[i].Services {
			s := &h.Composed.Projects[i].Services[j]
			if unsure := s.Unsure(); unsure != "" || s.Get("network_mode") != nil {
				why = cmp.Or(why, unsure)
				continue
			}
			for _, q := range s.Ports {
				port, err := strconv.Atoi(q.Published)
				switch {
				case q.Open != "":
					why = cmp.Or(why, s.Label()+": ports: "+q.Open)
				case loopbackAddress(q.Host), forwarded[port], q.Published == "" && runs[s]:
				case err == nil && filters(r, "ip") && r.Ask(ruleset.Packet{Family: "ip", Proto: q.Proto, Port: port}).Accept:
					// It is open for everybody anyway, and is meant to be.
				case inHand:
					why = cmp.Or(why, "whether the rules of DOCKER-USER are about the ports of "+s.Label())
				default:
					what := "port " + q.Published
					if q.Published == "" {
						what = "a port for " + q.Target
					}
					ev = append(ev, control.Saw(what, fact.At(q.At.File, q.At.Line), "published at "+cmp.Or(q.Host, "all addresses")+" by "+s.Label(), "127.0.0.1:"+cmp.Or(q.Published, q.Target)+":"+q.Target))
				}
			}
		}
	}
	return ev, cmp.Or(why, unreadCompose(h))
}

// refusedToStrangers reports whether no stranger comes through to a published
// port: then the operator has taken it in hand, as in DOCKER-USER.
func refusedToStrangers(h *fact.Host, proto string, published int) (shut bool, unknown string) {
	shut = true
	for _, e := range h.Exposure() {
		switch {
		case e.Port != published || e.Proto != proto:
		case e.Stranger.Reached == fact.NotKnown:
			unknown = e.Stranger.Rule()
		case e.Stranger.Reached >= fact.Limited:
			return false, ""
		}
	}
	return shut, unknown
}

func loopbackAddress(v string) bool {
	return strings.HasPrefix(v, "127.") || v == "::1" || v == "::1/128"
}
