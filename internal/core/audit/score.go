package audit

import "picket/internal/core/control"

// Weight of a control in the score, by severity.
func Weight(s control.Severity) int {
	return map[control.Severity]int{control.Low: 1, control.Medium: 3, control.High: 8, control.Critical: 20}[s]
}

// CriticalCap is the highest score of a host with a critical finding.
const CriticalCap = 49

// Score sums up results.
//
//	score      = 100 × weight of passes / weight of passes and findings
//	confidence = 100 × weight of passes and findings / that and what is unknown
//
// Not-applicable results count nowhere; waived findings leave the first score
// but not the second, withoutWaivers. One critical finding that is not waived
// caps a score at CriticalCap; a finding of any weight keeps it below 100.
// A host of which nothing is known has score 0 and confidence 0.
func Score(results []Result) (score, withoutWaivers, confidence int) {
	var pass, found, waived, unknown int
	var critical, waivedCritical bool
	for _, r := range results {
		w := Weight(r.Severity)
		switch {
		case r.Verdict == control.Pass:
			pass += w
		case r.Finding():
			found += w
			critical = critical || r.Severity == control.Critical
		case r.Verdict.Bad():
			waived += w
			waivedCritical = waivedCritical || r.Severity == control.Critical
		case r.Verdict == control.Unknown, r.Verdict == control.Error:
			unknown += w
		}
	}
	score = share(pass, pass+found, critical)
	withoutWaivers = share(pass, pass+found+waived, critical || waivedCritical)
	if known := pass + found + waived; known > 0 {
		confidence = 100 * known / (known + unknown)
	}
	return score, withoutWaivers, confidence
}

func share(part, whole int, critical bool) int {
	if whole == 0 {
		return 0
	}
	s := 100 * part / whole
	if critical {
		s = min(s, CriticalCap)
	}
	return s
}
