//go:build linux

package snapshot

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"picket/internal/core/snap"
)

// maxLinks is how many links one path may lead through, as in the kernel.
const maxLinks = 40

// A tree is the file system of one host: the one we run on, or a folder that
// holds one. Links are resolved here and not by the kernel, so that they stay
// inside of the folder. Paths are those that the host itself would use.
type tree struct {
	root  string // "" on the running system
	live  bool   // the running system, with its /proc
	super bool   // we are root
	fd    int    // of root
	dev   uint64 // of root

	mu   sync.RWMutex
	dirs map[string]dirResult // folders resolved before
}

type dirResult struct {
	real string
	err  error
}

func openTree(root string, live, super bool) (*tree, error) {
	root = strings.TrimSuffix(root, "/")
	fd, err := unix.Open(root+"/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", root+"/", err)
	}
	t := &tree{root: root, live: live, super: super, fd: fd, dirs: map[string]dirResult{}}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("stat %s: %w", root+"/", err)
	}
	t.dev = uint64(st.Dev)
	return t, nil
}

func (t *tree) close() error { return unix.Close(t.fd) }

// lstat looks at a path whose folder has no links in it.
func (t *tree) lstat(real string) (st unix.Stat_t, err error) {
	if !t.live && t.hidden(real) {
		return st, unix.ENOENT
	}
	err = unix.Lstat(t.root+real, &st)
	if err == nil && !t.live && (real == "/run" || real == "/dev") && uint64(st.Dev) != t.dev {
		return st, unix.ENOENT // mounted there for a chroot
	}
	return st, err
}

// hidden tells the folders of an image in which only a machine that has
// mounted its own would answer.
func (t *tree) hidden(real string) bool {
	for _, d := range []string{"/proc", "/sys"} {
		if real == d || strings.HasPrefix(real, d+"/") {
			return true
		}
	}
	return false
}

// resolve follows all links of a path.
func (t *tree) resolve(p string) (real string, st unix.Stat_t, err error) {
	todo := strings.Split(p, "/")
	if st, err = t.lstat("/"); err != nil {
		return "", st, err
	}
	for links := 0; len(todo) > 0; {
		name := todo[0]
		todo = todo[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			real = strings.TrimSuffix(path.Dir("/"+real), "/")
			if st, err = t.lstat(real + "/"); err != nil {
				return "", st, err
			}
			continue
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR {
			return "", st, unix.ENOTDIR
		}
		next := real + "/" + name
		if st, err = t.lstat(next); err != nil {
			return "", st, err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFLNK {
			real = next
			continue
		}
		target, err := t.readlink(next)
		if err != nil {
			return "", st, err
		}
		if links++; links > maxLinks {
			return "", st, unix.ELOOP
		}
		if t.live && len(todo) == 0 && strings.HasPrefix(next, "/proc/") && strings.Count(next, "/") > 2 {
			// What a process has open may have no path, or another one. The links in
			// /proc itself, as /proc/net, are ordinary ones.
			err := unix.Stat(next, &st)
			if !path.IsAbs(target) {
				target = ""
			}
			return target, st, err
		}
		if path.IsAbs(target) {
			real = ""
			if st, err = t.lstat("/"); err != nil {
				return "", st, err
			}
		} else if st, err = t.lstat(real + "/"); err != nil {
			return "", st, err
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	if real == "" {
		real = "/"
	}
	return real, st, nil
}

// dir resolves a folder; "" is the root.
func (t *tree) dir(p string) (string, error) {
	if p == "" || p == "/" {
		return "", nil
	}
	t.mu.RLock()
	r, ok := t.dirs[p]
	t.mu.RUnlock()
	if ok {
		return r.real, r.err
	}
	real, st, err := t.resolve(p)
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		err = unix.ENOTDIR
	}
	if real == "/" {
		real = ""
	}
	t.mu.Lock()
	t.dirs[p] = dirResult{real, err}
	t.mu.Unlock()
	return real, err
}

func (t *tree) readlink(real string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlink(t.root+real, buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

// entry looks at one path. The error is one of the kernel's; see absent.
func (t *tree) entry(p string) (*snap.Entry, error) {
	dir, err := t.dir(path.Dir(p))
	if err != nil {
		return nil, err
	}
	real := dir + "/" + path.Base(p)
	if p == "/" {
		real = "/"
	}
	st, err := t.lstat(real)
	if err != nil {
		return nil, err
	}
	e := &snap.Entry{Path: p}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		if e.Target, err = t.readlink(real); err != nil {
			return nil, err
		}
		to, end, err := t.resolve(real)
		switch {
		case absent(err):
			real = p // a link that leads nowhere
		case err != nil:
			return nil, err
		default:
			real, st = to, end
		}
	}
	if real != p {
		e.Real = real
	}
	fill(e, &st)
	return e, nil
}

// absent tells "it is not there" from "we could not look". A circle of links
// leads nowhere, too.
func absent(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}

// why is the reason to record for an error that absent does not cover.
func (t *tree) why(p string, err error) string {
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		return snap.Refused(p, t.super)
	}
	return fmt.Sprintf("read %s: %v", p, err)
}

func fill(e *snap.Entry, st *unix.Stat_t) {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		e.Type = snap.File
	case unix.S_IFDIR:
		e.Type = snap.Dir
	case unix.S_IFLNK:
		e.Type = snap.Link
	case unix.S_IFSOCK:
		e.Type = snap.Socket
	case unix.S_IFIFO:
		e.Type = snap.Fifo
	default:
		e.Type = snap.Device
	}
	e.Mode = st.Mode & 0o7777
	e.UID, e.GID, e.Size = int(st.Uid), int(st.Gid), st.Size
	e.MTime = snap.Time(int64(st.Mtim.Sec))
}

// open opens a path that has no links in it. One that got some meanwhile is
// refused: somebody is trying to have us read another file.
func (t *tree) open(real string, flags int) (int, error) {
	flags |= unix.O_CLOEXEC | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY
	rel := strings.TrimPrefix(real, "/")
	if rel == "" {
		rel = "."
	}
	fd, err := unix.Openat2(t.fd, rel, &unix.OpenHow{Flags: uint64(flags), Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_BENEATH})
	if err != unix.ENOSYS && err != unix.EPERM {
		return fd, err
	}
	// Before Linux 5.6, and where a sandbox forbids the call.
	at := t.fd
	for {
		name, rest, more := strings.Cut(rel, "/")
		f := flags
		if more {
			f = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
		}
		fd, err := unix.Openat(at, name, f, 0)
		if at != t.fd {
			unix.Close(at)
		}
		if err != nil || !more {
			return fd, err
		}
		at, rel = fd, rest
	}
}

// read reads at most limit bytes of a regular file.
func (t *tree) read(real string, size, limit int64) (data []byte, cut bool, err error) {
	fd, err := t.open(real, unix.O_RDONLY)
	if err != nil {
		return nil, false, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, false, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, false, errors.New("it changed while it was read")
	}
	// One byte more than expected shows the end in a single read; files of
	// /proc and /sys are longer than they say.
	data = make([]byte, 0, min(max(size, 4095), limit)+1)
	for {
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
		room := data[len(data):min(int64(cap(data)), limit+1)]
		n, err := unix.Read(fd, room)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, false, err
		case n == 0:
			return data, false, nil
		}
		if data = data[:len(data)+n]; int64(len(data)) > limit {
			return data[:limit:limit], true, nil
		}
	}
}
