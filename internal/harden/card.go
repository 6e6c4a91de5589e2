package harden

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"picket/internal/core/change"
	"picket/internal/core/plan"
	"picket/internal/core/snap"
)

// A Card is the root folder of a host that does not run: a mounted SD card. Nothing outside of it is ever touched,
// whatever links it holds.
type Card struct {
	root *os.Root
}

// OpenCard opens a root folder. It refuses the root of this machine, and what is none.
func OpenCard(dir string) (*Card, error) {
	here, err := os.Stat("/")
	if err != nil {
		return nil, err
	}
	there, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if os.SameFile(here, there) {
		return nil, fmt.Errorf("%s is the root of this machine, which runs", dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	c := &Card{root}
	if _, err := root.Stat("etc/os-release"); err != nil {
		if _, err := root.Lstat("etc/os-release"); err != nil {
			return nil, errors.Join(fmt.Errorf("%s holds no system: there is no etc/os-release in it", dir), root.Close())
		}
	}
	return c, nil
}

// Close closes it.
func (c *Card) Close() error { return c.root.Close() }

const (
	firstUnit = "etc/systemd/system/picket-first.service"
	firstLink = "etc/systemd/system/multi-user.target.wants/picket-first.service"
	// firstText runs what needs the running host, and is taken away by it.
	firstText = `[Unit]
Description=What Picket has left for the first start of this host
Wants=network-online.target
After=network-online.target ssh.service

[Service]
Type=exec
ExecStart=/bin/sh -c 'for t in ` + Box + `/*/first; do sh "$${t%/first}/tx" first; done'

[Install]
WantedBy=multi-user.target
`
)

// Apply changes the files of a card as a plan says. What needs the running host, checks among it, is done at its first
// start, which then keeps it, or takes all of it back, and says so in the host's journal.
func (c *Card) Apply(p plan.Plan, opt Options) error {
	folder, err := plan.Compile(p.Steps)
	if err != nil {
		return fmt.Errorf("%w: %w", err, ErrRefused)
	}
	folder["within"] = fmt.Appendf(nil, "%d\n", int(opt.Within.Seconds()))
	folder["left"] = left(p)
	folder["first"] = []byte("\n")
	folder["state"] = []byte("writing\n")
	for i, s := range p.Steps {
		if s.Verb == change.File {
			if err := c.look(s); err != nil {
				return fmt.Errorf("step %d: %w: %w", i+1, err, ErrRefused)
			}
		}
	}
	if half := c.half(); half != "" {
		return fmt.Errorf("%s was left half done: picket rollback %s, with this card: %w", half, half, ErrRefused)
	}
	at := strings.TrimPrefix(Box, "/") + "/" + opt.ID
	if err := c.lay(at, folder, p.Steps); err != nil {
		return fmt.Errorf("the steps cannot be laid onto the card: %w: %w", errors.Join(err, c.root.RemoveAll(at)), ErrRefused)
	}
	for i, s := range p.Steps {
		if s.Verb != change.File {
			continue
		}
		if err := c.take(s, folder[fmt.Sprintf("new/%03d", i+1)], opt.ID); err != nil {
			if back := c.Back(opt.ID); back != nil {
				return fmt.Errorf("step %d: %w: %w: %w", i+1, err, back, ErrNotUndone)
			}
			return fmt.Errorf("step %d: %w: %w", i+1, err, ErrRolledBack)
		}
	}
	err = errors.Join(c.put(firstUnit, []byte(firstText), 0o644), c.enable(), c.put(at+"/state", []byte("prepared\n"), 0o600))
	if err != nil {
		return fmt.Errorf("%w: %w", errors.Join(err, c.Back(opt.ID)), ErrRolledBack)
	}
	syscall.Sync()
	return nil
}

// Back gives a card back what was there before a change, as long as it was not started with it.
func (c *Card) Back(id string) error {
	at := strings.TrimPrefix(Box, "/") + "/" + id
	state, err := c.root.ReadFile(at + "/state")
	if err != nil {
		return err
	}
	if s := strings.TrimSpace(string(state)); s != "writing" && s != "prepared" {
		return fmt.Errorf("this was %s on the running host, and is taken back there: sh %s/%s/tx undo", s, Box, id)
	}
	if _, err := c.root.Stat(at + "/first"); err != nil {
		return fmt.Errorf("this was not begun on a card: %w", err)
	}
	if err := c.put(at+"/state", []byte("writing\n"), 0o600); err != nil {
		return err
	}
	text, err := c.root.ReadFile(at + "/card/paths")
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // without it nothing was changed yet
		return err
	}
	var errs []error
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for _, l := range slices.Backward(lines) {
		n, p, ok := strings.Cut(l, " ")
		if ok {
			errs = append(errs, c.restore(at+"/card/"+n, p, id))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := c.root.RemoveAll(at); err != nil {
		return err
	}
	if c.pending() {
		return nil
	}
	for _, p := range []string{firstLink, firstUnit} {
		if err := c.root.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	syscall.Sync()
	return nil
}

// pending reports whether another change waits for the first start.
func (c *Card) pending() bool {
	found, _ := fs.Glob(c.root.FS(), strings.TrimPrefix(Box, "/")+"/*/first")
	return len(found) > 0
}

// half is a change that was cut off while the card was being written, "" if there is none.
func (c *Card) half() string {
	found, _ := fs.Glob(c.root.FS(), strings.TrimPrefix(Box, "/")+"/*/state")
	for _, f := range found {
		if b, err := c.root.ReadFile(f); err == nil && strings.TrimSpace(string(b)) == "writing" {
			return path.Base(path.Dir(f))
		}
	}
	return ""
}

// Raw reads files of the card as they are. It gives those that are files.
func (c *Card) Raw(paths []string) (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, p := range paths {
		info, err := c.root.Lstat(inside(p))
		switch {
		case errors.Is(err, fs.ErrNotExist), err == nil && !info.Mode().IsRegular():
			continue
		case err != nil:
			return nil, err
		case info.Size() > maxRaw:
			return nil, fmt.Errorf("%s is longer than can be changed", p)
		}
		if out[p], err = c.root.ReadFile(inside(p)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Writable says why its files cannot be changed by whoever runs this, "" if they can.
func (c *Card) Writable() string {
	info, err := c.root.Stat("etc")
	if err != nil {
		return err.Error()
	}
	if _, uid, _ := owned(info); os.Geteuid() != 0 && uid != os.Geteuid() {
		return "its files are root's"
	}
	return ""
}

// lay writes the folder of a transaction, and what is there before beside it, in card.
func (c *Card) lay(at string, folder plan.Folder, steps []change.Step) error {
	for _, dir := range []string{path.Dir(path.Dir(at)), path.Dir(at)} {
		if err := c.root.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if err := errors.Join(c.root.Mkdir(at, 0o700), c.root.Mkdir(at+"/new", 0o700), c.root.Mkdir(at+"/card", 0o700)); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(folder)) {
		if err := c.put(at+"/"+name, folder[name], 0o600); err != nil {
			return err
		}
	}
	var paths strings.Builder
	for i, s := range steps {
		if s.Verb != change.File {
			continue
		}
		n := fmt.Sprintf("%03d", i+1)
		if err := c.keep(at+"/card/"+n, s.Name); err != nil {
			return err
		}
		fmt.Fprintf(&paths, "%s %s\n", n, s.Name)
	}
	return c.put(at+"/card/paths", []byte(paths.String()), 0o600)
}

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

// keep saves what lies at a path, in the form in which the host goes back to it.
func (c *Card) keep(to, p string) error {
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
	content, err := c.root.ReadFile(inside(p))
	if err != nil {
		return err
	}
	return c.write(to, content, mode, uid, gid, info.ModTime())
}

// owned are a file's mode with set-id and sticky bits, and its owner.
func owned(info fs.FileInfo) (mode uint32, uid, gid int) {
	st, _ := info.Sys().(*syscall.Stat_t)
	return st.Mode & 0o7777, int(st.Uid), int(st.Gid)
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
	return c.root.Rename(part, at)
}

// restore gives a path back what keep has saved.
func (c *Card) restore(from, p, id string) error {
	was, err := c.root.ReadFile(from + ".is")
	if err != nil {
		return err
	}
	at, sum := inside(p), strings.TrimSpace(string(was))
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
	case strings.HasPrefix(sum, "link:"):
		return errors.Join(c.root.Symlink(strings.TrimPrefix(sum, "link:"), part), c.root.Rename(part, at))
	}
	content, err := c.root.ReadFile(from)
	if err != nil {
		return err
	}
	info, err := c.root.Lstat(from)
	if err != nil {
		return err
	}
	if err := c.write(part, content, mode, uid, gid, info.ModTime()); err != nil {
		return err
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
	if os.Geteuid() == 0 {
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

// enable has the first start run what is left for it.
func (c *Card) enable() error {
	if err := c.root.Mkdir(path.Dir(firstLink), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	err := c.root.Symlink("/"+firstUnit, firstLink)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}
