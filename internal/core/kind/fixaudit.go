package kind

import (
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/fact"
)

// auditFile is read before 99-finalize.rules, which may lock the rules.
const auditFile = "/etc/audit/rules.d/50-picket.rules"

// Fix implements control.Fixer.
func (r *auditRule) Fix(h *fact.Host, d *change.Draft) error {
	machine := h.Machine()
	if !machine.Known() {
		d.Leave("%s", machine.Why)
		return nil
	}
	records, unseen := r.records(h, machine.V)
	if unseen != "" {
		d.Leave("%s", unseen)
		return nil
	}
	var lines []string
	for _, want := range records {
		if !want.in(h.Auditd.OnDisk.V) {
			line := want.wanted
			if r.People && !strings.Contains(line, "auid>=1000") {
				line += " -F auid>=1000 -F auid!=unset"
			}
			lines = append(lines, line+" -k picket")
		}
	}
	if h.Auditd.Lock.V == "2" {
		d.Later("the rules are locked: " + change.NextStart)
	}
	if u := h.Units.Get("auditd.service"); !u.Enabled() {
		d.Do(change.Unit, "auditd.service", "enable")
	}
	if len(lines) == 0 {
		d.Do(change.Act, "augenrules --load")
		return nil
	}
	return d.Add(auditFile, 0o640, lines...)
}
