package cli

import (
	"strings"
	"testing"

	"picket/internal/ui"
)

// TestWaves: leaders go after the others, who is on the way to another after it, and this machine last of all.
func TestWaves(t *testing.T) {
	t.Parallel()
	file := plant(t, 0o600, `cluster:
  nodes:
    lead: {address: 192.0.2.1, user: pi, roles: [leader]}
    one: {address: 192.0.2.2, user: pi, jump: gate}
    two: {address: 192.0.2.3, user: pi, jump: lead}
    gate: {address: 192.0.2.4, user: pi}
    self: {address: 192.0.2.5, user: pi}
`, t.TempDir(), "picket.yaml")
	for want, tc := range map[string]struct {
		names string
		opt   powerOptions
	}{
		"one, two, then lead": {"lead one two", powerOptions{leaderLast: true}},
		"one, then gate":      {"gate one", powerOptions{}},
		"gate, then lead":     {"lead gate", powerOptions{leaderLast: true}},
		"lead, gate":          {"lead gate", powerOptions{}},
		"two, then lead":      {"lead two", powerOptions{}},
		"one, two, then lead, gate, then self (this machine)": {"self lead gate one two", powerOptions{leaderLast: true}},
		"one, then two, then gate, then lead":                 {"gate one lead two", powerOptions{leaderLast: true, serial: true}},
		"gate, then self (this machine)":                      {"self gate", powerOptions{}},
		"one":                                                 {"one", powerOptions{serial: true}},
	} {
		p := &program{configs: []string{file}, getenv: func(string) string { return "" }, io: ui.IO{Err: &strings.Builder{}}}
		var ready []*powered
		for _, name := range strings.Fields(tc.names) {
			ready = append(ready, &powered{target: name, here: name == "self"})
		}
		if is := order(p.waves(ready, tc.opt)); is != want {
			t.Errorf("%s: %s, want %s", tc.names, is, want)
		}
	}
}

// TestPowerWords: what is typed wrongly is told before anybody is spoken to, and so is a host that is this machine.
func TestPowerWords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := plant(t, 0o600, "cluster:\n  nodes:\n    away: {address: 192.0.2.9, user: amy}\n", dir, "picket.yaml")
	n := nodes{dir: dir}
	plant(t, 0o600, "", dir, "known")
	for want, args := range map[string][]string{
		"no host is named": {"--yes"},
		"there is no terminal to ask on\n        --yes does it without asking": {"away"},
		"PICKET_NO_LOCAL is set, so nothing is changed on this machine":        {"away", "local", "--yes"},
		"image:/ does not run":                                          {"image:/", "--yes"},
		file + " is no running host":                                    {file, "--yes"},
		"--within 0s: want a time above zero":                           {"away", "--yes", "--within", "0"},
		"--parallel 0: want a number above zero":                        {"away", "--yes", "--parallel", "0"},
		`no node, group or role is called "awya"; did you mean "away"?`: {"awya", "--yes"},
	} {
		for _, verb := range []string{"reboot", "shutdown"} {
			if _, errs, code := n.run(t.Context(), append([]string{verb}, args...)...); code != ExitUsage || !strings.Contains(errs, want) {
				t.Errorf("%s %q: exit code %d\n%s", verb, args, code, errs)
			}
		}
	}
	for _, address := range []string{"127.0.0.1", "127.8.8.8", "::1", "localhost"} { // where this machine's own sshd could be
		plant(t, 0o600, "cluster:\n  nodes:\n    here: {address: \""+address+"\", port: 1, user: amy}\n", dir, "picket.yaml")
		for _, verb := range []string{"reboot", "shutdown"} {
			if _, errs, code := n.run(t.Context(), verb, "all", "--yes"); code != ExitUsage || !strings.Contains(errs, "PICKET_NO_LOCAL is set") {
				t.Errorf("%s %s: exit code %d\n%s", verb, address, code, errs)
			}
		}
	}
}
