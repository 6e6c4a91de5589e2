package snapshot

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"picket/internal/core/snap"
	"picket/lab/leftout"
)

// gathered reads patterns of a folder with the gatherer's limits changed.
func gathered(t *testing.T, dir string, files []string, change func(*gatherer)) *snap.Snapshot {
	t.Helper()
	tr, err := openTree(dir, false, true)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.close()
	s := snap.New(snap.Source{Kind: "image"}, time.Unix(1, 0))
	m := snap.Manifest{Files: files}
	g := newGatherer(tr, s, 1)
	change(g)
	g.serve(context.Background(), m.Files, nil, s)
	s.MarkAsked(m)
	return s
}

// TestLimitsOfASnapshot: what is left out is never absent.
func TestLimitsOfASnapshot(t *testing.T) {
	dir := t.TempDir()
	for i := range 5 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%d", i)), []byte("0123456789"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		change func(*gatherer)
		why    string
	}{
		"entries": {func(g *gatherer) { g.entries.Store(3) }, "not read: a snapshot holds at most 200000 files"},
		"bytes":   {func(g *gatherer) { g.bytes.Store(35) }, "not read: a snapshot holds at most 96 MB"},
	} {
		s := gathered(t, dir, []string{"/f*"}, c.change)
		read, left := 0, 0
		for i := range 5 {
			switch _, st, why := s.File(fmt.Sprintf("/f%d", i)); {
			case st == snap.Known:
				read++
			case st == snap.Denied && why == c.why:
				left++
			default:
				t.Errorf("%s: f%d is %v: %s", name, i, st, why)
			}
		}
		if read != 3 || left != 2 {
			t.Errorf("%s: %d files read, %d left out", name, read, left)
		}
	}
	s := gathered(t, dir, []string{"/f0", "/f1"}, func(*gatherer) {})
	if g := newGatherer(nil, s, 1); g.bytes.Load() != snap.MaxTotal-20 || g.entries.Load() != snap.MaxEntries-2 {
		t.Error("what a snapshot holds already is not counted")
	}
}

// TestFolderWithTooManyNames: more than are listed may be there.
func TestFolderWithTooManyNames(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := gathered(t, dir, []string{"/z*"}, func(g *gatherer) { g.names = 3 })
	if _, st, why := s.Glob("/z*"); st != snap.Denied || !strings.Contains(why, "3 names or more") {
		t.Errorf("%v: %s", st, why)
	}
	s = gathered(t, dir, []string{"/z*"}, func(g *gatherer) { g.names = 4 })
	if _, st, why := s.Glob("/z*"); st != snap.Absent {
		t.Errorf("%v: %s", st, why)
	}
}

// TestWalkStaysOnItsFileSystem: a folder on another device is not entered, nor
// is a root on a file system that holds no files, such as /proc.
func TestWalkStaysOnItsFileSystem(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	tr, err := openTree(dir, false, true)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.close()
	for dev, want := range map[uint64]int{tr.dev: 1, tr.dev + 1: 0} {
		w := &walker{tree: tr, want: &snap.Walk{}, max: 10}
		sub, _ := w.folder(folder{"/", dev}, make([]byte, 4096), nil, nil)
		if len(sub) != want {
			t.Errorf("%d folders are entered, want %d", len(sub), want)
		}
	}
	live, err := openTree("", true, true)
	if err != nil {
		t.Fatal(err)
	}
	defer live.close()
	if w := live.walk(t.Context(), &snap.Walk{Roots: []string{"/proc/self/fdinfo"}}, time.Minute, 1); len(w.Roots) > 0 || w.Seen > 0 {
		t.Errorf("it walks /proc: %+v", w)
	}
}

// TestWalkThatFindsTooMuch says that it is not whole.
func TestWalkThatFindsTooMuch(t *testing.T) {
	dir := t.TempDir()
	for i := range snap.MaxFound + 1 {
		p := filepath.Join(dir, fmt.Sprint(i))
		f, err := os.Create(p)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		if err := os.Chmod(p, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := openTree(dir, false, true)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.close()
	w := tr.walk(t.Context(), &snap.Walk{Roots: []string{"/"}}, time.Minute, 2)
	if len(w.Found) != snap.MaxFound || w.Err != "stopped after 10000 findings" {
		t.Errorf("%d found, %q", len(w.Found), w.Err)
	}
}

// TestLinksOfAnImage: no way leads out of it, also for a path that became a
// link after it was looked at, and a circle ends.
func TestLinksOfAnImage(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "image")
	if err := os.MkdirAll(filepath.Join(dir, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{filepath.Join(base, "outside"), filepath.Join(dir, "etc/inside")} {
		if err := os.WriteFile(f, []byte(f), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i := range maxLinks + 1 {
		if err := os.Symlink(fmt.Sprintf("l%d", i+1), filepath.Join(dir, fmt.Sprintf("l%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{
		fmt.Sprintf("l%d", maxLinks+1): "/etc/inside", "up": "../outside", "upper": "etc/../../../../outside", "abs": filepath.Join(base, "outside"), "way": base, "circle": "circle",
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	s := gathered(t, dir, []string{"/l2", "/l0", "/up", "/upper", "/abs", "/circle", "/way/*", "/proc/*"}, func(*gatherer) {})
	for p, want := range map[string]snap.State{"/l2": snap.Known, "/l0": snap.Absent, "/up": snap.Absent, "/upper": snap.Absent, "/abs": snap.Absent, "/circle": snap.Absent, "/way/outside": snap.Absent} {
		if e, st, why := s.File(p); st != want {
			t.Errorf("%s is %v (%s): %+v", p, st, why, e)
		}
	}
	tr, err := openTree(dir, false, true)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.close()
	for _, p := range []string{"/up", "/abs", "/way/outside", "/../outside"} {
		if data, _, err := tr.read(p, 0, 100); err == nil {
			t.Errorf("%s was opened: %s", p, data)
		}
	}
}

// TestImageHasNoProc: what is mounted in it belongs to the machine that holds
// the card.
func TestImageHasNoProc(t *testing.T) {
	dir := t.TempDir()
	for _, p := range []string{"proc/1", "sys/x", "procx"} {
		if err := os.MkdirAll(filepath.Join(dir, p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, p, "f"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := gathered(t, dir, []string{"/proc/1/f", "/proc/*/f", "/sys/x/f", "/procx/f"}, func(*gatherer) {})
	for p, want := range map[string]snap.State{"/proc/1/f": snap.Absent, "/sys/x/f": snap.Absent, "/procx/f": snap.Known} {
		if _, st, why := s.Stat(p); st != want {
			t.Errorf("%s is %v: %s", p, st, why)
		}
	}
}

// TestLoadedContentsAreBounded: many members of the size that one may have.
func TestLoadedContentsAreBounded(t *testing.T) {
	leftout.OfRace(t)
	s := snap.New(snap.Source{Kind: "local"}, time.Unix(1, 0))
	block := make([]byte, snap.MaxFile)
	n := snap.MaxTotal/snap.MaxFile + 1
	for i := range n {
		s.Put(&snap.Entry{Path: fmt.Sprintf("/f%d", i), Type: snap.File, Read: true})
	}
	var b bytes.Buffer
	if err := Save(&b, s); err != nil {
		t.Fatal(err)
	}
	ps := parts(t, b.Bytes())
	for i := range ps[1:] {
		ps[i+1] = file(ps[i+1].h.Name, string(block))
	}
	if _, err := Load(bytes.NewReader(pack(t, ps))); err == nil || !strings.Contains(err.Error(), "with those before it") {
		t.Errorf("%d members of a megabyte: %v", n, err)
	}
	for _, e := range s.Entries {
		e.Content = block
	}
	if err := Save(io.Discard, s); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("saved all the same: %v", err)
	}
}

// TestSavedThroughALink: the link stays, and what it leads to is replaced.
func TestSavedThroughALink(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	for _, err := range []error{os.WriteFile(file, []byte("old"), 0o600), os.Symlink("file", link)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s := snap.New(snap.Source{Kind: "local"}, time.Unix(1, 0))
	if err := SaveFile(link, s); err != nil {
		t.Fatal(err)
	}
	if to, err := os.Readlink(link); err != nil || to != "file" {
		t.Errorf("the link is gone: %v", err)
	}
	if _, err := Open(file); err != nil {
		t.Error(err)
	}
}

// TestFileSystemThatHangs: a pattern has its time, and the rest goes on.
func TestFileSystemThatHangs(t *testing.T) {
	dir := t.TempDir()
	tr, err := openTree(dir, false, true)
	if err != nil {
		t.Fatal(err)
	}
	g := newGatherer(tr, snap.New(snap.Source{}, time.Unix(1, 0)), 1)
	g.time = 50 * time.Millisecond
	tr.mu.Lock() // what looks a folder up waits for it
	answer := make(chan seen, 1)
	go func() { answer <- g.within("/sub/f", true) }()
	select {
	case a := <-answer:
		if why := a.denials["/sub/f"]; why != "no answer after 50ms from the file system of /sub/f" {
			t.Errorf("denials %q", a.denials)
		}
	case <-time.After(5 * time.Second):
		t.Error("it is waited for without end")
	}
	tr.mu.Unlock()
}
