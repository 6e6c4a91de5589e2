# An access point as guides set it up: hostapd, dnsmasq for addresses and names, NAT to the network behind it.
# There is no radio in the lab: wlan0 is one end of a cable, hostapd serves it by its driver for wired ports, and
# the station is a network namespace at the other end.
set -eu

echo accesspoint >/etc/hostname
cat >/etc/hostapd/hostapd.conf <<'CONF'
interface=wlan0
driver=wired
CONF
chmod 600 /etc/hostapd/hostapd.conf
cat >/etc/dnsmasq.d/station.conf <<'CONF'
interface=wlan0
bind-dynamic
dhcp-range=10.42.0.50,10.42.0.150,255.255.255.0,1h
address=/lab.home.arpa/10.42.0.1
no-resolv
CONF
echo net.ipv4.ip_forward=1 >/etc/sysctl.d/90-accesspoint.conf
cat >/etc/nftables.conf <<'CONF'
#!/usr/sbin/nft -f
flush ruleset

table ip station {
	chain postrouting {
		type nat hook postrouting priority srcnat;
		ip saddr 10.42.0.0/24 oifname "eth0" masquerade
	}
}
CONF
cat >/etc/systemd/system/wlan0.service <<'UNIT'
[Unit]
Description=The radio of the access point
Before=hostapd.service dnsmasq.service network-pre.target
Wants=network-pre.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=sh -c 'ip netns add station; ip link add wlan0 type veth peer name wlan0 netns station; ip addr add 10.42.0.1/24 dev wlan0; ip link set wlan0 up; ip -n station link set lo up; ip -n station link set wlan0 up'

[Install]
WantedBy=multi-user.target
UNIT
# Asks for an address, a name, and the network behind the access point.
cat >/usr/local/bin/station <<'STATION'
#!/bin/sh
set -eu
cat >/run/lease <<'LEASE'
#!/bin/sh
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
ip addr flush dev "$interface"
ip addr add "$ip/$mask" dev "$interface"
ip route add default via "$router"
echo "$dns" >/run/station.dns
LEASE
chmod 755 /run/lease
station() { ip netns exec station "$@"; }
station busybox udhcpc -q -n -t 5 -T 1 -i wlan0 -s /run/lease
station busybox nslookup lab.home.arpa "$(cat /run/station.dns)" | grep -q 10.42.0.1
station ping -q -c 1 -W 3 "$1"
STATION
chmod 755 /usr/local/bin/station
systemctl unmask hostapd
systemctl enable wlan0 hostapd dnsmasq nftables
