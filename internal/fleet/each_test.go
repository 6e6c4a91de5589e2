package fleet

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestEach: all hosts are worked on, never more at once than may be, and whoever is done first is heard first.
func TestEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int32
		var order []int
		for r := range Each(t.Context(), 40, Limits{AtOnce: 7}, func(_ context.Context, i int) (int, error) {
			now := running.Add(1)
			defer running.Add(-1)
			for {
				if m := most.Load(); now <= m || most.CompareAndSwap(m, now) {
					break
				}
			}
			time.Sleep(time.Duration(40-i) * time.Second) // of the bubble's own clock: no real time passes
			return i * i, nil
		}) {
			if r.Err != nil || r.Value != r.Host*r.Host || r.Took != time.Duration(40-r.Host)*time.Second {
				t.Errorf("%+v", r)
			}
			order = append(order, r.Host)
		}
		if most.Load() != 7 {
			t.Errorf("%d at once", most.Load())
		}
		if order[0] != 6 || len(order) != 40 {
			t.Errorf("they come as %v", order)
		}
		slices.Sort(order)
		if len(slices.Compact(order)) != 40 {
			t.Errorf("not each once: %v", order)
		}
	})
}

// TestEachLeavesBehind: a host that hangs, even one that does not listen, holds up no other.
func TestEachLeavesBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		forever := make(chan struct{})
		begun := time.Now()
		got := map[int]error{}
		for r := range Each(t.Context(), 5, Limits{AtOnce: 2, Deadline: time.Minute}, func(ctx context.Context, i int) (string, error) {
			switch i {
			case 0:
				<-forever
			case 1:
				<-ctx.Done()
				return "", ctx.Err()
			case 2:
				return "", errors.New("no such host")
			}
			return "fine", nil
		}) {
			got[r.Host] = r.Err
		}
		if took := time.Since(begun); took != time.Minute+Grace {
			t.Errorf("it took %v", took)
		}
		for host, want := range []string{"not done within 1m0s", "not done within 1m0s", "no such host", "", ""} {
			if is := got[host]; (is == nil) != (want == "") || is != nil && is.Error() != want {
				t.Errorf("host %d: %v, want %q", host, is, want)
			}
		}
		close(forever)
	})
}

// TestEachInterrupted: what was done stays done, what runs is told to end, and the rest is named as not begun.
func TestEachInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done, ended, not := 0, 0, 0
		for r := range Each(ctx, 10, Limits{AtOnce: 2}, func(ctx context.Context, i int) (bool, error) {
			if i < 3 {
				return true, nil
			}
			<-ctx.Done()
			return false, ctx.Err()
		}) {
			switch {
			case r.Err == nil:
				if done++; done == 3 {
					time.AfterFunc(time.Second, cancel)
				}
			case errors.Is(r.Err, ErrNotBegun):
				not++
			case errors.Is(r.Err, context.Canceled):
				ended++
			}
		}
		if done != 3 || ended != 2 || not != 5 {
			t.Errorf("%d done, %d ended, %d not begun", done, ended, not)
		}
	})
}

// TestEachNobody: no hosts, and a listener that leaves.
func TestEachNobody(t *testing.T) {
	for r := range Each(t.Context(), 0, Limits{}, func(context.Context, int) (int, error) { return 0, nil }) {
		t.Errorf("%+v", r)
	}
	synctest.Test(t, func(t *testing.T) {
		var told atomic.Int32
		for range Each(t.Context(), 4, Limits{}, func(ctx context.Context, i int) (int, error) {
			if i > 0 {
				<-ctx.Done()
				told.Add(1)
			}
			return 0, nil
		}) {
			break
		}
		synctest.Wait()
		if told.Load() != 3 {
			t.Errorf("%d were told that nobody listens any more", told.Load())
		}
	})
}
