package fact

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"picket/internal/core/snap"
)

// told makes a host that answers with these files and commands, and checks what
// must hold whatever it says: no topic panics, and nothing is asked that may
// not be.
func told(t *testing.T, kind string, files map[string]string, commands map[string]string) *Host {
	t.Helper()
	s := plantKernel(files)
	s.Source.Kind = kind
	s.Taken = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
	for line, out := range commands {
		argv := strings.Split(line, " ")
		if argv[0] == "dpkg-query" {
			argv = DpkgQuery()
		}
		s.Commands[snap.CommandKey(argv...)] = &snap.Output{Argv: argv, Stdout: []byte(out)}
	}
	Redact(s, Secrets{})
	h := Parse(s)
	for _, c := range Ask(s).Commands {
		if _, err := snap.Permit(c.Argv); err != nil {
			t.Error(err)
		}
		for _, w := range c.Argv {
			if strings.ContainsAny(w, "\x00\n") && c.Argv[0] != "dpkg-query" {
				t.Errorf("asks %q", c.Argv)
			}
		}
	}
	return h
}

const fuzzPasswd = "root:x:0:0:root:/root:/bin/bash\npi:x:1000:1000::/home/pi:/bin/bash\n"

func FuzzSSHD(f *testing.F) {
	f.Add("Include sshd_config.d/*.conf\nMatch User pi,!root Address 10.0.0.0/8\n  X11Forwarding no\nMatch all\nPort 22\n",
		"PermitRootLogin=\"no\" # x\nInclude /etc/ssh/*\nRekeyLimit 1G 1h\nCiphers ^a,b\n", "permitrootlogin no\nport 22\n", "Id=ssh.service\nActiveState=active\nStateChangeTimestamp=Mon 2026-01-05 10:00:00 UTC\n\nId=ssh.socket\nListen=[::]:22 (Stream)\n")
	f.Add("PermitRootLogin no\n", "SSHD_OPTS = \"-q -o \\\"Port 23\\\" \\\n -f /x\"\n[Service]\nRootDirectory=/x\nEnvironmentFile=/y\n", "", "Id=ssh.service\nMainPID=7\nExecStart={ argv[]=/usr/sbin/sshd -D $SSHD_OPTS ; }\n")
	f.Add("Match Host \\*,=\nMatch LocalAddress\nAllowUsers \"a", "\xff\x00Match\x00", "", "Id")
	f.Fuzz(func(t *testing.T, main, drop, dump, show string) {
		files := map[string]string{
			"/etc/ssh/sshd_config": main, "/etc/ssh/sshd_config.d/a.conf": drop, "/etc/passwd": fuzzPasswd,
			"/etc/ssh/moduli": drop, "/etc/ssh/ssh_host_rsa_key.pub": drop, "/etc/systemd/system/ssh.socket": drop,
			"/etc/default/ssh": drop, "/proc/7/cmdline": "sshd: /usr/sbin/sshd " + drop + " [listener] 0", "/etc/systemd/system/ssh.service.d/a.conf": drop,
		}
		h := told(t, "local", files, map[string]string{
			"sshd -T": dump, "sshd -t": "",
			"systemctl show --no-pager --timestamp=utc --property=Id,ActiveState,StateChangeTimestamp,Listen,MainPID,ExecStart ssh.service ssh.socket": show,
		})
		c := h.SSHD.Config
		who, _ := c.Logins(h.Accounts)
		if len(who) > MaxSSHDLogins || len(c.Files) > sshdMaxFiles {
			t.Errorf("%d logins, %d files", len(who), len(c.Files))
		}
		for _, w := range who {
			for k := range sshdOptions {
				c.Find(w, k)
			}
		}
		h.SSHD.Changed(h.Snap)
		told(t, "image", files, nil)
	})
}

func FuzzSSHClient(f *testing.F) {
	f.Add("Host *\n  HashKnownHosts yes\nMatch exec \"x\"\nForwardAgent=yes\n", "StrictHostKeyChecking no\nUser secret\n")
	f.Fuzz(func(t *testing.T, system, own string) {
		h := told(t, "local", map[string]string{"/etc/ssh/ssh_config": system, "/home/pi/.ssh/config": own, "/etc/passwd": fuzzPasswd}, nil)
		for _, s := range h.SSHClient.Settings {
			if !slices.Contains(sshClientKept, s.Keyword) {
				t.Errorf("kept %q", s.Keyword)
			}
		}
	})
}

func FuzzUnits(f *testing.F) {
	f.Add("a.service enabled enabled\nb@.service static -\n", "● a.service loaded active running A\nb@x.service loaded failed failed B\n",
		"[Service]\nUser=pi\nExecStart=-/bin/sh -c 'python3 /home/pi/x.py; a | b' ; /b\nEnvironment=PATH=/a:/b \"T=1\"\nEnvironmentFile=-/e\n[Install]\n", "Id=a.service\nExecStart={ path=/a ; argv[]=/a -c b ; flags=privileged }\nEnvironment=PATH=/x:/y\n")
	f.Fuzz(func(t *testing.T, list, loaded, unit, show string) {
		commands := map[string]string{
			strings.Join(listUnitFiles, " "): list, strings.Join(listUnits, " "): loaded,
		}
		files := map[string]string{
			"/etc/systemd/system/a.service": unit, "/etc/systemd/system/a.service.d/x.conf": show, "/usr/lib/systemd/system/b@.service": unit,
			"/usr/lib/systemd/system/ssh.service": "[Install]\n", "/etc/systemd/system/multi-user.target.wants/b@1.service": unit, "/etc/passwd": fuzzPasswd,
		}
		h := told(t, "local", files, commands)
		if argv := h.showCommand(); argv != nil && len(strings.Join(argv, " ")) < 2000 {
			if _, err := snap.Permit(argv); err == nil {
				commands[strings.Join(argv, " ")] = show
				h = told(t, "local", files, commands)
			}
		}
		for _, r := range h.RootRuns() {
			h.Writers(r.Path)
		}
		told(t, "image", files, nil).RootRuns()
	})
}

func FuzzCron(f *testing.F) {
	f.Add("SHELL=/bin/sh\nPATH=/a:/b\n* * * * * root cd /x && ./y \"z\" > /dev/null\n@daily pi python3 -m a\n", "*/5 * * * * $(a `b`) {x,y} <<E\n")
	f.Fuzz(func(t *testing.T, system, own string) {
		h := told(t, "local", map[string]string{"/etc/crontab": system, "/etc/cron.d/a": system, "/var/spool/cron/crontabs/pi": own, "/etc/passwd": fuzzPasswd}, nil)
		for _, r := range h.RootRuns() {
			h.Writers(r.Path)
		}
	})
}

func FuzzUpdates(f *testing.F) {
	f.Add("APT::Periodic::Enable \"1\";\nUnattended-Upgrade { Origins-Pattern { \"o=${distro_id}\"; }; };\n#clear A;\n", "deb [trusted=yes a=b] http://u:p@h/ s c\n",
		"Types: deb\nURIs: x\n y\nSuites: a\nEnabled: no\n\n", "Inst bash [1] (2 Debian:12/oldstable [amd64])\n 500 http://x y\n     release v=1,o=Debian,n=bookworm\n     origin x\nOrigin: Debian\n")
	f.Fuzz(func(t *testing.T, conf, list, sources, out string) {
		h := told(t, "local", map[string]string{
			"/etc/apt/apt.conf": conf, "/etc/apt/apt.conf.d/10a": conf, "/etc/apt/sources.list": list, "/etc/apt/sources.list.d/a.sources": sources,
			"/etc/os-release": list + "\nID=debian\nVERSION_CODENAME=bookworm\n", "/proc/sys/kernel/osrelease": list, "/var/lib/dpkg/status": sources,
		}, map[string]string{"apt-cache policy": out, strings.Join(aptSimulate, " "): out, "apt-config dump": conf, "dpkg-query": out})
		h.UpgradePatterns()
		h.NewerKernel()
		told(t, "image", map[string]string{"/var/lib/apt/lists/a_Release": out, "/var/lib/dpkg/status": sources}, nil)
	})
}

func FuzzBan(f *testing.F) {
	f.Add("[DEFAULT]\nbackend = %(sshd_backend)s\nignoreip=127.0.0.1/8\n[sshd]\nenabled = true\n", "[INCLUDES]\nbefore = jail.conf\n[a]\nx=%(x)s%(y)s\n y\n")
	f.Fuzz(func(t *testing.T, conf, local string) {
		told(t, "local", map[string]string{"/etc/fail2ban/jail.conf": conf, "/etc/fail2ban/jail.local": local, "/etc/fail2ban/jail.d/a.conf": local, "/etc/fail2ban/filter.d/sshd.conf": conf},
			map[string]string{"fail2ban-client ping": conf, "fail2ban-client status": local})
	})
}

func FuzzSystem(f *testing.F) {
	f.Add("[Journal]\nStorage=auto\n", "module(load=\"imtcp\")\n$ModLoad imudp\ninput(type=\"imtcp\" port=\"1\"\n)\n", "umask 027\nexport TMOUT=600; readonly TMOUT\nPATH=$PATH:.:/x\n", "auth [success=1 default=ignore] pam_unix.so nullok\n@include common-auth\n")
	f.Fuzz(func(t *testing.T, ini, rsyslog, shell, pam string) {
		told(t, "local", map[string]string{
			"/etc/systemd/journald.conf": ini, "/etc/systemd/resolved.conf": ini, "/etc/systemd/timesyncd.conf.d/a.conf": ini, "/etc/rsyslog.conf": rsyslog, "/etc/rsyslog.d/a.conf": rsyslog,
			"/etc/profile": shell, "/etc/profile.d/a.sh": shell, "/etc/bash.bashrc": shell, "/root/.bashrc": shell,
			"/etc/pam.d/common-auth": pam, "/etc/pam.d/common-password": pam, "/etc/pam.d/su": pam, "/etc/login.defs": shell, "/etc/passwd": fuzzPasswd,
		}, nil)
	})
}

func FuzzCommands(f *testing.F) {
	f.Add(`[{"ifname":"a","addr_info":[{"family":"inet","local":"10.0.0.1","scope":"global"}]}]`, "Reference ID : 1\nStratum : 2\nLeap status : Normal\n^,*,1.2.3.4,1,2,377\n", "NTPSynchronized=yes\nnone\n")
	f.Fuzz(func(t *testing.T, ip, chrony, time string) {
		told(t, "local", map[string]string{"/proc/net/fib_trie": chrony, "/proc/cmdline": time, "/etc/hostname": ip}, map[string]string{
			"ip -j addr": ip, "ip -j route": ip, "ip -j -6 route": ip, "chronyc -n tracking": chrony, strings.Join(chronySources, " "): chrony,
			strings.Join(chronyTracking, " "): chrony, strings.Join(timedatectl, " "): time, strings.Join(detectVirt, " "): time, strings.Join(ntpqPeers, " "): chrony, "uname -srm": time,
		})
	})
}

// FuzzRedact gives every kind of file that may hold a secret the same text.
func FuzzRedact(f *testing.F) {
	f.Add("password=hunter2\nroot:$y$j9T$x:1:2:3:4:5:6:\nEnvironment=\"API_KEY=abc\" TOKEN='x y'\nhttp://u:p@h/\n-----BEGIN OPENSSH PRIVATE KEY-----\n")
	f.Add("\xff\x00:\xfe::::\nPASSWORD=\n[x]\npsk=\"a\\\"b\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		files := map[string]string{}
		for i, r := range redactions {
			files[strings.ReplaceAll(r.pattern, "*", fmt.Sprintf("x%d", i))] = text
		}
		told(t, "local", files, nil)
	})
}

func FuzzAuditRules(f *testing.F) {
	f.Add("-w /etc/passwd -p wa -k identity\n-a always,exit -S all -F path=/usr/bin/sudo -F perm=x -F auid>=1000 -F auid!=-1 -F key=privileged\n-e 2")
	f.Add("No rules\n")
	f.Add("-A never,task\n-a exit,always -F dir=/ -C euid!=uid\n-D\n-w")
	f.Fuzz(func(t *testing.T, text string) {
		var lock Value[string]
		v := auditList(linesAt(text, Place{Path: "/f"}), Place{Path: "/f"}, &lock)
		for _, r := range v.V {
			if r.List == "" {
				t.Errorf("a rule without a list: %+v", r)
			}
		}
		Watched(v.V, "/etc/passwd", "wa", []string{"b64", "b32"}, true)
		Recorded(v.V, "b64", "open", []string{"exit=-EACCES"}, false)
	})
}

func FuzzSandbox(f *testing.F) {
	f.Add("Id=a.service\nUser=pi\nUMask=0022\nCapabilityBoundingSet=cap_chown cap_kill\nRestrictAddressFamilies=~AF_UNIX\nSystemCallFilter=~mount:1 read\nWorkingDirectory=!/srv\n\nId=b.service\nDynamicUser=yes")
	f.Add("Id=\n\n\n=\nUMask=9\nIPAddressDeny=any 0.0.0.0/0 ::/0\nRestrictNamespaces=net")
	f.Fuzz(func(t *testing.T, text string) {
		for name, s := range ShownSandboxes(text) {
			if e := s.Exposure(); e < 0 || e > 100 {
				t.Errorf("%s has an exposure of %d", name, e)
			}
			c := Confined{Now: s, Service: Service{Name: name, User: s["User"]}}
			for _, l := range first(c.DropIn(&Host{})) {
				if strings.ContainsAny(l, "\n\r'\"$`\\") {
					t.Errorf("a line of a drop-in is %q", l)
				}
			}
		}
	})
}

func first(lines []string, _ int) []string { return lines }

func FuzzRsyslogForwards(f *testing.F) {
	f.Add("*.* @@leader.example:514\naction(type=\"omfwd\"\n target=\"x\" StreamDriverMode=\"1\")\n$ActionSendStreamDriverMode 1\n")
	f.Add("action(action(\n*.* :omrelp:a:1")
	f.Fuzz(func(t *testing.T, text string) {
		s := snap.New(snap.Source{Kind: "local"}, snap.Time(0))
		s.MarkComplete()
		s.Put(&snap.Entry{Path: "/etc/rsyslog.d/x.conf", Type: snap.File, Read: true, Content: []byte(text)})
		var l Logging
		l.forwards(s)
		if len(l.Forwards) > 100 {
			t.Errorf("%d forwards", len(l.Forwards))
		}
	})
}
