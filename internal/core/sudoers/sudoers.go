// Package sudoers reads one file of sudoers(5): aliases, settings, rules and
// what it includes. It resolves nothing; package fact does.
package sudoers

// An Entry is one logical line. Exactly one of its parts is set.
type Entry struct {
	Line     int
	Specs    []Spec
	Settings []Setting
	Aliases  []Alias
	Include  *Include
	Err      string // why sudo would not understand the line
}

// An Item of a list: a user, %group, #id, host, alias, command or ALL.
type Item struct {
	Name   string
	Not    bool // it began with an odd number of !
	Digest bool // a command that has to be a program of this content
}

// A Spec lets users run commands on hosts.
type Spec struct {
	Users, Hosts []Item
	Cmds         []Cmd
}

// A Cmd is one command of a Spec, with the tags and the runas list that it has
// or takes over from the one before.
type Cmd struct {
	Item          // the command with its arguments, an alias, or ALL
	Runas  bool   // there is a list of whom to run it as
	Users  []Item // empty with Runas: the caller
	Groups []Item
	Ask    Ask
	SetEnv Env
	Dated  bool   // it holds before or after some day only
	Chroot string // the folder below which it is run; * is the caller's choice
	Line   int
}

// Ask says whether the tags of a command ask for a password.
type Ask uint8

// Values of Ask.
const (
	AsSet    Ask = iota // as the settings say
	Passwd              // PASSWD
	NoPasswd            // NOPASSWD
)

// Env says whether the tags of a command let the caller set its environment.
type Env uint8

// Values of Env.
const (
	EnvAsSet Env = iota // as the settings say
	SetEnv              // SETENV
	NoSetEnv            // NOSETENV
)

// A Setting is one parameter of a Defaults line.
type Setting struct {
	Scope byte // 0 for everybody, or '@' hosts, ':' users, '!' commands, '>' whom it is run as
	Who   []Item
	Name  string
	Op    string // "" for a flag, "!" for one turned off, "=", "+=" or "-="
	Value string
	Line  int
}

// An Alias names a list.
type Alias struct {
	Kind  string // User, Runas, Host or Cmnd
	Name  string
	Items []Item
	Line  int
}

// An Include names another file, or a folder of them.
type Include struct {
	Path string
	Dir  bool
}

// Parse reads a file. It never fails: a line that sudo would not understand is
// an Entry with Err, and sudo goes on after it too.
func Parse(text string) []Entry {
	var out []Entry
	for _, l := range logical(text) {
		if e, ok := l.entry(); ok {
			out = append(out, e)
		}
	}
	return out
}

// IsAlias reports whether a name has the form of an alias.
func IsAlias(s string) bool {
	if s == "" || s == "ALL" || s[0] < 'A' || s[0] > 'Z' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}
