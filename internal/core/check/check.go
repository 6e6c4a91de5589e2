// Package check holds the rules that are Go functions of their own: a control
// names one with `kind: go` and `check: topic.name`. One file a topic.
package check

import (
	"picket/internal/core/control"
	"picket/internal/core/fact"
)

// A Check is a named rule.
type Check struct {
	Name  string // topic.what-it-finds
	Func  func(*fact.Host) control.Outcome
	Looks string // at what and for what, as `picket explain` says it
}

// Evaluate implements control.Rule.
func (c Check) Evaluate(h *fact.Host) control.Outcome { return c.Func(h) }

// Describe implements control.Describer.
func (c Check) Describe() []string { return []string{c.Looks} }

// All checks, by topic.
func All() []Check {
	var all []Check
	for _, topic := range [][]Check{
		files,
		boot,
		mounts,
		services,
		updates,
		timeChecks,
		logging,
		ban,
		firewallChecks,
		sshChecks,
		sshClientChecks,
		listenerChecks,
		aroundChecks,
		dockerChecks,
		wifi,
		raspberryPi,
		accounts,
		logins,
		aging,
		sudo,
		keys,
		tlsChecks,
		pam,
		cron,
		auditChecks,
		integrity,
		cardChecks,
		kernelChecks,
		mosquitto,
		pioreactor,
		nio,
		pisovereign,
		vault,
		traefik,
		prometheus,
		cluster,
		webServers,
	} {
		all = append(all, topic...)
	}
	return all
}
