package sshserver

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ssh"
)

// Behaviour of a server in this process. The zero value lets the key of its
// Server in and runs what it is told in a shell of this machine.
type Behaviour struct {
	Silent    bool   // takes connections and says nothing
	HangUp    bool   // takes connections and closes them
	Banner    string // before the login
	Password  string // accepted; empty: no passwords
	Questions bool   // asks for the password by keyboard-interactive
	NoKeys    bool   // accepts none
	MaxTries  int
	Noise     string            // printed before every command, as a .bashrc would
	Run       func(ssh.Channel) // in place of the shell; the channel is closed behind it
}

// Fake starts a server in this process.
func Fake(t testing.TB, b Behaviour) *Server {
	t.Helper()
	dir := t.TempDir()
	s := &Server{Host: "127.0.0.1", User: "pi", Dir: dir, Key: filepath.Join(dir, "login")}
	host := NewKey(t, filepath.Join(dir, "host"))
	s.HostKey, s.Login = host.PublicKey(), NewKey(t, s.Key)
	config := &ssh.ServerConfig{MaxAuthTries: b.MaxTries, BannerCallback: func(ssh.ConnMetadata) string { return b.Banner }}
	config.AddHostKey(host)
	config.PublicKeyCallback = func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if b.NoKeys || !bytes.Equal(key.Marshal(), s.Login.PublicKey().Marshal()) {
			return nil, errors.New("not this one")
		}
		return nil, nil
	}
	check := func(password string) (*ssh.Permissions, error) {
		if password != b.Password {
			return nil, errors.New("not this one")
		}
		return nil, nil
	}
	if b.Password != "" && !b.Questions {
		config.PasswordCallback = func(_ ssh.ConnMetadata, p []byte) (*ssh.Permissions, error) { return check(string(p)) }
	}
	if b.Questions {
		config.KeyboardInteractiveCallback = func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			a, err := ask("", "", []string{"Password\x1b[2J: "}, []bool{false})
			if err != nil || len(a) != 1 {
				return nil, errors.New("no answer")
			}
			return check(a[0])
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Port = l.Addr().(*net.TCPAddr).Port
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			switch {
			case b.Silent:
			case b.HangUp:
				c.Close()
			default:
				go b.serve(c, config)
			}
		}
	}()
	return s
}

func (b Behaviour) serve(c net.Conn, config *ssh.ServerConfig) {
	defer c.Close()
	conn, chans, reqs, err := ssh.NewServerConn(c, config)
	if err != nil {
		return
	}
	defer conn.Close()
	go ssh.DiscardRequests(reqs)
	for n := range chans {
		ch, reqs, err := n.Accept()
		if err != nil {
			return
		}
		go func() {
			defer ch.Close()
			for r := range reqs {
				var p struct{ Command string }
				if r.Type != "exec" || ssh.Unmarshal(r.Payload, &p) != nil {
					r.Reply(false, nil)
					continue
				}
				r.Reply(true, nil)
				go ssh.DiscardRequests(reqs)
				io.WriteString(ch, b.Noise)
				if b.Run != nil {
					b.Run(ch)
					return
				}
				b.shell(ch, p.Command)
				return
			}
		}()
	}
}

func (b Behaviour) shell(ch ssh.Channel, command string) {
	cmd := exec.Command("sh", "-c", command)
	cmd.Stdout, cmd.Stderr = ch, ch.Stderr()
	stdin, err := cmd.StdinPipe()
	if err != nil || cmd.Start() != nil {
		return
	}
	go func() { io.Copy(stdin, ch); stdin.Close() }()
	cmd.Wait()
}
