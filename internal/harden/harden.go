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
	"picket/internal/core/change"
	"picket/internal/core/control"
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
	ID     string                                             // of the transaction: a name of a folder
	Within time.Duration                                      // after which the host goes back by itself when nothing has confirmed
	Say    func(string)                                       // progress, a line each; may be nil
	Whole  bool                                               // all of the plan or nothing; else it is done without what does not hold
	Paths  []Path                                             // those that can be gone before still have to be after
	By     string                                             // who has to confirm where only a person can: an account of the host; "" for anybody
	Prove  func(ctx context.Context, fresh shell.Shell) error // what else has to hold; may be nil
}

// Kinds of how it ended, each with the exit code of its name.
var (
	ErrRefused    = errors.New("nothing was changed")
	ErrRolledBack = errors.New("it was taken back: the host is as it was")
	ErrNotUndone  = errors.New("it could not be taken back by itself")
	// ErrByHand is what Host.Fresh gives where only a person can log in anew: the change waits for that.
	ErrByHand = errors.New("it waits to be confirmed after a new login")
)

// Done is what Apply did.
type Done struct {
	ID   string    // of the transaction that counts
	Left Unheld    // what was taken back, as it did not hold
	Next plan.Plan // what would be done next, of the host as it is now
}

// rounds are how often Apply tries without what did not hold.
const rounds = 3

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
		return next, lost(ctx, h, at, fmt.Errorf("the connection was lost while the host took the steps: %w", err), opt)
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

// Unheld are controls that were changed and do not pass, and units that do not work with what was changed, with why.
type Unheld map[string]string

// Error names them all.
func (u Unheld) Error() string { return strings.Join(u.Lines(), "; ") }

// Lines are the reasons, each with its controls.
func (u Unheld) Lines() (all []string) {
	of := map[string][]string{}
	for _, c := range slices.Sorted(maps.Keys(u)) {
		of[u[c]] = append(of[u[c]], c)
	}
	for why, controls := range of {
		all = append(all, strings.Join(controls, ", ")+": "+why)
	}
	slices.Sort(all)
	return all
}

// shutOut is why somebody cannot come in any more. Which change did it is not known, so that it is held against all that
// carry that risk.
func shutOut(p plan.Plan, why error) error {
	out := Unheld{}
	for _, i := range p.Items {
		if i.Changes() && (slices.Contains(i.Risk, "lose-ssh") || slices.Contains(i.Risk, "lose-network")) {
			out[i.Control] = why.Error()
		}
	}
	if len(out) == 0 {
		return why
	}
	return out
}

// unheld are those of a plan. What is in force later has to hold after a reboot at least.
func unheld(p plan.Plan, r audit.Report) Unheld {
	out := Unheld{}
	for _, i := range p.Items {
		if !i.Changes() {
			continue
		}
		why := "it is not judged any more"
		for _, res := range r.Results {
			if res.Control != i.Control {
				continue
			}
			good := res.Verdict == control.Pass || res.Verdict == control.NotApplicable
			later := len(i.Later) > 0 && res.Persistent != nil && *res.Persistent
			if why = fmt.Sprintf("still %s: %s", res.Verdict, res.Reason); good || later || i.Rest != "" && !about(res, i) {
				why = ""
			}
		}
		if why != "" {
			out[i.Control] = why
		}
	}
	return out
}

// about reports whether a result is still about a unit that an item starts anew.
func about(res audit.Result, i plan.Item) bool {
	return slices.ContainsFunc(i.Steps, func(s change.Step) bool {
		return s.Verb == change.Unit && slices.ContainsFunc(res.Evidence, func(e control.Evidence) bool { return e.Fact == s.Name })
	})
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
		if err := opt.Prove(ctx, fresh); err != nil {
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
	if _, exit, err := fresh.Run(ctx, "sh "+at+"/tx confirm", nil, say); err != nil || exit != 0 {
		return next, fmt.Errorf("it could not be confirmed%s", because(err))
	}
	return after, nil
}

// grace is how long a host has for its steps, besides the time in which it is to be confirmed; as tx has it.
const grace = 15 * time.Minute

// How often a host is asked: one that is reached and is still at it, and one that is not, of which failures are counted
// there.
const (
	askAgain  = 3 * time.Second
	comeAgain = 20 * time.Second
	comeLater = 2 * time.Minute
)

// back has the host go back, over the connection that is there or a new one, and says how that ended. Where it cannot be
// told to, it does so by itself: that is waited for, for as long as it may take.
func back(ctx context.Context, h Host, at string, why error, opt Options) error {
	limited, cancel := context.WithTimeout(ctx, opt.Within+grace+time.Minute)
	defer cancel()
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
		if s, err := h.Fresh(limited); err == nil {
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
	return fmt.Errorf("%w: the host cannot be reached; it goes back by itself: %w", why, ErrNotUndone)
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

// lost finds out how a host is that was lost on the way.
func lost(ctx context.Context, h Host, at string, why error, opt Options) error {
	if ctx.Err() != nil {
		ctx = context.WithoutCancel(ctx)
		limited, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		ctx = limited
	}
	return back(ctx, h, at, why, opt)
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
