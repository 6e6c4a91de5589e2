package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"picket/internal/core/account"
	"picket/internal/core/change"
	"picket/internal/core/fact"
	"picket/internal/core/plan"
	"picket/internal/core/snap"
	"picket/internal/harden"
	"picket/internal/host/shell"
	"picket/internal/ui"
)

func (p *program) userCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "user",
		Short: "make a personal account on one host or many, or close one that an image came with",
		Long:  "Makes and closes accounts. A new one has to log in and, where it may, to become\nroot before it is kept; an old one is closed only after that.",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(p.userAddCommand(), p.userCloseCommand())
	return cmd
}

type addOptions struct {
	askedOptions
	password   passwordOptions
	from       string
	keys       []string
	sudo       bool
	noPassword bool
	unproven   bool
}

func (p *program) userAddCommand() *cobra.Command {
	var opt addOptions
	cmd := &cobra.Command{
		Use:   "add NAME [TARGET…]",
		Short: "make a personal account, and prove that it comes in",
		Long: `Makes an account with a group of its own, a home that only it can look into, and
the key that lets it in. --from gives it the groups of another account, such as
pi: gpio, i2c, docker and the like.

It is kept only if a login with its key works, and sudo with --sudo. For that the
private key has to be here, in a file or an agent; --unproven keeps the account of
somebody whose key is elsewhere.

On several hosts one goes first; when the account holds there the others follow.
Its password is the same on all.

` + changeHelp,
		Example: `  picket user add ann ssh://pi@leader --from pi --key ~/.ssh/id_ed25519.pub --sudo
  picket user add ann all --from pi --key ~/.ssh/id_ed25519.pub --sudo
  picket user add ann ssh://pi@leader --key ann.pub --unproven`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) < 1 {
				return usage(errors.New("want the name of the new account, and the host"))
			}
			return p.userAdd(cmd.Context(), args[0], args[1:], opt)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opt.from, "from", "", "`ACCOUNT` whose groups it gets too")
	f.StringArrayVar(&opt.keys, "key", nil, "`FILE` with the SSH key that lets it in, the public or the private half; may be repeated")
	f.BoolVar(&opt.sudo, "sudo", false, "it may become root with sudo")
	f.BoolVar(&opt.noPassword, "no-password", false, "sudo asks it for no password; picket audit will object")
	f.BoolVar(&opt.unproven, "unproven", false, "keep it though its login cannot be tried from here")
	opt.password.flags(f, "generate-password")
	opt.flags(f)
	return cmd
}

func (p *program) userAdd(ctx context.Context, name string, words []string, opt addOptions) error {
	if err := account.CheckName(name); err != nil {
		return usage(err)
	}
	targets, err := p.changeable(words)
	if err != nil {
		return err
	}
	made := adding{name: name, opt: opt}
	if made.public, made.private, err = readKeys(opt.keys); err != nil {
		return err
	}
	if !opt.unproven && targets[0] != "local" && len(made.private) == 0 && p.getenv("SSH_AUTH_SOCK") == "" {
		return withHint(usage(errors.New("the private half of the key is not here, so that nobody can see whether the account comes in")), "--unproven keeps it all the same")
	}
	switch asked := opt.password.file != "" || opt.password.generate; {
	case opt.noPassword && asked:
		return usage(errors.New("--no-password and a password exclude each other"))
	case opt.noPassword && !opt.sudo:
		return usage(errors.New("--no-password is about sudo: add --sudo"))
	case asked, opt.sudo && !opt.noPassword: // sudo asks for it
		if made.secret, err = p.newPassword(opt.password, name, ui.Prompt{IO: p.io, Context: ctx}); err != nil {
			return err
		}
	}
	return p.eachOf(ctx, targets, opt.askedOptions, eachHost{
		part: func(ctx context.Context, a *asked) (part, error) { return a.added(ctx, made) },
		then: func(_, done []*asked, err error) error {
			if len(done) > 0 && opt.password.generate {
				fmt.Fprintf(p.io.Out, "The password of %s, shown this once: %s\n", name, made.secret)
			}
			return err
		},
	})
}

// adding is an account that is to be made, on each host alike.
type adding struct {
	name            string
	opt             addOptions
	public, private []string
	secret          []byte // nil: it gets no password
}

// added is the change that makes an account.
func (a *asked) added(ctx context.Context, n adding) (part, error) {
	name, opt := n.name, n.opt
	made, err := a.newAccount(ctx, name, opt, n.public)
	if err != nil {
		return part{}, err
	}
	if n.secret != nil {
		var note string
		if made.Hash, note, err = hashed(a.host, name, n.secret); err != nil {
			return part{}, err
		}
		if note != "" {
			fmt.Fprintln(a.p.io.Err, note)
		}
	}
	a.name, a.title, a.by = "user add "+name, "a new account "+name, name
	switch {
	case opt.unproven:
		a.by = ""
	case a.target != "local": // there, whoever confirms it proves it
		a.prove = func(ctx context.Context, _ plan.Plan, _ shell.Shell) error {
			if err := a.p.comesIn(ctx, a.target, name, a.opt.ssh, n.private, opt.sudo, n.secret, a.say); err != nil {
				return errors.Join(err, lists(a.host))
			}
			return nil
		}
	}
	return part{asked: a, fix: func(_ *fact.Host, d *change.Draft) error {
		if _, err := account.Add(d, made); err != nil {
			return err
		}
		if opt.sudo {
			rule := name + " ALL=(ALL:ALL) ALL\n"
			if opt.noPassword {
				rule = name + " ALL=(ALL:ALL) NOPASSWD: ALL\n"
			}
			if err := d.Edit("/etc/sudoers.d/010-picket-"+name, 0o440, func([]byte) ([]byte, error) { return []byte(rule), nil }); err != nil {
				return err
			}
			d.Do(change.Check, "visudo -c")
		}
		d.Do(change.Check, account.Check, account.CheckWords)
		return nil
	}}, nil
}

// lists are those of sshd that may keep a new account out.
func lists(h *fact.Host) error {
	var all []string
	for _, a := range h.SSHD.Answers.V {
		for _, k := range []string{"AllowUsers", "AllowGroups", "DenyUsers", "DenyGroups"} {
			v, _ := h.SSHD.Option(a, k)
			if text := k + " " + strings.Join(v, " "); len(v) > 0 && strings.Join(v, "") != "" && !slices.Contains(all, text) {
				all = append(all, text)
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	return fmt.Errorf("sshd has %s", strings.Join(all, "; "))
}

// newAccount is what the host says about a new one.
func (a *asked) newAccount(ctx context.Context, name string, opt addOptions, public []string) (account.New, error) {
	h := a.host.Accounts
	n := account.New{
		Name: name, From: opt.from, Shell: "/bin/bash", Home: "/home/" + name, Mode: 0o700, Keys: public, Day: today(a.host),
		Limits: account.Limits{
			UIDMin: h.Def("UID_MIN", 1000), UIDMax: h.Def("UID_MAX", 60000),
			SubMin: h.Def("SUB_UID_MIN", 100000), SubMax: h.Def("SUB_UID_MAX", 600100000), SubCount: h.Def("SUB_UID_COUNT", 65536),
			Min: h.Def("PASS_MIN_DAYS", -1), Max: h.Def("PASS_MAX_DAYS", -1), Warn: h.Def("PASS_WARN_AGE", -1), Inactive: -1,
		},
	}
	if h.Elsewhere != "" {
		return n, withCode(ExitRefused, fmt.Errorf("%s: an account may be there already that its files do not have: %s", a.target, h.Elsewhere))
	}
	if _, err := fmt.Sscan(h.Useradd["INACTIVE"].V, &n.Limits.Inactive); err != nil {
		n.Limits.Inactive = -1
	}
	if dir := h.Useradd["HOME"].V; strings.HasPrefix(dir, "/") {
		n.Home = strings.TrimSuffix(dir, "/") + "/" + name
	}
	if opt.from != "" {
		u, ok := h.User(opt.from)
		if !ok {
			return n, usage(fmt.Errorf("--from %s: %s has no such account", opt.from, a.target))
		}
		if u.LoginShell() && u.Shell != "" {
			n.Shell = u.Shell
		}
	}
	if s := h.Shells; s.Known() && !slices.Contains(s.V, n.Shell) {
		n.Shell = "/bin/sh"
	}
	if err := a.more(ctx, account.Files...); err != nil {
		return n, err
	}
	skel, err := harden.Skel(ctx, a.shell, n.Home)
	if errors.Is(err, harden.ErrThere) {
		return n, withCode(ExitRefused, fmt.Errorf("%s: %w: what lies there belongs to somebody", a.target, err))
	}
	if err != nil {
		return n, err
	}
	n.Skel = skel
	for _, s := range skel {
		a.brief = append(a.brief, n.Home+"/"+s.Path)
	}
	if opt.sudo || opt.from != "" { // sudo leaves it in the home of whoever is in its group; so it goes with the account
		n.Skel = append(n.Skel, account.Piece{Path: ".sudo_as_admin_successful", Thing: change.Thing{Type: snap.File, Mode: 0o644}})
	}
	asked := []string{n.Home, n.Home + "/.ssh", n.Home + "/.ssh/authorized_keys"}
	for _, s := range n.Skel {
		asked = append(asked, n.Home+"/"+s.Path)
	}
	a.shot.MarkAsked(snap.Manifest{Stats: asked}) // nothing is there
	return n, nil
}
