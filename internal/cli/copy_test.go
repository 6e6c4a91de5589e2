package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func plant(t *testing.T, mode fs.FileMode, content string, elem ...string) string {
	t.Helper()
	name := filepath.Join(elem...)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o600), os.Chmod(name, mode)); err != nil {
		t.Fatal(err)
	}
	return name
}

func content(t *testing.T, elem ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// TestCopy: to the same place in each home, only what differs, and a host that is away keeps no other from it.
func TestCopy(t *testing.T) {
	t.Parallel()
	n := newNodes(t)
	a, b := n.sshd["a"].Dir, n.sshd["b"].Dir
	file := plant(t, 0o640, "new\n", n.dir, "conf", "f")
	plant(t, 0o755, "#!/bin/sh\n", n.dir, ".scripts", "run")
	out, errs, code := n.run(t.Context(), "copy", file, "two")
	if code != ExitPartial || !strings.Contains(errs, "picket: a: there is no folder "+a+"/conf\n        --parents makes it\n") || !strings.Contains(errs, "picket: b: there is") || !strings.Contains(errs, "0 of 2 hosts done in") || !strings.Contains(errs, "s, 2 failed\n") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	_, errs, code = n.run(t.Context(), "copy", file, filepath.Join(n.dir, ".scripts"), "two", "--parents")
	if code != ExitFine || !strings.Contains(errs, "a  2 files sent (14 bytes)  ") || !strings.Contains(errs, "2 of 2 hosts done") {
		t.Errorf("exit code %d\n%s", code, errs)
	}
	for _, dir := range []string{a, b} {
		info, err := os.Stat(filepath.Join(dir, ".scripts", "run"))
		if is := content(t, dir, "conf", "f"); is != "new\n" || err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s: %q, %v", dir, is, err)
		}
	}
	plant(t, 0o640, "old\n", b, "conf", "f")
	_, errs, code = n.run(t.Context(), "copy", file, "two", "--dry-run")
	if code != ExitFine || !strings.Contains(errs, "b  1 file to be sent (4 bytes)") || content(t, b, "conf", "f") != "old\n" {
		t.Errorf("exit code %d\n%s", code, errs)
	}
	out, errs, code = n.run(t.Context(), "copy", file, "all", "--output", "json")
	got := map[string]copied{}
	for line := range strings.Lines(out) {
		var r copied
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		got[r.Host] = r
	}
	if code != ExitPartial || len(got) != 3 || got["a"].Same != 1 || got["a"].Bytes != 0 || got["b"].Files != 1 || got["b"].Places[0] != b+"/conf/f" ||
		!strings.Contains(got["away"].Error, "connection refused") || content(t, b, "conf", "f") != "new\n" {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}

	if _, errs, code = n.run(t.Context(), "copy", file, "a", "--to", "named"); code != ExitFine || content(t, a, "named") != "new\n" {
		t.Errorf("exit code %d\n%s", code, errs)
	}
	elsewhere := t.TempDir()
	for _, to := range []string{"conf/", "~/conf/", elsewhere + "/"} { // which is the same folder for both
		if _, errs, code = n.run(t.Context(), "copy", "--serial", "--to", to, plant(t, 0o600, "g", n.dir, "g"), plant(t, 0o600, "h", n.dir, "h"), "--", "a", "b"); code != ExitFine {
			t.Errorf("%s: exit code %d\n%s", to, code, errs)
		}
	}
	if content(t, a, "conf", "g") != "g" || content(t, b, "conf", "h") != "h" || content(t, elsewhere, "g") != "g" {
		t.Error("--to with a / at its end is no folder")
	}
	if _, errs, code = n.run(t.Context(), "copy", file, "a", "--to", "conf"); code != ExitPartial || !strings.Contains(errs, a+"/conf is a folder there\n        --to "+a+"/conf/, with a /") {
		t.Errorf("exit code %d\n%s", code, errs)
	}
	keys := plant(t, 0o600, "ssh-ed25519 AAAA\n", n.dir, ".ssh", "authorized_keys")
	for _, from := range []string{keys, filepath.Dir(keys)} {
		if _, errs, code = n.run(t.Context(), "copy", from, "a", "--parents"); code != ExitRefused || !strings.Contains(errs, "says who comes in") {
			t.Errorf("exit code %d\n%s", code, errs)
		}
	}
	if _, errs, code = n.run(t.Context(), "copy", keys, "a", "--parents", "--accept-risk", "lose-ssh"); code != ExitFine {
		t.Errorf("exit code %d\n%s", code, errs)
	}
}

// TestCopyWords: what is typed wrongly is told before anybody is spoken to.
func TestCopyWords(t *testing.T) {
	t.Parallel()
	n := newNodes(t)
	file := plant(t, 0o600, "x", n.dir, "f")
	for want, args := range map[string][]string{
		"want a file or a folder, and a target":                           {},
		"no file is named: files come first":                              {"all"},
		"no target is named: it is the last word":                         {file},
		"no target is named: " + file + ", the last word, is a file here": {file, file},
		"there is no file nosuch":                                         {"nosuch", "a"},
		"the host and the place on it are given each by itself":           {file, "a:/etc"},
		"`picket copy " + file + " a --to /etc`":                          {file, "a:/etc"},
		"`picket copy " + file + " ssh://pi@leader --to /etc`":            {file, "pi@leader:/etc"},
		"is the place of one file or folder, and there are 2":             {file, n.dir + "/known", "a", "--to", "x"},
		"would both become x/f":                                           {file, plant(t, 0o600, "x", n.dir, "d", "f"), "a", "--to", "x/"},
		`no node, group or role is called "tow"`:                          {file, "tow"},
		"the homes of others are not known here":                          {file, "a", "--to", "~amy/x"},
		"--root stands behind --, where only targets do":                  {file, "--", "a", "--root"},
		"local is no host that is reached over SSH":                       {file, "local"},
		"--output xml: want text or json":                                 {file, "a", "--output", "xml"},
	} {
		if _, errs, code := n.run(t.Context(), append([]string{"copy"}, args...)...); code != ExitUsage || !strings.Contains(errs, want) {
			t.Errorf("%q: exit code %d\n%s", args, code, errs)
		}
	}
}

// TestCopyInterrupted: who interrupts hears what is done and what is not, and nothing is half there.
func TestCopyInterrupted(t *testing.T) {
	t.Parallel()
	n := newNodes(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b := n.sshd["b"].Dir
	file := filepath.Join(n.dir, "big")
	f, err := os.Create(file)
	if err != nil || f.Truncate(300<<20) != nil || f.Close() != nil {
		t.Fatal(err)
	}
	_ = b
	go func() {
		for ctx.Err() == nil {
			parts, _ := filepath.Glob(filepath.Join(n.sshd["a"].Dir, ".picket-*"))
			if len(parts) > 0 {
				if info, err := os.Stat(parts[0]); err == nil && info.Size() > 10<<20 {
					cancel()
				}
			}
			time.Sleep(time.Millisecond)
		}
	}()
	_, errs, code := n.run(ctx, "copy", "--serial", file, "--", "away", "two")
	for _, want := range []string{"a     interrupted\n", "b     not begun\n", "failed:     away\n", "broken off: a\n", "not begun:  b\n", "the same command goes on", "picket: interrupted\n"} {
		if code != ExitInterrupted || !strings.Contains(errs, want) {
			t.Errorf("exit code %d, no %q:\n%s", code, want, errs)
		}
	}
	for _, name := range []string{"a", "b"} {
		if _, err := os.Stat(filepath.Join(n.sshd[name].Dir, "big")); err == nil {
			t.Errorf("%s has it", name)
		}
	}
}
