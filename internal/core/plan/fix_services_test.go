package plan_test

import (
	"slices"
	"strings"
	"testing"

	"picket/catalogue"
	"picket/internal/core/audit"
	"picket/internal/core/cases"
	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/kind"
	"picket/internal/core/plan"
	"picket/internal/core/snap"
)

// daemon is a host with one service that runs as root.
const daemon = `-- niod runs as root: fail --
-- $ systemctl list-unit-files --no-legend --no-pager --plain --full *.service *.socket *.timer *.path ctrl-alt-del.target tmp.mount --
niod.service enabled enabled
web.service enabled enabled
-- $ systemctl list-units --all --no-legend --no-pager --plain --full --
niod.service loaded active running Reads the sensors
web.service loaded active running Shows them
-- /etc/systemd/system/niod.service --
[Service]
WorkingDirectory=WORK
ExecStart=PROGRAM
[Install]
WantedBy=multi-user.target
-- /etc/systemd/system/web.service --
[Service]
User=www
ExecStart=/opt/web/serve
[Install]
WantedBy=multi-user.target
-- $ ss -Hltunpe --
tcp LISTEN 0 5 *:PORT *:* users:(("niod",pid=700,fd=3)) ino:70177 sk:1005 cgroup:/system.slice/niod.service <->
-- $ systemctl show --no-pager --property=SANDBOX niod.service web.service --
Id=niod.service
User=
UMask=0022
WorkingDirectory=WORK
ReadWritePaths=RW
Type=TYPE

Id=web.service
User=www
UMask=0022
-- $ systemctl show --no-pager --property=Id,MainPID,Group,StateDirectory,CacheDirectory,LogsDirectory,Requires,Wants,BindsTo,After niod.service --
Id=niod.service
MainPID=700
Group=
StateDirectory=STATE
After=basic.target AFTER
-- /proc/700/exe -> EXE --
-- /etc/cron.d/own --
5 * * * * root CRON
-- /etc/passwd --
root:x:0:0:root:/root:/bin/bash
www:x:997:997::/nonexistent:/usr/sbin/nologin
app:x:996:996::/home/app:/usr/sbin/nologin
pi:x:1000:1000::/home/pi:/bin/bash
-- /etc/group --
root:x:0:
dialout:x:20:
disk:x:6:
www:x:997:
app:x:996:
pi:x:1000:
-- /etc/shadow --
root:*:20000::::::
www:!:20000::::::
pi:!:20000::::::
-- /etc/gshadow --
root:*::
-- /etc/login.defs --
SYS_UID_MIN 100
`

// hostOf is the daemon's host, with what stands in the place of what.
func hostOf(t *testing.T, set []string) *snap.Snapshot {
	t.Helper()
	text := daemon
	for _, r := range append(slices.Collect(slices.Chunk(set, 2)), [][]string{{"SANDBOX", strings.Join(fact.SandboxProperties, ",")}, {"WORK", "/opt/nio/data"}, {"PROGRAM", "/opt/nio/niod"}, {"PORT", "8181"},
		{"RW", ""}, {"TYPE", "simple"}, {"STATE", ""}, {"AFTER", ""}, {"EXE", "/opt/nio/niod"}, {"CRON", "/usr/bin/true"}}...) {
		text = strings.ReplaceAll(text, r[0], r[1])
	}
	list, err := cases.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return list[0].Snapshot
}

// TestOwnUserIsDrafted drafts an account of its own for a service in many situations: what it gets, or why that is left to a person.
func TestOwnUserIsDrafted(t *testing.T) {
	controls, problems := control.Load(catalogue.Controls(), kind.All())
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(controls, func(c control.Control) bool { return c.ID == "services/apps-not-root" })
	one := controls[i : i+1]
	open := func(fd, target, flags string, e snap.Entry) func(*snap.Snapshot) {
		return func(s *snap.Snapshot) {
			e.Path, e.Target, e.Real = "/proc/700/fd/"+fd, target, target
			s.Put(&e)
			s.Put(&snap.Entry{Path: "/proc/700/fdinfo/" + fd, Type: snap.File, Read: true, Content: []byte("pos:\t0\nflags:\t" + flags + "\n")})
		}
	}
	file := snap.Entry{Type: snap.File, Mode: 0o644}
	const (
		work = "owner /opt/nio/data 0 0 998 998 niod.service"
		base = "User=niod Group=niod ReadWritePaths=-/opt/nio/data"
	)
	for _, c := range []struct {
		name  string
		set   []string // what stands in the place of what
		own   change.Service
		also  []func(*snap.Snapshot)
		tried string
		want  string // of the drop-in
		steps []string
		left  string
	}{
		{name: "plain", want: base, steps: []string{work, "unit niod.service restart"}},
		{name: "a low port", set: []string{"PORT", "80"}, want: "User=niod Group=niod AmbientCapabilities=CAP_NET_BIND_SERVICE ReadWritePaths=-/opt/nio/data"},
		{name: "folders of systemd's", set: []string{"STATE", "nio"}, want: "User=niod Group=niod ReadWritePaths=-/opt/nio/data ReadWritePaths=-/var/lib/nio"},
		{name: "what it has open", also: []func(*snap.Snapshot){open("4", "/var/log/nio.log", "0102001", file), open("5", "/etc/nio.conf", "0100000", file), open("6", "/opt/nio/data/db", "0100002", file)},
			want: "User=niod Group=niod ReadWritePaths=-/opt/nio/data ReadWritePaths=-/var/log/nio.log"},
		{name: "a serial port", also: []func(*snap.Snapshot){open("4", "/dev/ttyACM0", "0100002", snap.Entry{Type: snap.Device, Mode: 0o660, GID: 20}), open("0", "/dev/null", "0100000", snap.Entry{Type: snap.Device, Mode: 0o666})},
			want: "User=niod Group=niod SupplementaryGroups=dialout ReadWritePaths=-/opt/nio/data"},
		{name: "no folder is named", set: []string{"WORK", "/"}, want: "User=niod Group=niod ReadWritePaths=-/opt/nio", steps: []string{"owner /opt/nio 0 0 998 998 niod.service"}},
		{name: "an account that is there", own: change.Service{User: "www"}, want: "User=www Group=www ReadWritePaths=-/opt/nio/data", steps: []string{"owner /opt/nio/data 0 0 997 997 niod.service", "unit niod.service restart"}},
		{name: "a person who is named", own: change.Service{User: "pi"}, want: "User=pi Group=pi ReadWritePaths=-/opt/nio/data"},
		{name: "its folders are named", own: change.Service{User: "nio", Writes: []string{"/srv/spool"}}, want: "User=nio Group=nio ReadWritePaths=-/srv/spool"},
		{name: "a job", set: []string{"TYPE", "oneshot"}, left: "it is a job that ends"},
		{name: "a script", set: []string{"EXE", "/usr/bin/dash"}, left: "it is a shell script: what it does as root cannot be known"},
		{name: "a script that is named", set: []string{"EXE", "/usr/bin/dash"}, own: change.Service{User: "niod"}, want: base},
		{name: "sudo", set: []string{"EXE", "/usr/bin/sudo"}, left: "it calls sudo"},
		{name: "Docker", set: []string{"AFTER", "docker.service"}, own: change.Service{User: "niod"}, left: "whose socket is as good as root"},
		{name: "in a home", set: []string{"PROGRAM", "/home/pi/niod"}, left: "/home/pi/niod lies in a home"},
		{name: "in the home of the application's own account", set: []string{"PROGRAM", "/home/app/niod", "WORK", "/home/app"}, want: "User=app Group=app ReadWritePaths=-/home/app",
			steps: []string{"owner /home/app 0 0 996 996 niod.service", "unit niod.service restart"}},
		{name: "nobody saw what it does", set: []string{"/proc/700/exe", "/proc/701/exe"}, left: "what it does while it runs could not be read"},
		{name: "a raw disk", also: []func(*snap.Snapshot){open("4", "/dev/sda", "0100002", snap.Entry{Type: snap.Device, Mode: 0o660, GID: 6})}, left: "it uses /dev/sda, which nobody but root may"},
		{name: "a group of its unit", set: []string{"Group=\n", "Group=dialout\n"}, want: "User=niod Group=niod SupplementaryGroups=dialout ReadWritePaths=-/opt/nio/data"},
		{name: "a group that is as good as root", set: []string{"Group=\n", "Group=6\n"}, left: "its unit has Group=disk, which is as good as root"},
		{name: "root's group by its number", set: []string{"Group=\n", "Group=0\n"}, want: base},
		{name: "it is to stay root", own: change.Service{User: "root"}, left: "policy.services has it run as root"},
		{name: "no port", set: []string{"niod.service <->", "other.service <->"}, left: "it listens at no port"},
		{name: "no port but a health check", set: []string{"niod.service <->", "other.service <->"}, own: change.Service{Health: "true"}, want: base},
		{name: "root runs what lies there", set: []string{"CRON", "/opt/nio/data/tidy"}, left: "/opt/nio/data, which it writes to, holds /opt/nio/data/tidy, which cron has root run or obey"},
		{name: "two services in one folder", set: []string{"WORK", "/opt/web"}, left: "/opt/web, which it writes to, is that of web.service too"},
		{name: "the system's own folder", set: []string{"RW", "/usr/lib/nio"}, left: "it writes to /usr/lib/nio, which is the system's"},
		{name: "many places", set: []string{"RW", "/srv/a /srv/b /srv/c /srv/d"}, left: "it writes at 5 places (/srv/a, "},
		{name: "it was tried", tried: "it broke", left: "it was tried and taken back: it broke"},
	} {
		s := hostOf(t, c.set)
		for _, f := range c.also {
			f(s)
		}
		opt := plan.Options{}
		if c.own.User+c.own.Health != "" {
			c.own.Unit = "niod.service"
			opt.Policy.Services = []change.Service{c.own}
		}
		if c.tried != "" {
			opt.Tried = map[string]string{"niod.service": c.tried}
		}
		made := plan.Make(one, s, audit.Evaluate(one, s, audit.Options{Now: s.Taken}), opt)
		if len(made.Items) != 1 {
			t.Errorf("%s: %+v", c.name, made)
			continue
		}
		if left := made.Items[0].Left; c.left != "" || left != "" {
			if c.left == "" || !strings.Contains(left, c.left) || len(made.Steps) > 0 {
				t.Errorf("%s: left to a person: %q, want %q", c.name, left, c.left)
			}
			continue
		}
		if _, err := plan.Compile(made.Steps); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		var dropIn string
		var steps []string
		for _, st := range made.Steps {
			switch {
			case st.Name == "/etc/systemd/system/niod.service.d/zz-picket-user.conf":
				_, rest, _ := strings.Cut(string(st.After.Content), "[Service]\n")
				dropIn = strings.Join(strings.Fields(rest), " ")
			case st.Verb == change.Owner || st.Verb == change.Unit:
				steps = append(steps, strings.Join(append([]string{string(st.Verb), st.Name}, st.Args...), " "))
			}
		}
		if dropIn != c.want || c.steps != nil && !slices.Equal(steps, c.steps) && !slices.Equal(steps[:1], c.steps) {
			t.Errorf("%s: %q and %q, want %q and %q", c.name, dropIn, steps, c.want, c.steps)
		}
		if len(made.Items[0].Notes) != 1 || !strings.Contains(made.Items[0].Notes[0], "is 7.3 now and becomes ") {
			t.Errorf("%s: the score is not told: %q", c.name, made.Items[0].Notes)
		}
	}
}

// TestOwnUserKeepsItsDevices has a service get a sandbox besides: what it has open of /dev is not taken from it, whatever group that is of.
func TestOwnUserKeepsItsDevices(t *testing.T) {
	all, problems := control.Load(catalogue.Controls(), kind.All())
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(c control.Control) bool {
		return c.ID != "services/apps-not-root" && c.ID != "services/own-sandboxed"
	})
	for device, private := range map[string]bool{"/dev/spectrometer": false, "/dev/console": true} {
		s := hostOf(t, nil)
		s.Put(&snap.Entry{Path: "/proc/700/fd/4", Target: device, Real: device, Type: snap.Device, Mode: 0o660, GID: 996})
		made := plan.Make(all, s, audit.Evaluate(all, s, audit.Options{Now: s.Taken}), plan.Options{})
		i := slices.IndexFunc(made.Steps, func(s change.Step) bool { return s.Name == "/etc/systemd/system/niod.service.d/zz-picket.conf" })
		if i < 0 {
			t.Fatalf("%s: no sandbox: %+v", device, made.Items)
		}
		if text := string(made.Steps[i].After.Content); strings.Contains(text, "PrivateDevices=yes") != private {
			t.Errorf("%s: the sandbox is\n%s", device, text)
		}
	}
}
