package fact

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/app"
	"picket/internal/core/snap"
)

// A Probe is one attempt at a service of the host, made by Picket from where it
// runs. Its answer is kept in the snapshot as that of a command would be.
type Probe struct {
	app.Probe
	To  netip.AddrPort // where it goes
	SSH bool           // a login by SSH; without a password: only which ways of logging in are offered

	Server string // the host's own name, for servers that answer to names only

	Router bool // no attempt at the host: its router is asked which ports it forwards
}

// Limits of all attempts at one host.
const (
	MaxProbes   = 64
	maxSSHUsers = 2 // accounts that logins by SSH are tried for
)

const probeWord = "probe"

// IsProbe tells an attempt from the commands of a snapshot. It is in no table of
// permitted ones: no host is ever asked to run it.
func IsProbe(argv []string) bool { return len(argv) > 2 && argv[0] == probeWord }

// Argv is under what its answer stands in the snapshot: all of the attempt but
// the password. Several rules may want the same.
func (p Probe) Argv() []string { return append(p.asked(), p.To.String()) }

func (p Probe) asked() []string {
	argv := []string{probeWord}
	switch {
	case p.Router:
		argv = append(argv, "upnp")
	case p.SSH && p.Password == "":
		argv = append(argv, "ssh-offer")
	case p.SSH:
		argv = append(argv, "ssh")
	case p.MQTT:
		argv = append(argv, "mqtt")
	case p.TLS:
		argv = append(argv, "tls")
	default:
		argv = append(argv, "http", p.HTTP)
	}
	if p.User != "" {
		argv = append(argv, "user="+p.User)
	}
	if p.Mark != "" {
		argv = append(argv, "mark="+p.Mark)
	}
	return argv
}

// String says to a person what will be done.
func (p Probe) String() string {
	login := ""
	if p.Password != "" {
		login = fmt.Sprintf(" as %s with the factory password", p.User)
	}
	switch {
	case p.Router:
		return fmt.Sprintf("ask the router at %s, by UPnP, which ports it forwards", p.To)
	case p.SSH && login == "":
		return fmt.Sprintf("ask sshd at %s how %s may log in", p.To, p.User)
	case p.SSH:
		return fmt.Sprintf("log in by SSH at %s%s", p.To, login)
	case p.MQTT:
		return fmt.Sprintf("log in to the MQTT broker at %s%s", p.To, cmp.Or(login, " without a name"))
	case p.TLS:
		return fmt.Sprintf("shake hands with %s in each version of TLS", p.To)
	}
	return fmt.Sprintf("%s at %s%s", p.HTTP, p.To, cmp.Or(login, " without a password"))
}

// Probes are the attempts that would be made, from this host itself or, over
// the network, at the address by which it was reached. Nothing else than an
// address of the audited host is ever among them; an error says why there can be
// none.
func (h *Host) Probes(at netip.Addr) ([]Probe, error) {
	at = at.Unmap()
	switch {
	case h.Snap.Source.Kind == "image":
		return nil, errors.New("nothing runs on an image")
	case h.Sockets.State != Known:
		return nil, fmt.Errorf("it is not known what listens: %s", h.Sockets.Why)
	case h.Network.State != Known:
		return nil, fmt.Errorf("its addresses are not known: %s", h.Network.Why)
	case at.IsLoopback():
		return nil, fmt.Errorf("it was reached at %s, through a way that somebody has opened: other ports there are this machine's", at)
	case at.IsValid() && !h.owns(at):
		return nil, fmt.Errorf("%s is no address of its own; something before it passes connections on, and other ports there may be another host's", at)
	}
	var out []Probe
	add := func(p Probe) {
		if len(out) < MaxProbes && !slices.ContainsFunc(out, func(o Probe) bool { return slices.Equal(o.Argv(), p.Argv()) }) {
			out = append(out, p)
		}
	}
	for _, e := range h.Exposure() {
		to, ok := h.dial(e, at)
		if !ok {
			continue
		}
		if e.Service() == "SSH" {
			for _, p := range h.sshProbes() {
				// Failures count together, at whatever port or address they are.
				once := func(o Probe) bool {
					return slices.Equal(o.asked(), p.asked()) && (p.Password != "" || o.To.Port() == to.Port())
				}
				if p.To = to; !slices.ContainsFunc(out, once) {
					add(p)
				}
			}
		}
		for _, a := range h.Apps.Found() {
			for _, name := range slices.Sorted(maps.Keys(a.Probes)) {
				if p := a.Probes[name]; h.serves(p, e) {
					add(Probe{Probe: p, To: to, Server: h.OS.Hostname.V})
				}
			}
		}
	}
	return out, nil
}

// RouterProbe is the question to the host's router. Over the network it is asked
// only where the one who asks, at an address of its own, stands in the same network: a
// router of the same address elsewhere is another one.
func (h *Host) RouterProbe(own netip.Addr) (Probe, error) {
	if h.Network.State != Known || h.Network.RoutesWhy != "" {
		return Probe{}, fmt.Errorf("its addresses and routes are not known: %s", cmp.Or(h.Network.Why, h.Network.RoutesWhy))
	}
	for _, r := range h.Network.Routes {
		if !r.Gateway || r.To.Bits() != 0 || !r.Via.Is4() {
			continue
		}
		for _, a := range h.Network.Addresses {
			if a.Iface == r.Iface && a.Addr.Contains(r.Via) && (!own.IsValid() || a.Addr.Contains(own.Unmap())) {
				return Probe{Router: true, To: netip.AddrPortFrom(r.Via, upnpPort)}, nil
			}
		}
	}
	if own.IsValid() {
		return Probe{}, fmt.Errorf("%s, from where it would be asked, is not in the network of its router", own.Unmap())
	}
	return Probe{}, errors.New("it has no router for IPv4")
}

const (
	upnpPort      = 1900
	routerControl = "network/router-forwardings"
)

// A Forwarding is a port of the router that leads to a machine behind it.
type Forwarding struct {
	Proto string
	Port  int
	To    netip.AddrPort
}

// Forwardings are those that the router has told of, and where that stands. They are
// absent where it was not asked.
func (h *Host) Forwardings() Value[[]Forwarding] {
	for _, key := range h.probed() {
		o := h.Snap.Commands[key]
		if o.Argv[1] != "upnp" {
			continue
		}
		at := Place{Command: key}
		if o.Err != "" {
			return Value[[]Forwarding]{State: Unknown, Place: at, Why: o.Err}
		}
		_, words, ok := parseProbe(o)
		if !ok || words[0] != "asked" {
			return Value[[]Forwarding]{State: Unknown, Place: at, Why: "its answer is not of the form that is known"}
		}
		list := []Forwarding{}
		for _, w := range words[1:] {
			proto, rest, _ := strings.Cut(w, "/")
			port, to, _ := strings.Cut(rest, ">")
			n, err1 := strconv.Atoi(port)
			addr, err2 := netip.ParseAddrPort(to)
			if err1 != nil || err2 != nil || proto != "tcp" && proto != "udp" {
				return Value[[]Forwarding]{State: Unknown, Place: at, Why: "its answer is not of the form that is known"}
			}
			list = append(list, Forwarding{proto, n, addr})
		}
		return Is(list, at)
	}
	return Not[[]Forwarding](Absent, "nobody asked the router")
}

// ProbesFor says to a person what would be tried for a control, and by which flag.
func ProbesFor(control string) (flag string, tries []string) {
	var out []string
	if ssh, ok := sshTries[control]; ok {
		out = append(out, ssh.What)
	}
	if control == routerControl {
		return "--ask-router", []string{"the host's router, by UPnP: which ports it forwards"}
	}
	for _, a := range knownApps() {
		for _, name := range slices.Sorted(maps.Keys(a.Probes)) {
			p := a.Probes[name]
			if p.Control != control {
				continue
			}
			how := p.HTTP
			switch {
			case p.MQTT:
				how = "a login to MQTT"
			case p.TLS:
				how = "a handshake a version"
			}
			if p.User != "" {
				how += " as " + p.User
			}
			out = append(out, fmt.Sprintf("%s: %s (%s)", a.Title, p.What, how))
		}
	}
	return "--probe", out
}

func (h *Host) owns(a netip.Addr) bool {
	return slices.ContainsFunc(h.Network.Addresses, func(own Address) bool { return own.Addr.Addr() == a.WithZone("") })
}

// dial is where a port is tried. A host that we are on is tried at an address that
// others have for it, and only what others are meant to reach is tried.
func (h *Host) dial(e Exposed, at netip.Addr) (netip.AddrPort, bool) {
	if e.Proto != "tcp" || e.Local || e.Port < 1 || e.Port > 65535 {
		return netip.AddrPort{}, false
	}
	a := e.Addr.Unmap().WithZone("")
	any := a.IsUnspecified()
	hears := func(to netip.Addr) bool { return a == to || any && (e.Both || a.Is4() == to.Is4()) }
	if at.IsValid() {
		return netip.AddrPortFrom(at, uint16(e.Port)), hears(at)
	}
	for _, own := range h.Network.Addresses {
		to := own.Addr.Addr()
		if own.Iface != "lo" && !to.IsLinkLocalUnicast() && hears(to) {
			return netip.AddrPortFrom(to, uint16(e.Port)), true
		}
	}
	return netip.AddrPort{}, false
}

// serves reports whether an application's probe is for a port: one of its usual
// ones or, where its process listens at none of these, any of the process. A port
// that is led to a container tells nothing of the process there.
func (h *Host) serves(p app.Probe, e Exposed) bool {
	usual := slices.Contains(p.Ports, e.Port)
	if e.Process == "" || e.Process == "docker-proxy" || e.Forwarded != "" || len(p.Process) == 0 {
		return usual
	}
	return slices.Contains(p.Process, e.Process) && (usual || !slices.ContainsFunc(h.Sockets.Listening, func(s Socket) bool {
		return s.Proto == "tcp" && s.Process == e.Process && slices.Contains(p.Ports, s.Port)
	}))
}

// sshProbes are logins that should not be possible. An account is tried once, and
// few of them are, and none of which it is known that the password is another:
// where sshd's log is watched, failures would get us banned.
func (h *Host) sshProbes() []Probe {
	var offers, logins []Probe
	add := func(list *[]Probe, control, user, password string) {
		if len(*list) < maxSSHUsers {
			p := Probe{SSH: true, Probe: sshTries[control]}
			p.Control, p.User, p.Password = control, user, password
			*list = append(*list, p)
		}
	}
	// Where several ways have to be gone through, that a password is one of them
	// tells nothing.
	several := slices.ContainsFunc(h.SSHD.Answers.V, func(a SSHDAnswer) bool {
		v, _ := h.SSHD.Option(a, "AuthenticationMethods")
		return len(v) > 0 && !slices.Equal(v, []string{"any"})
	})
	for _, u := range h.Accounts.Users {
		if h.Accounts.Human(u) && !several {
			add(&offers, offerControl, u.Name, "")
		}
		pw, known := h.Accounts.Passwords.V[u.Name]
		ruledOut := known && (pw.Locked || pw.Scheme == "" || pw.Checked && pw.Guessed != factory)
		if words := factoryPairs[u.Name]; len(words) > 0 && !ruledOut {
			add(&logins, loginControl, u.Name, words[0])
		}
	}
	return append(offers, logins...)
}

// The controls that logins by SSH bear on, and what is tried for them.
const (
	offerControl = "ssh/password-login"
	loginControl = "accounts/factory-password"
)

var sshTries = map[string]app.Probe{
	offerControl: {What: "which ways to log in sshd offers", Bad: []string{"password", "keyboard-interactive"}, Good: []string{"no-password"}},
	loginControl: {What: "a login by SSH with the factory password", Bad: []string{"accepted"}, Good: []string{"refused"}},
}

// A Tried probe and what it says of a control.
type Tried struct {
	What, To, From string
	Answer         string // for a person: "200 plain"
	Bad            bool   // it is what should not be
	Why            string // there was no answer
	Wanted         string
	Unsure         bool // it is not known who listens there, so not who answered
}

// Tried are the attempts that were made and bear on a control.
func (h *Host) Tried(control string) []Tried {
	keys := h.probed()
	if len(keys) == 0 {
		return nil
	}
	var out []Tried
	for _, p := range h.probesOf(control) {
		for _, key := range keys {
			o := h.Snap.Commands[key]
			last := len(o.Argv) - 1
			if slices.Equal(o.Argv[:last], p.asked()) && h.meant(p, o.Argv[last]) {
				t := p.told(o, o.Argv[last])
				t.Unsure = !p.SSH && h.Sockets.State != Known
				out = append(out, t)
			}
		}
	}
	return out
}

// told is what an answer says.
func (p Probe) told(o *snap.Output, to string) Tried {
	t := Tried{What: p.What, To: to}
	for i, alternative := range p.Good {
		if i > 0 {
			t.Wanted += ", or "
		}
		t.Wanted += p.say(strings.Split(alternative, "+"))
	}
	if p.User != "" {
		t.What += ", as " + p.User
	}
	from, words, ok := parseProbe(o)
	switch {
	case o.Err != "":
		t.Why = o.Err
	case !ok:
		t.Why = "its answer is not of the form that is known"
	default:
		t.From, t.Answer = from, p.say(words)
		t.Bad = app.Matches(p.Bad, words)
	}
	return t
}

// say puts an answer's words for a person.
func (p Probe) say(words []string) string {
	out := slices.Clone(words)
	for i, w := range out {
		switch w {
		case "plain":
			out[i] = "without TLS"
		case "tls":
			out[i] = "over TLS"
		case "to-https":
			out[i] = "sent on to https"
		case "mark":
			out[i] = "with " + p.Mark
		case "refused-tls":
			out[i] = "TLS, but for others"
		case "no-tls":
			out[i] = "no TLS"
		case "no-password":
			out[i] = "no password"
		}
	}
	return strings.Join(out, " ")
}

// probesOf are the attempts that would bear on a control.
func (h *Host) probesOf(control string) []Probe {
	var out []Probe
	for _, a := range h.Apps.Found() {
		for _, name := range slices.Sorted(maps.Keys(a.Probes)) {
			if p := a.Probes[name]; p.Control == control {
				out = append(out, Probe{Probe: p})
			}
		}
	}
	for _, p := range h.sshProbes() {
		if p.Control == control {
			out = append(out, p)
		}
	}
	return out
}

// meant reports whether an attempt at a port is about what the probe is for.
// Where it is not known who listens, the port tells.
func (h *Host) meant(p Probe, to string) bool {
	at, err := netip.ParseAddrPort(to)
	switch {
	case err != nil:
		return false
	case p.SSH:
		return true
	case h.Sockets.State != Known:
		return slices.Contains(p.Ports, int(at.Port()))
	}
	return slices.ContainsFunc(h.Exposure(), func(e Exposed) bool {
		return e.Proto == "tcp" && e.Port == int(at.Port()) && !e.Local && h.serves(p.Probe, e)
	})
}

// ProbeCount is how many attempts were made.
func (h *Host) ProbeCount() int { return len(h.probed()) }

func (h *Host) probed() []string {
	var keys []string
	for key, o := range h.Snap.Commands {
		if IsProbe(o.Argv) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// ProbeAnswer is the form in which an answer is kept: from where it was tried,
// and the words.
func ProbeAnswer(from netip.Addr, words []string) *snap.Output {
	return &snap.Output{Stdout: []byte("from " + from.Unmap().String() + "\nsaid " + strings.Join(words, " ") + "\n")}
}

func parseProbe(o *snap.Output) (from string, words []string, ok bool) {
	first, rest, _ := strings.Cut(string(o.Stdout), "\n")
	from, ok1 := strings.CutPrefix(first, "from ")
	said, ok2 := strings.CutPrefix(strings.TrimSuffix(rest, "\n"), "said ")
	words = strings.Fields(said)
	if _, err := netip.ParseAddr(from); err != nil || !ok1 || !ok2 || len(words) == 0 || strings.Contains(said, "\n") || o.Cut || o.Exit != 0 {
		return "", nil, false
	}
	return from, words, true
}
