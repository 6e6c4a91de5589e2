package kind

import "testing"

func TestSSHDWantAccepts(t *testing.T) {
	grace := sshdWant{option: "LoginGraceTime", Max: "60", Not: []string{"0"}}
	starts := sshdWant{option: "MaxStartups", Max: "10:30:60"}
	ciphers := sshdWant{option: "Ciphers", Subset: []string{"aes256-ctr", "aes128-ctr"}}
	macs := sshdWant{option: "MACs", Without: []string{"*sha1*"}}
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
		{root, "without-password", true}, {root, "NO", true}, {root, "yes", false}, {root, "", false},
	} {
		if got, _ := c.w.accepts([]string{c.value}); got != c.want {
			t.Errorf("%s %q: %v", c.w.option, c.value, got)
		}
	}
}
