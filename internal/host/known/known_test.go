package known

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"picket/internal/core/pinned"
)

// TestSeveralAtOnce: hosts that are added at the same time are all there
// afterwards.
func TestSeveralAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), ".ssh", "known_hosts")
	key := pinned.Key{Type: "ssh-ed25519", Blob: "AAAAC3NzaC1lZDI1NTE5AAAAIGFib3V0IHRoaXJ0eS10d28gb2N0ZXRzIG9mIGEga2V5"}
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if err := Add(file, pinned.Entry{Name: fmt.Sprintf("pi%d", i), Key: key}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, l := range pinned.Lines(text) {
		names[l.Names[0]] = l.Key == key
	}
	for i := range 20 {
		if !names[fmt.Sprintf("pi%d", i)] {
			t.Errorf("pi%d was lost", i)
		}
	}
	if entries, err := os.ReadDir(filepath.Dir(file)); err != nil || len(entries) != 1 {
		t.Errorf("beside it lies something: %v, %v", entries, err)
	}
}

// TestNoPlainFile: what is no plain file, such as /dev/null, stays as it is.
func TestNoPlainFile(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Add(folder, pinned.Entry{Name: "pi", Key: pinned.Key{Type: "ssh-ed25519", Blob: "AAAA"}}); err != nil {
		t.Error(err)
	}
	if st, err := os.Stat(folder); err != nil || !st.IsDir() {
		t.Errorf("%v, %v", st, err)
	}
}
