#!/bin/sh
# Installs what booted hosts and the race detector need, on a Debian 12 and as
# root; anywhere else, or with PICKET_LAB=off, it does nothing and the tests say
# what they left out.
set -eu

if [ "${PICKET_LAB:-}" = off ]; then
	exit 0
fi
if [ "$(id -u)" != 0 ] || ! grep -qs '^VERSION_CODENAME=bookworm$' /etc/os-release; then
	if [ "${PICKET_LAB:-}" = require ]; then
		echo "the lab is required and needs root on a Debian 12" >&2
		exit 1
	fi
	echo "no booted hosts here: they need root on a Debian 12" >&2
	exit 0
fi

# systemd-container first and alone: it may bring a newer systemd with it, and
# an upgrade that stopped half way is finished before anything else.
wanted='systemd-container mmdebstrap iproute2 openssh-client openssh-server util-linux nftables iptables busybox-static shellcheck ssh-audit ansible-core dash procps gcc libc6-dev'
missing=
for p in $wanted; do
	dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed$' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
echo "installing for the lab:$missing" >&2
# RUNLEVEL=1: no service that comes along is started on this machine.
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
apt-get update -qq
case "$missing" in *systemd-container*)
	apt-get install -y -qq systemd-container >/dev/null || dpkg --configure -a
	;;
esac
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
