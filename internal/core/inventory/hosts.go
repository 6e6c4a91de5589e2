package inventory

import (
	"cmp"
	"net/netip"
	"regexp"
	"strings"
)

// Roles that readers give.
const (
	Leader = "leader"
	Worker = "worker"
)

// guideName are the names that the cluster guide gives its nodes.
var guideName = regexp.MustCompile(`^(?i:(master|leader)|worker[0-9]*)$`)

// overlay is where private networks such as Tailscale's have their addresses.
var overlay = netip.MustParsePrefix("100.64.0.0/10")

// Hosts reads a file as /etc/hosts: names for private addresses. Loopback
// addresses and those of no host are left out, as every such file has them; of several names of a line
// the guide's (master, workerN) is taken, else the first.
func Hosts(file string, data []byte) Found {
	g := newGather(file)
	if !g.readable(data) {
		return g.found()
	}
	have := map[string]int{} // name in small letters → index
	for line, text := range lines(data) {
		text, _, _ = strings.Cut(text, "#")
		names := strings.Fields(text)
		if len(names) == 0 {
			continue
		}
		a, err := netip.ParseAddr(names[0])
		names = names[1:]
		switch {
		case err != nil:
			g.note(line, "does not begin with an address")
			continue
		case a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() || noHost(a):
			continue
		case len(names) == 0:
			g.note(line, "%s has no name", a)
			continue
		case !private(a):
			g.note(line, "%s (%s) is an address of the public network: left out", short(names[0]), a)
			continue
		}
		name, others := pick(names)
		if err := cmp.Or(CheckName(name), CheckAddress(a.String())); err != nil {
			g.note(line, "%s", err)
			continue
		}
		if i, ok := have[strings.ToLower(name)]; ok {
			if g.Nodes[i].Address != a.String() {
				g.note(line, "%s has the address %s too; that of line %d is used", name, a, g.Nodes[i].At.Line)
			}
			continue
		}
		if !g.room(len(g.Nodes), line) {
			break
		}
		n := Node{Name: name, Address: a.String(), At: g.at(line)}
		if m := guideName.FindStringSubmatch(name); m != nil && m[1] != "" {
			n.Roles = []string{Leader}
		} else if m != nil {
			n.Roles = []string{Worker}
		}
		have[strings.ToLower(name)] = len(g.Nodes)
		g.Nodes = append(g.Nodes, n)
		if len(others) > 0 {
			g.note(line, "%s is called %s too, which is not used", name, short(strings.Join(others, " ")))
		}
	}
	return g.found()
}

// pick takes a name of a line: one of the guide, else the first.
func pick(names []string) (name string, others []string) {
	at := 0
	for i, n := range names {
		if guideName.MatchString(n) {
			at = i
			break
		}
	}
	return names[at], append(append([]string(nil), names[:at]...), names[at+1:]...)
}

func private(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsPrivate() || a.IsLinkLocalUnicast() || overlay.Contains(a)
}

// noHost are the addresses of Debian's lines for whole networks, fe00::0 and 255.255.255.255.
func noHost(a netip.Addr) bool {
	return a == netip.MustParseAddr("fe00::") || a == netip.MustParseAddr("255.255.255.255")
}
