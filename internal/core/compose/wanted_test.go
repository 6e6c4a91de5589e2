package compose

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"picket/lab/leftout"
)

// TestWanted makes what TestAsCompose compares with anew, by the library behind
// `docker compose`, where that can be had.
func TestWanted(t *testing.T) {
	if testing.Short() {
		leftout.Skip(t, "it builds another program")
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	tool := filepath.Join("..", "..", "..", "tools", "compose")
	get := exec.Command("go", "mod", "download")
	get.Dir = tool
	if out, err := get.CombinedOutput(); err != nil {
		leftout.Missing(t, "the library of docker compose cannot be had: "+string(bytes.TrimSpace(out)))
	}
	run := exec.Command("go", "run", ".", dir)
	run.Dir = tool
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	files, _ := filepath.Glob("testdata/*/want.json")
	for _, f := range files {
		kept, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, filepath.Base(filepath.Dir(f)), "want.json"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(kept, got) {
			t.Errorf("%s is not what docker compose makes of it: make compose-wanted", f)
		}
	}
	if len(files) < 8 {
		t.Errorf("only %d projects", len(files))
	}
}
