# The steps of a plan; read by tx.
#
# Each verb has up to four sides: _look refuses what cannot go well, before anything is changed; _save keeps what is
# there; _take takes the step and _back goes back. All may be repeated.

# --- the disk ---------------------------------------------------------------------------------------------

# settle brings a file or folder to the disk. A sync that takes no names syncs all, and cannot fail.
settle() { sync -- "$@" 2>/dev/null || { ! sync -- / 2>/dev/null && sync; }; }

# put writes a small file whole.
put() {
	printf '%s\n' "$2" >"$1.part" && settle "$1.part" && mv -f "$1.part" "$1" && settle .
}

# copy is cp -a; that of BusyBox cuts times to whole seconds, and a link's time it only has from another name of it.
copy() {
	[ ! -L "$1" ] || ! ln "$1" "$2" 2>/dev/null || return 0
	cp -a "$1" "$2" && touch -h -r "$1" "$2"
}

# move gives a path the file of another, in one act; but BusyBox does not over a link to a folder.
move() {
	mv -fT "$1" "$2" 2>/dev/null && return 0
	[ ! -L "$2" ] || rm "$2" || return 1
	mv -fT "$1" "$2"
}

# without A B prints the lines of A that B does not have.
without() { awk -v no="$2" 'BEGIN { while ((getline l <no) > 0) s[l] } !($0 in s)' "$1"; }

# both A B prints the lines of A that B has as well.
both() { awk -v of="$2" 'BEGIN { while ((getline l <of) > 0) s[l] } $0 in s' "$1"; }

# same WANTED IS compares two sums; "file" is any file.
same() {
	case $1 in
	file) case $2 in - | dir | other | link:*) return 1 ;; esac ;;
	*) [ "$1" = "$2" ] ;;
	esac
}

sum() { # of a file's content; "link:TARGET", "dir", "other" or "-" for what is none
	if [ -L "$1" ]; then
		printf 'link:%s\n' "$(readlink "$1")"
	elif [ -d "$1" ]; then
		echo dir
	elif [ -f "$1" ]; then
		sha256sum <"$1" | cut -d ' ' -f 1
	elif [ -e "$1" ]; then
		echo other # a pipe would never end
	else
		echo -
	fi
}

meta() { stat -c '%04a %u %g' "$1"; } # mode as 0644, owner, group

# above is the folder of a path, or the nearest one over it that is there.
above() {
	at=${1%/*}
	while [ ! -e "${at:=/}" ]; do at=${at%/*}; done
	printf '%s\n' "$at"
}

# writable refuses a place where nothing can be changed.
writable() {
	at=$(above "$1")
	if command -v lsattr >/dev/null 2>&1; then
		for p in "$1" "$at"; do
			{ [ -e "$p" ] && [ ! -L "$p" ]; } || continue
			case $(lsattr -d "$p" 2>/dev/null | cut -d ' ' -f 1) in
			*[ia]*) say "$p is immutable: chattr -i -a $p first"; return 1 ;;
			esac
		done
	fi
	(into "$at") || return 1
	[ -w "$at" ] || { say "$at cannot be written to (is its file system read-only?)"; return 1; }
	[ ! -e "$1" ] || [ -L "$1" ] || [ -w "$1" ] || { say "$1 cannot be written to"; return 1; }
}

# keep N PATH saves a path as it is: as another name of the same file where that can be, so that going back needs no room.
keep() {
	[ ! -e "old/$1.is" ] || return 0
	rm -rf "old/$1"
	kept=$2
	if [ -L "$2" ] || { [ -e "$2" ] && [ ! -d "$2" ]; }; then
		kept=old/$1 # its sum is that of what was kept, whatever happens to the path
		(into "${2%/*}" && { ln "./${2##*/}" "$here/$kept" 2>/dev/null || copy "./${2##*/}" "$here/$kept"; }) || return 1
	fi
	sum "$kept" >"old/$1.is.part" && mv -f "old/$1.is.part" "old/$1.is"
}

# restore N PATH AFTER: what keep saved is there again. What somebody has changed since then stays, and is told.
restore() {
	was=$(cat "old/$1.is") is=$(sum "$2")
	sweep "$2"
	if [ "$is" != "$was" ] && [ "$is" != "$3" ]; then
		came "$1" "$is" && return 0
		say "$2 was changed by somebody since: it stays as it is; what was there before is $here/old/$1"
		return 1
	fi
	case $was in
	-) [ "$is" = - ] || away "$2" ;;
	dir) ;;
	link:*) [ "$is" = "$was" ] || bring "old/$1" "$2" ;;
	*) [ "$2" -ef "old/$1" ] || bring "old/$1" "$2" ;;
	esac
}

# alone ends that a file that is in use has another name here: cron, for one, does not read a file that has two.
alone() {
	if [ "$2" -ef "old/$1" ] && [ ! -L "$2" ]; then
		copy "old/$1" "old/$1.part" && mv -f "old/$1.part" "old/$1"
	fi
}

# --- folders of others ------------------------------------------------------------------------------------
#
# Some folders are an ordinary user's, who may lay a link where a file or a folder was between any two commands of ours. So
#
#   * into goes to a folder and has the kernel say which that is: then it is ".", which nobody can exchange;
#   * what is there gets other rights while it is held open, and never by its name;
#   * what is new is made in a nook, where nobody else can change anything, and moved to its name, which follows no link.
#
# What is left to such a user: between the plan and its look, to put another file of the same owner and kind, that he can
# move, in the place of the one that was meant; and to make us wait for a pipe that he puts there right after we saw a file:
# when the time of the change is over, that is ended.

# rooted FOLDER reports whether only root can change what lies in a folder, and what leads there. It has no link in it.
rooted() {
	p=${1%/}
	set -- /
	while [ -n "$p" ]; do
		set -- "$@" "$p"
		p=${p%/*}
	done
	all=$(stat -c '%u %a' "$@") && ! printf '%s\n' "$all" | grep -qvx '0 [0-7]*[0145][0145]'
}

# way FOLDER prints where that is without links. Only root may have been able to lay those.
way() {
	rest=$1/ at='' hops=0
	while [ -n "$rest" ]; do
		c=${rest%%/*} rest=${rest#*/}
		case $c in
		'' | .) ;;
		..) at=${at%/*} ;;
		*)
			if [ -L "$at/$c" ]; then
				hops=$((hops + 1))
				{ rooted "$at" && [ "$hops" -le 40 ]; } || { say "$at/$c is a link that others than root can lay"; return 1; }
				to=$(readlink "$at/$c")
				case $to in /*) at='' ;; esac
				rest=$to/$rest
			else
				at=$at/$c
			fi
			;;
		esac
	done
	printf '%s\n' "${at:-/}"
}

# into FOLDER goes there, and sets which place that is.
into() {
	place=${1:-/}
	! cd -P "$place" 2>/dev/null || ! entered || return 0
	place=$(way "$place") || return 1
	cd -P "$place" || return 1
	entered || { say "$1 is another folder all of a sudden"; return 1; }
}

entered() { [ "$(readlink /proc/self/cwd)" = "$place" ]; }

# held PATH DO ARGUMENT... does something to the very file or folder of that name, whatever takes the name meanwhile: DO gets
# a path by which only this one is reached.
held() { (hold_it "$@"); }
hold_it() {
	path=$1 name=${1##*/} do=$2
	shift 2
	into "${path%/*}" || return 1
	if [ -L "./$name" ]; then
		say "$path is a link"
		return 1
	elif [ ! -e "./$name" ]; then
		say "$path is not there any more"
		return 1
	elif [ ! -f "./$name" ] && [ ! -d "./$name" ]; then # such as a socket, which cannot be opened
		rooted "$place" || { say "$path is no file and no folder"; return 1; }
		"$do" "./$name" "$@"
		return
	fi
	{
		[ "$(readlink "$open")" = "${place%/}/$name" ] || { say "$path is another file all of a sudden"; return 1; }
		[ -d "$open" ] || [ "$(stat -L -c %h "$open")" = 1 ] || rooted "$place" || { say "$path has other names as well"; return 1; }
		"$do" "$open" "$@"
	} 3<"./$name"
}
open=/proc/self/fd/3 # leads to what is open, not to a name

# meant FILE KIND OWNER... reports whether it is of that kind, and of one of these owners.
meant() {
	case $2 in
	file) [ -f "$1" ] ;;
	dir) [ -d "$1" ] ;;
	*) [ ! -f "$1" ] && [ ! -d "$1" ] ;;
	esac || return 1
	is=$(stat -L -c %u "$1")
	shift 2
	for u; do
		[ "$u" != "$is" ] || return 0
	done
	return 1
}

# own FILE MODE UID GID gives it an owner and a mode: first what takes rights away, so that nobody has more than both between
# them.
own() {
	is=$(stat -L -c '%04a %u %g' "$1")
	[ "$is" != "$2 $3 $4" ] || return 0
	[ "${is#* }" = "$3 $4" ] || chown "$3:$4" "$1" || return 1 # takes set-id bits away
	chmod "$2" "$1"
}

# nook makes a folder in this one in which nobody else can change anything, and goes there.
nook() {
	nook=$(mktemp -d "./.picket-$id.XXXXXX") || return 1 # a name that no program takes for one of its files
	if ! cd -P "$nook" || ! nooked "${nook#./}" || [ -n "$(ls -A)" ]; then
		say "$place is changed by somebody right now"
		return 1
	fi
}

nooked() {
	[ "$(readlink /proc/self/cwd)" = "${place%/}/$1" ] || return 1
	case $(stat -c '%u %a' .) in
	'0 700' | '0 2700') ;;
	*) rooted "$place/$1" ;; # such as where a Raspberry Pi starts from: VFAT has no rights but those of all
	esac
}

# lay PATH MAKE... has a path become what MAKE makes as "it" in this folder, in one act.
lay() (
	name=${1##*/}
	into "${1%/*}" && nook || exit 1
	shift
	if "$@" && { [ -L it ] || settle it; } && move it "../$name"; then code=0; else code=1; fi
	rm -rf it
	cd -P .. && rmdir "$nook"
	exit "$code"
)

# bring FROM PATH has a path become what was kept, as another name of that where that can be: then it needs no room.
bring() (
	into "${2%/*}" || exit 1
	if ln -T "$here/$1" "./.picket-$id" 2>/dev/null; then # follows no link, and is never over something
		{ [ -L "$here/$1" ] || settle "$here/$1"; } && move "./.picket-$id" "./${2##*/}"
	else
		lay "$2" copy "$here/$1" it
	fi
)

# away PATH takes a file or link away.
away() (
	[ -d "${1%/*}/" ] || exit 0
	into "${1%/*}" && rm -f "./${1##*/}"
)

# sweep PATH clears away what was left beside it when something of the above was ended half way.
sweep() (
	into "${1%/*}" 2>/dev/null || exit 0
	rm -f "./.picket-$id" 2>/dev/null
	for d in ".picket-$id".??????; do
		[ ! -d "$d" ] || (cd -P "./$d" && nooked "$d" && rm -rf it)
		rmdir "./$d" 2>/dev/null
	done
)

# --- files ------------------------------------------------------------------------------------------------

# file N PATH MODE UID GID BEFORE AFTER: PATH gets the content new/N. BEFORE and AFTER are sums.
file_look() {
	is=$(sum "$2")
	same "$6" "$is" || [ "$is" = "$7" ] || { say "$2 was changed after the plan was made"; return 1; }
	[ "$(sum "new/$1")" = "$7" ] || { say "new/$1 is not what was planned"; return 1; }
	writable "$2"
}
file_save() { keep "$1" "$2"; }
file_take() {
	is=$(sum "$2")
	[ "$is" != "$7" ] || [ "$(meta "$2")" != "$3 $4 $5" ] || return 0
	was=$(cat "old/$1.is") # where there was nothing, a package of this plan may have brought its own
	[ "$is" = "$7" ] || [ "$is" = "$was" ] || [ "$was" = - ] || { say "$2 was changed while the steps before were taken"; return 1; }
	lay "$2" write "$1" "${2##*/}" "$3" "$4" "$5"
}
write() { # N NAME MODE UID GID
	[ ! -f "../$2" ] || [ -L "../$2" ] || cp -a "../$2" it || return 1 # its extended attributes stay
	if [ -L it ] || [ ! -f it ]; then rm -rf it; fi
	cat "$here/new/$1" >it && own it "$3" "$4" "$5"
}
file_back() { restore "$1" "$2" "$7"; }

# link N PATH TARGET BEFORE: PATH becomes a symbolic link.
link_look() {
	is=$(sum "$2")
	same "$4" "$is" || [ "$is" = "link:$3" ] || { say "$2 was changed after the plan was made"; return 1; }
	writable "$2"
}
link_save() { keep "$1" "$2"; }
link_take() {
	[ "$(sum "$2")" != "link:$3" ] || return 0
	lay "$2" ln -s "$3" it
}
link_back() { restore "$1" "$2" "link:$3"; }

# gone N PATH BEFORE: PATH is taken away.
gone_look() {
	is=$(sum "$2")
	same "$3" "$is" || [ "$is" = - ] || { say "$2 was changed after the plan was made"; return 1; }
	writable "$2"
}
gone_save() { keep "$1" "$2"; }
gone_take() { away "$2"; }
gone_back() { restore "$1" "$2" -; }

# dir N PATH MODE UID GID: PATH becomes a folder.
dir_look() {
	[ -d "$2" ] || { [ ! -e "$2" ] && [ ! -L "$2" ]; } || { say "$2 is no folder"; return 1; }
	[ -e "$2" ] || writable "$2"
}
dir_save() { keep "$1" "$2"; }
dir_take() {
	[ "$(cat "old/$1.is")" = - ] || return 0
	if [ -d "$2" ]; then # a package of this plan has brought it
		(into "${2%/*}" && rooted "$place") || { say "$2 was made while the steps before were taken"; return 1; }
		held "$2" own "$3" "$4" "$5"
	else
		lay "$2" folder "$3" "$4" "$5"
	fi
}
folder() { mkdir it && own it "$@"; }
dir_back() {
	[ "$(cat "old/$1.is")" = - ] || return 0
	[ ! -d "$2" ] || (into "${2%/*}" && rmdir "./${2##*/}" 2>/dev/null) || say "$2 is not empty and stays"
	return 0
}

# mode N PATH MODE UID GID KIND OWNER: permissions and owner of something that is there: a file, dir or other of that owner.
mode_look() {
	held "$2" meant "$6" "$7" "$4" || { say "$2 is not what it was when the plan was made"; return 1; }
	writable "$2"
}
mode_save() {
	[ -e "old/$1.meta" ] || { held "$2" known "$6" "$7" "$4" "$1" >"old/$1.meta.part" && mv -f "old/$1.meta.part" "old/$1.meta"; }
}
known() { # FILE KIND OWNER UID N
	meant "$1" "$2" "$3" "$4" || return 1
	is=$(stat -L -c '%04a %u %g %i' "$1")
	case $(stat -L -c %u "$1"):$is in
	"$4":* | *:[01]???' '*) ;;
	*) [ -d "$1" ] || rooted "$place" || cp -a "./${path##*/}" "$here/old/$5" || return 1 ;; # see rights
	esac
	printf '%s\n' "$is"
}
mode_take() { held "$2" rights "$1" "$7" "$3" "$4" "$5"; }
mode_back() {
	read -r m u g _ <"old/$1.meta"
	held "$2" rights "$1" "$4" "$m" "$u" "$g"
}

# rights FILE N OTHER MODE UID GID gives them to it. Where others than root work, it has to be what they were kept of, and
# nobody else's. What somebody else had meanwhile may be open for writing: so a file that runs as its owner comes back as
# the copy that was kept of it, as long as it is the same.
rights() {
	[ "$(stat -L -c '%04a %u %g' "$1")" != "$4 $5 $6" ] || return 0 # such as when going back was cut off
	if ! rooted "$place"; then
		read -r _ _ _ inode <"$here/old/$2.meta"
		is=$(stat -L -c '%i %u' "$1") owner=${is#* }
		if [ "${inode:-${is% *}}" != "${is% *}" ] || { [ "$owner" != "$3" ] && [ "$owner" != "$5" ]; }; then
			say "$path was replaced by somebody since: it stays as it is"
			return 1
		fi
		case $owner:$4 in
		"$5":* | *:[01]???) ;;
		*)
			if [ ! -d "$1" ] && cmp -s "$1" "$here/old/$2" && [ "$(stat -c '%04a %u %g' "$here/old/$2")" = "$4 $5 $6" ]; then
				lay "$path" copy "$here/old/$2" it
				return
			elif [ ! -d "$1" ]; then
				own "$1" "0${4#?}" "$5" "$6"
				say "$path does not run as its owner any more: whoever had it meanwhile has changed it"
				return 1
			fi
			;;
		esac
	fi
	own "$1" "$4" "$5" "$6"
}

# owner N PATH FROM GROUP UID GID UNIT: what is FROM's at and below PATH becomes UID's, its group likewise, while UNIT stands
# still. Set-id files, and those that have another name somewhere, stay.
owner_look() {
	if [ ! -e "$2" ] || [ -L "$2" ]; then say "$2 is not there, or is a link" && return 1; fi
	bad=$(find "$2" -xdev -type d \( ! -user 0 ! -user "$3" ! -user "$5" -o -perm -2 ! -perm -1000 -o -perm -20 ! -perm -1000 ! -group 0 ! -group "$4" ! -group "$6" \) | head -n 1)
	# Who can move things there could have us give away what lies elsewhere.
	[ -z "$bad" ] || { say "others can write to $bad: its files are not given away"; return 1; }
	if command -v getcap >/dev/null 2>&1; then
		bad=$(getcap -r "$2" 2>/dev/null | head -n 1)
		[ -z "$bad" ] || { say "a new owner would take its capabilities from ${bad% *}"; return 1; }
	fi
	writable "$2"
}
owner_save() { # what is the new one's already: that is not to go back
	[ ! -e "old/$1.theirs" ] || return 0
	listed "$2" -user "$5" >"old/$1.user" && listed "$2" -group "$6" >"old/$1.group" && : >"old/$1.theirs"
}
owner_take() {
	still "$7" || return 1
	at=$2 from=$3 group=$4
	set -- "$5" "$6" ! '(' -type f '(' -links +1 -o -perm -4000 -o -perm -2000 ')' ')'
	to=$1 both=$1:$2
	shift 2
	listed "$at" -user "$from" -group "$group" "$@" | give "$both" && listed "$at" -user "$from" "$@" | give "$to"
}
owner_early() { [ -n "$booting$up" ] || still "$7"; }
owner_back() { # what came since goes back as well: the account may be gone after this
	[ -e "$2" ] || return 0
	listed "$2" -user "$5" -group "$6" | without - "old/$1.user" | without - "old/$1.group" | give "$3:$4" &&
		listed "$2" -user "$5" | without - "old/$1.user" | give "$3" && listed "$2" -group "$6" | without - "old/$1.group" | give ":$4"
}

# listed PATH CONDITION... lists what meets it at and below a path: a line each, with \001 for a line break in a name, and those
# of a folder together.
listed() {
	at=$1
	shift
	find "$at" -xdev "$@" -print0 | tr '\n\000' '\001\n' |
		awk '{ d = $0; sub("/[^/]*$", "", d); in_it[d] = in_it[d] $0 "\n" } END { for (d in in_it) printf "%s", in_it[d] }'
}
broken=$(printf '\001')

# give OWNER gives what such a list names to another, from within its folder: whoever exchanges one for a link gains nothing. It
# goes there, so it is for the end of a pipe.
give() {
	owner=$1 dir='' code=0
	set --
	while IFS= read -r p; do
		case $p in *"$broken"*) p=$(printf '%s/' "$p" | tr '\001' '\n') p=${p%/} ;; esac
		if [ "$dir" != "${p%/*}" ] || [ $# -ge 100 ]; then
			give_in "$dir" "$@" || code=1
			dir=${p%/*}
			set --
		fi
		set -- "$@" "./${p##*/}"
	done
	give_in "$dir" "$@" && return "$code"
}
give_in() { # FOLDER NAME...
	[ $# -gt 1 ] && [ -d "$1/" ] || return 0
	into "$1" || return 1
	shift
	for f; do
		shift
		if [ -e "$f" ] || [ -L "$f" ]; then set -- "$@" "$f"; fi
	done
	[ $# = 0 ] || chown -h "$owner" "$@"
}

# still stops a unit.
still() { [ -z "$1" ] || [ ! -d /run/systemd/system ] || systemctl --quiet stop "$1"; }

# --- what runs --------------------------------------------------------------------------------------------

# sysctl N KEY VALUE: a setting of the running kernel; KEY has slashes.
sysctl_look() { [ -w "/proc/sys/$2" ] || { say "the kernel's $2 cannot be set here"; return 1; }; }
sysctl_save() {
	[ -e "old/$1.value" ] || { cat "/proc/sys/$2" >"old/$1.value.part" && mv -f "old/$1.value.part" "old/$1.value"; }
}
sysctl_take() { printf '%s\n' "$3" >"/proc/sys/$2"; }
sysctl_back() { [ -n "$booting$up" ] || cat "old/$1.value" >"/proc/sys/$2"; } # a start has set it anew

# mount N POINT OPTIONS: options more of what is mounted now.
mount_look() { [ -n "$(mounted "$2")" ] || { say "nothing is mounted at $2"; return 1; }; }
mount_save() {
	[ -e "old/$1.options" ] || { mounted "$2" >"old/$1.options.part" && mv -f "old/$1.options.part" "old/$1.options"; }
}
mount_take() { mount -o "remount,$3" "$2"; }
mount_back() {
	[ -z "$booting$up" ] || return 0 # a start has mounted it anew
	was=$(cat "old/$1.options")
	for o in exec suid dev; do # what is not said stays as it is
		case ",$was," in
		*",no$o,"*) ;;
		*) was="$was,$o" ;;
		esac
	done
	mount -o "remount,$was" "$2"
}

# mounted gives the options of what is mounted at a path, without those of its file system.
mounted() { awk -v at="$1" '$5 == at { o = $6 } END { if (o != "") print o }' /proc/self/mountinfo; }

# units_anew has systemd read its files anew, fstab's mounts among them.
units_anew() { [ ! -d /run/systemd/system ] || systemctl daemon-reload; }

# unit N NAME ACT...: enable, disable, mask, unmask, start, stop, restart, reload.
unit_look() { :; }
unit_save() {
	[ ! -e "old/$1.active" ] || return 0
	systemctl is-active "$2" >"old/$1.active.part" 2>/dev/null
	mv -f "old/$1.active.part" "old/$1.active"
}
unit_take() {
	name=$2
	shift 2
	for act; do
		systemctl --quiet "$act" "$name" || return 1
	done
}
# unit_early stops what did not run before, as long as its file is there: afterwards systemd does not know how.
unit_early() {
	[ -z "$booting$up" ] || return 0
	case $(cat "old/$1.active") in
	active | activating | reloading) return 0 ;;
	esac
	case $(systemctl is-active "$2" 2>/dev/null) in active | activating) systemctl --quiet stop "$2" ;; esac
}
unit_back() { # its links went back before
	[ -z "$booting" ] || return 0
	was=$(cat "old/$1.active") acts=" $* "
	[ -z "$up" ] || acts='' # it was started after the files went back
	runs "$2" "$was" "$acts"
}

# runs UNIT WAS ACTS: the unit runs if it did; what it was told to read anew it reads anew.
runs() {
	is=$(systemctl is-active "$1" 2>/dev/null)
	case $2 in
	active | activating | reloading)
		case $3 in
		*' reload '*) systemctl --quiet reload-or-restart "$1" ;;
		*' restart '*) systemctl --quiet restart "$1" ;;
		*) [ "$is" = active ] || systemctl --quiet start "$1" ;;
		esac
		;;
	*) case $is in active | activating) systemctl --quiet stop "$1" ;; esac ;;
	esac
}

# check N COMMAND [WORDS]: has to succeed, or everything goes back.
check_take() { sh -c "$2" >&2; }

# act N COMMAND [WORDS]: brings what was changed into force, in both directions. Some write files of their own, which a start does
# not put back, such as those of the boot loader: so it is done after a start as well, when the host is up.
act_take() { sh -c "$2" >&2; }
act_back() { [ -n "$booting" ] || sh -c "$2" >&2; }

# --- what a step touches ----------------------------------------------------------------------------------

# touches VERB N ARGUMENT... lists what a step changes, as another transaction may name it as well. What is only loaded
# anew, or looked at, is not changed.
touches() {
	verb=$1
	shift 2
	case $verb in
	file | link | gone | dir | mode | owner)
		printf '%s\n' "$1"
		case $1 in /etc/systemd/system/*/*) ;; /etc/systemd/system/*) printf 'the unit %s\n' "${1##*/}" ;; esac
		;;
	sysctl) printf 'the kernel setting %s\n' "$1" ;;
	mount) printf 'the mount %s\n' "$1" ;;
	install | remove) for p; do printf 'the package %s\n' "${p%%:*}"; done ;;
	unit)
		name=$1
		shift
		for act; do
			case $act in reload | restart) ;; *) printf 'the unit %s\n' "$name" && break ;; esac
		done
		;;
	esac
}
