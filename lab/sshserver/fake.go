package sshserver

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
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

	TurnAway  func(n int) (say string, closes bool) // the nth connection, from 1, is closed before the greeting
	Hangs     Hang
	Sessions  int  // at once; 0: any number, -1: none
	NoForward bool // passes no connections on
}

// A Hang is where a server stops answering, or closes the connection.
type Hang int

// The zero value does not hang.
const (
	HangsGreeted  Hang = iota + 1 // it says who it is and no more
	HangsLogin                    // while it looks at a key
	DropsLogin                    // it closes the connection while it looks at a key
	HangsLoggedIn                 // it opens no session and answers no keepalive
)

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
		if b.Hangs == HangsLogin {
			<-t.Context().Done()
		}
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
			n := int(s.Came.Add(1))
			if b.TurnAway != nil {
				if say, closes := b.TurnAway(n); closes {
					io.WriteString(c, say)
					c.Close()
					continue
				}
			}
			switch {
			case b.Hangs == HangsGreeted:
				io.WriteString(c, "SSH-2.0-hangs\r\n")
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
	if b.Hangs == DropsLogin {
		own := *config
		own.PublicKeyCallback = func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
			c.Close()
			return nil, io.EOF
		}
		config = &own
	}
	conn, chans, reqs, err := ssh.NewServerConn(c, config)
	if err != nil {
		return
	}
	defer conn.Close()
	if b.Hangs == HangsLoggedIn {
		conn.Wait()
		return
	}
	go ssh.DiscardRequests(reqs)
	var sessions atomic.Int32
	for n := range chans {
		if n.ChannelType() == "direct-tcpip" {
			go b.pass(n)
			continue
		}
		if most := int32(b.Sessions); most != 0 && sessions.Load() >= max(most, 0) {
			n.Reject(ssh.ConnectionFailed, "open failed")
			continue
		}
		sessions.Add(1)
		ch, reqs, err := n.Accept()
		if err != nil {
			return
		}
		go func() {
			defer sessions.Add(-1)
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

// pass connects to where the client wants to go on to.
func (b Behaviour) pass(n ssh.NewChannel) {
	var to struct {
		Host     string
		Port     uint32
		From     string
		FromPort uint32
	}
	if b.NoForward || ssh.Unmarshal(n.ExtraData(), &to) != nil {
		n.Reject(ssh.Prohibited, "open failed")
		return
	}
	c, err := net.Dial("tcp", net.JoinHostPort(to.Host, strconv.Itoa(int(to.Port))))
	if err != nil {
		n.Reject(ssh.ConnectionFailed, "Connection refused")
		return
	}
	defer c.Close()
	ch, reqs, err := n.Accept()
	if err != nil {
		return
	}
	go ssh.DiscardRequests(reqs)
	go func() { io.Copy(c, ch); c.Close() }()
	io.Copy(ch, c)
	ch.Close()
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
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		ch.SendRequest("exit-signal", false, ssh.Marshal(struct {
			Signal string
			Core   bool
			Why    string
			Lang   string
		}{Signal: map[syscall.Signal]string{syscall.SIGKILL: "KILL", syscall.SIGTERM: "TERM"}[status.Signal()]}))
		return
	}
	ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(status.ExitStatus())}))
}
