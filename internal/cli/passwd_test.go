package cli

import (
	"testing"

	"picket/internal/host/remote"
)

// TestWhoLogsIn: the account whose password it is, is the one that the login is as.
func TestWhoLogsIn(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	plant(t, 0o600, "Host leader 192.0.2.2\n  User pi\nHost other\n  User sam\n", home, ".ssh/config")
	file := plant(t, 0o600, "cluster:\n  nodes:\n    one: {address: 192.0.2.2}\n    two: {address: 192.0.2.2, user: ann}\n    three: {address: 192.0.2.3}\n", home, "picket.yaml")
	env := map[string]string{"HOME": home, "USER": "amy"}
	p := &program{configs: []string{file}, getenv: func(name string) string { return env[name] }}
	for _, tc := range []struct {
		target string
		ssh    sshOptions
		want   string
	}{
		{"ssh://leader", sshOptions{}, "pi"},
		{"ssh://bob@leader", sshOptions{}, "bob"},
		{"ssh://leader", sshOptions{config: remote.NoConfig}, "amy"},
		{"ssh://nobody", sshOptions{}, "amy"},
		{"ssh://other", sshOptions{}, "sam"},
		{"ssh://other", sshOptions{user: "eve"}, "eve"},
		{"one", sshOptions{}, "pi"},
		{"two", sshOptions{}, "ann"},
		{"three", sshOptions{}, "amy"},
		{"ssh://leader", sshOptions{config: home + "/nosuch"}, "amy"},
		{"local", sshOptions{}, "root"},
	} {
		if is := p.whoLogsIn(tc.target, tc.ssh); is != tc.want {
			t.Errorf("%s, %+v: %s, want %s", tc.target, tc.ssh, is, tc.want)
		}
	}
	if is, err := p.loginOf("one", sshOptions{}); err != nil || is != "pi" {
		t.Errorf("%s, %v", is, err)
	}
}
