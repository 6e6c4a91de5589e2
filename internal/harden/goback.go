package harden

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"picket/internal/host/shell"
)

// grace is how long a host has for its steps, besides the time in which it is to be confirmed; as tx has it.
const grace = 15 * time.Minute

// How often a host is asked: one that is reached and is still at it, and one that is not, of which failures are counted
// there.
const (
	askAgain  = 3 * time.Second
	comeAgain = 20 * time.Second
	comeLater = 2 * time.Minute
	parting   = 30 * time.Second // once somebody has interrupted
)

// back has the host go back, over the connection that is there or a new one, and says how that ended. Where it cannot be
// told to, it does so by itself: that is waited for.
func back(ctx context.Context, h Host, at string, why error, opt Options) error {
	if ctx.Err() != nil {
		why = errors.New("interrupted")
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(opt.Wait, opt.Within+grace+time.Minute))
	defer cancel()
	defer context.AfterFunc(ctx, func() { // who interrupts it still has the host told
		select {
		case <-limited.Done():
		case <-time.After(parting):
			cancel()
		}
	})()
	login := h.Fresh
	if opt.Again != nil {
		login = opt.Again
	}
	end, told := goBack(limited, h.Shell(), at, opt.Say)
	wait := time.Duration(0)
	for try := 0; end == nil && limited.Err() == nil; try++ {
		switch {
		case try == 1:
			if opt.Say != nil {
				opt.Say(fmt.Sprintf("root cannot be had there any more; the host goes back by itself within %v, or, if it still takes steps, after them: waiting for that", opt.Within))
			}
			wait = opt.Within + 5*time.Second
		case try > 1 && try < 4:
			wait = comeAgain
		case try >= 4:
			wait = comeLater
		}
		select {
		case <-limited.Done():
			continue
		case <-time.After(wait):
		}
		if s, err := login(limited); err == nil {
			var reached bool
			end, reached = goBack(limited, s, at, opt.Say)
			told = told || reached
			s.Close()
		}
	}
	switch {
	case end != nil:
		return fmt.Errorf("%w: %w", why, end)
	case told:
		return fmt.Errorf("%w: the host was told to go back, and has not ended: %w; how it stands: sudo sh %s/tx state", why, ErrNotUndone, at)
	}
	return fmt.Errorf("%w: %w: %w", why, ErrAway, ErrNotUndone)
}

// goBack has the host go back, and waits while it still takes its steps, or goes back already. end is how that ended, nil
// where the connection ended before; told is that the host has heard of it.
func goBack(ctx context.Context, s shell.Shell, at string, say func(string)) (end error, told bool) {
	for {
		_, exit, err := s.Run(ctx, Away("sh "+at+"/tx undo"), nil, say)
		switch {
		case err != nil:
			return nil, told
		case exit == 0:
			return ErrRolledBack, true
		case exit != 4 && exit != 6:
			return nil, told // root is not had
		}
		out, code, err := s.Run(ctx, "sh "+at+"/tx state", nil, nil)
		if err != nil || code != 0 {
			return nil, told
		}
		switch state := strings.TrimSpace(string(out)); {
		case state == "undone":
			return ErrRolledBack, true
		case exit == 6, state != "applying" && state != "applied" && state != "undoing":
			return fmt.Errorf("this is %s: %w; on the host: sudo sh %s/tx undo", state, ErrNotUndone, at), true
		}
		told = true
		select { // another has hold of it: the steps themselves, or its own way back
		case <-ctx.Done():
			return nil, told
		case <-time.After(askAgain):
		}
	}
}
