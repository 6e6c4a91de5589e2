package fact

import (
	"strings"
	"unicode/utf8"

	"picket/internal/core/snap"
)

// A line of a text file.
type line struct {
	text string
	at   Place
}

// fields splits on blanks.
func (l line) fields() []string { return strings.Fields(l.text) }

// lines splits a file's content, without line ends. Bytes that are not UTF-8
// become U+FFFD, so that nothing downstream has to think of them.
func lines(e *snap.Entry) []line {
	return linesAt(string(e.Content), Place{Path: e.Path})
}

// outLines splits a command's output; every line has the command as its place.
func outLines(o *snap.Output) []line {
	ls := linesAt(string(o.Stdout), By(o.Argv...))
	for i := range ls {
		ls[i].at.Line = 0
	}
	return ls
}

func linesAt(s string, at Place) []line {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	s = strings.TrimSuffix(s, "\n")
	if s == "" {
		return nil
	}
	out := make([]line, 0, strings.Count(s, "\n")+1)
	for t := range strings.SplitSeq(s, "\n") {
		at.Line = len(out) + 1
		out = append(out, line{strings.TrimSuffix(t, "\r"), at})
	}
	return out
}

// uncomment cuts a line at the first of the comment characters that begins it
// or follows a blank, and trims blanks.
func uncomment(s, chars string) string {
	for i, r := range s {
		if strings.ContainsRune(chars, r) && (i == 0 || s[i-1] == ' ' || s[i-1] == '\t') {
			s = s[:i]
			break
		}
	}
	return strings.TrimSpace(s)
}

// unquote removes one pair of matching quotes around a value.
func unquote(s string) string {
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}

// firstOf is the first line of a message, bounded.
func firstOf(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(strings.ToValidUTF8(s, "\uFFFD")), "\n")
	if r := []rune(s); len(r) > 300 {
		s = string(r[:300]) + "…"
	}
	if s == "" {
		s = "it gave no message"
	}
	return strings.TrimSpace(s)
}
