package plan

import (
	"strings"
	"testing"

	"picket/internal/core/cases"
	"picket/internal/core/fact"
)

func TestSudoAdminExists(t *testing.T) {
	const hash, annLine = "$y$j9T$abcdefghijklmnopqrstuv$0123456789012345678901234567890123456789012", "ann:[yescrypt]:19700:0:99999:7:::"
	for _, tc := range []struct{ name, old, new, refused, holds string }{
		{"a password that works", "", "", "", "ann can log in and is let through by sudo"},
		{"it is locked, and sudo asks for it", annLine, "ann:!:19700:0:99999:7:::", "nobody but root", ""},
		{"it is locked, and sudo asks for none", annLine + "\x00%sudo ALL=(ALL:ALL) ALL", "ann:!:19700:0:99999:7:::\x00%sudo ALL=(ALL:ALL) NOPASSWD: ALL", "", "ann"},
		{"it ran out", annLine, strings.Replace(annLine, "0:99999", "0:30", 1), "nobody but root", ""},
		{"the account has ended", annLine, strings.Replace(annLine, "7:::", "7::1:", 1), "nobody but root", ""},
		{"sudo lets nobody through", "%sudo ALL=(ALL:ALL) ALL", "%wheel ALL=(ALL:ALL) ALL", "nobody but root", ""},
		{"only some commands", "%sudo ALL=(ALL:ALL) ALL", "%sudo ALL=(ALL:ALL) /usr/bin/id", "nobody but root", ""},
		{"sshd lets nobody in", "SSHD", "DenyUsers ann", "nobody but root", ""},
	} {
		text := strings.NewReplacer("BOB", "!", hash, "[yescrypt]").Replace(guarded) // as it is kept
		news := strings.Split(tc.new, "\x00")
		for i, old := range strings.Split(tc.old, "\x00") {
			if old != "" {
				if !strings.Contains(text, old) {
					t.Fatalf("%s: %q is not in the host", tc.name, old)
				}
				text = strings.Replace(text, old, news[i], 1)
			}
		}
		list, err := cases.Parse([]byte(strings.NewReplacer("SSHD", "", "ANN", "").Replace(text)))
		if err != nil {
			t.Fatal(err)
		}
		h := fact.Parse(list[0].Snapshot)
		refused, holds := guards["sudo-admin-exists"](h, Options{})
		if !strings.Contains(refused, tc.refused) || (refused == "") != (tc.refused == "") || !strings.Contains(holds, tc.holds) {
			t.Errorf("%s: refused %q, holds %q", tc.name, refused, holds)
		}
		if why := NoAdmin(h, "ann"); (why == "") != (tc.refused == "") {
			t.Errorf("%s: ann: %q", tc.name, why)
		}
		if refused, _ := AdminBesides(h, "ann"); refused == "" {
			t.Errorf("%s: somebody besides ann", tc.name)
		}
	}
	if refused, _ := guards["sudo-admin-exists"](&fact.Host{}, Options{}); refused == "" {
		t.Error("what is not known is taken to be right")
	}
}
