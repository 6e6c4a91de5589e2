package change

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"picket/internal/core/snap"
)

func host(entries ...*snap.Entry) *snap.Snapshot {
	s := snap.New(snap.Source{Kind: "local"}, time.Time{})
	s.MarkComplete()
	for _, e := range entries {
		s.Put(e)
	}
	return s
}

func file(p, content string) *snap.Entry {
	return &snap.Entry{Path: p, Type: snap.File, Mode: 0o644, Read: true, Content: []byte(content), Size: int64(len(content))}
}

func add(line string) func([]byte) ([]byte, error) {
	return func(b []byte) ([]byte, error) { return append(append([]byte{}, b...), line+"\n"...), nil }
}

func told(d *Draft) (out []string) {
	for _, s := range d.Steps() {
		text := fmt.Sprintf("%s %s %v %v", s.Verb, s.Name, s.Args, s.Controls)
		if s.Verb == File {
			text = fmt.Sprintf("%s %s %q→%q %04o %v", s.Verb, s.Name, s.Before.Content, s.After.Content, s.After.Mode, s.Controls)
		}
		out = append(out, text)
	}
	return out
}

func equal(t *testing.T, d *Draft, want ...string) {
	t.Helper()
	if got := told(d); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("steps\n%q\nwant\n%q", got, want)
	}
}

func TestFixesOfOneFileAreOneStep(t *testing.T) {
	d := On(host(file("/etc/a", "x\n"), &snap.Entry{Path: "/etc", Type: snap.Dir, Mode: 0o755}), nil, Policy{})
	for _, c := range []string{"one", "two"} {
		if err := d.For(c, func(d *Draft) error {
			d.Do(Unit, "a.service", "reload")
			d.Do(Install, "apt", c)
			return errors.Join(d.Edit("/etc/a", 0o600, add(c)), d.Edit("/etc/new.d/b", 0o600, add("b")))
		}); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, d, "install apt [one two] [one two]", `file /etc/a "x\n"→"x\none\ntwo\n" 0644 [one two]`, `file /etc/new.d ""→"" 0755 [one]`,
		`file /etc/new.d/b ""→"b\nb\n" 0600 [one two]`, "unit a.service [reload] [one two]")
	if e := d.Edits()[3]; e.Control != "two" || string(e.Before.Content) != "x\none\n" {
		t.Errorf("the second control's edit: %+v", e)
	}
}

func TestAFixThatFailsLeavesNothing(t *testing.T) {
	d := On(host(file("/etc/a", "x\n")), nil, Policy{})
	if err := d.For("good", func(d *Draft) error { d.Do(Sysctl, "a/b", "1"); return d.Permit("/etc/a", 0o600, 0, 0) }); err != nil {
		t.Fatal(err)
	}
	bad := errors.New("no")
	if err := d.For("bad", func(d *Draft) error {
		d.Do(Sysctl, "a/b", "1")
		d.Do(Act, "true")
		_ = d.Edit("/etc/a", 0, add("y"))
		return bad
	}); !errors.Is(err, bad) {
		t.Fatal(err)
	}
	if err := d.For("manual", func(d *Draft) error { _ = d.Remove("/etc/a"); d.Leave("it is %s", "yours"); return nil }); err != nil {
		t.Fatal(err)
	}
	equal(t, d, `file /etc/a ""→"" 0600 [good]`, "sysctl a/b [1] [good]")
	if fmt.Sprint(d.Left()) != "[{manual it is yours}]" {
		t.Error(d.Left())
	}
}

func TestWhatCameToNothingIsNoStep(t *testing.T) {
	d := On(host(file("/etc/a", "x\n")), nil, Policy{})
	if err := d.For("c", func(d *Draft) error {
		return errors.Join(d.Permit("/etc/a", 0o600, 0, 0), d.Permit("/etc/a", 0o644, 0, 0), d.Permit("/etc/a", 0o644, 0, 0), d.Remove("/etc/none"),
			d.Edit("/etc/a", 0, func(b []byte) ([]byte, error) { return b, nil }))
	}); err != nil {
		t.Fatal(err)
	}
	equal(t, d)
}

func TestWhatIsNotKnownIsNotChanged(t *testing.T) {
	secret, cut, link := file("/etc/secret", "p: [secret]\n"), file("/etc/cut", "x"), file("/etc/link", "x")
	secret.Redact, cut.Cut, link.Target = true, true, "there"
	s := host(secret, cut, link, file("/etc/file", ""), &snap.Entry{Path: "/etc/dir", Type: snap.Dir, Mode: 0o755})
	s.Denials["/etc/denied"] = "permission denied"
	d := On(s, nil, Policy{})
	for p, want := range map[string]string{
		"/etc/secret": "/etc/secret holds secrets, which are not kept: picket apply reads it anew, and shows the change",
		"/etc/cut":    "what /etc/cut holds is not known: /etc/cut is longer than what was read",
		"/etc/link":   "what /etc/link holds is not known: it is a link to there",
		"/etc/denied": "what /etc/denied holds is not known: permission denied",
		"/etc/dir":    "what /etc/dir holds is not known: it is no file",
		"/etc/file/x": "what /etc/file holds is not known: it is no folder",
	} {
		var unread *Unread
		if err := d.For("c", func(d *Draft) error { return d.Edit(p, 0, add("y")) }); !errors.As(err, &unread) || err.Error() != want {
			t.Errorf("%s: %v, want %s", p, err, want)
		}
	}
	equal(t, d)
	if fmt.Sprint(d.Wanted()) != "[/etc/secret]" {
		t.Error(d.Wanted())
	}
	whole := file("/etc/searched", "x\n")
	whole.Redact, whole.Whole = true, true
	if err := On(host(whole), nil, Policy{}).For("c", func(d *Draft) error { return d.Edit("/etc/searched", 0, add("y")) }); err != nil {
		t.Errorf("a file in which nothing had to be replaced: %v", err)
	}
	// Its mode can be set without; read anew, its content as well.
	if err := d.For("c", func(d *Draft) error { return d.Permit("/etc/secret", 0o600, 0, 0) }); err != nil {
		t.Error(err)
	}
	equal(t, d, `file /etc/secret ""→"" 0600 [c]`)
	if after := d.Steps()[0].After; !after.Opaque {
		t.Errorf("%+v is taken to be empty", after)
	}
	if err := d.For("c", func(d *Draft) error { return d.Edit("/etc/secret", 0, add("q: 1")) }); err == nil {
		t.Error("a file of which only the mode is known was written")
	}
	d = On(s, map[string][]byte{"/etc/secret": []byte("p: hunter2\n")}, Policy{})
	if err := d.For("c", func(d *Draft) error {
		return errors.Join(d.Permit("/etc/secret", 0o600, 0, 0), d.Edit("/etc/secret", 0, add("q: 1")))
	}); err != nil {
		t.Error(err)
	}
	equal(t, d, `file /etc/secret "p: hunter2\n"→"p: hunter2\nq: 1\n" 0600 [c]`)
}
