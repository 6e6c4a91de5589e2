package main

import (
	"fmt"

	"picket/internal/core/change"
	"picket/internal/core/snap"
)

// plant makes what the plan changes: files of all kinds with all they can have, and services.
const plant = `
mkdir -p /etc/faults/full /etc/faults/modes
for n in 0 1 2 3 4 5 6 7 8 9; do
	echo "was $n" >/etc/faults/changed$n
	touch -d "2020-01-0$((n % 9 + 1)) 00:00:00.12345$n" /etc/faults/changed$n
	echo "was $n" >/etc/faults/full/gone$n
	echo "was $n" >/etc/faults/modes/m$n
done
chmod 4755 /etc/faults/changed1; chmod 640 /etc/faults/changed2; chown operator:adm /etc/faults/changed2 /etc/faults/modes/m3
chmod 2755 /etc/faults/modes/m4; chmod 1777 /etc/faults/modes
ln -s full /etc/faults/tofolder; ln -s changed0 /etc/faults/tofile; ln -s nowhere /etc/faults/dangling; ln -s full /etc/faults/linkgone
touch -h -d 2019-05-05 /etc/faults/tofolder /etc/faults/linkgone
touch -d 2018-03-03 /etc/faults/full /etc/faults
for n in a b c d e f g h; do
	printf '[Service]\nExecStart=/bin/sleep infinity\nExecReload=/bin/true\n[Install]\nWantedBy=multi-user.target\n' >/usr/lib/systemd/system/faults-$n.service
done
mv /usr/lib/systemd/system/faults-g.service /etc/systemd/system # as somebody's own
systemctl daemon-reload
systemctl --quiet enable --now faults-b faults-c faults-d faults-h
systemctl --quiet mask faults-f
systemctl --quiet enable faults-e
`

func file(mode uint32, content string) change.Thing {
	return change.Thing{Type: snap.File, Mode: mode, Content: []byte(content)}
}

func link(to string) change.Thing { return change.Thing{Type: snap.Link, Target: to} }

// steps are of all verbs that need no network.
func steps() (out []change.Step) {
	add := func(v change.Verb, name string, args ...string) {
		out = append(out, change.Step{Verb: v, Name: name, Args: args})
	}
	path := func(name string, from, to change.Thing) {
		out = append(out, change.Step{Verb: change.File, Name: name, Before: from, After: to})
	}
	nothing, opaque := change.Thing{}, change.Thing{Type: snap.File, Opaque: true}
	for _, d := range []string{"/etc/faults/new.d", "/etc/faults/new.d/deep", "/home/operator/new.d"} {
		path(d, nothing, change.Thing{Type: snap.Dir, Mode: 0o750})
	}
	for n := range 10 {
		path(fmt.Sprintf("/etc/faults/changed%d", n), file(0o644, fmt.Sprintf("was %d\n", n)), change.Thing{Type: snap.File, Mode: 0o600, UID: n % 2, Content: fmt.Appendf(nil, "is %d\n", n)})
	}
	for n := range 5 {
		path(fmt.Sprintf("/etc/faults/new%d", n), nothing, file(0o644, "new\n"))
		path(fmt.Sprintf("/etc/faults/new.d/deep/a b'%d", n), nothing, file(0o4755, "new\n"))
	}
	for n := range 6 {
		path(fmt.Sprintf("/etc/faults/full/gone%d", n), opaque, nothing)
	}
	path("/etc/faults/linkgone", link("full"), nothing)
	path("/etc/faults/tofolder", link("full"), link("modes"))
	path("/etc/faults/tofile", link("changed0"), file(0o644, "a file\n"))
	path("/etc/faults/dangling", link("nowhere"), link("changed1"))
	path("/etc/faults/full/gone6", opaque, link("/dev/null"))
	path("/etc/faults/newlink", nothing, link("changed3"))
	for n := range 6 {
		was := opaque
		if n == 3 { // see plant: the lab's operator
			was.UID = 1000
		}
		path(fmt.Sprintf("/etc/faults/modes/m%d", n), was, change.Thing{Type: snap.File, Mode: 0o600 + uint32(n), UID: n, GID: n, Opaque: true})
	}
	path("/etc/faults/modes", change.Thing{Type: snap.Dir, Mode: 0o1777}, change.Thing{Type: snap.Dir, Mode: 0o755, GID: 4})
	path("/etc/systemd/system/faults-g.service", file(0o644, "[Service]\nExecStart=/bin/sleep infinity\nExecReload=/bin/true\n[Install]\nWantedBy=multi-user.target\n"),
		file(0o644, "[Service]\nExecStart=/bin/sleep 10d\n[Install]\nWantedBy=sysinit.target\n"))
	add(change.Check, "test -e /etc/faults/new4")
	add(change.Check, "/usr/sbin/sshd -t")
	add(change.Check, "! test -e /etc/faults/full/gone0")
	for _, key := range []string{"rp_filter", "accept_redirects", "send_redirects", "log_martians", "accept_source_route"} {
		add(change.Sysctl, "net/ipv4/conf/all/"+key, "2"[:1])
	}
	add(change.Unit, "faults-a.service", "enable", "start")
	add(change.Unit, "faults-b.service", "disable", "stop")
	add(change.Unit, "faults-c.service", "stop", "mask")
	add(change.Unit, "faults-d.service", "reload")
	add(change.Unit, "faults-e.service", "start")
	add(change.Unit, "faults-f.service", "unmask", "enable")
	add(change.Unit, "faults-g.service", "enable", "start")
	add(change.Unit, "faults-h.service", "restart")
	add(change.Act, "systemctl reload ssh")
	add(change.Act, "systemctl daemon-reload")
	add(change.Act, "test -d /etc/faults")
	return out
}

// look lists all that has to be as before, or as it was to be.
const look = `{
find /etc /home /root /srv -not -path '/root/faults*' -printf '%p %y %m %U %G %T@ %n %l\n' | sed 's/^\([^ ]* d .*\) [0-9]* $/\1/'
find /etc /home -type f -exec sha256sum {} +
systemctl list-unit-files --no-legend --no-pager --type service,socket,timer,target
for u in ssh cron faults-a faults-b faults-c faults-d faults-e faults-f faults-g faults-h; do echo "$u $(systemctl is-active $u)"; done
cd /proc/sys/net/ipv4/conf/all && grep . rp_filter accept_redirects send_redirects log_martians accept_source_route
} | grep -v -e '/picket-back' -e '^picket-' | sort`
