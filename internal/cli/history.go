package cli

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"picket/internal/harden"
	"picket/internal/ui"
)

// ofChanges makes the commands about changes that were made.
func (p *program) ofChanges() []*cobra.Command {
	var ssh sshOptions
	history := &cobra.Command{
		Use:     "history [TARGET]",
		Short:   "the changes that were made on a host, and how each stands",
		Long:    "Lists the changes that Picket made on a host, the newest first, with their state:\napplied (waits for confirmation), confirmed, undone, or stuck.\n\n" + otherHelp,
		Example: "  sudo picket history\n  picket history ssh://pi@leader",
		Args:    oneTarget,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.history(cmd.Context(), targetOf(args), ssh)
		},
	}
	confirm := &cobra.Command{
		Use:     "confirm TX [TARGET]",
		Short:   "keep a change that waits for it",
		Long:    "Keeps a change that waits for confirmation. Type it after a new login.\n\n" + changeHelp,
		Example: "  sudo picket confirm 20261129-070000",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.ask(cmd.Context(), "confirm", args, ssh)
		},
	}
	rollback := &cobra.Command{
		Use:   "rollback TX [TARGET]",
		Short: "take a change back",
		Long: `Takes a change back: files with their modes, owners and times, services and kernel
settings are as they were before it. What somebody has changed since stays, and is
told. The host does it by itself; without Picket: sudo sh ` + harden.Box + `/TX/tx undo

` + changeHelp,
		Example: "  picket rollback 20261129-070000 ssh://pi@leader",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.ask(cmd.Context(), "undo", args, ssh)
		},
	}
	for _, c := range []*cobra.Command{history, confirm, rollback} {
		ssh.flags(c.Flags())
	}
	return []*cobra.Command{history, confirm, rollback}
}

var txName = regexp.MustCompile(`^[0-9A-Za-z-]+$`)

func (p *program) ask(ctx context.Context, what string, args []string, ssh sshOptions) error {
	if len(args) < 1 || len(args) > 2 || !txName.MatchString(args[0]) {
		return withHint(usage(fmt.Errorf("want the name of a change, and the host")), "`picket history` lists the changes")
	}
	target := targetOf(args[1:])
	if err := p.mayChange(target); err != nil {
		return err
	}
	sh, err := p.rootShell(ctx, target, ssh)
	if err != nil {
		return err
	}
	defer sh.Close()
	at := harden.Box + "/" + args[0]
	may := ""
	if what == "confirm" { // what closes an account is kept by whoever stays, who has just logged in
		may = "by=$(cat " + at + "/by 2>/dev/null); [ -z \"$by\" ] || [ \"${SUDO_USER-}\" = \"$by\" ] || { echo \"log in as $by, and confirm it with sudo from there\" >&2; exit 98; }; "
	}
	_, exit, err := sh.Run(ctx, "[ -e "+at+"/tx ] || exit 99; "+may+harden.Away("sh "+at+"/tx "+what), nil, func(line string) { fmt.Fprintln(p.io.Err, ui.Clean(line)) })
	switch {
	case err != nil:
		return err
	case exit == 99:
		return withHint(usage(fmt.Errorf("there is no change %s on %s", args[0], target)), "`picket history` lists the changes")
	case exit == 98:
		return withCode(ExitRefused, errors.New("this change is for somebody else to confirm, after a login of their own"))
	case exit != 0:
		return withCode(exit, fmt.Errorf("%s: %s of %s", target, map[string]string{"confirm": "no confirmation", "undo": "not all was taken back"}[what], args[0]))
	}
	fmt.Fprintf(p.io.Out, "%s: %s %s\n", target, args[0], map[string]string{"confirm": "is kept", "undo": "was taken back"}[what])
	return nil
}

func (p *program) history(ctx context.Context, target string, ssh sshOptions) error {
	if target != "local" && !strings.HasPrefix(target, "ssh://") {
		return usage(fmt.Errorf("%s is no running host", target))
	}
	sh, err := p.rootShell(ctx, target, ssh)
	if err != nil {
		return err
	}
	defer sh.Close()
	out, exit, err := sh.Run(ctx, "cd "+harden.Box+" 2>/dev/null || exit 0; for t in $(ls -r); do [ -e \"$t/tx\" ] || continue; printf '%s\\t%s\\t%s\\n' \"$t\" \"$(sh \"$t/tx\" state)\" \"$(grep -c '^step' \"$t/plan\")\"; done", nil, nil)
	if err == nil && exit != 0 {
		err = fmt.Errorf("exit status %d", exit)
	}
	if err != nil {
		return fmt.Errorf("%s: the changes cannot be read: %w", target, err)
	}
	if len(strings.TrimSpace(string(out))) == 0 {
		fmt.Fprintln(p.io.Out, "Picket has changed nothing there")
		return nil
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(ui.Clean(strings.TrimSpace(line)), "\t")
		if len(f) == 3 {
			fmt.Fprintf(p.io.Out, "%-18s %-10s %s steps\n", f[0], f[1], f[2])
		}
	}
	return nil
}
