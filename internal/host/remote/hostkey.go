package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/ssh"

	"picket/internal/core/pinned"
)

// A Shown is a key that a host shows, and what is known of it.
type Shown struct {
	Target  Target // as the settings of ssh have it
	Key     ssh.PublicKey
	Problem *HostKeyError // nil: it is the key that is known; neither Changed nor Revoked: the host is not known

	hosts *hosts
}

// Fingerprint is what ssh-keygen -l shows of the key, SHA256:….
func (s Shown) Fingerprint() string { return ssh.FingerprintSHA256(s.Key) }

// New reports whether the host is not known.
func (s Shown) New() bool { return s.Problem != nil && !s.Problem.Changed && !s.Problem.Revoked }

// KeyFile is the file of the key's public half on the host, as OpenSSH names it.
func (s Shown) KeyFile() string { return "/etc/ssh/ssh_host_" + keyFile(s.Key.Type()) + "_key.pub" }

// a look is a handshake that ends when the host has shown its key.
type look struct {
	algorithms []string // nil: those that are known first

	at      *hosts
	key     ssh.PublicKey
	problem *HostKeyError
}

var errSeen = errors.New("the key was seen")

// kinds of host keys, the one to pin first.
var kinds = [][]string{
	{ssh.KeyAlgoED25519},
	{ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521},
	{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256},
}

// HostKey asks a host for its key, which it has to prove that it holds: one that is known, else the
// first of Ed25519, ECDSA and RSA. Nobody logs in there, and nothing is asked or written down; hosts on the way are logged in to as by Dial.
func HostKey(ctx context.Context, t Target, opt Options) (Shown, error) {
	return see(ctx, t, opt, nil)
}

// HostKeys asks for one key of each kind that the host has, the one to pin first.
func HostKeys(ctx context.Context, t Target, opt Options) (out []Shown, err error) {
	if opt.Hops == nil {
		opt.Hops = new(Hops)
		defer opt.Hops.Close()
	}
	var none error
	for _, algorithms := range kinds {
		s, err := see(ctx, t, opt, algorithms)
		var other *ssh.AlgorithmNegotiationError
		switch {
		case errors.As(err, &other):
			none = err
		case err != nil:
			return nil, err
		default:
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return nil, none
	}
	return out, nil
}

func see(ctx context.Context, t Target, opt Options, algorithms []string) (Shown, error) {
	opt.look = &look{algorithms: algorithms}
	way, err := route(t, opt)
	if err != nil {
		return Shown{}, err
	}
	hops := opt.Hops
	if hops == nil {
		hops = new(Hops)
		defer hops.Close()
	}
	if _, err := login(ctx, way, hops, nil); !errors.Is(err, errSeen) {
		return Shown{}, err
	}
	l := opt.look
	return Shown{Target: way[len(way)-1].Target, Key: l.key, Problem: l.problem, hosts: l.at}, nil
}

// Pin writes the keys of new hosts down, in the file that is read for each; those
// that are known are there already. A file is changed whole or not at all.
func Pin(all []Shown) error {
	var files []string
	entries := map[string][]pinned.Entry{}
	for _, s := range all {
		if !s.New() {
			continue
		}
		f := s.hosts.write
		if !slices.Contains(files, f) {
			files = append(files, f)
		}
		entries[f] = append(entries[f], pinned.Entry{Name: s.hosts.name(), Key: pin(s.Key)})
	}
	for _, f := range files {
		err := Rewrite(f, func(old []byte) ([]byte, error) { return adding(old, entries[f]...), nil })
		if err != nil {
			return fmt.Errorf("pin host keys in %s: %w", f, err)
		}
	}
	return nil
}
