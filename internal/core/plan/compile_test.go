package plan

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"picket/internal/core/change"
	"picket/internal/core/snap"
	"picket/lab/leftout"
)

func TestCompile(t *testing.T) {
	was := change.Thing{Type: snap.File, Mode: 0o644, Content: []byte("a\n")}
	of := []string{"x/y", "z"}
	steps := []change.Step{
		{Verb: change.Install, Name: "packages", Args: []string{"fail2ban", "python3-systemd"}, Controls: of},
		{Verb: change.File, Name: "/etc/a b'c", Before: was, After: change.Thing{Type: snap.File, Mode: 0o4600, UID: 3, GID: 4, Content: []byte("b\n")}, Controls: of},
		{Verb: change.File, Name: "/etc/gone", Before: was, Controls: of},
		{Verb: change.File, Name: "/etc/d", After: change.Thing{Type: snap.Dir, Mode: 0o755}, Controls: of},
		{Verb: change.File, Name: "/etc/d", Before: change.Thing{Type: snap.Dir, Mode: 0o755}, After: change.Thing{Type: snap.Dir, Mode: 0o750}, Controls: of},
		{Verb: change.File, Name: "/etc/s", Before: change.Thing{Type: snap.File, Mode: 0o644, UID: 7, Opaque: true}, After: change.Thing{Type: snap.File, Mode: 0o600, Opaque: true}, Controls: of},
		{Verb: change.File, Name: "/etc/l", Before: was, After: change.Thing{Type: snap.Link, Target: "/dev/null"}, Controls: of},
		{Verb: change.File, Name: "/etc/o", Before: change.Thing{Type: snap.File, Mode: 0o644, Opaque: true}, Controls: of},
		{Verb: change.Check, Name: "sshd -t", Controls: of},
		{Verb: change.Sysctl, Name: "kernel/x", Args: []string{"1 2"}, Controls: of},
		{Verb: change.Unit, Name: "a.service", Args: []string{"enable", "start"}, Controls: of},
		{Verb: change.Act, Name: "systemctl reload ssh", Controls: of},
		{Verb: change.Remove, Name: "packages", Args: []string{"telnetd", "libstdc++6:arm64"}, Controls: of},
	}
	f, err := Compile(steps)
	if err != nil {
		t.Fatal(err)
	}
	const a, b = "87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7", "0263829989b6fd954f72baaf2fc64bc2e2f01d692d4de72986ea808f6e99813f"
	want := `step install 001 fail2ban python3-systemd # x/y z
step file 002 '/etc/a b'\''c' 4600 3 4 ` + a + ` ` + b + ` # x/y z
step gone 003 /etc/gone ` + a + ` # x/y z
step dir 004 /etc/d 0755 0 0 # x/y z
step mode 005 /etc/d 0750 0 0 dir 0 # x/y z
step mode 006 /etc/s 0600 0 0 file 7 # x/y z
step link 007 /etc/l /dev/null ` + a + ` # x/y z
step gone 008 /etc/o file # x/y z
step check 009 'sshd -t' # x/y z
step sysctl 010 kernel/x '1 2' # x/y z
step unit 011 a.service enable start # x/y z
step act 012 'systemctl reload ssh' # x/y z
step remove 013 telnetd libstdc++6:arm64 # x/y z
`
	if got := string(f["plan"]); got != want {
		t.Errorf("the plan\n%swant\n%s", got, want)
	}
	if string(f["new/002"]) != "b\n" || len(f) != 7 {
		t.Errorf("%d files, new/002 %q", len(f), f["new/002"])
	}
	for _, s := range []change.Step{
		{Verb: change.File, Name: "/etc/a\nrm -rf /", Before: was},
		{Verb: change.File, Name: "etc/a", Before: was},
		{Verb: change.File, Name: "/etc/", Before: was},
		{Verb: change.File, Name: "/etc/a", Before: change.Thing{Type: snap.Dir}, After: change.Thing{Type: snap.File, Opaque: true}},
		{Verb: change.Sysctl, Name: "kernel/x"},
		{Verb: change.Install, Args: []string{"-o=x"}},
		{Verb: change.Remove, Args: []string{"a b"}},
		{Verb: "dance", Name: "x"},
	} {
		if _, err := Compile([]change.Step{s}); err == nil {
			t.Errorf("%+v is compiled", s)
		}
	}
}

func TestProgramIsCleanShell(t *testing.T) {
	whole := string(parts()["tx"])
	for _, name := range []string{"steps", "around", "packages", "arm"} {
		before, after, found := strings.Cut(whole, ". ./"+name+"\n")
		if whole = before + string(parts()[name]) + after; !found || len(parts()[name]) == 0 {
			t.Fatal("tx reads its parts in another way")
		}
	}
	for _, argv := range [][]string{{"shellcheck", "-s", "sh", "-e", "SC1091,SC3013", "-"}, {"dash", "-n"}, {"bash", "-n"}, {"busybox", "sh", "-n"}} { // sourced files; -ef, which all three have
		path, err := exec.LookPath(argv[0])
		if err != nil {
			leftout.Missing(t, "no "+argv[0])
		}
		cmd := exec.Command(path, argv[1:]...)
		cmd.Stdin = strings.NewReader(whole)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", argv[0], err, out)
		}
	}
}

// TestPackageThatCameWhole: what a package brought is cleared away after it where dpkg was cut off, and only there: once it came
// whole, a file of that name that nobody owns is somebody's own.
func TestPackageThatCameWhole(t *testing.T) {
	for _, tc := range []struct{ apt, left string }{{"true", "mine"}, {"false", ""}} {
		dir := t.TempDir()
		for _, name := range []string{"steps", "packages"} {
			if err := os.WriteFile(filepath.Join(dir, name), parts()[name], 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command("sh", "-ec", `here=$PWD booting=''; mkdir -p old debs/001; . ./steps; . ./packages
apt() { `+tc.apt+`; }; packages() { :; }; database() { :; }; half() { :; }; units() { :; }
echo "$PWD/program" >names.001
install_take 001 it || :
echo mine >program
install_back 001
cat program 2>/dev/null || :`)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != tc.left {
			t.Errorf("apt says %s: %q is left, want %q; %v", tc.apt, out, tc.left, err)
		}
	}
}
