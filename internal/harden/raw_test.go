package harden

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"picket/internal/core/plan"
	"picket/internal/core/snap"
	"picket/internal/host/shell"
)

func write(t *testing.T, file string, mode os.FileMode, content []byte) string {
	t.Helper()
	if err := os.WriteFile(file, content, mode); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestRaw(t *testing.T) {
	dir := t.TempDir()
	odd := write(t, filepath.Join(dir, "it's \"a\" $(file) \\n"), 0o640, []byte("secret\x00\nno end"))
	empty := write(t, filepath.Join(dir, "-empty"), 0o600, nil)
	link := filepath.Join(dir, "link")
	if err := errors.Join(os.Symlink(odd, link), os.Mkdir(filepath.Join(dir, "folder"), 0o755)); err != nil {
		t.Fatal(err)
	}
	got, err := Raw(t.Context(), shell.Local(), []string{odd, empty, link, filepath.Join(dir, "folder"), filepath.Join(dir, "none")})
	if err != nil || len(got) != 2 {
		t.Fatalf("%d files, %v", len(got), err)
	}
	if e := got[odd]; string(e.Content) != "secret\x00\nno end" || e.Mode != 0o640 || e.UID != os.Getuid() || e.Type != snap.File {
		t.Errorf("%+v", e)
	}
	if e := got[empty]; e == nil || len(e.Content) != 0 {
		t.Errorf("%+v", e)
	}
	long := write(t, filepath.Join(dir, "long"), 0o600, bytes.Repeat([]byte("x"), maxRaw+1))
	if got, err := Raw(t.Context(), shell.Local(), []string{odd, long}); err == nil || !strings.Contains(err.Error(), "longer than can be changed") {
		t.Errorf("a long file: %v, %v", got, err)
	}
	for _, bad := range []string{"etc/shadow", "/etc/../etc/shadow", "/etc/a\nb", ""} {
		if _, err := Raw(t.Context(), shell.Local(), []string{bad}); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
	if got, err := Raw(t.Context(), shell.Local(), nil); err != nil || len(got) != 0 {
		t.Errorf("nothing: %v, %v", got, err)
	}
}

// TestAnew has a plan want one file after another, and one that is not there.
func TestAnew(t *testing.T) {
	dir := t.TempDir()
	files := []string{write(t, filepath.Join(dir, "a"), 0o600, []byte("a")), filepath.Join(dir, "none"), write(t, filepath.Join(dir, "b"), 0o600, []byte("b"))}
	made := func(raw map[string][]byte) plan.Plan { // as a fix that stops at the first that it misses
		p := plan.Plan{Items: []plan.Item{{Control: "one"}}}
		for _, f := range files {
			if _, ok := raw[f]; !ok {
				p.Items[0].Wanted = []string{f}
				break
			}
			p.Items[0].Reason += string(raw[f])
		}
		return p
	}
	p, err := Anew(t.Context(), shell.Local(), made(nil), made)
	if err != nil || p.Items[0].Reason != "a" || len(p.Wanted()) != 0 {
		t.Errorf("%+v, %v", p.Items, err)
	}
	files = slices.Delete(files, 1, 2)
	if p, err = Anew(t.Context(), shell.Local(), made(nil), made); err != nil || p.Items[0].Reason != "ab" {
		t.Errorf("%+v, %v", p.Items, err)
	}
}

// TestOwned lists a home with names that a shell would stumble over.
func TestOwned(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "it's home")
	if err := os.MkdirAll(filepath.Join(dir, "a b"), 0o750); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "a b", "c $x"), 0o755, nil)
	setid := write(t, filepath.Join(dir, "set"), 0o755, nil)
	one := write(t, filepath.Join(dir, "one"), 0o644, nil)
	if err := errors.Join(os.Chmod(setid, os.ModeSetuid|0o755), os.Link(one, filepath.Join(t.TempDir(), "two"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	got, left, err := Owned(t.Context(), shell.Local(), dir, os.Getuid(), os.Getgid())
	if err != nil || len(got) != 3 || got[0].Path != dir || got[1].Type != snap.Dir || got[2].Path != dir+"/a b/c $x" || got[2].Type != snap.File {
		t.Errorf("%+v, %v", got, err)
	}
	if slices.Sort(left); !slices.Equal(left, []string{one, setid}) {
		t.Errorf("left to a person: %q", left)
	}
	write(t, filepath.Join(dir, "line\nbreak"), 0o600, nil)
	if _, _, err := Owned(t.Context(), shell.Local(), dir, os.Getuid(), os.Getgid()); err == nil || !strings.Contains(err.Error(), "line break") {
		t.Error(err)
	}
	if got, _, err := Owned(t.Context(), shell.Local(), dir, 4000000, 4000000); err != nil || len(got) != 0 {
		t.Errorf("somebody else's: %v, %v", got, err)
	}
}

func TestSkelRefusesAHomeThatIsThere(t *testing.T) {
	dir := t.TempDir()
	if _, err := Skel(t.Context(), shell.Local(), dir); !errors.Is(err, ErrThere) {
		t.Error(err)
	}
	if err := os.Symlink("/nowhere", filepath.Join(dir, "dangling")); err != nil {
		t.Fatal(err)
	}
	if _, err := Skel(t.Context(), shell.Local(), filepath.Join(dir, "dangling")); !errors.Is(err, ErrThere) {
		t.Error(err)
	}
}
