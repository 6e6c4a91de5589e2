package fact

import (
	"path"
	"strconv"
	"strings"

	"picket/internal/core/snap"
)

// Accounts are the host's users and groups, from passwd and group.
type Accounts struct {
	State  State // of the list of users
	Why    string
	Users  []User
	Groups []Group
	// Passwords by user name, from shadow. Redaction leaves nothing of a hash
	// but what a rule needs.
	Passwords Value[map[string]Password]
}

// Password is what is known of one account's password.
type Password struct {
	Scheme  string // yescrypt, sha512crypt, …; "" when there is no hash
	Empty   bool   // anybody can log in with no password
	Locked  bool   // the field begins with ! or *: no password works
	Guessed string // why it is easy: "factory password", "the account's own name", …; never the password
	Checked bool   // the guesses were tried to the end
	Place   Place
}

// User is one line of passwd.
type User struct {
	Name     string
	UID, GID int
	Home     string
	Shell    string
	Place    Place
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
	case "nologin", "false", "sync", "halt", "shutdown":
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
	return strconv.Itoa(uid)
}

// GroupName is the name of a group id, or the number where none has it.
func (a Accounts) GroupName(gid int) string {
	for _, g := range a.Groups {
		if g.GID == gid {
			return g.Name
		}
	}
	return strconv.Itoa(gid)
}

func askAccounts(*Host, *snap.Snapshot) snap.Manifest {
	return snap.Manifest{Files: []string{"/etc/passwd", "/etc/group"}}
}

func parseAccounts(h *Host, s *snap.Snapshot) {
	a := &h.Accounts
	passwd, st, why := s.File("/etc/passwd")
	a.State, a.Why = st, why
	if st == Known {
		for _, l := range lines(passwd) {
			f := strings.Split(l.text, ":")
			if len(f) != 7 {
				continue
			}
			uid, err := strconv.Atoi(f[2])
			gid, err2 := strconv.Atoi(f[3])
			if err == nil && err2 == nil {
				a.Users = append(a.Users, User{f[0], uid, gid, f[5], f[6], l.at})
			}
		}
	}
	if group, st, _ := s.File("/etc/group"); st == Known {
		for _, l := range lines(group) {
			f := strings.Split(l.text, ":")
			if len(f) != 4 {
				continue
			}
			if gid, err := strconv.Atoi(f[2]); err == nil {
				var members []string
				if f[3] != "" {
					members = strings.Split(f[3], ",")
				}
				a.Groups = append(a.Groups, Group{f[0], gid, members, l.at})
			}
		}
	}
}
