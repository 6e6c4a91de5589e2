package snapshot

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

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
