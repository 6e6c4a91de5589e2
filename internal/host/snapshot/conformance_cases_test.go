package snapshot

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"picket/internal/core/snap"
)

// conformance is what is planted, asked, and answered by every way. Files are
// given as
//
//	PATH: TYPE MODE OWNER SIZE -> TARGET = REAL "CONTENT"
//
// with "me" as the owner of the test, and no size of folders.
var conformance = []struct {
	name   string
	plant  func(p *planted)
	files  []string
	stats  []string
	want   string
	states map[string]snap.State // of paths that are not there
	user   bool                  // does not hold for root
}{
	{
		name: "files",
		plant: func(p *planted) {
			p.file("files/plain", 0o644, "one\ntwo")
			p.file("files/empty", 0o600, "")
			p.file("files/blank", 0o644, "\n\n")
			p.file("files/nul", 0o644, "a\x00b\x00")
			p.file("files/set", 0o4751, "x")
			p.file("files/boundary", 0o644, "\npicket-0 end\n==> /etc/passwd <==\nroot\n//\n")
			p.must(os.Link(filepath.Join(p.dir, "files/plain"), filepath.Join(p.dir, "files/same")))
		},
		files: []string{"/files/*"},
		want: `
/files/blank: file 0644 me 2 "\n\n"
/files/boundary: file 0644 me 42 "\npicket-0 end\n==> /etc/passwd <==\nroot\n//\n"
/files/empty: file 0600 me 0 ""
/files/nul: file 0644 me 4 "a\x00b\x00"
/files/plain: file 0644 me 7 "one\ntwo"
/files/same: file 0644 me 7 "one\ntwo"
/files/set: file 4751 me 1 "x"`,
		states: map[string]snap.State{"/files/none": snap.Absent, "/files/.none": snap.Unknown},
	},
	{
		name: "kinds",
		plant: func(p *planted) {
			p.must(os.MkdirAll(filepath.Join(p.dir, "kinds/folder"), 0o755), syscall.Mkfifo(filepath.Join(p.dir, "kinds/fifo"), 0o600),
				syscall.Mknod(filepath.Join(p.dir, "kinds/socket"), syscall.S_IFSOCK|0o600, 0))
			p.mode("kinds/folder", 0o1777)
		},
		files: []string{"/kinds/*"},
		want: `
/kinds/fifo: fifo 0600 me 0
/kinds/folder: dir 1777 me
/kinds/socket: socket 0600 me 0`,
		states: map[string]snap.State{"/kinds/fifo": snap.Absent, "/kinds/folder": snap.Absent},
	},
	{
		name: "links",
		plant: func(p *planted) {
			p.file("links/to", 0o640, "here")
			p.file("links/deep/er/file", 0o644, "deep")
			p.link("links/relative", "to")
			p.link("links/absolute", p.prefix+"/links/to")
			p.link("links/chain", "absolute")
			p.link("links/dangling", "nowhere")
			p.link("links/loop", "pool")
			p.link("links/pool", "loop")
			p.link("links/short", "deep/er")
			p.link("links/up", "deep/er/../../to")
			p.link("links/down", p.prefix+"/links/short/file")
		},
		files: []string{"/links/*", "/links/short/file"},
		want: `
/links/absolute: file 0640 me 4 -> /links/to = /links/to "here"
/links/chain: file 0640 me 4 -> absolute = /links/to "here"
/links/dangling: link 0777 me 7 -> nowhere
/links/deep: dir 0755 me
/links/down: file 0644 me 4 -> /links/short/file = /links/deep/er/file "deep"
/links/loop: link 0777 me 4 -> pool
/links/pool: link 0777 me 4 -> loop
/links/relative: file 0640 me 4 -> to = /links/to "here"
/links/short: dir 0755 me -> deep/er = /links/deep/er
/links/short/file: file 0644 me 4 = /links/deep/er/file "deep"
/links/to: file 0640 me 4 "here"
/links/up: file 0640 me 4 -> deep/er/../../to = /links/to "here"`,
		states: map[string]snap.State{"/links/dangling": snap.Absent, "/links/loop": snap.Absent},
	},
	{
		name: "names",
		plant: func(p *planted) {
			for _, n := range []string{
				"-dash", "a b", "line\nfeed", "end\n", `quo'te"$(touch x)` + "`touch y`", `back\slash`, "star*", "[ab]", "bad\xff\xfeutf8", "näme", "~", "x//",
				"picket-0 end",
			} {
				p.file("names/"+strings.TrimRight(n, "/"), 0o644, "1")
			}
			p.file("names/x\n/\ny", 0o644, "2")
			p.link("names/to\nodd", "line\nfeed")
		},
		files: []string{"/names/*", "/names/x\n/*", `/names/[[]ab\]`, "/names/;$(touch z)"},
		want: `
/names/-dash: file 0644 me 1 "1"
"/names/[ab]": file 0644 me 1 "1"
"/names/a b": file 0644 me 1 "1"
"/names/back\\slash": file 0644 me 1 "1"
"/names/bad\xff\xfeutf8": file 0644 me 1 "1"
"/names/end\n": file 0644 me 1 "1"
"/names/line\nfeed": file 0644 me 1 "1"
/names/näme: file 0644 me 1 "1"
"/names/picket-0 end": file 0644 me 1 "1"
"/names/quo'te\"$(touch x)` + "`touch y`" + `": file 0644 me 1 "1"
"/names/star*": file 0644 me 1 "1"
"/names/to\nodd": file 0644 me 1 -> "line\nfeed" = "/names/line\nfeed" "1"
/names/x: file 0644 me 1 "1"
"/names/x\n": dir 0755 me
"/names/x\n/\ny": file 0644 me 1 "2"
/names/~: file 0644 me 1 "1"`,
		states: map[string]snap.State{"/names/;$(touch z)": snap.Absent, "/names/z": snap.Absent, "/names/y": snap.Absent},
	},
	{
		name: "patterns",
		plant: func(p *planted) {
			for _, n := range []string{"conf.d/10-a.conf", "conf.d/20-b.conf", "conf.d/.hidden.conf", "conf.d/readme", "home/amy/.keys/k", "home/bob/.keys/k", "home/carl/none", "home/.x/.keys/k", "star*", "starry"} {
				p.file("patterns/"+n, 0o644, "")
			}
			p.link("patterns/home/link", "amy")
		},
		files: []string{"/patterns/conf.d/*.conf", "/patterns/home/*/.keys/k", "/patterns/none/*/x", "/patterns/conf.d/readme/x"},
		stats: []string{"/patterns/conf.d/[0-1]0*", "/patterns/conf.d/[^1]*", `/patterns/sta[r]\*`, "/patterns/conf.d/r?adme", "/patterns/conf.d/.h*", "/patterns/conf.d/[", "/patterns"},
		want: `
/patterns: dir 0755 me
/patterns/conf.d/.hidden.conf: file 0644 me 0
/patterns/conf.d/10-a.conf: file 0644 me 0 ""
/patterns/conf.d/20-b.conf: file 0644 me 0 ""
/patterns/conf.d/readme: file 0644 me 0
/patterns/home/amy/.keys/k: file 0644 me 0 ""
/patterns/home/bob/.keys/k: file 0644 me 0 ""
/patterns/home/link/.keys/k: file 0644 me 0 = /patterns/home/amy/.keys/k ""
"/patterns/star*": file 0644 me 0`,
		states: map[string]snap.State{
			"/patterns/none/a/x": snap.Absent, "/patterns/home/carl/.keys/k": snap.Absent, "/patterns/conf.d/readme/x": snap.Absent,
			"/patterns/home/.x/.keys/k": snap.Unknown, "/patterns/starry": snap.Unknown,
		},
	},
	{
		name: "large",
		plant: func(p *planted) {
			p.file("large/exact", 0o644, strings.Repeat("y", snap.MaxFile))
			p.file("large/more", 0o644, strings.Repeat("x", snap.MaxFile+5))
			p.file("large/sparse", 0o644, "")
			p.must(os.Truncate(filepath.Join(p.dir, "large/sparse"), 10<<30))
		},
		files: []string{"/large/*"},
		want: `
/large/exact: file 0644 me 1048576 1048576 bytes
/large/more: file 0644 me 1048581 cut 1048576 bytes
/large/sparse: file 0644 me 10737418240 cut 1048576 bytes`,
	},
	{
		name: "denied",
		user: true,
		plant: func(p *planted) {
			p.file("denied/file", 0, "x")
			p.link("denied/link", "file")
			p.file("denied/home/amy/.keys/k", 0o644, "amy")
			p.file("denied/home/bob/.keys/k", 0o644, "bob")
			p.file("denied/conf.d/a", 0o644, "a")
			p.link("denied/hidden", "home/bob/.keys")
			p.must(os.MkdirAll(filepath.Join(p.dir, "denied/home/carl"), 0o755))
			p.mode("denied/home/bob", 0)
			p.mode("denied/conf.d", 0)
		},
		files: []string{
			"/denied/file", "/denied/link", "/denied/home/*/.keys/k", "/denied/home/bob/.keys/l", "/denied/home/carl/.keys/k",
			"/denied/conf.d/*", "/denied/conf.d/b", "/denied/hidden", "/denied/hidden/k",
		},
		want: `
/denied/file: file 0000 me 1 (run as root to read /denied/file)
/denied/home/amy/.keys/k: file 0644 me 3 "amy"
/denied/link: file 0000 me 1 -> file = /denied/file (run as root to read /denied/link)
denied /denied/conf.d/*: run as root to read /denied/conf.d/
denied /denied/conf.d/b: run as root to read /denied/conf.d/b
denied /denied/hidden/k: run as root to read /denied/hidden/k
denied /denied/hidden: run as root to read /denied/hidden
denied /denied/home/bob/.keys/k: run as root to read /denied/home/bob/.keys/k
denied /denied/home/bob/.keys/l: run as root to read /denied/home/bob/.keys/l`,
		states: map[string]snap.State{"/denied/home/carl/.keys/k": snap.Absent, "/denied/home/bob/.keys/k": snap.Denied, "/denied/conf.d/x": snap.Denied},
	},
	{
		name:   "absent",
		files:  []string{"/absent", "/absent/*", "/absent/a/*/b"},
		states: map[string]snap.State{"/absent": snap.Absent, "/absent/x": snap.Absent, "/absent/a/b/b": snap.Absent},
	},
	{
		name: "in the place of commands",
		plant: func(p *planted) {
			p.file("instead/missing", 0o644, "m")
			p.file("instead/there", 0o644, "t")
			p.file("instead/failed", 0o644, "f")
		},
		want: `
/instead/failed: file 0644 me 1 "f"
/instead/missing: file 0644 me 1 "m"`,
	},
	{
		name: "walk",
		plant: func(p *planted) {
			p.file("walk/ok", 0o644, "")
			p.file("walk/suid", 0o4755, "")
			p.file("walk/sub/sgid", 0o2755, "")
			p.file("walk/any one\n", 0o666, "")
			p.file("walk/skip[1]/suid", 0o4755, "")
			p.file("walk/skip1/suid", 0o4755, "")
			p.file("walk/users/a/store/suid", 0o4755, "")
			p.file("walk/users/a/b/store/suid", 0o4755, "")
			p.file("walk/open/x", 0o644, "")
			p.file("walk/drop/x", 0o644, "")
			p.must(syscall.Mkfifo(filepath.Join(p.dir, "walk/fifo"), 0o600))
			p.mode("walk/fifo", 0o666)
			p.mode("walk/open", 0o777)
			p.mode("walk/drop", 0o1777)
			p.link("walk/link", "ok")
		},
		want: `
found "/walk/any one\n": file 0666 me 0
found "/walk/skip[1]/suid": file 4755 me 0
found /walk/open: dir 0777 me
found /walk/sub/sgid: file 2755 me 0
found /walk/suid: file 4755 me 0
found /walk/users/a/b/store/suid: file 4755 me 0`,
	},
}

// scripts are the commands of the planted host.
var scripts = map[string]string{
	"ntpq":        `printf 'out\n\0\377no end'; printf 'err\n\377' >&2; cat; exit 3`,
	"nft":         `for a; do printf '[%s]' "$a"; done; echo; echo "$LC_ALL$N$HOME"; cat`,
	"iw":          `cat /dev/zero`,
	"timedatectl": `echo first; exec sleep 60`,
	"chronyc":     `kill -TERM $$`,
	"sshd":        `for a; do printf '[%s]' "$a"; done`,
	"apt-cache":   `head -c 100000 /dev/zero | tr '\0' e >&2; echo done`,
	"apt-config":  `echo 'APT "";'`,
	"ss":          "printf no >&2; exit 1",
}

var commands = []struct {
	argv    []string
	instead string
	want    string
}{
	{argv: []string{"ntpq", "-pn"}, want: `exit 3 "out\n\x00\xffno end" stderr "err\n` + "\uFFFD" + `"`},
	{argv: []string{"nft", "-j", "list", "ruleset"}, want: `exit 0 "[-j][list][ruleset]\nC/\n"`},
	{argv: []string{"sshd", "-T", "-C", `user=a b\$x`}, want: `exit 0 "[-T][-C][user=a b\\$x]"`},
	{argv: []string{"iw", "dev"}, want: `exit -1 cut 8388608 bytes (it printed more than 8 MB)`},
	{argv: []string{"chronyc", "-n", "tracking"}, want: `exit -1 "" (ended by signal 15)`},
	{argv: []string{"apt-cache", "policy"}, want: `exit 0 "done\n" stderr 16384 bytes`},
	{argv: []string{"fail2ban-client", "ping"}, instead: "/instead/missing", want: `missing`},
	{argv: []string{"apt-config", "dump"}, instead: "/instead/there", want: `exit 0 "APT \"\";\n"`},
	{argv: []string{"ss", "-Hltunpe"}, instead: "/instead/failed", want: `exit 1 "" stderr "no"`},
}
