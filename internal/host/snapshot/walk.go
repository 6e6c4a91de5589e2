//go:build linux

package snapshot

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"picket/internal/core/snap"
)

// A walker looks at every file of a host once. Folders wait on a stack that
// all workers share; going deep first keeps it short.
type walker struct {
	tree  *tree
	want  *snap.Walk
	max   int // entries found
	known struct{ uids, gids map[uint32]bool }

	mu      sync.Mutex
	work    *sync.Cond
	stack   []folder
	busy    int
	roots   map[inode]string
	found   []snap.Entry
	problem string // the first one that made the answer incomplete
	closed  int    // folders that we may not enter
	stopped bool
	seen    atomic.Int64
}

type folder struct {
	path string
	dev  uint64
}

type inode struct{ dev, ino uint64 }

// walk answers want within limit. It gives what was found until then, even
// when the file system hangs.
func (t *tree) walk(ctx context.Context, want *snap.Walk, limit time.Duration, workers int) *snap.Walked {
	w := &walker{tree: t, want: want, max: snap.MaxFound, roots: map[inode]string{}}
	w.work = sync.NewCond(&w.mu)
	w.known.uids, w.known.gids = set(want.UIDs), set(want.GIDs)
	done := make(chan struct{})
	var started []string
	go func() {
		defer close(done)
		roots := w.start()
		w.mu.Lock()
		started = roots
		w.mu.Unlock()
		var wg sync.WaitGroup
		for range workers {
			wg.Go(w.run)
		}
		wg.Wait()
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	why := ""
	select {
	case <-done:
	case <-timer.C:
		why = fmt.Sprintf("ran out of time after %s", limit)
	case <-ctx.Done():
		why = "interrupted"
	}
	w.stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	a := &snap.Walked{Found: slices.Clone(w.found), Seen: int(w.seen.Load()), Roots: started, Err: why}
	switch {
	case why != "":
	case w.problem != "":
		a.Err = w.problem
	case w.closed > 0 && !t.super:
		a.Err = fmt.Sprintf("run as root to see all: %d folders could not be entered", w.closed)
	case w.closed > 0:
		a.Err = fmt.Sprintf("the system refused even root to enter %d folders", w.closed)
	}
	slices.SortFunc(a.Found, func(a, b snap.Entry) int { return strings.Compare(a.Path, b.Path) })
	a.Found = slices.CompactFunc(a.Found, func(a, b snap.Entry) bool { return a.Path == b.Path })
	return a
}

func set(ids []int) map[uint32]bool {
	m := make(map[uint32]bool, len(ids))
	for _, id := range ids {
		m[uint32(id)] = true
	}
	return m
}

// start puts the roots on the stack and returns those that are walked.
func (w *walker) start() (roots []string) {
	for _, p := range w.want.Roots {
		real, st, err := w.tree.resolve(p)
		switch {
		case absent(err):
			continue // of an image: a disk that is not mounted here
		case err != nil:
			w.note(w.tree.why(p, err))
			continue
		case st.Mode&unix.S_IFMT != unix.S_IFDIR:
			continue
		}
		var fs unix.Statfs_t
		if err := unix.Statfs(w.tree.root+real, &fs); err != nil {
			w.note(w.tree.why(p, err))
			continue
		}
		if _, foreign := snap.WalkSkipFS[uint32(fs.Type)]; foreign {
			continue
		}
		id := inode{uint64(st.Dev), st.Ino}
		w.mu.Lock()
		if _, twice := w.roots[id]; !twice {
			w.roots[id] = real
			w.stack = append(w.stack, folder{real, id.dev})
			roots = append(roots, real)
			if w.wanted(&st) {
				e := snap.Entry{Path: real}
				fill(&e, &st)
				w.found = append(w.found, e)
			}
		}
		w.mu.Unlock()
	}
	return roots
}

// run takes folders until there are none and nobody can find more.
func (w *walker) run() {
	buf := make([]byte, 64<<10)
	var sub []folder
	var hits []snap.Entry
	for {
		w.mu.Lock()
		for len(w.stack) == 0 && w.busy > 0 && !w.stopped {
			w.work.Wait()
		}
		if w.stopped || len(w.stack) == 0 {
			w.mu.Unlock()
			w.work.Broadcast()
			return
		}
		f := w.stack[len(w.stack)-1]
		w.stack = w.stack[:len(w.stack)-1]
		w.busy++
		w.mu.Unlock()

		sub, hits = w.folder(f, buf, sub[:0], hits[:0])

		w.mu.Lock()
		w.busy--
		w.stack = append(w.stack, sub...)
		if !w.stopped {
			w.found = append(w.found, hits...)
			if len(w.found) > w.max {
				w.found = w.found[:w.max]
				w.stopped = true
				w.problem = fmt.Sprintf("stopped after %d findings", w.max)
			}
		}
		w.mu.Unlock()
		w.work.Broadcast()
	}
}

func (w *walker) stop() {
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
	w.work.Broadcast()
}

func (w *walker) note(problem string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.problem == "" {
		w.problem = problem
	}
}

// folder looks at the entries of one folder.
func (w *walker) folder(f folder, buf []byte, sub []folder, hits []snap.Entry) ([]folder, []snap.Entry) {
	fd, err := w.tree.open(f.path, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		w.failed(f.path, err)
		return sub, hits
	}
	defer unix.Close(fd)
	prefix := strings.TrimSuffix(f.path, "/") + "/"
	for {
		n, err := unix.Getdents(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			w.failed(f.path, err)
			return sub, hits
		}
		if n == 0 {
			return sub, hits
		}
		for rest := buf[:n]; len(rest) > 0; {
			var name string
			var kind byte
			name, kind, rest = nextDirent(rest)
			if name == "" || name == "." || name == ".." || kind == unix.DT_LNK {
				continue
			}
			var st unix.Stat_t
			if err := unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
				if !absent(err) {
					w.failed(prefix+name, err)
				}
				continue
			}
			w.seen.Add(1)
			dir := st.Mode&unix.S_IFMT == unix.S_IFDIR
			wanted := w.wanted(&st)
			if !dir && !wanted {
				continue
			}
			p := prefix + name
			if dir && uint64(st.Dev) != f.dev || w.skips(p) {
				continue
			}
			if dir && !w.root(&st) {
				sub = append(sub, folder{p, f.dev})
			}
			if wanted {
				e := snap.Entry{Path: p}
				fill(&e, &st)
				hits = append(hits, e)
			}
		}
		if w.isStopped() {
			return sub, hits
		}
	}
}

func (w *walker) isStopped() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stopped
}

// failed counts what we may not enter. A folder that has gone is no problem.
func (w *walker) failed(p string, err error) {
	switch {
	case absent(err):
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		w.mu.Lock()
		w.closed++
		w.mu.Unlock()
	default:
		w.note(w.tree.why(p, err))
	}
}

// wanted tells what snap.Walk asks for.
func (w *walker) wanted(st *unix.Stat_t) bool {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		return false
	case unix.S_IFREG:
		if st.Mode&(unix.S_ISUID|unix.S_ISGID|0o002) != 0 {
			return true
		}
	case unix.S_IFDIR:
		if st.Mode&0o002 != 0 && st.Mode&unix.S_ISVTX == 0 {
			return true
		}
	case unix.S_IFBLK, unix.S_IFCHR:
		if st.Mode&0o002 != 0 {
			return true
		}
	}
	return len(w.known.uids) > 0 && !w.known.uids[st.Uid] || len(w.known.gids) > 0 && !w.known.gids[st.Gid]
}

// root reports whether a folder is one of the roots, which are walked anyway.
func (w *walker) root(st *unix.Stat_t) bool {
	if len(w.want.Roots) < 2 {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, is := w.roots[inode{uint64(st.Dev), st.Ino}]
	return is
}

func (w *walker) skips(p string) bool {
	for _, list := range [][]string{w.want.Skip, snap.WalkSkip} {
		for _, s := range list {
			if snap.Match(s, p) {
				return true
			}
		}
	}
	return false
}

// nextDirent reads one struct linux_dirent64: ino 8 bytes, off 8, reclen 2,
// type 1, then the name with its NUL.
func nextDirent(b []byte) (name string, kind byte, rest []byte) {
	const head = 19
	if len(b) < head {
		return "", 0, nil
	}
	n := int(binary.NativeEndian.Uint16(b[16:]))
	if n < head || n > len(b) {
		return "", 0, nil
	}
	raw := b[head:n]
	if i := bytes.IndexByte(raw, 0); i >= 0 {
		raw = raw[:i]
	}
	return string(raw), b[18], b[n:]
}
