# The first process of a host's namespaces; becomes systemd-nspawn. Says "ready" on file descriptor 3 when
# the disk is mounted, and boots when a line comes in, after the cable was plugged in.
set -eu
mount --make-rprivate /
mount -t proc proc /proc
for group in $GROUPS_OF_HOST; do
	echo 0 >"$group/cgroup.procs"
done

# The host sees the options of its root mount: they tell nothing of this machine's folders.
mount -t tmpfs lab /mnt
mkdir /mnt/disk /mnt/root
mount --bind "$DISK" /mnt/disk
lower= number=0
for layer in $LAYERS; do
	mkdir "/mnt/layer$number"
	mount --bind "$layer" "/mnt/layer$number"
	lower="$lower:/mnt/layer$number"
	number=$((number + 1))
done
mount -t overlay overlay -o "lowerdir=${lower#:},upperdir=/mnt/disk/upper,workdir=/mnt/disk/work" /mnt/root

echo ready >&3
read -r go
exec 3>&-
exec systemd-nspawn --directory=/mnt/root --boot --quiet --machine="$MACHINE" --hostname="$MACHINE" \
	--network-namespace-path=/proc/self/ns/net "--capability=CAP_NET_ADMIN$MORE_RIGHTS" ${MORE_CALLS:+"--system-call-filter=$MORE_CALLS"} \
	--register=no --keep-unit --resolv-conf=off --timezone=off --link-journal=no --console=pipe
