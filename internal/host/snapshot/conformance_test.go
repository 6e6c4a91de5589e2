package snapshot

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"picket/internal/core/snap"
	"picket/internal/host/remote"
	"picket/lab/sshserver"
)

// A way to take a snapshot, all of which give the same answers.
type way struct {
	name     string
	commands bool // it can run them
	inside   bool // paths are those within the planted folder
	take     func(t *testing.T, p *planted, m snap.Manifest) *snap.Snapshot
}

var ways = []way{
	{"local", true, false, func(t *testing.T, p *planted, m snap.Manifest) *snap.Snapshot {
		return taken(t, ownMachine(p), m)
	}},
	{"image", false, true, func(t *testing.T, p *planted, m snap.Manifest) *snap.Snapshot {
		tk, err := NewImage(p.dir)
		if err != nil {
			t.Fatal(err)
		}
		return taken(t, tk, m)
	}},
	{"saved", true, false, func(t *testing.T, p *planted, m snap.Manifest) *snap.Snapshot {
		var file bytes.Buffer
		if err := Save(&file, taken(t, ownMachine(p), m)); err != nil {
			t.Fatal(err)
		}
		s, err := Load(&file)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}},
	{"ssh through dash", true, false, throughShell("dash")},
	{"ssh through bash", true, false, throughShell("bash")},
	{"ssh through busybox", true, false, throughShell("busybox")},
	{"ssh with a key from a file", true, false, func(t *testing.T, p *planted, m snap.Manifest) *snap.Snapshot {
		server := sshserver.Real(t)
		return throughSSHD(t, server, p, m, remote.Options{Identities: []string{server.Key}})
	}},
	{"ssh with a key of the agent", true, false, func(t *testing.T, p *planted, m snap.Manifest) *snap.Snapshot {
		server := sshserver.Real(t)
		return throughSSHD(t, server, p, m, remote.Options{AgentSocket: sshserver.Agent(t, server.Key)})
	}},
}

func ownMachine(p *planted) Taker {
	return &local{run: runner{path: p.bin + ":" + snap.Path, workers: 4, time: p.patience}, walk: snap.WalkTime}
}

func throughShell(name string) func(*testing.T, *planted, snap.Manifest) *snap.Snapshot {
	return func(t *testing.T, p *planted, m snap.Manifest) *snap.Snapshot {
		connect, path := shell(t, name)
		c := onPath{connect(), p.bin + ":" + path}
		return taken(t, NewSSH(c, "ssh://test", SSHOptions{NoSudo: true, Command: p.patience}), m)
	}
}

func throughSSHD(t *testing.T, server *sshserver.Server, p *planted, m snap.Manifest, opt remote.Options) *snap.Snapshot {
	target, err := remote.ParseTarget(server.Target())
	if err != nil {
		t.Fatal(err)
	}
	opt.KnownHosts = []string{server.KnownHosts(t)}
	c, err := remote.Dial(t.Context(), target, opt)
	if err != nil {
		t.Fatal(err)
	}
	return taken(t, NewSSH(onPath{c, p.bin + ":" + snap.Path}, server.Target(), SSHOptions{NoSudo: true, Command: p.patience}), m)
}

func taken(t *testing.T, tk Taker, m snap.Manifest) *snap.Snapshot {
	t.Helper()
	s, err := round(t, tk, m)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// planted is a folder with files of all kinds.
type planted struct {
	t      *testing.T
	dir    string // where they are
	prefix string // of paths, as the host sees them
	bin    string

	patience time.Duration // with a command
}

func plantFor(t *testing.T, w way) *planted {
	base := t.TempDir()
	p := &planted{t: t, dir: filepath.Join(base, "it's $here"), bin: filepath.Join(base, "bin"), patience: time.Minute}
	if !w.inside {
		p.prefix = p.dir
	}
	p.must(os.Mkdir(p.dir, 0o755), os.Mkdir(p.bin, 0o755))
	openUp(t, p.dir)
	t.Cleanup(func() { // of folders that nobody may enter
		filepath.WalkDir(p.dir, func(f string, d os.DirEntry, err error) error {
			if d != nil && d.IsDir() {
				os.Chmod(f, 0o755)
			}
			return nil
		})
	})
	p.file("etc/os-release", 0o644, "ID=debian\n")
	for _, c := range conformance {
		if c.plant != nil {
			c.plant(p)
		}
	}
	for name, text := range scripts {
		p.must(os.WriteFile(filepath.Join(p.bin, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	}
	return p
}

func (p *planted) must(errs ...error) {
	p.t.Helper()
	for _, err := range errs {
		if err != nil {
			p.t.Fatal(err)
		}
	}
}

func (p *planted) file(name string, mode uint32, content string) {
	p.t.Helper()
	f := filepath.Join(p.dir, name)
	p.must(os.MkdirAll(filepath.Dir(f), 0o755), os.WriteFile(f, []byte(content), 0o600), syscall.Chmod(f, mode),
		os.Chtimes(f, time.Unix(1700000000, 0), time.Unix(1700000000, 0)))
}

func (p *planted) link(name, target string) {
	p.t.Helper()
	f := filepath.Join(p.dir, name)
	p.must(os.MkdirAll(filepath.Dir(f), 0o755), os.Symlink(target, f))
}

func (p *planted) mode(name string, mode uint32) {
	p.t.Helper()
	p.must(syscall.Chmod(filepath.Join(p.dir, name), mode))
}

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
	"aa-status":  `printf 'out\n\0\377no end'; printf 'err\n\377' >&2; cat; exit 3`,
	"nft":        `for a; do printf '[%s]' "$a"; done; echo; echo "$LC_ALL$N$HOME"; cat`,
	"iw":         `cat /dev/zero`,
	"ufw":        `echo first; exec sleep 60`,
	"chronyc":    `kill -TERM $$`,
	"sshd":       `for a; do printf '[%s]' "$a"; done`,
	"apt-cache":  `head -c 100000 /dev/zero | tr '\0' e >&2; echo done`,
	"apt-config": `echo 'APT "";'`,
	"ss":         "printf no >&2; exit 1",
}

var commands = []struct {
	argv    []string
	instead string
	want    string
}{
	{argv: []string{"aa-status", "--json"}, want: `exit 3 "out\n\x00\xffno end" stderr "err\n` + "\uFFFD" + `"`},
	{argv: []string{"nft", "-j", "list", "ruleset"}, want: `exit 0 "[-j][list][ruleset]\nC/\n"`},
	{argv: []string{"sshd", "-T", "-C", `user=a b\$x`}, want: `exit 0 "[-T][-C][user=a b\\$x]"`},
	{argv: []string{"iw", "dev"}, want: `exit -1 cut 8388608 bytes (it printed more than 8 MB)`},
	{argv: []string{"chronyc", "-n", "tracking"}, want: `exit -1 "" (ended by signal 15)`},
	{argv: []string{"apt-cache", "policy"}, want: `exit 0 "done\n" stderr 16384 bytes`},
	{argv: []string{"fail2ban-client", "ping"}, instead: "/instead/missing", want: `missing`},
	{argv: []string{"apt-config", "dump"}, instead: "/instead/there", want: `exit 0 "APT \"\";\n"`},
	{argv: []string{"ss", "-Hltunpe"}, instead: "/instead/failed", want: `exit 1 "" stderr "no"`},
}

func TestConformance(t *testing.T) {
	if os.Getuid() == 0 {
		t.Run("as another user", again)
	}
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			p := plantFor(t, w)
			m := snap.Manifest{Walk: &snap.Walk{
				Roots: []string{p.prefix + "/walk", p.prefix + "/walk"}, UIDs: []int{os.Getuid()}, GIDs: []int{os.Getgid()},
				Skip: []string{p.prefix + "/walk/skip1", p.prefix + "/walk/users/*/store"},
			}}
			for _, c := range conformance {
				for _, f := range c.files {
					m.Files = append(m.Files, p.prefix+f)
				}
				for _, f := range c.stats {
					m.Stats = append(m.Stats, p.prefix+f)
				}
			}
			for _, c := range commands {
				cmd := snap.Command{Argv: c.argv}
				if c.instead != "" {
					cmd.Instead = []string{p.prefix + c.instead}
				}
				m.Commands = append(m.Commands, cmd)
			}
			s := w.take(t, p, m)
			if len(s.Problems) > 0 {
				t.Errorf("problems: %q", s.Problems)
			}
			if s.Source.UID != os.Getuid() {
				t.Errorf("read as %d", s.Source.UID)
			}
			lines := describeAll(s, p.prefix)
			for _, c := range conformance {
				if c.user && os.Getuid() == 0 {
					continue
				}
				t.Run(c.name, func(t *testing.T) {
					want := strings.TrimPrefix(c.want, "\n")
					if !w.commands && c.name == "in the place of commands" {
						want += "\n" + `/instead/there: file 0644 me 1 "t"` // nothing runs there
					}
					topic := c.name
					if strings.HasPrefix(topic, "in the") {
						topic = "instead"
					}
					wanted := strings.Split(strings.TrimPrefix(want, "\n"), "\n")
					slices.Sort(wanted)
					if d := cmp.Diff(wanted, about(lines, topic)); want != "" && d != "" {
						t.Errorf("wanted - , got + :\n%s", d)
					}
					for f, state := range c.states {
						if _, st, why := s.File(p.prefix + f); st != state {
							t.Errorf("%q is %v (%s), not %v", f, st, why, state)
						}
					}
				})
			}
			if s.Walk.Err != "" {
				t.Errorf("the walk is incomplete: %s", s.Walk.Err)
			}
			for _, c := range commands {
				want := c.want
				if !w.commands {
					want = `exit -1 "" (` + NoCommands + ")"
				}
				if got := describeOutput(s.Commands[snap.CommandKey(c.argv...)]); got != want {
					t.Errorf("%q: %s\nwant %s", c.argv, got, want)
				}
			}
			if w.commands {
				p.patience = time.Second // with one that never ends, and alone: the others share the machine with all tests
				o := w.take(t, p, snap.Manifest{Commands: []snap.Command{{Argv: []string{"ufw", "status", "verbose"}}}}).Commands["ufw status verbose"]
				if o.Err != "no answer after 1s" || o.Exit != -1 {
					t.Errorf("a command that hangs: %s", describeOutput(o))
				}
			}
			if left, _ := filepath.Glob("/tmp/[xyz]"); len(left) > 0 {
				t.Errorf("a file's name was run: %q", left)
			}
		})
	}
}

// again runs this test in a process of a user who may not read everything.
func again(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	openUp(t, dir)
	program := filepath.Join(dir, "test")
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(program, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(to, from)
	if err := cmpErr(err, to.Close()); err != nil {
		t.Fatal(err)
	}
	tmp := filepath.Join(dir, "tmp")
	if err := cmpErr(os.Mkdir(tmp, 0o755), os.Chown(tmp, 12345, 12345)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-test.run=^TestConformance$/^(local|image|ssh_through_(dash|busybox))$", "-test.v")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 12345, Gid: 12345}}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("/denied")) {
		t.Errorf("%v\n%s", err, out)
	}
}

func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// describeAll writes all that a snapshot says of files, a line each.
func describeAll(s *snap.Snapshot, prefix string) (lines []string) {
	name := func(p string) string {
		p = strings.ReplaceAll(p, prefix, "")
		if strings.ContainsAny(p, "\n \\*['") || !utf8.ValidString(p) {
			return fmt.Sprintf("%q", p)
		}
		return p
	}
	file := func(e *snap.Entry) string {
		var b strings.Builder
		owner := "me"
		if e.UID != os.Getuid() || e.GID != os.Getgid() {
			owner = fmt.Sprintf("%d:%d", e.UID, e.GID)
		}
		fmt.Fprintf(&b, "%s: %s %04o %s", name(e.Path), e.Type, e.Mode, owner)
		if e.Type != snap.Dir {
			fmt.Fprintf(&b, " %d", e.Size)
		}
		if e.Target != "" {
			b.WriteString(" -> " + name(e.Target))
		}
		if e.Real != "" {
			b.WriteString(" = " + name(e.Real))
		}
		if e.Type == snap.File && e.MTime.Unix() != 1700000000 && e.Size < 1<<30 {
			fmt.Fprintf(&b, " at %v", e.MTime)
		}
		if e.Cut {
			b.WriteString(" cut")
		}
		if e.Read {
			b.WriteString(" " + short40(e.Content))
		}
		if e.Denied != "" {
			b.WriteString(" (" + strings.ReplaceAll(e.Denied, prefix, "") + ")")
		}
		return b.String()
	}
	for _, e := range s.Entries {
		lines = append(lines, file(e))
	}
	for p, why := range s.Denials {
		lines = append(lines, strings.ReplaceAll("denied "+p+": "+why, prefix, ""))
	}
	for i := range s.Walk.Found {
		lines = append(lines, "found "+file(&s.Walk.Found[i]))
	}
	slices.Sort(lines)
	return lines
}

func short40(b []byte) string {
	if len(b) > 100 {
		return fmt.Sprintf("%d bytes", len(b))
	}
	return fmt.Sprintf("%q", b)
}

// about are the lines that name a case's folder.
func about(lines []string, topic string) (out []string) {
	for _, l := range lines {
		for _, before := range []string{"", `"`, "denied ", "found ", `found "`} {
			if rest, ok := strings.CutPrefix(l, before+"/"+topic); ok && (rest[0] == '/' || rest[0] == ':') {
				out = append(out, l)
			}
		}
	}
	return out
}

func describeOutput(o *snap.Output) string {
	switch {
	case o == nil:
		return "none"
	case o.Missing:
		return "missing"
	}
	s := fmt.Sprintf("exit %d", o.Exit)
	if o.Cut {
		s += " cut"
	}
	s += " " + short40(o.Stdout)
	if o.Stderr != "" {
		s += " stderr " + short40([]byte(o.Stderr))
	}
	if o.Err != "" {
		s += " (" + o.Err + ")"
	}
	return s
}
