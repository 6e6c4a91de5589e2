package plan_test

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"picket/internal/core/change"
	"picket/internal/core/plan"
	"picket/internal/core/snap"
	"picket/lab"
	"picket/lab/leftout"
)

// stage lays a transaction's folder on a host.
func stage(t *testing.T, h *lab.Host, id string, steps []change.Step) string {
	t.Helper()
	folder, err := plan.Compile(steps)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(folder)) {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(folder[name])), Typeflag: tar.TypeReg, ModTime: time.Unix(1, 0)}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(folder[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	at := "/var/lib/picket/tx/" + id
	h.Sh("mkdir -p " + at + "; base64 -d <<END | tar -C " + at + " -xf -\n" + base64.StdEncoding.EncodeToString(b.Bytes()) + "\nEND")
	return at
}

// whole is what must be as before after a change was taken back.
func whole(h *lab.Host) string {
	return h.Sh(`{ find /etc /home /root /boot -printf '%p %y %m %U %G %T@ %l\n'; find /etc /home /root -type f -exec sha256sum {} +; getfattr -R -d -m - /etc /home 2>/dev/null
		systemctl list-unit-files --no-legend --no-pager; systemctl is-active ssh cron rsyslog; sysctl -a 2>/dev/null | grep -E 'rp_filter|redirects|kptr'
		nft list ruleset; } | grep -v -e '^/etc/.*picket' | sort`)
}

func text(mode uint32, content string) change.Thing {
	return change.Thing{Type: snap.File, Mode: mode, Content: []byte(content)}
}

func some(h *lab.Host) []change.Step {
	h.Sh("for l in to to2 to3; do [ -L /etc/$l ] || ln -s cron.d /etc/$l; done")
	motd := h.Read("/etc/motd")
	return []change.Step{
		{Verb: change.File, Name: "/etc/ssh/sshd_config.d/00-picket.conf", After: text(0o600, "MaxAuthTries 3\n")},
		{Verb: change.File, Name: "/etc/motd", Before: text(0o644, motd), After: text(0o644, "Hello\n")},
		{Verb: change.File, Name: "/etc/new.d", After: change.Thing{Type: snap.Dir, Mode: 0o755}},
		{Verb: change.File, Name: "/etc/new.d/a b'c", After: text(0o644, "x")},
		{Verb: change.File, Name: "/etc/issue.net", Before: change.Thing{Type: snap.File, Opaque: true}},
		{Verb: change.File, Name: "/etc/crontab", Before: change.Thing{Type: snap.File, Opaque: true}, After: change.Thing{Type: snap.File, Mode: 0o600, Opaque: true}},
		{Verb: change.File, Name: "/etc/to", Before: change.Thing{Type: snap.Link, Target: "cron.d"}, After: change.Thing{Type: snap.Link, Target: "cron.daily"}},
		{Verb: change.File, Name: "/etc/to2", Before: change.Thing{Type: snap.Link, Target: "cron.d"}, After: text(0o644, "x")},
		{Verb: change.File, Name: "/etc/to3", Before: change.Thing{Type: snap.Link, Target: "cron.d"}},
		{Verb: change.Check, Name: "/usr/sbin/sshd -t"},
		{Verb: change.Sysctl, Name: "net/ipv4/conf/all/rp_filter", Args: []string{"1"}},
		{Verb: change.Unit, Name: "cron.service", Args: []string{"disable", "stop"}},
		{Verb: change.Act, Name: "systemctl reload ssh"},
	}
}

// shells are what runs it. The last has nothing but BusyBox, and the programs of systemd and Debian that there is no other of.
var shells = []struct{ name, run, prepare string }{
	{"dash", "dash", ""},
	{"bash", "bash", ""},
	{"busybox", "/bb/busybox sh", `cd /bb; ./busybox --install -s .; rm -f dpkg dpkg-deb
		ln -s /usr/bin/systemctl /usr/bin/systemd-run /usr/bin/dpkg /usr/bin/dpkg-deb /usr/bin/dpkg-query /usr/bin/apt-get /usr/bin/apt-mark .
		sed -i 's#PATH=/usr.*#PATH=/bb#' TX/tx; grep -q PATH=/bb TX/tx
		cd TX/..; ln -s 1 locked; ! /bb/busybox sh TX/tx apply 2>/dev/null; [ "$(sh TX/tx state)" = prepared ]; ln -sfn 4194303 locked`}, // whoever held it is dead
}

func TestThereAndBack(t *testing.T) {
	t.Parallel()
	h := lab.Start(t, lab.Debian)
	h.Serve("screen", "man-db")
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		leftout.Missing(t, "no busybox")
	}
	h.CopyIn(busybox, "/bb/busybox")
	h.Sh(`printf 'was\n' >/etc/motd; touch -d 2020-01-01 /etc/motd`)
	h.Reboot()
	for _, sh := range shells {
		steps := append(some(h), remove("man-db"), install("screen"))
		before := system(h)
		at := stage(t, h, sh.name, steps)
		h.Sh(strings.ReplaceAll(sh.prepare, "TX", at))
		out, code := h.Try("sh", "-c", sh.run+" "+at+"/tx apply")
		if code != 0 {
			t.Fatalf("%s: apply: %d\n%s\n%s", sh.name, code, out, h.Sh("cat "+at+"/journal"))
		}
		if !strings.HasSuffix(out, "13/15 sysctl net/ipv4/conf/all/rp_filter\n14/15 unit cron.service\n15/15 act systemctl reload ssh\n") || strings.Count(out, "\n") != 15 {
			t.Errorf("%s says\n%s", sh.name, out)
		}
		if got := h.Sh(`sshd -T | grep -i maxauthtries; cat /etc/motd; cat "/etc/new.d/a b'c"; ls /etc/issue.net 2>&1 || true; stat -c %a /etc/crontab; cat /proc/sys/net/ipv4/conf/all/rp_filter; systemctl is-active cron || true; systemctl is-enabled cron || true; cat ` + at + `/state; systemctl list-timers --no-legend 'picket-back*' | grep -c picket; dpkg-query -W -f '${db:Status-Status}\n' man-db screen`); got != "maxauthtries 3\nHello\nxls: cannot access '/etc/issue.net': No such file or directory\n600\n1\ninactive\ndisabled\napplied\n1\nconfig-files\ninstalled\n" {
			t.Errorf("%s: applied:\n%s", sh.name, got)
		}
		out, code = h.Try("sh", "-c", sh.run+" "+at+"/tx undo")
		if code != 0 || strings.Count(out, "\n") != 14 || !strings.HasPrefix(out, "1/14 gone /etc/to3\n") {
			t.Fatalf("%s: undo: %d\n%s", sh.name, code, out)
		}
		same(t, before, system(h), sh.name+": undone")
		if got := h.Sh("cat " + at + "/state; systemctl list-units --all --no-legend 'picket-*'; ls /etc/systemd/system | grep picket || true; ls " + at); got != "undone\n"+"arm\naround\njournal\npackages\npid\nplan\nseq\nstate\nsteps\ntx\n" {
			t.Errorf("%s: left: %s", sh.name, got)
		}
	}
}

func same(t *testing.T, before, after, when string) {
	t.Helper()
	if before == after {
		return
	}
	b, a := strings.Split(before, "\n"), strings.Split(after, "\n")
	for _, l := range b {
		if !slices.Contains(a, l) {
			t.Errorf("%s: lost %s", when, l)
		}
	}
	for _, l := range a {
		if !slices.Contains(b, l) {
			t.Errorf("%s: there is %s", when, l)
		}
	}
}

// wentBack waits until a transaction has gone back by itself, and all that was armed for it is away.
func wentBack(t *testing.T, h *lab.Host, at string) {
	t.Helper()
	for range 900 {
		if out, _ := h.Try("sh", "-c", "sh "+at+"/tx state; ls "+at+"/armed "+at+"/old 2>/dev/null"); out == "undone\n" || out == "prepared\n" {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("it did not go back: " + h.Sh("cat "+at+"/state "+at+"/journal"))
}

func TestItGoesBackByItself(t *testing.T) {
	t.Parallel()
	h := lab.Start(t, lab.Debian)
	steps := some(h)
	before := whole(h)
	at := stage(t, h, "late", steps)
	h.Sh("echo 3 >" + at + "/within; sh " + at + "/tx apply")
	wentBack(t, h, at)
	same(t, before, whole(h), "not confirmed")
}

// TestClockJumps sets what the time of day is taken to be far ahead and back again with each call, as a Pi without a clock
// of its own does once it has reached a server. A lab host has the machine's clock, so it is the program date that jumps.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	h := lab.Start(t, lab.Debian)
	h.Sh(`mv /usr/bin/date /usr/bin/date.real; cat >/usr/bin/date <<'END'
#!/bin/sh
if [ -e /run/ahead ]; then rm /run/ahead; by='+400 days'; else : >/run/ahead; by='-400 days'; fi
exec date.real -d "$by" "$@"
END
chmod 755 /usr/bin/date`)
	steps := some(h)
	before := whole(h)
	at := stage(t, h, "jumps", steps)
	h.Sh("echo 60 >" + at + "/within; sh " + at + "/tx apply")
	if got := h.Sh("echo $(($(cat " + at + "/due) - $(cut -d. -f1 /proc/uptime)))"); got < "50\n" || got > "60\n" || len(got) != 3 {
		t.Errorf("it is due in %s, want some 60 s", got)
	}
	if got := h.Sh("sort -c " + at + "/journal 2>&1 || true"); got == "" {
		t.Error("the clock did not jump")
	}
	h.Sh("echo 3 >" + at + "/within; sh " + at + "/tx undo; rm -r " + at)
	at = stage(t, h, "jumps", steps)
	h.Sh("echo 3 >" + at + "/within; sh " + at + "/tx apply")
	wentBack(t, h, at)
	same(t, before, whole(h), "not confirmed")
}

func TestPowerCut(t *testing.T) {
	t.Parallel()
	h := lab.Start(t, lab.Debian)
	h.Reboot() // what a first start writes is there
	steps := some(h)
	before := whole(h)
	at := stage(t, h, "cut", steps)
	h.Sh("sh " + at + "/tx apply")
	h.PowerCut()
	h.Boot()
	wentBack(t, h, at)
	same(t, before, whole(h), "after a power cut")
}

// TestKilledAtEachStep kills the program, or the whole host, as soon as the journal tells of a step, and wants the old
// state each time.
func TestKilledAtEachStep(t *testing.T) {
	t.Parallel()
	h := lab.Start(t, lab.Debian)
	h.Reboot()
	steps := some(h)
	before := whole(h)
	trials := 0
	for n := range steps {
		id := fmt.Sprintf("kill%d", n+1)
		at := stage(t, h, id, steps)
		h.Sh(fmt.Sprintf(`setsid sh %[1]s/tx apply </dev/null >/dev/null 2>&1 &
			for i in $(seq 2000); do ! grep -qs ' %03[2]d ' %[1]s/journal || break; done; kill -9 $(cat %[1]s/pid) || true`, at, n+1))
		if out, code := h.Try("sh", at+"/tx", "undo"); code != 0 {
			t.Fatalf("killed at step %d: undo: %d\n%s", n+1, code, out)
		}
		same(t, before, whole(h), fmt.Sprintf("killed at step %d", n+1))
		h.Sh("rm -r " + at)
		trials++
	}
	for n := 0; n < len(steps); n += 3 {
		at := stage(t, h, fmt.Sprintf("cut%d", n+1), steps)
		h.Sh(fmt.Sprintf(`setsid sh %[1]s/tx apply </dev/null >/dev/null 2>&1 &
			for i in $(seq 2000); do ! grep -qs ' %03[2]d ' %[1]s/journal || break; done`, at, n+1))
		h.PowerCut()
		h.Boot()
		wentBack(t, h, at)
		same(t, before, whole(h), fmt.Sprintf("power cut at step %d", n+1))
		h.Sh("rm -r " + at)
		trials++
	}
	t.Logf("%d trials: the old state each time", trials)
}

// TestFaults has things go wrong on the way. Each time the old state is there afterwards, or what is not is told.
func TestFaults(t *testing.T) {
	t.Parallel()
	h := lab.Start(t, lab.Debian)
	sshd := change.Step{Verb: change.File, Name: "/etc/ssh/sshd_config.d/00-picket.conf", After: text(0o600, "MaxAuthTries 3\n")}
	motd := func() change.Step {
		return change.Step{Verb: change.File, Name: "/etc/motd", Before: text(0o644, h.Read("/etc/motd")), After: text(0o644, "Hello\n")}
	}
	for _, tc := range []struct {
		name        string
		first, then string // sh before it, and to have it as it was
		steps       []change.Step
		code        int
		says        string
	}{
		{"a check fails", "", "", []change.Step{motd(), sshd, {Verb: change.Check, Name: "echo it is wrong >&2; false"}}, 5, "it is wrong"},
		{"a unit does not start", "", "", []change.Step{motd(), sshd, {Verb: change.Unit, Name: "nosuch.service", Args: []string{"start"}}}, 5, "nosuch.service"},
		{"what loads it fails", "", "", []change.Step{motd(), {Verb: change.Act, Name: "! grep -q Hello /etc/motd"}}, 5, "step 002 failed"},
		{"the kernel refuses a value", "", "", []change.Step{motd(), {Verb: change.Sysctl, Name: "net/ipv4/conf/all/rp_filter", Args: []string{"no number"}}}, 5, "step 002 failed"},
		{"the file was changed since", "cp -p /etc/motd /root/motd; echo more >>/etc/motd", "mv /root/motd /etc/motd", []change.Step{sshd, motd()}, 4, "/etc/motd was changed after the plan was made"},
		{"its file system can only be read", "mount --bind /etc/ssh/sshd_config.d /etc/ssh/sshd_config.d; mount -o remount,bind,ro /etc/ssh/sshd_config.d", "umount /etc/ssh/sshd_config.d",
			[]change.Step{motd(), sshd}, 4, "cannot be written to"},
		{"no room where it is to lie", "mount -t tmpfs -o size=16k,mode=755 none /etc/ssh/sshd_config.d; head -c 16384 /dev/zero >/etc/ssh/sshd_config.d/fill || true", "umount /etc/ssh/sshd_config.d",
			[]change.Step{motd(), sshd}, 5, "No space left"},
		{"another change is running", "exec 9>>/var/lib/picket/tx/lock; flock 9; sleep 100 & echo $! >/root/holder", "kill $(cat /root/holder); rm /root/holder", []change.Step{motd()}, 4, "another change"},
	} {
		id := strings.ReplaceAll(tc.name, " ", "-")
		at := stage(t, h, id, tc.steps)
		h.Sh(tc.first)
		before := whole(h)
		out, code := h.Try("sh", at+"/tx", "apply")
		if code != tc.code || !strings.Contains(out, tc.says) {
			t.Errorf("%s: exit code %d, want %d with %q:\n%s", tc.name, code, tc.code, tc.says, out)
		}
		same(t, before, whole(h), tc.name)
		h.Sh(tc.then)
		h.Sh("rm -r " + at)
	}

	// No room for what is to be kept.
	before := whole(h)
	at := stage(t, h, "full", []change.Step{motd(), sshd})
	h.Sh("mkdir -p " + at + "/old; mount -t tmpfs -o size=4k none " + at + "/old; head -c 4096 /dev/zero >" + at + "/old/fill || true")
	if out, code := h.Try("sh", at+"/tx", "apply"); code != 4 || !strings.Contains(out, "No space left") {
		t.Errorf("no room for what is to be kept: exit code %d\n%s", code, out)
	}
	h.Sh("umount " + at + "/old; rm -r " + at)
	same(t, before, whole(h), "no room for what is to be kept")

	// Once more, confirmed; then somebody changes one of the files, and there is no room left.
	crontab := func(after string) change.Step {
		return change.Step{Verb: change.File, Name: "/etc/crontab", Before: text(0o644, h.Read("/etc/crontab")), After: text(0o644, after)}
	}
	at = stage(t, h, "later", []change.Step{motd(), sshd, crontab("")})
	h.Sh("sh " + at + "/tx apply && sh " + at + "/tx confirm && [ $(cat " + at + "/state) = confirmed ]")
	if out, code := h.Try("sh", at+"/tx", "apply"); code != 4 || !strings.Contains(out, "confirmed already") {
		t.Errorf("applied twice: %d %s", code, out)
	}
	h.Sh("cp -p /etc/motd /var/ours; echo mine >/etc/motd")
	if out, code := h.Try("sh", at+"/tx", "undo"); code != 6 || !strings.Contains(out, "/etc/motd was changed by somebody since") {
		t.Errorf("undone over what somebody wrote: %d %s", code, out)
	}
	if got := h.Sh("cat /etc/motd; ls /etc/ssh/sshd_config.d; stat -c %h /etc/crontab; cat " + at + "/state"); got != "mine\n1\nstuck\n" {
		t.Errorf("what somebody wrote stays, the rest goes back: %q", got)
	}
	h.Sh("cat /var/ours >/etc/motd; sh " + at + "/tx undo")
	same(t, before, whole(h), "undone later")

	// What is as it was to be already keeps its one name as well: cron does not read a file that has two.
	at = stage(t, h, "already", []change.Step{crontab(h.Read("/etc/crontab"))})
	h.Sh("sh " + at + "/tx apply && sh " + at + "/tx confirm")
	if got := h.Sh("stat -c %h /etc/crontab"); got != "1\n" {
		t.Errorf("/etc/crontab has %s names", got)
	}
	h.Sh("sh " + at + "/tx undo")
	same(t, before, whole(h), "undone, though nothing was done")
}
