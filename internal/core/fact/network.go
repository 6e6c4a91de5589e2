package fact

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	"picket/internal/core/snap"
)

// Network is where the host stands: its addresses and routes.
type Network struct {
	State     State // of the addresses
	Why       string
	Addresses []Address
	Routes    []Route
	RoutesWhy string      // why they are not known; "" when they are
	IPv6      Value[bool] // the kernel speaks it on some interface but the loopback
	// Forwards4 and Forwards6 are whether packets for others are passed on.
	Forwards4, Forwards6 Value[bool]
}

// An Address of one of the host's interfaces.
type Address struct {
	Iface string
	Addr  netip.Prefix // with the length of its network
}

// A Route to a network.
type Route struct {
	To      netip.Prefix // 0.0.0.0/0 for the default route
	Via     netip.Addr   // the router; not valid when the network is at hand
	Iface   string
	Gateway bool
}

var (
	ipAddr   = []string{"ip", "-j", "addr"}
	ipRoute  = []string{"ip", "-j", "route"}
	ipRoute6 = []string{"ip", "-j", "-6", "route"}
)

const (
	noIPv6   = "/proc/sys/net/ipv6/conf/all/disable_ipv6"
	ifInet6  = "/proc/net/if_inet6"
	forward4 = "/proc/sys/net/ipv4/ip_forward"
	forward6 = "/proc/sys/net/ipv6/conf/all/forwarding"
	maxAddrs = 4096
)

func askNetwork(*Host, *snap.Snapshot) snap.Manifest {
	return snap.Manifest{
		Files:    append(SystemdFiles("resolved.conf"), noIPv6, ifInet6, forward4, forward6),
		Commands: []snap.Command{{Argv: ipAddr}, {Argv: ipRoute}, {Argv: ipRoute6}},
	}
}

func parseNetwork(h *Host, s *snap.Snapshot) {
	n := &h.Network
	o, st, why := s.Run(ipAddr...)
	n.State, n.Why = st, why
	if st == Known {
		if n.Addresses = parseAddresses(o.Stdout); n.Addresses == nil {
			n.State, n.Why = Unknown, "`ip -j addr` gave no addresses"
		}
	}
	for _, c := range []struct {
		argv []string
		all  netip.Prefix
	}{{ipRoute, netip.MustParsePrefix("0.0.0.0/0")}, {ipRoute6, netip.MustParsePrefix("::/0")}} {
		o, st, why := s.Run(c.argv...)
		if st == Known && o.Exit != 0 {
			st, why = Unknown, "`"+snap.CommandKey(c.argv...)+"` failed: "+firstOf(o.Stderr)
		}
		if st != Known {
			if c.all.Addr().Is4() || slices.ContainsFunc(n.Addresses, func(a Address) bool { return a.Addr.Addr().Is6() && a.Iface != "lo" }) {
				n.RoutesWhy = why
			}
			continue
		}
		routes, ok := parseRoutes(o.Stdout, c.all)
		if !ok {
			n.RoutesWhy = "`" + snap.CommandKey(c.argv...) + "` gave no routes"
		}
		n.Routes = append(n.Routes, routes...)
	}
	n.IPv6 = ipv6(h, s)
	n.Forwards4, n.Forwards6 = switchedOn(s, forward4), switchedOn(s, forward6)
}

// switchedOn reads a kernel setting that is 0 or more.
func switchedOn(s *snap.Snapshot, name string) Value[bool] {
	e, st, why := s.File(name)
	if st == Absent && name == forward6 { // a kernel without IPv6
		return Is(false, Place{Path: name})
	}
	if st != Known {
		return Not[bool](st, why)
	}
	return Is(strings.TrimSpace(string(e.Content)) != "0", At(name, 1))
}

// ipv6 is false where the kernel has no IPv6 address but its own loopback's,
// or may not have any after the next boot.
func ipv6(h *Host, s *snap.Snapshot) Value[bool] {
	e, st, why := s.File(ifInet6)
	if s.Source.Kind == "image" {
		if a, set := h.Sysctl.Boot("net/ipv6/conf/all/disable_ipv6"); set && a.Value == "1" {
			return Is(false, a.Place)
		}
		return Not[bool](Unknown, "whether IPv6 is used is not known of an image")
	}
	switch st {
	case Absent:
		return Is(false, Place{Path: ifInet6})
	case Known:
		for _, l := range lines(e) {
			// fe800000… 02 40 20 80 eth0
			if f := l.fields(); len(f) == 6 && f[5] != "lo" {
				return Is(true, l.at)
			}
		}
		return Is(false, Place{Path: ifInet6})
	}
	return Not[bool](st, why)
}

func parseAddresses(data []byte) []Address {
	var ifs []struct {
		Name  string `json:"ifname"`
		Addrs []struct {
			Local string `json:"local"`
			Len   int    `json:"prefixlen"`
		} `json:"addr_info"`
	}
	if json.Unmarshal(data, &ifs) != nil {
		return nil
	}
	out := []Address{}
	for _, i := range ifs {
		for _, a := range i.Addrs {
			addr, err := netip.ParseAddr(a.Local)
			if err != nil || a.Len < 0 || a.Len > addr.BitLen() {
				continue
			}
			if len(out) >= maxAddrs {
				return nil
			}
			out = append(out, Address{i.Name, netip.PrefixFrom(addr, a.Len)})
		}
	}
	return out
}

func parseRoutes(data []byte, all netip.Prefix) (out []Route, ok bool) {
	var rs []struct {
		Dst, Gateway, Dev string
	}
	if len(data) > 0 && json.Unmarshal(data, &rs) != nil { // of a family that it does not have, the kernel gives none
		return nil, false
	}
	for _, r := range rs {
		to, ok := prefixOf(r.Dst)
		if r.Dst == "default" {
			to, ok = all, true
		}
		if !ok || len(out) >= maxAddrs {
			continue
		}
		via, err := netip.ParseAddr(r.Gateway)
		out = append(out, Route{To: to, Via: via, Iface: r.Dev, Gateway: err == nil})
	}
	return out, true
}

// prefixOf reads a network, or one address.
func prefixOf(v string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(v); err == nil {
		return p, true
	}
	a, err := netip.ParseAddr(v)
	return netip.PrefixFrom(a, a.BitLen()), err == nil
}
