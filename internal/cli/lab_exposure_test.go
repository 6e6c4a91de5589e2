package cli_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"picket/internal/core/audit"
	"picket/lab"
)

// TestExposure holds what Picket says of every port to a connection from
// another node. The host followed the guides: ufw, with a rule about the
// sender's port (T3), a limit, what is allowed for one address alone, and ports
// that rules lead elsewhere.
func TestExposure(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Guides)
	h.Sh(`for at in 0.0.0.0:30 0.0.0.0:31 0.0.0.0:32 0.0.0.0:33 0.0.0.0:34 127.0.0.1:35; do
			systemd-run --quiet --unit web${at#*:} python3 -c "import http.server, socketserver
socketserver.TCPServer.allow_reuse_address = True
socketserver.TCPServer(('${at%:*}', ${at#*:}), http.server.SimpleHTTPRequestHandler).serve_forever()"
		done
		ufw deny from 192.168.77.1 port 30 && ufw allow 30/tcp
		ufw allow from 192.168.77.1 to any port 31 proto tcp
		ufw allow from 192.168.77.222 to any port 32 proto tcp
		ufw limit 33/tcp
		nft add table ip led
		nft 'add chain ip led in { type nat hook prerouting priority -100; }'
		nft add rule ip led in tcp dport 36 redirect to :30
		nft add rule ip led in tcp dport 37 redirect to :34
		for i in $(seq 100); do [ "$(ss -Hltn | grep -cE ':3[0-5] ')" != 6 ] || break; sleep 0.1; done`)

	must(t, auditOn(t, h, "--only", "firewall/sender-port"), "firewall/sender-port", "ineffective", "port 30 stays open", "192.168.77.1")

	out, code := h.Try(onHost, "exposure", "--output", "json")
	if code != 0 {
		t.Fatalf("exit code %d: %.2000s", code, out)
	}
	var e audit.Exposure
	if err := json.Unmarshal([]byte(out[strings.Index(out, "{"):]), &e); err != nil {
		t.Fatal(err)
	}
	want := map[int]string{22: "yes", 30: "yes", 31: "some", 32: "some", 33: "limited", 34: "no", 35: "no", 36: "yes", 37: "no"}
	seen := map[int]bool{}
	for _, p := range e.Ports {
		if p.Proto != "tcp" {
			continue
		}
		seen[p.Port] = true
		if w, ok := want[p.Port]; ok && w != p.Network.Reached {
			t.Errorf("port %d: %s, want %s (%s)", p.Port, p.Network.Reached, w, p.Network.Rule)
		}
		// The lab's own address is the one that a rule names for port 31.
		reached := p.Network.Reached == "yes" || p.Network.Reached == "limited" || strings.Contains(fmt.Sprint(p.Network.From), "192.168.77.1]")
		c, err := h.DialWithin(700*time.Millisecond, "tcp", fmt.Sprintf("%s:%d", h.Addr(), p.Port))
		if err == nil {
			_ = c.Close()
		}
		if reached != (err == nil) {
			t.Errorf("port %d (%s): said to be reached: %v (%s); a connection from another node: %v", p.Port, p.Process, reached, p.Network.Rule, err)
		}
	}
	for port := range want {
		if !seen[port] {
			t.Errorf("port %d is not listed", port)
		}
	}
	if text := h.Run(onHost, "exposure"); !strings.Contains(text, "Reached from your network, and from anywhere if a router forwards it") ||
		!strings.Contains(text, "36/tcp") || !strings.Contains(text, "On this host only") {
		t.Errorf("the table:\n%s", text)
	}

	// Repaired, the guide's own rule too: it names the port of this host, and that address does not reach it any more.
	h.Sh(`ufw delete deny from 192.168.77.1 port 30; ufw delete deny from 192.168.2.1 port 30; ufw insert 1 deny from 192.168.77.1 to any port 30 proto tcp`)
	must(t, auditOn(t, h, "--only", "firewall/sender-port"), "firewall/sender-port", "pass")
	if c, err := h.DialWithin(700*time.Millisecond, "tcp", h.Addr()+":30"); err == nil {
		_ = c.Close()
		t.Error("the repaired rule shuts nobody out")
	}
}

// TestExposureFrom has the nodes of a cluster connect to each other, and holds what comes of it to the rules.
func TestExposureFrom(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "leader", "worker1", "worker2")
	w := c.hosts["worker1"]
	w.Sh(`for at in 0.0.0.0:7001 0.0.0.0:7002 0.0.0.0:7003 127.0.0.1:7004; do
			systemd-run --quiet --unit web${at#*:} systemd-socket-activate --accept -l $at /bin/cat
		done
		nft add table inet own
		nft 'add chain inet own in { type filter hook input priority 0; }'
		nft add rule inet own in tcp dport 7001 drop
		nft add rule inet own in tcp dport 7002 ip saddr ` + c.hosts["leader"].Addr() + ` reject with tcp reset
		for i in $(seq 100); do [ "$(ss -Hltn | grep -cE ':700[1-4] ')" != 4 ] || break; sleep 0.1; done`)
	c.hosts["worker2"].Sh(`nft add table inet own; nft 'add chain inet own out { type filter hook output priority 0; }'; nft add rule inet own out tcp dport 7003 reject`)

	out, code := c.run("exposure", "worker1", "--from", "all", "--output", "json")
	var e audit.Exposure
	if at := strings.Index(out, "{"); code != 0 || at < 0 || json.Unmarshal([]byte(out[at:]), &e) != nil {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	want := map[int]string{
		22:   "leader open |worker2 open ",
		7001: "leader shut |worker2 shut ",
		7002: "leader shut the host's rules let strangers in: one about this node, or something in between, does not|worker2 open ",
		7003: "leader open |worker2 shut the host's rules let strangers in: one about this node, or something in between, does not",
		7004: "leader shut |worker2 shut ",
	}
	for _, p := range e.Ports {
		var got []string
		for _, try := range p.Tried {
			got = append(got, try.From+" "+try.Result+" "+try.Against)
		}
		if text := strings.Join(got, "|"); p.Proto == "tcp" && want[p.Port] != "" && text != want[p.Port] {
			t.Errorf("port %d: %q, want %q (rules: %+v)", p.Port, text, want[p.Port], p.Network)
		}
		delete(want, p.Port)
	}
	if len(want) > 0 {
		t.Errorf("not listed: %v", want)
	}
	if text, _ := c.run("exposure", "all", "--from", "leader"); !strings.Contains(text, "tried from leader: open") || !strings.Contains(text, "tried from leader: shut (no answer)") {
		t.Errorf("the table:\n%s", text)
	}
}
