package cli_test

import (
	"strings"
	"testing"

	"picket/lab"
)

// TestApplyApps mends a leader's broker, web server, flag files and modes. Who read a file as its service still does, who
// has a password comes in, and the way back makes it as open as it was.
func TestApplyApps(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Pioreactor)
	lived(h)
	h.Sh(`sed -i 's/^allow_anonymous false/allow_anonymous true/' /etc/mosquitto/mosquitto.conf
		install -d -m 755 /etc/mosquitto/certs; openssl genpkey -algorithm ed25519 -out /etc/mosquitto/certs/broker.key 2>/dev/null || printf -- '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIOuZ0xyXzUL7SJrZNK2uZ2+qGxJk2yC4Xxk7b3Rz5u0F\n-----END PRIVATE KEY-----\n' >/etc/mosquitto/certs/broker.key
		chmod 644 /etc/mosquitto/certs/broker.key; chown root:root /etc/mosquitto/certs/broker.key
		printf 'server.modules += ( "mod_dirlisting" )\ndir-listing.activate = "enable"\n' >/etc/lighttpd/conf-enabled/60-list.conf
		chmod 644 /home/pioreactor/.ssh/id_rsa; chmod 777 /home/pioreactor/.pioreactor/plugins
		lighttpd -tt -f /etc/lighttpd/lighttpd.conf; systemctl restart mosquitto lighttpd; sleep 1`)
	all := func() string {
		return whole(h) + h.Sh(`{ find /home/pioreactor -printf '%p %y %m %U %G %l\n'; find /home/pioreactor -type f -exec sha256sum {} +; } | sort`)
	}
	was := all()
	ids := []string{"app/mosquitto-anonymous", "app/pioreactor-flags", "app/pioreactor-plugins", "app/lighttpd-listing", "files/secrets", "keys/private-files", "keys/tls-keys"}
	only := strings.Join(ids, ",")
	before := auditOn(t, h, "--only", only)
	for _, c := range ids {
		must(t, before, c, "fail|ineffective")
	}
	said := func(args ...string) string {
		out, _ := h.Try("timeout", append([]string{"5", "mosquitto_pub", "-h", h.Addr(), "-t", "x", "-m", "y"}, args...)...)
		return out
	}
	if out := said(); out != "" {
		t.Fatalf("planted, the broker lets nobody in: %s", out)
	}
	id, _ := applied(t, h, "--only", only)
	after := auditOn(t, h, "--only", only)
	for _, c := range ids {
		must(t, after, c, "pass")
	}
	if out := said(); !strings.Contains(out, "not authori") {
		t.Errorf("without a name: %q", out)
	}
	if out := said("-u", "pioreactor", "-P", "raspberry"); out != "" {
		t.Errorf("with a password: %q", out)
	}
	if got := h.Sh(`stat -c '%a %U:%G' /etc/mosquitto/pw.txt /etc/mosquitto/certs/broker.key /home/pioreactor/.pioreactor/DISALLOW_UI_INSTALLS
		runuser -u www-data -- head -c 9 /home/pioreactor/.pioreactor/config.ini; runuser -u mosquitto -- head -c 10 /etc/mosquitto/pw.txt; runuser -u operator -- cat /etc/mosquitto/pw.txt 2>&1 || true`); got !=
		"640 root:mosquitto\n640 root:mosquitto\n644 pioreactor:pioreactor\n[cluster.pioreactorcat: /etc/mosquitto/pw.txt: Permission denied\n" {
		t.Errorf("who reads what: %q", got)
	}
	if len(opens(h, 80, 1883, 9001)) != 3 {
		t.Error("a port of the leader is shut")
	}
	takenBack(t, h, id)
	unchanged(t, was, all())
	if out := said(); out != "" {
		t.Errorf("taken back, the broker lets nobody in: %s", out)
	}
}
