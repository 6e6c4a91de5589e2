# Makes one role's layer in ./root, over $LOWER. Runs in mount and process namespaces of its own.
set -eu
mount --make-rprivate /
mkdir root work merged
mkdir -p "$APT_CACHE/lists/partial" "$APT_CACHE/archives/partial"
mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=root,workdir=work" merged
mount -t proc proc merged/proc
mount --bind merged/proc/sys merged/proc/sys
mount -o remount,bind,ro merged/proc/sys
mount --rbind /dev merged/dev

# Services are not started while they are installed.
printf '#!/bin/sh\nexit 101\n' >merged/usr/sbin/policy-rc.d
chmod 755 merged/usr/sbin/policy-rc.d

# What apt needs of the machine is mounted over the root for the time of the build, not copied into it.
if [ -n "$PACKAGES" ]; then
	mount -t tmpfs tmpfs merged/etc/apt/sources.list.d
	cp machine.sources merged/etc/apt/sources.list.d/machine.sources
	mount --bind /dev/null merged/etc/apt/sources.list
	mount --bind /etc/resolv.conf merged/etc/resolv.conf
	mount --bind "$APT_CACHE/lists" merged/var/lib/apt/lists
	mount --bind "$APT_CACHE/archives" merged/var/cache/apt/archives
	mount -t tmpfs tmpfs merged/tmp

	# One build at a time uses apt's folders.
	exec 9>"$APT_CACHE/lock"
	flock 9
	chroot merged apt-get update --quiet --error-on=any
	chroot merged apt-get install --quiet --yes -o Dpkg::Use-Pty=0 --download-only $PACKAGES
	# Nothing that a package runs while it is installed may reach the machine's firewall or network.
	unshare --net chroot merged apt-get install --quiet --yes -o Dpkg::Use-Pty=0 --no-download $PACKAGES
	flock -u 9

	umount merged/etc/apt/sources.list.d merged/etc/apt/sources.list merged/etc/resolv.conf \
		merged/var/lib/apt/lists merged/var/cache/apt/archives merged/tmp
fi
unshare --net chroot merged sh -s <setup.sh
rm -f merged/usr/sbin/policy-rc.d merged/var/cache/apt/*.bin

umount --lazy merged/dev
umount --recursive merged
rmdir merged
rm -rf work machine.sources setup.sh
