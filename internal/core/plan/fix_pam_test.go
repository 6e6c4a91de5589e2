package plan_test

import (
	"slices"
	"strings"
	"testing"

	"picket/catalogue"
	"picket/internal/core/audit"
	"picket/internal/core/cases"
	"picket/internal/core/change"
	"picket/internal/core/control"
	"picket/internal/core/kind"
	"picket/internal/core/plan"
	"picket/internal/core/snap"
)

// stacksOf is a host whose stacks pam-auth-update has written. In common-auth may stand more than it wrote.
func stacksOf(auth, more string) string {
	part := func(kind, lines string) string {
		return "-- /etc/pam.d/common-" + kind + " --\n# here are the per-package modules (the \"Primary\" block)\n" + lines + "# and here are more per-package modules (the \"Additional\" block)\n# end of pam-auth-update config\n"
	}
	end := func(word string) string {
		return "# here's the fallback if no module succeeds\n" + word + "\trequisite\t\t\tpam_deny.so\n" + word + "\trequired\t\t\tpam_permit.so\n"
	}
	session := "session\t[default=1]\t\t\tpam_permit.so\n" + end("session")
	text := "-- host: fail --\npackages: libpam-runtime, libpam-modules=1.5.2-6\n" +
		part("auth", auth+"auth\t[success=1 default=ignore]\tpam_unix.so nullok\n"+end("auth")) +
		part("account", "account\t[success=1 new_authtok_reqd=done default=ignore]\tpam_unix.so \n"+end("account")) +
		part("password", "password\t[success=1 default=ignore]\tpam_unix.so obscure yescrypt\n"+end("password")) +
		part("session", session) + part("session-noninteractive", session)
	for kind, line := range map[string]string{
		"auth":     "Module: unix\n[success=end default=ignore]\tpam_unix.so nullok\n",
		"account":  "Module: unix\n[success=end new_authtok_reqd=done default=ignore]\tpam_unix.so\n",
		"password": "Module: unix\n[success=end default=ignore]\tpam_unix.so obscure yescrypt\n",
		"session":  "Module: null\n[default=1]\t\t\tpam_permit.so\n", "session-noninteractive": "Module: null\n[default=1]\t\t\tpam_permit.so\n",
	} {
		text += "-- /var/lib/pam/" + kind + " --\n" + line
	}
	return text + "-- /usr/share/pam-configs/unix --\nName: Unix authentication\nDefault: yes\nPriority: 256\nAuth-Type: Primary\nAuth:\n\t[success=end default=ignore]\tpam_unix.so nullok try_first_pass\n" +
		"Auth-Initial:\n\t[success=end default=ignore]\tpam_unix.so nullok\nAccount-Type: Primary\nAccount:\n\t[success=end new_authtok_reqd=done default=ignore]\tpam_unix.so\n" +
		"Password-Type: Primary\nPassword:\n\t[success=end default=ignore]\tpam_unix.so obscure use_authtok try_first_pass yescrypt\nPassword-Initial:\n\t[success=end default=ignore]\tpam_unix.so obscure yescrypt\n" + more
}

// planned makes a plan for some controls of a host.
func planned(t *testing.T, host string, ids ...string) plan.Plan {
	t.Helper()
	controls, problems := control.Load(catalogue.Controls(), kind.All())
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	controls = slices.DeleteFunc(controls, func(c control.Control) bool { return !slices.Contains(ids, c.ID) })
	list, err := cases.Parse([]byte(host))
	if err != nil {
		t.Fatal(err)
	}
	s := list[0].Snapshot
	return plan.Make(controls, s, audit.Evaluate(controls, s, audit.Options{Now: s.Taken}), plan.Options{})
}

// itemOf is what a plan says of a control.
func itemOf(t *testing.T, p plan.Plan, id string) plan.Item {
	t.Helper()
	i := slices.IndexFunc(p.Items, func(i plan.Item) bool { return i.Control == id })
	if i < 0 {
		t.Fatalf("%s is no finding: %+v", id, p.Items)
	}
	return p.Items[i]
}

// TestStacksOfPAM plans lockout on hosts whose stacks are managed, edited, or jumped into.
func TestStacksOfPAM(t *testing.T) {
	const byProfiles = "/usr/share/pam-configs/picket-faillock"
	for _, tc := range []struct{ name, auth, more, left, edits string }{
		{name: "managed", edits: byProfiles},
		{name: "edited by hand", auth: "auth\toptional\tpam_warn.so\n", edits: "/etc/pam.d/common-auth"},
		{name: "a profile that is not in use", more: "-- /usr/share/pam-configs/faillock --\nName: Count\nDefault: yes\nPriority: 0\nAuth-Type: Primary\nAuth:\n\t[default=die] pam_faillock.so authfail\n",
			left: "sudo pam-auth-update --enable faillock"},
		{name: "a jump over it", more: "-- /etc/pam.d/sudo --\nauth [success=2 default=ignore] pam_ssh_agent_auth.so file=/etc/security/authorized_keys\n@include common-auth\n", left: "/etc/pam.d/sudo: "},
		{name: "a jump over it, of another service", more: "-- /etc/pam.d/cockpit --\nauth [success=2 default=ignore] pam_cert.so\n@include common-auth\n", left: "/etc/pam.d/cockpit: "},
		{name: "a jump that ends before it", more: "-- /etc/pam.d/sudo --\nauth [success=1 default=ignore] pam_ssh_agent_auth.so\nauth required pam_group.so\n@include common-auth\n", edits: byProfiles},
	} {
		i := itemOf(t, planned(t, stacksOf(tc.auth, tc.more), "pam/lockout"), "pam/lockout")
		if tc.left != "" && !strings.Contains(i.Left, tc.left) || tc.left == "" && i.Left != "" {
			t.Errorf("%s: it is left, as %q; want %q", tc.name, i.Left, tc.left)
		}
		if has := func(p string) bool {
			return slices.ContainsFunc(i.Edits, func(e change.Edit) bool { return e.Path == p })
		}; tc.edits != "" && (!has(tc.edits) || has(byProfiles) != (tc.edits == byProfiles)) {
			t.Errorf("%s: it does not edit %s: %+v", tc.name, tc.edits, i.Edits)
		}
	}
}

// TestPAMWaitsForPackages has a package that writes the stacks anew come before what else is changed there.
func TestPAMWaitsForPackages(t *testing.T) {
	host := stacksOf("", "")
	p := planned(t, host, "pam/password-quality", "pam/password-history")
	if i := itemOf(t, p, "pam/password-history"); !strings.Contains(i.Left, "libpam-pwquality is installed first") {
		t.Errorf("it does not wait: %+v", i)
	}
	// The package alone would refuse every password, as it has no dictionary.
	if i := itemOf(t, p, "pam/password-quality"); !i.Changes() || len(p.Steps) != 1 || !slices.Equal(p.Steps[0].Args, []string{"libpam-pwquality", "cracklib-runtime"}) {
		t.Errorf("the package is not installed, or more is done: %+v", p.Steps)
	}
	if i := itemOf(t, planned(t, host, "pam/password-history"), "pam/password-history"); !slices.ContainsFunc(i.Edits, func(e change.Edit) bool {
		return e.Path == "/etc/pam.d/common-password" && e.After.Type == snap.File && strings.Contains(string(e.After.Content), "pam_pwhistory.so remember=24\npassword\t[success=1 default=ignore]\tpam_unix.so obscure use_authtok try_first_pass yescrypt\n")
	}) {
		t.Errorf("by itself it is not changed: %+v", i)
	}
	i := itemOf(t, planned(t, stacksOf("auth\toptional\tpam_warn.so\n", ""), "pam/password-quality"), "pam/password-quality")
	if !strings.Contains(i.Left, "libpam-pwquality would not come into force") {
		t.Errorf("a package is installed that does not come into force: %+v", i)
	}
}

// TestPasswordsRunOut tells who has to change a password by when, and has nobody kept out at once.
func TestPasswordsRunOut(t *testing.T) {
	// 2026-01-15 is the day 20468.
	host := func(changed, max string) string {
		return "-- host: fail --\ntaken: 2026-01-15T12:00:00Z\n-- /etc/passwd --\nroot:x:0:0::/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/bash\n-- /etc/shadow 0640 0:42 --\nroot:*:20000:0:99999:7:::\nann:[yescrypt]:" +
			changed + ":0:" + max + ":7:::\n-- /etc/login.defs --\nPASS_MAX_DAYS 365\n-- /etc/default/useradd --\nINACTIVE=30\n"
	}
	raw := func(t *testing.T, text, id string) plan.Item {
		t.Helper()
		controls, _ := control.Load(catalogue.Controls(), kind.All())
		controls = slices.DeleteFunc(controls, func(c control.Control) bool { return c.ID != id })
		list, err := cases.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		s := list[0].Snapshot
		e, _, _ := s.File("/etc/shadow")
		return itemOf(t, plan.Make(controls, s, audit.Evaluate(controls, s, audit.Options{Now: s.Taken}), plan.Options{Raw: map[string][]byte{
			"/etc/shadow": []byte(strings.ReplaceAll(string(e.Content), "[yescrypt]", someHash)),
		}}), id)
	}
	for _, tc := range []struct{ id, changed, max, told, left string }{
		{id: "accounts/password-max-age", changed: "20400", max: "99999", told: "ann must change its password by 2026-11-08: "},
		{id: "accounts/password-max-age", changed: "20000", max: "99999", left: "`picket passwd ann` first"},
		{id: "accounts/password-max-age", changed: "20103", max: "", left: "`picket passwd ann` first"},
		{id: "accounts/inactive-accounts", changed: "20400", max: "99999", told: "it is closed from 2026-12-09 on"},
		{id: "accounts/inactive-accounts", changed: "20400", max: "60", told: "the password of ann has run out; it is closed from 2026-02-07 on"},
		{id: "accounts/inactive-accounts", changed: "20000", max: "60", left: "`picket passwd ann` first"},
		{id: "accounts/inactive-accounts", changed: "20000", max: "99999", left: "`picket passwd ann` first"},
	} {
		i := raw(t, host(tc.changed, tc.max), tc.id)
		if told := strings.Join(i.Notes, "\n"); !strings.Contains(told, tc.told) || (tc.told == "") != (told == "") || !strings.Contains(i.Left, tc.left) || (tc.left == "") != (i.Left == "") {
			t.Errorf("%s, changed on %s, at most %q: told %q, left %q; want %q, %q", tc.id, tc.changed, tc.max, told, i.Left, tc.told, tc.left)
		}
	}
}

// TestReadersOfHomes leaves a home as it is that others than its owner read.
func TestReadersOfHomes(t *testing.T) {
	host := func(more string) string {
		return "-- host: fail --\n-- /etc/passwd --\nroot:x:0:0::/root:/bin/bash\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\nann:x:1000:1000::/home/ann:/bin/bash\n" +
			"-- /home/ann/ 0755 1000:1000 --\n-- /etc/group --\nann:x:1000:\nwww-data:x:33:\n-- $ systemctl list-unit-files --no-legend --no-pager --plain --full *.service *.socket *.timer *.path ctrl-alt-del.target tmp.mount --\npages.service enabled enabled\n" +
			"-- $ systemctl list-units --all --no-legend --no-pager --plain --full --\npages.service loaded active running Pages\n" + more
	}
	unit := func(text string) string { return "-- /etc/systemd/system/pages.service --\n[Service]\n" + text + "\n" }
	for name, tc := range map[string]struct{ more, left string }{
		"it starts there":           {unit("User=www-data\nWorkingDirectory=/home/ann/pages\nExecStart=/usr/bin/pages"), "pages.service, which runs as www-data and names /home/ann/pages, reads /home/ann"},
		"it is told of files":       {unit("User=33\nExecStart=/usr/bin/pages --root=/home/ann/pages"), "names /home/ann/pages"},
		"it may write there":        {unit("DynamicUser=yes\nReadWritePaths=-/home/ann/pages\nExecStart=/usr/bin/pages"), "a user of its own"},
		"cron":                      {unit("ExecStart=/usr/bin/pages") + "-- /etc/cron.d/pages --\n5 * * * * www-data cp /home/ann/pages/index.html /srv\n", "cron (/etc/cron.d/pages:1), which runs as www-data"},
		"it is its owner's":         {unit("User=ann\nWorkingDirectory=/home/ann/pages\nExecStart=/home/ann/bin/pages"), ""},
		"it is root's":              {unit("WorkingDirectory=/home/ann/pages\nExecStart=/home/ann/bin/pages"), ""},
		"another home":              {unit("User=www-data\nWorkingDirectory=/home/anna\nExecStart=/usr/bin/pages"), ""},
		"it is in the home's group": {strings.Replace(unit("User=www-data\nWorkingDirectory=/home/ann/pages\nExecStart=/usr/bin/pages"), "-- /etc", "-- /etc/group --\nann:x:1000:www-data\n-- /etc", 1), ""},
	} {
		i := itemOf(t, planned(t, host(tc.more), "accounts/homes-private"), "accounts/homes-private")
		if tc.left == "" && i.Left != "" || tc.left != "" && !strings.Contains(i.Left, tc.left) {
			t.Errorf("%s: left as %q, want %q", name, i.Left, tc.left)
		}
	}
}
