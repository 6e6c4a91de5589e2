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
	"picket/internal/core/inventory"
	"picket/internal/core/plan"
	"picket/internal/host/remote"
	"picket/internal/ui"
)

type passwdOptions struct {
	askedOptions
	password passwordOptions
	lock     bool
	same     bool
}

func (p *program) passwdCommand() *cobra.Command {
	var opt passwdOptions
	cmd := &cobra.Command{
		Use:   "passwd [USER] [TARGET…]",
		Short: "set or lock a password on one host or many, prove it, or take it back",
		Long: `Sets the password of an account: from a prompt, a file, or made up and shown once.
It is hashed here; only the hash goes to the host. Without a USER it is that of
whoever logs in.

On several hosts one goes first; when it holds there the others follow. A password
that is typed, or comes from a file, is the same on all; one that is made up is
another on each, but for --same.

The host keeps what was there and goes back by itself, as for picket apply: where
it is your own password, a new login and sudo with the new one have to work first.

--lock has no password of the account work. Its keys still do; picket user close
ends an account.

` + changeHelp,
		Example: `  picket passwd ssh://pi@leader
  picket passwd ann ssh://pi@leader --generate
  picket passwd root ssh://ann@leader --lock
  picket passwd pi all --generate        # another one on each node of picket.yaml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			user, words, err := p.userAndTargets(args)
			if err != nil {
				return err
			}
			return p.passwd(cmd.Context(), user, words, opt)
		},
	}
	f := cmd.Flags()
	opt.password.flags(f, "generate")
	f.BoolVar(&opt.lock, "lock", false, "have no password of the account work")
	f.BoolVar(&opt.same, "same", false, "with --generate: make up one for all of the hosts")
	opt.flags(f)
	return cmd
}

// userAndTargets tells them apart: a name of an account is no target.
func (p *program) userAndTargets(args []string) (user string, targets []string, err error) {
	if len(args) > 0 && !isTarget(args[0]) {
		user, args = args[0], args[1:]
	}
	if strings.ContainsAny(user, ":/ \n") {
		return "", nil, usage(fmt.Errorf("%q is no name of an account: want USER, then TARGET", user))
	}
	if user != "" && len(args) == 0 {
		some, err := p.targets([]string{user})
		switch _, node := p.node(user); {
		case node:
			return "", nil, withHint(usage(fmt.Errorf("%s is a node of picket.yaml: an account of it, or an account of this machine?", user)), "`"+p.typed("passwd pi "+user)+"`, or `"+p.typed("passwd "+user+" local")+"`")
		case user == inventory.All, err == nil && !slices.Equal(some, []string{user}):
			return "", nil, withHint(usage(fmt.Errorf("%s means hosts, and no account is named: want USER, then TARGET", user)), "`"+p.typed("passwd pi "+user)+"`")
		}
	}
	for _, w := range args {
		if some, err := p.targets([]string{w}); user == "" && !isTarget(w) && (err != nil || p.checkTarget(some[0]) != nil) {
			return "", nil, usage(fmt.Errorf("%q is no host: want USER, then TARGET", w))
		}
	}
	return user, args, nil
}

// whoLogsIn is the account that a target is reached as, which the settings of ssh may name.
func (p *program) whoLogsIn(target string, ssh sshOptions) string {
	if target == "local" {
		if u := p.getenv("SUDO_USER"); u != "" {
			return u
		}
		return "root"
	}
	t, o, err := p.way(target, ssh)
	if err == nil {
		t, _, err = remote.As(t, o)
	}
	if err != nil { // which the login tells
		return p.getenv("USER")
	}
	return t.User
}

func (p *program) passwd(ctx context.Context, user string, words []string, opt passwdOptions) error {
	targets, err := p.changeable(words)
	if err != nil {
		return err
	}
	switch {
	case opt.lock && (opt.password.file != "" || opt.password.generate):
		return usage(errors.New("--lock takes no password"))
	case opt.same && !opt.password.generate:
		return usage(errors.New("--same is about a password that is made up: add --generate"))
	}
	users := map[string]string{} // by target
	for _, t := range targets {
		if users[t] = user; user == "" {
			users[t] = p.whoLogsIn(t, opt.ssh)
		}
		if users[t] != users[targets[0]] && !opt.lock && !opt.password.generate {
			return usage(fmt.Errorf("who logs in is %s on %s and %s on %s: name the account whose password it is", users[targets[0]], targets[0], users[t], t))
		}
	}
	secrets := map[string][]byte{}
	for i, t := range targets {
		switch {
		case opt.lock:
		case i > 0 && (!opt.password.generate || opt.same):
			secrets[t] = secrets[targets[0]]
		default:
			if secrets[t], err = p.newPassword(opt.password, users[t], ui.Prompt{IO: p.io, Context: ctx}); err != nil {
				return err
			}
		}
	}
	return p.eachOf(ctx, targets, opt.askedOptions, eachHost{
		part: func(_ context.Context, a *asked) (part, error) {
			if opt.lock {
				return a.locked(users[a.target])
			}
			return a.newPassword(users[a.target], secrets[a.target])
		},
		then: func(all, done []*asked, err error) error {
			if opt.password.generate {
				for _, a := range done {
					fmt.Fprintf(p.io.Out, "The password of %s%s, shown this once: %s\n", users[a.target], onHost(a.target, len(targets)), secrets[a.target])
				}
			}
			if opt.lock && err == nil && len(done) == 0 {
				for _, a := range all {
					fmt.Fprintf(p.io.Out, "%s: no password of %s works already\n", a.target, users[a.target])
				}
			}
			return err
		},
	})
}

// onHost names the host that something is said of, where it is one of several.
func onHost(target string, of int) string {
	if of == 1 {
		return ""
	}
	return " on " + target
}

// newPassword is the change of a password.
func (a *asked) newPassword(user string, secret []byte) (part, error) {
	if _, ok := a.host.Accounts.User(user); !ok {
		return part{}, withHint(usage(fmt.Errorf("%s: there is no account %s", a.target, user)), "`picket user add` makes one")
	}
	hash, note, err := hashed(a.host, user, secret)
	if err != nil {
		return part{}, err
	}
	if note != "" {
		fmt.Fprintln(a.p.io.Err, note)
	}
	if user == a.p.whoLogsIn(a.target, a.opt.ssh) && user != "root" {
		a.secret = secret
	}
	a.name, a.title = "passwd "+user, "a new password for "+user
	return part{asked: a, fix: func(h *fact.Host, d *change.Draft) error {
		if err := account.Password(d, user, hash, today(h)); err != nil {
			return err
		}
		d.Do(change.Check, account.Check, account.CheckWords)
		return nil
	}}, nil
}

// locked is the change after which no password of an account works.
func (a *asked) locked(user string) (part, error) {
	if _, ok := a.host.Accounts.User(user); !ok {
		return part{}, usage(fmt.Errorf("%s: there is no account %s", a.target, user))
	}
	if !opensOtherwise(a.host, user) {
		return part{}, withCode(ExitRefused, fmt.Errorf("%s: nobody but %s is known to come in and to become root: `picket user add` makes somebody first", a.target, user))
	}
	a.name, a.title, a.ends = "passwd --lock "+user, "no password of "+user+" works any more", []string{user}
	return part{asked: a, fix: func(_ *fact.Host, d *change.Draft) error {
		if err := account.Lock(d, user); err != nil {
			return err
		}
		if len(d.Edits()) > 0 {
			d.Do(change.Check, account.Check, account.CheckWords)
		}
		return nil
	}}, nil
}

// opensOtherwise reports whether somebody else comes in and becomes root.
func opensOtherwise(h *fact.Host, user string) bool {
	refused, _ := plan.AdminBesides(h, user)
	return refused == ""
}

// today is the host's day, as shadow counts.
func today(h *fact.Host) int { return int(h.Snap.Taken.Unix() / 86400) }
