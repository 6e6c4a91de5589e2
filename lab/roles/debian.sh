# A fresh Debian, 12 or 13: what its installer asks and sets, and nothing more.
set -eu

echo debian >/etc/hostname
cat >/etc/hosts <<END
127.0.0.1	localhost
127.0.1.1	debian

# The following lines are desirable for IPv6 capable hosts
::1     localhost ip6-localhost ip6-loopback
ff02::1 ip6-allnodes
ff02::2 ip6-allrouters
END

passwd --lock root >/dev/null
# There is a group operator in Debian already.
useradd --gid operator --create-home --shell /bin/bash --comment 'Operator,,,' --groups sudo,cdrom,floppy,audio,dip,video,plugdev,users,netdev operator
chmod 700 /home/operator # as adduser does, which the installer calls
# brackish-lantern-40-Thursday as Debian hashes it, but at the least cost: every audit of a lab host tries
# its guesses on it.
usermod --password '$y$j75$PicketLabHost1$JMqHY5lccUMRI3aR1mL.in8bRQuZR8A8AmqHo2ymLFA' operator

printf '0.0 0 0.0\n0\nUTC\n' >/etc/adjtime
echo Etc/UTC >/etc/timezone
ln -sf /usr/share/zoneinfo/Etc/UTC /etc/localtime

# The two time daemons refuse to run in a container or without the right to set the clock. Let them run
# and never touch it: the clock is the machine's. In /usr/lib, since nobody configured it.
mkdir -p /usr/lib/systemd/system/systemd-timesyncd.service.d /usr/lib/systemd/system/chrony.service.d
cat >/usr/lib/systemd/system/systemd-timesyncd.service.d/lab.conf <<END
[Unit]
ConditionCapability=
ConditionVirtualization=
[Service]
AmbientCapabilities=
CapabilityBoundingSet=
END
cat >/usr/lib/systemd/system/chrony.service.d/lab.conf <<END
[Unit]
ConditionCapability=
[Service]
ExecStart=
ExecStart=!/usr/sbin/chronyd -x \$DAEMON_OPTS
END

# The lists that apt fetched when the system was installed. Nothing in the lab serves packages, so they
# name the archives and no package.
. /etc/os-release
for archive in \
	"debian stable $VERSION_CODENAME Debian" "debian stable-updates $VERSION_CODENAME-updates Debian" \
	"debian-security stable-security $VERSION_CODENAME-security Debian-Security"; do
	# shellcheck disable=SC2086 # four words
	set -- $archive
	list=/var/lib/apt/lists/mirror.example.org_$1_dists_$3
	printf 'Origin: Debian\nLabel: %s\nSuite: %s\nCodename: %s\nComponents: main non-free-firmware\n' "$4" "$2" "$3" >"${list}_InRelease"
	for component in main non-free-firmware; do
		: >"${list}_${component}_binary-$(dpkg --print-architecture)_Packages"
	done
done
