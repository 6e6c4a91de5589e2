package compose

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A Service is one service of a project.
type Service struct {
	*Node
	Name string
}

// Services are those that start when nothing else is asked for: not those of
// a profile that .env does not choose, nor those of which there are to be none.
func (p *Project) Services() []Service {
	chosen := strings.Split(p.Vars["COMPOSE_PROFILES"].Value, ",")
	all := p.Top.Get("services")
	var out []Service
	if !all.Is(Map) {
		return nil
	}
	for i, name := range all.Keys {
		s := Service{all.Items[i], name}
		if s.Kind != Map {
			continue
		}
		profiles := listOf(s.Get("profiles"))
		on := len(profiles) == 0 || slices.Contains(chosen, "*") || slices.ContainsFunc(profiles, func(n *Node) bool { return slices.Contains(chosen, n.Text) })
		if on && s.count() != "0" {
			out = append(out, s)
		}
	}
	return out
}

func (s Service) count() string {
	n := s.Get("scale")
	if n == nil {
		n = s.Get("deploy", "replicas")
	}
	if n == nil {
		return ""
	}
	return n.Text
}

// Name of the project, as it is when nobody gives another.
func (p *Project) Name() string {
	if v := p.Vars["COMPOSE_PROJECT_NAME"]; v.Value != "" && !v.Hidden {
		return v.Value
	}
	if n := p.Top.Get("name"); n.Is(Scalar) && n.Open == "" {
		return n.Text
	}
	return strings.TrimLeft(noName.ReplaceAllString(strings.ToLower(path.Base(p.Dir)), ""), "_-")
}

var noName = regexp.MustCompile(`[^-_a-z0-9]+`)

// Text is a scalar's value; open says why it is not known.
func (s Service) Text(keys ...string) (text, open string) {
	n := s.Get(keys...)
	if !n.Is(Scalar) {
		return "", ""
	}
	return n.Text, n.Open
}

// Flag is a value of true or false.
func (s Service) Flag(keys ...string) (on bool, open string) {
	v, open := s.Text(keys...)
	if open != "" {
		return false, open
	}
	switch strings.ToLower(v) {
	case "", "false", "no", "n", "off", "0":
		return false, ""
	case "true", "yes", "y", "on", "1":
		return true, ""
	}
	return false, "it is neither true nor false"
}

// List is a list of words, or the one word that stands for it.
func (s Service) List(keys ...string) []*Node { return listOf(s.Get(keys...)) }

// Named is a map of names and values, however it is written.
func (s Service) Named(keys ...string) *Node {
	n := s.Get(keys...)
	if n == nil || n.Kind == Nothing {
		return &Node{Kind: Map}
	}
	return asMap(n, true)
}

// A Volume is a mount of a service.
type Volume struct {
	Type, Source, Target, Propagation string
	ReadOnly                          bool
	At                                *Node
	Open                              string // why a part of it is not known
}

// Volumes are the mounts of a service.
func (s Service) Volumes() []Volume {
	var out []Volume
	for _, n := range s.List("volumes") {
		out = append(out, readVolume(n))
	}
	if on, open := s.Flag("use_api_socket"); on || open != "" {
		out = append(out, Volume{Type: "bind", Source: "/var/run/docker.sock", Target: "/var/run/docker.sock", At: s.Get("use_api_socket"), Open: open})
	}
	return out
}

var propagations = []string{"rprivate", "private", "rshared", "shared", "rslave", "slave"}

func readVolume(n *Node) Volume {
	v := Volume{At: n, Type: "volume", Open: n.Open}
	if n.Kind == Map {
		for _, f := range []struct {
			to   *string
			keys []string
		}{{&v.Type, []string{"type"}}, {&v.Source, []string{"source"}}, {&v.Target, []string{"target"}}, {&v.Propagation, []string{"bind", "propagation"}}} {
			if t := n.Get(f.keys...); t.Is(Scalar) {
				*f.to, v.Open = t.Text, cmp.Or(v.Open, t.Open)
			}
		}
		ro, open := (Service{Node: n}).Flag("read_only")
		v.ReadOnly, v.Open = ro, cmp.Or(v.Open, open)
		return v
	}
	// A variable may stand for a path or for several parts: it has no colons here.
	parts := strings.Split(n.Text, ":")
	switch {
	case n.Open != "":
		return v
	case len(parts) == 1:
		v.Target = n.Text
		return v
	}
	v.Source, v.Target = parts[0], parts[1]
	if strings.ContainsRune("./~", rune((v.Source + "x")[0])) {
		v.Type = "bind"
	}
	for _, o := range strings.Split(strings.Join(parts[2:], ","), ",") {
		switch {
		case o == "ro":
			v.ReadOnly = true
		case slices.Contains(propagations, o):
			v.Propagation = o
		}
	}
	return v
}

// A Port is published: at which addresses of the host, and which.
type Port struct {
	Host, Published, Target, Proto string
	At                             *Node
	Open                           string
}

var (
	portSpec  = regexp.MustCompile(`^(?:(?:(\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:]*|[0-9.]+):)?([0-9]+(?:-[0-9]+)?)?:)?([0-9]+(?:-[0-9]+)?)(?:/([a-z]+))?$`)
	portRange = regexp.MustCompile(`^([0-9]+)-([0-9]+)$`)
)

// Ports are those that a service publishes: one that is given no number of the
// host gets a random one.
func (s Service) Ports() []Port {
	var all []Port
	at := map[[4]string]int{}
	for _, p := range s.ports() {
		key := [4]string{cmp.Or(p.Host, "0.0.0.0"), p.Published, p.Target, p.Proto}
		if i, ok := at[key]; ok && p.Open == "" {
			all[i] = p
			continue
		}
		at[key] = len(all)
		all = append(all, p)
	}
	return all
}

func (s Service) ports() []Port {
	var out []Port
	for _, n := range s.List("ports") {
		p := Port{At: n, Open: n.Open, Proto: "tcp"}
		if n.Kind == Map {
			for key, to := range map[string]*string{"host_ip": &p.Host, "published": &p.Published, "target": &p.Target, "protocol": &p.Proto} {
				if t := n.Get(key); t.Is(Scalar) {
					*to, p.Open = t.Text, cmp.Or(p.Open, t.Open)
				}
			}
			out = append(out, p)
			continue
		}
		m := portSpec.FindStringSubmatch(n.Text)
		switch {
		case p.Open != "":
		case m == nil:
			p.Open = "it is no port that is understood"
		default:
			p.Host, p.Published, p.Target, p.Proto = strings.Trim(m[1], "[]"), m[2], m[3], cmp.Or(m[4], "tcp")
			out = append(out, p.spread()...)
			continue
		}
		out = append(out, p)
	}
	return out
}

// spread makes single ports of two ranges of the same length, and of a range
// of the container's.
func (p Port) spread() []Port {
	in := portRange.FindStringSubmatch(p.Target)
	if in == nil {
		return []Port{p}
	}
	a, _ := strconv.Atoi(in[1])
	b, _ := strconv.Atoi(in[2])
	if b < a || b-a > 1000 {
		p.Open = "it is no range of ports that is understood"
		return []Port{p}
	}
	from := -1
	if at := portRange.FindStringSubmatch(p.Published); at != nil {
		c, _ := strconv.Atoi(at[1])
		d, _ := strconv.Atoi(at[2])
		if d-c != b-a {
			p.Open = "its two ranges of ports differ in length"
			return []Port{p}
		}
		from = c
	}
	var out []Port
	for i := a; i <= b; i++ {
		q := p
		q.Target = strconv.Itoa(i)
		if from >= 0 {
			q.Published = strconv.Itoa(from + i - a)
		}
		out = append(out, q)
	}
	return out
}

// Networks are those that a service is in, as the project names them: one at
// least.
func (s Service) Networks() []string {
	if n := s.Get("networks"); n != nil {
		if names := asMap(n, false).Keys; len(names) > 0 {
			return names
		}
	}
	return []string{"default"}
}

// Bytes reads a size such as 512m; false where it is none.
func Bytes(text string) (int64, bool) {
	m := size.FindStringSubmatch(strings.ToLower(strings.TrimSpace(text)))
	if m == nil {
		return 0, false
	}
	f, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0, false
	}
	for range strings.Index("bkmgtp", cmp.Or(m[2], "b")) {
		f *= 1024
	}
	return int64(min(f, 1<<62)), true
}

var size = regexp.MustCompile(`^(-?[0-9]+(?:\.[0-9]+)?) ?([kmgtp])?i?b?$`)
