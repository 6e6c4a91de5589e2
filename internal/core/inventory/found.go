package inventory

import (
	"bytes"
	"fmt"
	"iter"
	"strings"

	"picket/internal/core/yaml"
)

// Found is what one file knows of a cluster.
type Found struct {
	File   string
	Nodes  []Node
	Groups []Group
	Notes  []Note
}

const (
	// MaxNodes of one file.
	MaxNodes = 10_000
	maxNotes = 200
)

// A gather collects what a reader finds, within bounds.
type gather struct {
	Found
	left int // notes that were too many
	full bool
}

func newGather(file string) *gather { return &gather{Found: Found{File: file}} }

func (g *gather) at(line int) Place { return Place{g.File, line} }

// note tells what was not used. Texts hold names and addresses, and never the
// value of anything else.
func (g *gather) note(line int, format string, args ...any) {
	if len(g.Notes) >= maxNotes {
		g.left++
		return
	}
	g.Notes = append(g.Notes, Note{g.at(line), fmt.Sprintf(format, args...)})
}

// room reports whether one more node is taken.
func (g *gather) room(have, line int) bool {
	if have < MaxNodes {
		return true
	}
	if !g.full {
		g.full = true
		g.note(line, "more than %d nodes: what follows is left out", MaxNodes)
	}
	return false
}

func (g *gather) found() Found {
	if g.left > 0 {
		g.Notes = append(g.Notes, Note{g.at(0), fmt.Sprintf("%d more of such notes", g.left)})
		g.left = 0
	}
	return g.Found
}

// readable says why a file as a whole is not read.
func (g *gather) readable(data []byte) bool {
	switch {
	case len(data) > yaml.MaxSize:
		g.note(0, "larger than %d bytes: nothing of it is used", yaml.MaxSize)
	case bytes.IndexByte(data, 0) >= 0:
		g.note(0, "no text: nothing of it is used")
	case bytes.HasPrefix(data, []byte("$ANSIBLE_VAULT")):
		g.note(1, "encrypted as a whole by ansible-vault: nothing of it is used")
	default:
		return true
	}
	return false
}

// lines of a text with their numbers, from 1.
func lines(data []byte) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		n := 0
		for l := range bytes.Lines(bytes.TrimPrefix(data, []byte("\ufeff"))) {
			n++
			if !yield(n, strings.TrimRight(string(l), "\r\n")) {
				return
			}
		}
	}
}

// words splits as a POSIX shell does, with quotes and backslashes. With
// comments, # ends the text wherever it stands outside quotes.
func words(s string, comments bool) (out []string, ok bool) {
	var b strings.Builder
	open, in := byte(0), false // the quote that is open; whether a word has begun
	end := func() {
		if in {
			out = append(out, b.String())
		}
		b.Reset()
		in = false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case open == '\'' && c != '\'', open == '"' && c != '"' && c != '\\':
			b.WriteByte(c)
		case open != 0 && c == open:
			open = 0
		case c == '\\':
			if i++; i == len(s) {
				return nil, false
			}
			if open == '"' && s[i] != '"' && s[i] != '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(s[i])
			in = true
		case c == '"' || c == '\'':
			open, in = c, true
		case comments && c == '#':
			end()
			return out, true
		case strings.IndexByte(" \t\r\n", c) >= 0:
			end()
		default:
			b.WriteByte(c)
			in = true
		}
	}
	end()
	return out, open == 0
}
