package audit_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"picket/catalogue"
	"picket/internal/core/audit"
	"picket/internal/core/cases"
	"picket/internal/core/control"
	"picket/internal/core/fact"
	"picket/internal/core/kind"
	"picket/internal/core/snap"
	"picket/lab/leftout"
)

// crowd is one host that has something of every case of the catalogue: the
// first that plants a path or a command gives it.
var crowd = sync.OnceValues(func() (*snap.Snapshot, error) {
	s := snap.New(snap.Source{Kind: "local", Target: "crowd"}, cases.Taken)
	s.MarkComplete()
	files, err := filepath.Glob(filepath.Join(controlsDir, "*", "*.txtar"))
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		list, err := cases.Parse(data)
		if err != nil {
			return nil, err
		}
		for _, c := range list {
			for p, e := range c.Snapshot.Entries {
				if have := s.Entries[p]; have == nil || !have.Read && e.Read {
					s.Entries[p] = e
				}
			}
			for k, o := range c.Snapshot.Commands {
				if _, ok := s.Commands[k]; !ok {
					s.Commands[k] = o
				}
			}
			if s.Walk == nil {
				s.Walk = c.Snapshot.Walk
			}
		}
	}
	return s, nil
})

// The ways in which a hostile or broken host answers.
var spoils = []func(old, with []byte, at int) []byte{
	func(_, with []byte, _ int) []byte { return with },
	func(old, _ []byte, at int) []byte { return old[:at] },
	func(old, with []byte, at int) []byte { return bytes.Join([][]byte{old[:at], with, old[at:]}, nil) },
	func(old, with []byte, at int) []byte { return bytes.Join([][]byte{old[:at], old[at:], with}, nil) },
	func(old, _ []byte, at int) []byte {
		return append(append([]byte{}, old[:at]...), "\x00\xff\xfe\x1b[2J\n"...)
	},
	func(old, _ []byte, at int) []byte { return bytes.Repeat(append(old[at:len(old):len(old)], ' '), 50) },
	func(old, _ []byte, at int) []byte { return bytes.ReplaceAll(old, []byte("\n"), []byte{'\r'}) },
	func(old, _ []byte, at int) []byte { return bytes.ReplaceAll(old, []byte(" "), nil) },
	func(old, _ []byte, at int) []byte { return bytes.ToUpper(old) },
	func(old, _ []byte, at int) []byte {
		return bytes.ReplaceAll(old, []byte("1"), []byte("99999999999999999999"))
	},
	func(old, _ []byte, at int) []byte { return bytes.ReplaceAll(old, []byte(":"), []byte(":-")) },
	func(old, _ []byte, at int) []byte { return nil },
}

// spoil changes the answer of one input.
func spoil(s *snap.Snapshot, in input, op, at int, with []byte) {
	f := spoils[op%len(spoils)]
	within := func(b []byte) int {
		if len(b) == 0 {
			return 0
		}
		return at % (len(b) + 1)
	}
	switch in.kind {
	case "path":
		e := *s.Entries[in.key]
		e.Content = f(e.Content, with, within(e.Content))
		e.Size = int64(len(e.Content))
		switch at % 11 {
		case 3:
			e.Type, e.Target, e.Real = snap.Link, string(with), string(with)
		case 5:
			e.Mode, e.UID, e.GID = uint32(at), -at, at
		case 7:
			e.Cut = true
		}
		s.Entries[in.key] = &e
	case "command":
		o := *s.Commands[in.key]
		o.Stdout = f(o.Stdout, with, within(o.Stdout))
		if at%7 == 3 {
			o.Exit, o.Stderr = at%256, string(with)
		}
		s.Commands[in.key] = &o
	case "walk":
		w := *s.Walk
		w.Found = append(append([]snap.Entry{}, w.Found...), snap.Entry{Path: string(with), Type: snap.File, Mode: uint32(at) & 0o7777, UID: at})
		s.Walk = &w
	}
}

// sane checks what must hold of a report, whatever the host has said.
func sane(t *testing.T, r audit.Report) {
	t.Helper()
	text := func(where, s string, most int) {
		if utf8.RuneCountInString(s) > most || !utf8.ValidString(s) || strings.ContainsAny(s, "\x00\x1b\n") {
			t.Errorf("%s is too long or not printable: %.300q", where, s)
		}
	}
	for _, res := range r.Results {
		if res.Verdict == control.Error || res.Verdict == "" {
			t.Errorf("%s: %s: %s", res.Control, res.Verdict, res.Reason)
		}
		text(res.Control, res.Reason, audit.MaxReason)
		if strings.TrimSpace(res.Reason) == "" {
			t.Errorf("%s is %s without a reason", res.Control, res.Verdict)
		}
		if len(res.Evidence) > audit.MaxEvidence {
			t.Errorf("%s has %d pieces of evidence", res.Control, len(res.Evidence))
		}
		for _, e := range res.Evidence {
			text(res.Control, e.Fact, audit.MaxText)
			text(res.Control, e.Place, audit.MaxText)
			text(res.Control, e.Found, audit.MaxText)
			text(res.Control, e.Wanted, audit.MaxReason)
		}
	}
	if r.Score < 0 || r.Score > 100 || r.Confidence < 0 || r.Confidence > 100 {
		t.Errorf("score %d, confidence %d", r.Score, r.Confidence)
	}
}

// TestHostileHost spoils every answer of the crowd in some way.
func TestHostileHost(t *testing.T) {
	leftout.OfRace(t)
	controls, _ := control.Load(catalogue.Controls(), kind.All())
	s, err := crowd()
	if err != nil {
		t.Fatal(err)
	}
	sane(t, audit.Evaluate(controls, s, audit.Options{}))
	list := inputs(s)
	junk := []byte("a\x00=\xff\xfe: \"'`$(*?[{\\\n\t" + strings.Repeat("x", 5000) + "\n[Section]\nkey=\nInclude /etc/*\nMatch User *\n")
	for op := range spoils {
		for part := range 3 { // a third of the inputs at a time, so that one does not hide what another does
			c := copyOf(s)
			for i, in := range list {
				if i%3 == part {
					spoil(c, in, op, i*37+op, junk)
				}
			}
			sane(t, audit.Evaluate(controls, c, audit.Options{}))
			fact.Ask(c)
			if t.Failed() {
				t.Fatalf("op %d, part %d", op, part)
			}
		}
	}
	t.Logf("%d answers spoiled in %d ways", len(list), len(spoils))
}

// FuzzHost spoils some answers of the crowd; each five bytes of the program
// say which, how, and where.
func FuzzHost(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0}, []byte("x"))
	f.Add([]byte{0, 9, 2, 1, 3, 1, 7, 4, 0, 3}, []byte("\xff\x00PermitRootLogin yes\n"))
	f.Add([]byte{2, 1, 9, 0, 5, 3, 3, 11, 0, 7}, []byte("Include /etc/ssh/sshd_config\n"))
	controls, _ := control.Load(catalogue.Controls(), kind.All())
	s, err := crowd()
	if err != nil {
		f.Fatal(err)
	}
	list := inputs(s)
	f.Fuzz(func(t *testing.T, program, with []byte) {
		c := copyOf(s)
		for i := 0; i+5 <= len(program) && i < 100; i += 5 {
			in := list[int(binary.BigEndian.Uint16(program[i:]))%len(list)]
			spoil(c, in, int(program[i+2]), int(binary.BigEndian.Uint16(program[i+3:])), with)
		}
		sane(t, audit.Evaluate(controls, c, audit.Options{}))
	})
}
