package plan

import (
	"strings"
	"testing"

	"picket/internal/core/cases"
	"picket/internal/core/change"
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
		refused, holds := guards[tc.guard](fact.Parse(list[0].Snapshot), Options{})
		if !strings.Contains(refused, tc.refused) || (refused == "") != (tc.refused == "") || !strings.Contains(holds, tc.holds) {
			t.Errorf("%s: refused %q, holds %q", tc.name, refused, holds)
		}
	}
	for _, tc := range []struct {
		account        string
		peers          []string
		refused, holds string
	}{
		{"bob", nil, "", ""},
		{"pioreactor", nil, "have it tried: apply with --peer ssh://pioreactor@LEADER", ""},
		{"pioreactor", []string{"operator"}, "have it tried", ""}, // somebody's laptop is not the leader
		{"pioreactor", []string{"operator", "pioreactor"}, "", "the peers that are named"},
		{"pioreactor", []string{""}, "", "the peers that are named"}, // as the client's settings say
	} {
		list, err := cases.Parse([]byte(strings.NewReplacer("BOB", locked, "SSHD", "", "ANN", "", "bob:", tc.account+":").Replace(guarded)))
		if err != nil {
			t.Fatal(err)
		}
		refused, holds := guards["peers-are-tried"](fact.Parse(list[0].Snapshot), Options{Peers: tc.peers})
		if !strings.Contains(refused, tc.refused) || (refused == "") != (tc.refused == "") || !strings.Contains(holds, tc.holds) || (holds == "") != (tc.holds == "") {
			t.Errorf("%s, peers %v: refused %q, holds %q", tc.account, tc.peers, refused, holds)
		}
	}
	if refused, _ := guards["peers-are-tried"](&fact.Host{}, Options{}); refused == "" {
		t.Error("who comes in is taken to be known")
	}
	if refused, _ := guards["key-login-exists"](&fact.Host{}, Options{}); refused == "" {
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

// TestClientsAgree: a list of sshd of which a client that comes in knows nothing is left alone (T19).
func TestClientsAgree(t *testing.T) {
	for _, tc := range []struct {
		sshd, offers, refused string
	}{
		{"KexAlgorithms a,b", "kexalgorithms=c,b", ""},
		{"KexAlgorithms a,b", "kexalgorithms=c", "knows no way to agree on keys of those that stay, only c"},
		{"KexAlgorithms +a", "kexalgorithms=c", ""},
		{"", "kexalgorithms=c", ""},
		{"Ciphers a", "kexalgorithms=c", ""},
		{"Ciphers a", "ciphers=b", "knows no cipher"},
		{"MACs a", "macs=b;ciphers=aes128-ctr", "knows no MAC"},
		{"MACs a", "macs=b;ciphers=aes128-ctr,aes256-gcm@openssh.com", ""},
		{"HostKeyAlgorithms a", "hostkeyalgorithms=w,x,y,z,b", "knows no kind of host key of those that stay, only w, x, y and 2 more"},
	} {
		list, err := cases.Parse([]byte(strings.NewReplacer("BOB", "", "SSHD", tc.sshd, "ANN", "").Replace(guarded)))
		if err != nil {
			t.Fatal(err)
		}
		c := Client{Name: "ann on leader", Offers: map[string][]string{}}
		for one := range strings.SplitSeq(tc.offers, ";") {
			keyword, names, _ := strings.Cut(one, "=")
			c.Offers[keyword] = strings.Split(names, ",")
		}
		s := list[0].Snapshot
		refused, holds := clientsAgree(fact.Parse(s), change.On(s, nil, change.Policy{}), Options{Clients: []Client{c}})
		if !strings.Contains(refused, tc.refused) || (refused == "") != (tc.refused == "") || (holds == "") != (refused != "") {
			t.Errorf("%s, %s: refused %q, holds %q", tc.sshd, tc.offers, refused, holds)
		}
	}
}
