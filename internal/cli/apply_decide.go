package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"picket/internal/core/audit"
	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/plan"
	"picket/internal/core/settings"
	"picket/internal/core/snap"
	"picket/internal/core/yaml"
	"picket/internal/harden"
	"picket/internal/host/shell"
	"picket/internal/report"
	"picket/internal/ui"
)

// changed is the host that apply changes.
type changed struct {
	p      *program
	target string
	opt    applyOptions

	controls []control.Control
	profile  string
	settings settings.Settings
	policy   change.Policy

	saved    *plan.Saved       // just this is done; nil: what a new plan says
	file     string            // that it was read from
	accepted []string          // risks
	tried    map[string]string // controls and units that were tried and did not hold, with why
	raw      map[string][]byte // files of the host as they are, of those that hold secrets
	id       string            // of the run over several hosts
	ids      []string          // of the transactions so far
	shell    shell.Shell       // nil until connect
	tell     ui.Teller         // of one of several hosts: hears what is being done; nil: that is written, a line each
	ways     []way             // of several hosts: by which this one and others reach each other
}

// toChange finds what is wrong with a command before any host is read.
func (p *program) toChange(args []string, opt applyOptions) (*changed, error) {
	h := &changed{p: p, target: targetOf(args), opt: opt, accepted: opt.risks}
	saved, is, err := p.savedPlan(h.target)
	switch {
	case err != nil:
		return nil, err
	case is:
		h.saved, h.file, h.target = &saved, args[0], saved.Plan.Host.Target
		if len(args) > 1 {
			h.target, args = args[1], args[1:]
		}
		if opt.chosenAs() != "" {
			return nil, withHint(usage(fmt.Errorf("%s says itself what is changed: leave --profile, --only and --skip out", h.file)), "another plan is made by `picket plan`")
		}
		if len(args) == 1 && args[0] == h.file && saved.Plan.Host.Via == "image" {
			return nil, withHint(usage(fmt.Errorf("%s was made for a card (%s), which is no running host", h.file, h.target)), "start it, and name it: `"+p.typed("apply "+h.file+" ssh://user@host")+"`")
		}
	}
	if err := oneTarget(nil, args); err != nil {
		return nil, err
	}
	if err := p.mayChange(h.target); err != nil {
		return nil, err
	}
	if strings.HasPrefix(h.target, "image:") {
		c, err := openCard(h.target)
		if err != nil {
			return nil, err
		}
		c.Close()
	}
	for _, r := range opt.risks {
		if !slices.Contains(control.Risks, r) {
			err := usage(fmt.Errorf("--accept-risk %s: want %s", r, strings.Join(control.Risks, ", ")))
			if near := yaml.Nearest(r, control.Risks); near != "" {
				err = withHint(err, "did you mean "+near+"?")
			}
			return nil, err
		}
	}
	if opt.within < 10*time.Second {
		return nil, usage(fmt.Errorf("--confirm-within %v: want ten seconds or more: a login takes some", opt.within))
	}
	if !opt.yes && !h.prompt(context.Background()).Possible() {
		return nil, withHint(usage(errors.New("there is no terminal to ask on")), "--yes takes the steps without asking; `picket plan` shows them")
	}
	if h.settings, err = p.settings(); err != nil {
		return nil, err
	}
	if err := h.choose(); err != nil {
		return nil, err
	}
	return h, opt.ssh.check()
}

// choose loads the controls that are judged. For a plan that was kept they are those that it does something about,
// as its profile has them. Its policy has to be ours: who had the file in his hands must not decide anything by it.
func (h *changed) choose() (err error) {
	opt := h.opt.auditOptions
	h.policy = h.settings.Policy.Change()
	if h.saved != nil {
		opt.profile, opt.only = h.saved.Profile, h.saved.Plan.Planned()
		if other := settings.Differ(h.saved.Policy, h.policy); len(other) > 0 {
			return withHint(withCode(ExitRefused, fmt.Errorf("%s was made with other settings than those of today (%s); nothing was changed", h.file, strings.Join(other, ", "))),
				"make the plan anew, or name the settings that it was made with: --config FILE")
		}
		if len(opt.only) == 0 {
			return withCode(ExitRefused, fmt.Errorf("%s changes nothing", h.file))
		}
	}
	h.controls, h.profile, err = h.p.chosen(opt, h.settings)
	if err != nil && h.saved != nil {
		return withHint(withCode(ExitRefused, fmt.Errorf("%s is about what is not judged here: %w; nothing was changed", h.file, err)), "make the plan anew")
	}
	return err
}

// look reads the host and judges it.
func (h *changed) look(ctx context.Context) (*snap.Snapshot, audit.Report, error) {
	shot, err := h.p.snapshot(ctx, h.target, h.controls, h.opt.auditOptions, nil, h.tell)
	if err != nil {
		return nil, audit.Report{}, err
	}
	return shot, audit.Evaluate(h.controls, shot, audit.Options{Version: Version, Profile: h.profile, Now: h.p.now(), Waivers: h.settings.Policy.Audit()}), nil
}

const notAccepted = "its risk was not accepted: --accept-risk "

// plan makes a plan that leaves out what costs more than was accepted.
func (h *changed) plan(shot *snap.Snapshot, r audit.Report, accepted []string) plan.Plan {
	return plan.Make(h.controls, shot, r, plan.Options{Policy: h.policy, Raw: h.raw, Tried: h.tried, Card: shot.Source.Kind == "image", Peers: h.peers(), Clients: h.clients(), Leave: func(c control.Control) string {
		if why, not := h.tried[c.ID]; not {
			return "it was tried and taken back: " + why
		}
		if more := without(c.Risk, accepted); len(more) > 0 {
			return notAccepted + strings.Join(more, ",")
		}
		return ""
	}})
}

// peers are the accounts of those who come in from other nodes, as --peer names them or as was found.
func (h *changed) peers() (accounts []string) {
	for _, w := range h.ways {
		if w.to == h.target && w.account != "" {
			accounts = append(accounts, w.account)
		}
	}
	for _, peer := range h.opt.peers {
		from, _, _ := strings.Cut(peer, "=")
		t, _ := h.p.remoteTarget(from) // an error is told when it is tried
		accounts = append(accounts, t.User)
	}
	return accounts
}

// clients are those of other nodes of which it is known what they agree to.
func (h *changed) clients() (all []plan.Client) {
	for _, w := range h.ways {
		if w.to == h.target && w.account != "" {
			all = append(all, plan.Client{Name: w.account + " on " + w.from, Offers: w.offers})
		}
	}
	return all
}

// Judge implements harden.Host.
func (h *changed) Judge(ctx context.Context) (audit.Report, plan.Plan, error) {
	shot, r, err := h.look(ctx)
	if err != nil {
		return r, plan.Plan{}, err
	}
	return r, h.plan(shot, r, h.accepted), nil
}

// Plan implements harden.Host.
func (h *changed) Plan(ctx context.Context, without map[string]string) (plan.Plan, error) {
	h.remember(without)
	shot, r, err := h.look(ctx)
	if err != nil {
		return plan.Plan{}, err
	}
	return h.whole(ctx, shot, r, h.accepted)
}

// remember leaves out what was tried and did not hold, from now on.
func (h *changed) remember(tried map[string]string) {
	if h.tried == nil {
		h.tried = map[string]string{}
	}
	maps.Copy(h.tried, tried)
}

// whole is a plan with what has to be read anew for it.
func (h *changed) whole(ctx context.Context, shot *snap.Snapshot, r audit.Report, accepted []string) (plan.Plan, error) {
	h.raw = nil
	if strings.HasPrefix(h.target, "image:") {
		return h.cardRaw(shot, r, accepted)
	}
	made := h.plan(shot, r, accepted)
	if len(made.Wanted()) == 0 || h.saved != nil { // a plan that was kept was made without
		return made, nil
	}
	if err := h.connect(ctx); err != nil {
		return made, err
	}
	return harden.Anew(ctx, h.shell, made, func(raw map[string][]byte) plan.Plan {
		h.raw = raw
		return h.plan(shot, r, accepted)
	})
}

// named is the host in a sentence.
func (h *changed) named() string {
	if h.target == "local" {
		return "this machine"
	}
	return h.target
}

func (h *changed) prompt(ctx context.Context) ui.Prompt { return ui.Prompt{IO: h.p.io, Context: ctx} }

// decide reads the host, shows what is to be done, and asks: first for what it could cost. A plan without steps is
// that nothing is to be done.
func (h *changed) decide(ctx context.Context) (plan.Plan, error) {
	shot, r, err := h.look(ctx)
	if err != nil {
		return plan.Plan{}, err
	}
	whole, err := h.whole(ctx, shot, r, control.Risks)
	if err != nil {
		return plan.Plan{}, err
	}
	if h.saved != nil {
		if err := h.still(shot, whole); err != nil {
			return plan.Plan{}, err
		}
	}
	made := h.plan(shot, r, h.accepted)
	asks := len(h.opt.risks) == 0 && !h.opt.yes
	if asks {
		made = whole
	}
	if err := h.show(made); err != nil {
		return plan.Plan{}, err
	}
	if open := without(harden.Risks(made), h.accepted); asks && len(open) > 0 {
		if err := h.askRisks(ctx, made, open); err != nil {
			return plan.Plan{}, err
		}
		if refused := without(open, h.accepted); len(refused) > 0 && h.saved == nil {
			made = h.plan(shot, r, h.accepted)
			fmt.Fprintf(h.p.io.Out, "\nWithout what could cost that (%s):\n\n", strings.Join(refused, ", "))
			if err := h.show(made); err != nil {
				return plan.Plan{}, err
			}
		}
	}
	if h.saved != nil {
		if open := without(harden.Risks(h.saved.Plan), h.accepted); len(open) > 0 {
			return plan.Plan{}, withHint(withCode(ExitRefused, fmt.Errorf("%s is done whole or not at all, and takes risks that were not accepted: nothing was changed", h.file)),
				"--accept-risk "+strings.Join(open, ",")+" accepts them; or make a plan without: `picket plan --skip`")
		}
	}
	if len(made.Steps) == 0 || h.opt.yes {
		return made, nil
	}
	switch ok, err := h.prompt(ctx).Confirm("\nChange " + h.named() + " so?"); {
	case err != nil:
		return plan.Plan{}, unanswered(err)
	case !ok:
		return plan.Plan{}, withCode(ExitRefused, errors.New("nothing was changed"))
	}
	return made, nil
}

// unanswered words a question that got no answer.
func unanswered(err error) error {
	if errors.Is(err, io.EOF) {
		return withCode(ExitRefused, errors.New("there was no answer: nothing was changed"))
	}
	return err
}

// askRisks asks for each risk by its name, and says first what it means and what needs it.
func (h *changed) askRisks(ctx context.Context, made plan.Plan, risks []string) error {
	width, out := h.p.width(), h.p.io.Err
	for _, r := range risks {
		var ids []string
		for _, i := range made.Items {
			if i.Changes() && slices.Contains(i.Risk, r) {
				ids = append(ids, i.Control)
			}
		}
		fmt.Fprintf(out, "\n%s\n  %s\n  needed for: %s\n", r, ui.Wrap(report.RiskMeans(r), width, "  "), ui.Wrap(strings.Join(ids, ", "), width, "    "))
		for {
			answer, err := h.prompt(ctx).Line(fmt.Sprintf("Type %s to accept, Enter to leave them out: ", r))
			if err != nil {
				return unanswered(err)
			}
			if answer == r {
				h.accepted = append(slices.Clone(h.accepted), r)
			}
			if answer == r || answer == "" {
				break
			}
			fmt.Fprintf(out, "type exactly %s, or nothing\n", r)
		}
	}
	return nil
}

// still refuses a plan that was kept where the host is another, or not as it was.
func (h *changed) still(shot *snap.Snapshot, fresh plan.Plan) error {
	refuse := func(what string, reasons ...string) error {
		for i, r := range reasons {
			reasons[i] = "\n" + r
		}
		return withHint(withCode(ExitRefused, fmt.Errorf("%s: %s; nothing was changed%s", h.file, what, strings.Join(reasons, ""))),
			"make it anew: `"+h.p.typed("plan "+h.target+" --save "+h.file)+"`")
	}
	if other := h.saved.Identity.Other(plan.IdentityOf(shot)); other != "" {
		return refuse(fmt.Sprintf("it was made for %s, and %s is another host (%s): %s", h.saved.Plan.Host.Name, h.target, fresh.Host.Name, other))
	}
	if was := h.saved.Plan.Changed(shot); len(was) > 0 {
		return refuse("what it changes is not as it was", was...)
	}
	if now := h.saved.Plan.Differs(fresh); len(now) > 0 {
		return refuse("a new plan would be another", now...)
	}
	return nil
}
