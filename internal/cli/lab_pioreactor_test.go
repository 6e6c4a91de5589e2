package cli_test

import (
	"context"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"picket/lab"
	"picket/lab/planted"
)

// asUnit makes a host of the role a unit of the cluster whose leader is "leader". Its web server is the real lighttpd
// and its login the one that Pioreactor's plugin sets; /unit_api is a stand-in for Pioreactor's own program, which
// merges the two settings files and gives them to whoever asks.
const asUnit = `cat >/usr/local/bin/merged <<'PY'
#!/usr/bin/python3
import configparser, json
c = configparser.ConfigParser(strict=False, allow_no_value=True, interpolation=None)
c.optionxform = str
c.read(["/home/pioreactor/.pioreactor/config.ini", "/home/pioreactor/.pioreactor/unit_config.ini"])
print("Content-Type: application/json\n")
print(json.dumps({s: dict(c[s]) for s in c.sections()}))
PY
chmod 755 /usr/local/bin/merged
printf 'server.modules += ( "mod_alias", "mod_cgi" )\nalias.url += ( "/unit_api/config/merged" => "/usr/local/bin/merged" )\n$HTTP["url"] == "/unit_api/config/merged" { cgi.assign = ( "" => "" ) }\n' >/etc/lighttpd/conf-available/51-units.conf
lighty-enable-mod units >/dev/null
printf '\n[ui_basic_auth]\napi_key=%s\n' KEY >>/home/pioreactor/.pioreactor/config.ini`

const withLogin = `printf 'ann:%s\n' "$(openssl passwd -6 PASSWORD)" >/etc/lighttpd.user.htpasswd
chown root:www-data /etc/lighttpd.user.htpasswd; chmod 640 /etc/lighttpd.user.htpasswd
cat >/etc/lighttpd/conf-available/98-basic-auth.conf <<'CONF'
server.modules += ( "mod_auth", "mod_authn_file" )
auth.backend = "htpasswd"
auth.backend.htpasswd.userfile = "/etc/lighttpd.user.htpasswd"
auth.require = ( "" => ( "method" => "basic", "realm" => "example", "require" => "valid-user" ) )
CONF
lighty-enable-mod basic-auth >/dev/null`

// TestPioreactorCluster is a leader with a password and a worker that gives it away, T8; then what no flag file of its
// three guards, T7; then a policy for SSH that cuts the two in two, T19. Each is repaired.
func TestPioreactorCluster(t *testing.T) {
	t.Parallel()
	leader, worker := start(t, lab.Pioreactor), start(t, lab.Pioreactor)
	const password = "quince-ladder-8114"
	key := base64.StdEncoding.EncodeToString([]byte("ann:" + password))
	fill := strings.NewReplacer("KEY", key, "PASSWORD", password)
	leader.Sh(fill.Replace(asUnit + "\n" + withLogin + "\nsystemctl restart lighttpd"))
	worker.Sh(fill.Replace(asUnit + "\nhostname worker1; echo worker1 >/etc/hostname; systemctl restart lighttpd"))
	get := func(h *lab.Host, path, user, password string) (int, string) {
		t.Helper()
		dial := func(_ context.Context, network, addr string) (net.Conn, error) {
			return h.DialWithin(time.Second, network, addr)
		}
		client := &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+h.Addr()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if user != "" {
			req.SetBasicAuth(user, password)
		}
		resp, err := client.Do(req)
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}

	t.Run("T8", func(t *testing.T) {
		await(t, "the leader wants a password", func() bool {
			code, _ := get(leader, "/", "", "")
			return code == http.StatusUnauthorized
		})
		merged := ""
		await(t, "the worker answers without one", func() bool {
			code := 0
			code, merged = get(worker, "/unit_api/config/merged", "", "")
			return code == http.StatusOK
		})
		m := regexp.MustCompile(`"api_key": "([^"]+)"`).FindStringSubmatch(merged)
		if m == nil {
			t.Fatalf("the worker does not give its settings away: %.500s", merged)
		}
		stolen, _ := base64.StdEncoding.DecodeString(m[1])
		user, pass, _ := strings.Cut(string(stolen), ":")
		if code, _ := get(leader, "/", user, pass); code != http.StatusOK {
			t.Errorf("with what the worker gave away the leader answers %d", code)
		}

		of := auditOn(t, leader)
		must(t, of, "app/pioreactor-login", "pass", "auth.require")
		must(t, of, "app/pioreactor-shared-password", "ineffective", "/home/pioreactor/.pioreactor/config.ini", "/unit_api/config/merged")
		of = auditOn(t, worker)
		must(t, of, "app/pioreactor-login", "not-applicable", "worker")
		must(t, of, "app/pioreactor-shared-password", "ineffective", "/home/pioreactor/.pioreactor/config.ini")
		must(t, of, "app/pioreactor-reach", "fail", "80")
		if out, _ := worker.Try(onHost, "audit", "--only", "app", "--all", "--save", "/root/saved"); strings.Contains(out, key) || strings.Contains(out, password) {
			t.Errorf("the report holds the password:\n%s", out)
		}
		if saved := worker.Sh("zcat /root/saved"); strings.Contains(saved, key) || strings.Contains(saved, password) || !strings.Contains(saved, "api_key") {
			t.Error("what was saved holds the password, or no settings")
		}

		for _, h := range []*lab.Host{leader, worker} {
			h.Sh(`sed -i '/^\[ui_basic_auth\]/,$d' /home/pioreactor/.pioreactor/config.ini`)
		}
		leader.Sh(`printf '[ui_basic_auth]\napi_key=` + key + `\n' >>/home/pioreactor/.pioreactor/unit_config.ini; chmod 660 /home/pioreactor/.pioreactor/unit_config.ini`)
		worker.Sh(`ufw default deny incoming; ufw allow 22/tcp; ufw allow from ` + leader.Addr() + ` to any port 80 proto tcp; ufw --force enable`)
		if code, body := get(worker, "/unit_api/config/merged", "", ""); code != 0 {
			t.Errorf("a stranger reaches the worker: %d %.200s", code, body)
		}
		if out := leader.Run("python3", "-c", `import urllib.request; print(urllib.request.urlopen("http://`+worker.Addr()+`/unit_api/config/merged", timeout=10).read().decode())`); !strings.Contains(out, "mqtt") || strings.Contains(out, key) {
			t.Errorf("the leader is told by the worker: %.500s", out)
		}
		must(t, auditOn(t, leader), "app/pioreactor-shared-password", "pass")
		of = auditOn(t, worker)
		must(t, of, "app/pioreactor-shared-password", "pass")
		must(t, of, "app/pioreactor-reach", "pass")
	})

	t.Run("T7", func(t *testing.T) {
		const id, dot = "app/pioreactor-flags", "/home/pioreactor/.pioreactor/"
		worker.Sh("touch " + dot + "DISALLOW_UI_INSTALLS")
		must(t, auditOn(t, worker, "--only", id), id, "ineffective", "remove_file", "DISALLOW_UI_FILE_SYSTEM", "DISALLOW_UI_UPLOADS")
		worker.Sh("touch " + dot + "DISALLOW_UI_UPLOADS; mkdir " + dot + "DISALLOW_UI_FILE_SYSTEM")
		must(t, auditOn(t, worker, "--only", id), id, "ineffective", "DISALLOW_UI_FILE_SYSTEM is a dir")
		worker.Sh("rmdir " + dot + "DISALLOW_UI_FILE_SYSTEM; touch " + dot + "DISALLOW_UI_FILE_SYSTEM")
		must(t, auditOn(t, worker, "--only", id), id, "pass")
	})

	t.Run("T19", func(t *testing.T) {
		const id = "ssh/client-fits-server"
		worker.Write("/home/pioreactor/.ssh/authorized_keys", 0o600, leader.Read("/home/pioreactor/.ssh/id_rsa.pub"))
		login := func() (string, int) {
			return leader.Try("runuser", "-u", "pioreactor", "--", "ssh", "-o", "BatchMode=yes", "-o", "ControlMaster=no", "-o", "ControlPath=none", worker.Addr(), "hostname")
		}
		if out, code := login(); code != 0 || !strings.Contains(out, "worker1") {
			t.Fatalf("before anything is changed: %d %s", code, out)
		}
		must(t, auditOn(t, leader, "--only", id), id, "pass")
		for _, h := range []*lab.Host{leader, worker} { // the same policy on both
			h.Sh(`printf 'KexAlgorithms curve25519-sha256,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512\n' >/etc/ssh/sshd_config.d/50-kex.conf; ` + planted.SSHAnew)
		}
		if out, code := login(); code != 255 || !strings.Contains(out, "no matching key exchange method") {
			t.Errorf("the leader's client still gets in: %d %s", code, out)
		}
		must(t, auditOn(t, leader, "--only", id), id, "fail", "/home/pioreactor/.ssh/config:", "ecdh-sha2-nistp256")
		leader.Sh(`sed -i '/KexAlgorithms/d' /home/pioreactor/.ssh/config`)
		if out, code := login(); code != 0 || !strings.Contains(out, "worker1") {
			t.Errorf("repaired: %d %s", code, out)
		}
		must(t, auditOn(t, leader, "--only", id), id, "pass")
	})
}
