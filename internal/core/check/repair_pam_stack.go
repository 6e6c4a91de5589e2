package check

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/pamauth"
	"picket/internal/core/snap"
)

// Profiles of ours, for pam-auth-update to go on managing the stacks. What counts wrong passwords comes after all that
// look at one, and what refuses comes before them. The one that asks for a new password is the first; those after it take
// over what it was given.
var (
	lockoutProfiles = map[string]string{
		"picket-faillock": "Name: Refuse accounts with too many wrong passwords (Picket)\nDefault: yes\nPriority: 1024\n" +
			"Auth-Type: Primary\nAuth:\n\trequisite\tpam_faillock.so preauth\nAccount-Type: Primary\nAccount:\n\trequired\tpam_faillock.so\n",
		"picket-faillock-count": "Name: Count wrong passwords (Picket)\nDefault: yes\nPriority: 0\nAuth-Type: Primary\nAuth:\n\t[default=die]\tpam_faillock.so authfail\n",
	}
	historyProfiles = map[string]string{
		"picket-pwhistory": "Name: Refuse old passwords (Picket)\nDefault: yes\nPriority: 768\nPassword-Type: Primary\n" +
			"Password:\n\trequisite\tpam_pwhistory.so remember=24 use_authtok\nPassword-Initial:\n\trequisite\tpam_pwhistory.so remember=24\n",
	}
)

// enable has stacks call a module: by profiles where pam-auth-update manages them, else by byHand, which edits them.
func enable(h *fact.Host, d *change.Draft, module string, profiles map[string]string, byHand func() error) error {
	before := control.Drafted(d).Session.PAM
	is, err := stacks(d)
	if err == nil {
		_, err = is.Using()
	}
	switch {
	case errors.Is(err, pamauth.ErrByHand):
		err = byHand()
	case err == nil:
		if there := is.Offering(module); len(there) > 0 {
			d.Leave("%s is offered by a profile that is not in use: `sudo pam-auth-update --enable %s`", module, strings.Join(there, " "))
			return nil
		}
		err = byProfiles(d, is, profiles)
	}
	if err != nil {
		return err
	}
	after := control.Drafted(d).Session.PAM
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if why := otherWay(before[name].V, after[name].V, module); why != "" {
			d.Leave("/etc/pam.d/%s: %s", name, why)
			return nil
		}
	}
	return nil
}

// stacks are what pam-auth-update works on, in a draft.
func stacks(d *change.Draft) (pamauth.Host, error) {
	h := pamauth.Host{Profiles: map[string]string{}, Stacks: map[string]string{}, Saved: map[string]string{}}
	read := func(into map[string]string, name, file string) error {
		is, err := d.At(file)
		if err == nil && is.Type == snap.File {
			into[name] = string(is.Content)
		}
		return err
	}
	for _, kind := range pamauth.Kinds {
		if err := errors.Join(read(h.Stacks, kind, pamauth.Stack(kind)), read(h.Saved, kind, path.Join(pamauth.Saved, kind))); err != nil {
			return h, err
		}
	}
	pattern := pamauth.Profiles + "/*"
	es, st, why := d.Snapshot().Glob(pattern)
	if st == snap.Unknown || st == snap.Denied {
		return h, &change.Unread{Path: pattern, Why: why}
	}
	for _, e := range es {
		if err := read(h.Profiles, path.Base(e.Path), e.Path); err != nil {
			return h, err
		}
	}
	return h, nil
}

// byProfiles lays profiles down, and what pam-auth-update makes of them.
func byProfiles(d *change.Draft, is pamauth.Host, profiles map[string]string) error {
	names := slices.Sorted(maps.Keys(profiles))
	put := func(file, text string) error {
		return d.Edit(file, 0o644, func([]byte) ([]byte, error) { return []byte(text), nil })
	}
	for _, name := range names {
		if _, there := is.Profiles[name]; there {
			return fmt.Errorf("%s is there already, and somebody has changed it", path.Join(pamauth.Profiles, name))
		}
		is.Profiles[name] = profiles[name]
		if err := put(path.Join(pamauth.Profiles, name), profiles[name]); err != nil {
			return err
		}
	}
	to, err := is.Enable(names...)
	if err != nil {
		return err
	}
	var kinds []string
	for _, kind := range pamauth.Kinds {
		if to.Stacks[kind] == is.Stacks[kind] {
			continue
		}
		kinds = append(kinds, kind)
		if err := errors.Join(put(pamauth.Stack(kind), to.Stacks[kind]), put(path.Join(pamauth.Saved, kind), to.Saved[kind])); err != nil {
			return err
		}
	}
	d.Do(change.Check, pamauth.Check(kinds...), pamauth.CheckWords)
	d.Do(change.Act, pamauth.Drop, pamauth.DropWords)
	return nil
}

var jumpsBy = regexp.MustCompile(`=[0-9]+`)

// otherWay says who is let in, or kept out, otherwise than before by a stack that a module was put into: whoever one of
// the other modules agrees with, or all but one, or all. A jump that lands elsewhere than it did shows so.
func otherWay(before, after []fact.PAMLine, added string) string {
	key := func(l fact.PAMLine) string {
		return strings.Join([]string{l.Place.Path, l.Type, jumpsBy.ReplaceAllString(l.Control, "="), l.Module}, " ")
	}
	for _, kind := range []string{"auth", "account", "password"} {
		var voters []string
		for _, l := range before {
			if l.Type == kind && !slices.Contains(bystanders, l.Module) && l.Module != "pam_permit.so" && l.Module != "pam_deny.so" && !slices.Contains(voters, key(l)) {
				voters = append(voters, key(l))
			}
		}
		plays := []func(string) bool{func(string) bool { return true }, func(string) bool { return false }}
		for _, v := range voters {
			plays = append(plays, func(k string) bool { return k == v }, func(k string) bool { return k != v })
		}
		for _, agrees := range plays {
			answer := func(l fact.PAMLine) string {
				switch {
				case l.Module == added && slices.Contains(l.Args, "authfail"), l.Module == "pam_deny.so":
					return pamRefuses
				case l.Module == added && slices.Contains(l.Args, "preauth"), slices.Contains(bystanders, l.Module):
					return pamIgnores
				case l.Module == added, l.Module == "pam_permit.so", agrees(key(l)):
					return pamAgrees
				}
				return pamRefuses
			}
			if letsIn(before, kind, answer) != letsIn(after, kind, answer) {
				return fmt.Sprintf("with %s in %s, a line there that jumps would land elsewhere: put it there by hand, and the jumps right", added, kind)
			}
		}
		if kind != "auth" {
			continue
		}
		asks := func(l fact.PAMLine) bool {
			return l.Type == kind && l.Module != added && !slices.Contains(bystanders, l.Module)
		}
		if i := slices.IndexFunc(after, asks); i >= 0 && slices.Contains(after[i].Args, "use_first_pass") {
			if j := slices.IndexFunc(before, asks); !slices.Contains(before[j].Args, "use_first_pass") {
				return fmt.Sprintf("with %s before it, %s would ask nobody for a password", added, after[i].Module)
			}
		}
	}
	return ""
}

// counts says why a stack with pam_faillock would not count all wrong passwords, "" where it does.
func counts(stack []fact.PAMLine) string {
	refuses, looked, counted := false, "", false
	letsIn(stack, "auth", func(l fact.PAMLine) string {
		switch {
		case l.Module == "pam_faillock.so" && slices.Contains(l.Args, "preauth"):
			refuses = true
		case l.Module == "pam_faillock.so" && slices.Contains(l.Args, "authfail"):
			counted = true
		case !refuses && looked == "" && !slices.Contains(bystanders, l.Module):
			looked = l.Module
		}
		return wrongPassword(l)
	})
	switch {
	case looked != "":
		return looked + " looks at the password before pam_faillock refuses anybody"
	case !counted:
		return "a wrong password does not come as far as pam_faillock"
	}
	return ""
}
