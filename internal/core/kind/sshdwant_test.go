package kind

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

func TestSSHDWantAccepts(t *testing.T) {
	grace := sshdWant{option: "LoginGraceTime", Max: "60", Not: []string{"0"}}
	starts := sshdWant{option: "MaxStartups", Max: "10:30:60"}
	ciphers := sshdWant{option: "Ciphers", Subset: []string{"aes256-ctr", "aes128-ctr"}}
	macs := sshdWant{option: "MACs", Without: []string{"*sha1*"}}
	methods := sshdWant{option: "AuthenticationMethods", Each: "publickey"}
	root := sshdWant{option: "PermitRootLogin", values: []string{"no", "prohibit-password"}}
	for _, c := range []struct {
		w     sshdWant
		value string
		want  bool
	}{
		{grace, "60", true}, {grace, "61", false}, {grace, "0", false}, {grace, "soon", false}, {grace, "", false},
		{starts, "10:30:60", true}, {starts, "10:30:100", false}, {starts, "5:30:10", true},
		{ciphers, "aes256-ctr", true}, {ciphers, "aes256-ctr,aes256-cbc", false},
		{macs, "hmac-sha2-256", true}, {macs, "hmac-sha2-256,hmac-sha1-etm@openssh.com", false},
		{methods, "publickey,password publickey,keyboard-interactive:pam", true}, {methods, "publickey password", false}, {methods, "any", false}, {methods, "", false},
		{root, "without-password", true}, {root, "NO", true}, {root, "yes", false}, {root, "", false},
	} {
		if got, _ := c.w.accepts([]string{c.value}); got != c.want {
			t.Errorf("%s %q: %v", c.w.option, c.value, got)
		}
	}
}

// TestTooManyLogins: of more logins than are looked at, one may be let in by a
// password although all others are not.
func TestTooManyLogins(t *testing.T) {
	for blocks, want := range map[int]control.Verdict{3: control.Pass, 3 * fact.MaxSSHDLogins: control.Unknown} {
		var config strings.Builder
		config.WriteString("PermitEmptyPasswords no\n")
		for i := range blocks {
			fmt.Fprintf(&config, "Match Address 10.%d.0.0/16\n\tBanner /etc/b%d\n", i, i)
		}
		s := snap.New(snap.Source{Kind: "image"}, time.Time{})
		for p, content := range map[string]string{"/etc/ssh/sshd_config": config.String(), "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\n", "/etc/group": "root:x:0:\n"} {
			s.Entries[p] = &snap.Entry{Path: p, Type: snap.File, Mode: 0o644, Read: true, Content: []byte(content)}
			s.MarkAsked(snap.Manifest{Files: []string{p}})
		}
		s.MarkComplete()
		rule := &sshdOption{want: []sshdWant{{option: "PermitEmptyPasswords", values: []string{"no"}}}}
		if o := rule.Evaluate(fact.Parse(s)); o.Verdict != want {
			t.Errorf("%d blocks: %s (%s), want %s", blocks, o.Verdict, o.Reason, want)
		}
	}
}
