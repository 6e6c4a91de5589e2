package inventory

import (
	"net/netip"
	"strconv"
	"strings"
)

// PioreactorService is what the workers of a Pioreactor cluster announce by mDNS.
const PioreactorService = "_pio-worker._tcp"

// Avahi reads what `avahi-browse -rpt SERVICE` prints of hosts that announce PioreactorService. A
// host is named by its own name, without .local; of its addresses an IPv4 one is taken where there is one.
func Avahi(file string, data []byte) Found {
	g := newGather(file)
	if !g.readable(data) {
		return g.found()
	}
	have := map[string]int{}
	for line, text := range lines(data) {
		// =;eth0;IPv4;NAME;TYPE;local;HOST.local;ADDRESS;PORT;"TEXT"
		f := strings.Split(text, ";")
		if f[0] != "=" {
			continue
		}
		if len(f) < 9 {
			g.note(line, "not what avahi-browse prints")
			continue
		}
		host := strings.TrimSuffix(unescape(f[6]), ".")
		name := strings.TrimSuffix(strings.ToLower(host), ".local")
		if err := CheckName(name); err != nil {
			g.note(line, "%s", err)
			continue
		}
		a, err := netip.ParseAddr(f[7])
		if err != nil || a.IsLoopback() || a.IsLinkLocalUnicast() && a.Is6() {
			a = netip.Addr{} // it is no address to others without a zone
		}
		address := dotLocal(name)
		if a.IsValid() {
			address = a.String()
		}
		i, ok := have[name]
		if !ok {
			if !g.room(len(g.Nodes), line) {
				break
			}
			have[name] = len(g.Nodes)
			g.Nodes = append(g.Nodes, Node{Name: name, Address: address, User: PioreactorUser, Roles: []string{Worker}, At: g.at(line)})
			continue
		}
		old, err := netip.ParseAddr(g.Nodes[i].Address)
		switch {
		case !a.IsValid() || err == nil && old == a || a.Is6() && err == nil:
		case err != nil || old.Is6():
			g.Nodes[i].Address = address
		default:
			g.note(line, "%s has the address %s too; %s is used", name, a, old)
		}
	}
	return g.found()
}

// unescape reads \DDD, the decimal number of a byte, and \ before any other letter.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		if i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 10, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		i++
		b.WriteByte(s[i])
	}
	return b.String()
}
