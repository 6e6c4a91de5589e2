package fact

import (
	"path"
	"slices"
	"strings"

	"picket/internal/core/snap"
)

// pyIni is a settings file in the form of Python's configparser, as fail2ban
// reads it: merged from several files, with %(name)s filled in.
type pyIni struct {
	order    []string // sections as they first appear, DEFAULT left out
	sections map[string]map[string]Value[string]
	refused  []Problem // lines that Python does not take: it then takes nothing of the file
	exact    bool      // strict=False, allow_no_value=True, names as written, no comments behind a value
}

const pyDefault = "DEFAULT"

func newPyIni() *pyIni {
	return &pyIni{sections: map[string]map[string]Value[string]{pyDefault: {}}}
}

// read merges one file, and the files that its [INCLUDES] names, before and
// after it. A .local beside a .conf is read right after it.
func (p *pyIni) read(s *snap.Snapshot, file string, seen *[]string) {
	if slices.Contains(*seen, file) || len(*seen) > 200 {
		return
	}
	*seen = append(*seen, file)
	e, st, _ := s.File(file)
	if st != Known {
		return
	}
	own := newPyIni()
	own.parse(e)
	include := func(key string) {
		for _, name := range strings.Fields(own.sections["INCLUDES"][key].V) {
			if !path.IsAbs(name) {
				name = path.Join(path.Dir(file), name)
			}
			p.read(s, name, seen)
			if stem, ok := strings.CutSuffix(name, ".conf"); ok {
				p.read(s, stem+".local", seen)
			}
		}
	}
	include("before")
	p.parse(e)
	include("after")
}

// parse merges the text of one file. A key that stands twice in a section, or a
// section twice in a file, is refused.
func (p *pyIni) parse(e *snap.Entry) {
	section, key, indent := "", "", 0
	seen := map[string]bool{}
	refuse := func(at Place, text string) {
		if len(p.refused) < 20 {
			p.refused = append(p.refused, Problem{at, text})
		}
	}
	for _, l := range lines(e) {
		t := strings.TrimSpace(l.text)
		if !p.exact {
			t = strings.TrimSpace(pyUncomment(l.text))
		}
		if t == "" || t[0] == '#' || p.exact && t[0] == ';' {
			continue
		}
		// What is indented deeper than its key goes on with the value.
		depth := len(l.text) - len(strings.TrimLeft(l.text, " \t"))
		if key != "" && depth > indent {
			v := p.sections[section][key]
			if len(v.V) < 64<<10 {
				v.V = strings.TrimSpace(v.V + "\n" + t)
			}
			p.sections[section][key] = v
			continue
		}
		indent = depth
		if t[0] == '[' {
			name, _, ok := strings.Cut(t[1:], "]")
			if !ok || len(p.order) > 2000 {
				section, key = "", ""
				continue
			}
			if seen[name] && name != pyDefault && !p.exact {
				refuse(l.at, "the section ["+name+"] is there twice")
			}
			section, key, seen[name] = name, "", true
			if p.sections[section] == nil {
				p.sections[section] = map[string]Value[string]{}
				p.order = append(p.order, section)
			}
			continue
		}
		i := strings.IndexAny(t, "=:")
		if i < 0 && p.exact {
			i, t = len(t), t+"=" // a key without a value
		}
		if i <= 0 || section == "" {
			key = ""
			text := "a setting stands before the first [section]"
			if section != "" {
				text = "a line that is not key = value"
			}
			refuse(l.at, text)
			continue
		}
		if key = strings.TrimSpace(t[:i]); !p.exact {
			key = strings.ToLower(key)
		}
		if seen["["+section+"] "+key] && !p.exact {
			refuse(l.at, key+" is set twice in ["+section+"]")
		}
		seen["["+section+"] "+key] = true
		p.sections[section][key] = Is(strings.TrimSpace(t[i+1:]), l.at)
	}
}

// pyUncomment cuts what follows a semicolon at a word's beginning.
func pyUncomment(text string) string {
	for i := range len(text) {
		if text[i] == ';' && (i == 0 || strings.IndexByte(" \t", text[i-1]) >= 0) {
			return text[:i]
		}
	}
	return text
}

// get is a section's value, else that of DEFAULT, with its references filled in.
func (p *pyIni) get(section, key string) Value[string] {
	v, ok := p.raw(section, key)
	if !ok {
		return Not[string](Absent, key+" is not set")
	}
	v.V = p.fill(section, v.V, 0)
	return v
}

func (p *pyIni) raw(section, key string) (Value[string], bool) {
	if strings.EqualFold(section, pyDefault) {
		section = pyDefault
	}
	if v, ok := p.sections[section][key]; ok {
		return v, true
	}
	v, ok := p.sections[pyDefault][key]
	return v, ok
}

// fill replaces %(name)s and %(section/name)s; what cannot be filled stays.
func (p *pyIni) fill(section, text string, depth int) string {
	if depth > 10 || len(text) > 64<<10 || !strings.Contains(text, "%(") {
		return text
	}
	var out strings.Builder
	for {
		before, rest, ok := strings.Cut(text, "%(")
		out.WriteString(before)
		if !ok {
			break
		}
		name, after, ok := strings.Cut(rest, ")s")
		if !ok || out.Len() > 64<<10 {
			out.WriteString("%(" + rest)
			break
		}
		from, key := section, name
		if !p.exact {
			key = strings.ToLower(name)
		}
		if sec, k, found := strings.Cut(name, "/"); found {
			if key = strings.ToLower(k); sec != "known" {
				from = sec
			}
		}
		switch v, ok := p.raw(from, key); {
		case name == "__name__":
			out.WriteString(section)
		case ok:
			out.WriteString(p.fill(from, v.V, depth+1))
		default:
			out.WriteString("%(" + name + ")s")
		}
		text = after
	}
	return out.String()
}
