package snapshot

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

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
