package plan

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"picket/lab/leftout"
)

// TestOurs: what is killed as the program of a change is that, and nothing else that has its number by now.
func TestOurs(t *testing.T) {
	box := t.TempDir()
	for _, id := range []string{"one", "two"} {
		if err := os.MkdirAll(filepath.Join(box, id), 0o700); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"arm": string(parts()["arm"]), "tx": "read -r line\n"} {
			if err := os.WriteFile(filepath.Join(box, id, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	runs := func(dir string, argv ...string) string {
		t.Helper()
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Dir = dir
		in, err := cmd.StdinPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
		return strconv.Itoa(cmd.Process.Pid)
	}
	one := filepath.Join(box, "one")
	pids := map[string]string{
		"by its path":        runs("/", "sh", one+"/tx", "apply"),
		"from within":        runs(one, "sh", "./tx", "apply"),
		"of another":         runs("/", "sh", filepath.Join(box, "two", "tx"), "apply"),
		"of another, within": runs(filepath.Join(box, "two"), "sh", "tx", "apply"),
		"something else":     runs(one, "cat"),
		"nobody":             "4194303",
		"no number":          "",
	}
	for _, sh := range [][]string{{"dash"}, {"bash"}, {"busybox", "sh"}} {
		if _, err := exec.LookPath(sh[0]); err != nil {
			leftout.Missing(t, "no "+sh[0])
		}
		for name, pid := range pids {
			cmd := exec.Command(sh[0], append(sh[1:], "-uc", `id=one; . ./arm; ours "$1"`, "sh", pid)...)
			cmd.Dir = one
			out, err := cmd.CombinedOutput()
			if want := strings.HasPrefix(name, "by ") || strings.HasPrefix(name, "from "); (err == nil) != want || len(out) > 0 {
				t.Errorf("%s: %s: ours %v, want %v: %s", sh[0], name, err == nil, want, out)
			}
		}
		cmd := exec.Command(sh[0], append(sh[1:], "-uc", `id=one; . ./arm; ours $$`, one+"/tx")...)
		if cmd.Dir = one; cmd.Run() == nil {
			t.Errorf("%s: it would kill itself", sh[0])
		}
	}
}
