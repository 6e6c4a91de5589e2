package cli

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"picket/internal/core/change"
	"picket/internal/core/fact"
	"picket/internal/core/plan"
	"picket/internal/core/trust"
	"picket/internal/host/known"
	"picket/internal/host/shell"
	"picket/internal/ui"
)

type renewOptions struct {
	askedOptions
	leader string
}

func (p *program) keysRenewCommand() *cobra.Command {
	var opt renewOptions
	cmd := &cobra.Command{
		Use:   "renew-host TARGET",
		Short: "give a host SSH keys of its own, where its card is a copy of another's",
		Long: `Makes a new host key of each kind that the host has, has sshd load them, and logs in anew to
see that it shows them. The old ones are kept for as long as the change can be taken back.
The new ones are then pinned in your known_hosts in the place of the old, and in those of
the leader. Other computers that know the host will be told that its key has changed:
picket keys repair mends that there.

The machine-id, which a copied card has in common too, is left to you: journald, DHCP and
others hang on it. What to type is said in the end.

` + changeHelp,
		Example: `  picket trust            # which hosts have the same keys
  picket keys renew-host worker2`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return withHint(usage(errors.New("want one host")), "`picket trust` shows which have the same keys")
			}
			return p.keysRenew(cmd.Context(), args[0], opt)
		},
	}
	cmd.Flags().StringVar(&opt.leader, "leader", "", "`NODE` that knows the host's keys, too (default: the one with the role leader or master, if there is one)")
	opt.flags(cmd.Flags())
	return cmd
}

// A hostKeyPair is a new key of a host.
type hostKeyPair struct {
	file            string // of the private key
	private, public []byte
}

func (p *program) keysRenew(ctx context.Context, target string, opt renewOptions) error {
	targets, err := p.hosts([]string{target}, opt.ssh)
	if err != nil {
		return err
	}
	if len(targets) != 1 {
		return usage(fmt.Errorf("%s means %d hosts: want one", target, len(targets)))
	}
	target = targets[0]
	all := []string{target}
	if leader, err := p.leaderOf(opt.leader); err != nil && opt.leader != "" {
		return err
	} else if err == nil && leader != target {
		all = append(all, leader)
	}
	hosts, errs := p.beginAll(ctx, all, opt.askedOptions)
	defer closeAll(hosts)
	if len(errs) > 0 { // without the leader the host is left alone, too: it would not be known there any more
		return allOf(errs)
	}
	a := hosts[0]
	pairs, old, fresh, err := a.newHostKeys(ctx)
	if err != nil {
		return err
	}
	files, err := p.knownHostsFiles(opt.ssh)
	if err != nil {
		return err
	}
	names, err := a.knownNames(hosts[len(hosts)-1])
	if err != nil {
		return err
	}
	both, only, err := pinFiles(files, names, old, fresh)
	if err != nil {
		return err
	}
	defer os.Remove(both)
	defer os.Remove(only)
	a.opt.ssh.knownHosts = both // until it is kept it may show either
	a.name, a.title = "keys renew-host", "new SSH host keys"
	a.prove = func(ctx context.Context, _ plan.Plan, _ shell.Shell) error {
		ssh := a.later()
		ssh.knownHosts = only
		c, _, _, err := p.dial(ctx, target, ssh, nil)
		if err != nil {
			return fmt.Errorf("it does not show its new keys: %w", err)
		}
		return c.Close()
	}
	parts := []part{{asked: a, fix: func(h *fact.Host, d *change.Draft) error {
		for _, k := range pairs {
			d.Hide(k.file)
			if err := d.Edit(k.file, 0o600, func([]byte) ([]byte, error) { return k.private, nil }); err != nil {
				return err
			}
			if err := d.Edit(k.file+".pub", 0o644, func([]byte) ([]byte, error) { return k.public, nil }); err != nil {
				return err
			}
		}
		d.Do(change.Check, "sshd -t")
		if h.Units.Get("ssh.service").Running() {
			d.Do(change.Unit, "ssh.service", "reload")
		}
		return nil
	}}}
	if len(hosts) > 1 {
		l := hosts[1]
		l.name, l.title = "keys renew-host", "the new host keys of "+target+" in the place of the old"
		// The leader comes after the host: if the new keys do not hold, the host shows the old ones, and the leader has to know these.
		parts = append(parts, part{asked: l, turn: 1, fix: func(h *fact.Host, d *change.Draft) error {
			for _, home := range h.Keys.Homes {
				file := home.User.Home + "/.ssh/known_hosts"
				if e, st, _ := h.Snap.Stat(file); st != fact.Known || e.Target != "" {
					continue
				}
				if err := d.Edit(file, 0o600, func(was []byte) ([]byte, error) {
					now, _ := trust.Repin(was, names, old, fresh)
					return now, nil
				}); err != nil {
					return err
				}
			}
			return nil
		}})
	}
	done, err := p.together(ctx, parts, sharing{yes: opt.yes, first: true, question: fmt.Sprintf("Change %s so?", strings.Join(all, " and "))})
	if len(done) == 0 {
		return err
	}
	return errors.Join(err, p.pinAnew(files, names, old, fresh), a.machineIDSteps())
}

// newHostKeys makes a key of each kind that sshd uses. old and fresh are the public halves, TYPE BLOB.
func (a *asked) newHostKeys(ctx context.Context) (pairs []hostKeyPair, old, fresh []string, err error) {
	var files []string
	for _, k := range a.host.SSHD.HostKeys {
		e, st, _ := a.shot.File(k.Place.Path)
		if st != fact.Known || k.Used.Known() && !k.Used.V {
			continue
		}
		f := strings.Fields(string(e.Content))
		if len(f) < 2 {
			continue
		}
		var key crypto.Signer
		switch {
		case k.Type == "ssh-ed25519":
			_, key, err = ed25519.GenerateKey(rand.Reader)
		case k.Type == "ssh-rsa":
			key, err = rsa.GenerateKey(rand.Reader, max(3072, min(k.Bits, 8192)))
		case strings.HasPrefix(k.Type, "ecdsa-sha2-"):
			key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		default:
			return nil, nil, nil, withCode(ExitRefused, fmt.Errorf("%s: %s is of a kind that is not made: %s", a.target, k.Path, k.Type))
		}
		if err != nil {
			return nil, nil, nil, err
		}
		comment := "root@" + a.host.OS.Hostname.V
		block, err := ssh.MarshalPrivateKey(key, comment)
		if err != nil {
			return nil, nil, nil, err
		}
		public, err := ssh.NewPublicKey(key.Public())
		if err != nil {
			return nil, nil, nil, err
		}
		line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))
		pairs = append(pairs, hostKeyPair{k.Path, pem.EncodeToMemory(block), []byte(line + " " + comment + "\n")})
		old, fresh, files = append(old, f[0]+" "+f[1]), append(fresh, line), append(files, k.Path)
	}
	if len(pairs) == 0 {
		return nil, nil, nil, withCode(ExitRefused, fmt.Errorf("%s: no host key of sshd's was read", a.target))
	}
	return pairs, old, fresh, a.more(ctx, files...)
}

// knownNames are those under which files of known hosts may know the host.
func (a *asked) knownNames(from *asked) (names []string, err error) {
	at, words, err := a.p.endOf(a, from)
	if err != nil {
		return nil, err
	}
	for _, n := range a.host.Network.Addresses {
		if addr := n.Addr.Addr(); !addr.IsLoopback() && !addr.IsLinkLocalUnicast() && !strings.HasPrefix(n.Iface, "docker") {
			words = append(words, addr.String())
		}
	}
	seen := map[string]bool{}
	for _, w := range words {
		if w = at.known(w); !seen[w] {
			seen[w] = true
			names = append(names, w)
		}
	}
	return names, nil
}

// knownHostsFiles are the operator's own, with what they hold.
func (p *program) knownHostsFiles(ssh sshOptions) (map[string][]byte, error) {
	files := []string{ssh.knownHosts}
	if ssh.knownHosts == "" {
		files = []string{filepath.Join(p.getenv("HOME"), ".ssh/known_hosts"), "/etc/ssh/ssh_known_hosts"}
	}
	out := map[string][]byte{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err == nil {
			out[f] = b
		}
	}
	return out, nil
}

// pinFiles writes two files of known hosts: one in which the host may show its old keys or its new, and one in which only the new.
func pinFiles(files map[string][]byte, names, old, fresh []string) (both, only string, err error) {
	var with, without bytes.Buffer
	for _, content := range files {
		now, _ := trust.Repin(content, names, old, nil)
		for b, c := range map[*bytes.Buffer][]byte{&with: content, &without: now} {
			b.Write(c)
			b.WriteByte('\n')
		}
	}
	for _, k := range fresh {
		line := strings.Join(names, ",") + " " + k + "\n"
		with.WriteString(line)
		without.WriteString(line)
	}
	write := func(content []byte) (string, error) {
		f, err := os.CreateTemp("", "picket-known-hosts-*")
		if err != nil {
			return "", err
		}
		_, err = f.Write(content)
		return f.Name(), errors.Join(err, f.Close())
	}
	both, err = write(with.Bytes())
	only, err2 := write(without.Bytes())
	return both, only, errors.Join(err, err2)
}

// pinAnew puts the new keys in the place of the old in the operator's files, as they are by then: ssh may have added hosts since.
func (p *program) pinAnew(files map[string][]byte, names, old, fresh []string) error {
	pinned := false
	for f := range files {
		var had []string
		err := known.Rewrite(f, func(is []byte) (now []byte, _ error) {
			now, had = trust.Repin(is, names, old, fresh)
			return now, nil
		})
		if err != nil {
			return withHint(fmt.Errorf("the host has its new keys, and %s still has the old: %w", f, err), "`picket keys repair` puts that right")
		}
		if len(had) == 0 {
			continue
		}
		pinned = true
		fmt.Fprintf(p.io.Err, "the new keys of %s are pinned in %s\n", ui.Clean(strings.Join(had, ", ")), f)
	}
	if !pinned {
		fmt.Fprintf(p.io.Err, "no known_hosts file of yours had the old keys\n")
	}
	return nil
}

// machineIDSteps says what is left to a person.
func (a *asked) machineIDSteps() error {
	fmt.Fprintf(a.p.io.Out, `
The new keys are in force on %s. A copied card also has the machine-id of the other; picket trust
says whether it does. To renew that, on the host, at a time when it may start anew:
  sudo rm -f /etc/machine-id /var/lib/dbus/machine-id && sudo systemd-machine-id-setup && sudo reboot
The journal from before is then found with journalctl --merge, and DHCP may give another address.
`, a.target)
	return nil
}
