package snapshot

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"picket/internal/core/snap"
)

// Save writes a snapshot so that Load gives the same one: a tar, compressed
// with gzip, that a person can unpack and read. The same snapshot always
// gives the same bytes. docs/format-snapshot.md specifies it.
func Save(w io.Writer, s *snap.Snapshot) error {
	x, contents, err := describe(s)
	if err != nil {
		return fmt.Errorf("save snapshot: %w", err)
	}
	head, err := x.encode()
	if err != nil {
		return fmt.Errorf("save snapshot: %w", err)
	}
	if err := checkIndex(head); err != nil {
		return fmt.Errorf("save snapshot: %s: %w", indexName, err)
	}
	zw := gzip.NewWriter(w)
	tw := tar.NewWriter(zw)
	write := func(name string, data []byte) error {
		h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(data)), ModTime: s.Taken.Truncate(time.Second)}
		if err := tw.WriteHeader(h); err != nil {
			return err
		}
		_, err := tw.Write(data)
		return err
	}
	err = write(indexName, head)
	for _, c := range contents {
		if err == nil {
			err = write(c.name, c.data)
		}
	}
	// What ails the first ails the others: one of them is enough.
	if err := cmp.Or(err, tw.Close(), zw.Close()); err != nil {
		return fmt.Errorf("save snapshot: %w", err)
	}
	return nil
}

type member struct {
	name string
	data []byte
}

// describe splits a snapshot into its index and the contents, in the order in
// which they are written.
func describe(s *snap.Snapshot) (*index, []member, error) {
	files, stats := s.Asked()
	x := &index{
		Schema: snap.Schema, Taken: s.Taken.UTC(), Complete: s.Complete(),
		Source:     indexSource{text(s.Source.Kind), text(s.Source.Target), s.Source.UID, text(s.Source.Client)},
		AskedFiles: texts(files), AskedStats: texts(stats), Problems: texts(s.Problems),
	}
	for _, at := range slices.Sorted(maps.Keys(s.Denials)) {
		x.Denials = append(x.Denials, denial{text(at), text(s.Denials[at])})
	}
	var contents []member
	var total int
	add := func(name string, data []byte, limit int64) error {
		if total += len(data); total > snap.MaxTotal || int64(len(data)) > limit {
			return fmt.Errorf("%s: too large (%d bytes; at most %d a file and %d in all)", name, len(data), limit, snap.MaxTotal)
		}
		contents = append(contents, member{name, data})
		return nil
	}
	odd := 0
	for _, p := range slices.Sorted(maps.Keys(s.Entries)) {
		e := describeEntry(s.Entries[p])
		if s.Entries[p].Read {
			e.Member = "files" + p
			if !plain(p) {
				odd++
				e.Member = fmt.Sprintf("files/~odd/%04d", odd)
			}
			content := s.Entries[p].Content
			if limit := fileLimit(p); int64(len(content)) > limit {
				content, e.Cut = content[:limit], true // it grew when secrets were replaced
			}
			if err := add(e.Member, content, fileLimit(p)); err != nil {
				return nil, nil, err
			}
		}
		x.Entries = append(x.Entries, e)
	}
	for i, key := range slices.Sorted(maps.Keys(s.Commands)) {
		o := s.Commands[key]
		d := output{
			Argv: texts(o.Argv), Exit: o.Exit, Stderr: text(o.Stderr), Missing: o.Missing, Error: text(o.Err), Cut: o.Cut,
		}
		if len(o.Stdout) > 0 {
			d.Member = fmt.Sprintf("commands/%03d-%s.txt", i+1, slug(o.Argv))
			if err := add(d.Member, o.Stdout, snap.MaxOutput); err != nil {
				return nil, nil, err
			}
		}
		x.Commands = append(x.Commands, d)
	}
	if w := s.Walk; w != nil {
		x.Walk = &walked{Seen: w.Seen, Error: text(w.Err), Roots: texts(w.Roots)}
		for i := range w.Found {
			x.Found = append(x.Found, describeEntry(&w.Found[i]))
		}
	}
	return x, contents, nil
}

func describeEntry(e *snap.Entry) entry {
	return entry{
		Path: text(e.Path), Type: e.Type, Mode: mode(e.Mode), UID: e.UID, GID: e.GID, Size: e.Size, MTime: e.MTime.UTC(),
		Target: text(e.Target), Real: text(e.Real), Cut: e.Cut, Redacted: e.Redact, Whole: e.Whole, Denied: text(e.Denied),
	}
}

// fileLimit is what one file may have in a saved snapshot.
func fileLimit(p string) int64 { return snap.FileLimit(p) + maxGrowth }

func texts(ss []string) []text {
	var out []text
	for _, s := range ss {
		out = append(out, text(s))
	}
	return out
}

// slug names a command's output after its first words.
func slug(argv []string) string {
	var b strings.Builder
	for _, r := range strings.Join(argv, "-") {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() >= 40 {
			break
		}
	}
	return strings.Trim(b.String(), "-")
}

// SaveFile writes a snapshot to a file that only its owner can read: whole, or
// not at all.
func SaveFile(name string, s *snap.Snapshot) (err error) {
	if fi, err := os.Stat(name); err == nil && !fi.Mode().IsRegular() {
		return fmt.Errorf("save snapshot to %s: it is there already and is no plain file", name)
	}
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real // a link stays one
	}
	dir := filepath.Dir(name)
	f, err := os.CreateTemp(dir, ".picket-snapshot-*")
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) { // the name of the temporary file says nothing
			err = at.Err
		}
		return fmt.Errorf("save snapshot to %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", name, errors.Join(err, os.Remove(f.Name())))
		}
	}()
	// CreateTemp makes it 0600.
	if err := cmp.Or(Save(f, s), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	if d, err := os.Open(dir); err == nil {
		// Some file systems cannot sync a folder; the file itself is whole.
		_ = d.Sync()
		_ = d.Close()
	}
	return nil
}
