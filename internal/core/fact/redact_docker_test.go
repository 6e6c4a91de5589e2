package fact

import (
	"strings"
	"testing"

	"picket/internal/core/snap"
)

// TestEngineSettingsKeepNoSecret: of /etc/docker/daemon.json all stays that rules
// judge, and no password.
func TestEngineSettingsKeepNoSecret(t *testing.T) {
	s := recorded(t, "", "/etc/docker/daemon.json", `={
  "icc": false,
  "proxies": {"http-proxy": "http://amy:hunter2@proxy:3128", "no-proxy": "localhost"},
  "log-driver": "splunk",
  "log-opts": {"splunk-token": "2f7c-hunter3", "max-size": "10m", "gelf-address": "udp://hunter4"},
  "my-api-key" : "hunter\"5"
}
`)
	Redact(s, Secrets{More: func() bool { return true }})
	e := s.Entries["/etc/docker/daemon.json"]
	for _, secret := range []string{"hunter2", "hunter3", "hunter4", `hunter\"5`} {
		if strings.Contains(string(e.Content), secret) {
			t.Errorf("%s is kept:\n%s", secret, e.Content)
		}
	}
	for _, kept := range []string{`"icc": false`, `"log-driver": "splunk"`, `"max-size": "10m"`} {
		if !strings.Contains(string(e.Content), kept) {
			t.Errorf("%s is not kept:\n%s", kept, e.Content)
		}
	}
	if e.Type != snap.File {
		t.Error(e.Type)
	}
}
