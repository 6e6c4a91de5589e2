package cli_test

import (
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"picket/lab"
)

var doneAs = regexp.MustCompile(`done and kept as (\d{8}-\d{6}(?:-\d+)?)`)

// applied has Picket change a host over SSH, and answers the change's name and what was said.
func applied(t *testing.T, h *lab.Host, args ...string) (id, out string) {
	t.Helper()
	out, code := verb(t, h, append([]string{"apply", "TARGET", "--profile", "strict", "--accept-risk", "lose-ssh,lose-network", "--yes"}, args...)...)
	m := doneAs.FindStringSubmatch(out)
	if code != 0 || m == nil {
		t.Fatalf("exit code %d\n%s\n%s", code, out, h.Sh("cat /var/lib/picket/tx/*/journal || true"))
	}
	return m[1], out
}

// takenBack has it go back again.
func takenBack(t *testing.T, h *lab.Host, id string) {
	t.Helper()
	if out, code := verb(t, h, "rollback", id, "TARGET"); code != 0 || !strings.Contains(out, "was taken back") {
		t.Errorf("rollback: exit code %d\n%s", code, out)
	}
}

// opens says at which ports of the host another one gets a connection.
func opens(h *lab.Host, ports ...int) (open []int) {
	for _, p := range ports {
		c, err := h.DialWithin(700*time.Millisecond, "tcp", net.JoinHostPort(h.Addr(), fmt.Sprint(p)))
		if err == nil {
			_ = c.Close()
			open = append(open, p)
		}
	}
	return open
}

// rules are those of the kernel, without what it counts.
func rules(h *lab.Host) string { return h.Sh("nft -s list ruleset") }

// TestApplyFirewall has a leader get rules of its own: what it serves stays reachable, what comes later is not, SSH is
// limited, a reboot brings them again, and the way back leaves none of it.
func TestApplyFirewall(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Pioreactor)
	lived(h)
	// Somebody else's rules, which are for packets that go out.
	h.Sh(`nft add table ip theirs; nft 'add chain ip theirs out { type filter hook output priority 0; }'; nft add rule ip theirs out tcp dport 25 drop`)
	before, was := rules(h), whole(h)
	serve := func(port int) {
		h.Sh(fmt.Sprintf(`systemd-run --quiet --unit late%[1]d python3 -m http.server %[1]d; for i in $(seq 100); do ! ss -Hltn sport = :%[1]d | grep -q . || break; sleep 0.1; done`, port))
	}
	plan, _ := h.Try(onHost, "plan", "--profile", "strict", "--only", "firewall")
	for _, want := range []string{"tcp dport 1883 accept", "SSH at port 22 stays open", "1883/tcp mosquitto", "policy.ports"} {
		if !strings.Contains(strings.Join(strings.Fields(plan), " "), want) {
			t.Errorf("the plan does not tell %q:\n%s", want, plan)
		}
	}
	id, _ := applied(t, h, "--only", "firewall")
	r := auditOn(t, h, "--only", "firewall")
	for _, c := range []string{"default-deny", "ssh-rate-limit", "loopback", "persist", "one-manager", "ssh-allowed"} {
		must(t, r, "firewall/"+c, "pass")
	}
	must(t, r, "firewall/default-deny-ipv6", "pass|not-applicable")
	serve(8081)
	looks := func(when string) {
		t.Helper()
		if got := fmt.Sprint(opens(h, 22, 80, 1883, 9001, 8081)); got != "[22 80 1883 9001]" {
			t.Errorf("%s another host reaches the ports %s", when, got)
		}
		if out, code := h.Try("python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8081/', timeout=2)"); code != 0 {
			t.Errorf("%s the host does not reach itself: %s", when, out)
		}
		if out, code := h.Try("sh", "-c", "ping -c 1 -W 2 192.168.77.1 && chronyc -n waitsync 1 0 0 1 || true"); code != 0 {
			t.Errorf("%s the host does not reach others: %s", when, out)
		}
	}
	looks("at once")
	if got := rules(h); !strings.Contains(got, "table ip theirs") {
		t.Errorf("somebody else's rules are gone:\n%s", got)
	}
	if out, _ := h.Try("systemd-analyze", "verify", "/etc/systemd/system/picket-firewall.service"); strings.Contains(out, "picket-firewall") {
		t.Errorf("systemd-analyze verify: %s", out)
	}
	_, again := verb(t, h, "apply", "TARGET", "--profile", "strict", "--only", "firewall", "--accept-risk", "lose-ssh,lose-network", "--yes")
	if again != 0 || h.Sh("ls /var/lib/picket/tx | grep -vc lock") != "1\n" {
		t.Error("a second time there is something to do")
	}
	// Whoever opens connections to sshd as fast as they can is held up, and one that is open stays.
	refused := 0
	for range 40 {
		if c, err := h.DialWithin(100*time.Millisecond, "tcp", net.JoinHostPort(h.Addr(), "22")); err != nil {
			refused++
		} else {
			_ = c.Close()
		}
	}
	if refused < 10 || refused > 30 {
		t.Errorf("%d of 40 connections at once were refused, want about 25", refused)
	}
	await(t, "after a moment it is let in again", func() bool { return len(opens(h, 22)) == 1 })

	h.Reboot()
	must(t, auditOn(t, h, "--only", "firewall"), "firewall/default-deny", "pass")
	serve(8081)
	await(t, "its neighbours know its new card", func() bool { return len(opens(h, 22)) == 1 })
	looks("after a reboot")
	// Switched off, they are loaded again as they stand there: somebody has changed them.
	const changed = "# ours, of the third floor\n"
	h.Sh("printf '" + changed[:len(changed)-1] + "\n' >>/etc/picket/firewall.nft; systemctl disable --now picket-firewall")
	must(t, auditOn(t, h, "--only", "firewall"), "firewall/default-deny", "fail")
	if plan, _ := h.Try(onHost, "plan", "--profile", "strict", "--only", "firewall/default-deny"); !strings.Contains(plan, "8081/tcp python3") || !strings.Contains(plan, "left to you") {
		t.Errorf("what is reached now would be shut, and the plan says:\n%s", plan)
	}
	h.Sh("systemctl stop late8081")
	second, _ := applied(t, h, "--only", "firewall")
	must(t, auditOn(t, h, "--only", "firewall"), "firewall/default-deny", "pass")
	if got := h.Read("/etc/picket/firewall.nft"); !strings.HasSuffix(got, changed) {
		t.Errorf("what somebody wrote is gone:\n%s", got)
	}
	time.Sleep(20 * time.Second) // the limit counts ours as well
	takenBack(t, h, second)
	must(t, auditOn(t, h, "--only", "firewall"), "firewall/default-deny", "fail")
	h.Sh("sed -i '$d' /etc/picket/firewall.nft; systemctl enable --now picket-firewall")

	h.Sh(`nft add table ip theirs; nft 'add chain ip theirs out { type filter hook output priority 0; }'; nft add rule ip theirs out tcp dport 25 drop`)
	time.Sleep(20 * time.Second) // the limit counts ours as well
	takenBack(t, h, id)
	if got := rules(h); got != before {
		t.Errorf("the rules were\n%s\nand are\n%s", before, got)
	}
	unchanged(t, was, whole(h))
	if got := h.Sh("systemctl is-active picket-firewall || true; systemctl list-units --all --no-legend 'picket-*'"); got != "inactive\n" {
		t.Errorf("left: %s", got)
	}
}

// whole is what must be as before once a change was taken back.
func whole(h *lab.Host) string {
	return h.Sh(`{ find /etc -printf '%p %y %m %U %G %l\n'; find /etc -type f -exec sha256sum {} +; systemctl list-unit-files --no-legend --no-pager | grep -v transient; } | sort`)
}

// unchanged tells which lines of whole are other ones.
func unchanged(t *testing.T, before, after string) {
	t.Helper()
	have := map[string]int{}
	for l := range strings.Lines(before) {
		have[l]--
	}
	for l := range strings.Lines(after) {
		have[l]++
	}
	for l, n := range have {
		switch {
		case n < 0:
			t.Errorf("lost: %s", l)
		case n > 0:
			t.Errorf("there is: %s", l)
		}
	}
}

// TestApplyFirewallBesideDocker has the published ports of containers as they were, and containers reach the host.
func TestApplyFirewallBesideDocker(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Containers)
	lived(h)
	// Where ufw is in charge, nothing is laid over it.
	h.Sh("ufw default allow incoming")
	if out, code := h.Try(onHost, "plan", "--profile", "strict", "--only", "firewall/default-deny"); !strings.Contains(out, "ufw is in charge") || strings.Contains(out, "firewall.nft") {
		t.Errorf("beside ufw: exit code %d\n%s", code, out)
	}
	h.Sh(`ufw --force disable; mkdir -p /root/i/bin /root/i/www; cp /bin/busybox /root/i/bin; echo hello >/root/i/www/index.html
		tar -C /root/i -c . | docker import --change 'CMD ["/bin/busybox","httpd","-f","-p","3000","-h","/www"]' - web:1
		docker network create own; docker run -d --name web -p 8080:3000 web:1; docker run -d --name web2 --network own -p 8082:3000 web:1`)
	await(t, "the containers answer", func() bool { return len(opens(h, 8080, 8082)) == 2 })
	reach := func() string {
		out := fmt.Sprint(opens(h, 22, 8080, 8082, 9100))
		for _, from := range []string{"bridge", "own"} {
			for _, port := range []string{"8080", "8082", "9100"} {
				said, code := h.Try("docker", "run", "--rm", "--network", from, "web:1", "/bin/busybox", "nc", "-w", "2", h.Addr(), port)
				out += fmt.Sprint(" ", from, "→", port, " ", code == 0)
				if code != 0 {
					out += fmt.Sprint(" (", code, " ", strings.TrimSpace(said), ")")
				}
			}
		}
		return out
	}
	is, before := reach(), rules(h)
	if !strings.HasPrefix(is, "[22 8080 8082 9100]") || !strings.Contains(is, "bridge→9100 true") || !strings.Contains(is, "own→9100 true") {
		t.Fatalf("before: %s", is)
	}
	id, _ := applied(t, h, "--only", "firewall")
	must(t, auditOn(t, h, "--only", "firewall"), "firewall/default-deny", "pass")
	if got := reach(); got != is {
		t.Errorf("reached before: %s\nand after: %s", is, got)
	}
	h.Sh("docker restart web web2; docker run -d --name web3 -p 8083:3000 web:1")
	if got := reach(); got != is {
		t.Errorf("reached before: %s\nand after they were started anew: %s", is, got)
	}
	h.Sh("docker rm -f web3; docker restart web web2")
	takenBack(t, h, id)
	if got := rules(h); strings.Contains(got, "picket") || len(strings.Split(got, "\n")) != len(strings.Split(before, "\n")) {
		t.Errorf("the rules were\n%s\nand are\n%s", before, got)
	}
}
