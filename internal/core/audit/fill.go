package audit

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"picket/internal/core/control"
)

// maxFilled is for how many files or accounts a line of a fix is written out.
const maxFilled = 5

var (
	// $USER is a shell's, A-NAME and /etc/FILE are something else.
	blank     = regexp.MustCompile(`(?:^|[^$\w/-])(FILE|FOLDER)\b|(?:^|[^$\w-])(NAME|USER|GROUP|LINES)\b`)
	plainLine = regexp.MustCompile(`^[A-Za-z]+=[A-Za-z0-9 /._:@~+-]*$`)
	plainName = regexp.MustCompile(`^[a-z_][a-z0-9_.-]{0,31}$`)
	plainPath = regexp.MustCompile(`^/[A-Za-z0-9/._@:+,-]*$`)
)

// fill puts the files, accounts and groups of the evidence into a control's
// fix, in the place of FILE, FOLDER, NAME, USER and GROUP, so that it can be typed as
// it is: a command once for each of them. What cannot be filled in stays.
//
// The names come from the host that is judged, and a person will paste the
// commands into a shell.
func fill(fix string, evidence []control.Evidence) string {
	var seen []control.Evidence
	for _, e := range evidence {
		if e.Wanted != "" {
			seen = append(seen, e)
		}
	}
	var b strings.Builder
	for line := range strings.Lines(fix) {
		b.WriteString(strings.Join(filled(line, seen), ""))
	}
	return b.String()
}

func filled(line string, evidence []control.Evidence) []string {
	blanks := blanksOf(line)
	if len(blanks) == 0 {
		return []string{line}
	}
	var out []string
	for _, e := range evidence {
		l, missing, safe := put(line, blanks, e)
		if missing {
			continue // it is about something else
		}
		if !safe {
			return []string{line}
		}
		if !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	most := maxFilled
	if !command(line) {
		most = 1 // a sentence is not said twice
	}
	if len(out) == 0 || len(out) > most {
		return []string{line}
	}
	return out
}

// blanksOf are where in a line there is something to fill in: from and to.
func blanksOf(line string) [][2]int {
	var out [][2]int
	for _, m := range blank.FindAllStringSubmatchIndex(line, -1) {
		out = append(out, [2]int{max(m[2], m[4]), max(m[3], m[5])})
	}
	return out
}

// put fills in all at once, as a file may be called NAME. It tells whether the
// evidence misses one of them, and whether all are safe to be typed.
func put(line string, blanks [][2]int, e control.Evidence) (text string, missing, safe bool) {
	var b strings.Builder
	done := 0
	safe = true
	for _, at := range blanks {
		value, ok := "", false
		switch line[at[0]:at[1]] {
		case "FILE", "FOLDER":
			value, ok = quoted(e.File)
			missing = missing || e.File == ""
		case "GROUP":
			value, ok = e.Group, plainName.MatchString(e.Group)
			missing = missing || e.Group == ""
		case "LINES":
			value, ok = typedLines(e.Lines)
			missing = missing || len(e.Lines) == 0
		default:
			value, ok = e.Account, plainName.MatchString(e.Account)
			missing = missing || e.Account == ""
		}
		safe = safe && ok
		b.WriteString(line[done:at[0]])
		b.WriteString(value)
		done = at[1]
	}
	return b.String() + line[done:], missing, safe
}

// typedLines are lines of a settings file, each as a word for a shell.
func typedLines(lines []string) (string, bool) {
	for _, l := range lines {
		if !plainLine.MatchString(l) {
			return "", false
		}
	}
	return "'" + strings.Join(lines, "' '") + "'", len(lines) > 0
}

// command is whether a line of a fix is typed, and no sentence or comment.
func command(line string) bool {
	line = strings.TrimSpace(line)
	return line != "" && unicode.IsLower([]rune(line)[0]) && !strings.HasSuffix(line, ".") && !strings.HasSuffix(line, ":")
}

// quoted is a path as a shell takes it for one word; false for one that a
// terminal might not show as it is.
func quoted(p string) (string, bool) {
	switch {
	case plainPath.MatchString(p):
		return p, true
	case !strings.HasPrefix(p, "/"), strings.ContainsFunc(p, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }):
		return "", false
	}
	return "'" + strings.ReplaceAll(p, "'", `'\''`) + "'", true
}
