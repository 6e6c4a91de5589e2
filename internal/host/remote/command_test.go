package remote

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"picket/lab/sshserver"
)

// shells are those that a host may have.
func shells(t testing.TB) [][]string {
	return [][]string{{sshserver.Need(t, "sh")}, {sshserver.Need(t, "bash")}, {sshserver.Need(t, "busybox"), "sh"}}
}

// passes wants every shell to give a program exactly these arguments.
func passes(t *testing.T, shells [][]string, args []string) {
	t.Helper()
	command := Command(append([]string{"/usr/bin/printf", "%s\\0"}, args...))
	for _, sh := range shells {
		out, err := exec.Command(sh[0], append(slices.Clone(sh[1:]), "-c", command)...).Output()
		want := strings.Join(args, "\x00") + "\x00"
		if err != nil || !bytes.Equal(out, []byte(want)) {
			t.Errorf("%s: %q: %q, %v", sh, command, out, err)
		}
	}
}

func TestCommand(t *testing.T) {
	all := shells(t)
	every := make([]byte, 255)
	for i := range every {
		every[i] = byte(i + 1)
	}
	passes(t, all, []string{string(every)})
	for i := range every {
		passes(t, all[:1], []string{string(every[i : i+1])})
	}
	passes(t, all, []string{"", "-n", "--", "~", "a=b", "$HOME", "`id`", "*", "#", "'", `'\''`, "\n", "a\n", "!", "if", "{", "\xff\xfe", "é", "\x81\x82\x88"})
	for _, argv := range [][]string{{"if"}, {"{"}, {"A=b", "true"}, {"!", "true"}, {"-x"}, {"~"}, {""}} {
		for _, sh := range all {
			if code := exitOf(exec.Command(sh[0], append(slices.Clone(sh[1:]), "-c", Command(argv))...).Run()); code != 127 && code != 126 {
				t.Errorf("%s: %q, which is no program, ends with %d", sh, argv, code)
			}
		}
	}
	if Command(nil) != "" {
		t.Error("nothing is something")
	}
}

func exitOf(err error) int {
	if e, ok := err.(*exec.ExitError); ok {
		return e.ExitCode()
	}
	return 0
}

func FuzzCommand(f *testing.F) {
	all := shells(f)
	f.Add("a", "b c")
	f.Add("", "'\n\\")
	f.Add("-n", "$(id)\x7f\x80")
	f.Fuzz(func(t *testing.T, a, b string) {
		if strings.ContainsRune(a+b, 0) || len(a)+len(b) > 50_000 {
			return // no argument holds that
		}
		passes(t, all, []string{a, b})
	})
}
