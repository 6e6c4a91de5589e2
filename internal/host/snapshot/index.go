package snapshot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"picket/internal/core/snap"
)

// Names and limits of a saved snapshot; docs/format-snapshot.md.
const (
	indexName   = "index.json"
	maxIndex    = 64 << 20
	maxCommas   = 4 << 20
	maxCommands = 10_000
	maxList     = snap.MaxEntries
	maxGrowth   = 64 << 10 // what replacing secrets may add to one file
)

// index is the first member of a saved snapshot: all but contents.
type index struct {
	Schema     string       `json:"schema"`
	Taken      time.Time    `json:"taken"`
	Source     indexSource  `json:"source"`
	Complete   bool         `json:"complete"`
	AskedFiles list[text]   `json:"askedFiles"`
	AskedStats list[text]   `json:"askedStats"`
	Denials    list[denial] `json:"denials"`
	Problems   list[text]   `json:"problems"`
	Entries    list[entry]  `json:"entries"`
	Commands   list[output] `json:"commands"`
	Walk       *walked      `json:"walk"`
	Found      list[entry]  `json:"found"` // by the walk
}

type indexSource struct {
	Kind   text `json:"kind"`
	Target text `json:"target"`
	UID    int  `json:"uid"`
	Client text `json:"client,omitempty"`
}

type denial struct {
	At  text `json:"at"`
	Why text `json:"why"`
}

type entry struct {
	Path     text      `json:"path"`
	Type     snap.Type `json:"type"`
	Mode     mode      `json:"mode"`
	UID      int       `json:"uid"`
	GID      int       `json:"gid"`
	Size     int64     `json:"size"`
	MTime    time.Time `json:"mtime"`
	Target   text      `json:"target,omitempty"`
	Real     text      `json:"real,omitempty"`
	Member   string    `json:"member,omitempty"`
	Cut      bool      `json:"cut,omitempty"`
	Redacted bool      `json:"redacted,omitempty"`
	Whole    bool      `json:"whole,omitempty"`
	Denied   text      `json:"denied,omitempty"`
}

type output struct {
	Argv    []text `json:"argv"`
	Exit    int    `json:"exit"`
	Stderr  text   `json:"stderr,omitempty"`
	Missing bool   `json:"missing,omitempty"`
	Error   text   `json:"error,omitempty"`
	Cut     bool   `json:"cut,omitempty"`
	Member  string `json:"member,omitempty"`
}

type walked struct {
	Seen  int        `json:"seen"`
	Error text       `json:"error,omitempty"`
	Roots list[text] `json:"roots"`
}

// mode is written as a person types it: "0644".
type mode uint32

func (m mode) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%04o", uint32(m)), nil }

func (m *mode) UnmarshalText(b []byte) error {
	n, err := strconv.ParseUint(string(b), 8, 32)
	if err != nil || n > 0o7777 {
		return fmt.Errorf("mode %q is not an octal number up to 7777", b)
	}
	*m = mode(n)
	return nil
}

// text is a string of the host: any bytes. One that is not valid UTF-8, or
// that begins with a quote, is written as a Go string literal, quotes
// included.
type text string

func (t text) MarshalText() ([]byte, error) {
	if utf8.ValidString(string(t)) && !strings.HasPrefix(string(t), `"`) {
		return []byte(t), nil
	}
	return strconv.AppendQuote(nil, string(t)), nil
}

func (t *text) UnmarshalText(b []byte) error {
	if len(b) == 0 || b[0] != '"' {
		*t = text(b)
		return nil
	}
	s, err := strconv.Unquote(string(b))
	if err != nil {
		return fmt.Errorf("%.40q is not a quoted string", b)
	}
	*t = text(s)
	return nil
}

// list is an array that is read one item at a time, so that a hostile one
// ends at maxList and not at the end of our memory.
type list[T any] []T

func (l *list[T]) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if tok, err := d.Token(); err != nil || tok == nil {
		return err
	} else if tok != json.Delim('[') {
		return fmt.Errorf("want a list, found %v", tok)
	}
	for d.More() {
		if len(*l) >= maxList {
			return fmt.Errorf("a list has more than %d items", maxList)
		}
		var v T
		if err := d.Decode(&v); err != nil {
			return fmt.Errorf("item %d: %w", len(*l)+1, err)
		}
		*l = append(*l, v)
	}
	return nil
}

// encode writes the index with one item a line, for people and for diff.
func (x *index) encode() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("{\n")
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	var err error
	put := func(v any) {
		if err == nil {
			err = e.Encode(v)
		}
		b.Truncate(len(bytes.TrimRight(b.Bytes(), "\n")))
	}
	field := func(name string, v any) {
		if b.Len() > 2 {
			b.WriteString(",\n")
		}
		fmt.Fprintf(&b, " %q: ", name)
		put(v)
	}
	items := func(name string, n int, item func(int) any) {
		fmt.Fprintf(&b, ",\n %q: [", name)
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString("\n  ")
			put(item(i))
		}
		b.WriteByte(']')
	}
	field("schema", x.Schema)
	field("taken", x.Taken)
	field("source", x.Source)
	field("complete", x.Complete)
	items("askedFiles", len(x.AskedFiles), func(i int) any { return x.AskedFiles[i] })
	items("askedStats", len(x.AskedStats), func(i int) any { return x.AskedStats[i] })
	items("denials", len(x.Denials), func(i int) any { return x.Denials[i] })
	items("problems", len(x.Problems), func(i int) any { return x.Problems[i] })
	items("entries", len(x.Entries), func(i int) any { return x.Entries[i] })
	items("commands", len(x.Commands), func(i int) any { return x.Commands[i] })
	field("walk", x.Walk)
	items("found", len(x.Found), func(i int) any { return x.Found[i] })
	b.WriteString("\n}\n")
	return b.Bytes(), err
}

// plain reports whether a path can be the name of a member as it is.
func plain(p string) bool {
	if len(p) > 200 || !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "/~") || !utf8.ValidString(p) {
		return false
	}
	for c := range strings.SplitSeq(p[1:], "/") {
		if c == "" || c == "." || c == ".." {
			return false
		}
	}
	return strings.IndexFunc(p, func(r rune) bool { return !unicode.IsPrint(r) || r == '\\' }) < 0
}
