package ruleset

import "net/netip"

// Host is what the kernel knows besides its rules.
type Host struct {
	Addrs  []CardAddr
	Routes []Route
	// Forwards4 and Forwards6 are whether packets for others are passed on.
	Forwards4, Forwards6 bool
}

// A CardAddr is an address of the host, with the length of its network.
type CardAddr struct {
	Card string
	Addr netip.Prefix
}

// A Route leads to a network by a card.
type Route struct {
	To   netip.Prefix
	Card string
}

// local reports whether an address is one of the host's own.
func (h *Host) local(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	for _, c := range h.Addrs {
		if c.Addr.Addr() == a {
			return true
		}
	}
	return false
}

// kind of an address, as the kernel's tables of routes tell it: of all, or of
// one card.
func (h *Host) kind(a netip.Addr, card string) string {
	switch {
	case a.IsMulticast():
		return "multicast"
	case a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "broadcast"
	case a.IsLoopback() && (card == "" || card == "lo"):
		return "local"
	}
	for _, c := range h.Addrs {
		switch {
		case card != "" && c.Card != card:
		case c.Addr.Addr() == a:
			return "local"
		case a.Is4() && c.Addr.Bits() < 31 && c.Addr.Masked().Contains(a) && a == last(c.Addr.Masked()):
			return "broadcast"
		}
	}
	return "unicast"
}

// route is the way to an address: of those that lead there the narrowest.
func (h *Host) route(a netip.Addr) (best Route, ok bool) {
	for _, r := range h.Routes {
		if r.To.Contains(a) && (!ok || r.To.Bits() > best.To.Bits()) {
			best, ok = r, true
		}
	}
	return best, ok
}

// source is the address that the host itself uses towards another.
func (h *Host) source(card string, v4 bool) (netip.Addr, bool) {
	for _, c := range h.Addrs {
		if c.Card == card && c.Addr.Addr().Is4() == v4 && (v4 || !c.Addr.Addr().IsLinkLocalUnicast()) {
			return c.Addr.Addr(), true
		}
	}
	return netip.Addr{}, false
}
