package pamauth_test

import (
	"errors"
	"path"
	"strings"
	"testing"

	"picket/internal/core/pamauth"
	"picket/lab"
)

const (
	quality = "Name: Quality\nDefault: yes\nPriority: 1024\nConflicts: cracklib\nPassword-Type: Primary\nPassword:\n\trequisite\t\t\tpam_pwquality.so retry=3\nPassword-Initial:\n\trequisite\t\t\tpam_pwquality.so retry=3\n"
	remote  = "Name: Remote accounts\nDefault: yes\nPriority: 128\nAuth-Type: Primary\nAuth:\n\t[success=end default=ignore]\tpam_remote.so use_first_pass\nAuth-Initial:\n\t[success=end default=ignore]\tpam_remote.so forward_pass\n" +
		"Account-Type: Additional\nAccount:\n\tsufficient\tpam_localuser.so\n\t[default=bad success=ok user_unknown=ignore]\tpam_remote.so\nPassword-Type: Primary\nPassword:\n\tsufficient\tpam_remote.so use_authtok\n"
	extra = "Name: Extra\nDefault: yes\nPriority: 1024\nAuth-Type: Primary\nAuth:\n\trequisite\tpam_extra.so before\nAccount-Type: Primary\nAccount-Final:\n\trequired   pam_extra.so\n\nSession-Type: Additional\nSession-Interactive-Only: yes\nSession:\n\toptional pam_extra.so\n"
	last  = "Name: Last\nDefault: no\nPriority: 0\nAuth-Type: Primary\nAuth:\n\t[default=die]\tpam_extra.so after\nPassword-Type: Primary\nPassword:\n\trequisite pam_extra.so use_authtok\nPassword-Initial:\n\trequisite pam_extra.so\n"
)

func hostOf(h *lab.Host) pamauth.Host {
	is := pamauth.Host{Profiles: map[string]string{}, Stacks: map[string]string{}, Saved: map[string]string{}}
	for _, kind := range pamauth.Kinds {
		is.Stacks[kind] = h.Read(pamauth.Stack(kind))
		if _, code := h.Try("test", "-e", path.Join(pamauth.Saved, kind)); code == 0 {
			is.Saved[kind] = h.Read(path.Join(pamauth.Saved, kind))
		}
	}
	for name := range strings.FieldsSeq(h.Sh("ls " + pamauth.Profiles)) {
		is.Profiles[name] = h.Read(path.Join(pamauth.Profiles, name))
	}
	return is
}

// TestAsTheProgramDoes has the real pam-auth-update do on hosts of all kinds what this package says that it would.
func TestAsTheProgramDoes(t *testing.T) {
	t.Parallel()
	h := lab.Start(t, lab.Debian)
	const update = "DEBIAN_FRONTEND=noninteractive pam-auth-update --package"
	h.Sh("cp -a /etc/pam.d /root/pam.d; cp -a /var/lib/pam /root/pam; cp -a /usr/share/pam-configs /root/configs")
	for _, tc := range []struct {
		name, plant string
		enable      []string
		byHand      bool
		refused     string
	}{
		{name: "as installed", enable: []string{"extra", "last"}},
		{name: "with others", plant: update, enable: []string{"extra", "last"}},
		{name: "the first of them", plant: "rm /usr/share/pam-configs/quality /usr/share/pam-configs/remote", enable: []string{"last"}},
		{name: "options away", plant: "sed -i 's/ nullok//' /etc/pam.d/common-auth", enable: []string{"extra"}},
		{name: "options of all kinds", plant: update + "; sed -i 's/pam_unix.so.*/& rounds=9 audit/; s/retry=3/retry=1 minlen=20/' /etc/pam.d/common-*", enable: []string{"extra", "last"}},
		{name: "lines outside", plant: "echo 'auth optional pam_warn.so' >>/etc/pam.d/common-auth; sed -i '1i auth optional pam_warn.so' /etc/pam.d/common-auth", enable: []string{"extra"}},
		{name: "another kind is without a profile", plant: "sed -i '/pam_unix/d' /etc/pam.d/common-session", enable: []string{"last"}},
		{name: "a line was taken out", plant: update + " --enable extra; sed -i '/pam_extra/d' /etc/pam.d/common-auth", enable: []string{"last"}, refused: "somebody has taken out"},
		{name: "a line within", plant: "sed -i '/Primary/a auth optional pam_warn.so' /etc/pam.d/common-auth", byHand: true},
		{name: "a comment within", plant: "sed -i '/Additional/a # mine' /etc/pam.d/common-session", byHand: true},
		{name: "no marks", plant: "sed -i '/^#/d' /etc/pam.d/common-password", byHand: true},
		{name: "another order", plant: update + "; sed -i '/pam_pwquality/{h;d};/pam_unix/G' /etc/pam.d/common-password", byHand: true},
		{name: "nothing saved", plant: "rm /var/lib/pam/session", byHand: true},
	} {
		h.Sh("rm -rf /etc/pam.d /var/lib/pam /usr/share/pam-configs; cp -a /root/pam.d /etc/pam.d; cp -a /root/pam /var/lib/pam; cp -a /root/configs /usr/share/pam-configs")
		for name, text := range map[string]string{"quality": quality, "remote": remote, "extra": extra, "last": last} {
			h.Write(path.Join(pamauth.Profiles, name), 0o644, text)
		}
		// What the host does not have yet is no matter here.
		h.Sh("printf '%s\\n' extra >>/var/lib/pam/seen; " + tc.plant + "\nls /usr/share/pam-configs >/var/lib/pam/seen")
		is := hostOf(h)
		want, err := is.Enable(tc.enable...)
		if tc.refused != "" {
			if err == nil || !strings.Contains(err.Error(), tc.refused) {
				t.Errorf("%s: %v, want %q", tc.name, err, tc.refused)
			}
			continue
		}
		out := h.Sh(update + " --enable " + strings.Join(tc.enable, " ") + " 2>&1")
		if alone := strings.Contains(out, "Local modifications"); alone != tc.byHand || errors.Is(err, pamauth.ErrByHand) != tc.byHand {
			t.Errorf("%s: pam-auth-update leaves it alone: %v; said: %v\n%s", tc.name, alone, err, out)
		}
		if tc.byHand {
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		got := hostOf(h)
		var kinds []string
		for _, kind := range pamauth.Kinds {
			if want.Stacks[kind] == is.Stacks[kind] {
				continue // it writes all, and this no more than it has to
			}
			kinds = append(kinds, kind)
			if got.Stacks[kind] != want.Stacks[kind] {
				t.Errorf("%s: %s:\n%s\nwant\n%s", tc.name, kind, got.Stacks[kind], want.Stacks[kind])
			}
			if got.Saved[kind] != want.Saved[kind] {
				t.Errorf("%s: saved of %s:\n%s\nwant\n%s", tc.name, kind, got.Saved[kind], want.Saved[kind])
			}
		}
		if out, code := h.Try("sh", "-c", pamauth.Check(kinds...)); code != 0 {
			t.Errorf("%s: the check: %d\n%s", tc.name, code, out)
		}
		h.Sh("sed -i 's/pam_unix.so/pam_unix.so  nodelay/' /etc/pam.d/common-auth; sed -i '/Primary/a auth optional pam_warn.so' /etc/pam.d/common-auth")
		if out, code := h.Try("sh", "-c", pamauth.Check(kinds...)); code == 0 || !strings.Contains(out, "Local modifications") {
			t.Errorf("%s: the check of what was edited by hand: %d\n%s", tc.name, code, out)
		}
	}
}
