package cli

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"picket/internal/ui"
)

const readme = "../../README.md"

// TestReadmeCommands runs every picket command of the README. Hosts, cards and
// this machine are replaced by a recorded host: what is tested is that the
// words are taken as they stand and lead to a report.
func TestReadmeCommands(t *testing.T) {
	recorded, err := os.ReadFile("../../testdata/hosts/guides.snapshot")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	golden, err := filepath.Abs("../../testdata/hosts/guides.json")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	const host = "recorded.snapshot"
	if err := os.WriteFile(host, recorded, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"leader.json", "monday.json", "friday.json"} { // reports that somebody has kept
		stored, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, stored, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"leader.snapshot", "worker.snapshot"} {
		if err := os.WriteFile(name, recorded, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	elsewhere := regexp.MustCompile(`\b(ssh://|image:)\S+`)
	tries := regexp.MustCompile(` --probe(=\w+)?| --from \S+`) // what was saved before has no services; TestProbe and TestExposureFrom have
	ran := 0
	for _, block := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```").FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(block[1]) {
			line, _, _ = strings.Cut(line, " #")
			args := strings.Fields(strings.TrimPrefix(line, "sudo "))
			if len(args) < 2 || args[0] != "picket" {
				continue
			}
			ran++
			if slices.Contains([]string{"apply", "history", "rollback", "confirm", "passwd", "user", "exec", "copy", "reboot", "shutdown", "keys", "init", "join"}, args[1]) { // for running hosts: TestApply, TestKeys and TestFromYourGuide have them
				args = append(args[:2], "--help")
			}
			if slices.Contains([]string{"user", "passwd"}, args[1]) { // the same: TestUser has them; the flags are looked at
				args = append(args, "--help")
			}
			for i, a := range args {
				if a == "all" { // the nodes of picket.yaml
					args[i] = host
				}
			}
			args = strings.Fields(tries.ReplaceAllString(elsewhere.ReplaceAllString(strings.Join(args[1:], " "), host), ""))
			if (args[0] == "audit" || args[0] == "exposure") && !strings.Contains(strings.Join(args, " "), ".snapshot") { // this machine
				args = append(args, host)
			}
			var out, messages bytes.Buffer
			p := &program{io: ui.IO{In: strings.NewReader(""), Out: &out, Err: &messages}, getenv: func(string) string { return "" }, now: fixedNow}
			root := p.root()
			root.SetArgs(args)
			root.SetOut(&out)
			root.SetErr(&messages)
			if err := root.Execute(); err != nil && !errors.Is(err, errFindings) && !errors.Is(err, errPartial) {
				t.Errorf("%s: %v\n%s", strings.TrimSpace(line), err, &messages)
				continue
			}
			written, _ := filepath.Glob("*.html")
			if out.Len() == 0 && len(written) == 0 {
				t.Errorf("%s: it printed and wrote nothing", strings.TrimSpace(line))
			}
		}
	}
	if ran < 8 {
		t.Errorf("%d commands were found in the README, want 8 or more", ran)
	}
}
