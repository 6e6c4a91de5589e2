package snap

import (
	"testing"
	"time"
)

// TestAskedByPattern: what a pattern has asked for and is not there is absent; what nobody has asked for is not known. A
// copy knows as much, and what is asked of one of the two is not asked of the other.
func TestAskedByPattern(t *testing.T) {
	s := New(Source{}, time.Time{})
	s.MarkAsked(Manifest{Files: []string{"/etc/*.d/*.conf"}, Stats: []string{"/srv/?"}})
	c := s.Clone()
	c.MarkAsked(Manifest{Files: []string{"/home/*/.profile"}})
	for p, want := range map[string]State{
		"/etc/a.d/b.conf": Absent, "/srv/x": Absent,
		"/etc/a.d/b": Unknown, "/etc/a.d/b/c.conf": Unknown, "/srv/xy": Unknown, "/home/ann/.profile": Unknown,
	} {
		if _, got, why := s.Stat(p); got != want {
			t.Errorf("%s is %v (%s), want %v", p, got, why, want)
		}
		if p == "/home/ann/.profile" {
			want = Absent
		}
		if _, got, why := c.Stat(p); got != want {
			t.Errorf("in the copy %s is %v (%s), want %v", p, got, why, want)
		}
	}
}
