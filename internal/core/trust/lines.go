package trust

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/fact"
	"picket/internal/core/pinned"
	"picket/internal/core/snap"
)

// KeyFile is the file into which a key is put that is to let somebody in as a user: one that sshd reads.
func KeyFile(h *fact.Host, u fact.User) (string, error) {
	var other string
	for _, f := range h.Keys.Files[u.Name] {
		switch {
		case f.State == fact.Denied || f.State == fact.Unknown:
			return "", fmt.Errorf("whose keys let in as %s is not known: %s", u.Name, f.Why)
		case f.Usual(u) && path.Base(f.Path) == "authorized_keys":
			return f.Path, nil
		case other == "" && path.IsAbs(f.Path):
			other = f.Path
		}
	}
	if other == "" {
		return "", fmt.Errorf("sshd reads no keys for %s", u.Name)
	}
	return other, nil
}

// Add drafts a line at the end of a file of keys, or of known hosts, and the file and its folder where they are not there: they
// become the user's. The other lines stay as they are.
func Add(d *change.Draft, u fact.User, file string, mode uint32, lines ...string) error {
	is, err := d.At(file)
	if err != nil {
		return err
	}
	text := strings.Join(lines, "\n") + "\n"
	if is.Type == "" {
		own := strings.HasPrefix(file, u.Home+"/")
		if dir := path.Dir(file); own && dir == u.Home+"/.ssh" {
			if err := folder(d, u); err != nil {
				return err
			}
		}
		t := change.Thing{Type: snap.File, Mode: mode, Content: []byte(text)}
		if own {
			t.UID, t.GID = u.UID, u.GID
		}
		return d.Put(file, t)
	}
	return d.Edit(file, mode, func(was []byte) ([]byte, error) {
		if len(was) > 0 && was[len(was)-1] != '\n' {
			was = append(slices.Clone(was), '\n')
		}
		return append(slices.Clip(was), text...), nil
	})
}

// folder drafts the user's .ssh where it is not there.
func folder(d *change.Draft, u fact.User) error {
	dir := u.Home + "/.ssh"
	if err := d.Put(dir, change.Thing{Type: snap.Dir, Mode: 0o700, UID: u.UID, GID: u.GID}); err != nil && !strings.Contains(err.Error(), "there is a ") {
		return err
	}
	return nil
}

// Pair drafts a key pair in the user's .ssh, where nothing of its name may lie.
func Pair(d *change.Draft, u fact.User, name string, private, public []byte) error {
	if err := folder(d, u); err != nil {
		return err
	}
	file := u.Home + "/.ssh/" + name
	d.Hide(file)
	for _, p := range []struct {
		path    string
		mode    uint32
		content []byte
	}{{file, 0o600, private}, {file + ".pub", 0o644, public}} {
		if err := d.Put(p.path, change.Thing{Type: snap.File, Mode: p.mode, UID: u.UID, GID: u.GID, Content: p.content}); err != nil {
			return err
		}
	}
	return nil
}

// Remove drafts that the lines of some keys go from a file. Comments, empty lines and all other keys stay where they are.
func Remove(d *change.Draft, file string, gone func(fact.AuthorizedKey) bool) (n int, err error) {
	is, err := d.At(file)
	if err != nil || is.Type != snap.File {
		return 0, err
	}
	err = d.Edit(file, is.Mode, func(was []byte) ([]byte, error) {
		var out []byte
		for line := range bytes.Lines(was) {
			if k, ok := fact.ReadKey(string(line)); ok && gone(k) {
				n++
				continue
			}
			out = append(out, line...)
		}
		return out, nil
	})
	return n, err
}

// Tighten drafts options for the lines of one key that have none. Lines with options stay as somebody has set them.
func Tighten(d *change.Draft, file, print, options string) error {
	is, err := d.At(file)
	if err != nil {
		return err
	}
	return d.Edit(file, is.Mode, func(was []byte) ([]byte, error) {
		var out []byte
		for line := range bytes.Lines(was) {
			if k, ok := fact.ReadKey(string(line)); ok && k.Fingerprint == print && len(k.Options) == 0 {
				out = append(append(out, options...), ' ')
				line = bytes.TrimLeft(line, " \t")
			}
			out = append(out, line...)
		}
		return out, nil
	})
}

// Known says which of some names have no line in a known_hosts file with a key; line is "TYPE BLOB". The error is that one has another
// key of the type.
func Known(content []byte, names []string, line string) (missing []string, err error) {
	want := strings.Fields(line)
	for _, name := range names {
		has := false
		for _, l := range pinned.Lines(content) {
			if l.Marker != "" || l.Key.Type != want[0] || l.Wild() || !l.Holds(name) {
				continue
			}
			if l.Key.Blob != want[1] {
				return nil, fmt.Errorf("line %d of known_hosts has another key for %s", l.N, name)
			}
			has = true
		}
		if !has {
			missing = append(missing, name)
		}
	}
	return missing, nil
}

// Repin puts new host keys in the place of old ones, for some names of one host: keys are "TYPE BLOB". What other names and
// other keys have stays as it is, and a name that was hidden stays hidden. had are the names that had an old key.
func Repin(content []byte, names, old, new []string) (out []byte, had []string) {
	var plain, hidden []string // as they are written
	for l := range strings.Lines(string(content)) {
		f := strings.Fields(l)
		if len(f) < 3 || strings.HasPrefix(f[0], "#") || strings.HasPrefix(f[0], "@") || !slices.Contains(old, f[1]+" "+f[2]) {
			out = append(out, l...)
			continue
		}
		var stay []string
		gone := false
		for _, name := range strings.Split(f[0], ",") {
			i := slices.IndexFunc(names, func(n string) bool {
				one := pinned.Line{Names: []string{name}}
				return !one.Wild() && one.Holds(n)
			})
			if i < 0 {
				stay = append(stay, name)
				continue
			}
			gone = true
			if slices.Contains(had, names[i]) {
				continue
			}
			had = append(had, names[i])
			if strings.HasPrefix(name, "|") {
				hidden = append(hidden, name)
			} else {
				plain = append(plain, names[i])
			}
		}
		switch {
		case !gone:
			out = append(out, l...)
		case len(stay) > 0:
			out = append(out, strings.Replace(l, f[0], strings.Join(stay, ","), 1)...)
		}
	}
	if len(had) == 0 {
		return content, nil
	}
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, '\n')
	}
	lines := hidden // each of which has a line of its own
	if len(plain) > 0 {
		lines = append([]string{strings.Join(plain, ",")}, hidden...)
	}
	for _, k := range new {
		for _, l := range lines {
			out = append(out, l+" "+k+"\n"...)
		}
	}
	return out, had
}
