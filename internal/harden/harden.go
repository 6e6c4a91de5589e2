// Package harden changes one host: it stages a plan there, has the host take its
// steps, proves that who came in still can and that the change has an effect, and
// confirms it or has it taken back.
package harden

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"picket/internal/core/audit"
	"picket/internal/core/plan"
	"picket/internal/host/shell"
)

// Box is where transactions lie on a host.
const Box = "/var/lib/picket/tx"

// A Host is what is changed.
type Host interface {
	Shell() shell.Shell                                         // of the connection that is there
	Fresh(ctx context.Context) (shell.Shell, error)             // a new login, as whoever logged in before
	Judge(ctx context.Context) (audit.Report, plan.Plan, error) // a new snapshot, judged and planned as before
	// Plan takes a new snapshot and plans but for some controls and units, each with the reason.
	Plan(ctx context.Context, without map[string]string) (plan.Plan, error)
}

// Options of Apply.
type Options struct {
	ID     string                                                          // of the transaction: a name of a folder
	Within time.Duration                                                   // after which the host goes back by itself when nothing has confirmed
	Say    func(string)                                                    // progress, a line each; may be nil
	Whole  bool                                                            // all of the plan or nothing; else it is done without what does not hold
	Paths  []Path                                                          // those that can be gone before still have to be after
	By     string                                                          // who has to confirm where only a person can: an account of the host; "" for anybody
	Wait   time.Duration                                                   // for a host that cannot be reached, until it is left to go back by itself; 0: for as long as that may take it
	Prove  func(ctx context.Context, p plan.Plan, fresh shell.Shell) error // what else has to hold of what was done; may be nil
	// Again logs in to go back, where Host.Fresh cannot once that is done, or before it is; nil: Host.Fresh.
	Again func(ctx context.Context) (shell.Shell, error)
}

// Kinds of how it ended, each with the exit code of its name.
var (
	ErrRefused    = errors.New("nothing was changed")
	ErrRolledBack = errors.New("it was taken back: the host is as it was")
	ErrNotUndone  = errors.New("it could not be taken back by itself")
	// ErrAway comes with ErrNotUndone: it may be back by now.
	ErrAway = errors.New("the host cannot be reached; it goes back by itself")
	// ErrByHand is what Host.Fresh gives where only a person can log in anew: the change waits for that.
	ErrByHand = errors.New("it waits to be confirmed after a new login")
)

// Done is what Apply did.
type Done struct {
	ID   string    // of the transaction that counts
	Left Unheld    // what was taken back, as it did not hold
	Next plan.Plan // what would be done next, of the host as it is now
}

// rounds are how often Apply tries without what did not hold: a client may fail at one setting of sshd after the other.
const rounds = 5

// Apply has a host take the steps of a plan, and keeps them if they hold. Where some do not, all is taken back, and done
// anew without those. The error says, besides what went wrong, how the host was left: one of ErrRefused, ErrRolledBack
// and ErrNotUndone; or it is ErrByHand.
func Apply(ctx context.Context, h Host, p plan.Plan, opt Options) (Done, error) {
	done := Done{ID: opt.ID, Left: Unheld{}}
	for round := 1; ; round++ {
		next, err := once(ctx, h, p, opt)
		done.Next = next
		var unheld Unheld
		back := !opt.Whole && (errors.Is(err, ErrRolledBack) || errors.Is(err, ErrRefused))
		if !back || !errors.As(err, &unheld) || round == rounds {
			return done, err
		}
		maps.Copy(done.Left, unheld)
		if opt.Say != nil {
			opt.Say(unheld.Error())
			opt.Say("the host is as it was; once more without that")
		}
		again, perr := h.Plan(ctx, done.Left)
		if perr != nil {
			return done, errors.Join(err, perr)
		}
		if len(again.Steps) == 0 {
			return done, err
		}
		p = again
		done.ID = fmt.Sprintf("%s-%d", strings.TrimSuffix(opt.ID, fmt.Sprintf("-%d", round)), round+1)
		opt.ID = done.ID
	}
}

func once(ctx context.Context, h Host, p plan.Plan, opt Options) (next plan.Plan, err error) {
	say := opt.Say
	if say == nil {
		say = func(string) {}
	}
	if len(p.Steps) == 0 {
		return next, nil
	}
	folder, err := plan.Compile(p.Steps)
	if err != nil {
		return next, fmt.Errorf("%w: %w", err, ErrRefused)
	}
	folder["within"] = fmt.Appendf(nil, "%d\n", int(opt.Within.Seconds()))
	folder["left"] = left(p)
	if opt.By != "" {
		folder["by"] = []byte(opt.By + "\n")
	}
	at := Box + "/" + opt.ID
	sh := h.Shell()
	watch := watching(ctx, sh, p)
	opt.Paths = open(ctx, opt.Paths, say)
	for _, path := range opt.Paths {
		say("reaches the host now: " + path.Name)
	}
	say(fmt.Sprintf("laying %s into %s", count(len(p.Steps), "step"), at))
	if _, exit, err := sh.Run(ctx, "set -e; umask 077; mkdir -p "+Box+"; mkdir "+at+"; tar -C "+at+" -xf - || { rm -rf "+at+"; exit 1; }; sync", pack(folder), say); err != nil || exit != 0 {
		return next, fmt.Errorf("the steps could not be laid onto the host%s: %w", because(err), ErrRefused)
	}
	say("taking them; should this connection be lost, the host goes back by itself")
	// Of its own session, so that it ends well without us.
	last, before, failed := "", "", Unheld{}
	_, exit, err := sh.Run(ctx, Away("sh "+at+"/tx apply"), nil, func(line string) {
		if m := stepFailed.FindStringSubmatch(line); m != nil {
			n, _ := strconv.Atoi(m[1])
			if n > 0 && n <= len(p.Steps) && len(failed) == 0 {
				for _, c := range watch.of(p.Steps[n-1]) {
					failed[c] = before
				}
			}
		}
		before, last = line, line
		say("host: " + line)
	})
	if err == nil && exit == 4 {
		_, _, _ = sh.Run(ctx, "rm -rf "+at+"/new", nil, nil) // it may hold secrets, and is of no use any more
	}
	switch {
	case err != nil:
		return next, back(ctx, h, at, fmt.Errorf("the connection was lost while the host took the steps: %w", err), opt)
	case exit == 4 && len(failed) > 0:
		return next, fmt.Errorf("the host refused: %w: %w", failed, ErrRefused)
	case exit == 4:
		return next, fmt.Errorf("the host refused: %s: %w", last, ErrRefused)
	case exit == 5 && len(failed) > 0:
		return next, fmt.Errorf("%w: %w", failed, ErrRolledBack)
	case exit == 5:
		return next, fmt.Errorf("%s: %w", last, ErrRolledBack)
	case exit != 0:
		return next, fmt.Errorf("%s: %w; on the host: sudo sh %s/tx undo", last, ErrNotUndone, at)
	}
	switch next, err = prove(ctx, h, at, p, opt, watch, say); {
	case errors.Is(err, ErrByHand):
		return next, err
	case err != nil:
		return next, back(ctx, h, at, err, opt)
	}
	say("all of it holds: kept")
	return next, nil
}

// stepFailed is how the host tells which step it was; what it said before is why.
var stepFailed = regexp.MustCompile(`^step (\d{3}) failed`)

// Away is a command in a session of its own, which ends well without us, where the host can do that.
func Away(command string) string {
	return "if setsid -w true 2>/dev/null; then setsid -w " + command + "; else " + command + "; fi </dev/null"
}

// prove logs in anew, judges anew, and confirms over the new login.
func prove(ctx context.Context, h Host, at string, p plan.Plan, opt Options, watch watch, say func(string)) (next plan.Plan, err error) {
	var fresh shell.Shell
	for try := 1; ; try++ { // sshd that reads its files anew does not listen for a moment
		if fresh, err = h.Fresh(ctx); err == nil || errors.Is(err, ErrByHand) || try == 3 || ctx.Err() != nil {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(pathPause):
		}
	}
	byHand := errors.Is(err, ErrByHand)
	if err != nil && !byHand {
		return next, shutOut(p, fmt.Errorf("a new login fails: %w", err))
	}
	if !byHand {
		defer fresh.Close()
		if _, exit, err := fresh.Run(ctx, "true", nil, nil); err != nil || exit != 0 {
			return next, shutOut(p, fmt.Errorf("a new login does not become root%s", because(err)))
		}
		say("a new login works")
	}
	sh := h.Shell()
	if !byHand {
		sh = fresh
	}
	broken, gone := watch.failed(ctx, sh), shut(ctx, opt.Paths)
	silent, all := watch.blame(gone)
	if !all {
		return next, shutOut(p, errors.New(strings.Join(slices.Sorted(maps.Keys(gone)), "; ")))
	}
	for unit, why := range silent {
		broken[unit] = cmp.Or(broken[unit], why)
	}
	if len(broken) > 0 {
		return next, broken
	}
	if opt.Prove != nil && !byHand {
		if err := opt.Prove(ctx, p, fresh); err != nil {
			return next, shutOut(p, err)
		}
	}
	say("judging anew")
	r, after, err := h.Judge(ctx)
	if err != nil {
		return next, fmt.Errorf("the host cannot be judged anew: %w", err)
	}
	var bad []string
	switch out := plan.LockedOut(p.Ways, after.Ways); {
	case p.Blind == "" && after.Blind != "":
		bad = append(bad, after.Blind)
	case p.Blind == "" && len(out) > 0:
		bad = append(bad, strings.Join(out, ", ")+" could log in before and cannot any more")
	}
	gone = map[string]string{}
	for _, name := range plan.Stopped(p, after.Running) {
		unit, _, _ := strings.Cut(name, " at ")
		gone[name+" ran before and does not any more"] = unit
	}
	if stopped, all := watch.blame(gone); all && len(bad) == 0 && len(stopped) > 0 {
		return next, stopped
	}
	bad = append(bad, slices.Sorted(maps.Keys(gone))...)
	if len(bad) > 0 {
		return next, errors.New(strings.Join(bad, "; "))
	}
	if unheld := unheld(p, r); len(unheld) > 0 {
		return next, unheld
	}
	if byHand {
		return after, ErrByHand // all else holds
	}
	if _, exit, err := fresh.Run(ctx, "sh "+at+"/tx confirm", nil, say); err == nil && exit == 4 {
		return next, fmt.Errorf("it went back by itself before it was confirmed: proving it took longer than %v (--confirm-within)", opt.Within)
	} else if err != nil || exit != 0 {
		return next, fmt.Errorf("it could not be confirmed%s", because(err))
	}
	return after, nil
}

// left are the findings that the plan leaves to a person, a line each: the history tells of them.
func left(p plan.Plan) (out []byte) {
	for _, i := range p.Items {
		if !i.Changes() {
			out = append(out, i.Control+"\n"...)
		}
	}
	return out
}

// pack is a tar of the folder.
func pack(f plan.Folder) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(f)) {
		// Writing into memory does not fail.
		_ = w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(f[name])), Typeflag: tar.TypeReg, ModTime: time.Unix(0, 0)})
		_, _ = w.Write(f[name])
	}
	_ = w.Close()
	return b.Bytes()
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Risks are those of what a plan changes.
func Risks(p plan.Plan) (risks []string) {
	for _, i := range p.Items {
		for _, r := range i.Risk {
			if i.Changes() && !slices.Contains(risks, r) {
				risks = append(risks, r)
			}
		}
	}
	return risks
}
