package snapshot

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"picket/internal/core/snap"
	"picket/lab/leftout"
	"picket/lab/sshserver"
)

// sample makes any snapshot that a host could give.
func sample(r *rand.Rand) *snap.Snapshot {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	text := func() string {
		return pick("", "plain", "two\nlines", "\"quoted\"", "bad\xff\xfe", "\x00", "nä\u2028me", "<&>", `back\slash`, "'", "\U0010FFFF", "\uFFFD", "null")
	}
	name := func() string {
		var b strings.Builder
		for range 1 + r.IntN(4) {
			b.WriteString("/" + pick("etc", "a b", "bad\xff", "x\ny", "~", "~odd", "0001", "…", "\\", strings.Repeat("long", 60), `"`, "*"))
		}
		return b.String()
	}
	entry := func() *snap.Entry {
		return &snap.Entry{
			Path: name(), Type: snap.Type(pick("file", "dir", "link", "socket", "fifo", "device")), Mode: r.Uint32N(0o10000),
			UID: r.IntN(1 << 31), GID: r.IntN(3), Size: r.Int64(), MTime: snap.Time(r.Int64N(1<<40) - 1<<39),
			Target: text(), Real: pick("", name()),
		}
	}
	data := func() []byte {
		b := make([]byte, r.IntN(300))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	s := snap.New(snap.Source{Kind: pick("local", "ssh", "image"), Target: text(), UID: r.IntN(2000), Client: text()}, snap.Time(r.Int64N(1<<33)))
	var m snap.Manifest
	for range r.IntN(10) {
		e := entry()
		if e.Type == snap.File {
			switch r.IntN(3) {
			case 0:
				e.Content, e.Read, e.Cut, e.Redact = data(), true, r.IntN(2) == 0, r.IntN(2) == 0
			case 1:
				e.Denied = "run as root to read " + e.Path
			}
		}
		s.Entries[e.Path] = e
		m.Files = append(m.Files, name())
		m.Stats = append(m.Stats, name())
		s.Denials[name()] = text()
		s.Problems = append(s.Problems, text())
		o := &snap.Output{Argv: []string{pick("ss", "nft", "a b"), text()}, Exit: r.IntN(300) - 1, Stderr: text(), Missing: r.IntN(2) == 0, Err: text(), Cut: r.IntN(2) == 0, Stdout: data()}
		s.Commands[snap.CommandKey(o.Argv...)] = o
	}
	if r.IntN(2) == 0 {
		s.Walk = &snap.Walked{Seen: r.IntN(100), Err: text()}
		for range r.IntN(5) {
			s.Walk.Found = append(s.Walk.Found, *entry())
			s.Walk.Roots = append(s.Walk.Roots, name())
		}
	}
	if r.IntN(5) == 0 {
		s.MarkComplete()
	}
	s.MarkAsked(m)
	return s
}

// same compares two snapshots in all that can be seen of them.
func same(t *testing.T, want, got *snap.Snapshot) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.IgnoreUnexported(snap.Snapshot{}), cmpopts.EquateEmpty()); d != "" {
		t.Errorf("wanted -, got +:\n%s", d)
	}
	f1, s1 := want.Asked()
	f2, s2 := got.Asked()
	if d := cmp.Diff([]any{f1, s1, want.Complete()}, []any{f2, s2, got.Complete()}); d != "" {
		t.Errorf("asked: wanted -, got +:\n%s", d)
	}
}

func TestWhatIsLoadedIsWhatWasSaved(t *testing.T) {
	leftout.OfRace(t)
	for seed := range uint64(300) {
		s := sample(rand.New(rand.NewPCG(seed, 1)))
		var file, again bytes.Buffer
		if err := Save(&file, s); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		bytesOf := bytes.Clone(file.Bytes())
		got, err := Load(&file)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		same(t, s, got)
		if err := Save(&again, got); err != nil || !bytes.Equal(bytesOf, again.Bytes()) {
			t.Errorf("saved again it has other bytes (%v)", err)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// TestContentThatHasGrownIsCut: a host could otherwise keep its own
// snapshot from being saved.
func TestContentThatHasGrownIsCut(t *testing.T) {
	s := snap.New(snap.Source{Kind: "local"}, time.Unix(1, 0))
	s.Put(&snap.Entry{Path: "/etc/passwd", Type: snap.File, Read: true, Redact: true, Content: make([]byte, 3*snap.MaxFile)})
	var file bytes.Buffer
	if err := Save(&file, s); err != nil {
		t.Fatal(err)
	}
	got, err := Load(&file)
	if err != nil {
		t.Fatal(err)
	}
	if e := got.Entries["/etc/passwd"]; !e.Cut || len(e.Content) != snap.MaxFile+maxGrowth {
		t.Errorf("%d bytes, cut %v", len(e.Content), e.Cut)
	}
}

func TestSavedFileIsTheOwnersAndWhole(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "host.snapshot")
	if err := os.WriteFile(file, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := sample(rand.New(rand.NewPCG(1, 1)))
	if err := SaveFile(file, s); err != nil {
		t.Fatal(err)
	}
	if fi, _ := os.Stat(file); fi.Mode() != 0o600 {
		t.Errorf("mode %v", fi.Mode())
	}
	got, err := Open(file)
	if err != nil {
		t.Fatal(err)
	}
	same(t, s, got)

	// One that cannot be written leaves the old one and nothing beside it.
	s.Commands["ss"] = &snap.Output{Argv: []string{"ss"}, Stdout: make([]byte, snap.MaxOutput+1)}
	if err := SaveFile(file, s); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("error %v", err)
	}
	if got, err = Open(file); err != nil || got.Commands["ss"] != nil {
		t.Errorf("the old one is gone: %v", err)
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
	if err := SaveFile(dir, s); err == nil || !strings.Contains(err.Error(), "no plain file") {
		t.Errorf("saved over a folder: %v", err)
	}
}

// TestSavedFileIsReadByHand runs the commands of docs/format-snapshot.md.
func TestSavedFileIsReadByHand(t *testing.T) {
	sshserver.Need(t, "tar")
	s := snap.New(snap.Source{Kind: "local", Target: "local"}, time.Unix(1700000000, 0).UTC())
	s.Put(&snap.Entry{Path: "/etc/fstab", Type: snap.File, Mode: 0o644, Read: true, Content: []byte("# nothing\n")})
	s.Put(&snap.Entry{Path: "/etc/caf\xe9", Type: snap.File, Read: true, Content: []byte("odd\n")})
	s.Commands["ss -Hltunpe"] = &snap.Output{Argv: []string{"ss", "-Hltunpe"}, Stdout: []byte("tcp\n")}
	file := filepath.Join(t.TempDir(), "host")
	if err := SaveFile(file, s); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, want string }{
		{"-tzf", "index.json\nfiles/~odd/0001\nfiles/etc/fstab\ncommands/001-ss-hltunpe.txt\n"},
		{"-xzOf files/etc/fstab", "# nothing\n"},
		{"-xzOf files/~odd/0001", "odd\n"},
		{"-xzOf --wildcards commands/*-ss-*", "tcp\n"},
	} {
		args := strings.Fields(c.args)
		args = append([]string{args[0], file}, args[1:]...)
		out, err := exec.Command("tar", args...).CombinedOutput()
		if got := strings.ToLower(string(out)); err != nil || got != c.want {
			t.Errorf("tar %s: %v %q, want %q", c.args, err, out, c.want)
		}
	}
	out, _ := exec.Command("tar", "-xzOf", file, "index.json").Output()
	want := `{"path":"\"/etc/caf\\xe9\"","type":"file","mode":"0000","uid":0,"gid":0,"size":0,"mtime":"0001-01-01T00:00:00Z","member":"files/~odd/0001"},`
	if !strings.Contains(string(out), fmt.Sprintf("\n  %s\n", want)) {
		t.Errorf("the index does not hold %s:\n%s", want, out)
	}
}
