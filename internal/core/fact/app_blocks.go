package fact

import (
	"strconv"
	"strings"
)

// A blockScan reads the words of settings with blocks in braces. Words keep
// what is between their quotes as it is.
type blockScan struct {
	text string
	at   int
	line int
	hash string // what begins a comment
	ends string // characters that are words of their own
	was  bool   // the last word was quoted
	bad  string
}

// next is the next word; "" at the end. A newline is one where ends has it.
func (s *blockScan) next() (word string, line int) {
	s.was = false
	for s.at < len(s.text) {
		c := s.text[s.at]
		switch {
		case c == '\n' && strings.IndexByte(s.ends, '\n') >= 0:
			s.at++
			s.line++
			return "\n", s.line - 1
		case c == '\n':
			s.at++
			s.line++
		case c == ' ' || c == '\t' || c == '\r':
			s.at++
		case strings.HasPrefix(s.text[s.at:], s.hash), s.hash == "//" && c == '#':
			s.skipTo("\n", 0)
		case s.hash == "//" && strings.HasPrefix(s.text[s.at:], "/*"):
			s.skipTo("*/", 2)
		case strings.IndexByte(s.ends, c) >= 0:
			s.at++
			return string(c), s.line
		default:
			return s.word()
		}
	}
	return "", s.line
}

func (s *blockScan) skipTo(end string, over int) {
	i := strings.Index(s.text[s.at:], end)
	if i < 0 {
		i, over = len(s.text)-s.at, 0
		if end != "\n" {
			s.bad = "a comment has no end"
		}
	}
	s.line += strings.Count(s.text[s.at:s.at+i+over], "\n")
	s.at += i + over
}

func (s *blockScan) word() (string, int) {
	var b strings.Builder
	line := s.line
	for s.at < len(s.text) {
		c := s.text[s.at]
		switch {
		case c == '"' || c == '\'' || c == '`':
			s.was = true
			s.at++
			for s.at < len(s.text) && s.text[s.at] != c {
				if s.text[s.at] == '\\' && c == '"' && s.at+1 < len(s.text) {
					s.at++
				}
				if s.text[s.at] == '\n' {
					s.line++
				}
				b.WriteByte(s.text[s.at])
				s.at++
			}
			if s.at >= len(s.text) {
				s.bad = "a quote has no end"
				return b.String(), line
			}
			s.at++
		case c == ' ' || c == '\t' || c == '\r' || c == '\n', strings.IndexByte(s.ends, c) >= 0:
			return b.String(), line
		case c == '\\' && s.at+1 < len(s.text):
			b.WriteByte(s.text[s.at+1])
			if s.text[s.at+1] == '\n' {
				s.line++
			}
			s.at += 2
		default:
			b.WriteByte(c)
			s.at++
		}
	}
	return b.String(), line
}

// A blockPath is where in nested blocks a reader is.
type blockPath struct {
	parts []string
	nth   []map[string]int // how many blocks of a name each level has
}

func newBlockPath() *blockPath { return &blockPath{nth: []map[string]int{{}}} }

func (p *blockPath) enter(name string) {
	top := p.nth[len(p.nth)-1]
	p.parts = append(p.parts, name, strconv.Itoa(top[name]))
	top[name]++
	p.nth = append(p.nth, map[string]int{})
}

// leave reports false where there is nothing to leave.
func (p *blockPath) leave() bool {
	if len(p.parts) == 0 {
		return false
	}
	p.parts, p.nth = p.parts[:len(p.parts)-2], p.nth[:len(p.nth)-1]
	return true
}

func (p *blockPath) key(last string) []string {
	return append(p.parts[:len(p.parts):len(p.parts)], last)
}

// readAppNginx reads name value…; and name value… { … }. What follows a
// block's name is its label.
func readAppNginx(r *appReader, text string) {
	s := &blockScan{text: text, line: 1, hash: "#", ends: ";{}"}
	p := newBlockPath()
	var words []string
	first := 0
	for r.err == "" && s.bad == "" {
		w, line := s.next()
		switch {
		case w == "" && !s.was:
			if len(words) > 0 || len(p.parts) > 0 {
				s.bad = "it ends within a block or a line"
			} else {
				return
			}
		case s.was || w != ";" && w != "{" && w != "}":
			if len(words) == 0 {
				first = line
			}
			words = append(words, w)
		case w == ";" && len(words) > 0:
			r.add(first, strings.Join(words[1:], " "), true, p.key(words[0])...)
			words = nil
		case w == "{" && len(words) > 0 && len(p.parts) < 2*maxAppDepth:
			p.enter(words[0])
			r.add(first, strings.Join(words[1:], " "), true, p.key("label")...)
			words = nil
		case w != "}" || len(words) > 0 || !p.leave():
			s.bad = "a " + w + " in the wrong place"
		}
	}
	if s.bad != "" {
		r.fail(s.line, "%s", s.bad)
	}
}

// readAppCaddy reads a Caddyfile: a line is a name and its values, an open
// brace at its end begins a block. What follows a block's name is its label;
// a site's label are its addresses.
func readAppCaddy(r *appReader, text string) {
	s := &blockScan{text: text, line: 1, hash: "#", ends: "\n"}
	p := newBlockPath()
	var words []string
	first, bare := 0, false // a single site may do without braces
	end := func() {
		if len(words) == 0 {
			return
		}
		switch last := words[len(words)-1]; {
		case len(words) == 1 && last == "}":
			if !p.leave() {
				s.bad = "a } in the wrong place"
			}
		case last == "{" && len(p.parts) == 0:
			p.enter("site")
			r.add(first, strings.Join(words[:len(words)-1], " "), true, p.key("label")...)
		case last == "{" && len(words) > 1 && len(p.parts) < 2*maxAppDepth:
			p.enter(words[0])
			r.add(first, strings.Join(words[1:len(words)-1], " "), true, p.key("label")...)
		case last == "{":
			s.bad = "a { in the wrong place"
		case len(p.parts) == 0 && !bare && words[0] != "import":
			bare = true
			p.enter("site")
			r.add(first, strings.Join(words, " "), true, p.key("label")...)
		default:
			r.add(first, strings.Join(words[1:], " "), true, p.key(words[0])...)
		}
		words = nil
	}
	for r.err == "" && s.bad == "" {
		w, line := s.next()
		switch {
		case w == "" && !s.was:
			end()
			if s.bad == "" && len(p.parts) > 0 && !(bare && len(p.parts) == 2) {
				s.bad = "it ends within a block"
			}
			if s.bad == "" {
				return
			}
		case w == "\n" && !s.was:
			if n := len(words); n > 0 && strings.HasSuffix(words[n-1], ",") && len(p.parts) == 0 {
				continue // the list of addresses goes on
			}
			end()
		default:
			if len(words) == 0 {
				first = line
			}
			words = append(words, w)
		}
	}
	if s.bad != "" {
		r.fail(s.line, "%s", s.bad)
	}
}

// readAppLighttpd reads name = value, += and :=, and conditions with a block,
// which become if with the condition as label. A list in brackets is one value, as
// words.
func readAppLighttpd(r *appReader, text string) {
	s := &blockScan{text: text, line: 1, hash: "#", ends: "\n{}()=>,"}
	p := newBlockPath()
	var words []string
	first, depth := 0, 0
	end := func() {
		if len(words) == 0 {
			return
		}
		key, value := words[0], words[1:]
		for len(value) > 0 && (value[0] == "=" || value[0] == ">") {
			value = value[1:]
		}
		if key == "include" || key == "include_shell" {
			value = words[1:]
		}
		if k, op := strings.CutSuffix(key, "+"); op {
			key = k
		}
		if len(value) > 0 && (value[0] == "+" || value[0] == ":") {
			value = value[1:]
			for len(value) > 0 && value[0] == "=" {
				value = value[1:]
			}
		}
		r.add(first, strings.Join(value, " "), true, p.key(key)...)
		words = nil
	}
	for r.err == "" && s.bad == "" {
		w, line := s.next()
		switch {
		case w == "" && !s.was:
			end()
			if depth > 0 || len(p.parts) > 0 {
				s.bad = "it ends within a block or a list"
			} else {
				return
			}
		case s.was:
			if w == "" {
				w = `""`
			}
			words = append(words, w)
			if len(words) == 1 {
				first = line
			}
		case w == "\n":
			if depth == 0 && (len(words) == 0 || words[len(words)-1] != "=" && words[len(words)-1] != "+") {
				end()
			}
		case w == "{" && len(p.parts) < 2*maxAppDepth:
			p.enter("if")
			r.add(first, strings.Join(words, " "), true, p.key("label")...)
			words = nil
		case w == "}" && depth == 0:
			end()
			if !p.leave() {
				s.bad = "a } in the wrong place"
			}
		case w == "{" || w == "}":
			s.bad = "a " + w + " in the wrong place"
		case w == "(" && len(words) == 0, w == ")" && depth == 0:
			s.bad = "a bracket in the wrong place"
		case w == "(":
			depth++
		case w == ")":
			depth--
		case w == ",", depth > 0 && (w == "=" || w == ">"):
		default:
			if len(words) == 0 {
				first = line
			}
			words = append(words, w)
		}
	}
	if s.bad != "" {
		r.fail(s.line, "%s", s.bad)
	}
}
