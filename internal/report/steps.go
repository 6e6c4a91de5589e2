package report

import (
	"strings"
	"unicode"
)

// A Step of a fix is either a sentence or something to type or write.
type Step struct {
	Text string
	Code bool
}

// Steps parts a control's fix into sentences and commands; commands that
// follow each other are one step.
func Steps(fix string) []Step {
	var out []Step
	for line := range strings.Lines(strings.TrimSpace(fix)) {
		line = strings.TrimRight(line, " \n")
		if line == "" {
			continue
		}
		s := Step{line, !sentenceLike(line)}
		if n := len(out); n > 0 && out[n-1].Code == s.Code {
			if s.Code {
				out[n-1].Text += "\n" + line
				continue
			}
			if unicode.IsLower([]rune(line)[0]) { // the sentence goes on
				out[n-1].Text += " " + line
				continue
			}
		}
		out = append(out, s)
	}
	return out
}

// sentenceLike tells prose from commands and lines of configuration: prose
// ends like a sentence, or begins with a capital and goes on for a while.
func sentenceLike(line string) bool {
	if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "sudo ") {
		return false
	}
	if strings.HasSuffix(line, ".") || strings.HasSuffix(line, ":") {
		return true
	}
	return unicode.IsUpper([]rune(line)[0]) && len(strings.Fields(line)) >= 4
}

// maxCommands is how many lines of a fix the text shows.
const maxCommands = 5

// firstCommands are the commands that a fix begins with, and whether there is
// more to know or to do: a comment, a sentence, or too many of them. Where a
// sentence comes first there is something to look at before anything is typed.
func firstCommands(fix string) (commands []string, more bool) {
	steps := Steps(fix)
	if len(steps) == 0 || !steps[0].Code {
		return nil, len(steps) > 0
	}
	more = len(steps) > 1
	for line := range strings.Lines(steps[0].Text) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "#") && len(commands) > 0:
			return commands, true // it says what the next ones are for
		case strings.HasPrefix(line, "#"):
			more = true
		case len(commands) == maxCommands:
			return commands, true
		default:
			commands = append(commands, line)
		}
	}
	return commands, more
}
