// Package edit changes one thing in a settings file and leaves the rest as it
// is: comments, order, line ends, and lines that it does not understand. All
// functions are pure; an edit of what is right already gives the same bytes.
package edit

import (
	"errors"
	"fmt"
	"strings"
)

// A Form is how a file of assignments is written. In all of them the last assignment wins.
type Form struct {
	Between  string // between key and value, as new lines have it: "=", " = " or " "
	Comment  string // characters that begin a comment line
	Sections bool   // [name] begins a section
	Fold     bool   // the case of letters in keys and sections does not matter
	Tail     bool   // a # after a blank ends the value
	Flag     bool   // a key may stand alone
}

// Forms that programs of Debian read.
var (
	Systemd = Form{Between: "=", Comment: "#;", Sections: true}
	INI     = Form{Between: "=", Comment: "#;", Sections: true, Fold: true}
	Shell   = Form{Between: "=", Comment: "#", Tail: true}                   // KEY=value
	Equals  = Form{Between: " = ", Comment: "#", Fold: true, Tail: true}     // auditd.conf, faillock.conf
	Words   = Form{Between: " ", Comment: "#", Fold: true, Tail: true}       // login.defs, chrony.conf
	Flags   = Form{Between: " = ", Comment: "#", Tail: true, Flag: true}     // pwquality.conf: key = value, or a key alone
	Colon   = Form{Between: ": ", Comment: "#", Tail: true}                  // top level of a YAML file
	Table   = Form{Between: " = ", Comment: "#", Sections: true, Tail: true} // TOML
)

// split gives the lines of a file with their ends.
func split(b []byte) []string {
	if len(b) == 0 {
		return nil
	}
	all := strings.SplitAfter(string(b), "\n")
	if all[len(all)-1] == "" {
		all = all[:len(all)-1]
	}
	return all
}

func join(lines []string) []byte { return []byte(strings.Join(lines, "")) }

// body cuts a line into what it says and its end.
func body(line string) (text, end string) {
	text = strings.TrimRight(line, "\r\n")
	return text, line[len(text):]
}

// eol is how the lines of a file end.
func eol(lines []string) string {
	if len(lines) > 0 && strings.HasSuffix(lines[0], "\r\n") {
		return "\r\n"
	}
	return "\n"
}

// insert puts a line before the one at i; a last line that has no end gets one.
func insert(lines []string, i int, text string) []string {
	end := eol(lines)
	out := append([]string{}, lines[:i]...)
	if i > 0 && !strings.HasSuffix(out[i-1], "\n") {
		out[i-1] += end
	}
	out = append(out, text+end)
	return append(out, lines[i:]...)
}

// plain refuses what would be more than one line.
func plain(words ...string) error {
	for _, w := range words {
		if strings.ContainsAny(w, "\n\r\x00") {
			return fmt.Errorf("%q does not fit on a line", w)
		}
	}
	return nil
}

// Insert puts a whole line before line n, of 1; n beyond the last appends.
func Insert(b []byte, n int, text string) ([]byte, error) {
	if err := plain(text); err != nil {
		return nil, err
	}
	all := split(b)
	return join(insert(all, max(0, min(n-1, len(all))), text)), nil
}

// CommentOut makes lines, counted from 1, comments with a mark that says who did it.
func CommentOut(b []byte, mark string, numbers ...int) ([]byte, error) {
	all := split(b)
	for _, n := range numbers {
		if n < 1 || n > len(all) {
			return nil, fmt.Errorf("there is no line %d", n)
		}
		if !strings.HasPrefix(all[n-1], mark) {
			all[n-1] = mark + all[n-1]
		}
	}
	return join(all), nil
}

// ReplaceOn puts another text in the place of one on line n, counted from 1. It has to be there just once.
func ReplaceOn(b []byte, n int, old, value string) ([]byte, error) {
	if err := plain(value); err != nil {
		return nil, err
	}
	all := split(b)
	if n < 1 || n > len(all) {
		return nil, fmt.Errorf("there is no line %d", n)
	}
	if old == "" || strings.Count(all[n-1], old) != 1 {
		return nil, fmt.Errorf("line %d does not hold %q once", n, old)
	}
	all[n-1] = strings.Replace(all[n-1], old, value, 1)
	return join(all), nil
}

// an assignment as a line has it.
type assignment struct {
	key, value string
	at         int    // where the value begins
	comment    bool   // it is commented out
	tail       string // what follows the value: blanks and a comment
}

// errNone is that a line is no assignment.
var errNone = errors.New("no assignment")

func (f Form) parse(text string) (assignment, error) {
	a := assignment{}
	rest := strings.TrimLeft(text, " \t")
	if rest != "" && strings.ContainsRune(f.Comment, rune(rest[0])) {
		a.comment = true
		rest = strings.TrimLeft(strings.TrimLeft(rest, f.Comment), " \t")
	}
	if rest == "" {
		return a, errNone
	}
	sep := strings.TrimSpace(f.Between)
	end := -1
	if sep == "" {
		end = strings.IndexAny(rest, " \t")
	} else {
		end = strings.Index(rest, sep)
	}
	if end < 0 {
		if !f.Flag && sep != "" {
			return a, errNone
		}
		a.key = rest
		if f.Tail {
			a.key, a.tail = cutTail(rest)
		}
		a.at = len(text) - len(rest) + len(a.key)
		return a, nil
	}
	a.key = strings.TrimRight(rest[:end], " \t")
	after := rest[end+len(sep):]
	value := strings.TrimLeft(after, " \t")
	a.at = len(text) - len(value)
	a.value = strings.TrimRight(value, " \t")
	if f.Tail {
		a.value, a.tail = cutTail(value)
	}
	if a.key == "" || f.Sections && strings.HasPrefix(a.key, "[") {
		return a, errNone
	}
	return a, nil
}

// cutTail cuts a value at a # that begins it or follows a blank.
func cutTail(s string) (value, tail string) {
	for i := range len(s) {
		if s[i] == '#' && (i == 0 || s[i-1] == ' ' || s[i-1] == '\t') {
			value = strings.TrimRight(s[:i], " \t")
			return value, s[len(value):]
		}
	}
	value = strings.TrimRight(s, " \t")
	return value, s[len(value):]
}

func (f Form) same(a, b string) bool {
	if f.Fold {
		return strings.EqualFold(a, b)
	}
	return a == b
}

// section is the name that a line begins, if it begins one.
func (f Form) section(text string) (string, bool) {
	t := strings.TrimSpace(text)
	if f.Sections && strings.HasPrefix(t, "[") {
		if i := strings.IndexByte(t, ']'); i > 0 {
			return t[1:i], true
		}
	}
	return "", false
}

// Set has a file say key = value: at the last place where it says so, else below the comment that shows the key, else
// at the end of the section, which is made where it is missing. Section is "" in forms that have none, and for what
// stands before the first.
func (f Form) Set(b []byte, section, key, value string) ([]byte, error) {
	if err := plain(section, key, value); err != nil {
		return nil, err
	}
	all := split(b)
	in, last, shown, end, next := "", -1, -1, -1, len(all)
	if section == "" {
		end = 0
	}
	for i, l := range all {
		text, _ := body(l)
		if name, ok := f.section(text); ok {
			if f.same(in, section) && end >= 0 {
				next = min(next, i)
			}
			if in = name; f.same(in, section) {
				end, next = i+1, len(all)
			}
			continue
		}
		if f.Sections && !f.same(in, section) {
			continue
		}
		if strings.TrimSpace(text) != "" {
			end = i + 1
		}
		a, err := f.parse(text)
		if err != nil || !f.same(a.key, key) {
			continue
		}
		if a.comment {
			shown = i
		} else {
			last = i
		}
	}
	line := strings.TrimRight(key+f.Between+value, " ")
	if value == "" && f.Flag {
		line = key
	}
	switch {
	case last >= 0:
		text, tail := body(all[last])
		a, _ := f.parse(text)
		if a.value == value {
			return b, nil
		}
		if strings.HasPrefix(a.tail, "#") {
			a.tail = " " + a.tail
		}
		if f.Flag && (value == "" || a.value == "") {
			all[last] = line + a.tail + tail
			break
		}
		between := text[:a.at]
		if strings.TrimSpace(f.Between) == "" && !strings.HasSuffix(between, " ") && !strings.HasSuffix(between, "\t") {
			between += " "
		}
		all[last] = between + value + a.tail + tail
	case shown >= 0:
		all = insert(all, shown+1, line)
	case end >= 0:
		all = insert(all, end, line)
	default:
		if len(all) > 0 {
			all = insert(all, len(all), "")
		}
		all = insert(all, len(all), "["+section+"]")
		all = insert(all, len(all), line)
	}
	return join(all), nil
}
