package snapshot_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"picket/internal/core/fact"
	"picket/internal/core/snap"
	"picket/lab/leftout"
)

// The folders of sysctl.d, and what may stand in them. Only keys of the network
// are used: those belong to the namespace that the test makes for itself.
var (
	sysctlDirs  = []string{"/etc/sysctl.d", "/run/sysctl.d", "/usr/lib/sysctl.d"}
	sysctlFiles = []string{"10-a.conf", "50-b.conf", "99-sysctl.conf", "zz.conf", "not-a-conf"}
	sysctlPlace = []string{"all", "default", "dum0", "dum1", "*", "dum*", "d?m1"}
	sysctlNames = []string{"rp_filter", "log_martians", "arp_ignore", "send_redirects"}
)

func sysctlText(r *rand.Rand) string {
	var b strings.Builder
	for range r.IntN(6) {
		key := "net.ipv4.conf." + sysctlPlace[r.IntN(len(sysctlPlace))] + "." + sysctlNames[r.IntN(len(sysctlNames))]
		switch r.IntN(12) {
		case 0, 1, 2:
			key = strings.ReplaceAll(key, ".", "/")
		case 3:
			b.WriteString([]string{"# a comment\n", "; a comment\n", "\n", "no assignment\n", "net.ipv4.conf.nosuch.rp_filter=1\n"}[r.IntN(5)])
		}
		switch r.IntN(8) {
		case 0:
			fmt.Fprintf(&b, "-%s\n", key)
		case 1:
			fmt.Fprintf(&b, "-%s = %d\n", key, r.IntN(2))
		case 2:
			fmt.Fprintf(&b, "  %s=%d  \n", key, r.IntN(2))
		default:
			fmt.Fprintf(&b, "%s = %d\n", key, r.IntN(2))
		}
	}
	return b.String()
}

// TestSysctlAgainstSystemd lets the real systemd-sysctl write generated files
// to a kernel and compares what it then has with what we say the boot gives.
func TestSysctlAgainstSystemd(t *testing.T) {
	if os.Getenv("PICKET_LAB") == "off" {
		leftout.Skip(t, "PICKET_LAB=off; it asks the real systemd-sysctl many times")
	}
	const real = "/lib/systemd/systemd-sysctl"
	if _, err := os.Stat(real); err != nil || os.Getuid() != 0 {
		leftout.Missing(t, "needs root and systemd-sysctl to compare with")
	}
	const script = `set -e
		mount -t tmpfs none /run; mkdir -p /run/sysctl.d; mount --bind "$1/run/sysctl.d" /run/sysctl.d
		mount --bind "$1/etc/sysctl.d" /etc/sysctl.d; mount --bind "$1/usr/lib/sysctl.d" /usr/lib/sysctl.d
		[ ! -d /usr/local/lib/sysctl.d ] || mount -t tmpfs none /usr/local/lib/sysctl.d
		mount -t proc proc /proc; mount -t sysfs sysfs /sys 2>/dev/null || true
		ip link add dum0 type veth peer name dum1
		show() { for i in all default dum0 dum1; do for n in rp_filter log_martians arp_ignore send_redirects; do echo "$1 $i/$n $(cat /proc/sys/net/ipv4/conf/$i/$n)"; done; done; }
		show before; /lib/systemd/systemd-sysctl 2>/dev/null || true; show after`
	run := func(dir string) (before, after map[string]string, err error) {
		out, err := exec.Command("unshare", "--mount", "--net", "--pid", "--fork", "sh", "-c", script, "sh", dir).CombinedOutput()
		before, after = map[string]string{}, map[string]string{}
		for l := range strings.Lines(string(out)) {
			f := strings.Fields(l)
			if len(f) == 3 && f[0] == "before" {
				before[f[1]] = f[2]
			} else if len(f) == 3 && f[0] == "after" {
				after[f[1]] = f[2]
			}
		}
		if err == nil && len(after) != 16 {
			err = fmt.Errorf("no answer")
		}
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		return before, after, err
	}
	plant := func(seed uint64) (string, *snap.Snapshot, string) {
		r := rand.New(rand.NewPCG(seed, 3))
		dir := t.TempDir()
		s := snap.New(snap.Source{Kind: "local"}, time.Unix(0, 0))
		s.MarkComplete()
		var text strings.Builder
		for _, d := range sysctlDirs {
			if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
				t.Fatal(err)
			}
			for _, name := range sysctlFiles {
				p := filepath.Join(d, name)
				if seed == 0 || r.IntN(3) == 0 {
					continue
				}
				if d != "/usr/lib/sysctl.d" && r.IntN(8) == 0 {
					if err := os.Symlink("/dev/null", filepath.Join(dir, p)); err != nil {
						t.Fatal(err)
					}
					s.Entries[p] = &snap.Entry{Path: p, Type: snap.Device, Target: "/dev/null", Real: "/dev/null"}
					fmt.Fprintf(&text, "-- %s -> /dev/null --\n", p)
					continue
				}
				c := sysctlText(r)
				if err := os.WriteFile(filepath.Join(dir, p), []byte(c), 0o644); err != nil {
					t.Fatal(err)
				}
				s.Entries[p] = &snap.Entry{Path: p, Type: snap.File, Mode: 0o644, Read: true, Content: []byte(c)}
				fmt.Fprintf(&text, "-- %s --\n%s", p, c)
			}
		}
		return dir, s, text.String()
	}
	dir, _, _ := plant(0)
	if _, _, err := run(dir); err != nil {
		leftout.Missing(t, "needs the right to make namespaces: "+err.Error())
	}
	compares := 0
	for seed := range uint64(45) {
		dir, s, text := plant(seed + 1)
		before, after, err := run(dir)
		if err != nil {
			t.Fatal(err)
		}
		c := fact.Parse(s).Sysctl
		for key, got := range after {
			want, ok := c.Boot("net/ipv4/conf/" + key)
			iface, name, _ := strings.Cut(key, "/")
			// The kernel gives an interface that nobody has set what is written to
			// default; and systemd does not write what is there already.
			_, byDefault := c.Boot("net/ipv4/conf/default/" + name)
			if byDefault && strings.HasPrefix(iface, "dum") && (!ok || want.Value == before[key]) {
				continue
			}
			if !ok {
				want.Value = before[key]
			}
			compares++
			if want.Value != got {
				t.Errorf("%s is %s, we say %s\n%s", key, got, want.Value, text)
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d values compared", compares)
	if compares < 500 {
		t.Errorf("only %d values compared", compares)
	}
}
