package inventory

import (
	"strings"

	"picket/internal/core/yaml"
)

// AnsibleYAML reads an inventory in the form of YAML, or of JSON.
func AnsibleYAML(file string, data []byte) Found {
	a := newAnsible(file)
	if !a.readable(data) {
		return a.found()
	}
	docs, ps := yaml.ReadLoose(file, data)
	for _, p := range ps {
		a.note(p.Line, "%s: nothing of the file is used", p.Text)
	}
	if len(docs) == 0 {
		return a.found()
	}
	root := docs[0]
	switch {
	case len(docs) > 1:
		a.note(docs[1].Line(), "a second document of YAML: not used")
	case root.Get("plugin") != nil:
		a.note(root.KeyLine("plugin"), "asks a plugin for the hosts; type: ansible-inventory -i THIS --list --yaml >hosts.yaml")
		return a.found()
	case root.Get("_meta") != nil:
		a.note(root.KeyLine("_meta"), "this is how Ansible shows an inventory to programs; type: ansible-inventory -i THIS --list --yaml >hosts.yaml")
		return a.found()
	}
	if root.Keys() == nil && !root.Null() {
		a.note(root.Line(), "want groups, each with hosts, children and vars")
		return a.found()
	}
	root.Each(func(name string, line int, v *yaml.Node) { a.yamlGroup(name, line, v) })
	return a.finish()
}

func (a *ansible) yamlGroup(name string, line int, n *yaml.Node) *ansibleGroup {
	if _, scalar := n.Scalar(); (scalar && !n.Null()) || isList(n) {
		a.note(line, "%s is no group: it has no hosts, children or vars", short(name))
		return nil
	}
	g := a.group(name, line)
	n.Each(func(key string, line int, v *yaml.Node) {
		if v.Null() {
			return
		}
		one, scalar := v.Scalar()
		if isList(v) || scalar && (key != "hosts" && key != "children") {
			a.note(line, "%s of %s is a list or a word, where Ansible wants key: value pairs: not used", short(key), short(name))
			return
		}
		switch key {
		case "hosts":
			if scalar {
				a.yamlHost(one, line, nil, g)
				return
			}
			v.Each(func(host string, line int, vars *yaml.Node) { a.yamlHost(host, line, vars, g) })
		case "children":
			if scalar {
				a.within(g, a.group(one, line), line)
				return
			}
			v.Each(func(child string, line int, below *yaml.Node) {
				if c := a.yamlGroup(child, line, below); c != nil {
					a.within(g, c, line)
				}
			})
		case "vars":
			v.Each(func(k string, line int, v *yaml.Node) {
				if text, ok := a.yamlValue(k, line, v); ok {
					a.setGroup(g, k, text, line)
				}
			})
		default:
			a.note(line, "%s of %s is neither hosts, children nor vars: not used", short(key), short(name))
		}
	})
	return g
}

func (a *ansible) yamlHost(pattern string, line int, vars *yaml.Node, in *ansibleGroup) {
	names, port, err := hostPattern(pattern, MaxNodes-len(a.order))
	if err != nil {
		a.note(line, "%s", err)
		return
	}
	own := ansibleVars{}
	if vars != nil && !vars.Null() {
		if vars.Keys() == nil && !vars.Empty() {
			a.note(line, "behind %s there are no key: value pairs: not used", short(pattern))
		}
		vars.Each(func(k string, line int, v *yaml.Node) {
			if text, ok := a.yamlValue(k, line, v); ok {
				a.set(own, k, text, line)
			}
		})
	}
	a.add(names, port, own, line, in)
}

// yamlValue is a variable's text. What a tag says is encrypted is told and not
// read; a list or mapping is no use here.
func (a *ansible) yamlValue(key string, line int, v *yaml.Node) (string, bool) {
	if tag := v.Tag(); strings.HasPrefix(tag, "!vault") {
		a.note(line, "%s is encrypted by ansible-vault: not read", variable(key))
		return "", false
	}
	s, ok := v.Scalar()
	if !ok {
		// a is told of the name, which decides whether it was of use or a secret.
		a.set(ansibleVars{}, key, "", line)
		return "", false
	}
	if v.Null() {
		s = ""
	}
	return strings.TrimSpace(s), true
}

func isList(n *yaml.Node) bool {
	_, ok := n.Items()
	return ok
}
