package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"picket/lab/sshserver"
)

// A person answers in turn and remembers what was asked.
type person struct {
	passwords []string
	yes       bool
	asked     []string
}

func (p *person) Password(prompt string) ([]byte, error) {
	p.asked = append(p.asked, prompt)
	if len(p.passwords) == 0 {
		return nil, io.EOF
	}
	a := p.passwords[0]
	p.passwords = p.passwords[1:]
	return []byte(a), nil
}

func (p *person) Confirm(prompt string) (bool, error) {
	p.asked = append(p.asked, prompt)
	return p.yes, nil
}

func dial(t *testing.T, s *sshserver.Server, opt Options) (*Client, error) {
	t.Helper()
	target, err := ParseTarget(s.Target())
	if err != nil {
		t.Fatal(err)
	}
	opt.Timeout = 2 * time.Second
	c, err := Dial(t.Context(), target, opt)
	if err == nil {
		t.Cleanup(func() { c.Close() })
	}
	return c, err
}

// says runs a command.
func says(t *testing.T, c *Client, command string) string {
	t.Helper()
	stdin, stdout, _, err := c.Start(command)
	if err != nil {
		t.Fatal(err)
	}
	stdin.Close()
	out, _ := io.ReadAll(stdout)
	return string(out)
}

// refused checks an error, and its hint.
func refused(t *testing.T, err error, want string, hint string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q, want %q in it", err, want)
	}
	var h Hinter
	if errors.As(err, &h); hint != "" && (h == nil || !strings.Contains(h.Hint(), hint)) {
		t.Errorf("of %q the hint is not %q", err, hint)
		if h != nil {
			t.Logf("but %q", h.Hint())
		}
	}
}

func TestKeys(t *testing.T) {
	real := func(t *testing.T) *sshserver.Server { return sshserver.Real(t) }
	fake := func(t *testing.T) *sshserver.Server { return sshserver.Fake(t, sshserver.Behaviour{}) }
	for name, start := range map[string]func(*testing.T) *sshserver.Server{"real": real, "fake": fake} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			known := []string{s.KnownHosts(t)}
			for name, opt := range map[string]Options{
				"of a file": {Identities: []string{s.Key}}, "of the agent": {AgentSocket: sshserver.Agent(t, s.Key)},
			} {
				opt.KnownHosts = known
				c, err := dial(t, s, opt)
				if err != nil {
					t.Errorf("%s: %v", name, err)
				} else if out := says(t, c, "echo in"); out != "in\n" {
					t.Errorf("%s: %q", name, out)
				}
			}
			home := t.TempDir()
			os.Mkdir(filepath.Join(home, ".ssh"), 0o700)
			text, _ := os.ReadFile(s.Key)
			os.WriteFile(filepath.Join(home, ".ssh/id_ed25519"), text, 0o600)
			if _, err := dial(t, s, Options{Home: home, KnownHosts: known}); err != nil {
				t.Errorf("of the home folder: %v", err)
			}
			other := filepath.Join(t.TempDir(), "other")
			sshserver.NewKey(t, other)
			_, err := dial(t, s, Options{Identities: []string{other}, KnownHosts: known})
			refused(t, err, "login refused; tried key SHA256:", "--identity FILE")
			_, err = dial(t, s, Options{Identities: []string{other + "x"}, KnownHosts: known})
			refused(t, err, "no such file", "")
			_, err = dial(t, s, Options{KnownHosts: known})
			refused(t, err, "no key and no password could be tried", "ssh-copy-id")
		})
	}
}

// lockedKeyIn makes a key whose passphrase is quickly tried.
func lockedKeyIn(t *testing.T, file, passphrase string) ssh.Signer {
	t.Helper()
	if out, err := exec.Command(sshserver.Need(t, "ssh-keygen"), "-q", "-t", "ed25519", "-a", "1", "-N", passphrase, "-f", file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.ParsePrivateKeyWithPassphrase(text, []byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEncryptedKey(t *testing.T) {
	s := sshserver.Fake(t, sshserver.Behaviour{})
	locked := filepath.Join(t.TempDir(), "locked")
	s.Login = lockedKeyIn(t, locked, "open sesame")
	opt := Options{Identities: []string{locked}, KnownHosts: []string{s.KnownHosts(t)}}

	who := &person{passwords: []string{"wrong", "open sesame"}}
	opt.Prompter = who
	if _, err := dial(t, s, opt); err != nil {
		t.Error(err)
	}
	if want := "passphrase of " + locked + ": "; len(who.asked) != 2 || who.asked[0] != want {
		t.Errorf("asked %q", who.asked)
	}
	opt.Prompter = &person{passwords: []string{"1", "2", "3", "4"}}
	_, err := dial(t, s, opt)
	refused(t, err, "passphrase was wrong 3 times", "")
	opt.Prompter = nil
	_, err = dial(t, s, opt)
	refused(t, err, "ssh-add "+locked, "")

	// The passphrase of a key that the host does not want is not asked for.
	who = &person{}
	opt.Prompter, opt.Identities = who, []string{filepath.Join(t.TempDir(), "another")}
	lockedKeyIn(t, opt.Identities[0], "long enough")
	_, err = dial(t, s, opt)
	refused(t, err, "login refused", "")
	if len(who.asked) > 0 {
		t.Errorf("asked %q", who.asked)
	}
}

func TestPasswords(t *testing.T) {
	for _, questions := range []bool{false, true} {
		t.Run(fmt.Sprintf("questions %v", questions), func(t *testing.T) {
			s := sshserver.Fake(t, sshserver.Behaviour{Password: "raspberry", Questions: questions, MaxTries: 6})
			opt := Options{KnownHosts: []string{s.KnownHosts(t)}}
			who := &person{passwords: []string{"wrong", "raspberry"}}
			opt.Prompter = who
			if _, err := dial(t, s, opt); err != nil {
				t.Error(err)
			}
			if strings.Contains(strings.Join(who.asked, ""), "\x1b") {
				t.Errorf("the host could steer the terminal: %q", who.asked)
			}
			who = &person{passwords: []string{"1", "2", "3", "4"}}
			opt.Prompter = who
			_, err := dial(t, s, opt)
			refused(t, err, "login refused; tried a password (3 times)", "--identity")
			if len(who.asked) != 3 {
				t.Errorf("asked %d times", len(who.asked))
			}
			opt.Prompter = nil
			_, err = dial(t, s, opt)
			refused(t, err, "there is no terminal to ask on", "")
		})
	}
}

func TestTooManyKeys(t *testing.T) {
	s := sshserver.Real(t, "MaxAuthTries 3")
	opt := Options{KnownHosts: []string{s.KnownHosts(t)}}
	for i := range 6 {
		f := filepath.Join(t.TempDir(), fmt.Sprint(i))
		sshserver.NewKey(t, f)
		opt.Identities = append(opt.Identities, f)
	}
	_, err := dial(t, s, opt)
	refused(t, err, "login refused; tried key SHA256:", "--identity FILE")
	// The one that is named goes before those of the agent.
	opt = Options{KnownHosts: opt.KnownHosts, AgentSocket: sshserver.Agent(t, opt.Identities...), Identities: []string{s.Key}}
	if _, err := dial(t, s, opt); err != nil {
		t.Error(err)
	}
}

func TestHostKeys(t *testing.T) {
	s := sshserver.Fake(t, sshserver.Behaviour{})
	address := net.JoinHostPort(s.Host, fmt.Sprint(s.Port))
	other := sshserver.NewKey(t, filepath.Join(t.TempDir(), "k")).PublicKey()
	line := func(key ssh.PublicKey) string { return knownhosts.Line([]string{address}, key) + "\n" }
	hashed := func(key ssh.PublicKey) string {
		return strings.Replace(line(key), "["+s.Host+"]:"+fmt.Sprint(s.Port), knownhosts.HashHostname(knownhosts.Normalize(address)), 1)
	}
	print := ssh.FingerprintSHA256(s.HostKey)
	for name, c := range map[string]struct {
		known  string
		person *person
		err    string
		hint   string
	}{
		"known":             {known: line(s.HostKey)},
		"known and hashed":  {known: hashed(s.HostKey)},
		"unknown, nobody":   {err: "the host is not known: it shows ssh-ed25519 " + print, hint: fmt.Sprintf("ssh-keyscan -p %d -t ed25519 127.0.0.1 >> ", s.Port)},
		"unknown, yes":      {person: &person{yes: true}},
		"unknown, no":       {person: &person{}, err: "not confirmed"},
		"changed":           {known: line(other), err: "the host key has changed", hint: "picket keys repair " + s.Target()},
		"changed, hashed":   {known: hashed(other), err: "the host key has changed", hint: "picket keys repair " + s.Target()},
		"changed, a person": {known: line(other), person: &person{yes: true}, err: "the host key has changed"},
		"revoked":           {known: line(s.HostKey) + "@revoked * " + string(ssh.MarshalAuthorizedKey(s.HostKey)), err: "marked as revoked", hint: "do not connect"},
		"of another port":   {known: knownhosts.Line([]string{s.Host}, s.HostKey) + "\n", err: "not known"},
		"a broken line":     {known: "[127.0.0.1 ssh-ed25519 !!!\n", err: "repair or remove that line"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "known_hosts")
			if c.known != "" {
				if err := os.WriteFile(file, []byte(c.known), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			opt := Options{KnownHosts: []string{file}, Identities: []string{s.Key}}
			if c.person != nil {
				opt.Prompter = c.person
			}
			_, err := dial(t, s, opt)
			if c.err != "" {
				refused(t, err, c.err, c.hint)
				if text, _ := os.ReadFile(file); string(text) != c.known {
					t.Errorf("the file was changed: %q", text)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.person != nil {
				if len(c.person.asked) != 1 || !strings.Contains(c.person.asked[0], print) {
					t.Errorf("asked %q", c.person.asked)
				}
				opt.Prompter = nil
				if _, err := dial(t, s, opt); err != nil {
					t.Errorf("it was not remembered: %v", err)
				}
				if fi, _ := os.Stat(file); fi.Mode() != 0o600 {
					t.Errorf("mode %v", fi.Mode())
				}
			}
		})
	}
}

func TestNothingIsRememberedInADevice(t *testing.T) {
	s := sshserver.Fake(t, sshserver.Behaviour{})
	link := filepath.Join(t.TempDir(), "null")
	os.Symlink("/dev/null", link)
	if _, err := dial(t, s, Options{KnownHosts: []string{link}, Identities: []string{s.Key}, Prompter: &person{yes: true}}); err != nil {
		t.Error(err)
	}
	if fi, err := os.Stat("/dev/null"); err != nil || fi.Mode().IsRegular() {
		t.Fatal("/dev/null was replaced")
	}
}

func TestUnreachable(t *testing.T) {
	closed := sshserver.Fake(t, sshserver.Behaviour{})
	l, _ := net.Listen("tcp", "127.0.0.1:0")
	closed.Port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	for name, c := range map[string]struct {
		server *sshserver.Server
		err    string
		hint   string
	}{
		"nobody listens": {closed, fmt.Sprintf("no SSH server listens on port %d", closed.Port), "systemctl status ssh"},
		"says nothing":   {sshserver.Fake(t, sshserver.Behaviour{Silent: true}), "took the connection and said nothing within 2s", "overloaded"},
		"hangs greeted":  {sshserver.Fake(t, sshserver.Behaviour{Hangs: sshserver.HangsGreeted}), "before it showed its key: no answer within 2s", "overloaded"},
		"hangs at login": {sshserver.Fake(t, sshserver.Behaviour{Hangs: sshserver.HangsLogin}), "the host hung during the login: no answer within 2s", "overloaded"},
		"hangs up":       {sshserver.Fake(t, sshserver.Behaviour{HangUp: true}), "closed the connection before the login, ", "MaxStartups"},
		"says why": {sshserver.Fake(t, sshserver.Behaviour{TurnAway: func(int) (string, bool) { return "Not allowed at this time\r\n", true }}),
			`closed the connection before the login (it said "Not allowed at this time")`, "PerSourcePenalties"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := dial(t, c.server, Options{KnownHosts: []string{c.server.KnownHosts(t)}, Identities: []string{c.server.Key}})
			refused(t, err, c.err, c.hint)
		})
	}
	t.Run("no such name", func(t *testing.T) {
		target := Target{User: "x", Host: "none.invalid"}
		_, err := Dial(t.Context(), target, Options{KnownHosts: []string{"/none"}, Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.DNSError{Err: "no such host", Name: "none.invalid", IsNotFound: true}
		}})
		refused(t, err, "there is no host named none.invalid", "")
	})
}

func TestCancelEndsAtOnce(t *testing.T) {
	s := sshserver.Fake(t, sshserver.Behaviour{Silent: true})
	target, _ := ParseTarget(s.Target())
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	begun := time.Now()
	_, err := Dial(ctx, target, Options{KnownHosts: []string{s.KnownHosts(t)}})
	if !errors.Is(err, context.Canceled) || time.Since(begun) > time.Second {
		t.Errorf("%v after %v", err, time.Since(begun))
	}
}

func TestConfig(t *testing.T) {
	s := sshserver.Fake(t, sshserver.Behaviour{})
	home := t.TempDir()
	write := func(text string) {
		t.Helper()
		os.MkdirAll(filepath.Join(home, ".ssh"), 0o700)
		if err := os.WriteFile(filepath.Join(home, ".ssh/config"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key, _ := os.ReadFile(s.Key)
	os.MkdirAll(filepath.Join(home, ".ssh"), 0o700)
	os.WriteFile(filepath.Join(home, ".ssh/lab key"), key, 0o600)
	try := func(target string, opt Options) error {
		t.Helper()
		parsed, err := ParseTarget(target)
		if err != nil {
			t.Fatal(err)
		}
		opt.Home, opt.User, opt.Timeout = home, "nobody", 2*time.Second
		if opt.KnownHosts == nil {
			opt.KnownHosts = []string{s.KnownHosts(t)}
		}
		c, err := Dial(t.Context(), parsed, opt)
		if err != nil {
			return err
		}
		defer c.Close()
		if c.Target().User != "pi" {
			t.Errorf("%s: as %s", target, c.Target().User)
		}
		return nil
	}
	block := fmt.Sprintf("Host leader lead*\n HostName 127.0.0.1\n Port %d\n User pi\n IdentityFile \"~/.ssh/lab key\"\n IdentityFile ~/.ssh/none\nHost *\n User other\n Port 1\n", s.Port)
	write(block)
	if err := try("ssh://leader", Options{}); err != nil {
		t.Error(err)
	}
	if err := try("ssh://lead2", Options{}); err != nil {
		t.Error(err)
	}
	// What was typed wins; what is left out is not read.
	refused(t, try("ssh://pi@leader:1", Options{}), "port 1", "")
	err := try("ssh://leader", Options{Config: NoConfig, Dial: func(_ context.Context, _, address string) (net.Conn, error) {
		return nil, fmt.Errorf("dialled %s", address)
	}})
	refused(t, err, "dialled leader:22", "")
	refused(t, try("ssh://leader", Options{Config: filepath.Join(home, "none")}), "no such file", "")

	for name, c := range map[string]struct{ config, err, hint string }{
		"a command":      {"Host *\n ProxyCommand nc %h %p\n" + block, "is reached through a program (ProxyCommand nc %h %p), which picket does not run", "ProxyJump THATHOST\nelse open a way by hand: ssh -N -L 2222:127.0.0.1:" + fmt.Sprint(s.Port) + " JUMPHOST"},
		"no host":        {"Host *\n ProxyJump a b\n" + block, "gives leader the ProxyJump a b", "user@host:port"},
		"a circle":       {"Host *\n ProxyJump gate\n" + block, "leads in a circle: gate is reached through itself", "Host gate, and below it: ProxyJump none"},
		"a wider circle": {"Host leader\n ProxyJump gate\nHost gate\n ProxyCommand ssh -W %h:%p leader\n" + block, "leads in a circle: leader is", "ProxyJump none"},
		"itself":         {"Host leader\n ProxyJump lead\nHost lead\n ProxyJump none\n" + block, "leads in a circle: pi@127.0.0.1:", "ProxyJump none"},
		"too far":        {"Host leader\n ProxyJump a1,a2,a3,a4,a5,a6,a7\nHost a1\n ProxyJump b1,b2\n" + block, "leads through more than 8 hosts", "fewer"},
		"a hop's slip":   {"Host leader\n ProxyJump gate\nHost gate\n Port ssh\n" + block, "on the way there: ssh://gate: ", "--ssh-config none"},
		"a port":         {"Host leader\n Port ssh\n", "the Port \"ssh\"", "--ssh-config none"},
		"a name":         {"Host leader\n HostName -oProxyCommand=x\n", "which is none", "--ssh-config none"},
		"not understood": {"Match exec true\n User x\n" + block, "cannot be followed", "--ssh-config none"},
	} {
		write(c.config)
		t.Run(name, func(t *testing.T) { refused(t, try("ssh://leader", Options{}), c.err, c.hint) })
	}
	write("Host leader\n ProxyJump none\n HostKeyAlias the-leader\n UserKnownHostsFile ~/.ssh/pins\n" + block)
	os.WriteFile(filepath.Join(home, ".ssh/pins"), []byte(knownhosts.Line([]string{"the-leader"}, s.HostKey)+"\n"), 0o600)
	if err := try("ssh://leader", Options{KnownHosts: []string{}}); err != nil {
		t.Error(err)
	}
}

func TestParseTarget(t *testing.T) {
	for in, want := range map[string]string{
		"ssh://leader": "|leader|0", "ssh://pi@leader:2222/": "pi|leader|2222", "ssh://[fe80::1%eth0]:22": "|fe80::1%eth0|22",
		"ssh://a%40b@h": "a@b|h|0", "ssh://DOM\\u@h": `DOM\u|h|0`,
	} {
		got, err := ParseTarget(in)
		if s := fmt.Sprintf("%s|%s|%d", got.User, got.Host, got.Port); err != nil || s != want {
			t.Errorf("%s: %s %v, want %s", in, s, err, want)
		}
	}
	for in, want := range map[string]string{
		"leader": "does not begin with ssh://", "ssh://": "empty", "ssh://pi:secret@h": "must not hold a password", "ssh://h:0": "1 to 65535",
		"ssh://h:99999": "1 to 65535", "ssh://h:": "port is empty", "ssh://fe80::1": "brackets", "ssh://-oProxyCommand=x": "not a host name",
		"ssh://a;b": "not a host name", "ssh://@h": "user name is empty", "ssh://[::1": "not closed",
	} {
		_, err := ParseTarget(in)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", in, err, want)
		}
	}
}
