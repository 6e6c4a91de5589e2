package check

import (
	"slices"

	"picket/internal/core/change"
	"picket/internal/core/fact"
)

// A repair drafts what makes a host right, as [control.Fixer] says.
type repair = func(*fact.Host, *change.Draft) error

// repairs are those of the checks, by their names. A topic's are in repair_TOPIC.go; a check that has none is left
// to a person.
func repairs(name string) (repair, bool) {
	for _, topic := range []map[string]repair{
		systemRepairs, sshRepairs, pamRepairs, sudoRepairs, accountRepairs,
		firewallRepairs, banRepairs, dockerRepairs, hostRepairs, modeRepairs, appRepairs, wifiRepairs, serviceRepairs,
	} {
		if f, ok := topic[name]; ok {
			return f, true
		}
	}
	return nil, false
}

// Fixes reports whether there is a fix at all.
func (c Check) Fixes() bool {
	_, ok := repairs(c.Name)
	return ok
}

// Fix implements control.Fixer.
func (c Check) Fix(h *fact.Host, d *change.Draft) error {
	f, _ := repairs(c.Name)
	return f(h, d)
}

// onlyLeft are the checks whose repair is only to say what a person types: a password, a name.
var onlyLeft = []string{"accounts.default-user", "accounts.factory-password", "sudo.personal-admin"}

// OnlyLeaves implements [control.Leaver].
func (c Check) OnlyLeaves() bool { return slices.Contains(onlyLeft, c.Name) }

// decisions say of checks by name in what a host is not as its owner has decided.
var decisions = map[string]func(*fact.Host, change.Policy) string{
	"ssh.socket-port":   otherPort,
	"updates.automatic": otherWindow,
	"wifi.country":      otherCountry,
}

// Decided implements control.Decider.
func (c Check) Decided(h *fact.Host, p change.Policy) string {
	if f, ok := decisions[c.Name]; ok {
		return f(h, p)
	}
	return ""
}
