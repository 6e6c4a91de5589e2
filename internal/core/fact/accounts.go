package fact

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/snap"
)

// Accounts are the host's users and groups, from passwd and group.
type Accounts struct {
	State      State // of the list of users
	Why        string
	Users      []User
	GroupState State // of the list of groups
	GroupWhy   string
	Groups     []Group
	// Passwords by user name, from shadow (from passwd for an account that has
	// its hash there). Redaction leaves nothing of a hash but what a rule needs.
	Passwords Value[map[string]Password]
	Problems  []Problem                // lines that are not of the file's form
	NIS       []Place                  // lines that begin with +, of passwd, shadow and group
	Defs      map[string]Value[string] // of login.defs
	Useradd   map[string]Value[string] // of /etc/default/useradd
	Shells    Value[[]string]          // the login shells of /etc/shells
	Elsewhere string                   // why there may be accounts that these files do not have; "" when there are none
}

// Password is what is known of one account's password.
type Password struct {
	Scheme  string // yescrypt, sha512crypt, …; "" when there is no hash
	Empty   bool   // anybody can log in with no password
	Locked  bool   // the field begins with ! or *: no password works
	Barred  bool   // it begins with !, which without PAM keeps sshd from taking a key; * does not
	Guessed string // why it is easy: "factory password", "the account's own name", …; never the password
	Checked bool   // the guesses were tried to the end
	Why     string // when they were not: why
	Place   Place
	// Ages in days, Never when the field is empty; Changed and Expires count
	// from 1970-01-01.
	Changed, Min, Max, Warn, Inactive, Expires int
}

// Never is an age field of shadow that is empty.
const Never = -1

// Usable reports whether some password lets the account log in.
func (p Password) Usable() bool { return p.Empty || p.Scheme != "" && !p.Locked }

// User is one line of passwd.
type User struct {
	Name     string
	UID, GID int
	Home     string
	Shell    string
	Place    Place
	Hash     bool // passwd itself has the password field, not shadow
	NoPass   bool // the password field of passwd is empty
}

// Group is one line of group.
type Group struct {
	Name    string
	GID     int
	Members []string
	Place   Place
}

// LoginShell reports whether the account's shell lets somebody work.
func (u User) LoginShell() bool {
	switch path.Base(u.Shell) {
	case "nologin", "false", "true", "null", "sync", "halt", "shutdown":
		return false
	}
	return true // an empty shell field means /bin/sh
}

// UserName is the name of a user id, or the number where none has it.
func (a Accounts) UserName(uid int) string {
	for _, u := range a.Users {
		if u.UID == uid {
			return u.Name
		}
	}
	if uid == 0 && a.State != Known {
		return "root"
	}
	return strconv.Itoa(uid)
}

// GroupName is the name of a group id, or the number where none has it.
func (a Accounts) GroupName(gid int) string {
	for _, g := range a.Groups {
		if g.GID == gid {
			return g.Name
		}
	}
	if gid == 0 && a.GroupState != Known {
		return "root"
	}
	return strconv.Itoa(gid)
}

// User returns the account of a name: its first line, as for the C library.
func (a Accounts) User(name string) (User, bool) {
	for _, u := range a.Users {
		if u.Name == name {
			return u, true
		}
	}
	return User{}, false
}

// InGroup reports whether a user is a member, by the group's line or by its
// own first group.
func (a Accounts) InGroup(u User, g Group) bool {
	return u.GID == g.GID || slices.Contains(g.Members, u.Name)
}

// Members are the users of a group, whichever way they belong to it.
func (a Accounts) Members(g Group) []string {
	out := slices.Clone(g.Members)
	for _, u := range a.Users {
		if u.GID == g.GID && !slices.Contains(out, u.Name) {
			out = append(out, u.Name)
		}
	}
	return out
}

// Def is a setting of login.defs as a number; what the programs take when it
// is not set comes from the caller.
func (a Accounts) Def(key string, otherwise int) int {
	if n, err := strconv.Atoi(a.Defs[key].V); err == nil {
		return n
	}
	return otherwise
}

// System reports whether an account belongs to the system, not to a person.
func (a Accounts) System(u User) bool {
	return u.UID != 0 && (u.UID < a.Def("UID_MIN", 1000) || u.UID == 65534)
}

// Human reports whether an account is one that a person logs in with.
func (a Accounts) Human(u User) bool { return u.UID != 0 && !a.System(u) && u.LoginShell() }

func askAccounts(*Host, *snap.Snapshot) snap.Manifest {
	return snap.Manifest{Files: []string{
		"/etc/passwd", "/etc/group", "/etc/shadow", "/etc/login.defs", "/etc/default/useradd", "/etc/shells",
		nsswitch,
		"/etc/gshadow",  // whoever changes group has to change it, too
		"/etc/hostname", // its name is one of the guesses
	}}
}

func parseAccounts(h *Host, s *snap.Snapshot) {
	a := &h.Accounts
	a.parsePasswd(s)
	a.parseGroup(s)
	a.parseShadow(s)
	a.Elsewhere = elsewhere(s, "passwd", "accounts")
	a.Defs = settings(s, "/etc/login.defs", func(l string) (string, string, bool) {
		f := strings.Fields(uncomment(l, "#"))
		if len(f) < 2 {
			return "", "", false
		}
		return f[0], unquote(f[1]), true
	})
	a.Useradd = settings(s, "/etc/default/useradd", func(l string) (string, string, bool) {
		k, v, ok := strings.Cut(uncomment(l, "#"), "=")
		return strings.TrimSpace(k), unquote(strings.TrimSpace(v)), ok
	})
	e, st, why := s.File("/etc/shells")
	a.Shells = Not[[]string](st, why)
	if st == Known {
		var list []string
		for _, l := range lines(e) {
			if t := uncomment(l.text, "#"); t != "" {
				list = append(list, t)
			}
		}
		a.Shells = Is(list, Place{Path: e.Path})
	}
}

// settings reads a file of keys and values; the last of a key counts.
func settings(s *snap.Snapshot, file string, split func(string) (string, string, bool)) map[string]Value[string] {
	out := map[string]Value[string]{}
	e, st, _ := s.File(file)
	if st != Known {
		return out
	}
	for _, l := range lines(e) {
		if k, v, ok := split(l.text); ok && k != "" {
			out[k] = Is(v, l.at)
		}
	}
	return out
}

// records splits the lines of a file of colons and keeps what is wrong.
func (a *Accounts) records(e *snap.Entry, fields int, each func(f []string, at Place)) {
	if e.Cut {
		a.problem(Place{Path: e.Path}, "the file is longer than what was read")
	}
	for _, l := range lines(e) {
		f := strings.Split(l.text, ":")
		switch {
		case strings.TrimSpace(l.text) == "":
		case strings.HasPrefix(l.text, "+") || strings.HasPrefix(l.text, "-"):
			a.NIS = append(a.NIS, l.at)
		case strings.HasPrefix(l.text, lineNotKept):
			has := strings.TrimSuffix(strings.TrimPrefix(l.text, lineNotKept), "]")
			a.problem(l.at, fmt.Sprintf("%s, want %d", has, fields))
		case len(f) != fields:
			a.problem(l.at, fmt.Sprintf("%s, want %d", plural(len(f), "field"), fields))
		case f[0] == "":
			a.problem(l.at, "the name is empty")
		default:
			if strings.Contains(l.text, "\uFFFD") {
				a.problem(l.at, "not valid UTF-8")
			}
			each(f, l.at)
		}
	}
}

func (a *Accounts) problem(at Place, text string) {
	if len(a.Problems) < 100 {
		a.Problems = append(a.Problems, Problem{at, text})
	}
}

// id reads a user or group id; -1 and what does not fit 32 bits are none.
func id(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return int(n), err == nil
}

func (a *Accounts) parsePasswd(s *snap.Snapshot) {
	e, st, why := s.File("/etc/passwd")
	a.State, a.Why = st, why
	if st != Known {
		return
	}
	a.records(e, 7, func(f []string, at Place) {
		uid, ok := id(f[2])
		gid, ok2 := id(f[3])
		if !ok || !ok2 {
			a.problem(at, "the user or group id is not a number")
			return
		}
		_, rest := marks(f[1])
		a.Users = append(a.Users, User{
			Name: f[0], UID: uid, GID: gid, Home: f[5], Shell: f[6], Place: at,
			Hash: rest != "" && f[1] != "x", NoPass: f[1] == "",
		})
	})
}

func (a *Accounts) parseGroup(s *snap.Snapshot) {
	e, st, why := s.File("/etc/group")
	a.GroupState, a.GroupWhy = st, why
	if st != Known {
		return
	}
	a.records(e, 4, func(f []string, at Place) {
		gid, ok := id(f[2])
		if !ok {
			a.problem(at, "the group id is not a number")
			return
		}
		g := Group{Name: f[0], GID: gid, Place: at}
		for m := range strings.SplitSeq(f[3], ",") {
			if m = strings.TrimSpace(m); m != "" {
				g.Members = append(g.Members, m)
			}
		}
		a.Groups = append(a.Groups, g)
	})
}

func (a *Accounts) parseShadow(s *snap.Snapshot) {
	e, st, why := s.File("/etc/shadow")
	a.Passwords = Not[map[string]Password](st, why)
	all := map[string]Password{}
	if st == Known {
		a.Passwords = Is(all, Place{Path: e.Path})
		a.records(e, 9, func(f []string, at Place) {
			if _, twice := all[f[0]]; twice {
				return // the C library takes the first
			}
			p := password(f[1], at)
			for i, age := range []*int{&p.Changed, &p.Min, &p.Max, &p.Warn, &p.Inactive, &p.Expires} {
				*age = Never
				if n, err := strconv.Atoi(f[2+i]); err == nil {
					*age = n
				}
			}
			all[f[0]] = p
		})
	}
	// A hash in passwd itself counts instead of shadow's.
	if passwd, pst, _ := s.File("/etc/passwd"); pst == Known && st != Denied && st != Unknown {
		for _, u := range a.Users {
			if !u.Hash && !u.NoPass {
				continue
			}
			l := lines(passwd)[u.Place.Line-1]
			p := password(strings.Split(l.text, ":")[1], u.Place)
			p.Changed, p.Min, p.Max, p.Warn, p.Inactive, p.Expires = Never, Never, Never, Never, Never, Never
			all[u.Name] = p
		}
		if st == Absent && len(all) > 0 {
			a.Passwords = Is(all, Place{Path: passwd.Path})
		}
	}
}

// password reads the form that redactShadow leaves.
func password(field string, at Place) Password {
	p := Password{Place: at}
	lock, rest := marks(field)
	p.Locked, p.Barred = lock != "", strings.HasPrefix(lock, "!")
	p.Empty = field == ""
	inner, begins := strings.CutPrefix(rest, "[")
	inner, ends := strings.CutSuffix(inner, "]")
	if !begins || !ends || inner == notAHash {
		return p
	}
	scheme, more, _ := strings.Cut(inner, ", ")
	p.Scheme = scheme
	if why, not := strings.CutPrefix(more, "not checked ("); not {
		p.Why = strings.TrimSuffix(why, ")")
		return p
	}
	p.Checked, p.Guessed = true, more
	return p
}
