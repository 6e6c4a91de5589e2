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

	"picket/internal/core/change"
	"picket/internal/core/plan"
	"picket/internal/host/machine"
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
	box       = "var/lib/picket/tx" // Box, in the card
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
	if err := c.free(p.Steps); err != nil {
		return err
	}
	at := box + "/" + opt.ID
	if err := c.lay(at, folder, p.Steps); err != nil {
		return fmt.Errorf("the steps cannot be laid onto the card: %w: %w", err, ErrRefused)
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
	machine.Sync()
	return nil
}

// Back gives a card back what was there before a change, as long as it was not started with it. What somebody has
// changed since stays, and is told.
func (c *Card) Back(id string) error {
	at := box + "/" + id
	if _, err := c.root.Stat(at + "/tx"); err != nil {
		return fmt.Errorf("there is no change %s on the card: %w", id, ErrRefused)
	}
	state := c.state(id)
	if _, err := c.root.Stat(at + "/first"); err != nil || !slices.Contains([]string{"writing", "prepared", "stuck"}, state) {
		return fmt.Errorf("this was %s on the running host, and is taken back there: sh %s/%s/tx undo: %w", state, Box, id, ErrRefused)
	}
	laid, err := c.laid(id)
	if err != nil {
		return err
	}
	for _, other := range c.waiting() {
		theirs, err := c.laid(other)
		if err != nil {
			return err
		}
		if both := meet(laid, theirs); other > id && len(both) > 0 {
			return fmt.Errorf("blocked by %s: %s: %w", other, strings.Join(both, ", "), ErrRefused)
		}
	}
	if err := c.put(at+"/state", []byte("writing\n"), 0o600); err != nil {
		return err
	}
	var errs []error
	for _, l := range slices.Backward(laid) {
		errs = append(errs, c.restore(at+"/card/"+l.n, l.path, l.sum, id))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w: %w", errors.Join(err, c.put(at+"/state", []byte("stuck\n"), 0o600)), ErrNotUndone)
	}
	if err := c.root.RemoveAll(at); err != nil {
		return err
	}
	if len(c.waiting()) > 0 {
		return nil
	}
	for _, p := range []string{firstLink, firstUnit} {
		if err := c.root.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	machine.Sync()
	return nil
}

// A laid path is one that a change has written: its step, and the sum of what is there since, "file" for any.
type laid struct {
	n, sum, path string
	made         bool // a folder that came with it
}

// laid are the paths that a change has written, in the order of its steps. None where it did not come that far.
func (c *Card) laid(id string) (all []laid, err error) {
	text, err := c.root.ReadFile(box + "/" + id + "/card/paths")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for l := range strings.Lines(string(text)) {
		f := strings.SplitN(strings.TrimSuffix(l, "\n"), "\t", 3)
		if len(f) != 3 {
			return nil, fmt.Errorf("%s/%s/card/paths cannot be read", Box, id)
		}
		was, err := c.root.ReadFile(box + "/" + id + "/card/" + f[0] + ".is")
		if err != nil {
			return nil, err
		}
		all = append(all, laid{f[0], f[1], f[2], f[1] == "dir" && strings.TrimSpace(string(was)) == "-"})
	}
	return all, err
}

// meet are the paths that two changes share, and what the second has in a folder that came with the first.
func meet(first, second []laid) (paths []string) {
	for _, a := range first {
		for _, b := range second {
			if a.path == b.path || a.made && strings.HasPrefix(b.path, a.path+"/") {
				paths = append(paths, b.path)
			}
		}
	}
	return paths
}

// free refuses a change where another has not ended, or has written one of its paths and was not started yet: the first
// start would find neither what the one was planned for nor what the other was.
func (c *Card) free(steps []change.Step) error {
	found, _ := fs.Glob(c.root.FS(), box+"/*/state")
	for _, f := range found {
		id := path.Base(path.Dir(f))
		switch c.state(id) {
		case "writing":
			return fmt.Errorf("%s was left half done: picket rollback %s, with this card: %w", id, id, ErrRefused)
		case "applying", "applied", "undoing":
			return fmt.Errorf("%s has not ended on the host, which goes back at its next start: start it first: %w", id, ErrRefused)
		}
	}
	for _, id := range c.waiting() {
		theirs, err := c.laid(id)
		if err != nil {
			return err
		}
		for _, s := range steps {
			if s.Verb == change.File && slices.ContainsFunc(theirs, func(l laid) bool { return l.path == s.Name }) {
				return fmt.Errorf("%s has written %s as well, and waits for the first start: start the host first, or take that back: picket rollback %s, with this card: %w", id, s.Name, id, ErrRefused)
			}
		}
	}
	return nil
}

// waiting are the changes that wait for the first start, the oldest first.
func (c *Card) waiting() (ids []string) {
	found, _ := fs.Glob(c.root.FS(), box+"/*/first")
	for _, f := range found {
		ids = append(ids, path.Base(path.Dir(f)))
	}
	return ids
}

// state is that of a change.
func (c *Card) state(id string) string {
	b, err := c.root.ReadFile(box + "/" + id + "/state")
	if err != nil {
		return "prepared"
	}
	return strings.TrimSpace(string(b))
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

// lay writes the folder of a transaction, and what is there before beside it, in card. If that fails nothing of it is left; one
// of that name that is there already is another's, with its way back.
func (c *Card) lay(at string, folder plan.Folder, steps []change.Step) error {
	for _, dir := range []string{path.Dir(path.Dir(at)), path.Dir(at)} {
		if err := c.root.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if err := c.root.Mkdir(at, 0o700); err != nil {
		return err
	}
	if err := c.fill(at, folder, steps); err != nil {
		return errors.Join(err, c.root.RemoveAll(at))
	}
	return nil
}

func (c *Card) fill(at string, folder plan.Folder, steps []change.Step) error {
	if err := errors.Join(c.root.Mkdir(at+"/new", 0o700), c.root.Mkdir(at+"/card", 0o700)); err != nil {
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
		if err := c.keep(at+"/card/"+n, s); err != nil {
			return err
		}
		fmt.Fprintf(&paths, "%s\t%s\t%s\n", n, plan.Sum(s.After), s.Name)
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
