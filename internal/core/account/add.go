package account

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/snap"
)

// New is an account that is to be made.
type New struct {
	Name   string
	From   string   // whose groups it gets, without that account's own; may be empty
	Groups []string // besides
	Hash   string   // of its password; "": it has none
	Shell  string
	Home   string // "": it has none
	Mode   uint32 // of the home
	Keys   []string
	Skel   []Piece // what lies in a new home
	Day    int     // today, in days since 1970-01-01
	Limits Limits
}

// A Piece of a new home.
type Piece struct {
	Path  string // within the home
	Thing change.Thing
}

// Limits are what login.defs says about new accounts.
type Limits struct {
	UIDMin, UIDMax           int
	SubMin, SubMax, SubCount int
	Min, Max, Warn, Inactive int // days; negative: the field stays empty
}

// Add drafts a new account with a group of its own, its home, and the keys that let it in.
func Add(d *change.Draft, n New) (uid int, err error) {
	if err := CheckName(n.Name); err != nil {
		return 0, err
	}
	passwd, err := look(d, Passwd)
	group, err2 := look(d, Group)
	if err := errors.Join(err, err2); err != nil {
		return 0, err
	}
	if passwd == nil || group == nil {
		return 0, fmt.Errorf("there is no %s or no %s", Passwd, Group)
	}
	if i, err := passwd.find(n.Name); err != nil {
		return 0, fmt.Errorf("%s: %w", Passwd, err)
	} else if i >= 0 {
		return 0, fmt.Errorf("there is an account %s already", n.Name)
	}
	if i, err := group.find(n.Name); err != nil {
		return 0, fmt.Errorf("%s: %w", Group, err)
	} else if i >= 0 {
		return 0, fmt.Errorf("there is a group %s already", n.Name)
	}
	groups := slices.Clone(n.Groups)
	if n.From != "" {
		if _, err := passwd.has(n.From); err != nil {
			return 0, fmt.Errorf("%s: %w", Passwd, err)
		}
		of, err := Groups(d, n.From)
		if err != nil {
			return 0, err
		}
		for _, g := range of {
			if g != n.From && !slices.Contains(groups, g) {
				groups = append(groups, g)
			}
		}
	}
	for _, g := range groups {
		if _, err := group.has(g); err != nil {
			return 0, fmt.Errorf("%s: %w", Group, err)
		}
	}
	id, err := free(n.Limits, passwd, group)
	if err != nil {
		return 0, err
	}
	number := strconv.Itoa(id)
	hash := n.Hash
	if hash == "" {
		hash = "*" // not !, which keeps sshd from taking a key where it does without PAM
	}
	day := func(n int) string {
		if n < 0 {
			return ""
		}
		return strconv.Itoa(n)
	}
	l := n.Limits
	add := func(file string, f ...string) error {
		t, err := look(d, file)
		if err != nil || t == nil && (file == GShadow || file == SubUID || file == SubGID) {
			return err
		}
		return edit(d, file, func(t *table) error {
			for i := range t.lines { // whose number changes hands must not inherit what was left
				if first, _, _ := strings.Cut(t.lines[i], ":"); first == n.Name {
					return fmt.Errorf("%s is there already", n.Name)
				}
			}
			for i := range t.lines {
				if g := t.split(i); g != nil && (file == Group || file == GShadow) && slices.Contains(groups, g[0]) && !slices.Contains(members(g[listed]), n.Name) {
					if err := t.set(i, listed, strings.Join(append(members(g[listed]), n.Name), ",")); err != nil {
						return err
					}
				}
			}
			return t.insert(f...)
		})
	}
	err = errors.Join(
		add(Passwd, n.Name, "x", number, number, "", cmp.Or(n.Home, "/nonexistent"), n.Shell),
		add(Group, n.Name, "x", number, ""),
		add(Shadow, n.Name, hash, day(n.Day), day(l.Min), day(l.Max), day(l.Warn), day(l.Inactive), "", ""),
		add(GShadow, n.Name, "!", "", ""),
	)
	if err != nil {
		return 0, err
	}
	for _, file := range []string{SubUID, SubGID} {
		t, err := look(d, file)
		if err != nil {
			return 0, err
		}
		if start := l.subordinate(t); start > 0 {
			if err := add(file, n.Name, strconv.Itoa(start), strconv.Itoa(l.SubCount)); err != nil {
				return 0, err
			}
		}
	}
	if n.Home == "" {
		return id, nil
	}
	return id, home(d, n, id)
}

// AddSystem drafts an account, with a group of its own, that a service runs as and nobody logs in with. day is today; its number is
// one from min to max.
func AddSystem(d *change.Draft, name string, day, min, max int) (uid int, err error) {
	return Add(d, New{Name: name, Hash: "!*", Shell: "/usr/sbin/nologin", Day: day, Limits: Limits{UIDMin: min, UIDMax: max, Min: -1, Max: -1, Warn: -1, Inactive: -1}})
}

// free is a number that neither an account nor a group has: after the highest, or else the first that is left.
func free(l Limits, passwd, group *table) (int, error) {
	used := passwd.numbers(2)
	for n := range passwd.numbers(3) {
		used[n] = true
	}
	for n := range group.numbers(2) {
		used[n] = true
	}
	next := l.UIDMin
	for n := range used {
		if n >= next && n <= l.UIDMax {
			next = n + 1
		}
	}
	for n := range l.UIDMax - l.UIDMin + 1 {
		at := next + n
		if at > l.UIDMax {
			at -= l.UIDMax - l.UIDMin + 1
		}
		if !used[at] && at >= l.UIDMin && at <= l.UIDMax {
			return at, nil
		}
	}
	return 0, fmt.Errorf("no number from %d to %d is left", l.UIDMin, l.UIDMax)
}

// subordinate is where the range of a new account begins, 0 for none.
func (l Limits) subordinate(t *table) int {
	if t == nil || l.SubCount <= 0 {
		return 0
	}
	start := l.SubMin
	for i := range t.lines {
		f := t.split(i)
		if f == nil {
			continue
		}
		from, err1 := strconv.Atoi(f[1])
		count, err2 := strconv.Atoi(f[2])
		if err1 == nil && err2 == nil && from >= 0 && count >= 0 && from <= l.SubMax && count <= l.SubMax {
			start = max(start, from+count)
		}
	}
	if start <= 0 || start+l.SubCount-1 > l.SubMax {
		return 0
	}
	return start
}

// home drafts the home of a new account. Its folder must not be there: what lies in it belongs to somebody.
func home(d *change.Draft, n New, id int) error {
	own := func(p string, t change.Thing) error {
		t.UID, t.GID = id, id
		if err := d.Put(p, t); err != nil {
			return err
		}
		return nil
	}
	if !path.IsAbs(n.Home) || path.Clean(n.Home) != n.Home || n.Home == "/" {
		return fmt.Errorf("%q is no place for a home", n.Home)
	}
	if err := own(n.Home, change.Thing{Type: snap.Dir, Mode: n.Mode}); err != nil {
		return err
	}
	for _, p := range n.Skel {
		if err := own(n.Home+"/"+p.Path, p.Thing); err != nil {
			return err
		}
	}
	if len(n.Keys) == 0 {
		return nil
	}
	ssh := n.Home + "/.ssh"
	if !slices.ContainsFunc(n.Skel, func(p Piece) bool { return p.Path == ".ssh" }) {
		if err := own(ssh, change.Thing{Type: snap.Dir, Mode: 0o700}); err != nil {
			return err
		}
	}
	return own(ssh+"/authorized_keys", change.Thing{Type: snap.File, Mode: 0o600, Content: []byte(strings.Join(n.Keys, "\n") + "\n")})
}
