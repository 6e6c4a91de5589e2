package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"picket/internal/core/change"
	"picket/internal/core/fact"
	"picket/internal/core/trust"
	"picket/internal/harden"
	"picket/internal/ui"
)

type pruneOptions struct {
	askedOptions
	leader string
}

func (p *program) keysPruneCommand() *cobra.Command {
	var opt pruneOptions
	cmd := &cobra.Command{
		Use:   "prune [TARGET…]",
		Short: "take the keys away with which workers come to each other and to the leader",
		Long: `Guides hand every node's key to every node, so that whoever takes one has them all. This takes
the lines out of authorized_keys that let in a key that lies on a worker, on all hosts, and
first shows which ways end. The leader's keys stay, and so does every key that lies on none
of the hosts, as your own. Nothing is done on a host where somebody would be locked out.

One worker goes first, then the others at once, and the leader last, since it is the leader
that has to come in on each of them afterwards. Who is away keeps no other from being changed.
Only a host that is read can be said to hold a key: name all nodes (the default). Each
host's change can be taken back by itself. The private keys stay where they lie.

` + changeHelp,
		Example: `  picket keys prune
  picket keys prune all --leader node1`,
		RunE: func(cmd *cobra.Command, args []string) error { return p.keysPrune(cmd.Context(), args, opt) },
	}
	cmd.Flags().StringVar(&opt.leader, "leader", "", "`NODE` that drives the others (default: the one with the role leader or master)")
	opt.flags(cmd.Flags())
	return cmd
}

func (p *program) keysPrune(ctx context.Context, words []string, opt pruneOptions) error {
	leader, err := p.leaderOf(opt.leader)
	if err != nil {
		return err
	}
	if len(words) == 0 {
		words = []string{"all"}
	}
	targets, err := p.hosts(words, opt.ssh)
	if err != nil {
		return err
	}
	if !slices.Contains(targets, leader) { // its keys have to be known, to be kept
		targets = append([]string{leader}, targets...)
	}
	all, errs := p.beginAll(ctx, targets, opt.askedOptions)
	defer closeAll(all)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !slices.ContainsFunc(all, func(a *asked) bool { return a.target == leader }) {
		return withHint(withCode(ExitRefused, fmt.Errorf("the leader's own keys are not known, so that one of them might be taken away: %w", allOf(errs))), "--leader NODE names another")
	}
	var hosts []trust.Host
	for _, a := range all {
		h := trust.Host{Name: p.nameOf(a.target, targetsIn(all)), Facts: a.host}
		if a.target == leader {
			h.Roles = trust.Leaders
		}
		hosts = append(hosts, h)
	}
	gone, shared := onWorkers(all, leader)
	for _, k := range shared {
		fmt.Fprintf(p.io.Err, "%s is the leader's, and stays, though it lies on a worker as well: let the leader have another one first\n", ui.Clean(k.Place.Path+" "+k.Fingerprint))
	}
	m := trust.Of(hosts)
	p.stillLed(all, leader, m, gone)
	parts, errs := p.partsOf(ctx, all, errs, func(_ context.Context, a *asked) (part, error) {
		one, why := pruned(a, gone)
		if why != "" {
			return one, withHint(withCode(ExitRefused, fmt.Errorf("%s: %s", a.target, why)), "give it another way in first, or close it with `picket user close`")
		}
		if a.target == leader { // each worker is proved by the leader coming in there, which has to be as it was until then
			one.turn = 1
		}
		return one, nil
	})
	if len(parts) == 0 {
		return allOf(errs)
	}
	end := p.leaveOut(errs)
	ends := 0
	for _, e := range m.Edges {
		print, _, _ := strings.Cut(e.With, " ")
		shut := slices.ContainsFunc(parts, func(one part) bool { return strings.HasSuffix(e.To, "@"+p.nameOf(one.target, targetsIn(all))) })
		if e.How == trust.Key && gone[print] && shut {
			if ends++; ends == 1 {
				fmt.Fprintln(p.io.Out, "These ways end:")
			}
			fmt.Fprintf(p.io.Out, "  %s\n", ui.Clean(e.From+" → "+e.To+"  "+e.With))
		}
	}
	if ends > 0 {
		fmt.Fprintln(p.io.Out)
	}
	done, err := p.together(ctx, parts, sharing{yes: opt.yes, question: "Take them away?"})
	switch {
	case len(done) > 0:
		fmt.Fprintf(p.io.Out, "\n%s changed. What is left: %s\n", counted(len(done), "host"), p.typed("trust"))
	case err == nil:
		fmt.Fprintln(p.io.Out, "nothing to do: no key that lies on a worker lets anybody in on these hosts")
	}
	return end(err)
}

// stillLed has each change be kept only if the leader comes in afterwards with every key that it came in with before.
func (p *program) stillLed(all []*asked, leader string, m trust.Map, gone map[string]bool) {
	by := all[slices.IndexFunc(all, func(a *asked) bool { return a.target == leader })]
	targets := targetsIn(all)
	for _, w := range all {
		at, _, err := p.endOf(w, by)
		if w == by || err != nil {
			continue
		}
		name, from := "@"+p.nameOf(w.target, targets), "@"+p.nameOf(leader, targets)
		for _, e := range m.Edges {
			print, _, _ := strings.Cut(e.With, " ")
			user, ok := strings.CutSuffix(e.From, from)
			as, ok2 := strings.CutSuffix(e.To, name)
			if !ok || !ok2 || e.How != trust.Key || e.Needs != "" || e.Only != "" || gone[print] {
				continue
			}
			w.paths = append(w.paths, harden.Path{Name: e.From + " comes in as " + as, Turn: func(ctx context.Context) (func(), error) { return turn(ctx, by.asking) }, Try: func(ctx context.Context) error {
				return by.comesTo(ctx, user, e.Source, at, as)
			}})
		}
	}
}

func targetsIn(all []*asked) (out []string) {
	for _, a := range all {
		out = append(out, a.target)
	}
	return out
}

// onWorkers are the fingerprints of the keys that lie on workers, but for those that lie on the leader, too, which are shared.
func onWorkers(all []*asked, leader string) (gone map[string]bool, shared []fact.PrivateKey) {
	gone = map[string]bool{}
	of := func(a *asked) (out []fact.PrivateKey) {
		for _, home := range a.host.Keys.Homes {
			out = append(out, a.host.Keys.Private[home.User.Name]...)
		}
		return out
	}
	for _, a := range all {
		if a.target != leader {
			for _, k := range of(a) {
				gone[k.Fingerprint] = true
			}
		}
	}
	delete(gone, "") // what could not be decoded
	for _, a := range all {
		if a.target == leader {
			for _, k := range of(a) {
				if gone[k.Fingerprint] {
					shared = append(shared, k)
					delete(gone, k.Fingerprint)
				}
			}
		}
	}
	return gone, shared
}

// pruned drafts that keys go from all files of a host. why is who would be locked out.
func pruned(a *asked, gone map[string]bool) (one part, why string) {
	out := func(k fact.AuthorizedKey) bool { return gone[k.Fingerprint] }
	var files []string
	for _, home := range a.host.Keys.Homes {
		user := home.User.Name
		keys := a.host.Keys.Authorized[user]
		if !slices.ContainsFunc(keys, out) {
			continue
		}
		for _, k := range keys {
			if out(k) && !slices.Contains(files, k.Place.Path) {
				files = append(files, k.Place.Path)
			}
		}
		left := slices.ContainsFunc(keys, func(k fact.AuthorizedKey) bool { return !out(k) && k.Command() == "" })
		l, known := a.host.Logins.Login(user)
		if !left && (!known || l.Key && l.Refused == "" && !l.Password.V) {
			return part{}, "nobody would come in as " + user + " any more"
		}
	}
	slices.Sort(files)
	a.name, a.title = "keys prune", "the keys of workers let nobody in"
	return part{asked: a, fix: func(_ *fact.Host, d *change.Draft) error {
		for _, f := range files {
			if _, err := trust.Remove(d, f, out); err != nil {
				return err
			}
		}
		return nil
	}}, ""
}
