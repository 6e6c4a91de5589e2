package account

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A table is one of the files: a line a record, fields parted by colons. What is not touched stays as it is, damaged
// lines and missing newlines too.
type table struct {
	fields int
	lines  []string // with their newlines
}

func parse(content []byte, fields int) *table {
	t := &table{fields: fields}
	for l := range bytes.Lines(content) {
		t.lines = append(t.lines, string(l))
	}
	return t
}

func (t *table) print() []byte { return []byte(strings.Join(t.lines, "")) }

// split is a line's fields, nil for what is no record.
func (t *table) split(i int) []string {
	l := strings.TrimSuffix(t.lines[i], "\n")
	f := strings.Split(l, ":")
	if len(f) != t.fields || nis(l) {
		return nil
	}
	return f
}

// nis reports whether a line is one of the old NIS, which takes records in from elsewhere. They stay the last.
func nis(line string) bool { return strings.HasPrefix(line, "+") || strings.HasPrefix(line, "-") }

// find is the record of a name: the first, as for the C library. It refuses one that is damaged or there twice, since
// programs disagree on which counts. -1: there is none.
func (t *table) find(name string) (int, error) {
	at := -1
	for i := range t.lines {
		first, _, _ := strings.Cut(strings.TrimSuffix(t.lines[i], "\n"), ":")
		switch {
		case first != name:
		case t.split(i) == nil:
			return -1, fmt.Errorf("line %d, of %s, has not %d fields", i+1, name, t.fields)
		case at >= 0:
			return -1, fmt.Errorf("%s is there twice, on lines %d and %d", name, at+1, i+1)
		default:
			at = i
		}
	}
	return at, nil
}

// has finds a record that must be there.
func (t *table) has(name string) (int, error) {
	i, err := t.find(name)
	if err == nil && i < 0 {
		err = fmt.Errorf("%s is not there", name)
	}
	return i, err
}

// set changes one field of a record.
func (t *table) set(i, field int, value string) error {
	if strings.ContainsAny(value, ":\n\r\x00") {
		return fmt.Errorf("%q cannot stand in a field", value)
	}
	f := t.split(i)
	f[field] = value
	end := ""
	if strings.HasSuffix(t.lines[i], "\n") {
		end = "\n"
	}
	t.lines[i] = strings.Join(f, ":") + end
	return nil
}

// insert adds a record at the end, before the lines of NIS.
func (t *table) insert(fields ...string) error {
	for _, f := range fields {
		if strings.ContainsAny(f, ":\n\r\x00") {
			return fmt.Errorf("%q cannot stand in a field", f)
		}
	}
	at := slices.IndexFunc(t.lines, nis)
	if at < 0 {
		at = len(t.lines)
	}
	if at > 0 && !strings.HasSuffix(t.lines[at-1], "\n") {
		t.lines[at-1] += "\n"
	}
	t.lines = slices.Insert(t.lines, at, strings.Join(fields, ":")+"\n")
	return nil
}

// numbers are the values of one field of all records that has numbers.
func (t *table) numbers(field int) map[int]bool {
	out := map[int]bool{}
	for i := range t.lines {
		if f := t.split(i); f != nil {
			if n, err := strconv.Atoi(f[field]); err == nil {
				out[n] = true
			}
		}
	}
	return out
}

// members is a list of names parted by commas.
func members(field string) []string {
	return slices.DeleteFunc(strings.Split(field, ","), func(m string) bool { return strings.TrimSpace(m) == "" })
}
