package sudoers

import (
	"sort"
	"strings"
)

// A lineOf is a logical line: continued lines joined, the comment cut. starts
// are the offsets at which its physical lines begin.
type lineOf struct {
	text   string
	first  int // number of its first physical line
	starts []int
}

// at is the physical line of an offset.
func (l lineOf) at(pos int) int {
	return l.first - 1 + sort.Search(len(l.starts), func(i int) bool { return l.starts[i] > pos })
}

func logical(text string) []lineOf {
	var out []lineOf
	var b strings.Builder
	n := 1
	cur := lineOf{first: 1, starts: []int{0}}
	end := func() {
		cur.text = b.String()
		out = append(out, cur)
		b.Reset()
		n++
		cur = lineOf{first: n, starts: []int{0}}
	}
	quoted := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\':
			if j := i + 1 + blanks(text[i+1:]); j < len(text) && (text[j] == '\n' || strings.HasPrefix(text[j:], "\r\n")) {
				i = j + strings.IndexByte(text[j:], '\n')
				n++
				b.WriteByte(' ')
				cur.starts = append(cur.starts, b.Len())
				continue
			}
			b.WriteByte(c)
			if i+1 < len(text) && text[i+1] != '\n' {
				i++
				b.WriteByte(text[i])
			}
		case c == '\n':
			quoted = false
			end()
		case c == '"':
			quoted = !quoted
			b.WriteByte(c)
		case c == '#' && !quoted && comment(text[i+1:]) && !(b.Len() == 0 && isInclude(text[i+1:])):
			for i < len(text) && text[i] != '\n' {
				i++
			}
			i--
		case c != '\r':
			b.WriteByte(c)
		}
	}
	end()
	return out
}

// comment reports whether # before rest begins one; #1000 is a user.
func comment(rest string) bool {
	rest = strings.TrimPrefix(rest, "-")
	return rest == "" || rest[0] < '0' || rest[0] > '9'
}

func isInclude(rest string) bool {
	w, _, ok := strings.Cut(strings.ReplaceAll(first(rest, 64), "\t", " "), " ")
	return ok && (w == "include" || w == "includedir")
}

func first(s string, n int) string { return s[:min(n, len(s))] }

func blanks(s string) int { return len(s) - len(strings.TrimLeft(s, " \t")) }
