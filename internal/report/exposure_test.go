package report_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"picket/internal/core/audit"
	"picket/internal/core/snap"
	"picket/internal/report"
)

// exposed is a host of a few lines: SSH by a rule, a container past the
// firewall, a tailnet, an intruder's name.
func exposed(t *testing.T, saved string) audit.Exposure {
	t.Helper()
	s := snap.New(snap.Source{Kind: "local", Target: "local"}, time.Unix(1_800_000_000, 0))
	s.MarkComplete()
	for argv, out := range map[string]string{
		"nft -j list ruleset": `{"nftables": []}`, "iptables-save": saved, "ip6tables-save": "",
		"ss -Hltunpe": `tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=612,fd=3)) ino:1 sk:1
tcp LISTEN 0 128 0.0.0.0:9 0.0.0.0:* users:(("evil` + "\x1b[31m" + `",pid=613,fd=3)) ino:2 sk:2
tcp LISTEN 0 128 127.0.0.1:5432 0.0.0.0:* users:(("postgres",pid=614,fd=3)) ino:3 sk:3
tcp LISTEN 0 128 [::]:22 [::]:* users:(("sshd",pid=612,fd=4)) ino:4 sk:4 v6only:1
`,
		"ip -j addr": `[{"ifname":"lo","addr_info":[{"local":"127.0.0.1","prefixlen":8}]},{"ifname":"eth0","addr_info":[{"local":"192.168.1.10","prefixlen":24}]},
			{"ifname":"tailscale0","addr_info":[{"local":"100.64.0.5","prefixlen":32}]},{"ifname":"docker0","addr_info":[{"local":"172.17.0.1","prefixlen":16}]}]`,
		"ip -j -6 route": "[]",
		"ip -j route":    `[{"dst":"default","gateway":"192.168.1.1","dev":"eth0"},{"dst":"192.168.1.0/24","dev":"eth0"},{"dst":"172.17.0.0/16","dev":"docker0"}]`,
	} {
		s.Commands[argv] = &snap.Output{Argv: strings.Fields(argv), Stdout: []byte(out)}
	}
	s.Entries["/proc/sys/net/ipv4/ip_forward"] = &snap.Entry{Path: "/proc/sys/net/ipv4/ip_forward", Type: snap.File, Read: true, Content: []byte("1\n")}
	return audit.Exposes(s, "test")
}

const savedRules = `*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:8080
COMMIT
*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -i tailscale0 -j ACCEPT
-A INPUT -s 192.168.1.0/24 -p tcp -m tcp --dport 22 -j ACCEPT
-A INPUT -i lo -j ACCEPT
COMMIT
`

func TestExposureText(t *testing.T) {
	var b bytes.Buffer
	if err := (report.Exposure{Width: 100}).Write(&b, exposed(t, savedRules)); err != nil {
		t.Fatal(err)
	}
	want := `local
4 ports, 2 of them reached from outside

Reached from your network, and from anywhere if a router forwards it
  80/tcp    web UI · led to 172.17.0.2:8080  at 0.0.0.0:80
            anywhere, your network and the VPN: yes (the policy of ip filter FORWARD is accept)

Reached from your network
  22/tcp    SSH · sshd  at 0.0.0.0:22, [::]:22
            anywhere: no (the policy of ip filter INPUT is drop)
            your network: yes (-A INPUT -s 192.168.1.0/24 -p tcp -m tcp --dport 22 -j ACCEPT)
            the VPN: yes (-A INPUT -i tailscale0 -j ACCEPT)

Reached from your private network (VPN)
  9/tcp     evil [31m  at 0.0.0.0:9
            anywhere and your network: no (the policy of ip filter INPUT is drop)
            the VPN: yes (-A INPUT -i tailscale0 -j ACCEPT)

On this host only
  5432/tcp  PostgreSQL · postgres  at 127.0.0.1:5432
`
	got := strings.ReplaceAll(b.String(), "  at ", " at ")
	if want = strings.ReplaceAll(want, "  at ", " at "); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestExposureSchema(t *testing.T) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	s, err := c.Compile("../../docs/exposure.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	e := exposed(t, savedRules)
	for _, several := range []bool{false, true} {
		var b bytes.Buffer
		if err := report.ExposureJSON(&b, []audit.Exposure{e}, several); err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(decode(t, b.Bytes())); err != nil {
			t.Errorf("several %v: %v", several, err)
		}
		broken := strings.Replace(b.String(), `"reached": "yes"`, `"reached": "perhaps"`, 1)
		if s.Validate(decode(t, []byte(broken))) == nil {
			t.Errorf("the schema accepts another word")
		}
	}
}

// TestExposureFromAnywhere: who may come in by the port that it sends from
// comes in from anywhere.
func TestExposureFromAnywhere(t *testing.T) {
	for rule, want := range map[string]string{
		"-A INPUT -p tcp -m tcp --sport 53 -j ACCEPT":                        "yes",
		"-A INPUT -s 192.168.1.7/32 -j ACCEPT":                               "no",
		"-A INPUT -s 45.33.32.156/32 -p tcp -m tcp --dport 22 -j ACCEPT":     "some",
		"-A INPUT -m set --match-set x src -j ACCEPT":                        "unknown",
		"-A INPUT -p tcp -m tcp --dport 22 -m limit --limit 3/min -j ACCEPT": "limited",
	} {
		e := exposed(t, strings.Replace(savedRules, "-A INPUT -s 192.168.1.0/24 -p tcp -m tcp --dport 22 -j ACCEPT", rule, 1))
		for _, p := range e.Ports {
			if p.Port == 22 && p.Anywhere.Reached != want {
				t.Errorf("%s: SSH from anywhere: %s (%s), want %s", rule, p.Anywhere.Reached, p.Anywhere.Rule, want)
			}
		}
	}
}
