package report

import (
	"encoding/json"
	"io"
	"reflect"
	"slices"
	"strings"

	"picket/internal/core/audit"
	"picket/internal/core/control"
)

// ocsfVersion of the Open Cybersecurity Schema Framework.
const ocsfVersion = "1.3.0"

// The parts of a Compliance Finding (class 2003) that a report fills.
type (
	ocsfFinding struct {
		ActivityID   int            `json:"activity_id"` // 1: created
		ActivityName string         `json:"activity_name"`
		CategoryUID  int            `json:"category_uid"` // 2: findings
		CategoryName string         `json:"category_name"`
		ClassUID     int            `json:"class_uid"`
		ClassName    string         `json:"class_name"`
		TypeUID      int            `json:"type_uid"` // class and activity
		TypeName     string         `json:"type_name"`
		Time         int64          `json:"time"` // milliseconds since 1970
		SeverityID   int            `json:"severity_id"`
		Severity     string         `json:"severity"`
		StatusID     int            `json:"status_id"` // 1: new, 3: suppressed
		Status       string         `json:"status"`
		Message      string         `json:"message"`
		Comment      string         `json:"comment,omitempty"` // of a waiver
		Metadata     ocsfMetadata   `json:"metadata"`
		Info         ocsfInfo       `json:"finding_info"`
		Compliance   ocsfCompliance `json:"compliance"`
		Remediation  *ocsfRemedy    `json:"remediation,omitempty"`
		Resources    []ocsfResource `json:"resources"`
		Unmapped     *ocsfFacets    `json:"unmapped,omitempty"`
	}
	ocsfMetadata struct {
		Version string      `json:"version"`
		Product ocsfProduct `json:"product"`
	}
	ocsfProduct struct {
		Name    string `json:"name"`
		Vendor  string `json:"vendor_name"`
		Version string `json:"version,omitempty"`
	}
	ocsfInfo struct {
		UID         string   `json:"uid"`
		Title       string   `json:"title"`
		Description string   `json:"desc,omitempty"`
		Types       []string `json:"types"`
	}
	ocsfCompliance struct {
		Control      string   `json:"control"`
		Standards    []string `json:"standards"`
		Requirements []string `json:"requirements,omitempty"`
		StatusID     int      `json:"status_id"` // 1 pass, 2 warning: no result, 3 fail
		Status       string   `json:"status"`
		StatusDetail string   `json:"status_detail,omitempty"`
	}
	ocsfRemedy struct {
		Description string `json:"desc"`
	}
	ocsfResource struct {
		Name string `json:"name"`
		Type string `json:"type"`
	}
	ocsfFacets struct {
		Verdict  string   `json:"verdict"`
		Evidence []string `json:"evidence,omitempty"`
	}
)

var (
	ocsfSeverity = map[control.Severity]int{control.Low: 2, control.Medium: 3, control.High: 4, control.Critical: 5}
	ocsfWords    = map[int]string{1: "Informational", 2: "Low", 3: "Medium", 4: "High", 5: "Critical"}
	ocsfStatus   = map[int]string{1: "Pass", 2: "Warning", 3: "Fail"}
	ocsfStandard = map[string]string{
		"cis-debian12": "CIS Debian Linux 12 Benchmark", "anssi-bp28": "ANSSI-BP-028", "dev-sec": "DevSec Hardening Framework",
		"lynis": "Lynis", "ssh-audit": "ssh-audit",
	}
)

// OCSF writes a Compliance Finding of the Open Cybersecurity Schema Framework a
// line, as collectors of security events take them. What does not apply has none.
func OCSF(w io.Writer, r audit.Report) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, res := range r.Results {
		if res.Verdict == control.NotApplicable {
			continue
		}
		f := ocsfFinding{
			ActivityID: 1, ActivityName: "Create", CategoryUID: 2, CategoryName: "Findings", ClassUID: 2003, ClassName: "Compliance Finding",
			TypeUID: 200301, TypeName: "Compliance Finding: Create", Time: r.Taken.UnixMilli(), StatusID: 1, Status: "New",
			Message:  printable(said(res)),
			Metadata: ocsfMetadata{ocsfVersion, ocsfProduct{"Picket", "Picket", r.Picket}},
			Info:     ocsfInfo{fingerprint(r, res), printable(res.Title), printable(res.Why), []string{res.Layer}},
			Compliance: ocsfCompliance{Control: res.Control, StatusID: 2, StatusDetail: printable(res.Reason),
				Standards: []string{"Picket"}},
			Resources: []ocsfResource{{printable(r.Host.Name), "Host"}},
			Unmapped:  &ocsfFacets{string(res.Verdict), evidenceLines(res.Evidence)},
		}
		v := reflect.ValueOf(res.Refs)
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			for _, id := range v.Field(i).Interface().([]string) {
				if s := ocsfStandard[name]; s != "" {
					if f.Compliance.Requirements = append(f.Compliance.Requirements, s+" "+id); !slices.Contains(f.Compliance.Standards, s) {
						f.Compliance.Standards = append(f.Compliance.Standards, s)
					}
				}
			}
		}
		f.SeverityID = 1
		switch {
		case res.Verdict == control.Pass:
			f.Compliance.StatusID = 1
		case res.Verdict.Bad():
			f.Compliance.StatusID, f.SeverityID = 3, ocsfSeverity[res.Severity]
			if res.Fix != "" {
				f.Remediation = &ocsfRemedy{printable(res.Fix)}
			}
		}
		f.Severity, f.Compliance.Status = ocsfWords[f.SeverityID], ocsfStatus[f.Compliance.StatusID]
		if res.Waiver != nil {
			f.StatusID, f.Status = 3, "Suppressed"
			f.Comment = printable(res.Waiver.Reason + " (" + res.Waiver.Owner + ", until " + res.Waiver.Until.Format("2006-01-02") + ")")
		}
		if err := enc.Encode(f); err != nil {
			return err
		}
	}
	return nil
}
