// Package account drafts changes of accounts as edits of the files that they are
// kept in: own lines only, everything else stays as it is.
package account

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/snap"
)

// The files, with the number of their fields in [fields].
const (
	Passwd  = "/etc/passwd"
	Shadow  = "/etc/shadow"
	Group   = "/etc/group"
	GShadow = "/etc/gshadow"
	SubUID  = "/etc/subuid"
	SubGID  = "/etc/subgid"
)

var fields = map[string]int{Passwd: 7, Shadow: 9, Group: 4, GShadow: 4, SubUID: 3, SubGID: 3}

// Files are all of them, in the order in which they are changed.
var Files = []string{Passwd, Group, Shadow, GShadow, SubUID, SubGID}

// Fields of passwd, shadow and group that are set.
const (
	password = 1 // of passwd and shadow
	shell    = 6 // of passwd
	listed   = 3 // members, of group and gshadow

	Changed  = 2 // day of the last change of the password, since 1970-01-01
	Min      = 3 // days
	Max      = 4
	Warn     = 5
	Inactive = 6
	Expires  = 7 // day, since 1970-01-01
)

// Closed is the day on which a closed account ended: the second that there was, since some programs take the first for
// no day at all.
const Closed = 1

// Check is a command that fails if pwck and grpck object to what they did not object to before: on a host that was in
// disorder, that is no reason to take a change back. They repeat whole lines, hashes too, so nobody hears what they say.
const Check = `exec >/dev/null 2>&1; command -v pwck || exit 0; o() { f=$(sed -n "s|^step file \([0-9]*\) $1 .*|old/\1|p" plan); echo "${f:-$1}"; }; ` +
	`{ pwck -rq || ! pwck -rq "$(o /etc/passwd)" "$(o /etc/shadow)"; } && { grpck -r || ! grpck -r "$(o /etc/group)" "$(o /etc/gshadow)"; }`

// CheckWords is what Check stands for.
const CheckWords = "pwck and grpck have to find nothing new"

// plainName is what useradd of Debian takes: a name that no program mistakes for something else. A dot is left out, as
// sudo does not read a file of that name.
var plainName = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`)

// CheckName says what is wrong with a name for a new account.
func CheckName(name string) error {
	if !plainName.MatchString(name) {
		return fmt.Errorf("%q is no name for an account: want small letters, digits, _ and -, at most 32, with a letter first", name)
	}
	return nil
}

// edit changes one of the files. It does not make one that is not there.
func edit(d *change.Draft, file string, f func(*table) error) error {
	is, err := d.At(file)
	if err != nil {
		return err
	}
	if is.Type == "" {
		return fmt.Errorf("there is no %s", file)
	}
	return d.Edit(file, is.Mode, func(was []byte) ([]byte, error) {
		t := parse(was, fields[file])
		if err := f(t); err != nil {
			return nil, err
		}
		return t.print(), nil
	})
}

// look reads one of the files; nil where it is not there.
func look(d *change.Draft, file string) (*table, error) {
	is, err := d.At(file)
	if err != nil || is.Type == "" {
		return nil, err
	}
	return parse(is.Content, fields[file]), nil
}

// record is an account's fields of one of the files.
func record(d *change.Draft, file, name string) ([]string, error) {
	t, err := look(d, file)
	if err != nil {
		return nil, err
	}
	if t == nil {
		return nil, fmt.Errorf("there is no %s", file)
	}
	i, err := t.has(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return t.split(i), nil
}

// inShadow refuses an account whose password does not stand in shadow: what is set there would not count.
func inShadow(d *change.Draft, name string) error {
	f, err := record(d, Passwd, name)
	if err != nil {
		return err
	}
	if f[password] != "x" {
		return fmt.Errorf("the password of %s does not stand in %s: `sudo pwconv` moves it there", name, Shadow)
	}
	return nil
}

// Password sets an account's password, by its hash. day is today.
func Password(d *change.Draft, name, hash string, day int) error {
	if hash == "" || strings.TrimLeft(hash, "!*") == "" {
		return errors.New("that is no hash of a password")
	}
	if err := inShadow(d, name); err != nil {
		return err
	}
	return edit(d, Shadow, func(t *table) error {
		i, err := t.has(name)
		if err != nil {
			return err
		}
		return errors.Join(t.set(i, password, hash), t.set(i, Changed, strconv.Itoa(day)))
	})
}

// Lock has no password of an account work: a mark stands before the hash, which stays.
func Lock(d *change.Draft, name string) error {
	if err := inShadow(d, name); err != nil {
		return err
	}
	return edit(d, Shadow, func(t *table) error {
		i, err := t.has(name)
		if err != nil {
			return err
		}
		if was := t.split(i)[password]; !strings.HasPrefix(was, "!") && !strings.HasPrefix(was, "*") {
			return t.set(i, password, "!"+was)
		}
		return nil
	})
}

// Bar takes an empty password away: none works then, and keys still do, whatever sshd is told about PAM.
func Bar(d *change.Draft, name string) error {
	f, err := record(d, Passwd, name)
	if err != nil {
		return err
	}
	shadow, err := look(d, Shadow)
	if err != nil {
		return err
	}
	in := -1
	if shadow != nil {
		if in, err = shadow.find(name); err != nil {
			return fmt.Errorf("%s: %w", Shadow, err)
		}
	}
	if f[password] == "" {
		to := "x"
		if in < 0 {
			to = "*"
		}
		if err := edit(d, Passwd, func(t *table) error {
			i, err := t.has(name)
			if err != nil {
				return err
			}
			return t.set(i, password, to)
		}); err != nil {
			return err
		}
	}
	if in < 0 || shadow.split(in)[password] != "" {
		return nil
	}
	return edit(d, Shadow, func(t *table) error { return t.set(in, password, "*") })
}

// Age sets one of the days of an account in shadow; a negative number leaves the field empty.
func Age(d *change.Draft, name string, field, days int) error {
	value := ""
	if days >= 0 {
		value = strconv.Itoa(days)
	}
	return edit(d, Shadow, func(t *table) error {
		i, err := t.has(name)
		if err != nil {
			return err
		}
		return t.set(i, field, value)
	})
}

// Shell gives an account another shell.
func Shell(d *change.Draft, name, to string) error {
	return edit(d, Passwd, func(t *table) error {
		i, err := t.has(name)
		if err != nil {
			return err
		}
		return t.set(i, shell, to)
	})
}

// Close has nobody come in as an account any more: its password is locked, it has ended, and its keys lie where sshd
// does not look. What runs as it goes on; cron starts nothing more for it.
func Close(d *change.Draft, name string, keys []string) error {
	if err := errors.Join(Lock(d, name), Age(d, name, Expires, Closed)); err != nil {
		return err
	}
	for _, file := range keys {
		is, err := d.At(file)
		if err != nil {
			return err
		}
		if is.Type != snap.File {
			continue
		}
		away := path.Dir(file) + "/closed." + path.Base(file)
		for there, err := d.At(away); there.Type != "" || err != nil; there, err = d.At(away) {
			away += ".old" // of an account that was closed before
			if len(away) > len(file)+100 {
				return fmt.Errorf("there is no room beside %s", file)
			}
		}
		d.Hide(away)
		if err := d.Put(away, is); err != nil {
			return err
		}
		if err := d.Remove(file); err != nil {
			return err
		}
	}
	return nil
}

// Leave takes an account out of a group.
func Leave(d *change.Draft, name, group string) error {
	for _, file := range []string{Group, GShadow} {
		t, err := look(d, file)
		if err != nil {
			return err
		}
		if t == nil {
			continue
		}
		if err := edit(d, file, func(t *table) error {
			i, err := t.find(group)
			if err != nil || i < 0 {
				return err
			}
			all := members(t.split(i)[listed])
			left := slices.DeleteFunc(slices.Clone(all), func(m string) bool { return m == name })
			if len(left) == len(all) {
				return nil
			}
			return t.set(i, listed, strings.Join(left, ","))
		}); err != nil {
			return err
		}
	}
	return nil
}

// Groups are those that list an account.
func Groups(d *change.Draft, name string) ([]string, error) {
	t, err := look(d, Group)
	switch {
	case err != nil:
		return nil, err
	case t == nil:
		return nil, fmt.Errorf("there is no %s", Group)
	}
	var out []string
	for i := range t.lines {
		if f := t.split(i); f != nil && slices.Contains(members(f[listed]), name) {
			out = append(out, f[0])
		}
	}
	return out, nil
}
