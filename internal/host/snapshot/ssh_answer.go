package snapshot

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"time"

	"picket/internal/core/snap"
)

// An answer is what has come of one round, as raw as it came. Paths in it are
// only those that were asked for.
type answer struct {
	m      snap.Manifest
	limit  limits
	files  matcher // content is wanted
	all    matcher
	lstat  map[string]*snap.Entry
	stat   map[string]*snap.Entry
	target map[string]string
	real   map[string]string
	parent map[string]string
	locked map[string]bool
	unread map[string]bool
	body   map[string]*body
	denied map[string]string // pattern, as far as it is known spelled out → folder
	outs   map[int]*snap.Output
	walk   *snap.Walked

	walkFull      bool   // more was found than is kept
	meta, content bool   // complete
	missing       string // a tool
	told          int    // items of lists
	held          int64  // bytes of files
}

type body struct {
	data []byte
	cut  bool
	err  string
}

func newAnswer(m snap.Manifest, limit limits) *answer {
	return &answer{
		m: m, limit: limit, files: newMatcher(m.Files), all: newMatcher(m.Files, m.Stats),
		lstat: map[string]*snap.Entry{}, stat: map[string]*snap.Entry{},
		target: map[string]string{}, real: map[string]string{}, parent: map[string]string{},
		locked: map[string]bool{}, unread: map[string]bool{}, body: map[string]*body{},
		denied: map[string]string{}, outs: map[int]*snap.Output{},
	}
}

// read takes a whole answer. What came before an error is kept.
func (a *answer) read(s *stream) error {
	for {
		words, err := s.next()
		if err != nil {
			return err
		}
		if words[0] == secEnd {
			return nil
		}
		if err := a.section(s, words[0], words[1:]); err != nil {
			return err
		}
	}
}

// count bounds how many things a host may tell of: every path comes in a few
// sections, and each is kept.
func (a *answer) count() error {
	if a.told++; a.told > maxTold {
		return fmt.Errorf("the host has more than %d of what was asked for", snap.MaxEntries)
	}
	return nil
}

// maxTold leaves room for what of one path comes in several sections.
const maxTold = 8 * snap.MaxEntries

// hold counts what is kept of files. An archive can be made to unpack to
// thousands of times its size.
func (a *answer) hold(b *body) (*body, error) {
	if a.held += int64(len(b.data)); a.held > snap.MaxTotal {
		return nil, errFlood
	}
	return b, nil
}

func (a *answer) section(s *stream, name string, args []string) error {
	set := func(m map[string]bool) error {
		return s.names(func(p string) error {
			if a.files.match(p) || a.all.match(p) {
				m[p] = true
			}
			return a.count()
		})
	}
	switch name {
	case secMissing:
		if len(args) > 0 {
			a.missing = args[0]
		}
	case secDenied:
		return s.names(func(item string) error {
			i, dir, _ := strings.Cut(item, " ")
			n, err := strconv.Atoi(i)
			if err != nil || n < 0 || n >= len(a.m.Files)+len(a.m.Stats) {
				return errGarbage
			}
			p := ""
			if n < len(a.m.Files) {
				p = a.m.Files[n]
			} else {
				p = a.m.Stats[n-len(a.m.Files)]
			}
			a.denied[spelledOut(p, dir)] = dir
			return a.count()
		})
	case secLstat, secStat:
		to := a.lstat
		if name == secStat {
			to = a.stat
		}
		return s.names(func(item string) error {
			e, err := parseStat(item)
			if err != nil {
				return err
			}
			if a.all.match(e.Path) && to[e.Path] == nil {
				to[e.Path] = e
			}
			return a.count()
		})
	case secReal:
		return a.pairs(s, a.real)
	case secParent:
		return a.pairs(s, a.parent)
	case secNoTarget:
		return set(a.locked)
	case secUnread:
		return set(a.unread)
	case secTargets:
		return untar(s, func(h *tar.Header, p string, _ io.Reader) error {
			if !a.all.match(p) {
				return a.count()
			}
			if h.Typeflag == tar.TypeLink { // the same link under another name
				a.target[p] = a.target[tarPath(h.Linkname)]
			} else {
				a.target[p] = h.Linkname
			}
			return a.count()
		})
	case secMeta:
		a.meta = true
	case secFiles:
		return untar(s, a.archived)
	case secOne:
		return a.one(s)
	case secHeads:
		data, _, err := s.keep(snap.MaxTotal)
		a.heads(data)
		return err
	case secHeadErrs:
		data, _, err := s.keep(snap.MaxOutput)
		a.headErrors(string(data))
		return err
	case secContent:
		a.content = true
	case secCommand, secExit, secAbsent:
		return a.command(s, name, args)
	case secWalk:
		a.walk = &snap.Walked{Roots: a.walkRoots(), Err: "it did not come to its end"}
		full := false
		err := s.names(func(item string) error {
			e, err := parseStat(item)
			if err != nil {
				return err
			}
			if full = len(a.walk.Found) >= snap.MaxFound; !full && path.IsAbs(e.Path) {
				a.walk.Found = append(a.walk.Found, *e)
			}
			return nil
		})
		a.walkFull = full
		return err
	case secWalked:
		text, _, err := s.keep(maxStderr)
		if a.walk != nil && len(args) > 0 {
			a.walk.Err = a.walkError(args[0], string(text))
		}
		return err
	case secFailed:
	default:
		return errGarbage
	}
	return nil
}

func (a *answer) walkRoots() []string {
	if a.m.Walk == nil {
		return nil
	}
	return a.m.Walk.Roots
}

// walkError says why a walk is incomplete, from how find ended and what it
// complained about. A file that went while it was looked at is no problem.
func (a *answer) walkError(status, complaints string) string {
	if a.walkFull {
		return fmt.Sprintf("stopped after %d findings", snap.MaxFound)
	}
	switch status {
	case "0":
		return ""
	case "137", "124", "143":
		return "ran out of time after " + short(a.limit.walk)
	}
	first, gone := "", 0
	for l := range strings.Lines(complaints) {
		switch l = strings.TrimSpace(l); {
		case strings.HasSuffix(l, ": Permission denied"):
			return closedFolders
		case strings.HasSuffix(l, ": No such file or directory"):
			gone++
		case first == "":
			first = strings.ToValidUTF8(l, "\uFFFD")
		}
	}
	if first == "" && gone > 0 && len(complaints) < maxStderr {
		return ""
	}
	return fmt.Sprintf("find could not look everywhere (exit status %s): %.200s", status, first)
}

// closedFolders is completed by fill, which knows who we are.
const closedFolders = "some folders could not be entered"

// spelledOut spells out the beginning of a pattern that is known to lead to dir.
func spelledOut(pattern, dir string) string {
	if !snap.IsPattern(pattern) {
		return pattern
	}
	parts := strings.Split(pattern, "/")
	n := strings.Count(dir, "/") + 1
	if n > len(parts) || !snap.Match(strings.Join(parts[:n], "/"), dir) {
		return pattern
	}
	return strings.Join(append([]string{snap.Literal(dir)}, parts[n:]...), "/")
}

func (a *answer) pairs(s *stream, to map[string]string) error {
	key, second := "", false
	return s.names(func(item string) error {
		if second {
			to[key] = item
		}
		key, second = item, !second
		return a.count()
	})
}

// parseStat reads "MODE UID GID SIZE MTIME PATH".
func parseStat(item string) (*snap.Entry, error) {
	f := strings.SplitN(item, " ", 6)
	if len(f) != 6 {
		return nil, errGarbage
	}
	mode, err1 := strconv.ParseUint(f[0], 16, 32)
	uid, err2 := strconv.ParseUint(f[1], 10, 32)
	gid, err3 := strconv.ParseUint(f[2], 10, 32)
	size, err4 := strconv.ParseInt(f[3], 10, 64)
	mtime, err5 := strconv.ParseInt(f[4], 10, 64)
	if errors.Join(err1, err2, err3, err4, err5) != nil || !strings.HasPrefix(f[5], "/") {
		return nil, errGarbage
	}
	e := &snap.Entry{
		Path: f[5], Mode: uint32(mode & 0o7777), UID: int(uid), GID: int(gid), Size: size,
		MTime: snap.Time(mtime),
	}
	switch mode & 0o170000 {
	case 0o100000:
		e.Type = snap.File
	case 0o040000:
		e.Type = snap.Dir
	case 0o120000:
		e.Type = snap.Link
	case 0o140000:
		e.Type = snap.Socket
	case 0o010000:
		e.Type = snap.Fifo
	default:
		e.Type = snap.Device
	}
	return e, nil
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

const unfinished = "its answer did not come to an end"

// command keeps a part of a command's answer.
func (a *answer) command(s *stream, name string, args []string) error {
	if len(args) == 0 {
		return errGarbage
	}
	i, err := strconv.Atoi(args[0])
	if err != nil || i < 0 || i >= len(a.m.Commands) {
		return errGarbage
	}
	o := a.outs[i]
	if o == nil {
		o = &snap.Output{Argv: a.m.Commands[i].Argv}
		a.outs[i] = o
	}
	switch name {
	case secAbsent:
		o.Missing = true
	case secCommand:
		o.Exit, o.Err = -1, unfinished
		o.Stdout, o.Cut, err = s.keep(snap.MaxOutput)
	case secExit:
		if len(args) < 2 {
			return errGarbage
		}
		if o.Exit, err = strconv.Atoi(args[1]); err != nil {
			return errGarbage
		}
		o.Err = ""
		switch p, _ := snap.Permit(o.Argv); {
		case o.Exit > 128 && o.Exit < 160 && o.Exit != 137:
			o.Exit, o.Err = -1, fmt.Sprintf("ended by signal %d", o.Exit-128)
		case o.Exit == 137:
			o.Exit, o.Err = -1, "no answer after "+short(a.limit.of(p))
		}
		var text []byte
		text, _, err = s.keep(maxStderr)
		o.Stderr = strings.ToValidUTF8(string(text), "\uFFFD")
		if o.Cut {
			o.Exit, o.Err = -1, tooMuch
		}
	}
	return err
}

// short writes a duration as a person would: 10s, 2m.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	return s
}

// A matcher finds out quickly whether a path was asked for.
type matcher struct {
	literal map[string]bool
	wild    []wildcard
}

type wildcard struct{ before, pattern string }

func newMatcher(lists ...[]string) matcher {
	m := matcher{literal: map[string]bool{}}
	for _, l := range lists {
		for _, p := range l {
			if i := strings.IndexAny(p, `*?[\`); i >= 0 && snap.IsPattern(p) {
				m.wild = append(m.wild, wildcard{p[:i], p})
			} else {
				m.literal[p] = true
			}
		}
	}
	return m
}

func (m matcher) match(p string) bool {
	if !path.IsAbs(p) || path.Clean(p) != p || strings.ContainsRune(p, 0) {
		return false
	}
	if m.literal[p] {
		return true
	}
	for _, w := range m.wild {
		if strings.HasPrefix(p, w.before) && snap.Match(w.pattern, p) {
			return true
		}
	}
	return false
}
