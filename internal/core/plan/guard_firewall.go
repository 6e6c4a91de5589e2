package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/check"
	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/ruleset"
)

// A proof is a guard that looks at what was drafted: it says why that must not be done, "" where it may be, and then what
// it relies on.
type proof func(*fact.Host, *change.Draft, Options) (refused, holds string)

var proofs = map[string]proof{
	"ssh-allowed-first": sshAllowedFirst,
	"peers-are-tried":   clientsAgree,
}

// drafted lets a fix be drafted: what comes out is looked at then.
func drafted(*fact.Host, Options) (refused, holds string) { return "", "" }

// proven looks at what a control's fix has drafted, if there is such a guard, and leaves it to a person where it does not
// hold. It returns what the fix relies on: holds, or more.
func proven(guard, holds string, h *fact.Host, d *change.Draft, opt Options) string {
	prove, ok := proofs[guard]
	if !ok {
		return holds
	}
	refused, more := prove(h, d, opt)
	if refused != "" {
		d.Leave("%s", refused)
	}
	return cmp.Or(more, holds)
}

// sshAllowedFirst: by the rules as they are drafted SSH is reached from everywhere that it is reached from now. Where the
// policy lets some in alone, a new login from where the operator is has to show that they are among them.
func sshAllowedFirst(h *fact.Host, d *change.Draft, _ Options) (refused, holds string) {
	own, why := check.OwnRules(h, d.Policy())
	if why != "" {
		return why, ""
	}
	after := control.Drafted(d).Firewall
	m, ok := after.Manager("picket")
	if !ok || m.Rules.State != fact.Known {
		return "the rules that Picket would load cannot be read back: " + m.Rules.Why, ""
	}
	rules := ruleset.Filter{Chains: slices.Clone(m.Rules.Chains), Cards: after.Running.Cards}
	for i, c := range rules.Chains { // what refuses too many is no matter here
		rules.Chains[i].Rules = slices.DeleteFunc(slices.Clone(c.Rules), func(r ruleset.Rule) bool {
			_, limit := r.Match("limit")
			return limit && r.Verdict == "drop"
		})
	}
	if len(rules.Cards) == 0 {
		return "the host's network cards are not known: " + after.Running.CardsWhy, ""
	}
	for _, port := range own.SSH {
		for _, family := range []string{"ip", "ip6"} {
			for _, card := range rules.Cards {
				if !somebody(own.SSHFrom, family == "ip6") {
					continue // the policy lets nobody in by it
				}
				a := rules.Ask(ruleset.Packet{Family: family, Proto: "tcp", Port: port, Card: card, Anybody: len(own.SSHFrom) > 0})
				if !a.Accept || a.Drop && len(own.SSHFrom) == 0 {
					return fmt.Sprintf("by the rules that Picket would load nobody reaches SSH at port %d by %s", port, card), ""
				}
			}
		}
	}
	var open []string
	for _, o := range own.Open {
		text := o.String() + " " + o.Why
		if o.From != "" {
			text += " from " + o.From
		}
		if o.Card != "" {
			text += " by " + o.Card
		}
		open = append(open, text)
	}
	holds = "SSH at port " + joined(own.SSH) + " stays open"
	if len(own.SSHFrom) > 0 {
		holds += " from " + strings.Join(own.SSHFrom, ", ") + ", and is kept only if a new login from where you are works"
	}
	switch {
	case len(d.Policy().Ports) > 0:
		holds += "; besides it, by policy.ports: "
	case len(open) > 0:
		holds += "; besides it what is served today: "
	}
	holds = strings.TrimSuffix(holds+strings.Join(open, ", "), ": ")
	if line := narrower(own); line != "" && len(d.Policy().Ports) == 0 {
		holds += "; to let in less by policy.ports, put this line into picket.yaml without what others need not reach: " + line
	}
	return "", holds + "; what is passed on, as to containers, is left alone"
}

// narrower is the line of picket.yaml that lets in what is let in without it, for its owner to shorten; "" where nothing
// can be left out of it.
func narrower(own ruleset.Own) string {
	var ports []string
	for _, o := range own.Open {
		if s := o.String(); o.Card == "" && o.From == "" && !slices.Contains(ports, s) {
			ports = append(ports, s)
		}
	}
	if len(ports) == 0 {
		return ""
	}
	for i, port := range own.SSH {
		ports = slices.Insert(ports, i, fmt.Sprintf("%d/tcp", port))
	}
	return "policy: {ports: [" + strings.Join(ports, ", ") + "]}"
}

// somebody reports whether a list of senders, which is of all where it is empty, has one of a family.
func somebody(from []string, six bool) bool {
	return len(from) == 0 || slices.ContainsFunc(from, func(f string) bool { return strings.Contains(f, ":") == six })
}

func joined(ports []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(ports), " ", ", "), "[]")
}
