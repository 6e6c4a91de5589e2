package inventory

import (
	"net/netip"
	"path"
	"strings"
)

// A Kind is a form in which files know hosts.
type Kind string

// The kinds, as a person writes them before a file's name.
const (
	KindHosts      Kind = "hosts"      // /etc/hosts
	KindSSH        Kind = "ssh"        // ~/.ssh/config
	KindAnsible    Kind = "ansible"    // an inventory in INI or YAML
	KindPioreactor Kind = "pioreactor" // the config.ini of a leader
)

// Kinds lists all of them.
func Kinds() []Kind { return []Kind{KindHosts, KindSSH, KindAnsible, KindPioreactor} }

// Read reads a file of some kind.
func Read(kind Kind, file string, data []byte) Found {
	switch kind {
	case KindHosts:
		return Hosts(file, data)
	case KindSSH:
		return SSHConfig(file, data)
	case KindPioreactor:
		return Pioreactor(file, data)
	}
	return Ansible(file, data)
}

// Guess tells of which kind a file is, by its name and by what its lines look like.
func Guess(file string, data []byte) Kind {
	switch path.Ext(file) {
	case ".yaml", ".yml", ".json":
		return KindAnsible
	}
	first := Kind("")
	for _, text := range lines(data) {
		text, _, _ = strings.Cut(strings.TrimSpace(text), "#")
		f := strings.Fields(text)
		if len(f) == 0 || text[0] == ';' {
			continue
		}
		if text[0] == '[' {
			section, _, _ := strings.Cut(text[1:], "]")
			if strings.HasPrefix(section, "cluster.") || strings.HasPrefix(section, "network.") {
				return KindPioreactor
			}
			first = KindAnsible // further down there may still be a section of Pioreactor's
			continue
		}
		key, _ := option(text)
		if (key == "host" || key == "match") && len(f) > 1 && !strings.Contains(f[1], "=") && first == "" {
			return KindSSH
		}
		if _, err := netip.ParseAddr(f[0]); err == nil && first == "" && len(f) > 1 && !strings.Contains(f[1], "=") {
			first = KindHosts
		}
	}
	if first == "" {
		return KindAnsible
	}
	return first
}

// There is what a host's own files know, as seen from another one: its keys are files of that host,
// and its places are named with it.
func (f Found) There(host string) Found {
	g := newGather(host + ":" + f.File)
	g.Notes = append(g.Notes, f.Notes...)
	g.Groups = append(g.Groups, f.Groups...)
	keys := 0
	for _, n := range f.Nodes {
		if n.Identity != "" {
			keys++
			n.Identity = ""
		}
		n.At.File = g.File
		g.Nodes = append(g.Nodes, n)
	}
	for i := range g.Notes {
		g.Notes[i].At.File = g.File
	}
	for i := range g.Groups {
		g.Groups[i].At.File = g.File
	}
	if keys > 0 {
		g.note(0, "names private keys, which are files on %s: not used", host)
	}
	return g.found()
}

// Same reports whether two nodes are one machine, by how they are reached.
func (n Node) Same(o Node) bool { return n.machine() == o.machine() }

// AnsibleConfig is where an ansible.cfg has its inventories, as written there.
func AnsibleConfig(data []byte) (files []string) {
	section := ""
	for _, text := range lines(data) {
		text = strings.TrimSpace(text)
		if strings.HasPrefix(text, "[") {
			section, _, _ = strings.Cut(text[1:], "]")
			continue
		}
		key, v, ok := strings.Cut(text, "=")
		if !ok || section != "defaults" || strings.TrimSpace(key) != "inventory" {
			continue
		}
		v, _, _ = strings.Cut(v, " ;")
		files = nil
		for f := range strings.SplitSeq(v, ",") {
			if f = strings.TrimSpace(f); f != "" && CheckIdentity(f) == nil {
				files = append(files, f)
			}
		}
	}
	return files
}
