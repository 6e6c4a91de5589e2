package cli

import (
	"context"
	"errors"
	"io"
	"os/user"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"picket/internal/host/remote"
	"picket/internal/ui"
	"picket/lab/sshserver"
)

// TestShellWorks: the proof of an account whose shell hangs ends, by itself and when it is interrupted.
func TestShellWorks(t *testing.T) {
	t.Parallel()
	in := func(b sshserver.Behaviour) *remote.Client {
		t.Helper()
		s := sshserver.Fake(t, b)
		p := &program{getenv: func(name string) string { return map[string]string{"HOME": t.TempDir()}[name] }, io: ui.IO{In: strings.NewReader(""), Err: io.Discard}}
		c, _, _, err := p.dial(t.Context(), s.Target(), sshOptions{knownHosts: s.KnownHosts(t), identities: []string{s.Key}, config: remote.NoConfig}, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	hangs := sshserver.Behaviour{Noise: "welcome\n", Run: func(ssh.Channel) { <-t.Context().Done() }}
	if err := shellWorks(t.Context(), in(hangs), "pi", 300*time.Millisecond); err == nil || !strings.Contains(err.Error(), `pi comes in, and its shell hangs: within 300ms it says "welcome\n"`) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if err := shellWorks(ctx, in(hangs), "pi", time.Hour); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if err := shellWorks(t.Context(), in(sshserver.Behaviour{Noise: strings.Repeat("x", 60000)}), me.Username, time.Minute); err != nil {
		t.Error(err)
	}
	if err := shellWorks(t.Context(), in(sshserver.Behaviour{}), "other", time.Minute); err == nil || !strings.Contains(err.Error(), "its shell does not work: it says ") {
		t.Error(err)
	}
	if err := shellWorks(t.Context(), in(sshserver.Behaviour{Sessions: -1}), "pi", time.Minute); err == nil || !strings.Contains(err.Error(), "pi comes in and can do nothing") {
		t.Error(err)
	}
}
