package remote

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"picket/lab/sshserver"
)

// withKeys is a real sshd with an Ed25519 and an RSA key; renewed with others at the same port is left to Renew's table.
func withKeys(t *testing.T) (s *sshserver.Server, rsa ssh.PublicKey) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rsa")
	if out, err := exec.Command(sshserver.Need(t, "ssh-keygen"), "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(file + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	if rsa, _, _, _, err = ssh.ParseAuthorizedKey(text); err != nil {
		t.Fatal(err)
	}
	return sshserver.Real(t, "HostKey "+file), rsa
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(file, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	return file
}

func target(t *testing.T, s *sshserver.Server) Target {
	t.Helper()
	to, err := ParseTarget(s.Target())
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func TestHostKey(t *testing.T) {
	s, rsa := withKeys(t)
	address := net.JoinHostPort(s.Host, fmt.Sprint(s.Port))
	other := sshserver.NewKey(t, filepath.Join(t.TempDir(), "k")).PublicKey()
	for name, c := range map[string]struct {
		known string
		key   ssh.PublicKey
		state string
	}{
		"not known":          {"", s.HostKey, "new"},
		"known":              {knownhosts.Line([]string{address}, s.HostKey), s.HostKey, "known"},
		"known by RSA alone": {knownhosts.Line([]string{address}, rsa), rsa, "known"},
		"changed":            {knownhosts.Line([]string{address}, other), s.HostKey, "changed"},
		"revoked":            {"@revoked * " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.HostKey))), s.HostKey, "revoked"},
		"known, another old": {knownhosts.Line([]string{address}, rsa) + "\n" + knownhosts.Line([]string{address}, other), rsa, "known"},
	} {
		opt := Options{KnownHosts: []string{writeFile(t, c.known+"\n")}}
		got, err := HostKey(t.Context(), target(t, s), opt)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		state := "known"
		switch {
		case got.New():
			state = "new"
		case got.Problem != nil && got.Problem.Changed:
			state = "changed"
		case got.Problem != nil:
			state = "revoked"
		}
		if state != c.state || got.Fingerprint() != ssh.FingerprintSHA256(c.key) {
			t.Errorf("%s: %s %s, want %s %s", name, state, got.Fingerprint(), c.state, ssh.FingerprintSHA256(c.key))
		}
		if text, _ := os.ReadFile(opt.KnownHosts[0]); string(text) != c.known+"\n" {
			t.Errorf("%s: the file was changed", name)
		}
	}
	all, err := HostKeys(t.Context(), target(t, s), Options{KnownHosts: []string{writeFile(t, "")}})
	if err != nil || len(all) != 2 || all[0].Fingerprint() != ssh.FingerprintSHA256(s.HostKey) || all[1].Fingerprint() != ssh.FingerprintSHA256(rsa) {
		t.Errorf("%v, %v", all, err)
	}
	_, err = HostKey(t.Context(), Target{User: "pi", Host: "127.0.0.1", Port: 1}, Options{KnownHosts: []string{writeFile(t, "")}})
	refused(t, err, "connection refused", "")
}

// TestHostKeyBehind: the way to a host is gone like that of a login.
func TestHostKeyBehind(t *testing.T) {
	gate, last := sshserver.Fake(t, sshserver.Behaviour{}), sshserver.Fake(t, sshserver.Behaviour{})
	known, err := os.ReadFile(gate.KnownHosts(t))
	if err != nil {
		t.Fatal(err)
	}
	way := target(t, gate)
	way.Identity = gate.Key
	opt := Options{KnownHosts: []string{writeFile(t, string(known))}, Jump: []Target{way}}
	s, err := HostKey(t.Context(), target(t, last), opt)
	if err != nil || !s.New() || s.Fingerprint() != ssh.FingerprintSHA256(last.HostKey) {
		t.Errorf("%v, %v", s, err)
	}
	opt.KnownHosts = []string{writeFile(t, "")}
	_, err = HostKey(t.Context(), target(t, last), opt)
	refused(t, err, "on the way there: "+at(gate).String()+": the host is not known", "")
}

func TestPin(t *testing.T) {
	s := sshserver.Fake(t, sshserver.Behaviour{})
	nas := sshserver.NewKey(t, filepath.Join(t.TempDir(), "k")).PublicKey()
	plain, hashed := knownhosts.Line([]string{"nas"}, nas), knownhosts.Line([]string{knownhosts.HashHostname("nas")}, nas)
	for name, before := range map[string]string{"plain": "# mine\n" + plain + "\n", "hashed": hashed + "\n", "": ""} {
		file := writeFile(t, before)
		opt := Options{KnownHosts: []string{file}, Identities: []string{s.Key}}
		shown, err := HostKey(t.Context(), target(t, s), opt)
		if err != nil {
			t.Fatal(err)
		}
		if err := Pin([]Shown{shown, shown}); err != nil {
			t.Fatal(err)
		}
		text, _ := os.ReadFile(file)
		added, ok := strings.CutPrefix(string(text), before)
		if !ok || strings.Count(added, "\n") != 1 || strings.HasPrefix(added, "|1|") != (name == "hashed") {
			t.Errorf("%s: it holds\n%s", name, text)
		}
		if st, _ := os.Stat(file); st.Mode().Perm() != 0o640 {
			t.Errorf("%s: mode %v", name, st.Mode())
		}
		if shown, err = HostKey(t.Context(), target(t, s), opt); err != nil || shown.Problem != nil {
			t.Errorf("%s: the key is not known then: %v, %v", name, shown.Problem, err)
		}
		if _, err := dial(t, s, opt); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if out, err := exec.Command(sshserver.Need(t, "ssh-keygen"), "-F", fmt.Sprintf("[%s]:%d", s.Host, s.Port), "-f", file).CombinedOutput(); err != nil {
			t.Errorf("%s: ssh-keygen does not find it: %v %s", name, err, out)
		}
	}
	// A key that has changed is not pinned.
	file := writeFile(t, knownhosts.Line([]string{fmt.Sprintf("%s:%d", s.Host, s.Port)}, nas)+"\n")
	shown, err := HostKey(t.Context(), target(t, s), Options{KnownHosts: []string{file}})
	if err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(file)
	if err := Pin([]Shown{shown}); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.ReadFile(file); string(after) != string(before) {
		t.Errorf("a changed key was pinned:\n%s", after)
	}
}

func TestRenew(t *testing.T) {
	s, rsa := withKeys(t)
	name := fmt.Sprintf("[%s]:%d", s.Host, s.Port)
	old := sshserver.NewKey(t, filepath.Join(t.TempDir(), "k")).PublicKey()
	line := func(name string, key ssh.PublicKey) string {
		return name + " " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))) + "\n"
	}
	mine := writeFile(t, line("nas", old)+line(knownhosts.HashHostname(name), old)+line("worker1", old)+line(name, rsa)+"# end\n")
	empty := writeFile(t, "")
	opt := Options{KnownHosts: []string{mine, empty, filepath.Join(t.TempDir(), "none")}, Identities: []string{s.Key}}
	_, err := dial(t, s, Options{KnownHosts: []string{writeFile(t, line(name, old))}, Identities: []string{s.Key}})
	refused(t, err, "the host key has changed", "picket keys repair "+s.Target())

	shown, err := HostKeys(t.Context(), target(t, s), opt)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Renew(shown, []string{"worker1"})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Same) != 1 || len(r.Old) != 1 || r.Old[0].Place != mine+":2" || len(r.Fresh) != 1 || r.Fresh[0].Fingerprint() != ssh.FingerprintSHA256(s.HostKey) ||
		len(r.Also) != 1 || r.Also[0].Place != mine+":3" || strings.Join(r.Others, " ") != mine+":1 (nas)" || len(r.Changes()) != 1 || len(r.Closed()) != 0 {
		t.Errorf("%+v", r)
	}
	before, _ := os.ReadFile(mine)
	backups, err := r.Write([]string{ssh.FingerprintSHA256(s.HostKey)}, "now")
	if err != nil || len(backups) != 1 || backups[0] != mine+".old-now" {
		t.Fatalf("%v, %v", backups, err)
	}
	if kept, _ := os.ReadFile(backups[0]); string(kept) != string(before) {
		t.Errorf("kept is\n%s", kept)
	}
	after, _ := os.ReadFile(mine)
	lines, was := strings.Split(string(after), "\n"), strings.Split(string(before), "\n")
	fresh := strings.TrimSpace(line("", s.HostKey))
	if len(lines) != len(was) || lines[0] != was[0] || lines[1] != strings.Fields(was[1])[0]+" "+fresh || lines[2] != "worker1 "+fresh || lines[3] != was[3] || lines[4] != was[4] {
		t.Errorf("it holds\n%s\nand was\n%s", after, before)
	}
	if _, err := dial(t, s, opt); err != nil {
		t.Error(err)
	}
	if backups, err := r.Write(nil, "now"); err != nil || len(backups) > 0 {
		t.Errorf("nothing was left to change: %v, %v", backups, err)
	}

	// Only what was compared is pinned; the old key goes all the same.
	if err := os.WriteFile(mine, []byte(line(name, old)), 0o600); err != nil {
		t.Fatal(err)
	}
	if shown, err = HostKeys(t.Context(), target(t, s), opt); err != nil {
		t.Fatal(err)
	}
	if r, err = Renew(shown, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Write([]string{"SHA256:other"}, "now"); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("a copy took the place of another: %v", err)
	}
	if text, _ := os.ReadFile(mine); string(text) != line(name, old) {
		t.Errorf("it was changed without a copy:\n%s", text)
	}
	if _, err := r.Write([]string{"SHA256:other"}, "later"); err != nil {
		t.Fatal(err)
	}
	if after, _ = os.ReadFile(mine); len(after) != 0 {
		t.Errorf("it holds %s", after)
	}

	// A line for many hosts is nobody's alone.
	if err := os.WriteFile(mine, []byte(line("[127.0.0.*]:*", old)), 0o600); err != nil {
		t.Fatal(err)
	}
	shown, _ = HostKeys(t.Context(), target(t, s), opt)
	if r, err = Renew(shown, nil); err != nil || len(r.Old) != 1 || !r.Old[0].Many || len(r.Changes()) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if err := os.WriteFile(mine, []byte("@revoked * "+line("", s.HostKey)[1:]), 0o600); err != nil {
		t.Fatal(err)
	}
	shown, _ = HostKeys(t.Context(), target(t, s), opt)
	_, err = Renew(shown, nil)
	refused(t, err, "marked as revoked", "do not connect")
}
