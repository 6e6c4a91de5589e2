package fact_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"picket/internal/core/fact"
	"picket/internal/core/snap"
)

// The keys are made here and described by golang.org/x/crypto/ssh, which the
// reader does not use.
func TestPrivateKeys(t *testing.T) {
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	print := func(k crypto.Signer) string {
		p, err := ssh.NewPublicKey(k.Public())
		if err != nil {
			t.Fatal(err)
		}
		return ssh.FingerprintSHA256(p)
	}
	block := func(b *pem.Block, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(b))
	}
	der := func(kind string, b []byte, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		return block(&pem.Block{Type: kind, Bytes: b}, nil)
	}
	pkcs8 := func(k any) string { b, err := x509.MarshalPKCS8PrivateKey(k); return der("PRIVATE KEY", b, err) }
	ecDER, err := x509.MarshalECPrivateKey(ec)
	for name, tc := range map[string]struct{ content, want string }{
		"ed25519":           {block(ssh.MarshalPrivateKey(ed, "me")), "ssh-ed25519 256, no passphrase, " + print(ed)},
		"ed25519 locked":    {block(ssh.MarshalPrivateKeyWithPassphrase(ed, "me", []byte("x"))), "ssh-ed25519 256, passphrase, " + print(ed)},
		"rsa":               {block(ssh.MarshalPrivateKey(rs, "")), "ssh-rsa 2048, no passphrase, " + print(rs)},
		"rsa PEM":           {der("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rs), nil), "ssh-rsa 2048, no passphrase, " + print(rs)},
		"rsa PKCS8":         {pkcs8(rs), "ssh-rsa 2048, no passphrase, " + print(rs)},
		"ecdsa PEM":         {der("EC PRIVATE KEY", ecDER, err), "ecdsa-sha2-nistp256 256, no passphrase, " + print(ec)},
		"ecdsa PKCS8":       {pkcs8(ec), "ecdsa-sha2-nistp256 256, no passphrase, " + print(ec)},
		"ed25519 PKCS8":     {pkcs8(ed), "ssh-ed25519 256, no passphrase, " + print(ed)},
		"PEM locked":        {"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AA\n\nAAAA\n-----END RSA PRIVATE KEY-----\n", "RSA, passphrase"},
		"PKCS8 locked":      {"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "ENCRYPTED, passphrase"},
		"PuTTY":             {"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: x\n", "ssh-ed25519, no passphrase"},
		"cut short":         {"-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n", "damaged, no passphrase"},
		"a hostile OpenSSH": {"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA/////w==\n-----END OPENSSH PRIVATE KEY-----\n", "damaged, no passphrase"},
	} {
		s := host(t, always, map[string]string{"/etc/passwd": somePasswd, "/home/pi/.ssh/any-name": tc.content})
		if got, want := string(s.Entries["/home/pi/.ssh/any-name"].Content), "[private key: "+tc.want+"]\n"; got != want {
			t.Errorf("%s: %swant %s", name, got, want)
		}
		ks := fact.Parse(s).Keys.Private["pi"]
		if len(ks) != 1 {
			t.Errorf("%s: %d private keys read back", name, len(ks))
			continue
		}
		back := ks[0].Type
		if ks[0].Bits > 0 {
			back += fmt.Sprint(" ", ks[0].Bits)
		}
		back += ", " + string(ks[0].Lock)
		if ks[0].Fingerprint != "" {
			back += ", " + ks[0].Fingerprint
		}
		if back != tc.want {
			t.Errorf("%s: read back %q, want %q", name, back, tc.want)
		}
	}
}

func TestHomeFilesRedacted(t *testing.T) {
	key := "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJOI8Pb2Q8QfXh0pVlgPNZAyA4oqXYE0SSIQDgE9bxFv pi@lab"
	s := host(t, always, map[string]string{
		"/home/pi/.ssh/authorized_keys": `environment="TOKEN=abc\"d",restrict ` + key + "\n",
		"/home/pi/.ssh/id_ed25519.pub":  key + "\n",
		"/home/pi/.ssh/token.pub":       "s3cret\n",
		"/home/pi/.ssh/notes":           "password: s3cret\n",
		"/root/.ssh/config":             "Host *\n",
		"/srv/data/lab/x/.ssh/notes":    "s3cret\n",
		"/home/pi/.ssh/known_hosts":     "leader " + key + "\n@revoked * " + key + "\nroot:$6$s3cret:1::\n# s3cret\n", // a link may lead anywhere
	})
	for p, want := range map[string]string{
		"/home/pi/.ssh/authorized_keys": `environment="TOKEN=[not kept]",restrict ` + key + "\n",
		"/home/pi/.ssh/id_ed25519.pub":  key + "\n",
		"/home/pi/.ssh/token.pub":       "[not kept]\n",
		"/home/pi/.ssh/notes":           "[not kept]\n",
		"/root/.ssh/config":             "Host *\n",
		"/srv/data/lab/x/.ssh/notes":    "[not kept]\n",
		"/home/pi/.ssh/known_hosts":     "leader " + key + "\n@revoked * " + key + "\n[no key]\n#\n",
	} {
		if got := string(s.Entries[p].Content); got != want {
			t.Errorf("%s: %q, want %q", p, got, want)
		}
	}
}

func TestAuthorizedKeys(t *testing.T) {
	pub, _, _ := ed25519.GenerateKey(rand.Reader)
	p, err := ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	key := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(p)))
	s := host(t, always, map[string]string{
		"/etc/passwd": somePasswd,
		"/home/pi/.ssh/authorized_keys": "# mine\n" + key + " pi@lab desk\n" +
			`from="10.0.0.0/8,192.168.1.*",command="echo \"a b\", c",restrict ` + key + "\nssh-rsa AAAA broken\n\n",
	})
	h := fact.Parse(s)
	want := []fact.AuthorizedKey{
		{PublicKey: fact.PublicKey{Type: "ssh-ed25519", Bits: 256, Fingerprint: ssh.FingerprintSHA256(p)}, Comment: "pi@lab desk", Place: fact.At("/home/pi/.ssh/authorized_keys", 2)},
		{PublicKey: fact.PublicKey{Type: "ssh-ed25519", Bits: 256, Fingerprint: ssh.FingerprintSHA256(p)}, Options: []string{`from="10.0.0.0/8,192.168.1.*"`, `command="echo \"a b\", c"`, "restrict"}, Place: fact.At("/home/pi/.ssh/authorized_keys", 3)},
	}
	if d := cmp.Diff(want, h.Keys.Authorized["pi"]); d != "" {
		t.Errorf("authorized keys (-want +got):\n%s", d)
	}
	if len(h.Keys.Problems) != 1 || h.Keys.Problems[0].Place.Line != 4 {
		t.Errorf("problems: %v", h.Keys.Problems)
	}
}

// A home's path comes from the host: it must not become a pattern, nor reach
// where no redaction does.
func TestHomesAskedFor(t *testing.T) {
	s := host(t, always, map[string]string{"/etc/passwd": "root:x:0:0::/root:/bin/bash\na:x:1:1::/home/*:/bin/sh\nb:x:2:2::/home/../etc:/bin/sh\nc:x:3:3::/home/.hidden:/bin/sh\nd:x:4:4::/:/bin/sh\ne:x:5:5::/srv/e:/usr/sbin/nologin\n"})
	h := fact.Parse(s)
	why := map[string]string{}
	for _, home := range h.Keys.Homes {
		why[home.User.Name] = home.SSHWhy
	}
	want := map[string]string{
		"root": "there is no /root/.ssh/*", "a": "the path of its home has characters that cannot be asked for",
		"b": "its home is not a clean absolute path", "c": "its home lies in an unusual place", "d": "there is no home folder",
	}
	if d := cmp.Diff(want, why); d != "" {
		t.Errorf("homes (-want +got):\n%s", d)
	}
	fresh := snap.New(snap.Source{}, s.Taken)
	fresh.Entries = s.Entries
	for _, f := range fact.Ask(fresh).Files {
		if strings.Contains(f, ".ssh") && !strings.HasPrefix(f, "/root/.ssh/") && !strings.HasPrefix(f, "/etc/") {
			t.Errorf("asked for %s", f)
		}
	}
}

func FuzzKeys(f *testing.F) {
	f.Add("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJOI8Pb2Q8QfXh0pVlgPNZAyA4oqXYE0SSIQDgE9bxFv pi@lab")
	f.Add(`a="\",b ssh-rsa AAAA`)
	f.Add("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA/////w==\n-----END OPENSSH PRIVATE KEY-----\n")
	f.Add("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n")
	f.Fuzz(func(t *testing.T, content string) {
		s := host(t, always, map[string]string{
			"/etc/passwd": somePasswd, "/home/pi/.ssh/authorized_keys": content, "/home/pi/.ssh/id_rsa": content,
		})
		fact.Parse(s)
		if got := string(s.Entries["/home/pi/.ssh/id_rsa"].Content); !strings.HasPrefix(got, "[private key: ") {
			for _, l := range strings.Split(got, "\n") {
				// A line of an authorized key is harmless under any name.
				if l != "" && l != "#" && l != "[not kept]" && l != "[no key]" && !strings.Contains(l, " AAAA") {
					t.Errorf("kept %q", got)
				}
			}
		}
	})
}

// TestHostKeyIsHidden: a private host key is read when it is to be renewed, and is not shown then.
func TestHostKeyIsHidden(t *testing.T) {
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	block, err := ssh.MarshalPrivateKey(ed, "root@host")
	if err != nil {
		t.Fatal(err)
	}
	s := snap.New(snap.Source{Kind: "ssh"}, time.Unix(0, 0))
	got := string(fact.Hide(s, "/etc/ssh/ssh_host_ed25519_key", pem.EncodeToMemory(block)))
	if !strings.HasPrefix(got, "[private key: ssh-ed25519 256, no passphrase, SHA256:") || strings.Contains(got, "BEGIN") {
		t.Errorf("%q", got)
	}
}
