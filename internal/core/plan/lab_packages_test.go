package plan_test

import (
	"strings"
	"testing"

	"picket/internal/core/change"
	"picket/lab"
)

// system is what packages change beside their own files, their own files, and what dpkg and apt know of them.
func system(h *lab.Host) string {
	return h.Sh(`{ find /usr /opt /srv -xdev -not -path '*/__pycache__*' -not -type d -printf '%p %y %m %U %G %l\n'
		find /var/lib /var/log /var/cache /var/spool -maxdepth 1 -printf '%p %y %m %U %G\n'
		find /var/lib/dpkg/alternatives /var/lib/dpkg/diversions /var/lib/dpkg/statoverride /var/lib/pam /var/lib/apt/extended_states /var/lib/systemd/deb-* -type f -exec sha256sum {} +
		dpkg-query -W -f '${binary:Package} ${Version} ${db:Status-Abbrev} ${db:Status-Want}\n'; apt-mark showauto | sed 's/^/auto /'; dpkg --audit
		systemctl list-units --all --plain --no-legend --type service,socket,timer | awk '{print $1, $3, $4}' | grep -v -e apt-daily -e picket -e logrotate -e man-db -e dpkg-db -e e2scrub -e fstrim -e tmpfiles-clean
	} 2>/dev/null | grep -v -e '^/var/lib/picket ' -e '^/var/log/.*log ' | sort`) + whole(h)
}

func install(names ...string) change.Step {
	return change.Step{Verb: change.Install, Name: "packages", Args: names}
}

func remove(names ...string) change.Step {
	return change.Step{Verb: change.Remove, Name: "packages", Args: names}
}

// TestPackagesThereAndBack installs packages with accounts, services, libraries and alternatives, takes others away, and
// has all of it back: on request, by itself, after a power cut when all was done, and after one in the middle.
func TestPackagesThereAndBack(t *testing.T) {
	t.Parallel()
	h := lab.Start(t, lab.Debian)
	h.Serve("mosquitto", "screen", "gawk", "logrotate", "bash-completion")
	h.Sh(`apt-mark auto bash-completion; systemctl disable --now logrotate.timer; echo '# mine' >>/etc/logrotate.conf; rm /etc/logrotate.d/btmp`)
	h.Reboot()
	steps := []change.Step{
		remove("logrotate", "bash-completion"), install("mosquitto", "screen", "gawk"),
		{Verb: change.File, Name: "/etc/mosquitto/conf.d/picket.conf", After: text(0o644, "listener 1884\n")},
		{Verb: change.File, Name: "/etc/screenrc", After: text(0o644, "startup_message off\n")}, // which a package brings
		{Verb: change.Unit, Name: "mosquitto.service", Args: []string{"restart"}},
	}
	before := system(h)
	apply := func(id string) string {
		at := stage(t, h, id, steps)
		if out, code := h.Try("sh", at+"/tx", "apply"); code != 0 {
			t.Fatalf("apply: %d\n%s\n%s", code, out, h.Sh("cat "+at+"/journal "+at+"/said || true"))
		}
		return at
	}
	at := apply("asked")
	if got := h.Sh(`ss -Hltn sport = :1884 | wc -l; cat /etc/screenrc; getent passwd mosquitto | cut -d: -f1; dpkg-query -W -f '${db:Status-Status}\n' logrotate bash-completion; ls /usr/sbin/logrotate 2>/dev/null || true`); !strings.Contains(got,
		"startup_message off\nmosquitto\nconfig-files\nconfig-files\n") || strings.HasPrefix(got, "0") {
		t.Errorf("applied:\n%s", got)
	}
	h.Sh("sh " + at + "/tx confirm")
	h.Sh("mv " + lab.Mirror + " /srv/away") // going back needs no mirror
	if out, code := h.Try("sh", at+"/tx", "undo"); code != 0 {
		t.Fatalf("undo: %d\n%s", code, out)
	}
	h.Sh("mv /srv/away " + lab.Mirror)
	same(t, before, system(h), "undone")

	back := func(at, when string) {
		t.Helper()
		wentBack(t, h, at)
		same(t, before, system(h), when)
	}
	at = apply("cut")
	h.PowerCut()
	h.Boot()
	back(at, "after a power cut")
	for _, moment := range []string{"Unpacking mosquitto", "Setting up"} {
		at = stage(t, h, "cut-"+strings.ToLower(moment[:6]), steps)
		h.Sh(`setsid sh ` + at + `/tx apply </dev/null >/dev/null 2>&1 &
			for i in $(seq 3000); do ! grep -qs '` + moment + `' ` + at + `/said || break; sleep 0.01; done; cat ` + at + `/said | tail -n 1
			echo cut off before it got its name >/usr/sbin/mosquitto.dpkg-new`) // the cut itself may come at another moment
		h.PowerCut()
		h.Boot()
		back(at, "after a power cut at "+moment)
	}
}

// TestPackagesOfOthers has somebody work on the host between a change and the way back: what is theirs stays, and is told.
func TestPackagesOfOthers(t *testing.T) {
	t.Parallel()
	h := lab.Start(t, lab.Debian)
	h.Serve("mosquitto", "screen", "mosquitto-clients")

	// What came is needed by what somebody has installed since.
	at := stage(t, h, "needed", []change.Step{install("libmosquitto1")})
	h.Sh("sh " + at + "/tx apply; sh " + at + "/tx confirm; apt-get -q -y --no-install-recommends install mosquitto-clients")
	if out, code := h.Try("sh", at+"/tx", "undo"); code != 6 || !strings.Contains(out, "mosquitto-clients depends on libmosquitto1") {
		t.Errorf("undo of what is needed: %d\n%s", code, out)
	}
	if got := h.Sh("dpkg-query -W -f '${db:Status-Status} ' mosquitto-clients libmosquitto1; cat " + at + "/state"); got != "installed installed stuck\n" {
		t.Errorf("what is needed: %s", got)
	}
	h.Sh("apt-get -q -y purge mosquitto-clients; sh " + at + "/tx undo")
	if got := h.Sh("cat " + at + "/state; dpkg -s libmosquitto1 2>&1 | head -n 1; ldconfig -p | grep -c mosquitto || true"); got != "undone\ndpkg-query: package 'libmosquitto1' is not installed and no information is available\n0\n" {
		t.Errorf("no more needed: %s", got)
	}

	h.Sh("sh " + stage(t, h, "first", []change.Step{install("mosquitto")}) + "/tx apply; sh /var/lib/picket/tx/first/tx confirm")
	h.Sh("apt-get -q -y --no-install-recommends install screen; useradd -M carol; echo mine >/etc/mosquitto/conf.d/mine.conf; echo '# mine' >>/etc/mosquitto/mosquitto.conf")
	out, code := h.Try("sh", "/var/lib/picket/tx/first/tx", "undo")
	if code != 0 || !strings.Contains(out, "/etc/passwd was changed by somebody since: only what came") || !strings.Contains(out, "/etc/mosquitto/mosquitto.conf was changed by somebody since") {
		t.Errorf("undo: %d\n%s", code, out)
	}
	if got := h.Sh("dpkg-query -W -f '${db:Status-Status}\n' screen; dpkg-query -W mosquitto 2>&1 || true; id -un carol; getent passwd mosquitto || true; getent shadow carol | cut -c1-6; pwck -r | grep -v -e 'does not exist' -e 'no changes' || true; stat -c '%a %G' /etc/shadow; cat /etc/mosquitto/conf.d/mine.conf; tail -n 1 /etc/mosquitto/mosquitto.conf"); got !=
		"installed\ndpkg-query: no packages found matching mosquitto\ncarol\ncarol:\n640 shadow\nmine\n# mine\n" {
		t.Errorf("after it:\n%s", got)
	}
}

// TestPackagesRefused has apt want more than the plan says, or a file of a package that cannot be had: nothing is changed.
func TestPackagesRefused(t *testing.T) {
	t.Parallel()
	h := lab.Start(t, lab.Debian)
	h.Serve("chrony", "screen", "systemd-timesyncd")
	for _, tc := range []struct {
		name, first, then string
		steps             []change.Step
		says              string
	}{
		{"it takes others along", "", "", []change.Step{remove("dbus")}, "to take away dbus, apt would also take away"},
		{"it takes the place of another", "", "", []change.Step{install("chrony")}, "to install chrony, apt would take away systemd-timesyncd\n"},
		{"there is no such package", "", "", []change.Step{install("no-such-package")}, "Unable to locate package no-such-package\napt does not find no-such-package: sudo apt-get update first"},
		{"another is half installed", "dpkg --unpack " + lab.Mirror + "/screen_*.deb", "dpkg --purge screen", []change.Step{remove("man-db")}, "half installed: screen: dpkg --configure -a first"},
		{"it is on hold", "apt-mark hold man-db", "apt-mark unhold man-db", []change.Step{remove("man-db")}, "man-db is on hold"},
		{"its file cannot be had", "", "", []change.Step{remove("man-db")}, "the package file of man-db in the installed version cannot be had"},
		{"the mirror is away", "sed -i s,file:,http://192.168.77.1, /etc/apt/sources.list; cd /var/lib/apt/lists; for f in _*; do mv $f 192.168.77.1$f; done",
			"sed -i s,http://192.168.77.1,file:, /etc/apt/sources.list; apt-get -q update", []change.Step{install("screen")}, "apt cannot fetch screen: sudo apt-get update first"},
	} {
		id := strings.ReplaceAll(tc.name, " ", "-")
		at := stage(t, h, id, tc.steps)
		h.Sh(tc.first)
		before := system(h)
		out, code := h.Try("sh", at+"/tx", "apply")
		if code != 4 || !strings.Contains(out, tc.says) {
			t.Errorf("%s: exit code %d, want 4 with %q:\n%s", tc.name, code, tc.says, out)
		}
		same(t, before, system(h), tc.name)
		h.Sh(tc.then)
		h.Sh("rm -r " + at)
	}

	// What is in the way goes when the plan says so, and comes back. That a package lacks a list of sums is no reason not to.
	h.Sh("rm /var/lib/dpkg/info/sed.md5sums")
	h.Reboot()
	before := system(h)
	at := stage(t, h, "both", []change.Step{remove("systemd-timesyncd"), install("chrony")})
	if out, code := h.Try("sh", at+"/tx", "apply"); code != 0 {
		t.Fatalf("apply: %d\n%s", code, out)
	}
	if got := h.Sh("systemctl is-active chrony systemd-timesyncd || true"); got != "active\ninactive\n" {
		t.Errorf("chrony instead of systemd-timesyncd: %s", got)
	}
	if out, code := h.Try("sh", at+"/tx", "undo"); code != 0 {
		t.Errorf("undo: %d\n%s", code, out)
	}
	same(t, before, system(h), "undone")
}

// TestPackageFiles takes a package away whose file is had in other ways than from a mirror, and back.
func TestPackageFiles(t *testing.T) {
	t.Parallel()
	h := lab.Start(t, lab.Debian)
	h.Serve("man-db", "dpkg-repack")
	h.Sh("cp " + lab.Mirror + "/man-db_*.deb /root; apt-get -q -y --no-install-recommends install dpkg-repack; apt-get clean; rm -r " + lab.Mirror + " /var/lib/apt/lists/*; mv /usr/bin/dpkg-repack /root")
	h.Reboot()
	for _, tc := range []struct{ name, first string }{
		{"in the cache of apt", "cp /root/man-db_*.deb /var/cache/apt/archives"},
		{"another in the cache of apt", `rm /var/cache/apt/archives/man-db*; mkdir /root/other; dpkg-deb -R /root/man-db_*.deb /root/other; cd /root/other; echo x >>usr/share/doc/man-db/copyright
			{ cd /root/other && find usr -type f -exec md5sum {} +; } >DEBIAN/md5sums; dpkg-deb -b . /var/cache/apt/archives/$(basename /root/man-db_*.deb) >/dev/null`},
		{"made anew of what is installed", "mv /root/dpkg-repack /usr/bin/dpkg-repack"},
	} {
		h.Sh(tc.first)
		before := system(h)
		at := stage(t, h, strings.ReplaceAll(tc.name, " ", "-"), []change.Step{remove("man-db")})
		out, code := h.Try("sh", at+"/tx", "apply")
		if tc.name == "another in the cache of apt" {
			if code != 4 || !strings.Contains(out, "cannot be had") {
				t.Errorf("%s: apply: %d\n%s", tc.name, code, out)
			}
			continue
		}
		if got, _ := h.Try("dpkg-query", "-W", "-f", "${db:Status-Status}", "man-db"); code != 0 || got != "config-files" {
			t.Errorf("%s: apply: %d, %s\n%s", tc.name, code, got, out)
		}
		if out, code := h.Try("sh", at+"/tx", "undo"); code != 0 {
			t.Errorf("%s: undo: %d\n%s", tc.name, code, out)
		}
		same(t, before, system(h), tc.name)
	}
}
