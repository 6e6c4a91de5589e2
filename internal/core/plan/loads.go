package plan

import (
	"slices"

	"picket/internal/core/change"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

// A load says what goes with a file: which program has to agree before anything reads it, and what brings it into force.
type load struct {
	paths []string // as snap.Match has them
	check string   // a command; it is run where its program is there
	unit  string   // that reads the file, with how it is told
	how   string   // reload or restart, only if the unit runs
	act   string   // a command that brings it into force, in both directions
	needs string   // path of a program without which none of this is done
}

// loads are those of the files that fixes change. Files of units are not among them: systemd reads those anew in any
// case.
var loads = []load{
	{paths: []string{"/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/*"}, check: "sshd -t", unit: "ssh.service", how: "reload"},
	{paths: []string{"/etc/sudoers", "/etc/sudoers.d/*"}, check: "visudo -cq", needs: "/usr/sbin/visudo"},
	{paths: []string{"/etc/fstab"}, check: "findmnt --verify"},
	{paths: []string{"/etc/systemd/journald.conf", "/etc/systemd/journald.conf.d/*"}, unit: "systemd-journald.service", how: "restart"},
	{paths: []string{"/etc/systemd/logind.conf", "/etc/systemd/logind.conf.d/*"}, unit: "systemd-logind.service", how: "restart"},
	{paths: []string{"/etc/systemd/timesyncd.conf", "/etc/systemd/timesyncd.conf.d/*"}, unit: "systemd-timesyncd.service", how: "restart"},
	{paths: []string{"/etc/systemd/resolved.conf", "/etc/systemd/resolved.conf.d/*"}, unit: "systemd-resolved.service", how: "restart"},
	{paths: []string{"/etc/systemd/system.conf", "/etc/systemd/system.conf.d/*"}, act: "systemctl daemon-reexec"},
	{paths: []string{"/etc/rsyslog.conf", "/etc/rsyslog.d/*"}, check: "rsyslogd -N1", unit: "rsyslog.service", how: "restart", needs: "/usr/sbin/rsyslogd"},
	{paths: []string{"/etc/chrony/chrony.conf", "/etc/chrony/conf.d/*"}, check: "chronyd -p", unit: "chrony.service", how: "restart", needs: "/usr/sbin/chronyd"},
	{paths: []string{"/etc/audit/auditd.conf"}, act: "pkill -HUP -x auditd || true"},
	{paths: []string{"/etc/audit/rules.d/*"}, act: "augenrules --load", needs: "/usr/sbin/augenrules"},
	{paths: []string{"/etc/apt/apt.conf.d/*"}, check: "apt-config dump >/dev/null"},
	{paths: []string{"/etc/nftables.conf", "/etc/nftables.d/*"}, check: "nft -c -f /etc/nftables.conf", needs: "/usr/sbin/nft"},
	{paths: []string{"/etc/picket/firewall.nft"}, check: "nft -c -f /etc/picket/firewall.nft", unit: "picket-firewall.service", how: "reload"},
	{paths: []string{"/etc/fail2ban/*", "/etc/fail2ban/*/*"}, check: "fail2ban-client -t", unit: "fail2ban.service", how: "restart", needs: "/usr/bin/fail2ban-client"},
	{paths: []string{"/etc/default/grub", "/etc/default/grub.d/*"}, act: "update-grub", needs: "/usr/sbin/update-grub"},
	{paths: []string{"/etc/docker/daemon.json"}, check: "! dockerd --help | grep -q -e --validate || dockerd --validate --config-file /etc/docker/daemon.json"},
	{paths: []string{"/etc/nginx/*", "/etc/nginx/*/*"}, check: "nginx -t", unit: "nginx.service", how: "reload", needs: "/usr/sbin/nginx"},
	{paths: []string{"/etc/lighttpd/*", "/etc/lighttpd/*/*"}, check: "lighttpd -tt -f /etc/lighttpd/lighttpd.conf", unit: "lighttpd.service", how: "restart", needs: "/usr/sbin/lighttpd"},
	{paths: []string{"/etc/grafana/grafana.ini"}, unit: "grafana-server.service", how: "restart"},
	{paths: []string{"/etc/mosquitto/*", "/etc/mosquitto/*/*"}, unit: "mosquitto.service", how: "restart"},
}

// addLoads has the draft load what was edited since there were so many edits.
func addLoads(h *fact.Host, d *change.Draft, since int) {
	edits := d.Edits()[since:]
	touched := func(l load) bool {
		return slices.ContainsFunc(edits, func(e change.Edit) bool {
			return (!e.Before.Opaque || e.After.Type == "") && e.After.Type != snap.Dir &&
				slices.ContainsFunc(l.paths, func(p string) bool { return snap.Match(p, e.Path) })
		})
	}
	for _, l := range loads {
		if !touched(l) {
			continue
		}
		where := ""
		if l.needs != "" {
			where = "[ ! -x " + l.needs + " ] || "
		}
		if l.check != "" {
			d.Do(change.Check, where+l.check)
		}
		if l.act != "" {
			d.Do(change.Act, where+l.act)
		}
		if l.unit != "" && h.Units.Get(l.unit).Running() {
			d.Do(change.Unit, l.unit, l.how)
		}
	}
}
