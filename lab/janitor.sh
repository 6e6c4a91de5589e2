# Waits until the process that started it is gone, whatever ended it, and clears away what it left: mounts,
# control groups, disks. The hosts' processes died with it.
set -u
read -r _ || :
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	while read -r _ _ _ _ mounted _; do
		case $mounted in "$DIR"/*) umount -l "$mounted" ;; esac
	done </proc/self/mountinfo
	for group in $GROUPS_OF_RUN; do
		find "$group"* -depth -type d -exec rmdir {} \;
	done
	case "$(grep -F " $DIR/" /proc/self/mountinfo)" in "") rm -rf "$DIR" ;; esac
	left=
	for start in "$DIR" $GROUPS_OF_RUN; do
		for path in "$start"*; do [ ! -e "$path" ] || left=yes; done
	done
	[ -n "$left" ] || exit 0
	sleep 0.2
done
