package main

import (
	"debug/elf"
	"os"
	"path/filepath"
	"testing"
)

// TestDist looks at what `make cross` has just built: static programs, each of
// the right machine, none too large to copy to a small board.
func TestDist(t *testing.T) {
	dir := os.Getenv("PICKET_DIST")
	if dir == "" {
		t.Skip("LEFT OUT TestDist: make cross builds the three programs and runs it")
	}
	for name, machine := range map[string]elf.Machine{
		"picket-linux-amd64": elf.EM_X86_64, "picket-linux-arm64": elf.EM_AARCH64, "picket-linux-armv6": elf.EM_ARM,
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(dir, name)
			f, err := elf.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if f.Machine != machine {
				t.Errorf("is for %v, not for %v", f.Machine, machine)
			}
			for _, p := range f.Progs {
				if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
					t.Errorf("is not static: it has %v", p.Type)
				}
			}
			if info, err := os.Stat(file); err != nil || info.Size() > 20<<20 {
				t.Errorf("is larger than 20 MB, or %v", err)
			}
		})
	}
}
