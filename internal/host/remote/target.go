// Package remote connects to a host over SSH, through others where that is the
// way: it finds the keys, asks what has to be asked, and refuses a host that is not
// the one it was.
package remote

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// Scheme begins every target that is reached over SSH.
const Scheme = "ssh://"

// A Target is who to be on which host.
type Target struct {
	User string // empty: Options.User
	Host string // name or address, an IPv6 one without brackets
	Port int    // 0: none was given, which means 22

	// Identity is the file of a private key of this host alone, tried before
	// all others; empty: there is none.
	Identity string

	alias string // as which its host key is known; empty: Host and Port
	keyOf int    // port under which its host key is known; 0: Port
	via   string // the hosts on the way, as ssh -J is told; empty: directly
}

// At is the same host at another port: its key is known as that of the former.
func (t Target) At(port int) Target {
	t.keyOf, t.Port = t.port(), port
	return t
}

func (t Target) port() int {
	if t.Port == 0 {
		return 22
	}
	return t.Port
}

// known is the address under which the host key is written down.
func (t Target) known() string {
	if t.alias != "" {
		return net.JoinHostPort(t.alias, "22")
	}
	if t.keyOf != 0 {
		t.Port = t.keyOf
	}
	return t.Address()
}

// ParseTarget reads ssh://[user@]host[:port]. An IPv6 address stands in
// brackets.
func ParseTarget(s string) (Target, error) {
	bad := func(format string, args ...any) (Target, error) {
		return Target{}, fmt.Errorf("target %q: %s; write ssh://user@host:port", s, fmt.Sprintf(format, args...))
	}
	rest, ok := strings.CutPrefix(s, Scheme)
	if !ok {
		return bad("it does not begin with ssh://")
	}
	rest = strings.TrimSuffix(rest, "/")
	var t Target
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		name, err := url.PathUnescape(rest[:i])
		if err != nil {
			return bad("the user name has a broken %% sequence")
		}
		if strings.Contains(name, ":") {
			// Do not show it again.
			return Target{}, fmt.Errorf("a target must not hold a password: write ssh://user@%s, it will be asked for", rest[i+1:])
		}
		if name == "" {
			return bad("the user name is empty")
		}
		t.User, rest = name, rest[i+1:]
	}
	host, port := rest, ""
	switch {
	case strings.HasPrefix(rest, "["):
		end := strings.IndexByte(rest, ']')
		if end < 0 {
			return bad("the bracket before an IPv6 address is not closed")
		}
		host = rest[1:end]
		if tail := rest[end+1:]; tail != "" {
			if port, ok = strings.CutPrefix(tail, ":"); !ok || port == "" {
				return bad("%q after the address is not a port", tail)
			}
		}
		if addr, _, _ := strings.Cut(host, "%"); !strings.Contains(host, ":") || net.ParseIP(addr) == nil {
			return bad("%q is not an IPv6 address", host)
		}
	case strings.Count(rest, ":") > 1:
		if net.ParseIP(rest) != nil {
			return bad("an IPv6 address stands in brackets: ssh://[%s]", rest)
		}
		return bad("there is more than one colon")
	case strings.Contains(rest, ":"):
		host, port, _ = strings.Cut(rest, ":")
		if port == "" {
			return bad("the port is empty")
		}
	}
	if port != "" {
		n, err := strconv.Atoi(port)
		if err != nil || n < 1 || n > 65535 {
			return bad("port %q is not a number from 1 to 65535", port)
		}
		t.Port = n
	}
	if host == "" {
		return bad("the host is empty")
	}
	if !validHost(host) {
		return bad("%q is not a host name", host)
	}
	t.Host = host
	return t, nil
}

// validHost leaves out what no name or address has, and what a program could
// take for something else.
func validHost(h string) bool {
	return h != "" && !strings.HasPrefix(h, "-") && !strings.ContainsAny(h, "/\\ \t\r\n\x00?#'\"`$;&|<>()")
}

// Address is what to dial.
func (t Target) Address() string { return net.JoinHostPort(t.Host, strconv.Itoa(t.port())) }

// String is the target as a person would type it.
func (t Target) String() string {
	s := Scheme
	if t.User != "" {
		s += url.PathEscape(t.User) + "@"
	}
	if strings.Contains(t.Host, ":") {
		s += "[" + t.Host + "]"
	} else {
		s += t.Host
	}
	if t.port() != 22 {
		s += ":" + strconv.Itoa(t.Port)
	}
	return s
}

// command is how one of ssh's programs is told to reach the target.
func (t Target) command(program string) string {
	if t.via != "" {
		program += " -o ProxyJump=" + shellWord(t.via)
	}
	if t.port() != 22 {
		program += " -p " + strconv.Itoa(t.Port)
	}
	if t.User != "" {
		return program + " " + shellWord(t.User+"@"+t.Host)
	}
	return program + " " + shellWord(t.Host)
}

// before is the last host on the way, as it is typed; empty: there is none.
func (t Target) before() Target {
	at := strings.LastIndexByte(t.via, ',')
	last, _ := ParseTarget(Scheme + t.via[at+1:])
	last.via = t.via[:max(at, 0)]
	return last
}

// hop is the target as a host on the way to another.
func (t Target) hop() string { return strings.TrimPrefix(t.String(), Scheme) }
