package cli

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"picket/internal/ui"
)

var update = flag.Bool("update", false, "write the golden reports of testdata/hosts anew")

// TestRecordedHosts audits the hosts of testdata/hosts and compares the reports
// with those beside them: docs/recorded-hosts.md.
func TestRecordedHosts(t *testing.T) {
	const dir = "../../testdata/hosts"
	snapshots, err := filepath.Glob(dir + "/*.snapshot")
	if err != nil || len(snapshots) != 3 {
		t.Fatalf("%d recorded hosts, want 3 (%v)", len(snapshots), err)
	}
	for _, file := range snapshots {
		name := strings.TrimSuffix(filepath.Base(file), ".snapshot")
		for format, flags := range map[string][]string{"txt": {"--output=text", "--all"}, "json": {"--output=json"}} {
			t.Run(name+"."+format, func(t *testing.T) {
				args := append([]string{"audit", "--config", settingsFor(t, dir, name), file}, flags...)
				got := audited(t, args...)
				golden := filepath.Join(dir, name+"."+format)
				if *update {
					if err := os.WriteFile(golden, got, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
					t.Errorf("the report differs from %s (- wanted, + got); if it should, run go test ./internal/cli -run TestRecordedHosts -update\n%.4000s", golden, diff)
				}
			})
		}
	}
}

// TestRecordedHostsInReadme holds the sample of the README to the beginning of
// the report on the host that followed the guides.
func TestRecordedHostsInReadme(t *testing.T) {
	const dir = "../../testdata/hosts"
	report := audited(t, "audit", "--config", settingsFor(t, dir, "guides"), dir+"/guides.snapshot")
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(text), "```text\n")
	sample, after, ok := strings.Cut(rest, "```")
	lines := strings.SplitAfter(string(report), "\n")
	n := strings.Count(sample, "\n")
	if !ok || n < 10 || n > len(lines) {
		t.Fatalf("the README's sample has %d lines", n)
	}
	want := strings.Join(lines[:n], "")
	if *update {
		if err := os.WriteFile(readme, []byte(before+"```text\n"+want+"```"+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, sample); diff != "" {
		t.Errorf("the README shows what Picket does not say (- wanted, + README); run make golden\n%s", diff)
	}
}

// TestWholeFix: who asks about one control is told all of what to do.
func TestWholeFix(t *testing.T) {
	const dir = "../../testdata/hosts"
	args := []string{"audit", "--config", settingsFor(t, dir, "guides"), dir + "/guides.snapshot"}
	shown := func(more ...string) bool {
		return strings.Contains(string(audited(t, append(args, more...)...)), "\n          note  ")
	}
	if shown() || !shown("--only", "ssh/password-login") {
		t.Error("the note of a fix is shown with --only, and without it not")
	}
}

func fixedNow() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }

// settingsFor is the host's settings file, or an empty one.
func settingsFor(t *testing.T, dir, name string) string {
	t.Helper()
	file := filepath.Join(dir, name+".yaml")
	if _, err := os.Stat(file); err == nil {
		return file
	}
	file = filepath.Join(t.TempDir(), "picket.yaml")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// audited is what picket prints on a day of 2026, with no environment.
func audited(t *testing.T, args ...string) []byte {
	t.Helper()
	var out, messages bytes.Buffer
	p := &program{
		name: "picket", io: ui.IO{In: strings.NewReader(""), Out: &out, Err: &messages}, getenv: func(string) string { return "" },
		now: fixedNow,
	}
	root := p.root()
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&messages)
	if err := root.Execute(); err != nil && err != error(errFindings) && err != error(errPartial) {
		t.Fatalf("picket %s: %v\n%s", strings.Join(args, " "), err, &messages)
	}
	return out.Bytes()
}
