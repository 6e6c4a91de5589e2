package inventory

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

var (
	ansibleSection = regexp.MustCompile(`^\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?$`)
	ansibleChild   = regexp.MustCompile(`^([^:\]\s]+)\s*(?:#.*)?$`)
)

// AnsibleINI reads an inventory in the form of INI. Where Ansible takes
// nothing of a file for one bad line, that line is noted and the rest is used.
func AnsibleINI(file string, data []byte) Found {
	a := newAnsible(file)
	if !a.readable(data) {
		return a.found()
	}
	in, kind := a.group(ansibleUngrouped, 1), "hosts"
	declared := map[string]bool{} // groups that hold hosts or groups
	type link struct {
		parent, child string
		line          int
	}
	var links []link
	for n, text := range lines(data) {
		text = strings.TrimSpace(text)
		if text == "" || text[0] == '#' || text[0] == ';' {
			continue
		}
		if m := ansibleSection.FindStringSubmatch(text); m != nil {
			switch kind = cmp.Or(m[2], "hosts"); kind {
			case "hosts", "children":
				declared[m[1]] = true
				in = a.group(m[1], n)
			case "vars":
				in = a.group(m[1], n)
			default:
				a.note(n, "[%s:%s] is neither hosts, children nor vars: what stands under it is not used", m[1], m[2])
				kind = "skip"
			}
			continue
		}
		if text[0] == '[' && text[len(text)-1] == ']' {
			a.note(n, "no name of a section: what stands under it is not used")
			kind = "skip"
			continue
		}
		switch kind {
		case "hosts":
			a.hostLine(text, n, in)
		case "vars":
			key, v, ok := strings.Cut(text, "=")
			if !ok {
				a.note(n, "a variable without =")
				continue
			}
			a.setGroup(in, strings.TrimSpace(key), unquote(strings.TrimSpace(v)), n)
		case "children":
			m := ansibleChild.FindStringSubmatch(text)
			if m == nil || strings.Contains(m[1], "=") {
				a.note(n, "no name of a group")
				continue
			}
			links = append(links, link{in.name, m[1], n})
		}
	}
	for _, l := range links {
		if a.groups[l.parent] == nil || a.groups[l.child] == nil || !declared[l.child] && l.child != ansibleUngrouped {
			a.note(l.line, "the group %s stands nowhere", short(l.child))
			continue
		}
		a.within(a.groups[l.parent], a.groups[l.child], l.line)
	}
	a.all = slices.DeleteFunc(a.all, func(g *ansibleGroup) bool {
		nowhere := !declared[g.name] && g.name != ansibleAll && g.name != ansibleUngrouped
		if nowhere {
			a.note(g.line, "[%s:vars] is of a group that stands nowhere", g.name)
		}
		return nowhere
	})
	return a.finish()
}

// hostLine reads name, ranges, port and variables of one line.
func (a *ansible) hostLine(text string, line int, in *ansibleGroup) {
	parts, ok := words(text, true)
	if !ok || len(parts) == 0 {
		a.note(line, "a quote is not closed: the line is not used")
		return
	}
	if strings.Contains(parts[0], "=") {
		a.note(line, "a variable where a host is wanted: it belongs under [%s:vars]", in.name)
		return
	}
	if strings.Trim(parts[0], "-") == "" {
		a.note(line, "this looks like YAML: give the file the ending .yaml")
		return
	}
	names, port, err := hostPattern(parts[0], MaxNodes-len(a.order))
	if err != nil {
		a.note(line, "%s", err)
		return
	}
	vars := ansibleVars{}
	for _, p := range parts[1:] {
		key, v, ok := strings.Cut(p, "=")
		if !ok {
			a.note(line, "something behind %s is not key=value: not used", short(parts[0]))
			continue
		}
		a.set(vars, key, unquote(v), line)
	}
	a.add(names, port, vars, line, in)
}

// add puts hosts into a group; what is said of one again wins.
func (a *ansible) add(names []string, port string, vars ansibleVars, line int, in *ansibleGroup) {
	for _, name := range names {
		first := a.hosts[name] == nil
		h := a.host(name, line, in)
		if h == nil {
			return
		}
		if port != "" && first {
			h.port = port
		} else if port != h.port && port != "" {
			a.note(line, "the port behind %s is not used, nor by Ansible: line %d names it first", short(name), h.line)
		}
		for k, v := range vars {
			h.vars[k] = v
		}
	}
}

// unquote takes the quotes of a text of Python off.
func unquote(s string) string {
	if len(s) < 2 || s[0] != s[len(s)-1] || s[0] != '"' && s[0] != '\'' {
		return s
	}
	inner := s[1 : len(s)-1]
	if strings.ContainsAny(inner, `\`+s[:1]) {
		return s // more than quotes: Ansible alone knows
	}
	return inner
}
