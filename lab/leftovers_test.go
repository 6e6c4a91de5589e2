package lab

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// endings are how a test process with a running host may end.
const endings = "PICKET_LAB_TEST_ENDING"

// TestChild is what TestNothingOutlivesATest runs in a process of its own: it boots a host, tells where it
// lives, and ends as it is told.
func TestChild(t *testing.T) {
	ending := os.Getenv(endings)
	if ending == "" {
		t.Skip("only as a process of TestNothingOutlivesATest")
	}
	off := Off(t, Debian)
	off.Root() // a mount of this machine
	h := Start(t, Debian)
	b := h.current()
	fmt.Printf("\nlives %s %d %d\n", h.site.dir, b.leader, h.site.bridge.keeper.Process.Pid)
	switch ending {
	case "panic":
		panic("as a test may")
	case "fail":
		t.Fatal("as a test may")
	case "killed":
		time.Sleep(time.Hour)
	}
}

// TestNothingOutlivesATest looks at what is left when the process with the host ends: no process, no
// namespace, no mount, no control group, no disk. A host of this process does not notice.
func TestNothingOutlivesATest(t *testing.T) {
	neighbour := Start(t, Debian)
	for _, ending := range []string{"pass", "fail", "panic", "killed"} {
		t.Run(ending, func(t *testing.T) {
			child := exec.Command(os.Args[0], "-test.run=^TestChild$")
			child.Env = append(os.Environ(), endings+"="+ending)
			stdout, err := child.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := child.Start(); err != nil {
				t.Fatal(err)
			}
			var dir string
			var leader, keeper int
			for lines := bufio.NewScanner(stdout); dir == "" && lines.Scan(); {
				_, _ = fmt.Sscanf(lines.Text(), "lives %s %d %d", &dir, &leader, &keeper)
			}
			if dir == "" {
				t.Fatalf("the child's host did not come up: %v", child.Wait())
			}
			spaces := map[string]bool{namespace(leader): true, namespace(keeper): true}
			if ending == "killed" {
				if len(groupsOf(filepath.Base(dir), "*")) == 0 || !exists(dir) {
					t.Error("a running host has no group or no disk: this test looks in the wrong place")
				}
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			_ = child.Wait()

			var left []string
			for start := time.Now(); time.Since(start) < 15*time.Second; time.Sleep(50 * time.Millisecond) {
				if left = leftovers(t, dir, spaces); len(left) == 0 {
					break
				}
			}
			for _, what := range left {
				t.Errorf("left: %s", what)
			}
			if got := neighbour.SSH("operator", "echo", "here"); got != "here\n" {
				t.Errorf("the neighbour answers %q", got)
			}
		})
	}
}

// namespace identifies the network of a process.
func namespace(pid int) string {
	link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return "gone"
	}
	return link
}

// leftovers lists what there still is of a run.
func leftovers(t *testing.T, dir string, spaces map[string]bool) []string {
	var left []string
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, process := range processes {
		pid, _ := strconv.Atoi(filepath.Base(process))
		if space := namespace(pid); space != "gone" && spaces[space] {
			left = append(left, "process "+status(filepath.Base(process), "Name:"))
		}
	}
	mounts, err := mountsBelow(dir)
	if err != nil {
		t.Fatal(err)
	}
	left = append(left, mounts...)
	left = append(left, groupsOf(filepath.Base(dir), "*")...)
	if exists(dir) {
		left = append(left, dir)
	}
	return left
}

// TestSweep clears away a run whose process and janitor are both dead, as after a power cut of this
// machine, and leaves alone what lives.
func TestSweep(t *testing.T) {
	need(t)
	runs := t.TempDir()
	for _, name := range []string{"1-dead", "2-alive", "3-just-made"} {
		if err := os.MkdirAll(filepath.Join(runs, name, "host1/upper"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(runs, "1-dead/alive"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	mount := filepath.Join(runs, "1-dead/host1/upper")
	if err := syscall.Mount("tmpfs", mount, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	lock, err := lockFile(t.Context(), filepath.Join(runs, "2-alive/alive"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()

	sweep(runs)

	if exists(filepath.Join(runs, "1-dead")) {
		t.Error("the dead run is still there")
	}
	for _, name := range []string{"2-alive", "3-just-made"} {
		if !exists(filepath.Join(runs, name)) {
			t.Errorf("%s is gone", name)
		}
	}
}

// TestLeftOut runs a test as a user who cannot boot hosts: it is left out by name and with the reason, or
// fails where the lab is required.
func TestLeftOut(t *testing.T) {
	need(t)
	dir := t.TempDir()
	binary := filepath.Join(dir, "lab.test")
	if err := run(exec.Command("sh", "-ec", `cp "$1" "$2"; chmod 755 "$2" "$3" "$3/.."`, "sh", os.Args[0], binary, dir)); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ lab, want, result string }{
		{"", "LEFT OUT TestHashes: the lab cannot run: not root", "PASS"},
		{"off", "LEFT OUT TestHashes: PICKET_LAB=off", "PASS"},
		{"require", "TestHashes: the lab cannot run: not root (and PICKET_LAB=require)", "FAIL"},
	} {
		cmd := exec.Command(binary, "-test.run=^TestHashes$", "-test.v")
		cmd.Env = []string{"PATH=" + hostPath, "PICKET_LAB=" + tc.lab, "HOME=" + dir}
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, _ := cmd.CombinedOutput()
		if text := string(out); !strings.Contains(text, tc.want) || !strings.HasSuffix(strings.TrimSpace(text), tc.result) {
			t.Errorf("PICKET_LAB=%s: want %q and %s, got\n%s", tc.lab, tc.want, tc.result, text)
		}
	}
	// What go test hides is said on the terminal.
	cmd := exec.Command("script", "--quiet", "--return", "--command", binary+" -test.run=^TestHashes$ >/dev/null", "/dev/null")
	cmd.Env = []string{"PATH=" + hostPath, "PICKET_LAB=off", "HOME=" + dir}
	if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "LEFT OUT TestHashes: PICKET_LAB=off" {
		t.Errorf("%v: the terminal shows %q", err, out)
	}
}

// TestSetup: what the lab says it needs, setup.sh installs.
func TestSetup(t *testing.T) {
	script, err := os.ReadFile("setup.sh")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(script), "wanted='")
	wanted, _, _ := strings.Cut(rest, "'")
	for _, name := range Packages {
		if !slices.Contains(strings.Fields(wanted), name) {
			t.Errorf("setup.sh does not install %s", name)
		}
	}
}
