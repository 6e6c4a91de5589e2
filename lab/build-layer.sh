# Makes one role's layer in ./root, over $LOWER. Runs in mount and process namespaces of its own.
set -eu
mount --make-rprivate /
mkdir root work merged
mkdir -p "$APT_CACHE/lists/partial" "$APT_CACHE/archives/partial"
mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=root,workdir=work" merged
mount -t proc proc merged/proc
mount -t devtmpfs devtmpfs merged/dev 2>/dev/null || mount --rbind /dev merged/dev

# What apt needs of the machine is mounted over the root for the time of the build, not copied into it.
if [ -n "$PACKAGES" ]; then
	mount -t tmpfs tmpfs merged/etc/apt/sources.list.d
	cp machine.sources merged/etc/apt/sources.list.d/machine.sources
	mount --bind /dev/null merged/etc/apt/sources.list
	mount --bind /etc/resolv.conf merged/etc/resolv.conf
	mount --bind "$APT_CACHE/lists" merged/var/lib/apt/lists
	mount --bind "$APT_CACHE/archives" merged/var/cache/apt/archives
	mount -t tmpfs tmpfs merged/tmp
	printf '#!/bin/sh\nexit 101\n' >merged/usr/sbin/policy-rc.d
	chmod 755 merged/usr/sbin/policy-rc.d

	# One build at a time uses apt's folders.
	exec 9>"$APT_CACHE/lock"
	flock 9
	chroot merged apt-get update --quiet --error-on=any
	chroot merged apt-get install --quiet --yes --no-remove -o Dpkg::Use-Pty=0 $PACKAGES
	flock -u 9

	umount merged/etc/apt/sources.list.d merged/etc/apt/sources.list merged/etc/resolv.conf \
		merged/var/lib/apt/lists merged/var/cache/apt/archives merged/tmp
fi
printf '#!/bin/sh\nexit 101\n' >merged/usr/sbin/policy-rc.d
chmod 755 merged/usr/sbin/policy-rc.d
chroot merged sh -s <setup.sh
rm -f merged/usr/sbin/policy-rc.d merged/var/cache/apt/*.bin

umount --recursive merged
rmdir merged
rm -rf work machine.sources setup.sh
