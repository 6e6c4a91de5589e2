package check

import (
	"testing"

	"picket/internal/core/fact"
)

// TestOwnHome: a fix never gives away a folder of the system.
func TestOwnHome(t *testing.T) {
	for home, want := range map[string]string{"/home/pi": "/home/pi", "/": "", "/home": "", "/usr/sbin": "", "/var/www": "", "/home/pi/x": ""} {
		if got := ownHome(fact.User{Home: home}); got != want {
			t.Errorf("%s: %q, want %q", home, got, want)
		}
	}
}
