package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"picket/internal/core/pinned"
	"picket/internal/host/known"
	"picket/internal/host/remote"
	"picket/internal/ui"
)

type repairOptions struct {
	ssh          sshOptions
	yes          bool
	fingerprints []string
}

func (p *program) keysRepairCommand() *cobra.Command {
	var opt repairOptions
	cmd := &cobra.Command{
		Use:   "repair NODE",
		Short: "take the new host key of a node that was set up anew",
		Long: `Shows the host key that is known of a node beside the one that it shows now, and
replaces it where you say that the new one is right: in known_hosts, under every name
of the node, hashed ones as well. Lines of other hosts stay as they are, and what the
file held is kept beside it.

A key that has changed means that the node was set up anew, or that somebody is in
between. Only the node itself can tell: look there, at its keyboard or on its card.

Exit codes: 0 done, or nothing was to be done · 2 wrong usage or settings ·
3 the node could not be reached · 4 refused or not confirmed, nothing changed ·
130 interrupted.`,
		Example: `  picket keys repair worker3
  picket keys repair ssh://pi@192.168.0.103
  picket keys repair worker3 --yes --fingerprint SHA256:…`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return withHint(usage(errors.New("want one node, or ssh://host")), "`picket keys repair worker1`")
			}
			return p.keysRepair(cmd.Context(), args[0], opt)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&opt.yes, "yes", false, "do not ask; wants --fingerprint")
	f.StringArrayVar(&opt.fingerprints, "fingerprint", nil, "`SHA256:…` of the key that the node has now, as it shows it itself; may be repeated")
	opt.ssh.flags(f)
	return cmd
}

func (p *program) keysRepair(ctx context.Context, target string, opt repairOptions) error {
	for _, f := range opt.fingerprints {
		if len(f) != len("SHA256:")+43 || !strings.HasPrefix(f, "SHA256:") {
			return withHint(usage(fmt.Errorf("--fingerprint %s: want SHA256: and 43 letters and digits", f)), "on the node: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
		}
	}
	if opt.yes && len(opt.fingerprints) == 0 {
		return withHint(usage(errors.New("--yes alone would take any key that is shown")),
			"add --fingerprint SHA256:…, as the node itself shows it: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
	}
	targets, err := p.hosts([]string{target}, opt.ssh)
	if err != nil {
		return err
	}
	if len(targets) != 1 {
		return usage(fmt.Errorf("%s means %d nodes: want one", target, len(targets)))
	}
	target = targets[0]
	t, o, err := p.way(target, opt.ssh)
	if err != nil {
		return err
	}
	progress := ui.NewProgress(p.progressTo(), "asking "+target+" for its keys", p.now)
	defer progress.Stop()
	prompt := ui.Prompt{IO: p.io, Progress: progress, Context: ctx}
	if prompt.Possible() {
		o.Prompter = prompt // of hosts on the way
	}
	shown, err := remote.HostKeys(ctx, t, o)
	if err != nil {
		return hinted(err, target, opt.ssh)
	}
	r, err := remote.Renew(shown, p.namesOf(ctx, target, t, shown[0].Target, len(o.Jump) > 0))
	progress.Stop()
	if err != nil {
		return withCode(ExitRefused, hinted(err, target, opt.ssh))
	}
	switch {
	case len(r.Old) == 0 && len(r.Same) == 0:
		return withHint(withCode(ExitRefused, fmt.Errorf("%s is not known yet (as %s): there is nothing to repair", target, r.Name)),
			"`picket audit "+target+opt.ssh.where()+"` shows its key and asks")
	case len(r.Old) == 0:
		fmt.Fprintf(p.io.Out, "%s shows the host key that is known, %s %s: there is nothing to repair\n", target, r.Same[0].Type, r.Same[0].Fingerprint)
		return nil
	}
	p.tellRenewal(target, r)
	if err := p.mayRepair(target, shown[0].Target, r); err != nil {
		return err
	}
	pin, err := p.compared(prompt, target, r, opt)
	if err != nil {
		return err
	}
	backups, err := r.Write(pin, p.now().UTC().Format("20060102-150405"))
	if err != nil {
		return err
	}
	fmt.Fprintf(p.io.Out, "\n%s is known by the key that it has now", target)
	if len(pin) == 0 {
		fmt.Fprint(p.io.Out, ", and by no other")
	}
	fmt.Fprintf(p.io.Out, ". What was there is kept in %s\n", strings.Join(backups, " and "))
	return nil
}

// namesOf are names under which files may know a node besides the one that it is reached by.
func (p *program) namesOf(ctx context.Context, target string, typed, t remote.Target, behind bool) (out []string) {
	names := []string{typed.Host, t.Host}
	if n, ok := p.node(target); ok {
		names = append(names, n.Name)
	}
	for _, n := range slices.Clone(names) {
		if _, err := netip.ParseAddr(n); err == nil || behind {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, 2*time.Second)
		addresses, _ := net.DefaultResolver.LookupHost(limited, n) // one more name, where there is one
		cancel()
		names = append(names, addresses...)
		if !strings.Contains(n, ".") {
			names = append(names, n+".local")
		}
	}
	for _, n := range names {
		if n = pinned.Name(n, t.Port); !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// tellRenewal shows what is known beside what is shown.
func (p *program) tellRenewal(target string, r *known.Renewal) {
	out := p.io.Out
	fmt.Fprintf(out, "%s shows another host key than the one that is known of it (as %s):\n\n", p.style.Paint(target, ui.Bold), r.Name)
	width := 0
	for _, k := range slices.Concat(r.Old, r.Same) {
		width = max(width, len(k.Type))
	}
	for _, f := range r.Fresh {
		width = max(width, len(f.Type))
	}
	line := func(typ, what, fingerprint, place string) {
		fmt.Fprintf(out, "  %-*s  %-5s  %s", width, typ, what, fingerprint)
		if place != "" {
			fmt.Fprintf(out, "  %s", p.style.Paint(place, ui.Dim))
		}
		fmt.Fprintln(out)
	}
	for _, k := range r.Old {
		line(k.Type, "known", k.Fingerprint, k.Place)
	}
	for _, k := range r.Also {
		line(k.Type, "known", k.Fingerprint, k.Place+", under another name of it")
	}
	for _, f := range r.Fresh {
		line(f.Type, "shown", p.style.Paint(f.Fingerprint(), ui.Bold), "")
	}
	for _, k := range r.Same {
		line(k.Type, "same", k.Fingerprint, k.Place)
	}
	for _, o := range r.Others {
		fmt.Fprintf(out, "\nThe old key is known on %s too, which is left as it is: that is not known to be a name of %s alone\n", o, target)
	}
	if len(r.Fresh) > 0 {
		fmt.Fprintf(out, "\nEither it was set up anew, or somebody is in between. On %s itself, this shows what it has:\n", target)
		for _, f := range r.Fresh {
			fmt.Fprintf(out, "  ssh-keygen -lf %s\n", remote.KeyFile(f.Type))
		}
	}
}

// mayRepair finds what keeps files from being changed, before somebody is asked.
func (p *program) mayRepair(target string, t remote.Target, r *known.Renewal) error {
	if i := slices.IndexFunc(r.Old, func(k known.Key) bool { return k.Many }); i >= 0 {
		return withHint(withCode(ExitRefused, fmt.Errorf("the line %s is for many hosts, %s among them: nothing was changed", r.Old[i].Place, target)), "change or remove that line by hand")
	}
	closed := r.Closed()
	if len(closed) == 0 {
		return nil
	}
	t.User = ""
	var next []string
	for _, f := range closed {
		next = append(next, p.typedAsRoot("keys repair "+t.String()+" --known-hosts "+f))
	}
	return withHint(withCode(ExitRefused, fmt.Errorf("%s cannot be changed by you: nothing was changed", strings.Join(closed, " and "))), strings.Join(next, "\n"))
}

// compared are the fingerprints of the new keys that somebody has found right.
func (p *program) compared(prompt ui.Prompt, target string, r *known.Renewal, opt repairOptions) (pin []string, err error) {
	var fresh []string
	for _, f := range r.Fresh {
		fresh = append(fresh, f.Fingerprint())
	}
	switch {
	case len(fresh) == 0: // old lines go, beside one that is right
		if opt.yes {
			return nil, nil
		}
	case len(opt.fingerprints) > 0:
		for _, f := range fresh {
			if slices.Contains(opt.fingerprints, f) {
				pin = append(pin, f)
			}
		}
		if len(pin) == 0 {
			return nil, withHint(withCode(ExitRefused, fmt.Errorf("%s shows %s and not %s: nothing was changed", target, strings.Join(fresh, ", "), strings.Join(opt.fingerprints, ", "))),
				"either that is the fingerprint of another key, or somebody is in between: do not log in there before you know")
		}
		return pin, nil
	}
	if !prompt.Possible() {
		return nil, withHint(withCode(ExitRefused, errors.New("there is no terminal to ask on: nothing was changed")),
			"once you have compared it: `picket keys repair "+target+opt.ssh.where()+" --yes --fingerprint SHA256:…`")
	}
	question := "\nDoes it show the same there"
	switch {
	case len(fresh) == 0:
		question = "\nForget the keys that it does not show any more"
	case len(fresh) > 1:
		question = fmt.Sprintf("\nDoes it show the same there, all %d of them", len(fresh))
	}
	switch ok, err := prompt.Confirm(question + "?"); {
	case err != nil:
		return nil, unanswered(err)
	case !ok:
		return nil, withCode(ExitRefused, errors.New("nothing was changed"))
	}
	return fresh, nil
}
