# A router of a home: it opens ports for whoever asks by UPnP.
set -eu

echo router >/etc/hostname
cat >/etc/miniupnpd/miniupnpd.conf <<END
ext_ifname=wan
listening_ip=eth0
port=5000
enable_natpmp=no
enable_upnp=yes
secure_mode=no
upnp_table_name=filter
upnp_nat_table_name=nat
upnp_forward_chain=miniupnpd
upnp_nat_chain=prerouting_miniupnpd
upnp_nat_postrouting_chain=postrouting_miniupnpd
uuid=73a2fdd6-3f5f-4a1e-9b55-6f6b7d3f2a10
allow 1-65535 192.168.77.0/24 1-65535
deny 0-65535 0.0.0.0/0 0-65535
END
cat >/etc/miniupnpd/tables.nft <<END
table inet filter {
	chain miniupnpd { }
	chain forward { type filter hook forward priority 0; policy drop; jump miniupnpd; }
}
table inet nat {
	chain prerouting_miniupnpd { }
	chain postrouting_miniupnpd { }
	chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
	chain postrouting { type nat hook postrouting priority 100; jump postrouting_miniupnpd; }
}
END
# Its other side leads nowhere; with an address that is reserved for examples it would refuse to work. Debian's own unit is in a package that starts the service while it is installed.
cat >/etc/systemd/system/miniupnpd.service <<'END'
[Unit]
After=network.target

[Service]
ExecStartPre=sh -c 'ip link show wan || ip link add wan type veth peer name nowhere; ip addr replace 5.5.5.2/32 dev wan; ip link set wan up; ip link set nowhere up; nft -f /etc/miniupnpd/tables.nft'
ExecStart=/usr/sbin/miniupnpd -d -f /etc/miniupnpd/miniupnpd.conf

[Install]
WantedBy=multi-user.target
END
systemctl enable miniupnpd
