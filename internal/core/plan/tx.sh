#!/bin/sh
# A change of this host by Picket, and the way back. Everything that it needs lies in this folder:
#
#   plan     the steps, in order, a line each
#   new/     the files that it puts there
#   old/     what was there before, from the moment on at which the first step is taken
#   state    prepared, applying, applied, confirmed, undoing, undone or stuck
#   journal  what was done when
#
# ./tx apply     save what is there, arm the way back, take the steps
# ./tx undo      go back; can be called at any time and as often as wanted
# ./tx confirm   keep the change: the way back is taken only on request from then on
# ./tx boot      what the next start of the host does: go back, unless it was confirmed
# ./tx state     say how things stand
#
# It needs no Picket: sh, coreutils or BusyBox, and systemd where there is one. Exit status: 0 done, 4 refused and
# nothing changed, 5 failed and gone back, 6 failed and not gone back.
set -u
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
umask 077
here=$(cd "$(dirname "$0")" && pwd) || exit 6
cd "$here" || exit 6
id=${here##*/}
box=${here%/*} # where the transactions lie
within=120     # seconds until it goes back by itself when nobody confirms
[ ! -r within ] || within=$(cat within)

say() { printf '%s\n' "$*" >&2; }

# --- the disk ---------------------------------------------------------------------------------------------

# settle brings a file or folder to the disk.
settle() { sync -- "$@" 2>/dev/null || sync; }

# put writes a small file whole.
put() {
	printf '%s\n' "$2" >"$1.part" && settle "$1.part" && mv -f "$1.part" "$1" && settle .
}

state() { cat state 2>/dev/null || echo prepared; }

# note writes to the journal before something is done.
note() {
	printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*" >>journal && settle journal
}

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
device() { stat -c %d "$1"; }

# --- the steps --------------------------------------------------------------------------------------------
#
# Each verb has up to four sides: _look refuses what cannot go well, before anything is changed; _save keeps what is
# there; _take takes the step and _back goes back. All may be repeated.

fails() {
	say "$*"
	note "failed: $*"
	return 1
}

# file N PATH MODE UID GID BEFORE AFTER: PATH gets the content new/N. BEFORE and AFTER are sums.
file_look() {
	is=$(sum "$2")
	[ "$is" = "$6" ] || [ "$is" = "$7" ] || { say "$2 was changed after the plan was made"; return 1; }
	[ "$(sum "new/$1")" = "$7" ] || { say "new/$1 is not what was planned"; return 1; }
	writable "$2"
}
file_save() { keep "$1" "$2"; }
file_take() {
	[ "$(sum "$2")" != "$7" ] || [ "$(meta "$2")" != "$3 $4 $5" ] || return 0
	part=$(beside "$2")
	rm -f "$part"
	if [ -f "$2" ] && [ ! -L "$2" ]; then
		cp -a "$2" "$part" && cat "new/$1" >"$part" || return 1 # its extended attributes stay
	else
		cp "new/$1" "$part" || return 1
	fi
	chown "$4:$5" "$part" && chmod "$3" "$part" && settle "$part" && mv -f "$part" "$2"
}
file_back() { restore "$1" "$2" "$7"; }

# link N PATH TARGET BEFORE: PATH becomes a symbolic link.
link_look() {
	is=$(sum "$2")
	[ "$is" = "$4" ] || [ "$is" = "link:$3" ] || { say "$2 was changed after the plan was made"; return 1; }
	writable "$2"
}
link_save() { keep "$1" "$2"; }
link_take() {
	[ "$(sum "$2")" != "link:$3" ] || return 0
	part=$(beside "$2")
	rm -f "$part"
	ln -s "$3" "$part" && mv -f "$part" "$2"
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
	[ -e "old/$1.is" ] && [ "$(cat "old/$1.is")" = dir ] && return 0
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

# own gives a path an owner and a mode: first what takes rights away, so that nobody has more than both between them.
own() {
	[ "$(meta "$1")" != "$2 $3 $4" ] || return 0
	if [ "$(stat -c '%u %g' "$1")" != "$3 $4" ]; then
		chown "$3:$4" "$1" || return 1 # takes set-id bits away
	fi
	chmod "$2" "$1"
}

# sysctl N KEY VALUE: a setting of the running kernel; KEY has slashes.
sysctl_look() { [ -w "/proc/sys/$2" ] || { say "the kernel's $2 cannot be set here"; return 1; }; }
sysctl_save() {
	[ -e "old/$1.value" ] || { cat "/proc/sys/$2" >"old/$1.value.part" && mv -f "old/$1.value.part" "old/$1.value"; }
}
sysctl_take() { printf '%s\n' "$3" >"/proc/sys/$2"; }
sysctl_back() { [ -n "$booting" ] || cat "old/$1.value" >"/proc/sys/$2"; }

# mount N POINT OPTIONS: options more of what is mounted now.
mount_look() { [ -n "$(mounted "$2")" ] || { say "nothing is mounted at $2"; return 1; }; }
mount_save() {
	[ -e "old/$1.options" ] || { mounted "$2" >"old/$1.options.part" && mv -f "old/$1.options.part" "old/$1.options"; }
}
mount_take() { mount -o "remount,$3" "$2"; }
mount_back() {
	[ -z "$booting" ] || return 0
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
	[ -z "$booting" ] || return 0
	case $(cat "old/$1.active") in
	active | activating | reloading) ;;
	*) [ "$(systemctl is-active "$2" 2>/dev/null)" != active ] || systemctl --quiet stop "$2" ;;
	esac
}
unit_back() { # its links went back before
	[ -z "$booting" ] || return 0
	was=$(cat "old/$1.active")
	is=$(systemctl is-active "$2" 2>/dev/null)
	case $was in
	active | activating | reloading)
		case " $* " in
		*' reload '*) systemctl --quiet reload-or-restart "$2" ;;
		*' restart '*) systemctl --quiet restart "$2" ;;
		*) [ "$is" = active ] || systemctl --quiet start "$2" ;;
		esac
		;;
	*) [ "$is" != active ] || systemctl --quiet stop "$2" ;;
	esac
}

# units_anew has systemd read its files anew, fstab's mounts among them.
units_anew() { [ ! -d /run/systemd/system ] || systemctl daemon-reload; }

# check N COMMAND: has to succeed, or everything goes back.
check_take() { sh -c "$2" >&2; }

# act N COMMAND: brings what was changed into force, in both directions.
act_take() { sh -c "$2" >&2; }
act_back() { [ -n "$booting" ] || sh -c "$2" >&2; }

# beside is a name in the same folder that no program takes for one of its files.
beside() { printf '%s/.picket-%s\n' "${1%/*}" "$id"; }

# writable refuses a place where nothing can be changed.
writable() {
	at=${1%/*}
	while [ ! -e "${at:=/}" ]; do at=${at%/*}; done
	[ -w "$at" ] || { say "$at cannot be written to (is its file system read-only?)"; return 1; }
	if [ -e "$1" ] && [ ! -L "$1" ] && command -v lsattr >/dev/null 2>&1; then
		case $(lsattr -d "$1" 2>/dev/null | cut -d ' ' -f 1) in
		*[ia]*) say "$1 is immutable (chattr): take that away first"; return 1 ;;
		esac
	fi
	return 0
}

# keep N PATH saves a path as it is: as another name of the same file where that can be, so that going back needs no room.
keep() {
	[ ! -e "old/$1.is" ] || return 0
	rm -rf "old/$1"
	at=${2%/*}
	while [ ! -e "${at:=/}" ]; do at=${at%/*}; done
	touch -r "$at" "old/$1.time" || return 1
	if [ -e "$2" ] || [ -L "$2" ]; then
		if [ -L "$2" ]; then
			cp -a "$2" "old/$1" || return 1
		elif [ ! -d "$2" ]; then
			ln "$2" "old/$1" 2>/dev/null || cp -a "$2" "old/$1" || return 1
		fi
	fi
	sum "$2" >"old/$1.is.part" && mv -f "old/$1.is.part" "old/$1.is"
}

# restore N PATH AFTER: what keep saved is there again. What somebody has changed since then stays, and is told.
restore() {
	was=$(cat "old/$1.is") is=$(sum "$2")
	rm -f "$(beside "$2")"
	if [ "$is" != "$was" ] && [ "$is" != "$3" ]; then
		say "$2 was changed by somebody since: it stays as it is; what was there before is $here/old/$1"
		return 1
	fi
	part=$(beside "$2")
	case $was in
	-) rm -f "$2" || return 1 ;;
	dir) ;;
	link:*) [ "$is" = "$was" ] || { cp -a "old/$1" "$part" && mv -f "$part" "$2"; } || return 1 ;;
	*)
		if ! [ "$2" -ef "old/$1" ]; then
			{ ln "old/$1" "$part" 2>/dev/null || cp -a "old/$1" "$part"; } && settle "$part" && mv -f "$part" "$2" || return 1
		fi
		;;
	esac
	at=${2%/*}
	while [ ! -e "${at:=/}" ]; do at=${at%/*}; done
	touch -r "old/$1.time" "$at"
}

# --- packages ---------------------------------------------------------------------------------------------

# packages lists what is installed.
packages() { dpkg-query -W -f '${db:Status-Status} ${binary:Package}\n' | sed -n 's/^installed //p' | sort; }

# install N NAME...: packages that are not there yet. What comes with them goes with them.
install_look() { command -v apt-get >/dev/null || { say 'there is no apt-get'; return 1; }; }
install_save() {
	[ ! -e "old/$1.packages" ] || return 0
	packages >"old/$1.packages.part" && tar --numeric-owner --acls --xattrs -C / -cpf "old/$1.etc.tar" etc && mv -f "old/$1.packages.part" "old/$1.packages"
}
install_take() {
	n=$1
	shift
	DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=120 install "$@" >&2 </dev/null
}
install_back() {
	DEBIAN_FRONTEND=noninteractive dpkg --force-confold --configure -a >&2 </dev/null
	packages >"old/$1.after"
	new=$(comm -13 "old/$1.packages" "old/$1.after")
	# shellcheck disable=SC2086
	[ -z "$new" ] || DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 purge $new >&2 </dev/null
}

# --- the order of things ----------------------------------------------------------------------------------

# The plan is a list of "step VERB N ARGUMENT...", each on a line of its own.
step() {
	verb=$1
	shift
	case " $verbs " in
	*" $verb "*) ;;
	*) return 0 ;;
	esac
	if [ "$side" = back ] || [ "$side" = early ]; then # all are tried
		"${verb}_$side" "$@" || failed="$failed $1"
		return 0
	fi
	[ -z "$failed" ] || return 0 # the first that fails ends it
	if [ "$side" = take ]; then
		[ ! -e stop ] || { failed=stopped; return 0; }
		note "$1 $verb $2"
	fi
	"${verb}_$side" "$@" || { failed=$1; say "step $1 failed: $verb $2"; }
}

# walk SIDE VERB... has the steps of some verbs take one side.
walk() {
	side=$1 failed=''
	shift
	verbs=$*
	if [ "$side" = back ] || [ "$side" = early ]; then
		sed '1!G;h;$!d' plan >plan.back
		. ./plan.back
	else
		. ./plan
	fi
	[ -z "$failed" ]
}

# Folders whose links systemctl changes: which unit is started at boot. They are kept and put back by themselves.
wants='/etc/systemd/system /etc/systemd/user /etc/rc0.d /etc/rc1.d /etc/rc2.d /etc/rc3.d /etc/rc4.d /etc/rc5.d /etc/rc6.d /etc/rcS.d'

# links lists those links: path, a tab, target.
links() {
	# shellcheck disable=SC2086
	find $wants -type l -exec sh -c 'for l; do printf "%s\t%s\n" "$l" "$(readlink "$l")"; done' - {} + 2>/dev/null | sort
}

links_save() {
	[ ! -e old/links ] || return 0
	links >old/links.part
	mkdir -p old/links.d old/times
	# shellcheck disable=SC2086,SC2016
	find $wants -type l -exec sh -c 'cp -a --parents "$@" old/links.d' - {} + 2>/dev/null
	# shellcheck disable=SC2086
	[ "$(find old/links.d -type l | wc -l)" = "$(wc -l <old/links.part)" ] || return 1
	# shellcheck disable=SC2086
	find $wants -type d 2>/dev/null | while read -r d; do
		n=$(printf '%s' "$d" | tr / _)
		touch -r "$d" "old/times/$n"
	done
	mv -f old/links.part old/links
}

# links_back undoes what was done to them between the first step and the last; what others did later stays.
links_back() {
	[ -e old/links ] || return 0
	[ -e old/links.after ] || links >old/links.after
	tab=$(printf '\t')
	comm -13 old/links old/links.after | while IFS=$tab read -r at to; do
		[ "$(readlink "$at")" != "$to" ] || rm -f "$at"
		[ -e "old/times/$(printf '%s' "${at%/*}" | tr / _)" ] || rmdir "${at%/*}" 2>/dev/null # a folder that came with it
	done
	comm -23 old/links old/links.after | while IFS=$tab read -r at _; do
		[ -e "$at" ] || [ -L "$at" ] || { mkdir -p "${at%/*}" && cp -a "old/links.d$at" "$at"; }
	done
	{ comm -13 old/links old/links.after && comm -23 old/links old/links.after; } | while IFS=$tab read -r at _; do
		again "${at%/*}"
	done
}

# again gives a folder of those the time that it had.
again() {
	t=old/times/$(printf '%s' "$1" | tr / _)
	[ ! -e "$t" ] || [ ! -d "$1" ] || touch -r "$t" "$1"
}

apply() {
	case $(state) in
	prepared) ;;
	*) say "this was $(state) already"; return 4 ;;
	esac
	walk look file link gone dir mode sysctl mount unit install || { note 'refused: nothing was changed'; return 4; }
	mkdir -p old
	{ links_save && walk save file link gone dir mode sysctl mount unit install; } || { note 'refused: what is there cannot be saved'; forget; return 4; }
	if ! { settle . && sync && arm "$((within + 900))" && put state applying; }; then
		note 'refused: the way back cannot be armed'
		disarm
		forget
		return 4
	fi
	if walk take install && walk take file link gone dir mode && walk take check && units_anew && walk take sysctl mount unit act; then
		links >old/links.after
		sync
		arm "$within" && put state applied && note 'applied; waits for confirmation' && return 0
	fi
	note 'goes back'
	undo && return 5
	return 6
}

undo() {
	case $(state) in
	prepared | undone) disarm; return 0 ;;
	esac
	[ -n "$booting" ] || [ -n "$side" ] || rest
	put state undoing
	stuck=''
	walk early unit || stuck="$stuck$failed"
	walk back file link gone dir mode || stuck="$stuck$failed"
	walk back install || stuck="$stuck$failed"
	links_back
	units_anew || stuck="$stuck units"
	walk back sysctl mount unit act || stuck="$stuck$failed"
	sync
	disarm
	if [ -n "$stuck" ]; then
		put state stuck
		note "gone back, but for steps$stuck"
		return 6
	fi
	put state undone && note 'gone back'
}

confirm() {
	case $(state) in
	applied) ;;
	confirmed) return 0 ;;
	*) say "nothing waits for confirmation: this is $(state)"; return 4 ;;
	esac
	sync
	put state confirmed && note confirmed
	disarm
}

forget() { rm -rf old; }

# lock has one change of this host at a time. The lock ends with the process that holds it.
lock() {
	exec 9>>"$box/lock" || return 1
	if command -v flock >/dev/null 2>&1; then
		flock -w "${1:-0}" 9 && return 0
		say "another change of this host is running"
		return 1
	fi
	while ! mkdir "$box/locked" 2>/dev/null; do
		holder=$(cat "$box/locked/pid" 2>/dev/null)
		if [ -n "$holder" ] && ! kill -0 "$holder" 2>/dev/null; then
			rm -rf "$box/locked"
			continue
		fi
		[ "${1:-0}" -gt 0 ] || { say "another change of this host is running"; return 1; }
		sleep 1
		set -- "$((${1:-0} - 1))"
	done
	echo $$ >"$box/locked/pid"
	trap 'rm -rf "$box/locked"' EXIT
}

# --- the way back by itself -------------------------------------------------------------------------------

# arm has the host go back in so many seconds, and at its next start.
arm() {
	if [ ! -d /run/systemd/system ]; then
		# shellcheck disable=SC2016
		setsid sh -c 'sleep "$1"; exec sh "$2" late' sh "$1" "$here/tx" </dev/null >/dev/null 2>&1 &
		put armed "$!" # a power cut is not covered here
		return
	fi
	if [ ! -e "$unit" ]; then
		cat >"$unit.part" <<END
[Unit]
Description=Go back to what was there before a change that nobody confirmed
DefaultDependencies=no
RequiresMountsFor=$box
After=local-fs.target
Before=sysinit.target systemd-sysctl.service systemd-modules-load.service

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'for t in $box/*/tx; do sh "\$t" boot; done'

[Install]
WantedBy=sysinit.target
END
		chmod 644 "$unit.part" && (umask 022 && mkdir -p /etc/systemd/system/sysinit.target.wants) &&
			ln -sfn "$unit" /etc/systemd/system/sysinit.target.wants/picket-back.service &&
			settle "$unit.part" && mv -f "$unit.part" "$unit" && settle /etc/systemd/system || return 1
	fi
	was=$(cat armed 2>/dev/null)
	n=$((${was##*-} + 1))
	systemd-run --quiet --collect --unit "picket-back-$id-$n" --on-active "$1" --timer-property AccuracySec=1s -- /bin/sh "$here/tx" late || return 1
	put armed "picket-back-$id-$n"
	[ -z "$was" ] || systemctl stop "$was.timer" 2>/dev/null
	return 0
}

# disarm takes it away again; the unit stays while another change waits.
disarm() {
	was=$(cat armed 2>/dev/null)
	rm -f armed
	if [ ! -d /run/systemd/system ]; then
		[ -z "$was" ] || kill "$was" 2>/dev/null
	elif [ -n "$was" ]; then
		systemctl stop "$was.timer" 2>/dev/null
	fi
	for t in "$box"/*/armed; do [ ! -e "$t" ] || return 0; done
	rm -f "$unit" /etc/systemd/system/sysinit.target.wants/picket-back.service
	again /etc/systemd/system
	again /etc/systemd/system/sysinit.target.wants
	return 0
}

# rest ends what a program that was killed has left running: its children, which this in their environment shows to
# be of this change.
rest() {
	for p in /proc/[0-9]*; do
		if tr '\0' '\n' <"$p/environ" 2>/dev/null | grep -qx "PICKET_TX=$id"; then
			kill -9 "${p#/proc/}" 2>/dev/null
		fi
	done
}

# late is the way back by itself: what still runs is stopped first.
late() {
	: >stop
	if ! lock 60; then
		holder=$(cat pid 2>/dev/null)
		[ -z "$holder" ] || kill -9 "$holder" 2>/dev/null
		lock 60 || return 6
	fi
	case $(state) in
	applying | applied | undoing | stuck) note 'nobody confirmed: goes back by itself'; undo ;;
	esac
}

# boot runs before the services start, which is why nothing is started or stopped: they read what is there then.
boot() {
	booting=yes
	case $(state) in
	applying | applied | undoing) note 'the host was started anew before anybody confirmed: goes back'; undo ;;
	esac
}

export PICKET_TX="$id"
booting='' failed='' side='' verbs='' unit=/etc/systemd/system/picket-back.service
case ${1:-} in
apply | undo | confirm)
	trap '' HUP PIPE
	if [ "$1" = apply ]; then patience=0; else patience=20; fi
	lock $patience || exit 4
	echo $$ >pid
	"$1" 9>&-
	;;
late | boot) "$1" 9>&- ;;
state) state ;;
*)
	say 'usage: tx apply|undo|confirm|boot|state'
	exit 2
	;;
esac
