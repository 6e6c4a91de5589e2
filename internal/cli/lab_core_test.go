package cli_test

import (
	"strings"
	"testing"

	"picket/internal/core/control"
	"picket/lab"
)

// TestRefusedSSHConfig: while sshd refuses its files, nothing that they say is
// in force after the next start, and none of it may pass.
func TestRefusedSSHConfig(t *testing.T) {
	h := start(t, lab.Good)
	h.Write("/etc/ssh/sshd_config.d/zz.conf", 0o600, "LoginGraceTime soon\n")
	r := auditOn(t, h)
	must(t, r, "ssh/config-valid", "fail", "/etc/ssh/sshd_config.d/zz.conf")
	// These judge files and keys, not what sshd makes of its settings.
	files := []string{"ssh/config-files", "ssh/host-key-files", "ssh/host-key-public-files", "ssh/host-key-size", "ssh/include-first", "ssh/moduli"}
	judged := 0
	for _, res := range r.Results {
		if !strings.HasPrefix(res.Control, "ssh/") || strings.HasPrefix(res.Control, "ssh/client-") || strings.Contains(strings.Join(files, " "), res.Control) {
			continue
		}
		judged++
		if res.Verdict == control.Pass {
			t.Errorf("%s passes while sshd refuses its files: %s", res.Control, res.Reason)
		}
	}
	if judged < 20 {
		t.Errorf("only %d controls of sshd", judged)
	}
	h.Stop()
}

// TestRootRunsUserFiles plants what T22 means, in every way that root comes to
// run somebody else's file.
func TestRootRunsUserFiles(t *testing.T) {
	h := start(t, lab.Good)
	const id = "services/root-runs-user-files"
	must(t, auditOn(t, h, "--only", id), id, "pass")
	const unit = `printf '[Unit]\nDescription=x\n[Service]\n%s\n[Install]\nWantedBy=multi-user.target\n' "$1" >/etc/systemd/system/app.service
		systemctl daemon-reload; systemctl enable --now app.service || true`
	const clean = `systemctl disable --now app.service 2>/dev/null || true; rm -rf /etc/systemd/system/app.service* /etc/systemd/system/app.timer /etc/cron.d/app /opt/app /home/operator/bin; systemctl daemon-reload`
	for _, tc := range []struct {
		name, plant string
		texts       []string
	}{
		{"a program", `set -- ExecStart=/opt/app/run; ` + unit, []string{"/opt/app/run"}},
		{"a command before the program", `set -- "$(printf 'ExecStartPre=/opt/app/run\nExecStart=/bin/true')"; ` + unit, []string{"/opt/app/run"}},
		{"a script and its interpreter", `set -- 'ExecStart=/usr/bin/env python3 -u /opt/app/run'; ` + unit, []string{"/opt/app/run"}},
		{"a line of the shell", `set -- "ExecStart=/bin/sh -c 'cd /tmp && exec /opt/app/run'"; ` + unit, []string{"/opt/app/run"}},
		{"an environment file", `set -- "$(printf 'EnvironmentFile=-/opt/app/run\nExecStart=/bin/true')"; ` + unit, []string{"/opt/app/run"}},
		{"a folder on the PATH", `install -d -o operator /home/operator/bin; set -- "$(printf 'Environment=PATH=/home/operator/bin:/usr/bin\nExecStart=/bin/true')"; ` + unit, []string{"/home/operator/bin"}},
		{"the unit itself", `set -- "$(printf 'User=operator\nExecStart=/bin/true')"; ` + unit + `; chown operator /etc/systemd/system/app.service`, []string{"/etc/systemd/system/app.service"}},
		{"a drop-in", `set -- "$(printf 'User=operator\nExecStart=/bin/true')"; ` + unit + `
			install -d /etc/systemd/system/app.service.d; printf '[Service]\nNice=5\n' >/etc/systemd/system/app.service.d/a.conf; chmod 666 /etc/systemd/system/app.service.d/a.conf; systemctl daemon-reload`,
			[]string{"/etc/systemd/system/app.service.d/a.conf"}},
		{"with root's rights though it has a user", `set -- "$(printf 'User=operator\nExecStartPre=+/opt/app/run\nExecStart=/bin/true')"; ` + unit, []string{"/opt/app/run"}},
		{"by a timer", `set -- ExecStart=/opt/app/run; ` + unit + `; systemctl disable app.service
			printf '[Timer]\nOnBootSec=1h\n[Install]\nWantedBy=timers.target\n' >/etc/systemd/system/app.timer; systemctl daemon-reload; systemctl enable --now app.timer`,
			[]string{"/opt/app/run"}},
		{"by cron", `printf '*/5 * * * * root cd / && /opt/app/run --x >/dev/null\n' >/etc/cron.d/app`, []string{"/opt/app/run", "/etc/cron.d/app:1"}},
		{"below a folder of a user", `chown root /opt/app/run; set -- ExecStart=/opt/app/run; ` + unit, []string{"/opt/app"}},
		{"by a link", `mv /opt/app/run /home/operator/run; ln -s /home/operator/run /opt/app/run; chown root /opt/app /home/operator/run; set -- ExecStart=/opt/app/run; ` + unit, []string{"/home/operator"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h.Sh(`install -d -o operator /opt/app; printf '#!/bin/sh\nexit 0\n' >/opt/app/run; chmod 755 /opt/app/run; chown operator /opt/app/run
				` + tc.plant)
			must(t, auditOn(t, h, "--only", id), id, "fail|ineffective", tc.texts...)
			h.Sh(clean)
		})
	}
	must(t, auditOn(t, h, "--only", id), id, "pass")
}
