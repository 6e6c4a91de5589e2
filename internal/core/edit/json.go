package edit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// JSON sets one value in an object, below a path of keys, and leaves all other bytes as they are. Objects on the way
// that are missing are made; an empty file is an empty object. A key that is there twice is refused: which one counts
// differs between programs.
func JSON(b []byte, path []string, value any) ([]byte, error) {
	wanted, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	if len(path) == 0 {
		return nil, errors.New("want a key")
	}
	if len(bytes.TrimSpace(b)) == 0 {
		b = []byte("{}\n")
	}
	if !json.Valid(b) {
		var any any
		return nil, json.Unmarshal(b, &any)
	}
	begin := bytes.IndexByte(b, '{')
	if begin != len(b)-len(bytes.TrimLeft(b, " \t\r\n")) {
		return nil, errors.New("it is no object")
	}
	return set(b, begin, path, wanted, 1)
}

// set works on the object that begins at an offset.
func set(b []byte, begin int, path []string, wanted []byte, depth int) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(b[begin:]))
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	found := false
	var from, to, last int
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil && err != io.EOF {
			return nil, err
		}
		last = begin + int(d.InputOffset())
		if key != path[0] {
			continue
		}
		if found {
			return nil, fmt.Errorf("%q is there twice", path[0])
		}
		found, from, to = true, last-len(raw), last
	}
	cat := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	switch {
	case found && len(path) > 1:
		if b[from] != '{' {
			return nil, fmt.Errorf("%q is no object", path[0])
		}
		return set(b, from, path[1:], wanted, depth+1)
	case found:
		var a, c bytes.Buffer
		if json.Compact(&a, b[from:to]) == nil && json.Compact(&c, wanted) == nil && bytes.Equal(a.Bytes(), c.Bytes()) {
			return b, nil
		}
		return cat(b[:from], wanted, b[to:]), nil
	}
	for i := len(path) - 1; i > 0; i-- {
		k, _ := json.Marshal(path[i])
		wanted = cat([]byte("{"), k, []byte(": "), wanted, []byte("}"))
	}
	k, _ := json.Marshal(path[0])
	entry := cat(k, []byte(": "), wanted)
	end := begin + int(d.InputOffset()) // before the closing bracket, which More has not taken
	closing := end + bytes.IndexByte(b[end:], '}')
	indent := "\n" + strings.Repeat("  ", depth)
	if last == 0 {
		return cat(b[:begin+1], []byte(indent), entry, []byte("\n"+strings.Repeat("  ", depth-1)), b[closing:]), nil
	}
	if bytes.Contains(b[begin:last], []byte("\n")) {
		first := b[begin+1:]
		blank := first[:len(first)-len(bytes.TrimLeft(first, " \t\r\n"))]
		return cat(b[:last], []byte(","), blank, entry, b[last:]), nil
	}
	return cat(b[:last], []byte(", "), entry, b[last:]), nil
}
