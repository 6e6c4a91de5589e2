package cli

import (
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

// eachOf has each host of those that could be had take its own part, which make works out: one first, then the others. A host that
// could not be had (errs), or of which make says that it cannot be, is named before anybody is asked, and keeps no other from
// being changed.
func (p *program) eachOf(ctx context.Context, all []*asked, errs []error, opt askedOptions, make func(*asked) (part, error)) (done []*asked, err error) {
	several := len(all)+len(errs) > 1
	var parts []part
	for _, a := range all {
		one, err := make(a)
		if err == nil {
			one.made, err = one.plan(ctx, one.fix)
			one.planned = true
		}
		if err != nil {
			errs = append(errs, named(a.target, err))
			continue
		}
		parts = append(parts, one)
	}
	if len(errs) > 0 && (!several || len(parts) == 0) {
		return nil, allOf(errs)
	}
	code := 0
	for _, err := range errs {
		code = max(code, p.fail(err))
	}
	question := fmt.Sprintf("Change these %s so?", counted(len(parts), "host"))
	if len(parts) == 1 {
		question = fmt.Sprintf("Change %s so?", parts[0].target)
	}
	done, err = p.together(ctx, parts, sharing{yes: opt.yes, question: question, atOnce: DefaultWave})
	if err == nil && code != 0 {
		err = &coded{err: fmt.Errorf("not done on %s", counted(len(errs), "host")), code: code}
	}
	return done, err
}

func closeAll(all []*asked) {
	for _, a := range all {
		a.shell.Close()
	}
}

// sharing is how parts are changed together.
type sharing struct {
	question string
	yes      bool // it is not asked
	first    bool // the others build on the first part: when it fails they are left alone
	atOnce   int  // hosts at a time, once the change holds on the first; 0: one after the other
}

// together shows what is to be done on several hosts, asks once, and has the first take it, then the others. Each part is kept or
// taken back by itself; when it does not hold on the first of several, nothing is begun on the others. done are those that took
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
	for i, one := range some {
		if i > 0 {
			fmt.Fprintln(p.io.Out)
		}
		if err := one.show(one.made); err != nil {
			return nil, err
		}
	}
	if err := p.agreed(ctx, how.yes, how.question); err != nil {
		return nil, err
	}
	id := p.now().UTC().Format("20060102-150405") // the same on all: so they can be taken back together
	for _, one := range some {
		one.id = id
	}
	var errs []error
	alone := len(some)
	if how.atOnce > 0 {
		alone = 1
	}
	for i, one := range some[:alone] {
		if len(parts) == 1 {
			if ok, err := one.take(ctx, one.made); err != nil || !ok {
				return nil, err
			}
			return []*asked{one.asked}, nil
		}
		fmt.Fprintln(p.io.Err, ui.Clean(one.target)+":")
		if _, err := one.change(ctx, one.made); err != nil {
			errs = append(errs, named(one.target, err))
		} else {
			done = append(done, one.asked)
			fmt.Fprintf(p.io.Out, "%s: done and kept as %s\n", one.target, id)
		}
		if ctx.Err() != nil || how.first && len(errs) > 0 && i == 0 && one.asked == parts[0].asked {
			return done, allOf(errs)
		}
	}
	if rest := some[alone:]; len(rest) > 0 {
		if len(errs) > 0 && stops(errs[0]) {
			fmt.Fprintf(p.io.Err, "It does not hold on %s, so it was not begun on the other %s\n", some[0].target, counted(len(rest), "host"))
			return done, allOf(errs)
		}
		also, bad := p.atOnce(ctx, rest, how.atOnce)
		done, errs = append(done, also...), append(errs, bad...)
	}
	if len(done) > 0 {
		fmt.Fprintf(p.io.Out, "\nTo take all of it back: %s\n", p.typed("rollback "+id+" "+strings.Join(targetsIn(done), " ")))
	}
	return done, allOf(errs)
}

// atOnce has several hosts take their parts at the same time.
func (p *program) atOnce(ctx context.Context, parts []part, most int) (done []*asked, errs []error) {
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
	for i, err := range failed {
		if err != nil {
			errs = append(errs, named(targets[i], err))
		} else {
			done = append(done, parts[i].asked)
		}
	}
	return done, errs
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
