package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"picket/internal/ui"
)

// TestPinAnew: what was added to a file of known hosts since it was read stays, and so do hidden names.
func TestPinAnew(t *testing.T) {
	t.Parallel()
	const hidden = "|1|L2UnoXakAXXF3yesjUIjO/PcYwA=|dgSrSQ6o4nX5Ezdn//hxC2pDAIA= ssh-ed25519 " // worker1
	file := filepath.Join(t.TempDir(), "known_hosts")
	plant(t, 0o600, hidden+"OLD\n", filepath.Dir(file), "known_hosts")
	var said strings.Builder
	p := &program{io: ui.IO{Err: &said}}
	files, err := p.knownHostsFiles(sshOptions{knownHosts: file})
	if err != nil {
		t.Fatal(err)
	}
	const since = "new.example ssh-ed25519 AAAA\n"
	plant(t, 0o600, hidden+"OLD\n"+since, filepath.Dir(file), "known_hosts")
	if err := p.pinAnew(files, []string{"worker1"}, []string{"ssh-ed25519 OLD"}, []string{"ssh-ed25519 NEW"}); err != nil {
		t.Fatal(err)
	}
	if is, err := os.ReadFile(file); err != nil || string(is) != since+hidden+"NEW\n" || !strings.Contains(said.String(), "the new keys of worker1 are pinned in ") {
		t.Errorf("%v\n%s%s", err, is, &said)
	}
}
