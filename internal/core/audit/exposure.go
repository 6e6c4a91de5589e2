package audit

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

// ExposureSchema identifies the JSON form of an [Exposure]; its fields are
// described in docs/exposure.schema.json.
const ExposureSchema = "picket.exposure/1"

// An Exposure is every port of a host and from where it can be reached.
type Exposure struct {
	Schema string    `json:"schema"`
	Picket string    `json:"picket,omitempty"`
	Host   Host      `json:"host"`
	Taken  time.Time `json:"taken"`
	// Ports, those first that are reached from farthest away.
	Ports []ExposedPort `json:"ports"`
	// Unknown is why it is not known what listens, and there may be more ports.
	Unknown  string   `json:"unknown,omitempty"`
	Problems []string `json:"problems,omitempty"`
}

// An ExposedPort is one port of one process, on one or several addresses.
type ExposedPort struct {
	Port      int      `json:"port"`
	Proto     string   `json:"proto"` // tcp or udp
	Addresses []string `json:"addresses"`
	Service   string   `json:"service,omitempty"` // what is usually behind it
	Process   string   `json:"process,omitempty"`
	User      string   `json:"user,omitempty"`
	Unit      string   `json:"unit,omitempty"`
	Forwarded string   `json:"forwarded,omitempty"` // where a rule leads it
	Host      ReachOf  `json:"host"`                // from the host itself
	VPN       *ReachOf `json:"vpn,omitempty"`       // from Tailscale, WireGuard …
	Network   ReachOf  `json:"network"`             // from its networks
	Anywhere  ReachOf  `json:"anywhere"`            // from all over the Internet
	// Public is whether it has a public address; where it has none, a router
	// has to forward the port before anybody reaches it from anywhere.
	Public bool `json:"public"`
	// Local is whether it is for the host alone, whatever the rules.
	Local bool `json:"local"`
	// Tried are connections that were really made to it, from other hosts.
	Tried []Try `json:"tried,omitempty"`
}

// A Try is what came of a connection that was really made to a port.
type Try struct {
	From    string `json:"from"`   // the host that it came from
	Result  string `json:"result"` // open, shut, or failed: it could not be tried
	Says    string `json:"says,omitempty"`
	Against string `json:"against,omitempty"` // in so far as the host's rules say otherwise: why it is odd
}

// Results of a [Try].
const (
	TryOpen   = "open"
	TryShut   = "shut"
	TryFailed = "failed"
)

// Try notes what came of a connection, and holds it to what the rules say.
func (p *ExposedPort) Try(from, result, says string) {
	t := Try{From: from, Result: result, Says: cut(says, MaxText)}
	lets := p.Network.Open() || p.Anywhere.Open() || p.VPN != nil && p.VPN.Open()
	switch {
	case result == TryOpen && p.Local:
		t.Against = "it is reached, though it listens for the host alone: something there leads on to it"
	case result == TryOpen && !lets:
		t.Against = "it is reached, though the host's rules let nobody in"
	case result == TryShut && !p.Local && p.Network.Reached == "yes":
		t.Against = "the host's rules let strangers in: one about this node, or something in between, does not"
	}
	p.Tried = append(p.Tried, t)
}

// Contradicted reports whether a port is reached that the rules should keep shut.
func (e Exposure) Contradicted() bool {
	return slices.ContainsFunc(e.Ports, func(p ExposedPort) bool {
		return slices.ContainsFunc(p.Tried, func(t Try) bool { return t.Result == TryOpen && t.Against != "" })
	})
}

// ListensAt reports whether it listens on an address, or on all.
func (p ExposedPort) ListensAt(addr string) bool {
	return slices.ContainsFunc(p.Addresses, func(a string) bool {
		host, _, _ := strings.Cut(a[:max(0, strings.LastIndexByte(a, ':'))], "%")
		host = strings.Trim(host, "[]")
		return host == "0.0.0.0" || host == "::" || host == "*" || host == "" || host == addr
	})
}

// ReachOf says whether one kind of sender reaches a port, and by which rule.
type ReachOf struct {
	Reached string   `json:"reached"` // no, some, limited, yes, unknown
	From    []string `json:"from,omitempty"`
	Rule    string   `json:"rule,omitempty"` // or what else decided
	Place   string   `json:"place,omitempty"`
}

// Exposes says who reaches the ports of a host.
func Exposes(s *snap.Snapshot, version string) Exposure {
	h := fact.Parse(s)
	e := Exposure{Schema: ExposureSchema, Picket: version, Host: HostOf(h), Taken: s.Taken, Ports: []ExposedPort{}, Problems: slices.Clone(s.Problems)}
	if h.Sockets.State != fact.Known {
		e.Unknown = cmp.Or(h.Sockets.Why, "it could not be read")
	}
	for _, x := range h.Exposure() {
		p := ExposedPort{
			Port: x.Port, Proto: x.Proto, Addresses: []string{strings.TrimSuffix(x.Where(), "/"+x.Proto)}, Service: x.Service(),
			Process: cut(x.Process, MaxText), User: x.User.V, Unit: cut(x.Unit.V, MaxText),
			Host: reachOf(x.Host), Network: reachOf(x.Network), Anywhere: reachOf(x.Anywhere), Public: x.Public, Local: x.Local, Forwarded: cut(x.Forwarded, MaxText),
		}
		if x.VPN.Asked {
			v := reachOf(x.VPN)
			p.VPN = &v
		}
		if i := slices.IndexFunc(e.Ports, p.like); i >= 0 {
			e.Ports[i].Addresses = append(e.Ports[i].Addresses, p.Addresses...)
			continue
		}
		e.Ports = append(e.Ports, p)
	}
	// What the host alone reaches is said beside where the same process is reached
	// by others.
	e.Ports = slices.DeleteFunc(e.Ports, func(p ExposedPort) bool {
		i := slices.IndexFunc(e.Ports, func(o ExposedPort) bool { return !o.Local && o.who() == p.who() })
		if !p.Local || i < 0 {
			return false
		}
		e.Ports[i].Addresses = append(e.Ports[i].Addresses, p.Addresses...)
		return true
	})
	slices.SortStableFunc(e.Ports, func(a, b ExposedPort) int { return b.width() - a.width() })
	return e
}

// like reports whether the same process answers the same senders on another
// address.
func (p ExposedPort) like(o ExposedPort) bool {
	same := func(a, b ReachOf) bool { return a.Reached == b.Reached && slices.Equal(a.From, b.From) }
	return p.who() == o.who() && p.Local == o.Local && p.Public == o.Public && same(p.Host, o.Host) && same(p.Network, o.Network) && same(p.Anywhere, o.Anywhere) &&
		(p.VPN == nil) == (o.VPN == nil) && (p.VPN == nil || same(*p.VPN, *o.VPN))
}

// who is what a port is to its users, on whatever address.
func (p ExposedPort) who() [6]string {
	return [6]string{strconv.Itoa(p.Port), p.Proto, p.Process, p.Unit, p.User, p.Forwarded}
}

// Open reports whether such senders reach the port, or may.
func (r ReachOf) Open() bool { return r.Reached != "no" }

// width orders ports by from how far away they are reached.
func (p ExposedPort) width() int {
	switch {
	case p.Anywhere.Open() && p.Public:
		return 4
	case p.Anywhere.Open():
		return 3
	case p.Network.Open():
		return 2
	case p.VPN != nil && p.VPN.Open():
		return 1
	}
	return 0
}

func reachOf(r fact.Reach) ReachOf {
	out := ReachOf{Reached: r.Reached.String(), From: r.From, Rule: cut(r.Rule(), MaxText)}
	if r.By.Text != "" {
		out.Place = r.By.Place.String()
	}
	return out
}
