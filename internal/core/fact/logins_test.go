package fact

import (
	"strings"
	"testing"
)

// Who is let in by a password, as TestFactoryPasswordOverSSH tries on a booted host.
func TestLogins(t *testing.T) {
	const (
		set    = "$y$j75$saltsaltsalt$d2v3hkUSx9obEcmvIPnnDGho9IhUclwqdIkqB3OiN89"
		passwd = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/usr/sbin/nologin\npi:x:1000:1000::/home/pi:/bin/bash\n"
	)
	for name, tc := range map[string]struct {
		config, pi, user string
		want             string // yes, no, or a part of what refuses it
	}{
		"a password, by default":            {"", set, "pi", "yes"},
		"keys only":                         {"PasswordAuthentication no\nKbdInteractiveAuthentication no\n", set, "pi", "no"},
		"by the other way of asking":        {"PasswordAuthentication no\nKbdInteractiveAuthentication yes\nUsePAM yes\n", set, "pi", "yes"},
		"the other way, without PAM":        {"PasswordAuthentication no\nKbdInteractiveAuthentication yes\nUsePAM no\n", set, "pi", "no"},
		"both are needed":                   {"AuthenticationMethods publickey,password\n", set, "pi", "no"},
		"one of two lists is enough":        {"AuthenticationMethods publickey,password password\n", set, "pi", "yes"},
		"a list of what asks for passwords": {"UsePAM yes\nKbdInteractiveAuthentication yes\nAuthenticationMethods password,keyboard-interactive:pam\n", set, "pi", "yes"},
		"a list with a way that is off":     {"UsePAM no\nAuthenticationMethods password,keyboard-interactive\n", set, "pi", "no"},
		"any list":                          {"AuthenticationMethods any\n", set, "pi", "yes"},
		"a locked password":                 {"UsePAM yes\n", "!" + set, "pi", "no"},
		"a locked password without PAM":     {"UsePAM no\n", "!" + set, "pi", "locked"},
		"an empty one":                      {"", "", "pi", "no"},
		"an empty one that is let in":       {"PermitEmptyPasswords yes\n", "", "pi", "yes"},
		"not among those who may":           {"AllowUsers amy\n", set, "pi", "AllowUsers"},
		"root, by default":                  {"", set, "root", "no"},
		"root as everybody":                 {"PermitRootLogin yes\n", set, "root", "yes"},
		"no root":                           {"PermitRootLogin no\n", set, "root", "PermitRootLogin is no"},
	} {
		h := told(t, "image", map[string]string{
			"/etc/passwd": passwd, "/etc/group": "root:x:0:\npi:x:1000:\n", "/etc/ssh/sshd_config": tc.config,
			"/etc/shadow": "root:" + set + ":20000:0:99999:7:::\npi:" + tc.pi + ":20000:0:99999:7:::\n",
		}, nil)
		l, ok := h.Logins.Login(tc.user)
		got := map[bool]string{true: "yes", false: "no"}[l.Password.V]
		if l.Refused != "" {
			got = l.Refused
		}
		if !ok || !l.Password.Known() || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %q, want %q (%+v)", name, got, tc.want, l)
		}
		if _, ok := h.Logins.Login("daemon"); ok {
			t.Errorf("%s: daemon has no shell and is among those who log in", name)
		}
	}
}
