package lab

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	suite   = "bookworm" // of the machine, and of a role that names no other
	variant = "important"
)

var (
	//go:embed build-base.sh
	baseScript string
	//go:embed build-layer.sh
	layerScript string
)

// cacheDir is where roots are kept between runs: $PICKET_LAB_CACHE, else picket-lab in the user's
// cache folder.
func cacheDir() (string, error) {
	if dir := os.Getenv("PICKET_LAB_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a folder for the lab's roots (or set PICKET_LAB_CACHE): %w", err)
	}
	return filepath.Join(dir, "picket-lab"), nil
}

// layerDirs are the folders of a role's layers, top first, as overlayfs wants its lower ones. What is
// not in the cache yet is built; processes that want the same layer at the same time wait for one
// of them to build it.
func layerDirs(ctx context.Context, cache string, role Role) ([]string, error) {
	var lower []string
	if role.over != nil {
		var err error
		if lower, err = layerDirs(ctx, cache, *role.over); err != nil {
			return nil, err
		}
	}
	dir := filepath.Join(cache, "roots", role.recipe())
	if err := buildOnce(ctx, dir, func(draft string) error { return build(ctx, cache, role, lower, draft) }); err != nil {
		return nil, fmt.Errorf("build role %s: %w", role.Name, err)
	}
	return slices.Concat([]string{filepath.Join(dir, "root")}, lower), nil
}

// buildOnce makes dir whole or not at all: make fills a draft that is renamed when it is done.
func buildOnce(ctx context.Context, dir string, make func(draft string) error) error {
	if exists(dir) {
		now := time.Now()
		return os.Chtimes(dir, now, now) // prune keeps what was used lately
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	lock, err := lockFile(ctx, dir+".lock")
	if err != nil {
		return err
	}
	defer lock.Close()
	if exists(dir) {
		return nil
	}
	draft := dir + ".draft"
	if err := os.RemoveAll(draft); err != nil { // of a build that was killed
		return err
	}
	if err := os.MkdirAll(draft, 0o755); err != nil {
		return err
	}
	if err := make(draft); err != nil {
		return errors.Join(err, os.RemoveAll(draft))
	}
	prune(filepath.Dir(dir))
	return os.Rename(draft, dir)
}

// prune drops roots of old recipes that nothing has used for two weeks.
func prune(roots string) {
	entries, err := os.ReadDir(roots)
	if err != nil {
		return
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil && time.Since(info.ModTime()) > 14*24*time.Hour {
			_ = os.RemoveAll(filepath.Join(roots, entry.Name()))
		}
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// lockFile waits for the lock on path and holds it until the file is closed or the process ends.
func lockFile(ctx context.Context, path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			file.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, fmt.Errorf("wait for the lock on %s: %w", path, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// build fills draft with the layer of one role, in folder root.
func build(ctx context.Context, cache string, role Role, lower []string, draft string) error {
	sources, err := aptSources("/etc/apt", role.release())
	if err != nil {
		return err
	}
	script := baseScript
	if role.over != nil {
		script = layerScript
	}
	files := map[string]string{"machine.sources": sources, "setup.sh": role.setup}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(draft, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	// The build has its own mounts and processes, so that nothing of it is left when it is killed.
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script)
	cmd.Dir = draft
	cmd.Env = []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8",
		"DEBIAN_FRONTEND=noninteractive",
		"SUITE=" + role.release(), "VARIANT=" + variant, "LOWER=" + strings.Join(lower, ":"),
		"INCLUDE=" + role.include(), "PACKAGES=" + strings.Join(role.packages, " "),
		"APT_CACHE=" + filepath.Join(cache, "apt"),
	}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w\n%s", err, tail(output.String(), 40))
	}
	return nil
}

// tail is the last lines of text.
func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return strings.Join(all, "\n")
}
