package fact

import (
	"slices"
	"strings"
	"testing"

	"picket/internal/core/snap"
)

// TestRedactionIndex holds the short way to the right redaction to the long one.
func TestRedactionIndex(t *testing.T) {
	paths := []string{"/", "/etc/motd", "/etc/.shadow", "/home/ann/.ssh/id_ed25519", "/root/.bashrc", "/root/.bash", "/etc/ssh/sshd_config.d/a.conf", "/a/b/c/d/.ssh/x"}
	for _, r := range redactions {
		for _, name := range []string{"", "x", ".x", "x.ini", "a/b"} {
			paths = append(paths, strings.NewReplacer("*", name, "?", "q", "[0-9]", "7").Replace(r.pattern))
		}
	}
	for _, p := range paths {
		want := slices.IndexFunc(redactions, func(r redaction) bool { return snap.Match(r.pattern, p) })
		if got := indexOf(p); got != want {
			t.Errorf("%s: %d, want %d", p, got, want)
		}
	}
}
