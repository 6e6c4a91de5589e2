package edit

import (
	"fmt"
	"slices"
	"strings"
)

// Parameters changes the one line of a kernel's command line (cmdline.txt of a Raspberry Pi): words that remove wants away go, words
// of add that are not there come to its end. Of NAME=value the former values of NAME go, if drop says so.
func Parameters(b []byte, remove func(word string) bool, add ...string) ([]byte, error) {
	if err := plain(add...); err != nil {
		return nil, err
	}
	all := split(b)
	i := slices.IndexFunc(all, func(l string) bool { return strings.TrimSpace(l) != "" })
	if i > 0 || i < 0 {
		return nil, fmt.Errorf("its first line is no command line")
	}
	text, end := body(all[0])
	now, changed := parameters(strings.TrimSpace(text), remove, add)
	if !changed {
		return b, nil
	}
	all[0] = now + end
	return join(all), nil
}

// parameters keeps the blanks between words that stay.
func parameters(text string, remove func(string) bool, add []string) (string, bool) {
	have := strings.Fields(text)
	out, changed := []string{}, false
	for _, w := range have {
		if remove != nil && remove(w) {
			changed = true
			continue
		}
		out = append(out, w)
	}
	for _, w := range add {
		if !slices.Contains(out, w) {
			out, changed = append(out, w), true
		}
	}
	return strings.Join(out, " "), changed
}

// Quoted changes the words of a shell variable as Parameters does, on all lines that set it: NAME="word word". What is
// to be added comes to the last of them; a variable that is not there is made.
func Quoted(b []byte, name string, remove func(word string) bool, add ...string) ([]byte, error) {
	if err := plain(append([]string{name}, add...)...); err != nil {
		return nil, err
	}
	all := split(b)
	var lines []int
	for i, l := range all {
		text, _ := body(l)
		if a, err := Shell.parse(text); err == nil && !a.comment && a.key == name {
			lines = append(lines, i)
		}
	}
	for n, i := range lines {
		text, end := body(all[i])
		a, _ := Shell.parse(text)
		value, quote, tail, ok := quoted(text[a.at:])
		if !ok {
			return nil, fmt.Errorf("line %d: the quotation mark is not closed", i+1)
		}
		more := add
		if n < len(lines)-1 {
			more = nil
		}
		if now, changed := parameters(value, remove, more); changed {
			all[i] = text[:a.at] + quote + now + quote + tail + end
		}
	}
	if len(lines) == 0 && len(add) > 0 {
		all = insert(all, len(all), name+`="`+strings.Join(add, " ")+`"`)
	}
	return join(all), nil
}

// quoted cuts a shell's value into what it says, its quotation mark (which it gets if it has none) and what follows.
func quoted(s string) (value, quote, tail string, ok bool) {
	if s == "" || s[0] != '"' && s[0] != '\'' {
		value, tail = cutTail(s)
		return value, `"`, tail, true
	}
	stop := strings.IndexByte(s[1:], s[0])
	if stop < 0 {
		return "", "", "", false
	}
	return s[1 : stop+1], s[:1], s[stop+2:], true
}

// opposite are the options of mount(8) that each cancels.
var opposite = map[string]string{"noexec": "exec", "nosuid": "suid", "nodev": "dev", "exec": "noexec", "suid": "nosuid", "dev": "nodev", "ro": "rw", "rw": "ro"}

// Mount gives the file system that fstab(5) mounts at a point some options more. Where no line does, fallback is
// appended; "" is an error then. Of two lines for one point systemd takes the first.
func Mount(b []byte, point string, options []string, fallback string) ([]byte, error) {
	if err := plain(append([]string{fallback}, options...)...); err != nil {
		return nil, err
	}
	all := split(b)
	for i, l := range all {
		text, end := body(l)
		f := fieldsAt(text)
		if len(f) < 3 || strings.HasPrefix(text[f[0][0]:], "#") {
			continue
		}
		at := strings.ReplaceAll(text[f[1][0]:f[1][1]], `\040`, " ")
		if len(at) > 1 {
			at = strings.TrimRight(at, "/")
		}
		if at != point {
			continue
		}
		if len(f) == 3 {
			all[i] = text[:f[2][1]] + " defaults," + strings.Join(options, ",") + text[f[2][1]:] + end
			return join(all), nil
		}
		have := strings.Split(text[f[3][0]:f[3][1]], ",")
		var kept []string
		for _, o := range have {
			if o != "" && !slices.ContainsFunc(options, func(w string) bool { return opposite[w] == o || w == o }) {
				kept = append(kept, o)
			}
		}
		if !slices.ContainsFunc(options, func(w string) bool { return !effective(have, w) }) {
			return b, nil
		}
		all[i] = text[:f[3][0]] + strings.Join(append(kept, options...), ",") + text[f[3][1]:] + end
		return join(all), nil
	}
	if fallback == "" {
		return nil, fmt.Errorf("no line mounts %s", point)
	}
	return join(insert(all, len(all), fallback)), nil
}

// effective reports whether an option holds: the last of it and what cancels it counts.
func effective(have []string, option string) bool {
	holds := false
	for _, o := range have {
		switch o {
		case option:
			holds = true
		case opposite[option]:
			holds = false
		}
	}
	return holds
}

// fieldsAt are the fields of a line, as where they begin and end.
func fieldsAt(text string) (out [][2]int) {
	start := -1
	for i := range len(text) {
		blank := text[i] == ' ' || text[i] == '\t'
		switch {
		case !blank && start < 0:
			start = i
		case blank && start >= 0:
			out, start = append(out, [2]int{start, i}), -1
		}
	}
	if start >= 0 {
		out = append(out, [2]int{start, len(text)})
	}
	return out
}

// ModuleOption sets or takes away an option on the lines of a module in a file of /etc/pam.d. value nil is an option
// that stands alone. There has to be a line of the module.
func ModuleOption(b []byte, module, option string, set bool, value *string) ([]byte, error) {
	word := option
	if value != nil {
		word += "=" + *value
	}
	if err := plain(word); err != nil {
		return nil, err
	}
	all := split(b)
	found := false
	for i, l := range all {
		text, end := body(l)
		code, comment := text, ""
		if h := strings.IndexByte(text, '#'); h >= 0 {
			code, comment = text[:h], text[h:]
		}
		if strings.HasSuffix(strings.TrimSpace(code), `\`) {
			if strings.Contains(code, module) {
				return nil, fmt.Errorf("line %d goes on in the next", i+1)
			}
			continue
		}
		f := fieldsAt(code)
		at := slices.IndexFunc(f, func(w [2]int) bool {
			return code[w[0]:w[1]] == module || strings.HasSuffix(code[w[0]:w[1]], "/"+module)
		})
		if at < 1 {
			continue
		}
		found = true
		out, have := code[:f[at][1]], false
		from := f[at][1]
		for _, w := range f[at+1:] {
			arg := code[w[0]:w[1]]
			if name, _, _ := strings.Cut(arg, "="); name == option {
				if !set || have || arg != word {
					if set && !have {
						out += code[from:w[0]] + word
					}
					have, from = true, w[1]
					continue
				}
				have = true
			}
			out += code[from:w[1]]
			from = w[1]
		}
		rest := code[from:]
		if set && !have {
			out += " " + word
		}
		all[i] = out + rest + comment + end
	}
	if !found {
		return nil, fmt.Errorf("there is no line of %s", module)
	}
	return join(all), nil
}
