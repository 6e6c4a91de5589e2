package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"picket/internal/core/inventory"
	"picket/internal/host/remote"
)

type joinOptions struct {
	applyOptions
	roles   []string
	newKeys bool
}

func (p *program) joinCommand() *cobra.Command {
	opt := joinOptions{applyOptions: applying()}
	cmd := &cobra.Command{
		Use:   "join NAME [ssh://USER@HOST]",
		Short: "take a new node into the cluster: pin its key, note it, apply the same policy",
		Long: `Takes a host into the cluster of picket.yaml: shows its host key and pins it once you
say that it is right, adds it to picket.yaml as NAME, and applies there what that
file asks of all nodes, as "picket apply" does: shown, asked for, proved, and kept or
taken back. Each part is skipped where it is done already, so that the same command
goes on where it was broken off. Without ssh://USER@HOST the NAME is what is
connected to.

` + changeHelp,
		Example: `  picket join worker4 ssh://pi@192.168.1.24
  picket join worker4 ssh://pi@192.168.1.24 --accept-new-host-keys --yes --accept-risk lose-ssh`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return usage(errors.New("want the NAME of the new node, and where it is: ssh://USER@HOST"))
			}
			opt.words = args[:1]
			return p.join(cmd.Context(), args[0], strings.Join(args[1:], ""), opt)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&opt.roles, "role", []string{"worker"}, "its `ROLE`s in picket.yaml")
	f.BoolVar(&opt.newKeys, "accept-new-host-keys", false, "pin its host key without asking, if none is known; a changed one is refused all the same")
	opt.flags(cmd)
	return cmd
}

func (p *program) join(ctx context.Context, name, at string, opt joinOptions) error {
	node, err := joining(name, at, opt.roles)
	if err != nil {
		return err
	}
	if err := errors.Join(opt.ssh.check(), opt.many.check()); err != nil {
		return err
	}
	file, err := p.settingsToWrite("")
	if err != nil {
		return err
	}
	s, err := p.settings()
	if err != nil {
		return err
	}
	if _, _, err := p.chosen(opt.auditOptions, s); err != nil {
		return err
	}
	have := s.Inventory()
	if old, ok := have.Node(name); ok {
		if at != "" && (old.Host() != node.Host() || node.User != "" && old.User != "" && old.User != node.User) {
			return withHint(usage(fmt.Errorf("%s is a node already, at %s", name, old.Host())), "another name, or change it in "+file)
		}
		node = old
	}
	n := &initRun{
		p: p, out: p.io.Out, have: have,
		opt:     initOptions{yes: opt.yes, newKeys: opt.newKeys, ssh: opt.ssh, many: opt.many},
		sources: &sources{found: []inventory.Found{{File: "the command line", Nodes: []inventory.Node{node}}}},
	}
	if !opt.yes && !n.prompt(ctx).Possible() {
		return withHint(usage(errors.New("there is no terminal to ask on")), "--yes takes it without asking, and with --accept-new-host-keys its host key, too")
	}
	if err := n.choose(ctx, s.Cluster); err != nil {
		return err
	}
	if _, ok := n.inv.Node(name); !ok {
		return usage(fmt.Errorf("%s is a node already, as %s", node.Host(), n.inv.Nodes[0].Name))
	}
	if err := n.reach(ctx); err != nil {
		return err
	}
	if err := n.failed[name]; err != nil {
		return named(name, err)
	}
	for _, h := range n.hints {
		fmt.Fprintln(n.out, h)
	}
	if err := n.write(ctx, file); err != nil {
		return err
	}
	fmt.Fprintln(n.out)
	return p.applyMany(ctx, []string{name}, opt.applyOptions)
}

// joining is a new node as it was typed.
func joining(name, at string, roles []string) (inventory.Node, error) {
	n := inventory.Node{Name: name, Roles: roles}
	if err := inventory.CheckName(name); err != nil {
		return n, usage(err)
	}
	if at == "" {
		return n, nil
	}
	t, err := remote.ParseTarget(at)
	if err != nil {
		return n, withHint(usage(err), "type ssh://USER@HOST")
	}
	if n.User, n.Port = t.User, t.Port; t.Host != name {
		n.Address = t.Host
	}
	return n, nil
}
