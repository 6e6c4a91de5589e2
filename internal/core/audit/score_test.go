package audit_test

import (
	"testing"
	"time"

	"picket/internal/core/audit"
	"picket/internal/core/control"
)

func results(rs ...audit.Result) []audit.Result { return rs }

func res(s control.Severity, v control.Verdict) audit.Result {
	return audit.Result{Severity: s, Verdict: v}
}

func waived(r audit.Result) audit.Result {
	r.Waiver = &audit.Waiver{Until: time.Unix(1, 0)}
	return r
}

func TestScore(t *testing.T) {
	for _, tc := range []struct {
		name                       string
		in                         []audit.Result
		score, without, confidence int
	}{
		{"nothing known", results(res(control.High, control.Unknown)), 0, 0, 0},
		{"nothing at all", nil, 0, 0, 0},
		{"all pass", results(res(control.High, control.Pass), res(control.Low, control.Pass)), 100, 100, 100},
		{"weights", results(res(control.High, control.Pass), res(control.Medium, control.Fail), res(control.Low, control.Pass)), 75, 75, 100},
		{"ineffective counts as a finding", results(res(control.High, control.Pass), res(control.High, control.Ineffective)), 50, 50, 100},
		{"not applicable counts nowhere", results(res(control.High, control.Pass), res(control.Critical, control.NotApplicable)), 100, 100, 100},
		{"unknown lowers confidence only", results(res(control.High, control.Pass), res(control.High, control.Unknown)), 100, 100, 50},
		{"our own error too", results(res(control.High, control.Pass), res(control.High, control.Error)), 100, 100, 50},
		{"one critical finding caps", results(append(many(50, control.High, control.Pass), res(control.Critical, control.Fail))...), 49, 49, 100},
		{"a waiver leaves the denominator, not the second score", results(res(control.High, control.Pass), waived(res(control.High, control.Fail))), 100, 50, 100},
		{"a waived critical finding still caps the second score", results(append(many(50, control.High, control.Pass), waived(res(control.Critical, control.Fail)))...), 100, 49, 100},
		{"a small finding is never rounded away", results(append(many(200, control.Critical, control.Pass), res(control.Low, control.Fail))...), 99, 99, 100},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, w, c := audit.Score(tc.in)
			if s != tc.score || w != tc.without || c != tc.confidence {
				t.Errorf("score %d, without waivers %d, confidence %d; want %d, %d, %d", s, w, c, tc.score, tc.without, tc.confidence)
			}
		})
	}
}

func many(n int, s control.Severity, v control.Verdict) []audit.Result {
	var out []audit.Result
	for range n {
		out = append(out, res(s, v))
	}
	return out
}
