package sudoers

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A scan is a cursor on one logical line. The first error stays.
type scan struct {
	line lineOf
	s    string
	pos  int
	err  string
}

func (c *scan) fail(format string, args ...any) {
	if c.err == "" {
		c.err = fmt.Sprintf(format, args...)
	}
	c.pos = len(c.s)
}

func (c *scan) space()       { c.pos += blanks(c.s[c.pos:]) }
func (c *scan) end() bool    { c.space(); return c.pos >= len(c.s) }
func (c *scan) rest() string { return c.s[c.pos:] }

// take skips blanks and, if the next character is b, that too.
func (c *scan) take(b byte) bool {
	c.space()
	if c.pos < len(c.s) && c.s[c.pos] == b {
		c.pos++
		return true
	}
	return false
}

func (c *scan) want(b byte) {
	if !c.take(b) {
		c.fail("%q is missing before %q", b, first(c.rest(), 20))
	}
}

// word reads one name up to an unescaped blank or one of stop; it may be
// quoted as a whole.
func (c *scan) word(stop string) string {
	c.space()
	if c.pos < len(c.s) && c.s[c.pos] == '"' {
		return c.quoted()
	}
	var b strings.Builder
	for c.pos < len(c.s) {
		ch := c.s[c.pos]
		if ch == '\\' && c.pos+1 < len(c.s) {
			if n, err := strconv.ParseUint(strings.TrimPrefix(first(c.s[c.pos+1:], 3), "x"), 16, 8); err == nil && c.s[c.pos+1] == 'x' && c.pos+4 <= len(c.s) {
				b.WriteByte(byte(n))
				c.pos += 4
				continue
			}
			b.WriteByte(c.s[c.pos+1])
			c.pos += 2
			continue
		}
		if ch == ' ' || ch == '\t' || ch == '"' || strings.IndexByte(stop, ch) >= 0 {
			break
		}
		b.WriteByte(ch)
		c.pos++
	}
	if b.Len() == 0 {
		c.fail("a name is missing before %q", first(c.rest(), 20))
	}
	return b.String()
}

func (c *scan) quoted() string {
	var b strings.Builder
	for c.pos++; c.pos < len(c.s); c.pos++ {
		switch ch := c.s[c.pos]; {
		case ch == '"':
			c.pos++
			return b.String()
		case ch == '\\' && c.pos+1 < len(c.s) && c.s[c.pos+1] == '"':
			b.WriteByte('"')
			c.pos++
		default:
			b.WriteByte(ch)
		}
	}
	c.fail("a quote is not closed")
	return ""
}

// not reads any number of exclamation marks.
func (c *scan) not() (odd bool) {
	for c.take('!') {
		odd = !odd
	}
	return odd
}

// list reads names between commas. In a list of hosts a colon belongs to an
// IPv6 address.
func (c *scan) list(stop string) []Item {
	var out []Item
	for c.err == "" {
		not := c.not()
		out = append(out, Item{Name: c.word(stop), Not: not})
		if !c.take(',') {
			break
		}
	}
	return out
}

const (
	stopName = ",=!():>"
	stopHost = ",=!()"
)

var aliasKinds = map[string]string{
	"User_Alias": "User", "Runas_Alias": "Runas", "Host_Alias": "Host", "Cmnd_Alias": "Cmnd", "Cmd_Alias": "Cmnd",
}

func (l lineOf) entry() (Entry, bool) {
	c := &scan{line: l, s: l.text}
	e := Entry{Line: l.first}
	if c.end() {
		return e, false
	}
	head := c.rest()
	word := head
	if i := strings.IndexAny(head, " \t@:!>=,"); i > 0 {
		word = head[:i]
	}
	if head[0] == '@' || head[0] == '#' {
		if i := strings.IndexAny(head, " \t"); i > 0 {
			word = head[:i]
		}
	}
	switch {
	case word == "@include", word == "#include", word == "@includedir", word == "#includedir":
		c.pos += len(word)
		e.Include = &Include{Path: c.word(""), Dir: strings.HasSuffix(word, "dir")}
		if !c.end() {
			c.fail("more than one path")
		}
	case word == "Defaults":
		c.pos += len(word)
		e.Settings = c.settings()
	case aliasKinds[word] != "":
		c.pos += len(word)
		e.Aliases = c.aliases(aliasKinds[word])
	default:
		e.Specs = c.specs()
	}
	if c.err != "" {
		return Entry{Line: l.first, Err: c.err}, true
	}
	return e, true
}

func (c *scan) aliases(kind string) []Alias {
	var out []Alias
	for c.err == "" {
		at := c.line.at(c.pos)
		name := c.word(stopName)
		if !IsAlias(name) {
			c.fail("%q is not the name of an alias", name)
		}
		c.want('=')
		a := Alias{Kind: kind, Name: name, Line: at}
		switch kind {
		case "Cmnd":
			for c.err == "" {
				a.Items = append(a.Items, c.command())
				if !c.take(',') {
					break
				}
			}
		case "Host":
			// A colon here is rather the next alias than an address.
			a.Items = c.list(stopName)
		default:
			a.Items = c.list(stopName)
		}
		out = append(out, a)
		if c.end() {
			break
		}
		c.want(':')
	}
	return out
}

func (c *scan) settings() []Setting {
	var base Setting
	if c.pos < len(c.s) && strings.IndexByte("@:!>", c.s[c.pos]) >= 0 {
		base.Scope = c.s[c.pos]
		c.pos++
		if base.Scope == '!' {
			base.Who = c.bound()
		} else {
			base.Who = c.list(stopHost + ">")
		}
	}
	var out []Setting
	for c.err == "" {
		c.space()
		s := base
		s.Line = c.line.at(c.pos)
		if c.not() {
			s.Op = "!"
		}
		s.Name = c.word(",=!+-")
		for _, op := range []string{"+=", "-=", "="} {
			c.space()
			if strings.HasPrefix(c.rest(), op) {
				c.pos += len(op)
				s.Op, s.Value = op, c.word(",")
				break
			}
		}
		out = append(out, s)
		if c.end() {
			break
		}
		c.want(',')
	}
	return out
}

// bound reads the commands that a Defaults line is for: no arguments here.
func (c *scan) bound() []Item {
	var out []Item
	for c.err == "" {
		not := c.not()
		out = append(out, Item{Name: c.word(stopName), Not: not})
		if !c.take(',') {
			break
		}
	}
	return out
}

func (c *scan) specs() []Spec {
	users := c.list(stopName)
	var out []Spec
	for c.err == "" {
		s := Spec{Users: users, Hosts: c.list(stopHost)}
		c.want('=')
		var last Cmd
		for c.err == "" {
			last = c.cmd(last)
			s.Cmds = append(s.Cmds, last)
			if !c.take(',') {
				break
			}
		}
		out = append(out, s)
		if c.end() {
			break
		}
		c.want(':')
	}
	return out
}

var (
	tag    = regexp.MustCompile(`^(EXEC|NOEXEC|FOLLOW|NOFOLLOW|LOG_INPUT|NOLOG_INPUT|LOG_OUTPUT|NOLOG_OUTPUT|MAIL|NOMAIL|INTERCEPT|NOINTERCEPT|PASSWD|NOPASSWD|SETENV|NOSETENV)[ \t]*:`)
	option = regexp.MustCompile(`^(ROLE|TYPE|PRIVS|LIMITPRIVS|NOTBEFORE|NOTAFTER|TIMEOUT|CWD|CHROOT|APPARMOR_PROFILE)[ \t]*=`)
	digest = regexp.MustCompile(`^(?:sha(?:224|256|384|512)[ \t]*:[ \t]*[A-Za-z0-9+/=]+[ \t]*,?[ \t]*)+`)
)

// cmd reads one command with what stands before it; tags and the runas list
// hold for those that follow too.
func (c *scan) cmd(last Cmd) Cmd {
	out := last
	c.space()
	if c.take('(') {
		out.Runas, out.Users, out.Groups = true, nil, nil
		if !c.take(')') {
			c.space()
			if !strings.HasPrefix(c.rest(), ":") {
				out.Users = c.list(stopName)
			}
			if c.take(':') {
				c.space()
				if !strings.HasPrefix(c.rest(), ")") {
					out.Groups = c.list(stopName)
				}
			}
			c.want(')')
		}
	}
	for c.err == "" { // sudo takes no option after a tag
		c.space()
		m := option.FindStringSubmatch(c.rest())
		if m == nil {
			break
		}
		c.pos += len(m[0])
		if c.space(); strings.HasPrefix(c.rest(), `"`) {
			c.fail("%s takes no quotes", m[1])
		}
		v := c.word(",")
		switch m[1] {
		case "NOTBEFORE", "NOTAFTER":
			out.Dated = true
		case "CHROOT":
			out.Chroot = v
		}
	}
	for c.err == "" {
		c.space()
		m := tag.FindStringSubmatch(c.rest())
		if m == nil {
			break
		}
		c.pos += len(m[0])
		switch m[1] {
		case "PASSWD":
			out.Ask = Passwd
		case "NOPASSWD":
			out.Ask = NoPasswd
		case "SETENV":
			out.SetEnv = SetEnv
		case "NOSETENV":
			out.SetEnv = NoSetEnv
		}
	}
	c.space()
	out.Line = c.line.at(c.pos)
	out.Item = c.command()
	return out
}

// command reads a command with its arguments, an alias or ALL, and what stands
// before it: digests, and then exclamation marks.
func (c *scan) command() Item {
	c.space()
	d := digest.FindString(c.rest())
	c.pos += len(d)
	not := c.not()
	c.space()
	return Item{Name: c.program(), Not: not, Digest: d != ""}
}

func (c *scan) program() string {
	start := c.pos
	var b strings.Builder
	word := 0    // where the current word begins in b
	expr := true // there may still be the end of a regular expression
	for c.pos < len(c.s) {
		ch := c.s[c.pos]
		if ch == '^' && expr && b.Len() == word && (word > 0 || b.Len() == 0) {
			n := regex(c.rest())
			b.WriteString(c.s[c.pos : c.pos+n])
			c.pos += n
			if expr = n > 0; expr {
				continue
			}
		}
		if ch == '\\' && c.pos+1 < len(c.s) {
			if strings.IndexByte(`:\,= `+"\t#", c.s[c.pos+1]) < 0 {
				b.WriteByte('\\')
			}
			b.WriteByte(c.s[c.pos+1])
			c.pos += 2
			continue
		}
		if ch == ',' || ch == ':' || ch == '=' {
			break
		}
		b.WriteByte(ch)
		c.pos++
		if ch == ' ' || ch == '\t' {
			word = b.Len()
		}
	}
	name := strings.Join(strings.Fields(b.String()), " ")
	path, _, args := strings.Cut(name, " ")
	switch {
	case name == "":
		c.fail("a command is missing")
	case path == "ALL" || IsAlias(path):
		if args {
			c.pos = start
			c.fail("%q takes no arguments", path)
		}
	case path != "sudoedit" && path != "list" && path[0] != '/' && path[0] != '^':
		c.fail("the command %q has no full path", path)
	}
	return name
}

// regex is the length of a regular expression ^…$ at the beginning of s, 0
// when there is none.
func regex(s string) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case s[i] == '$' && (i+1 == len(s) || strings.IndexByte(" \t,:=", s[i+1]) >= 0):
			return i + 1
		}
	}
	return 0
}
