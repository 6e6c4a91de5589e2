package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"picket/internal/core/change"
	"picket/internal/core/fact"
	"picket/internal/core/plan"
	"picket/internal/fleet"
	"picket/internal/ui"
)

// A part is what is changed on one host of several.
type part struct {
	*asked
	fix     func(*fact.Host, *change.Draft) error
	made    plan.Plan
	planned bool // made is what fix makes
	turn    int  // where the order matters: a host of a later turn is begun once all of the earlier ones are through
}

// beginAll reads hosts, and becomes root on each. They keep their order; those that could not be had are named by the errors.
func (p *program) beginAll(ctx context.Context, targets []string, opt askedOptions) (all []*asked, errs []error) {
	return p.beginEach(ctx, targets, func(ctx context.Context, target string, tell ui.Teller) (*asked, error) {
		return p.beginTelling(ctx, target, opt, tell)
	})
}

// beginEach is beginAll with a way of its own to begin on one.
func (p *program) beginEach(ctx context.Context, targets []string, begin func(context.Context, string, ui.Teller) (*asked, error)) (all []*asked, errs []error) {
	if len(targets) == 1 {
		a, err := begin(ctx, targets[0], nil)
		if err != nil {
			return nil, []error{err}
		}
		return []*asked{a}, nil
	}
	begun, failed := many(ctx, p, targets, manyOptions{atOnce: fleet.AtOnce, deadline: 10 * time.Minute}, begin, func(*asked) string { return "read" })
	for i, t := range targets {
		if failed[i] != nil {
			errs = append(errs, named(t, failed[i]))
		} else {
			all = append(all, begun[i])
		}
	}
	if ctx.Err() != nil {
		return all, []error{ctx.Err()}
	}
	return all, errs
}

// changeable are the hosts that words mean, each of which may be changed.
func (p *program) changeable(words []string) ([]string, error) {
	targets, err := p.targets(words)
	if err != nil {
		return nil, err
	}
	for _, t := range targets {
		if err := p.checkTarget(t); err != nil {
			return nil, err
		}
		if len(targets) > 1 && !p.isSSH(t) {
			return nil, usage(fmt.Errorf("%s is changed by itself: of several hosts each has to be reached over SSH", t))
		}
	}
	for _, t := range targets {
		if err := p.mayChange(t); err != nil {
			return nil, err
		}
	}
	return targets, nil
}

// An eachHost is a change of several hosts, of which each is changed by itself.
type eachHost struct {
	begin func(context.Context, string, ui.Teller) (*asked, error) // nil: the host is read, and we become root on it
	part  func(context.Context, *asked) (part, error)
	then  func(all, done []*asked, err error) error // ends it while the hosts are still there; nil: with the error that it had
}

// eachOf has each host take its own part: one first, then the others. A host that could not be had, or on which it cannot be done,
// keeps no other from being changed.
func (p *program) eachOf(ctx context.Context, targets []string, opt askedOptions, do eachHost) error {
	if do.begin == nil {
		do.begin = func(ctx context.Context, target string, tell ui.Teller) (*asked, error) {
			return p.beginTelling(ctx, target, opt, tell)
		}
	}
	all, errs := p.beginEach(ctx, targets, do.begin)
	defer closeAll(all)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	parts, errs := p.partsOf(ctx, all, errs, do.part)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var done []*asked
	err := allOf(errs)
	if len(parts) > 0 {
		end := p.leaveOut(errs)
		done, err = p.together(ctx, parts, sharing{yes: opt.yes})
		err = end(err)
	}
	if do.then == nil {
		return err
	}
	return do.then(all, done, err)
}

// partTime is how long it may take to work out what is done on one of several hosts.
const partTime = 5 * time.Minute

// partsOf works out and plans what is done on each host. The errors are errs, and those of the hosts on which it cannot be done.
func (p *program) partsOf(ctx context.Context, all []*asked, errs []error, make func(context.Context, *asked) (part, error)) ([]part, []error) {
	var parts []part
	limits := fleet.Limits{AtOnce: 1} // one after the other, since what make says of them is read in that order
	if len(all) > 1 {
		limits.Deadline = partTime
	}
	for r := range fleet.Each(ctx, len(all), limits, func(ctx context.Context, i int) (part, error) {
		one, err := make(ctx, all[i])
		if err == nil {
			one.made, err = one.plan(ctx, one.fix)
			one.planned = true
		}
		return one, err
	}) {
		if r.Err != nil {
			errs = append(errs, named(all[r.Host].target, r.Err))
			continue
		}
		parts = append(parts, r.Value)
	}
	return parts, errs
}

// leaveOut names the hosts that are not changed before anybody is asked about the others. end gives the error in the end, where
// what was done on the others had the error err.
func (p *program) leaveOut(errs []error) (end func(err error) error) {
	code := 0
	for _, err := range errs {
		code = max(code, p.fail(err))
	}
	return func(err error) error {
		if err == nil && code != 0 {
			return &coded{err: fmt.Errorf("not done on %s", counted(len(errs), "host")), code: code}
		}
		return err
	}
}

func closeAll(all []*asked) {
	for _, a := range all {
		a.shell.Close()
	}
}

// sharing is how parts are changed together.
type sharing struct {
	question string // "": whether these hosts are to be changed so
	yes      bool   // it is not asked
	first    bool   // all else builds on the first turn: when a host of it fails, the rest is left alone
}

// together shows what is to be done on several hosts, asks once, and has them take it, turn after turn. In each turn one host goes
// first, and once it holds there the others go at the same time. Each part is kept or taken back by itself; when it does not hold on
// the first, nothing else is begun. Who is away, or refuses, has shown nothing: then the next one goes first. done are those that took
// something.
func (p *program) together(ctx context.Context, parts []part, how sharing) (done []*asked, err error) {
	var some []part
	for _, one := range parts {
		if !one.planned {
			if one.made, err = one.plan(ctx, one.fix); err != nil {
				return nil, err
			}
		}
		if len(one.made.Steps) > 0 {
			some = append(some, one)
		}
	}
	if len(some) == 0 {
		return nil, nil
	}
	slices.SortStableFunc(some, func(a, b part) int { return cmp.Compare(a.turn, b.turn) })
	for i, one := range some {
		if i > 0 {
			fmt.Fprintln(p.io.Out)
		}
		if err := one.show(one.made); err != nil {
			return nil, err
		}
	}
	if err := p.agreed(ctx, how.yes, cmp.Or(how.question, changeSo(some))); err != nil {
		return nil, err
	}
	id := p.now().UTC().Format("20060102-150405") // the same on all: so they can be taken back together
	for _, one := range some {
		one.id, one.among = id, len(parts) > 1
	}
	if len(parts) == 1 {
		if ok, err := some[0].take(ctx, some[0].made); err != nil || !ok {
			return nil, err
		}
		return []*asked{some[0].asked}, nil
	}
	done, errs := p.inTurns(ctx, some, how.first, func(one part) error {
		fmt.Fprintln(p.io.Err, ui.Clean(one.target)+":")
		_, err := one.change(ctx, one.made)
		if err == nil {
			fmt.Fprintf(p.io.Out, "%s: done and kept as %s\n", one.target, id)
		}
		return err
	}, func(rest []part) []error { return p.atOnce(ctx, rest, DefaultWave) })
	if len(done) > 0 {
		fmt.Fprintf(p.io.Out, "\nTo take all of it back: %s\n", p.typed("rollback "+id+" "+strings.Join(targetsIn(done), " ")))
	}
	return done, allOf(errs)
}

// inTurns has parts taken in the order of their turns, as together says: by one alone, or by several at once, which gives an error or
// nil for each.
func (p *program) inTurns(ctx context.Context, parts []part, first bool, alone func(part) error, atOnce func([]part) []error) (done []*asked, errs []error) {
	held := false // on a host of this turn
	for len(parts) > 0 && ctx.Err() == nil {
		n := 1
		for held && n < len(parts) && parts[n].turn == parts[0].turn {
			n++
		}
		now, bad := parts[:n], []error(nil)
		if parts = parts[n:]; n == 1 {
			bad = []error{alone(now[0])}
		} else {
			bad = atOnce(now)
		}
		stopped := ""
		for i, one := range now {
			if bad[i] == nil {
				done = append(done, one.asked)
				continue
			}
			errs = append(errs, named(one.target, bad[i]))
			if first && one.turn == 0 || !held && stops(bad[i]) {
				stopped = one.target
			}
		}
		if stopped != "" && len(parts) > 0 && ctx.Err() == nil {
			fmt.Fprintf(p.io.Err, "It was not kept on %s, so it was not begun on the other %s\n", ui.Clean(stopped), counted(len(parts), "host"))
			return done, errs
		}
		held = bad[0] == nil && len(parts) > 0 && parts[0].turn == now[0].turn
	}
	if len(parts) > 0 && len(errs) == 0 { // interrupted between two of them
		errs = append(errs, ctx.Err())
	}
	return done, errs
}

// changeSo asks whether hosts are to be changed as it was shown.
func changeSo(parts []part) string {
	if len(parts) == 1 {
		return fmt.Sprintf("Change %s so?", parts[0].target)
	}
	return fmt.Sprintf("Change these %s so?", counted(len(parts), "host"))
}

// atOnce has several hosts take their parts at the same time. The errors are in the order of the parts.
func (p *program) atOnce(ctx context.Context, parts []part, most int) []error {
	var targets []string
	for _, one := range parts {
		targets = append(targets, one.target)
	}
	limits := manyOptions{atOnce: most, grace: 45 * time.Second} // who is interrupted still has to tell its host
	_, failed := many(ctx, p, targets, limits, func(ctx context.Context, target string, tell ui.Teller) (string, error) {
		one := parts[slices.Index(targets, target)]
		one.tell = tell
		defer func() { one.tell = nil }()
		return one.change(ctx, one.made)
	}, func(id string) string { return "done and kept as " + id })
	return failed
}

// allOf is nil, the one error, or several.
func allOf(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return &several{errs}
}

// account is one of a host's, by its name.
func (a *asked) account(name string) (fact.User, error) {
	u, ok := a.host.Accounts.User(name)
	switch {
	case !ok:
		return u, usage(fmt.Errorf("%s: there is no account %s", a.target, name))
	case !u.LoginShell():
		return u, usage(fmt.Errorf("%s: nobody logs in as %s", a.target, name))
	case !strings.HasPrefix(u.Home, "/") || u.Home == "/":
		return u, usage(fmt.Errorf("%s: %s has no home", a.target, name))
	}
	return u, nil
}

// leaderOf is the node that drives the others: the one that is named, or the one with that role.
func (p *program) leaderOf(named string) (string, error) {
	if named != "" {
		return named, p.mayChange(named)
	}
	inv, err := p.cluster()
	if err != nil {
		return "", err
	}
	var found []string
	for _, n := range inv.Nodes {
		if leads(n) {
			found = append(found, n.Name)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", withHint(usage(errors.New("no node has the role leader or master")), "--leader NODE names it, or give it in picket.yaml: roles: [leader]")
	}
	return "", withHint(usage(fmt.Errorf("several nodes lead: %s", strings.Join(found, ", "))), "--leader NODE names the one that is meant")
}
