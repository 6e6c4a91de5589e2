package inventory

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

var (
	word = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
	user = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@\\+-]*\$?$`)
)

// CheckName says what is wrong with the name of a node, a group or a role. It
// has to be something that a person can type, and that is no other target.
func CheckName(s string) error {
	switch {
	case slices.Contains(reserved, s):
		return fmt.Errorf("%q has a meaning of its own as a target", s)
	case len(s) > 253 || !word.MatchString(s) && !plainIP(s):
		return fmt.Errorf("want a name of letters, digits, dots, - and _, found %s", short(s))
	}
	return nil
}

// CheckAddress says what is wrong with the name or address of a host.
func CheckAddress(s string) error {
	if a, err := netip.ParseAddr(s); err == nil && (a.Zone() == "" || word.MatchString(a.Zone())) {
		return nil
	}
	if strings.HasPrefix(s, "[") {
		return fmt.Errorf("an IPv6 address stands without brackets here, found %s", short(s))
	}
	if host, port, ok := strings.Cut(s, ":"); ok && word.MatchString(host) && CheckPort(port) == nil {
		return fmt.Errorf("want an address alone, found %s; the port is a key of its own", short(s))
	}
	if strings.Contains(s, "@") {
		return errors.New("want an address alone; the user is a key of its own")
	}
	if len(s) > 253 || !word.MatchString(s) {
		return fmt.Errorf("want the name or address of a host, found %s", short(s))
	}
	return nil
}

// CheckUser says what is wrong with the name of an account.
func CheckUser(s string) error {
	if len(s) > 104 || !user.MatchString(s) {
		return fmt.Errorf("want the name of one user, found %s", short(s))
	}
	return nil
}

// CheckPort says what is wrong with a port.
func CheckPort(s string) error {
	if n, err := strconv.ParseUint(s, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("want a port from 1 to 65535, found %s", short(s))
	}
	return nil
}

// CheckIdentity says what is wrong with the path of a key.
func CheckIdentity(s string) error {
	switch {
	case strings.Contains(s, "PRIVATE KEY"):
		return errors.New("want the file of a private key, not the key itself")
	case s == "" || s == "~" || len(s) > 4096 || s != strings.TrimSpace(s) || strings.HasPrefix(s, "-") || !utf8.ValidString(s) ||
		strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("want the file of a private key, as ~/.ssh/id_ed25519, found %s", short(s))
	case strings.HasSuffix(s, ".pub"):
		return fmt.Errorf("%s is the public half; want the file of the private key", short(s))
	}
	return nil
}

func plainIP(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.Zone() == ""
}

// short quotes what a file holds, if it is long only its beginning.
func short(s string) string {
	if len(s) > 60 {
		return fmt.Sprintf("%q…", s[:60])
	}
	return strconv.Quote(s)
}

// A Hop is one host on the way to another. Where Host is the name of a node,
// that node is meant, with this user and port where they are given.
type Hop struct {
	User string
	Host string
	Port int // 0: nothing is said
}

// Hops reads Node.Jump as ssh reads ProxyJump: [user@]host[:port], several with
// commas in the order in which they are passed.
func Hops(jump string) ([]Hop, error) {
	var out []Hop
	for part := range strings.SplitSeq(jump, ",") {
		h, err := hop(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		if out = append(out, h); len(out) > 8 {
			return nil, errors.New("want at most 8 hosts on the way")
		}
	}
	return out, nil
}

func hop(s string) (h Hop, err error) {
	rest := strings.TrimSuffix(strings.TrimPrefix(s, "ssh://"), "/")
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		h.User, rest = rest[:i], rest[i+1:]
		if strings.Contains(h.User, ":") {
			return h, errors.New("want no password there: it will be asked for")
		}
		if err := CheckUser(h.User); err != nil {
			return h, err
		}
	}
	h.Host = rest
	if inner, tail, ok := strings.Cut(strings.TrimPrefix(rest, "["), "]"); ok && strings.HasPrefix(rest, "[") {
		h.Host, rest = inner, tail
		if !strings.Contains(inner, ":") || tail != "" && tail[0] != ':' {
			return h, fmt.Errorf("want a host as user@host:port, found %s", short(s))
		}
	} else if !plainIP(rest) {
		h.Host, rest, ok = strings.Cut(rest, ":")
		if ok {
			rest = ":" + rest
		}
	} else {
		rest = ""
	}
	if rest != "" {
		if err := CheckPort(rest[1:]); err != nil {
			return h, err
		}
		h.Port, _ = strconv.Atoi(rest[1:])
	}
	if CheckAddress(h.Host) != nil {
		return h, fmt.Errorf("want a host as user@host:port, found %s", short(s))
	}
	return h, nil
}

func (h Hop) String() string {
	s := h.Host
	if strings.Contains(s, ":") && h.Port != 0 {
		s = "[" + s + "]"
	}
	if h.User != "" {
		s = h.User + "@" + s
	}
	if h.Port != 0 {
		s += ":" + strconv.Itoa(h.Port)
	}
	return s
}

// Word reports whether the hop is a name and nothing else, which a node has to
// have: a slip in it would otherwise be looked up as a host.
func (h Hop) Word() bool {
	return h.User == "" && h.Port == 0 && !strings.ContainsAny(h.Host, ".:")
}

// written is a way in one form.
func written(hops []Hop) string {
	var parts []string
	for _, h := range hops {
		parts = append(parts, h.String())
	}
	return strings.Join(parts, ",")
}

// Circle is a node on whose way the node itself lies, and that way; "" where
// there is none.
func Circle(nodes []Node) (name string, way []string) {
	over := map[string][]string{}
	for _, n := range nodes {
		if n.Jump == "" {
			continue
		}
		hops, _ := Hops(n.Jump)
		for _, h := range hops {
			over[n.Name] = append(over[n.Name], h.Host)
		}
	}
	done := map[string]bool{}
	var walk func(at string, path []string) []string
	walk = func(at string, path []string) []string {
		if i := slices.Index(path, at); i >= 0 {
			return append(slices.Clone(path[i:]), at)
		}
		if done[at] {
			return nil
		}
		path = append(path, at)
		for _, next := range over[at] {
			if c := walk(next, path); c != nil {
				return c
			}
		}
		done[at] = true
		return nil
	}
	for _, n := range nodes {
		if c := walk(n.Name, nil); c != nil {
			return c[0], c
		}
	}
	return "", nil
}
