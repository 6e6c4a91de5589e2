package pinned

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// key is one that no host has, whose text tells tests which it is.
func key(typ, text string) Key { return Key{typ, base64.StdEncoding.EncodeToString([]byte(text))} }

const (
	ed  = "ssh-ed25519"
	rsa = "ssh-rsa"
)

// hash hides a name with a salt that is always the same.
func hash(name string) string { return rehash("|1|c2FsdHNhbHRzYWx0c2FsdHM=|", name) }

// file writes lines as "NAMES KEY" with a key of a word such as ed:old.
func file(t *testing.T, text string) string {
	t.Helper()
	var out strings.Builder
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			out.WriteString(line)
			continue
		}
		at := slices.IndexFunc(f, func(w string) bool { return strings.HasPrefix(w, "ed:") || strings.HasPrefix(w, "rsa:") })
		typ, text, _ := strings.Cut(f[at], ":")
		k := key(map[string]string{"ed": ed, "rsa": rsa}[typ], text)
		for i, n := range f[:at] {
			if h, ok := strings.CutPrefix(n, "hashed:"); ok {
				f[i] = hash(h)
			}
		}
		f[at] = k.Type + " " + k.Blob
		out.WriteString(strings.Join(f, " ") + "\n")
	}
	return out.String()
}

func TestHolds(t *testing.T) {
	for names, want := range map[string]string{
		"worker1":                           "worker1 WORKER1",
		"worker1,192.168.0.101":             "worker1 192.168.0.101",
		"[worker1]:2222":                    "[worker1]:2222",
		"[worker1]:22":                      "worker1",
		"*":                                 "worker2 worker11x worker1 192.168.0.101 [worker1]:2222",
		"worker?,!worker2":                  "worker1",
		"192.168.0.1*":                      "192.168.0.101",
		"[*]:2222":                          "[worker1]:2222",
		hash("worker1"):                     "worker1 WORKER1",
		hash("[worker1]:2222"):              "[worker1]:2222",
		"|1|no|salt":                        "",
		"|1|" + "c2FsdA==":                  "",
		"!worker1,worker1":                  "",
		"w*k*1":                             "worker1",
		"w*x":                               "worker11x",
		"fe80::1,[fe80::2%eth0]:2222,other": "",
	} {
		l, ok := parse(names + " " + ed + " " + key(ed, "k").Blob)
		if !ok {
			t.Errorf("%s is no line", names)
		}
		for _, host := range []string{"worker1", "WORKER1", "worker2", "192.168.0.101", "[worker1]:2222", "worker11x"} {
			wanted := slices.Contains(strings.Fields(want), host) || host == "WORKER1" && slices.Contains(strings.Fields(want), "worker1")
			if got := l.Holds(host); got != wanted {
				t.Errorf("%s holds %s: %v", names, host, got)
			}
		}
	}
}

func TestLines(t *testing.T) {
	text := "\n# a comment\nworker1,10.0.0.1\tssh-ed25519 a2V5 amy@home of mine\r\n@revoked * ssh-rsa a2V5\n@cert-authority *.lab ssh-ed25519 a2V5 ca\nbroken ssh-rsa !!!\nshort ssh-rsa\n@alone\n,, ssh-rsa a2V5\n"
	var got []string
	for _, l := range Lines([]byte(text)) {
		got = append(got, fmt.Sprintf("%d %s", l.N, l))
	}
	want := "3 worker1,10.0.0.1 ssh-ed25519 a2V5 amy@home of mine|4 @revoked * ssh-rsa a2V5|5 @cert-authority *.lab ssh-ed25519 a2V5 ca"
	if s := strings.Join(got, "|"); s != want {
		t.Errorf("%s\nwant\n%s", s, want)
	}
	// As ssh-keygen -l shows it.
	if got := (Key{ed, "AAAAC3NzaC1lZDI1NTE5AAAAIIzDKpV0GnBNiZYzSyP9qvuLF5Cgt5bgq7gSnV3xMD0c"}).Fingerprint(); !strings.HasPrefix(got, "SHA256:") || len(got) != 50 {
		t.Error(got)
	}
	if (Key{ed, "!"}).Fingerprint() != "no key" {
		t.Error("a fingerprint of what is no key")
	}
}

func TestAdd(t *testing.T) {
	entries := []Entry{{"worker1", key(ed, "one")}, {"[worker2]:2222", key(rsa, "two")}, {"worker1", key(ed, "one")}}
	for _, c := range []struct {
		name, before, after string
		hash                bool
	}{
		{"nothing yet", "", "worker1 ed:one\n[worker2]:2222 rsa:two\n", false},
		{"below others", "nas ed:nas\n", "nas ed:nas\nworker1 ed:one\n[worker2]:2222 rsa:two\n", false},
		{"there already", "nas,worker1 ed:one\n", "nas,worker1 ed:one\n[worker2]:2222 rsa:two\n", false},
		{"there and hashed", "hashed:worker1 ed:one\n", "hashed:worker1 ed:one\nhashed:[worker2]:2222 rsa:two\n", true},
		{"a pattern is not the host", "* ed:one\n", "* ed:one\nworker1 ed:one\n[worker2]:2222 rsa:two\n", false},
		{"revoked is not known", "@revoked worker1 ed:one\n", "@revoked worker1 ed:one\nworker1 ed:one\n[worker2]:2222 rsa:two\n", false},
	} {
		h := hash
		if !c.hash {
			h = nil
		}
		if got, want := string(Add([]byte(file(t, c.before)), entries, h)), file(t, c.after); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, want)
		}
	}
	if got := string(Add([]byte("# mine"), entries[:1], nil)); got != file(t, "# mine\nworker1 ed:one\n") {
		t.Errorf("behind a line without its end: %q", got)
	}
	if got := string(Add([]byte("# mine\r\n"), entries[:1], nil)); !strings.HasSuffix(got, "\r\n") || strings.Count(got, "\r\n") != 2 {
		t.Errorf("in a file of another system: %q", got)
	}
	for text, want := range map[string]bool{"": false, "# x\n": false, "hashed:a ed:k\n": true, "hashed:a ed:k\nb ed:k\n": false, "b ed:k\n": false} {
		if Hides([]byte(file(t, text))) != want {
			t.Errorf("%q hides names: not %v", text, want)
		}
	}
}

func TestRenewal(t *testing.T) {
	const new = "192.168.0.101 ed:new\n"
	for _, c := range []struct{ name, before, after, others string }{
		{"one line", "# mine\n192.168.0.101 ed:old amy@home\nnas ed:nas\n", "# mine\n192.168.0.101 ed:new amy@home\nnas ed:nas\n", ""},
		{"hashed", "hashed:192.168.0.101 ed:old\nhashed:nas ed:nas\n", "hashed:192.168.0.101 ed:new\nhashed:nas ed:nas\n", ""},
		{"with a name", "worker1,192.168.0.101 ed:old\n", "worker1,192.168.0.101 ed:new\n", ""},
		{"a name of its own", "worker1 ed:old\nnas ed:nas\n192.168.0.101 ed:old\n", "worker1 ed:new\nnas ed:nas\n192.168.0.101 ed:new\n", ""},
		{"another type goes", "192.168.0.101 rsa:old\n192.168.0.101 ed:old\n", new, ""},
		{"only another type was known", "nas ed:nas\nhashed:192.168.0.101 rsa:old\nnas rsa:nas\n", "nas ed:nas\nhashed:192.168.0.101 ed:new\nnas rsa:nas\n", ""},
		{"another type under two names", "192.168.0.101 rsa:old\nworker1 rsa:old\n", "192.168.0.101 ed:new\nworker1 ed:new\n", ""},
		{"what it has still stays", "192.168.0.101 rsa:same\n192.168.0.101 ed:old\n", "192.168.0.101 rsa:same\n192.168.0.101 ed:new\n", ""},
		{"others on its line", "nas,192.168.0.101 ed:old\n", "nas ed:old\n192.168.0.101 ed:new\n", "nas"},
		{"others with its key", "pi9 ed:old\n192.168.0.101 ed:old\n", "pi9 ed:old\n192.168.0.101 ed:new\n", "pi9"},
		{"other hosts' hashed lines", "hashed:pi9 ed:old\n192.168.0.101 ed:old\n", "hashed:pi9 ed:old\n192.168.0.101 ed:new\n", hash("pi9")},
		{"a pattern", "192.168.0.* ed:old\n", "192.168.0.* ed:old\n", "192.168.0.*"},
		{"marked ones", "@revoked * ed:old\n@cert-authority * ed:old\n", "@revoked * ed:old\n@cert-authority * ed:old\n", ""},
		{"twice", "192.168.0.101 ed:old\n192.168.0.101 ed:old\n", new, ""},
		{"another port is another host", "[192.168.0.101]:2222 ed:old\n", "[192.168.0.101]:2222 ed:old\n", "[192.168.0.101]:2222"},
		{"another old key of it", "192.168.0.101 ed:older\n192.168.0.101 ed:old\n", new, ""},
		{"nothing of it", "nas ed:nas\n", "nas ed:nas\n", ""},
		{"empty", "", "", ""},
	} {
		r := Renewal{Name: "192.168.0.101", Also: []string{"worker1"}, Old: []Key{key(ed, "old"), key(rsa, "old"), key(ed, "older")}, Fresh: []Key{key(ed, "new")}}
		before := []byte(file(t, c.before))
		if got, want := string(r.Apply(before)), file(t, c.after); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, want)
		}
		var others []string
		for _, l := range r.Others(before) {
			others = append(others, l.Names...)
		}
		if s := strings.Join(others, " "); s != c.others {
			t.Errorf("%s: others are %q, want %q", c.name, s, c.others)
		}
		if changed := len(r.Lines(before)) > 0; changed != (c.before != c.after) {
			t.Errorf("%s: it says that lines change: %v", c.name, changed)
		}
		again := r.Apply([]byte(file(t, c.after)))
		if string(again) != file(t, c.after) {
			t.Errorf("%s: a second time it is\n%s", c.name, again)
		}
	}
	r := Renewal{Name: "a", Old: []Key{key(ed, "old")}, Fresh: []Key{key(ed, "new")}}
	if got := string(r.Apply([]byte(strings.ReplaceAll(file(t, "# x\na ed:old\n"), "\n", "\r\n")))); got != strings.ReplaceAll(file(t, "# x\na ed:new\n"), "\n", "\r\n") {
		t.Errorf("%q", got)
	}
}

// FuzzEdit: whatever a file holds, lines of others come through byte for byte.
func FuzzEdit(f *testing.F) {
	f.Add("nas ssh-ed25519 a2V5\n192.168.0.101 ssh-ed25519 b2xk", "x")
	f.Add("|1|c2FsdA==|aGFzaA== ssh-rsa a2V5\r\n@revoked * ssh-rsa a2V5\n", "")
	f.Fuzz(func(t *testing.T, text, name string) {
		r := Renewal{Name: "192.168.0.101", Also: []string{name}, Old: []Key{key(ed, "old")}, Fresh: []Key{key(ed, "new"), key(rsa, "new")}}
		changes := r.Lines([]byte(text))
		out := string(r.Apply([]byte(text)))
		if len(changes) == 0 && out != text {
			t.Fatalf("it changed what does not concern it: %q", out)
		}
		n := 0
		for line := range strings.Lines(text) {
			if n++; !slices.Contains(changes, n) && !strings.Contains(out, strings.TrimSuffix(line, "\n")) {
				t.Fatalf("%q is gone", line)
			}
		}
		if left := r.Lines([]byte(out)); len(left) > 0 {
			t.Fatalf("the old key is still there on %v", left)
		}
		if added := Add([]byte(text), []Entry{{"a", key(ed, "a")}}, nil); !strings.HasPrefix(string(added), text) {
			t.Fatalf("adding changed what was there: %q", added)
		}
	})
}
