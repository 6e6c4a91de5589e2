package snapshot

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"picket/internal/core/snap"
)

// plantTree makes a folder with everything that names and files can be.
func plantTree(t *testing.T) string {
	t.Helper()
	d := t.TempDir()
	openUp(t, d)
	write := func(name, content string) {
		t.Helper()
		p := filepath.Join(d, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link := func(target, name string) {
		t.Helper()
		if err := os.Symlink(target, filepath.Join(d, name)); err != nil {
			t.Fatal(err)
		}
	}
	write("plain", "one\ntwo")
	write("empty", "")
	write("blank", "\n\n")
	write("-dash", "dash\n")
	write("a b", "space")
	write("line\nfeed", "name with a line feed\n\n")
	write("end\n", "name ends so")
	write(`quo'te"$(touch x)`+"`", "quotes")
	write(`back\slash`, "backslash")
	write("star*", "star")
	write("bad\xff\xfeutf8", "bad\xff")
	write("näme", "utf8")
	write("nul", "a\x00b\x00")
	write("boundary", "\npicket-0 end\n==> /etc/passwd <==\nroot\n")
	write("conf.d/10-a.conf", "a")
	write("conf.d/20-b.conf", "b")
	write("conf.d/.hidden.conf", "h")
	write("conf.d/readme", "r")
	write("large", strings.Repeat("x", snap.MaxFile+5))
	write("exact", strings.Repeat("y", snap.MaxFile))
	write("home/amy/.ssh/authorized_keys", "amy")
	write("home/bob/.ssh/authorized_keys", "bob")
	write("home/carl/none", "")
	write("real/deep/file", "deep")
	write("x\n/\ny", "odd folder")
	link("plain", "rel")
	link(filepath.Join(d, "plain"), "abs")
	link("nowhere", "dangling")
	link("loop", "loop")
	link("rel", "chain")
	link("real/deep", "shortcut")
	link("line\nfeed", "to\nodd")
	link("/proc/self/mounts", "mounts")
	link("x\n/\ny", "toodd")
	if err := os.Link(filepath.Join(d, "plain"), filepath.Join(d, "hard")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(d, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(d, "plain"), 0o4751); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(d, "plain"), time.Unix(1700000000, 0), time.Unix(1700000000, 0)); err != nil {
		t.Fatal(err)
	}
	return d
}

func treeManifest(d string) snap.Manifest {
	return snap.Manifest{Files: []string{
		d + "/*", d + "/conf.d/*.conf", d + "/home/*/.ssh/authorized_keys", d + "/shortcut/file", d + "/none", d + "/none/*/x",
		d + "/x\n/*", d + "/plain", d + "/plain/below", "/proc/sys/kernel/ostype", "/proc/sys/kernel/osrelease", "/proc/sys/net/ipv4/ip_*", "/proc/self/mounts",
	}, Stats: []string{d, "/", d + "/real/*/f?le", d + "/conf.d/[0-1]0*", d + "/conf.d/[^1]*", d + `/sta[r]\*`}}
}

func TestProgramReadsATree(t *testing.T) {
	d := plantTree(t)
	for name, conn := range shells(t) {
		t.Run(name, func(t *testing.T) {
			s := mustTake(t, conn(), treeManifest(d))
			names, err := os.ReadDir(d)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range names {
				checkEntry(t, s, filepath.Join(d, n.Name()))
			}
			for _, p := range []string{"/conf.d/10-a.conf", "/home/amy/.ssh/authorized_keys", "/home/bob/.ssh/authorized_keys", "/shortcut/file", "/real/deep/file", "/x\n/\ny"} {
				checkEntry(t, s, d+p)
			}
			checkEntry(t, s, "/")
			checkEntry(t, s, "/proc/sys/kernel/ostype")
			checkEntry(t, s, "/proc/sys/kernel/osrelease")
			checkEntry(t, s, "/proc/sys/net/ipv4/ip_forward")
			for _, p := range []string{"/none", "/none/a/x", "/plain/below"} {
				if _, st, _ := s.Stat(d + p); st != snap.Absent {
					t.Errorf("%s is %v, not absent", p, st)
				}
			}
			es, st, _ := s.Glob(d + "/conf.d/[^1]*")
			if st != snap.Known || len(es) != 2 {
				t.Errorf("[^1]*: %v, %d entries, want 20-b.conf and readme", st, len(es))
			}
			if e, st, _ := s.File("/proc/self/mounts"); st != snap.Known || !bytes.Contains(e.Content, []byte("/proc")) {
				t.Error("/proc/self/mounts was not read")
			}
			if e, _, _ := s.File(d + "/mounts"); !e.Read || !bytes.Contains(e.Content, []byte("/proc")) {
				t.Error("a link into /proc was not read")
			}
			if len(s.Denials) > 0 || len(s.Problems) > 0 {
				t.Errorf("denials %v, problems %v", s.Denials, s.Problems)
			}
		})
	}
}

// checkEntry compares one path with what the kernel says.
func checkEntry(t *testing.T, s *snap.Snapshot, p string) {
	t.Helper()
	e := s.Entries[p]
	if e == nil {
		t.Errorf("%q is not in the snapshot", p)
		return
	}
	l, err := os.Lstat(p)
	if err != nil {
		t.Fatal(err)
	}
	target, _ := os.Readlink(p)
	if e.Target != target {
		t.Errorf("%q: target %q, want %q", p, e.Target, target)
	}
	st, err := os.Stat(p)
	if err != nil {
		st = l
	}
	sys := st.Sys().(*syscall.Stat_t)
	if e.Mode != sys.Mode&0o7777 || e.UID != int(sys.Uid) || e.GID != int(sys.Gid) {
		t.Errorf("%q: %o %d:%d, want %o %d:%d", p, e.Mode, e.UID, e.GID, sys.Mode&0o7777, sys.Uid, sys.Gid)
	}
	if strings.HasPrefix(p, "/proc") || strings.HasSuffix(p, "/mounts") {
		if want, _ := os.ReadFile(p); strings.HasPrefix(p, "/proc") && !bytes.Equal(e.Content, want) {
			t.Errorf("%q: %q, want %q", p, e.Content, want)
		}
		return
	}
	if e.Size != sys.Size || e.MTime.Unix() != sys.Mtim.Sec {
		t.Errorf("%q: size %d time %v, want %d %d", p, e.Size, e.MTime, sys.Size, sys.Mtim.Sec)
	}
	real := p
	if r, err := filepath.EvalSymlinks(p); err == nil {
		real = r
	}
	if got := e.Real; got != real && !(got == "" && real == p) {
		t.Errorf("%q: real %q, want %q", p, got, real)
	}
	switch {
	case l.Mode()&os.ModeSymlink != 0 && err != nil:
		if e.Type != snap.Link || e.Read {
			t.Errorf("%q: %v", p, e)
		}
	case st.Mode()&os.ModeNamedPipe != 0:
		if e.Type != snap.Fifo || e.Read || e.Denied != "" {
			t.Errorf("%q: %v", p, e)
		}
	case st.IsDir():
		if e.Type != snap.Dir || e.Read {
			t.Errorf("%q: %v", p, e)
		}
	default:
		if files, _ := s.Asked(); !e.Read && newMatcher(files).match(p) {
			t.Errorf("%q was not read: %q", p, e.Denied)
		} else if e.Read {
			want, _ := os.ReadFile(p)
			cut := len(want) > snap.MaxFile
			if cut {
				want = want[:snap.MaxFile]
			}
			if !bytes.Equal(e.Content, want) || e.Cut != cut {
				t.Errorf("%q: content of %d bytes, cut %v; want %d, %v", p, len(e.Content), e.Cut, len(want), cut)
			}
		}
	}
}

func TestProgramAsUserSaysWhatIsDenied(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to become another user")
	}
	d := plantTree(t)
	for _, p := range []string{"home/bob", "conf.d", "plain"} {
		if err := os.Chmod(filepath.Join(d, p), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	os.Symlink(filepath.Join(d, "home/bob/.ssh"), filepath.Join(d, "hidden"))
	m := snap.Manifest{Files: []string{
		d + "/conf.d/*.conf", d + "/conf.d/10-a.conf", d + "/home/*/.ssh/authorized_keys", d + "/home/bob/.ssh/known_hosts",
		d + "/home/carl/.ssh/authorized_keys", d + "/plain", d + "/rel", d + "/hidden", d + "/hidden/x", d + "/empty",
	}}
	for name, conn := range shells(t) {
		t.Run(name, func(t *testing.T) {
			c := conn()
			c.uid = 12345
			s := mustTake(t, c, m)
			if s.Source.UID != 12345 {
				t.Errorf("uid %d", s.Source.UID)
			}
			for _, p := range []string{"/conf.d/10-a.conf", "/home/bob/.ssh/authorized_keys", "/home/bob/.ssh/known_hosts", "/plain", "/rel", "/hidden", "/hidden/x"} {
				if _, st, why := s.File(d + p); st != snap.Denied || !strings.Contains(why, "root") {
					t.Errorf("%s is %v (%s), not denied", p, st, why)
				}
			}
			for _, p := range []string{"/conf.d/*.conf", "/home/*/.ssh/authorized_keys"} {
				if _, st, _ := s.Glob(d + p); st != snap.Denied {
					t.Errorf("%s is %v, not denied", p, st)
				}
			}
			if e, st, _ := s.File(d + "/home/amy/.ssh/authorized_keys"); st != snap.Known || string(e.Content) != "amy" {
				t.Errorf("amy's file is %v", st)
			}
			if _, st, _ := s.File(d + "/home/carl/.ssh/authorized_keys"); st != snap.Absent {
				t.Errorf("carl's file is %v", st)
			}
		})
	}
}

func TestProgramRunsCommands(t *testing.T) {
	bin := t.TempDir()
	openUp(t, bin)
	script := func(name, text string) {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	script("aa-status", `printf 'out\n\0\377no end'; printf 'err\n' >&2; cat; exit 3`)
	script("nft", `for a; do printf '[%s]' "$a"; done; echo; echo "$PATH$LC_ALL$N"`)
	script("iw", `head -c 9000000 /dev/zero`)
	m := snap.Manifest{Commands: []snap.Command{
		{Argv: []string{"aa-status", "--json"}}, {Argv: []string{"nft", "list", "ruleset"}}, {Argv: []string{"iw", "dev"}},
		{Argv: []string{"fail2ban-client", "ping"}}, {Argv: []string{"sshd", "-T", "-C", "user=a b\\$x"}},
	}}
	for name, conn := range shells(t) {
		t.Run(name, func(t *testing.T) {
			c := conn()
			c.path = bin + ":" + c.path
			script("sshd", `for a; do printf '[%s]' "$a"; done`)
			s := mustTake(t, c, m)
			o, st, _ := s.Run("aa-status", "--json")
			if st != snap.Known || string(o.Stdout) != "out\n\x00\xffno end" || o.Stderr != "err" || o.Exit != 3 {
				t.Errorf("aa-status: %v %+v %q", st, o, o.Stdout)
			}
			o, _, _ = s.Run("nft", "list", "ruleset")
			if want := "[list][ruleset]\n" + c.path + "C\n"; string(o.Stdout) != want {
				t.Errorf("nft: %q, want %q", o.Stdout, want)
			}
			o, _, _ = s.Run("iw", "dev")
			if len(o.Stdout) != snap.MaxOutput || !o.Cut || o.Exit != 0 {
				t.Errorf("iw: %d bytes, cut %v", len(o.Stdout), o.Cut)
			}
			if _, st, _ := s.Run("fail2ban-client", "ping"); st != snap.Absent {
				t.Errorf("fail2ban-client: %v", st)
			}
			if o, _, _ := s.Run("sshd", "-T", "-C", "user=a b\\$x"); string(o.Stdout) != "[-T][-C][user=a b\\$x]" {
				t.Errorf("sshd: %q", o.Stdout)
			}
		})
	}
}

func TestProgramIsCleanShell(t *testing.T) {
	sc, err := exec.LookPath("shellcheck")
	if err != nil {
		t.Skip("no shellcheck")
	}
	m := treeManifest("/tmp/it's here")
	m.Commands = []snap.Command{{Argv: []string{"uname", "-srm"}}, {Argv: []string{"apt-get", "-s", "-qq", "-o", "Debug::NoLocking=true", "dist-upgrade"}}}
	m.Walk = &snap.Walk{Roots: []string{"/"}, Skip: []string{"/proc", "/home/*/x"}, UIDs: []int{0}, GIDs: []int{0, 1}}
	c := exec.Command(sc, "-s", "sh", "-S", "warning", "-e", "SC2043", "-") // a loop over one word is one pattern
	c.Stdin = strings.NewReader("#!/bin/sh\n" + program(m, "picket-00", limits{walk: time.Second}))
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestProgramCutOffDoesNothing(t *testing.T) {
	text := program(snap.Manifest{Commands: []snap.Command{{Argv: []string{"uname", "-srm"}}}}, "picket-00", limits{walk: time.Second})
	for name, conn := range shells(t) {
		c := conn()
		for _, part := range []int{3, 2} {
			cmd := exec.Command(c.argv[0], c.argv[1:]...)
			cmd.Stdin = strings.NewReader(text[:len(text)*part/4])
			if out, _ := cmd.Output(); len(out) > 0 {
				t.Errorf("%s: a part of a program said %q", name, out)
			}
		}
	}
}

func TestProgramWalks(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to give files away")
	}
	d := t.TempDir()
	plant := func(p string, mode uint32, uid, gid int) {
		os.MkdirAll(filepath.Dir(filepath.Join(d, p)), 0o755)
		os.WriteFile(filepath.Join(d, p), nil, 0o644)
		os.Chown(filepath.Join(d, p), uid, gid)
		syscall.Chmod(filepath.Join(d, p), mode)
	}
	plant("ok", 0o644, 0, 0)
	plant("suid", 0o4755, 0, 0)
	plant("sgid", 0o2755, 1, 1)
	plant("any one\n", 0o666, 0, 0)
	plant("owner", 0o644, 4242, 0)
	plant("group", 0o644, 0, 4243)
	plant("skip[1]/suid", 0o4755, 0, 0)
	plant("skip1/suid", 0o4755, 0, 0)
	plant("pool/a/suid", 0o4755, 0, 0)
	os.Symlink("ok", filepath.Join(d, "link"))
	m := snap.Manifest{Walk: &snap.Walk{Roots: []string{d}, Skip: []string{d + "/skip1", d + "/poo*"}, UIDs: []int{0, 1}, GIDs: []int{0, 1}}}
	for name, conn := range shells(t) {
		t.Run(name, func(t *testing.T) {
			w := mustTake(t, conn(), m).Walk
			var got []string
			for _, e := range w.Found {
				got = append(got, fmt.Sprintf("%s %o", strings.TrimPrefix(e.Path, d), e.Mode))
			}
			want := "[/any one\n 666 /group 644 /owner 644 /sgid 2755 /skip[1]/suid 4755 /suid 4755]"
			if fmt.Sprint(got) != want || w.Err != "" {
				t.Errorf("%q (%s), want %q", got, w.Err, want)
			}
		})
	}
}

func TestProgramCommandTimesOut(t *testing.T) {
	bin := t.TempDir()
	os.WriteFile(filepath.Join(bin, "nft"), []byte("#!/bin/sh\necho first\nexec sleep 60\n"), 0o755)
	for name, conn := range shells(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := conn()
			c.path = bin + ":" + c.path
			m := snap.Manifest{Commands: []snap.Command{{Argv: []string{"nft", "list", "ruleset"}}, {Argv: []string{"uname", "-srm"}}}}
			s, err := take(t, c, m, SSHOptions{NoSudo: true, Command: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			if o, st, why := s.Run("nft", "list", "ruleset"); st != snap.Unknown || !strings.Contains(why, "no answer after 1s") {
				t.Errorf("%v %q %+v", st, why, o)
			}
			if _, st, _ := s.Run("uname", "-srm"); st != snap.Known {
				t.Errorf("uname: %v", st)
			}
		})
	}
}
