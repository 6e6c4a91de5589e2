package cli_test

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"picket/internal/core/audit"
	"picket/lab"
)

// standInForPioreactor answers as Pioreactor's web application does without its
// three flag files, behind the real lighttpd. That itself cannot run here.
const standInForPioreactor = `
import http.server, os
dot = "/home/pioreactor/.pioreactor/"
class App(http.server.BaseHTTPRequestHandler):
    def say(self, status, text):
        self.send_response(status); self.end_headers(); self.wfile.write(text.encode())
    def do_GET(self):
        if self.path.startswith("/unit_api/system/path/"):
            return self.say(403 if os.path.isfile(dot + "DISALLOW_UI_FILE_SYSTEM") else 200, "files")
        if self.path == "/unit_api/config/merged":
            return self.say(200, '{"ui_basic_auth": {"api_key": "YWRtaW46aHVudGVyMg=="}}')
        self.say(200 if self.path == "/" else 404, "the interface")
    def do_POST(self):
        if os.path.isfile(dot + "DISALLOW_UI_INSTALLS"):
            return self.say(403, "DISALLOW_UI_INSTALLS is present")
        self.say(400, "no plugin")
http.server.HTTPServer(("127.0.0.1", 4999), App).serve_forever()
`

// TestProbe tries, from another node and from the host itself, what should not
// be possible: real logins to the real sshd, lighttpd and mosquitto. Then the
// host is repaired, and the same attempts are refused.
func TestProbe(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Pioreactor)
	h.Write("/root/app.py", 0o644, standInForPioreactor)
	h.Write("/etc/lighttpd/conf-enabled/90-pioreactor.conf", 0o644, `server.modules += ("mod_proxy")
proxy.server = ("" => (("host" => "127.0.0.1", "port" => 4999)))
`)
	h.Sh("systemd-run --quiet --unit pioreactor-stand-in python3 /root/app.py; systemctl restart lighttpd")
	h.Sh("for i in $(seq 100); do ss -Hltn | grep -q :4999 && ss -Hltn | grep -q :80 && break; sleep 0.1; done")

	quiet, _, _ := over(t, h, sudoPassword(t))
	if quiet.Tried != 0 {
		t.Errorf("without --probe, %d attempts", quiet.Tried)
	}
	_, list, _ := over(t, h, "--probe=list", sudoPassword(t))
	for _, want := range []string{
		"log in by SSH at " + h.Addr() + ":22 as pioreactor with the factory password", "GET / at " + h.Addr() + ":80 without a password",
		"POST /unit_api/plugins/install", "log in to the MQTT broker at " + h.Addr() + ":1883 as pioreactor", "They change nothing there",
	} {
		if !strings.Contains(list, want) {
			t.Errorf("the list of attempts lacks %q:\n%s", want, list)
		}
	}
	if log := h.Run("journalctl", "--no-pager", "--quiet", "-u", "ssh"); strings.Contains(log, "Accepted password") {
		t.Error("--probe=list has logged in")
	}

	saved := filepath.Join(t.TempDir(), "probed.snapshot")
	r, _, _ := over(t, h, "--probe", "--save", saved, sudoPassword(t))
	from := ", from 192.168.77.1"
	for id, evidence := range map[string]string{
		"accounts/factory-password":      h.Addr() + ":22" + from + ": tried: a login by SSH with the factory password, as pioreactor: accepted",
		"ssh/password-login":             ":22" + from + ": tried: which ways to log in sshd offers, as operator: password",
		"app/pioreactor-login":           ":80" + from + ": tried: the web interface without a password: 200 without TLS",
		"app/pioreactor-tls":             ":80" + from + ": tried: the web interface without TLS: 200 without TLS",
		"app/pioreactor-flags":           ":80" + from + ": tried: an order to install nothing: 400 without TLS",
		"app/pioreactor-mqtt-account":    ":1883" + from + ": tried: the broker with the factory password, as pioreactor: accepted",
		"app/pioreactor-shared-password": ":80" + from + ": tried: the unit's settings without a password: 200 without TLS with ui_basic_auth",
	} {
		must(t, r, id, "fail|ineffective", evidence)
	}
	must(t, r, "app/mosquitto-anonymous", "pass", ":1883"+from+": tried: the broker without a name: refused")
	if log := h.Run("journalctl", "--no-pager", "--quiet", "-u", "ssh"); !strings.Contains(log, "Accepted password for pioreactor from 192.168.77.1") {
		t.Errorf("no real login by SSH in the host's log:\n%s", log)
	}
	again := here(t, saved)
	for _, id := range []string{"accounts/factory-password", "app/pioreactor-shared-password"} {
		if got, want := result(t, again, id), result(t, r, id); got.Verdict != want.Verdict || got.Reason != want.Reason || again.Tried != r.Tried {
			t.Errorf("%s from what was saved: %s (%s), want %s (%s)", id, got.Verdict, got.Reason, want.Verdict, want.Reason)
		}
	}
	if strings.Contains(unpacked(t, saved), "YWRtaW46aHVudGVyMg") {
		t.Error("what the interface answered was kept")
	}

	here := auditOn(t, h, "--probe")
	must(t, here, "accounts/factory-password", "fail", "tried: a login by SSH with the factory password, as pioreactor: accepted")
	must(t, here, "app/pioreactor-mqtt-account", "fail", "as pioreactor: accepted")

	h.Sh(`echo 'pioreactor:one of its own 7421' | chpasswd
		printf 'PasswordAuthentication no\nKbdInteractiveAuthentication no\n' >/etc/ssh/sshd_config.d/00-own.conf; systemctl restart ssh
		mosquitto_passwd -b /etc/mosquitto/pw.txt pioreactor 'another 9932'; systemctl restart mosquitto
		dot=/home/pioreactor/.pioreactor; sed -i 's/^password=raspberry/password=another 9932/' $dot/config.ini
		for f in INSTALLS UPLOADS FILE_SYSTEM; do touch $dot/DISALLOW_UI_$f; done`)
	r, _, _ = over(t, h, "--probe", "--guess-time", "2m", sudoPassword(t))
	for id, evidence := range map[string]string{
		"ssh/password-login":          "which ways to log in sshd offers, as operator: no password",
		"app/pioreactor-flags":        "tried: the unit's files without a password: 403 without TLS",
		"app/pioreactor-mqtt-account": "as pioreactor: refused",
	} {
		must(t, r, id, "pass", evidence)
	}
	must(t, r, "accounts/factory-password", "pass") // its password is known to be another: nothing was tried
	for _, e := range result(t, r, "accounts/factory-password").Evidence {
		if strings.Contains(e.Fact, "tried") {
			t.Errorf("a login that could only fail was tried: %v", e)
		}
	}
}

// unpacked is all that a saved snapshot holds.
func unpacked(t *testing.T, file string) string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestRouter asks a real miniupnpd which ports it forwards, and takes its word
// for the host that it leads to and for no other.
func TestRouter(t *testing.T) {
	t.Parallel()
	const id = "network/router-forwardings"
	router, h := start(t, lab.Router), start(t, lab.Good)
	h.Sh("ip route replace default via " + router.Addr())
	forward := func(to string, port, outside string) {
		router.Sh("upnpc -u http://" + router.Addr() + ":5000/rootDesc.xml -a " + to + " " + port + " " + outside + " tcp >/dev/null")
	}
	ask := func() audit.Report {
		r, messages, _ := over(t, h, "--only", id, "--ask-router", sudoPassword(t))
		if want := "ask the router at " + router.Addr() + ":1900, by UPnP, which ports it forwards"; !strings.Contains(messages, want) {
			t.Errorf("not told before: %q", messages)
		}
		return r
	}
	unasked, _, _ := over(t, h, "--only", id, sudoPassword(t))
	must(t, unasked, id, "not-applicable", "--ask-router")
	must(t, ask(), id, "pass")
	forward("192.168.77.250", "80", "8081")
	must(t, ask(), id, "pass", "1 ports are forwarded to them")
	forward(h.Addr(), "22", "2222")
	must(t, ask(), id, "pass", "port 2222/tcp of the router: leads to port 22 of this host: SSH")
	forward(h.Addr(), "9090", "8080")
	must(t, ask(), id, "fail", "port 8080/tcp of the router: leads to port 9090 of this host")
	must(t, auditOn(t, h, "--only", id, "--ask-router"), id, "fail")
	router.Sh("systemctl stop miniupnpd")
	must(t, ask(), id, "unknown", "does not say by UPnP")
}
