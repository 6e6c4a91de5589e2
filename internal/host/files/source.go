// Package files brings files and folders to a host as they are here: whole or not
// at all, only what differs, and on from where it was cut off before.
package files

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A Kind of entry.
type Kind byte

// What can be copied.
const (
	File   Kind = 'f'
	Folder Kind = 'd'
	Link   Kind = 'l'
)

// An Entry is one file, folder or link of a Source.
type Entry struct {
	Name string // from the source on, with slashes; "." is the source itself
	Kind Kind
	Mode fs.FileMode
	Time time.Time
	Size int64
	Sum  string // SHA-256 of a file, in hexadecimal digits
	Link string // what a link says

	here string // where it is read
}

// A Source is a file or a folder with all that it holds, folders before what is in them.
type Source struct {
	Path    string // absolute, as it was named
	Entries []Entry
}

// Folder reports whether the source is one.
func (s Source) Folder() bool { return s.Entries[0].Kind == Folder }

// id is the same for two sources with the same names and contents.
func (s Source) id() string {
	sum := sha256.New()
	for _, e := range s.Entries {
		fmt.Fprintf(sum, "%q %c %s %q\n", e.Name, e.Kind, e.Sum, e.Link)
	}
	return digest(sum)
}

func digest(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// mostProblems are told of one source; the others are counted.
const mostProblems = 10

// ours are names that Send gives to what has not arrived whole.
var ours = regexp.MustCompile(`^\.picket-[0-9a-f]{8}-[0-9a-f]{16}$`)

// Read looks at what is to be copied, and reads all of it once for its checksums. A link that is named is followed, one
// within a folder is copied as a link. What is neither file, folder nor link is an error, as is what cannot be read.
func Read(ctx context.Context, name string) (Source, error) {
	whole, err := filepath.Abs(name)
	if err != nil {
		return Source{}, err
	}
	s := Source{Path: whole}
	root, err := filepath.EvalSymlinks(whole)
	if err != nil {
		return s, err
	}
	var problems []error
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var e Entry
		if err == nil && ours.MatchString(d.Name()) && p != root {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if err == nil {
			e, err = look(ctx, root, p, d)
		}
		if err != nil {
			problems = append(problems, err)
			return nil
		}
		s.Entries = append(s.Entries, e)
		return nil
	})
	if n := len(problems); n > mostProblems {
		problems = append(problems[:mostProblems], fmt.Errorf("and %d more", n-mostProblems))
	}
	return s, errors.Join(append(problems, err)...)
}

// look is one entry below root.
func look(ctx context.Context, root, p string, d fs.DirEntry) (Entry, error) {
	info, err := d.Info()
	if err != nil {
		return Entry{}, err
	}
	rel, err := filepath.Rel(root, p)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Name: filepath.ToSlash(rel), Mode: info.Mode(), Time: info.ModTime(), here: p}
	switch {
	case info.IsDir():
		e.Kind = Folder
	case info.Mode().IsRegular():
		e.Kind, e.Size = File, info.Size()
		e.Sum, err = e.sum(ctx, e.Size)
	case info.Mode()&fs.ModeSymlink != 0:
		e.Kind = Link
		e.Link, err = os.Readlink(p)
	default:
		err = fmt.Errorf("%s is %s: only files, folders and links are copied", p, special(info.Mode()))
	}
	return e, err
}

func special(m fs.FileMode) string {
	switch {
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeNamedPipe != 0:
		return "a pipe"
	}
	return "a device"
}

// sum is the checksum of the first size bytes of the file. It is an error if it has fewer.
func (e Entry) sum(ctx context.Context, size int64) (string, error) {
	f, err := os.Open(e.here)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(whileIn(ctx, f), size))
	if err == nil && n < size {
		err = fmt.Errorf("%s has become shorter while it was read", e.here)
	}
	return digest(sum), err
}

// whileIn reads until ctx ends.
func whileIn(ctx context.Context, r io.Reader) io.Reader {
	return readFunc(func(b []byte) (int, error) {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		return r.Read(b)
	})
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(b []byte) (int, error) { return f(b) }

// octal is a mode as chmod is told.
func octal(m fs.FileMode) string {
	n := uint32(m.Perm())
	for bit, add := range map[fs.FileMode]uint32{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if m&bit != 0 {
			n |= add
		}
	}
	return fmt.Sprintf("%04o", n)
}

// word is text as the program on the host reads it: blanks and what steers are written as \0NNN.
func word(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == '\\' || c == 0x7f {
			fmt.Fprintf(&b, `\0%03o`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// beside is the name, next to its place, of what has not arrived whole. It is the same for the same content, so that
// what was cut off is found again, and begins alike for all contents of one place.
func beside(place, content string) string {
	name := place[strings.LastIndexByte(place, '/')+1:]
	sum := sha256.Sum256([]byte(name))
	return place[:len(place)-len(name)] + ".picket-" + hex.EncodeToString(sum[:4]) + "-" + content[:16]
}

// backwards are the folders of a source, those within others first.
func (s Source) backwards() []Entry {
	var out []Entry
	for _, e := range s.Entries {
		if e.Kind == Folder {
			out = append(out, e)
		}
	}
	slices.Reverse(out)
	return out
}
