package report

import (
	"fmt"
	"io"
	"strings"

	"picket/internal/core/audit"
	"picket/internal/core/control"
)

// Prometheus writes metrics for node_exporter's folder of text files: what the
// host scores, and a series a control with its verdict.
func Prometheus(w io.Writer, r audit.Report) error {
	b := &strings.Builder{}
	metric := func(name, help string, lines func(put func(labels string, value float64))) {
		fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name)
		lines(func(labels string, value float64) { fmt.Fprintf(b, "%s{%s} %g\n", name, labels, value) })
	}
	host := label("host", r.Host.Name)
	one := func(value float64) func(func(string, float64)) {
		return func(put func(string, float64)) { put(host, value) }
	}
	metric("picket_score", "Weighted share of the controls that pass, 0 to 100, waivers left out.", one(float64(r.Score)))
	metric("picket_score_without_waivers", "The score as if nothing were waived.", one(float64(r.ScoreWithoutWaivers)))
	metric("picket_confidence", "Weighted share of what applies that could be judged, 0 to 100.", one(float64(r.Confidence)))
	metric("picket_audit_timestamp_seconds", "When the host was read.", one(float64(r.Taken.Unix())))
	metric("picket_findings", "Controls that do not pass and are not waived, by severity.", func(put func(string, float64)) {
		for _, s := range control.Severities {
			n := 0
			for _, res := range r.Results {
				if res.Finding() && res.Severity == s {
					n++
				}
			}
			put(host+","+label("severity", string(s)), float64(n))
		}
	})
	metric("picket_control", "1 for the verdict that a control has.", func(put func(string, float64)) {
		for _, res := range r.Results {
			put(strings.Join([]string{host, label("control", res.Control), label("severity", string(res.Severity)), label("verdict", string(res.Verdict)),
				label("waived", fmt.Sprint(res.Waiver != nil))}, ","), 1)
		}
	})
	metric("picket_waiver_end_timestamp_seconds", "When a waiver runs out.", func(put func(string, float64)) {
		for _, res := range r.Results {
			if res.Waiver != nil {
				put(host+","+label("control", res.Control), float64(res.Waiver.Until.Unix()))
			}
		}
	})
	_, err := io.WriteString(w, b.String())
	return err
}

// label writes a name and a value as the format of Prometheus wants it.
func label(name, value string) string {
	value = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(printable(value))
	return name + `="` + value + `"`
}
