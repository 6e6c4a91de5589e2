package cli_test

import (
	"slices"
	"strings"
	"testing"

	"picket/lab"
)

const annPassword = "lantern-Mosaic-21-umbrella"

// plantPi makes the account that an image comes with, and what has grown around it.
func plantPi(h *lab.Host) {
	h.Sh(`groupadd -rf gpio; useradd -m -s /bin/bash -G sudo,gpio,dialout,video pi; echo pi:raspberry | chpasswd
		install -d -o pi -g pi -m 700 /home/pi/.ssh; cp /home/operator/.ssh/authorized_keys /home/pi/.ssh/; chown pi:pi /home/pi/.ssh/authorized_keys
		echo 'pi ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/010_pi-nopasswd; chmod 440 /etc/sudoers.d/010_pi-nopasswd
		printf '#!/bin/sh\n# reads /home/pi/data\nexec sleep 10000\n' >/usr/local/bin/bot; chmod 755 /usr/local/bin/bot
		printf '[Service]\nUser=pi\nEnvironment="API_TOKEN=hunter2hunter2"\nExecStart=/usr/local/bin/bot\n[Install]\nWantedBy=multi-user.target\n' >/etc/systemd/system/bot.service
		printf '17 * * * * pi /usr/local/bin/bot\n' >/etc/cron.d/bot; echo '@daily /home/pi/x' | crontab -u pi -
		mkdir /home/pi/data; echo 1 >/home/pi/data/one; chown -R pi:pi /home/pi/data; ln -s data /home/pi/link
		systemctl daemon-reload; systemctl enable -q --now bot; touch /home/pi/.sudo_as_admin_successful; chown pi:pi /home/pi/.sudo_as_admin_successful
		touch /home/operator/.sudo_as_admin_successful; chown operator:operator /home/operator/.sudo_as_admin_successful`)
}

// reloadSSH has sshd read its files anew, for which it does not listen for a moment.
func reloadSSH(t *testing.T, h *lab.Host) {
	t.Helper()
	h.Sh("systemctl reload ssh")
	await(t, "sshd listens", func() bool { _, code := h.TrySSH("operator", "true"); return code == 0 })
}

func TestUserAdd(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Debian)
	lived(h)
	plantPi(h)
	before := accountsOf(h)
	operator := login{"operator", h.KeyFile(), lab.OperatorPassword}
	key := newKey(t)
	add := []string{"user", "add", "ann", "TARGET", "--from", "pi", "--key", key + ".pub", "--sudo", "--password-file", secretFile(t, annPassword), "--yes"}

	out, code := as(t, h, operator, add...)
	tx := kept(t, h, out, code)
	noSecrets(t, h, out, annPassword, lab.OperatorPassword)
	honest(t, h)
	if !strings.Contains(out, "new file /home/ann/.bashrc, mode 0644\n") || strings.Contains(out, "HISTCONTROL") || !strings.Contains(out, "+ann ALL=(ALL:ALL) ALL") {
		t.Errorf("what is shown:\n%s", out)
	}
	for what, want := range map[string]string{
		"getent passwd ann | cut -d: -f1,2,5-7":           "ann:x::/home/ann:/bin/bash\n",
		"id -nG ann | tr ' ' '\\n' | sort | tr '\\n' ' '": "ann dialout gpio sudo video ",
		"getent gshadow gpio":                             "gpio:!::pi,ann\n",
		"stat -c '%a %U %G %n' /home/ann /home/ann/.ssh /home/ann/.ssh/authorized_keys /home/ann/.bashrc":              "700 ann ann /home/ann\n700 ann ann /home/ann/.ssh\n600 ann ann /home/ann/.ssh/authorized_keys\n644 ann ann /home/ann/.bashrc\n",
		"cmp /home/ann/.bashrc /etc/skel/.bashrc; stat -c '%a %u' /etc/sudoers.d/010-picket-ann":                       "440 0\n",
		"passwd -S ann | cut -d' ' -f1,2; chage -l ann | grep -c never":                                                "ann P\n3\n",
		"tail -n 1 /etc/subuid | grep -c ann:":                                                                         "1\n",
		"runuser -u ann -- sh -c 'echo $HOME; cd; touch x && rm x && id -un'":                                          "/home/ann\nann\n",
		"printf '%s\\n' " + annPassword + " | runuser -u ann -- sudo -kS -p '' id -un":                                 "root\n",
		"printf 'wrong\\n' | runuser -u ann -- sudo -kS -p '' id -un >/dev/null 2>&1; echo $?; rm -f /run/sudo/ts/ann": "1\n",
	} {
		if got, _ := h.Try("sh", "-c", what); got != want {
			t.Errorf("%s\n%q, want %q", what, got, want)
		}
	}
	if err := h.TryPassword("ann", annPassword); err != nil {
		t.Error(err)
	}
	if out, code := as(t, h, operator, add...); code != 4 || !strings.Contains(out, "already") {
		t.Errorf("a second time: exit code %d\n%s", code, out)
	}
	// The second of two gets the next number. sshd without PAM takes the key of an account that has no password, if that is
	// not marked as locked.
	h.Sh("echo 'UsePAM no' >/etc/ssh/sshd_config.d/pam.conf")
	reloadSSH(t, h)
	out, code = as(t, h, operator, "user", "add", "bob", "TARGET", "--key", key, "--yes")
	bob := kept(t, h, out, code)
	h.Sh("rm /etc/ssh/sshd_config.d/pam.conf")
	reloadSSH(t, h)
	if got := h.Sh("expr $(id -u bob) - $(id -u ann); id -nG bob; passwd -S bob | cut -d' ' -f2"); got != "1\nbob\nL\n" {
		t.Errorf("bob: %q", got)
	}
	for _, tx := range []string{bob, tx} {
		if out, code := as(t, h, operator, "rollback", tx, "TARGET"); code != 0 {
			t.Errorf("rollback: exit code %d\n%s", code, out)
		}
	}
	same2(t, before, accountsOf(h))

	// Who cannot come in is not kept.
	h.Sh("echo 'AllowUsers operator' >/etc/ssh/sshd_config.d/allow.conf")
	reloadSSH(t, h)
	before = accountsOf(h)
	if out, code := as(t, h, operator, add...); code != 5 || !strings.Contains(out, "ann does not come in") || !strings.Contains(out, "sshd has AllowUsers operator") || !strings.Contains(out, "it was taken back") {
		t.Errorf("AllowUsers keeps ann out: exit code %d\n%s", code, out)
	}
	same2(t, before, accountsOf(h))
	h.Sh("rm /etc/ssh/sshd_config.d/allow.conf; sed -i 's/^@includedir.*//' /etc/sudoers; gpasswd -d pi sudo")
	reloadSSH(t, h)
	before = accountsOf(h)
	if out, code := as(t, h, operator, add...); code != 5 || !strings.Contains(out, "does not become root") {
		t.Errorf("sudo does not read the file: exit code %d\n%s", code, out)
	}
	same2(t, before, accountsOf(h))
	h.Sh("mkdir /home/ann")
	if out, code := as(t, h, operator, add...); code != 4 || !strings.Contains(out, "/home/ann") {
		t.Errorf("a home that is there: exit code %d\n%s", code, out)
	}
}

func TestUserClose(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Debian)
	lived(h)
	plantPi(h)
	key := newKey(t)
	pi := login{"pi", h.KeyFile(), ""}
	ann := login{"ann", key, annPassword}

	// Nobody is closed for somebody who does not come in.
	before := accountsOf(h)
	if out, code := as(t, h, pi, "user", "close", "pi", "TARGET", "--for", "ann", "--yes"); code != 4 || !strings.Contains(out, "ann does not come in") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if out, code := as(t, h, pi, "user", "close", "pi", "TARGET", "--for", "pi", "--yes"); code != 2 {
		t.Errorf("exit code %d\n%s", code, out)
	}
	same2(t, before, accountsOf(h))
	out, code := as(t, h, pi, "user", "add", "ann", "TARGET", "--from", "pi", "--key", key, "--sudo", "--password-file", secretFile(t, annPassword), "--yes")
	kept(t, h, out, code)
	// Comes in, and is no administrator.
	h.Sh("useradd -m -s /bin/bash eve; install -d -o eve -m 700 /home/eve/.ssh; install -o eve -m 600 /home/ann/.ssh/authorized_keys /home/eve/.ssh/")
	if out, code := as(t, h, login{"pi", key, ""}, "user", "close", "pi", "TARGET", "--for", "eve", "--yes"); code != 4 || !strings.Contains(out, "does not become root") {
		t.Errorf("exit code %d\n%s", code, out)
	}

	before = accountsOf(h)
	state := func() string {
		return h.Sh("systemctl show -p User,ActiveState bot; ps -o user= -C bot,sleep | sort -u; ls /var/spool/cron/crontabs")
	}
	ran := state()
	keysBefore := findings(auditOn(t, h, "--only", "keys"), "critical", "high", "medium", "low")
	// It is typed as pi, and done as ann.
	out, code = as(t, h, login{"pi", key, annPassword}, "user", "close", "pi", "TARGET", "--for", "ann", "--rewrite", "--yes")
	tx := kept(t, h, out, code)
	noSecrets(t, h, out, annPassword)
	if strings.Contains(out, "hunter2") {
		t.Errorf("a token of a unit is shown:\n%s", out)
	}
	for _, want := range []string{"/etc/systemd/system/bot.service:2: User=pi", "/etc/cron.d/bot:1: 17", "/usr/local/bin/bot:2: # reads /home/pi/data", "/etc/sudoers.d/010_pi-nopasswd:1:", "/var/spool/cron/crontabs/pi"} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is not told:\n%s", want, out)
		}
	}
	honest(t, h)
	after := auditOn(t, h, "--only", "accounts,sudo,keys")
	must(t, after, "accounts/default-user", "pass")
	must(t, after, "sudo/personal-admin", "pass")
	for _, f := range findings(auditOn(t, h, "--only", "keys"), "critical", "high", "medium", "low") {
		if !slices.Contains(keysBefore, f) {
			t.Errorf("a new finding: %s", f)
		}
	}
	if out, code := h.TrySSH("pi", "true"); code == 0 {
		t.Errorf("pi comes in with its key: %s", out)
	}
	if h.TryPassword("pi", "raspberry") == nil {
		t.Error("pi comes in with its password")
	}
	for what, want := range map[string]string{
		"passwd -S pi | cut -d' ' -f2; chage -l pi | grep -i 'account expires' | grep -c 1970":                                 "L\n1\n",
		"su pi -c true 2>/dev/null </dev/null; runuser -u nobody -- su pi -c id </dev/null >/dev/null 2>&1; echo $?":           "1\n",
		"cat /etc/cron.d/bot; crontab -l -u ann; ls /var/spool/cron/crontabs; stat -c '%a %U %G' /var/spool/cron/crontabs/ann": "17 * * * * ann /usr/local/bin/bot\n@daily /home/pi/x\nann\n600 ann crontab\n",
		"systemctl show -p User,ActiveState bot; ps -o user= -C bot,sleep | sort -u":                                           "User=ann\nActiveState=active\nann\n",
		"ls -A /home/pi/.ssh; ls /home/pi/data":                                                                                "closed.authorized_keys\none\n",
	} {
		if got, _ := h.Try("sh", "-c", what); got != want {
			t.Errorf("%s\n%q, want %q", what, got, want)
		}
	}
	if out, code := as(t, h, ann, "user", "close", "pi", "TARGET", "--for", "ann", "--yes"); code != 0 || !strings.Contains(out, "closed already") {
		t.Errorf("a second time: exit code %d\n%s", code, out)
	}
	// The home, each time as a change of its own. What pi has left to run lays links there for as long as it can.
	h.Sh(`cd /home/pi; ln data/one data/two; runuser -u pi -- sh -c 'cp /bin/true set; chmod 4755 set; echo k >data/k'; ln -s /etc/shadow l; chown -h pi: l
		setsid runuser -u pi -- perl -e 'chdir "/home/pi/data"; while (1) { rename "k", "f"; symlink "/etc/shadow", "k"; rename "f", "k" }' >/dev/null 2>&1 </dev/null &
		systemd-run -q --unit bot2 --uid pi sleep 10000; stat -c '%a %u %g %Y' /etc/shadow >/run/shadow`)
	if out, code = as(t, h, ann, "user", "close", "pi", "TARGET", "--for", "ann", "--give-home", "--yes"); code != 4 || !strings.Contains(out, "bot2.service runs as pi") {
		t.Errorf("a service runs as pi: exit code %d\n%s", code, out)
	}
	h.Sh("systemctl stop bot2")
	for range 2 { // what was a link when it was ended is refused once
		if out, code = as(t, h, ann, "user", "close", "pi", "TARGET", "--for", "ann", "--give-home", "--yes"); code == 0 {
			break
		}
	}
	give := kept(t, h, out, code)
	for _, left := range []string{"data/one", "data/two", "set"} {
		if !strings.Contains(out, "/home/pi/"+left+" stays as it is") {
			t.Errorf("%s is not told:\n%s", left, out)
		}
	}
	if got := h.Sh("pgrep -lu pi || true; find /home/pi -user pi ! -type l | sort; stat -c '%a %u %g %Y' /etc/shadow | diff /run/shadow - || true"); got != "/home/pi/data/one\n/home/pi/data/two\n/home/pi/set\n" {
		t.Errorf("what is left of pi: %s", got)
	}
	if got := h.Sh("runuser -u ann -- sh -c 'echo 2 >/home/pi/data/three; rm /home/pi/data/three'"); got != "" {
		t.Errorf("not ann's: %s", got)
	}
	if out, code = as(t, h, ann, "rollback", give, "TARGET"); code != 0 {
		t.Errorf("rollback: exit code %d\n%s", code, out)
	}
	h.Sh("cd /home/pi; rm -f data/two data/f data/k l set")
	out, code = as(t, h, ann, "user", "close", "pi", "TARGET", "--for", "ann", "--archive-home", "--yes")
	kept(t, h, out, code)
	if got := h.Sh("stat -c '%a %U' /var/backups/picket /var/backups/picket/*; tar -xzOf /var/backups/picket/pi-*.tar.gz ./data/one"); got != "700 root\n600 root\n1\n" {
		t.Errorf("the archive: %q", got)
	}
	if out, code = as(t, h, ann, "rollback", tx, "TARGET"); code != 0 {
		t.Errorf("rollback: exit code %d\n%s", code, out)
	}
	same2(t, before, accountsOf(h))
	if got := state(); got != ran {
		t.Errorf("services and jobs:\n%s\nbefore\n%s", got, ran)
	}
	h.SSH("pi", "true")
	// Both in one command.
	if out, code = as(t, h, ann, "user", "close", "pi", "TARGET", "--for", "ann", "--rewrite", "--archive-home", "--yes"); code != 0 || strings.Count(out, "done and kept as") != 2 {
		t.Errorf("closed and archived at once: exit code %d\n%s", code, out)
	}
}
