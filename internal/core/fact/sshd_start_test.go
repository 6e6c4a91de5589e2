package fact

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"picket/internal/core/snap"
)

// TestSSHDStart reads command lines as sshd and systemd do.
func TestSSHDStart(t *testing.T) {
	const title = "/proc/612/cmdline"
	show := func(exec string) []string {
		return []string{"$ " + strings.Join(sshShow, " "), "=Id=ssh.service\nMainPID=612\nExecStart={ path=/usr/sbin/sshd ; argv[]=" + exec + " ; ignore_errors=no }\n"}
	}
	for _, tt := range []struct {
		name, exec, defaults, title string
		file, set                   string
	}{
		{name: "as Debian does", exec: "/usr/sbin/sshd -D $SSHD_OPTS", defaults: "SSHD_OPTS=\n", title: "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups"},
		{name: "its own file", exec: "/usr/sbin/sshd -D -f /etc/ssh/../ssh/sshd_config"},
		{name: "the other way to write it", exec: "/usr/sbin/sshd ${SSHD_OPTS}", defaults: "SSHD_OPTS=-oUsePAM=no", set: "usepam no"},
		{name: "nobody reads it", exec: "/usr/sbin/sshd -D", defaults: "SSHD_OPTS=-oUsePAM=no"},
		{name: "the last line counts", exec: "sshd $SSHD_OPTS", defaults: "SSHD_OPTS=-oUsePAM=no\nSSHD_OPTS='-o Port=23 -4'\n# SSHD_OPTS=-f/x\n", set: "port 23"},
		{name: "blanks for the equals sign", exec: "sshd -D -o PermitRootLogin yes -e", set: "permitrootlogin yes"},
		{name: "letters together", exec: "sshd -De46oUsePAM=no -g 0 -p 2222 -h /k -q", set: "usepam no; logingracetime 0; port 2222; hostkey /k; loglevel QUIET"},
		{name: "another file", exec: "sshd -Df/etc/other", file: "/etc/other"},
		{name: "the running one has another file", exec: "sshd -D", title: "sshd: sshd -D -f /run/x [listener] 0 of 10-100 startups", file: "/run/x"},
		{name: "that of the next start is named first", exec: "sshd -D -f /etc/next", title: "sshd: sshd -D -f /run/x [listener] 0 of 10-100 startups", file: "/etc/next"},
		{name: "the running one has more", exec: "sshd -oUsePAM=no", title: "sshd: sshd -oUsePAM=no -oStrictModes=no [listener] 0 of 10-100 startups", set: "strictmodes no; usepam no"},
		{name: "another program's command line", exec: "sshd", title: "/usr/bin/python3 -f /x [listener]"},
		{name: "a login of sshd", exec: "sshd", title: "sshd: amy -f /x"},
	} {
		parts := append(show(tt.exec), "/etc/ssh/sshd_config", "=X11Forwarding no\n", sshDefaults, "="+tt.defaults)
		if tt.title != "" {
			parts = append(parts, title, "="+strings.ReplaceAll(tt.title, " [", "\x00["))
		}
		d := Parse(recorded(t, "", parts...)).SSHD
		var set []string
		for _, l := range d.Config.Settings {
			if l.Start {
				set = append(set, l.Keyword+" "+strings.Join(l.Values, " "))
			}
		}
		if got := strings.Join(set, "; "); got != tt.set || d.Start.File != tt.file || d.Start.Hidden != "" {
			t.Errorf("%s: sets %q, reads %q (%s), want %q and %q", tt.name, got, d.Start.File, d.Start.Hidden, tt.set, tt.file)
		}
	}
}

// TestSSHDStartAnswers: a Match of the files wins over the command line, which
// wins over all else, whatever sshd -T says.
func TestSSHDStartAnswers(t *testing.T) {
	s := recorded(t, "", "/etc/passwd", "=root:x:0:0::/root:/bin/bash\n", "/etc/group", "=root:x:0:\n", sshDefaults, "=SSHD_OPTS='-oX11Forwarding=yes -oMaxSessions=3'\n",
		"/etc/ssh/sshd_config", "=X11Forwarding no\nMatch User root\nMaxSessions 4\n",
		"$ sshd -T", "=x11forwarding no\nmaxsessions 10\n",
		"$ sshd -T -C user=root,host=client.invalid,addr=192.0.2.1", "=x11forwarding no\nmaxsessions 4\n",
		"$ sshd -T -C user=picket-no-such-user,host=client.invalid,addr=192.0.2.1", "=x11forwarding no\nmaxsessions 10\n")
	got := map[string]string{}
	for _, a := range Parse(s).SSHD.Answers.V {
		got[a.Who.User] = a.Options["x11forwarding"][0] + " " + a.Options["maxsessions"][0]
	}
	if d := cmp.Diff(map[string]string{"root": "yes 4", "picket-no-such-user": "yes 3"}, got); d != "" {
		t.Error(d)
	}
}

// Of files that others use too, only what is read is kept.
func TestRedactSSHDStart(t *testing.T) {
	e := func(text string) *snap.Entry { return &snap.Entry{Content: []byte(text)} }
	if got := string(redactSSHDOpts(nil, e("TOKEN=abc\n SSHD_OPTS=-4\nSSHD_OPTS2=x\n"), Secrets{})); got != "\n SSHD_OPTS=-4\n\n" {
		t.Errorf("%q", got)
	}
	if got := string(redactSSHDTitle(nil, e("mysqld --password=abc"), Secrets{})); got != "" {
		t.Errorf("%q", got)
	}
	if got := string(redactSSHDTitle(nil, e("sshd: sshd -D [listener]"), Secrets{})); got != "sshd: sshd -D [listener]" {
		t.Errorf("%q", got)
	}
}

func TestSSHDVersions(t *testing.T) {
	if why := (SSHDConfig{}).Lacks("RequiredRSASize"); why != "" {
		t.Errorf("of an unknown version: %s", why)
	}
	for version, want := range map[int]string{902: "none", 1000: "2"} {
		s := recorded(t, "", "/etc/ssh/sshd_config", "=PerSourceMaxStartups 2\nPerSourceMaxStartups none\n")
		if got := readSSHD(s, version).Find(SSHDWho{}, "PerSourceMaxStartups").Values; strings.Join(got, " ") != want {
			t.Errorf("%d: %v, want %s", version, got, want)
		}
	}
}

// TestChangedUnit finds what makes a unit another one than its package's.
func TestChangedUnit(t *testing.T) {
	const unit, drop = "/etc/systemd/system/x.service", "/etc/systemd/system/x.service.d/own.conf"
	for _, tt := range []struct{ name, file, text, want string }{
		{"nothing", "", "", ""},
		{"its nice value", drop, "[Service]\nNice=5\n", ""},
		{"a start", drop, "[Service]\nExecStart=/bin/a\n", "x.service is changed at " + drop + ":2 (ExecStart)"},
		{"something after its start", drop, "[Service]\nExecStartPost=/bin/a\n", "(ExecStartPost)"},
		{"an assertion", drop, "[Unit]\nAssertPathExists=/a\n", "(AssertPathExists)"},
		{"a condition taken back", drop, "[Unit]\nConditionPathExists=\n", ""},
		{"a unit of its own", unit, "[Service]\nExecStart=/bin/a\n", unit + ":2"},
		{"all services", "/etc/systemd/system/service.d/a.conf", "[Service]\nRootDirectory=/a\n", "(RootDirectory)"},
		{"another unit", "/etc/systemd/system/y.service.d/a.conf", "[Service]\nExecStart=/a\n", ""},
	} {
		s := recorded(t, "")
		if tt.file != "" {
			s = recorded(t, "", tt.file, "="+tt.text)
		}
		if got := Parse(s).ChangedUnit("x.service"); !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	s := recorded(t, "", unit, "=[Service]\nExecStart=/bin/a\n")
	s.Entries[unit].Target = "/usr/lib/systemd/system/x.service"
	if got := Parse(s).ChangedUnit("x.service"); got != "" {
		t.Errorf("a link to the package's: %q", got)
	}
}

// Before 8.5 sshd prints older names of two options.
func TestDumpedOlderNames(t *testing.T) {
	got := dumped(&snap.Output{Stdout: []byte("pubkeyacceptedkeytypes a,b\nusepam yes\n")})
	if d := cmp.Diff(map[string][]string{"pubkeyacceptedalgorithms": {"a,b"}, "usepam": {"yes"}}, got); d != "" {
		t.Error(d)
	}
}

// TestSSHDStartTooLong: rubbish in SSHD_OPTS neither takes long nor passes.
func TestSSHDStartTooLong(t *testing.T) {
	begun := time.Now()
	d := Parse(recorded(t, "", sshdMain, "=UsePAM yes\n", "$ sshd -T", "=usepam yes\n",
		sshDefaults, "=SSHD_OPTS="+strings.Repeat("-oUsePAM=yes ", 30_000)+"-oUsePAM=no\n")).SSHD
	if d.Start.Odd == "" || d.Answers.Known() || d.Config.State != Unknown {
		t.Errorf("%q, %v, %v", d.Start.Odd, d.Answers.State, d.Config.State)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}

// TestSSHDStartPorts: one port on the command line takes the place of all in
// the files.
func TestSSHDStartPorts(t *testing.T) {
	for opts, want := range map[string]string{"": "22 2222", "-p 23": "23", "-p 23 -p24": "23 24"} {
		d := Parse(recorded(t, "", "$ "+strings.Join(sshShow, " "), "=Id=ssh.service\nExecStart={ path=/usr/sbin/sshd ; argv[]=/usr/sbin/sshd -D "+opts+" ; ignore_errors=no }\n",
			"/etc/ssh/sshd_config", "=Port 22\nPort 2222\n")).SSHD
		if got := strings.Join(d.Config.Find(SSHDWho{}, "Port").Values, " "); got != want {
			t.Errorf("sshd -D %s listens on %s, want %s", opts, got, want)
		}
	}
}
