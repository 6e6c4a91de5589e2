package known

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"picket/internal/core/pinned"
)

// A Key is the key of a host as a file has it.
type Key struct {
	Type, Fingerprint string
	Place             string // FILE:LINE
	Many              bool   // the line is for all hosts that are called like a pattern
}

// A Renewal is what files know of a host that shows other keys than it did, and what they are to know.
type Renewal struct {
	Name  string       // as which files know the host
	Same  []Key        // that it shows still
	Old   []Key        // that it shows no more
	Fresh []pinned.Key // to take their place: of each type of Old the one that it shows, else the one to pin first

	Also   []Key    // the old keys under other names of the host
	Others []string // lines that hold an old key and are left: FILE:LINE (NAMES)

	files []string // that change
	edit  pinned.Renewal
}

// Renew compares what a host shows, the key to pin first before the others, with what files know of it. Name is as which they know it,
// also are other names of it, both as pinned.Name writes them.
func Renew(files []string, name string, also []string, shown []pinned.Key) (*Renewal, error) {
	r := &Renewal{Name: name, edit: pinned.Renewal{Name: name, Also: also}}
	texts := map[string][]byte{}
	same := map[pinned.Key]bool{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, fmt.Errorf("known hosts: %w", err)
		}
		texts[f] = text
		for _, l := range pinned.Lines(text) {
			if l.Marker != "" || !l.Holds(r.Name) {
				continue
			}
			if slices.Contains(shown, l.Key) {
				same[l.Key] = true
				r.Same = append(r.Same, knownAt(l, f))
				continue
			}
			r.Old = append(r.Old, knownAt(l, f))
			if !slices.Contains(r.edit.Old, l.Key) {
				r.edit.Old = append(r.edit.Old, l.Key)
			}
		}
	}
	for _, k := range shown {
		if !same[k] && slices.ContainsFunc(r.edit.Old, func(old pinned.Key) bool { return old.Type == k.Type }) {
			r.Fresh = append(r.Fresh, k)
		}
	}
	if len(r.Old) > 0 && len(r.Fresh) == 0 && len(r.Same) == 0 {
		r.Fresh = shown[:1]
	}
	for _, f := range files {
		if len(r.edit.Lines(texts[f])) > 0 {
			r.files = append(r.files, f)
		}
		at := r.edit.Lines(texts[f])
		for _, l := range pinned.Lines(texts[f]) {
			if slices.Contains(at, l.N) && !l.Holds(r.Name) {
				r.Also = append(r.Also, knownAt(l, f))
			}
		}
		for _, l := range r.edit.Others(texts[f]) {
			names := strings.Join(l.Names, ",")
			if strings.HasPrefix(names, "|1|") {
				names = "a hashed name"
			}
			r.Others = append(r.Others, fmt.Sprintf("%s:%d (%s)", f, l.N, names))
		}
	}
	return r, nil
}

func knownAt(l pinned.Line, file string) Key {
	return Key{l.Key.Type, l.Key.Fingerprint(), fmt.Sprintf("%s:%d", file, l.N), l.Wild()}
}

// Changes are the files that Write changes.
func (r *Renewal) Changes() []string { return r.files }

// Closed are those of them that cannot be changed by who runs us.
func (r *Renewal) Closed() (out []string) {
	for _, f := range r.files {
		real, err := filepath.EvalSymlinks(f)
		if err == nil {
			var file *os.File
			if file, err = os.OpenFile(real, os.O_WRONLY, 0); err == nil {
				file.Close()
				if file, err = os.CreateTemp(filepath.Dir(real), ".known_hosts-*"); err == nil {
					file.Close()
					err = os.Remove(file.Name())
				}
			}
		}
		if err != nil {
			out = append(out, f)
		}
	}
	return out
}

// Write changes the files, each whole or not at all. Of the fresh keys those are pinned whose fingerprints are given. What
// a file held lies beside it afterwards, under its name with .old- and the stamp behind it: backups are these files.
func (r *Renewal) Write(fingerprints []string, stamp string) (backups []string, err error) {
	edit := r.edit
	for _, k := range r.Fresh {
		if slices.Contains(fingerprints, k.Fingerprint()) {
			edit.Fresh = append(edit.Fresh, k)
		}
	}
	for _, f := range r.files {
		err := Rewrite(f, func(old []byte) ([]byte, error) {
			fresh := edit.Apply(old)
			if bytes.Equal(fresh, old) {
				return old, nil
			}
			backup := f + ".old-" + stamp
			if err := keep(backup, old); err != nil {
				return nil, fmt.Errorf("keep what it held: %w", err)
			}
			backups = append(backups, backup)
			return fresh, nil
		})
		if err != nil {
			return backups, fmt.Errorf("change %s: %w", f, err)
		}
	}
	return backups, nil
}

// keep writes a file that was not there.
func keep(file string, data []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already; try again in a second", file)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(file)
	}
	return err
}
