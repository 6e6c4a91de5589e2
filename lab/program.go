package lab

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
)

// A Program is a server that Debian has no package of. It is built from its makers' source, which the Go module
// proxy has, and kept in the cache beside the roots.
type Program struct {
	Name string

	modules map[string]string // whose source is copied, by the folder it goes to
	files   string            // a txtar archive of what is laid over them
	main    string            // the package to build
}

var (
	//go:embed programs/vault.txtar
	vaultFiles string
	//go:embed programs/traefik.txtar
	traefikFiles string
)

// Vault is a real Vault 1.14 that keeps everything in memory. Its argument is the address to listen on.
var Vault = Program{Name: "vault", files: vaultFiles, main: "."}

// Traefik is a real Traefik 3.0 that takes its routes from files or from Docker.
var Traefik = Program{
	Name: "traefik", files: traefikFiles, main: "./cmd/traefik",
	modules: map[string]string{".": "github.com/traefik/traefik/v3@v3.0.4", "lego": "github.com/go-acme/lego/v4@v4.17.4"},
}

// Programs lists all programs.
func Programs() []Program { return []Program{Vault, Traefik} }

// Build answers the file of the program, which is built if it is not in the cache.
func (p Program) Build(ctx context.Context) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %s %s", p.modules, p.files, p.main, runtime.Version(), runtime.GOARCH))
	dir := filepath.Join(cache, "programs", p.Name+"-"+hex.EncodeToString(sum[:])[:12])
	if err := buildOnce(ctx, dir, func(draft string) error { return p.build(ctx, draft) }); err != nil {
		return "", fmt.Errorf("build %s: %w", p.Name, err)
	}
	return filepath.Join(dir, p.Name), nil
}

// build leaves the program in draft, and nothing else.
func (p Program) build(ctx context.Context, draft string) error {
	source := filepath.Join(draft, "source")
	for to, module := range p.modules {
		if err := copyModule(ctx, module, filepath.Join(source, to)); err != nil {
			return err
		}
	}
	if err := layOver(source, txtar.Parse([]byte(p.files)).Files); err != nil {
		return err
	}
	if _, err := goCommand(ctx, source, "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(draft, p.Name), p.main); err != nil {
		return err
	}
	return os.RemoveAll(source)
}

// copyModule copies the source of a module, which the module cache keeps read-only.
func copyModule(ctx context.Context, module, to string) error {
	out, err := goCommand(ctx, "", "mod", "download", "-json", module)
	if err != nil {
		return err
	}
	var found struct{ Dir string }
	if err := json.Unmarshal(out, &found); err != nil {
		return fmt.Errorf("find the source of %s: %w", module, err)
	}
	return filepath.WalkDir(found.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(found.Dir, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), content, 0o644)
	})
}

// layOver writes files. Where one of them is Go, those that the folder had before are gone.
func layOver(root string, files []txtar.File) error {
	var cleared []string
	for _, f := range files {
		path := filepath.Join(root, f.Name)
		dir := filepath.Dir(path)
		if strings.HasSuffix(path, ".go") && !slices.Contains(cleared, dir) {
			cleared = append(cleared, dir)
			old, err := filepath.Glob(filepath.Join(dir, "*.go"))
			if err != nil {
				return err
			}
			for _, name := range old {
				if err := os.Remove(name); err != nil {
					return err
				}
			}
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// goCommand runs the go command in a folder, and answers what it printed. It gives way to everything else: tests on
// hosts that are up already have time limits.
func goCommand(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "nice", append([]string{"go"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly")
	var messages bytes.Buffer
	cmd.Stderr = &messages
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", args[0], err, tail(messages.String(), 20))
	}
	return out, nil
}
