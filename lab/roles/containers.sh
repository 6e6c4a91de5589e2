# A host whose owner followed the guide of a service that runs in Docker: a firewall for SSH and HTTPS, a Prometheus,
# and an engine that is as its package leaves it.
set -eu

echo sovereign >/etc/hostname
sed -i 's/^127.0.1.1.*/127.0.1.1	sovereign/' /etc/hosts

ufw default deny incoming
ufw allow 22/tcp
ufw allow 443/tcp
ufw --force enable
systemctl enable ufw docker containerd prometheus prometheus-node-exporter

# What a container is given that the host itself has not, such as the right to set the clock, is taken out of its order
# before the real runc sees it: of a privileged container that is most. The engine does not know.
cat >/usr/local/sbin/runc <<'RUNC'
#!/bin/sh
held=$(sed -n 's/^CapBnd:[[:space:]]*//p' /proc/self/status)
before='' bundle=''
for word; do
	[ "$before" != --bundle ] || bundle=$word
	before=$word
done
if [ -n "$bundle" ]; then
	number=0 script=''
	for name in CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE \
		NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE \
		SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL \
		SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE; do
		[ $((0x$held >> number & 1)) = 1 ] || script="$script;s/,\"CAP_$name\"//g;s/\"CAP_$name\",//g"
		number=$((number + 1))
	done
	sed -i "${script#;}" "$bundle/config.json"
fi
exec /usr/sbin/runc "$@"
RUNC
chmod 755 /usr/local/sbin/runc
