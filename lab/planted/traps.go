// Package planted has faults to plant on a booted host that is protected: the
// traps that this project is about, and the bad hosts that the controls' own
// cases know. The tests and the measurements plant the same.
package planted

// chronyAnew starts chrony afresh and waits until it is synchronised. One reply
// that is lost or late would have it wait a minute for the next, so it is told to
// ask again.
const chronyAnew = `systemctl stop chrony; rm -f /var/lib/chrony/chrony.drift; systemctl start chrony
	for i in 1 2 3 4 5 6 7 8; do
		! chronyc -n waitsync 40 0 0 0.2 >/dev/null || break
		[ $i != 8 ] || { chronyc -n sources; chronyc -n tracking; exit 1; }
		chronyc -n burst 4/8 >/dev/null
	done`

// SSHAnew lets sshd read its files and waits until it has: it starts itself
// anew then, and dies if a file goes away meanwhile.
const SSHAnew = `rm -f /run/sshd.pid; systemctl reload ssh
	for i in $(seq 200); do [ ! -e /run/sshd.pid ] || break; sleep 0.05; done; [ -e /run/sshd.pid ]`

// sshRestart starts sshd anew, however often that was done in the last seconds.
const sshRestart = `systemctl reset-failed ssh; systemctl restart ssh`

// banAnew starts fail2ban anew and waits until it answers.
const banAnew = `systemctl restart fail2ban; for i in $(seq 50); do fail2ban-client ping >/dev/null 2>&1 && break; sleep 0.1; done`

// ranOut is the certificate of pioreactor.local that counted until January 2025.
const ranOut = `-----BEGIN CERTIFICATE-----
MIIBAzCBtqADAgECAgEHMAUGAytlcDAbMRkwFwYDVQQDExBwaW9yZWFjdG9yLmxv
Y2FsMB4XDTI0MDEwNTAwMDAwMFoXDTI1MDEwNDAwMDAwMFowGzEZMBcGA1UEAxMQ
cGlvcmVhY3Rvci5sb2NhbDAqMAUGAytlcAMhAHyvcz54T3m+5H2h6n08bopXLinV
nIpbuVX1d0zIghyiox8wHTAbBgNVHREEFDASghBwaW9yZWFjdG9yLmxvY2FsMAUG
AytlcANBAMhMK4j6GU7fKVKnnudQjeyp5tAMirUDjKs0uzVA0LQsMiafPNcEAwST
PquVHEj/Opkv2t+j16mGN7vmfloBsAE=
-----END CERTIFICATE-----`

// A Trap looks protected, or once was, and is not. It is planted on a host
// that is protected.
type Trap struct {
	Name, Control string
	Plant, Undo   string   // sh, as root
	Verdicts      string   // wanted, parted by "|"; "" is fail or ineffective
	Texts         []string // that reason or evidence must have
}

// Rounds of traps: those of one round do not disturb each other. T and H are
// rows of the requirements.
var Rounds = [][]Trap{
	{
		{
			Name: "T1 a drop-in switches passwords back on", Control: "ssh/password-login", Verdicts: "ineffective",
			Plant: `printf 'PasswordAuthentication yes\n' >/etc/ssh/sshd_config.d/00-cloud-init.conf; ` + SSHAnew,
			Undo:  `rm /etc/ssh/sshd_config.d/00-cloud-init.conf; ` + SSHAnew,
			Texts: []string{"/etc/ssh/sshd_config.d/00-cloud-init.conf:1"},
		},
		{
			Name: "T2 the ban daemon is to follow a log that Debian 12 does not write", Control: "ban/ssh", Verdicts: "ineffective",
			Plant: `mv /etc/fail2ban/jail.d/sshd.local /root/; printf '[sshd]\nenabled = true\n' >/etc/fail2ban/jail.d/defaults-debian.conf
				systemctl restart fail2ban || true; for i in $(seq 50); do systemctl is-failed -q fail2ban && break; sleep 0.1; done`,
			Undo:  `mv /root/sshd.local /etc/fail2ban/jail.d/; systemctl reset-failed fail2ban; ` + banAnew,
			Texts: []string{"/var/log/auth.log"},
		},
		{
			Name: "T5 the timers are masked", Control: "updates/automatic", Verdicts: "ineffective",
			Plant: `systemctl mask --now apt-daily.timer apt-daily-upgrade.timer`,
			Undo:  `systemctl unmask apt-daily.timer apt-daily-upgrade.timer; systemctl start apt-daily.timer apt-daily-upgrade.timer`,
			Texts: []string{"apt-daily"},
		},
		{
			Name: "T13 the firewall's service is on, its rules are gone", Control: "firewall/default-deny", Verdicts: "ineffective",
			Plant: `nft flush table inet filter; nft delete table inet filter`,
			Undo:  `systemctl restart nftables; ` + banAnew,
		},
		{
			Name: "T15 every user can read a TLS key", Control: "keys/tls-keys",
			Plant: `install -d /etc/ssl/private; openssl genpkey -quiet -algorithm ed25519 -out /etc/ssl/private/site.key 2>/dev/null ||
				printf -- '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIHcdyLhN7pUmS4dzQf0f4nUqX2pA7Zz3bC3b2n9xkLrV\n-----END PRIVATE KEY-----\n' >/etc/ssl/private/site.key
				stat -c %a /etc/ssl/private >/root/mode; chmod 755 /etc/ssl/private; chmod 644 /etc/ssl/private/site.key`,
			Undo:  `rm /etc/ssl/private/site.key; chmod "$(cat /root/mode)" /etc/ssl/private; rm /root/mode`,
			Texts: []string{"/etc/ssl/private/site.key"},
		},
		{
			Name: "T16 no source of time answers", Control: "time/synchronised",
			Plant: `cp -p /etc/chrony/chrony.conf /root/; sed -i 's/^server .*/server 192.0.2.1 iburst/' /etc/chrony/chrony.conf; systemctl restart chrony`,
			Undo:  `mv /root/chrony.conf /etc/chrony/; ` + chronyAnew,
		},
		{
			Name: "T20 a key without passphrase", Control: "keys/passphrases",
			Plant: `su operator -c "ssh-keygen -q -t ed25519 -N '' -f /home/operator/.ssh/id_ed25519"`,
			Undo:  `rm /home/operator/.ssh/id_ed25519 /home/operator/.ssh/id_ed25519.pub`,
			Texts: []string{"/home/operator/.ssh/id_ed25519"},
		},
		{
			Name: "T22 root runs what a user can write", Control: "services/root-runs-user-files",
			Plant: `printf '#!/bin/sh\nexec sleep 1000\n' >/home/operator/app; chown operator /home/operator/app; chmod 755 /home/operator/app
				printf '[Service]\nExecStart=/home/operator/app\n[Install]\nWantedBy=multi-user.target\n' >/etc/systemd/system/app.service
				systemctl daemon-reload; systemctl enable --now app.service`,
			Undo:  `systemctl disable --now app.service; rm /etc/systemd/system/app.service /home/operator/app; systemctl daemon-reload`,
			Texts: []string{"app.service", "/home/operator/app"},
		},
		{
			Name: "T7 the flag of the guide, and what deletes it stays open", Control: "app/pioreactor-flags", Verdicts: "ineffective",
			Plant: `useradd -m pioreactor; install -d -o pioreactor /home/pioreactor/.pioreactor; touch /home/pioreactor/.pioreactor/DISALLOW_UI_INSTALLS`,
			Undo:  `userdel -r pioreactor 2>/dev/null`,
			Texts: []string{"remove_file", "DISALLOW_UI_FILE_SYSTEM", "DISALLOW_UI_UPLOADS"},
		},
		{
			Name: "T14 a new account of nio, and those that everybody knows", Control: "app/nio-users", Verdicts: "ineffective",
			Plant: `mkdir -p /opt/line/etc; printf '[user_defined]\nNIOPORT=8181\n' >/opt/line/nio.conf
				printf '{"Admin": {"password": "QWRtaW4="}, "amy": {"password": "%s"}}\n' '$2b$12$XnkXMEnBOyVQCVSl9FC.2u7OWwzZHMkCzDCxnMGn8KRkUmPnmIxGG' >/opt/line/etc/users.json`,
			Undo:  `rm -r /opt/line`,
			Texts: []string{"account Admin", "/opt/line/etc/users.json"},
		},
		{
			Name: "H1 a factory password", Control: "accounts/factory-password", Verdicts: "fail",
			Plant: `useradd -m -s /bin/bash pi; echo pi:raspberry | chpasswd`,
			Undo:  `userdel -r pi 2>/dev/null`,
			Texts: []string{"pi", "factory"},
		},
	},
	{
		{
			Name: "a drop-in lets root in that the main file keeps out", Control: "ssh/root-login",
			Plant: `sed -i '/^PermitRootLogin/d' /etc/ssh/sshd_config.d/00-hardening.conf; cp -p /etc/ssh/sshd_config /root/
				printf 'PermitRootLogin yes\n' >/etc/ssh/sshd_config.d/50-image.conf; printf 'PermitRootLogin no\n' >>/etc/ssh/sshd_config; ` + SSHAnew,
			Undo: `rm /etc/ssh/sshd_config.d/50-image.conf; mv /root/sshd_config /etc/ssh/; sed -i '1i PermitRootLogin no' /etc/ssh/sshd_config.d/00-hardening.conf
				` + SSHAnew,
			Texts: []string{"/etc/ssh/sshd_config.d/50-image.conf:1"},
		},
		{
			Name: "one user may use a password", Control: "ssh/password-login",
			Plant: `printf 'Match User operator\nPasswordAuthentication yes\n' >/etc/ssh/sshd_config.d/05-one.conf
				sed -i '/^PasswordAuthentication/d' /etc/ssh/sshd_config.d/00-hardening.conf; printf 'PasswordAuthentication no\n' >/etc/ssh/sshd_config.d/10-later.conf; ` + SSHAnew,
			Undo: `rm /etc/ssh/sshd_config.d/05-one.conf /etc/ssh/sshd_config.d/10-later.conf
				sed -i '1i PasswordAuthentication no' /etc/ssh/sshd_config.d/00-hardening.conf; ` + SSHAnew,
			Texts: []string{"operator"},
		},
		{
			Name: "T12 a ban for ever, and not even its own addresses left out", Control: "ban/ignore-own",
			Plant: `cp -p /etc/fail2ban/jail.d/sshd.local /root/; sed -i -e '/^ignoreip/d' -e 's/^bantime.*/bantime = -1/' /etc/fail2ban/jail.d/sshd.local; ` + banAnew,
			Undo:  `mv /root/sshd.local /etc/fail2ban/jail.d/; ` + banAnew,
		},
		{
			Name: "T15 a certificate that ran out", Control: "keys/certificates", Verdicts: "fail",
			Plant: `mkdir -p /etc/pioreactor/tls; cat >/etc/pioreactor/tls/local-ui.pem <<'END'
` + ranOut + `
END
				! openssl x509 -in /etc/pioreactor/tls/local-ui.pem -noout -checkend 0 >/dev/null`,
			Undo:  `rm -r /etc/pioreactor`,
			Texts: []string{"/etc/pioreactor/tls/local-ui.pem:1", "pioreactor.local", "2025-01-04"},
		},
		{
			Name: "H13 the host joins an open network", Control: "wifi/encryption",
			Plant: `mkdir -p /etc/wpa_supplicant; printf 'network={\n\tssid="cafe"\n\tkey_mgmt=NONE\n}\n' >/etc/wpa_supplicant/wpa_supplicant.conf`,
			Undo:  `rm -r /etc/wpa_supplicant`,
			Texts: []string{"cafe", "/etc/wpa_supplicant/wpa_supplicant.conf:1"},
		},
		{
			Name: "H13 the factory passphrase of an access point, hashed", Control: "wifi/access-point-default",
			Plant: `mkdir -p /etc/NetworkManager/system-connections; cd /etc/NetworkManager/system-connections
				psk=$(python3 -c "import hashlib; print(hashlib.pbkdf2_hmac('sha1', b'raspberry', b'pioreactor', 4096, 32).hex())")
				printf '[connection]\ntype=wifi\n[wifi]\nmode=ap\nssid=pioreactor\n[wifi-security]\nkey-mgmt=wpa-psk\npsk=%s\n' "$psk" >ap.nmconnection; chmod 600 ap.nmconnection`,
			Undo:  `rm -r /etc/NetworkManager`,
			Texts: []string{"pioreactor", "hashed passphrase: factory password"},
		},
		{
			Name: "a console logs somebody in", Control: "boot/auto-login",
			Plant: `mkdir /etc/systemd/system/getty@tty1.service.d
				printf '[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin operator --noclear %%I $TERM\n' >/etc/systemd/system/getty@tty1.service.d/a.conf`,
			Undo:  `rm -r /etc/systemd/system/getty@tty1.service.d`,
			Texts: []string{"operator", "a.conf:3"},
		},
		{
			Name: "T16 two programs keep the clock", Control: "time/one-daemon", Verdicts: "fail",
			Plant: `printf '[Service]\nExecStart=/bin/sleep 1000\n[Install]\nWantedBy=multi-user.target\n' >/etc/systemd/system/ntpsec.service; systemctl daemon-reload; systemctl enable --now ntpsec`,
			Undo: `systemctl disable --now ntpsec; rm /etc/systemd/system/ntpsec.service; systemctl daemon-reload
				` + chronyAnew, // each refuses to run beside the other
			Texts: []string{"chrony and ntpsec"},
		},
		{
			Name: "T8 the password of the page lies in what every worker gives away", Control: "app/pioreactor-shared-password", Verdicts: "ineffective",
			Plant: `useradd -m pioreactor; install -d -o pioreactor /home/pioreactor/.pioreactor
				printf '[cluster.topology]\nleader_hostname=good\n[ui_basic_auth]\napi_key=YW15OnNlc2FtZQ==\n' >/home/pioreactor/.pioreactor/config.ini`,
			Undo:  `userdel -r pioreactor 2>/dev/null`,
			Texts: []string{"/unit_api/config/merged", "/home/pioreactor/.pioreactor/config.ini"},
		},
		{
			Name: "T19 the client insists on what no server offers any more", Control: "ssh/client-fits-server", Verdicts: "fail",
			Plant: `printf 'Host *\n  KexAlgorithms ecdh-sha2-nistp256\n' >/etc/ssh/ssh_config.d/pin.conf`,
			Undo:  `rm /etc/ssh/ssh_config.d/pin.conf`,
			Texts: []string{"/etc/ssh/ssh_config.d/pin.conf:2", "ecdh-sha2-nistp256"},
		},
	},
	{
		{
			Name: "a line behind a Match holds for nobody else", Control: "ssh/root-login",
			Plant: `cp -p /etc/ssh/sshd_config /root/; sed -i '/^PermitRootLogin/d' /etc/ssh/sshd_config.d/00-hardening.conf
				printf 'Match User nobody\nPermitRootLogin no\n' >>/etc/ssh/sshd_config; ` + SSHAnew,
			Undo: `mv /root/sshd_config /etc/ssh/; sed -i '1i PermitRootLogin no' /etc/ssh/sshd_config.d/00-hardening.conf; ` + SSHAnew,
		},
		{
			Name: "T21 the filter of the jail matches no line of sshd's", Control: "ban/ssh", Verdicts: "ineffective",
			Plant: `printf '[Definition]\nfailregex = ^password denied for <HOST>$\n' >/etc/fail2ban/filter.d/sshd.local; ` + banAnew,
			Undo:  `rm /etc/fail2ban/filter.d/sshd.local; ` + banAnew,
			Texts: []string{"matches no line of sshd's", "/etc/fail2ban/filter.d/sshd.local"},
		},
		{
			Name: "T6 UsePAM no locks out an account with a key", Control: "ssh/use-pam",
			Plant: `printf 'UsePAM no\n' >/etc/ssh/sshd_config.d/00-pam.conf; ` + SSHAnew + `
				useradd -m -s /bin/bash -G sudo mary; install -d -m 700 -o mary /home/mary/.ssh
				cp /home/operator/.ssh/authorized_keys /home/mary/.ssh/; chown mary /home/mary/.ssh/authorized_keys`,
			Undo:  `rm /etc/ssh/sshd_config.d/00-pam.conf; userdel -r mary 2>/dev/null; ` + SSHAnew,
			Texts: []string{"mary"},
		},
	},
	{
		{
			Name: "a setting in a drop-in alone is enough", Control: "ssh/root-login", Verdicts: "pass",
			Plant: `printf 'PermitRootLogin yes\n' >>/etc/ssh/sshd_config; ` + SSHAnew,
			Undo:  `sed -i '$d' /etc/ssh/sshd_config; ` + SSHAnew,
		},
	},
	{
		{
			Name: "the command line of sshd wins over its files", Control: "ssh/password-login", Verdicts: "ineffective",
			Plant: `printf 'SSHD_OPTS="-o PasswordAuthentication=yes"\n' >/etc/default/ssh; ` + sshRestart,
			Undo:  `printf 'SSHD_OPTS=\n' >/etc/default/ssh; ` + sshRestart,
			Texts: []string{"/etc/default/ssh:1"},
		},
		{
			Name: "so it does in a drop-in of its unit", Control: "ssh/root-login", Verdicts: "ineffective",
			Plant: `mkdir /etc/systemd/system/ssh.service.d
				printf '[Service]\nExecStart=\nExecStart=/usr/sbin/sshd -D $SSHD_OPTS -oPermitRootLogin=yes\n' >/etc/systemd/system/ssh.service.d/own.conf
				systemctl daemon-reload; ` + sshRestart,
			Undo: `rm -r /etc/systemd/system/ssh.service.d; systemctl daemon-reload; ` + sshRestart,
		},
	},
	{
		{
			Name: "a reload does not bring a command line into force", Control: "ssh/password-login", Verdicts: "ineffective",
			Plant: `sed -i '/^PasswordAuthentication/d' /etc/ssh/sshd_config.d/00-hardening.conf
				printf 'SSHD_OPTS="-o \"PasswordAuthentication no\""\n' >/etc/default/ssh; ` + SSHAnew,
			Undo:  `printf 'SSHD_OPTS=\n' >/etc/default/ssh; sed -i '1i PasswordAuthentication no' /etc/ssh/sshd_config.d/00-hardening.conf; ` + SSHAnew,
			Texts: []string{"/etc/default/ssh:1", "restart"},
		},
		{
			Name: "systemd listens for another sshd", Control: "ssh/one-server", Verdicts: "ineffective",
			Plant: `printf '[Socket]\nListenStream=2223\nAccept=yes\n' >/etc/systemd/system/other.socket
				printf '[Service]\nExecStart=-/usr/sbin/sshd -i -f /etc/ssh/other\nStandardInput=socket\n' >/etc/systemd/system/other@.service
				printf 'PasswordAuthentication yes\n' >/etc/ssh/other; systemctl daemon-reload; systemctl start other.socket`,
			Undo:  `systemctl stop other.socket; rm /etc/ssh/other /etc/systemd/system/other.socket /etc/systemd/system/other@.service; systemctl daemon-reload`,
			Texts: []string{"other.socket", "/etc/systemd/system/other@.service:2"},
		},
	},
	{
		{
			Name: "what let passwords in is gone from the files alone", Control: "ssh/password-login", Verdicts: "unknown",
			Plant: `printf 'PasswordAuthentication yes\n' >/etc/ssh/sshd_config.d/00-a.conf; ` + SSHAnew + `; sleep 2.2; rm /etc/ssh/sshd_config.d/00-a.conf`,
			Undo:  SSHAnew,
			Texts: []string{"/etc/ssh/sshd_config.d", "reload"},
		},
	},
	{
		{
			Name: "sshd reads another file", Control: "ssh/one-server", Verdicts: "ineffective",
			Plant: `cp /etc/ssh/sshd_config /etc/ssh/other; printf 'SSHD_OPTS="-f /etc/ssh/other"\n' >/etc/default/ssh; ` + sshRestart,
			Undo:  `rm /etc/ssh/other; printf 'SSHD_OPTS=\n' >/etc/default/ssh; ` + sshRestart,
			Texts: []string{"/etc/ssh/other"},
		},
	},
	{
		{
			Name: "T13 the firewall's service loads another file at boot", Control: "firewall/persist", Verdicts: "unknown",
			Plant: `mkdir /etc/systemd/system/nftables.service.d
				printf '[Service]\nExecStart=\nExecStart=/usr/sbin/nft -f /etc/other.nft\n' >/etc/systemd/system/nftables.service.d/own.conf; systemctl daemon-reload`,
			Undo:  `rm -r /etc/systemd/system/nftables.service.d; systemctl daemon-reload`,
			Texts: []string{"/etc/systemd/system/nftables.service.d/own.conf:2"},
		},
		{
			Name: "T5 the timer starts something else", Control: "updates/automatic", Verdicts: "unknown",
			Plant: `mkdir /etc/systemd/system/apt-daily-upgrade.service.d
				printf '[Service]\nExecStart=\nExecStart=/bin/true\n' >/etc/systemd/system/apt-daily-upgrade.service.d/own.conf; systemctl daemon-reload`,
			Undo:  `rm -r /etc/systemd/system/apt-daily-upgrade.service.d; systemctl daemon-reload`,
			Texts: []string{"/etc/systemd/system/apt-daily-upgrade.service.d/own.conf:2"},
		},
		{
			Name: "another sshd has a file of its own", Control: "ssh/one-server", Verdicts: "ineffective",
			Plant: `printf 'Port 2222\nPidFile none\n' >/etc/ssh/other
				printf '[Service]\nExecStart=/usr/sbin/sshd -D -f /etc/ssh/other\n' >/etc/systemd/system/sshd2.service
				systemctl daemon-reload; systemctl start sshd2; for i in $(seq 100); do ! ss -Hltn 'sport = :2222' | grep -q . || break; sleep 0.05; done`,
			Undo:  `systemctl stop sshd2; rm /etc/ssh/other /etc/systemd/system/sshd2.service; systemctl daemon-reload`,
			Texts: []string{"sshd2.service"},
		},
	},
	{
		{
			Name: "the file is right and sshd has not read it", Control: "ssh/config-loaded",
			Plant: `sleep 2.2; touch /etc/ssh/sshd_config.d/00-hardening.conf`,
			Undo:  SSHAnew,
		},
	},
}
