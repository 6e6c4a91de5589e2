package main

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
)

// A tool audits the host that it runs on.
type tool struct {
	name    string
	argv    []string
	version func(context.Context, *host) string
	checks  func(run) int // how many checks a run made
	repeat  int           // runs in a round: a short one needs more for a steady figure

	runs []run
}

const (
	// Debian 12 has no content for itself; this is that for Debian 11 with its test of the version widened,
	// or every rule would be left out as not applicable.
	content = "/usr/share/xml/scap/ssg/content/ssg-debian11-ds.xml"
	widened = "/root/ssg-debian12-ds.xml"
	profile = "xccdf_org.ssgproject.content_profile_anssi_np_nt28_restrictive"
)

var (
	testsPerformed = regexp.MustCompile(`Tests performed : (\d+)`)
	ruleResult     = regexp.MustCompile(`(?m)^Result\s+(pass|fail|error|unknown|fixed)\b`)
)

func tools() []*tool {
	return []*tool{
		{
			name: "picket audit", argv: []string{picketOnHost, "audit", "--output", "json"}, repeat: 5,
			version: func(ctx context.Context, h *host) string { return h.Sh(ctx, picketOnHost+" --version") },
			checks: func(r run) int {
				var report struct{ Results []json.RawMessage }
				if json.Unmarshal([]byte(r.Stdout), &report) != nil {
					return 0
				}
				return len(report.Results)
			},
		},
		{
			name: "oscap", argv: []string{"oscap", "xccdf", "eval", "--profile", profile, "--results", "/root/oscap.xml", widened}, repeat: 2,
			version: func(ctx context.Context, h *host) string {
				return h.Sh(ctx, "dpkg-query -W -f='${Package} ${Version}, ' openscap-scanner ssg-debian") + "profile anssi_np_nt28_restrictive"
			},
			checks: func(r run) int { return len(ruleResult.FindAllString(r.Stdout, -1)) },
		},
		{
			name: "lynis", argv: []string{"lynis", "audit", "system", "--quick", "--no-colors"}, repeat: 1,
			version: func(ctx context.Context, h *host) string {
				return h.Sh(ctx, "dpkg-query -W -f='${Package} ${Version}' lynis")
			},
			checks: func(r run) int {
				m := testsPerformed.FindStringSubmatch(r.Stdout)
				if m == nil {
					return 0
				}
				n, _ := strconv.Atoi(m[1])
				return n
			},
		},
	}
}

// prepare makes OpenSCAP's content fit the host.
func prepare(ctx context.Context, h *host) error {
	script := `sed 's/\^11\.\[0-9\]/^12.[0-9]/' ` + content + ` >` + widened
	if _, err := h.Do(ctx, nil, "sh", "-c", script); err != nil {
		return err
	}
	return nil
}

// once runs the tool and refuses an answer that is none.
func (t *tool) once(ctx context.Context, h *host, sample bool) (run, error) {
	r, err := h.run(ctx, sample, t.argv...)
	if err != nil {
		return r, err
	}
	if t.checks(r) == 0 {
		return r, fmt.Errorf("%s made no checks (exit code %d)\n%.2000s\n%.2000s", t.name, r.Exit, r.Stdout, r.Stderr)
	}
	return r, nil
}
