//go:build !linux

package snapshot

import (
	"context"
	"fmt"

	"picket/internal/core/snap"
	"picket/internal/host/machine"
)

// elsewhere stands for the machine that we run on where that is no Linux: it cannot be read.
type elsewhere struct{}

// NewLocal gives a taker that says so.
func NewLocal(LocalOptions) Taker { return elsewhere{} }

// NewImage says that no card is read here: its file system is Linux's own.
func NewImage(dir string) (Taker, error) {
	return nil, fmt.Errorf("image %s: %w", dir, machine.ErrNotLinux)
}

func (elsewhere) Source(context.Context) (snap.Source, error) {
	return snap.Source{}, machine.ErrNotLinux
}

func (elsewhere) Round(context.Context, snap.Manifest, *snap.Snapshot) error {
	return machine.ErrNotLinux
}

func (elsewhere) Close() error { return nil }
