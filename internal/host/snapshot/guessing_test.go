package snapshot

import (
	"context"
	"crypto/sha256"
	"runtime"
	"testing"
	"time"
)

// TestMemory: what a guess has given is worked out once for each hash, and what is no hash is never remembered.
func TestMemory(t *testing.T) {
	// Of few rounds, made by crypt(3): how long a guess takes is not what is tested.
	const hash = "$6$rounds=10000$saltstring$uIGe9ndJvXotRgHncVI.MMM4OSje25/eeTaAhcictTUamc.9tD4B9InR8kxEPveU2G7wRP91ZukaZ9fd5/tk3."
	m := NewMemory()
	for guess, want := range map[string]bool{"raspberry": true, "pi": false} {
		for range 2 {
			if fits, err := m.verify(hash, guess); err != nil || fits != want {
				t.Errorf("%s: %v, %v", guess, fits, err)
			}
		}
	}
	if len(m.fits) != 2 {
		t.Errorf("%d answers are remembered, want 2", len(m.fits))
	}
	for k, v := range m.fits { // it is what is remembered that is given
		m.fits[k] = !v
	}
	if fits, _ := m.verify(hash, "raspberry"); fits {
		t.Error("it was worked out again")
	}
	if _, err := m.verify("no hash", "pi"); err == nil {
		t.Error("no hash is no error")
	}
	if _, ok := m.fits[sha256.Sum256([]byte("no hash\x00pi"))]; ok {
		t.Error("an error is remembered")
	}
}

// TestMemoryIsShared: several hosts may be read at once, and the scheduler is left as it was when the last is done.
func TestMemoryIsShared(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	m := NewMemory()
	m.begins()
	m.begins()
	m.ends()
	if n := runtime.GOMAXPROCS(0); n != before+1 {
		t.Errorf("%d while one goes on, want %d", n, before+1)
	}
	m.ends()
	if n := runtime.GOMAXPROCS(0); n != before {
		t.Errorf("%d afterwards, want %d", n, before)
	}
}

// TestGuessTimeIsShared: hosts that are tried at the same time get longer each, within what a host has as a whole.
func TestGuessTimeIsShared(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		works  int
		within time.Duration // 0: no deadline
		want   time.Duration
	}{
		{0, 0, time.Second}, {1, 0, time.Second}, {6, 0, 6 * time.Second}, {6, 24 * time.Second, 4 * time.Second}, {6, 10 * time.Second, time.Second},
	} {
		ctx := t.Context()
		if c.within > 0 {
			limited, cancel := context.WithDeadline(ctx, now.Add(c.within))
			defer cancel()
			ctx = limited
		}
		m := NewMemory()
		m.works = c.works
		g := &guessing{ctx: ctx, opt: Options{Now: func() time.Time { return now }, Guess: time.Second, Memory: m}}
		g.finish()
		if got := g.deadline.Load().Sub(now); got != c.want {
			t.Errorf("%d at a time, %v left: %v, want %v", c.works, c.within, got, c.want)
		}
	}
}
