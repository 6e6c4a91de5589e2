package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// nodes are SSH servers on this machine's loopback, each with a host key of its own.
type nodes struct {
	dir   string
	at    []string // address and port
	delay time.Duration

	mu    sync.Mutex
	plays []*dialog // what is answered to sessions, by their command; those of one connection in their order
	real  func(ctx context.Context, command string) (*exec.Cmd, error)
	odd   error // the first answer that did not fit
	stop  []func() error
}

// start starts n servers, and writes what a client needs: key, known_hosts, picket.yaml and addresses.
func start(dir string, n int, delay time.Duration) (*nodes, error) {
	s := &nodes{dir: dir, delay: delay}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "key"), pem.EncodeToMemory(block), 0o600); err != nil {
		return nil, err
	}
	allowed, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, err
	}
	var known, config strings.Builder
	config.WriteString("cluster:\n  user: root\n  identity: " + filepath.Join(dir, "key") + "\n  nodes:\n")
	for i := range n {
		_, host, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		signer, err := ssh.NewSignerFromKey(host)
		if err != nil {
			return nil, err
		}
		c := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if !bytes.Equal(key.Marshal(), allowed.Marshal()) {
				return nil, errors.New("not this one")
			}
			return nil, nil
		}}
		c.AddHostKey(signer)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.stop = append(s.stop, l.Close)
		addr := l.Addr().String()
		s.at = append(s.at, addr)
		fmt.Fprintln(&known, knownhosts.Line([]string{addr}, signer.PublicKey()))
		fmt.Fprintf(&config, "    node%d: {address: 127.0.0.1, port: %d}\n", i+1, l.Addr().(*net.TCPAddr).Port)
		go s.accept(l, c)
	}
	for name, text := range map[string]string{"known_hosts": known.String(), "picket.yaml": config.String(), "addresses": strings.Join(s.at, "\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	return s, nil
}

func (s *nodes) close() error {
	var errs []error
	for _, stop := range s.stop {
		errs = append(errs, stop())
	}
	return errors.Join(errs...)
}

// failed is the first answer that did not fit, since it was last asked.
func (s *nodes) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.odd
	s.odd = nil
	return err
}

func (s *nodes) accept(l net.Listener, c *ssh.ServerConfig) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			time.Sleep(s.delay) // of the connection itself
			s.serve(delayed(conn, s.delay/2), c)
		}()
	}
}

func (s *nodes) serve(conn net.Conn, c *ssh.ServerConfig) {
	defer conn.Close()
	sc, channels, requests, err := ssh.NewServerConn(conn, c)
	if err != nil {
		return
	}
	defer sc.Close()
	go ssh.DiscardRequests(requests)
	n := 0
	for channel := range channels {
		if channel.ChannelType() != "session" {
			_ = channel.Reject(ssh.UnknownChannelType, "")
			continue
		}
		ch, requests, err := channel.Accept()
		if err != nil {
			return
		}
		go func(n int) {
			defer ch.Close()
			for r := range requests {
				if r.Type != "exec" {
					_ = r.Reply(false, nil)
					continue
				}
				var command struct{ Line string }
				_ = ssh.Unmarshal(r.Payload, &command)
				_ = r.Reply(true, nil)
				exit := s.run(ch, command.Line, n)
				_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{exit}))
				return
			}
		}(n)
		n++
	}
}

// run answers a command, the nth session of its connection.
func (s *nodes) run(ch ssh.Channel, command string, n int) uint32 {
	if command == "true" {
		return 0
	}
	if s.real != nil {
		return s.record(ch, command)
	}
	if n >= len(s.plays) || s.plays[n].command != command {
		s.note(fmt.Errorf("session %d: %q was not recorded", n+1, command))
		return 1
	}
	if err := s.plays[n].replay(ch); err != nil {
		s.note(err)
		return 1
	}
	return 0
}

func (s *nodes) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.odd == nil {
		s.odd = err
	}
}

// record has a real host answer, and keeps what is said.
func (s *nodes) record(ch ssh.Channel, command string) uint32 {
	r := &recorder{d: &dialog{command: command}}
	cmd, err := s.real(context.Background(), command)
	if err != nil {
		s.note(err)
		return 1
	}
	stdin, err := cmd.StdinPipe()
	if err == nil {
		cmd.Stdout, cmd.Stderr = tee{ch, r.said}, ch.Stderr()
		err = cmd.Start()
	}
	if err != nil {
		s.note(err)
		return 1
	}
	go func() {
		_, _ = io.Copy(tee{stdin, r.heard}, ch)
		_ = stdin.Close()
	}()
	_ = cmd.Wait()
	r.d.end()
	s.mu.Lock()
	s.plays = append(s.plays, r.d)
	s.mu.Unlock()
	return uint32(max(0, cmd.ProcessState.ExitCode()))
}

// A tee notes what it has been told before it passes it on.
type tee struct {
	io.Writer
	note func([]byte)
}

func (t tee) Write(b []byte) (int, error) {
	t.note(b)
	return t.Writer.Write(b)
}

// delayed is a connection of which each way takes a time, as a long line does: what is sent at once arrives at once, later.
func delayed(c net.Conn, by time.Duration) net.Conn {
	if by == 0 {
		return c
	}
	here, inner := net.Pipe()
	go line(inner, c, by)
	go line(c, inner, by)
	return &longLine{Conn: here, far: c}
}

// longLine has the addresses of the real connection.
type longLine struct {
	net.Conn
	far net.Conn
}

func (l *longLine) RemoteAddr() net.Addr { return l.far.RemoteAddr() }
func (l *longLine) LocalAddr() net.Addr  { return l.far.LocalAddr() }

// line carries from one end to the other.
func line(to, from net.Conn, by time.Duration) {
	type piece struct {
		data []byte
		due  time.Time
	}
	way := make(chan piece, 1024)
	go func() {
		defer close(way)
		for {
			b := make([]byte, 32<<10)
			n, err := from.Read(b)
			if n > 0 {
				way <- piece{b[:n], time.Now().Add(by)}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range way {
		time.Sleep(time.Until(p.due)) // it is this wait that makes the line long
		if _, err := to.Write(p.data); err != nil {
			break
		}
	}
	_ = to.Close()
	_ = from.Close()
	for range way { // what was still on its way
	}
}

// floor connects to each of many hosts, authenticates, and runs one true: what no program can do without.
func floor(args []string) error {
	if len(args) != 2 {
		return errors.New("want a folder, and how many at a time")
	}
	dir := args[0]
	most, err := strconv.Atoi(args[1])
	if err != nil || most < 1 {
		return fmt.Errorf("%q is no number above zero", args[1])
	}
	text, err := os.ReadFile(filepath.Join(dir, "key"))
	if err != nil {
		return err
	}
	key, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return err
	}
	known, err := knownhosts.New(filepath.Join(dir, "known_hosts"))
	if err != nil {
		return err
	}
	list, err := os.ReadFile(filepath.Join(dir, "addresses"))
	if err != nil {
		return err
	}
	config := &ssh.ClientConfig{User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: known, HostKeyAlgorithms: []string{ssh.KeyAlgoED25519}}
	slots := make(chan struct{}, most)
	errs := make(chan error)
	all := strings.Fields(string(list))
	for _, addr := range all {
		go func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			errs <- func() error {
				c, err := ssh.Dial("tcp", addr, config)
				if err != nil {
					return err
				}
				defer c.Close()
				session, err := c.NewSession()
				if err != nil {
					return err
				}
				return session.Run("true")
			}()
		}()
	}
	for range all {
		err = errors.Join(err, <-errs)
	}
	return err
}
