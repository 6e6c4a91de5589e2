package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"picket/internal/core/account"
	"picket/internal/core/change"
	"picket/internal/core/fact"
	"picket/internal/core/plan"
	"picket/internal/core/snap"
	"picket/internal/core/trust"
	"picket/internal/host/shell"
	"picket/internal/host/snapshot"
)

type auditOnlyOptions struct {
	askedOptions
	key  string
	user string
}

func (p *program) keysAuditCommand() *cobra.Command {
	var opt auditOnlyOptions
	cmd := &cobra.Command{
		Use:   "audit-only TARGET",
		Short: "let a key take snapshots of a host, and do nothing else there",
		Long: `Adds a key to authorized_keys of an account with restrict and a command, and the line of sudo
that the command needs. Whoever has the key gets a snapshot of the host, which holds no
secret, whatever is asked for: what comes in over the connection is not read, let alone run.

The host takes its snapshot itself, so Picket has to be installed there, at /usr/bin/picket
or /usr/local/bin/picket, and only root may be able to change it. The key must not let in on
the host in any other way. Where its private half is beside the file, it is tried.

` + changeHelp,
		Example: `  ssh-keygen -t ed25519 -N '' -C audit -f audit_key
  picket keys audit-only leader --key audit_key.pub --user auditor
  ssh -i audit_key auditor@leader > leader.snapshot && picket audit leader.snapshot`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(errors.New("want one host"))
			}
			return p.keysAuditOnly(cmd.Context(), args[0], opt)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opt.key, "key", "", "`FILE` with the key, the public or the private half")
	f.StringVar(&opt.user, "user", "", "`ACCOUNT` of the host that it lets in as; one of its own is best")
	opt.flags(f)
	return cmd
}

func (p *program) keysAuditOnly(ctx context.Context, target string, opt auditOnlyOptions) error {
	if opt.user == "" {
		return withHint(usage(errors.New("want --user ACCOUNT: as whom the key lets in")), "`picket user add auditor "+target+" --key FILE.pub` makes one")
	}
	if err := account.CheckName(opt.user); err != nil {
		return usage(err)
	}
	if opt.key == "" {
		return withHint(usage(errors.New("want --key FILE")), "ssh-keygen -t ed25519 -C audit -f audit_key makes one")
	}
	public, private, err := readKeys([]string{opt.key})
	if err != nil {
		return err
	}
	if len(public) != 1 {
		return usage(fmt.Errorf("--key %s: want one key, and it holds %d", opt.key, len(public)))
	}
	targets, err := p.hosts([]string{target}, opt.ssh)
	if err != nil {
		return err
	}
	if len(targets) != 1 {
		return usage(fmt.Errorf("%s means %d hosts: want one", target, len(targets)))
	}
	target = targets[0]
	a, err := p.begin(ctx, target, opt.askedOptions)
	if err != nil {
		return err
	}
	defer a.shell.Close()
	u, err := a.account(opt.user)
	if err != nil {
		return err
	}
	key, ok := fact.ReadKey(public[0])
	if !ok {
		return usage(fmt.Errorf("--key %s: it holds no SSH key", opt.key))
	}
	for _, home := range a.host.Keys.Homes {
		if why := a.host.Keys.Unseen(home.User.Name); why != "" {
			return withCode(ExitRefused, fmt.Errorf("%s: whether the key lets in otherwise is not known: %s", target, why))
		}
		for _, k := range a.host.Keys.Authorized[home.User.Name] {
			if k.Fingerprint == key.Fingerprint {
				return withHint(withCode(ExitRefused, fmt.Errorf("%s: the key lets in as %s already (%s)", target, home.User.Name, k.Place)), "make one that is for this alone: ssh-keygen -t ed25519 -C audit -f audit_key")
			}
		}
	}
	file, err := trust.KeyFile(a.host, u)
	if err != nil {
		return withCode(ExitRefused, err)
	}
	program, err := a.installed(ctx)
	if err != nil {
		return withCode(ExitRefused, fmt.Errorf("%s: %w", target, err))
	}
	command := program + " snapshot"
	rule := ""
	if u.UID != 0 {
		if a.host.Sudo.State != fact.Known {
			return withCode(ExitRefused, fmt.Errorf("%s: %s needs sudo to read the host, and its rules were not read", target, u.Name))
		}
		rule = "# a key that may take snapshots, and nothing else\n" + u.Name + " ALL=(root) NOPASSWD: " + command + "\n"
		command = "sudo -n " + command
	}
	a.name, a.title = "keys audit-only", fmt.Sprintf("%s takes snapshots as %s, and does nothing else", key.Fingerprint, u.Name)
	if len(private) > 0 {
		a.prove = func(ctx context.Context, _ plan.Plan, _ shell.Shell) error {
			return p.onlyAudits(ctx, a, u.Name, private)
		}
	}
	if rule != "" {
		a.shot.MarkAsked(snap.Manifest{Files: []string{ruleFile(u.Name)}})
	}
	done, err := a.run(ctx, func(_ *fact.Host, d *change.Draft) error {
		if rule != "" {
			if err := d.Edit(ruleFile(u.Name), 0o440, func([]byte) ([]byte, error) { return []byte(rule), nil }); err != nil {
				return err
			}
			d.Do(change.Check, "visudo -c")
		}
		return trust.Add(d, u, file, 0o600, `restrict,command="`+command+`" `+public[0])
	})
	if done && len(private) == 0 {
		fmt.Fprintln(p.io.Out, "The private half of the key is not here, so that it was not tried.")
	}
	return err
}

// ruleFile is where the rule of sudo stands. A dot in its name would have sudo pass it over.
func ruleFile(user string) string {
	return "/etc/sudoers.d/020-picket-snapshot-" + strings.ReplaceAll(user, ".", "_")
}

// plainPath is a path that means the same to a shell, to sudo and in quotation marks.
var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9_][A-Za-z0-9._-]*)+$`)

// installed is where Picket lies on the host: a program that nobody but root can change or put another in the place of.
func (a *asked) installed(ctx context.Context) (string, error) {
	const find = `for p in /usr/bin/picket /usr/local/bin/picket; do
	[ -f "$p" ] && [ -x "$p" ] || continue
	p=$(readlink -f "$p"); echo "$p"
	while :; do stat -c '%u %a %n' "$p"; [ "$p" = / ] && break; p=${p%/*}; p=${p:-/}; done
	exit
done; exit 3`
	out, exit, err := a.shell.Run(ctx, find, nil, nil)
	if err != nil {
		return "", err
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	program := lines[0]
	if exit != 0 || program == "" {
		return "", withHint(errors.New("there is no picket on the host, at /usr/bin/picket or /usr/local/bin/picket"), "put the program there first: it takes the snapshot itself")
	}
	if !plainPath.MatchString(program) || len(lines) < 2 {
		return "", fmt.Errorf("%q is no path that a rule of sudo could name", program)
	}
	for _, l := range lines[1:] {
		var uid int
		var mode uint32
		var name string
		if _, err := fmt.Sscanf(l, "%d %o %s", &uid, &mode, &name); err != nil {
			return "", fmt.Errorf("who may change %s is not known: %q", program, l)
		}
		if uid != 0 || mode&0o022 != 0 {
			return "", fmt.Errorf("others than root can change %s: %s has the owner %d and the mode %04o", program, name, uid, mode)
		}
	}
	if _, exit, err := a.shell.Run(ctx, program+" snapshot --help >/dev/null 2>&1", nil, nil); err != nil || exit != 0 {
		return "", errors.Join(err, fmt.Errorf("%s there is of a version that takes no snapshot by itself", program))
	}
	return program, nil
}

// onlyAudits logs in with the key alone, asks for something else, and wants a snapshot for an answer.
func (p *program) onlyAudits(ctx context.Context, a *asked, user string, private []string) error {
	ssh := a.later()
	ssh.user, ssh.identities, ssh.given = user, private, true
	quiet := *p
	quiet.io.In = strings.NewReader("")
	c, _, _, err := quiet.dial(ctx, a.target, ssh, nil)
	if err != nil {
		return fmt.Errorf("the key does not let in: %w", err)
	}
	defer c.Close()
	fmt.Fprintf(p.io.Err, "taking a snapshot with the key\n")
	var out, said bytes.Buffer
	const other = "picket-ran-something-else"
	exit, err := c.Exec(ctx, "echo "+other, strings.NewReader("echo "+other+"\n"), &out, &said)
	switch {
	case err != nil:
		return err
	case strings.Contains(out.String(), other):
		return errors.New("the key runs what is asked for")
	case exit != 0:
		return fmt.Errorf("no snapshot comes: %s", cmp.Or(lastLine(said.String(), fmt.Errorf("exit code %d", exit)), "nothing is said"))
	}
	dir, err := os.MkdirTemp("", "picket-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "host.snapshot")
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		return err
	}
	s, err := snapshot.Open(file)
	if err == nil && !s.Root() {
		err = errors.New("it was not taken as root")
	}
	if err != nil {
		return fmt.Errorf("what comes is no snapshot: %w", err)
	}
	return nil
}
