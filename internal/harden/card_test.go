package harden_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"picket/internal/core/change"
	"picket/internal/core/plan"
	"picket/internal/core/snap"
	"picket/internal/harden"
)

// cardOf makes a root folder with what a small system has.
func cardOf(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for p, content := range map[string]string{
		"etc/os-release": "ID=debian\n", "etc/a": "old\n", "etc/gone": "goes\n", "etc/mode": "stays\n",
		"etc/systemd/system/multi-user.target.wants/x": "", "var/lib/dpkg/status": "",
	} {
		at := filepath.Join(dir, p)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(content), 0o644), os.Chtimes(at, time.Unix(1000, 0), time.Unix(1000, 0))); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// tree is all that lies in a folder: path, mode, time of files, content.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(p)
		if err != nil {
			return err
		}
		text := info.Mode().String()
		switch {
		case info.Mode().IsRegular():
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			text += " " + string(b) + " " + info.ModTime().UTC().String()
		case info.Mode()&os.ModeSymlink != 0:
			to, err := os.Readlink(p)
			if err != nil {
				return err
			}
			text += " -> " + to
		}
		out[strings.TrimPrefix(p, dir)] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func file(content string, mode uint32) change.Thing {
	return change.Thing{Type: snap.File, Content: []byte(content), Mode: mode, UID: os.Geteuid(), GID: os.Getegid()}
}

func steps() []change.Step {
	of := []string{"x/y"}
	gone, opaque := file("goes\n", 0o644), change.Thing{Type: snap.File, Opaque: true, Mode: 0o644, UID: os.Geteuid(), GID: os.Getegid()}
	closed := opaque
	closed.Mode = 0o600
	return []change.Step{
		{Verb: change.File, Name: "/etc/a", Before: file("old\n", 0o644), After: file("new\n", 0o640), Controls: of},
		{Verb: change.File, Name: "/etc/new.d", After: change.Thing{Type: snap.Dir, Mode: 0o750, UID: os.Geteuid(), GID: os.Getegid()}, Controls: of},
		{Verb: change.File, Name: "/etc/new.d/b", After: file("b\n", 0o600), Controls: of},
		{Verb: change.File, Name: "/etc/gone", Before: gone, Controls: of},
		{Verb: change.File, Name: "/etc/link", After: change.Thing{Type: snap.Link, Target: "/dev/null", Mode: 0o777}, Controls: of},
		{Verb: change.File, Name: "/etc/mode", Before: opaque, After: closed, Controls: of},
		{Verb: change.Unit, Name: "a.service", Args: []string{"enable"}, Controls: of},
	}
}

func opened(t *testing.T, dir string) *harden.Card {
	t.Helper()
	c, err := harden.OpenCard(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func same(t *testing.T, want, got map[string]string) {
	t.Helper()
	for _, p := range slices.Sorted(maps.Keys(want)) {
		if got[p] != want[p] {
			t.Errorf("%s was %q and is %q", p, want[p], got[p])
		}
	}
	for _, p := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[p]; !ok && !strings.HasPrefix(p, "/var/lib/picket") {
			t.Errorf("%s was not there", p)
		}
	}
}

func TestCardThereAndBack(t *testing.T) {
	dir := cardOf(t)
	before := tree(t, dir)
	c := opened(t, dir)
	if err := c.Apply(plan.Plan{Steps: steps()}, harden.Options{ID: "20260101-000000", Within: time.Minute}); err != nil {
		t.Fatal(err)
	}
	after := tree(t, dir)
	for p, want := range map[string]string{
		"/etc/a": "-rw-r----- new\n", "/etc/new.d": "drwxr-x---", "/etc/new.d/b": "-rw------- b\n", "/etc/link": "Lrwxrwxrwx -> /dev/null", "/etc/mode": "-rw------- stays\n",
		"/etc/systemd/system/multi-user.target.wants/picket-first.service": "Lrwxrwxrwx -> /etc/systemd/system/picket-first.service",
		"/var/lib/picket/tx/20260101-000000/state":                         "-rw------- prepared\n",
	} {
		if !strings.HasPrefix(after[p], want) {
			t.Errorf("%s is %q, want %q", p, after[p], want)
		}
	}
	if _, is := after["/etc/gone"]; is {
		t.Error("/etc/gone is still there")
	}
	if err := c.Back("20260101-000000"); err != nil {
		t.Fatal(err)
	}
	same(t, before, tree(t, dir))
}

// What is not as it was when the plan was made is refused, and nothing is changed.
func TestCardIsNotAsItWas(t *testing.T) {
	dir := cardOf(t)
	if err := os.WriteFile(filepath.Join(dir, "etc/a"), []byte("other\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	before := tree(t, dir)
	err := opened(t, dir).Apply(plan.Plan{Steps: steps()}, harden.Options{ID: "20260101-000000"})
	if !errors.Is(err, harden.ErrRefused) || !strings.Contains(err.Error(), "/etc/a was changed after the plan was made") {
		t.Error(err)
	}
	same(t, before, tree(t, dir))
}

// A card's links lead nowhere outside of it; a step that fails takes all back.
func TestCardLeadsNowhere(t *testing.T) {
	dir, outside := cardOf(t), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "etc/out")); err != nil {
		t.Fatal(err)
	}
	before := tree(t, dir)
	bad := append(steps()[:3], change.Step{Verb: change.File, Name: "/etc/out/file", After: file("x\n", 0o644), Controls: []string{"x/y"}})
	if err := opened(t, dir).Apply(plan.Plan{Steps: bad}, harden.Options{ID: "20260101-000000"}); err == nil {
		t.Error("a file outside was written")
	}
	same(t, before, tree(t, dir))
	if found, _ := os.ReadDir(outside); len(found) > 0 {
		t.Errorf("outside: %v", found)
	}
}

// One that was cut off half way is taken back by its name, and no other comes over it.
func TestCardCutOff(t *testing.T) {
	dir := cardOf(t)
	before := tree(t, dir)
	c := opened(t, dir)
	if err := c.Apply(plan.Plan{Steps: steps()}, harden.Options{ID: "20260101-000000"}); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(dir, "var/lib/picket/tx/20260101-000000/state")
	if err := errors.Join(os.WriteFile(state, []byte("writing\n"), 0o600), os.Remove(filepath.Join(dir, "etc/link"))); err != nil {
		t.Fatal(err)
	}
	if err := c.Apply(plan.Plan{Steps: steps()[6:]}, harden.Options{ID: "20260102-000000"}); !errors.Is(err, harden.ErrRefused) || !strings.Contains(err.Error(), "20260101-000000 was left half done") {
		t.Error(err)
	}
	if err := c.Back("20260101-000000"); err != nil {
		t.Fatal(err)
	}
	same(t, before, tree(t, dir))
	if err := os.MkdirAll(filepath.Dir(state), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(state, []byte("confirmed\n"), 0o600), os.WriteFile(filepath.Join(filepath.Dir(state), "tx"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := c.Back("20260101-000000"); err == nil || !strings.Contains(err.Error(), "on the running host") {
		t.Errorf("one that was kept on the running host: %v", err)
	}
}

// What somebody has changed since stays and is told, and the rest goes back; with that out of the way, it does as well.
func TestCardWasChangedSince(t *testing.T) {
	dir := cardOf(t)
	before := tree(t, dir)
	c := opened(t, dir)
	if err := c.Apply(plan.Plan{Steps: steps()}, harden.Options{ID: "20260101-000000"}); err != nil {
		t.Fatal(err)
	}
	theirs, mode := filepath.Join(dir, "etc/a"), filepath.Join(dir, "etc/mode")
	wrote, err := os.ReadFile(theirs)
	if err = errors.Join(err, os.WriteFile(theirs, []byte("somebody's\n"), 0o640), os.WriteFile(mode, []byte("theirs\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	err = c.Back("20260101-000000")
	if !errors.Is(err, harden.ErrNotUndone) || !strings.Contains(err.Error(), "/etc/a was changed by somebody since") || strings.Contains(err.Error(), "/etc/mode") {
		t.Error(err)
	}
	now := tree(t, dir)
	if !strings.HasSuffix(strings.Split(now["/etc/a"], " 20")[0], "somebody's\n") || !strings.HasPrefix(now["/etc/mode"], "-rw-r--r-- theirs\n") {
		t.Errorf("%q, %q", now["/etc/a"], now["/etc/mode"])
	}
	if _, is := now["/etc/gone"]; !is {
		t.Error("the rest did not go back")
	}
	if err := errors.Join(os.WriteFile(theirs, wrote, 0o640), os.WriteFile(mode, []byte("stays\n"), 0o644), os.Chtimes(mode, time.Unix(1000, 0), time.Unix(1000, 0))); err != nil {
		t.Fatal(err)
	}
	if err := c.Back("20260101-000000"); err != nil {
		t.Fatal(err)
	}
	same(t, before, tree(t, dir))
}

// Changes that wait for the first start do not write the same path, and do not go back past what came into their folders.
func TestCardsOtherChanges(t *testing.T) {
	dir := cardOf(t)
	before := tree(t, dir)
	c := opened(t, dir)
	if err := c.Apply(plan.Plan{Steps: steps()}, harden.Options{ID: "20260101-000000"}); err != nil {
		t.Fatal(err)
	}
	one := tree(t, dir)
	again := []change.Step{{Verb: change.File, Name: "/etc/a", Before: file("new\n", 0o640), After: file("newer\n", 0o640), Controls: []string{"x/y"}}}
	if err := c.Apply(plan.Plan{Steps: again}, harden.Options{ID: "20260102-000000"}); !errors.Is(err, harden.ErrRefused) || !strings.Contains(err.Error(), "20260101-000000 has written /etc/a as well") {
		t.Error(err)
	}
	same(t, one, tree(t, dir))
	more := []change.Step{{Verb: change.File, Name: "/etc/new.d/c", After: file("c\n", 0o600), Controls: []string{"x/y"}}}
	if err := c.Apply(plan.Plan{Steps: more}, harden.Options{ID: "20260103-000000"}); err != nil {
		t.Fatal(err)
	}
	if err := c.Back("20260101-000000"); !errors.Is(err, harden.ErrRefused) || !strings.Contains(err.Error(), "blocked by 20260103-000000: /etc/new.d/c") {
		t.Error(err)
	}
	for _, id := range []string{"20260103-000000", "20260101-000000"} {
		if err := c.Back(id); err != nil {
			t.Fatal(err)
		}
	}
	same(t, before, tree(t, dir))
	if err := c.Back("20260103-000000"); !errors.Is(err, harden.ErrRefused) {
		t.Error(err)
	}
	state := filepath.Join(dir, "var/lib/picket/tx/20260104-000000/state")
	if err := errors.Join(os.MkdirAll(filepath.Dir(state), 0o700), os.WriteFile(state, []byte("applied\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := c.Apply(plan.Plan{Steps: steps()}, harden.Options{ID: "20260105-000000"}); !errors.Is(err, harden.ErrRefused) || !strings.Contains(err.Error(), "20260104-000000 has not ended") {
		t.Error(err)
	}
}

func TestNoCard(t *testing.T) {
	for dir, want := range map[string]string{"/": "the root of this machine", t.TempDir(): "there is no etc/os-release", "/nosuch": "no such file"} {
		if _, err := harden.OpenCard(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

// One whose name is taken already is refused, and costs the other nothing of its way back.
func TestCardTwiceTheSameName(t *testing.T) {
	dir := cardOf(t)
	before := tree(t, dir)
	c := opened(t, dir)
	if err := c.Apply(plan.Plan{Steps: steps()}, harden.Options{ID: "20260101-000000", Within: time.Minute}); err != nil {
		t.Fatal(err)
	}
	one := tree(t, dir)
	if err := c.Apply(plan.Plan{Steps: steps()[6:]}, harden.Options{ID: "20260101-000000", Within: time.Minute}); !errors.Is(err, harden.ErrRefused) || !errors.Is(err, os.ErrExist) {
		t.Error(err)
	}
	same(t, one, tree(t, dir))
	if err := c.Back("20260101-000000"); err != nil {
		t.Fatal(err)
	}
	same(t, before, tree(t, dir))
}

// A file with another name has it again when it is taken back, and is the same file.
func TestCardKeepsOtherNames(t *testing.T) {
	dir := cardOf(t)
	a, other := filepath.Join(dir, "etc/a"), filepath.Join(dir, "etc/other")
	if err := os.Link(a, other); err != nil {
		t.Fatal(err)
	}
	c := opened(t, dir)
	if err := c.Apply(plan.Plan{Steps: steps()}, harden.Options{ID: "20260101-000000", Within: time.Minute}); err != nil {
		t.Fatal(err)
	}
	if is, err := os.ReadFile(other); err != nil || string(is) != "old\n" {
		t.Errorf("the other name: %q, %v", is, err)
	}
	if err := c.Back("20260101-000000"); err != nil {
		t.Fatal(err)
	}
	x, err := os.Stat(a)
	y, err2 := os.Stat(other)
	if err := errors.Join(err, err2); err != nil || !os.SameFile(x, y) {
		t.Errorf("they are two files now: %v", err)
	}
}
