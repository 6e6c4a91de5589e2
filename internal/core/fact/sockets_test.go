package fact

import (
	"os"
	"slices"
	"strings"
	"testing"

	"picket/internal/core/snap"
)

func TestSockets(t *testing.T) {
	s := recorded(t, "sockets", "$ ss -Hltunpe", "ss.txt",
		"/etc/passwd", "=mosquitto:x:110:110::/var/lib/mosquitto:/usr/sbin/nologin\n",
		"/proc/533/cgroup", "=0::/system.slice/mosquitto.service\n",
		"/proc/533/status", "=Name:\tmosquitto\nUid:\t110\t110\t110\t110\n")
	h := Parse(s)
	var got []string
	for _, k := range h.Sockets.Listening {
		got = append(got, strings.Join([]string{k.Where(), k.Who(), k.Service(), string(k.Scope()), k.Unit.V}, "|"))
	}
	want := []string{
		"0.0.0.0:22/tcp|sshd|SSH|every interface|ssh.service",
		"[::]:22/tcp|sshd|SSH|every interface|ssh.service",
		"192.168.1.20:80/tcp|lighttpd|web UI|a private network|lighttpd.service",
		"*:1883/tcp|mosquitto as mosquitto|MQTT|every interface|mosquitto.service",
		"127.0.0.1:6379/tcp|redis-server|Redis|this host|redis-server.service",
		"[::1]:6379/tcp|redis-server|Redis|this host|redis-server.service",
		"0.0.0.0%eth0:8443/tcp|my app (v2)|web UI|every interface|session-3.scope",
		"0.0.0.0:9001/tcp|mosquitto as mosquitto|MQTT over WebSocket|every interface|mosquitto.service",
		"[fe80::8da:65ff:fe47:a5a0]%eth0:546/udp|NetworkManager|DHCP client|the local link|NetworkManager.service",
		"0.0.0.0:5353/udp|avahi-daemon|mDNS|every interface|avahi-daemon.service",
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if files := askSockets(h, s).Files; !slices.Contains(files, "/proc/12473/status") || slices.Contains(files, "/proc/net/tcp") {
		t.Errorf("asks for %v", files)
	}
}

func TestSocketsWithoutSS(t *testing.T) {
	s := recorded(t, "sockets", "/proc/net/tcp", "tcp", "/proc/net/tcp6", "tcp6", "/proc/net/udp", "=", "/proc/net/udp6", "udp6")
	s.Commands["ss -Hltunpe"] = &snap.Output{Argv: ssList, Missing: true}
	var got []string
	for _, k := range Parse(s).Sockets.Listening {
		got = append(got, k.Where())
		if k.Process != "" || k.User.Known() {
			t.Errorf("%s: the kernel's table names no process", k.Where())
		}
	}
	want := []string{"0.0.0.0:22/tcp", "192.168.1.20:80/tcp", "*:1883/tcp", "127.0.0.1:6379/tcp", "[::1]:6379/tcp", "0.0.0.0:9001/tcp", "[fe80::8da:65ff:fe47:a5a0]:546/udp"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func TestNetwork(t *testing.T) {
	h := Parse(recorded(t, "sockets",
		"$ ip -j addr", `=[{"ifname":"lo","addr_info":[{"local":"127.0.0.1","prefixlen":8}]},{"ifname":"eth0","addr_info":[{"local":"192.168.1.20","prefixlen":24},{"local":"fe80::1","prefixlen":64}]}]`,
		"$ ip -j route", `=[{"dst":"default","gateway":"192.168.1.1","dev":"eth0"},{"dst":"192.168.1.0/24","dev":"eth0","protocol":"kernel"}]`,
		"/proc/net/if_inet6", "=00000000000000000000000000000001 01 80 10 80       lo\n"))
	n := h.Network
	if len(n.Addresses) != 3 || n.Addresses[1].Addr.String() != "192.168.1.20/24" {
		t.Errorf("addresses: %v", n.Addresses)
	}
	if len(n.Routes) != 2 || !n.Routes[0].Gateway || n.Routes[1].Gateway || n.Routes[0].To.Bits() != 0 {
		t.Errorf("routes: %+v", n.Routes)
	}
	if !n.IPv6.Known() || n.IPv6.V {
		t.Errorf("only the loopback has IPv6: %+v", n.IPv6)
	}
}

func FuzzSS(f *testing.F) {
	data, err := os.ReadFile("testdata/sockets/ss.txt")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(data))
	f.Fuzz(func(t *testing.T, text string) {
		ks, _ := parseSS(linesAt(text, Place{}))
		for _, k := range ks {
			k.Where()
			k.Service()
			k.Scope()
		}
		parseProcNet(linesAt(text, Place{}), "tcp")
		parseAddresses([]byte(text))
	})
}
