package files

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"picket/lab/leftout"
	"picket/lab/sshserver"
)

// TestCut: what was cut off is not in place, and is continued from; what another content left is taken away.
func TestCut(t *testing.T) {
	dir := t.TempDir()
	content := bytes.Repeat([]byte("0123456789abcdef"), 200_000) // 3.2 MB
	for i := range content {
		content[i] ^= byte(i >> 9)
	}
	onShells(t, func(t *testing.T, p *pipe) {
		from := write(t, 0o640, string(content), dir, "image")
		write(t, 0o600, "as it was", p.home, "image")
		if os.Getuid() == 0 {
			os.Chown(filepath.Join(p.home, "image"), nobody, nobody)
		}
		job := Job{read(t, from), "image"}
		p.cut = 1_000_000
		if sent, err := p.send(t, Options{}, job); err == nil {
			t.Fatalf("a line that was cut is no error: %+v", sent)
		}
		was := func(want string) {
			t.Helper()
			if b, err := os.ReadFile(filepath.Join(p.home, "image")); string(b) != want {
				t.Errorf("the file is %.20q, %v", b, err)
			}
		}
		was("as it was")
		p.cut = 0
		part := beside(filepath.Join(p.home, "image"), job.Source.Entries[0].Sum)
		if info, err := os.Stat(part); err != nil || info.Size() < 900_000 || info.Mode().Perm() != 0o600 {
			t.Fatalf("what came is %v, %v", info, err)
		}
		sent, err := p.send(t, Options{}, job)
		if err != nil || sent.Continued < 900_000 || sent.Continued+sent.Bytes != int64(len(content)) || p.sent > 2_400_000 {
			t.Errorf("%+v, %d bytes, %v", sent, p.sent, err)
		}
		was(string(content))
		alone(t, p.home, "image")

		// A part whose content is not that of the file's beginning is not continued.
		p.cut = 1_500_000
		content[0] ^= 1
		from = write(t, 0o640, string(content), dir, "image")
		job = Job{read(t, from), "image"}
		_, _ = p.send(t, Options{}, job)
		p.cut = 0
		part = beside(filepath.Join(p.home, "image"), job.Source.Entries[0].Sum)
		b, err := os.ReadFile(part)
		if err != nil || len(b) < 1_000_000 {
			t.Fatal(len(b), err)
		}
		b[500_000] ^= 1
		if err := os.WriteFile(part, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if sent, err = p.send(t, Options{}, job); err != nil || sent.Continued != 0 {
			t.Errorf("%+v, %v", sent, err)
		}
		was(string(content))

		// Nor one that is a link: what it leads to stays as it is.
		content[0] ^= 1
		from = write(t, 0o640, string(content), dir, "image")
		job = Job{read(t, from), "image"}
		part = beside(filepath.Join(p.home, "image"), job.Source.Entries[0].Sum)
		victim := write(t, 0o666, string(content[:1000]), openUp(t, t.TempDir()), "victim")
		if err := os.Symlink(victim, part); err != nil {
			t.Fatal(err)
		}
		if sent, err = p.send(t, Options{}, job); err != nil || sent.Continued != 0 {
			t.Errorf("%+v, %v", sent, err)
		}
		if b, _ := os.ReadFile(victim); string(b) != string(content[:1000]) {
			t.Errorf("what a link leads to has %d bytes", len(b))
		}
		was(string(content))

		// One of another content goes.
		write(t, 0o600, "old", strings.TrimSuffix(part, part[len(part)-16:])+strings.Repeat("0", 16))
		if os.Getuid() == 0 {
			os.Chown(strings.TrimSuffix(part, part[len(part)-16:])+strings.Repeat("0", 16), nobody, nobody)
		}
		content[0] ^= 1
		from = write(t, 0o640, string(content), dir, "image")
		if sent, err = p.send(t, Options{}, Job{read(t, from), "image"}); err != nil {
			t.Errorf("%+v, %v", sent, err)
		}
		alone(t, p.home, "image")
	})
}

// TestFolderCut: of a new folder nothing is seen until all of it is there.
func TestFolderCut(t *testing.T) {
	from := filepath.Join(t.TempDir(), "app")
	for i := range 20 {
		write(t, 0o644, strings.Repeat(fmt.Sprint(i), 100_000), from, "lib", fmt.Sprint(i))
	}
	onShells(t, func(t *testing.T, p *pipe) {
		job := Job{read(t, from), "app"}
		p.cut = 1_000_000
		if _, err := p.send(t, Options{}, job); err == nil {
			t.Fatal("no error")
		}
		alone(t, p.home, filepath.Base(beside("/app", job.Source.id())))
		p.cut = 0
		sent, err := p.send(t, Options{}, job)
		if err != nil || sent.Continued < 800_000 || p.sent > 2_500_000 {
			t.Errorf("%+v, %d bytes, %v", sent, p.sent, err)
		}
		alone(t, p.home, "app")
		if is, want := tree(t, filepath.Join(p.home, "app")), tree(t, from); is != want {
			t.Errorf("it is\n%s\nwant\n%s", is, want)
		}
	})
}

// TestRefused: what a host cannot take is refused with its reason, and nothing is changed.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	file, folder := write(t, 0o644, "new", dir, "f"), filepath.Dir(write(t, 0o644, "new", dir, "d", "x"))
	onShells(t, func(t *testing.T, p *pipe) {
		write(t, 0o644, "old", p.home, "there", "x", "y")
		write(t, 0o644, "old", p.home, "closed", "f")
		for text, name := range map[string]string{"/nonexistent/x": "dangling", "there": "link"} {
			if err := os.Symlink(text, filepath.Join(p.home, name)); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(os.Mkdir(filepath.Join(p.home, "linked"), 0o777), os.Symlink("../there/x/y", filepath.Join(p.home, "linked", "x")), syscall.Mkfifo(filepath.Join(p.home, "pipe"), 0o600)); err != nil {
			t.Fatal(err)
		}
		if os.Getuid() == 0 {
			os.Chown(filepath.Join(p.home, "linked"), nobody, nobody)
			os.Chown(filepath.Join(p.home, "there"), nobody, nobody)
		} else {
			os.Chmod(filepath.Join(p.home, "closed"), 0o500)
		}
		before := tree(t, filepath.Join(p.home, "there"))
		for _, tc := range []struct {
			from, to, kind, what string
		}{
			{file, "nosuch/f", "folder", p.home + "/nosuch"},
			{file, "there", "isfolder", p.home + "/there"},
			{file, "dangling", "dangling", p.home + "/dangling"},
			{file, "closed/f", "denied", p.home + "/closed"},
			{file, "pipe", "other", p.home + "/pipe"},
			{folder, "there", "isfolder", p.home + "/there/x"},
			{folder, "closed/f", "other", p.home + "/closed/f"},
			{folder, "linked", "islink", p.home + "/linked/x"},
			{file, "closed/f/g", "folder", p.home + "/closed/f"},
		} {
			_, err := p.send(t, Options{}, Job{read(t, tc.from), tc.to})
			var r *Refusal
			if !errors.As(err, &r) || r.Kind != tc.kind || r.What != tc.what {
				t.Errorf("%s to %s: %v, want %s %s", tc.from, tc.to, err, tc.kind, tc.what)
			}
		}
		if is := tree(t, filepath.Join(p.home, "there")); is != before {
			t.Errorf("it is\n%s\nwas\n%s", is, before)
		}
		// A link that is named is followed, and stays one.
		if sent, err := p.send(t, Options{}, Job{read(t, file), "link/f"}); err != nil || sent.Places[0] != p.home+"/there/f" {
			t.Errorf("%+v, %v", sent, err)
		}
		// Folders above are made where that is asked for.
		if sent, err := p.send(t, Options{Parents: true, Pretend: true}, Job{read(t, folder), "new/er/d"}); err != nil || sent.Files != 1 {
			t.Errorf("%+v, %v", sent, err)
		}
		if _, err := os.Stat(filepath.Join(p.home, "new")); err == nil {
			t.Error("to pretend makes folders")
		}
		if _, err := p.send(t, Options{Parents: true}, Job{read(t, folder), "new/er/d"}); err != nil {
			t.Error(err)
		}
		if info, err := os.Stat(filepath.Join(p.home, "new/er")); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%v, %v", info, err)
		}
		p.path = openUp(t, t.TempDir())
		for _, tool := range []string{"id", "printf"} {
			os.Symlink(sshserver.Need(t, tool), filepath.Join(p.path, tool))
		}
		if _, err := p.send(t, Options{}, Job{read(t, file), "f"}); p.argv[len(p.argv)-1] != "sh" && (err == nil || !strings.Contains(err.Error(), "the host has no sha256sum")) { // BusyBox's shell has its own
			t.Error(err)
		}
	})
}

// TestRoot: where others could have a path mean something else, root writes nothing; what root replaces keeps its owner.
func TestRoot(t *testing.T) {
	if os.Getuid() != 0 {
		return // what is tested is root's
	}
	file := write(t, 0o640, "new", t.TempDir(), "f")
	onShells(t, func(t *testing.T, p *pipe) {
		p.uid = 0
		for name, mode := range map[string]fs.FileMode{"theirs": 0o755, "open": 0o1777, "group": 0o775, "staff": 0o775, "ours": 0o755} {
			if err := errors.Join(os.Mkdir(filepath.Join(p.home, name), 0o700), os.Chmod(filepath.Join(p.home, name), mode|fs.FileMode(mode&0o1000)<<11)); err != nil {
				t.Fatal(err)
			}
		}
		os.Chown(p.home, 0, 0)
		os.Chown(filepath.Join(p.home, "theirs"), nobody, 0)
		os.Chown(filepath.Join(p.home, "group"), 0, nobody)
		os.Chown(filepath.Join(p.home, "staff"), 0, 50)
		write(t, 0o600, "old", p.home, "ours", "f")
		os.Chown(filepath.Join(p.home, "ours", "f"), nobody, 7)
		os.Chmod(filepath.Join(p.home, "open"), 0o777|fs.ModeSticky)
		for _, name := range []string{"theirs", "open", "group"} {
			_, err := p.send(t, Options{}, Job{read(t, file), name + "/f"})
			var r *Refusal
			if !errors.As(err, &r) || r.Kind != "root" {
				t.Errorf("%s: %v", name, err)
			}
			_, err = p.send(t, Options{Parents: true}, Job{read(t, file), name + "/deeper/f"})
			if !errors.As(err, &r) || r.Kind != "root" {
				t.Errorf("%s: %v", name, err)
			}
			alone(t, filepath.Join(p.home, name))
		}
		for _, name := range []string{"staff", "ours"} {
			if _, err := p.send(t, Options{}, Job{read(t, file), name + "/f"}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		info, err := os.Stat(filepath.Join(p.home, "ours", "f"))
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); st.Uid != nobody || st.Gid != 7 || info.Mode().Perm() != 0o640 {
			t.Errorf("owner %d:%d, mode %v", st.Uid, st.Gid, info.Mode())
		}
	})
}

// TestNoSpace: on a disk that is full nothing is left of what was begun.
func TestNoSpace(t *testing.T) {
	if os.Getuid() != 0 {
		leftout.Missing(t, "only root can mount a file system that is soon full")
	}
	dir := t.TempDir()
	write(t, 0o644, "small", dir, "app", "a")
	write(t, 0o644, strings.Repeat("x", 3<<20), dir, "app", "b")
	onShells(t, func(t *testing.T, p *pipe) {
		disk := filepath.Join(p.home, "disk")
		if err := errors.Join(os.Mkdir(disk, 0o755), syscall.Mount("none", disk, "tmpfs", 0, "size=2m,mode=0777")); err != nil {
			leftout.Missing(t, err.Error())
		}
		t.Cleanup(func() { _ = syscall.Unmount(disk, 0) })
		var r *Refusal
		_, err := p.send(t, Options{}, Job{read(t, filepath.Join(dir, "app")), "disk/app"})
		if !errors.As(err, &r) || r.Kind != "space" || !strings.Contains(err.Error(), "app takes 3.1 MB, and 2.1 MB are free") || p.sent > 10_000 {
			t.Errorf("%v, %d bytes", err, p.sent)
		}
		alone(t, disk)

		// One that says that there is room, as with a quota: found out while it is written.
		write(t, 0o755, "#!/bin/sh\necho h; echo none 9 9 999999999 1% /\n", p.home, "bin", "df")
		p.path = filepath.Join(p.home, "bin") + ":" + p.path
		if p.argv[len(p.argv)-1] == "sh" {
			return // BusyBox's shell asks its own
		}
		write(t, 0o644, "theirs", disk, "old", "theirs")
		os.Chown(filepath.Join(disk, "old"), nobody, nobody)
		before := tree(t, disk)
		for _, to := range []string{"disk/app", "disk/old"} {
			_, err = p.send(t, Options{}, Job{read(t, filepath.Join(dir, "app")), to})
			if !errors.As(err, &r) || r.Kind != "space" || !strings.Contains(err.Error(), "no space left on device; what had come was taken away again") {
				t.Errorf("%v", err)
			}
		}
		alone(t, filepath.Join(disk, "old"), "theirs")
		alone(t, disk, "old")
		_ = before
	})
}

// TestChanged: what changes here while it is sent does not get to its place.
func TestChanged(t *testing.T) {
	from := write(t, 0o644, strings.Repeat("a", 100_000), t.TempDir(), "f")
	onShells(t, func(t *testing.T, p *pipe) {
		write(t, 0o644, strings.Repeat("a", 100_000), from)
		job := Job{read(t, from), "f"}
		write(t, 0o644, strings.Repeat("b", 100_000), from)
		if _, err := p.send(t, Options{}, job); err == nil || !strings.HasSuffix(err.Error(), "/f has changed here while it was sent") {
			t.Error(err)
		}
		alone(t, p.home)
		write(t, 0o644, "short", from)
		if _, err := p.send(t, Options{}, job); err == nil || !strings.Contains(err.Error(), "has become shorter") {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(p.home, "f")); err == nil {
			t.Error("it is in place")
		}
	})
}
