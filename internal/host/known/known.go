// Package known is this machine's files of known hosts: a key is added to one, and keys that have changed are renewed in all,
// each file whole or not at all.
package known

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh/knownhosts"

	"picket/internal/core/pinned"
	"picket/internal/host/machine"
)

// Add writes keys down in a file, which need not be there yet. Names are hidden in a file that does so.
func Add(file string, entries ...pinned.Entry) error {
	return Rewrite(file, func(old []byte) ([]byte, error) {
		if pinned.Hides(old) {
			return pinned.Add(old, entries, knownhosts.HashHostname), nil
		}
		return pinned.Add(old, entries, nil), nil
	})
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
