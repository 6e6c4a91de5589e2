package report_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/joshdk/go-junit"
	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"

	"picket/internal/core/audit"
	"picket/internal/core/control"
	"picket/internal/report"
)

// hostile is what a host may send to steer whoever reads a report.
const hostile = "=cmd|' /C calc'!A0\n]]></failure><script>alert(1)</script> | [x](javascript:alert(1)) `a` \x1b[31m \xff \"q\" \\ \u202e www.evil.test http://evil.test"

// all are the recorded hosts' reports, and one of a hostile host.
func all(t *testing.T) map[string]audit.Report {
	t.Helper()
	out := recorded(t)
	no, yes := false, true
	bad := audit.Report{
		Schema: audit.Schema, Picket: "test", Taken: time.Unix(1_800_000_000, 0), Profile: "strict", Score: 40, Problems: []string{hostile},
		Host: audit.Host{Name: hostile, Target: "local", Via: "local"}, Counts: audit.Counts{Fail: 1, Pass: 1, Unknown: 1, Error: 1},
	}
	for i, v := range []control.Verdict{control.Fail, control.Pass, control.Unknown, control.Error, control.NotApplicable, control.Ineffective} {
		bad.Results = append(bad.Results, audit.Result{
			Control: fmt.Sprintf("topic/name-%d", i), Title: hostile, Layer: "host", Severity: control.Severities[i%4], Verdict: v, Reason: hostile,
			Configured: &yes, Effective: &no, Why: hostile, Fix: hostile + "\n```\nsudo rm\n", Risk: []string{"reboot"},
			Evidence: []control.Evidence{{Fact: hostile, Place: "/etc/a b:7", Found: hostile, Wanted: "no"}, {Fact: "x", Place: "/etc/ssh/sshd_config:57", Found: hostile}},
			Refs:     control.Refs{CISDebian12: []string{"5.1.1"}},
		})
	}
	bad.Results[5].Waiver = &audit.Waiver{Control: "topic/name-5", Reason: hostile, Owner: hostile, Until: bad.Taken}
	out["hostile"] = bad
	return out
}

func write(t *testing.T, f func(*bytes.Buffer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := f(&b); err != nil {
		t.Fatal(err)
	}
	for _, r := range b.String() {
		if r == 0x1b || r == 0x202e || r == 0xff {
			t.Errorf("a control character got through: %q", r)
		}
	}
	return b.String()
}

func TestCSV(t *testing.T) {
	for name, r := range all(t) {
		text := write(t, func(b *bytes.Buffer) error { return report.CSV(b, r) })
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(rows) != len(r.Results)+1 {
			t.Errorf("%s: %d rows for %d results", name, len(rows), len(r.Results))
		}
		for i, row := range rows[1:] {
			if row[1] != r.Results[i].Control || row[2] != string(r.Results[i].Verdict) {
				t.Errorf("%s: row %d is %v", name, i, row[:3])
			}
			for _, cell := range row {
				if cell != "" && strings.ContainsRune("=+-@", rune(cell[0])) {
					t.Errorf("%s: a formula: %.40q", name, cell)
				}
			}
		}
	}
}

// TestMarkdown renders the page: what a host sends must stay text.
func TestMarkdown(t *testing.T) {
	md := goldmark.New(goldmark.WithExtensions(extension.GFM))
	for name, r := range all(t) {
		text := write(t, func(b *bytes.Buffer) error { return report.Markdown(b, r) })
		var page bytes.Buffer
		if err := md.Convert([]byte(text), &page); err != nil {
			t.Fatal(err)
		}
		html := page.String()
		found := 0
		for _, res := range r.Results {
			if res.Finding() {
				found++
			}
		}
		if n := strings.Count(html, "<h3"); n != found {
			t.Errorf("%s: %d headings for %d findings", name, n, found)
		}
		if n := strings.Count(html, "<tr>"); found > 0 && n != found+1 {
			t.Errorf("%s: %d rows in the table for %d findings", name, n, found)
		}
		for _, bad := range []string{"<script", "<a ", "<!-- raw HTML", "<del", "<em"} {
			if strings.Contains(html, bad) {
				i := strings.Index(html, bad)
				t.Errorf("%s: %q in the page: %.120s", name, bad, html[i:])
			}
		}
	}
}

func TestJUnit(t *testing.T) {
	for name, r := range all(t) {
		text := write(t, func(b *bytes.Buffer) error { return report.JUnit(b, r) })
		suites, err := junit.Ingest([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := map[junit.Status]int{}
		for _, s := range suites {
			for _, c := range s.Tests {
				got[c.Status]++
			}
			if s.Totals.Tests != len(s.Tests) {
				t.Errorf("%s: suite %s has %d tests and says %d", name, s.Name, len(s.Tests), s.Totals.Tests)
			}
		}
		want := map[junit.Status]int{}
		for _, res := range r.Results {
			switch {
			case res.Finding():
				want[junit.StatusFailed]++
			case res.Verdict == control.Error:
				want[junit.StatusError]++
			case res.Verdict == control.Pass && res.Waiver == nil:
				want[junit.StatusPassed]++
			default:
				want[junit.StatusSkipped]++
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		var doc struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
			Skipped  int `xml:"skipped,attr"`
		}
		if err := xml.Unmarshal([]byte(text), &doc); err != nil || doc.Tests != len(r.Results) || doc.Failures != want[junit.StatusFailed] || doc.Skipped != want[junit.StatusSkipped] {
			t.Errorf("%s: the sums: %+v (%v)", name, doc, err)
		}
	}
}

// TestSARIF holds the log to the format's own schema, and to what a reader of
// others makes of it: nothing may be lost.
func TestSARIF(t *testing.T) {
	schema := sarifSchema(t)
	if err := schema.Validate(decode(t, []byte(`{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x", "rulez": []}}}]}`))); err == nil {
		t.Error("the schema accepts what it does not know")
	}
	for name, r := range all(t) {
		text := write(t, func(b *bytes.Buffer) error { return report.SARIF(b, r) })
		log, err := sarif.FromString(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var again bytes.Buffer
		if err := log.Write(&again); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(decode(t, []byte(text))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var ours, theirs any
		if err := json.Unmarshal([]byte(text), &ours); err != nil {
			t.Fatal(err)
		}
		_ = json.Unmarshal(again.Bytes(), &theirs)
		if lost := missing(ours, theirs, "$"); len(lost) > 0 {
			t.Errorf("%s: another reader does not know %s", name, strings.Join(lost[:min(len(lost), 5)], ", "))
		}
		run := log.Runs[0]
		if len(run.Results) != len(r.Results) || len(run.Tool.Driver.Rules) != len(r.Results) {
			t.Errorf("%s: %d results, %d rules for %d", name, len(run.Results), len(run.Tool.Driver.Rules), len(r.Results))
		}
		seen := map[string]bool{}
		for i, res := range run.Results {
			want := r.Results[i]
			if *res.RuleID != want.Control || *run.Tool.Driver.Rules[res.RuleIndex].ID != want.Control {
				t.Errorf("%s: result %d is of rule %s", name, i, *res.RuleID)
			}
			if (res.Kind == "fail") != want.Verdict.Bad() || (res.Level == "none") != (res.Kind != "fail") {
				t.Errorf("%s: %s is %s, %s", name, want.Control, res.Kind, res.Level)
			}
			if (len(res.Suppressions) > 0) != (want.Waiver != nil) {
				t.Errorf("%s: %s is suppressed: %v", name, want.Control, len(res.Suppressions) > 0)
			}
			print := res.PartialFingerprints["picket/v1"]
			if seen[print] || len(print) != 32 {
				t.Errorf("%s: fingerprint %q of %s", name, print, want.Control)
			}
			seen[print] = true
		}
	}
}

// sarifSchema is the format's own, of which go-sarif has a copy.
func sarifSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/owenrumney/go-sarif/v3").Output()
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "pkg/report/v210/sarif/schema.go"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(source), "`")
	text, _, ok := strings.Cut(text, "`")
	if !ok {
		t.Fatal("go-sarif keeps the schema in another way")
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("sarif.json", decode(t, []byte(text))); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("sarif.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSARIFFingerprints: a finding stays the same when lines move and values
// change, and is another one on another host.
func TestSARIFFingerprints(t *testing.T) {
	prints := func(r audit.Report) []string {
		log, err := sarif.FromString(write(t, func(b *bytes.Buffer) error { return report.SARIF(b, r) }))
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, res := range log.Runs[0].Results {
			out = append(out, res.PartialFingerprints["picket/v1"])
		}
		return out
	}
	r := all(t)["guides"]
	first := prints(r)
	for i := range r.Results {
		r.Results[i].Reason += " more"
		for j := range r.Results[i].Evidence {
			r.Results[i].Evidence[j].Place += "0"
		}
	}
	if !slices.Equal(first, prints(r)) {
		t.Error("a fingerprint changes with the words and lines of a finding")
	}
	r.Host.Name = "another"
	for i, p := range prints(r) {
		if p == first[i] {
			t.Fatal("two hosts share a fingerprint")
		}
	}
}

// missing lists what of a is not in b.
func missing(a, b any, at string) (out []string) {
	switch a := a.(type) {
	case map[string]any:
		m, _ := b.(map[string]any)
		for k, v := range a {
			out = append(out, missing(v, m[k], at+"."+k)...)
		}
	case []any:
		l, _ := b.([]any)
		if len(l) != len(a) && len(a) > 0 {
			return []string{at}
		}
		for i, v := range a {
			out = append(out, missing(v, l[i], at+"[]")...)
		}
	default:
		if a != b && a != false && a != 0.0 {
			return []string{at}
		}
	}
	return out
}

// TestOCSF holds each line to what the schema of a Compliance Finding requires
// (events/findings/compliance_finding.json and what it extends, of OCSF 1.3).
func TestOCSF(t *testing.T) {
	for name, r := range all(t) {
		text := write(t, func(b *bytes.Buffer) error { return report.OCSF(b, r) })
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		n := 0
		for _, res := range r.Results {
			if res.Verdict == control.NotApplicable {
				continue
			}
			var f struct {
				ActivityID  int   `json:"activity_id"`
				CategoryUID int   `json:"category_uid"`
				ClassUID    int   `json:"class_uid"`
				TypeUID     int   `json:"type_uid"`
				SeverityID  int   `json:"severity_id"`
				StatusID    int   `json:"status_id"`
				Time        int64 `json:"time"`
				Metadata    struct {
					Version string
					Product struct{ Name, Vendor_name string }
				}
				Info       struct{ UID, Title string } `json:"finding_info"`
				Compliance struct {
					Control   string
					Standards []string
					StatusID  int `json:"status_id"`
				}
				Resources []struct{ Name string }
			}
			if err := json.Unmarshal([]byte(lines[n]), &f); err != nil {
				t.Fatalf("%s: line %d: %v", name, n+1, err)
			}
			n++
			want := map[bool]int{true: 3, false: 2}[res.Verdict.Bad()]
			if res.Verdict == control.Pass {
				want = 1
			}
			switch {
			case f.ClassUID != 2003 || f.CategoryUID != f.ClassUID/1000 || f.TypeUID != f.ClassUID*100+f.ActivityID || f.ActivityID != 1:
				t.Errorf("%s: %s: class %d, category %d, type %d", name, res.Control, f.ClassUID, f.CategoryUID, f.TypeUID)
			case f.Time != r.Taken.UnixMilli() || f.Metadata.Version == "" || f.Metadata.Product.Name != "Picket" || f.Info.UID == "" || f.Info.Title == "":
				t.Errorf("%s: %s: something that is required is not there: %s", name, res.Control, lines[n-1])
			case f.Compliance.Control != res.Control || len(f.Compliance.Standards) == 0 || f.Compliance.StatusID != want || len(f.Resources) != 1:
				t.Errorf("%s: %s: compliance %+v, want status %d", name, res.Control, f.Compliance, want)
			case f.SeverityID < 1 || f.SeverityID > 5 || res.Verdict.Bad() != (f.SeverityID > 1) || (f.StatusID == 3) != (res.Waiver != nil):
				t.Errorf("%s: %s: severity %d, status %d", name, res.Control, f.SeverityID, f.StatusID)
			}
		}
		if n != len(lines) {
			t.Errorf("%s: %d lines for %d results", name, len(lines), n)
		}
	}
}

func TestPrometheus(t *testing.T) {
	for name, r := range all(t) {
		text := write(t, func(b *bytes.Buffer) error { return report.Prometheus(b, r) })
		parser := expfmt.NewTextParser(model.LegacyValidation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if n := len(families["picket_control"].GetMetric()); n != len(r.Results) {
			t.Errorf("%s: %d series for %d controls", name, n, len(r.Results))
		}
		if got := families["picket_score"].GetMetric()[0].GetGauge().GetValue(); int(got) != r.Score {
			t.Errorf("%s: score %v, want %d", name, got, r.Score)
		}
		if got := families["picket_audit_timestamp_seconds"].GetMetric()[0].GetGauge().GetValue(); int64(got) != r.Taken.Unix() {
			t.Errorf("%s: taken %v, want %d", name, got, r.Taken.Unix())
		}
		for fam, f := range families {
			if f.GetHelp() == "" || len(f.GetMetric()) == 0 && fam != "picket_waiver_end_timestamp_seconds" {
				t.Errorf("%s: %s has no help or no series", name, fam)
			}
		}
	}
}
