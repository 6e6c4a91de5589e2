package cli_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"

	"picket/lab"
)

// TestComposeOnHost audits a host with a compose project, a part of which
// runs, from within and over SSH. No engine runs in the lab: a script that gives
// the answers of Docker 20.10 stands in for it.
func TestComposeOnHost(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Good)
	h.Sh(`mkdir -p /data/shop /usr/local/bin
cat >/data/shop/prod.yml <<'EOF'
# LEAKcomment
services:
  web:
    image: box:${TAG}
    privileged: true
    environment: {DB_PASSWORD: LEAKvalue}
    env_file: more.env
    extends: {file: base.yml, service: base}
  later: {image: box:1, pid: host}
EOF
printf 'services: {base: {cap_add: [SYS_ADMIN]}}\n' >/data/shop/base.yml
printf 'TAG=1\nWORD=LEAKenv\n' >/data/shop/.env
printf 'API_TOKEN=LEAKmore\n' >/data/shop/more.env
chmod 600 /data/shop/.env; chmod 644 /data/shop/more.env; chmod 666 /data/shop/base.yml
touch /usr/sbin/dockerd
cat >/usr/local/bin/docker <<'EOF'
#!/bin/sh
case "$*" in
"ps -q --no-trunc") echo 37293e8b59aeae17413d488585a798d7a2f4c2810c715e37c649b825598bec07 ;;
"ps -a --no-trunc --format {{.Label \"com.docker.compose.project.working_dir\"}}|{{.Label \"com.docker.compose.project.config_files\"}}")
	echo '/data/shop|/data/shop/prod.yml'; echo '|' ;;
"inspect 37293e8b59aeae17413d488585a798d7a2f4c2810c715e37c649b825598bec07")
	echo '[{"Id":"37293e8b59aeae17413d488585a798d7a2f4c2810c715e37c649b825598bec07","Name":"/shop-web-1","Args":["LEAKargument"],"HostConfig":{"Privileged":true,"NetworkMode":"shop_default"},"Mounts":[],"Config":{"User":"1","Env":["DB_PASSWORD=LEAKvalue"],"Image":"box:1","Labels":{"com.docker.compose.project":"shop","com.docker.compose.service":"web","com.docker.compose.project.working_dir":"/data/shop","com.docker.compose.project.config_files":"/data/shop/prod.yml"}}}]' ;;
*) exit 1 ;;
esac
EOF
chmod 755 /usr/local/bin/docker`)
	local := auditOn(t, h, "--profile", "strict")
	saved := filepath.Join(t.TempDir(), "host.snapshot")
	remote, messages, _ := over(t, h, "--profile", "strict", "--save", saved, sudoPassword(t))
	if len(remote.Results) == 0 {
		t.Fatalf("no report over SSH: %s", messages)
	}
	again := here(t, saved)
	for _, want := range []struct{ control, reason string }{
		{"docker/privileged", "shop-web-1 (service web) runs with all rights of the host (privileged): privileged"},
		{"docker/capabilities", "shop-web-1 (service web) was given: CAP_SYS_ADMIN (from the next `docker compose up` on)"},
		{"docker/host-namespaces", "service later of /data/shop/prod.yml shares the host's own: processes (pid: host) (it does not run)"},
		{"docker/compose-secrets", "DB_PASSWORD of service web: written out"},
		{"docker/compose-files", "/data/shop/base.yml: everybody can write it (mode 0666)"},
		{"files/secrets", "/data/shop/more.env can be read by every user"},
	} {
		must(t, local, want.control, "fail", want.reason)
		must(t, remote, want.control, "fail", want.reason)
		if res := result(t, again, want.control); res.Reason != "" && res.Reason != result(t, remote, want.control).Reason {
			t.Errorf("%s: from what was saved: %s", want.control, res.Reason)
		}
	}
	if ev := result(t, local, "docker/privileged").Evidence; len(ev) != 1 || ev[0].Place != "/data/shop/prod.yml:5" {
		t.Errorf("docker/privileged is told as %+v", ev)
	}
	data, err := os.ReadFile(saved)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if data, err = io.ReadAll(z); err != nil {
		t.Fatal(err)
	}
	if i := bytes.Index(data, []byte("LEAK")); i >= 0 {
		t.Errorf("the snapshot holds a secret: …%s…", data[max(0, i-100):min(len(data), i+40)])
	}
	for _, want := range []string{"files/data/shop/base.yml", "files/data/shop/more.env", `["WORD"]	"[not kept]"`, `["TAG"]	"1"`} {
		if !bytes.Contains(data, []byte(want)) {
			t.Errorf("the snapshot does not hold %s", want)
		}
	}
}
