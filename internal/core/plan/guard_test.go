package plan

import (
	"strings"
	"testing"

	"picket/internal/core/cases"
	"picket/internal/core/fact"
)

const guarded = `-- host: fail --
on: image
-- /etc/passwd --
root:x:0:0:root:/root:/bin/bash
ann:x:1000:1000::/home/ann:/bin/bash
bob:x:1001:1001::/home/bob:/bin/bash
-- /etc/group --
root:x:0:
sudo:x:27:ann
ann:x:1000:
bob:x:1001:
-- /etc/shadow 0640 0:42 --
root:*:19700:0:99999:7:::
ann:$y$j9T$abcdefghijklmnopqrstuv$0123456789012345678901234567890123456789012:19700:0:99999:7:::
bob:BOB:19700:0:99999:7:::
-- /etc/ssh/sshd_config --
PasswordAuthentication yes
UsePAM yes
SSHD
-- /etc/sudoers 0440 0:0 --
%sudo ALL=(ALL:ALL) ALL
-- /home/ann/ 0755 1000:1000 --
-- /home/ann/.ssh/ 0700 1000:1000 --
-- /home/ann/.ssh/authorized_keys 0600 1000:1000 --
ANNssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC7Ad2Ev6VKzqNEnAkJzcGb4/uiglD9pJ1ueV8qJZ8UT ann
`

func TestGuards(t *testing.T) {
	const locked = "!"
	const secret = "$y$j9T$abcdefghijklmnopqrstuv$0123456789012345678901234567890123456789012"
	for _, tc := range []struct {
		name, guard    string
		bob, sshd, ann string // bob's password; a line of sshd's; options of ann's key
		refused, holds string
	}{
		{"one with a key", "key-login-exists", locked, "", "", "", "ann may become root"},
		{"another without", "key-login-exists", secret, "", "", "bob would be locked out", ""},
		{"whom sshd refuses anyway", "key-login-exists", secret, "AllowUsers ann", "", "", "ann may become root"},
		{"the key is for one command", "key-login-exists", locked, "", `command="/bin/backup" `, "ann would be locked out", ""},
		{"keys are off", "key-login-exists", locked, "PubkeyAuthentication no", "", "ann would be locked out", ""},
		{"nobody may become root", "key-login-exists", locked, "DenyUsers ann", "", "nobody who may become root logs in with a key", ""},
		{"another than root", "other-admin-exists", locked, "", "", "", "ann can log in"},
		{"nobody but root", "other-admin-exists", secret, "DenyUsers ann", "", "nobody but root", ""},
	} {
		list, err := cases.Parse([]byte(strings.NewReplacer("BOB", tc.bob, "SSHD", tc.sshd, "ANN", tc.ann).Replace(guarded)))
		if err != nil {
			t.Fatal(err)
		}
		refused, holds := guards[tc.guard](fact.Parse(list[0].Snapshot))
		if !strings.Contains(refused, tc.refused) || (refused == "") != (tc.refused == "") || !strings.Contains(holds, tc.holds) {
			t.Errorf("%s: refused %q, holds %q", tc.name, refused, holds)
		}
	}
	if refused, _ := guards["key-login-exists"](&fact.Host{}); refused == "" {
		t.Error("what is not known is taken to be right")
	}
}

func TestLockedOut(t *testing.T) {
	before := []Way{{User: "key", Key: true}, {User: "both", Key: true, Password: true}, {User: "word", Password: true}, {User: "none"}}
	for want, after := range map[string][]Way{
		"":              before,
		"key both word": nil,
		"both":          {{User: "key", Key: true}, {User: "both", Password: true}, {User: "word", Key: true}},
		"word":          {{User: "key", Key: true}, {User: "both", Key: true}, {User: "word"}},
	} {
		if got := strings.Join(LockedOut(before, after), " "); got != want {
			t.Errorf("%v: %q are locked out, want %q", after, got, want)
		}
	}
}
