package remote

import "strings"

// Command is the line for a POSIX shell that runs a program with exactly these
// arguments. The first one names the program, even if it is a word of the
// shell's own grammar; the shell's builtins come before files. No argument
// can hold a NUL byte: Exec refuses such a line.
func Command(argv []string) string {
	words := make([]string, len(argv))
	for i, a := range argv {
		words[i] = shellWord(a)
		if i == 0 && words[i] == a {
			words[i] = "'" + a + "'" // if, {, and names of aliases
		}
	}
	return strings.Join(words, " ")
}

func shellWord(s string) string {
	plain := s != ""
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("/._-:@", c) >= 0) {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
