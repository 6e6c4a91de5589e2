# A host that is protected: what is configured is also in force, and will be after the next boot.
set -eu

echo good >/etc/hostname
sed -i 's/^127.0.1.1.*/127.0.1.1	good/' /etc/hosts

# --- SSH: keys only, first file wins ---------------------------------------------------------------------
cat >/etc/ssh/sshd_config.d/00-hardening.conf <<END
PermitRootLogin no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitEmptyPasswords no
MaxAuthTries 4
LoginGraceTime 60
MaxStartups 10:30:60
ClientAliveInterval 60
ClientAliveCountMax 3
DisableForwarding yes
X11Forwarding no
LogLevel VERBOSE
DebianBanner no
AllowGroups sudo
Banner /etc/issue.net
KexAlgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512
Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes256-ctr,aes192-ctr,aes128-gcm@openssh.com,aes128-ctr
MACs hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,umac-128-etm@openssh.com
HostKeyAlgorithms ssh-ed25519,rsa-sha2-512,rsa-sha2-256
RequiredRSASize 3072
END
chmod 600 /etc/ssh/sshd_config /etc/ssh/sshd_config.d/00-hardening.conf
printf 'Authorised use only. Sessions are logged.\n' | tee /etc/issue /etc/issue.net >/etc/motd
chmod 644 /etc/issue /etc/issue.net /etc/motd

# --- firewall: nothing comes in but SSH ------------------------------------------------------------------
cat >/etc/nftables.conf <<END
#!/usr/sbin/nft -f

flush ruleset

table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		iif "lo" accept
		iif != "lo" ip saddr 127.0.0.0/8 drop
		iif != "lo" ip6 saddr ::1 drop
		ct state established,related accept
		ct state invalid drop
		icmp type { echo-request, destination-unreachable, time-exceeded } accept
		icmpv6 type { echo-request, destination-unreachable, packet-too-big, time-exceeded, nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept
		tcp dport 22 accept
	}
	chain forward {
		type filter hook forward priority filter; policy drop;
	}
	chain output {
		type filter hook output priority filter; policy accept;
	}
}
END
chmod 755 /etc/nftables.conf
systemctl enable nftables

# --- bans: the journal is the log of a Debian 12 ---------------------------------------------------------
cat >/etc/fail2ban/jail.d/sshd.local <<END
[DEFAULT]
banaction = nftables-multiport
banaction_allports = nftables-allports
ignoreip = 127.0.0.1/8 ::1 192.168.77.1

[sshd]
enabled = true
backend = systemd
maxretry = 5
bantime = 1h
END
systemctl enable fail2ban

# --- updates by themselves -------------------------------------------------------------------------------
cat >/etc/apt/apt.conf.d/20auto-upgrades <<END
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
END
cat >/etc/apt/apt.conf.d/52unattended-upgrades-local <<END
Unattended-Upgrade::Automatic-Reboot "false";
END
systemctl enable unattended-upgrades apt-daily.timer apt-daily-upgrade.timer

# --- time: one daemon, with a source that answers --------------------------------------------------------
# It asks often: on a busy machine a reply may be lost, and the host is not up before it knows the time.
sed -i 's/^pool .*/server 192.168.77.1 iburst minpoll 1 maxpoll 4/' /etc/chrony/chrony.conf
systemctl enable chrony

# --- kernel and network ----------------------------------------------------------------------------------
# With `*` too: an interface that is there before systemd-sysctl runs has not taken what `default` says.
cat >/etc/sysctl.d/60-hardening.conf <<END
net.ipv4.ip_forward = 0
net.ipv6.conf.all.forwarding = 0
net.ipv4.conf.all.send_redirects = 0
net.ipv4.conf.*.send_redirects = 0
net.ipv4.conf.default.send_redirects = 0
net.ipv4.conf.all.accept_redirects = 0
net.ipv4.conf.*.accept_redirects = 0
net.ipv4.conf.default.accept_redirects = 0
net.ipv4.conf.all.secure_redirects = 0
net.ipv4.conf.*.secure_redirects = 0
net.ipv4.conf.default.secure_redirects = 0
net.ipv6.conf.all.accept_redirects = 0
net.ipv6.conf.*.accept_redirects = 0
net.ipv6.conf.default.accept_redirects = 0
net.ipv4.conf.all.accept_source_route = 0
net.ipv4.conf.*.accept_source_route = 0
net.ipv4.conf.default.accept_source_route = 0
net.ipv6.conf.all.accept_source_route = 0
net.ipv6.conf.*.accept_source_route = 0
net.ipv6.conf.default.accept_source_route = 0
net.ipv4.conf.all.rp_filter = 1
net.ipv4.conf.*.rp_filter = 1
net.ipv4.conf.default.rp_filter = 1
net.ipv4.conf.all.log_martians = 1
net.ipv4.conf.*.log_martians = 1
net.ipv4.conf.default.log_martians = 1
net.ipv4.icmp_echo_ignore_broadcasts = 1
net.ipv4.icmp_ignore_bogus_error_responses = 1
net.ipv4.tcp_syncookies = 1
net.ipv4.tcp_rfc1337 = 1
kernel.randomize_va_space = 2
kernel.yama.ptrace_scope = 1
kernel.kptr_restrict = 2
kernel.dmesg_restrict = 1
kernel.sysrq = 0
kernel.perf_event_paranoid = 3
kernel.unprivileged_bpf_disabled = 1
net.core.bpf_jit_harden = 2
fs.suid_dumpable = 0
fs.protected_hardlinks = 1
fs.protected_symlinks = 1
fs.protected_fifos = 1
fs.protected_regular = 2
dev.tty.ldisc_autoload = 0
END
for module in cramfs freevxfs hfs hfsplus jffs2 udf dccp tipc rds sctp; do
	printf 'install %s /bin/false\nblacklist %s\n' "$module" "$module"
done >/etc/modprobe.d/hardening.conf

# --- accounts, sudo, files -------------------------------------------------------------------------------
sed -i -e 's/^UMASK.*/UMASK		027/' -e 's/^#\?HOME_MODE.*/HOME_MODE	0750/' /etc/login.defs
chmod 750 /home/*
printf 'umask 027\n' >/etc/profile.d/umask.sh
printf 'Defaults use_pty\nDefaults logfile="/var/log/sudo.log"\nDefaults timestamp_timeout=15\n' >/etc/sudoers.d/50-hardening
chmod 440 /etc/sudoers.d/50-hardening
visudo --check --quiet
groupadd --system sugroup
sed -i '/^auth.*pam_rootok.so/a auth required pam_wheel.so use_uid group=sugroup' /etc/pam.d/su
chmod 600 /etc/crontab
chmod 700 /etc/cron.d /etc/cron.hourly /etc/cron.daily /etc/cron.weekly /etc/cron.monthly /etc/cron.yearly
printf 'root\n' | tee /etc/cron.allow >/etc/at.allow
chmod 640 /etc/cron.allow /etc/at.allow
mkdir -p /etc/systemd/coredump.conf.d /etc/systemd/journald.conf.d
printf '* hard core 0\n' >/etc/security/limits.d/60-core.conf
printf '[Coredump]\nStorage=none\nProcessSizeMax=0\n' >/etc/systemd/coredump.conf.d/60-hardening.conf
printf '[Journal]\nStorage=persistent\nCompress=yes\nSystemMaxUse=200M\n' >/etc/systemd/journald.conf.d/60-hardening.conf
mkdir -p /var/log/journal
