package inventory

import (
	"net/netip"
	"strings"
)

// PioreactorUser is who its software runs as, and who leader and workers are to each other.
const PioreactorUser = "pioreactor"

// Pioreactor reads the config.ini of a leader: itself and the workers that it
// names. A host without an address is reached as HOST.local, as its own software does.
func Pioreactor(file string, data []byte) Found {
	g := newGather(file)
	if !g.readable(data) {
		return g.found()
	}
	ini := g.pioreactorINI(data)
	setting := func(key string) (iniValue, bool) {
		for _, section := range []string{"cluster.topology", "network.topology"} {
			if v, ok := ini.get(section, key); ok && v.text != "" {
				return v, true
			}
		}
		return iniValue{}, false
	}
	have := map[string]int{}
	add := func(name string, line int, role string) *Node {
		if i, ok := have[strings.ToLower(name)]; ok {
			return &g.Nodes[i]
		}
		if err := CheckName(name); err != nil {
			g.note(line, "%s", err)
			return nil
		}
		if !g.room(len(g.Nodes), line) {
			return nil
		}
		have[strings.ToLower(name)] = len(g.Nodes)
		g.Nodes = append(g.Nodes, Node{Name: name, Address: dotLocal(name), User: PioreactorUser, Roles: []string{role}, At: g.at(line)})
		return &g.Nodes[len(g.Nodes)-1]
	}
	leader, ok := setting("leader_hostname")
	fixed := "" // the leader's address stands above what [cluster.addresses] says of it
	if !ok {
		g.note(0, "says no leader_hostname under [cluster.topology]")
	} else if n := add(leader.text, leader.line, Leader); n != nil {
		if v, ok := setting("leader_address"); ok && g.address(n, v) {
			fixed = strings.ToLower(leader.text)
		}
	}
	workers := 0
	for _, section := range []string{"cluster.inventory", "network.inventory"} {
		for _, e := range ini.all(section) {
			n := add(e.key, e.line, Worker)
			if n == nil {
				continue
			}
			workers++
			n.Roles = unique(append(n.Roles, Worker))
			switch strings.ToLower(e.text) {
			case "0", "false", "no", "off":
				g.note(e.line, "%s is not active there", e.key)
			}
		}
	}
	for _, e := range ini.all("cluster.addresses") {
		if e.text == "" {
			g.note(e.line, "%s has no address", short(e.key))
			continue
		}
		n := add(e.key, e.line, Worker)
		if n == nil {
			continue
		}
		if strings.ToLower(e.key) != fixed {
			g.address(n, e)
		} else if addressKey(e.text) != addressKey(n.Address) {
			g.note(e.line, "%s has another address than leader_address says, which its software goes by", e.key)
		}
		if n.Roles[0] == Worker {
			workers++
		}
	}
	if workers == 0 {
		g.note(0, "names no workers: they are kept in the leader's database; type there: pio workers status")
	}
	return g.found()
}

func dotLocal(name string) string {
	if plainIP(name) || strings.HasSuffix(strings.ToLower(name), ".local") {
		return ""
	}
	return name + ".local"
}

// address sets a node's address, if it is one that others can reach.
func (g *gather) address(n *Node, v iniValue) bool {
	if strings.Contains(v.text, "%(") {
		g.note(v.line, "the address of %s refers to another setting: %s is used", n.Name, n.Host())
		return false
	}
	if err := CheckAddress(v.text); err != nil {
		g.note(v.line, "%s: %s; %s is used", n.Name, err, n.Host())
		return false
	}
	if a, err := netip.ParseAddr(v.text); strings.EqualFold(v.text, "localhost") || err == nil && (a.IsLoopback() || a.IsUnspecified()) {
		g.note(v.line, "%s is %s to itself, which others cannot reach: %s is used", n.Name, v.text, n.Host())
		return false
	}
	if n.Address = v.text; v.text == n.Name {
		n.Address = ""
	}
	return true
}

// An iniFile is as Python's configparser reads it, with the settings that
// Pioreactor gives it: names keep their case, a value may be missing, what comes later wins.
type iniFile map[string][]iniValue

type iniValue struct {
	key, text string
	line      int
}

func (f iniFile) get(section, key string) (iniValue, bool) {
	for _, v := range f[section] {
		if v.key == key {
			return v, true
		}
	}
	return iniValue{}, false
}

func (f iniFile) all(section string) []iniValue { return f[section] }

// pioreactorINI keeps the sections that are about the cluster; others hold passwords.
func (g *gather) pioreactorINI(data []byte) iniFile {
	out := iniFile{}
	section, begun, last, indent := "", false, -1, 0
	ours := func() bool { return strings.HasPrefix(section, "cluster.") || strings.HasPrefix(section, "network.") }
	for n, text := range lines(data) {
		t := strings.TrimSpace(text)
		if t == "" || t[0] == '#' || t[0] == ';' {
			continue
		}
		depth := len(text) - len(strings.TrimLeft(text, " \t"))
		if last >= 0 && depth > indent {
			if ours() { // it goes on with the value, which is then no address
				v := &out[section][last]
				v.text = strings.TrimSpace(v.text + " " + t)
			}
			continue
		}
		indent = depth
		if t[0] == '[' {
			name, _, ok := strings.Cut(t[1:], "]")
			if !ok {
				g.note(n, "a section without its closing bracket")
			}
			section, begun, last = name, true, -1
			continue
		}
		if !begun {
			g.note(n, "a setting before the first section: Pioreactor itself cannot read the file")
			begun = true
		}
		key, v := t, ""
		if i := strings.IndexAny(t, "=:"); i >= 0 {
			key, v = strings.TrimSpace(t[:i]), strings.TrimSpace(t[i+1:])
		}
		last = 0 // a value that goes on belongs to no section of ours
		if !ours() {
			continue
		}
		last = len(out[section])
		for i, old := range out[section] {
			if old.key == key {
				last = i
			}
		}
		one := iniValue{key, v, n}
		if last == len(out[section]) {
			out[section] = append(out[section], one)
		} else {
			out[section][last] = one
		}
	}
	return out
}
