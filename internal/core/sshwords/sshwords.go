// Package sshwords splits a line of the settings of ssh and sshd into words.
package sshwords

import "strings"

// First cuts the first word: up to blanks, or one = among them, or a quote
// in which it stands.
func First(s string) (word, rest string) {
	i := strings.IndexAny(s, " \t\r\n\"=")
	if i < 0 {
		return s, ""
	}
	if s[i] == '"' {
		j := strings.IndexByte(s[i+1:], '"')
		if j < 0 {
			return "", ""
		}
		return s[:i] + s[i+1:i+1+j], strings.TrimLeft(s[i+j+2:], " \t\r\n")
	}
	word, rest = s[:i], strings.TrimLeft(s[i+1:], " \t\r\n")
	if s[i] != '=' && strings.HasPrefix(rest, "=") {
		rest = strings.TrimLeft(rest[1:], " \t\r\n")
	}
	return word, rest
}

// Args splits the rest as the argv_split of both programs does: # begins a comment only at the beginning of a word, and a
// backslash stands for itself but before a quote, a blank or another. ok is false where a quote is not closed.
func Args(s string) (args []string, ok bool) {
	for i := 0; i < len(s); {
		if s[i] == ' ' || s[i] == '\t' {
			i++
			continue
		}
		if s[i] == '#' {
			break
		}
		var b strings.Builder
		quote := byte(0)
		for ; i < len(s); i++ {
			c := s[i]
			if c == '\\' && i+1 < len(s) && (strings.IndexByte(`'"\`, s[i+1]) >= 0 || quote == 0 && s[i+1] == ' ') {
				i++
				b.WriteByte(s[i])
				continue
			}
			if quote == 0 && (c == ' ' || c == '\t') {
				break
			}
			switch {
			case quote == 0 && (c == '"' || c == '\''):
				quote = c
			case quote != 0 && c == quote:
				quote = 0
			default:
				b.WriteByte(c)
			}
		}
		if quote != 0 {
			return nil, false
		}
		args = append(args, b.String())
	}
	return args, true
}
