# What changes beside what the steps name: links of units, times of folders, what packages write into; read by tx.

# --- links of units, and times of folders -----------------------------------------------------------------

# Folders whose links systemctl changes: which unit is started at boot. They are kept and put back by themselves.
wants='/etc/systemd/system /etc/systemd/user /etc/rc0.d /etc/rc1.d /etc/rc2.d /etc/rc3.d /etc/rc4.d /etc/rc5.d /etc/rc6.d /etc/rcS.d'

# links lists those links: path, a tab, target.
links() {
	# shellcheck disable=SC2086
	find $wants -name picket-back.service -o -type l -exec sh -c 'for l; do printf "%s\t%s\n" "$l" "$(readlink "$l")"; done' - {} + 2>/dev/null | sort
}

links_save() {
	[ ! -e old/links ] || return 0
	rm -rf old/links.d
	links >old/links.part
	cut -f 1 old/links.part >old/links.paths
	while read -r l; do
		mkdir -p "old/links.d${l%/*}" && copy "$l" "old/links.d$l" || return 1
	done <old/links.paths
	mv -f old/links.part old/links
}

# links_back undoes what was done to them between the first step and the last; what others did later stays.
links_back() {
	[ -e old/links ] || return 0
	[ -e old/links.after ] || { links >old/links.part && mv -f old/links.part old/links.after; }
	tab=$(printf '\t')
	without old/links.after old/links >old/links.came
	without old/links old/links.after >old/links.went
	while IFS=$tab read -r l to; do
		[ "$(readlink "$l")" != "$to" ] || rm -f "$l"
		grep -Fqx "${l%/*}" old/folders || rmdir "${l%/*}" 2>/dev/null # a folder that came with it
	done <old/links.came
	while IFS=$tab read -r l _; do
		[ -e "$l" ] || [ -L "$l" ] || { mkdir -p "${l%/*}" && copy "old/links.d$l" "$l"; }
	done <old/links.went
}

# times_save keeps the times of the folders in which something is changed.
times_save() {
	[ ! -e old/folders ] || return 0
	mkdir -p old/times
	# shellcheck disable=SC2086
	{ walk folder file link gone dir mode && find $wants -type d 2>/dev/null; } | sort -u >old/folders.part
	n=0
	while read -r d; do
		n=$((n + 1))
		touch -r "$d" "old/times/$n" || return 1
	done <old/folders.part
	mv -f old/folders.part old/folders && dates >old/times.before
}

dates() {
	while read -r d; do
		[ ! -d "$d" ] || stat -c '%n	%y' "$d"
	done <old/folders
}

# times_mark notes which folders nobody else has changed since: only these get their times back.
times_mark() {
	[ -e old/folders ] && [ ! -e old/times.back ] || return 0
	dates >old/times.now
	if [ -e old/times.after ]; then
		cat old/times.before old/times.after >old/times.known
		both old/times.now old/times.known >old/times.part && mv -f old/times.part old/times.now
	fi
	cut -f 1 old/times.now >old/times.part && mv -f old/times.part old/times.back
}

times_back() {
	[ -e old/times.back ] || return 0
	n=0
	while read -r d; do
		n=$((n + 1))
		! grep -Fqx "$d" old/times.back || [ ! -d "$d" ] || (into "$d" && touch -r "$here/old/times/$n" .)
	done <old/folders
}

# hold and release keep the time of a folder over what arming changes there.
hold() { [ -e "$box/$1.time" ] || [ ! -d "$2" ] || touch -r "$2" "$box/$1.time"; }
release() {
	[ ! -e "$box/$1.time" ] || [ ! -d "$2" ] || touch -r "$box/$1.time" "$2"
	rm -f "$box/$1.time"
}

# --- what is not theirs alone -----------------------------------------------------------------------------

# Where packages change what is not theirs alone.
roots='etc var/lib/apt/extended_states var/lib/dpkg/alternatives var/lib/dpkg/diversions var/lib/dpkg/statoverride var/lib/pam
	var/lib/systemd/deb-systemd-helper-enabled var/lib/systemd/deb-systemd-helper-masked
	var/lib/systemd/deb-systemd-user-helper-enabled var/lib/systemd/deb-systemd-user-helper-masked var/lib/ucf'

# tree FILE lists all that lies in these places, but for our own, two lines a path: what it is, and the sum of what it holds.
tree() {
	to=$1
	set --
	for r in $roots; do
		[ ! -e "/$r" ] || set -- "$@" "/$r"
	done
	find "$@" \( -name 'picket-back.service' -o -name '.picket-*' -o -name '*
*' \) -prune -o -exec stat -c '%n	S %f %u %g %y %N' {} + >"$to.part"
	find "$@" \( -name 'picket-back.service' -o -name '.picket-*' -o -name '*
*' \) -prune -o -type f -exec sha256sum {} + | sed 's/^\([0-9a-f]*\)  \(.*\)/\2	H \1/' >>"$to.part"
	sort "$to.part" >"$to.sorted" && rm "$to.part" && mv -f "$to.sorted" "$to"
}

# changed A B lists the paths of which two lists tell otherwise.
changed() { { without "$1" "$2" && without "$2" "$1"; } | cut -f 1 | sort -u; }

tree_save() {
	packaging && [ ! -e old/tree.before ] || return 0
	rm -rf old/tree
	for r in $roots; do
		[ -e "/$r" ] || continue
		mkdir -p "$(dirname "old/tree/$r")" && cp -a "/$r" "old/tree/$r" || return 1
		# cp of BusyBox cuts times to whole seconds.
		cp --version 2>/dev/null | grep -q GNU || find "/$r" -type l -exec sh -c 'rm "old/tree$1" && ln "$1" "old/tree$1"' - {} \; -o -exec touch -r {} old/tree{} \;
	done
	tree old/tree.before
}

# arrived notes what lies at the paths of the steps that follow once the packages are there.
arrived() {
	packaging || return 0
	walk came file link gone && : >old/arrived && settle old
}

# came N SUM reports whether that came with packages: then they take it along.
came() {
	[ -e old/tree.before ] || return 1
	[ -e old/arrived ] || return 0 # the step was never reached
	[ "$2" = "$(cat "old/$1.sum" 2>/dev/null)" ]
}

# tree_after notes how it is when all steps are taken, and what others must not change if this is to go back.
tree_after() {
	[ -e old/tree.before ] || return 0
	accounts && tree old/tree.after || return 1
	changed old/tree.before old/tree.after | while read -r p; do
		[ -d "old/tree$p" ] && [ -d "$p" ] || printf '%s\n' "$p"
	done >old/touched.part
	for f in old/*.after; do # the units of what came
		[ ! -e "${f%.after}.packages" ] || without "$f" "${f%.after}.packages" | sed 's/ .*//' | xargs dpkg-query -L 2>/dev/null | units
	done | sed 's/^/the unit /' >>old/touched.part
	mv -f old/touched.part old/touched
}

# accounts keeps the lists of accounts as they are when all steps are taken.
accounts() {
	mkdir -p old/accounts
	for f in passwd group shadow gshadow subuid subgid; do
		[ ! -e "/etc/$f" ] || cp "/etc/$f" "old/accounts/$f" || return 1
	done
}

# leave BEFORE AFTER NOW prints NOW without the lines that came between BEFORE and AFTER, and with those that went then.
leave() {
	awk -F: -v before="$1" -v after="$2" '
		BEGIN { while ((getline l <before) > 0) { was[l]; list[++n] = l }; while ((getline l <after) > 0) is[l] }
		$0 in is && !($0 in was) { next }
		{ print; there[$1] }
		END { for (i = 1; i <= n; i++) { split(list[i], f, ":"); if (!(list[i] in is) && !(f[1] in there)) print list[i] } }' "$3"
}

# tree_mark notes what others have changed since, before going back changes anything.
tree_mark() {
	[ -e old/tree.before ] && [ ! -e old/tree.theirs ] || return 0
	tree old/tree.is
	[ -e old/tree.after ] || { accounts && cp old/tree.is old/tree.part && mv -f old/tree.part old/tree.after; } # it did not come that far
	rm -rf old/theirs
	changed old/tree.after old/tree.is >old/tree.part
	while read -r p; do
		if [ -L "$p" ] || [ -f "$p" ]; then
			mkdir -p "old/theirs${p%/*}" && copy "$p" "old/theirs$p" || return 1
		fi
	done <old/tree.part
	mv -f old/tree.part old/tree.theirs
}

# tree_back puts back what packages have changed, coming and going.
tree_back() {
	bad=0
	tree old/tree.is
	cut -f 1 old/tree.before | sort -u >old/tree.paths
	{ changed old/tree.before old/tree.after && changed old/tree.pre old/tree.is; } | sort -u >old/tree.ours
	changed old/tree.before old/tree.is >old/tree.part
	both old/tree.part old/tree.ours >old/tree.mine
	without old/tree.mine old/tree.theirs >old/tree.todo
	tree_put
	tree_leave
	tree_times
	return "$bad"
}

# tree_put has the paths to do as they were.
tree_put() {
	sort -r old/tree.todo >old/tree.deep
	while read -r p; do # what came goes
		if [ -e "old/tree$p" ] || [ -L "old/tree$p" ]; then continue; fi
		if [ -d "$p" ] && [ ! -L "$p" ]; then
			rmdir "$p" 2>/dev/null || { [ ! -d "$p" ] || say "$p is not empty and stays"; }
		else
			away "$p" || bad=1
		fi
	done <old/tree.deep
	while read -r p; do # what was comes back
		if [ -d "old/tree$p" ] && [ ! -L "old/tree$p" ]; then
			if [ ! -d "$p" ] || [ -L "$p" ]; then away "$p" && mkdir "$p" || bad=1; fi
			# shellcheck disable=SC2046
			held "$p" own $(meta "old/tree$p") || bad=1
		elif [ -e "old/tree$p" ] || [ -L "old/tree$p" ]; then
			sweep "$p"
			lay "$p" copy "$here/old/tree$p" it || bad=1
		fi
	done <old/tree.todo
}

# tree_leave has what others have written stay, and tells it.
tree_leave() {
	while read -r p; do # it went with its package
		if [ ! -e "$p" ] && [ ! -L "$p" ] && { [ -e "old/theirs$p" ] || [ -L "old/theirs$p" ]; }; then
			mkdir -p "${p%/*}" && lay "$p" copy "$here/old/theirs$p" it
			say "$p was changed by somebody since: it stays, and the package that it came with is gone"
		fi
	done <old/tree.theirs
	walk touch file link gone dir mode >old/tree.part # these have told it already
	changed old/tree.before old/tree.after >old/tree.deep
	without old/tree.deep old/tree.part >old/tree.mine
	both old/tree.mine old/tree.theirs >old/tree.told
	while read -r p; do
		if [ ! -e "old/tree$p" ] || [ -d "$p" ] || [ "$(sum "$p")" = "$(sum "old/tree$p")" ]; then continue; fi # written anew as it was
		case $p in
		/etc/passwd | /etc/group | /etc/shadow | /etc/gshadow | /etc/subuid | /etc/subgid)
			say "$p was changed by somebody since: only what came with the packages is taken out of it"
			sweep "$p"
			lay "$p" left "$p" || bad=1
			;;
		# What programs make of what is installed is right now.
		/etc/*- | /etc/ld.so.cache | /etc/mailcap | /var/*) ;;
		*)
			say "$p was changed by somebody since: it stays as it is; what was there before is $here/old/tree$p"
			bad=1
			;;
		esac
	done <old/tree.told
}

# left makes what others have written into a list of accounts, without what came with packages.
left() { cp -a "$1" it && leave "$here/old/tree$1" "$here/old/accounts/${1##*/}" "$1" >it; }

# tree_times gives the folders of what was put back the times that they had.
tree_times() {
	while read -r p; do
		printf '%s\n' "$p" "${p%/*}"
	done <old/tree.todo | sort -ru >old/tree.deep
	both old/tree.deep old/tree.paths >old/tree.mine
	without old/tree.mine old/tree.theirs >old/tree.part
	while read -r p; do
		[ ! -d "old/tree$p" ] || [ -L "old/tree$p" ] || (into "$p" && touch -r "$here/old/tree$p" .) || bad=1
	done <old/tree.part
}
