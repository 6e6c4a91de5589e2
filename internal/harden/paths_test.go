package harden

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A turn is a lock on which time passes while somebody waits for it.
type turn chan struct{}

func (t turn) Lock()   { t <- struct{}{} }
func (t turn) Unlock() { <-t }

// TestTurns: who has to wait until others have been tried is not taken for shut.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(pathTime - time.Second):
				return nil
			}
		}
		one := make(turn, 1)
		for i, err := range blocked(t.Context(), []Path{{Try: slow, Turn: one}, {Try: slow, Turn: one}, {Try: slow, Turn: one}, {Try: slow}}) {
			if err != nil {
				t.Errorf("path %d: %v", i, err)
			}
		}
	})
}
