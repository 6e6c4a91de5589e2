package remote

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"picket/internal/core/pinned"
	"picket/internal/host/machine"
)

// hosts is what is known of the keys of hosts.
type hosts struct {
	target Target
	files  []string // those that exist
	write  string   // to which a new host is added
	check  ssh.HostKeyCallback
	ask    Prompter
	pause  func() (resume func())
	shown  bool // the host has shown a key
	look   *look
}

func openHosts(t Target, files []string, ask Prompter) (*hosts, error) {
	h := &hosts{target: t, write: files[0], ask: ask}
	for _, f := range files {
		if _, err := os.Stat(f); err == nil {
			h.files = append(h.files, f)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("known hosts: %w", err)
		}
	}
	var err error
	if h.check, err = knownhosts.New(h.files...); err != nil {
		return nil, fmt.Errorf("known hosts: %w; repair or remove that line", err)
	}
	return h, nil
}

// known returns the keys written down for the target.
func (h *hosts) known() []knownhosts.KnownKey {
	var ke *knownhosts.KeyError
	err := h.check(h.target.known(), noAddress, noKey{})
	if !errors.As(err, &ke) {
		return nil
	}
	return ke.Want
}

// noAddress: a host is known by the name that it is reached under, and behind
// another host there is no address.
var noAddress = &net.TCPAddr{IP: net.IPv4zero}

// noKey is a key that no host has.
type noKey struct{}

func (noKey) Type() string                        { return "none" }
func (noKey) Marshal() []byte                     { return []byte("none") }
func (noKey) Verify([]byte, *ssh.Signature) error { return errors.New("not a key") }

// algorithms puts those of the keys that are written down first, so that a
// host with several shows one that we know; of an unknown host the shortest.
func (h *hosts) algorithms() []string {
	if h.look != nil && h.look.algorithms != nil {
		return h.look.algorithms
	}
	var first []string
	for _, k := range h.known() {
		switch t := k.Key.Type(); t {
		case ssh.KeyAlgoRSA:
			first = append(first, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		default:
			first = append(first, t)
		}
	}
	if first == nil {
		first = slices.Concat(kinds...)
	}
	// Certificates stay possible, before plain keys, for a file that names an
	// authority; the rest stays so that a changed key is told from none.
	var certs, plain []string
	for _, a := range ssh.SupportedAlgorithms().HostKeys {
		if strings.Contains(a, "-cert-") {
			certs = append(certs, a)
		} else if !slices.Contains(first, a) {
			plain = append(plain, a)
		}
	}
	return slices.Concat(first, plain, certs)
}

// verify is the callback of the handshake.
func (h *hosts) verify(_ string, _ net.Addr, key ssh.PublicKey) error {
	h.shown = true
	he, err := h.judge(key)
	switch {
	case err != nil:
		return err
	case h.look != nil:
		h.look.at, h.look.key, h.look.problem = h, key, he
		return errSeen
	case he == nil:
		return nil
	case he.Changed || he.Revoked || h.ask == nil:
		return he
	}
	resume := h.pause()
	yes, err := h.ask.Confirm(fmt.Sprintf("%s is not known.\nIt shows this %s key:\n  %s\n"+
		"On the host itself, this shows the same:\n  ssh-keygen -lf /etc/ssh/ssh_host_%s_key.pub\nIs this the right host",
		h.target, key.Type(), he.Fingerprint, keyFile(key.Type())))
	resume()
	if err != nil {
		return fmt.Errorf("ask about the host key: %w", err)
	}
	if !yes {
		return errNotConfirmed
	}
	return h.add(key)
}

// judge says what is wrong with a key; nil: it is known.
func (h *hosts) judge(key ssh.PublicKey) (*HostKeyError, error) {
	err := h.check(h.target.known(), noAddress, key)
	if err == nil {
		return nil, nil
	}
	he := &HostKeyError{
		Target: h.target, Type: key.Type(), Fingerprint: ssh.FingerprintSHA256(key),
		File: h.write, Name: h.name(),
	}
	var ke *knownhosts.KeyError
	var revoked *knownhosts.RevokedError
	switch {
	case errors.As(err, &revoked):
		he.Revoked = true
		he.Was = []string{fmt.Sprintf("%s:%d", revoked.Revoked.Filename, revoked.Revoked.Line)}
	case !errors.As(err, &ke):
		return nil, fmt.Errorf("host key: %w", err)
	case len(ke.Want) > 0:
		he.Changed = true
		for _, w := range ke.Want {
			he.Was = append(he.Was, fmt.Sprintf("%s %s (%s:%d)", w.Key.Type(), ssh.FingerprintSHA256(w.Key), w.Filename, w.Line))
		}
		he.File = ke.Want[0].Filename
	}
	return he, nil
}

// name is how files call the host.
func (h *hosts) name() string { return knownhosts.Normalize(h.target.known()) }

var errNotConfirmed = errors.New("the host key was not confirmed")

// add writes the key down.
func (h *hosts) add(key ssh.PublicKey) error {
	err := Rewrite(h.write, func(old []byte) ([]byte, error) { return adding(old, pinned.Entry{Name: h.name(), Key: pin(key)}), nil })
	if err != nil {
		return fmt.Errorf("add the host to %s: %w", h.write, err)
	}
	return nil
}

// adding hides names in a file that does so.
func adding(old []byte, entries ...pinned.Entry) []byte {
	if pinned.Hides(old) {
		return pinned.Add(old, entries, knownhosts.HashHostname)
	}
	return pinned.Add(old, entries, nil)
}

// pin is a key as files have it.
func pin(key ssh.PublicKey) pinned.Key {
	return pinned.Key{Type: key.Type(), Blob: base64.StdEncoding.EncodeToString(key.Marshal())}
}

// Rewrite changes a file of known hosts, of which change gets what it holds just then: a new one beside it takes its place, so
// that a crash leaves one or the other. One that is no plain file, such as /dev/null, stays as it is.
func Rewrite(file string, change func(old []byte) ([]byte, error)) error {
	if real, err := filepath.EvalSymlinks(file); err == nil {
		file = real // a link stays one
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	// Another Picket may add another host just now.
	dir, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := machine.Lock(dir); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	mode := fs.FileMode(0o600)
	if st, err := os.Stat(file); err == nil {
		if !st.Mode().IsRegular() {
			return nil
		}
		mode = st.Mode().Perm()
	}
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	fresh, err := change(old)
	if err != nil || bytes.Equal(fresh, old) {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".known_hosts-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(fresh)
	err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}
