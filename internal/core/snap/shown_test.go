package snap

import (
	"testing"
	"time"
)

func TestALongCommandIsToldInShort(t *testing.T) {
	s := New(Source{}, time.Time{})
	for want, argv := range map[string][]string{
		"`sshd -T` was not run":                     {"sshd", "-T"},
		"`systemctl list-unit-files …` was not run": {"systemctl", "list-unit-files", "--no-legend", "--no-pager", "--plain", "--full", "*.service", "*.socket"},
	} {
		if _, st, why := s.Run(argv...); st != Unknown || why != want {
			t.Errorf("%v: %s, %q; want %q", argv, st, why, want)
		}
	}
}
