package planted

// EngineReady is what a host of the role Containers needs before OnEngine is planted there: an image, and a
// Prometheus that has asked itself for a while.
const EngineReady = `mkdir -p /root/i/bin; cp /bin/busybox /root/i/bin/; for n in sh echo; do ln -sf busybox /root/i/bin/$n; done
	tar -C /root/i -c . | docker import --change 'CMD ["/bin/busybox","sleep","100000"]' - tool:1.0; rm -r /root/i; docker network create own`

// tight is what a container is started with that has no more rights than it needs.
const tight = `docker run -d --network own --read-only --cap-drop ALL --security-opt no-new-privileges --user 1000:1000 --health-cmd true `

// OnEngine are rounds of traps of a host with Docker, ufw and Prometheus. Of what the applications leave there the
// settings and the container are planted, not the programs; a test starts those that are to be had.
var OnEngine = [][]Trap{
	{
		{
			Name: "T3 a rule about the sender's port", Control: "firewall/sender-port", Verdicts: "ineffective",
			Plant: `systemd-run --quiet --unit web30 python3 -m http.server 30; ufw deny from 192.168.77.1 port 30; ufw allow 30/tcp
				for i in $(seq 100); do ! ss -Hltn 'sport = :30' | grep -q . || break; sleep 0.05; done`,
			Undo:  `systemctl stop web30; ufw delete allow 30/tcp; ufw delete deny from 192.168.77.1 port 30`,
			Texts: []string{"port 30 stays open"},
		},
		{
			Name: "T4 Docker publishes a port past the firewall", Control: "firewall/docker-published", Verdicts: "ineffective",
			Plant: tight + `--name page -p 8080:8080 tool:1.0`,
			Undo:  `docker rm -f page`,
			Texts: []string{"8080"},
		},
		{
			Name: "T9 keys in a Vault that nothing reads", Control: "app/pisovereign-api-keys", Verdicts: "ineffective",
			Plant: `mkdir -p /opt/pisovereign; printf '[vault]\nenabled = true\naddress = "http://vault:8200"\n' >/opt/pisovereign/config.toml`,
			Undo:  `rm -r /opt/pisovereign`,
			Texts: []string{"read by nothing"},
		},
		{
			Name: "T11 alerts over what no target exports", Control: "app/prometheus-rules", Verdicts: "ineffective",
			Plant: `cp -p /etc/prometheus/prometheus.yml /root/; cat >/etc/prometheus/prometheus.yml <<'END'
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [alerts.yml]
scrape_configs:
- job_name: prometheus
  static_configs: [{targets: ["localhost:9090"]}]
END
				cat >/etc/prometheus/alerts.yml <<'END'
groups:
- name: security
  rules:
  - alert: PageErrors
    expr: rate(prometheus_http_requests_total{status="404"}[5m]) > 0
END
				promtool check rules /etc/prometheus/alerts.yml; systemctl reload prometheus
				for i in $(seq 100); do ! promtool query instant http://127.0.0.1:9090 prometheus_http_requests_total | grep -q code= || break; sleep 0.1; done`,
			Undo:  `mv /root/prometheus.yml /etc/prometheus/; rm /etc/prometheus/alerts.yml; systemctl reload prometheus`,
			Texts: []string{"alert PageErrors", "has no label status"},
		},
		{
			Name: "T17 options of TLS, and no entry point that speaks it", Control: "app/traefik-tls", Verdicts: "ineffective",
			Plant: `mkdir /etc/traefik; printf 'entryPoints:\n  web: {address: ":80"}\n' >/etc/traefik/traefik.yml
				printf 'tls:\n  options:\n    default: {minVersion: VersionTLS13, sniStrict: true}\n' >/etc/traefik/dynamic.yml
				` + tight + `--name traefik -p 80:80 tool:1.0`,
			Undo:  `docker rm -f traefik; rm -r /etc/traefik`,
			Texts: []string{"no entry point speaks it"},
		},
		{
			Name: "T18 the log of a container has the token of root", Control: "app/vault-keys", Verdicts: "fail",
			Plant: `mkdir /etc/vault.d; echo 'ui = true' >/etc/vault.d/vault.hcl
				` + tight + `--name vault-init tool:1.0 /bin/sh -c 'echo "[vault-init] Root Token: hvs.CAESIJlWh1CENSOREDxyzuvwABCDEF"; exec /bin/busybox sleep 100000'
				for i in $(seq 100); do ! docker logs vault-init | grep -q 'Root Token: hvs' || break; sleep 0.1; done`,
			Undo:  `docker rm -f vault-init; rm -r /etc/vault.d`,
			Texts: []string{"root token", "-json.log"},
		},
	},
	{
		{
			Name: "T10 settings that the program does not have", Control: "app/pisovereign-ignored-settings", Verdicts: "ineffective",
			Plant: `mkdir -p /opt/pisovereign; printf '[api]\nrequest_timeout_secs = 30\n[logging]\nformat = "json"\n' >/opt/pisovereign/config.toml`,
			Undo:  `rm -r /opt/pisovereign`,
			Texts: []string{"api.request_timeout_secs"},
		},
	},
}
