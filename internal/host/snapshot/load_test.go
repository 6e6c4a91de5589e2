package snapshot

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"picket/internal/core/snap"
	"picket/lab/leftout"
)

// small is a saved snapshot that can be taken apart.
func small(t testing.TB) []byte {
	t.Helper()
	s := snap.New(snap.Source{Kind: "local", Target: "local"}, time.Unix(1700000000, 0).UTC())
	s.Put(&snap.Entry{Path: "/etc/fstab", Type: snap.File, Mode: 0o644, Size: 4, Read: true, Content: []byte("none")})
	s.Put(&snap.Entry{Path: "/etc", Type: snap.Dir, Mode: 0o755})
	s.Commands["ss -Hltunpe"] = &snap.Output{Argv: []string{"ss", "-Hltunpe"}, Stdout: []byte("tcp\n")}
	s.Walk = &snap.Walked{Found: []snap.Entry{{Path: "/x", Type: snap.File}}}
	var b bytes.Buffer
	if err := Save(&b, s); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A part of an archive, as it is, whatever its header claims.
type part struct {
	h    tar.Header
	data string
}

func parts(t testing.TB, saved []byte) (ps []part) {
	t.Helper()
	zr, err := gzip.NewReader(bytes.NewReader(saved))
	if err != nil {
		t.Fatal(err)
	}
	tr := tar.NewReader(zr)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return ps
		}
		data, err2 := io.ReadAll(tr)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		ps = append(ps, part{*h, string(data)})
	}
}

func pack(t testing.TB, ps []part, after ...byte) []byte {
	t.Helper()
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	tw := tar.NewWriter(zw)
	for _, p := range ps {
		if err := tw.WriteHeader(&p.h); err != nil {
			t.Fatal(err)
		}
		io.WriteString(tw, p.data)
	}
	tw.Close()
	zw.Write(after)
	zw.Close()
	return b.Bytes()
}

func file(name, data string) part {
	return part{tar.Header{Name: name, Typeflag: tar.TypeReg, Size: int64(len(data)), Mode: 0o600}, data}
}

// zeros is an archive that is small and unpacks to head and n MB: gzip allows
// for several parts.
func zeros(mb int, head ...byte) []byte {
	zip := func(data []byte) []byte {
		var b bytes.Buffer
		zw := gzip.NewWriter(&b)
		zw.Write(data)
		zw.Close()
		return b.Bytes()
	}
	return append(zip(head), bytes.Repeat(zip(make([]byte, 1<<20)), mb)...)
}

func TestLoadRefuses(t *testing.T) {
	leftout.OfRace(t)
	good := small(t)
	if _, err := Load(bytes.NewReader(good)); err != nil {
		t.Fatal(err)
	}
	change := func(f func(ps []part) []part) []byte { return pack(t, f(parts(t, good))) }
	edit := func(from, to string) []byte {
		return change(func(ps []part) []part {
			if !strings.Contains(ps[0].data, from) {
				t.Fatalf("the index has no %s", from)
			}
			return append([]part{file(indexName, strings.Replace(ps[0].data, from, to, 1))}, ps[1:]...)
		})
	}
	with := func(more ...part) []byte { return change(func(ps []part) []part { return append(ps, more...) }) }
	random := make([]byte, 5000)
	for i, r := 0, rand.New(rand.NewPCG(1, 2)); i < len(random); i++ {
		random[i] = byte(r.Uint32())
	}
	claim := func(size int64) []byte { // a header alone, and nothing behind it
		var b bytes.Buffer
		h := tar.Header{Name: indexName, Typeflag: tar.TypeReg, Size: size, Format: tar.FormatGNU}
		if err := tar.NewWriter(&b).WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	var nested strings.Builder
	nested.WriteString(`{"schema":"picket.snapshot/1","denials":` + strings.Repeat("[", 1<<20))

	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"nothing":                   {nil, "no saved snapshot"},
		"random bytes":              {random, "no saved snapshot"},
		"a text":                    {[]byte("hello\n"), "no saved snapshot"},
		"a tar without gzip":        {make([]byte, 1024), "no saved snapshot"},
		"an empty archive":          {pack(t, nil), "the archive is empty"},
		"another archive":           {pack(t, []part{file("etc/passwd", "x")}), `first member is "etc/passwd", not index.json`},
		"gzip of random":            {zeros(0, random...), "damaged"},
		"cut in the header":         {good[:5], "no saved snapshot"},
		"cut in the index":          {good[:len(good)/4], "cut short"},
		"cut in the middle":         {good[:len(good)/2], "cut short"},
		"cut at the end":            {good[:len(good)-3], "cut short"},
		"a bit is wrong":            {append(append(bytes.Clone(good[:len(good)-6]), good[len(good)-6]^1), good[len(good)-5:]...), "damaged"},
		"something behind":          {pack(t, parts(t, good), []byte("#!/bin/sh")...), "after the end"},
		"another schema":            {edit("picket.snapshot/1", "picket.snapshot/9"), `schema is "picket.snapshot/9"; this picket reads "picket.snapshot/1"`},
		"an unknown field":          {edit(`"complete"`, `"extra":1,"complete"`), `unknown field "extra"`},
		"an unknown type":           {edit(`"dir"`, `"portal"`), `unknown type "portal"`},
		"an unknown source":         {edit(`"kind":"local"`, `"kind":"guess"`), "source.kind"},
		"a mode":                    {edit(`"0644"`, `"99999"`), "octal"},
		"no time":                   {edit(`"2023-11-14T22:13:20Z"`, `"yesterday"`), "index.json"},
		"a path that climbs":        {edit(`"path":"/etc/fstab"`, `"path":"/etc/../../fstab"`), "not a clean absolute path"},
		"a relative path":           {edit(`"path":"/etc/fstab"`, `"path":"etc/fstab"`), "not a clean absolute path"},
		"a path twice":              {edit(`"path":"/etc"`, `"path":"/etc/fstab"`), "comes twice"},
		"content of a folder":       {edit(`"type":"file","mode":"0644"`, `"type":"dir","mode":"0644"`), "only a file has content"},
		"content that is not there": {edit(`files/etc/fstab`, `files/etc/hosts`), "not in the index"},
		"a member that climbs": {change(func(ps []part) []part {
			ps[0] = file(indexName, strings.Replace(ps[0].data, "files/etc/fstab", "files/../../etc/fstab", 1))
			ps[1].h.Name = "files/../../etc/fstab"
			return ps
		}), "not a clean path"},
		"an absolute member":     {with(file("/etc/cron.d/x", "x")), "not in the index"},
		"a climbing member":      {with(file("../../etc/cron.d/x", "x")), "not in the index"},
		"a member too many":      {with(file("files/etc/shadow", "x")), "not in the index"},
		"a member twice":         {with(file("files/etc/fstab", "x")), "not in the index, or comes twice"},
		"a member is missing":    {change(func(ps []part) []part { return ps[:2] }), "is missing"},
		"an index twice":         {with(file(indexName, "{}")), "not in the index"},
		"a link out":             {with(part{tar.Header{Name: "files/x", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, ""}), "no plain file"},
		"a hard link":            {with(part{tar.Header{Name: "files/x", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}, ""}), "no plain file"},
		"a device":               {with(part{tar.Header{Name: "files/x", Typeflag: tar.TypeChar}, ""}), "no plain file"},
		"a folder":               {with(part{tar.Header{Name: "files/", Typeflag: tar.TypeDir}, ""}), "no plain file"},
		"a foreign extension":    {with(part{tar.Header{Name: "files/x", Typeflag: tar.TypeReg, PAXRecords: map[string]string{"SCHILY.xattr.user.x": "1"}}, ""}), "extension"},
		"10 GB of index claimed": {zeros(0, claim(10<<30)...), "more than"},
		"10 GB of zeros":         {zeros(0, append(claim(10<<30), make([]byte, 4096)...)...), "more than"},
		"a bomb":                 {zeros(1500, claim(maxIndex)...), "index.json"},
		"a bomb behind":          {append(bytes.Clone(good), zeros(200)...), "after the end"},
		"zeros behind zeros":     {zeros(1500), "empty"},
		"lists in lists":         {pack(t, []part{file(indexName, nested.String())}), "index.json"},
		"too many values":        {pack(t, []part{file(indexName, `{"schema":"picket.snapshot/1","problems":[`+strings.Repeat(",", maxCommas+1)+"]}")}), "more than"},
		"too many commands":      {pack(t, []part{file(indexName, `{"schema":"picket.snapshot/1","taken":"2023-11-14T22:13:20Z","source":{"kind":"local","target":"","uid":0},"commands":[{"argv":["uname"]}`+strings.Repeat(`,{"argv":["uname"]}`, maxCommands)+"]}")}), "commands, more than"},
		"too long a list":        {pack(t, []part{file(indexName, `{"schema":"picket.snapshot/1","problems":[`+strings.Repeat(`"",`, maxList)+`""]}`)}), "more than 200000 items"},
		"too large a member": {change(func(ps []part) []part {
			ps[1] = file("files/etc/fstab", strings.Repeat("x", snap.MaxFile+maxGrowth+1))
			return ps
		}), "bytes, more than"},
		"a sparse file": {sparse(t), "extension"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			s, err := Load(bytes.NewReader(c.file))
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Fatalf("it was read: %d entries", len(s.Entries))
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || len(err.Error()) > 400 {
				t.Errorf("error %q, want %q in it, on one line", err, c.want)
			}
			if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 512 {
				t.Errorf("it took %d MB", mb)
			}
		})
	}
}

// sparse is an archive whose member says that it is 10 GB of holes.
func sparse(t testing.TB) []byte {
	const records = "GNU.sparse.major=1\nGNU.sparse.minor=0\nGNU.sparse.name=files/x\nGNU.sparse.realsize=10737418240\n"
	var pax strings.Builder
	for l := range strings.Lines(records) {
		n := len(l) + 3
		if n > 99 {
			n++
		}
		fmt.Fprintf(&pax, "%d %s", n, l)
	}
	ps := parts(t, small(t))
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	tw := tar.NewWriter(zw)
	for _, p := range ps {
		tw.WriteHeader(&p.h)
		io.WriteString(tw, p.data)
	}
	tw.Flush()
	// The library refuses to write such headers: a plain one, with its letter changed.
	var raw bytes.Buffer
	w := tar.NewWriter(&raw)
	w.WriteHeader(&tar.Header{Name: "x", Typeflag: tar.TypeReg, Size: int64(pax.Len()), Format: tar.FormatUSTAR})
	io.WriteString(w, pax.String())
	w.Flush()
	block := raw.Bytes()
	block[156] = 'x'
	for i := 148; i < 156; i++ {
		block[i] = ' '
	}
	sum := 0
	for _, c := range block[:512] {
		sum += int(c)
	}
	copy(block[148:156], fmt.Sprintf("%06o\x00 ", sum))
	zw.Write(block)
	body := "1\n10737418239\n1\n"
	tail := tar.NewWriter(zw)
	tail.WriteHeader(&tar.Header{Name: "files/x", Typeflag: tar.TypeReg, Size: 513, Format: tar.FormatUSTAR})
	io.WriteString(tail, body+strings.Repeat("\x00", 512-len(body))+"x")
	tail.Close()
	zw.Close()
	return b.Bytes()
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	for name, want := range map[string]string{dir: "it is a folder; a mounted image is given as image:", filepath.Join(dir, "none"): "no such file"} {
		if _, err := Open(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	fifo := filepath.Join(dir, "x")
	if err := os.WriteFile(fifo, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(fifo); err == nil || !strings.Contains(err.Error(), fifo) {
		t.Errorf("%v", err)
	}
}

// FuzzLoad gives Load an archive of any index and content, or any bytes at all.
func FuzzLoad(f *testing.F) {
	good := small(f)
	ps := parts(f, good)
	f.Add([]byte(ps[0].data), "files/etc/fstab", []byte("none"))
	f.Add(good, "", []byte{})
	for seed := range uint64(5) {
		var b bytes.Buffer
		if err := Save(&b, sample(rand.New(rand.NewPCG(seed, 3)))); err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(parts(f, b.Bytes())[0].data), "files/etc/fstab", []byte("x"))
	}
	f.Fuzz(func(t *testing.T, data []byte, name string, content []byte) {
		Load(bytes.NewReader(data))
		if strings.ContainsRune(name, 0) || name == "" || len(name) > 1000 {
			return
		}
		s, err := Load(bytes.NewReader(pack(t, []part{file(indexName, string(data)), file("commands/001-ss-hltunpe.txt", "x"), file(name, string(content))})))
		if err != nil {
			return
		}
		// What is accepted can be saved, and is the same then.
		var b bytes.Buffer
		if err := Save(&b, s); err != nil {
			t.Fatal(err)
		}
		again, err := Load(&b)
		if err != nil {
			t.Fatal(err)
		}
		same(t, s, again)
	})
}

// FuzzAnswer gives the reader of SSH answers any bytes.
func FuzzAnswer(f *testing.F) {
	m := snap.Manifest{
		Files: []string{"/etc/*", "/home/*/.ssh/*", "/proc/sys/*/*"}, Stats: []string{"/", "/var/[a-z]*"},
		Commands: []snap.Command{{Argv: []string{"ss", "-Hltunpe"}}, {Argv: []string{"uname", "-srm"}}}, Walk: &snap.Walk{Roots: []string{"/"}},
	}
	f.Add([]byte("\nN denied\n0 /etc//\n\nN lstat\n81a4 0 0 3 1 /etc/x//\n\nN meta\n\nN one\n/etc/x//\nabc\nN content\n\nN run 0\ntcp\n\nN exit 0 0\nerr\nN walk\n89ed 0 0 1 1 /x//\n\nN walked 1\nfind: x: Permission denied\nN end\n"))
	f.Add([]byte("\nN heads\n==> /proc/sys/a/b <==\n1\n\n==> /proc/sys/a/c <==\n\nN errs\nhead: error reading '/proc/sys/a/d': Input\nN absent 1\n\nN no tar\n\nN end\n"))
	f.Add([]byte("\nN targets\n" + strings.Repeat("x", 600) + "\nN real\n/a//\n/b//\n\nN parent\n/c//\n\nN end\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := newStream(bytes.NewReader(data))
		s.expect("N")
		a := newAnswer(m, limits{walk: time.Second})
		err := a.read(s)
		shot := snap.New(snap.Source{Kind: "ssh", UID: 1}, time.Unix(1, 0))
		why := ""
		if err != nil {
			why = err.Error()
		}
		a.fill(shot, why)
		shot.MarkAsked(m)
		for p, e := range shot.Entries {
			if e.Path != p || !newMatcher(m.Files, m.Stats).match(p) {
				t.Errorf("%q was not asked", p)
			}
		}
		var b bytes.Buffer
		if err := Save(&b, shot); err != nil {
			t.Fatal(err)
		}
		again, err := Load(&b)
		if err != nil {
			t.Fatal(err)
		}
		same(t, shot, again)
	})
}
