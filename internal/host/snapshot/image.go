//go:build linux

package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"picket/internal/core/snap"
)

// image reads a mounted card or a root folder. Nothing outside of it is ever
// looked at, and nothing in it is run.
type image struct {
	given string
	tree  *tree
	walk  time.Duration
}

// NewImage reads the Linux root in the folder dir.
func NewImage(dir string) (Taker, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	real, err := filepath.EvalSymlinks(abs)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("image %s: there is no such folder", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", dir, err)
	}
	if info, err := os.Stat(real); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("image %s: it is a file, and has to be a folder", dir)
	}
	t, err := openTree(real, false, os.Geteuid() == 0)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", dir, err)
	}
	for _, p := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		e, err := t.entry(p)
		if err == nil && e.Type == snap.File {
			return &image{given: dir, tree: t, walk: snap.WalkTime}, nil
		}
		if err != nil && !absent(err) {
			return nil, errors.Join(fmt.Errorf("image %s: %s", dir, t.why(p, err)), t.close())
		}
	}
	return nil, errors.Join(fmt.Errorf("no etc/os-release or usr/lib/os-release in %s: "+
		"mount the card's second partition there (the first one holds only /boot/firmware)", dir), t.close())
}

func (i *image) Source(context.Context) (snap.Source, error) {
	return snap.Source{Kind: "image", Target: i.given, UID: os.Geteuid()}, nil
}

func (i *image) Close() error { return i.tree.close() }

func (i *image) Round(ctx context.Context, m snap.Manifest, s *snap.Snapshot) error {
	g := newGatherer(i.tree, s, fileWorkers())
	g.serve(ctx, m.Files, m.Stats, s)
	var instead []string
	for _, c := range m.Commands {
		s.Commands[c.Key()] = &snap.Output{Argv: c.Argv, Exit: -1, Err: NoCommands}
		instead = append(instead, c.Instead...)
	}
	if err := g.instead(ctx, instead, s); err != nil {
		return err
	}
	if m.Walk != nil {
		s.Walk = i.tree.walk(ctx, m.Walk, i.walk, fileWorkers())
	}
	return ctx.Err()
}
