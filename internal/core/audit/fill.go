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
	fileWord    = regexp.MustCompile(`(^|[^$\w])(?:FILE|FOLDER)\b`)
	accountWord = regexp.MustCompile(`(^|[^$\w])(?:NAME|USER)\b`) // $USER is a shell's
	plainName   = regexp.MustCompile(`^[a-z_][a-z0-9_.-]{0,31}$`)
	plainPath   = regexp.MustCompile(`^/[A-Za-z0-9/._@:+,-]*$`)
)

// fill puts the files and accounts of the evidence into a control's fix, in the
// place of FILE, FOLDER, NAME and USER, so that it can be typed as it is: a
// command once for each of them. What cannot be filled in stays.
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
	file, account := fileWord.MatchString(line), accountWord.MatchString(line)
	if !file && !account {
		return []string{line}
	}
	var out []string
	for _, e := range evidence {
		if file && e.File == "" || account && e.Account == "" {
			continue // it is about something else
		}
		l := line
		if file {
			p, ok := quoted(e.File)
			if !ok {
				return []string{line}
			}
			l = put(fileWord, l, p)
		}
		if account {
			if !plainName.MatchString(e.Account) {
				return []string{line}
			}
			l = put(accountWord, l, e.Account)
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

// put replaces a word, and keeps what stands before it.
func put(word *regexp.Regexp, line, text string) string {
	return word.ReplaceAllString(line, "${1}"+strings.ReplaceAll(text, "$", "$$"))
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
