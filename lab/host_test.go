package lab_test

import (
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"picket/lab"
)

// bootWithin is how long a host of a role that was built before may take, on a busy machine. On an idle
// one with two cores it is 3 s.
const bootWithin = 40 * time.Second

const bootID = "/proc/sys/kernel/random/boot_id"

func TestHostRebootsAndLosesPower(t *testing.T) {
	h := lab.Off(t, lab.Debian)
	start := time.Now()
	h.Boot()
	if took := time.Since(start); took > bootWithin {
		t.Errorf("booting took %s, want at most %s", took, bootWithin)
	}
	h.Write("/etc/planted", 0o640, "kept\n")
	h.Write("/run/planted", 0o640, "memory\n")

	first := h.Read(bootID)
	h.Reboot()
	second := h.Read(bootID)
	if first == second {
		t.Errorf("the boot id is %s before and after a reboot", strings.TrimSpace(first))
	}
	wantKept(t, h)

	h.PowerCut()
	if _, err := h.Exec(t.Context(), "true"); err != nil {
		t.Errorf("the disk of a host that is off cannot be used: %v", err)
	}
	wantKept(t, h)
	h.Boot()
	wantKept(t, h)
	if third := h.Read(bootID); third == second {
		t.Error("the boot id is the same before and after a power cut")
	}

	h.Run("systemd-run", "--quiet", "sleep", "1000")
	h.AwaitReboot(func() { h.Try("systemctl", "--force", "reboot") })
	wantKept(t, h)
	if out, _ := h.Try("pgrep", "-f", "sleep 1000"); out != "" {
		t.Errorf("a process lived on over a reboot: %s", out)
	}
}

func wantKept(t *testing.T, h *lab.Host) {
	t.Helper()
	if got := h.Sh("cat /etc/planted; stat -c %a /etc/planted"); got != "kept\n640\n" {
		t.Errorf("the planted file is now %q", got)
	}
	if out, code := h.Try("cat", "/run/planted"); code == 0 {
		t.Errorf("memory was kept: %s", out)
	}
}

func TestHostsHaveANetworkOfTheirOwn(t *testing.T) {
	one, two := lab.Start(t, lab.Debian), lab.Start(t, lab.Debian)
	if one.Addr() == two.Addr() {
		t.Fatalf("both have the address %s", one.Addr())
	}
	for _, path := range []string{"/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key.pub", bootID} {
		if one.Read(path) == two.Read(path) {
			t.Errorf("both have the same %s", path)
		}
	}
	one.Run("ping", "-c1", "-W5", two.Addr())
	if out, code := one.Try("ping", "-c1", "-W2", "192.0.2.1"); code == 0 || !strings.Contains(out, "Unreachable") {
		t.Errorf("an address outside of the lab is not unreachable at once:\n%s", out)
	}
	if got := one.SSH("operator", "hostname"); got != "debian\n" {
		t.Errorf("over SSH its name is %q", got)
	}

	one.CutNetwork()
	start := time.Now()
	if conn, err := one.Dial("tcp", net.JoinHostPort(one.Addr(), "22")); err == nil {
		conn.Close()
		t.Error("a host without network answers")
	}
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("dialling it took %s to fail", took)
	}
	if _, code := two.Try("ping", "-c1", "-W1", one.Addr()); code == 0 {
		t.Error("a host without network answers its neighbour")
	}
	if out := two.SSH("operator", "echo", "still", "here"); out != "still here\n" {
		t.Errorf("its neighbour answers %q", out)
	}
	one.RestoreNetwork()
	if out := one.SSH("operator", "echo", "back"); out != "back\n" {
		t.Errorf("after the cable is back it answers %q", out)
	}
}

func TestHostLetsInByKeyAndPassword(t *testing.T) {
	h := lab.Start(t, lab.Debian)
	if got := h.SSH("operator", "id", "-un"); got != "operator\n" {
		t.Errorf("with the lab's key I am %q", got)
	}
	if err := h.TryPassword("operator", lab.OperatorPassword); err != nil {
		t.Errorf("with the password: %v", err)
	}
	if h.TryPassword("operator", "not "+lab.OperatorPassword) == nil {
		t.Error("a wrong password lets in")
	}
	if _, code := h.TrySSH("root", "true"); code != 255 {
		t.Errorf("the lab's key lets root in (exit code %d)", code)
	}
}

// TestHashes changes one thing of a file after the other: each is seen, and what is not of the file is not.
func TestHashes(t *testing.T) {
	h := lab.Start(t, lab.Debian)
	h.Sh(`mkdir -p /srv/tree/folder; printf one >/srv/tree/file; printf other >/srv/tree/folder/other; ln -s file /srv/tree/link
		mkfifo /srv/tree/fifo; touch -d 2020-01-01 /srv/tree/file`)
	before := h.Hashes("/srv/tree")
	want := []string{"/srv/tree", "/srv/tree/fifo", "/srv/tree/file", "/srv/tree/folder", "/srv/tree/folder/other", "/srv/tree/link"}
	if got := slices.Sorted(maps.Keys(before)); !slices.Equal(got, want) {
		t.Fatalf("found %q, want %q", got, want)
	}
	for _, tc := range []struct{ name, script, changed string }{
		{"nothing", "true", ""},
		{"reading it", "cat /srv/tree/file", ""},
		{"its times", "touch -d 2021-02-03 /srv/tree/file /srv/tree", ""},
		{"the same content again", "printf one >/srv/tree/file", ""},
		{"its content", "printf eno >/srv/tree/file", "/srv/tree/file"},
		{"its mode", "chmod 600 /srv/tree/file", "/srv/tree/file"},
		{"its set-id bit", "chmod u+s /srv/tree/file", "/srv/tree/file"},
		{"its owner", "chown operator /srv/tree/file", "/srv/tree/file"},
		{"its group", "chgrp operator /srv/tree/file", "/srv/tree/file"},
		{"a capability", "setcap cap_net_raw+ep /srv/tree/file", "/srv/tree/file"},
		{"where a link leads", "ln -sfn other /srv/tree/link", "/srv/tree/link"},
		{"a file that is gone", "rm /srv/tree/folder/other", "/srv/tree/folder/other"},
		{"a new file", "touch /srv/tree/folder/new", "/srv/tree/folder/new"},
		{"a folder's mode", "chmod 700 /srv/tree/folder", "/srv/tree/folder"},
	} {
		h.Sh("cp -a /srv/tree /srv/kept")
		h.Sh(tc.script)
		if got := strings.Join(changes(before, h.Hashes("/srv/tree")), " "); got != tc.changed {
			t.Errorf("%s: changed %q, want %q", tc.name, got, tc.changed)
		}
		h.Sh("rm -r /srv/tree; mv /srv/kept /srv/tree")
		if got := changes(before, h.Hashes("/srv/tree")); len(got) > 0 {
			t.Fatalf("after %s was taken back, %q differ", tc.name, got)
		}
	}

	h.Stop()
	if got := changes(before, h.Hashes("/srv/tree")); len(got) > 0 {
		t.Errorf("on the host that is off, %q differ", got)
	}
	if err := unix.Lsetxattr(h.Root()+"/srv/tree/file", "user.note", []byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	if got := changes(before, h.Hashes("/srv/tree")); !slices.Equal(got, []string{"/srv/tree/file"}) {
		t.Errorf("an attribute of a user's: changed %q", got)
	}
}

// changes lists the paths that differ between two moments, sorted.
func changes(before, after map[string]string) []string {
	var out []string
	for path, was := range before {
		if after[path] != was {
			out = append(out, path)
		}
	}
	for path := range after {
		if _, ok := before[path]; !ok {
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return out
}

// TestOffHost plants files before the first boot, and reads the disk as a card in a reader.
func TestOffHost(t *testing.T) {
	h := lab.Off(t, lab.Debian)
	h.Write("/etc/planted", 0o600, "before the first boot\n")
	if content, err := os.ReadFile(h.Root() + "/etc/planted"); err != nil || string(content) != "before the first boot\n" {
		t.Errorf("on the disk: %q, %v", content, err)
	}
	if got := h.Run("cat", "/etc/hostname"); got != "debian\n" {
		t.Errorf("in the root folder of a host that is off, its name is %q", got)
	}
	h.Boot()
	if got := h.Read("/etc/planted"); got != "before the first boot\n" {
		t.Errorf("after the first boot: %q", got)
	}
	if _, err := h.Machine.Root(); err == nil {
		t.Error("the disk of a running host can be had")
	}
	if err := h.Machine.Boot(t.Context()); err == nil {
		t.Error("a host boots while it is on")
	}
}
