package cli_test

import (
	"fmt"
	"strings"
	"testing"

	"picket/internal/core/control"
	"picket/lab"
)

// TestRefusedSSHConfig: while sshd refuses its files, nothing that they say is
// in force after the next start, and none of it may pass.
func TestRefusedSSHConfig(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Good)
	h.Run("sleep", "2.2") // sshd has only just read its files
	h.Write("/etc/ssh/sshd_config.d/zz.conf", 0o600, "LoginGraceTime soon\n")
	r := auditOn(t, h)
	must(t, r, "ssh/config-valid", "fail", "/etc/ssh/sshd_config.d/zz.conf")
	// These judge files, keys and command lines, not what sshd makes of its settings.
	files := []string{"ssh/config-files", "ssh/host-key-files", "ssh/host-key-public-files", "ssh/host-key-size", "ssh/include-first", "ssh/moduli", "ssh/one-server"}
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

// TestFactoryPasswordOverSSH: whether SSH takes the password that was guessed is
// told as a real login finds it.
func TestFactoryPasswordOverSSH(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Pioreactor)
	const id = "accounts/factory-password"
	for _, tc := range []struct {
		name, config, told string
		in                 bool
	}{
		{"as installed", "", "SSH accepts it", true},
		{"keys only", "PasswordAuthentication no\nKbdInteractiveAuthentication no\n", "SSH takes no password of this account", false},
		{"a key as well", "AuthenticationMethods publickey,password\n", "SSH takes no password of this account", false},
		{"the other way of asking", "PasswordAuthentication no\nKbdInteractiveAuthentication yes\n", "SSH accepts it", true},
		{"others only", "AllowUsers operator\n", "SSH does not let the account in: ", false},
		{"not for this one", "Match User pioreactor\nPasswordAuthentication no\n", "SSH takes no password of this account", false},
	} {
		h.Write("/etc/ssh/sshd_config.d/00-test.conf", 0o644, tc.config)
		// Files that are written in the second of a reload might have been read or not.
		h.Run("sh", "-c", "sleep 1.2; systemctl reset-failed ssh; systemctl restart ssh")
		must(t, auditOn(t, h, "--only", id), id, "fail", "factory password, and "+tc.told)
		if err := h.TryPassword("pioreactor", lab.PioreactorPassword); (err == nil) != tc.in {
			t.Errorf("%s: a real login: %v", tc.name, err)
		}
	}
	h.Run("sleep", "2.2") // or it might have read them
	h.Write("/etc/ssh/sshd_config.d/00-test.conf", 0o644, "PasswordAuthentication no\n")
	if r := result(t, auditOn(t, h, "--only", id), id); strings.Contains(r.Reason, "SSH") {
		t.Errorf("sshd has not read its files, and still: %s", r.Reason)
	}
}

// TestPAMServices: a line that lets everybody in is found where the real
// program falls for it, and not where it does not.
func TestPAMServices(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Good)
	h.Sh("echo 'operator ALL=(ALL) ALL' >/etc/sudoers.d/operator; chmod 440 /etc/sudoers.d/operator; cp /etc/pam.d/sudo /root/sudo")
	for line, in := range map[string]bool{
		"":                              false,
		"auth sufficient pam_permit.so": true,
		"auth optional pam_permit.so":   false,
		"auth [success=done default=ignore] pam_permit.so":                         true,
		"auth [success=1 default=ignore] pam_permit.so\nauth required pam_deny.so": false,
		"auth sufficient pam_rootok.so":                                            false,
		"auth required pam_faildelay.so delay=1000":                                false,
		"auth requisite pam_deny.so\nauth sufficient pam_permit.so":                false,
	} {
		h.Sh("{ printf '" + line + "\\n'; cat /root/sudo; } >/etc/pam.d/sudo")
		_, code := h.Try("sh", "-c", "runuser -u operator -- sudo -k -S true </dev/null")
		if (code == 0) != in {
			t.Errorf("%q: sudo ended with %d", line, code)
		}
		must(t, auditOn(t, h, "--only", "pam/services"), "pam/services", map[bool]string{true: "fail", false: "pass"}[in])
	}
}

// TestRootRunsUserFiles plants what T22 means, in every way that root comes to
// run somebody else's file, all at once: APP is a name of its own in each.
func TestRootRunsUserFiles(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Good)
	const id = "services/root-runs-user-files"
	must(t, auditOn(t, h, "--only", id), id, "pass")
	const unit = `printf '[Unit]\nDescription=x\n[Service]\n%s\n[Install]\nWantedBy=multi-user.target\n' "$1" >/etc/systemd/system/APP.service
		systemctl daemon-reload; systemctl enable --now APP.service || true`
	cases := []struct {
		name, plant string
		texts       []string
	}{
		{"a program", `set -- ExecStart=/opt/APP/run; ` + unit, []string{"/opt/APP/run"}},
		{"a command before the program", `set -- "$(printf 'ExecStartPre=/opt/APP/run\nExecStart=/bin/true')"; ` + unit, []string{"/opt/APP/run"}},
		{"a script and its interpreter", `set -- 'ExecStart=/usr/bin/env python3 -u /opt/APP/run'; ` + unit, []string{"/opt/APP/run"}},
		{"a line of the shell", `set -- "ExecStart=/bin/sh -c 'cd /tmp && exec /opt/APP/run'"; ` + unit, []string{"/opt/APP/run"}},
		{"an environment file", `set -- "$(printf 'EnvironmentFile=-/opt/APP/run\nExecStart=/bin/true')"; ` + unit, []string{"/opt/APP/run"}},
		{"a folder on the PATH", `install -d -o operator /home/operator/APP.bin; set -- "$(printf 'Environment=PATH=/home/operator/APP.bin:/usr/bin\nExecStart=/bin/true')"; ` + unit, []string{"/home/operator/APP.bin"}},
		{"the unit itself", `set -- "$(printf 'User=operator\nExecStart=/bin/true')"; ` + unit + `; chown operator /etc/systemd/system/APP.service`, []string{"/etc/systemd/system/APP.service"}},
		{"a drop-in", `set -- "$(printf 'User=operator\nExecStart=/bin/true')"; ` + unit + `
			install -d /etc/systemd/system/APP.service.d; printf '[Service]\nNice=5\n' >/etc/systemd/system/APP.service.d/a.conf; chmod 666 /etc/systemd/system/APP.service.d/a.conf; systemctl daemon-reload`,
			[]string{"/etc/systemd/system/APP.service.d/a.conf"}},
		{"with root's rights though it has a user", `set -- "$(printf 'User=operator\nExecStartPre=+/opt/APP/run\nExecStart=/bin/true')"; ` + unit, []string{"/opt/APP/run"}},
		{"by a timer", `set -- ExecStart=/opt/APP/run; ` + unit + `; systemctl disable APP.service
			printf '[Timer]\nOnBootSec=1h\n[Install]\nWantedBy=timers.target\n' >/etc/systemd/system/APP.timer; systemctl daemon-reload; systemctl enable --now APP.timer`,
			[]string{"/opt/APP/run"}},
		{"by cron", `printf '*/5 * * * * root cd / && /opt/APP/run --x >/dev/null\n' >/etc/cron.d/APP`, []string{"/opt/APP/run", "/etc/cron.d/APP:1"}},
		{"below a folder of a user", `chown root /opt/APP/run; set -- ExecStart=/opt/APP/run; ` + unit, []string{"/opt/APP"}},
		{"by a link", `mv /opt/APP/run /home/operator/APP.run; ln -s /home/operator/APP.run /opt/APP/run; chown root /opt/APP /home/operator/APP.run; set -- ExecStart=/opt/APP/run; ` + unit, []string{"APP.service: /opt/APP/run", "/home/operator"}},
	}
	for i, tc := range cases {
		const app = `install -d -o operator /opt/APP; printf '#!/bin/sh\nexit 0\n' >/opt/APP/run; chmod 755 /opt/APP/run; chown operator /opt/APP/run
			`
		h.Sh(strings.ReplaceAll(app+tc.plant, "APP", name(i)))
	}
	planted := auditOn(t, h, "--only", id)
	for i, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			for _, text := range tc.texts {
				must(t, planted, id, "fail|ineffective", strings.ReplaceAll(text, "APP", name(i)))
			}
		})
	}
	h.Sh(`systemctl disable --now $(cd /etc/systemd/system; ls -d app-*.service app-*.timer) 2>/dev/null || true
		rm -rf /etc/systemd/system/app-* /etc/cron.d/app-* /opt/app-* /home/operator/app-*; systemctl daemon-reload`)
	must(t, auditOn(t, h, "--only", id), id, "pass")
}

// name is one of the ways to plant something, in names of files and units.
func name(i int) string { return fmt.Sprintf("app-%c", 'a'+i) }
