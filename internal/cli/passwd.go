package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"picket/internal/core/account"
	"picket/internal/core/change"
	"picket/internal/core/fact"
	"picket/internal/core/plan"
	"picket/internal/host/remote"
	"picket/internal/ui"
)

type passwdOptions struct {
	askedOptions
	password passwordOptions
	lock     bool
}

func (p *program) passwdCommand() *cobra.Command {
	var opt passwdOptions
	cmd := &cobra.Command{
		Use:   "passwd [USER] [TARGET]",
		Short: "set or lock a password on a host, prove it, or take it back",
		Long: `Sets the password of an account: from a prompt, a file, or made up and shown once.
It is hashed here; only the hash goes to the host. Without a USER it is that of
whoever logs in.

The host keeps what was there and goes back by itself, as for picket apply: where
it is your own password, a new login and sudo with the new one have to work first.

--lock has no password of the account work. Its keys still do; picket user close
ends an account.

` + changeHelp,
		Example: `  picket passwd ssh://pi@leader
  picket passwd ann ssh://pi@leader --generate
  picket passwd root ssh://ann@leader --lock`,
		RunE: func(cmd *cobra.Command, args []string) error {
			user, target, err := userAndTarget(args)
			if err != nil {
				return err
			}
			return p.passwd(cmd.Context(), user, target, opt)
		},
	}
	f := cmd.Flags()
	opt.password.flags(f, "generate")
	f.BoolVar(&opt.lock, "lock", false, "have no password of the account work")
	opt.flags(f)
	return cmd
}

// userAndTarget tells the two apart: a name of an account is no target.
func userAndTarget(args []string) (user, target string, err error) {
	target = "local"
	switch {
	case len(args) > 2:
		return "", "", usage(fmt.Errorf("want an account and a host; found %d words", len(args)))
	case len(args) == 2:
		user, target = args[0], args[1]
	case len(args) == 1 && isTarget(args[0]):
		target = args[0]
	case len(args) == 1:
		user = args[0]
	}
	if isTarget(user) || strings.ContainsAny(user, ":/ \n") {
		return "", "", usage(fmt.Errorf("%q is no name of an account: want USER, then TARGET", user))
	}
	return user, target, nil
}

// whoLogsIn is the account that a target is reached as.
func (p *program) whoLogsIn(target string) string {
	if target == "local" {
		if u := p.getenv("SUDO_USER"); u != "" {
			return u
		}
		return "root"
	}
	if t, err := remote.ParseTarget(target); err == nil && t.User != "" {
		return t.User
	}
	return p.getenv("USER")
}

func (p *program) passwd(ctx context.Context, user, target string, opt passwdOptions) error {
	if err := p.mayChange(target); err != nil {
		return err
	}
	self := p.whoLogsIn(target)
	if user == "" {
		user = self
	}
	if opt.lock && (opt.password.file != "" || opt.password.generate) {
		return usage(errors.New("--lock takes no password"))
	}
	var secret []byte
	var err error
	if !opt.lock {
		if secret, err = p.newPassword(opt.password, user, ui.Prompt{IO: p.io, Context: ctx}); err != nil {
			return err
		}
	}
	a, err := p.begin(ctx, target, opt.askedOptions)
	if err != nil {
		return err
	}
	defer a.shell.Close()
	if _, ok := a.host.Accounts.User(user); !ok {
		return withHint(usage(fmt.Errorf("%s: there is no account %s", target, user)), "`picket user add` makes one")
	}
	if opt.lock {
		return p.lock(ctx, a, user)
	}
	hash, note, err := hashed(a.host, user, secret)
	if err != nil {
		return err
	}
	if note != "" {
		fmt.Fprintln(p.io.Err, note)
	}
	if user == self && user != "root" {
		a.secret = secret
	}
	a.name, a.title = "passwd "+user, "a new password for "+user
	done, err := a.run(ctx, func(h *fact.Host, d *change.Draft) error {
		if err := account.Password(d, user, hash, today(h)); err != nil {
			return err
		}
		d.Do(change.Check, account.Check, account.CheckWords)
		return nil
	})
	if done && opt.password.generate {
		fmt.Fprintf(p.io.Out, "The password of %s, shown this once: %s\n", user, secret)
	}
	return err
}

func (p *program) lock(ctx context.Context, a *asked, user string) error {
	if !opensOtherwise(a.host, user) {
		return withCode(ExitRefused, fmt.Errorf("%s: nobody but %s is known to come in and to become root: `picket user add` makes somebody first", a.target, user))
	}
	a.name, a.title, a.ends = "passwd --lock "+user, "no password of "+user+" works any more", []string{user}
	done, err := a.run(ctx, func(_ *fact.Host, d *change.Draft) error {
		if err := account.Lock(d, user); err != nil {
			return err
		}
		if len(d.Edits()) > 0 {
			d.Do(change.Check, account.Check, account.CheckWords)
		}
		return nil
	})
	if err == nil && !done {
		fmt.Fprintf(a.p.io.Out, "%s: no password of %s works already\n", a.target, user)
	}
	return err
}

// opensOtherwise reports whether somebody else comes in and becomes root.
func opensOtherwise(h *fact.Host, user string) bool {
	refused, _ := plan.AdminBesides(h, user)
	return refused == ""
}

// today is the host's day, as shadow counts.
func today(h *fact.Host) int { return int(h.Snap.Taken.Unix() / 86400) }
