package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"picket/internal/core/fact"
	"picket/internal/core/snap"
	"picket/internal/core/trust"
	"picket/internal/host/snapshot"
	"picket/internal/report"
	"picket/internal/ui"
)

type trustOptions struct {
	outputs []string
	guess   time.Duration
	ssh     sshOptions
	many    manyOptions
}

func (p *program) trustCommand() *cobra.Command {
	var opt trustOptions
	cmd := &cobra.Command{
		Use:   "trust [TARGET…]",
		Short: "who can become whom, over keys, passwords and sudo: if one host is taken, so are …",
		Long: `Reads several hosts and works out who can become whom: whose private key lies where and
lets in where, which passwords anybody guesses, who becomes root. From that follows which
hosts are taken with each. It also finds what copied cards have in common: host keys,
machine-ids, private keys.

Nothing is tried, and nothing is changed. What could not be read is said; more may be
possible there. Whether a firewall lets the packets through is not looked at: picket
exposure does that. Without a target it is every node of picket.yaml.

Exit codes: 0 fine · 1 a host that is no leader takes others with it, anybody comes in, or
copied cards share keys · 2 wrong usage or settings · 3 some host or fact could not be read ·
130 interrupted. 1 wins over 3.`,
		Example: `  picket trust
  picket trust leader worker1 worker2 --output html:trust.html
  picket trust all --output json`,
		RunE: func(cmd *cobra.Command, args []string) error { return p.trust(cmd.Context(), args, opt) },
	}
	f := cmd.Flags()
	f.StringArrayVarP(&opt.outputs, "output", "o", nil, "`FORMAT[:FILE]`, may be repeated: text, json, svg, html (default text)")
	f.DurationVar(&opt.guess, "guess-time", snapshot.DefaultGuess, "how long passwords are tried, `TIME` for each host")
	opt.ssh.flags(f)
	opt.many.flags(f, 10*time.Minute)
	return cmd
}

// trustFormats are how a map is written, text apart.
var trustFormats = map[string]func(io.Writer, trust.Map) error{
	"json": report.TrustJSON, "svg": report.TrustSVG, "html": report.TrustHTML,
}

func (p *program) trust(ctx context.Context, words []string, opt trustOptions) error {
	if err := errors.Join(opt.ssh.check(), opt.many.check()); err != nil {
		return err
	}
	outputs, err := namedOutputs(opt.outputs, "a map of trust", "text", "json", "svg", "html")
	if err != nil {
		return err
	}
	if inv, err := p.cluster(); len(words) == 0 && err != nil {
		return err
	} else if len(words) == 0 && len(inv.Nodes) > 0 {
		words = []string{"all"}
	}
	targets, err := p.targets(words)
	if err != nil {
		return err
	}
	for _, t := range targets {
		if err := p.checkTarget(t); err != nil {
			return err
		}
	}
	m, unread, err := p.trustMap(ctx, targets, opt.guess, opt.ssh, opt.many)
	if err != nil {
		return err
	}
	for _, out := range outputs {
		err := p.emit(out, func(w io.Writer, style ui.Style) error {
			if write, ok := trustFormats[out.format]; ok {
				return write(w, m)
			}
			return report.Trust{Width: p.width(), Style: style, Next: p.afterTrust(m, words)}.Write(w, m)
		})
		if err != nil {
			return err
		}
	}
	for _, err := range unread {
		p.fail(err)
	}
	switch {
	case len(m.Findings()) > 0:
		return errFindings
	case m.Partial():
		return errPartial
	}
	return nil
}

// trustMap reads hosts and works out the map. The error is that of a run that was interrupted, or in which nothing was read.
func (p *program) trustMap(ctx context.Context, targets []string, guess time.Duration, ssh sshOptions, limits manyOptions) (m trust.Map, unread []error, err error) {
	hosts, unread, err := p.trusting(ctx, targets, guess, ssh, limits)
	if err != nil {
		return m, unread, err
	}
	return trust.Of(hosts), unread, nil
}

// trusting reads what a map is made of.
func (p *program) trusting(ctx context.Context, targets []string, guess time.Duration, ssh sshOptions, limits manyOptions) (hosts []trust.Host, unread []error, err error) {
	one := func(ctx context.Context, target string, tell ui.Teller) (*snap.Snapshot, error) {
		return p.take(ctx, target, ssh, fact.AskTrust, takeOptions{guess: guess, tell: tell})
	}
	shots, errs := make([]*snap.Snapshot, len(targets)), make([]error, len(targets))
	if len(targets) == 1 {
		shots[0], errs[0] = one(ctx, targets[0], nil)
	} else {
		shots, errs = many(ctx, p, targets, limits, one, func(*snap.Snapshot) string { return "read" })
	}
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	for i, t := range targets {
		h := trust.Host{Name: p.nameOf(t, targets)}
		if n, ok := p.node(t); ok {
			h.Roles = n.Roles
		}
		if errs[i] != nil {
			h.Why = errs[i].Error()
			unread = append(unread, named(t, errs[i]))
		} else {
			h.Facts = fact.Parse(shots[i])
		}
		hosts = append(hosts, h)
	}
	if len(unread) == len(targets) {
		return nil, nil, errors.Join(unread...)
	}
	return hosts, unread, nil
}

// nameOf is what a target is called in a map: the node, the host, the file's name, as long as no other is called so.
func (p *program) nameOf(target string, all []string) string {
	short := func(t string) string {
		if _, ok := p.node(t); ok {
			return t
		}
		if p.isSSH(t) {
			if at, err := p.remoteTarget(t); err == nil {
				return at.Host
			}
		}
		if !strings.HasPrefix(t, "image:") && t != "local" {
			return strings.TrimSuffix(filepath.Base(t), ".snapshot")
		}
		return strings.TrimPrefix(t, "image:")
	}
	name := short(target)
	if i := slices.IndexFunc(all, func(t string) bool { return t != target && short(t) == name }); i >= 0 {
		return target
	}
	return name
}

// afterTrust is what to type next.
func (p *program) afterTrust(m trust.Map, words []string) (next []report.Hint) {
	leads := slices.ContainsFunc(m.Nodes, trust.Node.Leads)
	if leads && slices.ContainsFunc(m.Nodes, func(n trust.Node) bool { return !n.Leads() && len(n.Takes) > 0 }) {
		next = append(next, report.Hint{Command: p.typed("keys prune"), Does: "takes the keys away with which workers reach others"})
	}
	for _, s := range m.Same {
		if s.What == "host key" && len(next) < 3 {
			next = append(next, report.Hint{Command: p.typed("keys renew-host " + s.Hosts[len(s.Hosts)-1]), Does: "makes host keys of its own"})
		}
	}
	return next
}

// namedOutputs are outputs of formats that audit does not all have.
func namedOutputs(args []string, what string, has ...string) (out []output, err error) {
	if len(args) == 0 {
		return []output{{format: "text"}}, nil
	}
	stdout := 0
	for _, a := range args {
		format, file, named := strings.Cut(a, ":")
		if !slices.Contains(has, format) {
			return nil, usage(fmt.Errorf("--output %s: %s is written as %s or %s", a, what, strings.Join(has[:len(has)-1], ", "), has[len(has)-1]))
		}
		switch {
		case named && file == "":
			return nil, withHint(usage(fmt.Errorf("--output %s names no file", a)), "leave the colon out for standard output")
		case named:
			if err := canWrite("--output "+format, file, "trust."+format, true); err != nil {
				return nil, err
			}
		default:
			stdout++
		}
		out = append(out, output{format, file})
	}
	if stdout > 1 {
		return nil, usage(errors.New("only one --output can go to standard output; give the others a file, as json:FILE"))
	}
	return out, nil
}
