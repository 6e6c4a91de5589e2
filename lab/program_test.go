package lab

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestLayOver: a Go file takes the place of all that its folder had, another one only of its own name.
func TestLayOver(t *testing.T) {
	dir := t.TempDir()
	write := func(files ...txtar.File) {
		t.Helper()
		for _, f := range files {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, f.Name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(txtar.File{Name: "go.mod"}, txtar.File{Name: "a/one.go"}, txtar.File{Name: "a/two.go"}, txtar.File{Name: "a/b/deep.go"}, txtar.File{Name: "c/other.go"})
	if err := layOver(dir, []txtar.File{{Name: "go.mod", Data: []byte("module x\n")}, {Name: "a/none.go"}, {Name: "a/more.go"}}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"go.mod": true, "a/one.go": false, "a/two.go": false, "a/none.go": true, "a/more.go": true, "a/b/deep.go": true, "c/other.go": true} {
		if exists(filepath.Join(dir, name)) != want {
			t.Errorf("%s is there: %v, want %v", name, !want, want)
		}
	}
	if got, err := os.ReadFile(filepath.Join(dir, "go.mod")); string(got) != "module x\n" {
		t.Errorf("go.mod is %q, %v", got, err)
	}
}
