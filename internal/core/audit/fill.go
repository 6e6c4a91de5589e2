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
	fileWord    = regexp.MustCompile(`(?:^|[^$\w/-])(?:FILE|FOLDER)\b`)
	accountWord = regexp.MustCompile(`(?:^|[^$\w-])(?:NAME|USER)\b`)
	anyWord     = regexp.MustCompile(`(?:^|[^$\w/-])(FILE|FOLDER)\b|(?:^|[^$\w-])(NAME|USER)\b`)
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
		p, ok := quoted(e.File)
		if file && !ok || account && !plainName.MatchString(e.Account) {
			return []string{line}
		}
		l := put(line, p, e.Account)
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

// put replaces the words in one go: a file may be called NAME.
func put(line, file, account string) string {
	var b strings.Builder
	done := 0
	for _, m := range anyWord.FindAllStringSubmatchIndex(line, -1) {
		from, to, text := m[2], m[3], file
		if from < 0 {
			from, to, text = m[4], m[5], account
		}
		b.WriteString(line[done:from])
		b.WriteString(text)
		done = to
	}
	return b.String() + line[done:]
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
