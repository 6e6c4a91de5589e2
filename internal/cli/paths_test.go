package cli

import (
	"os"
	"path/filepath"
	"testing"

	"picket/internal/core/change"
	"picket/internal/host/shell"
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
		h := &changed{shell: shell.Local()}
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
