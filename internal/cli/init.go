package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"picket/internal/core/inventory"
	"picket/internal/core/settings"
	"picket/internal/host/remote"
	"picket/internal/ui"
)

type initOptions struct {
	from    []string
	output  string
	user    string
	nodes   []string
	yes     bool
	newKeys bool
	ssh     sshOptions
	many    manyOptions
}

func (p *program) initCommand() *cobra.Command {
	var opt initOptions
	cmd := &cobra.Command{
		Use:   "init [ssh://USER@LEADER…]",
		Short: "find the nodes of a cluster, pin their host keys, write picket.yaml",
		Long: `Finds the nodes of a cluster in what is there already: the leader's /etc/hosts,
~/.ssh/config, inventories of Ansible, the config.ini of a Pioreactor, and what
workers announce by mDNS. With ssh://USER@LEADER it reads them on that host, so
that it works from a notebook; without, on this machine; with --from only the files
that you name. Nothing is changed on any host.

Then it asks each node for its host key, shows the fingerprints, and pins them in
known_hosts once you say that they are right; a key that has changed is never taken
(see picket keys repair). Last it writes picket.yaml. Where that is there already,
only new nodes are added to it, and all other lines stay as they are.

Exit codes: 0 all nodes are ready · 2 wrong usage or settings · 3 done, but some
node did not answer, is not pinned or did not let us in; or nothing was found ·
4 not confirmed, nothing was written · 130 interrupted.`,
		Example: `  picket init ssh://pi@master         # from anywhere
  picket init                         # on the leader itself
  picket init --from inventory.ini --from ssh:config.lab
  picket init ssh://pioreactor@leader --yes --accept-new-host-keys`,
		RunE: func(cmd *cobra.Command, args []string) error { return p.init(cmd.Context(), args, opt) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&opt.from, "from", nil, "`FILE` that names nodes, or a folder of an inventory; may be repeated; hosts:, ssh:, ansible: or pioreactor: before its name says what it is")
	f.StringVarP(&opt.output, "output", "o", "", "`FILE` to write; -: show it and write nothing (default: the picket.yaml that is read here, else ./picket.yaml)")
	f.StringVar(&opt.user, "user", "", "`NAME` to log in with on nodes for which none is known")
	f.StringSliceVar(&opt.nodes, "nodes", nil, "take only these nodes: `NAME`s or patterns, as worker*")
	f.BoolVarP(&opt.yes, "yes", "y", false, "do not ask: take all that is found, and pin no new host key")
	f.BoolVar(&opt.newKeys, "accept-new-host-keys", false, "pin host keys that are not known yet without asking; a changed one is refused all the same")
	opt.ssh.flags(f)
	opt.many.flags(f, time.Minute)
	return cmd
}

func (p *program) init(ctx context.Context, targets []string, opt initOptions) error {
	file, err := p.settingsToWrite(opt.output)
	if err != nil {
		return err
	}
	if err := p.checkInit(targets, opt); err != nil {
		return err
	}
	s, err := p.settings()
	if err != nil {
		return err
	}
	if opt.output != "" && opt.output != "-" { // what the file that is written to says counts
		old, err := readBounded(file)
		if err == nil {
			s = settings.Settings{}
			err = s.Merge(file, old).Err()
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return usage(err)
		}
	}
	l, err := p.look(ctx, targets, opt)
	if err != nil {
		return err
	}
	n := &initRun{p: p, opt: opt, out: p.io.Out, sources: l, have: s.Inventory()}
	if opt.output == "-" {
		n.out = p.io.Err // what is written there is the file
	}
	if err := n.choose(ctx, s.Cluster); err != nil {
		return err
	}
	if !opt.yes && !n.prompt(ctx).Possible() {
		return withHint(usage(errors.New("there is no terminal to ask on: nothing was written")), "--yes takes what is found, and with --accept-new-host-keys it pins the keys of new hosts")
	}
	if err := n.reach(ctx); err != nil {
		return err
	}
	if err := n.write(ctx, file); err != nil {
		return err
	}
	return n.close(file)
}

// checkInit finds what is wrong before anything is read.
func (p *program) checkInit(targets []string, opt initOptions) error {
	for _, t := range targets {
		if !strings.HasPrefix(t, remote.Scheme) {
			if _, ok := p.node(t); ok {
				continue
			}
			err := usage(fmt.Errorf("%s is no host that is reached over SSH", t))
			if looksLikeFile(t) || t == "local" {
				return withHint(err, "files are named with --from FILE; without a word, this machine is looked at")
			}
			return withHint(err, "type "+cmp.Or(meantSSH(t), "ssh://user@host"))
		}
		if _, err := remote.ParseTarget(t); err != nil {
			return usage(err)
		}
	}
	if opt.user != "" {
		if err := inventory.CheckUser(opt.user); err != nil {
			return usage(fmt.Errorf("--user: %w", err))
		}
	}
	for _, n := range opt.nodes {
		if _, err := path.Match(n, ""); err != nil {
			return usage(fmt.Errorf("--nodes %s: %w", n, err))
		}
	}
	if err := opt.many.check(); err != nil {
		return err
	}
	return opt.ssh.check()
}

// look reads all that is to be read.
func (p *program) look(ctx context.Context, targets []string, opt initOptions) (*sources, error) {
	l := &sources{}
	for _, f := range opt.from {
		if err := p.lookIn(ctx, f, l); err != nil {
			return nil, err
		}
	}
	for _, t := range targets {
		if opt.newKeys {
			if err := p.pinNew(ctx, t, opt); err != nil {
				return nil, err
			}
		}
		if err := p.lookOn(ctx, t, opt, l); err != nil {
			return nil, err
		}
	}
	if len(targets)+len(opt.from) == 0 {
		if err := p.lookHere(ctx, l); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// pinNew pins the key of a host that is not known.
func (p *program) pinNew(ctx context.Context, target string, opt initOptions) error {
	t, o, err := p.way(target, opt.ssh)
	if err != nil {
		return err
	}
	s, err := remote.HostKey(ctx, t, o)
	if err != nil {
		return hinted(err, target, opt.ssh)
	}
	if !s.New() {
		return nil // whoever dials finds what is wrong
	}
	fmt.Fprintf(p.io.Err, "%s is pinned as it shows itself now: %s %s\n", target, s.Key.Type(), s.Fingerprint())
	return remote.Pin([]remote.Shown{s})
}

// An initRun is nodes that are to be written down.
type initRun struct {
	*sources
	p   *program
	opt initOptions
	out io.Writer

	have inventory.Inventory // of the settings
	inv  inventory.Inventory // all that were found and chosen

	shown  map[string]remote.Shown
	failed map[string]error // why a node is not ready
	hints  []string
	wrote  bool
}

func (n *initRun) prompt(ctx context.Context) ui.Prompt {
	if n.opt.yes {
		return ui.Prompt{Context: ctx}
	}
	return ui.Prompt{IO: n.p.io, Context: ctx}
}
