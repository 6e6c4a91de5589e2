package fact

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"picket/internal/core/snap"
)

// Auditd is the kernel's audit: what it records now, and what the daemon's
// files will have it record after the next boot.
type Auditd struct {
	Enabled Value[int]         // as the kernel says: 0 off, 1 on, 2 on and locked until a reboot
	Loaded  Value[[]AuditRule] // that the kernel has, in its order
	OnDisk  Value[[]AuditRule] // that augenrules puts together and loads at boot
	Lock    Value[string]      // the last -e of the files: 0, 1, 2
}

const auditRulesD = "/etc/audit/rules.d/*.rules"

var (
	auditctlRules  = []string{"auditctl", "-l"}
	auditctlStatus = []string{"auditctl", "-s"}
)

func askAuditd(h *Host, s *snap.Snapshot) snap.Manifest {
	if h.Packages.State == Known && !h.Packages.Has("auditd").V {
		return snap.Manifest{}
	}
	return snap.Manifest{
		Files:    []string{auditRulesD, "/etc/audit/auditd.conf"},
		Commands: []snap.Command{{Argv: auditctlRules}, {Argv: auditctlStatus}},
	}
}

func parseAuditd(h *Host, s *snap.Snapshot) {
	a := &h.Auditd
	a.Enabled, a.Loaded = Not[int](Unknown, "no answer"), Not[[]AuditRule](Unknown, "no answer")
	out, st, why := s.Run(auditctlStatus...)
	if a.Enabled = Not[int](st, why); st == Known {
		a.Enabled = auditEnabled(out)
	}
	out, st, why = s.Run(auditctlRules...)
	if a.Loaded = Not[[]AuditRule](st, why); st == Known {
		a.Loaded = auditList(linesAt(string(out.Stdout), By(auditctlRules...)), By(auditctlRules...), nil)
	}
	a.onDisk(s)
}

// auditEnabled reads "enabled 1" of `auditctl -s`.
func auditEnabled(out *snap.Output) Value[int] {
	for _, l := range outLines(out) {
		if f := l.fields(); len(f) == 2 && f[0] == "enabled" {
			if n, err := strconv.Atoi(f[1]); err == nil {
				return Is(n, By(auditctlStatus...))
			}
		}
	}
	return Not[int](Unknown, "`auditctl -s` does not tell whether audit is on")
}

// onDisk reads rules.d as augenrules does: by version order of the names, the
// last -e at the end.
func (a *Auditd) onDisk(s *snap.Snapshot) {
	a.Lock = Not[string](Absent, "no file in /etc/audit/rules.d locks the rules")
	es, st, why := s.Glob(auditRulesD)
	if st == Denied || st == Unknown {
		a.OnDisk, a.Lock = Not[[]AuditRule](st, why), Not[string](st, why)
		return
	}
	es = slices.Clone(es)
	slices.SortStableFunc(es, func(a, b *snap.Entry) int { return versionOrder(path.Base(a.Path), path.Base(b.Path)) })
	var all []line
	for _, e := range es {
		f, st, why := s.File(e.Path)
		if st != Known {
			a.OnDisk, a.Lock = Not[[]AuditRule](st, why), Not[string](st, why)
			return
		}
		for _, l := range lines(f) {
			if t := strings.TrimSpace(l.text); t != "" && t[0] != '#' {
				all = append(all, line{text: t, at: l.at})
			}
		}
	}
	a.OnDisk = auditList(all, Place{Path: "/etc/audit/rules.d"}, &a.Lock)
}

// versionOrder compares as `ls -v` does: runs of digits by their number.
func versionOrder(a, b string) int {
	for a != "" && b != "" {
		x, y := digits(a), digits(b)
		if x > 0 && y > 0 {
			m, n := strings.TrimLeft(a[:x], "0"), strings.TrimLeft(b[:y], "0")
			if c := cmp.Or(cmp.Compare(len(m), len(n)), cmp.Compare(m, n)); c != 0 {
				return c
			}
			a, b = a[x:], b[y:]
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

func digits(s string) int {
	n := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsDigit(r) })
	if n < 0 {
		return len(s)
	}
	return n
}
