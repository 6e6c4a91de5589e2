package lab

import _ "embed"

var (
	//go:embed roles/debian.sh
	debianSetup string
	//go:embed roles/guides.sh
	guidesSetup string
	//go:embed roles/good.sh
	goodSetup string
	//go:embed roles/pioreactor.sh
	pioreactorSetup string
	//go:embed roles/router.sh
	routerSetup string
	//go:embed roles/accesspoint.sh
	accessPointSetup string
	//go:embed roles/containers.sh
	containersSetup string
)

// What a test can log in with, besides the lab's key.
const (
	// OperatorPassword is the strong password of the user operator.
	OperatorPassword = "brackish-lantern-40-Thursday"
	// PioreactorPassword is the factory password of the user pioreactor.
	PioreactorPassword = "raspberry"
	// AlicePassword is the weak password of the user alice on Guides.
	AlicePassword = "berries"
)

// bare is what mmdebstrap makes. It takes a minute, so what changes more often lies above it.
var bare = Role{
	Name: "bare",
	packages: []string{
		"systemd-timesyncd", "dbus", "openssh-server", "openssh-client", "sudo", "libpam-systemd",
		"ca-certificates", "xauth", "ncurses-term", "bash-completion", "man-db",
	},
}

// Debian is a Debian 12 as its installer leaves it with only an SSH server chosen.
var Debian = Role{
	Name: "debian", Users: []string{"operator"}, over: &bare, setup: debianSetup,
	packages: []string{"apparmor", "cron", "logrotate"},
}

var bare13 = Role{Name: "bare13", suite: "trixie", packages: bare.packages}

// Debian13 is the same of Debian 13.
var Debian13 = Role{
	Name: "debian13", Users: []string{"operator"}, over: &bare13, setup: debianSetup, packages: Debian.packages,
}

// Guides is a host whose owner followed two guides to the letter: configured, but in several places not
// protected. Traps T1, T2, T3, T6, T12, T16 and T20 of requirements.md are in it.
var Guides = Role{
	Name: "guides", Users: []string{"operator", "alice", "deploy"}, over: &Debian, setup: guidesSetup,
	packages: []string{"ufw", "fail2ban", "chrony", "unattended-upgrades"},
	// fail2ban needs a while to find that it cannot start; a test may have mended it.
	ready: "systemctl is-failed -q fail2ban || timeout 2 fail2ban-client ping || ! systemctl is-active -q fail2ban",
}

// Good is a host that is set up properly: SSH with keys only, a firewall that denies by default, bans that
// read the journal, updates by themselves, a clock with a source.
var Good = Role{
	Name: "good", Users: []string{"operator"}, over: &Debian, setup: goodSetup,
	packages: []string{"nftables", "fail2ban", "python3-systemd", "unattended-upgrades", "chrony"},
	// The first answer of its clock's source comes after some seconds; this asks at once.
	ready: "fail2ban-client ping; chronyc -n tracking | grep -q 'Leap status.*Normal'",
}

// Pioreactor is like the leader of a Pioreactor cluster as its image makes it: factory passwords, files
// that all can read, a broker and a web server.
var Pioreactor = Role{
	Name: "pioreactor", Users: []string{"operator", "pioreactor"}, over: &Debian, setup: pioreactorSetup,
	packages: []string{
		"mosquitto", "mosquitto-clients", "lighttpd", "chrony", "sqlite3", "rsync", "sshpass", "ufw",
		"unattended-upgrades",
	},
	ready: "for port in 80 1883 9001; do ss -Hltn \"sport = :$port\" | grep -q .; done",
}

// Router is a home's router as far as UPnP goes: miniupnpd, which most of them run. It forwards nothing.
var Router = Role{
	Name: "router", Users: []string{"operator"}, over: &Debian, setup: routerSetup,
	packages: []string{"miniupnpd-nftables", "miniupnpc"},
	ready:    "ss -Hlnu sport = :1900 | grep -q .",
}

// AccessPoint passes on what its stations send, and gives them addresses and names. Its program `station ADDR` reports
// whether a station gets all of it, down to the address behind it.
var AccessPoint = Role{
	Name: "accesspoint", Users: []string{"operator"}, over: &Debian, setup: accessPointSetup,
	packages: []string{"hostapd", "dnsmasq", "nftables", "busybox-static", "iputils-ping"},
	ready:    "ip netns exec station ip link show wlan0; systemctl is-active -q hostapd dnsmasq",
}

// Containers is a host whose owner followed the guide of a service that runs in Docker: its firewall lets SSH and
// HTTPS in, a real engine is there, and a Prometheus with an exporter.
var Containers = Role{
	Name: "containers", Users: []string{"operator"}, over: &Debian, setup: containersSetup, engine: true,
	packages: []string{
		"ufw", "iptables", "docker.io", "busybox-static", "curl", "prometheus", "prometheus-node-exporter",
		"prometheus-node-exporter-collectors-", "git-", "needrestart-", // not these, which come along otherwise
	},
	ready: "docker info >/dev/null; curl -sf http://127.0.0.1:9090/-/ready",
}

// Bench is Good with the tools that Picket is measured against, and with the operator's password hashed at
// Debian's own cost.
var Bench = Role{
	Name: "bench", Users: []string{"operator"}, over: &Good,
	setup:    "echo operator:" + OperatorPassword + " | chpasswd",
	packages: []string{"lynis", "openscap-scanner", "ssg-debian"},
}

// BenchEngine is Containers with the same tools.
var BenchEngine = Role{
	Name: "bench-engine", Users: []string{"operator"}, over: &Containers, setup: Bench.setup, packages: Bench.packages,
}

// Judged is Pioreactor with the same tools, and with avahi.
var Judged = Role{
	Name: "judged", Users: Pioreactor.Users, over: &Pioreactor, setup: Bench.setup,
	packages: append([]string{"avahi-daemon"}, Bench.packages...),
}

// Roles lists all roles.
func Roles() []Role {
	return []Role{Debian, Debian13, Guides, Good, Pioreactor, Containers, Router, AccessPoint, Bench, BenchEngine, Judged}
}
