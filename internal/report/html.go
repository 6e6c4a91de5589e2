package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"picket/internal/core/audit"
	"picket/internal/core/control"
)

//go:embed html.tmpl
var htmlText string

//go:embed html.css
var htmlCSS string

var htmlPage = template.Must(template.New("report").Funcs(template.FuncMap{
	"day":     func(t time.Time) string { return t.Format("2 January 2006, 15:04 MST") },
	"lastDay": func(t time.Time) string { return t.AddDate(0, 0, -1).Format("2 January 2006") },
	"refs":    htmlRefs,
	"facets":  facets,
	"anchor":  func(id string) string { return strings.ReplaceAll(id, "/", "-") },
	"urgent":  func(s control.Severity) bool { return s.Rank() >= control.High.Rank() },
}).Parse(htmlText))

// HTML writes one self-contained page: no script, no network.
func HTML(w io.Writer, r audit.Report) error {
	return htmlPage.Execute(w, newPage(r))
}

// page is what the template shows.
type page struct {
	audit.Report
	CSS      template.CSS
	Band     string  // bad, fair, good: the colour of the score
	Arc      float64 // length of the score's arc, of a circle of 100
	Bars     []bar
	Findings []audit.Result
	Unknown  []reasonGroup
	Waived   []audit.Result
	Passed   []audit.Result
	Other    []audit.Result // not applicable
}

// bar is the count of findings of one severity.
type bar struct {
	Severity control.Severity
	Count    int
	Percent  float64 // of the longest bar
}

type reasonGroup struct {
	Reason  string
	Results []audit.Result
}

func newPage(r audit.Report) page {
	p := page{Report: r, CSS: template.CSS(htmlCSS), Arc: float64(r.Score), Band: "good"}
	switch {
	case r.Score <= audit.CriticalCap:
		p.Band = "bad"
	case r.Score < 80:
		p.Band = "fair"
	}
	counts := map[control.Severity]int{}
	most := 1
	for _, res := range r.Results {
		switch {
		case res.Waiver != nil:
			p.Waived = append(p.Waived, res)
		case res.Verdict.Bad(), res.Verdict == control.Error:
			p.Findings = append(p.Findings, res)
			counts[res.Severity]++
			most = max(most, counts[res.Severity])
		case res.Verdict == control.Unknown:
			i := slices.IndexFunc(p.Unknown, func(g reasonGroup) bool { return g.Reason == res.Reason })
			if i < 0 {
				p.Unknown = append(p.Unknown, reasonGroup{Reason: res.Reason})
				i = len(p.Unknown) - 1
			}
			p.Unknown[i].Results = append(p.Unknown[i].Results, res)
		case res.Verdict == control.Pass:
			p.Passed = append(p.Passed, res)
		default:
			p.Other = append(p.Other, res)
		}
	}
	for i := len(control.Severities) - 1; i >= 0; i-- {
		s := control.Severities[i]
		p.Bars = append(p.Bars, bar{s, counts[s], math.Round(1000*float64(counts[s])/float64(most)) / 10})
	}
	return p
}

// facet is one of the four answers beside a verdict.
type facet struct {
	Name  string
	State string // yes, no, open
	Mark  string
}

func facets(r audit.Result) []facet {
	var out []facet
	for _, f := range []struct {
		name string
		v    *bool
	}{{"configured", r.Configured}, {"in force now", r.Effective}, {"after a reboot", r.Persistent}} {
		switch {
		case f.v == nil:
			continue
		case *f.v:
			out = append(out, facet{f.name, "yes", "✓"})
		default:
			out = append(out, facet{f.name, "no", "✗"})
		}
	}
	return out
}

func htmlRefs(r control.Refs) []string {
	var out []string
	for _, x := range []struct {
		name string
		ids  []string
	}{
		{"CIS Debian 12", r.CISDebian12}, {"ANSSI BP-028", r.ANSSI}, {"dev-sec", r.DevSec},
		{"Lynis", r.Lynis}, {"ssh-audit", r.SSHAudit}, {"guide", r.Document},
	} {
		if len(x.ids) > 0 {
			out = append(out, fmt.Sprintf("%s %s", x.name, strings.Join(x.ids, ", ")))
		}
	}
	return out
}
