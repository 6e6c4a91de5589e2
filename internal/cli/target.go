package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"picket/internal/core/snap"
	"picket/internal/host/snapshot"
	"picket/internal/ui"
)

// sshOptions are the flags of every command that reaches hosts over SSH.
type sshOptions struct {
	identities       []string
	knownHosts       string
	sudoPasswordFile string
}

func (o *sshOptions) flags(f *pflag.FlagSet) {
	f.StringArrayVarP(&o.identities, "identity", "i", nil, "private key `FILE` for SSH; may be repeated (default: the agent's keys and ~/.ssh/id_*)")
	f.StringVar(&o.knownHosts, "known-hosts", "", "`FILE` of pinned host keys (default ~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts)")
	f.StringVar(&o.sudoPasswordFile, "sudo-password-file", "", "`FILE` with the password for sudo on the target (default: asked for, once)")
}

// open turns a target into a taker, or into a snapshot that was saved before.
func (p *program) open(ctx context.Context, target string, opt sshOptions, progress *ui.Progress) (snapshot.Taker, *snap.Snapshot, error) {
	switch {
	case target == "local":
		return snapshot.NewLocal(snapshot.LocalOptions{}), nil, nil
	case strings.HasPrefix(target, "ssh://"):
		t, err := p.openSSH(target, opt, progress)
		return t, nil, err
	case strings.HasPrefix(target, "image:"):
		t, err := snapshot.NewImage(strings.TrimPrefix(target, "image:"))
		return t, nil, err
	}
	info, err := os.Stat(target)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, nil, withHint(usage(fmt.Errorf("unknown target %q", target)), targetHint(target))
	case err != nil:
		return nil, nil, err
	case info.IsDir():
		return nil, nil, withHint(usage(fmt.Errorf("%s is a folder", target)), "to audit a mounted card, type image:"+target)
	}
	s, err := snapshot.Open(target)
	if err != nil {
		return nil, nil, withHint(err, "a saved snapshot is written by `picket audit --save FILE`")
	}
	return nil, s, nil
}

// targetHint guesses what was meant.
func targetHint(target string) string {
	if strings.Contains(target, "@") || !strings.ContainsAny(target, "/:") {
		return "for a machine on the network, type ssh://" + target
	}
	return "want local, ssh://user@host[:port], image:DIR, or a file written with --save"
}

func (p *program) openSSH(string, sshOptions, *ui.Progress) (snapshot.Taker, error) {
	return nil, errors.New("ssh targets cannot be read yet")
}
