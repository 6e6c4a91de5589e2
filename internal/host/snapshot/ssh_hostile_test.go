package snapshot

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"picket/internal/core/snap"
)

// answered reads what a host sends in answer to a manifest. Sections are given
// as "NAME ARGS", content.
func answered(t *testing.T, m snap.Manifest, sections ...string) (*answer, error) {
	t.Helper()
	var b bytes.Buffer
	for i := 0; i < len(sections); i += 2 {
		fmt.Fprintf(&b, "\nN %s\n%s", sections[i], sections[i+1])
	}
	b.WriteString("\nN end\n")
	s := newStream(&b)
	s.expect("N")
	a := newAnswer(m, limits{walk: time.Second})
	return a, a.read(s)
}

// holes is an archive whose files are mostly holes: they take some hundred
// bytes on the wire and a megabyte each when unpacked.
func holes(files int) string {
	var b bytes.Buffer
	for i := range files {
		name := fmt.Sprintf("etc/x/%d", i)
		data := fmt.Sprintf("1\n%d\n0\n", snap.MaxFile)
		pad := func(n int) string { return strings.Repeat("\x00", (512-n%512)%512) }
		pax := ""
		for _, kv := range [][2]string{{"GNU.sparse.major", "1"}, {"GNU.sparse.minor", "0"}, {"GNU.sparse.name", name}, {"GNU.sparse.realsize", fmt.Sprint(snap.MaxFile)}} {
			r := fmt.Sprintf(" %s=%s\n", kv[0], kv[1])
			n := len(r) + 2
			pax += fmt.Sprintf("%d%s", n, r)
		}
		block := func(name string, flag byte, body string) {
			var h [512]byte
			copy(h[:], name)
			copy(h[100:], "0000644\x000000000\x000000000\x00")
			copy(h[124:], fmt.Sprintf("%011o\x0000000000000\x00", len(body)))
			copy(h[257:], "ustar\x0000")
			h[156] = flag
			copy(h[148:156], "        ")
			sum := 0
			for _, c := range h {
				sum += int(c)
			}
			copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
			b.Write(h[:])
			b.WriteString(body + pad(len(body)))
		}
		block("x", 'x', pax)
		block(name, '0', data+pad(len(data)))
	}
	b.Write(make([]byte, 1024))
	return b.String()
}

// TestTarBomb: an archive that unpacks to more than a snapshot holds ends the
// answer, whatever it is packed with.
func TestTarBomb(t *testing.T) {
	m := snap.Manifest{Files: []string{"/etc/x/*"}}
	few := holes(3)
	a, err := answered(t, m, "files", few)
	if err != nil || len(a.body) != 3 || len(a.body["/etc/x/2"].data) != snap.MaxFile {
		t.Fatalf("the archive is not what it should be: %v, %d files", err, len(a.body))
	}
	many := holes(snap.MaxTotal/snap.MaxFile + 20)
	if len(many) > 1<<20 {
		t.Fatalf("%d bytes on the wire", len(many))
	}
	if _, err := answered(t, m, "files", many); !errors.Is(err, errFlood) {
		t.Errorf("holes: %v", err)
	}
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	tw.WriteHeader(&tar.Header{Name: "etc/x/a", Typeflag: tar.TypeReg, Size: snap.MaxFile})
	tw.Write(make([]byte, snap.MaxFile))
	for i := range snap.MaxTotal/snap.MaxFile + 20 {
		tw.WriteHeader(&tar.Header{Name: fmt.Sprintf("etc/x/%d", i), Linkname: "etc/x/a", Typeflag: tar.TypeLink})
	}
	tw.Close()
	if _, err := answered(t, m, "files", b.String()); !errors.Is(err, errFlood) {
		t.Errorf("one file under many names: %v", err)
	}
}

// TestNamesThatWereNotAskedFor are not kept, and not listened to for ever.
func TestNamesThatWereNotAskedFor(t *testing.T) {
	m := snap.Manifest{Files: []string{"/etc/x/*"}}
	var links bytes.Buffer
	tw := tar.NewWriter(&links)
	tw.WriteHeader(&tar.Header{Name: "etc/y/a", Linkname: "/etc/shadow", Typeflag: tar.TypeSymlink})
	tw.WriteHeader(&tar.Header{Name: "etc/x/a", Linkname: "/etc/b", Typeflag: tar.TypeSymlink})
	tw.Close()
	a, err := answered(t, m, "locked", "/etc/y/a//\n/etc/x/a//\n", "unread", "/etc/y//\n/etc/x/b//\n", "targets", links.String())
	if err != nil || len(a.locked) != 1 || !a.locked["/etc/x/a"] || len(a.unread) != 1 || !a.unread["/etc/x/b"] || len(a.target) != 1 {
		t.Errorf("%v: locked %v, unread %v, target %v", err, a.locked, a.unread, a.target)
	}
	var flood strings.Builder
	for i := range maxTold + 1 {
		fmt.Fprintf(&flood, "%x//\n", i)
	}
	for _, section := range []string{"locked", "unread", "real", "parent"} {
		if _, err := answered(t, m, section, flood.String()); err == nil || !strings.Contains(err.Error(), "more than") {
			t.Errorf("%s without end: %v", section, err)
		}
	}
}

// TestContentsThatWereNotAskedFor are not kept, and a file with two contents
// has none.
func TestContentsThatWereNotAskedFor(t *testing.T) {
	m := snap.Manifest{Files: []string{"/etc/x/*", "/proc/sys/a/*"}}
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, name := range []string{"etc/x/a", "etc/y/a", "../etc/x/b", "etc/x/../x/c"} {
		tw.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: 1})
		tw.Write([]byte("1"))
	}
	tw.Close()
	a, err := answered(t, m, "files", b.String(), "heads", "==> /proc/sys/a/one <==\n1\n\n==> /proc/sys/a/two <==\n1\n\n==> /proc/sys/a/two <==\n2\n\n==> /proc/sys/b/x <==\n1\n")
	if err != nil || len(a.body) != 3 || a.body["/etc/x/a"] == nil || a.body["/proc/sys/a/one"].err != "" {
		t.Errorf("%v: %d contents", err, len(a.body))
	}
	if b := a.body["/proc/sys/a/two"]; b == nil || b.err != "read /proc/sys/a/two: the host gave two answers" {
		t.Errorf("%+v", b)
	}
}

// TestLinkThatMayNotBeFollowed is unknown; it could lead anywhere.
func TestLinkThatMayNotBeFollowed(t *testing.T) {
	m := snap.Manifest{Files: []string{"/etc/x/*"}}
	const link = "a1ff 0 0 9 1 "
	a, err := answered(t, m, "lstat", link+"/etc/x/a//\n"+link+"/etc/x/b//\n", "locked", "/etc/x/a//\n", "meta", "", "content", "")
	if err != nil {
		t.Fatal(err)
	}
	s := snap.New(snap.Source{Kind: "ssh", UID: 1000}, time.Unix(1, 0))
	a.fill(s, "")
	s.MarkAsked(m)
	if _, st, why := s.File("/etc/x/a"); st != snap.Denied || why != "run as root to read /etc/x/a" {
		t.Errorf("%v: %s", st, why)
	}
	if _, st, _ := s.File("/etc/x/b"); st != snap.Absent {
		t.Errorf("a link that leads nowhere is %v", st)
	}
}
