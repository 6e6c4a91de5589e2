package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"picket/internal/harden"
	"picket/internal/ui"
)

// ofChanges makes the commands about changes that were made.
func (p *program) ofChanges() []*cobra.Command {
	var ssh sshOptions
	var outputs []string
	history := &cobra.Command{
		Use:   "history [TX] [TARGET]",
		Short: "the changes that were made on a host, and how each stands",
		Long: `Lists the changes that Picket made on a host, the newest first, with their
state: applied (waits for confirmation, and for how long), confirmed, undone, or stuck.
With the name of one: what it changed, and the host's journal of it.

` + otherHelp,
		Example: "  sudo picket history\n  picket history ssh://pi@leader\n  picket history 20261129-070000 ssh://pi@leader",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.history(cmd.Context(), args, outputs, ssh)
		},
	}
	history.Flags().StringArrayVarP(&outputs, "output", "o", nil, "`FORMAT[:FILE]`, may be repeated: text, json (docs/history.schema.json) (default text)")
	confirm := &cobra.Command{
		Use:     "confirm [TX] [TARGET]",
		Short:   "keep a change that waits for it",
		Long:    "Keeps a change that waits for confirmation. Type it after a new login. Without a\nname it lists what waits.\n\n" + changeHelp,
		Example: "  sudo picket confirm 20261129-070000",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.ask(cmd.Context(), "confirm", args, ssh, true)
		},
	}
	many, yes := manyOptions{}, false
	rollback := &cobra.Command{
		Use:   "rollback [TX] [TARGET…]",
		Short: "take a change back",
		Long: `Takes a change back: files with their modes, owners and times, services and kernel
settings are as they were before it. What somebody has changed since stays, and is
told. The host does it by itself; without Picket: sudo sh ` + harden.Box + `/TX/tx undo

Of several hosts, or a group of picket.yaml, or all: what picket apply did to them
in one run is taken back on each, in the opposite order.

Without a name it lists what could be taken back, changes nothing, and exits with 2.

` + changeHelp,
		Example: "  picket rollback 20261129-070000 ssh://pi@leader\n  picket rollback 20261129-070000 all\n  picket rollback ssh://pi@leader",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 && txName.MatchString(args[0]) {
				if targets, several, err := p.severalTargets(args[1:]); err != nil {
					return err
				} else if several {
					return p.rollbackMany(cmd.Context(), args[0], targets, ssh, many, yes)
				}
			}
			return p.ask(cmd.Context(), "rollback", args, ssh, yes)
		},
	}
	many.flags(rollback.Flags(), 0)
	rollback.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask; without a terminal nobody is asked")
	for _, c := range []*cobra.Command{history, confirm, rollback} {
		ssh.flags(c.Flags())
	}
	return []*cobra.Command{history, confirm, rollback}
}

// txName is what a change is called. It becomes part of a command on the host.
var txName = regexp.MustCompile(`^\d{8}-\d{6}[a-z]?(-\d)?$`)

// changeAnd parts arguments into the name of a change and a target; either may be missing.
func changeAnd(args []string) (tx, target string, err error) {
	if len(args) > 0 && txName.MatchString(args[0]) {
		tx, args = args[0], args[1:]
	}
	if len(args) > 1 {
		if slices.ContainsFunc(args[1:], txName.MatchString) {
			return "", "", usage(errors.New("the name of the change stands before the host"))
		}
		return "", "", withHint(usage(fmt.Errorf("want the name of a change, as 20261129-070000, and one host; found %q", strings.Join(args, " "))), "`picket history` lists the changes")
	}
	return tx, targetOf(args), nil
}

// blockedBy is how the host names a later change that stands in the way.
var blockedBy = regexp.MustCompile(`^blocked by (\d{8}-\d{6}[a-z]?(?:-\d)?): `)

// ask has a host keep a change, or take it back; what is confirm or rollback. With yes nobody is asked.
func (p *program) ask(ctx context.Context, what string, args []string, ssh sshOptions, yes bool) error {
	tx, target, err := changeAnd(args)
	if err != nil {
		return err
	}
	if err := p.mayChange(target); err != nil {
		return p.noChange(err, what, target)
	}
	if strings.HasPrefix(target, "image:") {
		return p.backOnCard(what, tx, target)
	}
	sh, err := p.rootShell(ctx, target, ssh, nil)
	if err != nil {
		return err
	}
	defer sh.Close()
	all, err := harden.History(ctx, sh)
	if err != nil {
		return fmt.Errorf("%s: the changes cannot be read: %w", target, err)
	}
	if tx == "" {
		return p.which(what, target, all)
	}
	n := slices.IndexFunc(all, func(c harden.Change) bool { return c.ID == tx })
	if n < 0 {
		return withHint(usage(fmt.Errorf("there is no change %s on %s", tx, target)), "`"+p.typedOn(target, "history")+"` lists the changes")
	}
	verb, failed, done := "confirm", "no confirmation", "is kept"
	if what == "rollback" {
		verb, failed, done = "undo", "not all was taken back", "was taken back"
		if !all[n].Back() {
			return withCode(ExitRefused, fmt.Errorf("%s: %s is %s: there is nothing to take back", target, tx, all[n].State))
		}
		if prompt := (ui.Prompt{IO: p.io, Context: ctx}); !yes && prompt.Possible() {
			p.oneChange(p.io.Out, target, all[n])
			ok, err := prompt.Confirm("Take it back, so that " + target + " is in this as it was before?")
			if err == nil && !ok {
				err = errors.New("nothing was changed")
			}
			if err != nil {
				return withCode(ExitRefused, err)
			}
		}
	}
	may := ""
	if verb == "confirm" { // what closes an account is kept by whoever stays, who has just logged in
		may = "by=$(cat " + harden.Box + "/" + tx + "/by 2>/dev/null); [ -z \"$by\" ] || [ \"${SUDO_USER-}\" = \"$by\" ] || { echo \"log in as $by, and confirm it with sudo from there\" >&2; exit 98; }; "
	}
	var blocked []string
	_, exit, err := sh.Run(ctx, may+harden.Away("sh "+harden.Box+"/"+tx+"/tx "+verb), nil, func(line string) {
		fmt.Fprintln(p.io.Err, ui.Clean(line))
		if m := blockedBy.FindStringSubmatch(line); m != nil {
			blocked = append(blocked, m[1])
		}
	})
	switch {
	case err != nil:
		return err
	case exit == 98:
		return withCode(ExitRefused, errors.New("this change is for somebody else to confirm, after a login of their own"))
	case exit == ExitRefused && what == "rollback":
		err := withCode(exit, fmt.Errorf("%s: %s was not taken back, and nothing was changed", target, tx))
		if len(blocked) > 0 {
			slices.Sort(blocked)
			err = withHint(err, "what came later touches the same; take that back first: `"+p.typedOn(target, "rollback "+blocked[len(blocked)-1])+"`")
		}
		return err
	case exit != 0:
		return withCode(exit, fmt.Errorf("%s: %s of %s", target, failed, tx))
	}
	c := all[n]
	fmt.Fprintln(p.io.Out, ui.Wrap(fmt.Sprintf("%s: %s %s: %s, for %s", target, tx, done, counted(len(c.Steps), "step"), few(c)), p.width(), "  "))
	if what == "rollback" {
		return nil
	}
	if len(c.ToYou) > 0 {
		fmt.Fprintf(p.io.Out, "%s left to you: %s\n", leftOver(len(c.ToYou)), p.typedOn(target, "plan"))
	}
	fmt.Fprintf(p.io.Out, "To take it back: %s\n", p.typedOn(target, "rollback "+tx))
	return nil
}

// rollbackMany takes back what one run of apply has done to several hosts.
func (p *program) rollbackMany(ctx context.Context, run string, targets []string, ssh sshOptions, opt manyOptions, yes bool) error {
	for _, t := range targets {
		if err := p.checkTarget(t); err != nil {
			return err
		}
		if !p.isSSH(t) {
			return usage(fmt.Errorf("%s is taken back by itself: of several hosts each has to be reached over SSH", t))
		}
	}
	for _, t := range targets {
		if err := p.mayChange(t); err != nil {
			return err
		}
	}
	if err := errors.Join(ssh.check(), opt.check()); err != nil {
		return err
	}
	if prompt := (ui.Prompt{IO: p.io, Context: ctx}); !yes && prompt.Possible() {
		if ok, err := prompt.Confirm(fmt.Sprintf("Take %s back on %s?", run, strings.Join(targets, ", "))); err != nil || !ok {
			return errors.Join(err, withCode(ExitRefused, errors.New("nothing was changed")))
		}
	}
	opt.grace = 45 * time.Second
	undone, errs := many(ctx, p, targets, opt, func(ctx context.Context, target string, tell ui.Teller) (n int, err error) {
		sh, err := p.rootShell(ctx, target, ssh, tell)
		if err != nil {
			return 0, err
		}
		defer sh.Close()
		all, err := harden.History(ctx, sh)
		if err != nil {
			return 0, fmt.Errorf("%s: the changes cannot be read: %w", target, err)
		}
		for _, c := range all { // the newest first
			if of := c.ID == run || len(run) == 15 && strings.HasPrefix(c.ID, run); !of || !c.Back() {
				continue
			}
			_, exit, err := sh.Run(ctx, harden.Away("sh "+harden.Box+"/"+c.ID+"/tx undo"), nil, tell.Say)
			switch {
			case err != nil:
				return n, fmt.Errorf("%s: %s: %w", target, c.ID, err)
			case exit == ExitRefused:
				return n, withCode(exit, fmt.Errorf("%s: %s was not taken back, and nothing was changed: `%s` says why", target, c.ID, p.typed("rollback "+c.ID+" "+target)))
			case exit != 0:
				return n, withCode(exit, fmt.Errorf("%s: not all of %s was taken back: `%s` goes on", target, c.ID, p.typed("rollback "+c.ID+" "+target)))
			}
			n++
		}
		return n, nil
	}, func(n int) string {
		if n == 0 {
			return "nothing of it to take back"
		}
		return counted(n, "change") + " taken back"
	})
	total := 0
	var failed []error
	for i, err := range errs {
		total += undone[i]
		if err != nil {
			failed = append(failed, named(targets[i], err))
		}
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case len(failed) > 0:
		return &several{failed}
	case total == 0:
		return withHint(usage(fmt.Errorf("there is no change %s on any of them that could be taken back", run)), "`"+p.typed("history "+targets[0])+"` lists the changes of a host")
	}
	return nil
}

// noChange words the refusal of a word that is neither a change nor a host.
func (p *program) noChange(err error, what, target string) error {
	if _, missing := os.Stat(target); missing == nil || target == "local" || strings.Contains(target, ":") {
		return err
	}
	hint := "`" + p.typedOn("local", what) + "` lists the changes of this machine"
	if ssh := meantSSH(target); ssh != "" && !strings.Contains(target, "/") {
		hint += ", `" + p.typedOn(ssh, what) + "` those of " + target
	}
	return withHint(usage(fmt.Errorf("%q is neither the name of a change, as 20261129-070000, nor a host", target)), hint)
}

// typedOn is a command about a host as it can be typed here.
func (p *program) typedOn(target, command string) string {
	if target == "local" {
		return p.typedAsRoot(command)
	}
	return p.typed(command + " " + target)
}

// which lists the changes that a command could be about: it was typed without a name.
func (p *program) which(what, target string, all []harden.Change) error {
	could := slices.DeleteFunc(slices.Clone(all), func(c harden.Change) bool {
		return what == "rollback" && !c.Back() || what == "confirm" && c.State != "applied"
	})
	if len(could) == 0 {
		return withCode(ExitRefused, fmt.Errorf("%s: %s", target, map[string]string{"rollback": "there is nothing to take back", "confirm": "no change waits to be confirmed"}[what]))
	}
	for _, c := range could {
		p.oneChange(p.io.Out, target, c)
	}
	return withHint(usage(errors.New("want the name of a change")), "for the newest: "+p.typedOn(target, what+" "+could[0].ID))
}

func (p *program) history(ctx context.Context, args, wanted []string, ssh sshOptions) error {
	tx, target, err := changeAnd(args)
	if err != nil {
		return err
	}
	outputs, err := formats(wanted, "the history", "text", "json")
	if err != nil {
		return err
	}
	switch {
	case target != "local" && !p.isSSH(target):
		return p.noChange(p.notRunning(target), "history", target)
	case target == "local" && os.Geteuid() != 0:
		return withHint(errors.New("only root can read what was changed on this machine"), "type `"+p.againAsRoot()+"`")
	}
	if err := p.checkTarget(target); err != nil {
		return err
	}
	sh, err := p.rootShell(ctx, target, ssh, nil)
	if err != nil {
		return err
	}
	defer sh.Close()
	all, err := harden.History(ctx, sh)
	if err != nil {
		return fmt.Errorf("%s: the changes cannot be read: %w", target, err)
	}
	if tx != "" {
		all = slices.DeleteFunc(all, func(c harden.Change) bool { return c.ID != tx })
		if len(all) == 0 {
			return withHint(usage(fmt.Errorf("there is no change %s on %s", tx, target)), "`"+p.typedOn(target, "history")+"` lists the changes")
		}
	}
	var unwritten []error
	for _, out := range outputs {
		unwritten = append(unwritten, p.emit(out, func(w io.Writer, _ ui.Style) error {
			if out.format == "json" {
				return historyJSON(w, target, all)
			}
			return p.historyText(w, target, tx, all)
		}))
	}
	return errors.Join(unwritten...)
}

// backOnCard takes a change of a card back that was not started with it.
func (p *program) backOnCard(what, tx, target string) error {
	if what != "rollback" || tx == "" {
		return usage(fmt.Errorf("want the name of a change to take back from the card: picket rollback TX %s", target))
	}
	c, err := openCard(target)
	if err != nil {
		return err
	}
	defer c.Close()
	switch err := c.Back(tx); {
	case errors.Is(err, harden.ErrRefused):
		return withCode(ExitRefused, fmt.Errorf("%s: %s: %w", target, tx, err))
	case err != nil:
		return withCode(ExitNotUndone, fmt.Errorf("%s: %s: %w", target, tx, err))
	}
	fmt.Fprintf(p.io.Out, "%s: %s was taken back\n", target, tx)
	return nil
}
