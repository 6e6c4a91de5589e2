package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"picket/internal/core/audit"
	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/plan"
	"picket/internal/core/snap"
	"picket/internal/fleet"
	"picket/internal/harden"
	"picket/internal/report"
	"picket/internal/ui"
)

// DefaultWave is how many hosts are changed at a time, after the first.
const DefaultWave = 5

// looked is a host as it was read, and what is to be done to it.
type looked struct {
	shot *snap.Snapshot
	r    audit.Report
	made plan.Plan
}

// outcome is what came of the change of one host.
type outcome struct {
	ids    []string // of the transactions that were kept
	mended int      // findings
	left   int      // to a person
	undone []string // what was tried and taken back, each with why
}

func (o outcome) String() string {
	if len(o.ids) == 0 {
		return "nothing to change"
	}
	s := fmt.Sprintf("%s mended, %d left to you; kept as %s", findingsOf(o.mended), o.left, strings.Join(o.ids, ", "))
	if len(o.undone) > 0 {
		s += fmt.Sprintf("; %d tried and taken back", len(o.undone))
	}
	return s
}

func findingsOf(n int) string { return counted(n, "finding") }

// applyMany changes several hosts: one first, then the others in waves, those that lead them last. It stops before the next
// wave when a change had to be taken back; a host that is away stops nobody.
func (p *program) applyMany(ctx context.Context, targets []string, opt applyOptions) error {
	hosts, err := p.severalToChange(targets, opt)
	if err != nil {
		return err
	}
	defer func() {
		for _, h := range hosts {
			h.close()
		}
	}()
	looks, unread := p.lookAll(ctx, hosts, opt.many)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	w := p.walker(opt.ssh)
	defer w.close()
	hosts, looks, targets = those(hosts, looks)
	ways := p.waysOf(ctx, w, targets, opt.many)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, h := range hosts {
		h.ways = slices.DeleteFunc(slices.Clone(ways), func(w way) bool { return w.from != h.target && w.to != h.target })
	}
	hosts, looks, unread = p.planAll(ctx, hosts, looks, unread, opt)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case len(hosts) == 0:
		return &several{unread}
	}
	if err := p.decideAll(ctx, hosts, looks, opt); err != nil {
		return errors.Join(errors.Join(unread...), err)
	}
	hosts, looks = needing(hosts, looks)
	if len(hosts) == 0 {
		return unreached(unread)
	}
	return p.inWaves(ctx, hosts, looks, unread, opt)
}

// severalToChange finds what is wrong with a command before any host is read.
func (p *program) severalToChange(targets []string, opt applyOptions) (hosts []*changed, err error) {
	switch {
	case len(opt.peers) > 0:
		return nil, withHint(usage(errors.New("--peer is for one target")), "which nodes of a cluster reach each other is found out")
	case opt.wave < 1:
		return nil, usage(fmt.Errorf("--wave %d: want a number above zero", opt.wave))
	}
	if err := opt.many.check(); err != nil {
		return nil, err
	}
	if opt.canary != "" && !slices.Contains(targets, opt.canary) {
		return nil, usage(fmt.Errorf("--canary %s: it is none of the targets (%s)", opt.canary, strings.Join(targets, ", ")))
	}
	for _, t := range targets {
		if err := p.checkTarget(t); err != nil {
			return nil, err
		}
		if !p.isSSH(t) {
			return nil, withHint(usage(fmt.Errorf("%s is changed by itself: of several hosts each has to be reached over SSH", t)), "`"+p.typed("apply "+t)+"`")
		}
	}
	for _, t := range targets {
		if err := p.mayChange(t); err != nil {
			return nil, err
		}
	}
	first, err := p.toChange(targets[:1], opt)
	if err != nil {
		return nil, err
	}
	id := first.newID() // the same on all: so they can be taken back together
	for _, t := range targets {
		h := *first
		h.target, h.ids, h.id = t, nil, id
		hosts = append(hosts, &h)
	}
	return hosts, nil
}

func targetsOf(hosts []*changed) (out []string) {
	for _, h := range hosts {
		out = append(out, h.target)
	}
	return out
}

// lookAll reads and judges all. looks are nil for those that could not be read.
func (p *program) lookAll(ctx context.Context, hosts []*changed, opt manyOptions) (looks []*looked, unread []error) {
	looks, errs := many(ctx, p, targetsOf(hosts), opt, func(ctx context.Context, target string, tell ui.Teller) (*looked, error) {
		h := hosts[slices.Index(targetsOf(hosts), target)]
		h.tell = tell
		shot, r, err := h.look(ctx)
		if err == nil {
			err = h.connect(ctx) // a password for sudo is asked for now, not once some hosts have been changed
		}
		return &looked{shot: shot, r: r}, err
	}, func(l *looked) string { return report.Line(l.r) })
	for i, err := range errs {
		if err != nil {
			looks[i] = nil
			unread = append(unread, named(hosts[i].target, err))
		}
	}
	return looks, unread
}

// planAll works out what is to be done on each, and reads what else that needs: for all risks, so that nothing has to be read once
// somebody was asked. A host on which that fails joins those that could not be read.
func (p *program) planAll(ctx context.Context, hosts []*changed, looks []*looked, unread []error, opt applyOptions) ([]*changed, []*looked, []error) {
	risks := opt.risks
	if len(risks) == 0 && !opt.yes {
		risks = control.Risks
	}
	failed := make([]error, len(hosts))
	for r := range fleet.Each(ctx, len(hosts), fleet.Limits{AtOnce: opt.many.atOnce, Deadline: opt.many.deadline}, func(ctx context.Context, i int) (plan.Plan, error) {
		return hosts[i].whole(ctx, looks[i].shot, looks[i].r, risks)
	}) {
		looks[r.Host].made, failed[r.Host] = r.Value, r.Err
	}
	for i, err := range failed {
		if err != nil {
			looks[i] = nil
			unread = append(unread, named(hosts[i].target, err))
		}
	}
	hosts, looks, _ = those(hosts, looks)
	for i, h := range hosts {
		looks[i].made = h.plan(looks[i].shot, looks[i].r, opt.risks)
	}
	return hosts, looks, unread
}

// reconnect sees to it that there is a shell of root: the one that there was may have been lost while others were changed.
func (h *changed) reconnect(ctx context.Context) error {
	if h.shell != nil {
		limited, cancel := context.WithTimeout(ctx, shellAnswers)
		defer cancel()
		if _, exit, err := h.shell.Run(limited, "true", nil, nil); err == nil && exit == 0 {
			return nil
		}
		h.close()
		h.shell = nil
	}
	return h.connect(ctx)
}

// shellAnswers is how long a shell that has been idle may take to answer.
const shellAnswers = 15 * time.Second

// those leaves out what could not be read.
func those(hosts []*changed, looks []*looked) (h []*changed, l []*looked, targets []string) {
	for i := range hosts {
		if looks[i] != nil {
			h, l, targets = append(h, hosts[i]), append(l, looks[i]), append(targets, hosts[i].target)
		}
	}
	return h, l, targets
}

// needing are the hosts on which something is to be done.
func needing(hosts []*changed, looks []*looked) (h []*changed, l []*looked) {
	for i := range hosts {
		if len(looks[i].made.Steps) > 0 {
			h, l = append(h, hosts[i]), append(l, looks[i])
		}
	}
	return h, l
}

// decideAll shows what is to be done, and asks: first for what it could cost.
func (p *program) decideAll(ctx context.Context, hosts []*changed, looks []*looked, opt applyOptions) error {
	asks := len(opt.risks) == 0 && !opt.yes
	replan := func(accepted []string) {
		for i, h := range hosts {
			h.accepted = accepted
			looks[i].made = h.plan(looks[i].shot, looks[i].r, accepted)
		}
	}
	show := func() error {
		var plans []plan.Plan
		for _, l := range looks {
			plans = append(plans, l.made)
		}
		fmt.Fprintln(p.io.Out)
		return report.Plans{Width: p.width(), Style: p.style, Show: func(host string) string { return p.typed("plan " + snap.CommandKey(host) + opt.chosenAs()) }}.
			Write(p.io.Out, targetsOf(hosts), plans)
	}
	if asks {
		replan(control.Risks)
	}
	if err := show(); err != nil {
		return err
	}
	var all plan.Plan // of all hosts, each control once
	for _, l := range looks {
		for _, i := range l.made.Items {
			if i.Changes() && !slices.ContainsFunc(all.Items, func(o plan.Item) bool { return o.Control == i.Control }) {
				all.Items = append(all.Items, i)
			}
		}
	}
	if asks {
		one, open := hosts[0], harden.Risks(all)
		one.accepted = nil
		if err := one.askRisks(ctx, all, open); err != nil {
			return err
		}
		accepted := one.accepted
		replan(accepted) // where nothing was asked, too: what is planned once this is done may carry a risk
		if refused := without(open, accepted); len(refused) > 0 {
			fmt.Fprintf(p.io.Out, "\nWithout what could cost that (%s):\n", strings.Join(refused, ", "))
			if err := show(); err != nil {
				return err
			}
		}
	}
	changing, _ := needing(hosts, looks)
	if len(changing) == 0 || opt.yes {
		return nil
	}
	switch ok, err := (ui.Prompt{IO: p.io, Context: ctx}).Confirm(fmt.Sprintf("\nChange %s so?", hostsOf(len(changing)))); {
	case err != nil:
		return unanswered(err)
	case !ok:
		return withCode(ExitRefused, errors.New("nothing was changed"))
	}
	return nil
}

func hostsOf(n int) string {
	if n == 1 {
		return "this host"
	}
	return fmt.Sprintf("these %d hosts", n)
}

// inWaves changes hosts wave after wave, and tells how it went.
func (p *program) inWaves(ctx context.Context, hosts []*changed, looks []*looked, unread []error, opt applyOptions) error {
	if i := slices.IndexFunc(hosts, func(h *changed) bool { return h.target == opt.canary }); i > 0 {
		hosts[0], hosts[i], looks[0], looks[i] = hosts[i], hosts[0], looks[i], looks[0]
	}
	waves := fleet.Waves(len(hosts), opt.wave, func(i int) bool {
		n, ok := p.node(hosts[i].target)
		return hosts[i].target != opt.canary && (ok && leads(n) || leadsPioreactor(looks[i]))
	})
	results, errs, begun := make([]outcome, len(hosts)), make([]error, len(hosts)), make([]bool, len(hosts))
	stopped := ""
	fleet.InWaves(waves, func(n, of int, first bool, wave []int) fleet.Shown {
		var targets []string
		for _, i := range wave {
			targets, begun[i] = append(targets, hosts[i].target), true
		}
		fmt.Fprintf(p.io.Err, "\n%s: %s\n", waveName(n, of, first), strings.Join(targets, ", "))
		limits := opt.many
		limits.deadline, limits.grace = 0, 45*time.Second // each step has its own; who is interrupted still has to tell its host
		some, bad := many(ctx, p, targets, limits, func(ctx context.Context, target string, tell ui.Teller) (outcome, error) {
			i := wave[slices.Index(targets, target)]
			hosts[i].tell = tell
			if err := hosts[i].reconnect(ctx); err != nil {
				return outcome{}, err
			}
			return hosts[i].changeAsOne(ctx, looks[i].made)
		}, outcome.String)
		shown := fleet.Nothing
		for k, i := range wave {
			results[i], errs[i] = some[k], bad[k]
			switch {
			case bad[k] == nil:
				shown = max(shown, fleet.Holds)
			case stops(bad[k]):
				shown, stopped = fleet.Broken, hosts[i].target
			}
		}
		if ctx.Err() != nil {
			return fleet.Broken
		}
		if rest := notBegun(begun); first && shown == fleet.Holds && rest > 0 && !opt.yes {
			ok, err := (ui.Prompt{IO: p.io, Context: ctx}).Confirm(fmt.Sprintf("\nIt holds on %s. Go on with the other %d?", targets[0], rest))
			if err != nil || !ok {
				stopped = "you"
				return fleet.Broken
			}
		}
		return shown
	})
	return p.toldAll(ctx, hosts, results, errs, begun, unread, stopped, opt)
}

func notBegun(begun []bool) (n int) {
	for _, b := range begun {
		if !b {
			n++
		}
	}
	return n
}

func waveName(n, of int, first bool) string {
	if first && of > n+1 {
		return "one first, to see that it holds"
	}
	return fmt.Sprintf("wave %d of %d", n+1, of)
}

// leadsPioreactor reports whether a host is the leader of a Pioreactor's cluster, as it says itself.
func leadsPioreactor(l *looked) bool {
	v := fact.Parse(l.shot).Apps.Get("pioreactor").Value("config", "cluster.topology", "leader_hostname")
	return v.Known() && v.V == l.r.Host.Name
}

// stops reports whether an error keeps the next wave from being begun: a change did not hold. A host that is away has shown
// nothing.
func stops(err error) bool {
	return !errors.Is(err, harden.ErrAway) && (errors.Is(err, harden.ErrRolledBack) || errors.Is(err, harden.ErrNotUndone))
}

// changeAsOne changes a host as far as it goes without a question: what can be mended only after something else is mended
// then.
func (h *changed) changeAsOne(ctx context.Context, made plan.Plan) (o outcome, err error) {
	for round := 1; ; round++ {
		done, err := h.take(ctx, made)
		if err != nil {
			return o, err
		}
		o.ids = append(o.ids, done.ID)
		for _, id := range made.Planned() {
			if _, not := done.Left[id]; !not {
				o.mended++
			}
		}
		o.left = leftBy(done.Next)
		o.undone = append(o.undone, done.Left.Lines()...)
		if round == rounds || len(newlyPlanned(made, done)) == 0 {
			return o, nil
		}
		h.remember(done.Left)
		shot, r, err := h.look(ctx)
		if err != nil {
			return o, nil // what was done is kept, and told
		}
		if made, err = h.whole(ctx, shot, r, h.accepted); err != nil || len(made.Steps) == 0 {
			return o, nil
		}
	}
}

// toldAll says how it stands on each host, and what to type next.
func (p *program) toldAll(ctx context.Context, hosts []*changed, results []outcome, errs []error, begun []bool, unread []error, stopped string, opt applyOptions) error {
	width := widest(targetsOf(hosts))
	fmt.Fprintln(p.io.Out)
	kept, rest := 0, len(unread)
	var codes []error
	for i, h := range hosts {
		line := results[i].String()
		switch err := errs[i]; {
		case !begun[i]:
			line, rest = "not begun", rest+1
		case err != nil && len(results[i].ids) > 0: // what came before it is kept
			line, rest, kept = results[i].String()+"; after that: "+how(err), rest+1, kept+1
			codes = append(codes, howLeft(err))
		case err != nil:
			line, rest = how(err), rest+1
			codes = append(codes, howLeft(err))
		default:
			kept++
		}
		indent := strings.Repeat(" ", width+2)
		fmt.Fprintf(p.io.Out, "%-*s  %s\n", width, h.target, ui.Wrap(ui.Clean(line), p.width(), indent))
		for _, u := range results[i].undone {
			fmt.Fprintf(p.io.Out, "%s%s\n", indent, ui.Wrap("not done, since it was tried and taken back: "+ui.Clean(u), p.width(), indent+"  "))
		}
	}
	for _, err := range unread {
		fmt.Fprintln(p.io.Out, ui.Wrap("not changed, as it could not be read: "+ui.Clean(err.Error()), p.width(), "  "))
	}
	if stopped != "" && stopped != "you" {
		fmt.Fprintf(p.io.Out, "\n%s\n", ui.Wrap("Stopped before the next wave, since the change did not hold on "+stopped+".", p.width(), ""))
	}
	fmt.Fprintln(p.io.Out)
	if kept > 0 {
		fmt.Fprintf(p.io.Out, "To take it back everywhere: %s\n", p.typed("rollback "+hosts[0].id+" "+strings.Join(opt.words, " ")))
	}
	if rest > 0 {
		fmt.Fprintf(p.io.Out, "To go on with %s: the same command again; what is done stays done\n", map[bool]string{true: "the other host", false: fmt.Sprintf("the other %d", rest)}[rest == 1])
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	worst := unreached(unread)
	for _, err := range codes {
		if c := codeOf(err); worst == nil || c > codeOf(worst) {
			worst = withCode(c, errors.New("not all hosts were changed"))
		}
	}
	if worst == nil && rest > 0 {
		worst = withCode(ExitRefused, errors.New("not all hosts were changed"))
	}
	return worst
}

// how is an error in a line about its host.
func how(err error) string {
	switch {
	case errors.Is(err, harden.ErrAway):
		return "away since it began to take the steps: it goes back by itself, as soon as it can"
	case errors.Is(err, harden.ErrRolledBack), errors.Is(err, harden.ErrNotUndone): // also where somebody interrupted it
	case errors.Is(err, context.Canceled):
		return "interrupted: it goes back by itself unless it was done already"
	}
	return err.Error()
}

func unreached(unread []error) error {
	if len(unread) == 0 {
		return nil
	}
	return withCode(ExitPartial, fmt.Errorf("%s could not be read", counted(len(unread), "host")))
}

func codeOf(err error) int {
	var c *coded
	if errors.As(err, &c) {
		return c.code
	}
	return ExitPartial
}
