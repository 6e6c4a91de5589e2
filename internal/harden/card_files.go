package harden

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"picket/internal/core/change"
	"picket/internal/core/plan"
	"picket/internal/core/snap"
	"picket/internal/host/machine"
)

func inside(p string) string { return strings.TrimPrefix(p, "/") }

// is tells what lies at a path, as a plan's sums do.
func (c *Card) is(p string) (sum string, info fs.FileInfo, err error) {
	info, err = c.root.Lstat(inside(p))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "-", nil, nil
	case err != nil:
		return "", nil, err
	case info.IsDir():
		return "dir", info, nil
	case info.Mode()&fs.ModeSymlink != 0:
		to, err := c.root.Readlink(inside(p))
		return "link:" + to, info, err
	case !info.Mode().IsRegular():
		return "", nil, fmt.Errorf("%s is no file", p)
	}
	f, err := c.root.Open(inside(p))
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", nil, err
	}
	return hex.EncodeToString(h.Sum(nil)), info, nil
}

// look refuses a step whose path is not as it was when the plan was made.
func (c *Card) look(s change.Step) error {
	sum, _, err := c.is(s.Name)
	if err != nil {
		return err
	}
	before := plan.Sum(s.Before)
	any := before == "file" && sum != "-" && sum != "dir" && !strings.HasPrefix(sum, "link:")
	made := s.Before.Type == "" && s.After.Type == snap.Dir && sum == "dir"
	if sum != before && !any && !made {
		return fmt.Errorf("%s was changed after the plan was made", s.Name)
	}
	return nil
}

// keep saves what lies at the path of a step, in the form in which the host goes back to it: as another name of the same file
// where that can be, which keeps all that it has, its other names among it.
func (c *Card) keep(to string, s change.Step) error {
	p := s.Name
	sum, info, err := c.is(p)
	if err != nil {
		return err
	}
	if err := c.put(to+".is", []byte(sum+"\n"), 0o600); err != nil || info == nil {
		return err
	}
	mode, uid, gid := owned(info)
	if err := c.put(to+".meta", fmt.Appendf(nil, "%04o %d %d\n", mode, uid, gid), 0o600); err != nil {
		return err
	}
	switch {
	case info.IsDir():
		return nil
	case info.Mode()&fs.ModeSymlink != 0:
		return c.root.Symlink(strings.TrimPrefix(sum, "link:"), to)
	}
	if !s.After.Opaque { // else that very file gets other rights
		err := c.root.Link(inside(p), to)
		if err == nil {
			return nil
		}
		if n := machine.Names(info); n > 1 {
			return fmt.Errorf("%s has %d names, of which one cannot be kept: %w", p, n, err)
		}
	}
	return c.copy(inside(p), to, mode, uid, gid, info.ModTime())
}

// copy copies a file with all that it has.
func (c *Card) copy(from, to string, mode uint32, uid, gid int, when time.Time) error {
	content, err := c.root.ReadFile(from)
	if err != nil {
		return err
	}
	if err := c.write(to, content, mode, uid, gid, time.Time{}); err != nil {
		return err
	}
	return errors.Join(c.attributes(from, to, "", false), c.root.Chtimes(to, when, when))
}

// attributes gives a file the extended attributes of another, such as its access control list, but for those whose names
// begin so and, if only what is missing is wanted, those that it has.
func (c *Card) attributes(from, to, but string, missing bool) error {
	f, err := c.root.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	all, err := machine.Attributes(f)
	if err != nil || len(all) == 0 {
		return err
	}
	t, err := c.root.Open(to)
	if err != nil {
		return err
	}
	defer t.Close()
	has, err := machine.Attributes(t)
	if err != nil {
		return err
	}
	for name, value := range all {
		if _, is := has[name]; is && missing || but != "" && strings.HasPrefix(name, but) {
			continue
		}
		if err := machine.SetAttribute(t, name, value); err != nil {
			return fmt.Errorf("%s: attribute %s: %w", to, name, err)
		}
	}
	return nil
}

// owned are a file's mode with set-id and sticky bits, and its owner.
func owned(info fs.FileInfo) (mode uint32, uid, gid int) {
	uid, gid, _ = machine.Owner(info)
	return machine.Mode(info), uid, gid
}

// take takes a step of the verb file.
func (c *Card) take(s change.Step, content []byte, id string) error {
	to, at := s.After, inside(s.Name)
	switch {
	case to.Type == "":
		if err := c.root.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	case to.Type == snap.Dir && s.Before.Type == "":
		if err := c.root.Mkdir(at, 0o755); errors.Is(err, fs.ErrExist) {
			return nil
		} else if err != nil {
			return err
		}
		return c.own(at, to.Mode, to.UID, to.GID)
	case to.Type == snap.Link:
		part := path.Dir(at) + "/.picket-" + id
		return errors.Join(c.root.Symlink(to.Target, part), c.root.Rename(part, at))
	case to.Opaque || to.Type == snap.Dir:
		return c.own(at, to.Mode, to.UID, to.GID)
	}
	part := path.Dir(at) + "/.picket-" + id
	if err := c.write(part, content, to.Mode, to.UID, to.GID, time.Time{}); err != nil {
		return err
	}
	// As one who edits it keeps it: what is of security is the content's, such as what a program may do, and a list of who may
	// read it gets the limits of the mode.
	if info, err := c.root.Lstat(at); err == nil && info.Mode().IsRegular() {
		if err := errors.Join(c.attributes(at, part, "security.", false), c.own(part, to.Mode, to.UID, to.GID)); err != nil {
			return err
		}
	}
	return c.root.Rename(part, at)
}

// restore gives a path back what keep has saved, if it still holds that or what the change wrote, of which wrote is the
// sum.
func (c *Card) restore(from, p, wrote, id string) error {
	was, err := c.root.ReadFile(from + ".is")
	if err != nil {
		return err
	}
	now, info, err := c.is(p)
	if err != nil {
		return err
	}
	if kept, err := c.root.Lstat(from); err == nil && info != nil && os.SameFile(kept, info) {
		return nil // it was not taken yet, or went back before
	}
	at, sum := inside(p), strings.TrimSpace(string(was))
	any := wrote == "file" && now != "-" && now != "dir" && !strings.HasPrefix(now, "link:")
	if now != sum && now != wrote && !any {
		return fmt.Errorf("%s was changed by somebody since: it stays as it is; what was there before is /%s", p, from)
	}
	part := path.Dir(at) + "/.picket-" + id
	if err := c.root.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var mode uint32
	var uid, gid int
	if sum != "-" {
		meta, err := c.root.ReadFile(from + ".meta")
		if err != nil {
			return err
		}
		if _, err := fmt.Sscanf(string(meta), "%o %d %d", &mode, &uid, &gid); err != nil {
			return err
		}
	}
	switch {
	case sum == "-":
		if err := c.root.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	case sum == "dir":
		return c.own(at, mode, uid, gid)
	case any:
		return errors.Join(c.own(at, mode, uid, gid), c.attributes(from, at, "", true)) // a new owner costs what a program may do
	case strings.HasPrefix(sum, "link:"):
		return errors.Join(c.root.Symlink(strings.TrimPrefix(sum, "link:"), part), c.root.Rename(part, at))
	}
	if err := c.root.Link(from, part); err != nil {
		kept, err := c.root.Lstat(from)
		if err != nil {
			return err
		}
		if err := c.copy(from, part, mode, uid, gid, kept.ModTime()); err != nil {
			return err
		}
	}
	return c.root.Rename(part, at)
}

// write writes a file with its rights, and brings it to the disk.
func (c *Card) write(p string, content []byte, mode uint32, uid, gid int, when time.Time) error {
	f, err := c.root.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := c.own(p, mode, uid, gid); err != nil || when.IsZero() {
		return err
	}
	return c.root.Chtimes(p, when, when)
}

// put writes a file of ours whole.
func (c *Card) put(p string, content []byte, mode uint32) error {
	if err := c.write(p+".part", content, mode, 0, 0, time.Time{}); err != nil {
		return err
	}
	return c.root.Rename(p+".part", p)
}

// own sets owner and mode. Whoever is not root on this machine owns what they write.
func (c *Card) own(p string, mode uint32, uid, gid int) error {
	info, err := c.root.Lstat(p)
	if err != nil {
		return err
	}
	if _, u, g := owned(info); os.Geteuid() == 0 && (u != uid || g != gid) { // it takes a program's capabilities, even where it changes nothing
		if err := c.root.Lchown(p, uid, gid); err != nil {
			return err
		}
	}
	m := fs.FileMode(mode & 0o777)
	for bit, is := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if mode&bit != 0 {
			m |= is
		}
	}
	return c.root.Chmod(p, m)
}
