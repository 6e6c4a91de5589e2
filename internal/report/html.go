package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"picket/internal/core/audit"
	"picket/internal/core/control"
	"picket/internal/ui"
)

//go:embed html.tmpl
var htmlText string

//go:embed html.css
var htmlCSS string

//go:embed html.js
var htmlScript string

// scriptHash lets this one script run and no other, whatever a host sends.
var scriptHash = func() string {
	sum := sha256.Sum256([]byte(htmlScript))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}()

var htmlPage = template.Must(template.New("report").Funcs(template.FuncMap{
	"safe":    ui.Clean,
	"place":   func(s string) string { return ui.Clean(strings.Trim(shortPlace(s), "`")) },
	"iso":     func(t time.Time) string { return t.Format(time.RFC3339) },
	"day":     func(t time.Time) string { return t.Format("2 January 2006, 15:04 MST") },
	"lastDay": func(t time.Time) string { return t.AddDate(0, 0, -1).Format("2 January 2006") },
	"refs":    htmlRefs,
	"facets":  func(r found) []facet { return facets(r.Result) },
	"steps":   Steps,
	"risks":   Risks,
	"join":    func(s []string) string { return strings.Join(s, " · ") },
	"finding": func(r audit.Result, apply string) found { return found{r, apply} },
	"anchor":  func(id string) string { return strings.ReplaceAll(id, "/", "-") },
	"urgent": func(r found) bool {
		return r.Severity.Rank() >= control.High.Rank() || r.Verdict == control.Error
	},
	"head": func(ev []control.Evidence) []control.Evidence { return ev[:min(len(ev), mostEvidence)] },
	"tail": func(ev []control.Evidence) []control.Evidence { return ev[min(len(ev), mostEvidence):] },
}).Parse(htmlText))

// mostEvidence is how many pieces of evidence stand open.
const mostEvidence = 6

// HTML writes one self-contained page. It needs no network, and no script: the
// small one in it filters and copies.
func HTML(w io.Writer, r audit.Report) error { return Page{}.Write(w, r) }

// Page is HTML with the commands to type at the terminal from which it was written.
type Page struct {
	Next []Hint // after the audit; may be empty
	// Apply is the command that has Picket make what a finding is about right, "" where it cannot; nil: it never can.
	Apply func(control string) string
}

// Write writes the page.
func (o Page) Write(w io.Writer, r audit.Report) error {
	p := newPage(r)
	p.Next = o.Next
	for _, f := range p.Findings {
		if o.Apply == nil {
			break
		}
		if c := o.Apply(f.Control); c != "" {
			p.Applies[f.Control] = c
		}
	}
	return htmlPage.Execute(w, p)
}

// page is what the template shows.
type page struct {
	audit.Report
	CSS       template.CSS
	Script    template.JS
	Hash      string
	Elsewhere string // for what machine the fixes are
	How       string // it was read
	There     string // for what machine the fixes are, where it is not the reader's
	Capped    bool   // by a critical finding
	Cap       int
	Band      string  // bad, fair, good: the colour of the score
	Arc       float64 // length of the score's arc, of a circle of 100
	Bars      []bar
	Findings  []audit.Result
	Applies   map[string]string // commands of Picket, by control
	Next      []Hint
	Unknown   []UnknownGroup
	Waived    []audit.Result
	Passed    []audit.Result
	Other     []audit.Result // not applicable
}

// found is a finding, and the command that has Picket make it right.
type found struct {
	audit.Result
	Apply string // "" where there is none
}

// bar is the count of findings of one severity.
type bar struct {
	Severity control.Severity
	Count    int
	Percent  float64 // of the longest bar
}

func newPage(r audit.Report) page {
	p := page{
		Report: r, CSS: template.CSS(htmlCSS), Script: template.JS(htmlScript), Hash: scriptHash,
		Arc: float64(r.Score), Band: band(r), Cap: audit.CriticalCap, Unknown: Unknowns(r),
		There: elsewhere(r), Applies: map[string]string{},
		How: map[string]string{"local": "on the host itself", "ssh": "over SSH", "image": "from its disk"}[r.Host.Via],
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
			p.Capped = p.Capped || res.Severity == control.Critical && res.Finding()
			most = max(most, counts[res.Severity])
		case res.Verdict == control.Unknown: // grouped by cause
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
	State string // yes, no
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
	// A finding that is wrong in every way says so by being there.
	if !slices.ContainsFunc(out, func(f facet) bool { return f.State == "yes" }) {
		return nil
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
		{"Lynis", r.Lynis}, {"ssh-audit", r.SSHAudit}, {"the hardening guides of", r.Document},
	} {
		if len(x.ids) > 0 {
			out = append(out, fmt.Sprintf("%s %s", x.name, strings.Join(x.ids, ", ")))
		}
	}
	return out
}
