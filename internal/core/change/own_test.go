package change

import (
	"errors"
	"testing"

	"picket/internal/core/edit"
	"picket/internal/core/snap"
)

// A file of our own says each thing once, whatever it said before; one that comes begins with who wrote it.
func TestOwnFiles(t *testing.T) {
	d := On(host(&snap.Entry{Path: "/etc", Type: snap.Dir, Mode: 0o755}, file("/etc/own", Head+"a = 1\nold = kept\n\n# x\nz = 9\n"), file("/etc/list", "one\ntwo")), nil, Policy{})
	if err := d.For("c", func(d *Draft) error {
		return errors.Join(d.Say("/etc/own", 0o600, edit.Equals, "", "z", "2"), d.Say("/etc/own", 0o600, edit.Equals, "", "a", "1"),
			d.Say("/etc/new", 0o640, edit.Systemd, "S", "k", "v"), d.Add("/etc/lines", 0o644, "x y", "x", "x"), d.Write("/etc/whole", 0o600, "all\n"))
	}); err != nil {
		t.Fatal(err)
	}
	equal(t, d, `file /etc/own "`+`# Written by Picket. What it was for: picket history\na = 1\nold = kept\n\n# x\nz = 9\n"→"# Written by Picket. What it was for: picket history\na = 1\nold = kept\n\n# x\nz = 2\n" 0644 [c]`,
		`file /etc/new ""→"# Written by Picket. What it was for: picket history\n\n[S]\nk=v\n" 0640 [c]`,
		`file /etc/lines ""→"# Written by Picket. What it was for: picket history\nx y\nx\n" 0644 [c]`, `file /etc/whole ""→"all\n" 0600 [c]`)
	if err := d.For("c", func(d *Draft) error { return d.Add("/etc/lines", 0o644, "a\nb") }); err == nil {
		t.Error("two lines in one were taken")
	}
}
