package report_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"picket/catalogue"
	"picket/internal/core/audit"
	"picket/internal/core/control"
	"picket/internal/core/kind"
	"picket/internal/host/snapshot"
	"picket/internal/report"
)

// recorded judges the recorded hosts with every control.
func recorded(t *testing.T) map[string]audit.Report {
	t.Helper()
	controls, ps := control.Load(catalogue.Controls(), kind.All())
	if err := ps.Err(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../../testdata/hosts/*.snapshot")
	if err != nil || len(files) < 3 {
		t.Fatalf("recorded hosts: %v, %v", files, err)
	}
	out := map[string]audit.Report{}
	for _, f := range files {
		s, err := snapshot.Open(f)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(filepath.Base(f), ".snapshot")] = audit.Evaluate(controls, s, audit.Options{
			Version: "test", Profile: "strict", Now: s.Taken,
			Waivers: []audit.Waiver{{Control: "ssh/password-login", Reason: "a trial", Owner: "Ada", Until: s.Taken.AddDate(0, 0, 1)}},
		})
	}
	return out
}

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	s, err := c.Compile("../../docs/report.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func decode(t *testing.T, data []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestSchema holds real reports, alone and in an array, to the schema, and the
// schema to saying no.
func TestSchema(t *testing.T) {
	s := schema(t)
	var all []audit.Report
	for name, r := range recorded(t) {
		r.Results = append(r.Results, audit.Result{
			Control: "x/bug", Title: "t", Layer: "host", Severity: control.Low, Verdict: control.Error, Reason: "a bug", Evidence: []control.Evidence{},
		})
		all = append(all, r)
		var b bytes.Buffer
		if err := report.JSON(&b, r); err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(decode(t, b.Bytes())); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for what, spoil := range map[string]func(map[string]any){
			"a field too many":   func(m map[string]any) { m["extra"] = 1 },
			"no results":         func(m map[string]any) { delete(m, "results") },
			"another verdict":    func(m map[string]any) { m["results"].([]any)[0].(map[string]any)["verdict"] = "maybe" },
			"a facet as text":    func(m map[string]any) { m["results"].([]any)[0].(map[string]any)["effective"] = "yes" },
			"a score out of 100": func(m map[string]any) { m["score"] = 101 },
			"a date in words":    func(m map[string]any) { m["taken"] = "yesterday" },
		} {
			m := decode(t, b.Bytes()).(map[string]any)
			spoil(m)
			if s.Validate(m) == nil {
				t.Errorf("%s: the schema accepts %s", name, what)
			}
		}
	}
	var b bytes.Buffer
	if err := report.JSONArray(&b, all); err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(decode(t, b.Bytes())); err != nil {
		t.Errorf("an array of reports: %v", err)
	}
}

// TestPromisedFields wants every field that others build on in every result,
// facets as true, false or null, and lists that are never null.
func TestPromisedFields(t *testing.T) {
	for name, r := range recorded(t) {
		var b bytes.Buffer
		if err := report.JSON(&b, r); err != nil {
			t.Fatal(err)
		}
		var m struct {
			Results []map[string]json.RawMessage `json:"results"`
		}
		if err := json.Unmarshal(b.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		for _, res := range m.Results {
			for _, field := range strings.Fields("control title layer severity verdict configured effective persistent explicit reason evidence refs waiver") {
				if _, ok := res[field]; !ok {
					t.Fatalf("%s: %s has no %s", name, res["control"], field)
				}
			}
			for _, facet := range strings.Fields("configured effective persistent explicit") {
				if v := string(res[facet]); v != "true" && v != "false" && v != "null" {
					t.Errorf("%s: %s: %s is %s", name, res["control"], facet, v)
				}
			}
			if string(res["evidence"]) == "null" {
				t.Errorf("%s: %s: evidence is null", name, res["control"])
			}
		}
	}
}

// TestShortFormFits wants the short form on a screen of 24 lines with room for
// the prompt, and nothing wider than the terminal.
func TestShortFormFits(t *testing.T) {
	for name, r := range recorded(t) {
		for _, width := range []int{80, 100} {
			var b bytes.Buffer
			r.Problems = []string{strings.Repeat("something went wrong ", 30), "and more"}
			if err := (report.Text{Width: width, Short: true, Next: []report.Hint{{"picket audit", "all of it"}, {"picket plan", ""}, {"picket apply", strings.Repeat("long ", 20)}}}).Write(&b, r); err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
			if len(lines) > 23 {
				t.Errorf("%s: %d lines at %d columns:\n%s", name, len(lines), width, &b)
			}
			for _, l := range lines {
				if n := utf8.RuneCountInString(l); n > width && strings.Contains(strings.TrimSpace(l), " ") {
					t.Errorf("%s: %d letters at %d columns: %s", name, n, width, l)
				}
			}
			if !strings.Contains(b.String(), "\nNext: picket audit  # all of it\n      picket plan\n      picket apply\n") {
				t.Errorf("%s: nothing to type next", name)
			}
		}
	}
}

// TestUnknownsByCause groups what wants root into one thing to do.
func TestUnknownsByCause(t *testing.T) {
	u := func(id, reason string) audit.Result {
		return audit.Result{Control: id, Verdict: control.Unknown, Reason: reason}
	}
	r := audit.Report{Host: audit.Host{Via: "local"}, Results: []audit.Result{
		u("a/a", "run as root to read /etc/shadow"), u("a/b", "run as root to read /etc/shadow"),
		u("a/c", "only root may read the kernel's packet filter; run as root"), u("a/d", "the walk ran out of time"),
	}}
	groups := report.Unknowns(r)
	if len(groups) != 2 || len(groups[0].Results) != 3 || len(groups[0].Missing) != 2 || groups[0].Hint == "" || groups[1].Cause != "the walk ran out of time" {
		t.Fatalf("groups: %+v", groups)
	}
	var b bytes.Buffer
	if err := (report.Text{Width: 80}).Write(&b, r); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "run as root") || strings.Count(b.String(), "run Picket with sudo") != 1 {
		t.Errorf("root is asked for more than once:\n%s", &b)
	}
	r.Host.Via = "ssh"
	if g := report.Unknowns(r); !strings.Contains(g[0].Hint, "--sudo-password-file") {
		t.Errorf("over SSH the hint is %q", g[0].Hint)
	}
}

// TestHostileHost shows nothing that a host sends as anything but text.
// TestUnknownsOfAnImage wants one cause for all that a disk cannot tell.
func TestUnknownsOfAnImage(t *testing.T) {
	r := audit.Report{Host: audit.Host{Via: "image", Root: true}}
	for _, reason := range []string{"an image listens on nothing", "apt cannot be asked on an image", "there is no /boot/grub/grub.cfg"} {
		r.Results = append(r.Results, audit.Result{Control: "a/b", Verdict: control.Unknown, Reason: reason})
	}
	groups := report.Unknowns(r)
	if r.Host.Via = "ssh"; len(report.Unknowns(r)) != 3 {
		t.Errorf("of a running host: %+v", report.Unknowns(r))
	}
	if len(groups) != 2 || len(groups[0].Results) != 2 || len(groups[0].Missing) != 2 || !strings.Contains(groups[0].Cause, "running host") {
		t.Errorf("%+v", groups)
	}
}

// TestUnknownsWithPlaces wants one cause for reasons that differ in the place.
func TestUnknownsWithPlaces(t *testing.T) {
	systemd := "`systemctl list-units` failed: System has not been booted with systemd as init system (PID 1). Can't operate."
	var r audit.Report
	for _, reason := range []string{
		"/etc/motd was not read", "no file sets kernel.sysrq, and the kernel's own default is not known", "/etc/group- was not read",
		"the services could not be read: " + systemd, systemd, "the boot loader was not read",
		"no file sets kernel.dmesg_restrict, and the kernel's own default is not known",
	} {
		r.Results = append(r.Results, audit.Result{Control: "a/b", Verdict: control.Unknown, Reason: reason})
	}
	groups := report.Unknowns(r)
	if len(groups) != 4 {
		t.Fatalf("%d causes, want 4: %+v", len(groups), groups)
	}
	for i, want := range []struct {
		cause   string
		missing string
		n       int
	}{
		{"--only", "/etc/motd /etc/group-", 2}, {"no file sets these", "kernel.sysrq kernel.dmesg_restrict", 2},
		{"systemd does not run here", "", 2}, {"the boot loader was not read", "", 1},
	} {
		g := groups[i]
		if !strings.Contains(g.Cause, want.cause) || strings.Join(g.Missing, " ") != want.missing || len(g.Results) != want.n {
			t.Errorf("cause %d is %+v, want %+v", i, g, want)
		}
	}
	var b strings.Builder
	if err := (report.Text{Width: 80}).Write(&b, r); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "no score") || strings.Contains(b.String(), "score 0") {
		t.Errorf("of a host of which nothing is known it is said:\n%s", b.String())
	}
}

func TestHostileHost(t *testing.T) {
	evil := "<script>alert(1)</script>\x1b[2J\u202egnp.exe\u009b31m\r\nscore 100 of 100 </style><img src=x onerror=alert(1)> `\" '"
	r := audit.Report{
		Schema: audit.Schema, Profile: "strict", Taken: time.Unix(0, 0).UTC(), Score: 1, Problems: []string{evil},
		Host: audit.Host{Name: evil, Target: evil, Via: "ssh", OS: evil, Model: evil, Kernel: evil},
	}
	for i, v := range []control.Verdict{control.Fail, control.Ineffective, control.Unknown, control.Pass, control.NotApplicable, control.Error} {
		res := audit.Result{
			Control: "a/" + string(rune('a'+i)), Title: "t", Severity: control.High, Verdict: v, Reason: evil, Why: "w", Fix: "sudo x",
			Evidence: []control.Evidence{{Fact: evil, Place: evil, Found: evil, Wanted: evil}},
		}
		if v == control.Ineffective {
			res.Waiver = &audit.Waiver{Owner: evil, Reason: evil}
		}
		r.Results = append(r.Results, res)
	}
	var page bytes.Buffer
	if err := report.HTML(&page, r); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script>alert", "<img", "\x1b", "\u202e", "\u009b", "</style><"} {
		if strings.Contains(page.String(), bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	for _, short := range []bool{true, false} {
		var text bytes.Buffer
		if err := (report.Text{Width: 80, Short: short, All: true}).Write(&text, r); err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"\x1b", "\u202e", "\u009b", "\r", "\nscore 100"} {
			if strings.Contains(text.String(), bad) {
				t.Errorf("the text holds %q:\n%s", bad, &text)
			}
		}
	}
}

// TestPageStandsAlone wants one file without a network, with one script, which
// is the one that its own policy lets run.
func TestPageStandsAlone(t *testing.T) {
	for name, r := range recorded(t) {
		var b bytes.Buffer
		if err := report.HTML(&b, r); err != nil {
			t.Fatal(err)
		}
		page := b.String()
		scripts := regexp.MustCompile(`(?s)<script>(.*?)</script>`).FindAllStringSubmatch(page, -1)
		if len(scripts) != 1 {
			t.Fatalf("%s: %d scripts", name, len(scripts))
		}
		sum := sha256.Sum256([]byte(scripts[0][1]))
		if want := "script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(html.UnescapeString(page), want) {
			t.Errorf("%s: the policy does not let the script run: want %s", name, want)
		}
		for _, bad := range []string{" src=", "<link", "@import", "url(", "<iframe", " onclick=", "javascript:"} {
			if strings.Contains(page, bad) {
				t.Errorf("%s: the page holds %q", name, bad)
			}
		}
		for _, want := range []string{"<main>", "<html lang=", `name="viewport"`, "prefers-color-scheme:dark", "@media print", "Accepted for now", "What the score says"} {
			if !strings.Contains(page, want) {
				t.Errorf("%s: the page has no %s", name, want)
			}
		}
	}
}

// TestLongFix: a fix of many commands is begun, and the rest is told of.
func TestLongFix(t *testing.T) {
	var b strings.Builder
	r := audit.Report{Results: []audit.Result{{Control: "a/b", Verdict: control.Fail, Severity: control.High, Reason: "x", Fix: "sudo a1\nsudo a2\nsudo a3\nsudo a4\nsudo a5\nsudo a6\n"}}}
	if err := (report.Text{Width: 80}).Write(&b, r); err != nil {
		t.Fatal(err)
	}
	if s := b.String(); !strings.Contains(s, "sudo a5") || strings.Contains(s, "sudo a6") || !strings.Contains(s, "and more: picket explain a/b") {
		t.Error(s)
	}
}

// TestRisk: commands that could lock somebody out are never shown without
// saying so, and the fix of what is configured is shown like any other.
func TestRisk(t *testing.T) {
	r := audit.Report{Results: []audit.Result{{
		Control: "a/b", Verdict: control.Ineffective, Severity: control.High, Reason: "x",
		Fix: "sudo apt install y\n", Risk: []string{"lose-network", "reboot"}, Note: "it is loud",
	}}}
	var b strings.Builder
	if err := (report.Text{Width: 80, Name: "./picket"}).Write(&b, r); err != nil {
		t.Fatal(err)
	}
	if s := b.String(); !strings.Contains(s, "risk  the host could lose its network") || !strings.Contains(s, "fix   sudo apt install y") || strings.Contains(s, "reboot") {
		t.Error(s)
	}
	b.Reset()
	if err := report.HTML(&b, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"the host could lose its network", "it takes a reboot", "it is loud"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	r.Results[0].Fix = "First look at this.\nsudo x\n"
	b.Reset()
	if err := (report.Text{Width: 80, Name: "./picket"}).Write(&b, r); err != nil {
		t.Fatal(err)
	}
	if s := b.String(); !strings.Contains(s, "fix   ./picket explain a/b") {
		t.Error(s)
	}
}

// TestFixes: where few controls are looked at, nothing of a fix is left to
// another command.
func TestFixes(t *testing.T) {
	r := audit.Report{Results: []audit.Result{{
		Control: "a/b", Verdict: control.Fail, Severity: control.High, Reason: "x", Risk: []string{"reboot"}, Note: "it is loud",
		Fix: "First look at this.\nsudo x /very/long/name/of/a/file/that/goes/on/and/on /and/another/one/that/is/not/wrapped/either\nsudo y\nIn a new session: z now.\n",
	}}}
	var b strings.Builder
	if err := (report.Text{Width: 60, Fixes: true, Name: "./picket"}).Write(&b, r); err != nil {
		t.Fatal(err)
	}
	const want = `
          risk  it takes a reboot to be in force
          fix   First look at this.
                sudo x /very/long/name/of/a/file/that/goes/on/and/on /and/another/one/that/is/not/wrapped/either
                sudo y
                In a new session: z now.
          note  it is loud
`
	if !strings.Contains(b.String(), want) || strings.Contains(b.String(), "explain") {
		t.Error(b.String())
	}
}

func TestSteps(t *testing.T) {
	got := report.Steps(`First make sure that a key works: ssh HOST
Put it into a file, and reload. Keep this session
open until a new login has worked.
echo 'A no' | sudo tee -a /etc/x
sudo sshd -t
In /etc/fail2ban/jail.local:
  [DEFAULT]
`)
	want := []report.Step{
		{Text: "First make sure that a key works: ssh HOST"},
		{Text: "Put it into a file, and reload. Keep this session open until a new login has worked."},
		{Text: "echo 'A no' | sudo tee -a /etc/x\nsudo sshd -t", Code: true},
		{Text: "In /etc/fail2ban/jail.local:"},
		{Text: "  [DEFAULT]", Code: true},
	}
	if len(got) != len(want) {
		t.Fatalf("%d steps: %+v", len(got), got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("step %d is %+v, want %+v", i, got[i], want[i])
		}
	}
}
