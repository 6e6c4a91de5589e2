package cli

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

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

type closeOptions struct {
	askedOptions
	stays   string // who comes in afterwards
	nologin bool
	rewrite bool
	archive bool
	give    bool
}

func (p *program) userCloseCommand() *cobra.Command {
	var opt closeOptions
	cmd := &cobra.Command{
		Use:   "close OLD [TARGET…] --for NAME",
		Short: "close an account, once another has proven to come in",
		Long: `Closes an account such as pi: its password is locked, it has ended, and its keys
lie where sshd does not look. Nothing of it is deleted, and all of it can be taken
back. NAME comes in first, with a key, and becomes root; it is who confirms.

Cron tables, units and scripts that name the account are listed. With --rewrite its
own cron table, lines of it in the system's, and User= in units below
/etc/systemd/system become NAME's; the units that run are started anew and have to
run. The rest is yours to change.

The home stays as it is, unless it is archived below /var/backups/picket or given
to NAME; that is a change of its own, with a way back of its own. Before it is given
away, what still runs as the account is ended; its services have to be NAME's by then.

` + changeHelp,
		Example: `  picket user close pi ssh://ann@leader --for ann
  picket user close pi all --for ann
  picket user close pi ssh://ann@leader --for ann --rewrite --give-home`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) < 1 || opt.stays == "" {
				return usage(errors.New("want the account to close, the host, and --for NAME: who comes in from then on"))
			}
			return p.userClose(cmd.Context(), args[0], args[1:], opt)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opt.stays, "for", "", "`NAME` of the account that comes in, and becomes root, from then on")
	f.BoolVar(&opt.nologin, "nologin", false, "give it a shell that lets nobody work, too")
	f.BoolVar(&opt.rewrite, "rewrite", false, "have cron and units run as NAME what they run as OLD")
	f.BoolVar(&opt.archive, "archive-home", false, "keep a copy of its home below /var/backups/picket")
	f.BoolVar(&opt.give, "give-home", false, "make its home NAME's")
	opt.flags(f)
	return cmd
}

func (p *program) userClose(ctx context.Context, old string, words []string, opt closeOptions) error {
	switch {
	case account.CheckName(old) != nil, account.CheckName(opt.stays) != nil:
		return usage(errors.Join(account.CheckName(old), account.CheckName(opt.stays)))
	case old == opt.stays:
		return usage(errors.New("who is closed cannot be who stays"))
	case old == "root":
		return withHint(usage(errors.New("root cannot be closed")), "`picket passwd root --lock` takes its password away")
	case opt.archive && opt.give:
		return usage(errors.New("--archive-home and --give-home exclude each other: archive it first"))
	}
	targets, err := p.changeable(words)
	if err != nil {
		return err
	}
	if targets[0] != "local" { // whoever is closed must not be who comes back to see
		opt.ssh.user = opt.stays
	}
	closings := map[*asked]*closing{}
	return p.eachOf(ctx, targets, opt.askedOptions, eachHost{
		begin: func(ctx context.Context, target string, tell ui.Teller) (*asked, error) {
			return p.beginAs(ctx, old, target, opt, tell)
		},
		part: func(ctx context.Context, a *asked) (part, error) {
			if len(targets) > 1 {
				fmt.Fprintf(p.io.Out, "\n%s\n", p.style.Paint(ui.Clean(a.target), ui.Bold))
			}
			c, err := a.closing(ctx, old, opt)
			if err != nil {
				return part{}, err
			}
			closings[a] = c
			return part{asked: a, fix: c.fix}, nil
		},
		then: func(all, done []*asked, err error) error {
			if ctx.Err() != nil || err != nil && len(targets) == 1 {
				return err
			}
			failed := p.homes(ctx, all, done, closings, opt)
			if err != nil {
				failed = append([]error{err}, failed...)
			}
			return allOf(failed)
		},
	})
}

// homes sees to the homes of the accounts that are closed, one after the other: each is shown and asked for by itself.
func (p *program) homes(ctx context.Context, all, done []*asked, closings map[*asked]*closing, opt closeOptions) (failed []error) {
	for _, a := range all {
		c, changed := closings[a], slices.Contains(done, a)
		if c == nil || !changed && c.open {
			continue // it could not be closed
		}
		if !changed {
			fmt.Fprintf(p.io.Out, "%s: %s is closed already\n", a.target, c.was.Name)
		}
		switch {
		case !opt.archive && !opt.give:
		case changed && a.target == "local":
			fmt.Fprintf(p.io.Out, "Its home comes after that: type the same once more.\n")
		default:
			if err := a.home(ctx, c.was, opt); err != nil {
				failed = append(failed, named(a.target, err))
			}
		}
	}
	return failed
}

// beginAs begins on a host as who stays, once that account is seen to come in and to become root.
func (p *program) beginAs(ctx context.Context, old, target string, opt closeOptions, tell ui.Teller) (*asked, error) {
	if target != "local" {
		t, err := p.remoteTarget(target)
		if err != nil {
			return nil, usage(err)
		}
		if _, node := p.node(target); !node {
			t.User = opt.stays
			target = t.String()
		}
		say := (&asked{p: p, tell: tell}).say
		if err := p.comesIn(ctx, target, opt.stays, opt.ssh, nil, true, nil, say); err != nil {
			return nil, withCode(ExitRefused, fmt.Errorf("%s is not closed: %w", old, err))
		}
	}
	return p.beginTelling(ctx, target, opt.askedOptions, tell)
}

// A closing is how an account of one host is closed.
type closing struct {
	was   fact.User
	open  bool // it is not closed yet
	fix   func(*fact.Host, *change.Draft) error
	units []string // that are started anew as another account
}

// closing works out how an account is closed, and tells what names it.
func (a *asked) closing(ctx context.Context, old string, opt closeOptions) (*closing, error) {
	h, target := a.host, a.target
	was, ok := h.Accounts.User(old)
	switch {
	case !ok:
		return nil, usage(fmt.Errorf("%s: there is no account %s", target, old))
	case was.UID == 0 || h.Accounts.System(was):
		return nil, usage(fmt.Errorf("%s: %s belongs to the system, not to a person", target, old))
	}
	if _, ok := h.Accounts.User(opt.stays); !ok {
		return nil, withHint(usage(fmt.Errorf("%s: there is no account %s", target, opt.stays)), "`picket user add "+opt.stays+" --from "+old+"` makes it")
	}
	if refused := plan.NoAdmin(h, opt.stays); target == "local" && refused != "" {
		return nil, withCode(ExitRefused, fmt.Errorf("%s is not closed: %s", old, refused))
	}
	mentions, err := a.mentions(ctx, was)
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, k := range h.Keys.Files[old] {
		if strings.HasPrefix(k.Path, was.Home+"/") { // what others share stays
			keys = append(keys, k.Path)
		}
	}
	var files []string
	if opt.rewrite {
		if files, err = a.readable(ctx, mentions); err != nil {
			return nil, err
		}
	}
	c := &closing{was: was}
	a.name, a.title, a.by, a.ends = "user close "+old, old+" is closed, and "+opt.stays+" comes in", opt.stays, []string{old}
	a.prove = func(ctx context.Context, _ plan.Plan, sh shell.Shell) error { return stillRun(ctx, sh, h, c.units) }
	c.fix = func(h *fact.Host, d *change.Draft) (err error) {
		if err := account.Close(d, old, keys); err != nil {
			return err
		}
		if opt.nologin {
			if err := account.Shell(d, old, "/usr/sbin/nologin"); err != nil {
				return err
			}
		}
		if c.units, err = account.HandOver(d, old, opt.stays, files); err != nil {
			return err
		}
		if len(c.units) > 0 {
			d.Do(change.Act, "systemctl daemon-reload")
			for _, u := range c.units {
				if !unitName.MatchString(u) {
					return fmt.Errorf("%q is no name of a unit that could be started anew", u)
				}
				d.Do(change.Act, "systemctl try-restart '"+u+"'")
			}
		}
		if c.open = len(d.Edits()) > 0; c.open {
			d.Do(change.Check, account.Check, account.CheckWords)
		}
		return nil
	}
	return c, nil
}

// mentions lists what names the account.
func (a *asked) mentions(ctx context.Context, u fact.User) ([]harden.Mention, error) {
	all, err := harden.Mentions(ctx, a.shell, u.Name, u.Home)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		fmt.Fprintf(a.p.io.Out, "Nothing below /etc and /usr/local names %s, and no job of cron.\n\n", u.Name)
		return nil, nil
	}
	fmt.Fprintf(a.p.io.Out, "What names %s:\n", u.Name)
	for _, m := range all {
		text := strings.TrimSpace(string(fact.Hide(a.shot, m.Path, []byte(m.Text+"\n"))))
		switch {
		case m.Line > 0:
			fmt.Fprintf(a.p.io.Out, "  %s:%d: %s\n", ui.Clean(m.Path), m.Line, ui.Cut(ui.Clean(text), 160))
		case m.Path == account.Crontabs+u.Name:
			fmt.Fprintf(a.p.io.Out, "  %s: its own jobs; cron starts nothing for an account that has ended\n", m.Path)
		default:
			fmt.Fprintf(a.p.io.Out, "  %s: its services run without a login\n", ui.Clean(m.Path))
		}
	}
	fmt.Fprintln(a.p.io.Out)
	return all, nil
}

// readable reads the files that name the account and that may be changed.
func (a *asked) readable(ctx context.Context, mentions []harden.Mention) ([]string, error) {
	var files []string
	for _, m := range mentions {
		if !slices.Contains(files, m.Path) && (strings.HasPrefix(m.Path, account.Crontabs) || m.Path == "/etc/crontab" || strings.HasPrefix(m.Path, "/etc/cron.d/") || strings.HasPrefix(m.Path, "/etc/systemd/system/")) {
			files = append(files, m.Path)
		}
	}
	if err := a.more(ctx, files...); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(files, func(f string) bool { _, ok := a.raw[f]; return !ok }), nil
}

// settling is how long a service gets to fail.
const settling = 3 * time.Second

// stillRun wants the units that ran before to run again.
func stillRun(ctx context.Context, sh shell.Shell, before *fact.Host, units []string) error {
	ran := slices.DeleteFunc(slices.Clone(units), func(u string) bool { return !before.Units.Get(u).Running() })
	if len(ran) == 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(settling):
	}
	for _, u := range ran {
		if !unitName.MatchString(u) {
			continue
		}
		if _, exit, err := sh.Run(ctx, "systemctl is-active --quiet '"+u+"'", nil, nil); err != nil || exit != 0 {
			return fmt.Errorf("%s does not run any more: %w", u, errors.Join(err, errors.New("it ran before as the other account, which may own what it needs")))
		}
	}
	return nil
}

// home archives the home of a closed account, or gives it away.
func (a *asked) home(ctx context.Context, u fact.User, opt closeOptions) error {
	a.prove, a.by, a.id = nil, "", "" // a change of its own
	if opt.archive {
		file := "/var/backups/picket/" + u.Name + "-" + a.p.now().UTC().Format("20060102-150405") + ".tar.gz"
		a.name, a.title = "archive "+u.Home, u.Home+" is kept as "+file
		_, err := a.run(ctx, func(_ *fact.Host, d *change.Draft) error {
			d.Do(change.Check, archive(u.Home, file), "tar has to write all of it; taking it back leaves the archive")
			return nil
		})
		return err
	}
	serving, err := harden.Serving(ctx, a.shell, u.UID)
	if err == nil && len(serving) > 0 {
		err = fmt.Errorf("%s runs as %s: --rewrite has units run as %s, or stop what you do not need", strings.Join(serving, ", "), u.Name, opt.stays)
	}
	if err != nil {
		return withCode(ExitRefused, fmt.Errorf("the home of %s is not given away: %w", u.Name, err))
	}
	found, left, err := harden.Owned(ctx, a.shell, u.Home, u.UID, u.GID)
	if err != nil {
		return withCode(ExitRefused, err)
	}
	for _, f := range left {
		fmt.Fprintf(a.p.io.Out, "%s stays as it is: it has other names as well, or runs as its owner\n", ui.Clean(f))
	}
	to, _ := a.host.Accounts.User(opt.stays)
	for _, e := range found {
		a.shot.Put(e)
	}
	a.name, a.title = "give "+u.Home, fmt.Sprintf("%s, %d files and folders, becomes %s's; what still runs as %s is ended", u.Home, len(found), to.Name, u.Name)
	a.first = func(ctx context.Context) error {
		if err := harden.End(ctx, a.shell, u.Name, u.UID); err != nil {
			return err
		}
		now, _, err := harden.Owned(ctx, a.shell, u.Home, u.UID, u.GID)
		if err == nil && !slices.EqualFunc(found, now, func(a, b *snap.Entry) bool { return a.Path == b.Path && a.Type == b.Type }) {
			err = fmt.Errorf("what ran as %s changed files of its home until it was ended, which has now happened: give it away once more", u.Name)
		}
		return err
	}
	_, err = a.run(ctx, func(_ *fact.Host, d *change.Draft) error {
		for _, e := range found {
			uid, gid := e.UID, e.GID
			if uid == u.UID {
				uid = to.UID
			}
			if gid == u.GID {
				gid = to.GID
			}
			if err := d.Permit(e.Path, e.Mode, uid, gid); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && len(found) == 0 {
		fmt.Fprintf(a.p.io.Out, "%s: nothing in %s belongs to %s\n", a.target, u.Home, u.Name)
	}
	return err
}

// archive is the command that packs a folder, whole or not at all.
func archive(folder, file string) string {
	q := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
	return "umask 077; mkdir -p /var/backups/picket && tar -C " + q(folder) + " -czpf " + q(file+".part") + " . && mv " + q(file+".part") + " " + q(file) + " || { rm -f " + q(file+".part") + "; false; }"
}

// unitName is a unit's name that can stand between quotation marks.
var unitName = regexp.MustCompile(`^[A-Za-z0-9@:._\\-]+$`)
