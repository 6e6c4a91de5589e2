# How it goes back by itself, and one at a time; read by tx.

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
	if ! ln -s $$ "$box/locked" 2>/dev/null; then # a link, as it is there at once with what it says
		! kill -0 "$(readlink "$box/locked")" 2>/dev/null || return 1
		rm -f "$box/locked"
		ln -s $$ "$box/locked" 2>/dev/null || return 1
	fi
	trap 'rm -f "$box/locked"' EXIT
}

# --- the way back by itself -------------------------------------------------------------------------------

# arm has the host go back in so many seconds, and at its next start.
arm() {
	was=$(cat armed 2>/dev/null)
	put due "$(($(uptime) + $1))" || return 1 # the time of day may jump
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

# uptime is for how many seconds the kernel runs.
uptime() { cut -d. -f1 /proc/uptime; }

# disarm takes it away again; the unit stays while another change waits.
disarm() {
	was=$(cat armed 2>/dev/null)
	if [ ! -d /run/systemd/system ]; then
		[ -z "$was" ] || [ "$was" = $$ ] || kill "$was" 2>/dev/null
		rm -f armed due
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
	rm -f armed due # last: what was not taken away is taken away at the next start
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

# ours reports whether a process is tx of this change: the pid in the file may be another's by now.
ours() {
	[ -n "$1" ] && [ "$1" != $$ ] || return 1
	case $(tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline") in
	*"/$id/tx "*) ;;
	*tx\ *) [ "/proc/$1/cwd" -ef . ] ;; # started from within
	*) return 1 ;;
	esac
}

# turn waits for as long as it takes: nothing comes after it that would try again. Another change may go back for minutes.
turn() {
	until lock 60; do
		[ -z "${1:-}" ] || ! ours "$(cat pid 2>/dev/null)" || kill -9 "$(cat pid)" 2>/dev/null
		sleep 10
	done
}

# late is the way back by itself: what still runs of this change is stopped first.
late() {
	: >stop
	turn kill
	case $(state) in
	applying | applied | undoing) note 'nobody confirmed: goes back by itself'; undo 9>&- ;;
	*) disarm ;;
	esac
}

# boot runs before the services start, which is why nothing is started or stopped: they read what is there then. What was
# left of a change that is not under way any more is cleared away.
boot() {
	booting=yes
	rm -f "$box/locked"
	case $(state) in
	applying | applied | undoing) note 'the host was started anew before anybody confirmed: goes back'; undo ;;
	prepared | undone) { [ ! -e old ] && [ ! -e armed ]; } || { forget; disarm; } ;;
	confirmed | stuck) [ ! -e armed ] || disarm ;;
	esac
}

# up is the rest of boot, when the host is up.
up() {
	up=yes
	timeout 300 systemctl is-system-running --wait >/dev/null 2>&1 # what is told to read files anew has to run
	turn
	[ "$(state)" != undoing ] || undo 9>&-
}
