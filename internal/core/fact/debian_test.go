package fact

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"time"

	"picket/internal/core/snap"
)

// said adds the answer of a command to a snapshot.
func said(s *snap.Snapshot, out string, argv ...string) {
	s.Commands[snap.CommandKey(argv...)] = &snap.Output{Argv: argv, Stdout: []byte(out)}
}

// link adds a symbolic link.
func link(s *snap.Snapshot, p, target string) {
	s.Entries[p] = &snap.Entry{Path: p, Type: snap.File, Mode: 0o644, Target: target, Real: target, Read: true}
}

func TestAptFiles(t *testing.T) {
	s := wifiHost(map[string]string{
		"/etc/apt/apt.conf.d/01autoremove":    "APT\n{\n  NeverAutoRemove\n  {\n\t\"^firmware-linux.*\";\n\t\"^linux-firmware$\";\n  };\n  VersionedKernelPackages\n  {\n\t# kernels\n\t\"linux-.*\";\n  };\n};\n",
		"/etc/apt/apt.conf.d/20auto-upgrades": "APT::Periodic::Update-Package-Lists \"1\";\nAPT::Periodic::Unattended-Upgrade \"1\";\n",
		"/etc/apt/apt.conf.d/50unattended-upgrades": "Unattended-Upgrade::Origins-Pattern {\n        // Codename based matching:\n        \"origin=Debian,codename=${distro_codename},label=Debian\";\n" +
			"        /* \"origin=Nobody\"; */\n        \"origin=Debian,codename=${distro_codename}-security,label=Debian-Security\";\n};\n",
		"/etc/apt/apt.conf.d/52own":               "Unattended-Upgrade::Automatic-Reboot \"false\";\n#clear Unattended-Upgrade::Mail;\n",
		"/etc/apt/apt.conf.d/70debconf":           "DPkg::Pre-Install-Pkgs {\"/usr/sbin/dpkg-preconfigure --apt || true\";};\n",
		"/etc/apt/apt.conf.d/99periodic.ucf-dist": "APT::Periodic::Unattended-Upgrade \"0\";\n",
		"/etc/apt/apt.conf.d/99periodic.dpkg-old": "APT::Periodic::Enable \"0\";\n",
		"/etc/apt/apt.conf.d/60mail":              "Unattended-Upgrade::Mail \"root\";\n",
		"/etc/apt/apt.conf":                       "APT::Periodic::Unattended-Upgrade \"7\";\n",
		"/etc/os-release":                         "ID=debian\nVERSION_CODENAME=bookworm\n",
	})
	h := Parse(s)
	c := h.Updates.Apt
	for _, tc := range []struct{ name, want, place string }{
		{"APT::Periodic::Update-Package-Lists", "1", "/etc/apt/apt.conf.d/20auto-upgrades:1"},
		{"apt::periodic::unattended-upgrade", "7", "/etc/apt/apt.conf:1"},
		{"APT::Periodic::Enable", "", ""},
		{"Unattended-Upgrade::Automatic-Reboot", "false", "/etc/apt/apt.conf.d/52own:1"},
		{"Unattended-Upgrade::Mail", "root", "/etc/apt/apt.conf.d/60mail:1"},
	} {
		if v := c.Get(tc.name); v.V != tc.want || v.Place.String() != tc.place {
			t.Errorf("%s is %q at %s, want %q at %s", tc.name, v.V, v.Place, tc.want, tc.place)
		}
	}
	if l := c.List("APT::NeverAutoRemove"); len(l) != 2 || l[1].V != "^linux-firmware$" || l[1].Place.Line != 6 {
		t.Errorf("NeverAutoRemove is %+v", l)
	}
	var patterns []string
	for _, p := range h.UpgradePatterns() {
		patterns = append(patterns, p.Place.String()+" "+p.Text)
	}
	want := "/etc/apt/apt.conf.d/50unattended-upgrades:3 origin=Debian,codename=${distro_codename},label=Debian\n" +
		"/etc/apt/apt.conf.d/50unattended-upgrades:5 origin=Debian,codename=${distro_codename}-security,label=Debian-Security"
	if got := strings.Join(patterns, "\n"); got != want {
		t.Errorf("patterns are\n%s\nwant\n%s", got, want)
	}
	security := Origin{Origin: "Debian", Label: "Debian-Security", Codename: "bookworm-security", Suite: "oldstable-security"}
	if ps := h.UpgradePatterns(); ps[0].Matches(security) || !ps[1].Matches(security) {
		t.Error("the second pattern alone is to match the security archive")
	}
}

func TestAptSources(t *testing.T) {
	s := wifiHost(map[string]string{
		"/etc/apt/sources.list": "# deb cdrom:[Debian 12]/ bookworm main\ndeb http://deb.debian.org/debian bookworm main non-free-firmware\ndeb-src http://deb.debian.org/debian bookworm main\n" +
			"deb [ trusted=yes arch=arm64 ] http://user:hunter-two@example.org/x ./ # own\n",
		"/etc/apt/sources.list.d/raspi.sources": "Types: deb\nURIs: http://archive.raspberrypi.com/debian/\nSuites: trixie\nComponents: main\nSigned-By: /usr/share/keyrings/raspberrypi-archive-keyring.pgp\n" +
			"\nTypes: deb deb-src\nURIs: https://deb.debian.org/debian-security/\nSuites:\n trixie-security\n trixie-updates\nEnabled: no\nTrusted: yes\n",
		"/etc/apt/sources.list.d/old.list.save": "deb http://example.org/save bookworm main\n",
	})
	src, st, why := aptSources(s)
	if st != Known {
		t.Fatal(why)
	}
	var got []string
	for _, x := range src {
		got = append(got, fmt.Sprintf("%s %s %s trusted=%s off=%t", x.Place, strings.Join(x.URIs, " "), strings.Join(x.Suites, " "), x.Options["trusted"], x.Disabled))
	}
	want := []string{
		"/etc/apt/sources.list:2 http://deb.debian.org/debian bookworm trusted= off=false",
		"/etc/apt/sources.list:4 http://user:[secret]@example.org/x ./ trusted=yes off=false",
		"/etc/apt/sources.list.d/raspi.sources:1 http://archive.raspberrypi.com/debian/ trixie trusted= off=false",
		"/etc/apt/sources.list.d/raspi.sources:7 https://deb.debian.org/debian-security/ trixie-security trixie-updates trusted=yes off=true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The texts are those of Debian 12's own packages.
func TestCronTables(t *testing.T) {
	s := wifiHost(map[string]string{
		"/etc/crontab": "# /etc/crontab: system-wide crontab\nSHELL=/bin/sh\nPATH=/usr/local/sbin:/usr/local/bin:/sbin:/bin:/usr/sbin:/usr/bin\n\n17 *\t* * *\troot\tcd / && run-parts --report /etc/cron.hourly\n" +
			"25 6\t* * *\troot\ttest -x /usr/sbin/anacron || { cd / && run-parts --report /etc/cron.daily; }\n",
		"/etc/cron.d/e2scrub_all":             "30 3 * * 0 root test -e /run/systemd/system || SERVICE_MODE=1 /usr/lib/x86_64-linux-gnu/e2fsprogs/e2scrub_all_cron\n",
		"/etc/cron.d/backup.sh":               "* * * * * root /home/pi/never.sh\n",
		"/var/spool/cron/crontabs/pioreactor": "@reboot /usr/local/bin/start \"a b\" >/tmp/log 2>&1\n*/5 * * * * curl -u joe --password hunter-two http://x/ | mail -s 100\\% me %body\n",
	})
	h := Parse(s)
	var got []string
	for _, j := range h.Cron.Jobs {
		got = append(got, fmt.Sprintf("%s %s: %s", j.Place, j.User, j.Command))
	}
	want := []string{
		"/etc/crontab:5 root: cd / && run-parts --report /etc/cron.hourly",
		"/etc/crontab:6 root: test -x /usr/sbin/anacron || { cd / && run-parts --report /etc/cron.daily; }",
		"/etc/cron.d/e2scrub_all:1 root: test -e /run/systemd/system || SERVICE_MODE=1 /usr/lib/x86_64-linux-gnu/e2fsprogs/e2scrub_all_cron",
		`/var/spool/cron/crontabs/pioreactor:1 pioreactor: /usr/local/bin/start "a b" >/tmp/log 2>&1`,
		`/var/spool/cron/crontabs/pioreactor:2 pioreactor: curl -u joe --password [secret] http://x/ | mail -s 100\% me`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if p := h.Cron.Jobs[0].Path; len(p) != 6 || p[0] != "/usr/local/sbin" {
		t.Errorf("PATH is %v", p)
	}
	if p := h.Cron.Jobs[2].Paths; !slices.Contains(p, "/usr/lib/x86_64-linux-gnu/e2fsprogs/e2scrub_all_cron") {
		t.Errorf("programs are %v", p)
	}
}

const (
	trackingGood = "Reference ID    : C0A84D01 (192.168.77.1)\nStratum         : 3\nRef time (UTC)  : Tue Nov 24 12:04:14 2026\nSystem time     : 0.000298732 seconds slow of NTP time\n" +
		"Last offset     : +0.000971228 seconds\nRoot delay      : 0.000601695 seconds\nUpdate interval : 2.0 seconds\nLeap status     : Normal\n"
	trackingNone = "Reference ID    : 00000000 ()\nStratum         : 0\nRef time (UTC)  : Thu Jan 01 00:00:00 1970\nSystem time     : 0.000000000 seconds fast of NTP time\nLeap status     : Not synchronised\n"
	trackingOwn  = "Reference ID    : 7F7F0101 ()\nStratum         : 10\nLeap status     : Normal\n"
)

func TestClocks(t *testing.T) {
	for _, tc := range []struct {
		name, tracking, sources string
		synchronised            bool
		peers                   Peers
	}{
		{"in step", trackingGood, "^,*,192.168.77.1,2,6,17,3,0.000013313,0.000984541,0.000303025\n", true, Peers{1, 1, 1}},
		{"no source", trackingNone, "", false, Peers{}},
		{"sources that do not answer", trackingNone, "^,?,192.0.2.1,0,6,0,4294967295,0.000000000,0.000000000,0.000000000\n^,?,192.0.2.2,0,7,0,4294967295,0.0,0.0,0.0\n", false, Peers{2, 0, 0}},
		{"its own clock (local stratum 10)", trackingOwn, "", false, Peers{}},
	} {
		s := wifiHost(nil)
		said(s, tc.tracking, chronyTracking...)
		said(s, tc.sources, chronySources...)
		said(s, "Timezone=Etc/UTC\nLocalRTC=no\nCanNTP=yes\nNTP=yes\nNTPSynchronized=no\nTimeUSec=Tue 2026-11-24 12:01:52 UTC\n", timedatectl...)
		h := Parse(s)
		c := h.Time.Chrony
		if !c.Known() || c.V.Synchronised != tc.synchronised || c.V.Sources.V != tc.peers {
			t.Errorf("%s: %+v", tc.name, c)
		}
		if k := h.Time.Kernel; !k.Known() || k.V {
			t.Errorf("%s: the kernel's clock is %+v", tc.name, k)
		}
	}
	// From the manual of ntpq.
	p := ntpPeers(&snap.Output{Argv: ntpqPeers, Stdout: []byte("     remote           refid      st t when poll reach   delay   offset  jitter\n" +
		"==============================================================================\n 0.debian.pool.n .POOL.          16 p    -   64    0    0.000    0.000   0.000\n" +
		"*203.0.113.5     192.0.2.9        2 u   33   64  377    4.123    0.034   0.201\n+203.0.113.6     192.0.2.9        2 u   31   64  377    5.1      0.1     0.3\n 203.0.113.7     .INIT.          16 u    -   64    0    0.000    0.000   0.000\n")})
	if p != (Peers{3, 2, 1}) {
		t.Errorf("ntpq gave %+v", p)
	}
}

// TestSystemdConfOrder: the main file of the first folder, then drop-ins of all
// folders by name, where one in /etc hides its namesake.
func TestSystemdConfOrder(t *testing.T) {
	s := wifiHost(map[string]string{
		"/etc/systemd/journald.conf":                    "[Journal]\n#Storage=auto\nCompress=no\n",
		"/usr/lib/systemd/journald.conf":                "[Journal]\nSystemMaxUse=1G\n",
		"/usr/lib/systemd/journald.conf.d/40-rpi.conf":  "[Journal]\nStorage=volatile\n",
		"/usr/lib/systemd/journald.conf.d/90-late.conf": "[Journal]\nSystemMaxUse=9G\n",
		"/etc/systemd/journald.conf.d/60-own.conf":      "[Journal]\nStorage=persistent\nSystemMaxUse=\\\n  200M\n",
		"/etc/systemd/journald.conf.d/readme.txt":       "[Journal]\nStorage=none\n",
	})
	link(s, "/etc/systemd/journald.conf.d/90-late.conf", "/dev/null")
	all, st, why := SystemdConf(s, "journald.conf")
	if st != Known {
		t.Fatal(why)
	}
	for _, tc := range []struct{ key, want, place string }{
		{"Storage", "persistent", "/etc/systemd/journald.conf.d/60-own.conf:2"},
		{"SystemMaxUse", "200M", "/etc/systemd/journald.conf.d/60-own.conf:3"},
		{"Compress", "no", "/etc/systemd/journald.conf:3"},
	} {
		if v := Last(all, "Journal", tc.key); v.V != tc.want || v.Place.String() != tc.place {
			t.Errorf("%s is %q at %s, want %q at %s", tc.key, v.V, v.Place, tc.want, tc.place)
		}
	}
}

// TestDropIns: those that `systemctl show -p DropInPaths` of systemd 252 gives
// for the same files, in its order.
func TestDropIns(t *testing.T) {
	const u, v, r = "/etc/systemd/system/", "/usr/lib/systemd/system/", "/run/systemd/system/"
	files := map[string]string{}
	for _, p := range []string{
		v + "a-b-c@x.service.d/50-x.conf", u + "a-b-c@.service.d/60-t.conf", u + "a-.service.d/10-a.conf", v + "a-b-.service.d/20-ab.conf", u + "service.d/05-all.conf",
		u + "service.d/70-same.conf", v + "a-b-c@.service.d/70-same.conf", u + "a-b-.service.d/80-two.conf", v + "a-b-c@.service.d/80-two.conf",
		r + "a-b-c@.service.d/90-r.conf", v + "a-b-c@.service.d/90-r.conf", v + "a-b-c@.service.d/95-no.conf", u + "a-b-c@.service.d/notes.txt",
	} {
		files[p] = "[Service]\n"
	}
	s := wifiHost(files)
	link(s, u+"a-b-c@.service.d/95-no.conf", "/dev/null")
	for name, want := range map[string][]string{
		"a-b-c@x.service": {
			u + "service.d/05-all.conf", u + "a-.service.d/10-a.conf", v + "a-b-.service.d/20-ab.conf", v + "a-b-c@x.service.d/50-x.conf", u + "a-b-c@.service.d/60-t.conf",
			v + "a-b-c@.service.d/70-same.conf", u + "a-b-.service.d/80-two.conf", r + "a-b-c@.service.d/90-r.conf",
		},
		"a-b.service": {u + "service.d/05-all.conf", u + "a-.service.d/10-a.conf", u + "service.d/70-same.conf"},
	} {
		es, hidden := dropIns(s, name)
		var got []string
		for _, e := range es {
			got = append(got, e.Path)
		}
		if d := cmp.Diff(want, got); d != "" || hidden != "" {
			t.Errorf("%s (hidden %q): wanted - , got + :\n%s", name, hidden, d)
		}
	}
}

// TestUnitsOfAnImage: what systemctl would say of the same files.
func TestUnitsOfAnImage(t *testing.T) {
	const install = "[Unit]\nDescription=x\n[Install]\nWantedBy=multi-user.target\n"
	s := snap.New(snap.Source{Kind: "image"}, time.Unix(1_700_000_000, 0))
	s.MarkComplete()
	for p, text := range map[string]string{
		"/usr/lib/systemd/system/ssh.service": install + "Alias=sshd.service\n", "/usr/lib/systemd/system/cron.service": install,
		"/usr/lib/systemd/system/apt-daily.timer": "[Install]\nWantedBy=timers.target\n", "/usr/lib/systemd/system/apt-daily.service": "[Service]\nType=oneshot\n",
		"/usr/lib/systemd/system/getty@.service": "[Install]\nWantedBy=getty.target\nDefaultInstance=tty1\n", "/usr/lib/systemd/system/systemd-timesyncd.service": install,
	} {
		s.Entries[p] = &snap.Entry{Path: p, Type: snap.File, Mode: 0o644, Read: true, Content: []byte(text), Size: int64(len(text))}
	}
	link(s, "/etc/systemd/system/sshd.service", "/lib/systemd/system/ssh.service")
	link(s, "/etc/systemd/system/multi-user.target.wants/ssh.service", "/lib/systemd/system/ssh.service")
	link(s, "/etc/systemd/system/dbus-org.freedesktop.timesync1.service", "/lib/systemd/system/systemd-timesyncd.service")
	link(s, "/etc/systemd/system/getty.target.wants/getty@tty1.service", "/lib/systemd/system/getty@.service")
	link(s, "/etc/systemd/system/apt-daily.service", "/dev/null")
	h := Parse(s)
	for name, want := range map[string]string{
		"ssh.service": "enabled", "sshd.service": "alias", "cron.service": "disabled", "apt-daily.timer": "disabled", "apt-daily.service": "masked",
		"systemd-timesyncd.service": "enabled", "getty@tty1.service": "enabled",
	} {
		if u := h.Units.Get(name); u.FileState.V != want || u.Active.Known() {
			t.Errorf("%s is %q (active: %+v), want %q and not known", name, u.FileState.V, u.Active, want)
		}
	}
	if u := h.Units.Get("nginx.service"); u.Exists || u.FileState.State != Absent {
		t.Errorf("nginx.service is %+v", u)
	}
}

func TestRsyslogInputs(t *testing.T) {
	s := wifiHost(map[string]string{
		"/etc/rsyslog.conf":          "module(load=\"imuxsock\")\n#module(load=\"imudp\")\n#input(type=\"imudp\" port=\"514\")\nmodule(load=\"imtcp\")\ninput(\n  type=\"imtcp\"\n  port=\"514\"\n)\n",
		"/etc/rsyslog.d/10-old.conf": "$ModLoad imudp\n$UDPServerRun 514\n",
		"/etc/rsyslog.d/notes.txt":   "input(type=\"imrelp\" port=\"1\")\n",
	})
	h := Parse(s)
	var got []string
	for _, r := range h.Logging.Receivers {
		got = append(got, r.Place.String()+" "+r.Module)
	}
	if want := []string{"/etc/rsyslog.conf:5 imtcp", "/etc/rsyslog.d/10-old.conf:2 imudp"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestRouter(t *testing.T) {
	for _, tc := range []struct{ path, want string }{
		{"/usr/bin/dockerd", "Docker"}, {"/etc/wireguard/wg0.conf", "WireGuard"}, {"/boot/firmware/local_access_point", "the Pioreactor's own access point"}, {"/etc/hostname", ""},
	} {
		if got := Parse(wifiHost(map[string]string{tc.path: ""})).Router(); !got.Known() || got.V != tc.want {
			t.Errorf("with %s it is %+v, want %q", tc.path, got, tc.want)
		}
	}
}

// The names that apt reads in a folder, as `apt-config dump` of Debian 12 shows them.
func TestAptPartName(t *testing.T) {
	for name, want := range map[string]bool{
		"20auto-upgrades": true, "50x.conf": true, "a_b:c.conf": true, "A9": true,
		"20auto-upgrades~": false, "20auto upgrades": false, "x.conf.dpkg-old": false, "x.bak": false, "": false, "é.conf": false, "(x)": false,
	} {
		if got := aptPartName(name, ".conf"); got != want {
			t.Errorf("%q is read: %v, want %v", name, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for kernel, want := range map[string][]int{"6.9.0-19-amd64": {6, 9, 0, 19}, "6.12.41+deb13-arm64": {6, 12, 41, 13}, "": nil, "x-y": nil} {
		if got := numbers(kernel); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", kernel, got, want)
		}
	}
}

// TestOwnSettings: what a package adds to a unit is no change of this host's.
func TestOwnSettings(t *testing.T) {
	const exec = "[Service]\nExecStart=\nExecStart=/bin/true\n"
	for _, tc := range []struct{ file, unit, want string }{
		{"/usr/lib/systemd/system/ufw.service.d/10-x.conf", "ufw.service", ""},
		{"/etc/systemd/system/ufw.service.d/10-x.conf", "ufw.service", "/etc/systemd/system/ufw.service.d/10-x.conf:"},
		{"/etc/systemd/system/apt-.service.d/10-x.conf", "apt-daily.service", "/etc/systemd/system/apt-.service.d/10-x.conf:"},
	} {
		h := &Host{Snap: wifiHost(map[string]string{tc.file: exec})}
		if got := h.ChangedUnit(tc.unit); got == "" != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s with %s: %q, want %q", tc.unit, tc.file, got, tc.want)
		}
	}
}
