package report

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/audit"
	"picket/internal/core/control"
)

// The parts of SARIF 2.1.0 that a report fills.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Automation  sarifAutomation   `json:"automationDetails"`
		Invocations []sarifInvocation `json:"invocations"`
		Results     []sarifResult     `json:"results"`
	}
	sarifAutomation struct {
		ID string `json:"id"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Start         string              `json:"startTimeUtc"`
		Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level   string    `json:"level"`
		Message sarifText `json:"message"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version,omitempty"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID         string          `json:"id"`
		Short      sarifText       `json:"shortDescription"`
		Full       *sarifText      `json:"fullDescription,omitempty"`
		Help       *sarifText      `json:"help,omitempty"`
		Default    sarifLevel      `json:"defaultConfiguration"`
		Properties sarifProperties `json:"properties"`
	}
	sarifLevel struct {
		Level string `json:"level"`
	}
	sarifProperties struct {
		Tags     []string `json:"tags,omitempty"`
		Severity string   `json:"security-severity,omitempty"` // 0.0 to 10.0, as GitHub sorts by it
		Layer    string   `json:"layer,omitempty"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Kind         string             `json:"kind"`
		Level        string             `json:"level"`
		Message      sarifText          `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Fingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions []sarifSuppression `json:"suppressions"` // of all results or of none
		Properties   sarifFacets        `json:"properties"`
	}
	sarifFacets struct {
		Verdict  string   `json:"verdict"`
		Evidence []string `json:"evidence,omitempty"`
	}
	sarifLocation struct {
		Physical *sarifPhysical `json:"physicalLocation,omitempty"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
	sarifLogical struct {
		Name string `json:"fullyQualifiedName"`
		Kind string `json:"kind"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Status        string `json:"status"`
		Justification string `json:"justification"`
	}
)

// What GitHub and others sort by: CVSS' bands, in their middle.
var (
	sarifLevels   = map[control.Severity]string{control.Critical: "error", control.High: "error", control.Medium: "warning", control.Low: "note"}
	sarifSeverity = map[control.Severity]string{control.Critical: "9.5", control.High: "8.0", control.Medium: "5.5", control.Low: "2.5"}
	sarifKinds    = map[control.Verdict]string{
		control.Pass: "pass", control.Fail: "fail", control.Ineffective: "fail",
		control.NotApplicable: "notApplicable", control.Unknown: "open", control.Error: "open",
	}
)

// SARIF writes a log of the Static Analysis Results Interchange Format 2.1.0:
// every control that was judged is a rule, and what is waived is suppressed.
func SARIF(w io.Writer, r audit.Report) error {
	run := sarifRun{
		Tool:        sarifTool{sarifDriver{Name: "picket", Version: r.Picket, Rules: []sarifRule{}}},
		Automation:  sarifAutomation{"picket/" + printable(r.Host.Name) + "/" + r.Profile},
		Invocations: []sarifInvocation{{Successful: true, Start: r.Taken.UTC().Format("2006-01-02T15:04:05Z")}},
		Results:     []sarifResult{},
	}
	for _, p := range r.Problems {
		run.Invocations[0].Notifications = append(run.Invocations[0].Notifications, sarifNotification{"warning", sarifText{printable(p)}})
	}
	for i, res := range r.Results {
		rule := sarifRule{
			ID: res.Control, Short: sarifText{printable(res.Title)}, Default: sarifLevel{sarifLevels[res.Severity]},
			Properties: sarifProperties{Tags: sarifTags(res), Severity: sarifSeverity[res.Severity], Layer: res.Layer},
		}
		if res.Why != "" {
			rule.Full = &sarifText{printable(res.Why)}
		}
		if res.Fix != "" {
			rule.Help = &sarifText{printable(res.Fix)}
		}
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, rule)
		one := sarifResult{
			RuleID: res.Control, RuleIndex: i, Kind: sarifKinds[res.Verdict], Level: "none",
			Message: sarifText{printable(said(res))}, Locations: sarifLocations(r, res),
			Fingerprints: map[string]string{"picket/v1": fingerprint(r, res)}, Suppressions: []sarifSuppression{},
			Properties: sarifFacets{string(res.Verdict), evidenceLines(res.Evidence)},
		}
		if one.Kind == "fail" {
			one.Level = sarifLevels[res.Severity]
		}
		if wv := res.Waiver; wv != nil {
			one.Suppressions = append(one.Suppressions, sarifSuppression{"external", "accepted",
				printable(wv.Reason + " (" + wv.Owner + ", until " + wv.Until.Format("2006-01-02") + ")")})
		}
		run.Results = append(run.Results, one)
	}
	return encode(w, sarifLog{
		Schema:  "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
		Version: "2.1.0", Runs: []sarifRun{run},
	})
}

// said is the reason of a result, or where there is none the title.
func said(res audit.Result) string {
	if strings.TrimSpace(res.Reason) == "" {
		return res.Title
	}
	return res.Reason
}

// fingerprint names a finding over time: it stays when lines move, values
// change or words are put in another way.
func fingerprint(r audit.Report, res audit.Result) string {
	sum := sha256.Sum256([]byte(r.Host.Name + "\x00" + res.Control))
	return hex.EncodeToString(sum[:16])
}

// sarifTags are the topic, and the numbers by which others know the rule.
func sarifTags(res audit.Result) []string {
	topic, _, _ := strings.Cut(res.Control, "/")
	out := []string{"security", topic}
	v := reflect.ValueOf(res.Refs)
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		for _, id := range v.Field(i).Interface().([]string) {
			out = append(out, name+"/"+id)
		}
	}
	return out
}

// sarifLocations are the files that evidence was found in; where there is
// none, the host.
func sarifLocations(r audit.Report, res audit.Result) []sarifLocation {
	var out []sarifLocation
	var seen []string
	for _, e := range res.Evidence {
		file, line := e.Place, 0
		if i := strings.LastIndexByte(file, ':'); i > 0 {
			if n, err := strconv.Atoi(file[i+1:]); err == nil && n > 0 {
				file, line = file[:i], n
			}
		}
		if !strings.HasPrefix(file, "/") || strings.ContainsAny(file, ", ") || slices.Contains(seen, e.Place) || len(out) == 10 {
			continue // a command, or several places
		}
		seen = append(seen, e.Place)
		p := &sarifPhysical{Artifact: sarifArtifact{(&url.URL{Scheme: "file", Path: strings.ToValidUTF8(file, "\uFFFD")}).String()}}
		if line > 0 {
			p.Region = &sarifRegion{line}
		}
		out = append(out, sarifLocation{Physical: p})
	}
	if len(out) == 0 {
		out = []sarifLocation{{Logical: []sarifLogical{{printable(r.Host.Name) + "/" + res.Control, "resource"}}}}
	}
	return out
}
