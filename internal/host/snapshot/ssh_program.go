package snapshot

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"picket/internal/core/snap"
)

// lanes is how many commands run side by side.
const lanes = 4

// limits of one round, enforced on the host.
type limits struct {
	walk    time.Duration
	command time.Duration // zero: what the table says
}

func (l limits) of(p snap.Permitted) time.Duration {
	if l.command > 0 {
		return max(l.command, time.Second)
	}
	return p.Timeout
}

// A section of the answer begins with a line of the round's nonce and one of
// these words. What is in it ends in "//" and a line feed where names are
// listed: no path that a folder was searched for has two slashes in a row.
const (
	secMissing  = "no"      // NAME: a tool that we need is not there
	secDenied   = "denied"  // "IDX FOLDER": pattern IDX could not be followed there
	secLstat    = "lstat"   // "MODE UID GID SIZE MTIME PATH"
	secStat     = "stat"    // the same, of what links lead to
	secTargets  = "targets" // tar archives of links
	secReal     = "real"    // "LINK", then where it leads
	secParent   = "parent"  // "FOLDER", then the same without links
	secNoTarget = "locked"  // links that lead where we must not look
	secUnread   = "unread"  // files whose content we must not read
	secMeta     = "meta"    // all of the above is complete
	secFiles    = "files"   // tar archives of files
	secOne      = "one"     // "FILE", then its content
	secFailed   = "failed"  // the one before could not be read
	secHeads    = "heads"   // files as `head -v` prints them
	secHeadErrs = "errs"    // what it complained about
	secContent  = "content" // all content is complete
	secCommand  = "run"     // IDX: output of a command
	secExit     = "exit"    // IDX STATUS: its stderr, or the beginning of it
	secAbsent   = "absent"  // IDX: no such program
	secWalk     = "walk"    // like lstat
	secWalked   = "walked"  // STATUS of find: its stderr, or the beginning of it
	secEnd      = "end"
)

// program compiles a manifest to one POSIX sh program that uses only what
// BusyBox has. It is a function, called in its last line: a program that was
// cut off on the way does nothing.
//
// What runs side by side is put together by pipes alone, without temporary
// files: in `b | { a; cat; }` both run at once and a's output comes first.
func program(m snap.Manifest, nonce string, limit limits) string {
	var b strings.Builder
	b.WriteString("PATH=" + snap.Path + " LC_ALL=C HOME=/ TERM=dumb; export PATH LC_ALL HOME TERM; unset ENV BASH_ENV CDPATH GREP_OPTIONS TAR_OPTIONS\n")
	fmt.Fprintf(&b, "N=%s M=%d W=%d\n", nonce, snap.MaxOutput+1, snap.MaxOutput*2)
	b.WriteString(preamble)

	tasks := []string{compileFiles(&b, m)}
	tasks = append(tasks, compileCommands(&b, m.Commands, limit)...)
	if m.Walk != nil {
		tasks = append(tasks, compileWalk(&b, m.Walk, limit.walk))
	}
	for i, t := range slices.Backward(tasks) {
		if i == len(tasks)-1 {
			fmt.Fprintf(&b, "lane%d() { %s; }\n", i, kept(i, t))
		} else {
			fmt.Fprintf(&b, "lane%d() { lane%d | { %s; cat; }; }\n", i, i+1, kept(i, t))
		}
	}
	b.WriteString("round() { set +e +f; tools || return 0; lane0; say " + secEnd + "; }\nround </dev/null 2>/dev/null\n")
	return b.String()
}

// kept has what a task prints wait in memory until it is its turn, so that no
// command is taken for a slow one because the wire is. The first goes out as
// it comes.
func kept(i int, task string) string {
	if i == 0 {
		return task + " </dev/null"
	}
	return task + " </dev/null | $B"
}

// preamble holds the functions that do not depend on the manifest. $f is the
// path in hand.
const preamble = `say() { printf '\n%s %s\n' "$N" "$*"; }
tools() {
	for t in stat xargs tar find head cat; do
		command -v "$t" >/dev/null || { say no "$t"; return 1; }
	done
	B="dd bs=$W iflag=fullblock"
	[ "$(printf x | $B)" = x ] || B='cat'
	T=
	if timeout -s KILL 9 true; then T='timeout -s KILL'
	elif timeout -s KILL -t 9 true; then T='timeout -s KILL -t'
	fi
	return 0
}
real() {
	case $f in */.|*/..|*/./*|*/../*) return 1 ;; esac
	[ -e "$f" ] || [ -L "$f" ]
}
any() { real && printf '%s\0' "$f"; }
link() { real && [ -L "$f" ] && printf '%s\0' "$f"; }
whole() { real && [ -L "$f" ] && [ -e "$f" ] && printf '%s\0' "$f"; }
full() { real && [ -f "$f" ] && [ -r "$f" ] && [ -s "$f" ] && printf '%s\0' "$f"; }
readable() { real && [ -f "$f" ] && [ -r "$f" ] && printf '%s\0' "$f"; }
unread() { real && [ -f "$f" ] && [ ! -r "$f" ] && printf '%s//\n' "$f"; }
locked() {
	real && [ -L "$f" ] && [ ! -e "$f" ] || return 0
	case $(stat -L "$f" 2>&1) in *': Permission denied') printf '%s//\n' "$f" ;; esac
}
parent() {
	real || return 0
	p=${f%/*}
	[ -n "$p" ] && [ "$p" != "$last" ] || return 0
	last=$p
	cd -P "$p/" && [ "$PWD" != "$p" ] && printf '%s//\n%s//\n' "$p" "$PWD"
}
one() {
	real && [ -f "$f" ] && [ -r "$f" ] || return 0
	say one
	printf '%s//\n' "$f"
	head -c "$1" <"$f" || say failed
}
empty() {
	real && [ -f "$f" ] && [ -r "$f" ] && [ ! -s "$f" ] || return 0
	if IFS= read -r l <"$f" || [ -n "$l" ]; then one "$1"
	else say one; printf '%s//\n' "$f"
	fi
}
deny() { printf '%s %s//\n' "$1" "$2"; }
gone() {
	f=$2
	if [ -e "$f" ] || [ -L "$f" ]; then return; fi
	while [ -n "$f" ]; do
		if [ -e "$f" ]; then
			if [ -d "$f" ] && [ ! -x "$f" ]; then deny "$1" "$f"; fi
			return
		fi
		if [ -L "$f" ]; then
			case $(stat -L "$f" 2>&1) in *': Permission denied') deny "$1" "$f" ;; esac
			return
		fi
		f=${f%/*}
	done
}
list() {
	if [ ! -e "$f" ]; then gone "$1" "$f"
	elif [ -d "$f" ]; then [ -r "$f" ] && [ -x "$f" ] || deny "$1" "$f"
	fi
}
enter() { if [ -d "$f" ] && [ ! -x "$f" ]; then deny "$1" "$f"; fi; }
lstats() { xargs -0 -r stat -c '%f %u %g %s %Y %n//'; }
stats() { xargs -0 -r stat -L -c '%f %u %g %s %Y %n//'; }
reals() {
	xargs -0 -r sh -c 'r=$(realpath "$@") && c=$(set -f; IFS="
"; set -- $r; echo $#) && [ "$c" = $# ] || r=
		if [ -n "$r" ]; then
			set -f; IFS="
"
			for l in $r; do printf "%s//\n%s//\n" "$1" "$l"; shift; done
		else
			for l; do r=$(readlink -f "$l"; echo x); printf "%s//\n%s//\n" "$l" "${r%?x}"; done
		fi' sh
}
small() { xargs -0 -r sh -c 'l=$1; shift; exec find -L "$@" -prune -type f -size -"$l"c -print0' sh "$1" | xargs -0 -r tar -chf -; }
large() {
	xargs -0 -r sh -c 'l=$1; shift; exec find -L "$@" -prune -type f -size +"$l"c -print0' sh "$1" |
		N=$N xargs -0 -r sh -c 'l=$1; shift; for f; do
			printf "\n%s one\n%s//\n" "$N" "$f"
			head -c "$l" <"$f" || printf "\n%s failed\n" "$N"
		done' sh "$2"
}
heads() {
	say heads
	{ e=$(xargs -0 -r head -v -c "$1" 2>&1 1>&3 3>&-); } 3>&1
	say errs
	printf '%s' "$e"
}
head16k() { head -c 16384; cat >/dev/null; }
mark() { printf '%s' "$N:$1:"; }
split() {
	s=${e#*"$N:"}
	s=${s%%:*}
	e=${e%%"$N:"*}${e#*"$N:$s:"}
}
run() {
	i=$1 t=$2
	shift 2
	command -v "$1" >/dev/null || { say absent "$i"; return; }
	say run "$i"
	if [ -n "$T" ]; then set -- $T "$t" "$@"; fi
	{ e=$({ { { (exec "$@" 2>&3 3>&- 4>&- 5>&- </dev/null); mark $? >&5; } | head -c "$M" >&4 3>&- 5>&-; } 3>&1 | head16k; } 5>&1); } 4>&1
	split
	say exit "$i" "$s"
	printf '%s' "$e"
}
`

// compileFiles writes the functions that go through the patterns, and returns
// what reads them all.
func compileFiles(b *strings.Builder, m snap.Manifest) string {
	var all, virtual, alone []string
	groups := map[int64][]string{}
	for _, p := range m.Files {
		w, ok := shellPattern(p)
		if !ok {
			continue
		}
		all = append(all, w)
		switch {
		case strings.HasPrefix(p, "/proc/sys/"), strings.HasPrefix(p, "/sys/"):
			virtual = append(virtual, w)
		case strings.HasPrefix(p, "/proc/"):
			alone = append(alone, w)
		default:
			l := snap.FileLimit(p)
			groups[l] = append(groups[l], w)
		}
	}
	content := slices.Clone(all)
	for _, p := range m.Stats {
		if w, ok := shellPattern(p); ok {
			all = append(all, w)
		}
	}
	each := func(name string, words []string) {
		fmt.Fprintf(b, "%s() {\n", name)
		if len(words) > 0 {
			fmt.Fprintf(b, "for f in %s; do \"$@\"; done\n", strings.Join(words, " \\\n"))
		}
		b.WriteString("return 0\n}\n")
	}
	each("all", all)
	each("wanted", content)
	each("virtual", virtual)
	each("alone", alone)
	fmt.Fprintf(b, "denials() {\n%sreturn 0\n}\n", compileDenials(m))

	b.WriteString("meta() {\nsay denied; denials\n")
	for _, s := range [][2]string{
		{secLstat, "all any | lstats"},
		{secStat, "all whole | stats"},
		{secTargets, "all link | xargs -0 -r tar -cf -"},
		{secReal, "all whole | reals"},
		{secParent, "( last=; all parent )"},
		{secNoTarget, "all locked"},
		{secUnread, "wanted unread"},
	} {
		fmt.Fprintf(b, "say %s; %s\n", s[0], s[1])
	}
	fmt.Fprintf(b, "say %s\n}\ncontent() {\n", secMeta)
	var limits []int64
	for l := range groups {
		limits = append(limits, l)
	}
	slices.Sort(limits)
	var fns strings.Builder
	for i, l := range limits {
		name := fmt.Sprintf("group%d", i)
		fmt.Fprintf(&fns, "%s() {\nfor f in %s; do \"$@\"; done\nreturn 0\n}\n", name, strings.Join(groups[l], " \\\n"))
		fmt.Fprintf(b, "say %s; %s full | small %d\n", secFiles, name, l+1)
		fmt.Fprintf(b, "%s full | large %d %d\n", name, l, l)
		fmt.Fprintf(b, "%s empty %d\n", name, l+1)
	}
	if len(virtual) > 0 {
		fmt.Fprintf(b, "virtual readable | heads %d\n", snap.MaxFile+1)
	}
	if len(alone) > 0 {
		fmt.Fprintf(b, "alone one %d\n", snap.MaxFile+1)
	}
	fmt.Fprintf(b, "say %s\n}\n%sfiles() { meta; content; }\n", secContent, fns.String())
	return "files"
}

// compileDenials writes, for each pattern, a look at the folders on its way:
// one that we may not search or list hides what is in it.
func compileDenials(m snap.Manifest) string {
	var b strings.Builder
	for i, p := range slices.Concat(m.Files, m.Stats) {
		if _, ok := shellPattern(p); !ok {
			continue
		}
		parts := strings.Split(p, "/")[1:]
		wild := slices.IndexFunc(parts, snap.IsPattern)
		if wild < 0 {
			fmt.Fprintf(&b, "gone %d %s\n", i, quoteWord(p))
			continue
		}
		for k := wild; k < len(parts); k++ {
			dir, _ := shellPattern("/" + strings.Join(parts[:k], "/"))
			check := "enter"
			if snap.IsPattern(parts[k]) {
				check = "list"
			} else if k <= wild {
				continue
			}
			fmt.Fprintf(&b, "for f in %s; do %s %d; done\n", dir, check, i)
		}
	}
	return b.String()
}

// compileCommands spreads the commands over lanes. Those that may take long
// come last, as what is behind them waits.
func compileCommands(b *strings.Builder, cs []snap.Command, limit limits) []string {
	calls := make([][]string, lanes+1)
	for i, c := range cs {
		p, err := snap.Permit(c.Argv)
		if err != nil {
			continue // Take has refused it; the reader says that it was not run
		}
		words := make([]string, len(c.Argv))
		for j, w := range c.Argv {
			words[j] = quoteWord(w)
		}
		lane := i % lanes
		if p.Timeout > snap.DefaultTimeout {
			lane = lanes
		}
		calls[lane] = append(calls[lane], fmt.Sprintf("run %d %d %s\n", i, int(limit.of(p).Seconds()), strings.Join(words, " ")))
	}
	var tasks []string
	for i, c := range calls {
		if len(c) > 0 {
			fmt.Fprintf(b, "commands%d() {\n%s}\n", i, strings.Join(c, ""))
			tasks = append(tasks, fmt.Sprintf("commands%d", i))
		}
	}
	return tasks
}

// compileWalk writes the one pass of find over the file systems. The time limit
// is on find alone: what it has found until then is still looked at, which is
// why it must not keep it back.
func compileWalk(b *strings.Builder, w *snap.Walk, limit time.Duration) string {
	var roots, prune []string
	for _, r := range w.Roots {
		if word := quoteWord(r); strings.HasPrefix(r, "/") && !slices.Contains(roots, word) {
			roots = append(roots, word)
		}
	}
	for _, s := range slices.Concat(w.Skip, snap.WalkSkip) {
		if test := findPath(s); !slices.Contains(prune, test) {
			prune = append(prune, test)
		}
	}
	want := []string{
		`-type f \( -perm -4000 -o -perm -2000 \)`,
		`\( -type f -o -type b -o -type c \) -perm -0002`,
		`-type d -perm -0002 ! -perm -1000`,
	}
	for _, known := range []struct {
		test string
		ids  []int
	}{{"-user", w.UIDs}, {"-group", w.GIDs}} {
		var not []string
		for _, id := range known.ids {
			not = append(not, fmt.Sprintf("! %s %d", known.test, id))
		}
		if not != nil {
			want = append(want, "! -type l "+strings.Join(not, " "))
		}
	}
	fmt.Fprintf(b, `walk() {
say walk
u=
if command -v stdbuf >/dev/null; then u='stdbuf -o0'; fi
{ e=$({ { { (exec ${T:+$T %d} $u find %s -xdev \( %s \) -prune -o \( %s \) -print0 2>&3 3>&- 4>&- 5>&-); mark $? >&5; } |
	lstats >&4 3>&- 5>&-; } 3>&1 | head16k; } 5>&1); } 4>&1
split
say walked "$s"
printf '%%s' "$e"
}
`, int(max(limit, time.Second).Seconds()), strings.Join(roots, " "), strings.Join(prune, " -o "), strings.Join(want, " -o "))
	return "walk"
}

// findPath is a test of find for a pattern. In find a star matches slashes,
// too; with another number of them it is another folder.
func findPath(pattern string) string {
	if !snap.IsPattern(pattern) {
		return "-path " + quoteWord(findLiteral.Replace(pattern))
	}
	deeper := strings.Repeat("/*", strings.Count(pattern, "/")+1)
	return `\( -path ` + quoteWord(pattern) + " ! -path " + quoteWord(deeper) + ` \)`
}

var findLiteral = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`)

// shellPattern writes a manifest's pattern as a word of sh that matches at
// least the same; the reader leaves out what is too much. Patterns that can
// name nothing are not ok.
func shellPattern(p string) (word string, ok bool) {
	if p == "/" || p == "" {
		return "/", true
	}
	if !strings.HasPrefix(p, "/") || strings.ContainsRune(p, 0) {
		return "", false
	}
	var b strings.Builder
	for _, c := range strings.Split(p[1:], "/") {
		if c == "" || c == "." || c == ".." {
			return "", false
		}
		b.WriteByte('/')
		if !snap.IsPattern(c) {
			b.WriteString(quoteWord(c))
			continue
		}
		for i := 0; i < len(c); i++ {
			switch c[i] {
			case '*':
				b.WriteByte('*')
			case '?': // one character there, one byte here
				b.WriteString("?*")
			case '[':
				end := strings.IndexByte(c[i+1:], ']')
				if end < 0 {
					return "", false // an error in path.Match: matches nothing
				}
				if class := c[i+1 : i+1+end]; simpleClass(class) {
					b.WriteString("[" + class + "]")
					i += end + 1
					continue
				}
				b.WriteString("*") // and all that follows: the reader knows better
				i = len(c)
			case '\\':
				if i++; i == len(c) {
					return "", false
				}
				b.WriteString(quoteWord(c[i : i+1]))
			default:
				b.WriteString(quoteWord(c[i : i+1]))
			}
		}
	}
	return b.String(), true
}

// simpleClass tells a class that means the same to path.Match and to sh.
func simpleClass(c string) bool {
	return c != "" && c[0] != '-' && c[len(c)-1] != '-' && strings.IndexFunc(c, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-')
	}) < 0
}

// quoteWord writes a string so that sh takes it as it is.
func quoteWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_./,:@%+-", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
