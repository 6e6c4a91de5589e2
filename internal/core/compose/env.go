package compose

import (
	"fmt"
	"regexp"
	"strings"
)

// A Var is the value of a variable. One that is hidden is there and not empty.
type Var struct {
	Value  string
	Hidden bool
}

// Vars are those that are known, by name. Where one has no name there may be
// others: not all files of variables could be read.
type Vars map[string]Var

// Others makes of variables some that may not be all.
func (v Vars) Others() Vars {
	out := Vars{"": {Hidden: true}}
	for k, x := range v {
		out[k] = x
	}
	return out
}

// An EnvLine is one variable of a .env file.
type EnvLine struct {
	Name, Value string
	Line        int
	Quote       byte // ' or ", 0 where there is none
	Bare        bool // only the name is there: whoever starts it gives the value
}

var envName = regexp.MustCompile(`^(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*(?:$|([=:])[ \t]*(.*)$)`)

// ParseEnv reads a .env file. What is no variable is told by bad.
func ParseEnv(text string, bad func(line int, what string)) []EnvLine {
	var out []EnvLine
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		t := strings.TrimSpace(lines[i])
		if t == "" || t[0] == '#' {
			continue
		}
		m := envName.FindStringSubmatch(t)
		if m == nil {
			bad(i+1, "not a line of KEY=value")
			continue
		}
		l := EnvLine{Name: m[1], Line: i + 1, Bare: m[2] == ""}
		v := m[3]
		switch {
		case v != "" && (v[0] == '"' || v[0] == '\''):
			l.Quote = v[0]
			// The rest of the line as it stands, and those below it up to the quote.
			rest := lines[i][strings.IndexByte(lines[i], v[0])+1:]
			value, ok := closed(rest, l.Quote)
			for n := i; !ok && n+1 < len(lines) && n-i < 200; {
				n++
				rest += "\n" + lines[n]
				if value, ok = closed(rest, l.Quote); ok {
					i = n
				}
			}
			if !ok {
				bad(l.Line, "a quote has no end")
			}
			l.Value = value
		default:
			v, _, _ = strings.Cut(v, " #")
			l.Value = strings.TrimSpace(v)
		}
		out = append(out, l)
	}
	return out
}

// closed is what stands before the quote that ends it.
func closed(s string, quote byte) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			if s[i+1] != quote {
				b.WriteByte('\\')
			}
			b.WriteByte(s[i+1])
			i++
		case s[i] == quote:
			return b.String(), true
		default:
			b.WriteByte(s[i])
		}
	}
	return s, false
}

// A filling puts values in the places of variables.
type filling struct {
	vars Vars
	open string
}

// Fill puts the values of variables into a node: ${A}, ${A:-x}, ${A-x},
// ${A:?x}, ${A:+x}, $A and $$. Where a value is not known the node says why.
func Fill(n *Node, vars Vars) {
	n.each(func(s *Node) {
		if !strings.Contains(s.Text, "$") {
			return
		}
		f := &filling{vars: vars}
		text := f.text(s.Text, 0)
		if f.open != "" {
			s.Open = f.open // the text stays as it is written
			return
		}
		s.Text = text
	})
}

var varName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*`)

func (f *filling) text(s string, depth int) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '$' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		rest := s[i+1:]
		name := varName.FindString(rest)
		switch {
		case rest[0] == '$':
			b.WriteByte('$')
			i++
		case rest[0] == '{':
			end := closing(rest)
			if end < 0 || depth > 10 {
				f.open = "a ${ in it has no end"
				return ""
			}
			b.WriteString(f.braced(rest[1:end], depth))
			i += 1 + end
		case name != "":
			b.WriteString(f.value(name))
			i += len(name)
		default:
			f.open = "a $ in it stands for no variable"
			return ""
		}
	}
	return b.String()
}

// closing is where the brace that s begins with is closed.
func closing(s string) int {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// braced is what stands for the inside of ${…}.
func (f *filling) braced(s string, depth int) string {
	name := varName.FindString(s)
	rest := s[len(name):]
	if name == "" {
		f.open = "a ${ in it has no name"
		return ""
	}
	if rest == "" {
		return f.value(name)
	}
	colon := rest[0] == ':'
	op := strings.TrimPrefix(rest, ":")
	if op == "" || !strings.ContainsRune("-?+", rune(op[0])) {
		f.open = "a ${ in it is of no known form"
		return ""
	}
	other := op[1:]
	v, set := f.vars[name]
	if _, more := f.vars[""]; more && !set {
		return f.value(name)
	}
	there := set && !(colon && v.Value == "" && !v.Hidden)
	switch {
	case op[0] == '+' && there, op[0] == '-' && !there:
		return f.text(other, depth+1)
	case op[0] == '+':
		return v.Value // nothing
	case op[0] == '?' && !there:
		f.open = fmt.Sprintf("%s is set in no file that was read, and has to be", name)
		return ""
	}
	return f.value(name)
}

func (f *filling) value(name string) string {
	v, set := f.vars[name]
	_, more := f.vars[""]
	switch {
	case !set && more:
		f.open = fmt.Sprintf("whether %s is set is not known, as a file of variables could not be read", name)
	case !set:
		f.open = fmt.Sprintf("%s is set in no file that was read", name)
	case v.Hidden:
		f.open = fmt.Sprintf("the value of %s is not kept", name)
	}
	return v.Value
}

// Names are the variables that a text refers to.
func Names(text string) []string {
	var out []string
	for _, m := range reference.FindAllStringSubmatch(strings.ReplaceAll(text, "$$", ""), -1) {
		out = append(out, m[1])
	}
	return out
}

var reference = regexp.MustCompile(`\$\{?([A-Za-z_][A-Za-z0-9_]*)`)

// Refers reports whether a text is one variable and nothing else, so that what
// it stands for is in no part in the file.
func Refers(text string) bool { return onlyReference.MatchString(text) }

var onlyReference = regexp.MustCompile(`^\$(?:[A-Za-z_][A-Za-z0-9_]*|\{[A-Za-z_][A-Za-z0-9_]*(?::?[?][^{}$]*|:?-)?\})$`)
