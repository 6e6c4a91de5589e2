package fact

import (
	"path"
	"slices"
	"strings"
)

// prefixes are programs that run another one, given after their options.
var prefixes = []string{"nice", "ionice", "nohup", "env", "sudo", "timeout", "flock", "chronic", "setsid", "stdbuf", "exec", "command", "time"}

// keywords of the shell after which a command follows.
var keywords = []string{"if", "then", "else", "elif", "do", "while", "until", "!", "{", "}", "(", ")", "fi", "done"}

// ran returns the absolute paths of the programs and scripts that a shell
// command runs, and the folders given to run-parts. It understands what
// people write in crontabs, no more: what it cannot see it leaves out.
func ran(command, cwd string, depth int) []string {
	var out []string
	if depth > 3 || len(command) > 16<<10 {
		return nil
	}
	for _, simple := range simpleCommands(command) {
		if len(simple) > 1 && simple[0] == "cd" {
			cwd = resolve(simple[1], cwd)
			continue
		}
		out = append(out, ranBy(simple, cwd, depth)...)
	}
	return out
}

// ranBy is ran for the words of one command.
func ranBy(words []string, cwd string, depth int) []string {
	for len(words) > 0 {
		w := words[0]
		name, _, assign := strings.Cut(w, "=")
		switch {
		case slices.Contains(keywords, w), assign && name != "" && !strings.ContainsAny(name, "/$-"):
			words = words[1:]
		case slices.Contains(prefixes, path.Base(w)):
			words = words[1:]
			for len(words) > 0 && (strings.HasPrefix(words[0], "-") || words[0] != "" && words[0][0] >= '0' && words[0][0] <= '9') {
				words = words[1:]
			}
		default:
			return ranProgram(w, words[1:], cwd, depth)
		}
	}
	return nil
}

func ranProgram(program string, args []string, cwd string, depth int) []string {
	var out []string
	if p := resolve(program, cwd); strings.Contains(program, "/") && p != "" {
		out = append(out, p)
	}
	base := path.Base(program)
	if base == "run-parts" {
		for _, a := range args {
			if path.IsAbs(a) {
				out = append(out, path.Clean(a))
			}
		}
		return out
	}
	if !interpreter(base) && program != "." && program != "source" {
		return out
	}
	for i, a := range args {
		switch {
		case strings.HasPrefix(a, "-") && strings.HasSuffix(a, "c") && !strings.HasPrefix(a, "--") && i+1 < len(args) && shell(base):
			return append(out, ran(args[i+1], cwd, depth+1)...)
		case a == "-m" || a == "-c" || a == "-e":
			return out // a module or a text, no path
		case strings.HasPrefix(a, "-"):
		default:
			if p := resolve(a, cwd); p != "" {
				out = append(out, p)
			}
			return out
		}
	}
	return out
}

func shell(base string) bool {
	return slices.Contains([]string{"sh", "bash", "dash", "zsh", "ash", "busybox"}, base)
}

func interpreter(base string) bool {
	base = strings.TrimRight(base, "0123456789.")
	return shell(base) || slices.Contains([]string{"python", "perl", "ruby", "node", "nodejs", "php", "lua", "java", "uwsgi"}, base)
}

// resolve makes a path absolute; "" where that needs what is not known.
func resolve(p, cwd string) string {
	switch {
	case p == "" || strings.ContainsAny(p, "$`*?~%"):
		return ""
	case path.IsAbs(p):
		return path.Clean(p)
	case cwd == "":
		return ""
	}
	return path.Join(cwd, p)
}

// simpleCommands splits a shell command at its operators, and each part into
// words with their quotes taken off.
func simpleCommands(s string) [][]string {
	var out [][]string
	var words []string
	var word strings.Builder
	inWord := false
	endWord := func() {
		if inWord {
			words = append(words, word.String())
		}
		word.Reset()
		inWord = false
	}
	end := func() {
		endWord()
		if len(words) > 0 {
			out = append(out, words)
		}
		words = nil
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\'' || c == '"':
			inWord = true
			j := strings.IndexByte(s[i+1:], c)
			if j < 0 {
				j = len(s) - i - 1
			}
			word.WriteString(s[i+1 : i+1+j])
			i += j + 1
		case c == '\\' && i+1 < len(s):
			i++
			word.WriteByte(s[i])
			inWord = true
		case c == ' ' || c == '\t':
			endWord()
		case c == '#' && !inWord:
			end()
			return out
		case c == '>' || c == '<':
			// A redirection and its target are not run.
			endWord()
			for i+1 < len(s) && strings.IndexByte("<>& \t", s[i+1]) >= 0 {
				i++
			}
			for i+1 < len(s) && strings.IndexByte(" \t;|&)", s[i+1]) < 0 {
				i++
			}
		case strings.IndexByte(";|&()\n", c) >= 0:
			end()
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	end()
	return out
}
