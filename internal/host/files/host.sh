# What `picket copy` has a host do. Each command is a line of words, in which blanks and the like are written as \0NNN, and is
# answered by one line on stderr that begins with "picket ".
export LC_ALL=C
umask 077
staged='' made=''
tell() { printf 'picket %s\n' "$*" >&2; }
uid=$(id -u)

# word sets a variable to what a word means.
word() {
	case $2 in
	*\\*) value=$(printf '%b.' "$2") value=${value%.} ;;
	*) value=$2 ;;
	esac
	eval "$1=\$value"
}

sum() { set -- $(sha256sum <"$1") && echo "$1"; }
size() { echo $(($(wc -c <"$1"))); }

# mine: a plain file, or with -d a folder, that nobody else has laid there.
mine() { [ "$1" "$2" ] && [ ! -L "$2" ] && [ -O "$2" ]; }

# safe: nobody but root can change what the path of a folder means.
safe() {
	at=$1
	while :; do
		set -- "$at" $(ls -ldn "${at%/}/.")
		[ "$4" = 0 ] || return 1
		case $2 in
		????????w[tT]*) [ -z "$above" ] && return 1 ;;
		????????w*) return 1 ;;
		?????w*) case $5 in 0 | 50) ;; *) return 1 ;; esac ;; # root, and staff, who may become it
		esac
		above=1
		[ "$at" != / ] || return 0
		at=${at%/*}
		at=${at:-/}
	done
}

# writable says why nothing can be written in a folder; nothing where it can be.
writable() {
	if [ "$uid" = 0 ]; then
		above=''
		safe "$1" || echo "root $1"
	elif [ ! -w "$1" ] || [ ! -x "$1" ]; then
		echo "denied $1"
	fi
}

# target PATH FOLDER PARENTS: where it is, and what is there. Parents that are missing: no, make, or pretend.
target() {
	word p "$1"
	case $p in
	/*) ;;
	.) p=$home ;;
	*) p=${home%/}/$p ;;
	esac
	if [ -L "$p" ]; then
		[ -e "$p" ] || { tell "no dangling $p" && return; }
		p=$(readlink -f "$p")
	fi
	if [ "$p" = / ]; then
		dir=/ at=/
	else
		dir=${p%/*}
		dir=${dir:-/}
		if [ ! -d "$dir" ] && [ "$3" != no ]; then
			near=$dir
			while [ ! -d "$near" ]; do near=${near%/*} near=${near:-/}; done
			why=$(writable "$(cd -P "$near" && pwd)")
			[ -z "$why" ] || { tell "no $why" && return; }
			[ "$3" = make ] || { tell "absent -1 $p" && return; }
			why=$(umask 022 && mkdir -p "$dir" 2>&1) || { tell "no write $why" && return; }
		fi
		[ -d "$dir" ] || { tell "no folder $dir" && return; }
		dir=$(cd -P "$dir" && pwd) || { tell "no denied $p" && return; }
		at=${dir%/}/${p##*/}
	fi
	kind=absent
	if [ -d "$at" ]; then
		kind=folder dir=$at
		[ "$2" = 1 ] || { tell "no isfolder $at" && return; }
	elif [ -e "$at" ]; then
		kind=file
		[ "$2" = 0 ] && [ -f "$at" ] || { tell "no other $at" && return; }
	fi
	why=$(writable "$dir")
	[ -z "$why" ] || { tell "no $why" && return; }
	free=$(df -Pk "$dir" 2>/dev/null | { read -r _ && read -r _ _ _ free _ && echo "$free"; })
	case $free in '' | *[!0-9]*) free=-1 ;; esac
	tell "$kind $free $at"
}

# folder PATH: whether it is there.
folder() {
	word p "$1"
	if [ -L "$p" ]; then
		tell "no islink $p"
	elif [ -d "$p" ]; then
		why=$(writable "$p")
		tell "${why:+no }${why:-same}"
	elif [ -e "$p" ]; then
		tell "no other $p"
	else
		tell absent
	fi
}

# link PATH TEXT: whether it says that.
link() {
	word p "$1"
	word text "$2"
	if [ -L "$p" ]; then
		now=$(readlink "$p" && echo .)
		[ "${now%??}" = "$text" ] && tell same || tell other
	elif [ -d "$p" ]; then
		tell "no isfolder $p"
	elif [ -e "$p" ]; then
		tell other
	else
		tell absent
	fi
}

# file PATH SIZE SUM MODE TIME PART: what of it is there, or came before.
file() {
	word p "$1"
	word part "$6"
	if [ -L "$p" ]; then
		tell "no islink $p"
	elif [ -d "$p" ]; then
		tell "no isfolder $p"
	elif [ -e "$p" ] && [ ! -f "$p" ]; then
		tell "no other $p"
	elif [ -r "$p" ] && [ "$(size "$p")" = "$2" ] && [ "$(sum "$p")" = "$3" ]; then
		set -- "$4" "$5" $(stat -c '%a %Y' "$p" 2>/dev/null)
		if [ "0$3" = "$1" ] || [ "$3" = "$1" ] && [ "$4" = "$2" ]; then
			tell same
		elif [ -O "$p" ] || [ "$uid" = 0 ]; then
			tell content
		else
			tell absent # nobody but its owner may set them
		fi
	elif mine -f "$part" && n=$(size "$part") && [ "$n" -gt 0 ] && [ "$n" -le "$2" ]; then
		tell "part $n $(sum "$part")"
	else
		tell absent
	fi
}

# take N: so many bytes of what is read, and none of what comes behind them.
take() {
	[ $(($1 / 65536)) = 0 ] || dd bs=65536 count=$(($1 / 65536)) iflag=fullblock || return
	[ $(($1 % 65536)) = 0 ] || dd bs=$(($1 % 65536)) count=1 iflag=fullblock
}

# abandon takes away what came in this run.
abandon() {
	for p in $staged; do
		word p "$p"
		rm -f "$p"
	done
	for p in $made; do # the last one first
		word p "$p"
		rmdir "$p" 2>/dev/null
	done
	tell "no $(printf %s "$1" | tr '\n' ' ')"
	exit 1
}

# put PART OFFSET COUNT SUM MODE TIME PATH: the bytes behind OFFSET come next.
put() {
	word part "$1"
	word p "$7"
	staged="$staged $1"
	if [ "$2" = 0 ]; then
		rm -f "$part" 2>/dev/null
		why=$({ set -C && : >"$part"; } 2>&1) || abandon "write $why"
	fi
	mine -f "$part" || abandon "write $part is not what it was a moment ago"
	why=$(take "$3" 2>&1 >>"$part") || abandon "write $why"
	[ "$(size "$part")" = $(($2 + $3)) ] || exit 1 # cut off: what came is kept
	[ "$(sum "$part")" = "$4" ] || abandon "changed $p"
	if [ -f "$p" ]; then
		set -- "$@" $(ls -ldn "$p")
		if [ "$uid" = 0 ]; then
			chown "${10}:${11}" "$part" || abandon "write its owner cannot be kept"
		else
			chgrp "${11}" "$part" 2>/dev/null
		fi
	fi
	why=$(meta "$part" "$5" "$6" 2>&1) || abandon "write $why"
	tell got
}

# meta FILE MODE TIME
meta() { chmod "$2" "$1" && TZ=UTC0 touch -t "$3" "$1"; }

# over FROM TO: renames, whatever link or file was there. Not every mv knows -T.
over() { mv -fT "$1" "$2" 2>/dev/null || { { [ -L "$2" ] || [ ! -d "$2" ]; } && { [ ! -d "$2" ] || rm "$2"; } && mv -f "$1" "$2"; }; }

# leftovers PART: what came before of other contents for the same place.
leftovers() {
	for old in "${1%-*}"-*; do
		[ -O "$old" ] && [ ! -L "$old" ] && rm -rf "$old"
	done
}

commands() {
	while read -r verb a b c d e f g; do
		case $verb in
		target) target "$a" "$b" "$c" ;;
		folder) folder "$a" ;;
		link) link "$a" "$b" ;;
		file) file "$a" "$b" "$c" "$d" "$e" "$f" ;;
		make)
			word p "$a"
			if ! mine -d "$p"; then
				why=$(mkdir "$p" 2>&1) || abandon "write $why"
				made="$a $made"
			fi
			tell made
			;;
		put) put "$a" "$b" "$c" "$d" "$e" "$f" "$g" ;;
		sync)
			word p "$a"
			sync -f "$p" 2>/dev/null || sync
			tell synced
			;;
		move)
			word part "$a"
			word p "$b"
			why=$({ [ -L "$p" ] || [ ! -d "$p" ]; } && over "$part" "$p" 2>&1) && tell moved || tell "no write $p cannot be replaced: $why"
			leftovers "$part"
			;;
		relink)
			word text "$a"
			word part "$b"
			word p "$c"
			rm -f "$part" 2>/dev/null
			why=$(ln -s "$text" "$part" 2>&1 && over "$part" "$p" 2>&1) && tell moved || tell "no write $p cannot be made: $why"
			;;
		meta)
			word p "$a"
			why=$(meta "$p" "$b" "$c" 2>&1) && tell set || tell "no meta $why"
			;;
		rename)
			word part "$a"
			word p "$b"
			if [ -e "$p" ] || [ -L "$p" ]; then
				tell "no write $p has come into being meanwhile"
			else
				why=$(over "$part" "$p" 2>&1) && tell moved || tell "no write $p cannot be made: $why"
			fi
			leftovers "$part"
			;;
		end) exit 0 ;;
		*) tell "no write a command that it does not know: $verb" ;;
		esac
	done
	exit 1
}

for tool in sha256sum dd wc ls df mv touch readlink; do
	command -v "$tool" >/dev/null || { tell "no tool $tool" && exit 1; }
done
tell ready
commands
