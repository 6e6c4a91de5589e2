package kind

import (
	"testing"
	"time"

	"picket/internal/core/change"
	"picket/internal/core/snap"
)

// TestOwnFile has a file of our own say each thing once, whatever it said before.
func TestOwnFile(t *testing.T) {
	s := snap.New(snap.Source{Kind: "local"}, time.Time{})
	s.MarkComplete()
	s.Put(&snap.Entry{Path: "/etc/own", Type: snap.File, Mode: 0o644, Read: true, Content: []byte(head + "a = 1\nold = kept\n\n# x\nz = 9\n")})
	d := change.On(s, nil, change.Policy{})
	if err := d.For("c", func(d *change.Draft) error {
		return setOwn(d, "/etc/own", 0o600, " = ", map[string]string{"z": "2", "b": "3", "a": "1"})
	}); err != nil {
		t.Fatal(err)
	}
	const want = head + "a = 1\nb = 3\nold = kept\nz = 2\n"
	if got := d.Steps()[0].After; string(got.Content) != want || got.Mode != 0o644 {
		t.Errorf("%04o\n%swant\n%s", got.Mode, got.Content, want)
	}
}
