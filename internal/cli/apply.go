package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/plan"
	"picket/internal/harden"
	"picket/internal/host/shell"
	"picket/internal/host/snapshot"
	"picket/internal/report"
	"picket/internal/ui"
)

// changeHelp closes the help of the commands that change a host.
const changeHelp = `Exit codes: 0 done, 2 wrong usage or settings, 3 something could not be read,
4 refused or not confirmed and nothing changed, 5 failed and rolled back,
6 failed and not rolled back, 130 interrupted.`

type applyOptions struct {
	auditOptions
	within time.Duration
	risks  []string
	yes    bool
	peers  []string

	wave   int    // of several hosts: how many at a time, after the first
	canary string // the one that goes first; "": the first that does not lead
	words  []string
}

// applying are the options of who says nothing.
func applying() applyOptions {
	return applyOptions{auditOptions: auditOptions{guess: snapshot.DefaultGuess}, wave: DefaultWave}
}

// flags are those of every command that has hosts take what their findings ask for.
func (o *applyOptions) flags(cmd *cobra.Command) {
	o.choosing(cmd)
	f := cmd.Flags()
	f.DurationVar(&o.within, "confirm-within", 2*time.Minute, "`TIME` after which the host goes back by itself unless the change was confirmed (default 2m)")
	f.StringSliceVar(&o.risks, "accept-risk", nil, "accept what a change could cost, by `NAME`: "+strings.Join(control.Risks, ", "))
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	o.ssh.flags(f)
	o.many.flags(f, 10*time.Minute)
	_ = cmd.RegisterFlagCompletionFunc("accept-risk", cobra.FixedCompletions(control.Risks, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
}

func (p *program) applyCommand() *cobra.Command {
	opt := applying()
	cmd := &cobra.Command{
		Use:   "apply [TARGET… | FILE [TARGET]]",
		Short: "change a host as planned, prove that it holds, or take it back",
		Long: `Reads a host, plans as "picket plan" does, asks, and has the host take the
steps.

Before the first step the host keeps what is there and is told to go back by
itself: after --confirm-within, and at its next start. Over SSH a new login is
made then, your own ssh, the peers that you name and the ports that are served
have to come through as before, the host is judged anew, and only what holds is
kept; the rest is taken back at once. On this machine it is judged anew as well,
and then waits for you to log in anew and to type picket confirm.

What could cost something is left out unless you accept that by its name, when
you are asked, or with --accept-risk lose-ssh.

Of image:DIR, a card that is mounted there, the files are changed at once; what
needs the running host is done at its first start, which then keeps it, or takes
all of it back. picket history on the host says which. What could cost the way in
or the way to root is left there, as no login can prove it: apply it once the
host runs.

Of several hosts, or a group of picket.yaml, or all, each finding is shown once,
with the hosts that have it. One host goes first; when the change holds there the
others follow in waves, and those that lead them (roles: [leader]) last. Who reaches
whom today is found out before: the leaders the others over SSH, each account with
the settings of its own client, and the others the leaders at the ports that they
serve. All of that has to work after each change, or it is taken back. A host that
is away stops nobody; a change that does not hold stops the next wave. The same
command again goes on where one stopped.

FILE is a plan that was kept with "picket plan --save FILE". Just that is done,
to the host that it names; it is refused where a file that it changes is not as
it was, or where a new plan for the same findings would be another.

` + changeHelp,
		Example: `  picket apply ssh://pi@leader --only cron
  picket apply ssh://pi@leader --accept-risk lose-ssh
  picket apply all --canary worker1
  picket apply leader.plan
  sudo picket apply image:/mnt/card
  sudo picket apply --only network`,
		RunE: func(cmd *cobra.Command, args []string) error {
			opt.words = args
			return p.apply(cmd.Context(), args, opt)
		},
	}
	opt.flags(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&opt.peers, "peer", nil, "a `HOST` whose ssh has to reach the target as before: ssh://pi@leader, or ssh://pi@leader=pi@worker1 with what is typed there; may be repeated")
	f.IntVar(&opt.wave, "wave", opt.wave, "`NUMBER` of hosts that are changed at a time, of several, after the first")
	f.StringVar(&opt.canary, "canary", "", "the `HOST` that goes first, of several (default: the first that does not lead)")
	return cmd
}

func oneTarget(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usage(fmt.Errorf("want one host; found %d", len(args)))
	}
	return nil
}

func targetOf(args []string) string {
	if len(args) == 0 {
		return "local"
	}
	return args[0]
}

// mayChange refuses targets that nothing can be changed on.
func (p *program) mayChange(target string) error {
	switch {
	case target == "local" && p.getenv("PICKET_NO_LOCAL") != "":
		return withHint(usage(errors.New("PICKET_NO_LOCAL is set, so nothing is changed on this machine")), "unset PICKET_NO_LOCAL, or name another target")
	case target == "local" && os.Geteuid() != 0:
		return withHint(usage(errors.New("only root can change this machine")), "type `"+p.againAsRoot()+"`")
	case p.isSSH(target) && p.getenv("PICKET_NO_LOCAL") != "" && p.isHere(target):
		return withHint(usage(fmt.Errorf("PICKET_NO_LOCAL is set, and %s is this machine: nothing is changed on it", target)), "unset PICKET_NO_LOCAL, or name another target")
	case target == "local", p.isSSH(target), strings.HasPrefix(target, "image:"):
		return p.checkTarget(target)
	}
	return p.notRunning(target)
}

// isHere reports whether a host's address is one of this machine's loopback interface. Behind a jump host it is that one's.
func (p *program) isHere(target string) bool {
	t, err := p.remoteTarget(target)
	if way, _ := p.jump(target); err != nil || len(way) > 0 {
		return false
	}
	ip := net.ParseIP(strings.Trim(t.Host, "[]"))
	return t.Host == "localhost" || ip != nil && ip.IsLoopback()
}

// notRunning says of a target that is no running host what to type instead.
func (p *program) notRunning(target string) error {
	err := usage(fmt.Errorf("%s is no running host: only local, ssh://user@host and image:DIR can be changed", target))
	if dir, ok := strings.CutPrefix(target, "image:"); ok {
		return withHint(err, "`"+p.typed("plan image:"+dir)+"` shows what to change on the card by hand; or start it, and name it as ssh://user@host")
	}
	if err := p.checkTarget(target); err != nil {
		return err
	}
	if s, saved := snapshot.Open(target); saved == nil {
		err = usage(fmt.Errorf("%s is a snapshot, and no running host: only local, ssh://user@host and image:DIR can be changed", target))
		if at := s.Source.Target; strings.HasPrefix(at, "ssh://") {
			return withHint(err, "name the host that it was taken of: "+at)
		}
		return withHint(err, "name the host that it was taken of, as ssh://user@host, or log in there and leave the target out")
	}
	return err
}

func (p *program) apply(ctx context.Context, args []string, opt applyOptions) error {
	if targets, several, err := p.severalTargets(args); err != nil {
		return err
	} else if several {
		return p.applyMany(ctx, targets, opt)
	}
	h, err := p.toChange(args, opt)
	if err != nil {
		return err
	}
	defer h.close()
	if strings.HasPrefix(h.target, "image:") {
		return h.card(ctx)
	}
	if _, node := p.node(h.target); node {
		w := p.walker(opt.ssh)
		defer w.close()
		h.ways = p.waysOf(ctx, w, []string{h.target}, opt.many)
	}
	for round := 1; ; round++ {
		made, err := h.decide(ctx)
		if err != nil || len(made.Steps) == 0 {
			return err
		}
		done, err := h.do(ctx, made)
		if errors.Is(err, errByHand) {
			return nil
		}
		next := newlyPlanned(made, done)
		if err != nil || h.saved != nil || round == rounds || len(next) == 0 {
			return err
		}
		h.remember(done.Left)
		fmt.Fprintf(p.io.Out, "\n%s now that this is done:\n\n", newFindings(len(next)))
	}
}

// rounds are how often apply looks for what applies only after what it has done.
const rounds = 3

// newlyPlanned are the controls that can be mended only now: what was installed or set up may bring rules with it.
func newlyPlanned(made plan.Plan, done harden.Done) []string {
	return without(done.Next.Planned(), slices.Concat(made.Planned(), slices.Collect(maps.Keys(done.Left))))
}

func newFindings(n int) string {
	if n == 1 {
		return "1 more finding can be mended"
	}
	return fmt.Sprintf("%d more findings can be mended", n)
}

// errByHand is that a person has to log in anew: nothing more is done before.
var errByHand = errors.New("")

// take has the host take the steps, and proves them.
func (h *changed) take(ctx context.Context, made plan.Plan) (done harden.Done, err error) {
	if err := h.connect(ctx); err != nil {
		return done, err
	}
	paths, closePaths, err := h.p.paths(ctx, h.target, h.opt, made)
	if err != nil {
		return done, err
	}
	defer closePaths()
	for _, w := range h.ways {
		paths = append(paths, w.path(h.target))
	}
	opt := harden.Options{ID: h.newID(), Within: h.opt.within, Whole: h.saved != nil, Paths: append(paths, h.health()...), Prove: h.atNewPort,
		Say: func(line string) { fmt.Fprintln(h.p.io.Err, ui.Clean(line)) }}
	if h.tell != nil {
		opt.Say, opt.Wait = h.tell.Say, h.opt.within+time.Minute
	}
	return harden.Apply(ctx, h, made, opt)
}

// do has the host take the steps, and says how it ended.
func (h *changed) do(ctx context.Context, made plan.Plan) (done harden.Done, err error) {
	p := h.p
	done, err = h.take(ctx, made)
	switch {
	case errors.Is(err, harden.ErrByHand):
		p.byHand(done.ID, h.opt.within)
		return done, errByHand
	case err != nil:
		return done, howLeft(err)
	}
	for _, line := range done.Left.Lines() {
		fmt.Fprintf(p.io.Out, "\n%s\n", ui.Wrap("not done, since it was tried and taken back: "+ui.Clean(line), p.width(), "  "))
	}
	fmt.Fprintf(p.io.Out, "\n%s: done and kept as %s\n", h.target, done.ID)
	for _, unit := range slices.Sorted(maps.Keys(made.Restarts())) {
		was, known := made.Exposure[unit]
		if is, still := done.Next.Exposure[unit]; known && still && is != was {
			fmt.Fprintf(p.io.Out, "systemd-analyze security %s: %s before, %s now\n", unit, fact.Tenths(was), fact.Tenths(is))
		}
	}
	fmt.Fprintf(p.io.Out, "To take it back: %s\n", p.typed("rollback "+done.ID+" "+h.target))
	if left := leftBy(done.Next); left > 0 {
		fmt.Fprintf(p.io.Out, "%s left to you: %s\n", leftOver(left), p.typed("plan "+h.target))
	}
	if ids, risks := costly(done.Next); len(ids) > 0 {
		fmt.Fprintf(p.io.Out, "%s\n  %s\n", ui.Wrap("Left out for what it could cost, and serious: "+strings.Join(ids, ", "), p.width(), "  "),
			p.typed("apply "+h.target+h.opt.chosenAs()+" --accept-risk "+strings.Join(risks, ",")))
	}
	return done, nil
}

// leftBy counts the findings that are left to a person.
func leftBy(next plan.Plan) int {
	return len(slices.DeleteFunc(slices.Clone(next.Items), func(i plan.Item) bool { return i.Left == plan.Waits }))
}

// costly are the worst findings that were left for what their change could cost, and the risks.
func costly(next plan.Plan) (ids, risks []string) {
	for _, i := range next.Items {
		if strings.HasPrefix(i.Left, notAccepted) && i.Severity.Rank() >= control.High.Rank() {
			ids = append(ids, i.Control)
			risks = append(risks, without(i.Risk, risks)...)
		}
	}
	return ids, risks
}

// atNewPort proves of a plan that has sshd listen at another port that somebody logs in there. Whoever came in before still
// does, so that nothing but the move is to be left out where it fails.
func (h *changed) atNewPort(ctx context.Context, p plan.Plan, _ shell.Shell) error {
	if p.Opens == 0 {
		return nil
	}
	if err := h.loginAtNewPort(ctx, p); err != nil {
		return harden.Unheld{p.Mover: err.Error()}
	}
	return nil
}

func (h *changed) loginAtNewPort(ctx context.Context, p plan.Plan) error {
	ssh := h.opt.ssh
	ssh.port = p.Opens
	sh, err := h.p.rootShell(ctx, h.target, ssh, h.tell)
	if err != nil {
		return fmt.Errorf("a new login at port %d fails: %w", p.Opens, err)
	}
	defer sh.Close()
	_, exit, err := sh.Run(ctx, "true", nil, nil)
	if err == nil && exit != 0 {
		err = errors.New("it does not become root")
	}
	if err != nil {
		return fmt.Errorf("a new login at port %d: %w", p.Opens, err)
	}
	return nil
}

// newID is a name for a transaction: the time, and no other of this run.
func (h *changed) newID() string {
	id := cmp.Or(h.id, h.p.now().UTC().Format("20060102-150405"))
	for n := 'b'; slices.Contains(h.ids, id); n++ {
		id = id[:15] + string(n)
	}
	h.ids = append(h.ids, id)
	return id
}

func leftOver(n int) string {
	if n == 1 {
		return "1 finding is"
	}
	return fmt.Sprintf("%d findings are", n)
}

// byHand says what to type where only a person can log in anew.
func (p *program) byHand(id string, within time.Duration) {
	confirm, back := p.asElsewhere("confirm "+id), p.asElsewhere("rollback "+id)
	fmt.Fprintf(p.io.Out, "\n%s\n", ui.Wrap("The change is made, and not kept yet: in "+span(within)+" this machine goes back by itself.", p.width(), ""))
	fmt.Fprintf(p.io.Out, `
1. Leave this session open, and log in anew, as you always do.
2. If that works, type there:
       %s
   If it does not, wait, or type here:
       %s
`, confirm, back)
}

// asElsewhere is a command as it can be typed in another session of this machine.
func (p *program) asElsewhere(args string) string {
	switch {
	case strings.Contains(p.name, "/go-build"): // it is gone when this has ended
		verb, id, _ := strings.Cut(args, " ")
		return "sudo sh " + harden.Box + "/" + id + "/tx " + map[string]string{"confirm": "confirm", "rollback": "undo"}[verb]
	case strings.Contains(p.name, "/"):
		if abs, err := filepath.Abs(p.name); err == nil {
			return "sudo " + abs + " " + args
		}
	}
	return p.typedAsRoot(args)
}

// span is a time in words.
func span(d time.Duration) string {
	d = d.Round(time.Second)
	m, s := int(d.Minutes()), int(d.Seconds())%60
	switch {
	case m == 0:
		return counted(s, "second")
	case s == 0:
		return counted(m, "minute")
	}
	return counted(m, "minute") + " and " + counted(s, "second")
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// show writes a plan for the person who is going to be asked.
func (h *changed) show(made plan.Plan) error {
	return report.Plan{Width: h.p.width(), Style: h.p.style, Name: h.p.typed("")}.Write(h.p.io.Out, made)
}

// connect gets a shell of root on the host, once.
func (h *changed) connect(ctx context.Context) (err error) {
	if h.shell == nil {
		h.shell, err = h.p.rootShell(ctx, h.target, h.opt.ssh, h.tell)
	}
	return err
}

func (h *changed) close() {
	if h.shell != nil {
		h.shell.Close()
	}
}

// Shell implements harden.Host.
func (h *changed) Shell() shell.Shell { return h.shell }

// Fresh implements harden.Host.
func (h *changed) Fresh(ctx context.Context) (shell.Shell, error) {
	if h.target == "local" {
		return nil, harden.ErrByHand
	}
	return h.p.rootShell(ctx, h.target, h.opt.ssh, h.tell)
}

// rootShell is a shell of root on a target. tell makes room for questions; it may be nil.
func (p *program) rootShell(ctx context.Context, target string, opt sshOptions, tell ui.Teller) (shell.Shell, error) {
	if target == "local" {
		return shell.Local(), nil
	}
	c, t, password, err := p.dial(ctx, target, opt, tell)
	if err != nil {
		return nil, err
	}
	return shell.SSH(c, t.User, password), nil
}

// without are risks less some others.
func without(risks, others []string) []string {
	return slices.DeleteFunc(slices.Clone(risks), func(r string) bool { return slices.Contains(others, r) })
}
