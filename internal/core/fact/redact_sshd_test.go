package fact

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"picket/internal/core/snap"
	"picket/lab/leftout"
)

// TestIncludeKeepsSettingsOnly: an Include may lead anywhere, and a saved
// snapshot must not carry what lies there.
func TestIncludeKeepsSettingsOnly(t *testing.T) {
	const key = "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n-----END OPENSSH PRIVATE KEY-----\n"
	s := snap.New(snap.Source{Kind: "local"}, time.Time{})
	add := func(p, real, content string) {
		s.Entries[p] = &snap.Entry{Path: p, Real: real, Type: snap.File, Read: true, Content: []byte(content)}
	}
	add(sshdMain, "", "Include /etc/ssh/ssh_host_*_key /root/notes /etc/ssh/more\nInclude /etc/ssh/sshd_config.d/*.conf\n# kept\nPermitRootLogn no\n")
	add("/etc/ssh/ssh_host_rsa_key", "", key)
	add("/root/notes", "", "the pin is hunter2\n# hunter2\nhunter2\n")
	add("/etc/ssh/more", "", "# hunter2\n\nPasswordAuthentication no\nMatch User x\n  ChallengeResponseAuthentication no\nSetEnv API_TOKEN=hunter2\n")
	add("/etc/ssh/sshd_config.d/a.conf", "/root/other", "hunter2 x\n")
	s.MarkAsked(snap.Manifest{Files: []string{sshdMain, "/etc/ssh/sshd_config.d/*.conf", "/etc/ssh/ssh_host_*_key", "/root/notes", "/etc/ssh/more"}})
	s.Commands["sshd -t"] = &snap.Output{Argv: []string{"sshd", "-t"}, Exit: 255, Stderr: "/root/notes: line 1: Bad configuration option: hunter2\r\n" +
		"/etc/ssh/sshd_config.d/a.conf line 1: hunter2\r\n/etc/ssh/sshd_config: line 4: Bad configuration option: PermitRootLogn\r\n"}
	Redact(s, Secrets{})
	Redact(s, Secrets{})
	for p, e := range s.Entries {
		if strings.Contains(string(e.Content), "hunter2") {
			t.Errorf("%s is kept: %q", p, e.Content)
		}
	}
	if got, want := string(s.Entries["/etc/ssh/more"].Content), "#\n\nPasswordAuthentication no\nMatch User x\n  ChallengeResponseAuthentication no\nSetEnv API_TOKEN=[hidden]\n"; got != strings.Replace(want, "[hidden]", Hidden, 1) {
		t.Errorf("settings became %q", got)
	}
	if got := string(s.Entries[sshdMain].Content); !strings.Contains(got, "# kept\nPermitRootLogn") {
		t.Errorf("sshd's own file became %q", got)
	}
	if e := s.Commands["sshd -t"].Stderr; strings.Contains(e, "hunter2") || !strings.Contains(e, "/root/notes: line 1: ") || !strings.Contains(e, "PermitRootLogn") {
		t.Errorf("sshd's complaint became %q", e)
	}
	places := map[string]bool{}
	for _, p := range readSSHD(s, 0).Problems {
		places[p.Place.String()] = true
	}
	for _, at := range []string{"/root/notes:1", "/root/notes:3", "/etc/ssh/ssh_host_rsa_key:2", "/etc/ssh/sshd_config.d/a.conf:1"} {
		if !places[at] {
			t.Errorf("%s is no problem; those are %v", at, places)
		}
	}
}

// TestManyMatches: neither thousands of blocks nor of accounts take long.
func TestManyMatches(t *testing.T) {
	leftout.OfRace(t)
	const n = 50_000
	var c SSHDConfig
	for i := range n {
		c.Matches = append(c.Matches, SSHDMatch{Criteria: []SSHDCriterion{{"address", fmt.Sprintf("10.%d.%d.1", i/256, i%256)}}})
	}
	var a Accounts
	for i := range n / 2 {
		a.Users = append(a.Users, User{Name: fmt.Sprintf("u%d", i), UID: 1000 + i, Shell: "/bin/sh"})
	}
	begun := time.Now()
	who, left := c.Logins(a)
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	if len(who) != MaxSSHDLogins || left < n {
		t.Errorf("%d are asked, %d left out", len(who), left)
	}
}
