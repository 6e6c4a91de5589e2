package fact

import (
	"path"
	"slices"
	"strings"

	"picket/internal/core/snap"
)

// AptConf is apt's configuration: scalars and lists by their full name.
type AptConf struct {
	State  State
	Why    string
	scalar map[string]Value[string]   // by lower-case name
	list   map[string][]Value[string] // items given as Name:: or in braces without a name
}

// Get returns a setting; names are compared without regard to case.
func (c AptConf) Get(name string) Value[string] {
	if c.State != Known {
		return Not[string](c.State, c.Why)
	}
	if v, ok := c.scalar[strings.ToLower(name)]; ok {
		return v
	}
	return Not[string](Absent, name+" is not set")
}

// List returns the items of a list.
func (c AptConf) List(name string) []Value[string] { return c.list[strings.ToLower(name)] }

// On reports whether a setting is on: apt takes yes, true, with, on, enable
// and any number but 0.
func (c AptConf) On(name string) bool { return aptTrue(c.Get(name).V) }

func aptTrue(v string) bool {
	switch strings.ToLower(strings.TrimSpace(v)) {
	case "", "0", "no", "false", "without", "off", "disable":
		return false
	}
	return true
}

func newAptConf() AptConf {
	return AptConf{State: Known, scalar: map[string]Value[string]{}, list: map[string][]Value[string]{}}
}

func (c *AptConf) set(name, value string, at Place) {
	name = strings.ToLower(name)
	if len(c.scalar)+len(c.list) > 20_000 {
		return
	}
	if item, ok := strings.CutSuffix(name, "::"); ok {
		if len(c.list[item]) < 2000 {
			c.list[item] = append(c.list[item], Is(value, at))
		}
		return
	}
	c.scalar[name] = Is(value, at)
}

func (c *AptConf) clear(name string) {
	name = strings.ToLower(strings.TrimSuffix(name, "::"))
	for _, n := range c.names() {
		if n == name || strings.HasPrefix(n, name+"::") {
			delete(c.scalar, n)
			delete(c.list, n)
		}
	}
}

func (c *AptConf) names() []string {
	var out []string
	for n := range c.scalar {
		out = append(out, n)
	}
	for n := range c.list {
		out = append(out, n)
	}
	return out
}

var aptDump = []string{"apt-config", "dump"}

func askAptConf() snap.Manifest {
	return snap.Manifest{
		Files:    []string{"/etc/apt/apt.conf.d/*", "/etc/apt/apt.conf"},
		Commands: []snap.Command{{Argv: aptDump}},
	}
}

// readAptConf prefers what apt itself says; the files give the lines.
func readAptConf(s *snap.Snapshot) AptConf {
	files := aptConfFiles(s)
	out, st, _ := s.Run(aptDump...)
	if st != Known || out.Exit != 0 {
		return files
	}
	c := newAptConf()
	for _, l := range outLines(out) {
		name, rest, ok := strings.Cut(strings.TrimSpace(l.text), " ")
		if !ok {
			continue
		}
		value := unquote(strings.TrimSuffix(strings.TrimSpace(rest), ";"))
		if value != "" || strings.HasSuffix(name, "::") {
			c.set(name, value, l.at)
		}
	}
	for n, v := range c.scalar {
		if f, ok := files.scalar[n]; ok && f.V == v.V {
			c.scalar[n] = f
		}
	}
	for n, vs := range c.list {
		if f := files.list[n]; slices.EqualFunc(f, vs, func(a, b Value[string]) bool { return a.V == b.V }) {
			c.list[n] = f
		}
	}
	return c
}

// aptConfFiles reads the files in apt's order: apt.conf.d by name, then apt.conf.
func aptConfFiles(s *snap.Snapshot) AptConf {
	c := newAptConf()
	es, st, why := s.Glob("/etc/apt/apt.conf.d/*")
	if st == Denied || st == Unknown {
		c.State, c.Why = st, why
	}
	for _, e := range es {
		if aptPartName(path.Base(e.Path), ".conf") {
			c.file(e)
		}
	}
	if e, st, _ := s.Stat("/etc/apt/apt.conf"); st == Known {
		c.file(e)
	}
	return c
}

// aptPartName reports whether apt reads a file of this name from a .d folder.
func aptPartName(name, ext string) bool {
	if e := path.Ext(name); e != ext && (e != "" || ext != ".conf") {
		return false
	}
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("_-.:", r):
		default:
			return false
		}
	}
	return name != ""
}

func (c *AptConf) file(e *snap.Entry) {
	if e.Denied != "" {
		c.State, c.Why = Denied, e.Denied
	}
	if !e.Read {
		return
	}
	var scope []string // full prefixes of open braces
	var words []aptToken
	prefix := func() string {
		if len(scope) == 0 {
			return ""
		}
		return scope[len(scope)-1]
	}
	join := func(name string) string {
		if p := prefix(); p != "" {
			return p + "::" + name
		}
		return name
	}
	end := func() {
		switch {
		case len(words) == 0:
		case words[0].text == "#clear" && !words[0].quoted:
			for _, w := range words[1:] {
				c.clear(join(w.text))
			}
		case len(words) == 1 && words[0].quoted:
			c.set(prefix()+"::", words[0].text, words[0].at)
		case len(words) >= 2:
			c.set(join(words[0].text), words[1].text, words[0].at)
		}
		words = nil
	}
	for _, t := range aptTokens(e) {
		switch {
		case t.quoted:
			words = append(words, t)
		case t.text == ";":
			end()
		case t.text == "{":
			name := prefix()
			if len(words) > 0 {
				name = join(strings.TrimSuffix(words[0].text, "::"))
			}
			words = nil
			if len(scope) < 64 {
				scope = append(scope, name)
			}
		case t.text == "}":
			end()
			if len(scope) > 0 {
				scope = scope[:len(scope)-1]
			}
		case len(words) < 64:
			words = append(words, t)
		}
	}
	end()
}

type aptToken struct {
	text   string
	quoted bool
	at     Place
}

// aptTokens splits a file into words, quoted texts and { } ;, comments left out.
func aptTokens(e *snap.Entry) []aptToken {
	var out []aptToken
	comment := false
	for _, l := range lines(e) {
		s := l.text
		for len(s) > 0 {
			if comment {
				_, rest, ok := strings.Cut(s, "*/")
				if !ok {
					break
				}
				s, comment = rest, false
				continue
			}
			switch {
			case s[0] == ' ' || s[0] == '\t':
				s = s[1:]
			case strings.HasPrefix(s, "//"), s[0] == '#' && !strings.HasPrefix(s, "#clear") && !strings.HasPrefix(s, "#include"):
				s = ""
			case strings.HasPrefix(s, "/*"):
				s, comment = s[2:], true
			case strings.IndexByte("{};", s[0]) >= 0:
				out = append(out, aptToken{s[:1], false, l.at})
				s = s[1:]
			case s[0] == '"':
				text, rest, _ := strings.Cut(s[1:], `"`)
				out = append(out, aptToken{text, true, l.at})
				s = rest
			default:
				i := strings.IndexAny(s, " \t{};\"")
				if i < 0 {
					i = len(s)
				}
				out = append(out, aptToken{s[:i], false, l.at})
				s = s[i:]
			}
		}
	}
	return out
}
