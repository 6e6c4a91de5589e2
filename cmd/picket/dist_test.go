package main

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"picket/lab/leftout"
)

// TestDist looks at what `make cross` has just built: static programs, each of
// the right machine, none too large to copy to a small board.
func TestDist(t *testing.T) {
	dir := os.Getenv("PICKET_DIST")
	if dir == "" {
		leftout.Skip(t, "make cross builds the three programs and runs it")
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
			if info, err := os.Stat(file); err != nil || info.Size() > 24<<20 {
				t.Errorf("is larger than 24 MB, or %v", err)
			}
		})
	}
}

// TestMemory holds the peak of an audit below 60 MB where it is highest: with
// accounts whose yescrypt passwords no guess fits. Each guess takes 16 MiB.
func TestMemory(t *testing.T) {
	dir := os.Getenv("PICKET_DIST")
	if dir == "" || runtime.GOARCH != "amd64" {
		leftout.Skip(t, "make cross runs it, on amd64")
	}
	// libxcrypt's example hash with another ending: nobody's password.
	const hash = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ6"
	root := t.TempDir()
	passwd, shadow := "root:x:0:0::/root:/bin/bash\n", "root:*:19000:0:99999:7:::\n"
	for i, name := range []string{"ada", "bea", "cid"} {
		passwd += name + ":x:100" + string(rune('0'+i)) + ":100::/home/" + name + ":/bin/bash\n"
		shadow += name + ":" + hash + ":19000:0:99999:7:::\n"
	}
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"os-release": "ID=debian\nVERSION_ID=12\n", "passwd": passwd, "shadow": shadow} {
		if err := os.WriteFile(filepath.Join(root, "etc", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	audit := exec.Command(filepath.Join(dir, "picket-linux-amd64"), "audit", "--only", "accounts/factory-password", "--all", "image:"+root)
	out, err := audit.CombinedOutput()
	if audit.ProcessState == nil || !strings.Contains(string(out), "1 passed") {
		t.Fatalf("%v\n%s", err, out)
	}
	peak := audit.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	t.Logf("%.1f MB", float64(peak)/1e6)
	if peak > 60e6 {
		t.Errorf("an audit took %.1f MB at its peak, want at most 60", float64(peak)/1e6)
	}
}
