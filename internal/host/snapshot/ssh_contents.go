package snapshot

import (
	"archive/tar"
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"

	"picket/internal/core/snap"
)

type body struct {
	data []byte
	cut  bool
	err  string
}

// hold counts what is kept of files. An archive can be made to unpack to
// thousands of times its size.
func (a *answer) hold(b *body) (*body, error) {
	if a.held += int64(len(b.data)); a.held > snap.MaxTotal {
		return nil, errFlood
	}
	return b, nil
}

// untar reads archives, one behind the other, to the end of the section.
func untar(s *stream, each func(h *tar.Header, path string, r io.Reader) error) error {
	br := bufio.NewReaderSize(s, 8<<10)
	for {
		// Archives are filled up with zeros.
		b, err := br.ReadByte()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case b == 0:
			continue
		}
		br.UnreadByte()
		tr := tar.NewReader(br)
		for {
			h, err := tr.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				if s.err != nil {
					return s.err
				}
				return fmt.Errorf("%w: its archive: %v", errGarbage, err)
			}
			if err := each(h, tarPath(h.Name), tr); err != nil {
				return err
			}
		}
	}
}

// tarPath gives back the slash that tar takes away.
func tarPath(name string) string { return "/" + strings.TrimLeft(name, "/") }

// archived keeps one file of an archive.
func (a *answer) archived(h *tar.Header, p string, r io.Reader) error {
	if !a.files.match(p) {
		return nil
	}
	if h.Typeflag == tar.TypeLink {
		// The same file under another name. The archive holds it once.
		if b := a.body[tarPath(h.Linkname)]; b != nil && a.body[p] == nil {
			b, err := a.hold(&body{data: b.data, cut: b.cut})
			if err != nil {
				return err
			}
			a.body[p] = b
		}
		return nil
	}
	if h.Typeflag != tar.TypeReg || a.body[p] != nil {
		return nil
	}
	b, err := readBody(r, p)
	if err != nil {
		return err
	}
	if b, err = a.hold(b); err != nil {
		return err
	}
	a.body[p] = b
	return nil
}

func readBody(r io.Reader, p string) (*body, error) {
	limit := snap.FileLimit(p)
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	b := &body{data: data}
	if int64(len(data)) > limit {
		b.data, b.cut = data[:limit:limit], true
	}
	return b, err
}

// one keeps a file that came by itself.
func (a *answer) one(s *stream) error {
	br := bufio.NewReaderSize(s, 16)
	var name []byte
	for !bytes.HasSuffix(name, []byte("//\n")) {
		c, err := br.ReadByte()
		if err == io.EOF || len(name) > 1<<16 {
			return errGarbage
		}
		if err != nil {
			return err
		}
		name = append(name, c)
	}
	p := string(name[:len(name)-3])
	if !a.files.match(p) {
		return nil
	}
	b, err := readBody(br, p)
	if err != nil {
		return err
	}
	if e := a.lstat[p]; e != nil && int64(len(b.data)) == snap.FileLimit(p) {
		// A large file was cut over there.
		if st := a.stat[p]; st != nil {
			e = st
		}
		b.cut = b.cut || e.Size > int64(len(b.data))
	}
	if a.body[p] == nil {
		a.body[p] = b
	}
	return nil
}

// heads takes apart what `head -v` prints. A file whose content looks like
// another one's headline is not believed.
func (a *answer) heads(data []byte) {
	var cur string
	var start int
	flush := func(end int) {
		if cur == "" {
			return
		}
		d := data[start:max(start, end)]
		b := &body{data: d}
		if limit := snap.FileLimit(cur); int64(len(d)) > limit {
			b.data, b.cut = d[:limit:limit], true
		}
		if old := a.body[cur]; old != nil && !bytes.Equal(old.data, b.data) {
			b = &body{err: "read " + cur + ": the host gave two answers"}
		}
		a.body[cur] = b
	}
	for i := 0; i < len(data); {
		n := bytes.IndexByte(data[i:], '\n')
		if n < 0 {
			break
		}
		line := data[i : i+n]
		if p, ok := bytes.CutPrefix(line, []byte("==> ")); ok {
			if p, ok := bytes.CutSuffix(p, []byte(" <==")); ok && a.files.match(string(p)) && (i == 0 || i >= 1 && data[i-1] == '\n') {
				flush(i - 1)
				cur, start = string(p), i+n+1
			}
		}
		i += n + 1
	}
	flush(len(data))
}

// headErrors marks the files about which head complained: GNU says
// "head: error reading 'F': WHY", BusyBox "head: F: WHY".
func (a *answer) headErrors(text string) {
	for l := range strings.Lines(text) {
		l = strings.TrimPrefix(strings.TrimSpace(l), "head: ")
		i := strings.LastIndex(l, ": ")
		if i < 0 {
			continue
		}
		name, why := l[:i], l[i+2:]
		if j := strings.IndexByte(name, '/'); j >= 0 {
			name = strings.TrimSuffix(strings.TrimSuffix(name[j:], " for reading"), "'")
		}
		if b := a.body[name]; a.files.match(name) && (b == nil || len(b.data) == 0) {
			a.body[name] = &body{err: "read " + name + ": " + strings.ToLower(why[:min(1, len(why))]) + why[min(1, len(why)):]}
		}
	}
}
