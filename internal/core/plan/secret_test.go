package plan

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"picket/internal/core/change"
	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

const oneHash, otherHash = "$y$j9T$abcdefghijklmnop$ZDloJgfb9iMP/OhlO6VibvzQwWOMaT5q5ZGAWJe8us.", "$6$abcdefgh$4o4.L3tiGL1RD7BsjaaWYcCVs87zOlvZK7S6SXQETuFMA2ELLDwmf3YDHidZ3I4E/fXmmOOWhAJHUSMf.eA6c1"

func withShadow(content string) *snap.Snapshot {
	s := snap.New(snap.Source{Kind: "ssh"}, time.Unix(0, 0))
	s.MarkComplete()
	s.Put(&snap.Entry{Path: "/etc/shadow", Type: snap.File, Mode: 0o640, Read: true, Content: []byte(content)})
	s.Put(&snap.Entry{Path: "/etc", Type: snap.Dir, Mode: 0o755})
	fact.Redact(s, fact.Secrets{})
	return s
}

// TestOwnHidesSecrets: what is read anew is in the steps, and nowhere in what is shown.
func TestOwnHidesSecrets(t *testing.T) {
	content := "ann:" + oneHash + ":19700:0:99999:7:::\nbob:" + oneHash + ":19700:0:99999:7:::\n"
	s := withShadow(content)
	fix := func(_ *fact.Host, d *change.Draft) error {
		return errors.Join(d.Edit("/etc/shadow", 0, func(b []byte) ([]byte, error) {
			return []byte(strings.NewReplacer("ann:"+oneHash+":19700", "ann:"+otherHash+":20000", "bob:"+oneHash, "bob:"+strings.Replace(oneHash, "abc", "abd", 1)).Replace(string(b))), nil
		}))
	}
	p, err := Own("test", "a test", s, nil, fix)
	if err != nil || fmt.Sprint(p.Wanted()) != "[/etc/shadow]" || len(p.Steps) > 0 {
		t.Fatalf("%v, %v, %v", p.Wanted(), p.Steps, err)
	}
	if p, err = Own("test", "a test", s, map[string][]byte{"/etc/shadow": []byte(content)}, fix); err != nil || len(p.Steps) != 1 {
		t.Fatalf("%v, %v", p.Steps, err)
	}
	if !strings.Contains(string(p.Steps[0].After.Content), otherHash) || string(p.Steps[0].Before.Content) != content {
		t.Errorf("the step: %q", p.Steps[0].After.Content)
	}
	e := p.Items[0].Edits[0]
	shown := string(e.Before.Content) + string(e.After.Content)
	if strings.Contains(shown, "$") || !strings.Contains(shown, "ann:[sha512crypt]:20000:0") || !strings.Contains(shown, "bob:[yescrypt, another one]:") || e.Secret != 0 {
		t.Errorf("shown, %d lines of which are secret:\n%s", e.Secret, shown)
	}
	// A file that takes over what another held.
	fix = func(_ *fact.Host, d *change.Draft) error {
		is, err := d.At("/etc/shadow")
		d.Hide("/etc/shadow-")
		return errors.Join(err, d.Put("/etc/shadow-", is))
	}
	p, err = Own("test", "a test", s, map[string][]byte{"/etc/shadow": []byte(content)}, fix)
	if err != nil || strings.Contains(string(p.Items[0].Edits[0].After.Content), "$") || !strings.Contains(string(p.Steps[0].After.Content), oneHash) {
		t.Errorf("%+v, %v", p.Items, err)
	}
	if _, err = Own("test", "a test", s, nil, func(*fact.Host, *change.Draft) error { return errors.New("no") }); err == nil {
		t.Error("a fix that fails is taken to be done")
	}
}

func TestHide(t *testing.T) {
	s := withShadow("")
	for p, tc := range map[string][2]string{
		"/etc/shadow":                     {"ann:" + oneHash + ":1:::::: \n", "ann:[yescrypt, not checked (ran out of time)]:1:::::: \n"},
		"/etc/gshadow":                    {"sudo:" + oneHash + "::ann\n", "sudo:[yescrypt]::ann\n"},
		"/etc/systemd/system/bot.service": {"User=pi\nEnvironment=\"API_TOKEN=hunter2hunter2\"\n", "User=pi\nEnvironment=\"API_TOKEN=[secret]\"\n"},
		"/var/spool/cron/crontabs/pi":     {"@daily curl -u amy:hunter2 x\n", "@daily curl -u amy:[secret] x\n"},
		"/usr/local/bin/bot":              {"PASSWORD=hunter2\n", "PASSWORD=[secret]\n"},
		"/srv/plain":                      {"x\n", "x\n"},
	} {
		if got := string(fact.Hide(s, p, []byte(tc[0]))); got != tc[1] && p != "/etc/shadow" || strings.Contains(got, "hunter2") || strings.Contains(got, "$y$") {
			t.Errorf("%s: %q, want %q", p, got, tc[1])
		}
	}
}
