# Packages, there and back; read by tx.
#
# What packages change beside their own files (accounts, alternatives, links of units, caches) is not theirs alone: so all of
# these places are kept as they were, and put back where nobody else has changed them since. Going back needs neither apt
# nor a network: what came is purged by dpkg, what went is installed again from files that were had before it went.

packaging() { grep -q '^step \(install\|remove\) ' plan; }

# debian runs a program of Debian's, which asks nothing. What it says goes to "said". It is named in full: BusyBox would run
# a dpkg of its own.
debian() {
	what=/usr/bin/$1
	shift
	env PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 APT_LISTCHANGES_FRONTEND=none \
		NEEDRESTART_SUSPEND=1 "$what" "$@" >said 2>&1 </dev/null
}

# deb reads a package file.
deb() { env PATH=/usr/bin:/bin /usr/bin/dpkg-deb "$@" 2>/dev/null; }

# told says what the last of them has said, in so far as it is no chatter.
told() {
	grep -e '^[EW]: ' -e '^dpkg: ' -e ' depends on ' said >&2 || tail -n 5 said >&2
	return 1
}

apt() {
	debian apt-get -q -y --no-install-recommends --no-auto-remove --no-upgrade -o DPkg::Lock::Timeout=120 -o APT::Sandbox::User=root \
		-o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@" || told
}

# database runs dpkg, and waits while somebody else does.
database() {
	tries=60
	while ! debian dpkg --force-confdef --force-confold --force-remove-reinstreq "$@"; do
		tries=$((tries - 1))
		{ grep -q 'lock was locked\|unable to lock\|is locked by' said && [ "$tries" -gt 0 ]; } || { told; return 1; }
		sleep 2
	done
}

# packages lists those that are there, and those of which only the settings are left.
packages() {
	dpkg-query -W -f '${binary:Package} ${db:Status-Status}\n' |
		sed -n -e '/ not-installed$/d' -e 's/ config-files$/ settings/p;t' -e 's/ [^ ]*$/ there/p' | sort
}

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# would ACT NAME... has apt say what it would do, line by line.
would() {
	debian apt-get -s -q --no-install-recommends --no-auto-remove --no-upgrade -o Debug::NoLocking=1 "$@" || told
}

# named VERB SED... lists the packages of all steps of a verb, each changed by sed.
named() {
	sed -n "s/^step $1 [0-9]* \\(.*\\) #.*/\\1/p" plan | tr ' ' '\n' | sed "${2:-}"
}

words() { tr '\n' ' ' | sed 's/ $//'; }

# half lists packages that are neither there nor not. dpkg --audit would also list those of which only a list is missing, as
# many have it that are not Debian's own.
half() { dpkg-query -W -f '${binary:Package} ${db:Status-Status} ${db:Status-Eflag}\n' | grep -v -e ' \(installed\|config-files\|not-installed\) ok$' | sed 's/ .*//'; }

# sound refuses a host on which dpkg has not ended: what it then does is not foreseen.
sound() {
	command -v apt-get >/dev/null 2>&1 || { say 'there is no apt-get'; return 1; }
	[ -z "$(half)" ] || { say "half installed: $(half | words): dpkg --configure -a first"; return 1; }
}

# others LETTERS SED lists what apt would do to packages that the plan does not take away.
others() { sed -n "s/^$1.*/\\1/p" said | sed 's/:.*//' | grep -vxF -e "$(named remove 's/:.*//')" | words; }

# unlisted NAME... says what to do where apt does not know a package, or where its lists name a file that is no longer there.
unlisted() {
	if grep -q -e 'Unable to locate package' -e 'has no installation candidate' said; then
		say "apt does not find $*: sudo apt-get update first; if that does not help, a source is missing in /etc/apt"
	elif grep -q -e 'Failed to fetch' -e 'Unable to fetch' said; then
		say "apt cannot fetch $*: sudo apt-get update first; if that does not help, the host does not reach its mirror"
	fi
}

# --- install ----------------------------------------------------------------------------------------------

# install N NAME...: packages that are not there yet. What comes with them goes with them.
install_look() {
	sound || return 1
	n=$1
	shift
	# shellcheck disable=SC2046
	would install "$@" $(named remove 's/$/-/') || { unlisted "$@"; return 1; }
	gone=$(others 'Remv \([^ ]*\)') newer=$(sed -n 's/^Inst \([^ ]*\) \[.*/\1/p' said | words)
	[ -z "$gone" ] || { say "to install $*, apt would take away $gone"; return 1; }
	[ -z "$newer" ] || { say "to install $*, apt would also bring newer versions, which cannot be taken back: apt-get install $newer first"; return 1; }
	# Had now: a mirror that is away is a reason to change nothing.
	mkdir -p "debs/$n/partial"
	# shellcheck disable=SC2046
	apt -d -o Dir::Cache::archives="$here/debs/$n" install "$@" $(named remove 's/$/-/') || { unlisted "$@"; return 1; }
	# What comes from a folder of this host stays there, and is not in debs.
	# shellcheck disable=SC2046
	apt --print-uris -o Dir::Cache::archives="$here/debs/$n" install "$@" $(named remove 's/$/-/') || return 1
	for f in $(sed -n "s/^'file:\([^']*\)'.*/\1/p" said | sed -e 's/%2[Bb]/+/g' -e 's/%7[Ee]/~/g' -e 's/%3[Aa]/:/g') "debs/$n"/*.deb; do
		[ ! -e "$f" ] || deb --fsys-tarfile "$f" | tar -tf - | sed -n 's#^\./\(..*\)#/\1#p'
	done | while read -r p; do
		[ -e "${p%/}" ] || [ -L "${p%/}" ] || echo "$p"
	done >"names.$n"
}
install_save() {
	[ -e "old/$1.packages" ] || { packages >"old/$1.packages.part" && mv -f "old/$1.packages.part" "old/$1.packages"; }
}
install_take() {
	n=$1
	shift
	apt --no-remove -o Dir::Cache::archives="$here/debs/$n" install "$@" || return 1
	rm -rf "debs/$n" "names.$n" # none of it is half there
	packages >"old/$n.after.part" && mv -f "old/$n.after.part" "old/$n.after" # what somebody installs later is not ours
}
install_back() {
	[ -z "$booting" ] || return 0
	[ -e "old/$1.after" ] || { packages >"old/$1.after.part" && mv -f "old/$1.after.part" "old/$1.after"; }
	packages >"old/$1.now"
	rm -f "old/$1.remove" "old/$1.purge"
	without "old/$1.after" "old/$1.packages" | sed -n 's/ there$//p' >"old/$1.came"
	while read -r p; do
		if grep -Fqx "$p settings" "old/$1.packages"; then
			! grep -Fqx "$p there" "old/$1.now" || echo "$p" >>"old/$1.remove"
		elif grep -Fqx -e "$p there" -e "$p settings" "old/$1.now"; then
			echo "$p" >>"old/$1.purge"
		fi
	done <"old/$1.came"
	xargs <"old/$1.came" dpkg-query -L 2>/dev/null | units >"old/$1.list"
	for act in remove purge; do
		# shellcheck disable=SC2046
		[ ! -e "old/$1.$act" ] || database "--$act" $(cat "old/$1.$act") || return 1
	done
	[ ! -s "old/$1.list" ] || xargs <"old/$1.list" systemctl reset-failed 2>/dev/null # systemd would remember them
	unpacked "$1"
	whole_again
}

# unpacked takes away what dpkg had unpacked when it was cut off: it is in no list of dpkg's.
unpacked() {
	[ -e "names.$1" ] || return 0
	while read -r p; do
		case $p in */) continue ;; esac
		rm -f "$p.dpkg-new"
		! { [ -e "$p" ] || [ -L "$p" ]; } || dpkg-query -S "$p" >/dev/null 2>&1 || rm -f "$p"
	done <"names.$1"
	sort -r "names.$1" | while read -r p; do
		case $p in */) dpkg-query -S "${p%/}" >/dev/null 2>&1 || rmdir "$p" 2>/dev/null ;; esac
	done
	return 0
}

# whole_again ends what a power cut has left half done in other packages.
whole_again() {
	[ -z "$(half)" ] || database --configure -a
}

# --- remove -----------------------------------------------------------------------------------------------

# remove N NAME...: packages go. Their settings stay (apt-get remove, not purge): somebody wrote them, and a program that is
# not there does no harm with them.
remove_look() {
	sound || return 1
	n=$1
	shift
	# shellcheck disable=SC2046
	set -- $(for p; do ! installed "$p" || echo "$p"; done)
	[ $# -gt 0 ] || return 0
	would remove "$@" || return 1
	more=$(others 'Remv \([^ ]*\)') new=$(sed -n 's/^Inst \([^ ]*\).*/\1/p' said | words)
	[ -z "$more" ] || { say "to take away $*, apt would also take away $more: if nobody needs them, take them away first"; return 1; }
	[ -z "$new" ] || { say "to take away $*, apt would install $new"; return 1; }
	for p; do
		case $(dpkg-query -W -f '${db:Status-Want} ${Essential}' "$p") in
		hold*) say "$p is on hold: apt-mark unhold $p first"; return 1 ;;
		*yes) say "$p is essential"; return 1 ;;
		esac
		had "$n" "$p" || { say "the package file of $p in the installed version cannot be had, so it could not come back: apt-get update, or install dpkg-repack"; return 1; }
	done
}

# had N NAME gets the file of an installed package into debs/N: from apt's cache, from the mirror, or made anew of what is
# installed.
had() {
	mkdir -p "debs/$1"
	! found "$1" "$2" || return 0
	for f in /var/cache/apt/archives/"${2%%:*}"_*.deb; do
		[ ! -e "$f" ] || ! fits "$f" "$2" || { cp "$f" "debs/$1/" && return 0; }
	done
	(cd "debs/$1" && debian apt-get -q -o APT::Sandbox::User=root download "$2=$(dpkg-query -W -f '${Version}' "$2")"; rm -f said)
	! found "$1" "$2" || return 0
	command -v dpkg-repack >/dev/null 2>&1 || return 1
	(mkdir -p "debs/$1/made" && cd "debs/$1/made" && debian dpkg-repack "$2"; rm -f said)
	for f in "debs/$1/made"/*.deb; do
		[ ! -e "$f" ] || ! version "$f" "$2" || { mv "$f" "debs/$1/" && return 0; }
	done
	return 1
}

found() {
	for f in "debs/$1"/*.deb; do
		[ ! -e "$f" ] || ! fits "$f" "$2" || return 0
	done
	return 1
}

# version FILE NAME reports whether the file is of that package as it is installed, and can be read to its end.
version() {
	[ "$(deb -f "$1" Package Version Architecture)" = \
		"$(dpkg-query -W -f 'Package: ${Package}\nVersion: ${Version}\nArchitecture: ${Architecture}' "$2")" ] &&
		deb --fsys-tarfile "$1" >/dev/null
}

# fits is version, and the same files: somebody may have built another of the same version.
fits() {
	version "$1" "$2" || return 1
	list=$(dpkg-query --control-path "$2" md5sums 2>/dev/null)
	[ -z "$list" ] || [ "$(deb -I "$1" md5sums | sort)" = "$(sort "$list")" ]
}

remove_save() {
	[ ! -e "old/$1.units" ] || return 0
	n=$1
	shift
	# shellcheck disable=SC2046
	set -- $(for p; do ! installed "$p" || echo "$p"; done)
	[ $# -gt 0 ] || { : >"old/$n.units"; return 0; }
	apt-mark showauto "$@" >"old/$n.auto" 2>/dev/null
	dpkg-query -L "$@" | units >"old/$n.list"
	while read -r u; do
		printf '%s %s\n' "$u" "$(systemctl is-active "$u" 2>/dev/null)"
	done <"old/$n.list" >"old/$n.units.part"
	mv -f "old/$n.units.part" "old/$n.units"
}

# units are those among a package's files.
units() { sed -n 's#^\(/usr\)\{0,1\}/lib/systemd/system/\([^/@]*\.\(service\|socket\|timer\|path\)\)$#\2#p' | sort -u; }

remove_take() {
	n=$1
	shift
	# shellcheck disable=SC2046
	set -- $(for p; do ! installed "$p" || echo "$p"; done)
	[ $# -gt 0 ] || return 0
	would remove "$@" || return 1
	more=$(others 'Remv \([^ ]*\)')$(sed -n 's/^Inst \([^ ]*\).*/\1/p' said)
	[ -z "$more" ] || { say "apt would also change $more now"; return 1; }
	apt remove "$@"
}
remove_back() {
	[ -z "$booting" ] || return 0
	n=$1
	set --
	for f in "debs/$n"/*.deb; do
		[ -e "$f" ] || continue
		p=$(deb -f "$f" Package):$(deb -f "$f" Architecture)
		installed "${p%:all}" && [ "$(dpkg-query -W -f '${Version}' "${p%:all}")" = "$(deb -f "$f" Version)" ] && continue
		set -- "$@" "$f"
	done
	[ $# = 0 ] || database -i "$@" || return 1
	whole_again
	[ ! -s "old/$n.auto" ] || xargs <"old/$n.auto" apt-mark auto >/dev/null 2>&1
	return 0
}

# services_back has what was installed again run as it did, now that its links are back.
services_back() {
	for f in old/*.units; do
		[ -e "$f" ] || continue
		while read -r u was; do
			runs "$u" "$was" '' </dev/null
		done <"$f"
	done
}

# packages_back takes packages back, and what they have changed. At a start it waits until the host is up: what dpkg runs
# may start services, which would wait for this here.
packages_back() {
	packaging && [ -z "$booting" ] || return 0
	[ -e old/tree.pre ] || tree old/tree.pre
	walk back install remove || { stuck="$stuck$failed" && rm -f old/tree.pre old/tree.theirs && return 1; }
	tree_back || stuck="$stuck packages"
	rm -f old/tree.pre old/tree.theirs
}
