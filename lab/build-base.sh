# Makes the bottom layer of all hosts in ./root. Runs in mount and process namespaces of its own.
set -eu
mount --make-rprivate /

mmdebstrap --variant="$VARIANT" --include="$INCLUDE" "$SUITE" root machine.sources

# What follows also keeps the machine's mirrors and name servers out of recorded hosts.
rm -f root/etc/apt/sources.list.d/* root/etc/ssh/ssh_host_*
cat >root/etc/apt/sources.list <<END
deb http://mirror.example.org/debian $SUITE main non-free-firmware
deb http://mirror.example.org/debian-security $SUITE-security main non-free-firmware
deb http://mirror.example.org/debian $SUITE-updates main non-free-firmware
END
: >root/etc/resolv.conf
: >root/etc/machine-id
rm -f machine.sources setup.sh
