package fact

import (
	"slices"
	"testing"
	"time"

	"picket/internal/core/snap"
)

// The wanted answers are those of sshd -T with these criteria.
func TestMatchLists(t *testing.T) {
	for _, c := range []struct {
		name string
		got  bool
		want bool
	}{
		{"one of them", matchList("bob", "alice,bob"), true},
		{"none of them", matchList("eve", "alice,bob"), false},
		{"ruled out before", matchList("bob", "!bob,*"), false},
		{"ruled out after", matchList("bob", "*,!bob"), false},
		{"nothing but an exception", matchList("alice", "!bob"), false},
		{"patterns", matchList("www-data", "www-*"), true},
		{"one letter", matchList("rt", "r?t"), false},
		{"a network", matchAddr("10.1.2.3", "10.0.0.0/8"), true},
		{"a network with a hole", matchAddr("10.1.2.3", "10.0.0.0/8,!10.1.0.0/16"), false},
		{"IPv6", matchAddr("2001:db8::7", "2001:db8::/32"), true},
		{"an address by pattern", matchAddr("192.0.2.1", "192.0.2.*"), true},
		{"a group", matchGroups([]string{"users", "sudo"}, "sudo"), true},
		{"a group that is ruled out", matchGroups([]string{"users", "sudo"}, "*,!users"), false},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v", c.name, c.got)
		}
	}
}

// TestBothEnds: a network within another may begin or end with it.
func TestBothEnds(t *testing.T) {
	for pattern, want := range map[string][]string{
		"10.0.0.0/8":     {"10.0.0.1", "10.255.255.254"},
		"192.168.4.0/22": {"192.168.4.1", "192.168.7.254"},
		"192.0.2.7/32":   {"192.0.2.7"},
		"192.0.2.*":      {"192.0.2.1"},
		"2001:db8::/126": {"2001:db8::1", "2001:db8::2"},
	} {
		if got := addressesIn(pattern); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", pattern, got, want)
		}
	}
}

// TestAskWhetherValid: sshd -t has something to add only where sshd -T refuses.
func TestAskWhetherValid(t *testing.T) {
	for name, c := range map[string]struct {
		out  snap.Output
		want bool
	}{
		"it answers":           {snap.Output{Stdout: []byte("port 22\n")}, false},
		"it refuses":           {snap.Output{Exit: 255, Stderr: "'Match User' in configuration but 'user' not in connection test specification.\n"}, true},
		"sshd does not run":    {snap.Output{Exit: 255, Stderr: "Missing privilege separation directory: /run/sshd\n"}, false},
		"there is no sshd":     {snap.Output{Missing: true}, false},
		"it gave no answer":    {snap.Output{Err: "no answer after 10s"}, false},
		"it was not yet asked": {snap.Output{}, false},
	} {
		s := snap.New(snap.Source{Kind: "local"}, time.Time{})
		if name != "it was not yet asked" {
			c.out.Argv = sshdDump
			s.Commands[snap.CommandKey(sshdDump...)] = &c.out
		}
		h := &Host{Snap: s}
		parseSSHD(h, s)
		m := askSSHD(h, s)
		if got := slices.ContainsFunc(m.Commands, func(o snap.Command) bool { return slices.Equal(o.Argv, sshdTest) }); got != c.want {
			t.Errorf("%s: sshd -t is asked: %v", name, got)
		}
	}
}

// TestLoginsKnowGroups: a Match Group may be about root as about anybody.
func TestLoginsKnowGroups(t *testing.T) {
	a := Accounts{
		Users:  []User{{Name: "root", Shell: "/bin/bash"}, {Name: "pi", UID: 1000, GID: 1000, Shell: "/bin/bash"}},
		Groups: []Group{{Name: "root"}, {Name: "pi", GID: 1000}, {Name: "admins", GID: 2000, Members: []string{"root", "pi"}}},
	}
	who, _ := SSHDConfig{}.Logins(a)
	for user, want := range map[string][]string{"root": {"root", "admins"}, "pi": {"pi", "admins"}, Stranger: nil} {
		i := slices.IndexFunc(who, func(w SSHDWho) bool { return w.User == user })
		if i < 0 || !slices.Equal(who[i].Groups, want) {
			t.Errorf("groups of %s in %+v, want %v", user, who, want)
		}
	}
}
