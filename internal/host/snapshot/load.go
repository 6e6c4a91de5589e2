package snapshot

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"picket/internal/core/snap"
)

// Open loads a saved snapshot from a file.
func Open(name string) (*snap.Snapshot, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("saved snapshot: %w", err)
	}
	defer f.Close()
	if fi, err := f.Stat(); err == nil && fi.IsDir() {
		return nil, fmt.Errorf("saved snapshot %s: it is a folder; a mounted image is given as image:%s", name, name)
	}
	s, err := Load(f)
	if err != nil {
		return nil, fmt.Errorf("saved snapshot %s: %w", name, err)
	}
	return s, nil
}

// Load reads what Save wrote. The bytes may come from anybody: whatever is not
// exactly of the format is refused, and no more is read or kept than the
// limits of package snap allow. Errors name the member.
func Load(r io.Reader) (*snap.Snapshot, error) {
	zr, err := gzip.NewReader(bufio.NewReader(r))
	if err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("this is no saved snapshot: it is empty")
		}
		if errors.Is(err, gzip.ErrHeader) {
			return nil, errors.New("this is no saved snapshot: it is not compressed with gzip")
		}
		return nil, fmt.Errorf("this is no saved snapshot: %w", err)
	}
	l := &loader{in: &metered{r: zr, left: maxIndex + snap.MaxTotal + 4096*snap.MaxEntries}}
	l.tar = tar.NewReader(l.in)
	if err := l.index(); err != nil {
		return nil, err
	}
	for {
		h, err := l.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := l.content(h); err != nil {
			return nil, fmt.Errorf("member %.120q: %w", h.Name, err)
		}
	}
	if len(l.want) > 0 {
		missing := ""
		for name := range l.want {
			if missing == "" || name < missing {
				missing = name
			}
		}
		return nil, fmt.Errorf("member %.120q is missing: the file is cut short or was changed", missing)
	}
	// The rest of the stream is the padding of tar; reading it checks gzip's sum.
	rest, err := io.ReadAll(io.LimitReader(l.in, 64<<10))
	if err != nil {
		return nil, broken(err)
	}
	if len(bytes.Trim(rest, "\x00")) > 0 || len(rest) == 64<<10 {
		return nil, errors.New("there is something after the end of the archive")
	}
	return l.s, nil
}

// metered ends a stream that is longer than any honest one.
type metered struct {
	r    io.Reader
	left int64
}

var errTooLarge = errors.New("it unpacks to more than any snapshot holds")

func (m *metered) Read(p []byte) (int, error) {
	if m.left <= 0 {
		return 0, errTooLarge
	}
	n, err := m.r.Read(p[:min(int64(len(p)), m.left)])
	m.left -= int64(n)
	return n, err
}

func broken(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errors.New("the file is cut short")
	}
	return fmt.Errorf("the file is damaged: %w", err)
}

// A loader holds what the index has promised and has not come yet.
type loader struct {
	in    io.Reader
	tar   *tar.Reader
	s     *snap.Snapshot
	want  map[string]promise
	total int64
}

type promise struct {
	limit int64
	put   func([]byte)
}

// next returns the next member's header; io.EOF at a proper end.
func (l *loader) next() (*tar.Header, error) {
	h, err := l.tar.Next()
	switch {
	case err == io.EOF:
		return nil, io.EOF
	case err != nil && !errors.Is(err, tar.ErrInsecurePath):
		return nil, broken(err)
	case h.Typeflag != tar.TypeReg:
		return nil, fmt.Errorf("member %.120q is no plain file (type %q)", h.Name, h.Typeflag)
	case h.Size < 0:
		return nil, fmt.Errorf("member %.120q has a negative size", h.Name)
	}
	for k := range h.PAXRecords {
		if k != "path" && k != "size" && k != "mtime" {
			return nil, fmt.Errorf("member %.120q has an extension %.40q that no snapshot needs", h.Name, k)
		}
	}
	return h, nil
}

// index reads the first member and makes the snapshot of it.
func (l *loader) index() error {
	h, err := l.next()
	if err == io.EOF {
		return errors.New("the archive is empty")
	}
	if err != nil {
		return err
	}
	if h.Name != indexName {
		return fmt.Errorf("this is no saved snapshot: its first member is %.120q, not %s", h.Name, indexName)
	}
	if h.Size > maxIndex {
		return fmt.Errorf("%s: %d bytes, more than %d", indexName, h.Size, maxIndex)
	}
	// Nothing is set aside for what the header claims.
	data, err := io.ReadAll(l.tar)
	if err != nil {
		return fmt.Errorf("%s: %w", indexName, broken(err))
	}
	if err := checkIndex(data); err != nil {
		return fmt.Errorf("%s: %w", indexName, err)
	}
	// An index of another version may have other fields: the schema comes first.
	var of struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(data, &of); err != nil {
		return fmt.Errorf("%s: %w", indexName, err)
	}
	if of.Schema != snap.Schema {
		return fmt.Errorf("%s: schema is %.60q; this picket reads %q", indexName, of.Schema, snap.Schema)
	}
	var x index
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&x); err != nil {
		return fmt.Errorf("%s: %w", indexName, err)
	}
	if err := l.build(&x); err != nil {
		return fmt.Errorf("%s: %w", indexName, err)
	}
	return nil
}

// checkIndex bounds what decoding an index can take: every value but the first
// of a list or an object follows a comma.
func checkIndex(data []byte) error {
	if len(data) > maxIndex {
		return fmt.Errorf("%d bytes, more than %d", len(data), maxIndex)
	}
	if n := bytes.Count(data, []byte{','}); n > maxCommas {
		return fmt.Errorf("%d values or more, more than %d", n, maxCommas)
	}
	return nil
}

func (l *loader) build(x *index) error {
	src := snap.Source{Kind: string(x.Source.Kind), Target: string(x.Source.Target), UID: x.Source.UID, Client: string(x.Source.Client)}
	if !slices.Contains([]string{"local", "ssh", "image"}, src.Kind) {
		return fmt.Errorf("source.kind is %.40q, want local, ssh or image", src.Kind)
	}
	if x.Taken.IsZero() {
		return errors.New("taken is missing")
	}
	l.s = snap.New(src, x.Taken.UTC())
	l.want = map[string]promise{}
	if x.Complete {
		l.s.MarkComplete()
	}
	l.s.MarkAsked(snap.Manifest{Files: stringsOf(x.AskedFiles), Stats: stringsOf(x.AskedStats)})
	l.s.Problems = stringsOf(x.Problems)
	for _, d := range x.Denials {
		l.s.Denials[string(d.At)] = string(d.Why)
	}
	if len(x.Entries) > snap.MaxEntries {
		return fmt.Errorf("%d entries, more than %d", len(x.Entries), snap.MaxEntries)
	}
	for i := range x.Entries {
		e, err := x.Entries[i].entry()
		if err != nil {
			return err
		}
		if l.s.Entries[e.Path] != nil {
			return fmt.Errorf("entry %.120q comes twice", e.Path)
		}
		l.s.Entries[e.Path] = e
		if name := x.Entries[i].Member; name != "" {
			if e.Type != snap.File || e.Denied != "" {
				return fmt.Errorf("entry %.120q: only a file has content, and only one that could be read", e.Path)
			}
			e.Read = true
			if err := l.promise(name, fileLimit(e.Path), &e.Content); err != nil {
				return err
			}
		}
	}
	if len(x.Commands) > maxCommands {
		return fmt.Errorf("%d commands, more than %d", len(x.Commands), maxCommands)
	}
	for _, c := range x.Commands {
		o := &snap.Output{Argv: stringsOf(c.Argv), Exit: c.Exit, Stderr: string(c.Stderr), Missing: c.Missing, Err: string(c.Error), Cut: c.Cut}
		key := snap.CommandKey(o.Argv...)
		if len(o.Argv) == 0 || l.s.Commands[key] != nil {
			return fmt.Errorf("command %.120q is empty or comes twice", key)
		}
		l.s.Commands[key] = o
		if c.Member != "" {
			if err := l.promise(c.Member, snap.MaxOutput, &o.Stdout); err != nil {
				return err
			}
		}
	}
	if x.Walk == nil {
		if len(x.Found) > 0 {
			return errors.New("found without a walk")
		}
		return nil
	}
	l.s.Walk = &snap.Walked{Seen: x.Walk.Seen, Err: string(x.Walk.Error), Roots: stringsOf(x.Walk.Roots)}
	for i := range x.Found {
		e, err := x.Found[i].entry()
		if err != nil {
			return err
		}
		if x.Found[i].Member != "" {
			return fmt.Errorf("found %.120q cannot have content", e.Path)
		}
		l.s.Walk.Found = append(l.s.Walk.Found, *e)
	}
	return nil
}

// promise notes a member that has to come. Names are only looked up, never
// used as paths; they are kept tidy for whoever unpacks the file by hand.
func (l *loader) promise(name string, limit int64, to *[]byte) error {
	if top, _, _ := strings.Cut(name, "/"); path.Clean(name) != name || path.IsAbs(name) || top != "files" && top != "commands" {
		return fmt.Errorf("member %.120q is not a clean path in files/ or commands/", name)
	}
	if _, twice := l.want[name]; twice {
		return fmt.Errorf("member %.120q is named twice", name)
	}
	l.want[name] = promise{limit, func(data []byte) { *to = data }}
	return nil
}

// content reads one member that was promised.
func (l *loader) content(h *tar.Header) error {
	p, ok := l.want[h.Name]
	if !ok {
		return errors.New("it is not in the index, or comes twice")
	}
	if h.Size > p.limit {
		return fmt.Errorf("%d bytes, more than %d", h.Size, p.limit)
	}
	if l.total += h.Size; l.total > snap.MaxTotal {
		return fmt.Errorf("more than %d bytes with those before it", snap.MaxTotal)
	}
	data := make([]byte, h.Size)
	if _, err := io.ReadFull(l.tar, data); err != nil {
		return broken(err)
	}
	delete(l.want, h.Name)
	p.put(data)
	return nil
}

func (e *entry) entry() (*snap.Entry, error) {
	p := string(e.Path)
	if !path.IsAbs(p) || path.Clean(p) != p {
		return nil, fmt.Errorf("entry %.120q is not a clean absolute path", p)
	}
	switch e.Type {
	case snap.File, snap.Dir, snap.Link, snap.Socket, snap.Fifo, snap.Device:
	default:
		return nil, fmt.Errorf("entry %.120q: unknown type %.40q", p, e.Type)
	}
	return &snap.Entry{
		Path: p, Type: e.Type, Mode: uint32(e.Mode), UID: e.UID, GID: e.GID, Size: e.Size, MTime: e.MTime.UTC(),
		Target: string(e.Target), Real: string(e.Real), Cut: e.Cut, Redact: e.Redacted, Whole: e.Redacted && e.Whole, Denied: string(e.Denied),
	}, nil
}

func stringsOf(ts []text) []string {
	var out []string
	for _, t := range ts {
		out = append(out, string(t))
	}
	return out
}
