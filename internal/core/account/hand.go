package account

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/snap"
)

// Crontabs is where the tables of accounts lie.
const Crontabs = "/var/spool/cron/crontabs/"

// tabUser is what stands before the name of an account in a line of a system table of cron.
var tabUser = regexp.MustCompile(`^([ \t]*(?:@[a-z]+|[^\s#@]\S*(?:[ \t]+\S+){4})[ \t]+)(\S+)([ \t].*)$`)

// unitUser is the line of a unit that says as whom it runs.
var unitUser = regexp.MustCompile(`^([ \t]*User[ \t]*=[ \t]*)(\S+)([ \t]*)$`)

// HandOver drafts that what runs as one account runs as another: its table of cron, its lines in the tables of the
// system, and User= in units of the host's own. files are those to look into; what else names the account stays. It gives
// the units that were changed.
func HandOver(d *change.Draft, from, to string, files []string) (units []string, err error) {
	uid, err := number(d, to, 2)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		var line *regexp.Regexp
		switch {
		case file == Crontabs+from:
			if err := moveTable(d, file, Crontabs+to, uid); err != nil {
				return nil, err
			}
			continue
		case file == "/etc/crontab", path.Dir(file) == "/etc/cron.d":
			line = tabUser
		case strings.HasPrefix(file, "/etc/systemd/system/"):
			line = unitUser
		default:
			continue
		}
		is, err := d.At(file)
		if err != nil {
			return nil, err
		}
		if is.Type != snap.File {
			continue
		}
		content := renamed(is.Content, line, from, to)
		if string(content) == string(is.Content) {
			continue
		}
		if err := d.Edit(file, is.Mode, func([]byte) ([]byte, error) { return content, nil }); err != nil {
			return nil, err
		}
		if line == unitUser {
			units = append(units, unitOf(file))
		}
	}
	return units, nil
}

// renamed puts one name in the place of another where a form has it in its second part.
func renamed(content []byte, form *regexp.Regexp, from, to string) []byte {
	ls := strings.SplitAfter(string(content), "\n")
	for i, l := range ls {
		end := l[len(strings.TrimRight(l, "\r\n")):]
		if m := form.FindStringSubmatch(strings.TrimSuffix(l, end)); m != nil && m[2] == from {
			ls[i] = m[1] + to + m[3] + end
		}
	}
	return []byte(strings.Join(ls, ""))
}

// unitOf is the unit that a file below /etc/systemd/system belongs to.
func unitOf(file string) string {
	rest := strings.TrimPrefix(file, "/etc/systemd/system/")
	first, _, within := strings.Cut(rest, "/")
	if name, ok := strings.CutSuffix(first, ".d"); ok && within {
		return name
	}
	return path.Base(file)
}

// moveTable moves one account's table of cron to another, after the jobs that that has.
func moveTable(d *change.Draft, from, to string, uid int) error {
	is, err := d.At(from)
	if err != nil || is.Type != snap.File {
		return err
	}
	d.Hide(to)
	has, err := d.At(to)
	switch {
	case err != nil:
		return err
	case has.Type == "":
		moved := is
		moved.UID = uid
		err = d.Put(to, moved)
	default:
		err = d.Edit(to, has.Mode, func(was []byte) ([]byte, error) {
			if len(was) > 0 && was[len(was)-1] != '\n' {
				was = append(was[:len(was):len(was)], '\n')
			}
			return append(was[:len(was):len(was)], is.Content...), nil
		})
	}
	if err != nil {
		return err
	}
	return d.Remove(from)
}

// number is a number in an account's line of passwd.
func number(d *change.Draft, name string, field int) (int, error) {
	f, err := record(d, Passwd, name)
	if err != nil {
		return 0, err
	}
	var n int
	if _, err := fmt.Sscanf(f[field], "%d", &n); err != nil {
		return 0, fmt.Errorf("%s: the number of %s is none", Passwd, name)
	}
	return n, nil
}
