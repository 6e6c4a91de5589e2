package cli_test

import (
	"encoding/base64"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"picket/internal/core/audit"
	"picket/internal/core/control"
	"picket/lab"
)

// chronyAnew starts chrony afresh and waits until it is synchronised. One reply
// that is lost or late would have it wait a minute for the next, so it is told to
// ask again.
const chronyAnew = `systemctl stop chrony; rm -f /var/lib/chrony/chrony.drift; systemctl start chrony
	for i in 1 2 3 4 5 6 7 8; do
		! chronyc -n waitsync 40 0 0 0.2 >/dev/null || break
		[ $i != 8 ] || { chronyc -n sources; chronyc -n tracking; exit 1; }
		chronyc -n burst 4/8 >/dev/null
	done`

// sshAnew lets sshd read its files and waits until it has: it starts itself
// anew then, and dies if a file goes away meanwhile.
const sshAnew = `rm -f /run/sshd.pid; systemctl reload ssh
	for i in $(seq 200); do [ ! -e /run/sshd.pid ] || break; sleep 0.05; done; [ -e /run/sshd.pid ]`

// sshRestart starts sshd anew, however often that was done in the last seconds.
const sshRestart = `systemctl reset-failed ssh; systemctl restart ssh`

// ranOut is the certificate of pioreactor.local that counted until January 2025.
const ranOut = `-----BEGIN CERTIFICATE-----
MIIBAzCBtqADAgECAgEHMAUGAytlcDAbMRkwFwYDVQQDExBwaW9yZWFjdG9yLmxv
Y2FsMB4XDTI0MDEwNTAwMDAwMFoXDTI1MDEwNDAwMDAwMFowGzEZMBcGA1UEAxMQ
cGlvcmVhY3Rvci5sb2NhbDAqMAUGAytlcAMhAHyvcz54T3m+5H2h6n08bopXLinV
nIpbuVX1d0zIghyiox8wHTAbBgNVHREEFDASghBwaW9yZWFjdG9yLmxvY2FsMAUG
AytlcANBAMhMK4j6GU7fKVKnnudQjeyp5tAMirUDjKs0uzVA0LQsMiafPNcEAwST
PquVHEj/Opkv2t+j16mGN7vmfloBsAE=
-----END CERTIFICATE-----`

// A trap looks protected, or once was, and is not. It is planted on a host
// that is protected.
type trap struct {
	name, control string
	plant, undo   string // sh, as root
	verdicts      string // wanted, parted by "|"; "" is fail or ineffective
	texts         []string
}

// rounds of traps: those of one round do not disturb each other. T and H are
// rows of the requirements.
var rounds = [][]trap{
	{
		{
			name: "T1 a drop-in switches passwords back on", control: "ssh/password-login", verdicts: "ineffective",
			plant: `printf 'PasswordAuthentication yes\n' >/etc/ssh/sshd_config.d/00-cloud-init.conf; ` + sshAnew,
			undo:  `rm /etc/ssh/sshd_config.d/00-cloud-init.conf; ` + sshAnew,
			texts: []string{"/etc/ssh/sshd_config.d/00-cloud-init.conf:1"},
		},
		{
			name: "T2 the ban daemon is to follow a log that Debian 12 does not write", control: "ban/ssh", verdicts: "ineffective",
			plant: `mv /etc/fail2ban/jail.d/sshd.local /root/; printf '[sshd]\nenabled = true\n' >/etc/fail2ban/jail.d/defaults-debian.conf
				systemctl restart fail2ban || true; for i in $(seq 50); do systemctl is-failed -q fail2ban && break; sleep 0.1; done`,
			undo: `mv /root/sshd.local /etc/fail2ban/jail.d/; systemctl reset-failed fail2ban; systemctl restart fail2ban
				for i in $(seq 50); do fail2ban-client ping >/dev/null 2>&1 && break; sleep 0.1; done`,
			texts: []string{"/var/log/auth.log"},
		},
		{
			name: "T5 the timers are masked", control: "updates/automatic", verdicts: "ineffective",
			plant: `systemctl mask --now apt-daily.timer apt-daily-upgrade.timer`,
			undo:  `systemctl unmask apt-daily.timer apt-daily-upgrade.timer; systemctl start apt-daily.timer apt-daily-upgrade.timer`,
			texts: []string{"apt-daily"},
		},
		{
			name: "T13 the firewall's service is on, its rules are gone", control: "firewall/default-deny", verdicts: "ineffective",
			plant: `nft flush table inet filter; nft delete table inet filter`,
			undo:  `systemctl restart nftables; systemctl restart fail2ban; for i in $(seq 50); do fail2ban-client ping >/dev/null 2>&1 && break; sleep 0.1; done`,
		},
		{
			name: "T15 every user can read a TLS key", control: "keys/tls-keys",
			plant: `install -d /etc/ssl/private; openssl genpkey -quiet -algorithm ed25519 -out /etc/ssl/private/site.key 2>/dev/null ||
				printf -- '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIHcdyLhN7pUmS4dzQf0f4nUqX2pA7Zz3bC3b2n9xkLrV\n-----END PRIVATE KEY-----\n' >/etc/ssl/private/site.key
				stat -c %a /etc/ssl/private >/root/mode; chmod 755 /etc/ssl/private; chmod 644 /etc/ssl/private/site.key`,
			undo:  `rm /etc/ssl/private/site.key; chmod "$(cat /root/mode)" /etc/ssl/private; rm /root/mode`,
			texts: []string{"/etc/ssl/private/site.key"},
		},
		{
			name: "T16 no source of time answers", control: "time/synchronised",
			plant: `cp -p /etc/chrony/chrony.conf /root/; sed -i 's/^server .*/server 192.0.2.1 iburst/' /etc/chrony/chrony.conf; systemctl restart chrony`,
			undo:  `mv /root/chrony.conf /etc/chrony/; ` + chronyAnew,
		},
		{
			name: "T20 a key without passphrase", control: "keys/passphrases",
			plant: `su operator -c "ssh-keygen -q -t ed25519 -N '' -f /home/operator/.ssh/id_ed25519"`,
			undo:  `rm /home/operator/.ssh/id_ed25519 /home/operator/.ssh/id_ed25519.pub`,
			texts: []string{"/home/operator/.ssh/id_ed25519"},
		},
		{
			name: "T22 root runs what a user can write", control: "services/root-runs-user-files",
			plant: `printf '#!/bin/sh\nexec sleep 1000\n' >/home/operator/app; chown operator /home/operator/app; chmod 755 /home/operator/app
				printf '[Service]\nExecStart=/home/operator/app\n[Install]\nWantedBy=multi-user.target\n' >/etc/systemd/system/app.service
				systemctl daemon-reload; systemctl enable --now app.service`,
			undo:  `systemctl disable --now app.service; rm /etc/systemd/system/app.service /home/operator/app; systemctl daemon-reload`,
			texts: []string{"app.service", "/home/operator/app"},
		},
		{
			name: "H1 a factory password", control: "accounts/factory-password", verdicts: "fail",
			plant: `useradd -m -s /bin/bash pi; echo pi:raspberry | chpasswd`,
			undo:  `userdel -r pi 2>/dev/null`,
			texts: []string{"pi", "factory"},
		},
	},
	{
		{
			name: "a drop-in lets root in that the main file keeps out", control: "ssh/root-login",
			plant: `sed -i '/^PermitRootLogin/d' /etc/ssh/sshd_config.d/00-hardening.conf; cp -p /etc/ssh/sshd_config /root/
				printf 'PermitRootLogin yes\n' >/etc/ssh/sshd_config.d/50-image.conf; printf 'PermitRootLogin no\n' >>/etc/ssh/sshd_config; ` + sshAnew,
			undo: `rm /etc/ssh/sshd_config.d/50-image.conf; mv /root/sshd_config /etc/ssh/; sed -i '1i PermitRootLogin no' /etc/ssh/sshd_config.d/00-hardening.conf
				` + sshAnew,
			texts: []string{"/etc/ssh/sshd_config.d/50-image.conf:1"},
		},
		{
			name: "one user may use a password", control: "ssh/password-login",
			plant: `printf 'Match User operator\nPasswordAuthentication yes\n' >/etc/ssh/sshd_config.d/05-one.conf
				sed -i '/^PasswordAuthentication/d' /etc/ssh/sshd_config.d/00-hardening.conf; printf 'PasswordAuthentication no\n' >/etc/ssh/sshd_config.d/10-later.conf; ` + sshAnew,
			undo: `rm /etc/ssh/sshd_config.d/05-one.conf /etc/ssh/sshd_config.d/10-later.conf
				sed -i '1i PasswordAuthentication no' /etc/ssh/sshd_config.d/00-hardening.conf; ` + sshAnew,
			texts: []string{"operator"},
		},
		{
			name: "T12 a ban for ever, and not even its own addresses left out", control: "ban/ignore-own",
			plant: `cp -p /etc/fail2ban/jail.d/sshd.local /root/; sed -i -e '/^ignoreip/d' -e 's/^bantime.*/bantime = -1/' /etc/fail2ban/jail.d/sshd.local; systemctl restart fail2ban
				for i in $(seq 50); do fail2ban-client ping >/dev/null 2>&1 && break; sleep 0.1; done`,
			undo: `mv /root/sshd.local /etc/fail2ban/jail.d/; systemctl restart fail2ban; for i in $(seq 50); do fail2ban-client ping >/dev/null 2>&1 && break; sleep 0.1; done`,
		},
		{
			name: "T15 a certificate that ran out", control: "keys/certificates", verdicts: "fail",
			plant: `mkdir -p /etc/pioreactor/tls; cat >/etc/pioreactor/tls/local-ui.pem <<'END'
` + ranOut + `
END
				! openssl x509 -in /etc/pioreactor/tls/local-ui.pem -noout -checkend 0 >/dev/null`,
			undo:  `rm -r /etc/pioreactor`,
			texts: []string{"/etc/pioreactor/tls/local-ui.pem:1", "pioreactor.local", "2025-01-04"},
		},
		{
			name: "H13 the host joins an open network", control: "wifi/encryption",
			plant: `mkdir -p /etc/wpa_supplicant; printf 'network={\n\tssid="cafe"\n\tkey_mgmt=NONE\n}\n' >/etc/wpa_supplicant/wpa_supplicant.conf`,
			undo:  `rm -r /etc/wpa_supplicant`,
			texts: []string{"cafe", "/etc/wpa_supplicant/wpa_supplicant.conf:1"},
		},
		{
			name: "H13 the factory passphrase of an access point, hashed", control: "wifi/access-point-default",
			plant: `mkdir -p /etc/NetworkManager/system-connections; cd /etc/NetworkManager/system-connections
				psk=$(python3 -c "import hashlib; print(hashlib.pbkdf2_hmac('sha1', b'raspberry', b'pioreactor', 4096, 32).hex())")
				printf '[connection]\ntype=wifi\n[wifi]\nmode=ap\nssid=pioreactor\n[wifi-security]\nkey-mgmt=wpa-psk\npsk=%s\n' "$psk" >ap.nmconnection; chmod 600 ap.nmconnection`,
			undo:  `rm -r /etc/NetworkManager`,
			texts: []string{"pioreactor", "hashed passphrase: factory password"},
		},
		{
			name: "a console logs somebody in", control: "boot/auto-login",
			plant: `mkdir /etc/systemd/system/getty@tty1.service.d
				printf '[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin operator --noclear %%I $TERM\n' >/etc/systemd/system/getty@tty1.service.d/a.conf`,
			undo:  `rm -r /etc/systemd/system/getty@tty1.service.d`,
			texts: []string{"operator", "a.conf:3"},
		},
		{
			name: "T16 two programs keep the clock", control: "time/one-daemon", verdicts: "fail",
			plant: `printf '[Service]\nExecStart=/bin/sleep 1000\n[Install]\nWantedBy=multi-user.target\n' >/etc/systemd/system/ntpsec.service; systemctl daemon-reload; systemctl enable --now ntpsec`,
			undo: `systemctl disable --now ntpsec; rm /etc/systemd/system/ntpsec.service; systemctl daemon-reload
				` + chronyAnew, // each refuses to run beside the other
			texts: []string{"chrony and ntpsec"},
		},
		{
			name: "T19 the client insists on what no server offers any more", control: "ssh/client-fits-server", verdicts: "fail",
			plant: `printf 'Host *\n  KexAlgorithms ecdh-sha2-nistp256\n' >/etc/ssh/ssh_config.d/pin.conf`,
			undo:  `rm /etc/ssh/ssh_config.d/pin.conf`,
			texts: []string{"/etc/ssh/ssh_config.d/pin.conf:2", "ecdh-sha2-nistp256"},
		},
	},
	{
		{
			name: "a line behind a Match holds for nobody else", control: "ssh/root-login",
			plant: `cp -p /etc/ssh/sshd_config /root/; sed -i '/^PermitRootLogin/d' /etc/ssh/sshd_config.d/00-hardening.conf
				printf 'Match User nobody\nPermitRootLogin no\n' >>/etc/ssh/sshd_config; ` + sshAnew,
			undo: `mv /root/sshd_config /etc/ssh/; sed -i '1i PermitRootLogin no' /etc/ssh/sshd_config.d/00-hardening.conf; ` + sshAnew,
		},
		{
			name: "T6 UsePAM no locks out an account with a key", control: "ssh/use-pam",
			plant: `printf 'UsePAM no\n' >/etc/ssh/sshd_config.d/00-pam.conf; ` + sshAnew + `
				useradd -m -s /bin/bash -G sudo mary; install -d -m 700 -o mary /home/mary/.ssh
				cp /home/operator/.ssh/authorized_keys /home/mary/.ssh/; chown mary /home/mary/.ssh/authorized_keys`,
			undo:  `rm /etc/ssh/sshd_config.d/00-pam.conf; userdel -r mary 2>/dev/null; ` + sshAnew,
			texts: []string{"mary"},
		},
	},
	{
		{
			name: "a setting in a drop-in alone is enough", control: "ssh/root-login", verdicts: "pass",
			plant: `printf 'PermitRootLogin yes\n' >>/etc/ssh/sshd_config; ` + sshAnew,
			undo:  `sed -i '$d' /etc/ssh/sshd_config; ` + sshAnew,
		},
	},
	{
		{
			name: "the command line of sshd wins over its files", control: "ssh/password-login", verdicts: "ineffective",
			plant: `printf 'SSHD_OPTS="-o PasswordAuthentication=yes"\n' >/etc/default/ssh; ` + sshRestart,
			undo:  `printf 'SSHD_OPTS=\n' >/etc/default/ssh; ` + sshRestart,
			texts: []string{"/etc/default/ssh:1"},
		},
		{
			name: "so it does in a drop-in of its unit", control: "ssh/root-login", verdicts: "ineffective",
			plant: `mkdir /etc/systemd/system/ssh.service.d
				printf '[Service]\nExecStart=\nExecStart=/usr/sbin/sshd -D $SSHD_OPTS -oPermitRootLogin=yes\n' >/etc/systemd/system/ssh.service.d/own.conf
				systemctl daemon-reload; ` + sshRestart,
			undo: `rm -r /etc/systemd/system/ssh.service.d; systemctl daemon-reload; ` + sshRestart,
		},
	},
	{
		{
			name: "a reload does not bring a command line into force", control: "ssh/password-login", verdicts: "ineffective",
			plant: `sed -i '/^PasswordAuthentication/d' /etc/ssh/sshd_config.d/00-hardening.conf
				printf 'SSHD_OPTS="-o \"PasswordAuthentication no\""\n' >/etc/default/ssh; ` + sshAnew,
			undo:  `printf 'SSHD_OPTS=\n' >/etc/default/ssh; sed -i '1i PasswordAuthentication no' /etc/ssh/sshd_config.d/00-hardening.conf; ` + sshAnew,
			texts: []string{"/etc/default/ssh:1", "restart"},
		},
		{
			name: "systemd listens for another sshd", control: "ssh/one-server", verdicts: "ineffective",
			plant: `printf '[Socket]\nListenStream=2223\nAccept=yes\n' >/etc/systemd/system/other.socket
				printf '[Service]\nExecStart=-/usr/sbin/sshd -i -f /etc/ssh/other\nStandardInput=socket\n' >/etc/systemd/system/other@.service
				printf 'PasswordAuthentication yes\n' >/etc/ssh/other; systemctl daemon-reload; systemctl start other.socket`,
			undo:  `systemctl stop other.socket; rm /etc/ssh/other /etc/systemd/system/other.socket /etc/systemd/system/other@.service; systemctl daemon-reload`,
			texts: []string{"other.socket", "/etc/systemd/system/other@.service:2"},
		},
	},
	{
		{
			name: "what let passwords in is gone from the files alone", control: "ssh/password-login", verdicts: "unknown",
			plant: `printf 'PasswordAuthentication yes\n' >/etc/ssh/sshd_config.d/00-a.conf; ` + sshAnew + `; sleep 2.2; rm /etc/ssh/sshd_config.d/00-a.conf`,
			undo:  sshAnew,
			texts: []string{"/etc/ssh/sshd_config.d", "reload"},
		},
	},
	{
		{
			name: "sshd reads another file", control: "ssh/one-server", verdicts: "ineffective",
			plant: `cp /etc/ssh/sshd_config /etc/ssh/other; printf 'SSHD_OPTS="-f /etc/ssh/other"\n' >/etc/default/ssh; ` + sshRestart,
			undo:  `rm /etc/ssh/other; printf 'SSHD_OPTS=\n' >/etc/default/ssh; ` + sshRestart,
			texts: []string{"/etc/ssh/other"},
		},
	},
	{
		{
			name: "T13 the firewall's service loads another file at boot", control: "firewall/persist", verdicts: "unknown",
			plant: `mkdir /etc/systemd/system/nftables.service.d
				printf '[Service]\nExecStart=\nExecStart=/usr/sbin/nft -f /etc/other.nft\n' >/etc/systemd/system/nftables.service.d/own.conf; systemctl daemon-reload`,
			undo:  `rm -r /etc/systemd/system/nftables.service.d; systemctl daemon-reload`,
			texts: []string{"/etc/systemd/system/nftables.service.d/own.conf:2"},
		},
		{
			name: "T5 the timer starts something else", control: "updates/automatic", verdicts: "unknown",
			plant: `mkdir /etc/systemd/system/apt-daily-upgrade.service.d
				printf '[Service]\nExecStart=\nExecStart=/bin/true\n' >/etc/systemd/system/apt-daily-upgrade.service.d/own.conf; systemctl daemon-reload`,
			undo:  `rm -r /etc/systemd/system/apt-daily-upgrade.service.d; systemctl daemon-reload`,
			texts: []string{"/etc/systemd/system/apt-daily-upgrade.service.d/own.conf:2"},
		},
		{
			name: "another sshd has a file of its own", control: "ssh/one-server", verdicts: "ineffective",
			plant: `printf 'Port 2222\nPidFile none\n' >/etc/ssh/other
				printf '[Service]\nExecStart=/usr/sbin/sshd -D -f /etc/ssh/other\n' >/etc/systemd/system/sshd2.service
				systemctl daemon-reload; systemctl start sshd2; for i in $(seq 100); do ! ss -Hltn 'sport = :2222' | grep -q . || break; sleep 0.05; done`,
			undo:  `systemctl stop sshd2; rm /etc/ssh/other /etc/systemd/system/sshd2.service; systemctl daemon-reload`,
			texts: []string{"sshd2.service"},
		},
	},
	{
		{
			name: "the file is right and sshd has not read it", control: "ssh/config-loaded",
			plant: `sleep 2.2; touch /etc/ssh/sshd_config.d/00-hardening.conf`,
			undo:  sshAnew,
		},
	},
}

// TestTraps plants what looks protected and is not, and takes it away again.
func TestTraps(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Good)
	lived(h)
	before := auditOn(t, h)
	for _, round := range rounds {
		for _, tr := range round {
			must(t, before, tr.control, "pass|not-applicable")
			h.Sh(tr.plant)
		}
		planted := auditOn(t, h)
		for _, tr := range round {
			t.Run(tr.name, func(t *testing.T) {
				verdicts := tr.verdicts
				if verdicts == "" {
					verdicts = "fail|ineffective"
				}
				must(t, planted, tr.control, verdicts, tr.texts...)
			})
		}
		for i := range round {
			h.Sh(round[len(round)-1-i].undo)
		}
		same(t, before, auditOn(t, h))
	}
	t.Run("T14", func(t *testing.T) { nioAccounts(t, h) })
}

// nioAccounts is what nio's own command leaves, T14: a new account beside those that everybody knows. nio itself is not
// to be had any more; its files are.
func nioAccounts(t *testing.T, h *lab.Host) {
	const id, users = "app/nio-users", "/opt/line/etc/users.json"
	const password = "quince-ladder-8114"
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	own := `"amy": {"password": "` + string(hash) + `"}`
	h.Write("/opt/line/nio.conf", 0o640, "[user_defined]\nNIOPORT=8181\n")
	h.Write(users, 0o640, `{"Admin": {"password": "QWRtaW4="}, "User": {"password": "VXNlcg=="}, "Guest": {"password": "R3Vlc3Q="}, `+own+`}`)
	must(t, auditOn(t, h, "--only", id), id, "ineffective", "account Admin", "account User", "account Guest", users)
	h.Write(users, 0o640, `{"amy": {"password": "`+base64.StdEncoding.EncodeToString([]byte(password))+`"}}`)
	must(t, auditOn(t, h, "--only", id), id, "fail", "account amy", "base64")
	h.Write(users, 0o640, `{`+own+`}`)
	must(t, auditOn(t, h, "--only", id), id, "pass")
	h.Remove("/opt/line")
}

// same wants every verdict of a host to be what it was.
func same(t *testing.T, before, after audit.Report) {
	t.Helper()
	for _, was := range before.Results {
		if is := result(t, after, was.Control); is.Verdict != was.Verdict {
			t.Errorf("%s was %s and is %s after the traps were taken away: %s", was.Control, was.Verdict, is.Verdict, is.Reason)
		}
	}
}

// lived makes a host one that has been up for a day: its timers of apt have
// run, which nothing in the lab could serve.
func lived(h *lab.Host) {
	h.Sh(`mkdir -p /var/lib/apt/periodic
		touch /var/lib/apt/lists /var/lib/apt/periodic/update-stamp /var/lib/apt/periodic/update-success-stamp \
			/var/lib/apt/periodic/upgrade-stamp /var/lib/apt/periodic/unattended-upgrades-stamp`)
}

// findings lists the controls that are bad, of these severities.
func findings(r audit.Report, severities ...control.Severity) []string {
	var out []string
	for _, res := range r.Results {
		for _, s := range severities {
			if res.Verdict.Bad() && res.Severity == s {
				out = append(out, res.Control)
			}
		}
	}
	return out
}
