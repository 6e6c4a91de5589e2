package remote

import (
	"crypto/ed25519"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
)

// TestSeveralAtOnce: hosts that are added at the same time are all there
// afterwards.
func TestSeveralAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known_hosts")
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	target := func(i int) Target { return Target{Host: fmt.Sprintf("pi%d", i)} }
	for i := range 20 {
		all.Go(func() {
			h := hosts{target: target(i), write: file}
			if err := h.add(key); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for i := range 20 {
		h, err := openHosts(target(i), []string{file}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(h.known()) != 1 {
			t.Errorf("%v was lost", target(i))
		}
	}
}
