package plan

import (
	"cmp"
	"slices"
	"strings"
)

// A Line is a step as it stands in the plan of a transaction on a host.
type Line struct {
	Verb     string   `json:"verb"` // as in tx.sh: file, link, gone, dir, mode, owner, install, remove, unit, sysctl, check, act
	N        string   `json:"-"`
	Args     []string `json:"args"` // the first is what it is about
	Controls []string `json:"controls"`
}

// ReadLines reads the plan of a transaction. A line that it does not understand is left out: it comes from a host, and
// may be of another version.
func ReadLines(data []byte) (out []Line) {
	for text := range strings.Lines(string(data)) {
		words, comment, ok := unquote(strings.TrimSuffix(text, "\n"))
		if !ok || len(words) < 4 || words[0] != "step" {
			continue
		}
		out = append(out, Line{Verb: words[1], N: words[2], Args: words[3:], Controls: forWhat(comment)})
	}
	return out
}

// forWhat are the controls that a step is for, or the one command that it belongs to, such as "user add ann".
func forWhat(comment string) []string {
	if one := strings.TrimSpace(comment); one != "" && !strings.Contains(one, "/") {
		return []string{one}
	}
	return strings.Fields(comment)
}

// unquote is the other way of quote: the words of a line, and what stands behind #.
func unquote(line string) (words []string, comment string, ok bool) {
	var w strings.Builder
	in, quoted := false, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quoted && c == '\'':
			quoted = false
		case quoted:
			w.WriteByte(c)
		case c == '\'':
			in, quoted = true, true
		case c == '\\' && i+1 < len(line):
			i++
			in = true
			w.WriteByte(line[i])
		case c == ' ':
			if in {
				words = append(words, w.String())
				w.Reset()
				in = false
			}
		case c == '#' && !in:
			return words, line[i+1:], true
		default:
			in = true
			w.WriteByte(c)
		}
	}
	if in {
		words = append(words, w.String())
	}
	return words, "", !quoted
}

// InWords says what the step does.
func (l Line) InWords() string {
	at := l.Args[0]
	rest := strings.Join(l.Args[1:], " ")
	switch l.Verb {
	case "file":
		if len(l.Args) > 4 && l.Args[4] == "-" {
			return "new file " + at
		}
		return "change " + at
	case "gone":
		return "remove " + at
	case "dir":
		return "make the folder " + at
	case "mode":
		return "mode and owner of " + at + ": " + strings.Join(l.Args[1:min(4, len(l.Args))], " ")
	case "link":
		if len(l.Args) > 1 {
			return "make " + at + " a link to " + l.Args[1]
		}
	case "install", "remove":
		return l.Verb + " " + strings.Join(l.Args, ", ")
	case "unit":
		return strings.Join(l.Args[1:], ", ") + " " + at
	case "sysctl":
		return "set " + strings.ReplaceAll(at, "/", ".") + " = " + rest
	case "check":
		return "check: " + cmp.Or(rest, at)
	case "act":
		return cmp.Or(rest, "run "+at)
	case "owner":
		if len(l.Args) > 3 {
			return "what is that of account " + l.Args[1] + " at and below " + at + " becomes that of account " + l.Args[3]
		}
	}
	return strings.TrimRight(l.Verb+" "+at+" "+rest, " ")
}

// ControlsOf are the controls that some lines are for, each once.
func ControlsOf(lines []Line) []string {
	ids := []string{}
	for _, l := range lines {
		for _, c := range l.Controls {
			if !slices.Contains(ids, c) {
				ids = append(ids, c)
			}
		}
	}
	return ids
}
