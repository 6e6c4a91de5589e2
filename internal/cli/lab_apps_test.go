package cli_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"picket/internal/core/audit"
	"picket/lab"
)

// What the guide of PiSovereign leaves on a host. Traefik, Vault, Prometheus, the engine and its log are the real
// ones; PiSovereign itself, which is not to be had, is a web server that asks nobody for a key.
const sovereignFiles = `mkdir -p /opt/pisovereign/docker/traefik /opt/pisovereign/docker/vault
cat >/opt/pisovereign/docker/traefik/traefik.yml <<YML
entryPoints:
  web: {address: ":80"}
providers:
  file: {filename: /etc/traefik/dynamic.yml}
YML
cat >/opt/pisovereign/docker/traefik/dynamic.yml <<YML
tls:
  options:
    default: {minVersion: VersionTLS13, sniStrict: true}
http:
  routers:
    app: {rule: 'PathPrefix("/")', service: app, entryPoints: [web]}
  services:
    app: {loadBalancer: {servers: [{url: "http://pisovereign:3000"}]}}
YML
cat >/opt/pisovereign/config.toml <<TOML
environment = "production"
[server]
host = "0.0.0.0"
port = 3000
[vault]
enabled = true
address = "http://vault:8200"
[api]
max_request_size_bytes = 1048576
request_timeout_secs = 30
[logging]
format = "json"
TOML
cat >/etc/prometheus/alert_rules.yml <<YML
groups:
- name: security
  rules:
  - alert: HighFailedAuthRate
    expr: http_requests_client_error_total{status="401"} > 10
  - alert: PageErrors
    expr: rate(prometheus_http_requests_total{status="404"}[5m]) > 0
YML
cat >/etc/prometheus/prometheus.yml <<YML
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [alert_rules.yml]
scrape_configs:
- job_name: prometheus
  static_configs: [{targets: ["localhost:9090"]}]
- job_name: pisovereign
  metrics_path: /metrics/prometheus
  static_configs: [{targets: ["localhost:3000"]}]
YML
systemctl reload prometheus`

// images gives the engine three images of one program each: nothing is fetched.
const images = `mkdir -p /root/i/app/bin /root/i/app/www/metrics /root/i/traefik /root/i/vault
cp /bin/busybox /root/i/app/bin/; for n in sh wget sed sleep cat; do ln -sf busybox /root/i/app/bin/$n; done
echo the-chat-of-pisovereign >/root/i/app/www/index.html
printf 'http_requests_client_error_total 42\n' >/root/i/app/www/metrics/prometheus
cp /usr/local/bin/traefik /root/i/traefik/; cp /usr/local/bin/vault /root/i/vault/
tar -C /root/i/app -c . | docker import --change 'CMD ["/bin/busybox","httpd","-f","-p","3000","-h","/www"]' - pisovereign:0.4.5
tar -C /root/i/traefik -c . | docker import --change 'CMD ["/traefik"]' - traefik:v3.0
tar -C /root/i/vault -c . | docker import --change 'CMD ["/vault","0.0.0.0:8200"]' - vault:1.14
docker network create sovereign`

// asTheGuide starts them as its compose file does.
const asTheGuide = `docker run -d --name pisovereign --network sovereign -p 127.0.0.1:3000:3000 pisovereign:0.4.5
docker run -d --name traefik --network sovereign -p 80:80 -v /opt/pisovereign/docker/traefik:/etc/traefik:ro -v /var/run/docker.sock:/var/run/docker.sock:ro traefik:v3.0
docker run -d --name vault --network sovereign -p 127.0.0.1:8200:8200 vault:1.14
docker run -d --name vault-init --network sovereign -v pisovereign_vault-init:/out pisovereign:0.4.5 /bin/sh -c '
until wget -q -O /out/vault-keys.json --post-data "{\"secret_shares\":1,\"secret_threshold\":1}" http://vault:8200/v1/sys/init; do sleep 1; done
echo "[vault-init] Root Token: $(sed "s/.*root_token\":\"\([^\"]*\).*/\1/" /out/vault-keys.json)"'
for i in $(seq 100); do ! docker logs vault-init | grep -q 'Root Token: hvs' || break; sleep 0.1; done`

// tight is what a container is started with that has no more rights than it needs.
const tight = ` --network sovereign --read-only --cap-drop ALL --security-opt no-new-privileges --user 1000:1000 --health-cmd true `

// TestSovereign follows the guide of PiSovereign to the letter and finds what of it protects nothing, each proved by
// the program itself; then the host is repaired, which is proved as well. T4, T9, T10, T11, T17 and T18.
func TestSovereign(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Containers)
	h.Install(lab.Traefik, "/usr/local/bin/traefik")
	h.Install(lab.Vault, "/usr/local/bin/vault")
	h.Sh(sovereignFiles)
	h.Sh(images)
	h.Sh(asTheGuide)
	token := strings.TrimSpace(h.Sh(`docker logs vault-init 2>&1 | sed -n 's/.*Root Token: //p'`))
	vault := func(token, method, path, body string) string {
		t.Helper()
		return h.Run("curl", "-s", "-X", method, "-H", "X-Vault-Token: "+token, "-d", body, "http://127.0.0.1:8200/v1/"+path)
	}
	h.Sh(`key=$(sed 's/.*keys_base64":\["\([^"]*\).*/\1/' /var/lib/docker/volumes/pisovereign_vault-init/_data/vault-keys.json)
		curl -sf -X POST -d "{\"key\":\"$key\"}" http://127.0.0.1:8200/v1/sys/unseal`)
	vault(token, "POST", "sys/mounts/secret", `{"type":"kv","options":{"version":"2"}}`)
	const key = "sk-quince-ladder-8114"
	await(t, "the key is in Vault", func() bool {
		vault(token, "POST", "secret/data/pisovereign/api-keys", `{"data":{"admin":"`+key+`"}}`)
		return strings.Contains(vault(token, "GET", "secret/data/pisovereign/api-keys", ""), key)
	})

	// As it is: open, in clear text, with a token in the log that opens Vault, and alerts that stay silent.
	page := func(scheme, port string, client *http.Client) string {
		t.Helper()
		resp, err := client.Get(scheme + "://" + net.JoinHostPort(h.Addr(), port) + "/")
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return string(body)
	}
	plain := &http.Client{Transport: &http.Transport{DialContext: h.DialContext, DisableKeepAlives: true}}
	await(t, "a stranger reads the page on port 80, past ufw and without a key", func() bool {
		return strings.Contains(page("http", "80", plain), "the-chat-of-pisovereign")
	})
	if c, err := h.DialWithin(time.Second, "tcp", net.JoinHostPort(h.Addr(), "443")); err == nil {
		_ = c.Close()
		t.Error("something listens on port 443")
	}
	silent := func() string {
		return h.Sh(`promtool check rules /etc/prometheus/alert_rules.yml >&2; curl -s http://127.0.0.1:9090/api/v1/alerts`)
	}
	await(t, "Prometheus has the numbers that the alerts are about", func() bool {
		return strings.Contains(h.Run("promtool", "query", "instant", "http://127.0.0.1:9090", "http_requests_client_error_total"), "42")
	})
	if out := silent(); !strings.Contains(out, `"alerts":[]`) || !strings.Contains(out, "SUCCESS") {
		t.Errorf("an alert fires that cannot, or Prometheus refuses the rules:\n%s", out)
	}

	out, code := h.Try(onHost, "audit", "--profile", "strict", "--output", "json", "--save", "/root/saved.snapshot")
	if code != 1 {
		t.Fatalf("exit code %d\n%.2000s", code, out)
	}
	told := out + h.Run("sh", "-c", "zcat /root/saved.snapshot; picket audit --profile strict --all --output markdown /root/saved.snapshot || true")
	for what, secret := range map[string]string{"Vault's token": token, "the API key": key} {
		if strings.Contains(told, secret) {
			t.Errorf("%s is in the report or in what was saved", what)
		}
	}
	before := decode(t, out)
	must(t, before, "firewall/docker-published", "ineffective", "80")                                               // T4
	must(t, before, "app/pisovereign-api-keys", "ineffective", "read by nothing")                                   // T9
	must(t, before, "app/pisovereign-ignored-settings", "ineffective|fail", "api.request_timeout_secs", "logging.") // T10
	must(t, before, "app/prometheus-rules", "ineffective", "alert HighFailedAuthRate", "http_requests_client_error_total has no label status",
		"alert PageErrors", "prometheus_http_requests_total has no label status") // T11
	must(t, before, "app/traefik-tls", "ineffective", "port 80 is open", "no entry point speaks it") // T17
	must(t, before, "app/vault-keys", "fail", "root token", "-json.log", "vault-keys.json")          // T18
	must(t, before, "docker/socket-mount", "fail", "container traefik", "docker.sock")
	must(t, before, "docker/no-new-privileges", "fail", "container vault")
	tried, _, _ := over(t, h, "--probe", sudoPassword(t))
	must(t, tried, "app/traefik-tls", "ineffective", h.Addr()+":80, from 192.168.77.1: tried: what it serves without TLS: 200 without TLS")
	if e := h.Run(onHost, "exposure"); !strings.Contains(e, "80/tcp") || !strings.Contains(e, "DOCKER") {
		t.Errorf("the table does not tell that Docker opens port 80:\n%s", e)
	}

	// Repaired.
	if out := vault(token, "POST", "auth/token/revoke-self", ""); out != "" {
		t.Errorf("the token that was in the log cannot be revoked: %s", out)
	}
	cert, keyPEM := selfSigned(t, "sovereign")
	h.Write("/opt/pisovereign/docker/traefik/tls.crt", 0o644, string(cert))
	h.Write("/opt/pisovereign/docker/traefik/tls.key", 0o600, string(keyPEM))
	h.Sh(`chown 1000 /opt/pisovereign/docker/traefik/tls.key
		docker rm -f traefik pisovereign vault-init; docker volume rm pisovereign_vault-init
		cd /opt/pisovereign/docker/traefik
		sed -i 's/^  web:.*/  websecure:\n    address: ":443"\n    http: {tls: {}}/' traefik.yml
		sed -i -e 's/\[web\]/[websecure]/' -e 's/^tls:/&\n  certificates: [{certFile: \/etc\/traefik\/tls.crt, keyFile: \/etc\/traefik\/tls.key}]/' dynamic.yml
		docker run -d --name pisovereign` + tight + `-p 127.0.0.1:3000:3000 pisovereign:0.4.5
		docker run -d --name traefik` + tight + `-p 443:443 -v /opt/pisovereign/docker/traefik:/etc/traefik:ro traefik:v3.0
		docker rm -f vault; docker run -d --name vault` + tight + `-p 127.0.0.1:8200:8200 vault:1.14
		cd /opt/pisovereign; sed -i -e '/^\[api\]/,$d' config.toml
		printf '[[security.api_keys]]\nhash = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21l$Yb8mTDvFGHbCPZGGPPMhm8l8sJb8Cq2BxNFBf2yTcMo"\nuser_id = "6f1d1f0e-5f0a-4e55-9a44-0c7f5f8e0c11"\n' >>config.toml
		sed -i -e 's/{status="401"}//' -e 's/status="404"/code="404"/' /etc/prometheus/alert_rules.yml; systemctl reload prometheus`)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	secure := &http.Client{Transport: &http.Transport{DialContext: h.DialContext, DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "sovereign", MinVersion: tls.VersionTLS13}}}
	await(t, "the page is there with TLS", func() bool {
		return strings.Contains(page("https", "443", secure), "the-chat-of-pisovereign")
	})
	if c, err := h.DialWithin(time.Second, "tcp", net.JoinHostPort(h.Addr(), "80")); err == nil {
		_ = c.Close()
		t.Error("port 80 is open still")
	}
	await(t, "the alert fires", func() bool { return strings.Contains(silent(), "HighFailedAuthRate") })
	after := auditOn(t, h)
	for _, id := range []string{
		"firewall/docker-published", "app/pisovereign-api-keys", "app/pisovereign-ignored-settings", "app/prometheus-rules", "app/traefik-tls",
		"app/vault-keys", "docker/socket-mount", "docker/no-new-privileges", "docker/read-only", "docker/root-user", "docker/healthcheck",
		"docker/default-bridge", "docker/image-tag",
	} {
		must(t, after, id, "pass")
	}
	tried, _, _ = over(t, h, "--probe", sudoPassword(t))
	must(t, tried, "app/traefik-tls", "pass", h.Addr()+":443, from 192.168.77.1: tried: what it serves without TLS: 200 over TLS")
	must(t, tried, "app/traefik-tls-version", "pass", "tried: old versions of TLS: tls1.3")
}

// TestContainers gives one container all rights, and wants each of them found: the engine is asked, not a file.
func TestContainers(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Containers)
	h.Sh(`mkdir -p /root/i/bin; cp /bin/busybox /root/i/bin/; tar -C /root/i -c . | docker import --change 'CMD ["/bin/busybox","sleep","1000"]' - tool:latest
		docker tag tool:latest tool:1.0; docker network create own`)
	controls := []string{"docker/privileged", "docker/socket-mount", "docker/host-mounts", "docker/host-namespaces", "docker/capabilities", "docker/environment-secrets", "docker/confinement",
		"docker/devices", "docker/image-tag", "docker/default-bridge", "docker/read-only", "docker/root-user", "docker/no-new-privileges", "docker/healthcheck"}
	of := []string{"--only", strings.Join(controls, ",")}
	all := func(r audit.Report, verdict string) {
		t.Helper()
		for _, id := range controls {
			must(t, r, id, verdict)
		}
	}
	all(auditOn(t, h, of...), "not-applicable")
	const secret = "brackish-secret-77"
	h.Sh(`docker run -d --name all --privileged --pid host --ipc host --uts host -v /var/run/docker.sock:/var/run/docker.sock -v /etc:/host/etc -e DB_PASSWORD=` + secret + ` tool
		docker run -d --name some --cap-add SYS_ADMIN --security-opt seccomp=unconfined --network host -e LANG=C --label password=` + secret + ` tool:1.0 /bin/busybox sleep 1000`)
	out, _ := h.Try(onHost, append([]string{"audit", "--profile", "strict", "--output", "json", "--save", "/root/saved"}, of...)...)
	if told := out + h.Sh("zcat /root/saved"); strings.Contains(told, secret) {
		t.Error("the secret of the environment is in the report or in what was saved")
	}
	r := decode(t, out)
	must(t, r, "docker/privileged", "fail", "container all")
	must(t, r, "docker/socket-mount", "fail", "container all", "docker.sock")
	must(t, r, "docker/host-mounts", "fail", "container all", "/etc, and may write it")
	must(t, r, "docker/host-namespaces", "fail", "processes (pid: host)", "memory (ipc: host)", "name (uts: host)", "container some", "network (network_mode: host)")
	must(t, r, "docker/capabilities", "fail", "container some", "SYS_ADMIN")
	must(t, r, "docker/confinement", "fail", "container some", "seccomp")
	must(t, r, "docker/environment-secrets", "fail", "DB_PASSWORD")
	must(t, r, "docker/image-tag", "fail", "container all")
	for _, id := range []string{"docker/default-bridge", "docker/read-only", "docker/root-user", "docker/no-new-privileges", "docker/healthcheck"} {
		must(t, r, id, "fail", "container all")
	}
	if out, code := h.Try("docker", "exec", "all", "/bin/busybox", "date", "-s", "@0"); code == 0 {
		t.Fatalf("a container of a lab host has set the machine's clock: %s", out)
	}
	h.Sh(`docker rm -f all some; docker run -d --name own --network own --read-only --cap-drop ALL --security-opt no-new-privileges --user 1000:1000 --health-cmd true tool:1.0`)
	all(auditOn(t, h, of...), "pass")

	// Without its own proxy the daemon itself holds a published port, and is not taken for its API there; where it
	// does answer as one, it is.
	h.Sh(`docker rm -f own; printf '{"userland-proxy": false}' >/etc/docker/daemon.json; systemctl restart docker; docker run -d --name web -p 80:80 tool:1.0`)
	ports := auditOn(t, h, "--only", "docker/api-port,docker/userland-proxy,firewall/docker-published")
	must(t, ports, "docker/api-port", "pass")
	must(t, ports, "docker/userland-proxy", "pass")
	must(t, ports, "firewall/docker-published", "ineffective", "port 80")
	h.Sh(`docker rm -f web; mkdir -p /etc/systemd/system/docker.service.d; printf '[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// -H tcp://0.0.0.0:8000 --tls=false\n' >/etc/systemd/system/docker.service.d/own.conf
		systemctl daemon-reload; systemctl restart docker; ufw allow 8000/tcp`)
	must(t, auditOn(t, h, "--only", "docker/api-port"), "docker/api-port", "fail", "Docker API", ":8000/tcp")
	if out := h.Run("docker", "-H", "tcp://127.0.0.1:8000", "info"); !strings.Contains(out, "Server Version") {
		t.Errorf("it is no API: %s", out)
	}
}

// await wants something to come true.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for begun := time.Now(); !is(); time.Sleep(200 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// selfSigned makes a certificate of a host and its key.
func selfSigned(t *testing.T, host string) (cert, key []byte) {
	t.Helper()
	return certificate(t, host, time.Now().Add(-time.Hour), time.Now().Add(90*24*time.Hour))
}

func certificate(t *testing.T, host string, from, until time.Time) (cert, key []byte) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, NotBefore: from, NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &secret.PublicKey, secret)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}
