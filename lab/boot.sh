# The first process of a host's namespaces; becomes systemd-nspawn. Says "ready" on file descriptor 3 when
# the disk is mounted, and boots when a line comes in, after the cable was plugged in.
set -eu
mount --make-rprivate /
mount -t proc proc /proc
for group in $GROUPS_OF_HOST; do
	echo 0 >"$group/cgroup.procs"
done
mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=$UPPER,workdir=$WORK" "$MERGED"
echo ready >&3
read -r go
exec 3>&-
exec systemd-nspawn --directory="$MERGED" --boot --quiet --machine="$MACHINE" --hostname="$HOST" \
	--network-namespace-path=/proc/self/ns/net --capability=CAP_NET_ADMIN \
	--register=no --keep-unit --resolv-conf=off --timezone=off --link-journal=no --console=pipe
