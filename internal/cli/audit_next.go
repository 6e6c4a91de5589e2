package cli

import (
	"cmp"
	"fmt"
	"strings"

	"picket/internal/core/account"
	"picket/internal/core/audit"
	"picket/internal/core/control"
	"picket/internal/core/plan"
	"picket/internal/core/snap"
	"picket/internal/report"
)

// fixesOf tells of which controls Picket can change what is wrong.
func fixesOf(controls []control.Control) map[string]bool {
	out := map[string]bool{}
	for _, c := range controls {
		out[c.ID] = plan.CanFix(c)
	}
	return out
}

// about is a command about the host of a report, as it can be typed here; "" for one that Picket cannot change.
func (p *program) about(r audit.Report, verb string) string {
	profile := ""
	if r.Profile != DefaultProfile && r.Profile != "" {
		profile = " --profile " + snap.CommandKey(r.Profile)
	}
	switch verb, flags, _ := strings.Cut(verb, " "); {
	case r.Host.Via == "local":
		return p.typedAsRoot(strings.TrimSpace(verb + " " + flags + profile))
	case r.Host.Via == "ssh" && p.isSSH(r.Host.Target):
		return p.typed(strings.TrimSpace(verb+" "+snap.CommandKey(r.Host.Target)+" "+flags) + profile)
	}
	return ""
}

// applies is the command that has Picket make what a finding of a report is about right.
func (p *program) applies(r audit.Report, opt auditOptions) func(string) string {
	return func(id string) string {
		if id == "accounts/factory-password" {
			return p.newPasswordFor(r)
		}
		if !opt.fixes[id] {
			return ""
		}
		return p.about(r, "apply --only "+id)
	}
}

// newPasswordFor is the command that gives the first account of a report with a password that is known to all another one.
func (p *program) newPasswordFor(r audit.Report) string {
	for _, res := range r.Results {
		if res.Control != "accounts/factory-password" {
			continue
		}
		for _, e := range res.Evidence {
			if user, ok := strings.CutPrefix(e.Fact, "password of "); ok && account.CheckName(user) == nil {
				switch {
				case r.Host.Via == "local":
					return p.typedAsRoot("passwd " + user)
				case r.Host.Via == "ssh" && p.isSSH(r.Host.Target):
					return p.typed("passwd " + user + " " + snap.CommandKey(r.Host.Target))
				}
			}
		}
	}
	return ""
}

// afterAudit is what to type after an audit: as root where that was missing, then what Picket would change and how to
// have it do that, and what the worst finding means.
func (p *program) afterAudit(r audit.Report, short bool, opt auditOptions) (out []report.Hint) {
	worst, findings, can := "", 0, 0
	for _, res := range r.Results {
		if !res.Finding() {
			continue
		}
		worst = cmp.Or(worst, res.Control)
		findings++
		if opt.fixes[res.Control] {
			can++
		}
	}
	rootless := !r.Host.Root && r.Host.Via == "local" && r.Counts.Unknown > 0
	if rootless {
		out = append(out, report.Hint{Command: p.typedAsRoot("audit"), Does: "as root: all of it"})
	}
	if planned := p.about(r, "plan"); can > 0 && planned != "" {
		how := fmt.Sprintf("what would be changed, for up to %d of %d", can, findings)
		if findings == 1 {
			how = "what would be changed"
		}
		out = append(out, report.Hint{Command: planned, Does: how})
		if short {
			out = append(out, report.Hint{Command: p.about(r, "apply"), Does: "asks first; goes back unless it holds"})
		}
	}
	switch {
	case rootless:
	case short && (findings > 1 || r.Counts.Unknown > 0):
		out = append(out, report.Hint{Command: p.typed("audit"), Does: "all of it, and what to do by hand"})
	case worst != "":
		explain := "explain " + worst
		if r.Host.Via == "ssh" {
			explain += " " + snap.CommandKey(r.Host.Target)
		}
		out = append(out, report.Hint{Command: p.typed(explain), Does: "what it means; by hand"})
	}
	return out
}
