package fact

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"picket/internal/core/snap"
)

// Sockets are what the host listens on.
type Sockets struct {
	State     State
	Why       string
	Place     Place
	Silent    string   // why a host that was asked did not say; "" when it was not asked
	Listening []Socket // by protocol, port and address
}

// A Socket waits for connections or, of UDP, for packets.
type Socket struct {
	Proto   string // tcp or udp
	Addr    netip.Addr
	Iface   string // bound to this interface only; "" for all
	Port    int
	Both    bool // an IPv6 socket that takes IPv4 as well
	Process string
	PIDs    []int
	Unit    Value[string] // mosquitto.service; absent when it belongs to none
	User    Value[string] // whose rights the process has
	UID     int           // owner of the socket
	Place   Place
}

// Scope says from where an address can be reached, before any firewall.
type Scope string

// The scopes, from the narrowest.
const (
	ScopeLoopback Scope = "this host"
	ScopeLink     Scope = "the local link"
	ScopePrivate  Scope = "a private network"
	ScopePublic   Scope = "a public address"
	ScopeAny      Scope = "every interface"
)

// Scope of the socket's address.
func (s Socket) Scope() Scope {
	switch a := s.Addr.Unmap(); {
	case a.IsLoopback() || s.Iface == "lo":
		return ScopeLoopback
	case a.IsUnspecified():
		return ScopeAny
	case a.IsLinkLocalUnicast() || a.IsMulticast():
		return ScopeLink
	case a.IsPrivate() || tailnet.Contains(a):
		return ScopePrivate
	}
	return ScopePublic
}

// tailnet holds the addresses of carrier networks, which Tailscale gives out.
var tailnet = netip.MustParsePrefix("100.64.0.0/10")

// Exposed reports whether other hosts can reach the socket, before any firewall.
func (s Socket) Exposed() bool { return s.Scope() != ScopeLoopback }

// Where is the address and port in the usual form.
func (s Socket) Where() string {
	host := s.Addr.String()
	if s.Addr.Is6() {
		host = "[" + host + "]"
	}
	if s.Both && s.Addr.IsUnspecified() {
		host = "*"
	}
	if s.Iface != "" && s.Addr.Zone() == "" {
		host += "%" + s.Iface
	}
	return host + ":" + strconv.Itoa(s.Port) + "/" + s.Proto
}

// Who names the process for a person.
func (s Socket) Who() string {
	who := s.Process
	if who == "" {
		return "unknown process"
	}
	if s.User.Known() {
		who += " as " + s.User.V
	}
	return who
}

// Service names what is usually behind the socket: by its process, else by
// its port; "" when neither is well known.
func (s Socket) Service() string {
	// Docker's own ports are for swarms (2377, 7946) and numbers (9323); what
	// else its daemon listens on is its API, whatever the port.
	if s.Process == "dockerd" && s.Proto == "tcp" && !slices.Contains([]int{2376, 2377, 7946, 9323}, s.Port) {
		return "Docker API"
	}
	return s.usual()
}

// Service of a port is not the API of Docker's daemon where the daemon only keeps the port for a container, as it does
// with userland-proxy switched off: what comes in is led to the container.
func (e Exposed) Service() string {
	if e.Process == "dockerd" && e.Forwarded != "" {
		return e.usual()
	}
	return e.Socket.Service()
}

// usual goes by the lists alone.
func (s Socket) usual() string {
	for _, w := range wellKnown {
		if s.Process != "" && slices.Contains(w.processes, s.Process) && (len(w.ports) == 0 || !w.both || slices.Contains(w.ports, s.Port)) {
			return w.name
		}
	}
	for _, w := range wellKnown {
		if slices.Contains(w.ports, s.Port) && (w.proto == "" || w.proto == s.Proto) {
			return w.name
		}
	}
	return ""
}

// wellKnown services. With both set, the process alone does not tell.
var wellKnown = []struct {
	name      string
	proto     string
	ports     []int
	processes []string
	both      bool
}{
	{name: "SSH", proto: "tcp", ports: []int{22}, processes: []string{"sshd", "dropbear"}},
	{name: "MQTT", proto: "tcp", ports: []int{1883}, processes: []string{"mosquitto"}, both: true},
	{name: "MQTT over WebSocket", proto: "tcp", ports: []int{9001}, processes: []string{"mosquitto"}, both: true},
	{name: "MQTT over TLS", proto: "tcp", ports: []int{8883}},
	{name: "web UI", proto: "tcp", ports: []int{80, 443, 8080, 8443}, processes: []string{"lighttpd", "nginx", "apache2", "traefik", "caddy", "haproxy"}},
	{name: "nio", proto: "tcp", ports: []int{8181}},
	{name: "Docker API", proto: "tcp", ports: []int{2375}},
	{name: "Docker API over TLS", proto: "tcp", ports: []int{2376}},
	{name: "Vault", proto: "tcp", ports: []int{8200}, processes: []string{"vault", "bao"}},
	{name: "Redis", proto: "tcp", ports: []int{6379}, processes: []string{"redis-server", "valkey-server"}},
	{name: "PostgreSQL", proto: "tcp", ports: []int{5432}, processes: []string{"postgres"}},
	{name: "MariaDB", proto: "tcp", ports: []int{3306}, processes: []string{"mariadbd", "mysqld"}},
	{name: "MongoDB", proto: "tcp", ports: []int{27017}, processes: []string{"mongod"}},
	{name: "InfluxDB", proto: "tcp", ports: []int{8086}, processes: []string{"influxd"}},
	{name: "memcached", ports: []int{11211}, processes: []string{"memcached"}},
	{name: "Elasticsearch", proto: "tcp", ports: []int{9200}},
	{name: "etcd", proto: "tcp", ports: []int{2379}, processes: []string{"etcd"}},
	{name: "VNC", proto: "tcp", ports: []int{5900, 5901}, processes: []string{"wayvnc", "vncserver-x11-core", "x11vnc", "Xvnc", "Xtigervnc"}},
	{name: "RDP", proto: "tcp", ports: []int{3389}, processes: []string{"xrdp"}},
	{name: "X11", proto: "tcp", ports: []int{6000}, processes: []string{"Xorg"}},
	{name: "telnet", proto: "tcp", ports: []int{23}, processes: []string{"telnetd", "in.telnetd"}},
	{name: "rlogin and rsh", proto: "tcp", ports: []int{512, 513, 514}},
	{name: "FTP", proto: "tcp", ports: []int{21}, processes: []string{"vsftpd", "proftpd", "pure-ftpd"}},
	{name: "TFTP", proto: "udp", ports: []int{69}},
	{name: "rpcbind", ports: []int{111}, processes: []string{"rpcbind"}},
	{name: "NFS", ports: []int{2049}},
	{name: "SMB", proto: "tcp", ports: []int{139, 445}, processes: []string{"smbd"}},
	{name: "rsync", proto: "tcp", ports: []int{873}},
	{name: "SNMP", proto: "udp", ports: []int{161}, processes: []string{"snmpd"}},
	{name: "mDNS", proto: "udp", ports: []int{5353}, processes: []string{"avahi-daemon"}, both: true},
	{name: "LLMNR", ports: []int{5355}},
	{name: "DNS", ports: []int{53}},
	{name: "DHCP server", proto: "udp", ports: []int{67, 547}},
	{name: "DHCP client", proto: "udp", ports: []int{68, 546}},
	{name: "NTP", proto: "udp", ports: []int{123}},
	{name: "mail", proto: "tcp", ports: []int{25, 465, 587}, processes: []string{"exim4", "master"}},
	{name: "printing", ports: []int{631}, processes: []string{"cupsd"}},
	{name: "Prometheus", proto: "tcp", ports: []int{9090}, processes: []string{"prometheus"}},
	{name: "node exporter", proto: "tcp", ports: []int{9100}},
	{name: "Grafana", proto: "tcp", ports: []int{3000}, processes: []string{"grafana", "grafana-server"}},
	{name: "Ollama", proto: "tcp", ports: []int{11434}, processes: []string{"ollama"}},
	{name: "Tailscale", proto: "udp", ports: []int{41641}, processes: []string{"tailscaled"}},
	{name: "WireGuard", proto: "udp", ports: []int{51820}},
}

var (
	ssList    = []string{"ss", "-Hltunpe"}
	procSocks = []string{"/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp", "/proc/net/udp6"}
)

const (
	maxSockets = 4096 // kept of one host
	maxPIDs    = 200  // whose unit and user are asked for
)

func askSockets(h *Host, s *snap.Snapshot) snap.Manifest {
	m := snap.Manifest{Commands: []snap.Command{{Argv: ssList}}}
	if s.Source.Kind == "image" {
		return m
	}
	if _, st, _ := s.Run(ssList...); st == Absent {
		m.Files = append(m.Files, procSocks...)
	}
	seen := map[int]bool{}
	for _, l := range h.Sockets.Listening {
		for _, pid := range l.PIDs {
			if !seen[pid] && len(seen) < maxPIDs {
				seen[pid] = true
				p := "/proc/" + strconv.Itoa(pid)
				m.Files = append(m.Files, p+"/cgroup", p+"/status")
			}
		}
	}
	return m
}

func parseSockets(h *Host, s *snap.Snapshot) {
	k := &h.Sockets
	o, st, why := s.Run(ssList...)
	k.Place = By(ssList...)
	switch {
	case st == Known && o.Exit == 0:
		k.State = Known
		if k.Listening, k.Why = parseSS(outLines(o)); k.Why != "" {
			k.State = Unknown
		}
	case st == Absent:
		readProcSockets(s, k)
	case st == Known:
		k.State, k.Why = Unknown, "`ss -Hltunpe` failed: "+firstOf(o.Stderr)
	default:
		k.State, k.Why = st, why
		if o != nil && s.Source.Kind != "image" {
			k.Silent = why
		}
	}
	if s.Source.Kind == "image" && k.State != Known {
		k.State, k.Why = Unknown, "an image listens on nothing; audit the running host"
	}
	for i := range k.Listening {
		k.Listening[i].owner(h, s)
	}
	slices.SortStableFunc(k.Listening, func(a, b Socket) int {
		if c := strings.Compare(a.Proto, b.Proto); c != 0 {
			return c
		}
		if a.Port != b.Port {
			return a.Port - b.Port
		}
		return a.Addr.Compare(b.Addr)
	})
}

// parseSS reads lines such as
//
//	tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=612,fd=3)) ino:… cgroup:/system.slice/ssh.service <->
//
// why says that something listens which is not among them.
func parseSS(ls []line) (out []Socket, why string) {
	for _, l := range ls {
		f := l.fields()
		if len(f) < 6 || f[0] != "tcp" && f[0] != "udp" {
			continue
		}
		if len(out) >= maxSockets {
			return out, tooManySockets
		}
		k := Socket{Proto: f[0], Place: l.at}
		if !k.setLocal(f[4]) {
			why = fmt.Sprintf("`ss` lists an address that is not understood: %.60q", f[4])
			continue
		}
		k.Unit = Not[string](Unknown, "the process is not known")
		k.User = Not[string](Unknown, "the process is not known; run as root")
		for _, w := range f[6:] {
			key, value, _ := strings.Cut(w, ":")
			switch key {
			case "uid":
				k.UID, _ = strconv.Atoi(value)
			case "v6only":
				k.Both = value == "0"
			case "cgroup":
				if strings.HasPrefix(value, "/") {
					k.Unit = unitOfCgroup(value, l.at)
				}
			}
		}
		if i := strings.Index(l.text, "users:(("); i >= 0 {
			k.users(l.text[i+len("users:("):])
		}
		out = append(out, k)
	}
	return out, why
}

var tooManySockets = fmt.Sprintf("there are more than %d sockets, more than are read", maxSockets)

// users reads ("nginx",pid=1,fd=6),("nginx",pid=2,fd=6)).
func (k *Socket) users(s string) {
	for strings.HasPrefix(s, "(\"") && len(k.PIDs) < maxPIDs {
		name, rest, ok := strings.Cut(s[2:], `",pid=`)
		if !ok {
			return
		}
		if k.Process == "" {
			k.Process = name
		}
		digits, rest, ok := strings.Cut(rest, ",")
		pid, err := strconv.Atoi(digits)
		if !ok || err != nil || pid <= 0 {
			return
		}
		if !slices.Contains(k.PIDs, pid) {
			k.PIDs = append(k.PIDs, pid)
		}
		_, rest, ok = strings.Cut(rest, ")")
		if !ok {
			return
		}
		s = strings.TrimPrefix(rest, ",")
	}
}

// setLocal reads 0.0.0.0:22, *:22, [::1]:22, 0.0.0.0%eth0:22, [fe80::1]%eth0:546.
func (k *Socket) setLocal(s string) bool {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return false
	}
	port, err := strconv.ParseUint(s[i+1:], 10, 16)
	if err != nil {
		return false
	}
	k.Port = int(port)
	host, iface, _ := strings.Cut(s[:i], "%")
	k.Iface = iface
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if host == "*" {
		k.Addr, k.Both = netip.IPv6Unspecified(), true
		return true
	}
	k.Addr, err = netip.ParseAddr(host)
	return err == nil
}

// readProcSockets reads the kernel's own tables: no processes are named there.
func readProcSockets(s *snap.Snapshot, k *Sockets) {
	k.State, k.Why = Unknown, "ss is not installed, and /proc/net/tcp was not read"
	k.Place = Place{Path: procSocks[0]}
	for i, path := range procSocks {
		e, st, why := s.File(path)
		switch {
		case st == Absent && strings.HasSuffix(path, "6"):
			continue // a kernel without IPv6
		case st != Known:
			k.State, k.Why, k.Listening = Unknown, why, nil
			return
		}
		k.State, k.Why = Known, ""
		k.Listening = append(k.Listening, parseProcNet(lines(e), []string{"tcp", "udp"}[i/2])...)
		if len(k.Listening) >= maxSockets {
			k.State, k.Why = Unknown, tooManySockets
			return
		}
	}
}

func parseProcNet(ls []line, proto string) []Socket {
	var out []Socket
	for _, l := range ls {
		f := l.fields()
		if len(f) < 8 || f[3] != map[string]string{"tcp": "0A", "udp": "07"}[proto] || len(out) >= maxSockets {
			continue
		}
		host, port, ok := strings.Cut(f[1], ":")
		n, err := strconv.ParseUint(port, 16, 16)
		raw, err2 := hex.DecodeString(host)
		if !ok || err != nil || err2 != nil || len(raw) != 4 && len(raw) != 16 {
			continue
		}
		// Each four bytes are one number in the byte order of the machine; all
		// that Picket runs on are little-endian.
		for i := 0; i < len(raw); i += 4 {
			binary.BigEndian.PutUint32(raw[i:], binary.LittleEndian.Uint32(raw[i:]))
		}
		addr, _ := netip.AddrFromSlice(raw)
		k := Socket{Proto: proto, Addr: addr, Port: int(n), Place: l.at}
		// Whether IPv4 comes in too is not told there; it does by default.
		k.Both = addr == netip.IPv6Unspecified()
		k.UID, _ = strconv.Atoi(f[7])
		k.Unit = Not[string](Unknown, "ss is not installed: the process is not known")
		k.User = Not[string](Unknown, "ss is not installed: the process is not known")
		out = append(out, k)
	}
	return out
}

// owner fills in the unit and the user of the first process.
func (k *Socket) owner(h *Host, s *snap.Snapshot) {
	if len(k.PIDs) == 0 {
		return
	}
	// Of a socket that systemd holds for a service, ss tells the service's name.
	proc := "/proc/" + strconv.Itoa(k.PIDs[0])
	if e, st, why := s.File(proc + "/cgroup"); st == Known {
		for _, l := range lines(e) {
			if p := strings.SplitN(l.text, ":", 3); len(p) == 3 && (p[0] == "0" || p[1] == "name=systemd") {
				k.Unit = unitOfCgroup(p[2], l.at)
			}
		}
	} else if !k.Unit.Known() && k.Unit.State != Absent {
		k.Unit = Not[string](st, why)
	}
	e, st, why := s.File(proc + "/status")
	if st != Known {
		k.User = Not[string](st, why)
		return
	}
	for _, l := range lines(e) {
		if f := l.fields(); len(f) >= 3 && f[0] == "Uid:" {
			if uid, err := strconv.Atoi(f[2]); err == nil {
				k.User = Is(h.Accounts.UserName(uid), l.at)
			}
		}
	}
}

// unitOfCgroup is the unit in a path such as /system.slice/ssh.service.
func unitOfCgroup(path string, at Place) Value[string] {
	parts := strings.Split(path, "/")
	for _, p := range slices.Backward(parts) {
		if strings.HasSuffix(p, ".service") || strings.HasSuffix(p, ".scope") || strings.HasSuffix(p, ".socket") {
			return Is(p, at)
		}
	}
	return Not[string](Absent, "it belongs to no unit")
}
