package settings

import (
	"fmt"
	"net/netip"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/change"
	"picket/internal/core/yaml"
)

// What follows is decided by the owner of a host and not by a rule: a fix asks for it, and leaves what was not decided to
// a person.

// SSH says who may come in, and where.
type SSH struct {
	Port   PortNumber `yaml:"port"`   // that sshd is to listen on; 0: the one it has
	Groups []Account  `yaml:"groups"` // that may log in
	Users  []Account  `yaml:"users"`
}

// Wifi says where a host is.
type Wifi struct {
	Country Country `yaml:"country"`
}

// Updates says when they may be installed, and whether the host may start anew for them.
type Updates struct {
	Window Window `yaml:"window"`
	Reboot YesNo  `yaml:"reboot"`
}

// Sandbox says which services get none.
type Sandbox struct {
	Except []Service `yaml:"except"`
}

// OwnService says what only the owner knows of a service.
type OwnService struct {
	Unit   Service  `yaml:"unit"`
	User   Account  `yaml:"user"`   // that it is to run as
	Writes []Folder `yaml:"writes"` // folders and files that it writes to
	Health Health   `yaml:"health"`
}

// Change is the policy as fixes want it.
func (p Policy) Change() change.Policy {
	return change.Policy{
		SSHPort: int(p.SSH.Port), SSHGroups: plain(p.SSH.Groups), SSHUsers: plain(p.SSH.Users), Ports: ports(p.Ports),
		WifiCountry: string(p.Wifi.Country), UpdateWindow: string(p.Updates.Window), UpdateReboot: p.Updates.Reboot.decided, SandboxExcept: plain(p.Sandbox.Except),
		Services: services(p.Services),
	}
}

// Differ are the keys of policy in which two differ.
func Differ(a, b change.Policy) (keys []string) {
	for _, k := range []struct {
		name string
		a, b any
	}{
		{"ssh.port", a.SSHPort, b.SSHPort}, {"ssh.groups", a.SSHGroups, b.SSHGroups}, {"ssh.users", a.SSHUsers, b.SSHUsers}, {"ports", a.Ports, b.Ports},
		{"wifi.country", a.WifiCountry, b.WifiCountry}, {"updates.window", a.UpdateWindow, b.UpdateWindow}, {"updates.reboot", a.UpdateReboot, b.UpdateReboot},
		{"sandbox.except", a.SandboxExcept, b.SandboxExcept}, {"services", a.Services, b.Services},
	} {
		if !reflect.DeepEqual(k.a, k.b) {
			keys = append(keys, "policy."+k.name)
		}
	}
	return keys
}

func plain[T ~string](in []T) (out []string) {
	for _, s := range in {
		out = append(out, string(s))
	}
	return out
}

func ports(in []Port) (out []change.Port) {
	for _, p := range in {
		out = append(out, change.Port(p))
	}
	return out
}

func services(in []OwnService) (out []change.Service) {
	for _, s := range in {
		out = append(out, change.Service{Unit: string(s.Unit), User: string(s.User), Writes: plain(s.Writes), Health: string(s.Health)})
	}
	return out
}

// PortNumber is one of 1 to 65535.
type PortNumber int

// DecodeYAML implements yaml.Decoder.
func (p *PortNumber) DecodeYAML(n *yaml.Node) yaml.Problems {
	s, _ := n.Scalar()
	number, err := strconv.ParseUint(s, 10, 16)
	if err != nil || number == 0 {
		return yaml.Problems{n.Problem("want a port from 1 to 65535, found %q", s)}
	}
	*p = PortNumber(number)
	return nil
}

// Account is the name of a user or a group.
type Account string

var accountName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,31}$`)

// DecodeYAML implements yaml.Decoder.
func (a *Account) DecodeYAML(n *yaml.Node) yaml.Problems {
	s, ok := n.Scalar()
	if !ok || !accountName.MatchString(s) {
		return yaml.Problems{n.Problem("want the name of one user or group, found %q", s)}
	}
	*a = Account(s)
	return nil
}

// Port is one that may be reached, as in `80/tcp from 10.0.0.0/8`.
type Port change.Port

// DecodeYAML implements yaml.Decoder.
func (p *Port) DecodeYAML(n *yaml.Node) yaml.Problems {
	s, _ := n.Scalar()
	wrong := func(format string, args ...any) yaml.Problems {
		return yaml.Problems{n.Problem("%q: "+format, append([]any{s}, args...)...)}
	}
	words := strings.Fields(s)
	if len(words) != 1 && (len(words) != 3 || words[1] != "from") {
		return wrong("want a port, as 22/tcp or 80/tcp from 10.0.0.0/8")
	}
	number, protocol, ok := strings.Cut(words[0], "/")
	if !ok {
		return wrong("want a port and its protocol, as %s/tcp", number)
	}
	at, err := strconv.ParseUint(number, 10, 16)
	if err != nil || at == 0 {
		return wrong("%q is no port: want one from 1 to 65535", number)
	}
	if protocol != "tcp" && protocol != "udp" {
		if near := yaml.Nearest(protocol, []string{"tcp", "udp"}); near != "" {
			return wrong("there is no protocol %q; did you mean %s/%s?", protocol, number, near)
		}
		return wrong("the protocol is tcp or udp, not %q", protocol)
	}
	*p = Port{Number: int(at), Protocol: protocol}
	if len(words) == 1 {
		return nil
	}
	from := words[2]
	if a, err := netip.ParseAddr(from); err == nil && a.Zone() == "" {
		p.From = netip.PrefixFrom(a, a.BitLen()).String()
		return nil
	}
	net, err := netip.ParsePrefix(from)
	switch {
	case err != nil:
		return wrong("%q is neither an address nor a network, as 10.0.0.0/8", from)
	case net != net.Masked():
		return wrong("%s is an address within a network; did you mean %s?", from, net.Masked())
	}
	p.From = net.String()
	return nil
}

// Country is two letters, as ISO 3166 has them.
type Country string

// DecodeYAML implements yaml.Decoder.
func (c *Country) DecodeYAML(n *yaml.Node) yaml.Problems {
	s, _ := n.Scalar()
	switch upper := strings.ToUpper(s); {
	case upper == "UK":
		return yaml.Problems{n.Problem("%q is no country of ISO 3166; did you mean GB?", s)}
	case len(s) != 2 || strings.Trim(upper, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "":
		return yaml.Problems{n.Problem("want a country in two letters, as DE or US, found %q", s)}
	case s != upper:
		return yaml.Problems{n.Problem("want capital letters; did you mean %s?", upper)}
	}
	*c = Country(s)
	return nil
}

// Window is a time of the day, as 03:00-05:00. It may go over midnight.
type Window string

var window = regexp.MustCompile(`^(([01]\d|2[0-3]):[0-5]\d)-(([01]\d|2[0-3]):[0-5]\d)$`)

// DecodeYAML implements yaml.Decoder.
func (w *Window) DecodeYAML(n *yaml.Node) yaml.Problems {
	s, _ := n.Scalar()
	m := window.FindStringSubmatch(s)
	switch {
	case m == nil:
		return yaml.Problems{n.Problem("want a time of the day, as 03:00-05:00, found %q", s)}
	case m[1] == m[3]:
		return yaml.Problems{n.Problem("%s has no length", s)}
	}
	*w = Window(s)
	return nil
}

// YesNo is a decision, or that none was made.
type YesNo struct{ decided *bool }

// DecodeYAML implements yaml.Decoder.
func (y *YesNo) DecodeYAML(n *yaml.Node) yaml.Problems {
	s, _ := n.Scalar()
	yes := s == "yes" || s == "true"
	if !yes && s != "no" && s != "false" {
		return yaml.Problems{n.Problem("want yes or no, found %q", s)}
	}
	y.decided = &yes
	return nil
}

// Service is a unit of systemd.
type Service string

var serviceName = regexp.MustCompile(`^[A-Za-z0-9:_.@\\-]+$`)

// DecodeYAML implements yaml.Decoder.
func (u *Service) DecodeYAML(n *yaml.Node) yaml.Problems {
	s, _ := n.Scalar()
	switch {
	case !serviceName.MatchString(s):
		return yaml.Problems{n.Problem("want a service, as mosquitto.service, found %q", s)}
	case !strings.HasSuffix(s, ".service"):
		return yaml.Problems{n.Problem("want the whole name of a service; did you mean %s.service?", s)}
	}
	*u = Service(s)
	return nil
}

// Folder is the path of a folder or a file that a service writes to.
type Folder string

var folderName = regexp.MustCompile(`^(/[A-Za-z0-9._@+-]+)+$`)

// DecodeYAML implements yaml.Decoder.
func (f *Folder) DecodeYAML(n *yaml.Node) yaml.Problems {
	s, _ := n.Scalar()
	if !folderName.MatchString(s) || path.Clean(s) != s {
		return yaml.Problems{n.Problem("want the path of a folder or file, as /opt/nio/data, found %q", s)}
	}
	*f = Folder(s)
	return nil
}

// Health is a URL that answers, or a command that succeeds, as long as a service works.
type Health string

// DecodeYAML implements yaml.Decoder.
func (h *Health) DecodeYAML(n *yaml.Node) yaml.Problems {
	s, ok := n.Scalar()
	if !ok || strings.TrimSpace(s) == "" || strings.ContainsAny(s, "\n\r\x00") {
		return yaml.Problems{n.Problem("want a URL, as http://127.0.0.1:8181/health, or a command in one line")}
	}
	*h = Health(s)
	return nil
}

// decisions finds what is wrong with several values together. at is the policy in the file that was read last.
func (p Policy) decisions(at *yaml.Node) (ps yaml.Problems) {
	lists := []*yaml.Node{at.Get("ports"), at.Get("ssh").Get("users"), at.Get("ssh").Get("groups"), at.Get("sandbox").Get("except")}
	if list := at.Get("services"); list != nil {
		items, ok := list.Items()
		if ok && len(items) == 0 {
			ps = append(ps, list.Problem("an empty list decides nothing: leave the key out"))
		}
		seen := map[string]bool{}
		for _, i := range items {
			unit := ""
			if at := i.Get("unit"); at != nil {
				unit, _ = at.Scalar()
			}
			switch {
			case i.Get("unit") == nil:
				ps = append(ps, i.Problem("a service needs \"unit\""))
			case seen[unit]:
				ps = append(ps, i.Problem("%q stands there twice", unit))
			}
			seen[unit] = true
			lists = append(lists, i.Get("writes"))
		}
	}
	for _, list := range lists {
		if list == nil {
			continue
		}
		items, ok := list.Items()
		if ok && len(items) == 0 {
			ps = append(ps, list.Problem("an empty list decides nothing: leave the key out"))
		}
		var seen []string
		for _, i := range items {
			s, _ := i.Scalar()
			if s = strings.Join(strings.Fields(s), " "); slices.Contains(seen, s) {
				ps = append(ps, i.Problem("%q stands there twice", s))
			}
			seen = append(seen, s)
		}
	}
	// Whoever changes the one and forgets the other is locked out.
	if port := p.SSH.Port; port != 0 && len(p.Ports) > 0 && !slices.ContainsFunc(p.Ports, func(o Port) bool { return o.Number == int(port) && o.Protocol == "tcp" }) {
		where := at.Get("ports")
		if where == nil {
			where = at.Get("ssh").Get("port")
		}
		if where != nil {
			ps = append(ps, where.Problem("policy.ports does not allow %s, on which policy.ssh.port has SSH listen: nobody could log in any more", fmt.Sprintf("%d/tcp", port)))
		}
	}
	return ps
}
