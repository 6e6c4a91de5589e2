package fact

import (
	"strings"
	"testing"
	"time"

	"picket/internal/core/snap"
)

// TestSudoIncludeKeepsRulesOnly: what @include leads to may be a private key.
func TestSudoIncludeKeepsRulesOnly(t *testing.T) {
	s := snap.New(snap.Source{Kind: "local"}, time.Time{})
	add := func(p, real string, typ snap.Type, content string) {
		s.Entries[p] = &snap.Entry{Path: p, Real: real, Type: typ, Mode: 0o440, Read: typ == snap.File, Content: []byte(content)}
	}
	const rules = "#\n\nDefaults use_pty\npi ALL=(ALL) \\\n  NOPASSWD: /bin/a, \\ \n  /bin/b\n#1000 ALL=(ALL) ALL\n"
	add(sudoersFile, "", snap.File, "# kept\nroot ALL=(ALL:ALL) ALL\n@include /srv/more\n@includedir /root/keys\n@includedir /etc/sudoers.d\n")
	add("/srv/more", "", snap.File, "# hunter2"+rules[1:])
	add("/root/keys", "", snap.Dir, "")
	add("/root/keys/key", "", snap.File, "-----BEGIN PRIVATE KEY-----\nhunter2\nAAhunter2==\n-----END PRIVATE KEY-----\nhunter2 \\\nhunter2\n")
	add("/etc/sudoers.d", "", snap.Dir, "")
	add("/etc/sudoers.d/x", "/root/notes", snap.File, "hunter2\n# hunter2\n")
	s.MarkAsked(snap.Manifest{Files: []string{sudoersFile, "/srv/more", "/root/keys/*", "/etc/sudoers.d/*"}, Stats: []string{"/root/keys", "/etc/sudoers.d"}})
	Redact(s, Secrets{})
	for p, e := range s.Entries {
		if strings.Contains(string(e.Content), "hunter2") {
			t.Errorf("%s is kept: %q", p, e.Content)
		}
	}
	if got := string(s.Entries["/srv/more"].Content); got != rules {
		t.Errorf("rules became %q", got)
	}
	if got := string(s.Entries[sudoersFile].Content); !strings.HasPrefix(got, "# kept\n") {
		t.Errorf("sudo's own file became %q", got)
	}
	h := &Host{Snap: s}
	parseSudo(h, s)
	if len(h.Sudo.Unparsed) != 7 {
		t.Errorf("what is no rule is not told: %v", h.Sudo.Unparsed)
	}
}
