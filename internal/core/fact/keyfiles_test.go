package fact

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"picket/internal/core/snap"
	"picket/lab/leftout"
)

const (
	someKey   = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJOI8Pb2Q8QfXh0pVlgPNZAyA4oqXYE0SSIQDgE9bxFv"
	keyPasswd = "root:x:0:0:root:/root:/bin/bash\namy:x:1000:1000::/home/amy:/bin/bash\nbob:x:1001:100::/home/bob:/bin/bash\n"
	keyGroup  = "root:x:0:\nusers:x:100:\namy:x:1000:\n"
)

// keysOf are the files of keys of amy and bob, and why they are not known.
func keysOf(config string, answers ...snap.Output) *Host {
	return made(map[string]string{
		"/etc/passwd": keyPasswd, "/etc/group": keyGroup, sshdMain: config,
		"/etc/ssh/keys/amy": someKey + " elsewhere\n", "/home/amy/.ssh/authorized_keys": someKey + " home\n",
	}, answers...)
}

func pathsOf(h *Host, user string) (out []string) {
	for _, f := range h.Keys.Files[user] {
		out = append(out, f.Path)
	}
	return out
}

func TestKeyFiles(t *testing.T) {
	usual := []string{"/home/amy/.ssh/authorized_keys", "/home/amy/.ssh/authorized_keys2"}
	for _, tc := range []struct {
		config   string
		amy      []string
		comments string // of the keys that let amy in
		why      string
		ignored  bool
	}{
		{"", usual, "home", "", false},
		{"AuthorizedKeysFile /etc/ssh/keys/%u", []string{"/etc/ssh/keys/amy"}, "elsewhere", "", true},
		{"AuthorizedKeysFile %h/.ssh/authorized_keys ./.ssh//authorized_keys", usual[:1], "home", "", false},
		{"AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/keys/%u", []string{usual[0], "/etc/ssh/keys/amy"}, "home elsewhere", "", false},
		{"AuthorizedKeysFile /k/%U/%%/%u \"/a b\"", []string{"/k/1000/%/amy", "/a b"}, "", "", true},
		{"AuthorizedKeysFile none", nil, "", "", true},
		{"AuthorizedKeysFile none .config/keys", []string{"/home/amy/.config/keys"}, "", "", true},
		{"AuthorizedKeysFile ~/keys", []string{"/root/keys"}, "", "", true},
		{"Match User amy\nAuthorizedKeysFile /etc/ssh/keys/%u", []string{"/etc/ssh/keys/amy"}, "elsewhere", "", true},
		{"Match User bob\nAuthorizedKeysFile /etc/ssh/keys/%u", usual, "home", "", false},
		{"Match Group amy\nAuthorizedKeysFile /etc/ssh/keys/%u", []string{"/etc/ssh/keys/amy"}, "elsewhere", "", true},
		// From one network another file counts too.
		{"Match Address 10.0.0.0/8\nAuthorizedKeysFile /etc/ssh/keys/%u", append(slices.Clone(usual), "/etc/ssh/keys/amy"), "home elsewhere", "", false},
		{"AuthorizedKeysFile /etc/shadow", []string{"/etc/shadow"}, "", "it is a file of another kind", true},
		{"AuthorizedKeysFile .ssh/config", []string{".ssh/config"}, "", "it is a file of another kind", true},
		{"AuthorizedKeysFile /dev/zero", []string{"/dev/zero"}, "", "keys do not lie there", true},
		{"AuthorizedKeysFile /proc/self/environ", []string{"/proc/self/environ"}, "", "keys do not lie there", true},
		{"AuthorizedKeysFile /etc/ssh/keys/../../shadow", []string{"/etc/ssh/keys/../../shadow"}, "", "has ..", true},
		{"AuthorizedKeysFile ../bob/keys", []string{"../bob/keys"}, "", "has ..", true},
		{"AuthorizedKeysFile /etc/%x", []string{"/etc/%x"}, "", "does not know what %x", true},
		{"AuthorizedKeysFile /etc/%", []string{"/etc/%"}, "", "does not know what %", true},
		{"AuthorizedKeysFile ~bob/keys", []string{"~bob/keys"}, "", "~ of another account", true},
		{"AuthorizedKeysFile /etc/ssh/*", []string{"/etc/ssh/*"}, "", "cannot be asked for", true},
		{"AuthorizedKeysFile " + strings.Repeat("/%h", 3000), []string{strings.Repeat("/%h", 3000)}, "", "too long", true},
		{"AuthorizedKeysCommand /bin/keys %u", usual, "home", "which Picket does not run", false},
	} {
		h := keysOf(tc.config + "\n")
		if got := pathsOf(h, "amy"); !slices.Equal(got, tc.amy) {
			t.Errorf("%.60s: %q, want %q", tc.config, got, tc.amy)
		}
		var comments []string
		for _, k := range h.Keys.Authorized["amy"] {
			comments = append(comments, k.Comment)
		}
		if got := strings.Join(comments, " "); got != tc.comments {
			t.Errorf("%.60s: let in by %q, want %q", tc.config, got, tc.comments)
		}
		if why := h.Keys.Unseen("amy"); !strings.Contains(why, tc.why) || (why == "") != (tc.why == "") {
			t.Errorf("%.60s: %q, want %q", tc.config, why, tc.why)
		}
		if got := len(h.Keys.Ignored["amy"]) > 0; got != tc.ignored {
			t.Errorf("%.60s: ignored %v", tc.config, h.Keys.Ignored["amy"])
		}
		for _, p := range Ask(h.Snap).Keys {
			if unaskableKeys(p) != "" {
				t.Errorf("%.60s: asks for %s", tc.config, p)
			}
		}
	}
}

// What sshd itself answers for an account has the word.
func TestKeyFilesAnswered(t *testing.T) {
	w := SSHDWho{User: "amy", Host: farHost, Addr: farAddr}
	h := keysOf("Match User amy\nAuthorizedKeysFile none\n",
		snap.Output{Argv: sshdTest}, snap.Output{Argv: sshdDump, Stdout: []byte("authorizedkeysfile none\n")},
		snap.Output{Argv: w.argv(), Stdout: []byte("authorizedkeysfile /etc/ssh/keys/%u\n")})
	if got := pathsOf(h, "amy"); !slices.Equal(got, []string{"/etc/ssh/keys/amy"}) {
		t.Errorf("%q", got)
	}
}

func TestTooManyKeyFiles(t *testing.T) {
	leftout.OfRace(t)
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, " /k/%d", i)
	}
	h := keysOf("AuthorizedKeysFile" + b.String() + "\n")
	if n := len(h.Keys.Files["amy"]); n != maxKeyFilesEach || !strings.Contains(h.Keys.Unseen("amy"), "more than 32 files") {
		t.Errorf("%d files: %s", n, h.Keys.Unseen("amy"))
	}
	b.Reset()
	for i := range 5000 {
		fmt.Fprintf(&b, "Match User u%d Address 10.%d.%d.0/24\nAuthorizedKeysFile /k/%d\n", i, i/256, i%256, i)
	}
	begin := time.Now()
	if h = keysOf(b.String()); !strings.Contains(h.Keys.Unseen("amy"), "in too many places") {
		t.Errorf("%q", h.Keys.Unseen("amy"))
	}
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}

// A file that sshd_config names may be any file of the host.
func TestOnlyKeysAreKept(t *testing.T) {
	s := snap.New(snap.Source{Kind: "local"}, time.Unix(0, 0))
	put := func(p, content string) {
		s.Put(&snap.Entry{Path: p, Type: snap.File, Mode: 0o644, Read: true, Content: []byte(content)})
	}
	put("/etc/passwd", keyPasswd)
	put("/etc/group", keyGroup)
	put(sshdMain, "AuthorizedKeysFile /opt/app/secrets /etc/ssh/keys/%u .ssh/other\n")
	s.MarkAsked(snap.Manifest{Files: []string{"/etc/passwd", "/etc/group", sshdMain}})
	m := Ask(s)
	want := []string{"/etc/ssh/keys/amy", "/etc/ssh/keys/bob", "/etc/ssh/keys/root", "/home/amy/.ssh/other", "/home/bob/.ssh/other", "/opt/app/secrets", "/root/.ssh/other"}
	if !slices.Equal(m.Keys, want) {
		t.Errorf("asks for %q", m.Keys)
	}
	s.ExpectKeys(m)
	put("/opt/app/secrets", "DB=hunter2\nroot:$y$j9T$abc:20000::::::\n# hunter2\n"+someKey+" a@b\n")
	put("/etc/ssh/keys/amy", `environment="TOKEN=hunter2",command="backup --password hunter2" `+someKey+" amy password=hunter2\n")
	put("/etc/ssh/keys/bob", "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n-----END OPENSSH PRIVATE KEY-----\n")
	put("/etc/ssh/keys/root", "hunter2\n")
	put("/home/amy/.ssh/other", someKey+"\nhunter2\n")
	put("/home/amy/.ssh/authorized_keys", "root:$y$j9T$hunter2:20000::::::\n") // a link to shadow
	Redact(s, Secrets{})
	s.MarkAsked(m)
	s.MarkAsked(snap.Manifest{Files: []string{"/root/.ssh/*", "/home/amy/.ssh/*", "/home/bob/.ssh/*"}})
	for p, e := range s.Entries {
		if strings.Contains(string(e.Content), "hunter2") || strings.Contains(string(e.Content), "$y$") {
			t.Errorf("%s keeps %q", p, e.Content)
		}
	}
	h := Parse(s)
	for _, user := range []string{"amy", "root"} {
		// What is left says for certain that root has no key of its own.
		if st, why := h.Keys.Unread(user); why != "" {
			t.Errorf("%s: %v %s", user, st, why)
		}
	}
	for user, places := range map[string]string{"amy": "/opt/app/secrets:4 /etc/ssh/keys/amy:1 /home/amy/.ssh/other:1", "bob": "/opt/app/secrets:4", "root": "/opt/app/secrets:4"} {
		var got []string
		for _, k := range h.Keys.Authorized[user] {
			got = append(got, k.Place.String())
		}
		if strings.Join(got, " ") != places {
			t.Errorf("%s: %q, want %s", user, got, places)
		}
	}
}

// Tried with sshd 9.2: it reads the file as the user.
func TestKeysThatSSHDCannotRead(t *testing.T) {
	for mode, in := range map[uint32]int{0o600: 0, 0o640: 1, 0o644: 1} {
		h := keysOf("AuthorizedKeysFile /etc/ssh/keys/amy\n")
		h.Snap.Entries["/etc/ssh/keys/amy"].Mode = mode
		h = Parse(h.Snap)
		if got := len(h.Keys.Authorized["amy"]); got != in || len(h.Keys.Authorized["root"]) != 1 {
			t.Errorf("mode %04o lets amy in by %d keys, want %d", mode, got, in)
		}
	}
}

func FuzzKeyFiles(f *testing.F) {
	f.Add("AuthorizedKeysFile /etc/ssh/keys/%u %h/x ~/y none\nMatch User pi\nAuthorizedKeysFile %", "/home/pi")
	f.Add("AuthorizedKeysFile ../../etc/shadow \"/a b\" /dev/zero", "/srv/../x")
	f.Fuzz(func(t *testing.T, config, home string) {
		files := map[string]string{"/etc/passwd": "root:x:0:0:root:/root:/bin/bash\npi:x:1000:1000::" + home + ":/bin/bash\n", sshdMain: config}
		h := told(t, "local", files, nil)
		for _, p := range Ask(h.Snap).Keys {
			if why := unaskableKeys(p); why != "" || p[0] != '/' {
				t.Errorf("asks for %q: %s", p, why)
			}
		}
	})
}
