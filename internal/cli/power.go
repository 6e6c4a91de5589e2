package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"picket/internal/fleet"
	"picket/internal/host/remote"
	"picket/internal/host/shell"
	"picket/internal/ui"
)

type powerOptions struct {
	many       manyOptions
	ssh        sshOptions
	yes        bool
	serial     bool
	leaderLast bool
	within     time.Duration
	output     string
}

// A power is what is done to hosts, and how it is called.
type power struct {
	verb, done string // "reboot", "rebooted"
	program    string // of root's shell, which does it
	back       bool   // the host is waited for
}

var (
	reboot   = power{"reboot", "rebooted", "if [ -d /run/systemd/system ]; then systemctl reboot; else reboot || shutdown -r now; fi", true}
	shutdown = power{"shut down", "shut down", "if [ -d /run/systemd/system ]; then systemctl poweroff; else poweroff || shutdown -h now; fi", false}
)

const powerHelp = `Nothing is done before all hosts have been asked whether they could be: one that cannot
be reached, where sudo does not let you in, where dpkg is at work, or where a change of
Picket waits to be confirmed is left out and named. The others go at once, or one
after the other with --serial, those that lead (the role leader, master, controller,
manager or head) last, and so those through which others are reached. If one fails, those behind it are left alone. The machine that Picket
runs on is the very last.

Exit codes: 0 each host did · 2 wrong usage or settings · 3 some host did not, or could not be
reached · 4 not confirmed, nothing was done · 130 interrupted.`

func (p *program) rebootCommand() *cobra.Command {
	return p.powerCommand(reboot, "reboot TARGET…", "reboot hosts, and wait until each is back", `Reboots hosts and waits until each has come back: it has started anew, and lets you in.

`+powerHelp, `  picket reboot worker1
  picket reboot all
  picket reboot workers --serial --yes`)
}

func (p *program) shutdownCommand() *cobra.Command {
	return p.powerCommand(shutdown, "shutdown TARGET…", "shut hosts down, and wait until each is gone", `Shuts hosts down and waits until each is gone: nothing answers there any more, not even
to refuse a connection.

`+powerHelp, `  picket shutdown worker1
  picket shutdown all --yes`)
}

func (p *program) powerCommand(what power, use, short, long, example string) *cobra.Command {
	var opt powerOptions
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Example: example,
		RunE: func(cmd *cobra.Command, args []string) error { return p.power(cmd.Context(), what, args, opt) },
	}
	f := cmd.Flags()
	f.BoolVarP(&opt.yes, "yes", "y", false, "do not ask")
	f.BoolVar(&opt.serial, "serial", false, "one host after the other; if one fails, those behind it are left alone")
	f.BoolVar(&opt.leaderLast, "leader-last", true, "hosts that lead after all others; --leader-last=false: as they are named")
	limit := "`TIME` that a host may take until it is back"
	if !what.back {
		limit = "`TIME` that a host may take until it is gone"
	}
	f.DurationVar(&opt.within, "within", 5*time.Minute, limit)
	f.StringVarP(&opt.output, "output", "o", "text", "`FORMAT`: text, or json: a line for each host, as it is done")
	opt.ssh.flags(f)
	f.IntVar(&opt.many.atOnce, "parallel", fleet.AtOnce, "`NUMBER` of hosts at a time")
	return cmd
}

// A powered host is a host that could go down.
type powered struct {
	target string
	shell  shell.Shell
	client *remote.Client // nil: this machine, without SSH
	boot   string         // of this start of its kernel
	here   bool           // Picket runs on it
	told   bool           // to go down
}

// went is how it went on one host.
type went struct {
	Host    string  `json:"host"`
	Done    bool    `json:"done"`
	Seconds float64 `json:"seconds"`
	Error   string  `json:"error,omitempty"`
}

const bootID = "/proc/sys/kernel/random/boot_id"

// beforePower is what a host is asked: the id of its start, and what speaks against another one.
const beforePower = `cat ` + bootID + ` || exit
for t in /var/lib/picket/tx/*/state; do
	[ -r "$t" ] || continue
	case $(cat "$t") in applied | applying | undoing) t=${t%/state}; echo "waits ${t##*/}" ;; esac
done
cat /proc/[0-9]*/comm 2>/dev/null | grep -qx dpkg && echo dpkg
:`

func (p *program) power(ctx context.Context, what power, words []string, opt powerOptions) error {
	targets, err := p.powerTargets(what, words, opt)
	if err != nil {
		return err
	}
	byHand := ui.Prompt{IO: p.io, Context: ctx}
	if !opt.yes && !byHand.Possible() {
		return withHint(usage(errors.New("there is no terminal to ask on")), "--yes does it without asking")
	}
	begin := p.now()
	if !byHand.Possible() {
		opt.many.deadline = answerWithin // with the login; a person may take longer over a password
	}
	var held sync.Mutex
	var machines []*powered
	defer func() {
		held.Lock()
		defer held.Unlock()
		for _, m := range machines {
			if m.client != nil {
				m.client.Close()
			}
		}
	}()
	found, errs := many(ctx, p, targets, opt.many, func(ctx context.Context, target string, tell ui.Teller) (*powered, error) {
		m, err := p.machine(ctx, target, opt.ssh, answerWithin, tell)
		if m != nil {
			held.Lock()
			machines = append(machines, m)
			held.Unlock()
		}
		return m, err
	}, func(*powered) string { return "can be " + what.done })
	var ready []*powered
	for i, m := range found {
		if errs[i] == nil {
			ready = append(ready, m)
		}
	}
	encode := json.NewEncoder(p.io.Out)
	out := &hostLines{}
	opt.many.through, opt.many.plain = out, opt.output == "json" && passedOn(p.io.Out)
	var unwritten error
	say := func(w went) {
		if opt.output == "json" && unwritten == nil {
			unwritten = out.write(func() error { return encode.Encode(w) })
		}
	}
	for i, err := range errs {
		if err != nil {
			say(went{Host: targets[i], Error: broken(ctx, err)})
		}
	}
	all := whole{targets: targets, errs: errs, not: "not " + what.done}
	if len(ready) == 0 || ctx.Err() != nil {
		all.took = p.now().Sub(begin)
		return errors.Join(unwritten, p.told(ctx, all))
	}
	for _, m := range ready {
		if m.here && p.getenv("PICKET_NO_LOCAL") != "" {
			return withHint(usage(fmt.Errorf("%s is the machine that Picket runs on, and PICKET_NO_LOCAL is set: nothing was done to any host", m.target)), "unset PICKET_NO_LOCAL, or name the others alone")
		}
	}
	waves := p.waves(ready, opt)
	if !opt.yes {
		if n := len(targets) - len(ready); n > 0 {
			fmt.Fprintf(p.io.Err, "%d of %d hosts cannot be %s\n", n, len(targets), what.done)
		}
		if ok, err := byHand.Confirm(capital(what.verb) + " " + order(waves) + "?"); err != nil || !ok {
			return errors.Join(err, withCode(ExitRefused, errors.New("nothing was done")))
		}
		begin = p.now()
	}
	opt.many.width = widest(targets)
	opt.many.deadline = 0 // each has its own limit, which knows what it waited for
	at := map[string]int{}
	for i, t := range targets {
		at[t] = i
	}
	for i, wave := range waves {
		stopped := slices.ContainsFunc(slices.Concat(waves[:i]...), func(m *powered) bool { return errs[at[m.target]] != nil })
		if stopped || ctx.Err() != nil {
			for _, m := range wave {
				errs[at[m.target]] = fleet.ErrNotBegun
				if ctx.Err() == nil {
					errs[at[m.target]] = fmt.Errorf("%w, since a host before it did not do so", fleet.ErrNotBegun)
				}
				say(went{Host: m.target, Error: errs[at[m.target]].Error()})
			}
			continue
		}
		if wave[0].here {
			fmt.Fprintf(p.io.Err, "%s is the machine that Picket runs on: it is %s now, and nobody waits for it\n", wave[0].target, what.done)
		}
		names := make([]string, len(wave))
		for i, m := range wave {
			names[i] = m.target
		}
		manyHeard(ctx, p, names, opt.many, func(ctx context.Context, target string, tell ui.Teller) (went, error) {
			began := p.now()
			m := wave[slices.Index(names, target)]
			err := p.down(ctx, m, what, opt, tell)
			return went{Host: target, Done: err == nil, Seconds: p.now().Sub(began).Seconds()}, err
		}, func(went) string {
			if wave[0].here {
				return "was told to"
			}
			if what.back {
				return "is back"
			}
			return "is gone"
		}, func(i int, w went, err error) {
			w.Host, errs[at[names[i]]] = names[i], err
			if err != nil {
				w.Error = broken(ctx, err)
			}
			say(w)
		})
	}
	all.took = p.now().Sub(begin)
	err = p.told(ctx, all)
	if ctx.Err() != nil {
		var told []string
		for _, m := range ready {
			if m.told && errs[at[m.target]] != nil {
				told = append(told, m.target)
			}
		}
		if len(told) > 0 {
			fmt.Fprintf(p.io.Err, "these were told to, and will do so all the same: %s\n", strings.Join(told, " "))
		}
	}
	return errors.Join(unwritten, err)
}

// powerTargets are running hosts, each once.
func (p *program) powerTargets(what power, words []string, opt powerOptions) ([]string, error) {
	if opt.output != "text" && opt.output != "json" {
		return nil, usage(fmt.Errorf("--output %s: want text or json", opt.output))
	}
	if len(words) == 0 {
		return nil, withHint(usage(errors.New("no host is named")), "`picket "+strings.ReplaceAll(what.verb, " ", "")+" all` is every node of picket.yaml")
	}
	if opt.within <= 0 {
		return nil, usage(fmt.Errorf("--within %v: want a time above zero", opt.within))
	}
	if err := opt.many.check(); err != nil {
		return nil, err
	}
	targets, err := p.targets(words)
	if err != nil {
		return nil, err
	}
	for _, t := range targets {
		if strings.HasPrefix(t, "image:") {
			return nil, usage(fmt.Errorf("%s does not run", t))
		}
		if err := p.mayChange(t); err != nil {
			return nil, err
		}
	}
	return p.distinct(targets), opt.ssh.check()
}

// answerWithin is how long a host may take to say how it is.
const answerWithin = time.Minute

// patient is a context with a limit that does not run while a person types a password.
func patient(ctx context.Context, within time.Duration, password func(string) ([]byte, error)) (limited context.Context, asks func(string) ([]byte, error), end func()) {
	limited, cancel := context.WithCancel(ctx)
	limit := time.AfterFunc(within, cancel)
	if password != nil {
		asks = func(user string) ([]byte, error) {
			limit.Stop()
			defer limit.Reset(within)
			return password(user)
		}
	}
	return limited, asks, func() { limit.Stop(); cancel() }
}

// machine asks a host whether it can go down.
func (p *program) machine(ctx context.Context, target string, opt sshOptions, within time.Duration, tell ui.Teller) (*powered, error) {
	m := &powered{target: target, shell: shell.Local()}
	var c *remote.Client
	var t remote.Target
	var password func(string) ([]byte, error)
	if target != "local" {
		tell.Say("connecting")
		var err error
		if c, t, password, err = p.dial(ctx, target, opt, tell); err != nil {
			return nil, err
		}
	}
	limited, password, end := patient(ctx, within, password)
	defer end()
	if c != nil {
		m.client, m.shell = c, shell.SSH(c, t.User, password)
	}
	tell.Say("asking")
	said, exit, err := m.shell.Run(limited, beforePower, nil, nil)
	switch {
	case err != nil && limited.Err() != nil && ctx.Err() == nil:
		return m, fmt.Errorf("it has let us in and then hung: it did not say within %v how it is", within)
	case errors.Is(err, shell.ErrNoRoot):
		return m, withHint(err, "with a password: --sudo-password-file FILE, or on a terminal")
	case err != nil:
		return m, err
	case exit != 0:
		return m, errors.New("it does not say which start of its system this is, so nobody could see another: is it no Linux?")
	}
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	m.boot = lines[0]
	own, err := os.ReadFile(bootID)
	m.here = target == "local" || err == nil && strings.TrimSpace(string(own)) == m.boot
	if len(lines) == 1 {
		return m, nil
	}
	if id, ok := strings.CutPrefix(lines[1], "waits "); ok {
		return m, withHint(fmt.Errorf("the change %s waits for confirmation there, and would be taken back at the next start", id),
			"`picket confirm "+id+" "+target+"` keeps it, `picket rollback "+id+" "+target+"` takes it back")
	}
	return m, withHint(errors.New("dpkg is at work there: a host that goes down in the middle of it may not come up again"), "try again when it has ended")
}

// waves are who goes down together: each waits for the ones before.
func (p *program) waves(ready []*powered, opt powerOptions) (out [][]*powered) {
	last := make(map[*powered]int)
	for _, m := range ready {
		n, ok := p.node(m.target)
		switch {
		case m.here:
			last[m] = 1000
		case ok && opt.leaderLast && leads(n):
			last[m] = 1
		}
	}
	for range ready { // who is on the way to another goes after it
		for _, m := range ready {
			way, _ := p.jump(m.target)
			for _, hop := range way {
				for _, via := range ready {
					if t, err := p.remoteTarget(via.target); err == nil && via != m && t.Address() == hop.Address() && last[via] <= last[m] {
						last[via] = last[m] + 1
					}
				}
			}
		}
	}
	sorted := slices.Clone(ready)
	slices.SortStableFunc(sorted, func(a, b *powered) int { return last[a] - last[b] })
	for i, m := range sorted {
		if i > 0 && !opt.serial && last[m] == last[sorted[i-1]] {
			out[len(out)-1] = append(out[len(out)-1], m)
		} else {
			out = append(out, []*powered{m})
		}
	}
	return out
}

// order is waves for a person.
func order(waves [][]*powered) string {
	var parts []string
	for _, w := range waves {
		var names []string
		for _, m := range w {
			name := m.target
			if m.here {
				name += " (this machine)"
			}
			names = append(names, name)
		}
		parts = append(parts, strings.Join(names, ", "))
	}
	return strings.Join(parts, ", then ")
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// down has a host go down, and waits for what is to come of it.
func (p *program) down(ctx context.Context, m *powered, what power, opt powerOptions, tell ui.Teller) error {
	tell.Say("told to " + what.verb)
	m.told = true
	last := ""
	limit, cancel := context.WithTimeout(ctx, opt.within) // from here on: what it is told by may hang, too
	defer cancel()
	_, exit, err := m.shell.Run(limit, what.program, nil, func(line string) { last = line })
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case limit.Err() != nil:
		return withHint(fmt.Errorf("it was told to %s, and what was to do so has not ended within %v: it may yet", what.verb, opt.within),
			"look at it before you cut its power: `picket exec "+m.target+" -- systemctl list-jobs`")
	case err == nil && exit != 0:
		m.told = false
		return fmt.Errorf("it refuses to %s: %s (exit code %d)", what.verb, last, exit)
	case err != nil && m.client != nil && m.client.Lost() == nil:
		return err // else it was quicker than its answer
	case m.here:
		return nil
	}
	if what.back {
		return p.untilBack(ctx, limit, m, opt, tell)
	}
	return p.untilGone(ctx, limit, m, opt, tell)
}
