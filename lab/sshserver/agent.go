package sshserver

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// Agent is an agent that holds the keys of some files, on the socket that is
// returned.
func Agent(t testing.TB, files ...string) (socket string) {
	t.Helper()
	ring := agent.NewKeyring()
	for _, f := range files {
		text, err := os.ReadFile(f)
		key, err2 := ssh.ParseRawPrivateKey(text)
		if err := errors.Join(err, err2, ring.Add(agent.AddedKey{PrivateKey: key})); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := os.MkdirTemp("", "agent") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); os.RemoveAll(dir) })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); agent.ServeAgent(ring, c) }()
		}
	}()
	return socket
}
