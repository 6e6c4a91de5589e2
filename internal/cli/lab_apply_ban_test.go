package cli_test

import (
	"strings"
	"testing"
	"time"

	"picket/lab"
)

// TestApplyBan mends a fail2ban that does not start, closes a port where sshd is not, and bans with a program that is not
// there. Afterwards whoever guesses is shut out, and the way back leaves it as broken as it was.
func TestApplyBan(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Good)
	lived(h)
	h.Sh(`printf 'Port 22\nPort 2222\n' >/etc/ssh/sshd_config.d/90-ports.conf; systemctl restart ssh
		printf '[DEFAULT]\nbantime = 10m\n\n[sshd]\nenabled = true\nbanaction = iptables-multiport\nport = 22\n' >/etc/fail2ban/jail.d/sshd.local
		sed -i 's/tcp dport 22 accept/tcp dport { 22, 2222 } accept/' /etc/nftables.conf; systemctl reload nftables
		systemctl stop fail2ban; systemctl start fail2ban || true`)
	await(t, "fail2ban has given up", func() bool { _, code := h.Try("systemctl", "is-failed", "-q", "fail2ban"); return code == 0 })
	before, was := rules(h), whole(h)
	first := auditOn(t, h, "--only", "ban")
	must(t, first, "ban/ssh", "ineffective", "/var/log/auth.log")
	must(t, first, "ban/action", "ineffective", "iptables")
	must(t, first, "ban/ssh-port", "ineffective", "2222")
	id, _ := applied(t, h, "--only", "ban")
	r := auditOn(t, h, "--only", "ban")
	for _, c := range []string{"ban/ssh", "ban/action", "ban/ssh-port", "ban/ignore-own"} {
		must(t, r, c, "pass")
	}
	shut := func() bool { return len(opens(h, 22))+len(opens(h, 2222)) == 0 }
	for range 6 {
		_ = h.Command("timeout", append(append([]string{"3", "ssh"}, h.SSHOptions()...), "-l", "nobodyofthatname", h.Addr(), "true")...).Run()
	}
	await(t, "whoever guesses is shut out", shut)
	if out := h.Run("fail2ban-client", "status", "sshd"); !strings.Contains(out, "192.168.77.1") {
		t.Errorf("fail2ban says:\n%s", out)
	}
	h.Reboot()
	await(t, "it runs after a reboot", func() bool { _, code := h.Try("fail2ban-client", "ping"); return code == 0 })
	h.Sh("fail2ban-client unban --all")
	await(t, "whoever is pardoned comes in", func() bool { return len(opens(h, 22, 2222)) == 2 })
	takenBack(t, h, id)
	for begun := time.Now(); rules(h) != before && time.Since(begun) < 5*time.Second; time.Sleep(200 * time.Millisecond) {
	}
	if got := rules(h); got != before {
		t.Errorf("the rules were\n%s\nand are\n%s", before, got)
	}
	unchanged(t, was, whole(h))
	must(t, auditOn(t, h, "--only", "ban"), "ban/ssh", "ineffective")
}

// TestApplyDocker changes the engine's settings: what it takes up while it runs is in force, no container ends, and what
// waits for its next start is in force then.
func TestApplyDocker(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Containers)
	lived(h)
	h.Sh(`mkdir -p /root/i/bin; cp /bin/busybox /root/i/bin/; tar -C /root/i -c . | docker import --change 'CMD ["/bin/busybox","sleep","1000"]' - tool:1
		docker run -d --name one tool:1 
		printf '{\n  "debug": false\n}\n' >/etc/docker/daemon.json; systemctl reload docker`)
	pid, was := h.Sh("docker inspect -f '{{.State.Pid}}' one"), whole(h)
	const only = "docker/icc,docker/live-restore,docker/log-limit,docker/userland-proxy,docker/user-namespaces"
	id, out := applied(t, h, "--only", only)
	if !strings.Contains(out, "belong to other users") {
		t.Errorf("what is left to a person is not told:\n%s", out)
	}
	r := auditOn(t, h, "--only", only)
	for _, c := range []string{"docker/icc", "docker/live-restore", "docker/log-limit", "docker/userland-proxy"} {
		must(t, r, c, "pass")
	}
	if got := h.Sh("docker info -f '{{.LiveRestoreEnabled}}'; docker inspect -f '{{.State.Pid}}' one"); got != "true\n"+pid {
		t.Errorf("live-restore and the container: %s", got)
	}
	const anew = "systemctl restart docker; for i in $(seq 100); do docker info >/dev/null 2>&1 && break; sleep 0.1; done; "
	h.Sh(anew)
	if got := h.Sh("docker inspect -f '{{.State.Pid}}' one"); got != pid {
		t.Errorf("the engine's next start has ended the container %s: %s", pid, got)
	}
	h.Sh("docker rm -f one; " + anew + "docker run -d --name two -p 8088:80 tool:1")
	if got := h.Sh("docker inspect -f '{{.HostConfig.LogConfig}}' two; docker network inspect -f '{{index .Options \"com.docker.network.bridge.enable_icc\"}}' bridge; pgrep -c docker-proxy || true"); got != "{json-file map[max-file:3 max-size:10m]}\nfalse\n0\n" {
		t.Errorf("after the engine's next start: %q", got)
	}
	takenBack(t, h, id)
	unchanged(t, was, whole(h))
	// What a file does not say any more the engine keeps until its next start.
	h.Sh(anew + "docker rm -f two; " + anew)
	if got := h.Sh("docker info -f '{{.LiveRestoreEnabled}}'; docker network inspect -f '{{index .Options \"com.docker.network.bridge.enable_icc\"}}' bridge"); got != "false\ntrue\n" {
		t.Errorf("taken back: %q", got)
	}
}
