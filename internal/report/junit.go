package report

import (
	"encoding/xml"
	"io"
	"strings"

	"picket/internal/core/audit"
	"picket/internal/core/control"
)

// The elements that the field's readers of JUnit's XML agree on.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Skipped  int          `xml:"skipped,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name      string      `xml:"name,attr"`
		Hostname  string      `xml:"hostname,attr"`
		Timestamp string      `xml:"timestamp,attr"`
		Time      string      `xml:"time,attr"`
		Tests     int         `xml:"tests,attr"`
		Failures  int         `xml:"failures,attr"`
		Errors    int         `xml:"errors,attr"`
		Skipped   int         `xml:"skipped,attr"`
		Cases     []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name      string     `xml:"name,attr"`
		Classname string     `xml:"classname,attr"`
		Time      string     `xml:"time,attr"`
		Failure   *junitText `xml:"failure"`
		Error     *junitText `xml:"error"`
		Skipped   *junitText `xml:"skipped"`
	}
	junitText struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes a test suite a topic and a test a control, for servers that
// build and test. A finding fails; what is waived, unknown or does not apply is
// skipped, with the reason.
func JUnit(w io.Writer, r audit.Report) error {
	doc := junitSuites{Name: "picket " + printable(r.Host.Name)}
	at := map[string]int{}
	for _, res := range r.Results {
		topic, name, _ := strings.Cut(res.Control, "/")
		i, ok := at[topic]
		if !ok {
			i = len(doc.Suites)
			at[topic] = i
			doc.Suites = append(doc.Suites, junitSuite{Name: topic, Hostname: printable(r.Host.Name), Timestamp: r.Taken.UTC().Format("2006-01-02T15:04:05"), Time: "0"})
		}
		s := &doc.Suites[i]
		c := junitCase{Name: printable(name + ": " + res.Title), Classname: "picket." + topic, Time: "0"}
		said := &junitText{Message: printable(res.Reason), Type: string(res.Severity), Text: strings.Join(evidenceLines(res.Evidence), "\n")}
		switch {
		case res.Finding():
			if res.Fix != "" {
				said.Text += "\n\n" + printable(res.Fix)
			}
			c.Failure = said
			s.Failures++
		case res.Verdict == control.Error:
			c.Error = said
			s.Errors++
		case res.Waiver != nil:
			c.Skipped = &junitText{Message: printable("accepted by " + res.Waiver.Owner + " until " + res.Waiver.Until.Format("2006-01-02") + ": " + res.Waiver.Reason)}
			s.Skipped++
		case res.Verdict != control.Pass:
			c.Skipped = &junitText{Message: printable(string(res.Verdict) + ": " + res.Reason)}
			s.Skipped++
		}
		s.Cases = append(s.Cases, c)
		s.Tests++
	}
	for _, s := range doc.Suites {
		doc.Tests, doc.Failures, doc.Errors, doc.Skipped = doc.Tests+s.Tests, doc.Failures+s.Failures, doc.Errors+s.Errors, doc.Skipped+s.Skipped
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
