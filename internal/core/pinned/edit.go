package pinned

import (
	"bytes"
	"slices"
	"strings"
)

// An Entry is a host with a key that is to be pinned.
type Entry struct {
	Name string // see Name
	Key  Key
}

// Hides reports whether a file hides the names of hosts: it has hashed ones and no others.
func Hides(data []byte) bool {
	some := false
	for _, l := range Lines(data) {
		if !hashed(l.Names[0]) {
			return false
		}
		some = true
	}
	return some
}

// Add writes entries down below what a file holds. hash, if it is not nil,
// hides their names. What is there already is not written again.
func Add(data []byte, entries []Entry, hash func(name string) string) []byte {
	out := slices.Clone(data)
	end := ending(data)
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, end...)
	}
	have := Lines(data)
	for _, e := range entries {
		if slices.ContainsFunc(have, func(l Line) bool { return l.Marker == "" && l.Key == e.Key && !l.Wild() && l.Holds(e.Name) }) {
			continue
		}
		l := Line{Names: []string{e.Name}, Key: e.Key}
		have = append(have, l)
		if hash != nil {
			l.Names = []string{hash(e.Name)}
		}
		out = append(out, l.String()+end...)
	}
	return out
}

// ending is how the lines of a file end.
func ending(data []byte) string {
	if i := bytes.IndexByte(data, '\n'); i > 0 && data[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// A Renewal is a host that has other keys than it had.
type Renewal struct {
	Name  string   // as which it is known
	Also  []string // other names that it has
	Old   []Key    // that it has no more
	Fresh []Key    // that take their place
}

// concerns reports whether a line holds one of the old keys for the host, and
// under which of the line's names. A line for many hosts does not concern one of them.
func (r Renewal) concerns(l Line) (names []string) {
	if l.Marker != "" || l.Wild() || !slices.Contains(r.Old, l.Key) {
		return nil
	}
	for _, n := range l.Names {
		if slices.ContainsFunc(append([]string{r.Name}, r.Also...), func(own string) bool { return same(n, own) }) {
			names = append(names, n)
		}
	}
	return names
}

// Lines are the numbers of those that Apply changes.
func (r Renewal) Lines(data []byte) (out []int) {
	for _, l := range Lines(data) {
		if r.concerns(l) != nil {
			out = append(out, l.N)
		}
	}
	return out
}

// Others are lines that hold an old key and stay as they are: those for many
// hosts, and those for names that are not known to be the host's.
func (r Renewal) Others(data []byte) (out []Line) {
	for _, l := range Lines(data) {
		if l.Marker != "" || !slices.Contains(r.Old, l.Key) {
			continue
		}
		if names := r.concerns(l); len(names) < len(l.Names) {
			l.Names = slices.DeleteFunc(slices.Clone(l.Names), func(n string) bool { return slices.Contains(names, n) })
			out = append(out, l)
		}
	}
	return out
}

// Apply gives the file with the host's keys of now. A fresh key takes the place
// of the old one of its type, under the same names, hashed ones as well; an old
// key of another type goes. Names of others on such a line keep what they had. A
// file that holds none of the old keys stays as it is.
func (r Renewal) Apply(data []byte) []byte {
	var out []string
	end := ending(data)
	type put struct {
		key  Key
		name string
	}
	placed := map[put]bool{}
	last, all := -1, [][]string(nil) // behind which line of out, and of whom
	write := func(l Line) {
		var names []string
		for _, n := range l.Names {
			if !placed[put{l.Key, n}] {
				placed[put{l.Key, n}] = true
				names = append(names, n)
			}
		}
		if l.Names = names; len(names) > 0 {
			out = append(out, l.String()+end)
		}
	}
	n := 0
	for text := range bytes.Lines(data) {
		n++
		l, ok := parse(string(text))
		names := []string(nil)
		if ok {
			names = r.concerns(l)
		}
		if names == nil {
			out = append(out, string(text))
			continue
		}
		if others := slices.DeleteFunc(slices.Clone(l.Names), func(n string) bool { return slices.Contains(names, n) }); len(others) > 0 {
			out = append(out, Line{Names: others, Key: l.Key, Comment: l.Comment}.String()+end)
		}
		if i := slices.IndexFunc(r.Fresh, func(k Key) bool { return k.Type == l.Key.Type }); i >= 0 {
			write(Line{Names: names, Key: r.Fresh[i], Comment: l.Comment})
		}
		last, all = len(out), append(all, names)
	}
	if last < 0 {
		return data
	}
	// What no old key of its type made room for comes behind the last that went, so that the host stays known.
	rest := out[last:]
	out = slices.Clone(out[:last])
	for _, names := range all {
		for _, k := range r.Fresh {
			write(Line{Names: names, Key: k})
		}
	}
	return []byte(strings.Join(append(out, rest...), ""))
}
