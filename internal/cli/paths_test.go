package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"picket/internal/core/change"
	"picket/internal/host/remote"
	"picket/internal/host/shell"
	"picket/internal/host/snapshot"
	"picket/internal/ui"
	"picket/lab/leftout"
)

// TestHealthSaysWhy: what a URL is got with says why it fails, or how it ended.
func TestHealthSaysWhy(t *testing.T) {
	for _, tc := range []struct{ has, does, want string }{
		{"curl", "echo 'curl: (7) Failed to connect' >&2; exit 7", "curl: (7) Failed to connect"},
		{"wget", "exit 4", "exit status 4"},
		{"python3", "exit 1", "exit status 1"},
		{"none", "", "there is no curl, no wget and no python3 to get it with"},
		{"curl", "exit 0", ""},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, tc.has), []byte("#!/bin/sh\n"+tc.does+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", dir)
		h := &changed{target: "local", shell: shell.Local()}
		h.policy.Services = []change.Service{{Unit: "nio.service", Health: "http://127.0.0.1:1/it's"}}
		got := ""
		if err := h.health()[0].Try(t.Context()); err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("%s: %q, want %q", tc.has, got, tc.want)
		}
	}
}

// sitting is the program as one sits at it who reaches these hosts.
func (n nodes) sitting(t *testing.T) (*program, sshOptions) {
	t.Helper()
	if os.Geteuid() != 0 {
		leftout.Missing(t, "only root's own sshd gives a shell of root")
	}
	p := &program{name: "picket", io: ui.IO{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard}, now: time.Now, configs: []string{filepath.Join(n.dir, "picket.yaml")},
		getenv: func(name string) string {
			return map[string]string{"HOME": n.dir, "USER": "amy", "PICKET_NO_LOCAL": "1"}[name]
		}}
	p.hops, p.passwords, p.memory = new(remote.Hops), new(typedPasswords), snapshot.NewMemory()
	t.Cleanup(func() { p.hops.Close() })
	return p, sshOptions{knownHosts: filepath.Join(n.dir, "known")}
}

// TestASlowHealthCheckHasItsOwnConnection: what ends with it is not the one over which the steps are laid.
func TestASlowHealthCheckHasItsOwnConnection(t *testing.T) {
	p, ssh := newNodes(t).sitting(t)
	h := &changed{p: p, target: "a", opt: applyOptions{auditOptions: auditOptions{ssh: ssh}}}
	if err := h.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer h.close()
	h.policy.Services = []change.Service{{Unit: "nio.service", Health: "exec sleep 20"}, {Unit: "good.service", Health: "true"}}
	checks := h.health()
	if checks[0].Takes <= healthTime {
		t.Errorf("the host has %v, and we wait %v", healthTime, checks[0].Takes)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := checks[0].Try(ctx); err == nil || err.Error() != "it has not ended after 20s" {
		t.Error(err)
	}
	if out, _, err := h.Shell().Run(t.Context(), "echo laid", nil, nil); err != nil || string(out) != "laid\n" {
		t.Errorf("the steps cannot be laid any more: %q, %v", out, err)
	}
	if err := checks[1].Try(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestTurn: only so many go at a time, and who waits goes away when there is no time left.
func TestTurn(t *testing.T) {
	slots := make(chan struct{}, 1)
	done, err := turn(t.Context(), slots)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := turn(ctx, slots); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	done()
	if _, err := turn(t.Context(), slots); err != nil {
		t.Error(err)
	}
}
