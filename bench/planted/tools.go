package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"picket/bench/booted"
)

// A report is what a tool says in one run, a line a thing.
type report map[string]bool

// A tool audits the host that it runs on.
type tool struct {
	name    string
	version func(context.Context, *booted.Host) string
	report  func(context.Context, *booted.Host) (report, error)
	verdict func(r report, control string) bool // Picket's: says the control itself that it is bad?
	usually func() string                       // what it reports without any fault, by kind

	usual report
}

// knows takes a report of the host without faults as what is usual.
func (t *tool) knows(r report) {
	if t.usual == nil {
		t.usual = report{}
	}
	maps.Copy(t.usual, r)
}

// news is what is not usual.
func (t *tool) news(r report) []string {
	var out []string
	for _, line := range slices.Sorted(maps.Keys(r)) {
		if !t.usual[line] {
			out = append(out, line)
		}
	}
	return out
}

const (
	// Debian 12 has no content for itself; this is that for Debian 11 with its test of the version widened,
	// or every rule would be left out as not applicable.
	content = "/usr/share/xml/scap/ssg/content/ssg-debian11-ds.xml"
	widened = "/root/ssg-debian12-ds.xml"
	profile = "xccdf_org.ssgproject.content_profile_anssi_np_nt28_restrictive"
)

func tools() []*tool {
	picket := &tool{
		name: "Picket", version: func(ctx context.Context, h *booted.Host) string {
			return h.Sh(ctx, booted.Picket+" --version") + ", profile strict"
		},
		report: picketReport,
		verdict: func(r report, control string) bool {
			for line := range r {
				if strings.HasPrefix(line, control+" ") {
					return true
				}
			}
			return false
		},
	}
	lynis := &tool{
		name: "Lynis", version: func(ctx context.Context, h *booted.Host) string {
			return h.Sh(ctx, "dpkg-query -W -f='${Package} ${Version}' lynis") + ", audit system"
		},
		report: lynisReport,
	}
	oscap := &tool{
		name: "OpenSCAP", version: func(ctx context.Context, h *booted.Host) string {
			return h.Sh(ctx, "dpkg-query -W -f='${Package} ${Version}, ' openscap-scanner ssg-debian") + "profile anssi_np_nt28_restrictive"
		},
		report: oscapReport,
	}
	for _, t := range []*tool{picket, lynis, oscap} {
		t.usually = func() string {
			kinds := map[string]int{}
			for line := range t.usual {
				fields := strings.Fields(line)
				kinds[fields[len(fields)-1]]++
			}
			var out []string
			for _, k := range slices.Sorted(maps.Keys(kinds)) {
				out = append(out, fmt.Sprintf("%d %s", kinds[k], k))
			}
			return strings.Join(out, ", ")
		}
	}
	return []*tool{picket, lynis, oscap}
}

// picketReport has a line a finding: "control verdict severity".
func picketReport(ctx context.Context, h *booted.Host) (report, error) {
	out, err := h.Answer(ctx, booted.Picket, "audit", "--profile", "strict", "--output", "json")
	if err != nil {
		return nil, err
	}
	var got struct {
		Results []struct{ Control, Verdict, Severity string }
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || len(got.Results) == 0 {
		return nil, fmt.Errorf("no report of Picket: %w\n%.500s", err, out)
	}
	r := report{}
	for _, res := range got.Results {
		if res.Verdict == "fail" || res.Verdict == "ineffective" {
			r[res.Control+" "+res.Verdict+" "+res.Severity] = true
		}
	}
	return r, nil
}

var lynisLine = regexp.MustCompile(`(?m)^(warning|suggestion)\[\]=([A-Z]+-\d+)\|([^|]*)\|([^|\n]*)`)

// lynisReport has a line a warning or suggestion, with its details.
func lynisReport(ctx context.Context, h *booted.Host) (report, error) {
	if _, err := h.Answer(ctx, "lynis", "audit", "system", "--quick", "--no-colors", "--report-file", "/root/lynis.dat", "--logfile", "/dev/null"); err != nil {
		return nil, err
	}
	text, err := h.Do(ctx, nil, "cat", "/root/lynis.dat")
	if err != nil {
		return nil, err
	}
	r := report{}
	for _, m := range lynisLine.FindAllStringSubmatch(text, -1) {
		r[m[2]+" "+m[3]+" "+m[4]+" "+m[1]] = true
	}
	if !strings.Contains(text, "lynis_version") || !strings.Contains(text, "report_datetime_end") {
		return nil, fmt.Errorf("the report of Lynis is not whole:\n%.500s", text)
	}
	return r, nil
}

var oscapRule = regexp.MustCompile(`(?m)^Rule\s+(\S+)\s*$(?:\n.*\S.*$)*?\nResult\s+(\w+)`)

// oscapReport has a line a rule that failed.
func oscapReport(ctx context.Context, h *booted.Host) (report, error) {
	if _, err := h.Do(ctx, nil, "sh", "-c", `[ -e `+widened+` ] || sed 's/\^11\.\[0-9]/^12.[0-9]/' `+content+` >`+widened); err != nil {
		return nil, err
	}
	out, err := h.Answer(ctx, "oscap", "xccdf", "eval", "--profile", profile, widened)
	if err != nil {
		return nil, err
	}
	r, rules := report{}, 0
	for _, m := range oscapRule.FindAllStringSubmatch(out, -1) {
		rules++
		if m[2] == "fail" {
			r[m[1]+" fail"] = true
		}
	}
	if rules < 20 {
		return nil, fmt.Errorf("OpenSCAP judged %d rules\n%.1000s", rules, out)
	}
	return r, nil
}
