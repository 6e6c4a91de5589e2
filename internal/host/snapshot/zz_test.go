package snapshot

import (
	"context"
	"fmt"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
	"testing"
	"time"
)

func TestZZ(t *testing.T) {
	for _, k := range []Taker{NewLocal(LocalOptions{}), func() Taker {
		i, e := NewImage("/tmp/lab/base")
		if e != nil {
			t.Fatal(e)
		}
		return i
	}()} {
		t0 := time.Now()
		s, err := Take(context.Background(), k, fact.Ask, Options{Now: time.Now})
		fmt.Println(err, time.Since(t0), len(s.Entries), len(s.Commands))
		for k, o := range s.Commands {
			fmt.Println(k, o.Exit, o.Err, o.Missing, len(o.Stdout))
		}
		t0 = time.Now()
		k.Round(context.Background(), snap.Manifest{Walk: &snap.Walk{Roots: []string{"/"}}, Stats: []string{"/etc/*", "/proc/*/exe", "/etc/*/*", "/etc/*/*/*"}, Files: []string{"/proc/*/status", "/proc/*/cmdline", "/proc/sys/*/*/*"}}, s)
		fmt.Println(time.Since(t0), s.Walk.Seen, s.Walk.Err, len(s.Walk.Found), s.Walk.Roots, len(s.Entries), s.Denials)
	}
}
