package cli

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"picket/lab/leftout"
)

// TestOutputIntoAPipe: what is no plain file is written to, and stays what it
// is. Root could otherwise replace /dev/null.
func TestOutputIntoAPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 1)
	go func() {
		f, err := os.Open(pipe)
		if err != nil {
			heard <- err.Error()
			return
		}
		data, _ := io.ReadAll(f)
		heard <- string(data)
	}()
	err := replaceFile(pipe, []byte("a report"))
	info, _ := os.Lstat(pipe)
	if err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		t.Fatalf("%v; it is now %v", err, info.Mode())
	}
	if got := <-heard; got != "a report" {
		t.Errorf("%q came out", got)
	}
}

// TestNewFileFollowsTheUmask: a report tells how to get into a host.
func TestNewFileFollowsTheUmask(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o027))
	name := filepath.Join(t.TempDir(), "report")
	if err := replaceFile(name, nil); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(name); info.Mode() != 0o640 {
		t.Errorf("mode %v", info.Mode())
	}
	if err := os.Chmod(name, 0o664); err != nil { // the umask is for new files
		t.Fatal(err)
	}
	if err := replaceFile(name, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(name); info.Mode() != 0o664 {
		t.Errorf("it was 0664 and is %v", info.Mode())
	}
}

// TestFullDisk: the old report and the old snapshot stay, and nothing half
// written is left beside them.
func TestFullDisk(t *testing.T) {
	leftout.OfRace(t) // what runs is a program of its own, which the race detector does not see
	picket := filepath.Join(t.TempDir(), "picket")
	if out, err := exec.Command("go", "build", "-o", picket, "picket/cmd/picket").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	host, err := filepath.Abs("../../testdata/hosts")
	if err != nil {
		t.Fatal(err)
	}
	if os.Getuid() != 0 {
		leftout.Missing(t, "needs root to mount a small disk")
	}
	disk := t.TempDir()
	const script = `mount -t tmpfs -o size=8k none "$1" || exit 99; cd "$1"; echo old >report; echo old >saved
		"$2" audit "$3" --fail-on none -o html:report --save saved >/dev/null 2>&1; echo "exit $?"; cat report saved; ls -A`
	cmd := exec.Command("unshare", "--mount", "sh", "-c", script, "sh", disk, picket, filepath.Join(host, "debian12.snapshot"))
	out, err := cmd.CombinedOutput()
	if err != nil && strings.Contains(err.Error(), "99") {
		leftout.Missing(t, "needs the right to mount: "+string(out))
	}
	if got, want := string(out), "exit 3\nold\nold\nreport\nsaved\n"; got != want {
		t.Errorf("%v: got %q, want %q", err, got, want)
	}
}
