package harden

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"picket/internal/core/change"
	"picket/internal/core/plan"
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
