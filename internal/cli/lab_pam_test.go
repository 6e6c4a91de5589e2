package cli_test

import (
	"strings"
	"testing"

	"picket/lab"
)

// pamOf is all that changes of PAM's stacks have to leave as it was when they are taken back: names, rights, times of
// files, and what they hold.
func pamOf(h *lab.Host) string {
	return h.Sh(`for d in /etc/pam.d /etc/security /usr/share/pam-configs /var/lib/pam; do find $d -type f -printf '%p %m %U %G %t\n' | sort; find $d -type f -exec sha256sum {} + | sort -k 2; done`)
}

// contents is pamOf without the times.
func contents(h *lab.Host) string {
	return h.Sh(`for d in /etc/pam.d /etc/security /usr/share/pam-configs /var/lib/pam; do find $d -type f -printf '%p %m %U %G\n' | sort; find $d -type f -exec sha256sum {} + | sort -k 2; done`)
}

// managed wants pam-auth-update to go on with the stacks, and to write them as they are.
func managed(t *testing.T, h *lab.Host) {
	t.Helper()
	before := h.Sh("cat /etc/pam.d/common-*")
	out := h.Sh("DEBIAN_FRONTEND=noninteractive pam-auth-update --package 2>&1")
	if after := h.Sh("cat /etc/pam.d/common-*"); strings.Contains(out, "odification") || after != before {
		t.Errorf("pam-auth-update says %q and writes\n%s\nin the place of\n%s", out, after, before)
	}
}

// takenBackOn has a host take a change back.
func takenBackOn(t *testing.T, h *lab.Host, tx string) {
	t.Helper()
	if out, code := h.Try("sh", "/var/lib/picket/tx/"+tx+"/tx", "undo"); code != 0 {
		t.Errorf("undo of %s: %d\n%s", tx, code, out)
	}
}

// changesPassword has an account change its own password.
func changesPassword(h *lab.Host, user, old, next string) (string, bool) {
	out, code := h.Try("su", "-s", "/bin/sh", user, "-c", "printf '%s\\n' '"+old+"' '"+next+"' '"+next+"' '"+next+"' | passwd")
	return out, code == 0
}

// TestPAMStaysManaged has accounts locked after wrong passwords, and old passwords refused: pam-auth-update goes on managing
// the stacks, logins do as they should, a package comes and goes, and all is taken back.
func TestPAMStaysManaged(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Debian)
	lived(h)
	h.Serve("libpam-pwquality", "cracklib-runtime")
	out, code := verb(t, h, "apply", "TARGET", "--profile", "strict", "--only", "pam/lockout,pam/password-history", "--accept-risk", "lose-ssh", "--yes")
	tx := kept(t, h, out, code)
	for _, c := range []string{"pam/lockout", "pam/password-history"} {
		must(t, auditOn(t, h, "--profile", "strict", "--only", "pam"), c, "pass")
	}
	if got := h.Sh("grep -v '^#' /etc/pam.d/common-auth | grep ."); got != "auth\trequisite\tpam_faillock.so preauth\nauth\t[success=2 default=ignore]\tpam_unix.so nullok try_first_pass\n"+
		"auth\t[default=die]\tpam_faillock.so authfail\nauth\trequisite\t\t\tpam_deny.so\nauth\trequired\t\t\tpam_permit.so\n" {
		t.Errorf("common-auth:\n%s", got)
	}
	managed(t, h)

	// Right and wrong passwords.
	in := func() bool { return h.TryPassword("operator", lab.OperatorPassword) == nil }
	sudo := func(password string) bool { // without a login before it: one with a key would forget the wrong ones
		_, code := h.Try("sh", "-c", "echo '"+password+"' | runuser -u operator -- sudo -S -k true")
		return code == 0
	}
	if !in() || !sudo(lab.OperatorPassword) || sudo("wrong") || h.TryPassword("operator", "wrong") == nil {
		t.Error("a right password is refused, or a wrong one is taken")
	}
	if !in() || !strings.Contains(h.Sh("faillock --user operator | wc -l"), "2") {
		t.Errorf("a right password does not forget the wrong ones:\n%s", h.Sh("faillock --user operator"))
	}
	for range 5 {
		_ = h.TryPassword("operator", "wrong")
	}
	if in() || sudo(lab.OperatorPassword) {
		t.Error("after five wrong passwords the account is not locked")
	}
	if out, code := h.TrySSH("operator", "true"); code != 0 {
		t.Errorf("a key is refused while it is locked: %s", out)
	}
	h.Sh("faillock --user operator --reset")
	if !in() || !sudo(lab.OperatorPassword) {
		t.Error("after the reset it is still locked")
	}
	h.Sh("useradd -m -s /bin/bash ada; echo ada:lantern-Mosaic-14-umbrella | chpasswd")
	if out, ok := changesPassword(h, "ada", "lantern-Mosaic-14-umbrella", "harbour-Trapeze-15-lagoon"); !ok {
		t.Errorf("a new password is refused: %s", out)
	}
	if out, ok := changesPassword(h, "ada", "harbour-Trapeze-15-lagoon", "lantern-Mosaic-14-umbrella"); ok {
		t.Errorf("an old password is taken: %s", out)
	}

	// A package with a profile of its own comes into force, before and after the rest.
	h.Sh("apt-get -q -y --no-install-recommends install libpam-pwquality cracklib-runtime")
	if got := h.Sh("grep -v '^#' /etc/pam.d/common-password | grep ."); got != "password\trequisite\t\t\tpam_pwquality.so retry=3\npassword\trequisite\tpam_pwhistory.so remember=24 use_authtok\n"+
		"password\t[success=1 default=ignore]\tpam_unix.so obscure use_authtok try_first_pass yescrypt\npassword\trequisite\t\t\tpam_deny.so\npassword\trequired\t\t\tpam_permit.so\n" {
		t.Errorf("common-password with the package:\n%s", got)
	}
	if out, ok := changesPassword(h, "ada", "harbour-Trapeze-15-lagoon", "abc"); ok {
		t.Errorf("a weak password is taken: %s", out)
	}
	if out, ok := changesPassword(h, "ada", "harbour-Trapeze-15-lagoon", "cinnamon-Window-16-orchard"); !ok {
		t.Errorf("a good password is refused: %s", out)
	}
	managed(t, h)
	// The stack of the package stays when ours goes, and our line does not.
	if out, code := h.Try("sh", "/var/lib/picket/tx/"+tx+"/tx", "undo"); code != 6 || !strings.Contains(out, "/etc/pam.d/common-password was changed by somebody since") {
		t.Errorf("undo after a package has come: %d\n%s", code, out)
	}
	if got := h.Sh("grep -l -r -e picket -e pwhistory -e faillock /etc/pam.d/common-* /var/lib/pam /usr/share/pam-configs || true; grep -c pwquality /etc/pam.d/common-password"); got != "1\n" {
		t.Errorf("after it: %s", got)
	}
	managed(t, h)
	if !in() || !sudo(lab.OperatorPassword) || sudo("wrong") {
		t.Error("after it a right password is refused, or a wrong one is taken")
	}
}

// TestPAMUndoneAfterUpdate takes back what pam-auth-update has written anew in the meantime.
func TestPAMUndoneAfterUpdate(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Debian)
	lived(h)
	before, whole := contents(h), pamOf(h)
	out, code := verb(t, h, "apply", "TARGET", "--profile", "strict", "--only", "pam/lockout,pam/password-history", "--accept-risk", "lose-ssh", "--yes")
	takenBackOn(t, h, kept(t, h, out, code))
	same2(t, whole, pamOf(h))
	out, code = verb(t, h, "apply", "TARGET", "--profile", "strict", "--only", "pam/lockout,pam/password-history", "--accept-risk", "lose-ssh", "--yes")
	tx := kept(t, h, out, code)
	managed(t, h)
	h.Sh("dpkg-reconfigure -f noninteractive libpam-runtime; dpkg-reconfigure -f noninteractive libpam-systemd")
	managed(t, h)
	must(t, auditOn(t, h, "--profile", "strict", "--only", "pam"), "pam/lockout", "pass")
	takenBackOn(t, h, tx)
	same2(t, before, contents(h))
}

// TestPAMByHand does the same where somebody has edited the stacks: line by line, as pam-auth-update leaves them alone.
func TestPAMByHand(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Debian)
	lived(h)
	h.Sh("sed -i '/Primary/a auth optional pam_warn.so' /etc/pam.d/common-auth")
	before := pamOf(h)
	out, code := verb(t, h, "apply", "TARGET", "--profile", "strict", "--only", "pam/lockout,pam/password-history,pam/password-quality", "--accept-risk", "lose-ssh", "--yes")
	tx := kept(t, h, out, code)
	if !strings.Contains(out, "libpam-pwquality would not come into force") {
		t.Errorf("a package is installed that does not come into force:\n%s", out)
	}
	must(t, auditOn(t, h, "--profile", "strict", "--only", "pam"), "pam/lockout", "pass")
	if h.TryPassword("operator", lab.OperatorPassword) != nil || h.TryPassword("operator", "wrong") == nil {
		t.Error("a right password is refused, or a wrong one is taken")
	}
	takenBackOn(t, h, tx)
	same2(t, before, pamOf(h))
}

// TestPAMWithPackages installs what checks passwords and sets all the rest of PAM, in one go.
func TestPAMWithPackages(t *testing.T) {
	t.Parallel()
	h := start(t, lab.Debian)
	lived(h)
	h.Serve("libpam-pwquality", "cracklib-runtime")
	before := contents(h)
	apply := []string{"apply", "TARGET", "--profile", "strict", "--only", "pam", "--accept-risk", "lose-ssh", "--yes"}
	out, code := verb(t, h, append([]string(nil), apply...)...)
	kept(t, h, out, code)
	r := auditOn(t, h, "--profile", "strict", "--only", "pam")
	for _, c := range []string{"pam/lockout", "pam/password-history", "pam/password-quality", "pam/password-length", "pam/history-chain"} {
		must(t, r, c, "pass")
	}
	if t.Failed() {
		t.Log(out)
	}
	managed(t, h)
	if out, code := verb(t, h, append([]string(nil), apply...)...); code != 0 || strings.Contains(out, "done and kept") {
		t.Errorf("a second time: exit code %d\n%s", code, out)
	}
	ids := keptAs.FindAllStringSubmatch(out, -1)
	if len(ids) < 2 {
		t.Fatalf("want the package first, and then what writes the same files:\n%s", out)
	}
	if out, code := h.Try("sh", "/var/lib/picket/tx/"+ids[0][1]+"/tx", "undo"); code != 4 || !strings.Contains(out, ids[1][1]) {
		t.Errorf("the first before the second: %d\n%s", code, out)
	}
	for i := len(ids) - 1; i >= 0; i-- {
		takenBackOn(t, h, ids[i][1])
	}
	same2(t, before, contents(h))
	if h.TryPassword("operator", lab.OperatorPassword) != nil || h.TryPassword("operator", "wrong") == nil {
		t.Error("a right password is refused, or a wrong one is taken")
	}
}
