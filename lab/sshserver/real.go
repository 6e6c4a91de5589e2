// Package sshserver starts SSH servers for tests: the real sshd as an ordinary
// process on the loopback address, and one in this process that misbehaves on
// demand.
package sshserver

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"picket/lab/leftout"
)

// A Server can be logged in to.
type Server struct {
	Host    string
	Port    int
	User    string
	HostKey ssh.PublicKey
	Login   ssh.Signer // its public half may log in
	Key     string     // the file of Login
	Dir     string
	Came    atomic.Int32 // connections to a Fake
}

// Target is the server as picket is told.
func (s *Server) Target() string { return fmt.Sprintf("ssh://%s@%s:%d", s.User, s.Host, s.Port) }

// KnownHosts writes a file that knows the server.
func (s *Server) KnownHosts(t testing.TB) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "known_hosts")
	line := fmt.Sprintf("[%s]:%d %s", s.Host, s.Port, ssh.MarshalAuthorizedKey(s.HostKey))
	if err := os.WriteFile(p, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// Need leaves a test out where the machine has no such program, or fails it
// with PICKET_LAB=require.
func Need(t testing.TB, program string) string {
	t.Helper()
	p, err := exec.LookPath(program)
	if err != nil {
		leftout.Missing(t, "no "+program+" here")
	}
	return p
}

// NewKey makes a key and writes its private half to a file.
func NewKey(t testing.TB, file string) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Real starts the machine's own sshd for the user who runs the test, with
// settings of its own; options are lines for its configuration, before ours.
// As root it runs in a mount namespace that has a /run/sshd, so that the
// machine stays as it is.
func Real(t testing.TB, options ...string) *Server {
	t.Helper()
	const sshd = "/usr/sbin/sshd"
	if _, err := os.Stat(sshd); err != nil {
		leftout.Missing(t, "no "+sshd+" here")
	}
	me, err := user.Current()
	if err != nil {
		leftout.Missing(t, err.Error())
	}
	if accounts, err := os.ReadFile("/etc/passwd"); err == nil {
		for line := range strings.Lines(string(accounts)) {
			if f := strings.Split(strings.TrimSpace(line), ":"); len(f) == 7 && f[0] == me.Username && strings.HasSuffix(f[6], "/nologin") {
				leftout.Missing(t, "nobody logs in as "+me.Username)
			}
		}
	}
	dir := t.TempDir()
	s := &Server{Host: "127.0.0.1", Port: freePort(t), User: me.Username, Dir: dir, Key: filepath.Join(dir, "login")}
	s.HostKey = NewKey(t, filepath.Join(dir, "host")).PublicKey()
	s.Login = NewKey(t, s.Key)
	if err := os.WriteFile(filepath.Join(dir, "authorized"), ssh.MarshalAuthorizedKey(s.Login.PublicKey()), 0o600); err != nil {
		t.Fatal(err)
	}
	var conf bytes.Buffer
	for _, o := range options {
		fmt.Fprintln(&conf, o)
	}
	fmt.Fprintf(&conf, "ListenAddress 127.0.0.1\nPort %d\nHostKey %s/host\nAuthorizedKeysFile %s/authorized\n", s.Port, dir, dir)
	fmt.Fprintf(&conf, "SetEnv HOME=%s\n", dir) // what the user's own shell does first is not ours
	fmt.Fprintf(&conf, "PidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nLogLevel VERBOSE\n")
	file := filepath.Join(dir, "sshd_config")
	if err := os.WriteFile(file, conf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	argv := []string{sshd, "-D", "-e", "-f", file}
	if os.Getuid() == 0 {
		const setUp = `mount -t tmpfs none /run && mkdir -m 755 /run/sshd && exec "$@"`
		namespace := []string{"unshare", "--mount", "sh", "-c", setUp, "sh"}
		if out, err := exec.Command(namespace[0], append(namespace[1:], "true")...).CombinedOutput(); err != nil {
			leftout.Missing(t, fmt.Sprintf("no right to make a mount namespace: %s", out))
		}
		argv = append(namespace, argv...)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	// The signal of Pdeathsig comes when the thread ends that has started the program, not the process: so it is one that stays.
	started, done := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		started <- cmd.Start()
		<-done
	}()
	if err := <-started; err != nil {
		close(done)
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
		close(done)
		log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("sshd said:\n%s", text)
		}
	})
	address := net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
	for end := time.Now().Add(30 * time.Second); ; {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			return s
		}
		if time.Now().After(end) {
			t.Fatalf("sshd does not listen: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
