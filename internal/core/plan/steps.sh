# The steps of a plan; read by tx.
#
# Each verb has up to four sides: _look refuses what cannot go well, before anything is changed; _save keeps what is
# there; _take takes the step and _back goes back. All may be repeated.

# --- the disk ---------------------------------------------------------------------------------------------

# settle brings a file or folder to the disk.
settle() { sync -- "$@" 2>/dev/null || sync; }

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
	file) case $2 in - | dir | link:*) return 1 ;; esac ;;
	*) [ "$1" = "$2" ] ;;
	esac
}

sum() { # of a file's content; "link:TARGET", "dir" or "-" for what is none
	if [ -L "$1" ]; then
		printf 'link:%s\n' "$(readlink "$1")"
	elif [ -d "$1" ]; then
		echo dir
	elif [ -e "$1" ]; then
		sha256sum <"$1" | cut -d ' ' -f 1
	else
		echo -
	fi
}

meta() { stat -c '%04a %u %g' "$1"; } # mode as 0644, owner, group

# beside is a name in the same folder that no program takes for one of its files.
beside() { printf '%s/.picket-%s\n' "${1%/*}" "$id"; }

# above is the folder of a path, or the nearest one over it that is there.
above() {
	at=${1%/*}
	while [ ! -e "${at:=/}" ]; do at=${at%/*}; done
	printf '%s\n' "$at"
}

# own gives a path an owner and a mode: first what takes rights away, so that nobody has more than both between them.
own() {
	[ "$(meta "$1")" != "$2 $3 $4" ] || return 0
	if [ "$(stat -c '%u %g' "$1")" != "$3 $4" ]; then
		chown "$3:$4" "$1" || return 1 # takes set-id bits away
	fi
	chmod "$2" "$1"
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
	[ -w "$at" ] || { say "$at cannot be written to (is its file system read-only?)"; return 1; }
	[ ! -e "$1" ] || [ -L "$1" ] || [ -w "$1" ] || { say "$1 cannot be written to"; return 1; }
}

# keep N PATH saves a path as it is: as another name of the same file where that can be, so that going back needs no room.
keep() {
	[ ! -e "old/$1.is" ] || return 0
	rm -rf "old/$1"
	if [ -L "$2" ]; then
		copy "$2" "old/$1" || return 1
	elif [ -e "$2" ] && [ ! -d "$2" ]; then
		ln "$2" "old/$1" 2>/dev/null || copy "$2" "old/$1" || return 1
	fi
	sum "$2" >"old/$1.is.part" && mv -f "old/$1.is.part" "old/$1.is"
}

# restore N PATH AFTER: what keep saved is there again. What somebody has changed since then stays, and is told.
restore() {
	was=$(cat "old/$1.is") is=$(sum "$2")
	rm -f "$(beside "$2")"
	if [ "$is" != "$was" ] && [ "$is" != "$3" ]; then
		came "$1" "$is" && return 0
		say "$2 was changed by somebody since: it stays as it is; what was there before is $here/old/$1"
		return 1
	fi
	part=$(beside "$2")
	case $was in
	-) rm -f "$2" || return 1 ;;
	dir) ;;
	link:*) [ "$is" = "$was" ] || { copy "old/$1" "$part" && move "$part" "$2"; } || return 1 ;;
	*)
		if ! [ "$2" -ef "old/$1" ]; then
			{ ln "old/$1" "$part" 2>/dev/null || copy "old/$1" "$part"; } && settle "$part" && move "$part" "$2" || return 1
		fi
		;;
	esac
}

# alone ends that a file that is in use has another name here: cron, for one, does not read a file that has two.
alone() {
	if [ "$2" -ef "old/$1" ] && [ ! -L "$2" ]; then
		copy "old/$1" "old/$1.part" && mv -f "old/$1.part" "old/$1"
	fi
}

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
	part=$(beside "$2")
	rm -f "$part"
	if [ -f "$2" ] && [ ! -L "$2" ]; then
		cp -a "$2" "$part" && cat "new/$1" >"$part" || return 1 # its extended attributes stay
	else
		cp "new/$1" "$part" || return 1
	fi
	chown "$4:$5" "$part" && chmod "$3" "$part" && settle "$part" && move "$part" "$2"
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
	part=$(beside "$2")
	rm -f "$part"
	ln -s "$3" "$part" && move "$part" "$2"
}
link_back() { restore "$1" "$2" "link:$3"; }

# gone N PATH BEFORE: PATH is taken away.
gone_look() {
	is=$(sum "$2")
	same "$3" "$is" || [ "$is" = - ] || { say "$2 was changed after the plan was made"; return 1; }
	writable "$2"
}
gone_save() { keep "$1" "$2"; }
gone_take() { rm -f "$2"; }
gone_back() { restore "$1" "$2" -; }

# dir N PATH MODE UID GID: PATH becomes a folder.
dir_look() {
	[ ! -e "$2" ] || [ -d "$2" ] || { say "$2 is no folder"; return 1; }
	[ -e "$2" ] || writable "$2"
}
dir_save() { keep "$1" "$2"; }
dir_take() {
	[ -d "$2" ] || mkdir "$2" || return 1
	[ "$(cat "old/$1.is")" != dir ] || return 0
	chown "$4:$5" "$2" && chmod "$3" "$2"
}
dir_back() {
	[ "$(cat "old/$1.is")" = - ] || return 0
	[ ! -d "$2" ] || rmdir "$2" 2>/dev/null || say "$2 is not empty and stays"
	return 0
}

# mode N PATH MODE UID GID: permissions and owner of something that is there.
mode_look() {
	[ -e "$2" ] || { say "$2 is not there any more"; return 1; }
	writable "$2"
}
mode_save() {
	[ -e "old/$1.meta" ] || { meta "$2" >"old/$1.meta.part" && mv -f "old/$1.meta.part" "old/$1.meta"; }
}
mode_take() { own "$2" "$3" "$4" "$5"; }
mode_back() {
	[ -e "$2" ] || { say "$2 is not there any more"; return 1; }
	read -r m u g <"old/$1.meta"
	own "$2" "$m" "$u" "$g"
}

# owner N PATH FROM GROUP UID GID UNIT: what is FROM's at and below PATH becomes UID's, its group likewise, while UNIT stands
# still. Set-id files, and those that have another name somewhere, stay.
owner_look() {
	[ -e "$2" ] && [ ! -L "$2" ] || { say "$2 is not there, or is a link"; return 1; }
	bad=$(find "$2" -xdev -type d \( ! -user 0 ! -user "$3" ! -user "$5" -o -perm -2 ! -perm -1000 \) | head -n 1)
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
	find "$2" -xdev -user "$5" -print0 >"old/$1.user" && find "$2" -xdev -group "$6" -print0 >"old/$1.group" && : >"old/$1.theirs"
}
owner_take() {
	still "$7" || return 1
	hands "$2" "$3" "$4" "$5" "$6" ! '(' -type f '(' -links +1 -o -perm -4000 -o -perm -2000 ')' ')'
}
owner_early() { [ -n "$booting$up" ] || still "$7"; }
owner_back() { # what came since goes back as well: the account may be gone after this
	[ -e "$2" ] || return 0
	hands "$2" "$5" "$6" "$3" "$4" || return 1
	find "$2" -xdev -group "$6" -exec chgrp -h "$4" {} + || return 1
	there <"old/$1.user" | xargs -0 -r chown -h "$5" && there <"old/$1.group" | xargs -0 -r chgrp -h "$6"
}

# hands PATH FROM GROUP UID GID [CONDITION...] gives files to another.
hands() {
	at=$1 from=$2 group=$3 uid=$4 gid=$5
	shift 5
	find "$at" -xdev -user "$from" -group "$group" "$@" -exec chown -h "$uid:$gid" {} + && find "$at" -xdev -user "$from" "$@" -exec chown -h "$uid" {} +
}

# there keeps those of some paths, each ended by a NUL, that still are.
there() { xargs -0 -r sh -c 'for p; do if [ -e "$p" ] || [ -L "$p" ]; then printf "%s\0" "$p"; fi; done' -; }

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

# check N COMMAND: has to succeed, or everything goes back.
check_take() { sh -c "$2" >&2; }

# act N COMMAND: brings what was changed into force, in both directions.
act_take() { sh -c "$2" >&2; }
act_back() { [ -n "$booting$up" ] || sh -c "$2" >&2; }

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
