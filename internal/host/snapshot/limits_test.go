package snapshot

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"picket/internal/core/snap"
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
