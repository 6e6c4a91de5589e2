package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"picket/internal/core/audit"
	"picket/internal/core/control"
	"picket/internal/core/settings"
	"picket/internal/core/snap"
	"picket/internal/core/yaml"
	"picket/internal/host/remote"
	"picket/internal/host/snapshot"
	"picket/internal/report"
	"picket/internal/ui"
)

// auditOptions are the flags of picket audit.
type auditOptions struct {
	profile string
	only    []string
	skip    []string
	outputs []string
	failOn  string
	save    string
	since   string
	drift   *drift // nil without since
	probe   string
	tries   bool // --probe was given
	router  bool
	all     bool
	timings bool
	guess   time.Duration
	keep    func(*snap.Snapshot) // may be nil
	fixes   map[string]bool      // of which controls Picket can change what is wrong
	ssh     sshOptions
	many    manyOptions
}

func (p *program) auditCommand() *cobra.Command {
	var opt auditOptions
	cmd := &cobra.Command{
		Use:   "audit [TARGET…]",
		Short: "judge hosts; nothing is changed on them",
		Long: `Reads a host once, judges what is in force there, and reports worst first.

TARGET is local (the default), ssh://user@host[:port], image:DIR (a mounted card
or a root folder) or a file written with --save. Over SSH nothing is installed:
a shell is enough, BusyBox's too. Of several targets those that cannot be read
are named; the others are reported all the same, in JSON as one array.

--probe also tries what should not be possible, once and on the audited host
alone: to log in by SSH, HTTP and MQTT with the passwords that images come with,
to see pages without one, to speak old TLS. Each attempt is listed before it is
made. Over SSH they come from here, so they show what this computer can do there.
--ask-router asks the host's router which ports it forwards to the host.

` + exitHelp,
		Example: `  sudo picket audit
  picket audit ssh://pi@leader --save leader.snapshot
  picket audit leader.snapshot --output html:leader.html
  picket audit image:/mnt/card --output json
  picket audit ssh://pi@leader --probe=list # what --probe would try
  picket audit --only ssh/password-login    # with the whole fix
  picket audit --only ssh --all
  picket audit all --since last.json -o text -o json:last.json   # drift, and kept`,
		RunE: func(cmd *cobra.Command, args []string) error {
			opt.tries = cmd.Flags().Changed("probe")
			return p.audit(cmd.Context(), args, opt)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opt.profile, "profile", "", "which controls to judge: the `NAME` of a profile: baseline, recommended, strict, cis-debian12-l1, or that of an application: pioreactor, nio, pisovereign, pi-cluster (default "+DefaultProfile+")")
	f.StringSliceVar(&opt.only, "only", nil, "judge only these controls: `ID`s, topics or patterns, as ssh or */root-*")
	f.StringSliceVar(&opt.skip, "skip", nil, "leave these controls out: `ID`s, topics or patterns")
	f.StringArrayVarP(&opt.outputs, "output", "o", nil, "`FORMAT[:FILE]`, may be repeated: "+strings.Join(report.Names(), ", ")+" (default text)")
	f.StringVar(&opt.failOn, "fail-on", "", "exit with 1 for findings of this `SEVERITY` or above: low, medium, high, critical, none (default high)")
	f.StringVar(&opt.save, "save", "", "keep what was read in this `FILE`, to be audited again later; it holds no secrets")
	f.StringVar(&opt.since, "since", "", "say only what has changed since a report that was kept, `FILE`, as --output json:FILE has written it")
	f.StringVar(&opt.probe, "probe", "", "after reading, also try what should not be possible on this host alone: factory passwords, pages without one, old TLS; `HOW` is run or, to see them first, list")
	f.Lookup("probe").NoOptDefVal = probeRun
	f.BoolVar(&opt.router, "ask-router", false, "after reading, also ask the host's router, by UPnP, which ports it forwards to the host")
	f.BoolVar(&opt.all, "all", false, "also show what passes and what does not apply")
	f.BoolVar(&opt.timings, "timings", false, "say on stderr how long each command and step took")
	f.DurationVar(&opt.guess, "guess-time", snapshot.DefaultGuess, "how long passwords are tried, `TIME` after all else has been read; a slow board with many accounts may want 2m")
	opt.ssh.flags(f)
	opt.many.flags(f, 10*time.Minute)
	completeAudit(cmd)
	return cmd
}

// short is picket without a command.
func (p *program) short(ctx context.Context) error {
	if err := p.checkTarget("local"); err != nil {
		return err
	}
	s, err := p.settings()
	if err != nil {
		return err
	}
	controls, profile, err := p.chosen(auditOptions{}, s)
	if err != nil {
		return err
	}
	reports, err := p.judge(ctx, []string{"local"}, controls, profile, s, auditOptions{})
	if err != nil {
		return err
	}
	r := reports[0]
	opt := auditOptions{fixes: fixesOf(controls)}
	text := report.Text{Width: p.width(), Style: p.style, Short: true, Name: p.typed(""), Next: p.afterAudit(r, true, opt)}
	if err := text.Write(p.io.Out, r); err != nil {
		return err
	}
	return exit(reports, failOn("", s))
}

// chosen loads the controls of the profile, less what the flags and settings
// leave out. A control that --only names in full is judged whatever the
// profile.
func (p *program) chosen(opt auditOptions, s settings.Settings) ([]control.Control, string, error) {
	all, profiles, err := p.catalogue()
	if err != nil {
		return nil, "", err
	}
	if err := s.Policy.Slips(all, profiles).Err(); err != nil {
		return nil, "", usage(err)
	}
	profile, err := control.Named(profiles, cmp.Or(opt.profile, s.Policy.Profile, DefaultProfile))
	if err != nil {
		return nil, "", usage(err)
	}
	var pool []control.Control
	for _, c := range all {
		if profile.Selects(c) || slices.Contains(opt.only, c.ID) {
			pool = append(pool, profile.For(c))
		}
	}
	controls, err := control.Filter(pool, opt.only, nil)
	if err != nil {
		if _, err := control.Filter(all, opt.only, nil); err == nil {
			return nil, "", withHint(usage(fmt.Errorf("the profile %s holds no control that matches %s", profile.Name, strings.Join(opt.only, ", "))),
				"add --profile strict to judge all controls")
		}
		return nil, "", usage(err)
	}
	// What is skipped may be outside of the profile, or of --only.
	if _, err := control.Filter(all, nil, opt.skip); err != nil {
		return nil, "", usage(err)
	}
	controls = control.Without(controls, slices.Concat(opt.skip, s.Policy.Skip))
	if len(controls) == 0 {
		return nil, "", usage(errors.New("no control is left to judge: --only and --skip leave nothing over"))
	}
	return controls, profile.Name, nil
}

func (p *program) audit(ctx context.Context, targets []string, opt auditOptions) error {
	s, err := p.settings()
	if err != nil {
		return err
	}
	controls, profile, err := p.chosen(opt, s)
	if err != nil {
		return err
	}
	if err := opt.ssh.check(); err != nil {
		return err
	}
	outputs, err := parseOutputs(opt.outputs)
	if err != nil {
		return err
	}
	if opt.tries && opt.probe != probeRun && opt.probe != probeList {
		return withHint(usage(fmt.Errorf("--probe=%s: want run or list", opt.probe)), "--probe alone is --probe=run")
	}
	if err := opt.many.check(); err != nil {
		return err
	}
	if targets, err = p.targets(targets); err != nil {
		return err
	}
	for _, t := range targets {
		if err := p.checkTarget(t); err != nil {
			if opt.probe == probeRun && (t == probeRun || t == probeList) {
				err = withHint(usage(fmt.Errorf("unknown target %q", t)), "type --probe="+t+", without a blank")
			}
			return err
		}
		if err := p.mayTry(t, opt); err != nil {
			return err
		}
	}
	limit := failOn(opt.failOn, s)
	if limit != "none" && limit.Rank() < 0 {
		err := usage(fmt.Errorf("--fail-on %q: want low, medium, high, critical or none", opt.failOn))
		if near := yaml.Nearest(opt.failOn, []string{"low", "medium", "high", "critical", "none"}); near != "" {
			err = withHint(err, "did you mean "+near+"?")
		}
		return err
	}
	if opt.guess <= 0 {
		return withHint(usage(fmt.Errorf("--guess-time %v: want a time above zero", opt.guess)), "for example --guess-time 2m; --skip accounts/factory-password leaves the verdict out")
	}
	if opt.save != "" {
		if len(targets) > 1 {
			return usage(errors.New("--save takes one target at a time"))
		}
		if err := canWrite("--save", opt.save, "audit.snapshot", false); err != nil {
			return err
		}
	}
	if opt.since != "" {
		before, err := p.stored(opt.since)
		if err != nil {
			return err
		}
		opt.drift = &drift{opt.since, before}
	}
	for _, out := range outputs {
		if len(targets) > 1 && !report.Several(out.format) {
			return withHint(usage(fmt.Errorf("--output %s takes one target at a time", out.format)), "text and json take several")
		}
	}
	var unwritten []error // of several files one must not keep the others from being written
	if opt.save != "" {
		opt.keep = func(s *snap.Snapshot) {
			err := snapshot.SaveFile(opt.save, s)
			if err == nil {
				fmt.Fprintf(p.io.Err, "wrote %s\n", opt.save)
			}
			unwritten = append(unwritten, err)
		}
	}
	opt.fixes = fixesOf(controls)
	reports, unread := p.judge(ctx, targets, controls, profile, s, opt)
	if len(reports) == 0 {
		return unread
	}
	for _, out := range outputs {
		if err := p.write(out, reports, len(targets) > 1, opt); err != nil {
			unwritten = append(unwritten, err)
		}
	}
	if unread != nil {
		p.fail(unread)
	}
	if err := errors.Join(unwritten...); err != nil {
		return err // also with findings: what was asked for is not there
	}
	if opt.drift != nil {
		worse, joined := opt.drift.worse(reports)
		if worse {
			return errFindings
		}
		reports = joined
	}
	if err := exit(reports, limit); err != nil || unread == nil {
		return err
	}
	return errPartial
}

// judge takes a snapshot of each target and evaluates it. One that cannot be
// read does not keep the others from being judged: the error names all such.
func (p *program) judge(ctx context.Context, targets []string, controls []control.Control, profile string, s settings.Settings, opt auditOptions) ([]audit.Report, error) {
	one := func(ctx context.Context, target string, tell ui.Teller) (r audit.Report, err error) {
		var timed *timings
		if opt.timings {
			timed = &timings{now: p.now, since: p.now()}
		}
		shot, err := p.snapshot(ctx, target, controls, opt, timed, tell)
		if err != nil {
			return r, err
		}
		if opt.keep != nil {
			opt.keep(shot)
		}
		begin := p.now()
		r = audit.Evaluate(controls, shot, audit.Options{
			Version: Version, Profile: profile, Now: p.now(), Waivers: s.Policy.Audit(),
		})
		if timed != nil {
			timed.add("judging", p.now().Sub(begin))
			timed.write(p.io.Err)
		}
		return r, nil
	}
	var all []audit.Report
	var errs []error
	if len(targets) == 1 {
		r, err := one(ctx, targets[0], nil)
		all, errs = []audit.Report{r}, []error{err}
	} else {
		all, errs = many(ctx, p, targets, opt.many, one, report.Line)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var reports []audit.Report
	var unread []error
	for i, err := range errs {
		if err != nil {
			unread = append(unread, err)
		} else {
			reports = append(reports, all[i])
		}
	}
	switch len(unread) {
	case 0:
		return reports, nil
	case 1:
		return reports, unread[0]
	}
	return reports, &several{unread}
}

func (p *program) snapshot(ctx context.Context, target string, controls []control.Control, opt auditOptions, timed *timings, tell ui.Teller) (*snap.Snapshot, error) {
	ask := func(s *snap.Snapshot) snap.Manifest { return audit.Ask(controls, s) }
	return p.take(ctx, target, opt.ssh, ask, takeOptions{guess: opt.guess, timed: timed, probe: opt.probe, router: opt.router, tell: tell})
}

type takeOptions struct {
	guess  time.Duration
	timed  *timings  // may be nil
	probe  string    // run, list, or "": nothing is tried
	router bool      // ask it
	tell   ui.Teller // what is being done; nil: a line of its own
}

// take reads of a target what ask wants of it.
func (p *program) take(ctx context.Context, target string, ssh sshOptions, ask func(*snap.Snapshot) snap.Manifest, opt takeOptions) (*snap.Snapshot, error) {
	tell := opt.tell
	if tell == nil {
		progress := ui.NewProgress(p.progressTo(), "reading "+target, p.now)
		defer progress.Stop()
		tell = progress
	}
	taker, saved, err := p.open(ctx, target, ssh, tell, opt.timed.hook())
	if saved != nil && opt.wanted() != "" {
		return nil, withHint(usage(fmt.Errorf("%s: %s was saved before; there is no host to try", opt.wanted(), target)), "leave them out; what was tried when it was saved is judged again")
	}
	if err != nil || saved != nil {
		return saved, err
	}
	defer taker.Close()
	shot, err := snapshot.Take(ctx, taker, ask, snapshot.Options{Now: p.now, Guess: opt.guess, Memory: p.memory, Timed: opt.timed.hook(),
		Progress: func(what string) { tell.Say(target + ": " + what) }})
	if err != nil && !strings.HasPrefix(err.Error(), target+": ") { // SSH names it already
		err = fmt.Errorf("%s: %w", target, err)
	}
	if err != nil {
		var h remote.Hinter
		if errors.As(err, &h) {
			err = withHint(err, h.Hint())
		}
		return nil, err
	}
	if opt.probe != "" || opt.router {
		p.probe(ctx, target, opt, taker, shot, tell)
	}
	return shot, ctx.Err()
}

func failOn(flag string, s settings.Settings) control.Severity {
	switch {
	case flag != "":
		return control.Severity(flag)
	case s.Policy.FailOn != "":
		return s.Policy.FailOn
	}
	return control.High
}

// exit gives the code for reports: findings win over what is unknown.
func exit(reports []audit.Report, limit control.Severity) error {
	partial := false
	for _, r := range reports {
		for _, res := range r.Results {
			if res.Finding() && limit != "none" && res.Severity.Rank() >= limit.Rank() {
				return errFindings
			}
			partial = partial || res.Verdict == control.Unknown || res.Verdict == control.Error
		}
	}
	if partial {
		return errPartial
	}
	return nil
}
