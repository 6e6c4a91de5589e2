package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"picket/internal/ui"
	"picket/lab/sshserver"
)

// nodes are a cluster of hosts with a real sshd each, a and b, and of away, where nobody listens.
type nodes struct {
	dir  string                       // the home of who runs picket, with picket.yaml
	sshd map[string]*sshserver.Server // whose Dir is the home of who logs in
}

func newNodes(t *testing.T, options ...string) nodes {
	t.Helper()
	n := nodes{t.TempDir(), map[string]*sshserver.Server{}}
	var known []byte
	config := "cluster:\n  groups: {two: [a, b]}\n  nodes:\n    away: {address: 127.0.0.1, port: 1, user: amy}\n"
	for _, name := range []string{"a", "b"} {
		s := sshserver.Real(t, options...)
		n.sshd[name] = s
		text, err := os.ReadFile(s.KnownHosts(t))
		if err != nil {
			t.Fatal(err)
		}
		known = append(known, text...)
		config += fmt.Sprintf("    %s: {address: %s, port: %d, user: %s, identity: %s}\n", name, s.Host, s.Port, s.User, s.Key)
	}
	for name, text := range map[string]string{"known": string(known), "picket.yaml": config} {
		if err := os.WriteFile(filepath.Join(n.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// run runs picket.
func (n nodes) run(ctx context.Context, args ...string) (out, errs string, code int) {
	var o, e strings.Builder
	argv := append([]string{"picket", args[0], "--config", filepath.Join(n.dir, "picket.yaml"), "--known-hosts", filepath.Join(n.dir, "known")}, args[1:]...)
	env := map[string]string{"HOME": n.dir, "USER": "amy", "PICKET_NO_LOCAL": "1"}
	code = Main(ctx, argv, ui.IO{In: strings.NewReader(""), Out: &o, Err: &e}, func(name string) string { return env[name] })
	return o.String(), e.String(), code
}

// onNodes runs picket with a cluster of its own.
func onNodes(t *testing.T, args ...string) (out, errs string, code int) {
	t.Helper()
	return newNodes(t).run(t.Context(), args...)
}

// TestExec: a command gets its arguments as they were typed, whatever a shell would make of them, and a host that is away
// keeps no other from being done.
func TestExec(t *testing.T) {
	t.Parallel()
	hostile := []string{"a  b", "$HOME", "*", "'", "", "two\nlines", "-n", `\`}
	out, errs, code := onNodes(t, append([]string{"exec", "two", "--output", "json", "--", "printf", "<%s>"}, hostile...)...)
	want := "<" + strings.Join(hostile, "><") + ">"
	lines := strings.Split(strings.TrimSpace(out), "\n")
	slices.Sort(lines) // they come as they are done
	if code != ExitFine || len(lines) != 2 || !strings.Contains(errs, "2 of 2 hosts done") {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	for i, l := range lines {
		var r ran
		if err := json.Unmarshal([]byte(l), &r); err != nil || r.Host != []string{"a", "b"}[i] || r.Stdout != want || r.Exit != 0 {
			t.Errorf("%v: %+v", err, r)
		}
	}

	out, errs, code = onNodes(t, "exec", "all", "--shell", "echo one; echo two >&2; printf three; exit 7")
	got := strings.Split(strings.TrimSpace(out), "\n")
	slices.Sort(got)
	if code != ExitPartial || !slices.Equal(got, []string{"a    | one", "a    | three", "b    | one", "b    | three"}) {
		t.Errorf("exit code %d\n%s", code, out)
	}
	for _, want := range []string{"a    | two\n", "a     exit code 7", "away  failed", "0 of 3 hosts done", "2 failed, 1 not reached", "picket: away: ssh://amy@127.0.0.1:1: connection refused"} {
		if !strings.Contains(errs, want) {
			t.Errorf("it does not say %q:\n%s", want, errs)
		}
	}
	if out, _, code = onNodes(t, "exec", "a", "--", "sh", "-c", "exit 3"); code != ExitFindings || out != "" {
		t.Errorf("exit code %d, %q", code, out)
	}
	for want, args := range map[string][]string{
		"no command is named":                         {"exec", "a"},
		"no host is named":                            {"exec", "--", "true"},
		`no node, group or role is called "tow"; did`: {"exec", "tow", "--", "true"},
		"local is no host":                            {"exec", "local", "--", "true"},
		"want a number above zero":                    {"exec", "a", "--parallel", "0", "--", "true"},
		"nothing can stand behind --":                 {"exec", "a", "--shell", "true", "--", "true"},
		"--output xml":                                {"exec", "a", "--output", "xml", "--", "true"},
	} {
		if _, errs, code := onNodes(t, args...); code != ExitUsage || !strings.Contains(errs, want) {
			t.Errorf("%q: exit code %d, %s", args, code, errs)
		}
	}
}

// screen is what a terminal shows, of the few things that a board does to it.
func screen(written string) []string {
	lines, at := []string{""}, 0
	for len(written) > 0 {
		var up, n int
		switch {
		case strings.HasPrefix(written, "\r"):
			written = written[1:]
		case strings.HasPrefix(written, "\n"):
			written = written[1:]
			if at++; at == len(lines) {
				lines = append(lines, "")
			}
		case strings.HasPrefix(written, "\x1b[J"):
			written = written[3:]
			lines = append(lines[:at], "")
		case colours.FindStringIndex(written) != nil && colours.FindStringIndex(written)[0] == 0:
			n = colours.FindStringIndex(written)[1]
			lines[at] += written[:n]
			written = written[n:]
		case strings.HasPrefix(written, "\x1b["):
			fmt.Sscanf(written, "\x1b[%dA", &up)
			_, rest, _ := strings.Cut(written, "A")
			written, at = rest, at-up
		default:
			i := strings.IndexAny(written, "\r\n\x1b")
			if i < 0 {
				i = len(written)
			}
			lines[at] += written[:i]
			written = written[i:]
		}
	}
	return lines
}

// TestExecOnTerminal: what hosts say and the lines of what goes on do not get into each other, and no host steers the terminal.
func TestExecOnTerminal(t *testing.T) {
	t.Parallel()
	n := newNodes(t)
	w := sitDown(t)
	env := map[string]string{"HOME": n.dir, "USER": "amy", "PICKET_NO_LOCAL": "1", "NO_COLOR": "1"}
	script := `for i in $(seq 1 40); do echo "line $i"; sleep 0.02; done; printf 'a\rnew\n\033[31mred\033[0m x\033[2Jy\nend'; echo bad >&2; exit 3`
	code := Main(t.Context(), []string{"picket", "exec", "--config", filepath.Join(n.dir, "picket.yaml"), "--known-hosts", filepath.Join(n.dir, "known"), "two", "--shell", script},
		ui.IO{In: w.slave, Out: w.slave, Err: w.slave}, func(name string) string { return env[name] })
	w.sees("2 failed\r\n", 1, "")
	seen := w.text()
	shown := screen(seen)
	if code != ExitFindings || !strings.Contains(seen, "a  running") || !strings.Contains(seen, "0 of 2 done") {
		t.Errorf("exit code %d\n%q", code, seen)
	}
	want := map[string]int{"a | new": 1, "b | new": 1, "a | \x1b[31mred\x1b[0m x\\u001b[2Jy\x1b[0m": 1, "b | \x1b[31mred\x1b[0m x\\u001b[2Jy\x1b[0m": 1, "a | end": 1, "b | end": 1, "a | bad": 1, "b | bad": 1}
	for i := range 40 {
		want[fmt.Sprintf("a | line %d", i+1)]++
		want[fmt.Sprintf("b | line %d", i+1)]++
	}
	for _, l := range shown {
		switch _, ok := want[l]; {
		case ok:
			want[l]--
		case l == "", strings.HasPrefix(l, "0 of 2 hosts done in"), strings.HasPrefix(l, "a  exit code 3"), strings.HasPrefix(l, "b  exit code 3"):
		default:
			t.Errorf("on the screen is %q", l)
		}
	}
	for l, n := range want {
		if n != 0 {
			t.Errorf("%q is on the screen %d times too few", l, n)
		}
	}
	if strings.Contains(seen, "\x1b[2J") {
		t.Error("a host has cleared the screen")
	}
}
