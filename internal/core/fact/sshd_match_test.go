package fact

import "testing"

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
