#!/bin/sh
# A change of this host by Picket, and the way back. Everything that it needs lies in this folder:
#
#   steps     what each kind of step does, there and back
#   packages  the same for packages
#   around    what changes beside that
#   arm       how it goes back by itself
#   plan      the steps, in order, a line each
#   new/      the files that it puts there, until all steps are taken
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
. ./around
. ./packages
. ./arm

state() { cat "${1:-.}/state" 2>/dev/null || echo prepared; }

# note writes to the journal before something is done.
note() {
	printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*" >>journal && settle journal
}

# --- the order of things ----------------------------------------------------------------------------------

paths='file link gone dir mode owner' # the verbs whose steps are paths
verbs_back="$paths sysctl mount unit act install remove"

# The plan is a list of "step VERB N ARGUMENT...", each on a line of its own.
step() {
	verb=$1
	shift
	case " $verbs " in
	*" $verb "*) ;;
	*) return 0 ;;
	esac
	called="$verb $2"
	case $verb in check | act) called="$verb ${3:-$2}" ;; esac # the words for a long command
	case $side in
	touch) touches "$verb" "$@" ;;
	folder) above "$2" ;;
	came) sum "$2" >"old/$1.sum" ;;
	alone) alone "$@" ;;
	made) [ "$(cat "old/$1.is")" != - ] || printf '%s\n' "$2" ;;
	named) printf '%s\n' "$2" ;;
	early) "${verb}_early" "$@" || failed="$failed $1" ;;
	back) # all are tried
		progress "$verb" "$@"
		"${verb}_back" "$@" || failed="$failed $1"
		;;
	*)
		[ -z "$failed" ] || return 0 # the first that fails ends it
		if [ "$side" = take ]; then
			[ ! -e stop ] || { failed=stopped why='it was told to go back'; return 0; }
			progress "$verb" "$@" || [ -z "$heard" ] || { failed=stopped why='whoever began it is gone'; return 0; }
			note "$1 $called" || { failed=$1 why="step $1 failed: it cannot be noted" && say "$why"; return 0; }
		fi
		"${verb}_$side" "$@" || { failed=$1 why="step $1 failed: $called" && say "$why"; }
		;;
	esac
}

# progress says which step is next, and of how many.
progress() {
	nth=$((nth + 1))
	case $1 in
	install | remove) shift 2 && say "$nth/$total $verb $*" ;;
	*) say "$nth/$total $called" ;;
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
		after && arm "$within" && put state applied && note 'applied; waits for confirmation' && spent && return 0
		why='what was done cannot be noted'
	fi
	note "goes back: $why"
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
	rm -rf new # it may hold secrets
}

# save keeps what is there, and makes ready what going back needs: then it needs no room.
save() {
	mkdir -p old || return 1
	sed '1!G;h;$!d' plan >old/plan.back && head -c 262144 /dev/zero >old/room || return 1
	tree_save || return 1 # first: what follows has no part in it
	links_save || return 1
	# shellcheck disable=SC2086
	walk save remove install $paths sysctl mount unit || return 1
	card_saved || return 1
	times_save || return 1
	# The order in which changes came.
	cat "$box"/*/seq 2>/dev/null | sort -n | sed -n '$p' >old/seq.part
	put seq "$(($(cat old/seq.part) + 1))"
}

# after notes how it is when all steps are taken.
after() {
	walk alone file gone
	links >old/links.after && tree_after && dates >old/times.after && sync
}

undo() {
	case $(state) in
	prepared | writing)
		forget
		disarm
		rm -f first
		card_back
		code=$?
		rm -rf new
		return "$code"
		;;
	undone) forget; disarm; return 0 ;;
	esac
	case $(state) in applying | undoing) [ -n "$booting$up" ] || [ -n "$side" ] || rest ;; esac
	rm -f old/room
	spent # all that goes back lies in old
	[ -n "$booting" ] || arm 900 || say 'should this be cut off: call it again' # first: a cut leaves it to the next start
	put state undoing
	stuck=''
	times_mark
	tree_mark || stuck=' packages'
	walk early unit owner || stuck="$stuck$failed"
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
		walk alone file gone
		disarm
		return 6
	fi
	put state undone || { say 'all is as it was, but that cannot be noted: there is no room'; return 6; }
	note 'gone back'
	forget
	disarm
}

# running reports whether there is something that can go back only when the host is up.
running() { packaging || grep -q '^step \(unit\|act\) ' plan; }

# forget drops what was kept. Until then a file may have another name there, which some programs do not like.
forget() { rm -rf old debs names.* said; }

# spent drops what only taking the steps needs. It may hold secrets.
spent() { rm -rf new card; }

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

# meet prints what is in both lists, and what one of them does in a folder that came with this, or that the other gave away
# whole.
meet() {
	both theirs mine | grep -vx /
	{ walk made dir; cat old/touched 2>/dev/null; } | while read -r d; do
		[ ! -d "$d" ] || [ -e "old/tree$d" ] || below "$d" theirs
	done
	walk named owner | while read -r d; do below "$d" theirs; done
	(cd "$t" && walk named owner) | while read -r d; do below "$d" mine; done
}
below() { awk -v d="$1/" 'index($0, d) == 1' "$2"; }

confirm() {
	case $(state) in
	applied) ;;
	confirmed) disarm; return 0 ;; # of one that was cut off
	*) say "nothing waits for confirmation: this is $(state)"; return 4 ;;
	esac
	sync
	put state confirmed || { say 'that cannot be noted'; return 4; }
	note confirmed
	spent # an interrupted apply has not come to it
	disarm
}

# card_saved takes what was on a card before it was changed for what was there before: the same files where that can be. The
# old name goes first: it may be another name of the file that is in use.
card_saved() {
	[ -d card ] || return 0
	mkdir -p old || return 1
	for how in -al -a; do
		for f in card/*; do
			rm -f "old/${f##*/}"
		done
		! cp "$how" card/. old/ || return 0
	done
	return 1
}

# card_back gives a card's files back that were changed before a start, where they still are what was put there.
card_back() {
	[ -d card ] || return 0
	mkdir -p old && sed '1!G;h;$!d' plan >old/plan.back && card_saved || return 1
	# shellcheck disable=SC2086
	count $paths
	# shellcheck disable=SC2086
	walk back $paths || { put state stuck; note "gone back, but for steps$failed"; return 1; }
	sync
	put state undone && note 'gone back'
	rm -rf old card
}

# first is the rest of what was begun on a card: it runs at the first start, keeps what holds, and goes.
first() {
	apply 9>&-
	code=$?
	[ "$code" != 4 ] || card_back || code=6
	[ "$code" != 0 ] || confirm 9>&- || code=$?
	rm -f first
	ls "$box"/*/first >/dev/null 2>&1 || { rm -f /etc/systemd/system/picket-first.service /etc/systemd/system/multi-user.target.wants/picket-first.service && units_anew; }
	return "$code"
}

export PICKET_TX="$id"
booting='' up='' heard='' failed='' side='' verbs='' why='' nth=0 total=0
unit=/etc/systemd/system/picket-back.service link=/etc/systemd/system/sysinit.target.wants/picket-back.service
case ${1:-} in
apply)
	trap '' HUP PIPE
	lock 0 || exit 4
	echo $$ >pid
	heard=yes # a write that fails tells that nobody is there to confirm
	apply 9>&-
	;;
undo | confirm)
	trap '' HUP PIPE
	[ "$1 $(state)" != 'undo applying' ] || : >stop # the steps that are being taken end with the next
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
