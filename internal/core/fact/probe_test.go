package fact

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"picket/internal/core/app"
	"picket/internal/core/snap"
)

// probedHost is a leader with SSH, its web interface, a broker that only a tunnel
// listens for, and a container's port.
func probedHost(t *testing.T, more ...string) *Host {
	t.Helper()
	parts := append([]string{
		"/etc/passwd", "root:x:0:0::/root:/bin/bash\npioreactor:x:1000:1000::/home/pioreactor:/bin/bash\namy:x:1001:1001::/home/amy:/bin/bash\nbob:x:1002:1002::/home/bob:/bin/bash\npi:x:1003:1003::/home/pi:/bin/bash\n",
		"/etc/shadow", "root:*:20779:0:99999:7:::\npioreactor:[yescrypt, factory password]:20400:0:99999:7:::\namy:[yescrypt]:20400:0:99999:7:::\nbob:[yescrypt]:1::::::\npi:![yescrypt, not checked (locked)]:1::::::\n",
		"/home/pioreactor/.pioreactor/config.ini", "[mqtt]\npassword=x\n", "/home/pioreactor/.pioreactor", "",
		"/etc/mosquitto/mosquitto.conf", "",
		"$ ss -Hltunpe", `tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=1,fd=3)) ino:1
tcp LISTEN 0 128 [::]:22 [::]:* users:(("sshd",pid=1,fd=4)) ino:2 v6only:1
tcp LISTEN 0 128 0.0.0.0:80 0.0.0.0:* users:(("lighttpd",pid=2,fd=3)) ino:3
tcp LISTEN 0 128 127.0.0.1:1883 0.0.0.0:* users:(("mosquitto",pid=3,fd=3)) ino:4
tcp LISTEN 0 128 172.17.0.1:1883 0.0.0.0:* users:(("mosquitto",pid=3,fd=4)) ino:5
tcp LISTEN 0 128 10.0.0.5:443 0.0.0.0:* users:(("lighttpd",pid=2,fd=4)) ino:7
tcp LISTEN 0 128 0.0.0.0:9100 0.0.0.0:* users:(("printer",pid=4,fd=3)) ino:6
`,
		"$ ip -j addr", `[{"ifname":"lo","addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8}]},{"ifname":"eth0","addr_info":[{"family":"inet","local":"192.168.1.20","prefixlen":24},{"family":"inet6","local":"fe80::1","prefixlen":64}]},{"ifname":"eth1","addr_info":[{"family":"inet","local":"10.0.0.5","prefixlen":24}]},{"ifname":"docker0","addr_info":[{"family":"inet","local":"172.17.0.1","prefixlen":16}]}]`,
		"$ ip -j route", `[{"dst":"default","gateway":"192.168.1.1","dev":"eth0"}]`, "$ ip -j -6 route", "[]",
		"$ nft -j list ruleset", `{"nftables": [{"metainfo": {"version": "1.0.6", "release_name": "Lester Gooch #5", "json_schema_version": 1}}]}`,
	}, more...)
	for i := 1; i < len(parts); i += 2 {
		parts[i] = "=" + parts[i]
	}
	return Parse(recorded(t, "", parts...))
}

// TestProbes: over the network nothing but the address that the host was reached
// at is tried, and of its ports only those with a service that is known.
func TestProbes(t *testing.T) {
	h := probedHost(t)
	list, err := h.Probes(netip.MustParseAddr("192.168.1.20"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range list {
		got = append(got, p.String())
	}
	want := []string{
		"ask sshd at 192.168.1.20:22 how pioreactor may log in", "ask sshd at 192.168.1.20:22 how amy may log in",
		"log in by SSH at 192.168.1.20:22 as pioreactor with the factory password",
		"GET / at 192.168.1.20:80 without a password", "GET / at 192.168.1.20:80 as pioreactor with the factory password",
		"GET /unit_api/system/path/ at 192.168.1.20:80 without a password", "POST /unit_api/plugins/install at 192.168.1.20:80 without a password",
		"GET /unit_api/config/merged at 192.168.1.20:80 without a password",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, p := range list {
		if p.To.Addr() != netip.MustParseAddr("192.168.1.20") {
			t.Errorf("%v is sent elsewhere", p)
		}
		if strings.Contains(strings.Join(p.Argv(), " "), "raspberry") {
			t.Errorf("%v: a password would be kept", p.Argv())
		}
	}
	elsewhere := probedHost(t, "$ ss -Hltunpe", `tcp LISTEN 0 128 0.0.0.0:8080 0.0.0.0:* users:(("lighttpd",pid=2,fd=3)) ino:3
tcp LISTEN 0 128 0.0.0.0:80 0.0.0.0:* users:(("nginx",pid=3,fd=3)) ino:4
`)
	if list, err := elsewhere.Probes(netip.MustParseAddr("192.168.1.20")); err != nil || len(list) != 5 || list[0].To.Port() != 8080 {
		t.Errorf("at a port of its own: %v (%v)", list, err)
	}
	own, err := h.Probes(netip.Addr{})
	if err != nil || len(own) != 2*len(list)-3 || own[len(own)-1].To != netip.MustParseAddrPort("10.0.0.5:443") { // the web interface twice
		t.Errorf("on the host itself: %v (%v)", own, err)
	}
	doors := probedHost(t, "$ ss -Hltunpe", `tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=1,fd=3)) ino:1
tcp LISTEN 0 128 10.0.0.5:22 0.0.0.0:* users:(("sshd",pid=1,fd=4)) ino:2
tcp LISTEN 0 128 0.0.0.0:2222 0.0.0.0:* users:(("sshd",pid=1,fd=5)) ino:3
`)
	logins, offers := 0, 0
	list, err = doors.Probes(netip.Addr{})
	for _, p := range list {
		switch {
		case p.SSH && p.Password != "":
			logins++
		case p.SSH:
			offers++
		}
	}
	if err != nil || logins != 1 || offers != 4 {
		t.Errorf("sshd at three doors: %d logins and %d questions, want 1 and 4: a ban counts them together (%v)", logins, offers, err)
	}
	if _, err := h.Probes(netip.MustParseAddr("203.0.113.9")); err == nil || !strings.Contains(err.Error(), "no address of its own") {
		t.Errorf("an address that is not the host's: %v", err)
	}
	for _, a := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.1"} { // ssh -L 2222:host:22
		if list, err := h.Probes(netip.MustParseAddr(a)); err == nil {
			t.Errorf("through a tunnel at %s these would be tried on this machine: %v", a, list)
		}
	}
	if _, err := probedHost(t, "$ ip -j addr", "oops").Probes(netip.MustParseAddr("192.168.1.20")); err == nil {
		t.Error("addresses that are not known, and still something would be tried")
	}
}

// TestProbesOfOthers: a page that answers any path is no dashboard and no settings,
// and another program in Python is no nio.
func TestProbesOfOthers(t *testing.T) {
	h := probedHost(t, "/etc/caddy/Caddyfile", "{\n\tadmin off\n}\n", "/etc/traefik", "", "/etc/traefik/traefik.yml", "api: {}\n", "/opt/nio/nio.conf", "[rest]\n",
		"$ ss -Hltunpe", `tcp LISTEN 0 128 0.0.0.0:80 0.0.0.0:* users:(("caddy",pid=2,fd=3)) ino:3
tcp LISTEN 0 128 0.0.0.0:8123 0.0.0.0:* users:(("python3",pid=3,fd=3)) ino:4
tcp LISTEN 0 128 0.0.0.0:8080 0.0.0.0:* users:(("docker-proxy",pid=4,fd=3)) ino:5
`)
	list, err := h.Probes(netip.MustParseAddr("192.168.1.20"))
	if err != nil || len(list) == 0 {
		t.Fatal(list, err)
	}
	for _, p := range list {
		if p.To.Port() == 8123 {
			t.Errorf("%v: a login to another program", p)
		}
		if p.Control == "app/caddy-admin" || p.Control == "app/traefik-api" {
			if app.Matches(p.Bad, []string{"200", "plain"}) || !app.Matches(p.Bad, []string{"200", "plain", "mark"}) {
				t.Errorf("%v: bad are %v", p, p.Bad)
			}
		}
	}
	for _, name := range []string{"caddy", "traefik", "nio"} {
		if !slices.ContainsFunc(h.Apps.Found(), func(a App) bool { return a.Name == name }) {
			t.Errorf("%s is not found", name)
		}
	}
}

// TestSeveralWays: where a key has to come before the password, that sshd asks for
// both is no way in.
func TestSeveralWays(t *testing.T) {
	for methods, want := range map[string]int{"any": 2, "publickey,password": 0} {
		h := probedHost(t)
		h.SSHD.Answers = Is([]SSHDAnswer{{Options: map[string][]string{"authenticationmethods": strings.Fields(methods)}}}, Place{})
		n := 0
		for _, p := range h.sshProbes() {
			if p.Password == "" {
				n++
			}
		}
		if n != want {
			t.Errorf("AuthenticationMethods %s: %d questions, want %d", methods, n, want)
		}
	}
}

// TestTried: an answer counts where the probe is meant, and says nothing in any
// form but its own.
func TestTried(t *testing.T) {
	for name, c := range map[string]struct {
		key, answer string
		o           snap.Output
		want        Tried
	}{
		"bad":     {"probe http 'GET /' 192.168.1.20:80", "from 10.0.0.1\nsaid 200 plain\n", snap.Output{}, Tried{Bad: true, From: "10.0.0.1", Answer: "200 without TLS"}},
		"good":    {"probe http 'GET /' 192.168.1.20:80", "from 10.0.0.1\nsaid 401 plain\n", snap.Output{}, Tried{From: "10.0.0.1", Answer: "401 without TLS"}},
		"neither": {"probe http 'GET /' 192.168.1.20:80", "from 10.0.0.1\nsaid 503 plain\n", snap.Output{}, Tried{From: "10.0.0.1", Answer: "503 without TLS"}},
		"none":    {"probe http 'GET /' 192.168.1.20:80", "", snap.Output{Err: "no answer in 8s"}, Tried{Why: "no answer in 8s"}},
		"garbled": {"probe http 'GET /' 192.168.1.20:80", "from 10.0.0.1\nsaid 200\nplain\n", snap.Output{}, Tried{Why: "its answer is not of the form that is known"}},
		"cut":     {"probe http 'GET /' 192.168.1.20:80", "from 10.0.0.1\nsaid 200 plain\n", snap.Output{Cut: true}, Tried{Why: "its answer is not of the form that is known"}},
		"empty":   {"probe http 'GET /' 192.168.1.20:80", "", snap.Output{}, Tried{Why: "its answer is not of the form that is known"}},
	} {
		h := probedHost(t)
		o := c.o
		o.Argv, o.Stdout = []string{"probe", "http", "GET /", "192.168.1.20:80"}, []byte(c.answer)
		h.Snap.Commands[c.key] = &o
		got := h.Tried("app/pioreactor-login")
		if len(got) != 1 {
			t.Errorf("%s: %v", name, got)
			continue
		}
		c.want.What, c.want.To, c.want.Wanted = "the web interface without a password", "192.168.1.20:80", "401"
		if got[0] != c.want {
			t.Errorf("%s: %+v, want %+v", name, got[0], c.want)
		}
	}
	h := probedHost(t)
	h.Snap.Commands["x"] = &snap.Output{Argv: []string{"probe", "http", "GET /", "192.168.1.20:9100"}, Stdout: []byte("from 10.0.0.1\nsaid 200 plain\n")}
	if got := h.Tried("app/pioreactor-login"); len(got) != 0 {
		t.Errorf("what a printer answers is no web interface: %v", got)
	}
}
