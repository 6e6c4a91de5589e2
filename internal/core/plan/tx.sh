#!/bin/sh
# A change of this host by Picket, and the way back. Everything that it needs lies in this folder:
#
#   steps     what each kind of step does, there and back
#   packages  the same for packages
#   plan      the steps, in order, a line each
#   new/      the files that it puts there
#   debs/     package files, to install or to install again
#   old/      what was there before, from the moment on at which the first step is taken
#   state     prepared, applying, applied, confirmed, undoing, undone or stuck
#   journal   what was done when
#
# ./tx apply     save what is there, arm the way back, take the steps
# ./tx undo      go back; can be called at any time and as often as wanted
# ./tx confirm   keep the change: the way back is taken only on request from then on
# ./tx first     the first start of a host whose card was changed: the steps that need it running
# ./tx boot      what the next start of the host does: go back, unless it was confirmed
# ./tx state     say how things stand
#
# It needs no Picket: sh, coreutils or BusyBox, and systemd where there is one. Exit status: 0 done, 4 refused and
# nothing changed, 5 failed and gone back, 6 failed and not gone back. The timers run on the monotonic clock: that the
# time of day jumps changes nothing.
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

. ./steps
. ./packages

state() { cat "${1:-.}/state" 2>/dev/null || echo prepared; }

# note writes to the journal before something is done.
note() {
	printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*" >>journal && settle journal
}

# --- the order of things ----------------------------------------------------------------------------------

paths='file link gone dir mode' # the verbs whose steps are paths
verbs_back="$paths sysctl mount unit act install remove"

# The plan is a list of "step VERB N ARGUMENT...", each on a line of its own.
step() {
	verb=$1
	shift
	case " $verbs " in
	*" $verb "*) ;;
	*) return 0 ;;
	esac
	case $side in
	touch) touches "$verb" "$@" ;;
	folder) above "$2" ;;
	came) sum "$2" >"old/$1.sum" ;;
	made) [ "$(cat "old/$1.is")" != - ] || printf '%s\n' "$2" ;;
	early) unit_early "$@" || failed="$failed $1" ;;
	back) # all are tried
		progress "$verb" "$@"
		"${verb}_back" "$@" || failed="$failed $1"
		;;
	*)
		[ -z "$failed" ] || return 0 # the first that fails ends it
		if [ "$side" = take ]; then
			[ ! -e stop ] || { failed=stopped why='nobody confirmed in time'; return 0; }
			progress "$verb" "$@"
			note "$1 $verb $2"
		fi
		"${verb}_$side" "$@" || { failed=$1 why="step $1 failed: $verb $2" && say "$why"; }
		;;
	esac
}

# progress says which step is next, and of how many.
progress() {
	nth=$((nth + 1))
	case $1 in
	install | remove) shift 2 && say "$nth/$total $verb $*" ;;
	*) say "$nth/$total $1 $3" ;;
	esac
}

# count begins to count the steps of some verbs.
count() {
	nth=0 total=$(grep -cE "^step ($(printf '%s' "$*" | tr ' ' '|')) " plan)
}

# walk SIDE VERB... has the steps of some verbs take one side.
walk() {
	side=$1 failed=''
	shift
	verbs=$*
	if [ "$side" = back ] || [ "$side" = early ]; then
		. ./old/plan.back
	else
		. ./plan
	fi
	[ -z "$failed" ]
}

apply() {
	case $(state) in
	prepared) ;;
	*) say "this was $(state) already"; return 4 ;;
	esac
	forget # of a try that did not come as far as the first step
	# While one waits, no other comes over it: it may have to go back by itself.
	for t in "$box"/*/state; do
		[ -e "$t" ] || continue
		t=${t%/state}
		case $(state "$t") in
		applied) say "${t##*/} waits for confirmation: picket confirm ${t##*/}, or picket rollback ${t##*/}"; return 4 ;;
		applying | undoing) say "${t##*/} was left half done: picket rollback ${t##*/}"; return 4 ;;
		esac
	done
	# shellcheck disable=SC2086
	walk look remove install $paths sysctl mount unit || { refuse 'nothing was changed'; return 4; }
	if ! save; then
		say 'what is there cannot be saved'
		refuse 'what is there cannot be saved'
		return 4
	fi
	if ! { settle . && sync && arm "$((within + 900))" && put state applying; }; then
		say 'the way back cannot be armed'
		disarm
		refuse 'the way back cannot be armed'
		return 4
	fi
	count '[a-z]*'
	# shellcheck disable=SC2086
	if walk take remove install && arrived && walk take $paths && walk take check && units_anew && walk take sysctl mount unit act; then
		after && arm "$within" && put state applied && note 'applied; waits for confirmation' && return 0
		why='what was done cannot be noted'
	fi
	note 'goes back'
	undo
	code=$?
	say "$why"
	[ "$code" = 0 ] && return 5
	return 6
}

# refuse leaves nothing behind but the reason.
refuse() {
	note "refused: $1"
	forget
}

# save keeps what is there, and makes ready what going back needs: then it needs no room.
save() {
	mkdir -p old || return 1
	sed '1!G;h;$!d' plan >old/plan.back && head -c 262144 /dev/zero >old/room || return 1
	tree_save || return 1 # first: what follows has no part in it
	links_save || return 1
	# shellcheck disable=SC2086
	walk save remove install $paths sysctl mount unit || return 1
	[ ! -d card ] || cp -a card/. old/ || return 1 # of what was changed before the first start
	times_save || return 1
	# The order in which changes came.
	cat "$box"/*/seq 2>/dev/null | sort -n | sed -n '$p' >old/seq.part
	put seq "$(($(cat old/seq.part) + 1))"
}

# after notes how it is when all steps are taken.
after() {
	links >old/links.after && tree_after && dates >old/times.after && sync
}

undo() {
	case $(state) in
	prepared | undone) forget; disarm; return 0 ;;
	esac
	case $(state) in applying | undoing) [ -n "$booting$up" ] || [ -n "$side" ] || rest ;; esac
	rm -f old/room
	[ -n "$booting" ] || arm 900 || say 'should this be cut off: call it again' # first: a cut leaves it to the next start
	put state undoing
	stuck=''
	times_mark
	tree_mark || stuck=' packages'
	walk early unit || stuck="$stuck$failed"
	# shellcheck disable=SC2086
	count $verbs_back
	# shellcheck disable=SC2086
	walk back $paths || stuck="$stuck$failed"
	packages_back
	links_back
	units_anew
	walk back sysctl mount unit act || stuck="$stuck$failed"
	[ -n "$booting" ] || services_back
	times_back
	sync
	if [ -n "$booting" ] && running; then
		note 'the rest follows when the host is up'
		systemd-run --quiet --collect --no-block --unit "picket-up-$id" -- /bin/sh "$here/tx" up
		return # with an error the next start tries again
	fi
	if [ -n "$stuck" ]; then
		put state stuck
		note "gone back, but for steps$stuck"
		rm -f old/times.back
		disarm
		return 6
	fi
	put state undone || { say 'all is as it was, but that cannot be noted: there is no room'; return 6; }
	note 'gone back'
	forget
	disarm
}

# running reports whether there is something that can go back only when the host is up.
running() { packaging || grep -q '^step unit ' plan; }

# forget drops what was kept. Until then a file may have another name there, which some programs do not like.
forget() { rm -rf old debs said; }

# later refuses to go back past a change that touches what this one does.
later() {
	case $(state) in prepared | undone) return 0 ;; esac
	mine=$(cat seq 2>/dev/null) code=0
	rm -f old/room # for the lists
	touched . >mine || { say "there is no room in $box: make some first" && code=1; }
	for t in "$box"/*/seq; do
		[ -e "$t" ] || continue
		t=${t%/seq}
		[ "$(cat "$t/seq")" -gt "${mine:-0}" ] || continue
		case $(state "$t") in prepared | undone) continue ;; esac
		touched "$t" >theirs || code=1
		list=$(meet | sort -u | tr '\n' ',' | sed -e 's/,$//' -e 's/,/, /g')
		[ -z "$list" ] || { say "blocked by ${t##*/}: $list" && code=1; }
	done
	rm -f mine theirs
	[ "$code" = 0 ] || head -c 262144 /dev/zero >old/room
	return "$code"
}

# touched TX lists what a transaction touches: what its steps name, and what packages have changed.
touched() {
	(
		cd "$1" || exit
		# shellcheck disable=SC2086
		walk touch $paths sysctl mount unit install remove && { [ ! -e old/touched ] || cat old/touched; } && echo /
	)
}

# meet prints what is in both lists, and what lies in a folder that came with this.
meet() {
	both theirs mine | grep -vx /
	{ walk made dir; cat old/touched 2>/dev/null; } | while read -r d; do
		if [ -d "$d" ] && [ ! -e "old/tree$d" ]; then
			awk -v d="$d/" 'index($0, d) == 1' theirs
		fi
	done
}

confirm() {
	case $(state) in
	applied) ;;
	confirmed) disarm; return 0 ;; # of one that was cut off
	*) say "nothing waits for confirmation: this is $(state)"; return 4 ;;
	esac
	sync
	put state confirmed || { say 'that cannot be noted'; return 4; }
	note confirmed
	disarm
}

# first is the rest of what was begun on a card: it runs at the first start, keeps what holds, and goes.
first() {
	apply 9>&-
	code=$?
	[ "$code" != 0 ] || confirm 9>&- || code=$?
	rm -f first
	ls "$box"/*/first >/dev/null 2>&1 || { rm -f /etc/systemd/system/picket-first.service /etc/systemd/system/multi-user.target.wants/picket-first.service && units_anew; }
	return "$code"
}

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
	{ walk folder file link gone dir && find $wants -type d 2>/dev/null; } | sort -u >old/folders.part
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
		! grep -Fqx "$d" old/times.back || [ ! -d "$d" ] || touch -r "old/times/$n" "$d"
	done <old/folders
}

# hold and release keep the time of a folder over what arming changes there.
hold() { [ -e "$box/$1.time" ] || [ ! -d "$2" ] || touch -r "$2" "$box/$1.time"; }
release() {
	[ ! -e "$box/$1.time" ] || [ ! -d "$2" ] || touch -r "$box/$1.time" "$2"
	rm -f "$box/$1.time"
}

# --- one at a time ----------------------------------------------------------------------------------------

# lock has one change of this host at a time. The lock ends with the process that holds it.
lock() {
	[ -w "$box" ] || { say "$box cannot be written to (is its file system read-only?)"; return 1; }
	exec 9>>"$box/lock"
	left=${1:-0}
	while ! hold_lock; do
		[ "$left" -gt 0 ] || { say 'another change of this host is running'; return 1; }
		sleep 1
		left=$((left - 1))
	done
}

hold_lock() {
	if command -v flock >/dev/null 2>&1; then
		flock -n 9
		return
	fi
	if ! mkdir "$box/locked" 2>/dev/null; then
		holder=$(cat "$box/locked/pid" 2>/dev/null)
		[ -n "$holder" ] && ! kill -0 "$holder" 2>/dev/null || return 1
		rm -rf "$box/locked"
		mkdir "$box/locked" 2>/dev/null || return 1
	fi
	echo $$ >"$box/locked/pid"
	trap 'rm -rf "$box/locked"' EXIT
}

# --- the way back by itself -------------------------------------------------------------------------------

# arm has the host go back in so many seconds, and at its next start.
arm() {
	was=$(cat armed 2>/dev/null)
	if [ ! -d /run/systemd/system ]; then
		[ -n "$was" ] || say 'there is no systemd here: it goes back by itself, but not after a power cut'
		# shellcheck disable=SC2016
		PICKET_TX='' setsid sh -c 'sleep "$1"; exec sh "$2" late' sh "$1" "$here/tx" </dev/null >/dev/null 2>&1 9>&- &
		put armed "$!" || return 1
		[ -z "$was" ] || [ "$was" = $$ ] || kill "$was" 2>/dev/null
		return 0
	fi
	if [ ! -e "$unit" ]; then
		hold units "${unit%/*}"
		hold sysinit "${link%/*}"
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
		chmod 644 "$unit.part" || return 1
		[ -d "${link%/*}" ] || { (umask 022 && mkdir -p "${link%/*}") && : >"$box/made"; } || return 1
		ln -sfn "$unit" "$link" && settle "$unit.part" && mv -f "$unit.part" "$unit" && settle "${unit%/*}" || return 1
		release sysinit "${link%/*}"
		release units "${unit%/*}"
	fi
	n=$((${was##*-} + 1))
	systemd-run --quiet --collect --unit "picket-back-$id-$n" --on-active "$1" --timer-property AccuracySec=1s -- /bin/sh "$here/tx" late || return 1
	put armed "picket-back-$id-$n" || return 1
	[ -z "$was" ] || systemctl stop "$was.timer" 2>/dev/null
	return 0
}

# disarm takes it away again; the unit stays while another change waits.
disarm() {
	was=$(cat armed 2>/dev/null)
	if [ ! -d /run/systemd/system ]; then
		[ -z "$was" ] || [ "$was" = $$ ] || kill "$was" 2>/dev/null
		rm -f armed
		return 0
	fi
	[ -z "$was" ] || systemctl stop "$was.timer" 2>/dev/null
	others=$(cat "$box"/*/armed 2>/dev/null | grep -vxF -e "$was")
	if [ -z "$others" ]; then
		hold units "${unit%/*}"
		hold sysinit "${link%/*}"
		rm -f "$link" "$unit" "$unit.part"
		[ ! -e "$box/made" ] || { rmdir "${link%/*}" 2>/dev/null; rm -f "$box/made"; }
		release sysinit "${link%/*}"
		release units "${unit%/*}"
		[ -n "$booting" ] || systemctl daemon-reload
	fi
	rm -f armed # last: what was not taken away is taken away at the next start
}

# rest ends what a program that was killed half way has left running: its children, which this in their environment shows
# to be of this change. So a service that was started without systemd carries it, too, which is why nothing is ended later.
rest() {
	for p in /proc/[0-9]*; do
		[ "$p" != "/proc/$$" ] || continue
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
	applying | applied | undoing) note 'nobody confirmed: goes back by itself'; undo 9>&- ;;
	*) disarm ;;
	esac
}

# boot runs before the services start, which is why nothing is started or stopped: they read what is there then. What was
# left of a change that is not under way any more is cleared away.
boot() {
	booting=yes
	rm -rf "$box/locked"
	case $(state) in
	applying | applied | undoing) note 'the host was started anew before anybody confirmed: goes back'; undo ;;
	prepared | undone) { [ ! -e old ] && [ ! -e armed ]; } || { forget; disarm; } ;;
	confirmed | stuck) [ ! -e armed ] || disarm ;;
	esac
}

# up is the rest of boot, when the host is up.
up() {
	up=yes
	lock 60 || return 6
	[ "$(state)" != undoing ] || undo 9>&-
}

export PICKET_TX="$id"
booting='' up='' failed='' side='' verbs='' why='' nth=0 total=0
unit=/etc/systemd/system/picket-back.service link=/etc/systemd/system/sysinit.target.wants/picket-back.service
case ${1:-} in
apply)
	trap '' HUP PIPE
	lock 0 || exit 4
	echo $$ >pid
	apply 9>&-
	;;
undo | confirm)
	trap '' HUP PIPE
	lock 20 || exit 4
	[ "$1" = confirm ] || later || exit 4
	echo $$ >pid
	"$1" 9>&-
	;;
first)
	lock 60 || exit 4
	echo $$ >pid
	first
	;;
late | boot | up) "$1" ;;
state) state ;;
*)
	say 'usage: tx apply|undo|confirm|boot|state'
	exit 2
	;;
esac
